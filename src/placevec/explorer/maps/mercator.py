"""Places and boxes in Web Mercator meters relative to their center, as used by the page's map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from placevec.geo import MAX_MERCATOR_LATITUDE, MERCATOR_HALF, Floats, lonlat_to_tile_xy

if TYPE_CHECKING:
    from placevec.explorer.maps.pictures import Box

WORLD = 2.0 * MERCATOR_HALF
"""Side of the Web Mercator square, in projected meters."""


def mercator_meters(lonlat: Floats) -> tuple[Floats, Floats]:
    """Places in Web Mercator meters, x east and y north, contiguous across the 180th meridian.

    Args:
        lonlat: (N, 2) lon, lat degrees; NaN without coordinates.

    Returns:
        (2,) center of the places, and (N, 2) meters; NaN for places that are not on the map. Places across the
        antimeridian are shifted by the width of the world, so that the widest gap is outside the map.

    >>> origin, meters = mercator_meters(np.array([[179.0, 0.0], [-179.0, 0.0]]))
    >>> round(float(meters[1, 0] - meters[0, 0]))  # two degrees
    222639
    """
    meters = np.full(lonlat.shape, np.nan)
    latitude = np.where(np.isfinite(lonlat).all(axis=1), lonlat[:, 1], np.inf)
    known = np.abs(latitude) <= MAX_MERCATOR_LATITUDE
    if not known.any():
        return np.zeros(2), meters
    xy = lonlat_to_tile_xy(lonlat[known, 0], lonlat[known, 1], 0)
    x = np.sort(xy[:, 0])
    gaps = np.diff(np.append(x, x[0] + 1.0))
    start = x[(int(gaps.argmax()) + 1) % len(x)]
    turned = np.where(xy[:, 0] < start, xy[:, 0] + 1.0, xy[:, 0])
    meters[known] = np.stack([(turned - 0.5) * WORLD, (0.5 - xy[:, 1]) * WORLD], axis=1)
    origin = (meters[known].min(axis=0) + meters[known].max(axis=0)) / 2.0
    return origin, meters


def box_meters(box: Box, zoom: int, origin: Floats) -> list[float]:
    """(west, south, east, north) of a box in tile coordinates, in meters from ``origin``, on the nearest world copy."""
    x0, y0, x1, y1 = (value / 2.0**zoom for value in box)
    west, east = (x0 - 0.5) * WORLD - origin[0], (x1 - 0.5) * WORLD - origin[0]
    turns = np.round((west + east) / 2.0 / WORLD) * WORLD
    south, north = (0.5 - y1) * WORLD - origin[1], (0.5 - y0) * WORLD - origin[1]
    return [float(west - turns), float(south), float(east - turns), float(north)]


def reach_meters(footprints: Floats, zoom: int, mercator: Floats) -> NDArray[np.float32]:
    """(N, 4) west, south, east, north of each footprint in meters from its place; zero without a footprint.

    Args:
        footprints: (N, 4) x0, y0, x1, y1 tile coordinates at ``zoom``.
        zoom: zoom level of the tiles.
        mercator: (N, 2) from `mercator_meters`.
    """
    box = footprints / 2.0**zoom
    x = (box[:, [0, 2]] - 0.5) * WORLD - mercator[:, [0]]
    x -= np.round(x.mean(axis=1, keepdims=True) / WORLD) * WORLD
    y = (0.5 - box[:, [3, 1]]) * WORLD - mercator[:, [1]]
    return np.nan_to_num(np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)).astype(np.float32)
