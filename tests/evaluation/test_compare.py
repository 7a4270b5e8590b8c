"""One task judged: pairing, variants, unusable folds, and the sentence at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import norm

from placevec.errors import EvaluationError
from placevec.evaluation.bootstrap import Score
from placevec.evaluation.compare import NO_DIFFERENCE, Comparison, compare
from placevec.evaluation.correlated_blocks import CorrelatedBlocks
from placevec.evaluation.engine import Budget, evaluate_task
from placevec.evaluation.probes import Effort
from placevec.evaluation.results import Result, Row
from placevec.evaluation.splits import block_grid
from placevec.evaluation.tasks import Task
from tests.evaluation.test_splits import town

BUDGET = Budget(Effort(5, (0.1,), (10,)), 300, 10_000)
LONLAT = town(24.9, 60.2, km=10, count=600, seed=0)
PAIRS = (("vectors", "chance"), ("vectors", "twin"))


def found_of(task: Task, features: dict, lonlat: np.ndarray = LONLAT, **options: float) -> Result:
    settings = {"buffer_m": 300.0, "folds": 4, "seeds": 2, "follow_range": False, **options}
    return evaluate_task(task, features, lonlat, pairs=PAIRS, budget=BUDGET, **settings)  # type: ignore[arg-type]


def regression(count: int = 600) -> tuple[Task, np.ndarray]:
    """Values that the first of four features holds, with as much noise."""
    random = np.random.default_rng(0)
    features = random.normal(size=(count, 4))
    return Task("t", "regression", features[:, 0] + random.normal(size=count), np.arange(count)), features


def test_twins_differ_by_nothing() -> None:
    """Invariant: the same features under two names have the same score and a paired difference of exactly zero."""
    task, features = regression()
    found = found_of(task, {"vectors": (features,), "twin": (features.copy(),)})
    twin = found.comparisons[1]
    assert (twin.difference.value, twin.difference.low, twin.difference.high) == (0.0, 0.0, 0.0)
    assert twin.verdict == NO_DIFFERENCE
    assert found.comparisons[0].verdict == "better"
    row = found.row("vectors")
    assert row.score.value == pytest.approx(0.5, abs=0.1), "half of the variance is noise"
    assert row.score.low < row.score.value < row.score.high
    assert row.score.value == pytest.approx(max(row.by_probe.values()))
    assert row.by_probe[row.probe] == max(row.by_probe.values())
    assert found.claims


def test_each_shuffling_sees_its_variant() -> None:
    """The score of two variants is the mean of a good and a useless one."""
    task, features = regression()
    noise = np.random.default_rng(1).normal(size=features.shape)
    good, mixed = (
        found_of(task, {"vectors": sets}).row("vectors").score.value
        for sets in ((features,), (features, noise))
    )
    assert mixed < good - 0.2


def test_all_kinds_of_tasks_and_a_group_that_is_rare() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(600, 3))
    groups = np.stack([features[:, 0] > 0, features[:, 1] > 1.9], axis=-1)
    found = found_of(Task("m", "multilabel", groups, np.arange(600), ("a", "b")), {"vectors": (features,)})
    assert found.metric == "mean average precision"
    assert found.row("vectors").score.value > 0.6
    assert found.classes == {"a": int(groups[:, 0].sum()), "b": int(groups[:, 1].sum())}


def test_folds_without_two_classes_are_left_out_and_said() -> None:
    """One class lies in one block alone: the fold that tests it, once a shuffling, has nothing to learn it from."""
    inside = block_grid(LONLAT, buffer_m=300.0).number == 7
    task = Task("c", "classification", inside.astype(np.int64), np.arange(600), ("out", "in"))
    found = found_of(task, {"vectors": (np.random.default_rng(0).normal(size=(600, 2)),)})
    assert "2 folds kept too few training places and were left out" in found.notes
    assert np.isfinite([row.score.value for row in found.rows]).all()


def test_a_buffer_that_leaves_nothing_is_rejected() -> None:
    task, features = regression()
    with pytest.raises(EvaluationError, match="a buffer of 30000 m leaves no training places among 600"):
        found_of(task, {"vectors": (features,)}, buffer_m=30_000.0)


def test_rows_of_other_places_and_of_no_numbers_are_named() -> None:
    task, features = regression()
    with pytest.raises(EvaluationError, match="row 'vectors' has 599 places, but there are 600 labels"):
        found_of(task, {"vectors": (features[1:],)})
    holed = features.copy()
    holed[7, 2] = np.nan
    with pytest.raises(EvaluationError, match="row 'vectors' is not finite at place 7"):
        found_of(task, {"vectors": (holed,)})


def test_labels_that_carry_nothing_are_named() -> None:
    """All alike, infinite, of places on one spot."""
    task, features = regression()
    with pytest.raises(EvaluationError, match="all labels are the same"):
        found_of(replace(task, target=np.ones(600)), {"vectors": (features,)})
    with pytest.raises(EvaluationError, match="coordinates and labels must be finite numbers"):
        replace(task, target=np.where(np.arange(600) == 3, np.inf, task.target))
    with pytest.raises(EvaluationError, match="all 600 places lie in one block"):
        found_of(task, {"vectors": (features,)}, np.tile(LONLAT[:1], (600, 1)))


def score(value: float, low: float, high: float) -> Score:
    return Score(value, 100, known=(low, high))


def of_error(value: float, error: float, blocks: int = 2_000) -> Score:
    """A score whose jackknife has a given standard error: two values, equally often."""
    apart = error / (blocks - 1) ** 0.5
    left_out = value + apart * np.tile([-1.0, 1.0], blocks // 2)
    return Score(value, 100, left_out=(left_out,), effective=(float(blocks),))


def result(low: float, high: float, **changes: object) -> Result:
    """Two baselines: one far below, one that differs by ``low`` to ``high``."""
    middle = (low + high) / 2
    base = Result(
        task="t", kind="regression", description="", metric="R²", places=900, classes={}, blocks=40,
        effective_blocks=30.0, block_m=1.0, buffer_m=1.0, folds=5, seeds=3, kept=1.0,
        rows=[Row(name, {"R²": score(0.5, 0.4, 0.6)}) for name in ("vectors", "chance", "twin")],
        comparisons=[
            Comparison("vectors", "chance", score(1.0, 0.5, 1.5), 0.002),
            Comparison("vectors", "twin", score(middle, low, high), 0.5 if low < 0 < high else 0.001),
        ],
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def test_the_sentence_follows_the_comparisons() -> None:
    assert result(0.1, 0.2).verdict == "Vectors: better than chance, twin."
    assert result(-0.1, 0.2).verdict == "Vectors: better than chance; no significant difference from twin."
    assert result(-0.2, -0.1).verdict == "Vectors: better than chance; worse than twin."
    figures = (
        "R² 0.50, compared with 0.50 for the best alternative, chance (share of the differences explained; 1 is "
        "perfect, 0 no "
        "better than the mean)."
    )
    assert result(0.1, 0.2).headline == (
        f"t: the vectors predict it better than everything they are compared with: {figures}"
    )
    assert result(-0.1, 0.2).headline.startswith(
        "t: the vectors predict it better than chance, but not clearly better than twin: R²"
    )
    of_a_model = result(0.1, 0.2, subject="model", rows=[Row("model", {"R²": score(0.5, 0.4, 0.6)})])
    assert of_a_model.headline.endswith("there is nothing to compare it with.")


def test_a_row_that_holds_the_vectors_is_no_alternative_to_them() -> None:
    """However good it is."""
    both = Row("coverage beside vectors", {"R²": score(0.9, 0.8, 1.0)})
    with_both = result(0.1, 0.2, rows=[*result(0.1, 0.2).rows, both])
    assert with_both.headline == result(0.1, 0.2).headline


def test_nothing_is_claimed_of_too_little_or_of_a_leak() -> None:
    for changes in ({"places": 499}, {"effective_blocks": 19.9}):
        small = result(0.1, 0.2, **changes)
        assert not small.claims
        assert small.verdict.startswith("No claim: ")
        assert "In this sample: Vectors: better than" in small.verdict
        assert small.headline.startswith(
            "t: there is too little evidence here to say whether the vectors add anything"
        )
    leaking = result(0.1, 0.2, leaks=("amenities",))
    assert not leaking.claims
    assert "the model sees amenities" in leaking.verdict


def test_half_an_interval_is_what_could_be_seen() -> None:
    assert Comparison("a", "b", score(0.1, 0.0, 0.3), 0.2).half_width == pytest.approx(0.15)


def test_many_comparisons_are_one_family() -> None:
    """Oracle: Holm by hand. Ten differences of p = .02 each: none is significant among ten, each would be alone."""
    z = norm.isf(0.011)
    scores = {
        "a": of_error(z, 1.0),
        **{
            f"b{number}": Score(0.0, 100, left_out=(np.zeros(2_000),), effective=(2e3,))
            for number in range(10)
        },
    }
    many = compare(scores, [("a", f"b{number}") for number in range(10)])
    assert {item.verdict for item in many} == {NO_DIFFERENCE}
    assert many[0].p == pytest.approx(0.22, abs=0.002)
    assert compare(scores, [("a", "b0"), ("a", "nowhere")])[0].verdict == "better"
    assert compare(scores, [("a", "b0")], sign=-1)[0].verdict == "worse", "of errors the smaller is better"


def test_what_a_p_rests_on_is_doubted() -> None:
    """Too few blocks; blocks that err together over much of the area."""
    few = Comparison("a", "b", of_error(3.0, 1.0, blocks=12), 0.001, side_m=2_000.0)
    assert few.verdict == "better"
    assert few.claim == "no claim"
    assert few.doubt == "the area holds 12.0 effective blocks of 2000 m; 30 are needed: use a wider area"
    assert Comparison("a", "b", of_error(3.0, 1.0, blocks=30), 0.001).claim == "better"
    lonlat, side_m = (
        np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2) / 111.32,
        1_000.0,
    )
    together = CorrelatedBlocks(lonlat, np.full(64, 10.0), side_m)
    covariance = np.exp(-cdist(lonlat, lonlat) * 111.32 / 8.0)
    added = np.linalg.cholesky(covariance) @ np.random.default_rng(0).normal(size=64)
    alike = Score(
        3.0, 640, left_out=(3.0 + 0.01 * (added - added.mean()),), effective=(64.0,), together=together
    )
    one = Comparison("a", "b", alike, 0.001, range_m=7_000.0)
    assert one.claim == "no claim"
    assert one.doubt.startswith("errors are alike over much of the area, over about 7000 m: it counts as ")
    assert one.doubt.endswith("5 are needed: use a wider area; more places in the same area do not help")
