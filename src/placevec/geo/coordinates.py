"""Longitudes and latitudes: wrapped, checked; the ellipsoid they lie on."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WGS84_A = 6378137.0
"""Semi-major axis of the WGS84 ellipsoid, meters; also the radius of the Web Mercator sphere."""
WGS84_E2 = 0.0066943799901413165
"""Squared first eccentricity of the WGS84 ellipsoid."""


def wrap_longitude(lon: ArrayLike) -> Floats:
    """Longitudes brought into [-180, 180).

    >>> wrap_longitude([190.0, -180.0, 180.0]).tolist()
    [-170.0, -180.0, -180.0]
    """
    return np.asarray(np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) - 180.0)


def check_lonlat(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """Finite float64 coordinates, or InputError naming the first row that is not a point on Earth."""
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    wrong = ~(np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90) & (np.abs(lon) <= 360))
    if np.any(wrong):
        row = int(np.flatnonzero(np.atleast_1d(wrong))[0])
        values = f"lon={np.atleast_1d(lon)[row]}, lat={np.atleast_1d(lat)[row]}"
        raise InputError(f"row {row} is not a point on Earth: {values} (are lon and lat swapped?)")
    return lon, lat


def xyz_of(lonlat: Floats) -> Floats:
    """(N, 3) unit vectors of (N, 2) degrees on the sphere."""
    lam, phi = np.radians(lonlat[:, 0]), np.radians(lonlat[:, 1])
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def lonlat_of(xyz: Floats) -> Floats:
    """(N, 2) degrees of (N, 3) unit vectors."""
    lat = np.arcsin(np.clip(xyz[:, 2], -1.0, 1.0))
    return np.asarray(np.degrees(np.stack([np.arctan2(xyz[:, 1], xyz[:, 0]), lat], axis=-1)))
