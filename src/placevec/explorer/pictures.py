"""Pictures cut out of the map view: the ground under the map pane, and a small preview of every place.

Positions are fractional tile coordinates at the map's zoom (x eastwards, y southwards), as in `placevec.geo`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.explorer.cartography import PICTURE_TYPE, Bytes, encode_picture, paint
from placevec.explorer.template import base64_of
from placevec.geo import TILE_PX, Floats, metres_per_pixel, tile_xy_to_lonlat
from placevec.progress import SILENT, Progress
from placevec.views.blocks import ShardFolder
from placevec.views.coverage import Coverage

if TYPE_CHECKING:
    from placevec.dataset import Dataset

GROUND_PIXELS = 14_000_000
"""Most pixels that the ground under the map may have."""
OVERVIEW_PX = 1024
PIECE_PX = 1024
COARSE_PX = 4096
"""Longest side of the coverage raster as it is read here."""
PREVIEW_SHEET_COLUMNS = 16
PREVIEW_SIZES = ((2_000, 96), (8_000, 64), (1 << 62, 48))
"""Side of a preview in pixels, by the number of places up to which it is used."""
GROUND_QUALITY, PREVIEW_QUALITY = 72, 55


@dataclass
class MapPictures:
    """Reads coverage of every layer for any box, from the shards when near and from the coverage raster when far.

    Attributes:
        layers: names of the channels.
        zoom: of the map.
        coarse: (C, h, w) uint8 coverage of the whole map, coarse.
        bounds: (x0, y0, x1, y1) of ``coarse``.
        shards: the native pixels.
    """

    layers: tuple[str, ...]
    zoom: int
    coarse: Bytes
    bounds: tuple[float, float, float, float]
    shards: ShardFolder

    @classmethod
    def of(cls, dataset: Dataset) -> MapPictures:
        """The pictures of a dataset that has a map."""
        layers = tuple(dataset.map_spec.channels)
        coarse, bounds = Coverage(dataset.path / "map_coverage.tif").overview(COARSE_PX)
        shards = ShardFolder(dataset.path / "map", zoom=dataset.zoom, bands=len(layers))
        return cls(layers, dataset.zoom, coarse, bounds, shards)

    @property
    def cells_per_tile(self) -> float:
        """Cells of ``coarse`` along the side of a tile."""
        return float(self.coarse.shape[2] / (self.bounds[2] - self.bounds[0]))

    def read(self, x0: float, y0: float, x1: float, y1: float, size: int) -> Bytes:
        """(C, size, size) uint8 coverage of a box; zeros beyond the map."""
        if (x1 - x0) * self.cells_per_tile >= size:
            return self._read_coarse(x0, y0, x1, y1, size)
        left, top = round(x0 * TILE_PX), round(y0 * TILE_PX)
        shape = max(1, round((y1 - y0) * TILE_PX)), max(1, round((x1 - x0) * TILE_PX))
        native = np.zeros((len(self.layers), *shape), np.uint8)
        out = np.zeros((len(self.layers), size, size), np.uint8)
        for channel in self.shards.read_into(native, left, top, range(len(self.layers))):
            cv2.resize(native[channel], (size, size), dst=out[channel], interpolation=cv2.INTER_AREA)
        return out

    def _read_coarse(self, x0: float, y0: float, x1: float, y1: float, size: int) -> Bytes:
        scale_x = self.coarse.shape[2] / (self.bounds[2] - self.bounds[0])
        scale_y = self.coarse.shape[1] / (self.bounds[3] - self.bounds[1])
        left, right = round((x0 - self.bounds[0]) * scale_x), round((x1 - self.bounds[0]) * scale_x)
        top, bottom = round((y0 - self.bounds[1]) * scale_y), round((y1 - self.bounds[1]) * scale_y)
        window = np.zeros((len(self.layers), max(1, bottom - top), max(1, right - left)), np.uint8)
        rows = slice(max(top, 0), max(min(bottom, self.coarse.shape[1]), 0))
        columns = slice(max(left, 0), max(min(right, self.coarse.shape[2]), 0))
        part = self.coarse[:, rows, columns]
        if part.size:
            window[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = part
        return np.stack([cv2.resize(band, (size, size), interpolation=cv2.INTER_AREA) for band in window])

    def metres_per_tile(self, y: float) -> float:
        """Ground metres of a tile's side at a row."""
        return float(metres_per_pixel(tile_xy_to_lonlat([0.0, y], self.zoom)[1], self.zoom)) * TILE_PX


# --- previews ----------------------------------------------------------------------------------------------


@dataclass
class Previews:
    """Small pictures of places, and the share of every layer that was counted on the way.

    Attributes:
        content: what the page's ``placevec-previews`` block holds.
        shares: (N, C) float32, 0..1; NaN for places without a footprint.
        px: side of one preview.
    """

    content: dict[str, Any]
    shares: NDArray[np.float32]
    px: int


def draw_previews(pictures: MapPictures, footprints: Floats, progress: Progress = SILENT) -> Previews:
    """A preview of the ground in each of the (N, 4) footprints, packed into sheets of equal squares."""
    count = len(footprints)
    px = next(side for most, side in PREVIEW_SIZES if count <= most)
    shares = np.full((count, len(pictures.layers)), np.nan, np.float32)
    per_sheet = PREVIEW_SHEET_COLUMNS**2
    sheets = []
    with progress.task("Drawing previews", total=count) as advance:
        for start in range(0, count, per_sheet):
            rows = min(per_sheet, count - start)
            high = -(-rows // PREVIEW_SHEET_COLUMNS)
            sheet = np.zeros((len(pictures.layers), high * px, PREVIEW_SHEET_COLUMNS * px), np.uint8)
            for number, box in enumerate(footprints[start : start + rows]):
                if not np.isfinite(box).all():
                    continue
                coverage = pictures.read(*box.tolist(), px)
                shares[start + number] = coverage.mean(axis=(1, 2), dtype=np.float32) / 255.0
                row, column = divmod(number, PREVIEW_SHEET_COLUMNS)
                sheet[:, row * px : (row + 1) * px, column * px : (column + 1) * px] = coverage
            metres = _typical_metres(pictures, footprints[start : start + rows]) / px
            sheets.append(base64_of(encode_picture(paint(sheet, pictures.layers, metres), PREVIEW_QUALITY)))
            advance(rows)
    content = {"type": PICTURE_TYPE, "px": px, "columns": PREVIEW_SHEET_COLUMNS, "sheets": sheets}
    return Previews(content, shares, px)


def _typical_metres(pictures: MapPictures, footprints: Floats) -> float:
    known = footprints[np.isfinite(footprints).all(axis=1)]
    if not len(known):
        return 1.0
    middle = float(np.median(known[:, [1, 3]]))
    return float(np.median(known[:, 2] - known[:, 0])) * pictures.metres_per_tile(middle)


# --- ground ------------------------------------------------------------------------------------------------


@dataclass
class Ground:
    """The picture under the map pane, in pieces.

    Attributes:
        pieces: (x0, y0, x1, y1) and encoded picture of each.
        overview: the same for the whole, small; None when there is only one piece.
        px_per_tile: resolution of the pieces.
        overview_px_per_tile: resolution of the overview.
    """

    pieces: list[tuple[tuple[float, float, float, float], bytes]]
    overview: tuple[tuple[float, float, float, float], bytes] | None
    px_per_tile: float
    overview_px_per_tile: float


def draw_ground(pictures: MapPictures, footprints: Floats, progress: Progress = SILENT) -> Ground | None:
    """The map around the (N, 4) footprints, as sharp as `GROUND_PIXELS` allow; None when there is nothing."""
    box = _around(footprints, pictures.bounds)
    if box is None:
        return None
    occupied = _occupied(pictures, box)
    if not occupied.any():
        return None
    px = TILE_PX
    while px > 1 and int(occupied.sum()) * px * px > GROUND_PIXELS:
        px //= 2
    metres = pictures.metres_per_tile((box[1] + box[3]) / 2.0) / px
    small_px = min(float(px), OVERVIEW_PX / max(box[2] - box[0], box[3] - box[1]))
    side = max(1, math.ceil((box[2] - box[0]) * small_px)), max(1, math.ceil((box[3] - box[1]) * small_px))
    whole = paint(np.zeros((len(pictures.layers), side[1], side[0]), np.uint8), pictures.layers, metres)
    pieces = []
    with progress.task("Drawing the map", total=int(occupied.sum())) as advance:
        for piece, coverage in _coverage_pieces(pictures, box, occupied, px, advance):
            picture = paint(coverage, pictures.layers, metres)
            pieces.append((piece, encode_picture(picture, GROUND_QUALITY)))
            _shrink_into(whole, picture, piece, box, small_px)
    overview = None if len(pieces) == 1 else (_box_of(box, whole, small_px), encode_picture(whole, GROUND_QUALITY))
    return Ground(pieces, overview, float(px), small_px)


def _around(footprints: Floats, bounds: tuple[float, float, float, float]) -> tuple[int, int, int, int] | None:
    """Whole tiles around the places with some margin, cut to the map."""
    known = footprints[np.isfinite(footprints).all(axis=1)]
    if not len(known):
        return None
    x0, y0, x1, y1 = *known[:, :2].min(axis=0), *known[:, 2:].max(axis=0)
    margin = 1.0 + 0.25 * max(x1 - x0, y1 - y0)
    box = (
        math.floor(max(x0 - margin, bounds[0]) + 1e-9), math.floor(max(y0 - margin, bounds[1]) + 1e-9),
        math.ceil(min(x1 + margin, bounds[2]) - 1e-9), math.ceil(min(y1 + margin, bounds[3]) - 1e-9),
    )  # fmt: skip
    return box if box[2] > box[0] and box[3] > box[1] else None


def _occupied(pictures: MapPictures, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """(rows, columns) bool: tiles of a box in which anything is painted, by the coarse raster."""
    painted = [channel for channel, name in enumerate(pictures.layers) if name != "places"]
    anything = (pictures.coarse[painted] > 0).any(axis=0)
    rows, columns = np.nonzero(anything)
    height, width = anything.shape
    x0, y0, x1, y1 = pictures.bounds
    occupied = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    # A cell of the coarse raster may be larger than a tile: mark all tiles that it touches.
    steps = max(1, math.ceil(1.0 / pictures.cells_per_tile))
    for step_x in range(steps):
        for step_y in range(steps):
            tile_x = np.floor(x0 + (columns + (step_x + 0.5) / steps) / width * (x1 - x0)).astype(int) - box[0]
            tile_y = np.floor(y0 + (rows + (step_y + 0.5) / steps) / height * (y1 - y0)).astype(int) - box[1]
            inside = (tile_x >= 0) & (tile_y >= 0) & (tile_x < occupied.shape[1]) & (tile_y < occupied.shape[0])
            occupied[tile_y[inside], tile_x[inside]] = True
    return occupied


def _coverage_pieces(
    pictures: MapPictures, box: tuple[int, int, int, int], occupied: NDArray[np.bool_], px: int, advance: Any
) -> Iterator[tuple[tuple[float, float, float, float], Bytes]]:
    """(box, coverage) of every piece that holds something, tile by tile."""
    tiles = max(1, PIECE_PX // px)
    for row in range(0, occupied.shape[0], tiles):
        for column in range(0, occupied.shape[1], tiles):
            inside = occupied[row : row + tiles, column : column + tiles]
            if not inside.any():
                continue
            high, wide = inside.shape
            coverage = np.zeros((len(pictures.layers), high * px, wide * px), np.uint8)
            for i, j in zip(*np.nonzero(inside), strict=True):
                x, y = float(box[0] + column + j), float(box[1] + row + i)
                coverage[:, i * px : (i + 1) * px, j * px : (j + 1) * px] = pictures.read(x, y, x + 1, y + 1, px)
            advance(int(inside.sum()))
            x, y = float(box[0] + column), float(box[1] + row)
            yield (x, y, x + wide, y + high), coverage


def _shrink_into(
    whole: Bytes, picture: Bytes, piece: tuple[float, ...], box: tuple[int, int, int, int], px_per_tile: float
) -> None:
    left, top = round((piece[0] - box[0]) * px_per_tile), round((piece[1] - box[1]) * px_per_tile)
    right = min(whole.shape[1], round((piece[2] - box[0]) * px_per_tile))
    bottom = min(whole.shape[0], round((piece[3] - box[1]) * px_per_tile))
    if right > left and bottom > top:
        size = (right - left, bottom - top)
        whole[top:bottom, left:right] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _box_of(
    box: tuple[int, int, int, int], whole: Bytes, px_per_tile: float
) -> tuple[float, float, float, float]:
    """The box that the overview covers: its last column and row may reach beyond."""
    return (
        float(box[0]), float(box[1]), box[0] + whole.shape[1] / px_per_tile, box[1] + whole.shape[0] / px_per_tile,
    )  # fmt: skip
