"""Results that keep a distance. Oracle: the ranking gone through one by one, with pyproj's geodesics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from placevec import geo
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search import ExactIndex, similar
from placevec.embeddings.search.spacing import covered, footprint_m, rows_near, spacing_m
from placevec.errors import InputError

GEOD = Geod(ellps="WGS84")


def places(
    count: int, seed: int = 0, *, extent_m: float = 2_000.0, polygons: float | None = None
) -> Embeddings:
    """Places at random in a square, whose vectors follow where they lie; with ``polygons``, squares of that side."""
    random = np.random.default_rng(seed)
    east, north = random.uniform(0, extent_m, (2, count))
    lonlat = geo.offset(np.full(count, 24.9), np.full(count, 60.2), east_m=east, north_m=north)
    vectors = np.stack([east, north], axis=1) / extent_m + random.normal(scale=0.05, size=(count, 2)) + 1
    geometry = np.full(count, None, object)
    if polygons is not None:
        half = polygons / 2.0
        low = geo.offset(*lonlat.T, east_m=-half, north_m=-half)
        high = geo.offset(*lonlat.T, east_m=half, north_m=half)
        geometry = np.asarray(shapely.box(*low.T, *high.T), object)
    ids = np.array([f"p{row}" for row in range(count)], object)
    return Embeddings(
        ids, vectors, lonlat, geometry, np.full(count, None, object), "map", Provenance("a", "b")
    )


def one_by_one(emb: Embeddings, query: int, k: int, apart_m: float, allowed: np.ndarray) -> list[str]:
    """What is asked for, literally."""
    ranking, _ = ExactIndex(emb.vectors).query(emb.vectors[[query]], len(emb), where=allowed)
    taken: list[int] = []
    for row in ranking[0].tolist():
        beside = [query, *taken]
        away = [GEOD.inv(*emb.lonlat[row], *emb.lonlat[other])[2] for other in beside]
        if row != query and min(away) >= apart_m and len(taken) < k:
            taken.append(row)
    return [f"p{row}" for row in taken]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99), count=st.integers(2, 150), k=st.integers(1, 40),
    apart_m=st.sampled_from([0.0, 50.0, 150.0, 400.0, 5_000.0]),
)  # fmt: skip
def test_each_is_taken_unless_a_better_one_is_near(seed: int, count: int, k: int, apart_m: float) -> None:
    emb = places(count, seed)
    found = similar(emb, place="p1", k=k, min_distance_m=apart_m)
    assert found["place_id"].tolist() == one_by_one(emb, 1, k, apart_m, np.ones(count, bool))
    assert found.attrs["query"]["min_distance_m"] == apart_m


def test_many_are_looked_through_until_there_are_enough() -> None:
    """A thousand places in one spot are the best; the answer reaches beyond them."""
    emb = places(1200)
    emb.lonlat[200:] = emb.lonlat[200]
    emb.vectors[200:] = [1.0, 1.0]
    emb.vectors[0] = [1.0, 1.0]
    found = similar(emb, place="p0", k=10, min_distance_m=100)
    assert len(found) == 10
    assert sum(int(name[1:]) >= 200 for name in found["place_id"]) == 1


def test_the_default_is_about_the_footprint_of_polygons() -> None:
    """Invariant: no two squares of the answer overlap by more than a corner, and none overlaps that of the query."""
    emb = places(800, polygons=120.0)
    assert footprint_m(emb) == pytest.approx(120.0, rel=1e-3)
    frame = similar(emb, place="p3", k=20)
    assert len(frame) == 20
    assert frame.attrs["query"]["min_distance_m"] == pytest.approx(0.99 * 120, rel=1e-3)
    everyone = np.vstack([emb.lonlat[[3]], frame[["lon", "lat"]].to_numpy()])
    for number, one in enumerate(everyone):
        for other in everyone[:number]:
            assert GEOD.inv(*one, *other)[2] >= 118
    plain = similar(emb, place="p3", k=20, min_distance_m=0)
    assert plain["place_id"].tolist() != frame["place_id"].tolist()
    assert similar(places(50), place="p3").attrs["query"]["min_distance_m"] == 0.0  # points have no footprint


def test_neighboring_tiles_do_not_overlap() -> None:
    """By default the tile beside is an answer: they share an edge, and rounding must not lose it."""
    y, x = np.divmod(np.arange(64), 8)
    corner = np.stack([74_600 + x, 37_900 + y], axis=1)
    low, high = (geo.tile_xy_to_lonlat(corner + step, 17) for step in ((0, 1), (1, 0)))
    emb = Embeddings(
        np.array([f"17/{a}/{b}" for a, b in corner], object), np.stack([x, y], axis=1).astype(np.float32),
        geo.tile_xy_to_lonlat(corner + 0.5, 17), np.asarray(shapely.box(*low.T, *high.T), object),
        np.full(64, None, object), "map", Provenance("a", "b"),
    )  # fmt: skip
    found = similar(emb, place="17/74604/37904", k=4, metric="euclidean")
    assert found["distance"].tolist() == [1.0] * 4


def test_places_without_coordinates_are_near_nothing() -> None:
    emb = places(40)
    emb.lonlat[20:] = np.nan
    found = similar(emb, place="p1", k=40, min_distance_m=100_000)
    assert set(found["place_id"]) == {f"p{row}" for row in range(20, 40)}


def test_the_place_itself_stays_where_it_is_asked_for() -> None:
    emb = places(60, polygons=120.0)
    found = similar(emb, place="p1", k=3, exclude_self=False)
    assert found["place_id"][0] == "p1"


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_distances_that_are_none_are_rejected(wrong: Any) -> None:
    with pytest.raises(InputError, match="min_distance_m must be 0 meters or more"):
        similar(places(5), place="p1", min_distance_m=wrong)


def test_spacing_of_a_grid_and_of_too_few_places() -> None:
    """Closed form: a grid of 60 m, whatever the order; two places on one spot are one."""
    grid = geo.metric_grid(geo.Area(24.93, 60.16, 24.96, 60.18), 60)
    count = len(grid)
    nothing = np.full(count, None, object)
    ids = np.arange(count).astype(str).astype(object)
    emb = Embeddings(ids, np.ones((count, 1)), grid, nothing, nothing, "map", Provenance("a", "b"))
    assert spacing_m(emb) == pytest.approx(60.0, rel=1e-3)
    emb.lonlat[:] = emb.lonlat[0]
    assert spacing_m(emb) == 0.0


@pytest.mark.parametrize("chord_m", [500.0, 2e5, 4e6, 12e6, 1.3e7])
def test_rows_near_a_point_anywhere(chord_m: float) -> None:
    """Oracle: the straight lines to all, also about the poles and across the antimeridian."""
    random = np.random.default_rng(0)
    lon, lat = random.uniform(-180, 180, 4000), np.degrees(np.arcsin(random.uniform(-1, 1, 4000)))
    lat[:300], lon[300:600], lat[300:600] = (
        90 - random.exponential(0.003, 300),
        179.999,
        random.uniform(-1, 1, 300),
    )
    none = np.full(4000, None, object)
    ids = [f"p{row}" for row in range(4000)]
    lonlat = np.stack([lon, lat], axis=1)
    lonlat[0] = np.nan
    emb = Embeddings(ids, np.ones((4000, 1)), lonlat, none, none, "map", Provenance("a", "b"))
    for at in ([10.0, 89.9995], [-179.9995, 0.2], [0.0, -90.0], [24.9, 60.2]):
        away = np.linalg.norm(geo.to_ecef(lon[1:], lat[1:]) - geo.to_ecef(*at), axis=1)
        assert sorted(rows_near(emb, *at, chord_m)) == (np.flatnonzero(away < chord_m) + 1).tolist()
    assert len(rows_near(emb, float("nan"), 0.0, chord_m)) == 0


def test_what_is_covered_is_said_across_the_antimeridian_too() -> None:
    """Read off the places: the box leaves out the widest gap, wherever that lies."""
    none = np.array([None, None, None], object)
    for lon, said in (
        ([179.9, -179.95, 179.8], "lon 179.800 to -179.950, lat 1.000 to 3.000"),
        ([-170.0, -175.0, -160.0], "lon -175.0 to -160.0, lat 1.0 to 3.0"),
        ([100.0, -100.0, 110.0], "lon 100.0 to -100.0, lat 1.0 to 3.0"),
    ):
        lonlat = np.stack([np.array(lon), [1.0, 2.0, 3.0]], axis=-1)
        assert (
            covered(Embeddings(["a", "b", "c"], np.eye(3), lonlat, none, none, "map", Provenance("m", "d")))
            == said
        )
