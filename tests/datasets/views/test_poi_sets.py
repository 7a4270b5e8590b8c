"""Sets of points of interest around places. Oracle: points laid out at known meters by `geo.offset` (pyproj)."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch

from placevec.core import Look, ViewSpec
from placevec.datasets.views.poi_sets import VALUES, WITHIN_POLYGONS, PoiSetsView, thinned
from placevec.datasets.views.pois import Poi, PoiTable, PoiWriter
from placevec.errors import InputError
from placevec.geo import offset

GROUPS = PoiTable.default().groups
SPEC = ViewSpec("pois", "pois", GROUPS[:2], VALUES, size_m=200.0)
AROUND = np.array([[0.0, 0.0], [90.0, 20.0], [-95.0, -95.0], [101.0, 0.0], [0.0, -300.0], [50.0, 50.0]])
CATEGORY = [0, 1, 0, 1, 0, 2]


@pytest.fixture(params=[(24.94, 60.17), (179.9995, -16.5), (0.0, 0.0), (-70.0, -84.0)])
def middle(request: pytest.FixtureRequest) -> tuple[float, float]:
    """Places in the north, on the antimeridian, at the origin and near a pole."""
    return request.param


@pytest.fixture
def view(tmp_path: Path, middle: tuple[float, float]) -> PoiSetsView:
    count = len(AROUND)
    lonlat = offset(
        np.full(count, middle[0]), np.full(count, middle[1]), east_m=AROUND[:, 0], north_m=AROUND[:, 1]
    )
    with PoiWriter(tmp_path / "pois.parquet") as writer:
        pois = [Poi("amenity", "x", GROUPS[category], None, 0) for category in CATEGORY]
        writer.add(["node"] * count, np.arange(count), lonlat, pois)
    return PoiSetsView(tmp_path / "pois.parquet", SPEC)


def look(middle: tuple[float, float], **warp: torch.Tensor) -> Look:
    lonlat = torch.tensor([middle, middle, (math.nan, math.nan)], dtype=torch.float64)
    return Look(torch.tensor([0, -2, 1]), lonlat, warp)


def rows_of(values: torch.Tensor) -> list[tuple[int, int, int]]:
    return sorted((int(a), round(float(b)), round(float(c))) for a, b, c in values)


def test_points_in_the_square_with_their_category_and_meters(
    view: PoiSetsView, middle: tuple[float, float]
) -> None:
    found = view.read(look(middle))
    assert found.offsets.tolist() == [0, 3, 3, 3]
    assert rows_of(found.values) == [(0, -95, -95), (0, 0, 0), (1, 90, 20)]


def test_the_square_moves_and_the_points_turn(view: PoiSetsView, middle: tuple[float, float]) -> None:
    """A quarter turn counter-clockwise takes east to north; a shift of 98 m east takes 98 m off."""
    turned = view.read(look(middle, angle=torch.full((3,), math.pi / 2)))
    assert rows_of(turned.values) == [(0, 0, 0), (0, 95, -95), (1, -20, 90)]
    shifted = view.read(look(middle, shift=torch.tensor([[98.0, 0.0]] * 3)))
    assert rows_of(shifted.values) == [(0, -98, 0), (1, -8, 20), (1, 3, 0)]
    assert len(view.window(size_m=800.0).read(look(middle)).values) == 5


def test_what_cannot_be_read(view: PoiSetsView, middle: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="the view 'pois' needs coordinates"):
        view.read(Look(torch.tensor([0])))
    with pytest.raises(InputError, match="unknown warp flip"):
        view.read(look(middle, flip=torch.zeros(3, 2, dtype=torch.bool)))


def test_polygons_bound_the_sets_of_their_places(
    view: PoiSetsView, tmp_path: Path, middle: tuple[float, float]
) -> None:
    """A triangle of 130 m holds the points at (0, 0) and (90, 20) and not (-95, -95), also across the antimeridian;
    meters are counted from the place; the second place is a point and has its square.
    """
    lon, lat = offset(
        np.full(3, middle[0]), np.full(3, middle[1]), east_m=np.array([-20.0, 110.0, -20.0]),
        north_m=np.array([-20.0, 25.0, 25.0]),
    ).T  # fmt: skip
    triangle = shapely.Polygon(np.stack([lon, lat], axis=1))
    shapes = np.array([triangle, shapely.Point(middle)], object)
    spec = dataclasses.replace(SPEC, values=f"{VALUES}; {WITHIN_POLYGONS}")
    of_places = PoiSetsView(tmp_path / "pois.parquet", spec, np.array([middle, middle]), shapes)
    lonlat = torch.tensor([middle, middle, middle], dtype=torch.float64)
    found = of_places.read(Look(torch.tensor([0, 1, -1]), lonlat))
    assert found.offsets.tolist() == [0, 2, 5, 8]
    assert rows_of(found.values[:2]) == [(0, 0, 0), (1, 90, 20)]
    assert rows_of(found.values[2:5]) == rows_of(view.read(look(middle)).values)
    assert of_places.known is not None
    assert of_places.known.all()
    moved = of_places.read(
        Look(torch.tensor([0]), lonlat[:1], {"shift": torch.tensor([[50.0, 0.0]]), "angle": torch.zeros(1)})
    )
    assert rows_of(moved.values) == [(0, -50, 0), (1, 40, 20)]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_points_and_points_on_a_line(count: int, tmp_path: Path) -> None:
    """All in one cell, on one meridian, ten meters apart: each is a neighbor of the next, and of no other."""
    lonlat = offset(
        np.full(count, 24.94), np.full(count, 60.17), east_m=np.zeros(count), north_m=10.0 * np.arange(count)
    )
    with PoiWriter(tmp_path / "pois.parquet") as writer:
        writer.add(
            ["node"] * count, np.arange(count), lonlat, [Poi("amenity", "x", GROUPS[0], None, 0)] * count
        )
    view = PoiSetsView(tmp_path / "pois.parquet", SPEC).window(edges=True)
    places = torch.tensor([(24.94, 60.17), (25.5, 60.17)], dtype=torch.float64)
    found = view.read(Look(torch.tensor([0, 1]), places))
    assert found.offsets.tolist() == [0, count, count]
    assert found.edges is not None
    steps = [(at, at + 1) for at in range(count - 1)]
    assert sorted(map(tuple, found.edges.T.tolist())) == sorted(steps + [(b, a) for a, b in steps])


@pytest.mark.parametrize(("share", "kept"), [(0.0, 1), (1.0, 50)])
def test_of_every_set_one_point_at_least_is_kept(share: float, kept: int) -> None:
    sets, points = np.repeat(np.arange(4), 50), np.arange(200)
    found = thinned(sets, points, np.full(4, share), np.arange(4))
    assert np.bincount(sets[found], minlength=4).tolist() == [kept] * 4
