"""Geometries of objects, built in bulk from the paths of the reader, and of entities with several objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from placevec.geo.antimeridian import points_within
from placevec.geo.polylines import Floats, Ints, Paths

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Objects = np.ndarray[Any, np.dtype[np.object_]]
UNITS = 1e7
"""A degree of longitude or latitude, in the units that OSM stores."""


def shapes_of(paths: Paths, is_area: NDArray[np.bool_]) -> Objects:
    """(N,) shapely geometries of rows: points, lines (several where nodes are missing) and, where it is said, areas."""
    shapes = np.full(len(paths), None, object)
    sizes = np.diff(paths.row_vertices)
    points = np.flatnonzero(sizes == 1)
    shapes[points] = shapely.points(paths.xy[paths.row_vertices[points]])
    lines = np.flatnonzero((sizes > 1) & ~is_area)
    shapes[lines] = _lines(paths.take(lines))
    areas = np.flatnonzero((sizes > 1) & is_area)
    shapes[areas] = _areas(paths.take(areas))
    return shapes


def _lines(paths: Paths) -> Objects:
    several = np.diff(paths.row_offsets) > 1
    made: Objects = np.full(len(paths), None, object)
    for rows, kind in (
        (~several, shapely.GeometryType.LINESTRING),
        (several, shapely.GeometryType.MULTILINESTRING),
    ):
        some = paths.take(np.flatnonzero(rows))
        offsets = (
            (some.path_offsets,)
            if kind == shapely.GeometryType.LINESTRING
            else (some.path_offsets, some.row_offsets)
        )
        if len(some):
            made[rows] = shapely.from_ragged_array(kind, some.xy, offsets)
    return made


def _areas(paths: Paths) -> Objects:
    """Rows of rings; each ring that runs counter-clockwise, and the first of a row, begins a polygon."""
    made: Objects = np.full(len(paths), None, object)
    rings = np.diff(paths.row_offsets)
    rows = np.flatnonzero(rings == 1)
    if len(rows):
        some = paths.take(rows)
        ends = np.arange(len(some) + 1, dtype=np.int64)
        made[rows] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, some.xy, (some.path_offsets, ends)
        )
    rows = np.flatnonzero(rings > 1)
    if len(rows):
        some = paths.take(rows)
        begins = some.ring_areas() > 0
        begins[some.row_offsets[:-1]] = True
        polygons = np.append(np.flatnonzero(begins), len(begins))
        of_rows = np.searchsorted(polygons, some.row_offsets)
        offsets = (some.path_offsets, polygons, of_rows)
        made[rows] = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, some.xy, offsets)
    wrong = np.flatnonzero(~shapely.is_valid(made))
    if len(wrong):
        made[wrong] = shapely.make_valid(made[wrong])
    return made


def vertex_keys(shapes: Objects) -> tuple[NDArray[np.uint64], Ints]:
    """A number for the place of each vertex, and the row of its shape: equal numbers are one node of OSM."""
    xy, rows = shapely.get_coordinates(shapes, return_index=True)
    units = np.rint((xy + np.array([180.0, 90.0])) * UNITS).astype(np.uint64)
    return units[:, 0] << np.uint64(32) | units[:, 1], np.asarray(rows, np.int64)


def joined(shapes: Sequence[BaseGeometry]) -> BaseGeometry:
    """The geometry of an entity: its areas as one, its lines but for the outlines of those, or its points.

    Points are left out where there is anything else; areas and lines together are a collection.
    """
    parts = shapely.get_parts(np.array(shapes, object))
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts = shapely.get_parts(parts)
    dimension = shapely.get_dimensions(parts)
    areas, lines, points = (parts[dimension == number] for number in (2, 1, 0))
    if not len(areas) and not len(lines):
        points = np.unique(shapely.to_wkb(points))
        return _one(shapely.from_wkb(points), shapely.multipoints)
    if len(areas) > 1:
        areas = shapely.get_parts(_union(areas))
    if len(areas) and len(lines):
        outline = vertex_keys(areas)[0]
        keys, rows = vertex_keys(lines)
        off = ~np.isin(keys, outline)
        lines = lines[np.bincount(rows[off], minlength=len(lines)) > 0]
    both = []
    if len(areas):
        both.append(_one(areas, shapely.multipolygons))
    if len(lines):
        merged = shapely.line_merge(shapely.multilinestrings(lines)) if len(lines) > 1 else lines[0]
        both.append(merged)
    return both[0] if len(both) == 1 else shapely.geometrycollections(both)


def _union(areas: Objects) -> BaseGeometry:
    try:
        return shapely.union_all(areas)
    except shapely.errors.GEOSException:
        return shapely.union_all(shapely.make_valid(areas))


def _one(parts: Objects, several: Any) -> BaseGeometry:
    return parts[0] if len(parts) == 1 else several(parts)


def points_of(shapes: Objects) -> Floats:
    """(N, 2) lon, lat of a point of each shape: within areas, else halfway along the longest line."""
    points = points_within(shapes)
    lines = np.flatnonzero(shapely.get_dimensions(shapes) == 1)
    if len(lines):
        parts, rows = shapely.get_parts(shapes[lines], return_index=True)
        order = np.lexsort((-shapely.length(parts), rows))
        longest = parts[order][np.unique(rows[order], return_index=True)[1]]
        halfway = shapely.line_interpolate_point(longest, 0.5, normalized=True)
        points[lines] = np.stack([shapely.get_x(halfway), shapely.get_y(halfway)], axis=1)
    return np.asarray(points)
