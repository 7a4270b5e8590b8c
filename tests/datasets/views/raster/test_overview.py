"""Wide windows: coarse cells that are kept, against the mean of the stored pixels."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from placevec.datasets.views.raster import blocks
from placevec.datasets.views.raster.blocks import ShardFolder
from placevec.datasets.views.raster.overview import BLOCK_CELLS, ReducedMap
from placevec.datasets.views.raster.raster import RasterView

from .shard_files import cut, letter_f, write_map
from .test_raster import CORNER, ZOOM, look_at_pixels, native_meters

SIDE = 3000
LEFT, TOP = CORNER[0] - SIDE // 2, CORNER[1] - SIDE // 2
CHANNELS = ("f", "noise", "empty", "dots", "bar", "block")
FIVE, SIX, TWELVE = 5, 6, 12


def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    truth = np.zeros((6, SIDE, SIDE), np.uint8)
    truth[0, 1350:1650, 1350:1650] = letter_f(300)
    truth[1] = rng.random((SIDE, SIDE)) < 0.5
    truth[3] = rng.random((SIDE, SIDE)) < 0.01
    truth[4, :, 1490:1500] = 1
    truth[5, 1400:1600, 1450:1850] = 1
    return truth


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide")
    write_map(path / "map", image(), LEFT, TOP, ZOOM)
    return path


def view_of(dataset: Path, memory: bool | None, size_px: int, scale: float) -> RasterView:
    view = RasterView(dataset, zoom=ZOOM, channels=CHANNELS, memory=memory)
    return view.window(size_px=size_px, size_m=native_meters(size_px) * scale)


@pytest.mark.parametrize("factor", [FIVE, SIX, TWELVE])
def test_cells_are_means_of_the_stored_pixels(dataset: Path, factor: int) -> None:
    """Oracle: numpy's mean over each cell of the grid of the map, to the rounding of each halving; over block borders."""
    reduced = ReducedMap(ShardFolder(dataset / "map", zoom=ZOOM, bands=6, memory=True))
    left, top, cells = LEFT // factor - 3, TOP // factor - 2, SIDE // factor + 6
    pixels = cut(image(), LEFT, TOP, left * factor, top * factor, cells * factor, cells * factor)
    means = pixels.reshape(6, cells, factor, cells, factor).mean(axis=(2, 4)) * 255
    found = reduced.read(left, top, cells, factor, range(6))
    assert found is not None
    assert [band for band, _ in found] == [0, 4]
    for band, source in found:
        for lane in range(4):
            expected = means[band + lane] if band + lane < 6 else np.zeros((cells, cells))
            assert np.abs(source[:, :, lane] - expected).max() <= 1.5
    nothing = reduced.read(left, top, cells, factor, (-1, -1, -1, -1, 0, -1))
    assert nothing is not None
    assert [band for band, _ in nothing] == [4]


@pytest.mark.parametrize("scale", [5.3, 6.0, 9.7])
def test_a_wide_window_is_the_share_of_the_ground(dataset: Path, scale: float) -> None:
    """Oracle: the stored pixels, averaged over each pixel of the window with numpy; cells lie up to half a cell off."""
    size_px = 64
    seen = view_of(dataset, True, size_px, scale).read(look_at_pixels(CORNER)).numpy()[0].astype(float) / 255
    edge = size_px * scale / 2
    start = SIDE / 2 - edge
    table = np.pad(image().astype(float).cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    at = np.round(start + np.arange(size_px + 1) * scale).astype(int)
    corners = table[:, at][:, :, at]
    area = np.outer(np.diff(at), np.diff(at))
    expected = np.diff(np.diff(corners, axis=1), axis=2) / area
    assert np.abs(seen.mean(axis=(1, 2)) - expected.mean(axis=(1, 2))).max() < 0.01
    assert np.abs(seen[1] - 0.5).max() < 0.3  # noise fades to gray
    for channel in (0, 5):  # large shapes keep their places: they differ along their edges only
        assert (np.abs(seen[channel] - expected[channel]) > 0.5).mean() < 0.01
        assert np.corrcoef(seen[channel].ravel(), expected[channel].ravel())[0, 1] > 0.9
    mirrored = np.corrcoef(seen[0].ravel(), expected[0][:, ::-1].ravel())[0, 1]
    assert mirrored < 0.8


@pytest.mark.parametrize("memory", [True, None])
def test_kept_cells_do_not_change_the_pixels(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, memory: bool | None
) -> None:
    """Whether blocks of cells are kept, are not, or stop being kept when memory is full; wherever the window lies."""
    rng = np.random.default_rng(1)
    points = np.array(CORNER) + rng.uniform(-1700, 1700, (12, 2))
    angle, keep = rng.uniform(-4, 4, 12).astype(np.float32), torch.from_numpy(rng.random((12, 6)) < 0.7)
    look = look_at_pixels(points, angle=angle, keep=keep)
    for scale in (5.2, 7.0, 13.9):
        fresh = view_of(dataset, False, 50, scale).read(look)
        assert fresh.any()
        kept = view_of(dataset, memory, 50, scale)
        assert torch.equal(kept.read(look), fresh)
        assert torch.equal(kept.read(look), fresh)
        assert kept.shards.kept_bytes > 0
    monkeypatch.setattr(blocks, "MEMORY_LIMIT", 3 * 4 * BLOCK_CELLS**2)
    full = view_of(dataset, None, 50, 5.2)
    assert torch.equal(full.read(look), view_of(dataset, False, 50, 5.2).read(look))
    assert full.shards.kept_bytes <= 3 * 4 * BLOCK_CELLS**2


def test_wide_windows_choose_channels_and_turn(dataset: Path) -> None:
    """Chosen channels are those of the whole view; a quarter turn is numpy.rot90, to the rounding."""
    view = view_of(dataset, True, 80, 6.0)
    look = look_at_pixels(CORNER, angle=[1.0])
    some = view.window(size_px=80, size_m=view.spec.size_m, channels=("bar", "f", "empty"))
    assert torch.equal(some.read(look), view.read(look)[:, [4, 0, 2]])
    straight = view.read(look_at_pixels(CORNER)).numpy()[0].astype(int)
    turned = view.read(look_at_pixels(CORNER, angle=[math.pi / 2])).numpy()[0].astype(int)
    assert np.abs(np.rot90(straight, 1, axes=(1, 2)) - turned).max() <= 2


def test_wide_windows_over_the_antimeridian(tmp_path: Path) -> None:
    """The letter lies across 180 degrees: seen from either side it is the same, to a cell."""
    world = 256 * 2**ZOOM
    write_map(tmp_path / "map", letter_f(1200)[None], world - 600, world // 2 - 600, ZOOM)
    size_m = 200 * 6 * 40075016.68557849 / world
    view = RasterView(tmp_path, zoom=ZOOM, channels=("f",), size_px=200, size_m=size_m, memory=True)
    seen = [view.read(look_at_pixels([(x, world / 2)])).numpy()[0, 0] for x in (0.0, world - 1e-3)]
    for batch in seen:
        assert ((batch > 127) != letter_f(200).astype(bool)).mean() < 0.03


def test_pickling_carries_no_cells(dataset: Path) -> None:
    view = view_of(dataset, True, 64, 6.0)
    seen = view.read(look_at_pixels(CORNER))
    content = pickle.dumps(view)
    assert len(content) < 4000
    assert torch.equal(pickle.loads(content).read(look_at_pixels(CORNER)), seen)  # noqa: S301 (our own)
