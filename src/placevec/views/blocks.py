"""The pixels of any window of a map in shards; decoded blocks stay packed in memory while there is room.

A window touches only the tiles under it, and of those only the bands that hold anything. Blocks are read by
position, so threads and forked processes share no file offset. The pixels are the same however many are kept.

Pixels are counted on the map's zoom: x eastwards from 180° W, y southwards from 85.05° N, 256 a tile.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import DatasetError
from placevec.geo import TILE_PX, check_zoom
from placevec.views.shards import (
    SHARD_NAME,
    SHARD_TILES,
    Bytes,
    ShardTable,
    Tile,
    read_shard_table,
    shard_name,
)

MEMORY_LIMIT = 2**30
"""Bytes of decoded blocks that are kept when nothing else is asked for."""


class ShardFolder:
    """All shards of one map, read window by window; safe to share between threads and forked processes.

    Pickling carries the path, not what has been read.

    Args:
        folder: where ``X_Y.tif`` lie. A shard that is not there is empty.
        zoom: zoom whose tiles are the blocks.
        bands: number of bands.
        memory: whether decoded blocks are kept: True, as many as are read; False, none; None, up to 1 GiB.
    """

    def __init__(self, folder: Path, *, zoom: int, bands: int, memory: bool | None = None) -> None:
        if not folder.is_dir():
            raise DatasetError(f"there is no map in {folder.parent}: its folder {folder.name} is missing")
        if bands < 1:
            raise DatasetError(f"the map in {folder.parent} has no bands")
        self.folder, self.zoom, self.bands, self.memory = folder, check_zoom(zoom), bands, memory
        self.world_px = TILE_PX * 2**zoom
        self._limit = {True: float("inf"), False: 0.0, None: float(MEMORY_LIMIT)}[memory]
        self._tables: dict[tuple[int, int], ShardTable | None] = {}
        self._kept: dict[tuple[int, int], Tile] = {}
        self._kept_bytes = 0
        self._open = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        kept = ("folder", "zoom", "bands", "memory")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @cached_property
    def bits(self) -> int:
        """Bits a pixel: 1, stored as 0 or 1 and read as 0 or 255, or 8; 1 when there is no shard at all."""
        for path in sorted(self.folder.glob("*.tif")):
            if SHARD_NAME.fullmatch(path.name):
                return read_shard_table(path, self.zoom, self.bands).bits
        return 1

    @property
    def kept_bytes(self) -> int:
        """Bytes of decoded blocks in memory."""
        return self._kept_bytes

    def tile(self, x: int, y: int) -> Tile | None:
        """The content of tile (x, y), or None when it is empty."""
        found = self._kept.get((x, y))
        if found is not None:
            return found
        key = x // SHARD_TILES, y // SHARD_TILES
        if key not in self._tables:
            path = self.folder / shard_name(x, y)
            self._tables[key] = read_shard_table(path, self.zoom, self.bands) if path.is_file() else None
        table = self._tables[key]
        if table is None:
            return None
        number = (y % SHARD_TILES) * SHARD_TILES + x % SHARD_TILES
        start, stop = int(table.first[number]), int(table.first[number + 1])
        if start == stop:
            return None
        found = table.decode(self._descriptor(table.path), start, stop)
        if self._kept_bytes + found.blocks.nbytes <= self._limit:
            self._kept[x, y] = found
            self._kept_bytes += found.blocks.nbytes
        return found

    def _descriptor(self, path: Path) -> int:
        """The open file of a shard; each thread keeps the last one, as batches are read shard by shard."""
        if getattr(self._open, "path", None) != path:
            try:
                self._open.file = open(path, "rb", buffering=0)  # noqa: SIM115 (the next one closes it)
            except OSError as error:
                raise DatasetError(f"{path} cannot be opened: {error.strerror}") from error
            self._open.path = path
        return int(self._open.file.fileno())

    def read_into(self, out: Bytes, left: int, top: int, place: Sequence[int]) -> set[int]:
        """Fill a window whose north-west pixel is (left, top); where nothing is stored it stays as it is.

        Args:
            out: (V, H, W) uint8, zeros.
            left, top: native pixels; columns beyond the antimeridian are read from the other side.
            place: for each band of the map its channel in ``out``, or -1 to leave it out.

        Returns:
            The channels of ``out`` that were written to.
        """
        height, width = out.shape[1:]
        tiles_around = self.world_px // TILE_PX
        top_row, bottom_row = max(top, 0), min(top + height, self.world_px)
        written: set[int] = set()
        for tile_y in range(top_row // TILE_PX, -(-bottom_row // TILE_PX)):
            y0, y1 = max(tile_y * TILE_PX, top_row), min((tile_y + 1) * TILE_PX, bottom_row)
            for tile_x in range(left // TILE_PX, -(-(left + width) // TILE_PX)):
                tile = self.tile(tile_x % tiles_around, tile_y)
                if tile is None:
                    continue
                x0, x1 = max(tile_x * TILE_PX, left), min((tile_x + 1) * TILE_PX, left + width)
                part = out[:, y0 - top : y1 - top, x0 - left : x1 - left]
                rows = slice(y0 - tile_y * TILE_PX, y1 - tile_y * TILE_PX)
                _copy(tile, part, rows, x0 - tile_x * TILE_PX, place)
                written.update(place[band] for band in tile.bands)
        return written - {-1}


def _copy(tile: Tile, out: Bytes, rows: slice, column: int, place: Sequence[int]) -> None:
    """Write some rows of a tile, from ``column`` on, into the (V, h, w) part of a window that it covers."""
    width = out.shape[2]
    packed = tile.blocks.shape[2] < TILE_PX
    if packed:
        pixels = np.unpackbits(tile.blocks[:, rows, column // 8 : (column + width + 7) // 8], axis=-1)
        np.negative(pixels, out=pixels)  # 0 and 1 become 0 and 255
        column %= 8
    else:
        pixels = tile.blocks[:, rows]
    for row, band in enumerate(tile.bands):
        channel = place[band]
        if channel >= 0:
            out[channel] = pixels[row, :, column : column + width]
