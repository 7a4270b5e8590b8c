"""Draws one shard and writes its files, in a separate process.

A shard produces two files: its map, ``map/X_Y.tif``, unless it is empty, and then its part, with the results that the
files over all shards need. An existing part marks the shard as finished.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.views.raster.coverage import CELL_PX, CELLS_PER_TILE
from placevec.datasets.views.raster.shards import SHARD_PX, SHARD_TILES
from placevec.geo import MERCATOR_HALF, TILE_PX, Ints
from placevec.geo.geotiff import GeoTiffWriter, compress_bits
from placevec.io.atomic import replacing
from placevec.io.jobs import Parts
from placevec.preparation.rasterize.draw import Tiles, draw_shard
from placevec.preparation.rasterize.mosaic import BLOCK_TILES, BLOCKS_PER_SHARD
from placevec.preparation.rasterize.shard_parts import write_part
from placevec.preparation.rasterize.spool import Drawings, TileRange, read_spool

_MANY_DRAWINGS = 4096
"""After shards with more drawings, which take about a second, memory is released."""


@dataclass(frozen=True)
class ShardJob:
    """The inputs for drawing one shard.

    Attributes:
        spool: folder of the spooled drawings.
        target: the map file to write.
        parts: storage of the parts.
        shard: its X and Y.
        zoom: of the tiles.
        ranges: tiles to draw.
        names: names of the map's bands, which are the first channels.
        channels: number of channels, including labels.
        content: for each band, whether its content makes a tile a place.
    """

    spool: Path
    target: Path
    parts: Parts
    shard: tuple[int, int]
    zoom: int
    ranges: tuple[TileRange, ...]
    names: tuple[str, ...]
    channels: int
    content: tuple[bool, ...]


def burn_shard(job: ShardJob) -> tuple[int, int]:
    """Draw a shard and write its files; returns its X and Y."""
    drawings = read_spool(job.spool, job.shard)
    draw_job(job, drawings)
    if len(drawings) > _MANY_DRAWINGS:
        del drawings
        _release()
    return job.shard


def _release() -> None:
    """Return free memory to the system, if the C library can, because the next shard would fragment it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def draw_job(job: ShardJob, drawings: Drawings) -> None:
    """Draw a shard's drawings and write its files."""
    cells = SHARD_TILES * CELLS_PER_TILE
    coverage = np.zeros((job.channels, cells, cells), np.uint8)
    covered = np.zeros((job.channels, BLOCKS_PER_SHARD, BLOCKS_PER_SHARD), bool)
    has_content = np.zeros((SHARD_TILES, SHARD_TILES), bool)
    content = np.array([*job.content, *[False] * (job.channels - len(job.content))])
    blocks: list[MapBlocks] = []
    for tiles in draw_shard(drawings, _wanted_tiles(job)):
        _add_coverage(coverage, tiles)
        covered[tiles.channel, tiles.y // BLOCK_TILES, tiles.x // BLOCK_TILES] = True
        counts = tiles.has_content & content[tiles.channel]
        has_content[tiles.y[counts], tiles.x[counts]] = True
        blocks.append(_compressed(tiles, len(job.names)))
    if any(len(some.band) for some in blocks):
        _write_map(job, blocks)
    is_empty = not any(len(some.band) for some in blocks)
    write_part(
        job.parts, job.shard, job.target,
        is_empty=is_empty, content=has_content, coverage=coverage, covered=covered,
    )  # fmt: skip


def _wanted_tiles(job: ShardJob) -> NDArray[np.bool_]:
    """(64, 64) bool [y, x]: tiles of the shard that are drawn."""
    x, y = (np.arange(SHARD_TILES) + SHARD_TILES * number for number in job.shard)
    wanted = np.zeros((SHARD_TILES, SHARD_TILES), bool)
    for x0, y0, x1, y1 in job.ranges:
        wanted |= ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))
    return wanted


def _add_coverage(coverage: NDArray[np.uint8], tiles: Tiles) -> None:
    """Put tiles' cells into the (channels, 1024, 1024) coverage."""
    cells = coverage.reshape(-1, SHARD_TILES, CELLS_PER_TILE, SHARD_TILES, CELLS_PER_TILE)
    all_pixels = CELL_PX * CELL_PX
    shares = (tiles.counts.astype(np.uint32) * 255 + all_pixels // 2) // all_pixels
    cells[tiles.channel, tiles.y, :, tiles.x] = shares


class MapBlocks(NamedTuple):
    """Compressed blocks of a map: band, row, column and bytes of each."""

    band: NDArray[np.uint8]
    row: Ints
    column: Ints
    content: list[bytes]


def _compressed(tiles: Tiles, bands: int) -> MapBlocks:
    """The tiles of the first channels."""
    kept = np.flatnonzero(tiles.channel < bands)
    full = (tiles.counts[kept] == CELL_PX * CELL_PX).all(axis=(1, 2))
    content = [
        _FULL if is_full else compress_bits(tiles.blocks[tile])
        for tile, is_full in zip(kept.tolist(), full.tolist(), strict=True)
    ]
    return MapBlocks(tiles.channel[kept], tiles.y[kept], tiles.x[kept], content)


_FULL = compress_bits(b"\xff" * (TILE_PX * TILE_PX // 8))


def _write_map(job: ShardJob, blocks: list[MapBlocks]) -> None:
    resolution = 2.0 * MERCATOR_HALF / (TILE_PX * 2.0**job.zoom)
    corner = [number * SHARD_PX * resolution for number in job.shard]
    with (
        replacing(job.target) as temporary,
        GeoTiffWriter(
            temporary, width=SHARD_PX, height=SHARD_PX, block=TILE_PX, names=job.names, bits=1,
            west=corner[0] - MERCATOR_HALF, north=MERCATOR_HALF - corner[1], resolution=resolution,
        ) as file,
    ):  # fmt: skip
        for some in blocks:
            file.add_many(*some)
