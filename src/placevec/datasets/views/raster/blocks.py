"""Pixels of any window of a map in shards; decoded blocks stay packed in memory while there is room.

A window reads only the tiles under it, and only their bands with content. Blocks are read by position, so threads and
forked processes share no file offset. The pixels do not depend on how many blocks are kept.

Pixel coordinates at the map's zoom: x eastwards from 180° W, y southwards from 85.05° N, 256 per tile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from placevec.datasets.views.raster.shards import (
    SHARD_NAME,
    SHARD_TILES,
    Bytes,
    ShardTable,
    Tile,
    read_shard_table,
)
from placevec.datasets.views.raster.windows import Box, Key, Planes, Tiles, read_planes, read_tile_wide
from placevec.errors import DatasetError
from placevec.geo import TILE_PX, check_zoom

MEMORY_LIMIT = 2**30
"""Default maximum bytes of decoded blocks in memory."""


class _OpenShard:
    """An open file, closed when its thread opens the next one or ends."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, open(path, "rb", buffering=0)  # noqa: SIM115

    def __del__(self) -> None:
        if hasattr(self, "file"):
            self.file.close()


class ShardFolder:
    """All shards of one map, read by window; can be shared between threads and forked processes.

    Pickling stores the path, not the decoded blocks.

    Args:
        folder: folder with the ``X_Y.tif`` files. A missing shard is empty.
        zoom: zoom of the tiles, which are the blocks.
        bands: number of bands.
        memory: whether decoded blocks are kept: True keeps all, False none, None up to 1 GiB.
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
        self._kept: dict[Key, Tile | None] = {}
        self._kept_bytes = 0
        self._open = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        kept = ("folder", "zoom", "bands", "memory")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @cached_property
    def bits(self) -> int:
        """Bits per pixel: 1, stored as 0 or 1 and read as 0 or 255, or 8; 1 if there is no shard."""
        for path in sorted(self.folder.glob("*.tif")):
            if SHARD_NAME.fullmatch(path.name):
                return read_shard_table(path, self.zoom, self.bands).bits
        return 1

    @property
    def kept_bytes(self) -> int:
        """Bytes of decoded blocks in memory."""
        return self._kept_bytes

    def has_room(self, size: int) -> bool:
        """Whether ``size`` more bytes fit into memory."""
        return self._kept_bytes + size <= self._limit

    def take_room(self, size: int) -> None:
        """Count ``size`` bytes that are kept elsewhere: coarse cells of this map."""
        self._kept_bytes += size

    def tiles(self, wanted: Iterable[Key], *, keep: bool = True) -> Tiles:
        """The content of tiles (x, y), None for empty ones; those of a shard are decoded together.

        With ``keep``, they stay in memory if there is room.
        """
        found: dict[Key, Tile | None] = {}
        missing: dict[tuple[int, int], list[Key]] = {}
        for key in wanted:
            if key in self._kept:
                found[key] = self._kept[key]
            else:
                missing.setdefault((key[0] // SHARD_TILES, key[1] // SHARD_TILES), []).append(key)
        for shard, keys in missing.items():
            table = self._table(shard)
            if table is None:
                found.update(dict.fromkeys(keys))
                continue
            numbers = [(y % SHARD_TILES) * SHARD_TILES + x % SHARD_TILES for x, y in keys]
            decoded = table.decode_tiles(self._descriptor(table.path), numbers)
            found.update(zip(keys, decoded, strict=True))
            if keep and self._limit > 0:
                self._keep(zip(keys, decoded, strict=True))
        return found

    def _table(self, shard: tuple[int, int]) -> ShardTable | None:
        if shard not in self._tables:
            path = self.folder / f"{shard[0]}_{shard[1]}.tif"
            self._tables[shard] = read_shard_table(path, self.zoom, self.bands) if path.is_file() else None
        return self._tables[shard]

    def _keep(self, decoded: Iterable[tuple[Key, Tile | None]]) -> None:
        for key, tile in decoded:
            size = tile.blocks.nbytes if tile else 0
            if self.has_room(size) and key not in self._kept:
                # blocks decoded together would keep each other in memory without a copy
                whole = tile is None or self._limit == float("inf")
                self._kept[key] = tile if tile is None or whole else tile._replace(blocks=tile.blocks.copy())
                self._kept_bytes += size

    def _descriptor(self, path: Path) -> int:
        """The open file of a shard; each thread keeps the last one, because batches are read shard by shard."""
        held: _OpenShard | None = getattr(self._open, "shard", None)
        if held is None or held.path != path:
            try:
                held = self._open.shard = _OpenShard(path)
            except OSError as error:
                raise DatasetError(f"cannot open {path}: {error.strerror}") from error
        return held.file.fileno()

    def box(self, left: int, top: int, width: int, height: int) -> Box:
        """A window with the north-west pixel (left, top)."""
        return Box(left, top, width, height, self.world_px // TILE_PX)

    def read_into(
        self, out: Bytes, left: int, top: int, place: Sequence[int], tiles: Tiles | None = None
    ) -> list[int]:
        """Fill a window with the north-west pixel (left, top); areas without data are left as they are.

        Args:
            out: (V, H, W) uint8, zeros.
            left, top: native pixels; columns beyond the antimeridian are read from the other side.
            place: for each band of the map its channel in ``out``, or -1 to skip it.
            tiles: tiles that include those under the window, if they were loaded for many windows.

        Returns:
            The channels of ``out`` that were written.
        """
        height, width = out.shape[1:]
        box = self.box(left, top, width, height)
        if self.bits == 1 and width == TILE_PX and out.flags.c_contiguous:
            return read_tile_wide(self._under(box, tiles), box, place, out)
        pixels, channels, full, west = self.read_planes(box, place, tiles)
        for plane, channel in zip(pixels, channels, strict=True):
            out[channel] = plane[:, west : west + width]
        for channel in full:
            out[channel] = 255
        return [*channels, *full]

    def read_planes(self, box: Box, place: Sequence[int], tiles: Tiles | None = None) -> Planes:
        """As `placevec.datasets.views.raster.windows.read_planes`, loading the tiles unless they are given."""
        return read_planes(self._under(box, tiles), box, place, self.bits)

    def _under(self, box: Box, tiles: Tiles | None) -> Tiles:
        """Tiles that include those under the window."""
        return self.tiles(box.touched()) if tiles is None else tiles
