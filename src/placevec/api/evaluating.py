"""`evaluate` and `evaluate_model`: how good vectors, or the predictions of a model with a head, are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from placevec.errors import DatasetError, UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import Effort

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.evaluation.report import Report
    from placevec.models.model import Model


@checked_keywords
def evaluate(
    embeddings: Vectors,
    *,
    view: str | None = None,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
    tasks: Sequence[str] | None = None,
    labels: PathLike | None = None,
    seeds: Annotated[int, Limits(min=1)] = 3,
    folds: Annotated[int, Limits(min=2)] = 5,
    budget: Effort = "full",
    allow_leaks: bool = False,
    beside: Sequence[PathLike] | Mapping[str, Model | PathLike] = (),
    progress: Progress = SILENT,
) -> Report:
    """How good vectors are beside chance, coordinates, raw features and an untrained encoder.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are evaluated, where the table holds several (default: the fused ones).
        dataset: Dataset of the vectors, if it has moved; of a run, one with labels to evaluate it on.
        model: Run or model of the vectors, if it has moved.
        tasks: Tasks, separated by commas, of landuse and pois (default: all that the dataset has labels for).
        labels: Table of your own labels, with place_id or lon and lat.
        seeds: Shufflings of the blocks, and untrained encoders.
        folds: Folds of blocks.
        budget: Size of the probes.
        allow_leaks: Also run tasks whose tags the model sees (marked).
        beside: Further model to compare with on the same places, a directory or base (may be repeated).
        progress: Where to report.

    Python also takes ``beside`` as a mapping of names for the report, such as ``{"the old one": model}``.
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
        others={name: model_of(other) for name, other in _named(beside).items()},
    )  # fmt: skip


def _named(beside: Sequence[PathLike] | Mapping[str, Model | PathLike]) -> Mapping[str, Model | PathLike]:
    """Models by the name of their row."""
    return beside if isinstance(beside, Mapping) else {f"model {path}": path for path in beside}


@checked_keywords
def evaluate_model(
    model: Model | PathLike,
    *,
    dataset: Dataset | PathLike | None = None,
    baselines: bool = True,
    seed: Annotated[int, Limits(min=0)] = 0,
    progress: Progress = SILENT,
) -> Report:
    """How good the predictions of a model with a head are on places that it was not trained on, beside baselines.

    Args:
        model: Run or model directory, such as `train` makes of ``sphere2vec``.
        dataset: Dataset with labels to evaluate on (default: the one that the model was trained on).
        baselines: Class frequencies, neighbors, sines and cosines and the untrained encoder too.
        seed: Seed of resamplings and of what is drawn for baselines.
        progress: Where to report.

    Raises:
        DatasetError: no dataset is named, and the one that the model was trained on is gone or has changed.
        EvaluationError: no head, labels of another kind, no place that the model was not trained on.
    """
    from placevec.evaluation.predictions.evaluate import evaluate_predictions

    found = model_of(model)
    tested = recorded_ground(found, "name one with --dataset") if dataset is None else dataset_of(dataset)
    return evaluate_predictions(found, tested, baselines=baselines, seed=seed, progress=progress)
