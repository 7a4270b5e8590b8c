"""Windows put together out of the tiles under them, still packed, and unpacked once they are whole.

Copying packed bytes moves an eighth of the pixels; bits are never shifted. Channels that hold nothing are neither
copied nor unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from placevec.geo import TILE_PX, Ints
from placevec.views.batches import scratch
from placevec.views.bits import Bytes, unpack, unpack_images
from placevec.views.shards import Tile

Key = tuple[int, int]
"""Column and row of a tile."""
Tiles = Mapping[Key, Tile | None]
"""Tiles that were loaded; None for those that are empty."""
_ROW_BYTES = TILE_PX // 8


class Box(NamedTuple):
    """A rectangle of native pixels by its north-west corner; ``around`` tiles make a turn of the world."""

    left: int
    top: int
    width: int
    height: int
    around: int

    def touched(self) -> list[Key]:
        """The tiles that it touches, those beyond the antimeridian from the other side."""
        rows = range(max(self.top // TILE_PX, 0), min(-(-(self.top + self.height) // TILE_PX), self.around))
        columns = range(self.left // TILE_PX, -(-(self.left + self.width) // TILE_PX))
        return [(x % self.around, y) for y in rows for x in columns]


def read_planes(tiles: Tiles, box: Box, place: Sequence[int], bits: int) -> tuple[Bytes, list[int], int]:
    """A window in which only the channels that hold anything are pictured.

    Args:
        tiles: the tiles under it.
        box: the window.
        place: for each band of the map its channel, or -1 to leave it out.
        bits: of a pixel: 1 or 8.

    Returns:
        (k, height, at least ``west + width``) uint8, the k channels, ascending, and ``west``: the window begins that
        many columns further east, as eight pixels are unpacked at a time. The next call in this thread overwrites it.
    """
    unit = 8 // bits
    side = TILE_PX // unit
    left, west = divmod(box.left, unit)
    right = -(-(box.left + box.width) // unit)
    bands, channels = _bands(tiles, place)
    packed = scratch.zeros("packed", (len(bands), box.height, right - left))
    for tile_x in range(left // side, -(-right // side)):
        x0, x1 = max(tile_x * side, left), min(tile_x * side + side, right)
        columns = slice(x0 - tile_x * side, x1 - tile_x * side)
        for tile, rows, y in _column(tiles, tile_x, box):
            into, chosen = _rows(tile.bands, bands)
            packed[into, y, x0 - left : x1 - left] = tile.blocks[chosen, rows, columns]
    if bits == 8:
        return packed, channels, west
    planes = scratch.empty("planes", (len(bands), box.height, (right - left) * 8))
    unpack(packed.reshape(-1), planes.reshape(-1))
    return planes, channels, west


def read_tile_wide(tiles: Tiles, box: Box, place: Sequence[int], out: Bytes) -> list[int]:
    """Fill (C, height, 256) contiguous zeros with a window as wide as a tile, of 1 bit a pixel.

    It touches at most two columns of tiles, whose rows are as long as its own. With the rows of either side one
    after the other, byte ``i`` of the window is byte ``i + start`` of the western side or byte ``i + start - 32`` of
    the eastern one, and which of them is the same in every row.

    Returns:
        The channels that were written.
    """
    tile_x, west = divmod(box.left, TILE_PX)
    start, shift = divmod(west, 8)
    bands, channels = _bands(tiles, place)
    whole = tiles.get((tile_x % box.around, box.top // TILE_PX)) if west == box.top % TILE_PX == 0 else None
    if whole is not None and box.height == TILE_PX and whole.bands == bands:
        unpack_images(whole.blocks.reshape(len(bands), -1), whole.blocks[:, -1, -1], 0, out, channels)
        return channels
    size = box.height * _ROW_BYTES
    sides = scratch.zeros("sides", (2, len(bands) * size + _ROW_BYTES))
    western, eastern = (
        side.reshape(len(bands), box.height, _ROW_BYTES)
        for side in (sides[0, :-_ROW_BYTES], sides[1, _ROW_BYTES:])
    )
    for number, side in enumerate((western, eastern) if west else (western,)):
        for tile, rows, y in _column(tiles, tile_x + number, box):
            into, chosen = _rows(tile.bands, bands)
            side[into, y] = tile.blocks[chosen, rows]
    images, other = (side[start : start + len(bands) * size].reshape(len(bands), size) for side in sides)
    if west:
        images = np.bitwise_xor(images, other, out=scratch.empty("images", images.shape))
        images &= _from_the_west(start, shift, box.height)
        images ^= other
    unpack_images(images, eastern[:, -1, start], shift, out, channels)
    return channels


@lru_cache(maxsize=TILE_PX)
def _from_the_west(start: int, shift: int, height: int) -> Bytes:
    """(32 height,) the bits that `read_tile_wide` takes from the western side."""
    row = np.zeros(_ROW_BYTES, np.uint8)
    row[: _ROW_BYTES - start] = 0xFF
    row[0] = 0xFF >> shift
    return np.tile(row, height)


def _bands(tiles: Tiles, place: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
    """The bands that hold anything and are wanted, by their channels, and these."""
    there = {band for tile in tiles.values() if tile is not None for band in tile.bands if place[band] >= 0}
    bands = sorted(there, key=place.__getitem__)
    return tuple(bands), [place[band] for band in bands]


def _column(tiles: Tiles, tile_x: int, box: Box) -> Iterator[tuple[Tile, slice, slice]]:
    """The tiles of a column under a window: which of their rows lie in it, and where."""
    column, bottom = tile_x % box.around, box.top + box.height
    for tile_y in range(max(box.top // TILE_PX, 0), min(-(-bottom // TILE_PX), box.around)):
        tile = tiles[column, tile_y]
        if tile is not None:
            north = tile_y * TILE_PX
            y0, y1 = max(north, box.top), min(north + TILE_PX, bottom)
            yield tile, slice(y0 - north, y1 - north), slice(y0 - box.top, y1 - box.top)


@lru_cache(maxsize=4096)
def _rows(bands: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[slice | Ints, slice | Ints]:
    """Where in an array of the ``wanted`` bands the blocks of a tile go, and which of them go there."""
    if bands == wanted:
        return slice(None), slice(None)
    chosen = np.array([number for number, band in enumerate(bands) if band in wanted], np.intp)
    into = np.array([wanted.index(band) for band in bands if band in wanted], np.intp)
    return into, slice(None) if len(chosen) == len(bands) else chosen
