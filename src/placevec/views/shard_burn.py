"""One shard from its spooled drawings to its files; runs in a process of its own.

A shard leaves two files: its map, ``map/X_Y.tif``, unless nothing is in it, and then its part, which tells what
the files over all shards need to know. A part that is there means that the shard is finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.atomic import replacing
from placevec.geo import MERCATOR_HALF, TILE_PX, Ints
from placevec.views.coverage import CELL_PX, CELLS_PER_TILE
from placevec.views.drawing import Square, draw_shard
from placevec.views.geotiff import GeoTiffWriter, compress
from placevec.views.mosaic import BLOCKS_PER_SHARD, COVERAGE_BLOCK, CoverageBlock
from placevec.views.shards import SHARD_PX, SHARD_TILES
from placevec.views.spool import TileRange, read_spool

_SCHEMA = pa.schema(
    [("channel", pa.uint8()), ("row", pa.uint8()), ("column", pa.uint8()), ("block", pa.binary())]
)


@dataclass(frozen=True)
class ShardJob:
    """What a process needs to burn one shard.

    Attributes:
        spool: folder of the drawings.
        target: the map file to write.
        part: the part file to write.
        shard: its number, X and Y.
        zoom: of the tiles.
        ranges: tiles that are drawn.
        names: of the map's bands, the first channels.
        channels: how many there are, labels included.
        content: for each band whether something in it makes a tile a place.
    """

    spool: Path
    target: Path
    part: Path
    shard: tuple[int, int]
    zoom: int
    ranges: tuple[TileRange, ...]
    names: tuple[str, ...]
    channels: int
    content: tuple[bool, ...]


@dataclass(frozen=True)
class ShardPart:
    """What is known of a finished shard.

    Attributes:
        is_empty: whether it has no map file.
        tiles: (N, 2) int64 x, y of the tiles with content.
        coverage: blocks of coverage cells that are not empty, of all channels.
    """

    is_empty: bool
    tiles: Ints
    coverage: list[CoverageBlock]


def burn_shard(job: ShardJob) -> tuple[int, int]:
    """Draw a shard and write its files; returns its number."""
    cells = SHARD_TILES * CELLS_PER_TILE
    coverage = np.zeros((job.channels, cells, cells), np.uint8)
    has_content = np.zeros((SHARD_TILES, SHARD_TILES), bool)
    blocks: list[tuple[int, int, int, bytes]] = []
    for square in draw_shard(read_spool(job.spool, job.shard), _wanted_tiles(job)):
        _add_coverage(coverage[square.channel], square)
        if square.channel < len(job.names):
            blocks += _compressed(square)
            if job.content[square.channel]:
                has_content[square.tile_y, square.tile_x] |= square.has_content
    if blocks:
        _write_map(job, blocks)
    _write_part(job.part, not blocks, has_content, coverage)
    return job.shard


def _wanted_tiles(job: ShardJob) -> NDArray[np.bool_]:
    """(64, 64) bool [y, x]: tiles of the shard that are drawn."""
    x, y = (np.arange(SHARD_TILES) + SHARD_TILES * number for number in job.shard)
    wanted = np.zeros((SHARD_TILES, SHARD_TILES), bool)
    for x0, y0, x1, y1 in job.ranges:
        wanted |= ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))
    return wanted


def _add_coverage(coverage: NDArray[np.uint8], square: Square) -> None:
    """Put a square's cells into one channel's (1024, 1024) coverage."""
    tiles = coverage.reshape(SHARD_TILES, CELLS_PER_TILE, SHARD_TILES, CELLS_PER_TILE)
    all_pixels = CELL_PX * CELL_PX
    shares = (square.counts.astype(np.uint32) * 255 + all_pixels // 2) // all_pixels
    tiles[square.tile_y, :, square.tile_x] = shares


def _compressed(square: Square) -> list[tuple[int, int, int, bytes]]:
    """Channel, row, column and content of each block of a square."""
    full = square.counts.reshape(len(square.counts), -1).min(axis=1) == CELL_PX * CELL_PX
    rows = zip(square.tile_y.tolist(), square.tile_x.tolist(), full.tolist(), square.blocks, strict=True)
    return [(square.channel, y, x, _FULL if is_full else compress(block)) for y, x, is_full, block in rows]


_FULL = compress(b"\xff" * (TILE_PX * TILE_PX // 8))


def _write_map(job: ShardJob, blocks: list[tuple[int, int, int, bytes]]) -> None:
    resolution = 2.0 * MERCATOR_HALF / (TILE_PX * 2.0**job.zoom)
    corner = [number * SHARD_PX * resolution for number in job.shard]
    with (
        replacing(job.target) as temporary,
        GeoTiffWriter(
            temporary, width=SHARD_PX, height=SHARD_PX, block=TILE_PX, names=job.names, bits=1,
            west=corner[0] - MERCATOR_HALF, north=MERCATOR_HALF - corner[1], resolution=resolution,
        ) as file,
    ):  # fmt: skip
        for channel, y, x, block in blocks:
            file.add(channel, y, x, block)


# --- parts -------------------------------------------------------------------------------------------------


def _write_part(
    path: Path, is_empty: bool, has_content: NDArray[np.bool_], coverage: NDArray[np.uint8]
) -> None:
    found = [
        (channel, row, column, compress(block.tobytes()))
        for channel in np.flatnonzero(coverage.any(axis=(1, 2))).tolist()
        for row in range(BLOCKS_PER_SHARD)
        for column in range(BLOCKS_PER_SHARD)
        if (
            block := coverage[
                channel,
                row * COVERAGE_BLOCK : (row + 1) * COVERAGE_BLOCK,
                column * COVERAGE_BLOCK : (column + 1) * COVERAGE_BLOCK,
            ]
        ).any()
    ]
    columns = [[row[number] for row in found] for number in range(4)]
    about = {"is_empty": str(int(is_empty)), "has_content": np.packbits(has_content).tobytes().hex()}
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=_SCHEMA.with_metadata(about))
    with replacing(path) as temporary, pa.ipc.new_file(str(temporary), table.schema) as writer:
        writer.write_table(table)


def read_part(path: Path, shard: tuple[int, int]) -> ShardPart:
    """What `burn_shard` left of a shard."""
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    about = table.schema.metadata
    packed = np.frombuffer(bytes.fromhex(about[b"has_content"].decode()), np.uint8)
    y, x = np.nonzero(np.unpackbits(packed).reshape(SHARD_TILES, SHARD_TILES))
    tiles = np.stack([x, y], axis=1).astype(np.int64) + np.array(shard) * SHARD_TILES
    rows = zip(
        *(table.column(name).to_pylist() for name in ("channel", "row", "column", "block")), strict=True
    )
    return ShardPart(about[b"is_empty"] == b"1", tiles, list(rows))
