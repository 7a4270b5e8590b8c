"""Reading windows of twelve layers beside decoding twelve PNGs, and the same windows from shards and from memory."""

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
from placevec.dataset import Dataset
from placevec.views.raster import RasterView

BATCH, PNG_TILES = 256, 16


def _pngs(windows: torch.Tensor) -> list[list[bytes]]:
    """Each layer of each tile as the grey PNG that a folder of tiles would hold."""
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


def rows() -> list[Row]:
    cv2.setNumThreads(1)
    source = extract("malta") or embedded()
    name = source.name.removesuffix(".osm.pbf")
    with tempfile.TemporaryDirectory() as folder:
        dataset = api.prepare("loc2vec", osm=source, out=Path(folder) / "tiles", zoom=17)
        shards, memory = dataset.map_view(memory=False), dataset.map_view(memory=True)
        aligned, unaligned = _look(dataset, False, False), _look(dataset, True, False)
        turned = _look(dataset, True, True)
        tiles = _pngs(shards.read(aligned)[:PNG_TILES])
        metric: RasterView = memory.window(size_px=256, size_m=200.0)
        work: list[tuple[str, Callable[[], object]]] = [
            ("aligned, from shards", lambda: shards.read(aligned)),
            ("unaligned, from shards", lambda: shards.read(unaligned)),
            ("unaligned, from memory", lambda: memory.read(unaligned)),
            ("turned and in metres, from memory", lambda: metric.read(turned)),
        ]
        timings = interleaved(5, lambda: _decode(tiles), *(call for _, call in work))
        png = timings[0]
        counted = f"12 x 256 x 256 uint8 windows of {name}, one thread, files in the page cache"
        return [
            rate_row(
                f"windows read, {what}",
                timing,
                BATCH,
                png,
                PNG_TILES,
                "windows/s",
                "twelve grey PNGs, Pillow",
                counted,
            )
            for (what, _), timing in zip(work, timings[1:], strict=True)
        ]
