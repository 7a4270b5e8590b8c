"""The labels that a dataset brings along as a task. Oracle: the labels that were joined to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec.datasets.labels import Labeled
from placevec.errors import EvaluationError
from placevec.evaluation.own_labels import check_not_learned, labels_task
from placevec.evaluation.vectors import _default_tasks, _Places
from tests.evaluation.standin import Network, Town, embeddings


@dataclass
class LabeledTown(Town):
    given: Labeled | None = None
    column: str = "use"
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def has_labels(self) -> bool:
        return self.given is not None

    def labels(self) -> Labeled:
        assert self.given is not None
        return self.given


def town(labels: Labeled | None, count: int = 60, base_map: str | None = None) -> LabeledTown:
    lonlat = np.stack([np.linspace(24.9, 25.0, count), np.full(count, 60.2)], axis=-1)
    names = [f"p{row}" for row in range(count)]
    return LabeledTown(
        Path("town"), lonlat, names, base_map=base_map, given=labels, manifest={"labels": {"column": "use"}}
    )


def test_classes_are_those_of_the_places() -> None:
    values = np.arange(60, dtype=np.int32) % 2
    values[:3] = -1
    task = labels_task(town(Labeled("classes", values, ("shop", "home"))))  # type: ignore[arg-type]
    assert (task.name, task.kind) == ("use", "classification")
    assert [task.classes[number] for number in task.target] == [
        ("shop", "home")[value] for value in values if value >= 0
    ]
    assert task.rows.tolist() == list(range(3, 60))
    assert task.notes == ("3 of 60 places have no label",)


def test_numbers_are_those_of_the_places() -> None:
    values = np.linspace(0, 1, 60)
    task = labels_task(town(Labeled("number", values)))  # type: ignore[arg-type]
    assert task.kind == "regression"
    assert task.target.tolist() == values.tolist()
    assert task.notes == ()


def test_what_makes_no_task_says_so() -> None:
    for labels, message in (
        (None, "has no labels of its own; give a table with --labels"),
        (Labeled("number", np.r_[1.0, np.full(59, np.nan)]), "1 places have a value"),
        (Labeled("classes", np.zeros(60, np.int32), ("shop",)), "two classes with 20 or more places"),
    ):
        with pytest.raises(EvaluationError, match=message):
            labels_task(town(labels))  # type: ignore[arg-type]


def test_a_model_that_was_trained_on_labels_is_not_evaluated_on_them() -> None:
    task = labels_task(town(Labeled("number", np.linspace(0, 1, 60))))  # type: ignore[arg-type]
    without, trained = Network(), Network()
    without.heads, trained.heads = {}, {"coordinates": object()}
    check_not_learned(task, without)  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match="task use: the model was trained on labels"):
        check_not_learned(task, trained)  # type: ignore[arg-type]


def test_they_are_evaluated_unless_other_tasks_are_chosen() -> None:
    own = Labeled("number", np.linspace(0, 1, 60))
    assert _default_tasks(town(own), None) == ("labels",)  # type: ignore[arg-type]
    assert _default_tasks(town(None), "labels.csv") == ()  # type: ignore[arg-type]
    assert _default_tasks(town(None), None) == ("landuse", "pois")  # type: ignore[arg-type]
    assert _default_tasks(town(own, base_map="map"), None) == ("landuse", "pois", "labels")  # type: ignore[arg-type]


def test_places_that_are_left_out_are_counted_by_reason() -> None:
    held = town(Labeled("number", np.linspace(0, 1, 60)))
    held.lonlat[:2] = np.nan
    fewer = town(None, 60)
    fewer.place_ids[10] = "another"
    table = embeddings(fewer, np.zeros((60, 3)))
    task = labels_task(held)  # type: ignore[arg-type]
    assert _Places(table, held).left_out_of(task) == [  # type: ignore[arg-type]
        "2 of 60 labeled places are left out: without coordinates",
        "1 of 60 labeled places are left out: without a vector",
    ]
