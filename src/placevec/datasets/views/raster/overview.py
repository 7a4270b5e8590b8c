"""The map in coarse cells, kept in memory, for windows that show a large area in few pixels.

A cell is the mean of ``factor`` x ``factor`` native pixels, on a grid that starts at the map's north-west corner.
Blocks of 128 x 128 cells are averaged when a window first touches them; a window then reads a few thousand cells
instead of millions of pixels. Bands are stored four to a pixel, as needed for OpenCV's warping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from placevec.datasets.views.raster.blocks import ShardFolder
from placevec.datasets.views.raster.buffers import scratch
from placevec.datasets.views.raster.shards import Bytes

REDUCED_FROM = 5
"""Minimum factor for cells on the map's grid; below it they are on the window's own grid, which is exact."""
BLOCK_CELLS = 128
STRIP_PX = 512
"""Rows of native pixels unpacked at a time."""

Block = dict[int, Bytes]
"""Index of a group of four bands -> their (128, 128, 4) cells; empty groups are left out."""


class ReducedMap:
    """The coarse cells of a map, at every factor that windows need.

    Args:
        shards: the map; its memory limit applies to the blocks of both.
    """

    def __init__(self, shards: ShardFolder) -> None:
        self._shards = shards
        self._blocks: dict[tuple[int, int, int], Block] = {}

    def __reduce__(self) -> tuple[type[ReducedMap], tuple[ShardFolder]]:
        return ReducedMap, (self._shards,)

    def read(
        self, left: int, top: int, cells: int, factor: int, place: Sequence[int]
    ) -> list[tuple[int, Bytes]] | None:
        """A window of coarse cells with the north-west cell (left, top), in cells.

        Returns:
            Pairs of the first of four bands and their (cells, cells, 4) array, for bands that are needed (``place`` is
            not -1) and not empty. None if blocks cannot be kept, because averaging whole blocks for a single window
            would take too long. The next call in this thread overwrites it.
        """
        columns, rows = (range(at // BLOCK_CELLS, (at + cells - 1) // BLOCK_CELLS + 1) for at in (left, top))
        blocks = []
        for y in rows:
            for x in columns:
                block = self._block(factor, x, y)
                if block is None:
                    return None
                blocks.append((x * BLOCK_CELLS - left, y * BLOCK_CELLS - top, block))
        wanted = {band // 4 for band, channel in enumerate(place) if channel >= 0}
        found = []
        for four in sorted(wanted & {four for _, _, block in blocks for four in block}):
            source = scratch.zeros(f"cells {four}", (cells, cells, 4))
            for x, y, block in blocks:
                if four in block:
                    into = source[max(y, 0) : y + BLOCK_CELLS, max(x, 0) : x + BLOCK_CELLS]
                    into[:] = block[four][max(-y, 0) :, max(-x, 0) :][: into.shape[0], : into.shape[1]]
            found.append((four * 4, source))
        return found

    def _block(self, factor: int, x: int, y: int) -> Block | None:
        """A block, kept or averaged now; None if there is no room to keep it."""
        key = factor, x, y
        block = self._blocks.get(key)
        if block is None:
            fours = -(-self._shards.bands // 4)
            if not self._shards.has_room(fours * BLOCK_CELLS**2 * 4):
                return None
            block = self._blocks[key] = self._averaged(factor, x, y)
            self._shards.take_room(sum(cells.nbytes for cells in block.values()))
        return block

    def _averaged(self, factor: int, x: int, y: int) -> Block:
        side, bands = BLOCK_CELLS * factor, range(self._shards.bands)
        block: Block = {}
        for rows, band, cells in averages(self._shards, x * side, y * side, side, factor, bands):
            if band // 4 not in block:
                block[band // 4] = np.zeros((BLOCK_CELLS, BLOCK_CELLS, 4), np.uint8)
            block[band // 4][rows, :, band % 4] = cells
        return block


def averages(
    shards: ShardFolder, left: int, top: int, span: int, factor: int, place: Sequence[int]
) -> Iterator[tuple[slice, int, Bytes]]:
    """Means over cells of ``factor`` x ``factor`` pixels of a square of native pixels, strip by strip.

    Yields:
        (rows, channel, (rows, span / factor) means) for channels with content.
    """
    cells = span // factor
    height = max(1, STRIP_PX // factor)
    for start in range(0, cells, height):
        stop = min(start + height, cells)
        strip = shards.box(left, top + start * factor, span, (stop - start) * factor)
        tiles = shards.tiles(strip.touched(), keep=factor < REDUCED_FROM)
        planes, channels, full, west = shards.read_planes(strip, place, tiles)
        for plane, channel in zip(planes, channels, strict=True):
            yield slice(start, stop), channel, averaged(plane[:, west : west + span], factor)
        for channel in full:
            yield slice(start, stop), channel, np.full((stop - start, cells), 255, np.uint8)


def averaged(pixels: Bytes, factor: int) -> Bytes:
    """Means over ``factor`` x ``factor`` pixels; by halving as long as possible, which is faster in OpenCV."""
    while factor > 1:
        step = 2 if factor % 2 == 0 else factor
        size = pixels.shape[1] // step, pixels.shape[0] // step
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        factor //= step
    return pixels
