"""Distances on the WGS84 ellipsoid in meters: offsets, geodesics, Earth-centered coordinates, grids."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from placevec.errors import InputError
from placevec.geo.areas import Area
from placevec.geo.coordinates import WGS84_A, WGS84_E2, Floats, check_lonlat, wrap_longitude


def offset(lon: ArrayLike, lat: ArrayLike, *, east_m: ArrayLike, north_m: ArrayLike) -> Floats:
    """(..., 2) lon, lat degrees of the points ``east_m`` and ``north_m`` meters away, along a geodesic.

    Poles and the antimeridian need no special treatment.

    >>> offset(24.94, 60.17, east_m=1000.0, north_m=0.0).round(4).tolist()
    [24.958, 60.17]
    """
    from pyproj import Geod

    lon, lat, east, north = np.broadcast_arrays(*check_lonlat(lon, lat), east_m, north_m)
    bearing = np.degrees(np.arctan2(east, north))
    arrived_lon, arrived_lat, _ = Geod(ellps="WGS84").fwd(lon, lat, bearing, np.hypot(east, north))
    return np.stack([wrap_longitude(arrived_lon), np.asarray(arrived_lat, np.float64)], axis=-1)


def local_offset(lon: ArrayLike, lat: ArrayLike, *, east_m: ArrayLike, north_m: ArrayLike) -> Floats:
    """Like `offset`, for steps of up to a few kilometers: a closed form using the local radii of curvature.

    About fifty times faster. The error grows with the square of the step: at 1 km it is below 0.2 m for |lat| < 65 and
    0.6 m at 80 degrees.

    >>> local_offset(24.94, 60.17, east_m=1000.0, north_m=0.0).round(4).tolist()
    [24.958, 60.17]
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    sine2 = np.sin(np.radians(lat)) ** 2
    flat = 1.0 - WGS84_E2 * sine2
    prime_vertical = WGS84_A / np.sqrt(flat)
    meridian = WGS84_A * (1.0 - WGS84_E2) / flat**1.5
    moved_lat = lat + np.degrees(np.asarray(north_m) / meridian)
    middle = np.radians(np.clip((lat + moved_lat) / 2.0, -89.9999, 89.9999))
    moved_lon = lon + np.degrees(np.asarray(east_m) / (prime_vertical * np.cos(middle)))
    return np.stack(np.broadcast_arrays(wrap_longitude(moved_lon), np.clip(moved_lat, -90.0, 90.0)), axis=-1)


def distance_m(lon_a: ArrayLike, lat_a: ArrayLike, lon_b: ArrayLike, lat_b: ArrayLike) -> Floats:
    """Geodesic distance in meters on the WGS84 ellipsoid.

    >>> round(float(distance_m(24.94, 60.17, 24.95, 60.17)))
    555
    """
    from pyproj import Geod

    arrays = np.broadcast_arrays(*check_lonlat(lon_a, lat_a), *check_lonlat(lon_b, lat_b))
    return np.asarray(Geod(ellps="WGS84").inv(*arrays)[2], dtype=np.float64)


def to_ecef(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """(..., 3) Earth-centered, Earth-fixed coordinates in meters of points on the ellipsoid.

    Up to 100 km, straight-line distances between them equal ground distances to 1 part in 100,000, everywhere: no
    projection, no antimeridian, no poles. Nearest-neighbor searches use these.

    >>> to_ecef(0.0, 0.0).tolist()
    [6378137.0, 0.0, 0.0]
    """
    lon, lat = check_lonlat(lon, lat)
    lam, phi = np.radians(lon), np.radians(lat)
    radius = WGS84_A / np.sqrt(1.0 - WGS84_E2 * np.sin(phi) ** 2)
    z = radius * (1.0 - WGS84_E2) * np.sin(phi)
    return np.stack([radius * np.cos(phi) * np.cos(lam), radius * np.cos(phi) * np.sin(lam), z], axis=-1)


def metric_grid(area: Area, spacing_m: float) -> Floats:
    """(N, 2) lon, lat degrees of grid points ``spacing_m`` meters apart inside the area, row by row from the south.

    >>> grid = metric_grid(Area(24.93, 60.16, 24.96, 60.18), 500)
    >>> round(float(distance_m(*grid[0], *grid[1])))
    500
    """
    if not spacing_m > 0:
        raise InputError(f"the grid spacing must be a positive number of meters; got {spacing_m}")
    found = []
    for west, south, east, north in area.parts():
        height = float(distance_m(west, south, west, north))
        for row in range(int(height // spacing_m) + 1):
            lat = float(local_offset(west, south, east_m=0.0, north_m=(row + 0.5) * spacing_m)[1])
            if lat > north:
                break
            parallel = (
                WGS84_A
                * math.cos(math.radians(lat))
                / math.sqrt(1 - WGS84_E2 * math.sin(math.radians(lat)) ** 2)
            )
            step = math.degrees(spacing_m / max(parallel, 1e-6))
            lon = np.arange(west + step / 2, east, step)
            found.append(np.stack([lon, np.full(len(lon), lat)], axis=-1))
    points = np.concatenate(found) if found else np.zeros((0, 2))
    return points[area.contains(points[:, 0], points[:, 1])]
