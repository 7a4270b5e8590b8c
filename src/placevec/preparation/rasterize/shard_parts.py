"""The results of a finished shard for the files over all shards; an existing part marks its shard as finished."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.datasets.views.raster import NAME as MAP
from placevec.datasets.views.raster.shards import SHARD_NAME, SHARD_TILES
from placevec.geo import Ints
from placevec.geo.geotiff import compress
from placevec.io.arrow import blobs, numbers
from placevec.io.jobs import Parts
from placevec.preparation.rasterize.mosaic import COVERAGE_BLOCK, CoverageBlock

_SCHEMA = pa.schema(
    [("channel", pa.uint8()), ("row", pa.uint8()), ("column", pa.uint8()), ("block", pa.binary())]
)
_NO_TILES = np.zeros((SHARD_TILES, SHARD_TILES), bool)


@dataclass(frozen=True)
class ShardPart:
    """The results of a finished shard.

    Attributes:
        is_empty: whether it has no map file.
        tiles: (N, 2) int64 x, y of the tiles with content.
        present: (M, 2) int64 x, y of the existing tiles, including blank ones; none for drawn maps.
        coverage: non-empty blocks of coverage cells, of all channels.
        sha256: hash of its map file; empty if it was not requested.
    """

    is_empty: bool
    tiles: Ints
    present: Ints
    coverage: list[CoverageBlock]
    sha256: str


def part_name(shard: tuple[int, int]) -> str:
    """The name of a shard's part."""
    return f"shard-{shard[0]}_{shard[1]}"


def write_part(
    parts: Parts,
    shard: tuple[int, int],
    target: Path,
    *,
    is_empty: bool,
    content: NDArray[np.bool_],
    coverage: NDArray[np.uint8],
    covered: NDArray[np.bool_],
    present: NDArray[np.bool_] = _NO_TILES,
    sha256: str = "",
) -> None:
    """Mark a shard as finished.

    Args:
        parts: storage of the parts.
        shard: its X and Y.
        target: its map file.
        is_empty: whether it has no map file.
        content: (64, 64) [y, x] tiles with content.
        coverage: (C, 1024, 1024) cells of all channels.
        covered: (C, 4, 4) whether a block of them can be non-empty.
        present: (64, 64) [y, x] existing tiles.
        sha256: of the map file.
    """
    found = []
    for channel, row, column in np.argwhere(covered).tolist():
        rows, columns = (slice(at * COVERAGE_BLOCK, (at + 1) * COVERAGE_BLOCK) for at in (row, column))
        block = coverage[channel, rows, columns]
        if block.any():  # a few pixels of a cell may round to none
            found.append((channel, row, column, compress(block.tobytes())))
    channels, at_rows, at_columns, contents = zip(*found, strict=True) if found else ((), (), (), ())
    about = {
        "is_empty": str(int(is_empty)),
        "has_content": np.packbits(content).tobytes().hex(),
        "present": np.packbits(present).tobytes().hex(),
        "sha256": sha256,
    }
    arrays = [*(numbers(part, pa.uint8()) for part in (channels, at_rows, at_columns)), blobs(contents)]
    table = pa.Table.from_arrays(arrays, schema=_SCHEMA.with_metadata(about))
    held = pa.BufferOutputStream()
    with pa.ipc.new_file(held, table.schema) as writer:
        writer.write_table(table)
    parts.put(part_name(shard), held.getvalue().to_pybytes(), [] if is_empty else [target])


def read_part(parts: Parts, shard: tuple[int, int]) -> ShardPart:
    """The part that `write_part` stored for a finished shard."""
    table = pa.ipc.open_file(pa.py_buffer(parts.kept(part_name(shard)))).read_all()
    about = table.schema.metadata
    rows = zip(
        *(table.column(name).to_pylist() for name in ("channel", "row", "column", "block")), strict=True
    )
    tiles, present = (_tiles(about[name], shard) for name in (b"has_content", b"present"))
    return ShardPart(about[b"is_empty"] == b"1", tiles, present, list(rows), about[b"sha256"].decode())


def _tiles(packed: bytes, shard: tuple[int, int]) -> Ints:
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(packed.decode()), np.uint8))
    y, x = np.nonzero(bits.reshape(SHARD_TILES, SHARD_TILES))
    tiles: Ints = np.stack([x, y], axis=1).astype(np.int64) + np.array(shard) * SHARD_TILES
    return tiles


def remove_unfinished(dataset: Path) -> None:
    """Remove all files of a map and of its labels from a directory that has no manifest yet."""
    for path in (dataset / MAP).glob("*.tif"):
        if SHARD_NAME.fullmatch(path.name):
            path.unlink()
    for path in (*dataset.glob("*_coverage.tif"), dataset / "map.vrt", dataset / "pois.parquet"):
        path.unlink(missing_ok=True)
