"""Drawing an extract's twelve layers: the whole cold job, and drawing alone beside ``rasterio.features``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine

from benchmarks.extracts import embedded, extract
from benchmarks.measure import Row, Timing, interleaved, rate_row
from placevec.progress import SILENT
from placevec.sources.osm import extent, read_header
from placevec.views.burn import _Burn
from placevec.views.drawing import draw_shard
from placevec.views.layers import How, LayerTable
from placevec.views.spool import Drawings, read_spool, spooled_shards

SQUARE_PX = 1024
COLD = """
import sys
from pathlib import Path
from placevec.sources.osm import extent, read_header
from placevec.views.burn import burn_extract
path = Path(sys.argv[1])
report = burn_extract(path, sys.argv[2], area=read_header(path).area or extent(path), zoom=17)
print(report.tiles, len(report.nonempty_tiles))
"""


def _geometries(drawings: Drawings) -> list[tuple[int, np.ndarray]]:
    """(channel, shapely geometries), lines and points already buffered: what rasterio would be handed."""
    found: dict[int, list[shapely.Geometry]] = {}
    for row in range(len(drawings)):
        one = drawings.paths.take(np.array([row]))
        rings = [one.xy[a:b] for a, b in zip(one.path_offsets, one.path_offsets[1:], strict=False)]
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


def _rasterize(shapes: list[tuple[int, np.ndarray]]) -> int:
    """Every channel of every square that something touches, one ``rasterize`` call each; returns pixels drawn."""
    drawn = 0
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
                    shape = (SQUARE_PX, SQUARE_PX)
                    transform = Affine.translation(west, north)
                    drawn += int(rasterize(geometries[near], shape, transform=transform, dtype="uint8").sum())
    return drawn


def _drawing_alone(source: Path) -> tuple[Timing, Timing, int]:
    """Seconds of ours and of rasterio for the same drawings of the shard that holds most, and its tiles."""
    with tempfile.TemporaryDirectory() as folder:
        area = read_header(source).area or extent(source)
        burn = _Burn(source, Path(folder), area, 17, LayerTable.default(), {}, SILENT)
        burn._start_afresh({})
        burn._spool()
        spool = Path(folder) / ".work" / "spool"
        shard = max(spooled_shards(spool), key=lambda one: len(read_spool(spool, one)))
        drawings = read_spool(spool, shard)
    wanted = np.ones((64, 64), bool)
    tiles = {
        (int(x), int(y))
        for square in draw_shard(drawings, wanted)
        for x, y in zip(square.tile_x, square.tile_y, strict=True)
    }
    shapes = _geometries(drawings)
    ours, theirs = interleaved(
        3,
        lambda: sum(len(square.tile_x) for square in draw_shard(drawings, wanted)),
        lambda: _rasterize(shapes),
    )
    return ours, theirs, len(tiles)


def rows() -> list[Row]:
    source = extract("malta") or embedded()
    name = source.name.removesuffix(".osm.pbf")
    ours, theirs, tiles = _drawing_alone(source)
    counted = f"non-empty tiles of the fullest shard of {name}, 12 layers, zoom 17, one thread, coordinates at hand, lines buffered beforehand for rasterio"
    found = [rate_row("drawing alone", ours, tiles, theirs, tiles, "tiles/s", "rasterio.features", counted)]
    seconds, box, content = [], 0, 0
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            out = subprocess.run(
                [sys.executable, "-c", COLD, str(source), folder], check=True, capture_output=True, text=True
            )
            seconds.append(time.perf_counter() - started)
            box, content = (int(part) for part in out.stdout.split())
    cold = Timing(seconds)
    rate, their_rate = content / cold.median, tiles / theirs.median
    counted = f"tiles of {name} that hold something ({content:,}; the box has {box:,}: {box / cold.median:,.0f}/s), whole process, extract to renamed shards, one core"
    against = "rasterio.features, drawing alone"
    spread = f"{content / max(seconds):,.0f} to {content / min(seconds):,.0f}"
    found.append(
        Row(
            "cold, extract to shards",
            rate,
            their_rate,
            "tiles/s",
            against,
            rate / their_rate,
            spread,
            counted,
        )
    )
    return found
