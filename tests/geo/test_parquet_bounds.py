"""Small Parquet files that unpack to gigabytes are refused before they do; real ones are read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from placevec.errors import SourceError
from placevec.geo import parquet_bounds
from placevec.geo.geoparquet import read_parquet
from placevec.geo.parquet_bounds import check_unpacked
from placevec.geo.parquet_footer import MAX_COLUMNS, footer_of, pages_of


def written(path: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, path, **options)
    return path


def shared(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [text])


BOMBS: dict[str, tuple[pa.Table, dict[str, Any]]] = {
    "a text that many rows share": (pa.table({"s": shared("x" * 1_000_000, 60)}), {}),
    "texts that begin alike": (
        pa.table({"s": ["y" * 300_000 + str(row) for row in range(100)]}),
        {"use_dictionary": False, "column_encoding": {"s": "DELTA_BYTE_ARRAY"}},
    ),
    "a text of one letter": (pa.table({"s": ["z" * 20_000_000]}), {"use_dictionary": False}),
    "rows of nothing": (pa.table({"s": pa.nulls(25_000_000, pa.int8())}), {}),
    "lists of nothing": (
        pa.table({"s": pa.ListArray.from_arrays(pa.array([0, 25_000_000]), pa.nulls(25_000_000, pa.int8()))}),
        {},
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each has some kilobytes; what is refused is never unpacked, in Arrow's memory or in Python's."""
    monkeypatch.setattr(
        parquet_bounds, "FREE_BYTES", 2**23
    )  # a thirty-second of what it is, for bombs that are fast to write
    table, options = BOMBS[name]
    path = written(tmp_path / "b.parquet", table, compression="zstd", **options)
    assert path.stat().st_size < 200_000
    del table
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"would decompress to .* implausible for a table of places"):
            read_parquet(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 1e6


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_headers_say_what_pyarrow_reads(tmp_path: Path, codec: str, version: str) -> None:
    """Oracle: pyarrow's own metadata and values."""
    table = pa.table({
        "n": np.arange(5000), "x": np.random.default_rng(0).random(5000), "s": [f"c{row % 7}" for row in range(5000)],
        "l": [[1.0, 2.0], None, []] * 1666 + [[3.0]] * 2, "b": [True, None] * 2500,
    })  # fmt: skip
    path = written(
        tmp_path / "t.parquet", table, compression=codec, data_page_version=version, row_group_size=1024,
        data_page_size=2000,
    )  # fmt: skip
    footer = check_unpacked(path)
    known = pq.ParquetFile(path).metadata
    assert footer.rows == 5000
    assert [leaf.path[0] for leaf in footer.leaves] == ["n", "x", "s", "l", "b"]
    assert len(footer.chunks) == 5 * known.num_row_groups
    with open(path, "rb") as file:
        for number, chunk in enumerate(footer.chunks):
            about = known.row_group(number // 5).column(number % 5)
            pages = list(pages_of(file, chunk))
            assert sum(page.values for page in pages if not page.is_dictionary) == about.num_values
            unpacked = sum(page.unpacked for page in pages)
            assert unpacked <= about.total_uncompressed_size  # which counts headers too
    assert read_parquet(path).equals(table)


def test_real_tables_of_repeated_and_of_long_texts_are_read(tmp_path: Path) -> None:
    """One long note among a million short names: the loose bound would be terabytes."""
    names = pa.array([f"c{row}" for row in range(1000)] + ["long " * 100_000])
    codes = np.random.default_rng(0).integers(0, 1000, 300_000)
    codes[7] = 1000
    table = pa.table({"s": pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), names)})
    path = written(tmp_path / "t.parquet", table)
    assert read_parquet(path)["s"][7].as_py() == "long " * 100_000
    delta = pa.table({"s": [f"a place called {row}" for row in range(200_000)]})
    options: dict[str, Any] = {"use_dictionary": False, "column_encoding": {"s": "DELTA_BYTE_ARRAY"}}
    assert read_parquet(written(tmp_path / "d.parquet", delta, **options)).equals(delta)


def test_only_the_columns_that_are_read_count(tmp_path: Path) -> None:
    table = pa.table({"s": shared("x" * 10_000_000, 60), "n": list(range(60))})
    path = written(tmp_path / "b.parquet", table, compression="zstd")
    assert read_parquet(path, columns=["n"])["n"].to_pylist() == list(range(60))


def test_too_many_columns(tmp_path: Path) -> None:
    table = pa.table([[1]] * (MAX_COLUMNS + 1), [f"c{number}" for number in range(MAX_COLUMNS + 1)])
    with pytest.raises(SourceError, match="more than 10,000 columns"):
        footer_of(written(tmp_path / "w.parquet", table))
