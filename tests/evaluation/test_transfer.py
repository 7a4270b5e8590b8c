"""Leaving one city out: what is pooled, who sees what, and that it can tell good vectors from none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec.errors import EvaluationError
from placevec.evaluation import transfer as elsewhere
from placevec.evaluation.engine import OURS, Budget
from placevec.evaluation.probes import Effort
from placevec.evaluation.transfer import cities, evaluate_elsewhere, landuse_elsewhere
from tests.evaluation.standin import USES, town

BUDGET = Budget(Effort(trees=5, inverse_penalties=(0.1,), neighbors=(5,)), 500, 10_000)


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folders = [tmp_path_factory.mktemp(f"town{number}") for number in range(5)]
    return [town(folder, seed=10 * number, km=4.0) for number, folder in enumerate(folders)]


def test_places_are_numbered_one_dataset_after_the_other(towns: list[Any]) -> None:
    """Oracle: each dataset's own land use, looked up by hand."""
    from placevec.evaluation.osm_tasks import landuse_labels

    task = landuse_elsewhere(towns)
    assert set(task.classes) <= set(USES)
    first = np.concatenate([[0], np.cumsum([len(place) for place in towns])])
    for number, place in enumerate(towns):
        inside = (task.rows >= first[number]) & (task.rows < first[number + 1])
        expected = landuse_labels(place, task.rows[inside] - first[number])
        assert [task.classes[label] for label in task.target[inside]] == list(expected)
        assert 0 < inside.sum() <= elsewhere.MAX_PER_CITY


def test_a_class_counts_when_enough_cities_hold_it(
    towns: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rich = landuse_elsewhere(towns)
    assert len(rich.classes) == 3
    monkeypatch.setattr(elsewhere, "MIN_CITIES", 6)
    with pytest.raises(EvaluationError, match="only 0 classes occur in at least 20 places of 6"):
        landuse_elsewhere(towns)


def test_no_city_is_evaluated_with_what_saw_it(towns: list[Any]) -> None:
    """Perfect features score 1, features that tell nothing of the city left out score like chance."""
    task = landuse_elsewhere(towns)
    truth = np.eye(len(task.classes))[task.target]
    city = cities(towns)[task.rows]
    asked: list[int] = []

    def memory(left_out: int) -> np.ndarray:
        """Right everywhere but on the city that is left out, as an encoder that overfits."""
        asked.append(left_out)
        noise = np.random.default_rng(left_out).permutation(truth)
        return np.where((city == left_out)[:, None], noise, truth)

    judged = evaluate_elsewhere(
        task, towns, {OURS: [lambda _: truth], "memory": [memory, memory]},
        pairs=((OURS, "memory"), (OURS, "chance")), budget=BUDGET,
    )  # fmt: skip
    scores = {row.name: row.score.value for row in judged.rows}
    assert asked == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert scores[OURS] == pytest.approx(1.0)
    assert scores["memory"] < scores["chance"] + 0.1
    assert [item.verdict for item in judged.comparisons] == ["better", "better"]
    assert judged.seeds == 2
    assert judged.folds == 5
    assert judged.places == len(task)


def test_one_dataset_cannot_be_left_out_of_itself(towns: list[Any]) -> None:
    task = landuse_elsewhere(towns)
    alone = task.taken(cities(towns)[task.rows] == 0)
    with pytest.raises(EvaluationError, match="all places are in one region"):
        evaluate_elsewhere(
            alone, towns, {OURS: [lambda _: np.zeros((len(alone), 1))]}, pairs=(), budget=BUDGET
        )
