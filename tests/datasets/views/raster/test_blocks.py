"""Windows over many shards, their memory, and sharing between threads and processes."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec.core import Look
from placevec.datasets.views.raster import blocks
from placevec.datasets.views.raster.blocks import ShardFolder
from placevec.datasets.views.raster.raster import RasterView
from placevec.errors import DatasetError
from placevec.geo import tile_xy_to_lonlat
from placevec.geo.geotiff import GeoTiffWriter, compress_bits

from .shard_files import HALF, SHARD_PX, cut, letter_f, write_map

ZOOM = 17
LEFT, TOP = 74624 * 256 - 450, 37952 * 256 - 450  # the corner of four shards lies inside


def image() -> np.ndarray:
    truth = np.zeros((3, 900, 900), np.uint8)
    truth[0] = letter_f(900)
    truth[1, 200:700, 100:150] = 1
    truth[2] = np.random.default_rng(0).integers(0, 2, (900, 900))
    return truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "map"
    write_map(path, image(), LEFT, TOP, ZOOM)
    return path


def read(shards: ShardFolder, x: int, y: int, height: int = 256, width: int = 256) -> np.ndarray:
    out = np.zeros((shards.bands, height, width), np.uint8)
    written = shards.read_into(out, x, y, range(shards.bands))
    assert set(np.flatnonzero(out.any(axis=(1, 2)))) <= set(written)
    return out


@settings(max_examples=60, deadline=None)
@given(
    x=st.integers(LEFT - 400, LEFT + 1000),
    y=st.integers(TOP - 400, TOP + 1000),
    height=st.integers(1, 700),
    width=st.integers(1, 700),
)
def test_any_window_is_what_was_stored(folder: Path, x: int, y: int, height: int, width: int) -> None:
    """Oracle: the array that GDAL stored; over shard borders, into missing shards, kept in memory or not."""
    expected = cut(image(), LEFT, TOP, x, y, height, width) * 255
    for memory in (False, True, None):
        shards = ShardFolder(folder, zoom=ZOOM, bands=3, memory=memory)
        for _ in range(2):
            np.testing.assert_array_equal(read(shards, x, y, height, width), expected)


def test_memory_holds_packed_blocks_up_to_its_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = ShardFolder(folder, zoom=ZOOM, bands=3, memory=True)
    read(everything, LEFT, TOP, 900, 900)
    filled = sum(
        bool(cut(image(), LEFT, TOP, tile_x * 256, tile_y * 256, 256, 256)[band].any())
        for tile_x in range(LEFT // 256, (LEFT + 899) // 256 + 1)
        for tile_y in range(TOP // 256, (TOP + 899) // 256 + 1)
        for band in range(3)
    )
    assert everything.kept_bytes == filled * 256 * 32
    monkeypatch.setattr(blocks, "MEMORY_LIMIT", 100_000)
    some = ShardFolder(folder, zoom=ZOOM, bands=3)
    np.testing.assert_array_equal(read(some, LEFT, TOP, 900, 900), image() * 255)
    assert 60_000 < some.kept_bytes <= 100_000
    none = ShardFolder(folder, zoom=ZOOM, bands=3, memory=False)
    read(none, LEFT, TOP)
    assert none.kept_bytes == 0


def test_bands_go_where_they_are_sent(folder: Path) -> None:
    shards = ShardFolder(folder, zoom=ZOOM, bands=3)
    out = np.zeros((2, 900, 900), np.uint8)
    assert shards.read_into(out, LEFT, TOP, (1, -1, 0)) == [0, 1]
    np.testing.assert_array_equal(out, image()[[2, 0]] * 255)


def test_tiles_set_all_over_need_no_block(tmp_path: Path) -> None:
    """As placevec writes them. Oracle: the same map written uncompressed by GDAL, straight and turned."""
    truth = np.random.default_rng(0).integers(0, 2, (4, 1024, 1024)).astype(np.uint8)
    truth[1] = 1
    truth[2, :512, :768] = 1
    truth[3] = truth[3, :, ::-1] * (np.arange(1024) < 300)
    left, top = 74624 * 256, 37952 * 256
    write_map(tmp_path / "gdal" / "map", truth, left, top, ZOOM, compress=None)
    resolution = 2 * HALF / (256 * 2**ZOOM)
    (tmp_path / "ours" / "map").mkdir(parents=True)
    with GeoTiffWriter(
        tmp_path / "ours" / "map" / "1166_593.tif", width=SHARD_PX, height=SHARD_PX, block=256, bits=1,
        names=("a", "b", "c", "d"), west=left * resolution - HALF, north=HALF - top * resolution,
        resolution=resolution,
    ) as file:  # fmt: skip
        for band, row, column in np.ndindex(4, 4, 4):
            block = truth[band, row * 256 : row * 256 + 256, column * 256 : column * 256 + 256]
            if block.any():
                file.add(band, row, column, compress_bits(np.packbits(block, axis=1).tobytes()))
    ours, gdal = (ShardFolder(tmp_path / name / "map", zoom=ZOOM, bands=4) for name in ("ours", "gdal"))
    tile = ours.tiles([(74624, 37952)])[74624, 37952]
    assert tile is not None
    assert (tile.bands, tile.full) == ((0, 3), (1, 2))
    for x, y, side in ((0, 0, 256), (37, 90, 256), (700, 300, 256), (-100, 900, 256), (100, 200, 130)):
        expected = cut(truth, 0, 0, x, y, side, side) * 255
        for shards in (ours, gdal):
            np.testing.assert_array_equal(read(shards, left + x, top + y, side, side), expected)
    lon, lat = tile_xy_to_lonlat(np.array([left + 500.0, top + 420.0]) / 256, ZOOM)
    angle = torch.linspace(-3.0, 3.0, 16)
    look = Look(torch.zeros(16, dtype=torch.int64), torch.tensor([[lon, lat]] * 16), {"angle": angle})
    for size_m in (None, 150.0, 320.0):
        views = [
            RasterView(tmp_path / name, zoom=ZOOM, channels=("a", "b", "c", "d"), size_m=size_m)
            for name in ("ours", "gdal")
        ]
        one, other = (view.read(look) for view in views)
        assert torch.equal(one, other)
        assert (one[:, 1] == 255).all()


def test_a_window_over_the_antimeridian_reads_both_sides(tmp_path: Path) -> None:
    world = 256 * 2**ZOOM
    truth, left, top = image(), world - 500, 65536 * 256 - 100
    write_map(tmp_path, truth, left, top, ZOOM)
    assert {path.name for path in tmp_path.glob("*.tif")} >= {"0_1024.tif", "2047_1024.tif"}
    shards = ShardFolder(tmp_path, zoom=ZOOM, bands=3)
    for x in (left, left - world):
        np.testing.assert_array_equal(read(shards, x, top, 900, 900), truth * 255)


def test_a_world_smaller_than_a_shard(tmp_path: Path) -> None:
    """At zoom 2 the world is 4 tiles wide: it repeats eastwards and ends in the north and south."""
    truth = np.random.default_rng(0).integers(0, 2, (1, 1024, 1024)).astype(np.uint8)
    write_map(tmp_path, truth, 0, 0, 2)
    seen = read(ShardFolder(tmp_path, zoom=2, bands=1), -300, -10, 1044, 1500)[0]
    assert not seen[:10].any()
    assert not seen[-10:].any()
    np.testing.assert_array_equal(
        seen[10:-10], np.take(truth[0] * 255, np.arange(-300, 1200), 1, mode="wrap")
    )


def test_threads_share_a_folder(folder: Path) -> None:
    shards = ShardFolder(folder, zoom=ZOOM, bands=3, memory=False)
    corners = [(LEFT + 37 * k % 600, TOP + 53 * k % 600) for k in range(80)]
    with ThreadPoolExecutor(4) as pool:
        for (x, y), seen in zip(corners, pool.map(lambda at: read(shards, *at), corners), strict=True):
            np.testing.assert_array_equal(seen, cut(image(), LEFT, TOP, x, y, 256, 256) * 255)


def _read_in_child(shards: ShardFolder, x: int, y: int, queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    queue.put(
        all((read(shards, x, y) == cut(image(), LEFT, TOP, x, y, 256, 256) * 255).all() for _ in range(50))
    )


def test_forked_processes_share_an_open_folder(folder: Path) -> None:
    """Parent and children read different places of the same opened file at the same time."""
    shards = ShardFolder(folder, zoom=ZOOM, bands=3, memory=False)
    read(shards, LEFT, TOP)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [
        context.Process(target=_read_in_child, args=(shards, LEFT + 150 * k, TOP + 90 * k, queue))
        for k in (1, 2)
    ]
    for child in children:
        child.start()
    for _ in range(50):
        np.testing.assert_array_equal(
            read(shards, LEFT, TOP), cut(image(), LEFT, TOP, LEFT, TOP, 256, 256) * 255
        )
    assert [queue.get(timeout=60) for _ in children] == [True, True]
    for child in children:
        child.join()


def test_no_shard_is_left_open(folder: Path) -> None:
    """Python itself warns of files that nobody closed."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ResourceWarning)
        shards = ShardFolder(folder, zoom=ZOOM, bands=3, memory=False)
        read(shards, LEFT, TOP, 900, 900)  # four shards, one after the other
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(read, [shards] * 2, (LEFT, LEFT + 500), [TOP] * 2))
        del shards
        gc.collect()
    assert not [str(one.message) for one in found if "unclosed file" in str(one.message)]


def test_pickling_carries_the_path_and_not_the_pixels(folder: Path) -> None:
    shards = ShardFolder(folder, zoom=ZOOM, bands=3, memory=True)
    read(shards, LEFT, TOP, 900, 900)
    content = pickle.dumps(shards)
    assert len(content) < 1000
    again = pickle.loads(content)  # noqa: S301 (our own, for data loaders)
    assert again.memory is True
    np.testing.assert_array_equal(read(again, LEFT, TOP, 900, 900), image() * 255)


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no map"):
        ShardFolder(tmp_path / "map", zoom=ZOOM, bands=3)


def test_a_folder_without_shards_is_an_empty_map(tmp_path: Path) -> None:
    shards = ShardFolder(tmp_path, zoom=ZOOM, bands=3)
    assert shards.bits == 1
    assert not read(shards, LEFT, TOP).any()
