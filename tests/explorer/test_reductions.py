"""Reductions beside libraries and invariants; the colors that they make."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.decomposition import PCA

from placevec.errors import InputError, MissingExtraError
from placevec.explorer import reductions
from placevec.explorer.reductions import MIN_PLACES, Method, hex_of, reduce_vectors, rgb_of
from placevec.metrics import trustworthiness


def blobs(count: int = 90, dim: int = 12) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = np.arange(count) % 3
    return (np.eye(dim)[truth] + random.normal(scale=0.05, size=(count, dim))).astype(np.float32), truth


class Counted:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.done: dict[str, float] = {}
        self.total: dict[str, float | None] = {}

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[object]:
        self.done[label], self.total[label] = 0.0, total

        def advance(steps: float = 1, note: str | None = None) -> None:
            self.done[label] += steps

        yield advance

    def say(self, message: str) -> None: ...


def test_pca_is_scikit_learns() -> None:
    vectors, _ = blobs()
    found = reduce_vectors(vectors, "pca", dim=2)
    expected = PCA(2).fit(vectors)
    ours = found.components / np.linalg.norm(found.components)
    theirs = expected.transform(vectors) / np.linalg.norm(expected.transform(vectors))
    np.testing.assert_allclose(
        np.abs(ours.T @ theirs).max(axis=1), np.linalg.norm(ours, axis=0) ** 2, rtol=1e-4
    )
    np.testing.assert_allclose(found.explained, expected.explained_variance_ratio_, rtol=1e-5)
    assert found.axes[0].startswith("PC 1 (")


@pytest.mark.parametrize(
    ("method", "dim"), [("tsne", 2), ("tsne", 3), pytest.param("umap", 2, marks=pytest.mark.slow)]
)
def test_neighborhoods_are_kept_and_a_seed_repeats(
    method: Method, dim: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: trustworthiness, and the groups that were drawn; nothing is printed, but the bar fills."""
    monkeypatch.setattr(reductions, "TSNE_ITERATIONS", 1000)  # as users have it
    vectors, truth = blobs()
    told = Counted()
    found = reduce_vectors(vectors, method, dim=dim, seed=3, progress=told)  # type: ignore[arg-type]
    assert found.components.shape == (90, dim)
    assert np.linalg.norm(found.components, axis=1).max() == pytest.approx(1.0, abs=1e-5)
    assert trustworthiness(vectors, found.components, 10) > 0.75
    away = np.linalg.norm(found.components[:, None] - found.components[None], axis=2)
    np.fill_diagonal(away, np.inf)
    assert (truth[away.argmin(axis=1)] == truth).mean() > 0.9  # a third by chance
    again = reduce_vectors(vectors, method, dim=dim, seed=3)
    np.testing.assert_array_equal(found.components, again.components)
    assert capsys.readouterr() == ("", "")
    assert 0 < told.done[found.name] <= (told.total[found.name] or 0)
    assert "seed 3" in found.note


@pytest.mark.parametrize("method", ["pca", "tsne", pytest.param("umap", marks=pytest.mark.slow)])
def test_the_fewest_places(method: Method) -> None:
    vectors = np.random.default_rng(0).normal(size=(MIN_PLACES[method], 4))
    found = reduce_vectors(vectors, method, dim=2).components
    assert np.isfinite(found).all()
    if MIN_PLACES[method] > 1:
        with pytest.raises(InputError, match=f"at least {MIN_PLACES[method]} places"):
            reduce_vectors(vectors[1:], method, dim=2)


def test_collapsed_vectors_are_drawn_too() -> None:
    for method in ("pca", "tsne"):
        assert np.isfinite(reduce_vectors(np.ones((30, 4)), method, dim=3).components).all()  # type: ignore[arg-type]


def test_what_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="pca, tsne, umap"):
        reduce_vectors(np.ones((30, 4)), "som", dim=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="dim must be 2 or 3"):
        reduce_vectors(np.ones((30, 4)), "pca", dim=4)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "placevec\[explore\]"'):
        reductions.require("umap")


def test_colors_run_between_percentiles() -> None:
    """Oracle: the percentiles themselves; an outlier does not dim the rest, no spread is mid-gray."""
    values = np.zeros((101, 3), np.float32)
    values[:, 0] = np.arange(101)
    values[:, 1] = np.r_[np.arange(100), 1e6]
    found = rgb_of(values)
    assert found[:3, 0].tolist() == [0, 0, 0]
    assert found[98:, 0].tolist() == [255, 255, 255]
    assert found[50, 0] == 128
    assert found[50, 1] == pytest.approx(128, abs=2)
    assert (found[:, 2] == 128).all()
    assert hex_of(found[[0, 100]]) == ["#000080", "#ffff80"]
