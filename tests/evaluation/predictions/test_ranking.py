"""Ranks of the true class. Oracles: scikit-learn's top-k, sorting, closed forms for ties, brute force over tie-breaks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import top_k_accuracy_score

from placevec.errors import EvaluationError
from placevec.evaluation.predictions import ranking
from placevec.evaluation.predictions.ranking import TrueRanks, seen_by_image

N, C = 500, 40
DRAW = np.random.default_rng(0)
TRUTH = DRAW.integers(0, C, N)
IMAGE = DRAW.dirichlet(np.ones(C), N)


@pytest.mark.parametrize("cells", [2**23, 64])
def test_ranks_without_ties(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    """Against scikit-learn and the position in a sorted row, whatever the batches."""
    monkeypatch.setattr(ranking, "_MAX_CELLS", cells)
    found = TrueRanks.of(IMAGE, TRUTH)
    for k in (1, 3, 5, 10):
        wanted = top_k_accuracy_score(TRUTH, IMAGE, k=k, labels=np.arange(C))
        assert found.within(k).mean() == pytest.approx(wanted, abs=1e-12)
    ranks = np.argmax(np.argsort(-IMAGE, axis=1) == TRUTH[:, None], axis=1) + 1
    assert found.reciprocal() == pytest.approx(1.0 / ranks, abs=1e-12)


def test_equal_scores_are_chance() -> None:
    """Top-k is k / C, and the mean reciprocal rank the harmonic number over C."""
    found = TrueRanks.of(np.full((N, C), 0.3), TRUTH)
    assert [found.within(k).mean() for k in (1, 3, 10)] == pytest.approx([k / C for k in (1, 3, 10)])
    assert found.reciprocal().mean() == pytest.approx(sum(1 / k for k in range(1, C + 1)) / C)


def test_ties_are_the_mean_over_every_way_to_break_them() -> None:
    scores, truth = np.array([0.4, 0.2, 0.2, 0.2, 0.0]), 2
    top2, reciprocal = [], []
    for order in itertools.permutations(range(5)):
        tie_break = np.argsort(order) * 1e-9
        position = int((scores + tie_break > scores[truth] + tie_break[truth]).sum()) + 1
        top2.append(position <= 2)
        reciprocal.append(1 / position)
    found = TrueRanks.of(scores[None], np.array([truth]))
    assert found.within(2)[0] == pytest.approx(np.mean(top2))
    assert found.reciprocal()[0] == pytest.approx(np.mean(reciprocal))


def test_images_in_another_order_sparse_and_missing() -> None:
    """Rows without an image, and those of NaN or zeros, are flat. Oracle: the dense rows themselves."""
    rows = DRAW.permutation(N)
    rows[:30] = -1
    kept = np.where(np.quantile(IMAGE, 0.3, axis=1, keepdims=True) < IMAGE, IMAGE, 0.0)
    kept[rows[40]] = 0.0
    kept[rows[41], 7] = np.nan
    for image in (kept, sparse.csr_matrix(kept)):
        scores, seen = seen_by_image(image, rows, C)
        unknown = np.isin(np.arange(N), [*range(30), 40, 41])
        assert np.array_equal(seen, ~unknown)
        assert np.array_equal(scores[seen], kept[rows[seen]])
        assert (scores[unknown] == 1.0).all()


def test_rejected() -> None:
    with pytest.raises(EvaluationError, match="0 or more"):
        seen_by_image(IMAGE - 0.5, np.arange(N), C)
    with pytest.raises(EvaluationError, match="row 500"):
        seen_by_image(IMAGE, np.full(N, N), C)
