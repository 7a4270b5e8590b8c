"""Metrics and their bootstrap against scikit-learn and against simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.calibration import covered
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance
from scipy.stats import entropy
from sklearn.metrics import average_precision_score, f1_score, r2_score

from placevec.evaluation.bootstrap import Resampling, Score, interval
from placevec.evaluation.engine import score_of
from placevec.evaluation.scores import better, resampled, score
from placevec.evaluation.tasks import Kind, Task


def example(kind: Kind, seed: int, count: int = 80, ties: bool = False) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    if kind == "classification":
        return random.integers(0, 4, count), random.random((count, 4))
    if kind == "multilabel":
        scores = random.integers(0, 4, (count, 3)) / 3 if ties else random.random((count, 3))
        return (random.random((count, 3)) < 0.4).astype(np.int64), scores
    target = random.normal(1000, 1, count)
    return target, (target + random.normal(size=count))[:, None]


def oracle(kind: Kind, target: Any, predicted: Any, weight: Any) -> float:
    """scikit-learn, each place counted as often as its block was drawn."""
    if kind == "classification":
        here = weight > 0
        chosen = predicted.argmax(axis=1)
        return float(f1_score(target[here], chosen[here], sample_weight=weight[here], average="macro"))
    if kind == "multilabel":
        each = [
            average_precision_score(target[:, g], predicted[:, g], sample_weight=weight)
            for g in range(target.shape[1])
            if (weight * target[:, g]).any()
        ]
        return float(np.mean(each))
    return float(r2_score(target, predicted[:, 0], sample_weight=weight))


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["classification", "multilabel", "regression"]),
    seed=st.integers(0, 999),
    ties=st.booleans(),
)
def test_weighted_metrics_equal_scikit_learn(kind: Kind, seed: int, ties: bool) -> None:
    target, predicted = example(kind, seed, ties=ties)
    random = np.random.default_rng(seed)
    block = random.integers(0, 6, len(target))
    weights = random.integers(0, 3, (5, 6)).astype(float)
    weights[:, 0] += 1  # something is drawn
    found = resampled(kind, target, predicted, block, weights)
    expected = [oracle(kind, target, predicted, row[block]) for row in weights]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_plain_metrics_equal_scikit_learn(kind: Kind) -> None:
    target, predicted = example(kind, 5)
    assert score(kind, target, predicted) == pytest.approx(
        oracle(kind, target, predicted, np.ones(len(target)))
    )


def test_many_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    target, predicted = example("multilabel", 3)
    block = np.arange(80) % 6
    weights = Resampling(block, draws=50).weights
    whole = resampled("multilabel", target, predicted, block, weights)
    monkeypatch.setattr("placevec.evaluation.scores._CHUNK", 160)
    np.testing.assert_array_equal(resampled("multilabel", target, predicted, block, weights), whole)


def test_a_group_that_was_not_drawn_is_left_out() -> None:
    target = np.array([[1, 0], [1, 1], [0, 0], [1, 0]])
    predicted = np.array([[0.9, 0.1], [0.8, 0.9], [0.1, 0.2], [0.7, 0.3]])
    block = np.array([0, 1, 0, 0])
    found = resampled("multilabel", target, predicted, block, np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert found[0] == 1.0
    assert np.isnan(found[1])


def test_draws_are_blocks_with_replacement() -> None:
    drawn = Resampling(np.arange(8), draws=4000, seeds=3)
    assert (drawn.weights[0] == 1).all(), "the first row is as it is"
    weights = drawn.weights[1:4001]
    np.testing.assert_array_equal(drawn.weights[4001:], 1 - np.eye(8), "then each block is left out in turn")
    assert (weights.sum(axis=1) == 8).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.06)
    assert weights.var() == pytest.approx(1 - 1 / 8, rel=0.05)  # multinomial
    assert drawn.seeds.shape == (4000, 3)
    assert set(drawn.seeds.ravel()) == {0, 1, 2}
    assert np.array_equal(drawn.weights, Resampling(np.arange(8), draws=4000, seeds=3).weights)


def bootstrap(metric: str, target: Any, predictions: list[Any], over: Resampling) -> Score:
    """Through the engine's own way: places without a prediction do not count."""
    task = Task("t", "regression", target, np.arange(len(target)))
    assert task.metric == metric
    return score_of(task, predictions, over)


def test_places_that_err_together_widen_the_interval() -> None:
    """Closed form: accuracy-like means over 30 blocks of 40 that err as one have the error of 30, not of 1,200."""
    random = np.random.default_rng(0)
    block = np.repeat(np.arange(30), 40)
    target = random.normal(size=1200)
    by_block = target + random.normal(size=30)[block]
    by_place = target + random.normal(size=1200)
    widths = []
    for predicted in (by_block, by_place):
        found = bootstrap("R²", target, [predicted[:, None]], Resampling(block, draws=800))
        widths.append(found.high - found.low)
    assert widths[0] > 2 * widths[1]


def test_intervals_cover_the_truth() -> None:
    """Simulation: of 120 worlds with 40 blocks, about 95 % of the intervals of a difference of zero hold zero."""
    held = 0
    for world in range(120):
        random = np.random.default_rng(world)
        block = np.repeat(np.arange(40), 10)
        target = random.normal(size=400)
        one, other = (target + random.normal(size=40)[block] + random.normal(size=400) for _ in range(2))
        over = Resampling(block, draws=300, seed=world)
        first, second = (bootstrap("R²", target, [p[:, None]], over) for p in (one, other))
        held += (first - second).low <= 0 <= (first - second).high
    assert 105 <= held <= 120


def test_untested_places_do_not_count() -> None:
    target, predicted = example("regression", 2)
    block = np.arange(80) % 8
    spoiled = np.where((np.arange(80) < 20)[:, None], np.nan, predicted)
    expected = bootstrap("R²", target[20:], [predicted[20:]], Resampling(block[20:], draws=10))
    found = bootstrap("R²", target, [spoiled], Resampling(block, draws=10))
    np.testing.assert_allclose(found.draws, expected.draws)


def test_interval_of_nothing_is_unknown() -> None:
    assert np.isnan(interval(np.array([np.nan]))).all()
    assert interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))


def test_distances_of_shares_equal_scipy() -> None:
    """Oracle: scipy's distances and relative entropy, a place at a time."""
    random = np.random.default_rng(0)
    target, predicted = random.dirichlet(np.ones(5), 40), random.dirichlet(np.ones(5), 40)
    oracles = {
        "L1": distance.cityblock, "Chebyshev": distance.chebyshev, "Canberra": distance.canberra,
        "cosine": lambda one, other: 1.0 - distance.cosine(one, other), "KL": lambda one, other: entropy(one, other),
        "Jensen-Shannon": lambda one, other: distance.jensenshannon(one, other, base=2) ** 2,
    }  # fmt: skip
    for name, oracle in oracles.items():
        expected = np.mean([oracle(one, other) for one, other in zip(target, predicted, strict=True)])
        assert score(name, target, predicted) == pytest.approx(expected), name
        assert better(name) == (1 if name == "cosine" else -1)
    task = Task("use", "distribution", target, np.arange(40), tuple("abcde"))
    assert (task.metric, task.outputs) == ("L1", 5)


def test_measures_of_retrieval_by_hand() -> None:
    """The second place shares its class with its second and third neighbor, the third one with none."""
    near = np.array([[1.0] * 10, [0, 2, 2, *[0] * 7], [0.0] * 10])
    target = np.array([1, 2, 1])
    assert score("precision@1", target, near) == pytest.approx(1 / 3)
    assert score("precision@5", target, near) == pytest.approx((1 + 2 / 5) / 3)
    assert score("retrieval", target, near) == pytest.approx((1 + 2 / 10) / 3), (
        "precision@10 stands for the kind"
    )
    assert score("MRR@10", target, near) == pytest.approx((1 + 1 / 2) / 3)
    weights = np.array([[3.0, 1.0]])
    assert resampled("MRR@10", target, near, np.array([0, 1, 1]), weights)[0] == pytest.approx(
        (3 + 1 / 2) / 5
    )


@pytest.mark.parametrize(("blocks", "least"), [(10, 0.90), (20, 0.92), (40, 0.92), (70, 0.92)])
def test_intervals_of_r2_hold_the_truth(blocks: int, least: float) -> None:
    """Simulation: 200 worlds of a known R²; 92 % is the end of the binomial interval of 95 %. With ten blocks they hold
    it a little less often (BENCHMARKS.md: 94 %), which is what is allowed for here.
    """
    assert covered("R²", blocks, 200) >= least * 200


def test_r2_is_never_said_to_reach_beyond_one() -> None:
    random = np.random.default_rng(0)
    target = random.normal(size=100)
    near = target + 0.01 * random.normal(size=100)
    found = bootstrap("R²", target, [near[:, None]], Resampling(np.arange(100) % 10, draws=2))
    assert found.low < found.value < found.high < 1.0
