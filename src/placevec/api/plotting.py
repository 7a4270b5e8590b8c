"""`picture_kernels`, `picture_latitude`, `picture_curves`: location encoders and their trainings, as still pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import PathLike, dataset_of, model_of, recorded_ground
from placevec.datasets.dataset import Dataset
from placevec.errors import InputError, ModelError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress, printable

if TYPE_CHECKING:
    from placevec.explorer.figures.charts import ChartReport, Evaluated
    from placevec.explorer.figures.kernels import KernelsReport, Vectors
    from placevec.models.model import Model

FIJI = (179.5, -17.0)
"""Beside the antimeridian, where encoders tear."""


def picture_kernels(
    encoders: Sequence[PathLike | Model],
    out: PathLike,
    *,
    at: tuple[float, float] = FIJI,
    options: Mapping[str, Any] | None = None,
    land: PathLike | None = None,
    progress: Progress = SILENT,
) -> KernelsReport:
    """Write a PNG of how alike each encoder finds every place on Earth and one.

    Args:
        encoders: runs or model directories, whose vectors are compared; or names of location encoders, of which the
            positional features are, before any network.
        out: the file, ``.png``.
        at: lon, lat in degrees of the place.
        options: of the named encoders: ``variant``, ``scales``, ``r_min`` and the like.
        land: outlines to draw; coarse ones of Natural Earth by default.
        progress: where to report.
    """
    from placevec.api.predicting import OUTLINES, outlines_of
    from placevec.explorer.figures.kernels import write_kernels
    from placevec.explorer.figures.plots import require_plots
    from placevec.geo import check_lonlat

    _check(out, encoders)
    require_plots(())
    check_lonlat(*at)
    named = [_named(one, dict(options or {})) for one in encoders]
    outlines = outlines_of(land, required=False)
    credit = OUTLINES if outlines is not None and land is None else ""
    return write_kernels(named, at, Path(out), land=outlines, credit=credit, progress=progress)


def picture_latitude(
    runs: Sequence[PathLike | Model],
    out: PathLike,
    *,
    dataset: Dataset | PathLike | None = None,
    band: float = 15.0,
    progress: Progress = SILENT,
) -> ChartReport:
    """Write a PNG of how good models are by latitude, on the places kept from their training.

    Args:
        runs: with heads.
        out: the file, ``.png``.
        dataset: to judge all of them on; by default the one that each names.
        band: degrees of latitude.
        progress: where to report; what the reader should know of the places is said there too.

    Raises:
        DatasetError: no dataset is named, and one that a model was trained on is gone or has changed.
        EvaluationError: no place was kept from training.
        UsageError: a file that is no ``.png``, no run, a band out of range.
    """
    from placevec.explorer.figures.charts import write_latitude
    from placevec.explorer.figures.plots import require_plots

    _check(out, runs)
    require_plots(())
    if not 1 <= band <= 180:
        raise UsageError(f"--band is 1 to 180 degrees of latitude; got {band:g}")
    with progress.task("Judging", total=len(runs)) as advance:
        evaluated: list[Evaluated] = []
        credits: dict[str, None] = {}
        for run in runs:
            model = model_of(run)
            ground = (
                recorded_ground(model, "name one with --dataset") if dataset is None else dataset_of(dataset)
            )
            evaluated.append(_evaluated(model, ground, progress))
            credits[str(model.training.get("attribution", "unknown"))] = None
            advance(1)
    return write_latitude(_apart(evaluated), Path(out), band=band, credit="Data: " + "; ".join(credits))


def picture_curves(runs: Sequence[PathLike], out: PathLike, *, metric: str | None = None) -> ChartReport:
    """Write a PNG of how the loss and a further measure of runs went with their steps.

    Args:
        runs: run directories.
        out: the file, ``.png``.
        metric: of the lower chart, as ``metrics.jsonl`` calls it.
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


def _check(out: PathLike, given: Sequence[Any]) -> None:
    if Path(out).suffix.lower() != ".png":
        raise UsageError(f"a picture is a .png; got {Path(out).name!r}")
    if not given:
        raise UsageError("name what to draw: runs, or encoders")
    atomic.check_writable(out)


def _named(one: PathLike | Model, options: dict[str, Any]) -> tuple[str, Vectors]:
    """A label and what gives vectors: of a model, or of the features of a named encoder."""
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
    """The model's first answers, or errors, at the places kept from its training."""
    import numpy as np

    from placevec.evaluation.predictions.split import sides_of
    from placevec.explorer.figures.charts import Evaluated
    from placevec.inference.query import answering, first_answers

    head = answering(model)
    labels = dataset.labels()
    if (labels.kind == "number") != (head.kind == "number"):
        raise InputError(
            f"{model.path} answers with {head.kind}, and the labels of {dataset.path} are {labels.kind}"
        )
    sides = sides_of(model, dataset, labels)
    lonlat = dataset.lonlat[sides.judged]
    years = None if sides.years is None else sides.years[sides.judged]
    answers = first_answers(model, lonlat, years)
    truth = np.asarray(sides.labels)[sides.judged]
    right = np.abs(answers - truth) if head.kind == "number" else (answers == truth)
    label = printable(model.path.name) if model.path else "model"
    for note in sides.notes:
        progress.say(f"Note: {label}: {note}")
    return Evaluated(label, lonlat[:, 1], np.asarray(right, np.float64), head.kind == "number", sides.name)


def _apart(evaluated: list[Evaluated]) -> list[Evaluated]:
    """The same, none called like another."""
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
