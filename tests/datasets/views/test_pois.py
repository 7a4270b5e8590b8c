"""Points of interest: groups, names, the file, and what lies in a footprint."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec.datasets.views.pois import Poi, PoiTable, PoiWriter, place_names, poi_counts, read_pois
from placevec.errors import DatasetError
from placevec.geo import lonlat_to_tile_xy

ZOOM = 17
TABLE = PoiTable.default()


def group(**tags: str) -> str | None:
    found = TABLE.classify(tags)
    return found.group if found else None


def write(path: Path, rows: list[tuple[float, float, dict[str, str]]]) -> pd.DataFrame:
    pois = [found for *_, tags in rows if (found := TABLE.classify(tags)) is not None]
    assert len(pois) == len(rows)
    lonlat = np.array([row[:2] for row in rows], np.float64).reshape(-1, 2)
    with PoiWriter(path) as writer:
        writer.add(["node"] * len(rows), np.arange(len(rows)), lonlat, pois)
    return read_pois(path)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"amenity": "cafe"}, "food"),
        ({"shop": "bakery"}, "food"),
        ({"shop": "kiosk"}, "shops"),
        ({"amenity": "pharmacy"}, "shops"),
        ({"amenity": "school"}, "education"),
        ({"amenity": "hospital"}, "health"),
        ({"amenity": "place_of_worship"}, "worship"),
        ({"tourism": "hotel"}, "lodging"),
        ({"tourism": "museum"}, "culture-tourism"),
        ({"leisure": "park"}, "sport-leisure"),
        ({"railway": "station"}, "transport"),
        ({"amenity": "bank"}, "services-office"),
        ({"office": "lawyer"}, "services-office"),
        ({"highway": "residential"}, None),
        ({"shop": "no"}, None),
    ],
)
def test_groups(tags: dict[str, str], expected: str | None) -> None:
    assert group(**tags) == expected


def test_names_without_a_group_are_kept_and_nameless_things_without_one_are_not() -> None:
    assert TABLE.classify({"highway": "primary", "name": "Main"}) == Poi(
        "highway", "primary", None, "Main", 30
    )
    assert TABLE.classify({"building": "yes"}) is None
    assert TABLE.classify({"name": "only a name"}) is None
    assert TABLE.classify({"amenity": "bench"}) is None
    assert TABLE.classify({"amenity": "bench", "name": "x"}) is not None


def test_what_an_encyclopedia_knows_is_more_prominent() -> None:
    plain, known = (
        TABLE.classify({"building": "yes", "name": "x", **more}) for more in ({}, {"wikidata": "Q1"})
    )
    assert plain is not None
    assert known is not None
    assert known.prominence == plain.prominence + 10


def test_prominence_follows_what_people_would_call_a_place_by() -> None:
    order = [
        {"place": "suburb"}, {"place": "square"}, {"tourism": "museum"}, {"leisure": "park"},
        {"amenity": "school"}, {"building": "yes"}, {"shop": "kiosk"}, {"highway": "residential"}, {"highway": "path"},
    ]  # fmt: skip
    scores = [found.prominence for tags in order if (found := TABLE.classify({**tags, "name": "x"}))]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(order)


# --- the file ----------------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script> =cmd|'/C calc'!A0 \u202e ☕"
ROWS = [
    (24.9414, 60.1719, {"railway": "station", "name": "Helsinki"}),
    (-71.0, -33.5, {"amenity": "cafe", "name": HOSTILE}),
    (24.95, 60.17, {"amenity": "cafe"}),
    (24.96, 60.18, {"highway": "primary", "name": "Tie"}),
]


def test_the_file_is_geoparquet_that_geopandas_reads(tmp_path: Path) -> None:
    pois = write(tmp_path / "pois.parquet", ROWS)
    table = geopandas.read_parquet(tmp_path / "pois.parquet")
    assert table.crs.to_epsg() in (4326, None) or "CRS84" in table.crs.to_string()
    assert np.allclose(table.geometry.x, pois["lon"])
    assert np.allclose(table.geometry.y, pois["lat"])
    assert json.loads(pq.read_schema(tmp_path / "pois.parquet").metadata[b"geo"])["version"] == "1.1.0"
    assert pois["name"].tolist()[1] == HOSTILE
    assert pois["group"].tolist()[:3] == ["transport", "food", "food"]
    assert pois["group"].isna().tolist() == [False, False, False, True]
    assert pois["name"].isna().tolist() == [False, False, True, False]
    assert pois["prominence"].tolist() == [76, 40, 0, 30]
    assert pois["osm_type"].tolist() == ["node"] * 4


def test_an_empty_file_and_one_in_pieces(tmp_path: Path) -> None:
    assert len(write(tmp_path / "empty.parquet", [])) == 0
    with PoiWriter(tmp_path / "two.parquet") as writer:
        for lon in (1.0, 2.0):
            writer.add(
                ["way"], np.array([7]), np.array([[lon, 3.0]]), [Poi("amenity", "cafe", "food", None, 0)]
            )
    assert read_pois(tmp_path / "two.parquet")["lon"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("content", [None, b"no parquet", b""])
def test_what_is_unknown_file_is_rejected(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "pois.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"pois\.parquet"):
        read_pois(tmp_path / "pois.parquet")


def test_another_parquet_file_is_rejected(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DatasetError):
        read_pois(tmp_path / "a.parquet")


# --- places ------------------------------------------------------------------------------------------------


def around(lon: float, lat: float, size: float) -> list[float]:
    x, y = lonlat_to_tile_xy(lon, lat, ZOOM)
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2]


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_counts_equal_a_loop(seed: int) -> None:
    """Oracle: every point against every footprint."""
    random = np.random.default_rng(seed)
    groups = [*TABLE.groups, None]
    pois = pd.DataFrame(
        {
            "lon": random.uniform(10.0, 10.02, 60),
            "lat": random.uniform(50.0, 50.01, 60),
            "group": [groups[number] for number in random.integers(0, len(groups), 60)],
        }
    )
    footprints = np.array([around(*random.uniform((10.0, 50.0), (10.02, 50.01)), 2.0) for _ in range(15)])
    counts, names = poi_counts(pois, footprints, ZOOM)
    assert names == TABLE.groups
    xy = lonlat_to_tile_xy(pois["lon"], pois["lat"], ZOOM)
    for row, (x0, y0, x1, y1) in enumerate(footprints):
        inside = (xy[:, 0] >= x0) & (xy[:, 0] < x1) & (xy[:, 1] >= y0) & (xy[:, 1] < y1)
        expected = [int(np.sum(inside & (pois["group"] == name))) for name in names]
        assert counts[row].tolist() == expected


def test_whole_tiles_share_no_point(tmp_path: Path) -> None:
    """A point on the edge between tiles is counted once."""
    rows = [(0.0, 0.0, {"amenity": "cafe"})]
    pois = write(tmp_path / "a.parquet", rows)
    half = 2.0 ** (ZOOM - 1)
    tiles = np.array([[half + x, half + y, half + x + 1, half + y + 1] for x in (-1, 0) for y in (-1, 0)])
    assert poi_counts(pois, tiles, ZOOM)[0].sum() == 1


def test_places_without_a_footprint_and_without_points(tmp_path: Path) -> None:
    pois = write(tmp_path / "a.parquet", ROWS)
    footprints = np.array([[np.nan] * 4, around(0.0, 0.0, 1.0)])
    assert poi_counts(pois, footprints, ZOOM)[0].sum() == 0
    assert place_names(pois, footprints, ZOOM).tolist() == [None, None]
    assert place_names(pois, np.zeros((0, 4)), ZOOM).shape == (0,)
    assert poi_counts(pois.iloc[:0], footprints, ZOOM)[0].shape == (2, len(TABLE.groups))


def test_the_most_prominent_name_wins_then_the_nearest(tmp_path: Path) -> None:
    rows = [
        (24.9410, 60.1719, {"shop": "kiosk", "name": "Kiosk"}),
        (24.9414, 60.1719, {"railway": "station", "name": "Station"}),
        (24.9400, 60.1719, {"highway": "primary", "name": "Street"}),
        (24.9900, 60.1719, {"amenity": "cafe", "name": "West"}),
        (24.9910, 60.1719, {"amenity": "cafe", "name": "East"}),
        (24.9905, 60.1719, {"amenity": "cafe"}),
    ]
    pois = write(tmp_path / "a.parquet", rows)
    footprints = np.array(
        [around(24.941, 60.1719, 2.0), around(24.9909, 60.1719, 2.0), around(24.9901, 60.1719, 2.0)]
    )
    assert place_names(pois, footprints, ZOOM).tolist() == ["Station", "East", "West"]


def test_a_footprint_over_the_antimeridian_sees_both_sides(tmp_path: Path) -> None:
    rows = [
        (179.9995, 0.0, {"amenity": "cafe", "name": "East"}),
        (-179.9995, 0.0, {"shop": "mall", "name": "West"}),
    ]
    pois = write(tmp_path / "a.parquet", rows)
    world = 2.0**ZOOM
    for x in (0.0, world):
        footprint = np.array([[x - 1.0, world / 2 - 1.0, x + 1.0, world / 2 + 1.0]])
        assert poi_counts(pois, footprint, ZOOM)[0].sum() == 2
        assert place_names(pois, footprint, ZOOM).tolist() == ["West"]
