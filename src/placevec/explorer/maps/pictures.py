"""Reading and rendering the map view in any bounding box, at any resolution.

A map of layers has the coverage of each layer and is rendered by `maps.cartography`; an RGB map, made from existing
tiles, is an image already. Where an RGB map has no tile it is blank.

Positions are fractional tile coordinates at the map's zoom (x eastward, y southward), as in `placevec.geo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.datasets.views.raster.blocks import ShardFolder
from placevec.datasets.views.raster.coverage import Coverage
from placevec.errors import DatasetError
from placevec.explorer.maps.cartography import PAPER, Bytes, paint
from placevec.geo import TILE_PX, Floats, meters_per_pixel, tile_xy_to_lonlat

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in fractional tile coordinates."""
RGB_CHANNELS = (("red", "green", "blue"), ("r", "g", "b"))
"""Channel names of RGB maps."""
COARSE_PX = 4096
"""Maximum side of the coverage raster in memory."""


@dataclass
class MapPictures:
    """Reads the map in a box, from the shards at high resolution and from the coverage raster at low resolution.

    Attributes:
        layers: channel names.
        zoom: zoom level of the map.
        coverage: shares of the layers in any footprint.
        coarse: (C, h, w) uint8 coverage, or mean colors, of the whole map.
        bounds: box of ``coarse``.
        shards: the pixels at native resolution.
    """

    layers: tuple[str, ...]
    zoom: int
    coverage: Coverage
    coarse: Bytes
    bounds: Box
    shards: ShardFolder

    @classmethod
    def of(cls, dataset: Dataset) -> MapPictures:
        """The map of a dataset; DatasetError if its files are inconsistent."""
        layers = tuple(dataset.base_map_spec.channels)
        coverage = Coverage(dataset.path / "map_coverage.tif")
        if coverage.channels != layers:
            raise DatasetError(
                f"the layers of {coverage.path} do not match the map: prepare the dataset again"
            )
        coarse, bounds = coverage.overview(COARSE_PX)
        shards = ShardFolder(
            dataset.path / str(dataset.base_map), zoom=dataset.zoom, bands=len(layers), memory=False
        )
        return cls(layers, dataset.zoom, coverage, coarse, bounds, shards)

    @cached_property
    def is_rgb(self) -> bool:
        """Whether this is an RGB map, not a map of layers."""
        return self.layers in RGB_CHANNELS and self.shards.bits == 8

    def blank(self, height: int, width: int) -> Bytes:
        """(C, height, width) uint8 of an empty map: no layer, or the background color."""
        if not self.is_rgb:
            return np.zeros((len(self.layers), height, width), np.uint8)
        return np.tile(np.array(PAPER, np.uint8)[:, None, None], (1, height, width))

    def picture(self, content: Bytes, meters_per_pixel: float) -> Bytes:
        """Render (C, H, W) content as an (H, W, 3) uint8 image."""
        if self.is_rgb:
            return np.ascontiguousarray(np.moveaxis(content, 0, 2))
        return paint(content, self.layers, meters_per_pixel)

    @property
    def cells_per_tile(self) -> float:
        """Number of cells of ``coarse`` per tile."""
        return float(self.coarse.shape[2] / (self.bounds[2] - self.bounds[0]))

    def meters_per_tile(self, y: float) -> float:
        """Width of a tile in meters on the ground, at tile row ``y``."""
        return float(meters_per_pixel(tile_xy_to_lonlat([0.0, y], self.zoom)[1], self.zoom)) * TILE_PX

    def shares(self, footprints: Floats) -> NDArray[np.float32]:
        """(N, C) share of each (N, 4) footprint that each layer covers, 0..1; NaN without a footprint."""
        shares = self.coverage.fractions(footprints, self.zoom)
        shares[~np.isfinite(footprints).all(axis=1)] = np.nan
        return shares

    def read(self, box: Box, size: int) -> Bytes:
        """(C, size, size) uint8 content of a box; blank outside the map."""
        x0, y0, x1, y1 = box
        if (x1 - x0) * self.cells_per_tile >= size:
            return self.read_coarse(box, size, size)
        left, top = round(x0 * TILE_PX), round(y0 * TILE_PX)
        shape = max(1, round((y1 - y0) * TILE_PX)), max(1, round((x1 - x0) * TILE_PX))
        native = self.blank(*shape)
        written = list(self._read_native(native, left, top))
        if shape == (size, size):
            return native
        out = self.blank(size, size)
        for channel in written:
            cv2.resize(native[channel], (size, size), dst=out[channel], interpolation=cv2.INTER_AREA)
        return out

    def _read_native(self, out: Bytes, left: int, top: int) -> Sequence[int]:
        """Fill a blank window with native pixels; returns the channels that may have content."""
        if not self.is_rgb:
            return self.shards.read_into(out, left, top, range(len(self.layers)))
        height, width = out.shape[1:]
        window = self.shards.box(left, top, width, height)
        pixels = np.zeros_like(out)
        tiles = self.shards.tiles(window.touched())
        self.shards.read_into(pixels, left, top, range(len(self.layers)), tiles)
        for row in range(top // TILE_PX, (top + height - 1) // TILE_PX + 1):
            for column in range(left // TILE_PX, (left + width - 1) // TILE_PX + 1):
                if tiles.get((column % 2**self.zoom, row)) is None:
                    continue  # missing tiles stay blank instead of black
                part = np.s_[
                    :, max(row * TILE_PX - top, 0) : max((row + 1) * TILE_PX - top, 0),
                    max(column * TILE_PX - left, 0) : max((column + 1) * TILE_PX - left, 0),
                ]  # fmt: skip
                out[part] = pixels[part]
        return range(len(self.layers))

    def read_coarse(self, box: Box, width: int, height: int) -> Bytes:
        """(C, height, width) uint8 content of a box from the coverage raster; blank outside the map."""
        x0, y0, x1, y1 = box
        scale_y = self.coarse.shape[1] / (self.bounds[3] - self.bounds[1])
        left, right = (round((x - self.bounds[0]) * self.cells_per_tile) for x in (x0, x1))
        top, bottom = (round((y - self.bounds[1]) * scale_y) for y in (y0, y1))
        window = np.zeros((len(self.layers), max(1, bottom - top), max(1, right - left)), np.uint8)
        rows = slice(max(top, 0), max(min(bottom, self.coarse.shape[1]), 0))
        columns = slice(max(left, 0), max(min(right, self.coarse.shape[2]), 0))
        part = self.coarse[:, rows, columns]
        if part.size:
            window[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = part
        if self.is_rgb:
            empty = ~window.any(axis=0)
            window[:, empty] = np.array(PAPER, np.uint8)[:, None]
        if window.shape[1:] == (height, width):
            return window
        return np.stack([cv2.resize(band, (width, height), interpolation=cv2.INTER_AREA) for band in window])
