"""Folders of the geo-prior benchmarks as they are read. Oracle: what the tests wrote, in the layouts' own form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import placevec as pv
from placevec.errors import SourceError
from placevec.sources.benchmarks import Layout, read_layout
from placevec.sources.tables.labeled_points import PointTable
from tests.sources.benchmarks import layout_files as files


def yfcc(folder: Path, rows: Sequence[tuple[object, ...]]) -> Path:
    """A folder of YFCC with these rows of lon, lat, class, split."""
    files.yfcc(folder)
    table = pd.DataFrame(rows, columns=["lon", "lat", "class", "split"])
    table.to_csv(folder / "train_test_split.csv", index=False)
    return folder


def lonlat_of(source: Layout | PointTable) -> np.ndarray:
    return np.concatenate([batch.lonlat for batch in source.batches()])


def test_longitudes_from_0_to_360_are_those_of_a_table(tmp_path: Path) -> None:
    """Closed form: a turn less above 180. The table of the same rows gives the same."""
    rows = [
        (190.0, 4.0, 0, "train"),
        (180.0, 5.0, 1, "train"),
        (24.9, 60.2, 1, "val"),
        (359.5, 1.0, 0, "test"),
    ]
    folder = yfcc(tmp_path / "yfcc", rows)
    found = lonlat_of(read_layout("yfcc", folder))
    assert found[:, 0].tolist() == [-170.0, 180.0, 24.9, -0.5]
    assert np.array_equal(found, lonlat_of(PointTable(folder / "train_test_split.csv", {})))


@pytest.mark.parametrize("other", ["train", "test"])
def test_longitudes_counted_in_two_ways_are_rejected(tmp_path: Path, other: str) -> None:
    """In one part or in two; a table of the same rows is refused with the same words."""
    folder = yfcc(tmp_path / "yfcc", [(190.0, 4.0, 0, "train"), (-170.0, 4.0, 1, other)])
    for source in (read_layout("yfcc", folder), PointTable(folder / "train_test_split.csv", {})):
        with pytest.raises(SourceError, match="some longitudes exceed 180 and others are below 0"):
            lonlat_of(source)


def test_words_for_the_sides_of_yfcc(tmp_path: Path) -> None:
    """Those of a table of points; predictions are found by the layout's own word or by the table's."""
    rows = [(1.0, 2.0, 0, "train"), (3.0, 4.0, 1, "valid"), (5.0, 6.0, 1, "val"), (7.0, 8.0, 1, "test")]
    folder = yfcc(tmp_path / "yfcc", rows)
    written = files.predictions(folder / "features_inception" / "YFCC_valid_preds.npy", 2, 2)
    parts = {part.split: part for part in read_layout("yfcc", folder).parts}
    assert {split: list(part.ids) for split, part in parts.items()} == {
        "train": ["0"], "validation": ["1", "2"], "test": ["3"]
    }  # fmt: skip
    assert parts["validation"].predictions is not None
    assert np.array_equal(np.load(parts["validation"].predictions), written)


@pytest.mark.parametrize(
    ("word", "message"),
    [("minival", "got 'minival'"), ("NA", "'na'"), ("", "row 2 has no split")],
)
def test_rows_of_no_side_are_rejected(tmp_path: Path, word: str, message: str) -> None:
    folder = yfcc(tmp_path / "yfcc", [(1.0, 2.0, 0, "train"), (3.0, 4.0, 1, word)])
    with pytest.raises(SourceError, match=message):
        read_layout("yfcc", folder)


def test_classes_are_called_as_they_stand(tmp_path: Path) -> None:
    """NA is Namibia; spaces around a name are none of it, as everywhere in labels. Coordinates may be NA."""
    folder = yfcc(
        tmp_path / "yfcc",
        [("NA", 2.0, 0, "train"), (1.0, 2.0, 0, "train"), (3.0, 4.0, 1, "train"), (5.0, 6.0, 1, "test")],
    )
    (folder / "features_inception" / "YFCC_test_preds.npy").unlink()  # of two rows
    (folder / "class_names.csv").write_text("id,name\n0,NA\n1, beach \n")
    read = read_layout("yfcc", folder)
    assert read.classes == ("NA", "beach")
    assert np.isnan(read.parts[0].lonlat[0, 0])
    dataset = pv.prepare("sphere2vec", layout="yfcc", folder=folder, out=tmp_path / "ds")
    assert dataset.labels().values.tolist() == [0, 1, 1]
    (folder / "class_names.csv").write_text("id,name\n0,\n1,beach\n")
    with pytest.raises(SourceError, match="class 0 has no name"):
        read_layout("yfcc", folder)
