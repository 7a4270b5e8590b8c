"""One task judged: pairing, variants, unusable folds, and the sentence at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placevec.errors import EvaluationError
from placevec.evaluation.compare import Budget, Comparison, Judgement, judge
from placevec.evaluation.probes import Effort
from placevec.evaluation.splits import block_grid
from placevec.evaluation.tasks import Task
from tests.evaluation.test_splits import town

BUDGET = Budget(Effort(5, (0.1,), (10,)), 300, 10_000)
LONLAT = town(24.9, 60.2, km=10, count=600, seed=0)
PAIRS = (("vectors", "chance"), ("vectors", "twin"))


def judged(task: Task, features: dict, lonlat: np.ndarray = LONLAT, **options: float) -> Judgement:
    settings = {"buffer_m": 300.0, "folds": 4, "seeds": 2, **options}
    return judge(task, features, lonlat, pairs=PAIRS, budget=BUDGET, **settings)  # type: ignore[arg-type]


def regression(count: int = 600) -> tuple[Task, np.ndarray]:
    """Values that the first of four features holds, with as much noise."""
    random = np.random.default_rng(0)
    features = random.normal(size=(count, 4))
    return Task("t", "regression", features[:, 0] + random.normal(size=count), np.arange(count)), features


def test_twins_differ_by_nothing() -> None:
    """Invariant: the same features under two names have the same score and a paired difference of exactly zero."""
    task, features = regression()
    found = judged(task, {"vectors": (features,), "twin": (features.copy(),)})
    twin = found.comparisons[1]
    assert (twin.difference, twin.low, twin.high, twin.verdict) == (0.0, 0.0, 0.0, "not told apart")
    assert found.comparisons[0].verdict == "above"
    row = {row.name: row for row in found.rows}["vectors"]
    assert row.score == pytest.approx(0.5, abs=0.1), "half of the variance is noise"
    assert row.low < row.score < row.high
    assert row.score == max(row.by_probe.values()) == row.by_probe[row.probe]
    assert found.claims


def test_each_shuffling_sees_its_variant() -> None:
    """The score of two variants is the mean of a good and a useless one."""
    task, features = regression()
    noise = np.random.default_rng(1).normal(size=features.shape)
    good, mixed = (
        {row.name: row.score for row in judged(task, {"vectors": sets}).rows}["vectors"]
        for sets in ((features,), (features, noise))
    )
    assert mixed < good - 0.2


def test_all_kinds_of_tasks_and_a_group_that_is_rare() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 3))
    groups = np.stack([features[:, 0] > 0, features[:, 1] > 1.9], axis=-1)
    found = judged(Task("m", "multilabel", groups, np.arange(600), ("a", "b")), {"vectors": (features,)})
    assert found.metric == "mean average precision"
    assert {row.name: row.score for row in found.rows}["vectors"] > 0.6
    assert found.classes == {"a": int(groups[:, 0].sum()), "b": int(groups[:, 1].sum())}


def test_folds_without_two_classes_are_left_out_and_said() -> None:
    """One class lies in one block alone: the fold that tests it, once a shuffling, has nothing to learn it from."""
    inside = block_grid(LONLAT, buffer_m=300.0).number == 7
    task = Task("c", "classification", inside.astype(np.int64), np.arange(600), ("out", "in"))
    found = judged(task, {"vectors": (np.random.default_rng(0).normal(size=(600, 2)),)})
    assert "2 folds kept too few places to learn from and were left out" in found.notes
    assert np.isfinite([row.score for row in found.rows]).all()


def test_a_buffer_that_leaves_nothing_is_refused() -> None:
    task, features = regression()
    with pytest.raises(EvaluationError, match="a buffer of 30000 m leaves no training places among 600"):
        judged(task, {"vectors": (features,)}, buffer_m=30_000.0)


def judgement(low: float, high: float, **changes: object) -> Judgement:
    base = Judgement(
        task="t", kind="regression", description="", metric="R²", places=900, classes={}, blocks=40,
        effective_blocks=30.0, block_m=1.0, buffer_m=1.0, folds=5, seeds=3, kept=1.0, rows=[],
        comparisons=[Comparison("vectors", "chance", 1.0, 0.5, 1.5), Comparison("vectors", "twin", 0.0, low, high)],
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_the_sentence_follows_the_intervals() -> None:
    assert judgement(0.1, 0.2).verdict == "Vectors are above chance, twin."
    assert judgement(-0.1, 0.2).verdict == "Vectors are above chance; not told apart from twin."
    assert judgement(-0.2, -0.1).verdict == "Vectors are above chance; below twin."


def test_nothing_is_claimed_of_too_little_or_of_a_leak() -> None:
    for changes in ({"places": 499}, {"effective_blocks": 19.9}):
        small = judgement(0.1, 0.2, **changes)
        assert not small.claims
        assert small.verdict.startswith("No claim: ")
        assert "In this sample vectors are above" in small.verdict
    leaking = judgement(0.1, 0.2, leaks=("amenities",))
    assert not leaking.claims
    assert "the model sees amenities" in leaking.verdict


def test_half_an_interval_is_what_could_be_seen() -> None:
    assert Comparison("a", "b", 0.1, 0.0, 0.3).half_width == pytest.approx(0.15)
    assert Comparison("a", "b", 0.1, 0.0, 0.3).verdict == "not told apart"
