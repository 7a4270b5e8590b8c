"""Flat arrays of paths, against shapely and against loops."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec.geo.polylines import Paths


def random_paths(seed: int, rows: int = 12) -> Paths:
    random = np.random.default_rng(seed)
    return Paths.of(
        [
            [random.normal(size=(random.integers(1, 9), 2)) for _ in range(random.integers(1, 4))]
            for _ in range(rows)
        ]
    )


@given(st.integers(0, 1000), st.lists(st.integers(0, 11), max_size=30))
@settings(max_examples=40, deadline=None)
def test_take_equals_a_loop(seed: int, rows: list[int]) -> None:
    paths = random_paths(seed)
    taken = paths.take(np.array(rows, np.int64))
    looped = Paths.of([paths.row(row) for row in rows])
    assert np.array_equal(taken.xy, looped.xy)
    assert np.array_equal(taken.path_offsets, looped.path_offsets)
    assert np.array_equal(taken.row_offsets, looped.row_offsets)


def test_bounds_and_concatenation_equal_shapely() -> None:
    paths = Paths.concatenate([random_paths(1), random_paths(2)])
    expected = [shapely.MultiPoint(np.concatenate(paths.row(row))).bounds for row in range(len(paths))]
    assert np.allclose(paths.bounds(), expected)


def test_centroids_equal_shapely_with_holes_and_several_shells() -> None:
    """Oracle: shapely's centroid of the same polygons."""
    square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 0.0]])
    hole = np.array([[1.0, 1.0], [1.0, 5.0], [3.0, 5.0], [3.0, 1.0], [1.0, 1.0]])  # clockwise
    far = square * 0.3 + [40.0, 7.0]
    paths = Paths.of([[square, hole], [square, hole, far], [square[::-1]]])
    shapes = [
        shapely.Polygon(square, [hole]),
        shapely.MultiPolygon([shapely.Polygon(square, [hole]), shapely.Polygon(far)]),
        shapely.Polygon(square),
    ]
    expected = np.array([[shape.centroid.x, shape.centroid.y] for shape in shapes])
    assert np.allclose(paths.centers(), expected)
    assert np.allclose(paths.ring_areas()[:2], [100.0, -8.0])


def test_lines_and_points_have_their_middle_vertex() -> None:
    line = np.array([[0.0, 0.0], [1.0, 5.0], [9.0, 9.0]])
    paths = Paths.of([[line], [np.array([[3.0, 4.0]])], [line[:2], line]])
    assert paths.centers().tolist() == [[1.0, 5.0], [3.0, 4.0], [1.0, 5.0]]


def test_the_center_of_a_ring_that_crosses_itself_stays_in_its_box() -> None:
    bow_tie = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0001], [0.0, 0.0]])
    x, y = Paths.of([[bow_tie]]).centers()[0]
    assert 0.0 <= x <= 1.0
    assert 0.0 <= y <= 1.0001


@pytest.mark.parametrize("rows", [[], [[np.zeros((1, 2))]]])
def test_nothing_and_one_point(rows: list[list[np.ndarray]]) -> None:
    paths = Paths.of(rows)
    assert len(paths) == len(rows)
    assert paths.bounds().shape == (len(rows), 4)
    assert Paths.concatenate([]).xy.shape == (0, 2)
