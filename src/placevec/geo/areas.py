"""Areas: bounding boxes, also across the antimeridian, and polygons."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import AreaError, BoxError, SourceError
from placevec.geo.antimeridian import unwrapped, wrapped
from placevec.geo.geojson import read_geojson
from placevec.io.json_documents import NONE, check

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_POLYGONS = ("Polygon", "MultiPolygon")
WIDEST_ACROSS = 270.0
"""Degrees: a box across the 180th meridian that is wider than this probably has west and east swapped."""
_IN_CACHE = 32_768  # points compared at once


@dataclass(frozen=True)
class Area:
    """A bounding box (west, south, east, north) in degrees, optionally narrowed by a polygon inside it.

    ``west > east`` means that the box crosses the antimeridian.

    >>> Area(24.93, 60.16, 24.96, 60.18).contains([24.94, 25.0], [60.17, 60.17]).tolist()
    [True, False]
    >>> Area(179.0, -1.0, -179.0, 1.0).contains([180.0, -179.5, 0.0], [0.0, 0.0, 0.0]).tolist()
    [True, True, False]
    """

    west: float
    south: float
    east: float
    north: float
    polygon: BaseGeometry | None = None

    def __post_init__(self) -> None:
        box = (self.west, self.south, self.east, self.north)
        if not all(math.isfinite(value) for value in box):
            raise AreaError(f"the bounding box {box} has a value that is not a finite number")
        if max(abs(self.south), abs(self.north)) > 90 or max(abs(self.west), abs(self.east)) > 180:
            raise AreaError(
                f"the bounding box {box} is out of range: the order is west, south, east, north, in degrees"
            )
        if self.south >= self.north:
            raise AreaError(f"the bounding box {box} is empty or upside down: south must be less than north")
        if self.west == self.east:
            raise AreaError(f"the bounding box {box} is empty: west equals east")

    @classmethod
    def around(cls, lonlat: ArrayLike, margin: float = 0.1) -> Area:
        """The box around points, with a margin in degrees that stays on the Earth; it never crosses the antimeridian.

        Args:
            lonlat: (N, 2) lon, lat in degrees.
            margin: degrees.

        Raises:
            AreaError: no points, or a row that is no lon, lat in degrees; the first of them is named.

        >>> Area.around([[24.0, 60.0], [25.0, 60.5]], margin=0.5).bounds
        (23.5, 59.5, 25.5, 61.0)
        """
        points = np.asarray(lonlat, np.float64)
        if not len(points):
            raise AreaError("there are no points to draw a box around")
        wrong = np.flatnonzero(~(np.abs(points) <= (180.0, 90.0)).all(axis=1))
        if len(wrong):
            lon, lat = points[wrong[0]].tolist()
            raise AreaError(
                f"row {wrong[0]}: lon={lon:g}, lat={lat:g} are not longitude and latitude in degrees"
            )
        (west, south), (east, north) = points.min(axis=0) - margin, points.max(axis=0) + margin
        return cls(
            *(float(edge) for edge in (max(west, -180), max(south, -90), min(east, 180), min(north, 90)))
        )

    @classmethod
    def parse(cls, text: str) -> Area:
        """From ``"west,south,east,north"``.

        >>> Area.parse("14.1, 35.7, 14.6, 36.1").north
        36.1
        """
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if len(values) != 4:
            raise AreaError(
                f"a bounding box must be four numbers, west,south,east,north in degrees; got {text!r}"
            )
        return cls(*values)

    @classmethod
    def of(cls, box: str | Sequence[float]) -> Area:
        """From ``"west,south,east,north"`` or four numbers.

        >>> Area.of((14.1, 35.7, 14.6, 36.1)) == Area.of("14.1,35.7,14.6,36.1")
        True
        """
        if isinstance(box, str):
            return cls.parse(box)
        if len(box) != 4:
            raise AreaError(
                f"a bounding box must be four numbers, west, south, east, north in degrees; got {box}"
            )
        return cls(*box)

    @classmethod
    def from_polygon(cls, polygon: BaseGeometry) -> Area:
        """From a polygon or multipolygon in lon, lat degrees: its bounding box, narrowed to the polygon.

        The box crosses the antimeridian where the polygon does, in whichever way that is written.

        >>> from shapely.geometry import Polygon
        >>> Area.from_polygon(Polygon([(0, 0), (2, 0), (0, 2)])).contains([0.5, 1.5], [0.5, 1.5]).tolist()
        [True, False]
        """
        if polygon.is_empty or polygon.geom_type not in _POLYGONS:
            raise AreaError(f"an area must be a non-empty polygon or multipolygon; got {polygon.geom_type}")
        one = np.array([polygon], dtype=object)
        west, south, east, north = unwrapped(one)[0].bounds
        if east - west >= 360.0:
            west, east = -180.0, 180.0
        elif east > 180.0:
            east -= 360.0
        return cls(west, south, east, north, wrapped(one)[0])

    @classmethod
    def from_geojson(cls, path: str | Path) -> Area:
        """The union of all polygons in a GeoJSON file (geometry, feature or collection; RFC 7946, lon, lat)."""
        from shapely import get_parts, make_valid, union_all
        from shapely.errors import ShapelyError

        try:
            shapes = read_geojson(path).shapes(path)
            flat = [part for shape in shapes if shape is not None for part in get_parts(shape)]
            polygons = [part for one in flat for part in get_parts(one) if part.geom_type in _POLYGONS]
            if not polygons:
                raise AreaError(f"{path} contains no polygon")
            pieces = make_valid(list(wrapped(np.array(polygons, dtype=object))))
            return cls.from_polygon(_only_polygons(union_all(pieces)))
        except SourceError as error:
            raise AreaError(str(error)) from error
        except (ValueError, ShapelyError) as error:
            raise AreaError(f"{path} is not GeoJSON: {error}") from error

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in degrees."""
        return (self.west, self.south, self.east, self.north)

    @property
    def crosses_antimeridian(self) -> bool:
        """Whether the box crosses the 180th meridian.

        >>> Area(179.0, -1.0, -179.0, 1.0).crosses_antimeridian
        True
        """
        return self.west > self.east

    def parts(self) -> list[tuple[float, float, float, float]]:
        """One bounding box, or the two halves of a box that crosses the antimeridian.

        >>> Area(179.0, -1.0, -179.0, 1.0).parts()
        [(179.0, -1.0, 180.0, 1.0), (-180.0, -1.0, -179.0, 1.0)]
        """
        if not self.crosses_antimeridian:
            return [self.bounds]
        halves = [(self.west, self.south, 180.0, self.north), (-180.0, self.south, self.east, self.north)]
        return [half for half in halves if half[0] < half[2]]

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """(N,) bool: which points lie inside the area, edges included."""
        lon, lat = np.broadcast_arrays(
            np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
        )
        inside = np.zeros(lon.shape, bool)
        for start in range(0, len(lon), _IN_CACHE):
            part = slice(start, start + _IN_CACHE)
            self._mark_in_box(lon[part], lat[part], inside[part])
        if self.polygon is not None and inside.any():
            from shapely import intersects_xy

            x, y = np.array(lon[inside]), lat[inside]
            beyond = np.abs(x) > 180.0
            x[beyond] = np.mod(x[beyond] + 180.0, 360.0) - 180.0
            held = intersects_xy(self.polygon, x, y)
            on_edge = np.abs(x) == 180.0  # which has two longitudes
            held[on_edge] |= intersects_xy(self.polygon, -x[on_edge], y[on_edge])
            inside[inside] = held
        return inside

    def _mark_in_box(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64], inside: NDArray[np.bool_]
    ) -> None:
        """Make ``inside`` true for points in the bounding box, on any turn around the earth."""
        first, last = np.fmin.reduce(lon, initial=np.inf), np.fmax.reduce(lon, initial=-np.inf)
        for west, south, east, north in self.parts():
            for turn in (0.0, -360.0, 360.0):
                if first + turn <= east and last + turn >= west:  # few points lie on another turn
                    turned = lon + turn if turn else lon
                    found = turned >= west
                    found &= turned <= east
                    found &= lat >= south
                    found &= lat <= north
                    inside |= found

    def intersects(self, other: Area) -> bool:
        """Whether two bounding boxes share any point (polygons are ignored).

        >>> Area(0, 0, 2, 2).intersects(Area(1, 1, 3, 3)), Area(0, 0, 1, 1).intersects(Area(2, 2, 3, 3))
        (True, False)
        """
        return any(
            a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
            for a in self.parts()
            for b in other.parts()
        )

    def turned_into(self, other: Area) -> str:
        """A hint for error messages if this box meets another only with longitude and latitude swapped; otherwise empty.

        >>> Area(60.1, 24.9, 60.2, 25.0).turned_into(Area(24.0, 60.0, 26.0, 61.0))
        '; are longitude and latitude swapped? The order is west,south,east,north: 24.9,60.1,25,60.2'
        """
        box = (self.south, self.west, self.north, self.east)
        if max(abs(self.west), abs(self.east)) > 90 or self.crosses_antimeridian:
            return ""
        if not Area(*box).intersects(other):
            return ""
        swapped = ",".join(f"{value:g}" for value in box)
        return f"; are longitude and latitude swapped? The order is west,south,east,north: {swapped}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON: the bounds, and the polygon as GeoJSON if there is one.

        >>> Area(0, 1, 2, 3).as_dict()
        {'bounds': [0, 1, 2, 3]}
        """
        content: dict[str, Any] = {"bounds": list(self.bounds)}
        if self.polygon is not None:
            from shapely.geometry import mapping

            content["polygon"] = json.loads(json.dumps(mapping(self.polygon)))
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Area:
        """The inverse of `as_dict`.

        Raises:
            ValueError: the content does not describe an area.

        >>> Area.from_dict({"bounds": [0, 1, 2, 3]}).east
        2.0
        """
        polygon = None
        check(content, {"bounds": [float], "polygon?": (dict, NONE)})
        if content.get("polygon"):
            polygon = _polygon(content["polygon"])
        if len(content["bounds"]) != 4:
            raise ValueError(f"bounds must be 4 numbers; got {len(content['bounds'])}")
        west, south, east, north = (float(value) for value in content["bounds"])
        return cls(west, south, east, north, polygon)


def _polygon(content: dict[str, Any]) -> BaseGeometry:
    """The polygon or multipolygon of a GeoJSON geometry; ValueError if it is invalid."""
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    try:
        found: BaseGeometry = shape(content)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, ShapelyError) as error:
        raise ValueError(f"invalid polygon ({error})") from error
    if found.geom_type not in _POLYGONS:
        raise ValueError(f"expected a polygon; got a {found.geom_type}")
    return found


def _only_polygons(geometry: BaseGeometry) -> BaseGeometry:
    """The polygons of a repaired geometry, without stray lines and points."""
    from shapely import get_parts, union_all

    if geometry.geom_type in _POLYGONS:
        return geometry
    repaired: BaseGeometry = union_all([part for part in get_parts(geometry) if part.geom_type in _POLYGONS])
    return repaired


Box = Area | tuple[float, float, float, float] | str
"""An area: (west, south, east, north) in degrees, or ``"west,south,east,north"``."""


def area_of(bbox: Box | Sequence[float] | None) -> Area | None:
    """The area of a bounding box in any accepted form, or None for None.

    Raises:
        BoxError: an invalid box, or one that probably has west and east swapped.

    >>> area_of("14.1,35.7,14.6,36.1").bounds
    (14.1, 35.7, 14.6, 36.1)
    """
    if bbox is None:
        return None
    try:
        area = bbox if isinstance(bbox, Area) else Area.of(bbox)
    except AreaError as error:
        raise BoxError(str(error)) from error
    west, south, east, north = area.bounds
    if area.crosses_antimeridian and 360.0 - (west - east) > WIDEST_ACROSS:
        raise BoxError(
            f"the bounding box has west {west:g} and east {east:g}, so it spans almost the whole Earth: "
            f"did you mean {east:g},{south:g},{west:g},{north:g}?"
        )
    return area
