"""Windows assembled from the tiles under them while still packed, and unpacked once they are complete.

Copying packed bytes moves an eighth of the pixels; bits are never shifted. Channels that are empty, or set everywhere,
are neither copied nor unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from placevec.datasets.views.raster.buffers import scratch
from placevec.datasets.views.raster.shards import Bytes, Tile, unpack, unpack_images
from placevec.geo import TILE_PX

Key = tuple[int, int]
"""Column and row of a tile."""
Tiles = Mapping[Key, Tile | None]
"""Loaded tiles; None for empty ones."""
_ROW_BYTES = TILE_PX // 8
_WHOLE = slice(0, TILE_PX), slice(0, TILE_PX)
_Content = tuple[tuple[int, ...], tuple[int, ...]]
"""Bands of a tile that have a block, and bands that are full."""


class Box(NamedTuple):
    """A rectangle of native pixels by its north-west corner; ``around`` tiles make a full circle.

    >>> Box(200, 0, 100, 256, 2**17).touched()
    [(0, 0), (1, 0)]
    """

    left: int
    top: int
    width: int
    height: int
    around: int

    def touched(self) -> list[Key]:
        """The tiles that it touches; those beyond the antimeridian from the other side."""
        rows = range(max(self.top // TILE_PX, 0), min(-(-(self.top + self.height) // TILE_PX), self.around))
        columns = range(self.left // TILE_PX, -(-(self.left + self.width) // TILE_PX))
        return [(x % self.around, y) for y in rows for x in columns]


class Planes(NamedTuple):
    """The non-empty channels of a window; those that are set everywhere have no pixels.

    Attributes:
        pixels: (k, height, at least ``west + width``) uint8. The next window read by this thread overwrites it.
        channels: the k channels with pixels, ascending.
        full: channels whose every pixel is 255.
        west: columns to skip before the window begins, because eight pixels are unpacked at a time.
    """

    pixels: Bytes
    channels: list[int]
    full: list[int]
    west: int


def read_planes(tiles: Tiles, box: Box, place: Sequence[int], bits: int) -> Planes:
    """A window with pixels only for channels that have content.

    Args:
        tiles: tiles that include those under the window.
        box: the window.
        place: for each band of the map its channel, or -1 to skip it.
        bits: bits per pixel, 1 or 8.
    """
    unit = 8 // bits
    side = TILE_PX // unit
    left, west = divmod(box.left, unit)
    right = -(-(box.left + box.width) // unit)
    columns = range(left // side, -(-right // side))
    strips = _strips(box.top % TILE_PX, box.height)
    under = [_column(tiles, tile_x, box, len(strips)) for tile_x in columns]
    bands, channels, full, is_complete = _plan(tuple(map(_content, chain.from_iterable(under))), tuple(place))
    packed = scratch.empty("packed", (len(bands), box.height, right - left))
    if not is_complete:
        packed.fill(0)
    for tile_x, column in zip(columns, under, strict=True):
        x0, x1 = max(tile_x * side, left), min(tile_x * side + side, right)
        source, target = slice(x0 - tile_x * side, x1 - tile_x * side), slice(x0 - left, x1 - left)
        for tile, (rows, y) in zip(column, strips, strict=True):
            if tile is not None:
                _put(packed[:, y, target], tile, tile.blocks[:, rows, source], bands)
    packed, channels, full = _without_plain(packed, channels, full)
    if bits == 8:
        return Planes(packed, channels, full, west)
    planes = scratch.empty("planes", (len(channels), box.height, (right - left) * 8))
    unpack(packed.reshape(-1), planes.reshape(-1))
    return Planes(planes, channels, full, west)


def _without_plain(packed: Bytes, channels: list[int], full: list[int]) -> tuple[Bytes, list[int], list[int]]:
    """A window without the bands that are all 0 or all 255 in it; tiles, and their content, extend beyond the window."""
    if not channels:
        return packed, channels, full
    values = packed.reshape(len(channels), -1)
    high, low = values.max(axis=1), values.min(axis=1)
    mixed = (high > 0) & (low < 255)
    if mixed.all():
        return packed, channels, full
    known = zip(channels, mixed.tolist(), low.tolist(), strict=True)
    full = [*full, *(channel for channel, is_mixed, least in known if not is_mixed and least)]
    return packed[mixed], [channels[number] for number in np.flatnonzero(mixed).tolist()], full


def read_tile_wide(tiles: Tiles, box: Box, place: Sequence[int], out: Bytes) -> list[int]:
    """Fill (C, height, 256) contiguous zeros with a window as wide as a tile, of 1 bit per pixel.

    It touches at most two columns of tiles, whose rows are as long as its own. With the rows of both sides
    concatenated, byte ``i`` of the window is byte ``i + start`` of the western side or byte ``i + start - 32`` of the
    eastern one, and which of the two is the same in every row.

    Returns:
        The channels that were written.
    """
    tile_x, west = divmod(box.left, TILE_PX)
    start, shift = divmod(west, 8)
    strips = _strips(box.top % TILE_PX, box.height)
    columns = [_column(tiles, tile_x + number, box, len(strips)) for number in range(2 if west else 1)]
    bands, channels, full, is_complete = _plan(tuple(map(_content, chain(*columns))), tuple(place))
    for channel in full:
        out[channel].fill(255)
    if not bands:
        return full
    first = columns[0][0]
    if is_complete and first is not None and not west and strips[0] == _WHOLE:  # one tile, as it is
        unpack_images(first.blocks.reshape(len(bands), -1), first.blocks[:, -1, -1], 0, out, channels)
        return [*channels, *full]
    size = box.height * _ROW_BYTES
    total = len(bands) * size
    sides = scratch.empty("sides", (2, total + _ROW_BYTES))
    if not is_complete:
        sides.fill(0)
    shape = len(bands), box.height, _ROW_BYTES
    western, eastern = sides[0, :total].reshape(shape), sides[1, _ROW_BYTES:].reshape(shape)
    for side, column in zip((western, eastern), columns, strict=False):
        for tile, (rows, y) in zip(column, strips, strict=True):
            if tile is not None:
                _put(side[:, y], tile, tile.blocks[:, rows], bands)
    images, other = sides[0, start : start + total], sides[1, start : start + total]
    if west:
        images = np.bitwise_xor(images, other, out=scratch.empty("images", images.shape))
        rows_of = images.reshape(len(bands), size)
        rows_of &= _from_the_west(start, shift, box.height)
        images ^= other
    unpack_images(images.reshape(len(bands), size), eastern[:, -1, start], shift, out, channels)
    return [*channels, *full]


@lru_cache(maxsize=TILE_PX)
def _from_the_west(start: int, shift: int, height: int) -> Bytes:
    """(32 height,) the bits that `read_tile_wide` takes from the western side."""
    row = np.zeros(_ROW_BYTES, np.uint8)
    row[: _ROW_BYTES - start] = 0xFF
    row[0] = 0xFF >> shift
    return np.tile(row, height)


def _content(tile: Tile | None) -> _Content | None:
    return None if tile is None else (tile.bands, tile.full)


class _Plan(NamedTuple):
    """How the bands of the tiles under a window become its channels.

    Attributes:
        bands: needed bands with content, by their channels, except those that are full in all tiles.
        channels: channels of these bands.
        full: channels of the full bands.
        is_complete: whether every tile exists and has a block for each of these bands, and no other.
    """

    bands: tuple[int, ...]
    channels: list[int]
    full: list[int]
    is_complete: bool


@lru_cache(maxsize=4096)
def _plan(contents: tuple[_Content | None, ...], place: tuple[int, ...]) -> _Plan:
    there = [set[int]() if content is None else {*content[0], *content[1]} for content in contents]
    full = [set[int]() if content is None else set(content[1]) for content in contents]
    everywhere = {band for band in set.intersection(*full) if place[band] >= 0}
    some = {band for band in set.union(*there) if place[band] >= 0} - everywhere
    bands, whole = (tuple(sorted(chosen, key=place.__getitem__)) for chosen in (some, everywhere))
    is_complete = all(content is not None and content[0] == bands for content in contents)
    return _Plan(bands, [place[band] for band in bands], [place[band] for band in whole], is_complete)


@lru_cache(maxsize=4096)
def _strips(north: int, height: int) -> tuple[tuple[slice, slice], ...]:
    """For each row of tiles under a window that begins ``north`` pixels into the first: its rows, and the window's."""
    ends = [min(max(at - north, 0), height) for at in range(0, north + height + TILE_PX, TILE_PX)]
    tops = range(-north, height, TILE_PX)
    return tuple(
        (slice(a - top, b - top), slice(a, b)) for top, (a, b) in zip(tops, pairwise(ends), strict=True)
    )


def _column(tiles: Tiles, tile_x: int, box: Box, rows: int) -> list[Tile | None]:
    """The tiles of a column under a window; None also beyond the north and south ends of the map."""
    column, first = tile_x % box.around, box.top // TILE_PX
    return [tiles[column, y] if 0 <= y < box.around else None for y in range(first, first + rows)]


def _put(out: Bytes, tile: Tile, blocks: Bytes, bands: tuple[int, ...]) -> None:
    """Copy part of a tile's blocks to (k, rows, columns) zeros, one for each of ``bands``."""
    if tile.bands == bands:
        out[:] = blocks
        return
    matched, full = _matched(tile.bands, tile.full, bands)
    for into, block in matched:
        out[into] = blocks[block]
    for number in full:
        out[number] = 255


@lru_cache(maxsize=4096)
def _matched(
    bands: tuple[int, ...], full: tuple[int, ...], wanted: tuple[int, ...]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Where in an array of the ``wanted`` bands each block of a tile belongs, if anywhere, and which bands are full."""
    matched = [(wanted.index(band), number) for number, band in enumerate(bands) if band in wanted]
    return matched, [wanted.index(band) for band in full if band in wanted]
