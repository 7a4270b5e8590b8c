"""Bits of a shard, against GDAL's rasterizer (rasterio.features), closed forms and shapely's areas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from placevec.datasets.views.raster.shards import SHARD_PX
from placevec.geo.polylines import Paths
from placevec.preparation.rasterize import draw as drawing
from placevec.preparation.rasterize import outlines
from placevec.preparation.rasterize.draw import draw_shard
from placevec.preparation.rasterize.spool import SEA, Drawings
from placevec.sources.osm.layers import How

Bits = NDArray[np.uint8]
EVERYWHERE = np.ones((64, 64), bool)


def drawings(
    rows: list[list[np.ndarray]], how: int | list[int], width: float = 0.0, channel: int = 0
) -> Drawings:
    count = len(rows)
    hows = np.full(count, how, np.uint8) if isinstance(how, int) else np.array(how, np.uint8)
    return Drawings(
        np.full(count, channel, np.uint8), hows, np.full(count, width, np.float32), Paths.of(rows)
    )


def draw(some: Drawings, wanted: NDArray[np.bool_] = EVERYWHERE, size: int = 2048) -> Bits:
    """(size, size) pixels of channel 0 from the shard's upper left corner."""
    pixels = np.zeros((SHARD_PX, SHARD_PX), np.uint8)
    for tiles in draw_shard(some, wanted):
        for channel, y, x, block in zip(tiles.channel, tiles.y, tiles.x, tiles.blocks, strict=True):
            if channel == 0:
                pixels[y * 256 : y * 256 + 256, x * 256 : x * 256 + 256] = np.unpackbits(block, axis=-1)
    return pixels[:size, :size]


def truth(shapes: list[shapely.Geometry], size: int = 2048) -> Bits:
    """GDAL: a pixel is set when its center lies inside."""
    return np.asarray(rasterize([(shape, 1) for shape in shapes], out_shape=(size, size)), np.uint8)


def agreement(one: Bits, other: Bits) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


def turned(points: list[tuple[float, float]], angle: float, at: tuple[float, float]) -> np.ndarray:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.array(points) @ turn.T + at


# --- where and how large -----------------------------------------------------------------------------------


def test_a_square_on_whole_pixels_is_exactly_its_pixels() -> None:
    square = np.array([[100.0, 200.0], [110.0, 200.0], [110.0, 230.0], [100.0, 230.0]])
    pixels = draw(drawings([[square]], How.FILL))
    assert pixels.sum() == 300
    assert pixels[200:230, 100:110].all()


def test_a_letter_l_is_not_turned_or_mirrored() -> None:
    shape = np.array([[20.0, 20.0], [30.0, 20.0], [30.0, 60.0], [50.0, 60.0], [50.0, 70.0], [20.0, 70.0]])
    pixels = draw(drawings([[shape]], How.FILL))
    assert np.array_equal(pixels, truth([shapely.Polygon(shape)]))
    assert pixels[25, 25]
    assert not pixels[25, 45]


def houses(seed: int, count: int = 400) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    plan = [(-8.0, -5.0), (8.0, -5.0), (8.0, 1.0), (0.0, 1.0), (0.0, 5.0), (-8.0, 5.0)]
    return [turned(plan, random.uniform(0, 6.28), tuple(random.uniform(20, 2000, 2))) for _ in range(count)]


def test_houses_equal_pixel_centers_within_a_few_percent() -> None:
    rows = houses(0)
    pixels, expected = (
        draw(drawings([[row] for row in rows], How.FILL)),
        truth([shapely.Polygon(row) for row in rows]),
    )
    assert (
        agreement(pixels, expected) > 0.92
    )  # houses of 16 x 10 pixels; OpenCV rounds their corners to whole rows
    assert pixels.sum() / expected.sum() == pytest.approx(1.0, abs=0.01)


def test_without_the_inset_houses_would_grow_by_a_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the inset is there: OpenCV's own fill, of the same houses."""
    rows = houses(0)
    expected = truth([shapely.Polygon(row) for row in rows]).sum()
    monkeypatch.setattr(outlines, "inset", lambda paths: paths)
    assert draw(drawings([[row] for row in rows], How.FILL)).sum() > 1.1 * expected


def test_polygons_that_overlap_do_not_cancel() -> None:
    one = np.array([[100.0, 100.0], [200.0, 100.0], [200.0, 200.0], [100.0, 200.0]])
    pixels = draw(drawings([[one], [one + 50.0]], How.FILL))
    assert pixels[120:240, 120:240].sum() > 0
    assert pixels[160:190, 160:190].all()


def test_holes_stay_free() -> None:
    shell = np.array([[100.0, 100.0], [100.0, 200.0], [200.0, 200.0], [200.0, 100.0]])
    hole = np.array([[120.0, 120.0], [150.0, 120.0], [150.0, 170.0], [120.0, 170.0]])
    pixels = draw(drawings([[shell, hole]], How.FILL))
    assert pixels.sum() == 100 * 100 - 30 * 50
    assert not pixels[120:170, 120:150].any()


def test_large_areas_over_many_squares_equal_gdal() -> None:
    angles = np.linspace(0, 2 * np.pi, 500)[:-1]
    radius = 3000 + 900 * np.sin(9 * angles)
    shell = np.stack([5000 + radius * np.cos(angles), 4900 + radius * np.sin(angles)], axis=1)[::-1]
    hole = np.stack([5200 + 800 * np.cos(angles), 5300 + 700 * np.sin(angles)], axis=1)
    pixels = draw(drawings([[shell, hole]], How.FILL), size=9216)
    expected = truth([shapely.Polygon(shell, [hole])], 9216)
    assert agreement(pixels, expected) > 0.9995
    assert pixels.sum() / expected.sum() == pytest.approx(1.0, abs=1e-4)


def test_an_area_far_larger_than_the_shard_covers_it() -> None:
    around = np.array([[-5000.0, -5000.0], [30000.0, -5000.0], [30000.0, 30000.0], [-5000.0, 30000.0]])
    found = list(draw_shard(drawings([[around]], How.FILL), EVERYWHERE))
    assert sum(len(tiles) for tiles in found) == 64 * 64
    assert all((tiles.blocks == 255).all() and (tiles.counts == 256).all() for tiles in found)


def test_a_ring_that_crosses_itself_is_filled_even_odd_as_gdal_does() -> None:
    ring = np.array([[100.0, 100.0], [900.0, 800.0], [900.0, 120.0], [100.0, 850.0]])
    wide = ring * 6.0
    for shape, size in ((ring, 2048), (wide, 6144)):
        pixels = draw(drawings([[shape]], How.FILL), size=size)
        assert agreement(pixels, truth([shapely.Polygon(shape)], size)) > 0.99


# --- lines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [2.0, 5.0, 9.0, 15.7, 40.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4, 1.3, math.pi / 2])
def test_a_line_has_the_area_of_its_width(width: float, angle: float) -> None:
    """Closed form: length x width and two half discs at the ends, in the mean over places within a pixel.

    One line alone may be off by a quarter of a pixel on either side: OpenCV rounds what it fills to whole rows.
    """
    random = np.random.default_rng(int(10 * width))
    places = [(900.0 + 120 * n + random.uniform(), 900.0 - 120 * n + random.uniform()) for n in range(-5, 6)]
    lines = [[turned([(-40.0, 0.0), (40.0, 0.0)], angle, place)] for place in places]
    area = draw(drawings(lines, How.LINE, width)).sum() / len(lines)
    assert area == pytest.approx(80.0 * width + math.pi * width**2 / 4.0, rel=0.03 if width > 3 else 0.1)


def test_roads_equal_pixel_centers() -> None:
    """Oracle: GDAL on shapely's buffers; the first experiments reached an IoU of .95 on real roads."""
    random = np.random.default_rng(4)
    lines = [
        np.cumsum(random.normal(0, 30, (12, 2)), axis=0) + random.uniform(300, 1700, 2) for _ in range(80)
    ]
    for width in (4.0, 8.0):
        pixels = draw(drawings([[line] for line in lines], How.LINE, width))
        expected = truth([shapely.LineString(line).buffer(width / 2) for line in lines])
        assert agreement(pixels, expected) > (0.9 if width < 5 else 0.95)
        assert pixels.sum() / expected.sum() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("width", [0.1, 0.8, 1.4])
def test_thin_lines_are_a_pixel_thick_and_whole(width: float) -> None:
    line = turned([(-300.0, 0.0), (300.0, 0.0)], 0.5, (500.0, 500.0))
    pixels = draw(drawings([[line]], How.LINE, width))
    assert pixels.sum() == pytest.approx(600.0 * math.cos(0.5), abs=3)  # a pixel for each column
    assert shapely.LineString(line).length == 600.0


def test_lines_meet_without_gaps_over_squares_and_stretches() -> None:
    line = np.stack([np.linspace(10, 3000, 40), np.full(40, 1024.0)], axis=1)
    pixels = draw(drawings([[line[:20]], [line[19:]]], How.LINE, 4.0), size=4096)
    assert pixels[1022:1026, 12:2998].all()
    assert not pixels[1020, :].any()


def test_the_outline_of_an_area_is_a_line() -> None:
    square = np.array([[100.0, 100.0], [300.0, 100.0], [300.0, 300.0], [100.0, 300.0], [100.0, 100.0]])
    pixels = draw(drawings([[square]], How.LINE, 6.0))
    assert pixels[100, 200]
    assert not pixels[200, 200]
    assert pixels.sum() == pytest.approx(4 * 200 * 6, rel=0.03)


# --- points ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diameter", [3.0, 6.0, 10.0, 50.0, 170.0])
def test_discs_have_the_area_of_their_diameter_and_lie_around_their_point(diameter: float) -> None:
    random = np.random.default_rng(1)
    centers = np.array([[x * 200.0, y * 200.0] for x in range(1, 9) for y in range(1, 9)]) + random.uniform(
        0, 1, (64, 2)
    )
    pixels = draw(drawings([[center[None]] for center in centers], How.POINT, diameter))
    assert pixels.sum() / 64 == pytest.approx(math.pi * diameter**2 / 4, rel=0.25 if diameter < 5 else 0.06)
    y, x = np.nonzero(pixels[: 200 + 99, : 200 + 99])
    assert (x.mean() + 0.5, y.mean() + 0.5) == pytest.approx(tuple(centers[0]), abs=0.35)


def test_a_disc_on_the_corner_of_four_tiles() -> None:
    pixels = draw(drawings([[np.array([[1024.0, 1024.0]])]], How.POINT, 20.0))
    for block in (pixels[1014:1024, 1014:1024], pixels[1024:1034, 1024:1034], pixels[1014:1024, 1024:1034]):
        assert block.sum() == pytest.approx(math.pi * 25, rel=0.1)


# --- tiles -------------------------------------------------------------------------------------------------


def test_only_wanted_tiles_are_drawn_and_nothing_spills_into_the_next_square() -> None:
    wanted = np.zeros((64, 64), bool)
    wanted[1, 2] = wanted[5, 1] = True
    around = np.array([[10.0, 10.0], [3000.0, 10.0], [3000.0, 3000.0], [10.0, 3000.0]])
    small = around / 100.0 + 400.0
    pixels = draw(drawings([[around], [small]], How.FILL), wanted, size=4096)
    assert pixels.sum() == 2 * 256 * 256
    assert pixels[256:512, 512:768].all()


def test_counts_are_the_pixels_of_each_cell() -> None:
    """Oracle: a sum over the unpacked pixels; both ways of counting bits."""
    some = drawings([[row] for row in houses(3)], How.FILL)
    for tiles in draw_shard(some, EVERYWHERE):
        pixels = np.unpackbits(tiles.blocks, axis=-1).reshape(-1, 16, 16, 16, 16)
        assert np.array_equal(tiles.counts, pixels.sum(axis=(2, 4)))
        assert tiles.counts.any(axis=(1, 2)).all()


def test_counting_without_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (3, 256, 32), dtype=np.uint8)
    expected = drawing._count_cells(blocks)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert np.array_equal(drawing._count_cells(blocks), expected)


def test_the_sea_is_drawn_but_is_no_content() -> None:
    sea = np.array([[0.0, 0.0], [0.0, 1100.0], [1100.0, 1100.0], [1100.0, 0.0]])
    pond = np.array([[300.0, 300.0], [300.0, 310.0], [310.0, 310.0], [310.0, 300.0]])
    some = drawings([[sea], [pond]], [SEA, How.FILL])
    content = np.zeros((64, 64), bool)
    for tiles in draw_shard(some, EVERYWHERE):
        content[tiles.y, tiles.x] |= tiles.has_content
    assert np.argwhere(content).tolist() == [[1, 1]]
    assert draw(some).sum() == 1100 * 1100


def test_channels_do_not_mix() -> None:
    square = np.array([[100.0, 100.0], [100.0, 150.0], [150.0, 150.0], [150.0, 100.0]])
    paths = Paths.of([[square], [square + 20.0]])
    some = Drawings(np.array([0, 3], np.uint8), np.zeros(2, np.uint8), np.zeros(2, np.float32), paths)
    (tiles,) = draw_shard(some, EVERYWHERE)
    assert tiles.channel.tolist() == [0, 3]
    assert tiles.counts.sum(axis=(1, 2)).tolist() == [2500, 2500]


def test_more_tiles_than_a_batch_holds_all_come_out_once() -> None:
    """Oracle: the number of discs, one a tile, over all of the shard."""
    middles = (
        np.stack(np.meshgrid(np.arange(64), np.arange(64)), axis=-1).reshape(-1, 1, 1, 2) * 256.0 + 128.0
    )
    found = list(draw_shard(drawings(list(middles), How.POINT, 10.0), EVERYWHERE))
    assert len(found) > 10
    places = {(x, y) for tiles in found for x, y in zip(tiles.x.tolist(), tiles.y.tolist(), strict=True)}
    assert len(places) == sum(len(tiles) for tiles in found) == 64 * 64
    blocks = np.concatenate([tiles.blocks for tiles in found])
    assert (blocks == blocks[0]).all()


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: everything drawn at once, areas and lines over many squares among it; each tile comes once."""
    rng = np.random.default_rng(5)
    rows = [[row] for row in houses(5)]
    rows += [[rng.uniform(0, SHARD_PX, (3, 2))] for _ in range(8)]
    rows += [[np.cumsum(rng.uniform(-300, 300, (20, 2)), axis=0) + 6000.0] for _ in range(20)]
    hows = [How.FILL] * (len(rows) - 24) + [SEA] * 4 + [How.LINE] * 20
    some = drawings(rows, hows, 7.0)
    found = []
    for vertices in (10**9, 50):
        monkeypatch.setattr(drawing, "_STRIP_VERTICES", vertices)
        tiles: dict[tuple[int, int], tuple[bytes, bytes, bool]] = {}
        for one in draw_shard(some, EVERYWHERE):
            for x, y, block, counts, has_content in zip(
                one.x.tolist(), one.y.tolist(), one.blocks, one.counts, one.has_content.tolist(), strict=True
            ):
                assert (x, y) not in tiles
                tiles[x, y] = block.tobytes(), counts.tobytes(), has_content
        found.append(tiles)
    assert found[0] == found[1]


def test_no_drawings() -> None:
    assert list(draw_shard(drawings([], How.FILL), EVERYWHERE)) == []
