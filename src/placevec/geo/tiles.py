"""Slippy-map tiles (XYZ) in Web Mercator, which ends at |lat| = 85.0511 degrees."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from placevec.errors import InputError, UsageError
from placevec.geo.areas import Area
from placevec.geo.coordinates import WGS84_A, WGS84_E2, Floats, Ints, check_lonlat, wrap_longitude

MAX_MERCATOR_LATITUDE = 85.0511287798066
"""Largest latitude of Web Mercator, in degrees."""
MAX_ZOOM = 22
TILE_PX = 256
MERCATOR_HALF = math.pi * WGS84_A
"""Half the side of the Web Mercator square, in projected meters."""


def check_zoom(zoom: int) -> int:
    """``zoom`` if it is between 0 and 22; otherwise InputError.

    >>> check_zoom(17)
    17
    """
    if not 0 <= zoom <= MAX_ZOOM:
        raise InputError(f"zoom {zoom} is out of range: 0 to {MAX_ZOOM} (at 17 a tile is 100 to 300 m wide)")
    return zoom


def check_zoom_option(zoom: int) -> int:
    """Like `check_zoom`, for a zoom level given as an option: raises UsageError.

    >>> check_zoom_option(17)
    17
    """
    try:
        return check_zoom(zoom)
    except InputError as error:
        raise UsageError(str(error)) from None


def lonlat_to_tile_xy(lon: ArrayLike, lat: ArrayLike, zoom: int) -> Floats:
    """Fractional tile coordinates (..., 2): x increases eastward from 180° W, y southward from 85.0511° N.

    The integer part is the tile. Longitudes wrap; latitudes beyond Web Mercator raise InputError.

    >>> lonlat_to_tile_xy(0.0, 0.0, 1).tolist()
    [1.0, 1.0]
    """
    lon, lat = check_lonlat(lon, lat)
    if np.any(np.abs(lat) > MAX_MERCATOR_LATITUDE + 1e-9):
        worst = float(np.max(np.abs(lat)))
        raise InputError(
            f"latitude {worst:.4f} is outside Web Mercator, which ends at {MAX_MERCATOR_LATITUDE:.4f} degrees"
        )
    scale = float(2 ** check_zoom(zoom))
    sine = np.sin(np.radians(np.clip(lat, -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)))
    x = (wrap_longitude(lon) + 180.0) / 360.0 * scale
    y = (0.5 - np.arctanh(sine) / (2.0 * np.pi)) * scale
    return np.stack([x, np.clip(y, 0.0, scale)], axis=-1)


def tile_xy_to_lonlat(xy: ArrayLike, zoom: int) -> Floats:
    """The inverse of `lonlat_to_tile_xy`: (..., 2) lon, lat degrees of fractional tile coordinates.

    >>> tile_xy_to_lonlat([1.0, 1.0], 1).tolist()
    [0.0, 0.0]
    """
    xy = np.asarray(xy, np.float64)
    scale = float(2 ** check_zoom(zoom))
    lon = xy[..., 0] / scale * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * xy[..., 1] / scale))))
    return np.stack([lon, lat], axis=-1)


def tile_bounds(x: int, y: int, zoom: int) -> tuple[float, float, float, float]:
    """(west, south, east, north) degrees of a tile.

    >>> tile_bounds(0, 0, 0)[0]
    -180.0
    """
    (west, north), (east, south) = tile_xy_to_lonlat([[x, y], [x + 1, y + 1]], zoom)
    return float(west), float(south), float(east), float(north)


def tile_id(x: int, y: int, zoom: int) -> str:
    """``"z/x/y"``, the place_id of a tile.

    >>> tile_id(3, 5, 4)
    '4/3/5'
    """
    return f"{zoom}/{x}/{y}"


def parse_tile_id(text: str) -> tuple[int, int, int]:
    """(zoom, x, y) of ``"z/x/y"``, or InputError.

    >>> parse_tile_id("4/3/5")
    (4, 3, 5)
    """
    try:
        zoom, x, y = (int(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"a tile id has the form z/x/y, such as 17/74567/37890; got {text!r}") from None
    side = 2 ** check_zoom(zoom)
    if not (0 <= x < side and 0 <= y < side):
        raise InputError(f"tile {text} does not exist: x and y go from 0 to {side - 1} at zoom {zoom}")
    return zoom, x, y


def tile_ranges(area: Area, zoom: int) -> list[tuple[int, int, int, int]]:
    """(x_min, y_min, x_max, y_max), inclusive, of the tiles that touch each part of an area.

    Latitudes are clipped to Web Mercator. A box that crosses the antimeridian has two parts.

    >>> tile_ranges(Area(24.93, 60.16, 24.96, 60.18), 12)
    [(2331, 1185, 2331, 1185)]
    """
    ranges = []
    side = 2 ** check_zoom(zoom)
    for west, south, east, north in area.parts():
        if south > MAX_MERCATOR_LATITUDE or north < -MAX_MERCATOR_LATITUDE:
            raise InputError(
                f"the area is outside Web Mercator, which ends at {MAX_MERCATOR_LATITUDE:.4f} degrees"
            )
        top = (
            (west + 180.0) / 360.0 * side,
            lonlat_to_tile_xy(0.0, min(north, MAX_MERCATOR_LATITUDE), zoom)[1],
        )
        bottom = (
            (east + 180.0) / 360.0 * side,
            lonlat_to_tile_xy(0.0, max(south, -MAX_MERCATOR_LATITUDE), zoom)[1],
        )
        x_min, y_min = math.floor(top[0] + 1e-9), math.floor(top[1] + 1e-9)
        x_max, y_max = math.ceil(bottom[0] - 1e-9) - 1, math.ceil(bottom[1] - 1e-9) - 1
        ranges.append(
            (max(x_min, 0), max(y_min, 0), min(max(x_max, x_min), side - 1), min(max(y_max, y_min), side - 1))
        )
    return ranges


def tiles_of_area(area: Area, zoom: int) -> Ints:
    """(N, 2) x, y of the tiles whose center lies in the area, in row order; if there are none, the tiles touching it.

    >>> tiles_of_area(Area(24.93, 60.16, 24.96, 60.18), 14).tolist()[0]
    [9327, 4741]
    """
    found = []
    for x_min, y_min, x_max, y_max in tile_ranges(area, zoom):
        x, y = np.meshgrid(np.arange(x_min, x_max + 1), np.arange(y_min, y_max + 1))
        found.append(np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.int64))
    tiles = np.concatenate(found)
    centers = tile_xy_to_lonlat(tiles + 0.5, zoom)
    inside = area.contains(centers[:, 0], centers[:, 1])
    return tiles[inside] if inside.any() else tiles


def meters_per_pixel(lat: ArrayLike, zoom: int) -> Floats:
    """Ground resolution in meters per pixel (256 px tiles) at a latitude: the mean of east-west and north-south.

    The two differ by up to 0.7% because Web Mercator projects the ellipsoid as a sphere.

    >>> round(float(meters_per_pixel(0.0, 17)), 3)
    1.19
    """
    radians = np.radians(np.asarray(lat, np.float64))
    flat = 1.0 - WGS84_E2 * np.sin(radians) ** 2
    east = WGS84_A / np.sqrt(flat) * np.cos(radians)
    north = WGS84_A * (1.0 - WGS84_E2) / flat**1.5 * np.cos(radians)
    return np.asarray((east + north) / 2.0 * (2.0 * np.pi) / (TILE_PX * 2.0**zoom))


def footprint_bounds(lonlat: Floats, size_m: ArrayLike, zoom: int) -> Floats:
    """(N, 4) x0, y0, x1, y1 in fractional tile coordinates of squares centered on points, ``size_m`` meters wide.

    >>> x0, y0, x1, y1 = footprint_bounds(np.array([[24.94, 60.17]]), 152.0, 17)[0]
    >>> round(float(x1 - x0), 2)
    1.0
    """
    center = lonlat_to_tile_xy(lonlat[:, 0], lonlat[:, 1], zoom)
    half = np.asarray(size_m) / (2.0 * TILE_PX * meters_per_pixel(lonlat[:, 1], zoom))
    return np.stack(
        [center[:, 0] - half, center[:, 1] - half, center[:, 0] + half, center[:, 1] + half], axis=-1
    )
