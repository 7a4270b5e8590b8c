"""`evaluate`, `evaluate_model` and `evaluate_words`: the quality of vectors, of predictions, and of words and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.inputs import (
    PathLike,
    Vectors,
    dataset_of,
    load_embeddings,
    model_of,
    recorded_dataset,
    recorded_model,
    table_of,
    training_dataset,
)
from placevec.errors import DatasetError, UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import Effort, EngineName, Folds, LabelKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.evaluation.report import Report
    from placevec.evaluation.retrieval.report import WordsReport
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
    columns: Sequence[str] | None = None,
    kind: LabelKind | None = None,
    regions: PathLike | None = None,
    learning_curve: bool = False,
    schemes: Sequence[Folds] = ("blocks",),
    mlp: bool = False,
    fine_tune: bool = False,
    fine_tune_epochs: Annotated[int, Limits(min=1)] | None = None,
    resume_in: PathLike | None = None,
    cityrep: PathLike | None = None,
    cityrep_model: str | None = None,
    seeds: Annotated[int, Limits(min=1)] = 3,
    folds: Annotated[int, Limits(min=2)] = 5,
    budget: Effort = "full",
    allow_leaks: bool = False,
    beside: Sequence[PathLike] | Mapping[str, Model | Embeddings | PathLike] = (),
    engine: EngineName = "local",
    address: str | None = None,
    workers: Annotated[int, Limits(min=1)] | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Compare vectors with chance, coordinates, raw features and an untrained encoder.

    Args:
        embeddings: Table of vectors; with labels or fine_tune also a run, whose training dataset is embedded first.
        view: View whose vectors are evaluated if there are several (default: the fused vectors, with each view in a
            row of its own).
        dataset: Dataset of the vectors, if it has moved; for a run, a dataset with labels to evaluate it on.
        model: Run or model of the vectors, if it has moved.
        tasks: Tasks, separated by commas: landuse, pois, labels (the dataset's own), or with --cityrep the task
            IDs of that release (default: all that the dataset has labels for).
        labels: Table of your own labels, with place_id or lon and lat.
        columns: Label columns of that table, separated by commas (default: all that can be used as tasks).
        kind: Kind of these tasks (default: inferred from the values; multilabel and distribution take all columns
            together).
        regions: Leave one region out at a time: polygons, a table with place_id, or a column of the labels.
        learning_curve: Also evaluate with 5% to 50% of the labels; takes about three times as long.
        schemes: Kinds of folds, separated by commas (with both, scores on random folds are shown next to those on
            blocks).
        mlp: Also try a multilayer perceptron (scikit-learn's) as a probe; takes about twice as long.
        fine_tune: Also fine-tune the encoders with a prediction head, and train them from scratch, with 5% to all of
            the labels.
        fine_tune_epochs: Maximum epochs of fine-tuning; validation chooses how many of them to keep, possibly none
            (default: 30, or 5 with quick).
        resume_in: Folder that keeps fine-tuned folds, so that the same call continues after an interruption (default:
            none).
        cityrep: Folder of a CityRep release, whose tasks and blocks replace those of placevec.
        cityrep_model: Model name under which the vectors are also written into that folder.
        seeds: Number of shuffles of the blocks, and number of untrained encoders.
        folds: Number of folds.
        budget: Thoroughness of the probes (quick: small probes with one setting each).
        allow_leaks: Also run tasks whose tags the model reads (marked as leaks).
        beside: Another model to compare with on the same places: a directory, `base`, or a table of vectors such as
            import-vectors writes (may be repeated).
        engine: Where probes are trained: in processes on this machine, or by workers of a Ray cluster (needs the
            extra scale).
        address: Address of the head node of a running Ray cluster (default: a temporary cluster on this machine).
        workers: Number of processes, with one thread each (default 1; with ray, one per CPU).
        progress: Receives progress reports.

    In Python, ``beside`` can also map names for the report to models and tables, such as ``{"the old one": model}``.
    """
    from placevec.distributed.engine import Engine
    from placevec.evaluation.vectors import evaluate as run

    where = Engine(engine, address, workers)
    if isinstance(embeddings, str | Path) and Path(embeddings).is_dir():
        if labels is None and not fine_tune:
            raise UsageError(
                f"{embeddings} is a run: use evaluate_model for its predictions; evaluate takes a table of vectors, or a "
                "run with labels"
            )
        model = model_of(embeddings)
        dataset = training_dataset(model, "give one with --dataset") if dataset is None else dataset
        embeddings = _embedded(model, dataset_of(dataset), view, progress)
    elif isinstance(embeddings, str | Path):
        embeddings = load_embeddings(embeddings)
    table = table_of(embeddings, view)
    if fine_tune_epochs is not None and not fine_tune:
        raise UsageError("fine_tune_epochs applies to fine_tune")
    if cityrep is not None:
        if (
            any(one is not None for one in (labels, columns, kind, regions))
            or learning_curve
            or fine_tune
            or mlp
            or not where.in_this_process
        ):
            raise UsageError(
                "cityrep brings its own labels and splits: labels, columns, kind, regions, learning_curve, mlp, "
                "fine_tune and engines do not apply"
            )
        return _on_cityrep(table, cityrep, tasks, budget, cityrep_model, progress)
    if cityrep_model is not None:
        raise UsageError(
            "cityrep_model is the name of a model in CityRep's folder: give the folder as cityrep too"
        )
    found = recorded_dataset(table, dataset)
    if found is None:
        if table.provenance.source:
            raise DatasetError(
                "these published vectors belong to no dataset, but evaluate needs one: import them with import-vectors "
                "--dataset DATASET, or name them with --beside when you evaluate your own"
            )
        raise DatasetError("the dataset of these vectors is not at its recorded path: give it with --dataset")
    models, tables = _models_and_tables(beside)
    with where.opened(progress) as executor:
        return run(
            table, dataset=found, model=recorded_model(table, model), tasks=tasks, labels=labels, columns=columns,
            kind=kind, regions=regions, learning_curve=learning_curve, schemes=schemes, mlp=mlp, fine_tune=fine_tune,
            fine_tune_epochs=fine_tune_epochs, work=None if resume_in is None else Path(resume_in), seeds=seeds,
            folds=folds, budget=budget, allow_leaks=allow_leaks, progress=progress, views=_single(embeddings, table),
            others=models, tables=tables, executor=executor,
        )  # fmt: skip


def _embedded(
    model: Model, dataset: Dataset, view: str | None, progress: Progress
) -> Embeddings | EmbeddingsOfViews:
    """The vectors of all places that a model can embed, in every view, or in the one that is named."""
    from placevec.api.embedding import embed
    from placevec.core import FUSED

    return embed(model, dataset, views=None if view in (None, FUSED) else [str(view)], progress=progress)


def _single(embeddings: Vectors, table: Embeddings) -> dict[str, Embeddings]:
    """The vectors of single views beside those of fused ones."""
    from placevec.core import FUSED

    tables = getattr(embeddings, "tables", {})
    return {name: one for name, one in tables.items() if name != FUSED} if table.view == FUSED else {}


def _on_cityrep(
    table: Embeddings, folder: PathLike, tasks: Sequence[str] | None, budget: Effort, model: str | None,
    progress: Progress,
) -> Report:  # fmt: skip
    from placevec.evaluation.cityrep import evaluate_cityrep, write_embeddings

    report = evaluate_cityrep(table, folder, tasks=tasks, budget=budget, progress=progress)
    for result in report.results if model is not None else ():
        path = write_embeddings(table, folder, str(model), task=result.task)
        report.notes.append(f"{result.task}: vectors written to {path}, and entered in the manifest")
    return report


def _models_and_tables(
    beside: Sequence[PathLike] | Mapping[str, Model | Embeddings | PathLike],
) -> tuple[dict[str, Model], dict[str, Embeddings]]:
    """What is compared, by the name of its row."""
    models: dict[str, Model] = {}
    tables: dict[str, Embeddings] = {}
    named: Mapping[Any, Any] = beside if isinstance(beside, Mapping) else dict.fromkeys(beside)
    for name, given in named.items():
        other = name if given is None else given
        if (isinstance(other, str | Path) and Path(other).is_file()) or hasattr(other, "provenance"):
            table = table_of(other)
            told = table.provenance.source or "vectors"
            tables[str(name) if given is not None else f"{told} ({Path(name).name})"] = table
        else:
            models[str(name) if given is not None else f"model {name}"] = model_of(other)
    return models, tables


@checked_keywords
def evaluate_model(
    model: Model | PathLike,
    *,
    dataset: Dataset | PathLike | None = None,
    baselines: bool = True,
    seed: Annotated[int, Limits(min=0)] = 0,
    regions: PathLike | None = None,
    learning_curve: bool = False,
    budget: Effort = "full",
    progress: Progress = SILENT,
) -> Report:
    """Compare the predictions of a model that has a head with baselines, on places that it was not trained on.

    A model of words and images, without a head, is evaluated as in `evaluate_words`.

    Args:
        model: Run or model directory, for example from `train` with ``sphere2vec``.
        dataset: Dataset to evaluate on, with labels or texts as the model needs (default: the training dataset).
        baselines: Also evaluate baselines, including untrained encoders.
        seed: Seed of resampling and of random baselines.
        regions: Also train new probes on the model's vectors without one region at a time: polygons, a table with
            place_id, or a column of the places.
        learning_curve: Also train new probes on the model's vectors with 5% to 50% of the labels.
        budget: Size of these probes.
        progress: Receives progress reports.

    Raises:
        DatasetError: no dataset is given, and the training dataset is gone or has changed.
        EvaluationError: no head, labels of another kind, or no place that the model was not trained on; with regions or
            a learning curve, a model of one class or of very many.
    """
    from placevec.evaluation.predictions.evaluate import evaluate_predictions

    found = model_of(model)
    if not found.heads and len(found.readings) > 1:
        from placevec.evaluation.retrieval.evaluate import reads_words

        if reads_words(found):
            if regions is not None or learning_curve:
                raise UsageError(
                    "regions and learning_curve apply to models trained on labels, not on words and images"
                )
            return evaluate_words(found, dataset=dataset, baselines=baselines, seed=seed, progress=progress)
    tested = training_dataset(found, "give one with --dataset") if dataset is None else dataset_of(dataset)
    return evaluate_predictions(
        found, tested, baselines=baselines, seed=seed, regions=regions, learning_curve=learning_curve, budget=budget,
        progress=progress,
    )  # fmt: skip


@checked_keywords
def evaluate_words(
    model: Model | PathLike,
    *,
    dataset: Dataset | PathLike | None = None,
    view: str | None = None,
    embeddings: Vectors | None = None,
    baselines: bool = True,
    seeds: Annotated[int, Limits(min=1)] = 3,
    seed: Annotated[int, Limits(min=0)] = 0,
    progress: Progress = SILENT,
) -> WordsReport:
    """Measure how well words retrieve images, and images words, and types by name, on places that a model was not
    trained on.

    Recall at 1, 5 and 10 and ranks in both directions, within types, and by kind, language and script of the words,
    compared with chance, a type oracle, ridge regression on image statistics, and untrained encoders.

    Args:
        model: Run or model of words and images, such as those of ``where2vec``.
        dataset: Dataset with both (default: the training dataset).
        view: Image view, if the model has several.
        embeddings: Table with the model's vectors of that view (default: computed here).
        baselines: Also evaluate baselines, including untrained encoders.
        seeds: Number of untrained encoders.
        seed: Seed of the text drawn for each place, and of samples.
        progress: Receives progress reports.

    Raises:
        DatasetError: no dataset is given, and the training dataset is gone or has changed.
        EvaluationError: too few places with both an image and a text.
        UsageError: a model without texts or images.
    """
    from placevec.evaluation.retrieval.evaluate import evaluate_words as run
    from placevec.evaluation.retrieval.evaluate import views_of

    found = model_of(model)
    image, _ = views_of(found, view)
    ground = training_dataset(found, "give one with --dataset") if dataset is None else dataset_of(dataset)
    images = None if embeddings is None else _of_places(table_of(embeddings, image), found, ground)
    return run(
        found,
        ground,
        view=image,
        images=images,
        baselines=baselines,
        seeds=seeds,
        seed=seed,
        progress=progress,
    )


def _of_places(table: Embeddings, model: Model, dataset: Dataset) -> NDArray[np.float32]:
    """(N, dim) vectors of a table for all places of a dataset, NaN where it has none."""
    import numpy as np
    import pandas as pd

    recorded_model(table, model)  # an error where they were made by another
    row = pd.Index(table.place_id).get_indexer(dataset.place_ids)
    found = np.full((len(dataset), table.vectors.shape[1]), np.nan, np.float32)
    found[row >= 0] = table.vectors[row[row >= 0]]
    return found
