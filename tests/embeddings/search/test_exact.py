"""Exact search against libraries that compute the same by other means."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from placevec.embeddings.search import exact
from placevec.embeddings.search.exact import METRICS, ExactIndex, Metric
from placevec.errors import InputError


def truth(asked: np.ndarray, vectors: np.ndarray, metric: Metric) -> np.ndarray:
    """(Q, N) float64 by scipy (dot by numpy)."""
    asked, vectors = asked.astype(np.float64), vectors.astype(np.float64)
    if metric == "dot":
        return -(asked @ vectors.T)
    if metric == "angular":
        return np.sqrt(2 * cdist(asked, vectors, "cosine"))
    return cdist(asked, vectors, {"manhattan": "cityblock"}.get(metric, metric))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_equals_scipy(metric: Metric, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: scipy's cdist and a full sort, over several blocks; the offset provokes cancellation."""
    monkeypatch.setattr(exact, "BLOCK_ROWS", 128)
    monkeypatch.setattr(exact, "_SCORES", 20_000)
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(5000, 16)) + offset).astype(np.float32)
    asked = (random.normal(size=(10, 16)) + offset).astype(np.float32)
    expected = truth(asked, vectors, metric)
    rows, distances = ExactIndex(vectors, metric).query(asked, 25)
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :25], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(expected, rows, 1), distances, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "manhattan"])
def test_equals_scikit_learn(metric: Metric) -> None:
    """Oracle: sklearn's brute-force NearestNeighbors."""
    random = np.random.default_rng(1)
    vectors, asked = random.normal(size=(500, 8)), random.normal(size=(20, 8))
    far, near = NearestNeighbors(metric=metric, algorithm="brute").fit(vectors).kneighbors(asked, 7)
    rows, distances = ExactIndex(vectors, metric).query(asked, 7)
    np.testing.assert_array_equal(rows, near)
    np.testing.assert_allclose(distances, far, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 60),
    dim=st.integers(1, 5),
    k=st.integers(1, 70),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 999),
)
def test_any_shape_with_ties_and_a_filter(count: int, dim: int, k: int, metric: Metric, seed: int) -> None:
    """Small whole numbers give many ties and zero vectors; the filter is honored, ties come by row."""
    random = np.random.default_rng(seed)
    vectors = random.integers(-1, 2, (count, dim)).astype(np.float32)
    asked = random.integers(-1, 2, (3, dim)).astype(np.float32)
    where = random.random(count) < 0.7
    rows, distances = ExactIndex(vectors, metric).query(asked, k, where=where)
    assert rows.shape == distances.shape == (3, min(k, where.sum()))
    assert np.isfinite(distances).all()
    assert where[rows].all()
    assert (np.diff(distances, axis=1) >= 0).all()
    for found, far in zip(rows, distances, strict=True):
        assert len(set(found)) == len(found)
        tied = np.diff(far) == 0
        assert (np.diff(found)[tied] > 0).all()


def test_zero_vectors_lie_at_one_under_cosine() -> None:
    """sklearn's cosine_distances says the same; scipy gives NaN."""
    index = ExactIndex([[0.0, 0.0], [3.0, 4.0]])
    rows, distances = index.query([[0.0, 0.0], [3.0, 4.0]], 2)
    assert rows.tolist() == [[0, 1], [1, 0]]
    assert distances.tolist() == [[1.0, 1.0], [0.0, 1.0]]


def test_length_changes_nothing_under_cosine_even_at_extremes() -> None:
    vectors = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    rows, _ = ExactIndex(vectors).query(vectors[:5], 50)
    scaled, distances = ExactIndex(vectors * np.float32(1e15)).query(vectors[:5] * np.float32(1e-15), 50)
    np.testing.assert_array_equal(rows, scaled)
    assert distances.min() >= 0.0


def test_thousands_of_results_of_a_large_table() -> None:
    """The oracle is a full float64 sort; memory stays far below the (Q, N) matrix of it."""
    random = np.random.default_rng(3)
    vectors = random.normal(size=(150_000, 32)).astype(np.float32)
    index = ExactIndex(vectors)
    tracemalloc.start()
    rows, distances = index.query(vectors[:400], 3000)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    expected = 1 - (vectors.astype(np.float64) @ vectors[7].astype(np.float64)) / (
        np.linalg.norm(vectors.astype(np.float64), axis=1) * np.linalg.norm(vectors[7].astype(np.float64))
    )
    np.testing.assert_array_equal(rows[7], np.argsort(expected, kind="stable")[:3000])
    assert rows.shape == distances.shape == (400, 3000)
    assert peak < 400, f"{peak:.0f} MB; all scores at once would take 240 MB in float32 and 480 MB of indices"


@pytest.mark.parametrize(
    ("asked", "k", "where", "message"),
    [
        ([[1.0]], 1, None, "1 dimensions"),
        ([1.0, 2.0], 1, None, "shape"),
        ([[1.0, np.nan]], 1, None, "not finite"),
        ([[1.0, 2.0]], 0, None, "at least 1"),
        ([[1.0, 2.0]], 1, np.ones(2, bool), "mask of 3"),
        ([[1.0, 2.0]], 1, np.ones(3), "mask of 3"),
    ],
)
def test_nonsense_is_rejected(asked: list, k: int, where: np.ndarray | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExactIndex(np.ones((3, 2))).query(asked, k, where=where)


def test_unknown_metric_is_rejected() -> None:
    with pytest.raises(InputError, match="cosine, angular, euclidean, manhattan, dot"):
        ExactIndex(np.ones((3, 2)), "hamming")  # type: ignore[arg-type]


def test_nothing_allowed_and_nothing_asked() -> None:
    index = ExactIndex(np.ones((3, 2)))
    assert index.query(np.ones((2, 2)), 5, where=np.zeros(3, bool))[0].shape == (2, 0)
    assert index.query(np.ones((0, 2)), 5)[0].shape == (0, 3)
    assert ExactIndex(np.ones((0, 2)), "euclidean").query(np.ones((1, 2)), 5)[0].shape == (1, 0)
