"""Writes maps in the shard layout with rasterio (GDAL), so that the readers are tested against another library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window

HALF = 20037508.342789244
SHARD_PX = 64 * 256


def shard_profile(shard_x: int, shard_y: int, zoom: int, bands: int, **options: Any) -> dict[str, Any]:
    resolution = 2 * HALF / (256 * 2**zoom)
    west, north = shard_x * SHARD_PX * resolution - HALF, HALF - shard_y * SHARD_PX * resolution
    profile = {
        "driver": "GTiff", "width": SHARD_PX, "height": SHARD_PX, "count": bands, "dtype": "uint8", "nbits": 1,
        "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "ZSTD", "interleave": "band",
        "sparse_ok": "TRUE", "crs": "EPSG:3857", "transform": from_origin(west, north, resolution, resolution),
    }  # fmt: skip
    return {key: value for key, value in {**profile, **options}.items() if value is not None}


def write_map(folder: Path, truth: NDArray[np.uint8], left: int, top: int, zoom: int, **options: Any) -> None:
    """Store ``truth`` (C, H, W) with its north-west pixel at (left, top); x wraps at the antimeridian."""
    folder.mkdir(parents=True, exist_ok=True)
    tiles: dict[tuple[int, int], list[tuple[int, int]]] = {}
    height, width = truth.shape[1:]
    for tile_y in range(top // 256, (top + height - 1) // 256 + 1):
        for tile_x in range(left // 256, (left + width - 1) // 256 + 1):
            shard = (tile_x % 2**zoom) // 64, tile_y // 64
            tiles.setdefault(shard, []).append((tile_x, tile_y))
    for (shard_x, shard_y), members in tiles.items():
        profile = shard_profile(shard_x, shard_y, zoom, len(truth), **options)
        with rasterio.open(folder / f"{shard_x}_{shard_y}.tif", "w", **profile) as file:
            for tile_x, tile_y in members:
                block = cut(truth, left, top, tile_x * 256, tile_y * 256, 256, 256)
                column, row = tile_x % 2**zoom % 64 * 256, tile_y % 64 * 256
                for band in np.flatnonzero(block.any(axis=(1, 2))):
                    file.write(block[band], int(band) + 1, window=Window(column, row, 256, 256))
            for band in range(len(truth)):
                file.set_band_description(band + 1, f"layer-{band}")


def cut(
    truth: NDArray[np.uint8], left: int, top: int, x: int, y: int, height: int, width: int
) -> NDArray[np.uint8]:
    """The pixels of ``truth`` (north-west pixel at left, top) in a window at (x, y); zeros around it."""
    out = np.zeros((len(truth), height, width), np.uint8)
    x0, x1 = max(x, left), min(x + width, left + truth.shape[2])
    y0, y1 = max(y, top), min(y + height, top + truth.shape[1])
    if x0 < x1 and y0 < y1:
        out[:, y0 - y : y1 - y, x0 - x : x1 - x] = truth[:, y0 - top : y1 - top, x0 - left : x1 - left]
    return out


def letter_f(size: int) -> NDArray[np.uint8]:
    """(size, size) of 0 and 1: an F, which no turn or mirror maps to itself."""
    image = np.zeros((size, size), np.uint8)
    unit = size // 10
    image[unit : 9 * unit, 2 * unit : 4 * unit] = 1
    image[unit : 3 * unit, 2 * unit : 8 * unit] = 1
    image[4 * unit : 5 * unit, 2 * unit : 6 * unit] = 1
    return image
