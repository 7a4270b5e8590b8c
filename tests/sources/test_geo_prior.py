"""Folders of the geo-prior benchmarks as they are read. Oracle: what the tests wrote, in the layouts' own form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from placevec.errors import SourceError
from placevec.sources.geo_prior import Layout, read_layout
from placevec.sources.labelled_points import PointTable
from tests.sources import geo_prior_files as files


def yfcc(folder: Path, rows: list[tuple[object, ...]]) -> Path:
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
def test_longitudes_counted_in_two_ways_are_refused(tmp_path: Path, other: str) -> None:
    """In one part or in two; a table of the same rows is refused with the same words."""
    folder = yfcc(tmp_path / "yfcc", [(190.0, 4.0, 0, "train"), (-170.0, 4.0, 1, other)])
    for source in (read_layout("yfcc", folder), PointTable(folder / "train_test_split.csv", {})):
        with pytest.raises(SourceError, match="some longitudes exceed 180 and others are below 0"):
            lonlat_of(source)
