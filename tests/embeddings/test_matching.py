"""Which places rows belong to: against shapely and geodesics place by place, in any CRS, across the antimeridian."""

from __future__ import annotations

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from placevec.embeddings import Embeddings
from placevec.embeddings.matching import match, usual_distance
from placevec.errors import InputError
from placevec.geo import distance_m, local_offset
from tests.embeddings.test_table import PROVENANCE, table


def tiles(side: int = 6) -> Embeddings:
    """``side`` x ``side`` squares of 0.001 degrees that share their edges, with vectors that tell them apart."""
    west, south = np.meshgrid(24.9 + 0.001 * np.arange(side), 60.1 + 0.001 * np.arange(side))
    west, south = west.ravel(), south.ravel()
    count = len(west)
    vectors = np.stack([np.arange(count), west, south], axis=1).astype(np.float32)
    lonlat = np.stack([west + 0.0005, south + 0.0005], axis=1)
    boxes = np.asarray(shapely.box(west, south, west + 0.001, south + 0.001), object)
    ids = np.array([f"p{row}" for row in range(count)], object)
    return Embeddings(ids, vectors, lonlat, boxes, np.full(count, None, object), "map", PROVENANCE)


def grid(count: int = 40, seed: int = 0) -> Embeddings:
    """Places that are points, without footprints."""
    emb = table(count, 4, seed)
    return Embeddings(
        emb.place_id, emb.vectors, emb.lonlat, np.full(count, None, object), emb.names, "map", PROVENANCE
    )


def points(lonlat: np.ndarray, **columns: object) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(*lonlat.T), crs=4326)


def test_ids_meet_as_text() -> None:
    emb = table(5)
    emb.place_id[:] = ["1", "2", "3", "4", "5"]
    frame = pd.DataFrame({"place_id": [3, 9, 1], "rent": [10.0, 11.0, 12.0]}, index=["a", "b", "c"])
    with pytest.warns(UserWarning, match="1 of 3 rows have no matching place: their vectors are NaN"):
        joined = emb.join(frame)
    assert list(joined.columns) == ["place_id", "rent", "v000", "v001", "v002", "v003", "v004"]
    assert list(joined.index) == ["a", "b", "c"]
    np.testing.assert_array_equal(joined.loc[["a", "c"], emb_columns(5)], emb.vectors[[2, 0]])
    assert joined.loc["b", emb_columns(5)].isna().all()
    assert list(frame.columns) == ["place_id", "rent"]


def emb_columns(dim: int) -> list[str]:
    return [f"v{number:03d}" for number in range(dim)]


def test_the_footprint_that_holds_a_point() -> None:
    """Oracle: shapely, point by point and place by place."""
    emb = tiles()
    random = np.random.default_rng(1)
    asked = random.uniform([24.899, 60.099], [24.907, 60.107], (300, 2))
    found = match(points(asked), emb.place_id, emb.geometry, emb.lonlat, on="footprint")
    for row, at in enumerate(asked):
        held = [place for place, box in enumerate(emb.geometry) if box.contains(shapely.Point(at))]
        assert found.places[found.rows == row].tolist() == held
    edge = match(
        points(np.array([[24.901, 60.1005]])), emb.place_id, emb.geometry, emb.lonlat, on="footprint"
    )
    assert len(edge.places) == 1


def test_the_nearest_place_within_meters() -> None:
    """Oracle: geodesic distances on the ellipsoid to every place."""
    emb = grid()
    asked = np.random.default_rng(2).uniform([24.9, 60.1], [25.0, 60.2], (100, 2))
    found = match(points(asked), emb.place_id, emb.geometry, emb.lonlat, max_distance_m=800.0)
    away = distance_m(asked[:, None, 0], asked[:, None, 1], emb.lonlat[:, 0], emb.lonlat[:, 1])
    near = away.min(axis=1) <= 800.0
    assert 0 < near.sum() < len(asked)
    assert np.array_equal(found.matched, near)
    assert np.array_equal(found.places, away.argmin(axis=1)[near])
    np.testing.assert_allclose(found.meters, away.min(axis=1)[near], rtol=1e-5)


def test_polygons_get_the_mean_of_what_they_hold() -> None:
    emb = tiles()
    wide = shapely.box(24.9, 60.1, 24.902, 60.103)
    small = shapely.box(24.9041, 60.1041, 24.9042, 60.1042)
    frame = geopandas.GeoDataFrame({"people": [5, 6]}, geometry=[wide, small], crs=4326)
    joined = emb.join(frame)
    inside = (emb.lonlat < [24.902, 60.103]).all(axis=1)
    assert inside.sum() == 6
    np.testing.assert_allclose(
        joined.iloc[0][emb_columns(3)].astype(float), emb.vectors[inside].mean(axis=0), rtol=1e-6
    )
    assert joined["place_id"].isna().tolist() == [True, False]
    assert joined["place_id"].iloc[1] == "p28"
    assert joined.iloc[1]["v000"] == 28
    assert joined.crs == frame.crs
    nearest = emb.join(frame, on="nearest", max_distance_m=100)
    assert nearest["place_id"].notna().all()


@pytest.mark.parametrize("crs", [3857, 32635, 3067])
def test_any_crs(crs: int) -> None:
    emb = tiles()
    frame = points(emb.lonlat[[3, 17]]).to_crs(crs)
    joined = emb.join(frame)
    assert joined["place_id"].tolist() == ["p3", "p17"]
    assert joined.crs == crs


def test_across_the_antimeridian_and_without_coordinates() -> None:
    emb = grid(3)
    emb.lonlat[:] = [[179.9999, -17.0], [-179.99, -17.0], [np.nan, np.nan]]
    frame = pd.DataFrame({"Longitude": [-179.9999, None], "Latitude": [-17.0, -17.0]})
    with pytest.warns(UserWarning, match="1 of 2 rows"):
        joined = emb.join(frame, max_distance_m=30.0)
    assert joined["place_id"].iloc[0] == "p0"
    assert joined["place_id"].isna().tolist() == [False, True]
    assert 20 < joined.attrs["join"]["farthest_m"] < 22
    assert joined.attrs["join"]["unmatched"] == 1


def test_the_usual_distance_is_the_spacing_of_a_grid() -> None:
    """Closed form: a square grid of 60 m."""
    east, north = np.meshgrid(60.0 * np.arange(5), 60.0 * np.arange(4))
    lonlat = local_offset(24.9, 60.1, east_m=east.ravel(), north_m=north.ravel())
    assert usual_distance(lonlat) == pytest.approx(60.0, rel=1e-4)
    assert usual_distance(lonlat[:1]) == 100.0


def test_unmatched_rows_are_dropped_or_rejected() -> None:
    emb = tiles()
    frame = points(np.array([[24.9005, 60.1005], [20.0, 60.1]]), rent=[1.0, 2.0])
    with pytest.warns(UserWarning, match="left out"):
        assert len(emb.join(frame, unmatched="drop")) == 1
    with pytest.raises(InputError, match="the first at index 1"):
        emb.join(frame, unmatched="error")
    with pytest.raises(InputError, match="2 of 2 rows"):
        emb.join(points(np.array([[20.0, 50.0], [21.0, 50.0]])))
    empty = emb.join(frame.iloc[:0])
    assert len(empty) == 0
    assert "v002" in empty.columns


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (pd.DataFrame({"a": [1]}), {}, "columns named lon and lat"),
        (pd.DataFrame({"a": [1]}), {"on": "place_id"}, "no column place_id"),
        (pd.DataFrame({"lon": ["west"], "lat": [1.0]}), {}, "the columns lon and lat must be numbers"),
        (pd.DataFrame({"lon": [1.0], "lat": [100.0]}), {}, "swapped"),
        (pd.DataFrame({"lon": [1.0], "lat": [1.0]}), {"on": "footprints"}, "footprint or nearest"),
        (pd.DataFrame({"lon": [1.0], "lat": [1.0]}), {"max_distance_m": -1}, "0 or more"),
        (pd.DataFrame({"lon": [24.9], "lat": [60.1], "v001": [0]}), {}, "another prefix"),
        (pd.DataFrame({"lon": [24.9], "lat": [60.1]}), {"unmatched": "mean"}, "nan, drop or error"),
        (
            geopandas.GeoDataFrame(geometry=[shapely.Point(385_000, 6_671_000)]),
            {},
            "set one with set_crs",
        ),
    ],
)
def test_what_cannot_be_joined(frame: pd.DataFrame, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiles().join(frame, **options)


def test_points_hold_nothing() -> None:
    emb = grid()
    with pytest.raises(InputError, match="these places are points"):
        emb.join(points(emb.lonlat), on="footprint")
