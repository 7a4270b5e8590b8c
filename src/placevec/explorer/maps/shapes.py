"""Outlines of places that are areas, such as census tracts or cells of a grid, as a page draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.explorer.embedded import base64_of
from placevec.explorer.maps.mercator import WORLD
from placevec.geo import MAX_MERCATOR_LATITUDE, Floats, lonlat_to_tile_xy

MAX_VERTICES = 800_000
"""Vertices of a page: about 9 MB of it. Of more, even when simplified, places are drawn as dots."""
_FINEST_M, _COARSER, _STEPS = 1.0, 3.0, 6  # tolerances of 1, 3, 9, ... meters are tried
_OVERLAPPING = 1.5  # areas over the middle of a place, on average, from which on they would hide each other
_SAMPLE = 500


def shapes_content(
    geometry: NDArray[np.object_], mercator: Floats, origin: Floats, *, boxes: bool = True
) -> tuple[dict[str, Any] | None, str]:
    """The JSON of outlines that a page draws instead of dots, or None, and a note on what is not drawn.

    Args:
        geometry: (N,) shapely geometries in lon, lat degrees, or None.
        mercator: (N, 2) meters of the places, see `placevec.explorer.maps.mercator.mercator_meters`.
        origin: (2,) meters.
        boxes: whether boxes along parallels and meridians count as areas, or are what a model reads around a point.

    Returns:
        ``place`` (R,) uint32 row of each ring, ascending, ``starts`` (R + 1,) uint32 its first vertex, ``xy`` (V, 2)
        float32 meters from the origin, all as base64. A point lies in a place if it lies in an odd number of its rings.
    """
    import shapely

    rows = np.flatnonzero(np.isfinite(mercator).all(axis=1) & (shapely.area(geometry) > 0))
    if not boxes and len(rows):
        square = shapely.area(shapely.envelope(geometry[rows]))
        rows = rows[shapely.area(geometry[rows]) < (1.0 - 1e-6) * square]
    if len(rows) == 0 or _overlap(geometry[rows]):
        return None, ""
    areas = shapely.transform(geometry[rows], lambda lonlat: _projected(lonlat, origin))
    many = _too_many(areas)
    for step in range(_STEPS):
        if not many:
            break
        areas = _simplified(areas, _FINEST_M * _COARSER**step)
        many = _too_many(areas)
    if many:
        count = int(shapely.get_num_coordinates(areas).sum())
        return (
            None,
            f"the outlines have {count:,} vertices, more than {MAX_VERTICES:,}, so places are drawn as dots",
        )
    parts, of_part = shapely.get_parts(areas, return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    xy, of_vertex = shapely.get_coordinates(rings, return_index=True)
    place = rows[of_part[of_ring]]
    turns = np.round(
        (xy[:, 0] - (mercator[place[of_vertex], 0] - origin[0])) / WORLD
    )  # the copy beside its place
    xy[:, 0] -= turns * WORLD
    starts = np.searchsorted(of_vertex, np.arange(len(rings) + 1))
    content = {
        "place": base64_of(place.astype(np.uint32)), "starts": base64_of(starts.astype(np.uint32)),
        "xy": base64_of(xy.astype(np.float32)),
    }  # fmt: skip
    return content, ""


def _projected(lonlat: Floats, origin: Floats) -> Floats:
    """(V, 2) degrees in meters from the origin."""
    latitude = np.clip(lonlat[:, 1], -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)
    xy = lonlat_to_tile_xy(lonlat[:, 0], latitude, 0)
    return np.stack([(xy[:, 0] - 0.5) * WORLD, (0.5 - xy[:, 1]) * WORLD], axis=1) - origin


def _overlap(areas: NDArray[np.object_]) -> bool:
    """Whether places overlap, as windows around near points do."""
    import shapely

    some = areas[np.linspace(0, len(areas) - 1, min(len(areas), _SAMPLE)).astype(np.int64)]
    points = shapely.point_on_surface(some)
    over, _ = shapely.STRtree(areas).query(points, predicate="intersects")
    return len(over) > _OVERLAPPING * len(some)


def _too_many(areas: NDArray[np.object_]) -> bool:
    import shapely

    return int(shapely.get_num_coordinates(areas).sum()) > MAX_VERTICES


def _simplified(areas: NDArray[np.object_], tolerance_m: float) -> NDArray[np.object_]:
    """With fewer vertices, borders that two share still shared where shapely can keep them so."""
    import shapely

    if hasattr(shapely, "coverage_simplify"):
        return np.asarray(shapely.coverage_simplify(areas, tolerance_m), object)
    return np.asarray(shapely.simplify(areas, tolerance_m), object)
