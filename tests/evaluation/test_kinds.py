"""Tasks of shares, of presence and of retrieval, through the one engine. Oracles: scikit-learn and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from placevec.errors import EvaluationError
from placevec.evaluation.engine import OURS, Budget, evaluate_splits, evaluate_task
from placevec.evaluation.probes import Effort, Training, any_places, mlp, nearest_by_cosine
from placevec.evaluation.scores import score, shares
from placevec.evaluation.splits import Blocks, Fold, Split
from placevec.evaluation.tasks import Kind, Task
from tests.evaluation.test_splits import town as town_points

SMALL = Budget(Effort(5, (0.1,), (10,), process_places=60), 50, 10_000)
COUNT = 400
RANDOM = np.random.default_rng(5)
FEATURES = RANDOM.normal(size=(COUNT, 4))


def tasks() -> dict[Kind, Task]:
    rows, noise = np.arange(COUNT), RANDOM.normal(size=(COUNT, 3))
    signal = FEATURES[:, :3] + 0.5 * noise
    weight = np.exp(signal)
    return {
        "distribution": Task("ages", "distribution", shares(weight), rows, ("young", "grown", "old")),
        "retrieval": Task("use", "retrieval", signal.argmax(axis=1), rows, ("a", "b", "c")),
        "presence": Task("seen", "presence", (signal[:, 0] > 0.8).astype(int), rows, ("absent", "present")),
    }


@pytest.mark.parametrize("kind", ["distribution", "retrieval", "presence"])
def test_features_that_know_are_better_than_chance_and_noise(kind: Kind) -> None:
    task = tasks()[kind]
    noise = np.random.default_rng(6).normal(size=FEATURES.shape)
    found = evaluate_task(
        task, {OURS: (FEATURES,), "noise": (noise,)}, town_points(24.9, 60.2, km=10, count=COUNT, seed=0),
        pairs=((OURS, "chance"), (OURS, "noise")), buffer_m=300.0, folds=4, seeds=2, budget=SMALL,
    )  # fmt: skip
    assert [one.verdict for one in found.comparisons] == ["better", "better"]
    ours, by_chance = found.row(OURS).score, found.row("chance").score
    assert ours.low < ours.value < ours.high
    if kind == "retrieval":
        share = np.bincount(task.target) / COUNT
        assert by_chance.value == pytest.approx((share**2).sum(), abs=0.03), (
            "two places share their class by chance"
        )
        assert set(found.row(OURS).further) == {"precision@1", "precision@5", "MRR@10"}
    if kind == "presence":
        assert by_chance.value == pytest.approx(0.5, abs=0.08)


def test_retrieved_classes_are_those_of_the_most_similar_places() -> None:
    """Brute force over cosines; the buffer keeps places out of the gallery as it keeps them from training."""
    task = tasks()["retrieval"]
    training = Training("retrieval", FEATURES[:300], task.target[:300], task.outputs, np.zeros(300, int), 0)
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    nearest = np.argsort(-(unit[300:] @ unit[:300].T), axis=1)[:, :10]
    np.testing.assert_array_equal(
        nearest_by_cosine(training, FEATURES[300:], Effort()), task.target[:300][nearest]
    )
    flat = nearest_by_cosine(
        Training("retrieval", np.ones((300, 2)), np.repeat([0, 1, 2], 100), 10, np.zeros(300, int), 0),
        np.ones((50, 2)), Effort(),
    )  # fmt: skip
    assert len(np.unique(flat[0])) > 1, "equal vectors come in no order"
    drawn = any_places(training, FEATURES[300:], Effort())
    assert drawn.shape == (100, 10)
    assert set(np.unique(drawn)) <= {0, 1, 2}


def test_presence_compares_places_of_one_fold_only() -> None:
    """scikit-learn's AUC, a fold at a time, pairs pooled: scores of other folds come from other learners."""
    task = tasks()["presence"]
    half = np.arange(COUNT) < COUNT // 2
    folds = Split(
        (Fold(np.flatnonzero(half), np.flatnonzero(~half)), Fold(np.flatnonzero(~half), np.flatnonzero(half)))
    )
    answers = FEATURES[:, :1].copy()
    answers[half] += 100.0  # of the second learner
    blocks = Blocks(np.arange(COUNT) % 40, 1.0)
    found = evaluate_splits(
        task, {OURS: [lambda fold: answers]}, [folds], blocks, blocks.number, pairs=(), budget=SMALL
    )
    won = pairs = 0.0
    for part in (half, ~half):
        many = (task.target[part] == 1).sum() * (task.target[part] == 0).sum()
        won, pairs = won + many * roc_auc_score(task.target[part], FEATURES[part, 0]), pairs + many
    assert found.row(OURS).by_probe["linear"] == pytest.approx(won / pairs)


def test_shares_that_do_not_sum_to_one_are_no_distribution() -> None:
    with pytest.raises(EvaluationError, match="task t: the shares of a place must be 0 or more and sum to 1"):
        Task("t", "distribution", np.full((30, 2), 0.4), np.arange(30), ("a", "b"))


def test_random_folds_beside_blocks_and_a_perceptron() -> None:
    """A number that only location tells: random folds find it by the neighbors, blocks do not.

    Oracles: scikit-learn's root mean squared error, and a product of two features, which no linear probe fits.
    """
    lonlat = town_points(24.9, 60.2, km=10, count=COUNT, seed=0)
    place = (lonlat - lonlat.mean(axis=0)) / lonlat.std(axis=0)
    bumps = np.sin(4 * place[:, 0]) + np.sin(4 * place[:, 1])
    task = Task("rent", "regression", bumps, np.arange(COUNT))
    how = {"pairs": ((OURS, "chance"),), "buffer_m": 700.0, "folds": 4, "seeds": 1, "budget": SMALL}
    found = {
        scheme: evaluate_task(task, {OURS: (place,)}, lonlat, scheme=scheme, **how)  # type: ignore[arg-type]
        for scheme in ("blocks", "random")
    }
    scores = {scheme: one.row(OURS).score.value for scheme, one in found.items()}
    assert scores["random"] > 0.7 > scores["blocks"] + 0.2
    assert not found["random"].claims
    assert "remembering" in found["random"].why_no_claim
    assert (found["random"].buffer_m, found["random"].kept) == (0.0, 1.0)
    truth, told = bumps[:100], bumps[:100] + RANDOM.normal(size=100)
    assert score("RMSE", truth, told) == pytest.approx(root_mean_squared_error(truth, told))
    crossed = np.digitize(FEATURES[:, 0] * FEATURES[:, 1], [0.0])
    both = Task("crossed", "classification", crossed, np.arange(COUNT), ("a", "b"))
    by_probe = evaluate_task(
        both, {OURS: (FEATURES[:, :2],)}, lonlat, **{**how, "budget": SMALL.with_mlp()}  # type: ignore[arg-type]
    ).row(OURS).by_probe  # fmt: skip
    assert by_probe["MLP"] > 0.85 > by_probe["linear"] + 0.2


@pytest.mark.parametrize("kind", ["regression", "distribution"])
def test_a_perceptron_of_numbers_and_shares(kind: Kind) -> None:
    """|x| of standardized features, which a linear probe cannot fit at all (its R² is 0)."""
    weight = np.exp(2 * np.abs(FEATURES[:, :2]))
    target = weight[:, 0] ** 0.5 if kind == "regression" else shares(weight)
    training = Training(
        kind, FEATURES[:300], target[:300], 1 if target.ndim == 1 else 2, np.arange(300) % 10, 0
    )
    predicted = mlp(training, FEATURES[300:], Effort(mlp_penalties=(1.0, 10.0)))
    truth = target[300:].reshape(100, -1)
    assert np.corrcoef(predicted[:, 0], truth[:, 0])[0, 1] > 0.8
