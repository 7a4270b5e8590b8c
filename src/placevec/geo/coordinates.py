"""Wrapping and checking longitudes and latitudes; constants of the WGS84 ellipsoid."""

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
    """Longitudes wrapped to [-180, 180).

    >>> wrap_longitude([190.0, -180.0, 180.0]).tolist()
    [-170.0, -180.0, -180.0]
    """
    return np.asarray(np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) - 180.0)


def check_lonlat(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """Coordinates as float64 arrays.

    Raises:
        InputError: a coordinate that is not finite or out of range; the message names the first such row.

    >>> check_lonlat([24.94], [160.17])
    Traceback (most recent call last):
        ...
    placevec.errors.InputError: row 0 is not a point on Earth: lon=24.94, lat=160.17 (are lon and lat swapped?)
    """
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    wrong = ~(np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90) & (np.abs(lon) <= 360))
    if np.any(wrong):
        row = int(np.flatnonzero(np.atleast_1d(wrong))[0])
        values = f"lon={np.atleast_1d(lon)[row]}, lat={np.atleast_1d(lat)[row]}"
        raise InputError(f"row {row} is not a point on Earth: {values} (are lon and lat swapped?)")
    return lon, lat


def xyz_of(lonlat: Floats) -> Floats:
    """(N, 3) unit vectors of (N, 2) lon, lat degrees on the sphere.

    >>> xyz_of(np.array([[0.0, 0.0]])).tolist()
    [[1.0, 0.0, 0.0]]
    """
    lam, phi = np.radians(lonlat[:, 0]), np.radians(lonlat[:, 1])
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def extent_of(xyz: Floats) -> float:
    """Diagonal of the box around (N, 3) points, in their unit: about the distance of the farthest two.

    >>> extent_of(np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]]))
    5.0
    """
    return float(np.linalg.norm(xyz.max(axis=0) - xyz.min(axis=0)))


def lonlat_of(xyz: Floats) -> Floats:
    """(N, 2) lon, lat degrees of (N, 3) unit vectors.

    >>> lonlat_of(np.array([[0.0, 1.0, 0.0]])).tolist()
    [[90.0, 0.0]]
    """
    lat = np.arcsin(np.clip(xyz[:, 2], -1.0, 1.0))
    return np.asarray(np.degrees(np.stack([np.arctan2(xyz[:, 1], xyz[:, 0]), lat], axis=-1)))
