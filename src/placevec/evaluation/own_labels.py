"""The task that a dataset's own labels make: the column that was joined to its places when it was prepared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.tasks import MIN_PLACES, Task, classes_task
from placevec.models.model import Model

LABELS_TASK = "labels"
"""Name by which the task is chosen; reports call it by its column."""
_DESCRIBED = "labels of the dataset"


def labels_task(dataset: Dataset) -> Task:
    """The labels of a dataset as a task, named after their column; places without a label are left out.

    Raises:
        EvaluationError: no labels, or too few places or classes.
    """
    if not dataset.has_labels:
        raise EvaluationError(
            f"task {LABELS_TASK}: {dataset.path} has no labels of its own; give a table with --labels"
        )
    labels = dataset.labels()
    column = str(dataset.manifest["labels"].get("column") or LABELS_TASK)
    name = column if column not in ("landuse", "pois") else LABELS_TASK
    rows = np.flatnonzero(labels.known)
    values = labels.values[rows]
    description = f"{column}, the {_DESCRIBED}"
    if labels.kind == "number":
        if len(rows) < 2 * MIN_PLACES or len(np.unique(values)) < 2:
            raise EvaluationError(
                f"task {name}: only {len(rows)} places have a value; at least {2 * MIN_PLACES} are needed, with at "
                f"least two different values"
            )
        task = Task(name, "regression", np.asarray(values, np.float64), rows, description=description)
    else:
        texts = np.array([labels.classes[value] for value in values], object)
        task = classes_task(name, texts, rows, description=description)
    if len(rows) == len(labels):
        return task
    note = f"{len(labels) - len(rows):,} of {len(labels):,} places have no label"
    return replace(task, notes=(*task.notes, note))


def check_not_learned(task: Task, model: Model) -> None:
    """EvaluationError for the dataset's own labels and a model with a head, whose vectors were trained on labels."""
    if task.description.endswith(_DESCRIBED) and model.heads:
        raise EvaluationError(
            f"task {task.name}: the model was trained on labels, so evaluating its vectors here would be "
            "misleading: evaluate its "
            "predictions with placevec evaluate RUN, or run with --allow-leaks"
        )
