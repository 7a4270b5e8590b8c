"""Still maps: pixels show the places that PROJ says, lines break where they leave the map, coasts keep no cuts."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import box

from placevec.explorer.figures.canvas import Canvas, coastline, globe, graticule, region, world
from placevec.geo import Area

CANVASES = {
    "world": world(120),
    "region": region(Area(20.0, 55.0, 30.0, 65.0), 60),
    "antimeridian": region(Area(170.0, -20.0, -170.0, -10.0), 60),
    "globe": globe(179.5, -17.0, 61),
    "pole": globe(0.0, 90.0, 61),
}


def middles(canvas: Canvas) -> np.ndarray:
    """(H, W, 2) of the projection."""
    left, right, bottom, top = canvas.extent
    rows, columns = canvas.shape
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = top - (np.arange(rows) + 0.5) * (top - bottom) / rows
    return np.stack(np.meshgrid(x, y), axis=-1)


@pytest.mark.parametrize("name", CANVASES)
def test_a_pixel_shows_the_place_that_is_projected_to_it(name: str) -> None:
    """Oracle: the projection the other way round, which is PROJ's but of regions."""
    canvas = CANVASES[name]
    shows = canvas.shows
    np.testing.assert_allclose(canvas.project(canvas.lonlat[shows]), middles(canvas)[shows], atol=1e-6)
    assert shows.any()


def test_the_world_is_wholly_there_and_true_to_area() -> None:
    """Every pixel of Equal Earth is as large on Earth: the mean of sin(lat) squared is that of the sphere, a third."""
    canvas = CANVASES["world"]
    known = canvas.lonlat[canvas.shows]
    assert np.abs(known[:, 0]).max() > 178
    assert (np.sin(np.radians(known[:, 1])) ** 2).mean() == pytest.approx(1 / 3, abs=0.01)
    assert not canvas.shows[0, 0]


def test_a_globe_shows_half_of_the_earth_around_its_place() -> None:
    canvas = CANVASES["globe"]
    assert canvas.shows.mean() == pytest.approx(np.pi / 4, abs=0.02)
    np.testing.assert_allclose(canvas.lonlat[30, 30], [179.5, -17.0], atol=1e-6)
    far = canvas.project(np.array([[0.0, 17.0]]))
    assert np.isnan(far).all()


def test_a_region_is_as_wide_as_on_the_ground() -> None:
    """At 60 degrees a degree of longitude is half as long as one of latitude."""
    assert CANVASES["region"].aspect == pytest.approx(0.5)
    assert CANVASES["antimeridian"].lonlat[..., 0].min() > 170
    assert CANVASES["antimeridian"].lonlat[..., 0].max() < 190
    assert region(Area(0.0, 0.0, 1.0, 50.0), 1000, 200).shape[0] <= 200


def test_lines_break_where_they_jump_or_leave() -> None:
    across = np.array([[170.0, 0.0], [179.0, 0.0], [-179.0, 0.0], [-170.0, 0.0]])
    assert [len(part) for part in CANVASES["world"].lines(across)] == [2, 2]
    assert [len(part) for part in CANVASES["antimeridian"].lines(across - [0, 15])] == [4]
    assert [len(part) for part in CANVASES["region"].lines(across)] == [4]
    opposite = np.array([[-160.0, 60.0], [-150.0, 60.0]])  # the far meridian of the region's middle is -155
    assert CANVASES["region"].lines(opposite) == []
    assert [len(part) for part in CANVASES["globe"].lines(across)] == [4]


@pytest.mark.parametrize("name", ["world", "globe", "pole"])
def test_the_graticule_stays_on_the_map(name: str) -> None:
    canvas = CANVASES[name]
    left, right, bottom, top = canvas.extent
    parts = [part for line in graticule(canvas) for part in canvas.lines(line)]
    assert len(parts) >= 3
    points = np.concatenate(parts)
    assert (points >= np.array([left, bottom]) - 1e-3).all()
    assert (points <= np.array([right, top]) + 1e-3).all()


def test_coasts_have_no_cuts_along_the_antimeridian_and_the_poles() -> None:
    lines = coastline(box(160, -90, 180, 10).union(box(0, 0, 5, 5)))
    points = np.concatenate(lines)
    assert len(points) == 5 + 3
    for line in lines:
        edge = (np.abs(line[:, 0]) > 179.9) | (np.abs(line[:, 1]) > 89.9)
        assert not (edge[1:] & edge[:-1]).any()
