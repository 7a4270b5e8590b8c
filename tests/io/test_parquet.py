"""Oracle: the table that was written, and every flip of one bit."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from placevec.errors import SourceError
from placevec.io import checksums, parquet

TABLE = pa.table({"a": list(range(40)), "b": [f"x{number % 3}" for number in range(40)]})


def test_every_flip_is_found_and_none_changes_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    parquet.write_table(TABLE.replace_schema_metadata({"geo": "{}"}), file)
    raw = file.read_bytes()
    refused = 0
    for number in range(0, 8 * len(raw), 17):
        flipped = bytearray(raw)
        flipped[number // 8] ^= 1 << number % 8
        file.write_bytes(flipped)
        assert parquet.damage(file) is not None
        try:
            with parquet.opened(file) as opened:
                assert opened.read().equals(TABLE)
        except SourceError:
            refused += 1
    assert (
        refused > 0.85 * 8 * len(raw) / 17
    )  # the others are in headers of pages and in the size, and harmless


def test_tables_that_were_read_are_sealed_again(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    parquet.write_table(TABLE, first)
    read = pq.read_table(first)
    assert list(read.schema.metadata or {}) in ([], [parquet.KEY.encode()])
    assert parquet.own_metadata(read.schema.metadata) == {}
    parquet.write_table(read, second)
    assert second.read_bytes() == first.read_bytes()
    key = pq.ParquetFile(first).metadata.metadata[parquet.KEY.encode()]
    pq.write_table(
        TABLE.replace_schema_metadata({parquet.KEY: key, "note": "longer"}), second
    )  # one that copies the key
    assert key in second.read_bytes()
    assert parquet.damage(second) == "it has no checksum, or its footer is damaged"
    with parquet.opened(second) as opened:
        assert opened.read().equals(TABLE)
    pq.write_table(TABLE, second)  # another program
    assert parquet.damage(second) == "it has no checksum, or its footer is damaged"
    with parquet.opened(second) as opened:
        assert opened.read().equals(TABLE)


def test_long_footers_and_blocks_at_their_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The eight digits that are left out may lie across two blocks."""
    wide = pa.table({f"column {number}": [number] for number in range(800)})
    parquet.write_table(wide, tmp_path / "a.parquet")
    assert os.path.getsize(tmp_path / "a.parquet") > 2**16
    assert parquet.damage(tmp_path / "a.parquet") is None
    parquet.write_table(TABLE, tmp_path / "b.parquet")
    for size in (7, 13, 64):
        monkeypatch.setattr(checksums, "_CHUNK", size)
        assert parquet.damage(tmp_path / "b.parquet") is None


def test_every_table_goes_through_here() -> None:
    """Others would write files without checksums, or read them without looking. These are not kept, or are not ours."""
    known = {
        "io/parquet.py", "geo/parquet_bounds.py",
        "preparation/chips/shards.py",  # parts of a job, with a checksum of their own
        "preparation/points/stage.py",  # removed at the end
        "evaluation/cityrep.py", "app/searching.py",  # in formats of others
    }  # fmt: skip
    root = Path(parquet.__file__).parents[1]
    calls = re.compile(r"pq\.(write_table|ParquetWriter|ParquetFile|read_table)\(|\.to_parquet\(")
    found = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if calls.search(re.sub(r"(>>>|\.\.\. ).*", "", file.read_text()))
    }
    assert found == known
