"""The vector of each place out of rasters of vectors: that of the pixel it lies in, or the mean of those that it covers.

A raster is read block by block, and only the blocks that a place touches, each once: a store of terabytes costs what its
places cover, and memory holds one block. Pixels are counted by their centers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.geo.antimeridian import Objects
from placevec.geo.meters import local_offset
from placevec.io.progress import SILENT, Progress
from placevec.sources.imagery.ground import applied, between, edges_in_degrees
from placevec.sources.published.products import Edition, agreed
from placevec.sources.published.rasters import VectorRaster

BLOCK = 256
"""Side of what is read at once, pixels."""
MAX_ODD = 0.1
"""Share of the pixels read that may be no vectors of the product."""


@dataclass
class Sampled:
    """Vectors of places.

    Attributes:
        vectors: (N, D) float32, NaN where there is none.
        pixels: (N,) how many pixels each is the mean of.
        lost: reason -> (N,) bool places without a vector.
        edition: what all rasters are of.
        files: names of the rasters that hold any of the places.
    """

    vectors: NDArray[np.float32]
    pixels: NDArray[np.int64]
    lost: dict[str, NDArray[np.bool_]]
    edition: Edition
    files: list[str]


def squares(lonlat: Floats, size_m: float) -> Objects:
    """(N,) squares around points (lon, lat degrees), ``size_m`` meters along north and east; None without coordinates."""
    import shapely

    found = np.full(len(lonlat), None, object)
    known = np.isfinite(lonlat).all(axis=1)
    lon, lat, half = lonlat[known, 0], lonlat[known, 1], size_m / 2
    corners = np.stack(
        [
            local_offset(lon, lat, east_m=east * half, north_m=north * half)
            for east, north in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ],
        axis=1,
    )
    found[known] = shapely.polygons(corners) if known.any() else []
    return found


def bounds_of(lonlat: Floats, shapes: Objects) -> Floats:
    """(N, 4) west, south, east, north of places: of their polygons, else of their points; NaN without coordinates."""
    import shapely

    bounds = np.hstack([lonlat, lonlat]).astype(np.float64)
    polygons = shapely.get_dimensions(shapes) == 2
    bounds[polygons] = shapely.bounds(shapes[polygons])
    return bounds


def sample(
    rasters: Iterable[VectorRaster],
    lonlat: Floats,
    shapes: Objects,
    *,
    version: str | None = None,
    progress: Progress = SILENT,
) -> Sampled:
    """The vector of each place.

    Args:
        rasters: of one edition; each is closed when it has been read. Of rasters that overlap, all count for a polygon,
            and the first that has it for a point.
        lonlat: (N, 2) degrees, NaN without coordinates.
        shapes: (N,) polygons in degrees, whose pixels are averaged; any other geometry stands for the point.
        version: of rasters that do not say theirs.
        progress: receives progress reports.

    Raises:
        SourceError: rasters of several editions, or one whose pixels are no vectors of its product.
    """
    import shapely

    bounds = bounds_of(lonlat, shapes)
    polygon = np.asarray(shapely.get_dimensions(shapes) == 2)
    sums: Floats | None = None
    editions: list[tuple[object, Edition]] = []
    pixels, seen, spoiled = (
        np.zeros(len(lonlat), np.int64),
        np.zeros(len(lonlat), bool),
        np.zeros(len(lonlat), bool),
    )
    files: list[str] = []
    with progress.task("Reading vectors of places", total=None) as advance:
        for raster in rasters:
            try:
                editions.append((raster.name, raster.edition))
                agreed(editions, version)
                if sums is None:
                    sums = np.zeros((len(lonlat), raster.edition.dim))
                wanted = _overlapping(raster, bounds) & (polygon | (pixels == 0))
                read = odd = 0
                for row, values, bad in _parts(raster, np.flatnonzero(wanted), lonlat, shapes, polygon):
                    there = np.isfinite(values).all(axis=1)
                    sums[row] += values[there].sum(axis=0, dtype=np.float64)
                    pixels[row] += there.sum()
                    seen[row] = True
                    spoiled[row] |= bad.any()
                    read, odd = read + int(there.sum() + bad.sum()), odd + int(bad.sum())
                    advance()
                if read:
                    files.append(raster.name)
                if odd > MAX_ODD * max(read, 1):
                    raise SourceError(
                        f"{raster.name}: {odd:,} of {read:,} pixels are not vectors of "
                        f"{raster.edition.product.title}: " + _why_odd(raster.edition)
                    )
            finally:
                raster.close()
    edition = agreed(editions, version)
    assert sums is not None
    vectors = np.full(sums.shape, np.nan, np.float32)
    held = pixels > 0
    means = sums[held] / pixels[held][:, None]
    if edition.product.unit:
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    vectors[held] = means
    located = np.isfinite(lonlat).all(axis=1)
    lost = {
        "without coordinates": ~located & ~held,
        "outside the rasters": located & ~seen,
        "where the rasters have no data": seen & ~held & ~spoiled,
        "where the raster's values are out of range": seen & ~held & spoiled,
    }
    return Sampled(vectors, pixels, {why: rows for why, rows in lost.items() if rows.any()}, edition, files)


def _why_odd(edition: Edition) -> str:
    if edition.product.unit:
        return "after conversion their length is not 1; is this a rescaled or resampled copy?"
    return "their scales are negative, or more than a hundred times those of their neighbors; download the tile again"


def _overlapping(raster: VectorRaster, bounds: Floats) -> NDArray[np.bool_]:
    """(N,) places whose bounds touch those of a raster, across the antimeridian too."""
    rows, columns = raster.shape
    lon, lat = edges_in_degrees(raster.transform, raster.system, columns, rows)
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        return np.ones(len(bounds), bool)
    lon, lat = lon[known], lat[known]
    with np.errstate(invalid="ignore"):
        level = (bounds[:, 3] >= lat.min()) & (bounds[:, 1] <= lat.max())
        if np.ptp(lon) > 180.0:
            lon = np.where(lon < 0, lon + 360.0, lon)
        return np.asarray(level & np.any(
            [(bounds[:, 2] + turn >= lon.min()) & (bounds[:, 0] + turn <= lon.max()) for turn in (-360, 0, 360)], axis=0
        ))  # fmt: skip


def _parts(
    raster: VectorRaster, rows: NDArray[np.int64], lonlat: Floats, shapes: Objects, polygon: NDArray[np.bool_]
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
    """(place, (P, D) vectors of its pixels in one block, (P,) which are none of the product)."""
    import shapely

    if len(rows) == 0:
        return
    to = between(4326, raster.system)
    back = ~raster.transform

    def on_grid(degrees: Floats) -> Floats:
        x, y = to.transform(degrees[:, 0], degrees[:, 1])
        return np.stack(applied(back, np.asarray(x), np.asarray(y)), axis=1)

    points = on_grid(lonlat[rows])
    drawn: dict[int, Any] = {}
    boxes = np.concatenate([points, points], axis=1)
    areas = np.flatnonzero(polygon[rows])
    if len(areas):
        found = shapely.transform(shapes[rows[areas]], on_grid)
        boxes[areas] = shapely.bounds(found)
        drawn = dict(zip(areas.tolist(), found, strict=True))
    at = defaultdict(list)
    height, width = raster.shape
    for number, box in enumerate(boxes.tolist()):
        if not np.isfinite(box).all():
            continue
        left, top = max(int(np.floor(box[0])), 0), max(int(np.floor(box[1])), 0)
        right, bottom = min(int(np.floor(box[2])), width - 1), min(int(np.floor(box[3])), height - 1)
        for across in range(left // BLOCK, right // BLOCK + 1) if right >= left else ():
            for down in range(top // BLOCK, bottom // BLOCK + 1) if bottom >= top else ():
                at[down, across].append((number, left, top, right, bottom))
    for (down, across), members in sorted(at.items()):
        first, start = down * BLOCK, across * BLOCK
        top, left = max(first, min(one[2] for one in members)), max(start, min(one[1] for one in members))
        bottom = min(first + BLOCK, max(one[4] for one in members) + 1)
        right = min(start + BLOCK, max(one[3] for one in members) + 1)
        vectors, odd = raster.read(slice(top, bottom), slice(left, right))
        for number, x0, y0, x1, y1 in members:
            first_row, first_column = max(y0, top), max(x0, left)
            part = (
                slice(first_row - top, min(y1 + 1, bottom) - top),
                slice(first_column - left, min(x1 + 1, right) - left),
            )
            inside = np.ones(vectors[part].shape[:2], bool)
            if number in drawn:
                inside = _covered(drawn[number], points[number], first_column, first_row, inside.shape)
                if not inside.any():
                    continue
            yield int(rows[number]), vectors[part][inside], odd[part][inside]


def _covered(shape: Any, point: Floats, left: int, top: int, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) pixels of a window whose centers lie in a shape; of one too small for any, the pixel of its point."""
    import shapely

    lines, columns = np.mgrid[top : top + size[0], left : left + size[1]]
    inside: NDArray[np.bool_] = shapely.contains_xy(shape, columns + 0.5, lines + 0.5)
    if not inside.any() and shape.area < 4.0:
        inside = (columns == np.floor(point[0])) & (lines == np.floor(point[1]))
    return inside
