"""Drawings on their way from the extract to the shards: sorted onto disk, one file a shard.

A country's features never stand in memory together: each chunk is projected to pixels, cut where it is large, and
appended to the files of the shards that it touches. A file is a stream of Arrow record batches; a row is a drawing
in one channel with its vertices in pixels from the shard's upper left corner.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.geo import MAX_MERCATOR_LATITUDE, TILE_PX
from placevec.sources.paths import Floats, Ints, Paths
from placevec.views.clip import spread_rings
from placevec.views.layers import How
from placevec.views.shards import SHARD_PX, SHARD_TILES

SEA = 3
"""Beside `How`: a fill that does not count as content of a tile."""
TileRange = tuple[int, int, int, int]
"""First x, first y, last x, last y of tiles, inclusive."""
MARGIN_PX = 16.0
"""How far beyond a shard large areas are kept: more than an outline is thick."""
_MANY_VERTICES = 64
_LINE_VERTICES = 256
_FLUSH_VERTICES = 2_000_000
_SCHEMA = pa.schema(
    [
        ("channel", pa.uint8()),
        ("how", pa.uint8()),
        ("width", pa.float32()),
        ("path_sizes", pa.list_(pa.int32())),
        ("xy", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Drawings:
    """N things to draw, in pixels.

    Attributes:
        channel: (N,) uint8.
        how: (N,) uint8, `How` or `SEA`.
        width: (N,) float32, pixels: width of lines, diameter of discs.
        paths: N rows, x east and y south. Fills: rings whose first vertex may be repeated at the end.
    """

    channel: NDArray[np.uint8]
    how: NDArray[np.uint8]
    width: NDArray[np.float32]
    paths: Paths

    def __len__(self) -> int:
        return len(self.channel)

    def take(self, rows: Ints) -> Drawings:
        """The chosen rows."""
        return Drawings(self.channel[rows], self.how[rows], self.width[rows], self.paths.take(rows))


def to_pixels(lonlat: Floats, zoom: int) -> Floats:
    """(V, 2) pixels of the whole map at a zoom, x from 180° W, y from 85.05° N, of lon, lat degrees.

    Longitudes do not wrap, so that what passes the antimeridian stays in one piece; latitudes are cut at the end
    of Web Mercator.
    """
    side = TILE_PX * 2.0**zoom
    sine = np.sin(np.radians(np.clip(lonlat[:, 1], -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)))
    return np.stack(
        [(lonlat[:, 0] + 180.0) / 360.0 * side, (0.5 - np.arctanh(sine) / (2.0 * np.pi)) * side], axis=-1
    )


def join_antimeridian(paths: Paths) -> Paths:
    """Paths that jump from 180° E to 180° W continue beyond 180 instead."""
    jump = np.zeros(len(paths.xy))
    jump[1:] = np.round(np.diff(paths.xy[:, 0]) / -360.0)
    jump[paths.path_offsets[:-1]] = 0.0
    if not jump.any():
        return paths
    turns = np.cumsum(jump)
    turns -= np.repeat(turns[paths.path_offsets[:-1]], np.diff(paths.path_offsets))
    return paths.with_xy(paths.xy + np.stack([360.0 * turns, np.zeros(len(turns))], axis=1))


class Spool:
    """Collects drawings for the shards of some ranges of tiles.

    Args:
        folder: of the files, ``X_Y.arrows``.
        zoom: of the tiles.
        ranges: tiles that are drawn; what touches no shard of theirs is dropped.
    """

    def __init__(self, folder: Path, zoom: int, ranges: list[TileRange]) -> None:
        self.folder, self.zoom, self.ranges = folder, zoom, ranges
        self._pending: dict[tuple[int, int], list[Drawings]] = defaultdict(list)
        self._vertices = 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, drawings: Drawings) -> NDArray[np.bool_]:
        """Take drawings in pixels of the whole map; (N,) bool: which touch a shard."""
        world = TILE_PX * 2.0**self.zoom
        used = self._add(drawings)
        boxes = drawings.paths.bounds()
        for rows, shift in ((boxes[:, 2] > world, -world), (boxes[:, 0] < 0, world)):
            if rows.any():  # beyond the antimeridian: once more on the other side of the map
                moved = drawings.take(np.flatnonzero(rows))
                paths = moved.paths.with_xy(moved.paths.xy + np.array([shift, 0.0]))
                used[rows] |= self._add(Drawings(moved.channel, moved.how, moved.width, paths))
        if self._vertices > _FLUSH_VERTICES:
            self.flush()
        return used

    def _add(self, drawings: Drawings) -> NDArray[np.bool_]:
        used = np.zeros(len(drawings), bool)
        for tiles in self.ranges:
            used |= self._add_to_range(drawings, tiles)
        return used

    def _add_to_range(self, drawings: Drawings, tiles: TileRange) -> NDArray[np.bool_]:
        x0, y0, x1, y1 = tiles
        reach = (drawings.width / 2.0 + 2.0)[:, None]
        boxes = drawings.paths.bounds()
        boxes = np.concatenate([boxes[:, :2] - reach, boxes[:, 2:] + reach], axis=1) / TILE_PX
        touching = (boxes[:, 2] > x0) & (boxes[:, 0] < x1 + 1) & (boxes[:, 3] > y0) & (boxes[:, 1] < y1 + 1)
        shards = np.floor(np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1]) / SHARD_TILES).astype(np.int64)
        single = touching & (shards[:, 0] == shards[:, 2]) & (shards[:, 1] == shards[:, 3])
        self._add_single(drawings, np.flatnonzero(single), shards)
        for row in np.flatnonzero(touching & ~single).tolist():
            sx0, sy0, sx1, sy1 = shards[row].tolist()
            self._add_wide(drawings.take(np.array([row])), (sx0, sy0, sx1, sy1), tiles)
        return np.asarray(touching)

    def _add_single(self, drawings: Drawings, rows: Ints, shards: Ints) -> None:
        """Rows that touch one shard, grouped by it."""
        number = shards[rows, 0] * 2**32 + shards[rows, 1]
        order = np.argsort(number, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            if len(group):
                x, y = shards[rows[group[0]], :2].tolist()
                self._put((x, y), drawings.take(rows[group]))

    def _add_wide(self, one: Drawings, shards: TileRange, tiles: TileRange) -> None:
        """A row that touches several shards: large areas cut, long lines in stretches, the rest repeated."""
        x0, y0, x1, y1 = shards
        is_area = one.how[0] in (How.FILL, SEA)
        if is_area and (len(one.paths.xy) > _MANY_VERTICES or (x1 - x0 + 1) * (y1 - y0 + 1) > 4):
            rings = [open_ring(ring) for ring in one.paths.row(0)]
            for x, y, cut, _ in spread_rings(rings, shards, SHARD_PX, MARGIN_PX):
                self._put((x, y), Drawings(one.channel, one.how, one.width, Paths.of([cut])))
        elif one.how[0] == How.LINE and len(one.paths.xy) > _LINE_VERTICES + 1:
            stretches = [
                path[start : start + _LINE_VERTICES + 1]
                for path in one.paths.row(0)
                for start in range(0, max(1, len(path) - 1), _LINE_VERTICES)
            ]
            rows = np.zeros(len(stretches), np.int64)
            paths = Paths.of([[stretch] for stretch in stretches])
            self._add_to_range(Drawings(one.channel[rows], one.how[rows], one.width[rows], paths), tiles)
        else:
            for x in range(x0, x1 + 1):
                for y in range(y0, y1 + 1):
                    self._put((x, y), one)

    def _put(self, shard: tuple[int, int], drawings: Drawings) -> None:
        corner = np.array(shard, np.float64) * SHARD_PX
        local = drawings.paths.with_xy(drawings.paths.xy - corner)
        self._pending[shard].append(Drawings(drawings.channel, drawings.how, drawings.width, local))
        self._vertices += len(local.xy)

    def flush(self) -> None:
        """Append what is held in memory to the files."""
        for shard, held in self._pending.items():
            path = self.folder / f"{shard[0]}_{shard[1]}.arrows"
            new = not path.exists()
            with open(path, "ab") as file:
                if new:
                    file.write(_SCHEMA.serialize())
                file.write(_to_batch(_concatenate(held)).serialize())
        self._pending.clear()
        self._vertices = 0


def spooled_shards(folder: Path) -> list[tuple[int, int]]:
    """The shards that have drawings, in row order."""
    found = [tuple(int(part) for part in path.stem.split("_")) for path in folder.glob("*_*.arrows")]
    return sorted(((x, y) for x, y in found), key=lambda shard: (shard[1], shard[0]))


def read_spool(folder: Path, shard: tuple[int, int]) -> Drawings:
    """All drawings of a shard, in the order in which they were added."""
    with pa.OSFile(str(folder / f"{shard[0]}_{shard[1]}.arrows")) as file, pa.ipc.open_stream(file) as stream:
        return _concatenate([_from_batch(batch) for batch in stream])


def open_ring(ring: Floats) -> Floats:
    """A ring without its first vertex repeated at the end."""
    return ring[:-1] if len(ring) > 1 and np.array_equal(ring[0], ring[-1]) else ring


def _concatenate(many: list[Drawings]) -> Drawings:
    return Drawings(
        np.concatenate([one.channel for one in many]),
        np.concatenate([one.how for one in many]),
        np.concatenate([one.width for one in many]),
        Paths.concatenate([one.paths for one in many]),
    )


def _to_batch(drawings: Drawings) -> pa.RecordBatch:
    paths = drawings.paths
    sizes = pa.ListArray.from_arrays(
        pa.array(paths.row_offsets.astype(np.int32)), pa.array(np.diff(paths.path_offsets).astype(np.int32))
    )
    xy = pa.ListArray.from_arrays(
        pa.array((2 * paths.row_vertices).astype(np.int32)), pa.array(paths.xy.astype(np.float32).ravel())
    )
    columns = [drawings.channel, drawings.how, drawings.width.astype(np.float32)]
    return pa.record_batch([*map(pa.array, columns), sizes, xy], schema=_SCHEMA)


def _from_batch(batch: pa.RecordBatch) -> Drawings:
    path_sizes = batch.column("path_sizes")
    sizes = path_sizes.flatten().to_numpy(zero_copy_only=False)
    path_offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    rows = path_sizes.offsets.to_numpy().astype(np.int64)
    xy = batch.column("xy").flatten().to_numpy(zero_copy_only=False).reshape(-1, 2).astype(np.float64)
    channel, how, width = (
        batch.column(name).to_numpy(zero_copy_only=False) for name in ("channel", "how", "width")
    )
    return Drawings(channel, how, width, Paths(xy, path_offsets, rows))
