"""Tables of points with labels that cannot be read are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from placevec.errors import SourceError
from placevec.sources.tables.labeled_points import PointTable


@pytest.mark.parametrize("before", ["", "lon,lat,"])
def test_a_name_of_a_column_longer_than_csv_takes(tmp_path: Path, before: str) -> None:
    """Python's reader stops at 131,072 characters of one cell, with an error of its own."""
    path = tmp_path / "long.csv"
    path.write_text(before + "a" * 140_000)
    with pytest.raises(SourceError, match="must contain the column names") as caught:
        PointTable(path, {})
    assert len(str(caught.value)) < 300
