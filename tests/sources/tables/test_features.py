"""Features that a user brings: numpy files by order, Parquet tables by name, and what is neither."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from placevec.errors import SourceError
from placevec.sources.tables.features import read_feature_table

NUMBERS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
IDS = np.array(["a", "b", "c"], object)


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_numpy_rows_are_in_the_places_order(tmp_path: Path) -> None:
    """Oracle: the array that was saved."""
    np.save(tmp_path / "f.npy", NUMBERS)
    table = read_feature_table(tmp_path / "f.npy")
    assert np.array_equal(table.numbers, NUMBERS)
    rows, places, _ = table.of(IDS, "f.npy")
    assert rows.tolist() == places.tolist() == [0, 1, 2]
    with pytest.raises(SourceError, match="3 rows, but there are 2 places"):
        table.of(IDS[:2], "f.npy")


@pytest.mark.parametrize("kind", ["lists", "fixed lists", "columns"])
def test_parquet_rows_are_named(tmp_path: Path, kind: str) -> None:
    """Oracle: the same numbers, found by id; a place that is not in the dataset is passed over."""
    held: dict[str, Any] = {
        "lists": {"embedding": NUMBERS.tolist()},
        "fixed lists": {"embedding": pa.FixedSizeListArray.from_arrays(pa.array(NUMBERS.ravel()), 4)},
        "columns": {"lon": [1.0, 2.0, 3.0], **{f"f{at}": NUMBERS[:, at] for at in range(4)}},
    }[kind]
    table = read_feature_table(parquet(tmp_path / "f.parquet", place_id=["c", "elsewhere", "a"], **held))
    assert table.numbers == pytest.approx(NUMBERS)
    rows, places, note = table.of(IDS, "f")
    assert (
        note
        == "f: 1 of 3 rows match no place (first: row 2, place_id 'elsewhere'); 1 of 3 places match no row"
    )
    assert (rows.tolist(), places.tolist()) == ([2, 0], [0, 2])


def test_what_is_no_table_of_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ids = ["a", "b", "c"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"id": ids, "x": [1.0] * 3}, "no place_id"),
        ({"place_id": ["a", "a", "b"], "x": [1.0] * 3}, "duplicate or missing"),
        ({"place_id": ["a", None, "b"], "x": [1.0] * 3}, "duplicate or missing"),
        ({"place_id": ids, "x": ["y"] * 3}, "no columns of numbers besides"),
        ({"place_id": ids, "x": [1.0, None, 2.0]}, "rows with missing numbers"),
        ({"place_id": ids, "x": [[1.0], [1.0, 2.0], [3.0]]}, "differ in length"),
        ({"place_id": ids, "x": [[1.0], None, [3.0]]}, "differ in length"),
        ({"place_id": ids, "x": [[1.0], [None], [3.0]]}, "rows with missing numbers"),
        ({"place_id": ids, "x": [[1.0]] * 3, "y": [[1.0]] * 3}, "several columns"),
    ]
    for number, (columns, said) in enumerate(wrong):
        with pytest.raises(SourceError, match=said):
            read_feature_table(parquet(tmp_path / f"{number}.parquet", **columns))
    with pytest.raises(SourceError, match="matches none of the places by place_id"):
        read_feature_table(parquet(tmp_path / "f.parquet", place_id=ids, x=[1.0] * 3)).of(
            np.array(["d"], object), "f.parquet"
        )

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (Path("sprung"),))

    np.save(tmp_path / "objects.npy", np.array([[Trap()]], object), allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Trap()))
    np.save(tmp_path / "flat.npy", NUMBERS[0])
    np.save(tmp_path / "text.npy", np.array([["a"]]))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "table.csv").write_text("place_id,x\na,1\n")
    for name in (
        "objects.npy",
        "pickle.npy",
        "flat.npy",
        "text.npy",
        "broken.parquet",
        "table.csv",
        "no.npy",
    ):
        with pytest.raises(SourceError, match=name):
            read_feature_table(tmp_path / name)
    assert not Path("sprung").exists()
