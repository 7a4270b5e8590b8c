"""`evaluate`: what vectors are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from placevec.api.opening import PathLike, model_of, recorded_dataset, recorded_model, table_of
from placevec.dataset import Dataset
from placevec.errors import DatasetError
from placevec.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings
    from placevec.evaluation.report import Report
    from placevec.model import Model


def evaluate(
    embeddings: Embeddings | PathLike,
    *,
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

    The dataset and the model are found where the table says, or given. ``others`` are further models to compare
    with on the same places, such as ``{"base model": "base"}``.
    """
    from placevec.evaluation.report import evaluate as run

    table = table_of(embeddings)
    found = recorded_dataset(table, dataset)
    if found is None:
        raise DatasetError("the dataset of these vectors is not where they say: name it with --dataset")
    return run(
        table, dataset=found, model=recorded_model(table, model), tasks=tasks, labels=labels, seeds=seeds,
        folds=folds, budget=budget, allow_leaks=allow_leaks, progress=progress,
        others={name: model_of(other) for name, other in (others or {}).items()},
    )  # fmt: skip
