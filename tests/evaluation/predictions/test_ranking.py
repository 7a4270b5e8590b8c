"""Ranks of the true class. Oracles: scikit-learn's top-k, sorting, closed forms for ties, brute force over tie-breaks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import top_k_accuracy_score

from placevec.errors import EvaluationError
from placevec.evaluation.predictions import ranking
from placevec.evaluation.predictions.ranking import rank

N, C = 500, 40
DRAW = np.random.default_rng(0)
LONLAT = np.stack([DRAW.uniform(-180, 180, N), DRAW.uniform(-90, 90, N)], axis=1)
TRUTH = DRAW.integers(0, C, N)
PLACE = DRAW.dirichlet(np.ones(C), N)
IMAGE = DRAW.dirichlet(np.ones(C), N)
ROW = {tuple(at): row for row, at in enumerate(LONLAT)}


def by_place(lonlat: np.ndarray) -> np.ndarray:
    return PLACE[[ROW[tuple(at)] for at in lonlat]]


def check(found: ranking.Ranking | None, scores: np.ndarray, truth: np.ndarray) -> None:
    """Against scikit-learn, and the position in a sorted row; scores without ties."""
    assert found is not None
    assert found.rows == len(truth)
    for k in (1, 3, 5, 10):
        assert found.top[k] == pytest.approx(
            top_k_accuracy_score(truth, scores, k=k, labels=np.arange(C)), abs=1e-12
        )
    order = np.argsort(-scores, axis=1)
    ranks = np.argmax(order == truth[:, None], axis=1) + 1
    assert found.mrr == pytest.approx(np.mean(1.0 / ranks), abs=1e-12)


@pytest.mark.parametrize("cells", [2**23, 64])
def test_place_image_and_both(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    """Whatever the batches."""
    monkeypatch.setattr(ranking, "_MAX_CELLS", cells)
    found = rank(by_place, LONLAT, TRUTH, image=IMAGE)
    check(found.location, PLACE, TRUTH)
    check(found.image, IMAGE, TRUTH)
    check(found.both, PLACE * IMAGE, TRUTH)
    assert found.as_dict()["image x location"]["top1"] == found.both.top[1]  # type: ignore[union-attr]


def test_place_alone_and_tensors() -> None:
    found = rank(lambda at: torch.from_numpy(by_place(at)).float().requires_grad_(), LONLAT, TRUTH)
    check(found.location, PLACE.astype(np.float32), TRUTH)
    assert (found.image, found.both) == (None, None)


def test_what_is_unknown_leaves_the_other_to_decide() -> None:
    lonlat, image = LONLAT.copy(), IMAGE.copy()
    lonlat[:100, 0] = np.nan  # no coordinates
    image[50:150, 7] = np.nan  # no predictions; rows 50 to 99 have neither
    seen, placed = np.ones(N, bool), np.ones(N, bool)
    seen[50:150], placed[:100] = False, False
    found = rank(by_place, lonlat, TRUTH, image=image)
    check(found.location, PLACE[placed], TRUTH[placed])
    check(found.image, IMAGE[seen], TRUTH[seen])
    product = np.where(placed[:, None], PLACE, 1.0) * np.where(seen[:, None], IMAGE, 1.0)
    check(found.both, product[seen | placed], TRUTH[seen | placed])


def test_rows_of_images_and_sparse_predictions() -> None:
    """Predictions in another order, sparse, some places without an image. Oracle: the dense product, ties excluded."""
    rows = DRAW.permutation(N)
    rows[:30] = -1
    kept = np.where(np.quantile(IMAGE, 0.3, axis=1, keepdims=True) < IMAGE, IMAGE, 0.0)
    found = rank(by_place, LONLAT, TRUTH, image=sparse.csr_matrix(kept), image_rows=rows)
    dense = rank(by_place, LONLAT, TRUTH, image=kept, image_rows=rows)
    assert found == dense
    assert found.image is not None
    assert found.image.rows == N - 30
    seen = kept[rows[30:]]
    true = TRUTH[30:]
    own = seen[np.arange(len(true)), true]
    positive = own > 0  # these have no ties
    within = (seen[positive] > own[positive, None]).sum(axis=1) < 5
    zeros = (seen[~positive] > 0).sum(axis=1)
    by_chance = np.clip((5 - zeros) / (C - zeros), 0, 1)
    assert found.image.top[5] == pytest.approx((within.sum() + by_chance.sum()) / len(true), abs=1e-12)


def test_scores_that_tell_nothing_are_chance() -> None:
    """All equal: top-k is k / C, and the mean reciprocal rank the harmonic number over C."""
    found = rank(lambda at: np.full((len(at), C), 0.3), LONLAT, TRUTH).location
    assert found.top == pytest.approx({k: k / C for k in (1, 3, 5, 10)})
    assert found.mrr == pytest.approx(sum(1 / k for k in range(1, C + 1)) / C)


def test_ties_are_the_mean_over_every_way_to_break_them() -> None:
    scores, truth = np.array([0.4, 0.2, 0.2, 0.2, 0.0]), 2
    top2, reciprocal = [], []
    for order in itertools.permutations(range(5)):
        tie_break = np.argsort(order) * 1e-9
        position = int((scores + tie_break > scores[truth] + tie_break[truth]).sum()) + 1
        top2.append(position <= 2)
        reciprocal.append(1 / position)
    found = rank(lambda at: np.tile(scores, (len(at), 1)), LONLAT[:1], np.array([truth]), top=(2,)).location
    assert found.top[2] == pytest.approx(np.mean(top2))
    assert found.mrr == pytest.approx(np.mean(reciprocal))


def test_no_row_has_coordinates() -> None:
    nowhere = np.full((N, 2), np.nan)
    found = rank(by_place, nowhere, TRUTH, image=IMAGE)
    assert found.location.rows == 0
    assert np.isnan(found.location.mrr)
    check(found.both, IMAGE, TRUTH)


def test_refused() -> None:
    with pytest.raises(EvaluationError, match="no row"):
        rank(by_place, LONLAT[:0], TRUTH[:0])
    with pytest.raises(EvaluationError, match=f"of {C} classes"):
        rank(by_place, LONLAT, TRUTH + C)
    with pytest.raises(EvaluationError, match=f"{C} classes and images in 3"):
        rank(by_place, LONLAT, TRUTH, image=IMAGE[:, :3])
    with pytest.raises(EvaluationError, match="0 or more"):
        rank(lambda at: by_place(at) - 0.5, LONLAT, TRUTH)
    with pytest.raises(EvaluationError, match="row 500"):
        rank(by_place, LONLAT, TRUTH, image=IMAGE, image_rows=np.full(N, N))
