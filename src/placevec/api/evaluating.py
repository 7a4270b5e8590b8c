"""`evaluate` and `evaluate_model`: how good vectors, or the predictions of a model with a head, are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from placevec.api.inputs import (
    PathLike,
    Vectors,
    dataset_of,
    model_of,
    recorded_dataset,
    recorded_ground,
    recorded_model,
    table_of,
)
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, UsageError
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.evaluation.report import Report
    from placevec.models.model import Model


def evaluate(
    embeddings: Vectors,
    *,
    view: str | None = None,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
    tasks: list[str] | None = None,
    labels: PathLike | None = None,
    seeds: int = 3,
    folds: int = 5,
    budget: Literal["quick", "full"] = "full",
    allow_leaks: bool = False,
    others: Mapping[str, Model | PathLike] | None = None,
    progress: Progress = SILENT,
) -> Report:
    """How good vectors are beside chance, coordinates, raw features and an untrained encoder.

    ``view`` names whose vectors, where the table holds several (``fused`` by default). The dataset and the model are
    found where the table says, or given. ``others`` are further models to compare
    with on the same places, such as ``{"base model": "base"}``.
    """
    from placevec.evaluation.vectors import evaluate as run

    if isinstance(embeddings, str | Path) and Path(embeddings).is_dir():
        raise UsageError(
            f"{embeddings} is a run: evaluate_model measures its predictions, evaluate a table of vectors"
        )
    table = table_of(embeddings, view)
    found = recorded_dataset(table, dataset)
    if found is None:
        raise DatasetError("the dataset of these vectors is not where they say: name it with --dataset")
    return run(
        table, dataset=found, model=recorded_model(table, model), tasks=tasks, labels=labels, seeds=seeds,
        folds=folds, budget=budget, allow_leaks=allow_leaks, progress=progress,
        others={name: model_of(other) for name, other in (others or {}).items()},
    )  # fmt: skip


def evaluate_model(
    model: Model | PathLike,
    *,
    dataset: Dataset | PathLike | None = None,
    baselines: bool = True,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Report:
    """How good the predictions of a model with a head are on places that it was not trained on, beside baselines.

    Args:
        model: a run or model directory, such as `train` makes of ``sphere2vec``.
        dataset: with labels; by default the one it was trained on, where the model says that it lies.
        baselines: measure class frequencies, neighbors, sines and cosines and the untrained encoder too.
        seed: of resamplings and of what is drawn for baselines.
        progress: where to report.

    Raises:
        DatasetError: no dataset is named, and the one that the model was trained on is gone or has changed.
        EvaluationError: no head, labels of another kind, no place that the model was not trained on.
    """
    from placevec.evaluation.predictions.evaluate import evaluate_predictions

    found = model_of(model)
    tested = recorded_ground(found, "name one with --dataset") if dataset is None else dataset_of(dataset)
    return evaluate_predictions(found, tested, baselines=baselines, seed=seed, progress=progress)
