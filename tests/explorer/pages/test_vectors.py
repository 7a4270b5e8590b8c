from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from placevec.explorer.pages.vectors import pack_vectors
from placevec.explorer.reductions import principal_components


@pytest.fixture
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(500, 5)) @ rng.normal(size=(5, 32)) + rng.normal(size=(500, 32)) * 0.2).astype(
        np.float32
    )


def test_components_are_those_of_scikit_learn(vectors: np.ndarray) -> None:
    """Oracle: scikit-learn's PCA, up to the one scale and the sign of each component."""
    ours, shares = principal_components(vectors)
    model = PCA(3, svd_solver="full")
    theirs = model.fit_transform(vectors.astype(np.float64))
    np.testing.assert_allclose(shares, model.explained_variance_ratio_, rtol=1e-9)
    scale = np.linalg.norm(theirs, axis=1).max()
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs) / scale, atol=1e-5)
    assert np.linalg.norm(ours, axis=1).max() == pytest.approx(1.0)


def test_components_do_not_depend_on_the_order_of_places(vectors: np.ndarray) -> None:
    order = np.random.default_rng(1).permutation(len(vectors))
    shuffled, straight = principal_components(vectors[order])[0], principal_components(vectors)[0]
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "present"), [((1, 8), 0), ((2, 8), 1), ((3, 8), 2), ((9, 1), 1), ((9, 2), 2)]
)
def test_components_that_do_not_exist_are_zero(shape: tuple[int, int], present: int) -> None:
    coordinates, shares = principal_components(np.random.default_rng(0).normal(size=shape))
    assert np.isfinite(coordinates).all()
    assert [bool(share > 1e-9) for share in shares] == [number < present for number in range(3)]
    assert not coordinates[:, present:].any()


def test_equal_places_have_no_variance() -> None:
    coordinates, shares = principal_components(np.ones((5, 4), np.float32))
    assert not coordinates.any()
    assert shares == (0.0, 0.0, 0.0)


def _cosines(vectors: np.ndarray) -> np.ndarray:
    units = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(units @ units.T)


@pytest.mark.parametrize(("max_bytes", "bits", "error"), [(500 * 64, 16, 1e-4), (500 * 32, 8, 2e-2)])
def test_packed_vectors_keep_cosines(vectors: np.ndarray, max_bytes: int, bits: int, error: float) -> None:
    """Oracle: cosines of the vectors themselves, in float64."""
    packed = pack_vectors(vectors, max_bytes)
    assert packed.bits == bits
    assert packed.kept == 1.0
    assert packed.values.nbytes <= max_bytes
    units = packed.values * packed.scale[:, None]
    assert np.abs(units @ units.T - _cosines(vectors)).max() < error


def test_too_many_dimensions_are_turned_onto_the_leading_ones(vectors: np.ndarray) -> None:
    packed = pack_vectors(vectors, 500 * 6)
    assert packed.values.shape == (500, 6)
    assert 0.9 < packed.kept < 1.0
    units = packed.values * packed.scale[:, None]
    assert np.abs(units @ units.T - _cosines(vectors)).mean() < 0.1


def test_a_vector_of_zeros_is_like_nothing() -> None:
    packed = pack_vectors(np.array([[0.0, 0.0], [3.0, 4.0]], np.float32))
    assert packed.scale[0] == 0.0
    np.testing.assert_allclose(packed.values[1] * packed.scale[1], [0.6, 0.8], atol=1e-4)
