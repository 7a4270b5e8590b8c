"""Drawings between the extract and the shards: sorted to disk, one file per shard.

The features of a country are never in memory together: each chunk is projected to pixels, clipped if it is large, and
appended to the files of the shards that it touches. A file is a stream of Arrow record batches; a row is a drawing in
one channel, with its vertices in pixels from the shard's upper left corner.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.datasets.views.raster.shards import SHARD_PX, SHARD_TILES
from placevec.geo import MAX_MERCATOR_LATITUDE, TILE_PX
from placevec.geo.polylines import Floats, Ints, Paths
from placevec.io.arrow import lists, numbers, to_numpy
from placevec.preparation.rasterize.clip import cells_of, open_rings, spread_rings
from placevec.sources.osm.layers import How

SEA = 3
"""In addition to `How`: a fill that does not count as content of a tile."""
TileRange = tuple[int, int, int, int]
"""First x, first y, last x, last y of tiles, inclusive."""
MARGIN_PX = 16.0
"""Margin around a shard in which large areas are kept: more than the thickness of an outline."""
_MANY_VERTICES = 64
_LINE_VERTICES = 256
_FLUSH_VERTICES = 200_000
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
    """N drawings, in pixels.

    Attributes:
        channel: (N,) uint8.
        how: (N,) uint8, `How` or `SEA`.
        width: (N,) float32, pixels: width of lines, diameter of discs.
        paths: N rows, x east and y south. Fills: rings, with or without the first vertex repeated at the end.
    """

    channel: NDArray[np.uint8]
    how: NDArray[np.uint8]
    width: NDArray[np.float32]
    paths: Paths

    def __len__(self) -> int:
        return len(self.channel)

    def take(self, rows: Ints) -> Drawings:
        """The selected rows."""
        return Drawings(self.channel[rows], self.how[rows], self.width[rows], self.paths.take(rows))


def to_pixels(lonlat: Floats, zoom: int) -> Floats:
    """(V, 2) pixels of the whole map at a zoom, x from 180° W, y from 85.05° N, of lon, lat degrees.

    Longitudes do not wrap, so drawings across the antimeridian stay in one piece; latitudes are clipped to the limits
    of Web Mercator.

    >>> to_pixels(np.array([[0.0, 0.0], [90.0, 0.0]]), 0).round(6).tolist()
    [[128.0, 128.0], [192.0, 128.0]]
    """
    side = TILE_PX * 2.0**zoom
    sine = np.sin(np.radians(np.clip(lonlat[:, 1], -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)))
    return np.stack(
        [(lonlat[:, 0] + 180.0) / 360.0 * side, (0.5 - np.arctanh(sine) / (2.0 * np.pi)) * side], axis=-1
    )


def join_antimeridian(paths: Paths) -> Paths:
    """Paths that jump from 180° E to 180° W continue beyond 180 instead, and the paths of a row are on the same side."""
    jump = np.zeros(len(paths.xy))
    jump[1:] = np.round(np.diff(paths.xy[:, 0]) / -360.0)
    jump[paths.path_offsets[:-1]] = 0.0
    if not jump.any():
        return paths
    turns = np.cumsum(jump)
    sizes = np.diff(paths.path_offsets)
    turns -= np.repeat(turns[paths.path_offsets[:-1]], sizes)
    moved = paths.with_xy(paths.xy + np.stack([360.0 * turns, np.zeros(len(turns))], axis=1))
    # a hole can start on the other side than its shell: it is moved to that side
    crossing = np.logical_or.reduceat(jump != 0.0, paths.row_vertices[:-1])
    boxes = Paths.single(moved.xy, moved.path_offsets).bounds()
    middle = boxes[:, ::2].mean(axis=1)
    first = np.repeat(middle[paths.row_offsets[:-1]], np.diff(paths.row_offsets))
    aside = np.where(crossing[paths.path_rows], np.round((first - middle) / 360.0), 0.0)
    if aside.any():
        shift = np.repeat(360.0 * aside, sizes)
        moved = paths.with_xy(moved.xy + np.stack([shift, np.zeros(len(shift))], axis=1))
    return moved


def on_both_sides(paths: Paths) -> Paths:
    """Paths without jumps; those that cross the antimeridian occur twice, once for each side of the map."""
    joined = join_antimeridian(paths)
    boxes = joined.bounds()
    copies = [joined]
    for rows, shift in ((boxes[:, 2] > 180.0, -360.0), (boxes[:, 0] < -180.0, 360.0)):
        some = joined.take(np.flatnonzero(rows))
        if len(some):
            copies.append(some.with_xy(some.xy + np.array([shift, 0.0])))
    return Paths.concatenate(copies) if len(copies) > 1 else joined


class Spool:
    """Collects drawings for the shards in some ranges of tiles.

    Args:
        folder: folder of the files, ``X_Y.arrows``.
        zoom: zoom of the tiles.
        ranges: tiles to draw; drawings outside their shards are dropped.
    """

    def __init__(self, folder: Path, zoom: int, ranges: list[TileRange]) -> None:
        self.folder, self.zoom, self.ranges = folder, zoom, ranges
        self._pending: dict[tuple[int, int], list[Drawings]] = defaultdict(list)
        self._vertices = 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, drawings: Drawings) -> NDArray[np.bool_]:
        """Add drawings in pixels of the whole map; (N,) bool: which ones touch a shard."""
        world = TILE_PX * 2.0**self.zoom
        used = self._add(drawings)
        boxes = drawings.paths.bounds()
        for rows, shift in ((boxes[:, 2] > world, -world), (boxes[:, 0] < 0, world)):
            if rows.any():  # beyond the antimeridian: again on the other side of the map
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
        rows = np.flatnonzero(single)
        self._add_to_shards(drawings.take(rows), shards[rows, :2])
        rows = np.flatnonzero(touching & ~single)
        if len(rows):
            self._add_wide(drawings.take(rows), shards[rows], tiles)
        return np.asarray(touching)

    def _add_wide(self, wide: Drawings, shards: Ints, tiles: TileRange) -> None:
        """Rows that touch several shards: large areas are clipped, long lines are cut, others are repeated."""
        vertices = np.diff(wide.paths.row_vertices)
        several = (shards[:, 2:] - shards[:, :2] + 1).prod(axis=1) > 4
        is_area = (wide.how == How.FILL) | (wide.how == SEA)
        to_cut = is_area & ((vertices > _MANY_VERTICES) | several)
        to_split = (wide.how == How.LINE) & (vertices > _LINE_VERTICES + 1)
        rows = np.flatnonzero(to_cut)
        areas = open_rings(wide.paths.take(rows))
        cut = spread_rings(areas, shards[rows], SHARD_PX, MARGIN_PX)
        of = rows[cut.row]  # never repeat whole areas for each shard: a coast touches hundreds
        self._add_to_shards(Drawings(wide.channel[of], wide.how[of], wide.width[of], cut.paths), cut.cell)
        for row in np.flatnonzero(to_split).tolist():
            self._add_stretches(wide.take(np.array([row])), tiles)
        rows = np.flatnonzero(~to_cut & ~to_split)
        which, cells = cells_of(shards[rows])
        self._add_to_shards(wide.take(rows[which]), cells)

    def _add_stretches(self, line: Drawings, tiles: TileRange) -> None:
        """One line in parts of `_LINE_VERTICES`."""
        stretches = [
            path[start : start + _LINE_VERTICES + 1]
            for path in line.paths.row(0)
            for start in range(0, max(1, len(path) - 1), _LINE_VERTICES)
        ]
        rows = np.zeros(len(stretches), np.int64)
        paths = Paths.of([[stretch] for stretch in stretches])
        self._add_to_range(Drawings(line.channel[rows], line.how[rows], line.width[rows], paths), tiles)

    def _add_to_shards(self, drawings: Drawings, shards: Ints) -> None:
        """Rows and the shard of each, grouped by shard."""
        number = shards[:, 0] * 2**32 + shards[:, 1]
        order = np.argsort(number, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
            if len(group):
                x, y = shards[group[0]].tolist()
                self._put((x, y), drawings.take(group))

    def _put(self, shard: tuple[int, int], drawings: Drawings) -> None:
        corner = np.array(shard, np.float64) * SHARD_PX
        local = drawings.paths.with_xy(drawings.paths.xy - corner)
        self._pending[shard].append(Drawings(drawings.channel, drawings.how, drawings.width, local))
        self._vertices += len(local.xy)

    def flush(self) -> None:
        """Append everything in memory to the files."""
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
    """The shards with drawings, in row order."""
    found = [tuple(int(part) for part in path.stem.split("_")) for path in folder.glob("*_*.arrows")]
    return sorted(((x, y) for x, y in found), key=lambda shard: (shard[1], shard[0]))


def spooled_bytes(folder: Path, shard: tuple[int, int]) -> int:
    """Size of a shard's drawings on disk, about proportional to the time that drawing them takes."""
    return (folder / f"{shard[0]}_{shard[1]}.arrows").stat().st_size


def read_spool(folder: Path, shard: tuple[int, int]) -> Drawings:
    """All drawings of a shard, in the order in which they were added."""
    with pa.OSFile(str(folder / f"{shard[0]}_{shard[1]}.arrows")) as file, pa.ipc.open_stream(file) as stream:
        return _concatenate([_from_batch(batch) for batch in stream])


def _concatenate(many: list[Drawings]) -> Drawings:
    return Drawings(
        np.concatenate([one.channel for one in many]),
        np.concatenate([one.how for one in many]),
        np.concatenate([one.width for one in many]),
        Paths.concatenate([one.paths for one in many]),
    )


def _to_batch(drawings: Drawings) -> pa.RecordBatch:
    paths = drawings.paths
    sizes = lists(paths.row_offsets, numbers(np.diff(paths.path_offsets), pa.int32()))
    xy = lists(2 * paths.row_vertices, numbers(paths.xy.ravel(), pa.float32()))
    columns = [
        numbers(drawings.channel, pa.uint8()),
        numbers(drawings.how, pa.uint8()),
        numbers(drawings.width, pa.float32()),
        sizes,
        xy,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _from_batch(batch: pa.RecordBatch) -> Drawings:
    path_sizes, xy = batch.column("path_sizes"), batch.column("xy")
    path_offsets = np.concatenate([[0], np.cumsum(to_numpy(path_sizes.values), dtype=np.int64)])
    rows = to_numpy(path_sizes.offsets).astype(np.int64)
    vertices = to_numpy(xy.values).reshape(-1, 2).astype(np.float64)
    channel, how, width = (to_numpy(batch.column(name)) for name in ("channel", "how", "width"))
    return Drawings(channel, how, width, Paths(vertices, path_offsets, rows))
