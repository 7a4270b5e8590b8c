"""Reading windows of twelve layers beside decoding twelve PNGs, and the same windows from shards and from memory.

Windows lie at 256 places drawn at random from all tiles that hold more than sea, read as one batch. *From shards*:
files in the page cache and open, their tables of blocks read, no block kept from one batch to the next (tiles that
two windows of the batch touch are decoded once). *From memory*: all blocks decoded before, one bit a pixel, or
averaged before. The memory of the batch is used again, as it is by whoever lets go of a batch before the next.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.extracts import embedded, extract
from benchmarks.measure import Row, interleaved, rate_row
from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.raster.raster import RasterView

BATCH, FEW, PNG_TILES = 256, 32, 16


def _pngs(windows: torch.Tensor) -> list[list[bytes]]:
    """Each layer of each tile as the gray PNG that a folder of tiles would hold."""
    tiles = []
    for tile in windows.numpy():
        files = []
        for layer in tile:
            buffer = io.BytesIO()
            Image.fromarray(layer).save(buffer, "PNG")
            files.append(buffer.getvalue())
        tiles.append(files)
    return tiles


def _decode(tiles: list[list[bytes]]) -> np.ndarray:
    return np.stack([[np.asarray(Image.open(io.BytesIO(layer))) for layer in tile] for tile in tiles])


def _look(dataset: Dataset, moved: bool, turned: bool) -> Look:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(dataset), BATCH)
    warp = {}
    if moved:
        warp["shift"] = torch.from_numpy(rng.uniform(-60, 60, (BATCH, 2)).astype(np.float32))
    if turned:
        warp["angle"] = torch.from_numpy(rng.uniform(-3, 3, BATCH).astype(np.float32))
    return Look(torch.from_numpy(rows), torch.from_numpy(dataset.lonlat[rows]), warp)


def _map(dataset: Dataset, *, memory: bool) -> RasterView:
    spec = dataset.base_map_spec
    return RasterView(
        dataset.path,
        name=spec.name,
        zoom=dataset.zoom,
        channels=spec.channels,
        rules=spec.rules,
        memory=memory,
    )


def rows() -> list[Row]:
    cv2.setNumThreads(1)
    source = extract("malta") or embedded()
    name = source.name.removesuffix(".osm.pbf")
    with tempfile.TemporaryDirectory() as folder:
        dataset = api.prepare("loc2vec", osm=source, out=Path(folder) / "tiles", zoom=17)
        shards, memory = _map(dataset, memory=False), _map(dataset, memory=True)
        aligned, unaligned = _look(dataset, False, False), _look(dataset, True, False)
        turned = _look(dataset, True, True)
        tiles = _pngs(shards.read(aligned)[:PNG_TILES])
        batch = np.empty(BATCH * 12 * 256 * 256, np.uint8)
        work: list[tuple[str, Callable[[], object]]] = [
            ("windows cleared: lower bound, numpy's fill", lambda: batch.fill(0)),
            ("windows read, aligned, from shards", lambda: shards.read(aligned)),
            ("windows read, unaligned, from shards", lambda: shards.read(unaligned)),
            ("windows read, aligned, from memory", lambda: memory.read(aligned)),
            ("windows read, unaligned, from memory", lambda: memory.read(unaligned)),
            ("windows read, turned, of 200 m, from memory", _reading(memory, turned, 256, 200.0)),
        ]
        timings = interleaved(5, lambda: _decode(tiles), *(call for _, call in work))
        counted = f"12 x 256 x 256 uint8 windows of {name}, one thread, batches of {BATCH} at random places"
        found = [
            rate_row(
                what,
                timing,
                BATCH,
                timings[0],
                PNG_TILES,
                "windows/s",
                "twelve gray PNGs, Pillow",
                counted,
            )
            for (what, _), timing in zip(work, timings[1:], strict=True)
        ]
        return found + [_wide(dataset, turned, size_m) for size_m in (750.0, 1500.0)]


def _reading(view: RasterView, look: Look, size_px: int, size_m: float) -> Callable[[], object]:
    window = view.window(size_px=size_px, size_m=size_m)
    return lambda: window.read(look)


def _wide(dataset: Dataset, look: Look, size_m: float) -> Row:
    """Wide windows out of averages that are kept, beside averaging each window's own pixels."""
    assert look.lonlat is not None
    few = Look(look.rows[:FEW], look.lonlat[:FEW], {key: value[:FEW] for key, value in look.warp.items()})
    kept, fresh = _map(dataset, memory=True), _map(dataset, memory=False)
    ours, theirs = interleaved(5, _reading(kept, look, 128, size_m), _reading(fresh, few, 128, size_m))
    counted = (
        f"12 x 128 x 128 uint8 windows, one thread, batches of {BATCH}; averages of earlier batches kept"
    )
    what = f"windows read, turned, of {size_m:,.0f} m, from memory"
    return rate_row(what, ours, BATCH, theirs, FEW, "windows/s", "averaging the pixels of each", counted)
