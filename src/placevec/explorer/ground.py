"""The picture under the map pane: the map view painted for people, in pieces, as sharp as the page can carry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.explorer.cartography import UNSEEN_LAYERS, Bytes, encode_picture, paint
from placevec.explorer.pictures import Box, MapPictures
from placevec.geo import TILE_PX, Floats
from placevec.progress import SILENT, Advance, Progress

GROUND_PIXELS = 24_000_000
"""Most pixels that the ground may have; tiles without content are free."""
OVERVIEW_PX = 1024
PIECE_PX = 1024
QUALITY = 70

Tiles = tuple[int, int, int, int]
"""x0, y0, x1, y1 of whole tiles."""


@dataclass(frozen=True)
class Ground:
    """Encoded pictures and where they lie.

    Attributes:
        pieces: box and picture of each piece that shows anything.
        overview: the same for the whole, small; None when there is only one piece.
        px_per_tile: resolution of the pieces.
        overview_px_per_tile: resolution of the overview.
    """

    pieces: list[tuple[Box, bytes]]
    overview: tuple[Box, bytes] | None
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
    whole = _Overview(box, px, pictures)
    pieces = []
    with progress.task("Drawing the map", total=int(occupied.sum())) as advance:
        for piece, coverage in _coverage_pieces(pictures, box, occupied, px, advance):
            picture = paint(coverage, pictures.layers, metres)
            pieces.append((piece, encode_picture(picture, QUALITY)))
            whole.add(piece, picture)
    overview = None if len(pieces) == 1 else (whole.box, encode_picture(whole.picture, QUALITY))
    return Ground(pieces, overview, float(px), whole.px_per_tile)


def _around(footprints: Floats, bounds: Box) -> Tiles | None:
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


def _occupied(pictures: MapPictures, box: Tiles) -> NDArray[np.bool_]:
    """(rows, columns) bool: tiles of a box in which anything is painted, by the coarse raster."""
    painted = [channel for channel, name in enumerate(pictures.layers) if name not in UNSEEN_LAYERS]
    anything = (pictures.coarse[painted] > 0).any(axis=0)
    rows, columns = np.nonzero(anything)
    height, width = anything.shape
    x0, y0, x1, y1 = pictures.bounds
    occupied = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
    # A cell of the coarse raster may be larger than a tile: all tiles that it touches count.
    steps = max(1, math.ceil(1.0 / pictures.cells_per_tile))
    for across in (np.arange(steps) + 0.5) / steps:
        for down in (np.arange(steps) + 0.5) / steps:
            tile_x = np.floor(x0 + (columns + across) / width * (x1 - x0)).astype(int) - box[0]
            tile_y = np.floor(y0 + (rows + down) / height * (y1 - y0)).astype(int) - box[1]
            inside = (tile_x >= 0) & (tile_y >= 0) & (tile_x < occupied.shape[1]) & (tile_y < occupied.shape[0])
            occupied[tile_y[inside], tile_x[inside]] = True
    return occupied


def _coverage_pieces(
    pictures: MapPictures, box: Tiles, occupied: NDArray[np.bool_], px: int, advance: Advance
) -> Iterator[tuple[Box, Bytes]]:
    """Box and coverage (C, H, W) of every piece that holds something, read tile by tile."""
    tiles = max(1, PIECE_PX // px)
    for row in range(0, occupied.shape[0], tiles):
        for column in range(0, occupied.shape[1], tiles):
            inside = occupied[row : row + tiles, column : column + tiles]
            if not inside.any():
                continue
            high, wide = inside.shape
            x, y = float(box[0] + column), float(box[1] + row)
            coverage = np.zeros((len(pictures.layers), high * px, wide * px), np.uint8)
            for i, j in zip(*np.nonzero(inside), strict=True):
                tile = (x + j, y + i, x + j + 1.0, y + i + 1.0)
                coverage[:, i * px : (i + 1) * px, j * px : (j + 1) * px] = pictures.read(tile, px)
            advance(int(inside.sum()))
            yield (x, y, x + wide, y + high), coverage


class _Overview:
    """All pieces in one small picture."""

    def __init__(self, box: Tiles, px: int, pictures: MapPictures) -> None:
        self.px_per_tile = min(float(px), OVERVIEW_PX / max(box[2] - box[0], box[3] - box[1]))
        width = max(1, math.ceil((box[2] - box[0]) * self.px_per_tile))
        height = max(1, math.ceil((box[3] - box[1]) * self.px_per_tile))
        self.origin = box[:2]
        self.picture = paint(np.zeros((len(pictures.layers), height, width), np.uint8), pictures.layers, 1.0)
        # The last column and row may reach beyond the tiles.
        self.box = (
            float(box[0]), float(box[1]), box[0] + width / self.px_per_tile, box[1] + height / self.px_per_tile,
        )  # fmt: skip

    def add(self, piece: Box, picture: Bytes) -> None:
        """Shrink a piece into its place."""
        left, right = (round((x - self.origin[0]) * self.px_per_tile) for x in (piece[0], piece[2]))
        top, bottom = (round((y - self.origin[1]) * self.px_per_tile) for y in (piece[1], piece[3]))
        right, bottom = min(right, self.picture.shape[1]), min(bottom, self.picture.shape[0])
        if right > left and bottom > top:
            small = cv2.resize(picture, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
            self.picture[top:bottom, left:right] = small
