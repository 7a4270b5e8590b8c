"""One shard's drawings become bits: OpenCV fills polygons, a square of 4 x 4 tiles at a time.

A square is a megabyte, which stays in the processor's cache. What OpenCV needs to be told (measured, see
``tests/views/test_drawing.py``): its whole numbers are the centres of pixels, so half a pixel goes off; it draws
an outline around what it fills, so polygons are drawn in by half a pixel; several polygons in one call cancel
each other where they overlap, so every one is a call of its own; and the time of a call grows with the height of
the polygon, so large ones are cut first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from placevec.geo import TILE_PX
from placevec.sources.paths import Floats, Ints, Paths
from placevec.views.clip import inset, spread_rings
from placevec.views.coverage import CELL_PX, CELLS_PER_TILE
from placevec.views.layers import How
from placevec.views.shards import SHARD_TILES
from placevec.views.spool import SEA, Drawings

_SQUARE_TILES = 4
_SQUARES = SHARD_TILES // _SQUARE_TILES
_SQUARE_PX = _SQUARE_TILES * TILE_PX
_MARGIN_PX = 16.0
_SUBPIXEL_BITS = 4
_THIN_PX = 1.5
"""Lines narrower than this are drawn a pixel thick; wider ones are outlined and filled."""
_CIRCLE_VERTICES = 24
_OUTLINE = np.array([-1.0, -1.0, 1.0, 1.0])
"""By how much what is drawn may reach over the vertices' box, pixels."""
_ROUND_SEGMENTS = 3
"""Segments a quarter turn at the ends and bends of lines."""

Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Square:
    """What one channel shows in a square of 4 x 4 tiles.

    Attributes:
        channel: number of the channel.
        tile_x, tile_y: (K,) int64 tiles of the shard that are not empty.
        blocks: (K, 256, 32) uint8, eight pixels a byte, westernmost highest.
        counts: (K, 16, 16) uint16 pixels set in each coverage cell, 0..256.
        has_content: (K,) bool: whether more than the sea is in the tile.
    """

    channel: int
    tile_x: Ints
    tile_y: Ints
    blocks: Bits
    counts: NDArray[np.uint16]
    has_content: NDArray[np.bool_]


def draw_shard(drawings: Drawings, wanted: NDArray[np.bool_]) -> Iterator[Square]:
    """Draw everything of a shard in the tiles ``wanted`` (64, 64) bool [y, x]; squares without content are left out."""
    cv2.setNumThreads(1)  # polygons are small, and OpenCV's threads do not survive a fork
    pieces = _cut_to_squares(_outline(drawings))
    canvas = np.zeros((_SQUARE_PX, _SQUARE_PX), np.uint8)
    for group in pieces.groups():
        y, x = divmod(group.square, _SQUARES)
        here = np.s_[y * _SQUARE_TILES : (y + 1) * _SQUARE_TILES, x * _SQUARE_TILES : (x + 1) * _SQUARE_TILES]
        square = _draw_group(canvas, group, wanted[here])
        if square is not None:
            yield square


# --- shapes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shapes:
    """Polygons to fill, and lines a pixel thick, in pixels of the shard; ``how`` is FILL, SEA or LINE (thin)."""

    channel: NDArray[np.uint8]
    how: NDArray[np.uint8]
    paths: Paths


def _outline(drawings: Drawings) -> _Shapes:
    """Everything as polygons that are moved in by what their outline adds, apart from thin lines."""
    is_line = drawings.how == How.LINE
    thin = is_line & (drawings.width < _THIN_PX)
    is_point = drawings.how == How.POINT
    shapers = (
        (~is_line & ~is_point, _fills),
        (is_line & ~thin, _buffers),
        (is_point, _discs),
        (thin, _as_they_are),
    )
    parts = [_Shapes(np.zeros(0, np.uint8), np.zeros(0, np.uint8), Paths.of([]))]
    for chosen, shaper in shapers:
        if chosen.any():
            some = drawings.take(np.flatnonzero(chosen))
            paths, origin = shaper(some)
            how = some.how[origin]
            if shaper is not _as_they_are:
                how = np.where(how == SEA, SEA, How.FILL).astype(np.uint8)
            parts.append(_Shapes(some.channel[origin], how, paths))
    return _Shapes(
        np.concatenate([part.channel for part in parts]),
        np.concatenate([part.how for part in parts]),
        Paths.concatenate([part.paths for part in parts]),
    )


def _as_they_are(drawings: Drawings) -> tuple[Paths, Ints]:
    return drawings.paths, np.arange(len(drawings))


def _fills(drawings: Drawings) -> tuple[Paths, Ints]:
    """Areas, and the row that each is of."""
    return inset(_open_rings(drawings.paths)), np.arange(len(drawings))


def _buffers(drawings: Drawings) -> tuple[Paths, Ints]:
    """Lines as polygons of their width, with round ends, so that stretches join; and their rows."""
    paths = drawings.paths
    rows = paths.path_rows
    long = np.diff(paths.path_offsets) > 1
    vertex_paths = np.repeat(np.cumsum(long) - 1, np.diff(paths.path_offsets))
    keep = np.repeat(long, np.diff(paths.path_offsets))
    lines = shapely.linestrings(paths.xy[keep], indices=vertex_paths[keep])
    rows = rows[long]
    # GEOS gives buffers shells of negative area and holes of positive area, as `inset` wants them.
    buffers = shapely.buffer(lines, drawings.width[rows] / 2.0, quad_segs=_ROUND_SEGMENTS)
    polygons, part = shapely.get_parts(buffers, return_index=True)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    shaped = Paths(xy, _starts(ring, len(rings)), _starts(polygon, len(polygons)))
    return inset(_open_rings(shaped)), rows[part]


def _discs(drawings: Drawings) -> tuple[Paths, Ints]:
    """Points as regular polygons of the disc's area, and their rows."""
    turn = 2.0 * np.pi / _CIRCLE_VERTICES
    angles = turn * np.arange(_CIRCLE_VERTICES)
    same_area = np.sqrt(turn / np.sin(turn))
    radius = drawings.width / 2.0 * same_area
    centres = drawings.paths.xy[drawings.paths.row_vertices[:-1]]
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    xy = centres[:, None] + radius[:, None, None] * circle
    offsets = _CIRCLE_VERTICES * np.arange(len(centres) + 1, dtype=np.int64)
    return inset(Paths.single(xy.reshape(-1, 2), offsets)), np.arange(len(centres))


def _open_rings(paths: Paths) -> Paths:
    """Rings without their first vertex repeated at the end."""
    last = paths.path_offsets[1:] - 1
    sizes = np.diff(paths.path_offsets)
    repeated = (sizes > 1) & np.all(paths.xy[last] == paths.xy[paths.path_offsets[:-1]], axis=1)
    keep = np.ones(len(paths.xy), bool)
    keep[last[repeated]] = False
    offsets = np.concatenate([[0], np.cumsum(sizes - repeated)]).astype(np.int64)
    return Paths(paths.xy[keep], offsets, paths.row_offsets)


def _starts(numbers: Ints, total: int) -> Ints:
    """Offsets of groups from the sorted group number of each member."""
    return np.searchsorted(numbers, np.arange(total + 1)).astype(np.int64)


# --- squares -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """What one channel draws in one square: rings in sixteenths of a pixel from its corner, and where they lie."""

    square: int
    channel: int
    fills: list[list[NDArray[np.int32]]]
    sea: list[list[NDArray[np.int32]]]
    thin: list[NDArray[np.int32]]
    covered: bool
    covered_by_sea: bool
    tiles: NDArray[np.bool_]
    sea_tiles: NDArray[np.bool_]


@dataclass(frozen=True)
class _Pieces:
    """Shapes cut to squares: their square, and whether they cover all of it."""

    square: Ints
    channel: NDArray[np.uint8]
    how: NDArray[np.uint8]
    covers: NDArray[np.bool_]
    paths: Paths

    def groups(self) -> Iterator[_Group]:
        """By square, then channel, then whether it is sea or thin."""
        if not len(self.square):
            return
        order = np.lexsort((self.how, self.channel, self.square))
        square, channel, how, covers = (
            part[order] for part in (self.square, self.channel, self.how, self.covers)
        )
        paths = self.paths.take(order)
        corner = np.stack([square % _SQUARES, square // _SQUARES], axis=1) * float(_SQUARE_PX)
        starts = np.concatenate([[0], np.flatnonzero((np.diff(square) != 0) | (np.diff(channel) != 0)) + 1])
        group = np.zeros(len(order), np.int64)
        group[starts[1:]] = 1
        tiles = np.floor((paths.bounds() - np.tile(corner, 2) + _OUTLINE) / TILE_PX)
        marked = _marked(2 * np.cumsum(group) + (how == SEA), tiles, 2 * len(starts))
        fixed = paths.xy - np.repeat(corner + 0.5, np.diff(paths.row_vertices), axis=0)
        rings = _split(np.rint(fixed * 2**_SUBPIXEL_BITS).astype(np.int32), paths.path_offsets)
        rows, bounds = paths.row_offsets.tolist(), [*starts.tolist(), len(order)]
        for number, (first, end) in enumerate(pairwise(bounds)):
            # `how` is sorted within the group: fills, thin lines, sea.
            thin, sea = (first + np.searchsorted(how[first:end], [How.LINE, SEA])).tolist()
            yield _Group(
                int(square[first]),
                int(channel[first]),
                [rings[rows[row] : rows[row + 1]] for row in range(first, thin)],
                [rings[rows[row] : rows[row + 1]] for row in range(sea, end)],
                rings[rows[thin] : rows[sea]],
                bool(covers[first:thin].any()),
                bool(covers[sea:end].any()),
                marked[2 * number],
                marked[2 * number + 1],
            )


def _split(fixed: NDArray[np.int32], offsets: Ints) -> list[NDArray[np.int32]]:
    cuts = offsets.tolist()
    return [fixed[a:b] for a, b in pairwise(cuts)]


def _marked(group: Ints, tiles: Floats, groups: int) -> NDArray[np.bool_]:
    """(groups, tiles, tiles) bool [y, x]: tiles of a square inside any of its group's ranges x0, y0, x1, y1."""
    x0, y0, x1, y1 = np.clip(tiles, 0, _SQUARE_TILES - 1).astype(np.int64).T
    side = _SQUARE_TILES + 1
    corners = ((y0, x0, 1), (y0, x1 + 1, -1), (y1 + 1, x0, -1), (y1 + 1, x1 + 1, 1))
    steps = np.zeros(groups * side * side, np.int64)
    for y, x, step in corners:
        steps += step * np.bincount((group * side + y) * side + x, minlength=len(steps))
    return np.asarray(steps.reshape(groups, side, side).cumsum(1).cumsum(2)[:, :-1, :-1] > 0)


def _cut_to_squares(shapes: _Shapes) -> _Pieces:
    """Give every shape to the squares that it touches, large ones cut to them."""
    boxes = shapes.paths.bounds()
    squares = np.floor((boxes + _OUTLINE) / _SQUARE_PX).astype(np.int64)
    inside = (squares[:, 2:] >= 0).all(1) & (squares[:, :2] < _SQUARES).all(1)
    squares = np.clip(squares, 0, _SQUARES - 1)
    # OpenCV clips what it draws, in a time that grows with the height: only what is tall is cut first.
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    tall = (sides > 2 * _SQUARE_PX) & (shapes.how != How.LINE)
    small = np.flatnonzero(inside & ~tall)
    columns, rows = (squares[small, 2:] - squares[small, :2] + 1).T
    which = np.repeat(np.arange(len(small)), columns * rows)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(columns * rows) - columns * rows, columns * rows)
    x, y = squares[small, 0][which] + nth % columns[which], squares[small, 1][which] + nth // columns[which]
    square, origin, covers = [y * _SQUARES + x], [small[which]], [np.zeros(len(which), bool)]
    paths = [shapes.paths.take(small[which])]
    for row in np.flatnonzero(inside & tall).tolist():
        x0, y0, x1, y1 = squares[row].tolist()
        found = list(spread_rings(shapes.paths.row(row), (x0, y0, x1, y1), _SQUARE_PX, _MARGIN_PX))
        square.append(np.array([y * _SQUARES + x for x, y, _, _ in found], np.int64))
        origin.append(np.full(len(found), row, np.int64))
        covers.append(np.array([covered for _, _, _, covered in found], bool))
        paths.append(Paths.of([cut for _, _, cut, _ in found]))
    index = np.concatenate(origin)
    return _Pieces(
        np.concatenate(square), shapes.channel[index], shapes.how[index], np.concatenate(covers),
        Paths.concatenate(paths),
    )  # fmt: skip


# --- bits --------------------------------------------------------------------------------------------------


def _draw_group(canvas: Bits, group: _Group, wanted: NDArray[np.bool_]) -> Square | None:
    """Draw a group on the canvas, take the tiles that are not empty off it, and leave the canvas clean."""
    drawn = group.tiles | group.sea_tiles
    touched, content = wanted & drawn, wanted & group.tiles
    if not touched.any():
        return None
    if group.covered or group.covered_by_sea:
        taken = _full(touched)
    if not group.covered:
        _draw(canvas, group.fills, group.thin)
        if group.sea_tiles.any():
            content = _not_empty(canvas, content)
        if not group.covered_by_sea:
            _draw(canvas, group.sea, [])
            taken = _take(canvas, touched)
        _clean(canvas, drawn)
    tile_y, tile_x, blocks, counts = taken
    if not len(tile_y):
        return None
    y, x = divmod(group.square, _SQUARES)
    shard_x, shard_y = x * _SQUARE_TILES + tile_x, y * _SQUARE_TILES + tile_y
    return Square(group.channel, shard_x, shard_y, blocks, counts, content[tile_y, tile_x])


def _draw(canvas: Bits, fills: list[list[NDArray[np.int32]]], thin: list[NDArray[np.int32]]) -> None:
    for rings in fills:
        cv2.fillPoly(canvas, rings, 1, cv2.LINE_8, _SUBPIXEL_BITS)
    if thin:
        cv2.polylines(canvas, thin, False, 1, 1, cv2.LINE_8, _SUBPIXEL_BITS)


def _clean(canvas: Bits, drawn: NDArray[np.bool_]) -> None:
    """Empty the rows of tiles in which something was drawn."""
    first, last = np.flatnonzero(drawn.any(axis=1))[[0, -1]].tolist()
    canvas[first * TILE_PX : (last + 1) * TILE_PX] = 0


def _not_empty(canvas: Bits, tiles: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(4, 4) bool: those of ``tiles`` in which a pixel is set."""
    pixels = canvas.reshape(_SQUARE_TILES, TILE_PX, _SQUARE_TILES, TILE_PX)
    found = np.zeros_like(tiles)
    for y, x in np.argwhere(tiles).tolist():
        found[y, x] = pixels[y, :, x].max()
    return found


_Taken = tuple[Ints, Ints, Bits, NDArray[np.uint16]]
"""Row and column of K tiles, their bits (K, 256, 32), and how many are set in each coverage cell (K, 16, 16)."""


def _take(canvas: Bits, touched: NDArray[np.bool_]) -> _Taken:
    """Those of the tiles ``touched`` that are not empty."""
    y, x = np.nonzero(touched)
    first, last = int(y[0]), int(y[-1])
    rows = np.packbits(canvas[first * TILE_PX : (last + 1) * TILE_PX].reshape(-1))
    blocks = rows.reshape(-1, TILE_PX, _SQUARE_TILES, TILE_PX // 8)[y - first, :, x]
    counts = _count_cells(blocks)
    some = counts.any(axis=(1, 2))
    return (y, x, blocks, counts) if some.all() else (y[some], x[some], blocks[some], counts[some])


def _count_cells(blocks: Bits) -> NDArray[np.uint16]:
    """(K, 16, 16) bits set in each coverage cell of (K, 256, 32) packed tiles."""
    # At most 8 bits in each byte of 16 rows: their sum fits into a byte, so eight are added at a time.
    sums = _bits_set(blocks).reshape(len(blocks) * CELLS_PER_TILE, -1)
    while sums.shape[1] > TILE_PX // 64:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    halves = sums.view(np.uint8).reshape(-1, CELLS_PER_TILE, CELLS_PER_TILE, 2)
    return halves[..., 0].astype(np.uint16) + halves[..., 1]


def _full(touched: NDArray[np.bool_]) -> _Taken:
    """The tiles ``touched``, all of their pixels set."""
    y, x = np.nonzero(touched)
    blocks = np.full((len(y), TILE_PX, TILE_PX // 8), 255, np.uint8)
    return y, x, blocks, np.full((len(y), CELLS_PER_TILE, CELLS_PER_TILE), CELL_PX * CELL_PX, np.uint16)


def _bits_set(blocks: Bits) -> NDArray[np.uint64]:
    """How many bits each byte has set, eight bytes in a number."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(blocks).view(np.uint64)
    return np.array([bin(byte).count("1") for byte in range(256)], np.uint8)[blocks].view(np.uint64)
