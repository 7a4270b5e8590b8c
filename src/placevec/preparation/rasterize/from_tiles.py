"""Writes existing tiles as the map of a dataset, in the same shards as a map drawn from an extract.

Each shard is written atomically, and its part file marks it as finished, so a killed run continues with the next shard
and gives the same bytes. One row of tiles of one shard is in memory at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.layout import WORK
from placevec.datasets.views.raster import NAME as MAP
from placevec.datasets.views.raster.coverage import CELL_PX, CELLS_PER_TILE
from placevec.datasets.views.raster.shards import SHARD_PX, SHARD_TILES, Bytes
from placevec.errors import AreaError, InputError
from placevec.geo import MERCATOR_HALF, TILE_PX, Ints, check_zoom
from placevec.geo.geotiff import GeoTiffWriter, compress, compress_bits
from placevec.io.atomic import remove_temporaries, replacing, sha256_of_file
from placevec.io.jobs import Job
from placevec.io.progress import SILENT, Advance, Progress
from placevec.preparation.rasterize.mosaic import (
    BLOCK_TILES,
    BLOCKS_PER_SHARD,
    Extent,
    write_coverage,
    write_vrt,
)
from placevec.preparation.rasterize.shard_parts import (
    ShardPart,
    part_name,
    read_part,
    remove_unfinished,
    write_part,
)
from placevec.preparation.rasterize.spool import TileRange

MAX_COVERAGE_BLOCKS = 2**24
"""Blocks of the coverage raster, all channels together: its table takes 32 bytes for each while it is written."""

Shard = tuple[int, int]
ReadTile = Callable[[int, int], "Bytes | None"]
"""(x, y) of a tile -> its (256, 256, C) uint8 pixels, or None where there is no tile. Called from several threads."""


@dataclass(frozen=True)
class TileMap:
    """The files and tiles of a written map.

    Attributes:
        files: every file, relative to the dataset.
        present: (N, 2) int64 x, y of the existing tiles, row by row.
        content: (M, 2) int64 x, y of the tiles that are not blank.
        sha256: hash over the shards; equal for equal pixels.
    """

    files: list[str]
    present: Ints
    content: Ints
    sha256: str


def shards_of(tiles: NDArray[np.integer[Any]]) -> list[Shard]:
    """X, Y of the shards that contain the tiles (N, 2), row by row.

    >>> shards_of(np.array([[70723, 39018], [70724, 39018], [1, 2]]))
    [(0, 0), (1105, 609)]
    """
    x, y = np.unique(np.asarray(tiles, np.int64)[:, ::-1] // SHARD_TILES, axis=0)[:, ::-1].T
    return list(zip(x.tolist(), y.tolist(), strict=True))


def write_tile_map(
    out: Path,
    *,
    zoom: int,
    channels: Sequence[str],
    bits: int,
    shards: Iterable[Shard],
    read: ReadTile,
    attribution: str,
    fingerprint: Mapping[str, Any],
    total: int | None = None,
    threads: int = 1,
    progress: Progress = SILENT,
) -> TileMap:
    """Write ``map/X_Y.tif``, ``map.vrt`` and ``map_coverage.tif`` from the tiles that ``read`` returns.

    The caller removes ``out/.work`` when the dataset is complete.

    Args:
        out: the dataset's directory.
        zoom: of the tiles.
        channels: names of the bands; red, green and blue of 8 bits are marked as colors.
        bits: 1: a pixel is set where ``read`` returns anything but 0; 8: it is stored unchanged.
        shards: X, Y of the shards to read; those without tiles get no file.
        read: called once for each tile of each shard.
        attribution: attribution stored in the files.
        fingerprint: JSON that the pixels depend on; unfinished files made from other inputs are removed.
        total: number of tiles, for the progress.
        threads: number of threads that call ``read``.
        progress: where to report.

    Raises:
        AreaError: the extent of the tiles is too large for one coverage raster.
    """
    wanted = sorted(set(shards), key=lambda shard: (shard[1], shard[0]))
    extent_of(wanted, zoom, len(channels))
    inputs = {
        "zoom": zoom,
        "channels": list(channels),
        "bits": bits,
        "attribution": attribution,
        **fingerprint,
    }
    writer = _Writer(Path(out), check_zoom(zoom), tuple(channels), bits, read, attribution, inputs, progress)
    with progress.task("Writing map", total=total) as advance, ThreadPoolExecutor(threads) as pool:
        for shard in wanted:
            writer.write(shard, pool if threads > 1 else None, advance)
    return writer.bind(wanted)


def extent_of(shards: Sequence[Shard], zoom: int, bands: int) -> None:
    """AreaError if the coverage of these channels over these shards would be too large to write."""
    if not shards:
        raise InputError("there are no tiles to make a map from")
    tiles = np.array([(x * SHARD_TILES, y * SHARD_TILES) for x, y in shards])
    corners = np.concatenate([tiles, np.minimum(tiles + SHARD_TILES - 1, 2**zoom - 1)])
    extent = Extent.of(tile_ranges_of(corners, zoom), zoom)
    blocks = (extent.width // BLOCK_TILES) * (extent.height // BLOCK_TILES) * bands
    if blocks > MAX_COVERAGE_BLOCKS:
        raise AreaError(
            f"the tiles span {extent.width:,} x {extent.height:,} tiles of zoom {zoom}, too wide for one map: "
            "select a smaller area with --bbox west,south,east,north"
        )


def tile_ranges_of(tiles: Ints, zoom: int) -> list[TileRange]:
    """The rectangle around tiles (N, 2); two if the tiles are on both sides of the antimeridian, the western one first.

    >>> tile_ranges_of(np.array([[1023, 5], [0, 6]]), 10)
    [(1023, 5, 1023, 6), (0, 5, 0, 6)]
    """
    columns, (y0, y1) = np.unique(tiles[:, 0]), (int(tiles[:, 1].min()), int(tiles[:, 1].max()))
    x0, x1 = int(columns[0]), int(columns[-1])
    gaps = np.diff(columns)
    if len(gaps) == 0 or gaps.max() <= x0 + 2**zoom - x1:  # the widest gap is the one around the back
        return [(x0, y0, x1, y1)]
    at = int(gaps.argmax())
    return [(int(columns[at + 1]), y0, x1, y1), (x0, y0, int(columns[at]), y1)]


class _Writer:
    """Writes the shards, then the files over all of them."""

    def __init__(
        self, out: Path, zoom: int, channels: tuple[str, ...], bits: int, read: ReadTile, attribution: str,
        inputs: Mapping[str, Any], progress: Progress,
    ) -> None:  # fmt: skip
        if bits not in (1, 8):
            raise InputError(f"a map must have 1 or 8 bits per pixel; got {bits}")
        self.out, self.zoom, self.channels, self.bits = out, zoom, channels, bits
        self.read, self.attribution = read, attribution
        (out / MAP).mkdir(parents=True, exist_ok=True)
        self.job = Job(out / WORK, inputs, afresh=lambda: remove_unfinished(out), progress=progress)
        for folder in (out, out / MAP):
            remove_temporaries(folder)

    def target(self, shard: Shard) -> Path:
        return self.out / MAP / f"{shard[0]}_{shard[1]}.tif"

    def write(self, shard: Shard, pool: ThreadPoolExecutor | None, advance: Advance) -> None:
        """Write a shard, unless it is finished."""
        if self.job.get(part_name(shard)) is not None:
            advance(len(read_part(self.job.parts, shard).present))
            return
        cells = SHARD_TILES * CELLS_PER_TILE
        coverage = np.zeros((len(self.channels), cells, cells), np.uint8)
        covered = np.zeros((len(self.channels), BLOCKS_PER_SHARD, BLOCKS_PER_SHARD), bool)
        content, present = (np.zeros((SHARD_TILES, SHARD_TILES), bool) for _ in range(2))
        with ExitStack() as stack:
            file: GeoTiffWriter | None = None
            for row in range(SHARD_TILES):
                for column, pixels in self._row(shard, row, pool):
                    present[row, column] = True
                    for band in self._bands(pixels):
                        if file is None:
                            file = stack.enter_context(self._opened(stack, shard))
                        plane = pixels[:, :, band]
                        file.add(band, row, column, self._block(plane))
                        coverage[band, _cells(row), _cells(column)] = self._means(plane)
                        covered[band, row // BLOCK_TILES, column // BLOCK_TILES] = True
                        content[row, column] = True
                    advance(1)
        if file is None:
            self.target(shard).unlink(missing_ok=True)
        write_part(
            self.job.parts, shard, self.target(shard), is_empty=file is None, content=content, coverage=coverage,
            covered=covered, present=present, sha256="" if file is None else sha256_of_file(self.target(shard)),
        )  # fmt: skip

    def _row(self, shard: Shard, row: int, pool: ThreadPoolExecutor | None) -> Iterator[tuple[int, Bytes]]:
        """Column and pixels of the existing tiles in a row of a shard."""
        side, y = 2**self.zoom, shard[1] * SHARD_TILES + row
        columns = range(max(0, min(SHARD_TILES, side - shard[0] * SHARD_TILES))) if y < side else range(0)
        x = [shard[0] * SHARD_TILES + column for column in columns]
        read = map(self.read, x, [y] * len(x)) if pool is None else pool.map(self.read, x, [y] * len(x))
        for column, pixels in zip(columns, read, strict=True):
            if pixels is not None:
                shape = (TILE_PX, TILE_PX, len(self.channels))
                if pixels.shape != shape or pixels.dtype != np.uint8:
                    raise InputError(
                        f"a tile has {pixels.shape} pixels of {pixels.dtype}, not {shape} of uint8"
                    )
                yield column, pixels

    def _bands(self, pixels: Bytes) -> list[int]:
        """The bands that are not blank."""
        return [int(band) for band in np.flatnonzero(pixels.any(axis=(0, 1)))]

    def _opened(self, stack: ExitStack, shard: Shard) -> GeoTiffWriter:
        resolution = 2.0 * MERCATOR_HALF / (TILE_PX * 2.0**self.zoom)
        left, top = (number * SHARD_PX * resolution for number in shard)
        return GeoTiffWriter(
            stack.enter_context(replacing(self.target(shard))), width=SHARD_PX, height=SHARD_PX, block=TILE_PX,
            names=self.channels, bits=self.bits, west=left - MERCATOR_HALF, north=MERCATOR_HALF - top,
            resolution=resolution, attribution=self.attribution,
        )  # fmt: skip

    def _block(self, plane: Bytes) -> bytes:
        if self.bits == 1:
            return compress_bits(np.packbits(plane != 0, axis=1).tobytes())
        return compress(np.ascontiguousarray(plane).tobytes())

    def _means(self, plane: Bytes) -> Bytes:
        """(16, 16) the cells of a tile: 255 x the share of set pixels, or the mean of 8 bits, rounded."""
        values = plane != 0 if self.bits == 1 else plane
        sums = values.reshape(CELLS_PER_TILE, CELL_PX, CELLS_PER_TILE, CELL_PX).sum(
            axis=(1, 3), dtype=np.uint32
        )
        pixels = CELL_PX * CELL_PX
        means: Bytes = ((sums * (255 if self.bits == 1 else 1) + pixels // 2) // pixels).astype(np.uint8)
        return means

    def bind(self, shards: Sequence[Shard]) -> TileMap:
        """Write the files over all shards."""
        found: list[ShardPart] = []
        digest, full = hashlib.sha256(), []
        for shard in shards:
            part = read_part(self.job.parts, shard)
            found.append(ShardPart(part.is_empty, part.tiles, part.present, [], part.sha256))
            if not part.is_empty:
                full.append(shard)
                digest.update(f"{shard[0]}_{shard[1]} {part.sha256}\n".encode())
        present, content = (
            _in_rows([getattr(part, name) for part in found]) for name in ("present", "tiles")
        )
        if len(present) == 0:
            raise InputError("there are no tiles to make a map from")
        extent = Extent.of(tile_ranges_of(present, self.zoom), self.zoom)
        write_vrt(
            self.out / "map.vrt", extent, full, self.channels, bits=self.bits, attribution=self.attribution
        )
        parts = ((shard, read_part(self.job.parts, shard).coverage) for shard in shards)
        write_coverage(
            self.out / "map_coverage.tif", extent, self.channels, 0, parts, attribution=self.attribution
        )
        files = ["map.vrt", "map_coverage.tif", *(f"map/{x}_{y}.tif" for x, y in full)]
        return TileMap(files, present, content, digest.hexdigest())


def _cells(tile: int) -> slice:
    return slice(tile * CELLS_PER_TILE, (tile + 1) * CELLS_PER_TILE)


def _in_rows(tiles: list[Ints]) -> Ints:
    together = np.concatenate(tiles)
    return together[np.lexsort((together[:, 0], together[:, 1]))]
