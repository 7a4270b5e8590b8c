"""The files over all shards: their extent, also over the antimeridian, and what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from placevec.geo import Area, tile_ranges
from placevec.geo.geotiff import compress
from placevec.preparation.rasterize.mosaic import CoverageWriter, Extent, write_vrt
from tests.datasets.views.raster.shard_files import write_map


def test_an_extent_is_the_least_rectangle_of_whole_blocks_around_the_tiles() -> None:
    extent = Extent.of([(70, 33, 90, 47)], 12)
    assert (extent.x, extent.y, extent.width, extent.height) == (64, 32, 32, 16)
    assert extent.resolution == pytest.approx(156543.03392804097 / 2**12)


def test_over_the_antimeridian_it_goes_on_eastwards() -> None:
    zoom = 10
    extent = Extent.of(tile_ranges(Area(179.0, -1.0, -179.0, 1.0), zoom), zoom)
    assert extent.x < 2**zoom < extent.x + extent.width
    assert extent.width <= 32
    last = 2**zoom // 64 - 1
    assert extent.shard_columns(last) == last * 64 - extent.x
    assert extent.shard_columns(0) == 2**zoom - extent.x


def test_worlds_smaller_than_a_shard_are_taken_whole() -> None:
    extent = Extent.of(tile_ranges(Area(179.0, -1.0, -179.0, 1.0), 3), 3)
    assert (extent.x, extent.width) == (0, 16)


@pytest.fixture
def two_shards(tmp_path: Path) -> tuple[Path, Extent, np.ndarray]:
    """Random pixels over the corner of four shards, of which GDAL writes those that exist."""
    zoom = 12
    truth = np.random.default_rng(0).integers(0, 2, (2, 600, 700), dtype=np.uint8)
    left, top = 64 * 256 - 300, 2 * 64 * 256 - 200
    write_map(tmp_path / "map", truth, left, top, zoom)
    return (
        tmp_path,
        Extent.of([(left // 256, top // 256, (left + 699) // 256, (top + 599) // 256)], zoom),
        truth,
    )


def test_the_virtual_raster_shows_all_shards_in_place(two_shards: tuple[Path, Extent, np.ndarray]) -> None:
    folder, extent, truth = two_shards
    shards = sorted(tuple(int(n) for n in path.stem.split("_")) for path in (folder / "map").glob("*.tif"))
    assert len(shards) == 4
    write_vrt(folder / "map.vrt", extent, shards, ["a", "b <&> c"])
    moved = folder.with_name(folder.name + " moved")  # paths in it are relative
    folder.rename(moved)
    with rasterio.open(moved / "map.vrt") as file:
        assert file.crs.to_epsg() == 3857
        assert file.descriptions == ("a", "b <&> c")
        assert file.transform.to_gdal()[:2] == (
            pytest.approx(extent.corner[0]),
            pytest.approx(extent.resolution),
        )
        window = Window(64 * 256 - 300 - extent.x * 256, 2 * 64 * 256 - 200 - extent.y * 256, 700, 600)
        assert np.array_equal(file.read(window=window) > 0, truth > 0)
        assert file.read(1, window=Window(0, 0, 256, 256)).sum() == 0
    moved.rename(folder)


def test_blocks_of_coverage_come_to_their_place_in_any_order(tmp_path: Path) -> None:
    zoom = 10
    ranges = tile_ranges(Area(178.0, -1.0, -178.0, 1.0), zoom)
    extent = Extent.of(ranges, zoom)
    writer = CoverageWriter(tmp_path / "a.tif", extent, ["one", "two"])
    last = 2**zoom // 64 - 1
    middle = 2**zoom // 64 // 2
    for shard, column, value in (((0, middle), 0, 9), ((last, middle), 3, 7), ((3, middle), 0, 5)):
        writer.add(shard, 1, 0, column, compress(np.full((256, 256), value, np.uint8).tobytes()))
    writer.close()
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.descriptions == ("one", "two")
        cells = file.read(2)
        assert not file.read(1).any()
        west, north = extent.corner
        assert (file.transform.c, file.transform.f) == (pytest.approx(west), pytest.approx(north))
        assert file.transform.a == pytest.approx(16 * extent.resolution)
    border = (2**zoom - extent.x) * 16
    row = (middle * 64 - extent.y) * 16
    assert cells[row, border] == 9
    assert cells[row, border - 1] == 7
    assert 5 not in cells
