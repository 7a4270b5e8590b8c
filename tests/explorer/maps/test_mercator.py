from __future__ import annotations

import numpy as np
import pytest
from pyproj import Transformer

from placevec.explorer.maps.mercator import WORLD, box_meters, mercator_meters, reach_meters
from placevec.geo import lonlat_to_tile_xy


def test_meters_are_those_of_epsg_3857() -> None:
    """Oracle: pyproj."""
    lonlat = np.array([[24.94, 60.17], [24.99, 60.2], [24.9, 60.1]])
    origin, meters = mercator_meters(lonlat)
    expected = np.stack(Transformer.from_crs(4326, 3857, always_xy=True).transform(*lonlat.T), axis=1)
    np.testing.assert_allclose(meters, expected, atol=1e-3)
    assert (meters.min(axis=0) <= origin).all()
    assert (origin <= meters.max(axis=0)).all()


def test_places_across_the_antimeridian_stay_together() -> None:
    origin, meters = mercator_meters(
        np.array([[179.9, -17.0], [-179.9, -17.1], [178.0, -18.0], [-178.0, -16.0]])
    )
    assert np.ptp(meters[:, 0]) == pytest.approx(WORLD * 4 / 360, rel=1e-9)
    assert np.abs(meters - origin).max() < WORLD * 3 / 360


def test_places_without_a_position_on_the_map() -> None:
    _, meters = mercator_meters(np.array([[10.0, 50.0], [np.nan, np.nan], [0.0, 89.0]]))
    assert np.isfinite(meters).all(axis=1).tolist() == [True, False, False]
    assert not np.isfinite(mercator_meters(np.full((2, 2), np.nan))[1]).any()


@pytest.mark.parametrize("turn", [-1, 0, 1])
def test_boxes_lie_around_their_places_on_any_turn(turn: int) -> None:
    lonlat = np.array([[179.95, -17.0], [-179.95, -17.0]])
    origin, meters = mercator_meters(lonlat)
    x, y = lonlat_to_tile_xy(*lonlat[1], 10)
    x += turn * 2.0**10
    west, south, east, north = box_meters((x - 0.5, y - 0.5, x + 0.5, y + 0.5), 10, origin)
    assert west < meters[1, 0] - origin[0] < east
    assert south < meters[1, 1] - origin[1] < north
    assert east - west == pytest.approx(WORLD / 2**10)


def test_reach_of_footprints() -> None:
    lonlat = np.array([[179.999, 10.0], [20.0, 10.0], [np.nan, np.nan]])
    _, meters = mercator_meters(lonlat)
    xy = lonlat_to_tile_xy(lonlat[:2, 0], lonlat[:2, 1], 12)
    footprints = np.full((3, 4), np.nan)
    half = np.array([0.25, 0.5])
    footprints[:2] = np.concatenate([xy - half, xy + half], axis=1)
    tile = WORLD / 2**12
    reach = reach_meters(footprints, 12, meters)
    np.testing.assert_allclose(reach[:2], [[-tile / 4, -tile / 2, tile / 4, tile / 2]] * 2, atol=0.01)
    assert not reach[2].any()
