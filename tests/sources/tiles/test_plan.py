"""Which tiles places need. Oracle: tile by tile in plain Python, and counts that geometry gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from placevec.errors import AreaError
from placevec.geo import Area, footprint_bounds, meters_per_pixel
from placevec.sources.tiles import plan as tile_plan
from placevec.sources.tiles.plan import TilePlan, draw_samples


def needed(boxes: np.ndarray, zoom: int) -> set[tuple[int, int]]:
    """The same, slowly."""
    side = 2**zoom
    found = set()
    for x0, y0, x1, y1 in boxes.tolist():
        for x in range(math.floor(x0), math.ceil(x1)):
            for y in range(math.floor(y0), math.ceil(y1)):
                if 0 <= y < side:
                    found.add((x % side, y))
    return found


@pytest.mark.parametrize("together", [7, 200_000])
def test_it_is_what_the_windows_touch(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the antimeridian, and in pieces."""
    monkeypatch.setattr(tile_plan, "_TOGETHER", together)
    random = np.random.default_rng(0)
    low = random.uniform([-3, 0], [3, 1024], (300, 2))
    boxes = np.concatenate([low, low + random.uniform(0.01, 3.0, (300, 2))], axis=1)
    boxes[7] = np.nan
    plan = TilePlan.around(boxes, 10)
    expected = needed(np.delete(boxes, 7, axis=0), 10)
    assert len(plan) == len(expected)
    assert {(x, y) for x, y in plan.tiles.tolist()} == expected
    chosen = plan.codes[::9]
    touched = plan.touching(boxes, chosen)
    some = {(int(code) % 1024, int(code) // 1024) for code in chosen}
    for row, box in enumerate(boxes):
        assert touched[row] == bool(not np.isnan(box).any() and needed(box[None], 10) & some)


def test_a_patch_of_64_pixels_needs_at_most_four_tiles() -> None:
    zoom, area = 18, Area(30.3, 50.3, 30.7, 50.6)
    lonlat = draw_samples(area, 500, 0)
    size_m = 64 * float(meters_per_pixel(50.45, zoom))
    counts = [len(TilePlan.around(footprint_bounds(point[None], size_m, zoom), zoom)) for point in lonlat]
    assert set(counts) == {1, 2, 4}
    # a quarter of a tile along each side: the share that touches no edge is (3/4)^2
    assert np.mean(np.array(counts) == 1) == pytest.approx(9 / 16, abs=0.07)


def test_the_margin_is_in_meters() -> None:
    """A tile of zoom 17 is 194.7 m wide at 50.45 degrees north."""
    box = np.array([[75000.0, 44000.0, 75001.0, 44001.0]])
    lat = 50.8
    tile = 256 * float(meters_per_pixel(lat, 17))
    assert len(TilePlan.around(box, 17)) == 1
    assert len(TilePlan.around(box, 17, 0.9 * tile)) == 9
    assert len(TilePlan.around(box, 17, 1.1 * tile)) == 25


def test_the_order_serves_a_server_that_draws_eight_by_eight() -> None:
    """Of any 64 tiles asked for in a row, in a full square of 64 x 64, no two are drawn together."""
    boxes = np.array([[128.0, 192.0, 192.0, 256.0]])
    tiles = TilePlan.around(boxes, 12).tiles
    assert len(tiles) == 4096
    for start in range(0, 4096, 64):
        assert len({(x // 8, y // 8) for x, y in tiles[start : start + 64].tolist()}) == 64


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are told before the memory is taken."""
    with pytest.raises(AreaError, match="touch 64,000,000 tiles"):
        TilePlan.around(np.array([[0.0, 0.0, 8000.0, 8000.0]]), 22)
    monkeypatch.setattr(tile_plan, "MAX_TILES", 1000)
    with pytest.raises(AreaError, match="more than 1,000 tiles of zoom 22"):
        TilePlan.around(np.array([[0.0, 0.0, 40.0, 40.0]]), 22)


def test_samples() -> None:
    area = Area(179.0, 50.0, -179.0, 70.0)
    found = draw_samples(area, 4000, 1)
    assert found.shape == (4000, 2)
    assert area.contains(found[:, 0], found[:, 1]).all()
    assert len(np.unique(found, axis=0)) == 4000
    np.testing.assert_array_equal(found, draw_samples(area, 4000, 1))
    assert (found != draw_samples(area, 4000, 2)).any()
    # evenly over the ground: as many on either side of the latitude that halves the area
    middle = math.degrees(math.asin((math.sin(math.radians(50)) + math.sin(math.radians(70))) / 2))
    assert np.mean(found[:, 1] < middle) == pytest.approx(0.5, abs=0.03)
    assert np.mean(found[:, 0] > 0) == pytest.approx(0.5, abs=0.03)


def test_samples_of_a_polygon() -> None:
    from shapely import Point, contains_xy

    disc = Point(24.94, 60.17).buffer(0.01)
    found = draw_samples(Area.from_polygon(disc), 200, 0)
    assert contains_xy(disc, found[:, 0], found[:, 1]).all()
    with pytest.raises(AreaError, match="distinct samples do not fit"):
        draw_samples(Area(1.0, 1.0, 1.0 + 2e-7, 1.0 + 2e-7), 100, 0)
