"""Places as pixels: which place each pixel of a raster shows, and GeoTIFFs of numbers of places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec._version import __version__
from placevec.datasets.dataset import Dataset
from placevec.errors import InputError, UsageError
from placevec.geo import Floats, Ints, to_ecef
from placevec.inference.raster import tag
from placevec.io import gdal
from placevec.io.atomic import replacing
from placevec.sources.imagery.ground import utm_zone

MAX_PIXELS = 50_000_000
_OF_CELL = 3
"""Pixels along the side of a cell or mean polygon, so that the pixel at its center shows it:
rows of grids bend in UTM."""
_REACH = 0.75
"""A pixel shows the nearest point within this many sides of a cell."""


@dataclass(frozen=True)
class CellRaster:
    """Pixels, north up, and the place that each of them shows.

    Attributes:
        crs: ``EPSG:...``.
        west, north: upper left corner in its units.
        size: side of a pixel in its units.
        place: (rows, columns) index into the places, -1 for none.
    """

    crs: str
    west: float
    north: float
    size: float
    place: NDArray[np.int64]

    def of(self, values: Floats) -> NDArray[np.float32]:
        """(rows, columns) float32 of (N,) numbers of the places, NaN where no place lies."""
        padded = np.append(values, np.nan).astype(np.float32)
        return padded[self.place]


def raster_of(dataset: Dataset, rows: Ints, *, resolution_m: float | None = None) -> CellRaster:
    """Pixels of the places at ``rows``.

    Tiles are pixels of Web Mercator. Grids in meters and polygons are drawn in the UTM zone of their middle, by default
    with pixels of a third of the spacing or the mean side. A pixel shows the polygon that holds its center, of a grid the
    nearest cell.

    Args:
        dataset: whose places they are.
        rows: (N,) of them.
        resolution_m: side of a pixel in meters.

    Raises:
        UsageError: places without an extent, or more than `MAX_PIXELS`.
        InputError: places across the antimeridian.
    """
    import shapely
    from pyproj import Transformer

    laid = dataset.manifest["places"]
    shapes, lonlat = dataset.geometry()[rows], dataset.lonlat[rows]
    polygons = all(shape is not None and shape.geom_type.endswith("Polygon") for shape in shapes)
    if not polygons and laid["spacing_m"] is None:
        raise UsageError(
            "these places are points, which cannot fill a raster: write a .parquet table, or a dataset with cells"
        )
    if np.ptp(lonlat[:, 0]) > 180.0:
        raise InputError(
            "places on both sides of the antimeridian do not fit into one raster: write a .parquet table"
        )
    tiles = laid["zoom"] is not None and resolution_m is None
    middle = lonlat.mean(axis=0)
    crs = "EPSG:3857" if tiles else f"EPSG:{utm_zone(float(middle[0]), float(middle[1]))}"
    to = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    if polygons:
        drawn = shapely.transform(shapes, lambda points: np.stack(to.transform(*points.T), axis=-1))
        side = float(shapely.area(drawn).mean() ** 0.5)
        west, south, east, north = shapely.total_bounds(drawn)
        size = resolution_m or (side if tiles else side / _OF_CELL)
    else:
        side = float(laid["spacing_m"])
        xy = np.stack(to.transform(*lonlat.T), axis=-1)
        (west, south), (east, north) = xy.min(axis=0) - side / 2.0, xy.max(axis=0) + side / 2.0
        size = resolution_m or side / _OF_CELL
    wide, high = (max(1, round(float(extent / size))) for extent in (east - west, north - south))
    if wide * high > MAX_PIXELS:
        raise UsageError(f"{wide:,} x {high:,} pixels are too many: choose a coarser --resolution")
    x = west + (np.arange(wide) + 0.5) * size
    y = north - (np.arange(high) + 0.5) * size
    if polygons:
        place = _inside(drawn, x, y)
    else:
        place = _nearest(lonlat, Transformer.from_crs(crs, "EPSG:4326", always_xy=True), x, y, side)
    return CellRaster(crs, float(west), float(north), size, place)


def _inside(shapes: NDArray[Any], x: Floats, y: Floats) -> NDArray[np.int64]:
    """(rows, columns) the polygon that holds each center of a pixel; of several the first."""
    import shapely

    tree = shapely.STRtree(shapes)
    found = np.full((len(y), len(x)), -1, np.int64)
    for row, at in enumerate(y):
        pixel, polygon = tree.query(shapely.points(x, np.full(len(x), at)), predicate="intersects")
        order = np.argsort(-polygon, kind="stable")
        found[row, pixel[order]] = polygon[order]
    return found


def _nearest(lonlat: Floats, back: Any, x: Floats, y: Floats, spacing_m: float) -> NDArray[np.int64]:
    """The same of points a distance apart: the nearest, where it is near."""
    from scipy.spatial import cKDTree

    tree = cKDTree(to_ecef(lonlat[:, 0], lonlat[:, 1]))
    found = np.full((len(y), len(x)), -1, np.int64)
    for row, at in enumerate(y):
        lon, lat = back.transform(x, np.full(len(x), at))
        distance, place = tree.query(to_ecef(np.asarray(lon), np.asarray(lat)))
        found[row] = np.where(distance <= _REACH * spacing_m, place, -1)
    return found


def write_cells(raster: CellRaster, bands: Mapping[str, Floats], path: Path, tags: Mapping[str, str]) -> None:
    """Write numbers of places as a GeoTIFF, float32, one band each, atomically; NaN where there is no place.

    Args:
        raster: pixels of the places.
        bands: name -> (N,) numbers.
        path: the file.
        tags: of the whole file.
    """
    from rasterio.transform import from_origin

    high, wide = raster.place.shape
    profile = {
        "driver": "GTiff", "width": wide, "height": high, "count": len(bands), "dtype": "float32", "crs": raster.crs,
        "nodata": float("nan"), "transform": from_origin(raster.west, raster.north, raster.size, raster.size),
        "compress": "deflate", "predictor": 3,
    }  # fmt: skip
    about = {name: tag(text) for name, text in tags.items()}
    with replacing(path) as temporary:
        with gdal.opened(temporary, "w", **profile) as file:
            file.update_tags(**about, SOFTWARE=f"placevec {__version__}", **gdal.CHECKSUM)
            for band, (name, values) in enumerate(bands.items(), 1):
                with gdal.writing(temporary):
                    file.write(raster.of(values), band)
                file.set_band_description(band, tag(name))
        gdal.seal(temporary)
