"""Share of each channel in coarse cells: the companion of a map (``map_coverage.tif``).

One cell is 16 x 16 native pixels and stores the share of each channel, 0..255. It serves everything that needs no
pixels: shares of any footprint (the coverage baseline that learned vectors must beat), thumbnails, overviews.

Coordinates are fractional tiles: x eastwards from 180° W, y southwards from 85.05° N, 1 per tile.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import DatasetError, InputError
from placevec.geo import MAX_ZOOM, MERCATOR_HALF, TILE_PX, Floats, Ints, check_zoom

if TYPE_CHECKING:  # drawing needs the cell sizes but not rasterio, which is slow to load
    import rasterio

CELL_PX = 16
"""Native pixels along each side of a cell."""
CELLS_PER_TILE = TILE_PX // CELL_PX
_CHUNK_CELLS = 1024
_GDAL = {"GDAL_CACHEMAX": 64, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}


class Coverage:
    """Shares of a map's channels, read in parts from a GeoTIFF of coarse cells.

    Attributes:
        path: path of the file.
        channels: its band descriptions.
        zoom: zoom whose tiles are 16 x 16 cells.
        origin: fractional tile x, y of its north-west corner.
        shape: (height, width) in cells.

    Raises:
        DatasetError: the file is missing, damaged, or not a coverage grid.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with self._opened() as file:
            transform, crs = file.transform, file.crs
            if crs is None or crs.to_epsg() != 3857 or file.dtypes[0] != "uint8" or transform.a <= 0:
                raise DatasetError(f"{path} is not a coverage grid: it must be 8-bit in EPSG:3857")
            self.channels: tuple[str, ...] = tuple(name or "" for name in file.descriptions)
            self.shape: tuple[int, int] = (file.height, file.width)
            zoom = math.log2(2.0 * MERCATOR_HALF / (CELLS_PER_TILE * transform.a))
            self.zoom = round(zoom)
            if abs(zoom - self.zoom) > 1e-6 or not 0 <= self.zoom <= MAX_ZOOM:
                raise DatasetError(
                    f"{path} is not a coverage grid: each cell must span {CELL_PX} pixels of an integer zoom level"
                )
            tile = transform.a * CELLS_PER_TILE
            self.origin: tuple[float, float] = (
                _snapped((transform.c + MERCATOR_HALF) / tile),
                _snapped((MERCATOR_HALF - transform.f) / tile),
            )

    def fractions(self, footprints: ArrayLike, zoom: int) -> NDArray[np.float32]:
        """Share of each footprint covered by each channel.

        Args:
            footprints: (N, 4) x0, y0, x1, y1 fractional tile coordinates at ``zoom``.
            zoom: any zoom; at the file's own zoom, values for whole tiles are the exact means of their cells.

        Returns:
            (N, C) in 0..1. Cells cut by an edge count with the part inside; areas outside the grid count as not
            covered; rows with NaN are zeros.

        Raises InputError for a footprint without area.
        """
        boxes = np.asarray(footprints, np.float64).reshape(-1, 4) * 2.0 ** (self.zoom - check_zoom(zoom))
        rows = np.flatnonzero(np.isfinite(boxes).all(axis=1))
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * CELLS_PER_TILE**2
        wrong = rows[(boxes[rows, 2] <= boxes[rows, 0]) | (boxes[rows, 3] <= boxes[rows, 1])]
        if len(wrong):
            raise InputError(
                f"footprint {wrong[0]} has no area: it must be x0, y0, x1, y1 with x0 < x1 and y0 < y1"
            )
        totals = np.zeros((len(boxes), len(self.channels)))
        world = float(2**self.zoom)
        with self._opened() as file:
            for turn in (
                -world,
                0.0,
                world,
            ):  # footprints across the antimeridian, or with coordinates beyond it
                cells = self._to_cells(boxes + np.array([turn, 0.0, turn, 0.0]))
                for chosen in self._chunks(cells, rows):
                    totals[chosen] += self._sums(file, cells[chosen])
        shares = np.zeros(totals.shape, np.float32)
        shares[rows] = totals[rows] / (255.0 * area[rows, None])
        return shares

    def overview(self, max_px: int) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
        """The whole grid with at most ``max_px`` per side: (C, h, w) mean shares 0..255, and its bounds.

        The bounds are x0, y0, x1, y1 in fractional tile coordinates at the file's zoom.
        """
        if max_px < 1:
            raise InputError(f"an overview needs at least one pixel; got {max_px}")
        from rasterio.enums import Resampling

        height, width = self.shape
        shrink = max(1.0, max(height, width) / max_px)
        size = (len(self.channels), max(1, round(height / shrink)), max(1, round(width / shrink)))
        with self._opened() as file:
            pixels = self._read(file, out_shape=size, resampling=Resampling.average)
        x0, y0 = self.origin
        return pixels, (x0, y0, x0 + width / CELLS_PER_TILE, y0 + height / CELLS_PER_TILE)

    def _opened(self) -> rasterio.DatasetReader:
        import rasterio

        try:
            with rasterio.Env(**_GDAL):
                return rasterio.open(self.path, driver="GTiff")
        except rasterio.errors.RasterioIOError as error:
            raise DatasetError(f"cannot read {self.path} as a coverage grid ({error})") from error

    def _read(self, file: rasterio.DatasetReader, **how: object) -> NDArray[np.uint8]:
        import rasterio

        try:
            with rasterio.Env(**_GDAL):
                return np.asarray(file.read(**how))
        except rasterio.errors.RasterioIOError as error:
            raise DatasetError(f"{self.path} is damaged ({error}); prepare the dataset again") from error

    def _to_cells(self, boxes: Floats) -> Floats:
        """Tile coordinates as cells of the grid, clipped to its edges."""
        height, width = self.shape
        cells = (boxes - (*self.origin, *self.origin)) * CELLS_PER_TILE
        return np.clip(cells, 0.0, (width, height, width, height))

    def _chunks(self, cells: Floats, rows: Ints) -> list[Ints]:
        """The rows that touch the grid, in groups of neighboring cells."""
        touching = rows[(cells[rows, 2] > cells[rows, 0]) & (cells[rows, 3] > cells[rows, 1])]
        column, row = (cells[touching, :2] // _CHUNK_CELLS).astype(np.int64).T
        _, group = np.unique(row * (self.shape[1] + 1) + column, return_inverse=True)
        order = np.argsort(group, kind="stable")
        return np.split(touching[order], np.flatnonzero(np.diff(group[order])) + 1) if len(touching) else []

    def _sums(self, file: rasterio.DatasetReader, boxes: Floats) -> Floats:
        """(M, C) sums over boxes in cells, each cell weighted by the part inside.

        The sum over a box is computed from four values of the summed-area table (Crow 1984), bilinear within a cell.
        """
        from rasterio.windows import Window

        left, top = np.floor(boxes[:, :2].min(axis=0)).astype(int).tolist()
        right, bottom = np.ceil(boxes[:, 2:].max(axis=0)).astype(int).tolist()
        window = Window(left, top, right - left, bottom - top)
        x0, y0, x1, y1 = (boxes - (left, top, left, top)).T
        sums = np.empty((len(boxes), len(self.channels)))
        for channel in range(len(self.channels)):
            table = cv2.integral(self._read(file, window=window, indexes=channel + 1), sdepth=cv2.CV_64F)
            sums[:, channel] = (
                _bilinear(table, x1, y1)
                - _bilinear(table, x0, y1)
                - _bilinear(table, x1, y0)
                + _bilinear(table, x0, y0)
            )
        return np.maximum(sums, 0.0)  # differences of large sums can be slightly negative


def _bilinear(table: Floats, x: Floats, y: Floats) -> Floats:
    """Values of a summed-area table between its corners."""
    column = np.minimum(x.astype(np.int64), table.shape[1] - 2)
    row = np.minimum(y.astype(np.int64), table.shape[0] - 2)
    right, down = x - column, y - row
    upper = table[row, column] * (1.0 - right) + table[row, column + 1] * right
    lower = table[row + 1, column] * (1.0 - right) + table[row + 1, column + 1] * right
    return np.asarray(upper * (1.0 - down) + lower * down)


def _snapped(value: float) -> float:
    """A tile coordinate without rounding error: the nearest cell corner if it is very close."""
    nearest = round(value * CELLS_PER_TILE) / CELLS_PER_TILE
    return nearest if abs(value - nearest) < 1e-4 else value
