"""Squares in meters: the grid of a chip in the local UTM zone, and reading a raster onto it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import Floats, wrap_longitude

UTM_SOUTH, UTM_NORTH = -80.0, 84.0
"""Latitudes of UTM; beyond them it is the polar stereographic grid (UPS)."""
_EDGE = np.linspace(0.0, 1.0, 21)
_PAD = 3
"""Pixels around a window that resampling may look at."""
_COARSER = 1.5
"""Ratio of the resolutions from which pixels are averaged instead of interpolated."""
MAX_SIDE_PX = 16_384
"""Maximum side of the part of a raster that is read at once."""


@dataclass(frozen=True)
class Square:
    """A square grid of pixels, north up.

    Attributes:
        epsg: its coordinate reference system.
        left, top: of its upper left corner, meters.
        resolution: side of a pixel, meters.
        size_px: pixels along each side.
    """

    epsg: int
    left: float
    top: float
    resolution: float
    size_px: int

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """a, b, c, d, e, f from a pixel corner (column, row) to x = a column + b row + c, y = d column + e row + f."""
        return (self.resolution, 0.0, self.left, 0.0, -self.resolution, self.top)

    @property
    def side_m(self) -> float:
        """Its side in meters of the grid."""
        return self.resolution * self.size_px


def utm_zone(lon: float, lat: float) -> int:
    """EPSG code of the UTM zone (or UPS grid) of a point in degrees.

    >>> utm_zone(24.94, 60.17), utm_zone(-51.2, -30.0), utm_zone(180.0, 0.0), utm_zone(10.0, 88.0)
    (32635, 32722, 32601, 32661)
    """
    south = lat < 0
    if not UTM_SOUTH <= lat <= UTM_NORTH:
        return 32761 if south else 32661
    zone = int((float(wrap_longitude(lon)) + 180.0) // 6.0) % 60 + 1
    return (32700 if south else 32600) + zone


def square_around(lon: float, lat: float, *, size_px: int, resolution: float) -> Square:
    """The square whose center is within half a pixel of a point; its pixels lie on multiples of the resolution.

    Pixels of Sentinel-2 lie there too, so that bands of that resolution are copied, not resampled.

    >>> square = square_around(24.94, 60.17, size_px=100, resolution=10)
    >>> square.epsg, square.side_m, square.left % 10
    (32635, 1000, 0.0)
    """
    epsg = utm_zone(lon, lat)
    x, y = between(4326, epsg).transform(lon, lat)
    half = resolution * size_px / 2.0
    left, top = (float(np.round(edge / resolution) * resolution) for edge in (x - half, y + half))
    return Square(epsg, left, top, resolution, size_px)


@functools.lru_cache(maxsize=256)
def between(source: Any, target: Any) -> Any:
    """Transformer between two coordinate reference systems, x or lon first."""
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)


def degrees_around(square: Square) -> tuple[float, float, float, float]:
    """West, south, east, north of a square in degrees; west > east across the antimeridian."""
    x, y = _outline(square)
    return box_around(*between(square.epsg, 4326).transform(x, y))


def edges_in_degrees(
    transform: Sequence[float], system: Any, width: int, height: int
) -> tuple[Floats, Floats]:
    """(lon, lat) of points along the four edges of a raster; not finite off the Earth."""
    ends = np.zeros_like(_EDGE), np.ones_like(_EDGE)
    columns = np.concatenate([_EDGE, _EDGE, *ends]) * width
    rows = np.concatenate([*ends, _EDGE, _EDGE]) * height
    lon, lat = between(system, 4326).transform(*applied(transform, columns, rows))
    return np.asarray(lon), np.asarray(lat)


def box_around(lon: Floats, lat: Floats) -> tuple[float, float, float, float]:
    """West, south, east, north of points in degrees; west > east across the antimeridian."""
    if np.ptp(lon) > 180.0:  # both ends of the line of longitudes
        lon = np.where(lon < 0, lon + 360.0, lon)
    west, east = (float(edge - 360.0 if edge > 180.0 else edge) for edge in (lon.min(), lon.max()))
    return west, float(lat.min()), east, float(lat.max())


def applied(transform: Sequence[float], x: Any, y: Any) -> tuple[Any, Any]:
    """Points through an affine transform a, b, c, d, e, f, ...

    >>> applied((10.0, 0.0, 400.0, 0.0, -10.0, 900.0), 1, 2)
    (410.0, 880.0)
    """
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * x + b * y + c, d * x + e * y + f


def read_onto(
    file: Any, numbers: Sequence[int], square: Square, *, classes: bool = False, masked: bool = False
) -> NDArray[np.float32]:
    """(C, H, W) of some bands of an open raster on a square; NaN where they have no data.

    Bands on the same grid are copied. Others are resampled, see `resampled`.

    Args:
        file: an open `rasterio` dataset.
        numbers: C bands, from 1.
        square: the target.
        classes: numbers are classes, of which the nearest is taken.
        masked: the file's mask (nodata, alpha or a mask of its own) says where there is data; otherwise 0 is none, too.

    Raises:
        SourceError: the raster lies nowhere, or its coordinate reference system is unknown.
    """
    from rasterio.enums import MaskFlags
    from rasterio.windows import Window
    from rasterio.windows import transform as window_transform

    crs, transform = file.crs, file.transform
    if crs is None or transform.is_identity or transform.determinant == 0:
        raise SourceError(
            "a scene has no coordinate reference system or no transform, so its location is unknown"
        )
    window = window_under(square, crs, transform, file.width, file.height)
    if window is None:
        return np.full((len(numbers), square.size_px, square.size_px), np.nan, np.float32)
    part, chosen = Window(*window), list(numbers)
    pixels = file.read(chosen, window=part).astype(np.float32)
    if masked:
        flags = file.mask_flag_enums
        if any(MaskFlags.all_valid not in flags[number - 1] for number in chosen):
            pixels[file.read_masks(chosen, window=part) == 0] = np.nan
        alpha = [band for band, kind in enumerate(file.colorinterp, 1) if kind.name == "alpha"]
        if alpha:  # which GDAL takes for a mask only of two and of four bands
            pixels[:, file.read(alpha[0], window=part) == 0] = np.nan
    else:
        pixels[pixels == (0.0 if file.nodata is None else file.nodata)] = np.nan
    if not np.isfinite(pixels).all():
        pixels[~np.isfinite(pixels)] = np.nan
    return resampled(pixels, window_transform(part, transform), crs, square, classes=classes)


def window_under(
    square: Square, crs: Any, transform: Any, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of the pixels of a raster that a square needs; None where it has none there.

    Raises:
        SourceError: they are too many.
    """
    x, y = _outline(square)
    if crs.to_epsg() != square.epsg:
        x, y = between(square.epsg, crs.to_wkt()).transform(x, y)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    columns, rows = applied(~transform, x, y)
    first = np.array([np.floor(columns.min()), np.floor(rows.min())]) - _PAD
    last = np.array([np.ceil(columns.max()), np.ceil(rows.max())]) + _PAD
    first, last = np.maximum(first, 0), np.minimum(last, [width, height])
    if (first >= last).any():
        return None
    (left, top), (wide, high) = first.astype(int).tolist(), (last - first).astype(int).tolist()
    if max(wide, high) > MAX_SIDE_PX:
        raise SourceError(f"a chip would need {wide:,} x {high:,} pixels of a scene: choose larger pixels")
    return left, top, wide, high


def resampled(
    pixels: NDArray[np.float32], transform: Any, crs: Any, square: Square, *, classes: bool = False
) -> NDArray[np.float32]:
    """(C, H, W) of (C, h, w) pixels on a square: copied where they lie on its grid, averaged if they are much smaller,
    else interpolated between the nearest (bilinear); NaN where they are or lie not.
    """
    from rasterio import Affine
    from rasterio.warp import Resampling, reproject

    found = np.full((len(pixels), square.size_px, square.size_px), np.nan, np.float32)
    target = Affine(*square.transform)
    at = np.array(applied(~transform, target.c, target.f))
    ratio = square.resolution / np.sqrt(abs(transform.determinant))
    is_on_grid = np.allclose(at, np.round(at), atol=1e-3) and np.allclose(
        transform[:5:4], target[:5:4], rtol=1e-9
    )
    if is_on_grid and transform.b == 0 == transform.d and crs.to_epsg() == square.epsg:
        column, row = np.round(at).astype(int).tolist()
        return _copied(pixels, found, column, row)
    way = Resampling.nearest if classes else Resampling.average if ratio > _COARSER else Resampling.bilinear
    how = {
        "src_transform": transform, "src_crs": crs, "dst_transform": target, "dst_crs": system(square.epsg),
        "resampling": way,
    }  # fmt: skip
    if np.isfinite(pixels).all():  # all bands at once and without masks: the same numbers in half of the time
        reproject(pixels, found, **how, init_dest_nodata=False)
        return found
    for band, into in zip(pixels, found, strict=True):
        reproject(band, into, **how, src_nodata=np.nan, dst_nodata=np.nan)
    return found


@functools.lru_cache(maxsize=256)
def system(epsg: int) -> Any:
    """The coordinate reference system of a code, as rasterio has it."""
    from rasterio.crs import CRS

    return CRS.from_epsg(epsg)


def _copied(pixels: NDArray[Any], found: NDArray[Any], column: int, row: int) -> NDArray[Any]:
    """``found`` with the pixels from a position on; what lies outside stays."""
    high, wide = pixels.shape[1:]
    side = found.shape[1]
    rows, columns = (slice(max(0, at), min(most, at + side)) for at, most in ((row, high), (column, wide)))
    if rows.start < rows.stop and columns.start < columns.stop:
        into = slice(columns.start - column, columns.stop - column)
        found[:, rows.start - row : rows.stop - row, into] = pixels[:, rows, columns]
    return found


def _outline(square: Square) -> tuple[Floats, Floats]:
    """Points along the four edges, in meters of its grid."""
    side = square.side_m
    ends = np.zeros_like(_EDGE), np.ones_like(_EDGE)
    x = np.concatenate([_EDGE, _EDGE, *ends]) * side + square.left
    y = square.top - np.concatenate([*ends, _EDGE, _EDGE]) * side
    return x, y
