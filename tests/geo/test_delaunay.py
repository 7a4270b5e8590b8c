"""Delaunay graphs. Oracles: Euler's formula, the empty circle of every edge's triangle, and degenerate sets by hand."""

from __future__ import annotations

import numpy as np
import pytest

from placevec.geo import offset
from placevec.geo.delaunay import delaunay_edges


def scattered(lon: float, lat: float, count: int = 200) -> np.ndarray:
    east, north = np.random.default_rng(0).uniform(-5000, 5000, (2, count))
    return offset(np.full(count, lon), np.full(count, lat), east_m=east, north_m=north)


def test_edges_of_a_planar_triangulation() -> None:
    """Euler: 3n - 3 - h edges, h of n points on the hull."""
    from scipy.spatial import ConvexHull

    lonlat = scattered(24.94, 0.0)
    edges = delaunay_edges(lonlat)
    assert edges.shape[1] == 3 * 200 - 3 - len(ConvexHull(lonlat).vertices)
    assert (edges[0] < edges[1]).all()


@pytest.mark.parametrize(("lon", "lat"), [(179.999, -16.5), (0.0, 89.99), (-70.0, -84.0)])
def test_nearest_points_are_neighbors_everywhere(lon: float, lat: float) -> None:
    """The nearest neighbor graph is part of every Delaunay graph, across the antimeridian and at a pole too."""
    from scipy.spatial import cKDTree

    from placevec.geo import to_ecef

    lonlat = scattered(lon, lat)
    nearest = cKDTree(xyz := to_ecef(lonlat[:, 0], lonlat[:, 1])).query(xyz, 2)[1][:, 1]
    edges = {tuple(edge) for edge in delaunay_edges(lonlat).T.tolist()}
    assert all(tuple(sorted(pair)) in edges for pair in enumerate(nearest.tolist()))


def test_degenerate_sets() -> None:
    """None, one, two, equal, on one line, and equal ones among others."""
    assert delaunay_edges(np.zeros((0, 2))).shape == (2, 0)
    assert delaunay_edges(np.array([[1.0, 2.0]])).shape == (2, 0)
    assert delaunay_edges(np.array([[1.0, 2.0], [1.5, 2.0]])).tolist() == [[0], [1]]
    assert delaunay_edges(np.array([[1.0, 2.0]] * 3)).tolist() == [[0, 0], [1, 2]]
    meridian = np.array([[5.0, 10.0], [5.0, 12.0], [5.0, 11.0], [5.0, 11.0]])
    assert delaunay_edges(meridian).T.tolist() == [[0, 2], [1, 2], [2, 3]]
    triangle = np.array([[5.0, 10.0], [5.1, 10.0], [5.0, 10.1], [5.1, 10.0]])
    assert delaunay_edges(triangle).T.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3]]
