"""Shapes of longitudes and latitudes where the plane ends: across the 180th meridian, beyond it, and round a pole.

Planar geometry takes a polygon from 179.9 to -179.9 for one that runs round the Earth. Three ways to write such a shape
are known: vertices that jump from one side to the other, longitudes beyond 180, and parts that are cut at the meridian
(RFC 7946). All three are one shape here: `unwrapped` makes it one piece, on which planar geometry is right, and
`wrapped` cuts it.

An edge of more than 180 degrees is taken the short way round, as edges on a sphere are. What is really so wide has
vertices in between, or its corners on the meridian itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.geo.coordinates import Floats

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Objects = np.ndarray[Any, np.dtype[np.object_]]
_EDGE = 1e-9
"""Degrees within which a vertex lies on the meridian."""
_FARTHEST = 720.0
"""Longitudes beyond are none, such as meters: such shapes stay what they are, for a check to find."""
_CLEARLY = 0.75
"""Points all round the Earth have gaps in the middle of the map too."""


def extent_of(lonlat: Floats) -> tuple[float, float, float, float]:
    """(west, south, east, north) of points: west > east across the antimeridian, where that is clearly narrower.

    Args:
        lonlat: (N, 2) degrees, longitudes from -180 to 180; NaN without coordinates.

    >>> extent_of(np.array([[179.0, -17.0], [-179.5, -16.0]]))
    (179.0, -17.0, -179.5, -16.0)
    >>> extent_of(np.array([[24.0, 60.0], [25.0, 61.0], [np.nan, np.nan]]))
    (24.0, 60.0, 25.0, 61.0)
    """
    known = lonlat[np.isfinite(lonlat).all(axis=1)]
    if len(known) == 0:
        return math.nan, math.nan, math.nan, math.nan
    (west, south), (east, north) = known.min(axis=0).tolist(), known.max(axis=0).tolist()
    if east - west > 180.0:
        positive = known[:, 0] >= 0
        other_west, other_east = float(known[positive, 0].min()), float(known[~positive, 0].max())
        if other_east + 360.0 - other_west < _CLEARLY * (east - west):
            west, east = other_west, other_east
    return west, south, east, north


def unwrapped(shapes: Objects) -> Objects:
    """Each shape in one piece: longitudes go on beyond 180 where it crosses the antimeridian.

    Args:
        shapes: (N,) shapely geometries of lon, lat degrees, or None.

    >>> import shapely
    >>> jump = shapely.Polygon([(179, -17), (-179, -17), (-179, -16), (179, -16)])
    >>> unwrapped(np.array([jump]))[0].bounds
    (179.0, -17.0, 181.0, -16.0)
    """
    return _each(shapes, _unwrap)


def wrapped(shapes: Objects) -> Objects:
    """Each shape within -180 to 180, cut at the antimeridian where it crosses that.

    >>> import shapely
    >>> fiji = shapely.Polygon([(179, -17), (-179, -17), (-179, -16), (179, -16)])
    >>> [part.bounds for part in wrapped(np.array([fiji]))[0].geoms]
    [(179.0, -17.0, 180.0, -16.0), (-180.0, -17.0, -179.0, -16.0)]
    """
    return _each(shapes, _wrap)


def points_within(shapes: Objects) -> Floats:
    """(N, 2) lon, lat of a point in each shape, longitudes from -180 to 180; NaN where there is none.

    >>> import shapely
    >>> fiji = shapely.Polygon([(179, -17), (-177, -17), (-177, -16), (179, -16)])
    >>> points_within(np.array([fiji])).tolist()
    [[-179.0, -16.5]]
    """
    import shapely

    inside = shapely.point_on_surface(unwrapped(shapes))
    inside[shapely.is_empty(inside)] = None
    lon, lat = np.array(shapely.get_x(inside)), np.array(shapely.get_y(inside))
    beyond = (np.abs(lon) > 180.0) & (np.abs(lon) <= _FARTHEST)
    lon[beyond] = np.mod(lon[beyond] + 180.0, 360.0) - 180.0
    return np.stack([lon, lat], axis=-1)


# --- one by one ----------------------------------------------------------------------------------------------


def _each(shapes: Objects, change: Callable[[BaseGeometry], BaseGeometry]) -> Objects:
    """Change the shapes that are beyond 180, or so wide that they may cross it; the others stay what they are."""
    import shapely

    bounds = np.asarray(shapely.bounds(shapes), np.float64).reshape(-1, 4)
    with np.errstate(invalid="ignore"):
        west, east = bounds[:, 0], bounds[:, 2]
        odd = (east > 180.0 + _EDGE) | (west < -180.0 - _EDGE) | (east - west > 180.0)
        odd &= (west >= -_FARTHEST) & (east <= _FARTHEST)
    rows = np.flatnonzero(odd & np.isfinite(bounds).all(axis=1))
    if not len(rows):
        return shapes
    changed = np.array(shapes, dtype=object)
    for row in rows.tolist():
        changed[row] = change(changed[row])
    return changed


def _wrap(shape: BaseGeometry) -> BaseGeometry:
    import shapely

    whole = _unwrap(shape)
    if _within_180(shape) and (whole is shape or not _jumps(shape)):
        return shape
    if _within_180(whole):
        return whole
    west, south, east, north = whole.bounds
    pieces = []
    for turn in range(math.floor((west + 180.0) / 360.0), math.ceil((east - 180.0) / 360.0) + 1):
        strip = shapely.box(360.0 * turn - 180.0, south - 1.0, 360.0 * turn + 180.0, north + 1.0)
        piece = shapely.intersection(_valid(whole), strip)
        pieces += _of_dimension(_moved(piece, -360.0 * turn), shapely.get_dimensions(whole))
    if not pieces:
        return whole
    return pieces[0] if len(pieces) == 1 else _joined(pieces)


def _unwrap(shape: BaseGeometry) -> BaseGeometry:
    """The shape in one piece, where it crosses the antimeridian; else itself."""
    import shapely

    held = list(shapely.get_parts(shape))
    parts = [_unwrap_part(part) for part in held]
    touches = any(part.bounds[0] <= -180.0 + _EDGE for part in parts) and any(
        part.bounds[2] >= 180.0 - _EDGE for part in parts
    )
    changed = any(new is not old for new, old in zip(parts, held, strict=True))
    if not changed and not (touches and len(parts) > 1):
        return shape
    if len(parts) == 1:
        return _begun(parts[0])
    parts = _side_by_side(parts)
    try:
        return _begun(shapely.union_all(parts) if shapely.get_dimensions(shape) == 2 else _joined(parts))
    except shapely.errors.ShapelyError:
        return _begun(_joined(parts))


def _unwrap_part(part: BaseGeometry) -> BaseGeometry:
    """A point, line or polygon in one piece."""
    import shapely

    if part.geom_type == "Point":
        x = part.x
        return part if abs(x) <= 180.0 else shapely.Point(np.mod(x + 180.0, 360.0) - 180.0, part.y)
    if part.geom_type == "Polygon":
        rings = [_unwrap_ring(np.asarray(ring.coords)[:, :2]) for ring in (part.exterior, *part.interiors)]
        if all(new is None for new in rings):
            return part if _within_180(part) else _begun(part)
        held = [
            np.asarray(ring.coords)[:, :2] if new is None else new
            for ring, new in zip((part.exterior, *part.interiors), rings, strict=True)
        ]
        middle = _middle(held[0])
        holes = [_shifted(hole, 360.0 * round((middle - _middle(hole)) / 360.0)) for hole in held[1:]]
        return shapely.Polygon(held[0], holes)
    if part.geom_type in ("LineString", "LinearRing"):
        line = np.asarray(part.coords)[:, :2]
        jumps = _turns(line[:, 0], exact=True)
        if not jumps.any():
            return part if _within_180(part) else _begun(part)
        return shapely.LineString(line + np.stack([360.0 * np.cumsum(jumps), np.zeros(len(line))], axis=1))
    return part


def _unwrap_ring(ring: Floats) -> Floats | None:
    """A closed ring without jumps; None where it has none. One that runs round a pole is closed over that."""
    for exact in (
        True,
        False,
    ):  # an edge along the whole parallel is none, or one between two spellings of 180
        turns = np.cumsum(_turns(ring[:, 0], exact=exact))
        if not turns.any():
            return None
        lon = ring[:, 0] + 360.0 * turns
        if turns[-1] == 0 and np.ptp(lon) > _EDGE:
            return np.stack([lon, ring[:, 1]], axis=1)
    if turns[-1] == 0:
        return None
    pole = 90.0 if ring[:, 1].mean() > 0 else -90.0
    over = np.array([[lon[-1], pole], [lon[0], pole], [lon[0], ring[0, 1]]])
    return np.concatenate([np.stack([lon, ring[:, 1]], axis=1), over])


def _turns(lon: Floats, *, exact: bool) -> NDArray[np.int64]:
    """For each vertex how many turns its edge jumps over; ``exact``: also from one spelling of 180 to the other."""
    steps = np.diff(lon, prepend=lon[:1])
    turns = np.where(np.abs(steps) > 180.0, -np.sign(steps), 0.0).astype(np.int64)
    if not exact:
        turns[np.abs(np.abs(steps) - 360.0) <= _EDGE] = 0
    return turns


def _within_180(shape: BaseGeometry) -> bool:
    west, _, east, _ = shape.bounds
    return bool(west >= -180.0 - _EDGE and east <= 180.0 + _EDGE)


def _jumps(shape: BaseGeometry) -> bool:
    """Whether any part of a shape within -180 to 180 crosses the antimeridian by a jump."""
    import shapely

    return any(_unwrap_part(part) is not part for part in list(shapely.get_parts(shape)))


def _side_by_side(parts: list[BaseGeometry]) -> list[BaseGeometry]:
    """Parts turned so that the widest gap between them lies at their ends."""
    starts = np.array([part.bounds[0] for part in parts])
    ends = np.array([part.bounds[2] for part in parts])
    west = np.mod(starts + 180.0, 360.0) - 180.0
    order = np.argsort(west, kind="stable")
    reach = np.maximum.accumulate((west + ends - starts)[order])
    gaps = np.append(west[order][1:], west[order][0] + 360.0) - reach
    first = (int(gaps.argmax()) + 1) % len(parts)
    begin = west[order][first]
    shift = np.where(west < begin - _EDGE, west + 360.0, west) - starts
    return [
        part if move == 0 else _moved(part, move) for part, move in zip(parts, shift.tolist(), strict=True)
    ]


def _begun(shape: BaseGeometry) -> BaseGeometry:
    """The shape turned so that it begins within -180 to 180."""
    west = shape.bounds[0]
    return _moved(shape, -360.0 * math.floor((west + 180.0) / 360.0))


def _moved(shape: BaseGeometry, degrees: float) -> BaseGeometry:
    import shapely

    if degrees == 0.0:
        return shape
    moved: BaseGeometry = shapely.transform(shape, lambda xy: _shifted(xy, degrees))
    return moved


def _shifted(xy: Floats, degrees: float) -> Floats:
    return np.asarray(xy + np.array([degrees, 0.0]))


def _middle(ring: Floats) -> float:
    return float((ring[:, 0].min() + ring[:, 0].max()) / 2.0)


def _valid(shape: BaseGeometry) -> BaseGeometry:
    import shapely

    valid: BaseGeometry = shape if shapely.is_valid(shape) else shapely.make_valid(shape)
    return valid


def _of_dimension(shape: BaseGeometry, dimension: int) -> list[BaseGeometry]:
    """The parts of one dimension, without the lines and points where a shape merely touches."""
    import shapely

    parts = [one for part in shapely.get_parts(shape) for one in shapely.get_parts(part)]
    return [part for part in parts if shapely.get_dimensions(part) == dimension and not part.is_empty]


def _joined(parts: list[BaseGeometry]) -> BaseGeometry:
    import shapely

    kinds = {part.geom_type for part in parts}
    make = {
        frozenset(("Polygon",)): shapely.multipolygons,
        frozenset(("LineString",)): shapely.multilinestrings,
        frozenset(("Point",)): shapely.multipoints,
    }.get(frozenset(kinds), shapely.geometrycollections)
    joined: BaseGeometry = make(parts)
    return joined
