"""The Delaunay graph of points on the Earth: which of them are neighbors."""

from __future__ import annotations

import numpy as np

from placevec.geo.coordinates import Floats, Ints
from placevec.geo.meters import to_ecef

_NEAR_M = 1e-3
"""Points closer than this are at one place: neighbors of each other, and of nobody else but for the first of them."""


def delaunay_edges(lonlat: Floats) -> Ints:
    """(2, E) neighbors of the Delaunay triangulation of points, each edge once, the smaller index first.

    Points are projected onto the plane that touches the Earth at their mean, so that edges are right within a few
    hundred kilometers, across the antimeridian and at the poles too. Points at one place form a star around the first
    of them. Fewer than three places, or places on one line, are joined in the order along it.

    Args:
        lonlat: (N, 2) lon, lat degrees, finite.

    >>> delaunay_edges(np.array([[24.0, 60.0], [24.1, 60.0], [24.05, 60.1]])).tolist()
    [[0, 0, 1], [1, 2, 2]]
    >>> delaunay_edges(np.array([[24.0, 0.0], [24.2, 0.0], [24.1, 0.0]])).tolist()  # on one line
    [[0, 1], [2, 2]]
    """
    lonlat = np.asarray(lonlat, np.float64).reshape(-1, 2)
    if len(lonlat) < 2:
        return np.zeros((2, 0), np.int64)
    xy = tangent_plane(lonlat)
    _, first, place = np.unique(
        np.round(xy / _NEAR_M).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    place = place.reshape(-1)
    edges = first[_between_places(xy[first])]
    others = np.flatnonzero(first[place] != np.arange(len(xy)))
    edges = np.concatenate([edges, np.stack([first[place[others]], others])], axis=1)
    return np.asarray(np.unique(np.sort(edges, axis=0), axis=1), np.int64)


def tangent_plane(lonlat: Floats) -> Floats:
    """(N, 2) meters east and north on the plane that touches the Earth at the mean of the points.

    >>> tangent_plane(np.array([[179.999, 0.0], [-179.999, 0.0]])).round().tolist()
    [[-111.0, 0.0], [111.0, 0.0]]
    """
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    up = xyz.mean(axis=0)
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    east = np.cross([0.0, 0.0, 1.0], up)
    east = east / np.linalg.norm(east) if np.linalg.norm(east) > 1e-9 else np.array([0.0, 1.0, 0.0])
    return np.stack([xyz @ east, (xyz - xyz.mean(axis=0)) @ np.cross(up, east)], axis=1)


def _between_places(xy: Floats) -> Ints:
    """(2, E) edges between distinct points of a plane."""
    from scipy.spatial import Delaunay, QhullError

    if len(xy) >= 3 and not _is_line(xy):
        try:
            found = Delaunay(xy)
        except QhullError:  # all on one line
            return _along_line(xy)
        triangles = found.simplices
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
        # points that Qhull leaves out because of their distance to another one
        return np.asarray(np.concatenate([edges, found.coplanar[:, [0, 2]]]).T, np.int64)
    return _along_line(xy)


def _is_line(xy: Floats) -> bool:
    """Whether points lie on one line, to `_NEAR_M`: rounding would make slivers of triangles out of them."""
    centered = xy - xy.mean(axis=0)
    across = np.linalg.svd(centered, full_matrices=False)[2][1]
    return bool(np.abs(centered @ across).max() < _NEAR_M)


def _along_line(xy: Floats) -> Ints:
    centered = xy - xy.mean(axis=0)
    direction = np.linalg.svd(centered, full_matrices=False)[2][0]
    order = np.argsort(centered @ direction, kind="stable")
    return np.stack([order[:-1], order[1:]]).astype(np.int64)
