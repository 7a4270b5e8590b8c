"""Rasterizes the drawings of one shard to bits: OpenCV fills polygons, a square of 4 x 4 tiles at a time.

A square is a megabyte, which fits into the processor's cache. What to know about OpenCV (measured, see its test): its
integers are pixel centers, so half a pixel is subtracted; it draws an outline around what it fills (see
`rasterize.outlines`); several polygons in one call cancel each other where they overlap, so each one is a separate
call; and the time of a call grows with the height of the polygon, so large ones are clipped first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.datasets.views.raster.coverage import CELL_PX, CELLS_PER_TILE
from placevec.datasets.views.raster.shards import SHARD_TILES
from placevec.geo import TILE_PX
from placevec.geo.polylines import Floats, Ints, Paths
from placevec.preparation.rasterize.clip import cells_of, spread_rings
from placevec.preparation.rasterize.outlines import Shapes, outline
from placevec.preparation.rasterize.spool import SEA, Drawings
from placevec.sources.osm.layers import How

_SQUARE_TILES = 4
_SQUARES = SHARD_TILES // _SQUARE_TILES
_SQUARE_PX = _SQUARE_TILES * TILE_PX
_MARGIN_PX = 16.0
_SUBPIXEL_BITS = 4
_OUTLINE = np.array([-1.0, -1.0, 1.0, 1.0])
"""How far a drawing can extend beyond the box of its vertices, in pixels."""
_BATCH_TILES = 256
_STRIP_VERTICES = 30_000

Bits = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Rings = list[NDArray[np.int32]]


@dataclass(frozen=True)
class Tiles:
    """Tiles of a shard with content, each of one channel.

    Attributes:
        channel: (K,) index of the channel.
        x, y: (K,) int64 tile of the shard.
        blocks: (K, 256, 32) uint8, eight pixels per byte, westernmost highest.
        counts: (K, 16, 16) uint16 set pixels in each coverage cell, 0..256.
        has_content: (K,) bool: whether the tile has more than the sea.
    """

    channel: NDArray[np.uint8]
    x: Ints
    y: Ints
    blocks: Bits
    counts: NDArray[np.uint16]
    has_content: Flags

    def __len__(self) -> int:
        return len(self.channel)


def draw_shard(drawings: Drawings, wanted: Flags) -> Iterator[Tiles]:
    """Draw a shard in the tiles ``wanted`` (64, 64) bool [y, x]; empty tiles are left out."""
    cv2.setNumThreads(1)  # polygons are small, and OpenCV's threads do not survive a fork
    boxes = drawings.paths.bounds()
    reach = drawings.width / 2.0 + 2.0
    rows = np.stack([boxes[:, 1] - reach, boxes[:, 3] + reach], axis=1) // _SQUARE_PX
    rows = np.clip(rows, 0, _SQUARES - 1).astype(np.int64)
    is_large = rows[:, 1] - rows[:, 0] > 1
    large = _cut_to_squares(outline(drawings.take(np.flatnonzero(is_large))))
    for first, end in _strips(rows[:, 0], np.diff(drawings.paths.row_vertices)):
        here = ~is_large & (rows[:, 0] < end) & (rows[:, 1] >= first)
        small = _cut_to_squares(outline(drawings.take(np.flatnonzero(here))))
        pieces = _joined(large.of_rows(first, end), small.of_rows(first, end))
        if len(pieces.square):
            yield from _draw_groups(_grouped(pieces, wanted))


def _strips(row: Ints, vertices: Ints) -> Iterator[tuple[int, int]]:
    """First and end row of squares drawn together: outlines take many times the memory of their drawings."""
    first, held = 0, 0
    for number, count in enumerate(np.bincount(row, vertices, _SQUARES).tolist()):
        if held and held + count > _STRIP_VERTICES:
            yield first, number
            first, held = number, 0
        held += count
    yield first, _SQUARES


# --- squares -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pieces:
    """Shapes clipped to squares, with their square and whether they cover all of it."""

    square: Ints
    channel: NDArray[np.uint8]
    how: NDArray[np.uint8]
    covers: Flags
    paths: Paths

    def take(self, rows: Ints) -> _Pieces:
        return _Pieces(
            self.square[rows], self.channel[rows], self.how[rows], self.covers[rows], self.paths.take(rows)
        )

    def of_rows(self, first: int, end: int) -> _Pieces:
        """The pieces in some rows of squares."""
        return self.take(np.flatnonzero((self.square >= first * _SQUARES) & (self.square < end * _SQUARES)))


def _joined(one: _Pieces, other: _Pieces) -> _Pieces:
    if not len(one.square):
        return other
    return _Pieces(
        np.concatenate([one.square, other.square]),
        np.concatenate([one.channel, other.channel]),
        np.concatenate([one.how, other.how]),
        np.concatenate([one.covers, other.covers]),
        Paths.concatenate([one.paths, other.paths]),
    )


def _cut_to_squares(shapes: Shapes) -> _Pieces:
    """Assign every shape to the squares that it touches; large ones are clipped to them."""
    boxes = shapes.paths.bounds()
    squares = np.floor((boxes + _OUTLINE) / _SQUARE_PX).astype(np.int64)
    inside = (squares[:, 2:] >= 0).all(1) & (squares[:, :2] < _SQUARES).all(1)
    squares = np.clip(squares, 0, _SQUARES - 1)
    # OpenCV clips what it draws, in a time that grows with the height: only tall shapes are clipped first.
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    tall = (sides > 2 * _SQUARE_PX) & (shapes.how != How.LINE)
    small, large = np.flatnonzero(inside & ~tall), np.flatnonzero(inside & tall)
    which, cell = cells_of(squares[small])
    cut = spread_rings(shapes.paths.take(large), squares[large], _SQUARE_PX, _MARGIN_PX)
    index, cell = np.concatenate([small[which], large[cut.row]]), np.concatenate([cell, cut.cell])
    covers = np.concatenate([np.zeros(len(which), bool), cut.covers])
    paths = Paths.concatenate([shapes.paths.take(small[which]), cut.paths])
    return _Pieces(
        cell[:, 1] * _SQUARES + cell[:, 0], shapes.channel[index], shapes.how[index], covers, paths
    )


# --- groups ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Groups:
    """The drawings of one channel in one square, for G groups at once.

    Attributes:
        channel: (G,) their channels.
        rings: rings of all pieces, in sixteenths of a pixel from the corner of the piece's square.
        piece_rings: offsets of each piece's rings.
        cuts: for each group its first piece, its first thin line, its first sea, and the end.
        covers: for each group whether its fills, and whether its sea, cover the whole square.
        drawn: (G, 4, 4) bool [y, x]: tiles in which something can be drawn.
        content: (G, 4, 4) bool: tiles to keep in which more than the sea can be drawn.
        has_sea: for each group whether it has sea.
        tiles: offsets of each group's tiles in
        tile: (K, 3) int64 group, row and column in the square of the tiles to keep.
        corner: (G, 2) int64 the first tile of the square, x and y.
    """

    channel: NDArray[np.uint8]
    rings: Rings
    piece_rings: list[int]
    cuts: list[list[int]]
    covers: list[list[bool]]
    drawn: Flags
    content: Flags
    has_sea: list[bool]
    tiles: list[int]
    tile: Ints
    corner: Ints


def _grouped(pieces: _Pieces, wanted: Flags) -> _Groups:
    """Pieces by square and channel; everything about groups that needs no canvas."""
    # Within a group fills come first, then thin lines, then the sea.
    pieces = pieces.take(np.lexsort((pieces.how, pieces.channel, pieces.square)))
    square, how, paths = pieces.square, pieces.how, pieces.paths
    new = np.concatenate([[True], (np.diff(square) != 0) | (np.diff(pieces.channel) != 0)])
    first = np.flatnonzero(new)
    y, x = np.divmod(square, _SQUARES)
    corner = np.stack([x, y], axis=1) * float(_SQUARE_PX)
    bounds = np.floor((paths.bounds() - np.tile(corner, 2) + _OUTLINE) / TILE_PX)
    marked = _marked(2 * (np.cumsum(new) - 1) + (how == SEA), bounds, 2 * len(first))
    drawn = marked[0::2] | marked[1::2]
    squares = wanted.reshape(_SQUARES, _SQUARE_TILES, _SQUARES, _SQUARE_TILES).swapaxes(1, 2)
    here = squares[y[first], x[first]]
    tile = np.argwhere(here & drawn)
    count = np.add.reduceat(np.stack([how < How.LINE, how < SEA, how <= SEA], axis=1).astype(np.int64), first)
    covers = np.stack([pieces.covers & (how != SEA), pieces.covers & (how == SEA)], axis=1)
    fixed = paths.xy - np.repeat(corner + 0.5, np.diff(paths.row_vertices), axis=0)
    return _Groups(
        channel=pieces.channel[first],
        rings=_split(np.rint(fixed * 2**_SUBPIXEL_BITS).astype(np.int32), paths.path_offsets),
        piece_rings=paths.row_offsets.tolist(),
        cuts=np.concatenate([first[:, None], first[:, None] + count], axis=1).tolist(),
        covers=np.logical_or.reduceat(covers, first).tolist(),
        drawn=drawn,
        content=here & marked[0::2],
        has_sea=[bool(some.any()) for some in marked[1::2]],
        tiles=np.searchsorted(tile[:, 0], np.arange(len(first) + 1)).tolist(),
        tile=tile,
        corner=_SQUARE_TILES * np.stack([x, y], axis=1)[first],
    )


def _split(fixed: NDArray[np.int32], offsets: Ints) -> Rings:
    cuts = offsets.tolist()
    return [fixed[a:b] for a, b in pairwise(cuts)]


def _marked(group: Ints, tiles: Floats, groups: int) -> Flags:
    """(groups, tiles, tiles) bool [y, x]: tiles of a square inside any of its group's ranges x0, y0, x1, y1."""
    x0, y0, x1, y1 = np.clip(tiles, 0, _SQUARE_TILES - 1).astype(np.int64).T
    side = _SQUARE_TILES + 1
    corners = ((y0, x0, 1), (y0, x1 + 1, -1), (y1 + 1, x0, -1), (y1 + 1, x1 + 1, 1))
    steps = np.zeros(groups * side * side, np.int64)
    for y, x, step in corners:
        steps += step * np.bincount((group * side + y) * side + x, minlength=len(steps))
    return np.asarray(steps.reshape(groups, side, side).cumsum(1).cumsum(2)[:, :-1, :-1] > 0)


# --- bits --------------------------------------------------------------------------------------------------


def _draw_groups(groups: _Groups) -> Iterator[Tiles]:
    """Draw each group on one canvas, copy its tiles, and clear the canvas."""
    canvas = np.zeros((_SQUARE_PX, _SQUARE_PX), np.uint8)
    blocks = np.empty((_BATCH_TILES, TILE_PX, TILE_PX // 8), np.uint8)
    held = _SQUARE_TILES * _SQUARE_TILES
    has_content = groups.content[tuple(groups.tile.T)]
    full = np.zeros(len(groups.tile), bool)
    rows, columns = groups.tile[:, 1], groups.tile[:, 2]
    boxes = _boxes(groups.drawn)
    batch: list[Ints] = []
    used = 0
    for group, (first, end) in enumerate(pairwise(groups.tiles)):
        if first == end:
            continue
        fill, thin, sea, last = groups.cuts[group]
        covered, covered_by_sea = groups.covers[group]
        full[first:end] = covered or covered_by_sea
        if covered:
            continue
        if used + held > _BATCH_TILES:
            yield from _collected(groups, blocks[:used], np.concatenate(batch), has_content)
            used, batch = 0, []
        y, x, box = rows[first:end], columns[first:end], boxes[group]
        _draw(canvas, groups, fill, thin, sea)
        if groups.has_sea[group]:
            if has_content[first:end].any():
                has_content[first:end] &= _packed(canvas, box, y, x).any(axis=(1, 2))
            if not covered_by_sea:
                _draw(canvas, groups, sea, last, last)
        if not covered_by_sea:
            blocks[used : used + end - first] = _packed(canvas, box, y, x)
            used += end - first
            batch.append(np.arange(first, end))
        y0, x0, y1, x1 = box
        canvas[y0 * TILE_PX : y1 * TILE_PX, x0 * TILE_PX : x1 * TILE_PX] = 0
    if batch:
        yield from _collected(groups, blocks[:used], np.concatenate(batch), has_content)
    if full.any():
        index = np.flatnonzero(full)
        whole = np.broadcast_to(np.uint8(255), (len(index), *blocks.shape[1:]))
        counts = np.broadcast_to(np.uint16(CELL_PX * CELL_PX), (len(index), CELLS_PER_TILE, CELLS_PER_TILE))
        yield _tiles(groups, index, whole, counts, has_content)


def _draw(canvas: Bits, groups: _Groups, fill: int, thin: int, end: int) -> None:
    """Fill pieces ``fill`` to ``thin`` and draw the lines ``thin`` to ``end``."""
    rings, offsets = groups.rings, groups.piece_rings
    for piece in range(fill, thin):
        cv2.fillPoly(canvas, rings[offsets[piece] : offsets[piece + 1]], 1, cv2.LINE_8, _SUBPIXEL_BITS)
    if thin < end:
        lines = rings[offsets[thin] : offsets[end]]
        cv2.polylines(canvas, lines, False, 1, 1, cv2.LINE_8, _SUBPIXEL_BITS)


_Box = tuple[int, int, int, int]
"""First row, first column, end of rows, end of columns."""


def _boxes(drawn: Flags) -> list[_Box]:
    """The box around each group's tiles."""
    ends = []
    for axis in (2, 1):
        some = np.asarray(drawn.any(axis=axis))
        ends.append((some.argmax(axis=1), _SQUARE_TILES - some[:, ::-1].argmax(axis=1)))
    (y0, y1), (x0, x1) = ends
    return list(zip(y0.tolist(), x0.tolist(), y1.tolist(), x1.tolist(), strict=True))


def _packed(canvas: Bits, box: _Box, y: Ints, x: Ints) -> Bits:
    """(K, 256, 32) bits of the tiles (y, x) of a square, which lie in a box."""
    y0, x0, y1, x1 = box
    if x1 - x0 == _SQUARE_TILES:  # contiguous memory
        bits = np.packbits(canvas[y0 * TILE_PX : y1 * TILE_PX].reshape(-1))
    else:
        bits = np.packbits(canvas[y0 * TILE_PX : y1 * TILE_PX, x0 * TILE_PX : x1 * TILE_PX], axis=1)
    return np.asarray(bits.reshape(y1 - y0, TILE_PX, x1 - x0, TILE_PX // 8)[y - y0, :, x - x0])


def _collected(groups: _Groups, blocks: Bits, index: Ints, has_content: Flags) -> Iterator[Tiles]:
    """The non-empty ones of the tiles ``index``, if any."""
    counts = _count_cells(blocks)
    some = np.flatnonzero(counts.any(axis=(1, 2)))
    if len(some):
        yield _tiles(groups, index[some], blocks[some], counts[some], has_content)


def _tiles(
    groups: _Groups, index: Ints, blocks: Bits, counts: NDArray[np.uint16], has_content: Flags
) -> Tiles:
    group, y, x = groups.tile[index].T
    x, y = groups.corner[group, 0] + x, groups.corner[group, 1] + y
    return Tiles(groups.channel[group], x, y, blocks, counts, has_content[index])


def _count_cells(blocks: Bits) -> NDArray[np.uint16]:
    """(K, 16, 16) bits set in each coverage cell of (K, 256, 32) packed tiles."""
    # At most 8 bits in each byte of 16 rows: their sum fits into a byte, so eight are added at a time.
    sums = _bits_set(blocks).reshape(len(blocks) * CELLS_PER_TILE, -1)
    while sums.shape[1] > TILE_PX // 64:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    halves = sums.view(np.uint8).reshape(-1, CELLS_PER_TILE, CELLS_PER_TILE, 2)
    return halves[..., 0].astype(np.uint16) + halves[..., 1]


def _bits_set(blocks: Bits) -> NDArray[np.uint64]:
    """Number of bits set in each byte, eight bytes per number."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        return np.bitwise_count(blocks).view(np.uint64)
    return np.array([bin(byte).count("1") for byte in range(256)], np.uint8)[blocks].view(np.uint64)
