"""Imagery that comes as map tiles, of a server, a folder or an MBTiles file, read square by square like other images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import lonlat_to_tile_xy
from placevec.sources.imagery.ground import Square, degrees_around, resampled, system, window_under
from placevec.sources.tiles.decode import decode_tile

BANDS = ("red", "green", "blue")
_HALF_WORLD_M = 20_037_508.342789244
"""Half the side of the square of Web Mercator, meters of its projection."""
_MAX_TILES = 4096
_KEPT = 64
"""Decoded tiles that are kept for the next squares."""


class TilePhotos:
    """Color tiles of one zoom as one image in Web Mercator; transparent pixels and absent tiles have no data.

    Args:
        name: of the source, for messages.
        zoom: of the tiles.
        content: (x, y) -> the encoded bytes of a tile, None where there is none.
        bands: positions of the bands to read, from 1; none for all.

    Attributes:
        names: of the bands.
        dtype: of their numbers.
        damaged: tiles that could not be decoded, and why.
        read_tiles: all that were read.

    Raises:
        SourceError: a band that tiles do not have.
    """

    dtype = "uint8"

    def __init__(
        self, name: str, zoom: int, content: Callable[[int, int], bytes | None], bands: Sequence[int] = ()
    ) -> None:
        self.name, self.zoom, self._content = name, zoom, content
        self.numbers = tuple(bands) or (1, 2, 3)
        if max(self.numbers) > len(BANDS):
            raise SourceError(f"tiles have {len(BANDS)} bands, numbered from 1; requested: {self.numbers}")
        self.names = tuple(BANDS[number - 1] for number in self.numbers)
        self.damaged: dict[tuple[int, int], str] = {}
        self.read_tiles: set[tuple[int, int]] = set()
        self._side = 0
        self._tile = functools.lru_cache(maxsize=_KEPT)(self._decoded)

    def __enter__(self) -> TilePhotos:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, square: Square) -> NDArray[np.float32]:
        """(C, H, W) numbers on a square; NaN where there is no tile.

        Raises:
            SourceError: a square of too many tiles.
        """
        found = np.full((len(self.numbers), square.size_px, square.size_px), np.nan, np.float32)
        west, south, east, north = degrees_around(square)
        for left, right in ((west, east),) if west <= east else ((west, 180.0), (-180.0, east)):
            self._fill(found, square, left, south, right, north)
        return found

    def percentiles(self, low: float, high: float) -> NDArray[np.float64]:
        """(C, 2): bytes need no percentiles, 0 and 255 stand for them."""
        return np.tile([0.0, 255.0], (len(self.numbers), 1))

    def outside(self) -> str:
        """Where its tiles lie, for the message that no place lies there."""
        return f"the tiles of {self.name} at zoom {self.zoom}"

    def _fill(
        self, found: NDArray[np.float32], square: Square, west: float, south: float, east: float, north: float
    ) -> None:
        from rasterio import Affine

        corners = lonlat_to_tile_xy(np.array([west, east]), np.array([north, south]), self.zoom)
        most = 2**self.zoom - 1
        (x0, y0), (x1, y1) = np.clip(np.floor(corners), 0, most).astype(int).tolist()
        if (x1 - x0 + 1) * (y1 - y0 + 1) > _MAX_TILES:
            raise SourceError(
                f"a chip would need {(x1 - x0 + 1) * (y1 - y0 + 1):,} tiles of zoom {self.zoom}: choose a lower zoom"
            )
        tiles = {
            (x, y): pixels
            for y in range(y0, y1 + 1)
            for x in range(x0, x1 + 1)
            if (pixels := self._tile(x, y)) is not None
        }
        if not tiles:
            return
        side = self._side
        whole = np.zeros((4, (y1 - y0 + 1) * side, (x1 - x0 + 1) * side), np.uint8)
        for (x, y), pixels in tiles.items():
            top, left = (y - y0) * side, (x - x0) * side
            whole[:, top : top + side, left : left + side] = pixels.transpose(2, 0, 1)
        pixel = 2.0 * _HALF_WORLD_M / 2**self.zoom / side
        west_m, north_m = x0 * side * pixel - _HALF_WORLD_M, _HALF_WORLD_M - y0 * side * pixel
        transform, crs = Affine(pixel, 0.0, west_m, 0.0, -pixel, north_m), system(3857)
        window = window_under(square, crs, transform, whole.shape[2], whole.shape[1])
        if window is None:
            return
        left, top, wide, high = window
        whole = whole[:, top : top + high, left : left + wide]
        colors = whole[[number - 1 for number in self.numbers]].astype(np.float32)
        colors[:, whole[3] == 0] = np.nan
        colors = resampled(colors, transform @ Affine.translation(left, top), crs, square)
        new = np.isnan(found).any(axis=0) & ~np.isnan(colors).any(axis=0)
        found[:, new] = colors[:, new]

    def _decoded(self, x: int, y: int) -> NDArray[np.uint8] | None:
        """(side, side, 4) red, green, blue and alpha; None without a tile or for a damaged one."""
        content = self._content(x, y)
        if content is None:
            return None
        self.read_tiles.add((x, y))
        try:
            pixels = decode_tile(content, side=None)
        except SourceError as error:
            self.damaged[x, y] = str(error)
            return None
        self._side = self._side or len(pixels)
        if len(pixels) != self._side:  # of another server, or for screens of another resolution
            return np.asarray(
                cv2.resize(pixels, (self._side, self._side), interpolation=cv2.INTER_AREA), np.uint8
            )
        return pixels
