"""Shapes across the 180th meridian and round a pole. Oracles: areas and points computed where the plane does not end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec.errors import AreaError
from placevec.geo import Area
from placevec.geo.antimeridian import extent_of, points_within, unwrapped, wrapped
from placevec.geo.polylines import Paths
from placevec.preparation.rasterize.coastline import close_sea
from placevec.preparation.rasterize.spool import join_antimeridian, on_both_sides

W, S, E, N = 179.998, -16.802, -179.998, -16.798
UNSPLIT = [(W, S), (E, S), (E, N), (W, N)]
BEYOND = [(W, S), (E + 360, S), (E + 360, N), (W, N)]
BELOW = [(W - 360, S), (E, S), (E, N), (W - 360, N)]
ON_THE_EDGE = [(W, S), (180, S), (-180, S), (E, S), (E, N), (-180, N), (180, N), (W, N)]
SPLIT = shapely.MultiPolygon([shapely.box(W, S, 180, N), shapely.box(-180, S, E, N)])
SPELLINGS = {
    "unsplit": shapely.Polygon(UNSPLIT),
    "unsplit, the other way round": shapely.Polygon(UNSPLIT[::-1]),
    "unsplit, from the west": shapely.Polygon(UNSPLIT[1:] + UNSPLIT[:1]),
    "beyond 180": shapely.Polygon(BEYOND),
    "below -180": shapely.Polygon(BELOW),
    "vertices on the edge": shapely.Polygon(ON_THE_EDGE),
    "split": SPLIT,
}


def one(shape: object) -> np.ndarray:
    held = np.empty(1, object)
    held[0] = shape
    return held


@pytest.mark.parametrize("name", SPELLINGS)
def test_one_shape_however_it_is_written(name: str) -> None:
    shape = SPELLINGS[name]
    (whole,), (cut,) = unwrapped(one(shape)), wrapped(one(shape))
    assert np.allclose(whole.bounds, (W, S, E + 360, N))
    assert np.isclose(whole.area, 0.004 * 0.004)
    assert shapely.symmetric_difference(cut, SPLIT).area < 1e-15
    assert shapely.is_valid(cut)
    assert -180 <= cut.bounds[0] <= cut.bounds[2] <= 180
    ((lon, lat),) = points_within(one(shape))
    assert abs(lon) >= W
    assert S < lat < N


@pytest.mark.parametrize("name", SPELLINGS)
def test_areas_of_all_spellings(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.geojson").write_text(json.dumps(shapely.geometry.mapping(SPELLINGS[name])))
    area = Area.from_geojson(tmp_path / "a.geojson")
    assert np.allclose(area.bounds, (W, S, E, N))
    assert area.crosses_antimeridian
    lon = [180.0, -180.0, 179.999, -179.999, 180.001, 0.0, 179.9, -179.9]
    assert area.contains(lon, [-16.8] * 8).tolist() == [True] * 5 + [False] * 3
    again = Area.from_dict(area.as_dict())
    assert again.contains(lon, [-16.8] * 8).tolist() == [True] * 5 + [False] * 3


@given(st.floats(-180, 180), st.floats(0.001, 170), st.floats(-80, 79), st.floats(0.001, 1))
@settings(max_examples=200)
def test_boxes_anywhere(west: float, width: float, south: float, height: float) -> None:
    """The area of a box does not depend on where it lies, nor on how it is written."""
    box = shapely.box(west, south, west + width, south + height)
    folded = shapely.transform(box, lambda xy: np.stack([np.mod(xy[:, 0] + 180, 360) - 180, xy[:, 1]], 1))
    for shape in (box, folded):
        (cut,) = wrapped(one(shape))
        assert np.isclose(cut.area, width * height, rtol=1e-6, atol=1e-9)
        assert -180 - 1e-9 <= cut.bounds[0] <= cut.bounds[2] <= 180 + 1e-9
        ((lon, lat),) = points_within(one(shape))
        assert any(west - 1e-9 <= lon + turn <= west + width + 1e-9 for turn in (0, 360))
        assert south <= lat <= south + height


@pytest.mark.parametrize(
    "shape",
    [
        shapely.box(-180, -90, 180, 90),
        shapely.box(-180, -60, 180, 60),
        shapely.Polygon([(-170, 0), (-60, 10), (60, 10), (170, 0), (60, -10), (-60, -10)]),
        shapely.MultiPolygon([shapely.box(-74, 40, -73, 41), shapely.box(116, 39, 117, 40)]),
        shapely.Point(1, 2),
        shapely.Polygon(),
        None,
    ],
)
def test_what_does_not_cross_stays_what_it_is(shape: object) -> None:
    held = one(shape)
    if isinstance(shape, shapely.Polygon) and len(shape.exterior.coords) == 7:
        return  # its ends are 340 degrees apart: the next test says how it is taken
    assert wrapped(held)[0] is shape
    assert unwrapped(held)[0] is shape


def test_long_edges_are_taken_the_short_way() -> None:
    (cut,) = wrapped(one(shapely.Polygon([(170, 0), (-170, 0), (-170, 10), (170, 10)])))
    assert np.isclose(cut.area, 200)


def test_a_hole_on_the_other_side() -> None:
    hole = [(-179.5, 0.5), (-179.2, 0.5), (-179.2, 1.0), (-179.5, 1.0)]
    (cut,) = wrapped(one(shapely.Polygon([(179, 0), (-179, 0), (-179, 2), (179, 2)], [hole])))
    assert np.isclose(cut.area, 4 - 0.15)
    assert not cut.contains(shapely.Point(-179.3, 0.7))


def test_round_a_pole() -> None:
    ring = [(float(lon), -70.0) for lon in range(-170, 180, 20)]
    (cut,) = wrapped(one(shapely.Polygon(ring)))
    assert np.isclose(cut.area, 360 * 20)
    area = Area.from_polygon(shapely.Polygon(ring))
    assert (area.west, area.east, area.south) == (-180, 180, -90)
    assert area.contains([0, 180, -90], [-89, -75, -75]).all()


def test_lines_and_points() -> None:
    (line,) = wrapped(one(shapely.LineString([(179, 0), (-179, 2)])))
    assert [part.bounds for part in line.geoms] == [(179, 0, 180, 1), (-180, 1, -179, 2)]
    assert wrapped(one(shapely.Point(190, 1)))[0].coords[0] == (-170, 1)
    assert np.isnan(points_within(one(None))).all()


def test_extents() -> None:
    draw = np.random.default_rng(0)
    lon = draw.uniform(170, 190, 500)
    around = np.stack([np.where(lon > 180, lon - 360, lon), draw.uniform(-20, -10, 500)], 1)
    west, south, east, north = extent_of(around)
    assert (west, east) == (lon.min(), lon.max() - 360)
    assert (south, north) == (around[:, 1].min(), around[:, 1].max())
    whole = np.stack([draw.uniform(-180, 180, 500), np.zeros(500)], 1)
    assert extent_of(whole)[0] < extent_of(whole)[2]
    assert np.isnan(extent_of(np.full((2, 2), np.nan))).all()


def test_an_area_that_leaves_the_earth_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text(
        json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [1, 100], [2, 0], [0, 0]]]})
    )
    with pytest.raises(AreaError, match="is out of range"):
        Area.from_geojson(tmp_path / "a.geojson")


# --- what is drawn -------------------------------------------------------------------------------------------


def test_the_rings_of_a_row_lie_side_by_side() -> None:
    """A shell that begins in the east and a hole that begins in the west."""
    shell = np.array([(179.0, 0.0), (-179.0, 0.0), (-179.0, 2.0), (179.0, 2.0), (179.0, 0.0)])
    hole = np.array([(-179.5, 0.5), (-179.5, 1.0), (-179.2, 1.0), (-179.2, 0.5), (-179.5, 0.5)])
    far = np.array([(10.0, 0.0), (11.0, 1.0)])
    joined = join_antimeridian(Paths.of([[shell, hole], [far]]))
    assert joined.row(0)[0][:, 0].tolist() == [179, 181, 181, 179, 179]
    assert joined.row(0)[1][:, 0].tolist() == [180.5, 180.5, 180.8, 180.8, 180.5]
    assert joined.row(1)[0].tolist() == far.tolist()
    center = joined.centers()[0]
    expected = shapely.Polygon(joined.row(0)[0], [joined.row(0)[1]]).centroid
    assert np.allclose(center, (expected.x, expected.y))


@pytest.mark.parametrize("box", [(179.9, -17.0, 180.0, -16.9), (-180.0, -17.0, -179.9, -16.9)])
def test_a_coast_across_the_antimeridian_closes_on_both_sides(box: tuple[float, float, float, float]) -> None:
    """Land lies to the left, in the north: the sea is the southern half of either box."""
    coast = Paths.of([[np.array([(179.8, -16.95), (179.95, -16.95), (-179.95, -16.95), (-179.8, -16.95)])]])
    sea = close_sea(on_both_sides(coast), [box])
    assert sea.state == "closed"
    (ring,) = sea.paths.row(0)
    assert np.isclose(shapely.Polygon(ring).area, 0.1 * 0.05)
