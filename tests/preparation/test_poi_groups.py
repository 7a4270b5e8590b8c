"""Groups of categories of points of interest. Oracle: the tags and the file, counted by hand with pandas."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.errors import InputError, SourceError, UsageError
from placevec.preparation.poi_groups import read_groups, regrouped


@pytest.fixture
def pois() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": ["amenity", "amenity", "shop", "tourism", "shop"],
            "value": ["cafe", "bar", "bakery", "hotel", "toys"],
            "group": ["food", "food", "food", None, "shops"],
        }
    )


def test_the_first_name_in_the_file_counts(pois: pd.DataFrame, tmp_path: Path) -> None:
    """key/value before value before group; a point without a group before gets one, others are left out and told."""
    path = tmp_path / "groups.toml"
    path.write_text('night = ["amenity/bar", "hotel"]\nday = ["cafe", "food"]\n')
    found, notes = regrouped(pois, path, of_osm=True)
    assert found["group"].fillna("").tolist() == ["day", "night", "day", "night", ""]
    assert notes == ["1 of 4 points are not in any group of groups.toml"]
    keys, _ = regrouped(pois, "keys", of_osm=True)
    assert keys["group"].fillna("").tolist() == ["amenity", "amenity", "shop", "", "shop"]
    with pytest.raises(UsageError, match="for a table, use --group"):
        regrouped(pois, "keys", of_osm=False)
    path.write_text('odd = ["zoo"]\n')
    with pytest.raises(SourceError, match="no point of interest has a category that is in"):
        regrouped(pois, path, of_osm=True)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a = 1", "must be a list of categories"), ('a = ["x"]\nb = ["x"]', "is in two groups, a and b"),
        ('"a/b" = ["x"]', "must not be empty or contain a slash"), ("", "has no groups"), ("a = [", "is not TOML"),
    ],
)  # fmt: skip
def test_files_that_are_refused(content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "groups.toml").write_text(content)
    with pytest.raises(InputError, match=problem):
        read_groups(tmp_path / "groups.toml")


def test_an_extract_by_keys_and_by_a_file(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Counts of the view are those of the dataset's own table."""
    table = pd.read_parquet(helsinki_dataset.path / "pois.parquet")
    table = table[table["group"].notna()]
    shutil.copytree(helsinki_dataset.path, tmp_path / "keys")
    by_keys = api.prepare("mmgr", out=tmp_path / "keys", poi_groups="keys")
    assert {"amenity", "amenity/cafe", "shop"} <= set(by_keys.spec("pois").channels)
    view = by_keys.view("pois")
    amenities = [name.partition("/")[0] == "amenity" for name in view.spec.channels]
    found = sum(amenities[number] for number in view.categories.tolist())  # type: ignore[attr-defined]
    assert found == int((table["key"] == "amenity").sum())
    (tmp_path / "groups.toml").write_text('eating = ["cafe", "restaurant"]\n')
    shutil.copytree(helsinki_dataset.path, tmp_path / "file")
    by_file = api.prepare("mmgr", out=tmp_path / "file", poi_groups=str(tmp_path / "groups.toml"))
    assert by_file.spec("pois").channels == ("eating", "eating/cafe", "eating/restaurant")
    assert len(by_file.view("pois").lonlat) == int(table["value"].isin(["cafe", "restaurant"]).sum())  # type: ignore[attr-defined]
