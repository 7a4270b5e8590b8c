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
"""Degrees: a box over the 180th meridian that is wider has its west and its east swapped."""


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
            raise AreaError(f"the box {box} holds a value that is not a number")
        if max(abs(self.south), abs(self.north)) > 90 or max(abs(self.west), abs(self.east)) > 180:
            raise AreaError(
                f"the box {box} leaves the Earth: the order is west, south, east, north in degrees"
            )
        if self.south >= self.north:
            raise AreaError(f"the box {box} is upside down or empty: south must be less than north")
        if self.west == self.east:
            raise AreaError(f"the box {box} is empty: west equals east")

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
            raise AreaError(f"a bounding box is four numbers, west,south,east,north in degrees; got {text!r}")
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
            raise AreaError(f"a bounding box is four numbers, west, south, east, north in degrees; got {box}")
        return cls(*box)

    @classmethod
    def from_polygon(cls, polygon: BaseGeometry) -> Area:
        """The box of a polygon or multipolygon (lon, lat degrees), narrowed to it.

        The box is the one that runs over the antimeridian where the polygon does, however that is written.
        """
        if polygon.is_empty or polygon.geom_type not in _POLYGONS:
            raise AreaError(f"an area is a polygon that is not empty; got {polygon.geom_type}")
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
                raise AreaError(f"{path} holds no polygon")
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
        """Whether the box runs eastwards over the 180th meridian."""
        return self.west > self.east

    def parts(self) -> list[tuple[float, float, float, float]]:
        """One box, or the two halves of a box that crosses the antimeridian."""
        if not self.crosses_antimeridian:
            return [self.bounds]
        halves = [(self.west, self.south, 180.0, self.north), (-180.0, self.south, self.east, self.north)]
        return [half for half in halves if half[0] < half[2]]

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """(N,) bool: which points lie inside, edges included."""
        lon, lat = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
        inside = np.zeros(lon.shape, bool)
        for west, south, east, north in self.parts():
            for turned in (lon, lon - 360.0, lon + 360.0):
                inside |= (turned >= west) & (turned <= east) & (lat >= south) & (lat <= north)
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

    def intersects(self, other: Area) -> bool:
        """Whether two boxes share any point (polygons are not looked at)."""
        return any(
            a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
            for a in self.parts()
            for b in other.parts()
        )

    def turned_into(self, other: Area) -> str:
        """How the box would meet another one with longitude and latitude swapped, as a question; empty if it would not.

        >>> Area(60.1, 24.9, 60.2, 25.0).turned_into(Area(24.0, 60.0, 26.0, 61.0))
        '; are longitude and latitude swapped? The order is west,south,east,north: 24.9,60.1,25,60.2'
        """
        box = (self.south, self.west, self.north, self.east)
        if max(abs(self.west), abs(self.east)) > 90 or self.crosses_antimeridian:
            return ""
        if not Area(*box).intersects(other):
            return ""
        told = ",".join(f"{value:g}" for value in box)
        return f"; are longitude and latitude swapped? The order is west,south,east,north: {told}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON: the bounds, and the polygon as GeoJSON when there is one."""
        content: dict[str, Any] = {"bounds": list(self.bounds)}
        if self.polygon is not None:
            from shapely.geometry import mapping

            content["polygon"] = json.loads(json.dumps(mapping(self.polygon)))
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Area:
        """The inverse of `as_dict`; ValueError when it is none."""
        polygon = None
        check(content, {"bounds": [float], "polygon?": (dict, NONE)})
        if content.get("polygon"):
            polygon = _polygon(content["polygon"])
        if len(content["bounds"]) != 4:
            raise ValueError(f"bounds are {len(content['bounds'])} numbers, not 4")
        west, south, east, north = (float(value) for value in content["bounds"])
        return cls(west, south, east, north, polygon)


def _polygon(content: dict[str, Any]) -> BaseGeometry:
    """The polygon or multipolygon of a GeoJSON geometry; ValueError when it is none."""
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    try:
        found: BaseGeometry = shape(content)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, ShapelyError) as error:
        raise ValueError(f"it holds a polygon that is none ({error})") from error
    if found.geom_type not in _POLYGONS:
        raise ValueError(f"it holds a {found.geom_type} where a polygon is expected")
    return found


def _only_polygons(geometry: BaseGeometry) -> BaseGeometry:
    """What repairing left of polygons, without the lines and points that it may leave beside them."""
    from shapely import get_parts, union_all

    if geometry.geom_type in _POLYGONS:
        return geometry
    repaired: BaseGeometry = union_all([part for part in get_parts(geometry) if part.geom_type in _POLYGONS])
    return repaired


Box = Area | tuple[float, float, float, float] | str
"""An area: (west, south, east, north) in degrees, or ``"west,south,east,north"``."""


def area_of(bbox: Box | Sequence[float] | None) -> Area | None:
    """An area in any spelling of its box, None of none; BoxError for what cannot be meant."""
    if bbox is None:
        return None
    try:
        area = bbox if isinstance(bbox, Area) else Area.of(bbox)
    except AreaError as error:
        raise BoxError(str(error)) from error
    west, south, east, north = area.bounds
    if area.crosses_antimeridian and 360.0 - (west - east) > WIDEST_ACROSS:
        raise BoxError(
            f"the box has its west {west:g} east of its east {east:g}, and so runs round almost all of the Earth: "
            f"is it {east:g},{south:g},{west:g},{north:g}?"
        )
    return area
