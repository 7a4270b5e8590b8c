"""The base map of the page: the map view rendered in pieces, as sharp as the size of the page allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.explorer.maps.cartography import UNSEEN_LAYERS, Bytes, encode_picture
from placevec.explorer.maps.pictures import Box, MapPictures
from placevec.geo import TILE_PX, Floats
from placevec.io.progress import SILENT, Advance, Progress

MAX_PIXELS = 45_000_000
"""Maximum number of pixels of the base map; empty tiles do not count."""
OVERVIEW_PX = 1024
PIECE_PX = 1024
QUALITY = 70

Tiles = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole tiles."""


@dataclass(frozen=True)
class Basemap:
    """Encoded images and their bounding boxes.

    Attributes:
        pieces: box and image of each piece with details.
        overview: box and image of the whole map at low resolution.
        px_per_tile: resolution of the pieces.
        overview_px_per_tile: resolution of the overview.
    """

    pieces: list[tuple[Box, bytes]]
    overview: tuple[Box, bytes]
    px_per_tile: float
    overview_px_per_tile: float


def draw_basemap(pictures: MapPictures, footprints: Floats, progress: Progress = SILENT) -> Basemap | None:
    """The map around the (N, 4) footprints, as sharp as `MAX_PIXELS` allows; None if the map is empty there."""
    box = _around(footprints, pictures.bounds)
    if box is None:
        return None
    filled, detailed = _content(pictures, box)
    if not filled.any():
        return None
    px = TILE_PX
    while px > 1 and int(detailed.sum()) * px * px > MAX_PIXELS:
        px //= 2
    meters = pictures.meters_per_tile((box[1] + box[3]) / 2.0) / px
    whole = _Overview(box, px, pictures)
    pieces = []
    with progress.task("Drawing the map", total=int(detailed.sum())) as advance:
        for piece, coverage in _coverage_pieces(pictures, box, filled, detailed, px, advance):
            picture = pictures.picture(coverage, meters)
            pieces.append((piece, encode_picture(picture, QUALITY)))
            whole.add(piece, picture)
    return Basemap(pieces, (whole.box, encode_picture(whole.picture, QUALITY)), float(px), whole.px_per_tile)


def _around(footprints: Floats, bounds: Box) -> Tiles | None:
    """Whole tiles around the places with a margin, clipped to the map."""
    known = footprints[np.isfinite(footprints).all(axis=1)]
    if not len(known):
        return None
    (x0, y0), (x1, y1) = known[:, :2].min(axis=0).tolist(), known[:, 2:].max(axis=0).tolist()
    margin = 1.0 + 0.25 * max(x1 - x0, y1 - y0)
    box = (
        math.floor(max(x0 - margin, bounds[0]) + 1e-9), math.floor(max(y0 - margin, bounds[1]) + 1e-9),
        math.ceil(min(x1 + margin, bounds[2]) - 1e-9), math.ceil(min(y1 + margin, bounds[3]) - 1e-9),
    )  # fmt: skip
    return box if box[2] > box[0] and box[3] > box[1] else None


def _content(pictures: MapPictures, box: Tiles) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tiles of a box, two (rows, columns) bool arrays: tiles with any content, and tiles that are not uniform.

    Open sea and empty land need no piece: the overview is sufficient.
    """
    painted = np.array([name not in UNSEEN_LAYERS for name in pictures.layers])
    rows, columns = (_cells(pictures, box, axis) for axis in (1, 0))
    values = pictures.coarse[np.ix_(np.flatnonzero(painted), np.concatenate(rows), np.concatenate(columns))]
    starts = [np.cumsum([0, *(len(cells) for cells in group[:-1])]) for group in (rows, columns)]
    most = np.maximum.reduceat(np.maximum.reduceat(values, starts[0], axis=1), starts[1], axis=2)
    least = np.minimum.reduceat(np.minimum.reduceat(values, starts[0], axis=1), starts[1], axis=2)
    filled: NDArray[np.bool_] = np.any(most > 0, axis=0)
    varied: NDArray[np.bool_] = np.any(most != least, axis=0)
    return filled, filled if pictures.cells_per_tile <= 1.0 else filled & varied


def _cells(pictures: MapPictures, box: Tiles, axis: int) -> list[NDArray[np.int64]]:
    """Indices of the coarse cells along an axis (0: x, 1: y) in each tile of a box: at least one per tile."""
    count = pictures.coarse.shape[2 - axis]
    start, end = pictures.bounds[axis], pictures.bounds[axis + 2]
    edges = (np.arange(box[axis], box[axis + 2] + 1) - start) * count / (end - start)
    low = np.clip(np.floor(edges[:-1] + 1e-6), 0, count - 1).astype(np.int64)
    high = np.clip(np.ceil(edges[1:] - 1e-6), low + 1, count).astype(np.int64)
    return [np.arange(a, b) for a, b in zip(low, high, strict=True)]


def _coverage_pieces(
    pictures: MapPictures,
    box: Tiles,
    filled: NDArray[np.bool_],
    detailed: NDArray[np.bool_],
    px: int,
    advance: Advance,
) -> Iterator[tuple[Box, Bytes]]:
    """Box and (C, H, W) coverage of every piece with details, read tile by tile."""
    tiles = max(1, PIECE_PX // px)
    for row in range(0, filled.shape[0], tiles):
        for column in range(0, filled.shape[1], tiles):
            part = np.s_[row : row + tiles, column : column + tiles]
            if not detailed[part].any():
                continue
            high, wide = filled[part].shape
            x, y = float(box[0] + column), float(box[1] + row)
            coverage = pictures.blank(high * px, wide * px)
            for i, j in zip(*np.nonzero(filled[part]), strict=True):
                tile = (x + j, y + i, x + j + 1.0, y + i + 1.0)
                coverage[:, i * px : (i + 1) * px, j * px : (j + 1) * px] = pictures.read(tile, px)
            advance(int(detailed[part].sum()))
            yield (x, y, x + wide, y + high), coverage


class _Overview:
    """A low-resolution image of the whole box, drawn from the coarse raster and then from the sharper pieces."""

    def __init__(self, box: Tiles, px: int, pictures: MapPictures) -> None:
        self.px_per_tile = min(float(px), OVERVIEW_PX / max(box[2] - box[0], box[3] - box[1]))
        width = max(1, math.ceil((box[2] - box[0]) * self.px_per_tile))
        height = max(1, math.ceil((box[3] - box[1]) * self.px_per_tile))
        self.origin = box[:2]
        # The last column and row may extend beyond the tiles.
        self.box = (
            float(box[0]), float(box[1]), box[0] + width / self.px_per_tile, box[1] + height / self.px_per_tile,
        )  # fmt: skip
        meters = pictures.meters_per_tile((box[1] + box[3]) / 2.0) / self.px_per_tile
        self.picture = pictures.picture(pictures.read_coarse(self.box, width, height), meters)

    def add(self, piece: Box, picture: Bytes) -> None:
        """Draw a piece, scaled down."""
        left, right = (round((x - self.origin[0]) * self.px_per_tile) for x in (piece[0], piece[2]))
        top, bottom = (round((y - self.origin[1]) * self.px_per_tile) for y in (piece[1], piece[3]))
        right, bottom = min(right, self.picture.shape[1]), min(bottom, self.picture.shape[0])
        if right > left and bottom > top:
            small = cv2.resize(picture, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
            self.picture[top:bottom, left:right] = small
