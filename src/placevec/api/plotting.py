"""`picture_kernels`, `picture_latitude`, `picture_curves`, `picture_words`: static plots of models and their training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.inputs import PathLike, dataset_of, model_of, training_dataset
from placevec.errors import InputError, ModelError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress, printable
from placevec.options import Limits, Reads, checked_keywords
from placevec.options.choices import Reduction, Variant

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.evaluation.retrieval.report import WordsReport
    from placevec.explorer.figures.charts import ChartReport, Evaluated
    from placevec.explorer.figures.kernels import KernelsReport, Vectors
    from placevec.models.model import Model

FIJI = (179.5, -17.0)
"""Close to the antimeridian, where some encoders are discontinuous."""


def read_place(value: Any) -> tuple[float, float]:
    """Lon, lat from a text or two numbers."""
    try:
        lon, lat = (float(part) for part in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        raise UsageError(f"--at must be lon,lat in degrees; got {value!r}") from None
    return lon, lat


@checked_keywords
def picture_kernels(
    encoders: Sequence[PathLike | Model],
    out: PathLike,
    *,
    at: Annotated[tuple[float, float] | str, Reads(read_place)] = FIJI,
    variant: Variant | None = None,
    scales: Annotated[int, Limits(min=1)] | None = None,
    r_min: Annotated[float, Limits(above=0)] | None = None,
    options: Mapping[str, Any] | None = None,
    land: PathLike | None = None,
    progress: Progress = SILENT,
) -> KernelsReport:
    """Plot the similarity of one place to every other place on Earth, for each encoder, as a PNG.

    Args:
        encoders: Runs or model directories, whose vectors are compared; or names of location encoders, whose positional
            features are compared, without a network.
        out: Plot to write, .png.
        at: Place to compare with, lon,lat in degrees (in Fiji, close to the antimeridian).
        variant: Variant of the named encoders (default: corrected).
        scales: Number of scales of the named encoders.
        r_min: Finest scale of the named encoders, Earth radii.
        options: Further options of the named encoders, such as ``r_max``.
        land: Outlines of the land (default: coarse ones from Natural Earth).
        progress: Receives progress reports.
    """
    from placevec.api.predicting import OUTLINES, outlines_of
    from placevec.explorer.figures.kernels import write_kernels
    from placevec.explorer.figures.plots import require_plots
    from placevec.geo import check_lonlat

    _check(out, encoders)
    require_plots(())
    place = read_place(at)
    check_lonlat(*place)
    features = {"variant": variant, "scales": scales, "r_min": r_min, **(options or {})}
    given = {name: value for name, value in features.items() if value is not None}
    named = [_named(one, given) for one in encoders]
    outlines = outlines_of(land, required=False)
    credit = OUTLINES if outlines is not None and land is None else ""
    return write_kernels(named, place, Path(out), land=outlines, credit=credit, progress=progress)


@checked_keywords
def picture_latitude(
    runs: Sequence[PathLike | Model],
    out: PathLike,
    *,
    dataset: Dataset | PathLike | None = None,
    band: Annotated[float, Limits(min=1, max=180)] = 15.0,
    progress: Progress = SILENT,
) -> ChartReport:
    """Plot the quality of models by latitude, on their held-out places, as a PNG.

    Args:
        runs: Run directories of models trained on labels.
        out: Plot to write, .png.
        dataset: Dataset on which all runs are evaluated (default: each run's own).
        band: Width of a latitude band, degrees.
        progress: Receives progress reports, and notes about the places.

    Raises:
        DatasetError: no dataset is given, and the training dataset of a model is gone or has changed.
        EvaluationError: there are no held-out places.
        UsageError: a file name without ``.png``, no run, or a band out of range.
    """
    from placevec.explorer.figures.charts import write_latitude
    from placevec.explorer.figures.plots import require_plots

    _check(out, runs)
    require_plots(())
    with progress.task("Evaluating", total=len(runs)) as advance:
        evaluated: list[Evaluated] = []
        credits: dict[str, None] = {}
        for run in runs:
            model = model_of(run)
            tested = (
                training_dataset(model, "give one with --dataset") if dataset is None else dataset_of(dataset)
            )
            evaluated.append(_evaluated(model, tested, progress))
            credits[str(model.training.get("attribution", "unknown"))] = None
            advance(1)
    return write_latitude(_apart(evaluated), Path(out), band=band, credit="Data: " + "; ".join(credits))


@checked_keywords
def picture_curves(runs: Sequence[PathLike], out: PathLike, *, metric: str | None = None) -> ChartReport:
    """Plot the loss and another metric of runs over their steps, as a PNG.

    Args:
        runs: Run directories.
        out: Plot to write, .png.
        metric: Metric of the lower chart, by its name in metrics.jsonl.
    """
    from placevec.explorer.figures.charts import write_curves
    from placevec.explorer.figures.plots import require_plots
    from placevec.training.log import read_metrics

    _check(out, runs)
    require_plots(())
    paths = [Path(run) for run in runs]
    for path in paths:
        if not path.is_dir():
            raise InputError(f"there is no run {path}")
    return write_curves(
        dict(zip(_path_labels(paths), map(read_metrics, paths), strict=True)), Path(out), metric=metric
    )


@checked_keywords
def picture_words(
    report: WordsReport, out: PathLike, *, method: Reduction | None = None, progress: Progress = SILENT
) -> Path:
    """Plot the images and words of an evaluation in one projection, as a PNG.

    Args:
        report: What `evaluate_words` returned.
        out: Plot to write, .png.
        method: Projection (default: umap if umap-learn is installed, otherwise tsne).
        progress: Receives progress reports.
    """
    from placevec.explorer.figures.modalities import write_modalities
    from placevec.explorer.figures.plots import require_plots

    shown = report.pictured
    _check(out, [] if shown is None else [shown])
    require_plots(() if method is None else (method,))
    assert shown is not None
    write_modalities(
        shown.images, shown.words, shown.types, Path(out), method=method, title=str(report.about.get("dataset", "")),
        credit=str(report.about.get("attribution", "")), progress=progress,
    )  # fmt: skip
    return Path(out)


def _check(out: PathLike, given: Sequence[Any]) -> None:
    if Path(out).suffix.lower() != ".png":
        raise UsageError(f"the file name of a plot must end in .png; got {Path(out).name!r}")
    if not given:
        raise UsageError("give at least one run or encoder to plot")
    atomic.check_writable(out)


def _named(one: PathLike | Model, options: dict[str, Any]) -> tuple[str, Vectors]:
    """A label and a function for vectors: of a model, or of the features of a named encoder."""
    from placevec.encoders.locations.names import names
    from placevec.errors import ModelError as Unknown
    from placevec.models.files import SHIPPED
    from placevec.models.model import Model

    if isinstance(one, Model) or Path(one).exists() or (SHIPPED / str(one)).exists():
        model = model_of(one)
        return printable(model.path.name if model.path else "model"), model.embed_lonlat
    from placevec import encoders

    try:
        encoder = encoders.location(str(one), network="none", **options)
    except Unknown as error:
        if str(one) in names():
            raise
        raise ModelError(f"there is no run {one}, and {error}") from error
    variant = "" if encoder.variant == "corrected" else f" ({encoder.variant})"
    return (
        f"{encoder.encoder}{variant}",
        lambda lonlat: encoder.features(lonlat[:, 0], lonlat[:, 1]).detach().numpy(),
    )


def _evaluated(model: Model, dataset: Dataset, progress: Progress) -> Evaluated:
    """The model's most likely predictions, or errors, at its held-out places."""
    import numpy as np

    from placevec.evaluation.predictions.split import held_out
    from placevec.explorer.figures.charts import Evaluated
    from placevec.inference.query import answering, first_answers

    head = answering(model)
    labels = dataset.labels()
    if (labels.kind == "number") != (head.kind == "number"):
        raise InputError(
            f"{model.path} predicts {head.kind}, but the labels of {dataset.path} are {labels.kind}"
        )
    split = held_out(model, dataset, labels)
    lonlat = dataset.lonlat[split.test]
    years = None if split.years is None else split.years[split.test]
    answers = first_answers(model, lonlat, years)
    truth = np.asarray(split.labels)[split.test]
    right = np.abs(answers - truth) if head.kind == "number" else (answers == truth)
    label = printable(model.path.name) if model.path else "model"
    for note in split.notes:
        progress.say(f"Note: {label}: {note}")
    return Evaluated(label, lonlat[:, 1], np.asarray(right, np.float64), head.kind == "number", split.name)


def _apart(evaluated: list[Evaluated]) -> list[Evaluated]:
    """The same, with distinct labels."""
    from dataclasses import replace

    labels = [one.label for one in evaluated]
    if len(set(labels)) == len(labels):
        return evaluated
    return [replace(one, label=f"{number}: {one.label}") for number, one in enumerate(evaluated, 1)]


def _path_labels(paths: Sequence[Path]) -> list[str]:
    names = [printable(path.resolve().name) for path in paths]
    return (
        names
        if len(set(names)) == len(names)
        else [f"{number}: {name}" for number, name in enumerate(names, 1)]
    )
