"""Drawing alone, twelve layers as masks: ours beside ``rasterio.features`` and Mapnik, the same shapes for all."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine

from benchmarks.measure import Row, Timing, rate_row
from benchmarks.peers import mapnik
from placevec.io.jobs import Job
from placevec.io.progress import SILENT
from placevec.preparation.rasterize.draw import draw_shard
from placevec.preparation.rasterize.pipeline import _Burn
from placevec.preparation.rasterize.spool import Drawings, read_spool, spooled_shards
from placevec.sources.osm.layers import How, LayerTable
from placevec.sources.osm.reader import extent, read_header

SQUARE_PX = 1024
REPEATS = 3
Shapes = list[tuple[int, np.ndarray]]


def rows(source: Path) -> list[Row]:
    """Rates over the non-empty tiles of the fullest shard of an extract; Mapnik's row only where it is installed."""
    drawings = _fullest_shard(source)
    wanted = np.ones((64, 64), bool)
    found = list(draw_shard(drawings, wanted))
    tiles = len({place for some in found for place in zip(some.x.tolist(), some.y.tolist(), strict=True)})
    pixels = sum(int(some.counts.sum()) for some in found)
    shapes = _geometries(drawings)
    ours, rasterio, rendered = Timing([]), Timing([]), Timing([])
    with tempfile.TemporaryDirectory() as folder:
        squares = [_moved(near, *corner) for corner, near in _squares(shapes)]
        with_mapnik = mapnik.installed()
        peer = mapnik.Mapnik(squares, SQUARE_PX, Path(folder)) if with_mapnik else None
        for repeat in range(REPEATS + 1):  # the first is a warm-up
            for timing, work in (
                (ours, lambda: sum(len(some) for some in draw_shard(drawings, wanted))),
                (rasterio, lambda: _rasterize(shapes)),
            ):
                started = time.perf_counter()
                work()
                if repeat:
                    timing.seconds.append(time.perf_counter() - started)
            if peer is not None:
                seconds, their_pixels = peer.render()
                if repeat:
                    rendered.seconds.append(seconds)
        if peer is not None:
            peer.__exit__(None, None, None)
            print(f"pixels set: ours {pixels:,}, Mapnik {their_pixels:,}")
    name = source.name.removesuffix(".osm.pbf")
    counted = (
        f"non-empty tiles of the fullest shard of {name}, 12 layers, zoom 17, one thread, coordinates at hand"
    )
    beforehand = "lines buffered beforehand for"
    table = [
        rate_row(
            "drawing alone", ours, tiles, rasterio, tiles, "tiles/s", "rasterio.features",
            f"{counted}, {beforehand} rasterio",
        )
    ]  # fmt: skip
    if not with_mapnik:
        print(mapnik.MISSING)
        return table
    counted += f", {beforehand} Mapnik and shapes given to it square by square in memory, not antialiased"
    return [
        *table,
        rate_row("drawing alone", ours, tiles, rendered, tiles, "tiles/s", "Mapnik 3.1", counted),
    ]


def _fullest_shard(source: Path) -> Drawings:
    with tempfile.TemporaryDirectory() as folder:
        area = read_header(source).area or extent(source)
        burn = _Burn(source, Path(folder), area, 17, LayerTable.default(), {}, SILENT)
        burn.job = Job(burn.work, {})
        burn._spool()
        spool = Path(folder) / ".work" / "spool"
        return max(
            (read_spool(spool, shard) for shard in spooled_shards(spool)), key=lambda some: len(some.paths.xy)
        )


def _geometries(drawings: Drawings) -> Shapes:
    """(channel, shapely geometries), lines and points already buffered: what rasterio would be handed."""
    found: dict[int, list[shapely.Geometry]] = {}
    for row in range(len(drawings)):
        rings = drawings.paths.row(row)
        if drawings.how[row] == How.LINE:
            shape = shapely.MultiLineString([r for r in rings if len(r) > 1]).buffer(drawings.width[row] / 2)
        elif drawings.how[row] == How.POINT:
            shape = shapely.Point(rings[0][0]).buffer(drawings.width[row] / 2)
        else:
            shape = shapely.Polygon()
            for ring in rings:
                if len(ring) > 2:
                    shape = shape.symmetric_difference(shapely.Polygon(ring).buffer(0), grid_size=1e-6)
        found.setdefault(int(drawings.channel[row]), []).append(shape)
    return [(channel, np.array(shapes, object)) for channel, shapes in found.items()]


def _squares(shapes: Shapes) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Left and upper pixel, and the geometries near, of every square of every channel that something touches."""
    found = []
    for _, geometries in shapes:
        tree = shapely.STRtree(geometries)
        bounds = shapely.bounds(geometries)
        low = np.floor(np.nanmin(bounds[:, :2], axis=0) / SQUARE_PX).clip(0, 15).astype(int)
        high = np.floor(np.nanmax(bounds[:, 2:], axis=0) / SQUARE_PX).clip(0, 15).astype(int)
        for row in range(low[1], high[1] + 1):
            for column in range(low[0], high[0] + 1):
                west, north = column * SQUARE_PX, row * SQUARE_PX
                near = tree.query(shapely.box(west, north, west + SQUARE_PX, north + SQUARE_PX))
                if len(near):
                    found.append(((west, north), geometries[near]))
    return found


def _rasterize(shapes: Shapes) -> int:
    """One ``rasterize`` call a square; returns pixels drawn."""
    drawn = 0
    for (west, north), near in _squares(shapes):
        shape = (SQUARE_PX, SQUARE_PX)
        drawn += int(rasterize(near, shape, transform=Affine.translation(west, north), dtype="uint8").sum())
    return drawn


def _moved(geometries: np.ndarray, west: int, north: int) -> list[str]:
    """WKB from the square's upper left corner, y upwards."""
    moved = shapely.transform(geometries, lambda xy: (xy - [west, north]) * [1.0, -1.0])
    return [str(one) for one in shapely.to_wkb(moved[~shapely.is_empty(moved)], hex=True)]
