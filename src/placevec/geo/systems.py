"""Systems of coordinates, brought to longitudes and latitudes of WGS84."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec.errors import SourceError
from placevec.geo.coordinates import Floats

if TYPE_CHECKING:
    from placevec.geo.antimeridian import Objects

DEGREES = (
    "4326",
    "epsg:4326",
    "ogc:crs84",
    "crs84",
    "wgs84",
    "wgs 84",
    "wgs_84",
    "wgs-84",
    "world geodetic system 1984",
)
"""Names of WGS84 in lower case, of which PROJ knows some only."""


@cache
def transformer(system: Any) -> Any:
    """From a system to lon, lat degrees of WGS84; None when it is that already.

    Args:
        system: a name or number such as ``EPSG:3067`` or ``3067``, WKT or PROJJSON as text; None is WGS84.

    Raises:
        SourceError: the system is unknown.
    """
    if system is None or str(system).strip().lower() in DEGREES:
        return None
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    try:
        known = CRS.from_user_input(int(system) if str(system).strip().isdigit() else system)
        if known.equals(CRS.from_epsg(4326), ignore_axis_order=True):
            return None
        return Transformer.from_crs(known, 4326, always_xy=True)
    except CRSError as error:
        raise SourceError(
            f"{str(system)[:60]!r} is not a coordinate reference system that PROJ knows, such as EPSG:3067"
        ) from error


def is_projected(system: Any) -> bool:
    """Whether a system counts in meters or feet rather than in degrees.

    >>> is_projected("EPSG:3067"), is_projected("EPSG:4326"), is_projected(None)
    (True, False, False)
    """
    change = transformer(system)
    return change is not None and not change.source_crs.is_geographic


def to_degrees(x: Floats, y: Floats, system: Any) -> tuple[Floats, Floats]:
    """Easting and northing of a system as lon, lat; not finite where it does not reach.

    >>> lon, lat = to_degrees(np.array([385_700.0]), np.array([6_672_000.0]), "EPSG:3067")
    >>> lon.round(2).tolist(), lat.round(2).tolist()
    ([24.94], [60.17])
    """
    change = transformer(system)
    if change is None:
        return x, y
    lon, lat = change.transform(x, y)
    return np.asarray(lon, np.float64), np.asarray(lat, np.float64)


def shapes_to_degrees(shapes: Objects, system: Any) -> Objects:
    """(N,) shapely geometries of a system as lon, lat; their vertices are not finite where it does not reach.

    >>> import shapely
    >>> (point,) = shapes_to_degrees(np.array([shapely.Point(385_700, 6_672_000)]), 3067)
    >>> round(point.x, 2), round(point.y, 2)
    (24.94, 60.17)
    """
    import shapely

    if transformer(system) is None:
        return shapes
    changed: Objects = shapely.transform(
        shapes, lambda xy: np.stack(to_degrees(xy[:, 0], xy[:, 1], system), axis=1)
    )
    return changed
