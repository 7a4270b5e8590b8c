"""``placevec evaluate``: how good vectors, or a model's predictions, are beside baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from placevec.cli.output import console, print_json, progress_for, say
from placevec.cli.signature import Flag, Json, Quiet, at_least
from placevec.errors import EmbeddingsError, EvaluationError, UsageError

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.evaluation.report import Report

HELP = """\
Splits are spatial blocks with a buffer; every row has its best probe; intervals come from a bootstrap over
blocks. Tasks made of OSM tags need a model that does not see those tags: train it with --drop-layers.

Of the run of a model that was trained on labels it evaluates the predictions on the places held out: top-1,
3, 5 and 10, MRR and macro-F1, or R² and the mean error, beside frequencies, neighbors and an untrained
encoder.

For example:

  placevec evaluate malta.parquet

  placevec evaluate runs/sightings --out report/

  placevec evaluate malta.parquet --labels population.csv --out report/"""


def command(
    embeddings: Path,
    /,
    *,
    view: str | None = None,
    dataset: Path | None = None,
    run: Path | None = None,
    task: tuple[str, ...] = (),
    labels: Path | None = None,
    seeds: Annotated[int, Parameter(validator=at_least(1))] = 3,
    folds: Annotated[int, Parameter(validator=at_least(2))] = 5,
    budget: Literal["quick", "full"] = "full",
    allow_leaks: Flag = False,
    beside: tuple[str, ...] = (),
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call `placevec.api.evaluate` and print the report.

    Args:
        embeddings: Table of vectors; or the run of a model that was trained on labels.
        view: View whose vectors are evaluated, where the table holds several (default: the fused ones).
        dataset: Dataset of the vectors, if it has moved; or another one with labels to evaluate a model on.
        run: Run of the vectors, if it has moved.
        task: Only this task, landuse or pois (may be repeated).
        labels: Table of your own labels, with place_id or lon and lat.
        seeds: Shufflings of the blocks, and untrained encoders.
        folds: Folds of blocks.
        budget: Size of the probes.
        allow_leaks: Also run tasks whose tags the model sees (marked).
        beside: Further model to compare with, a directory or base (may be repeated).
        out: Directory for report.json and report.md.
    """
    from placevec import api
    from placevec.io import atomic

    if out is not None:
        atomic.check_writable(out, directory=True)  # before minutes of work
    if embeddings.is_dir():
        _of_model(embeddings, dataset, out, as_json, quiet, unmeant={
            "--run": run is not None, "--task": bool(task), "--labels": labels is not None, "--beside": bool(beside),
            "--allow-leaks": allow_leaks, "--view": view is not None,
        })  # fmt: skip
        return
    if not embeddings.exists():
        raise EmbeddingsError(f"{embeddings} does not exist: no run, model or table of vectors lies there")
    vectors = api.load_embeddings(embeddings)
    _check_of_dataset(vectors, embeddings)
    report = api.evaluate(
        vectors, view=view, dataset=dataset, model=run, tasks=list(task) or None, labels=labels, seeds=seeds, folds=folds,
        budget=budget, allow_leaks=allow_leaks, others={f"model {name}": name for name in beside},
        progress=progress_for(as_json, quiet),
    )  # fmt: skip
    _told(report, out, as_json)


def _check_of_dataset(vectors: Embeddings | EmbeddingsOfViews, path: Path) -> None:
    """EvaluationError for vectors of a table of points: tasks, blocks and floors are those of a dataset."""
    from placevec.datasets.views.coordinates import NAME

    made = vectors.provenance
    if vectors.views == (NAME,) and made.dataset_hash and not made.dataset_path:
        run = made.model_path or "RUN"
        raise EvaluationError(
            f"the vectors in {path} are of a table of points, and evaluate judges those of a prepared dataset: make them "
            f"with placevec embed {run} DATASET -o E.parquet"
        )


def _of_model(
    run: Path, dataset: Path | None, out: Path | None, as_json: bool, quiet: bool, *, unmeant: dict[str, bool]
) -> None:
    """Measure a model's answers and print the report."""
    from placevec.api.evaluating import evaluate_model

    for option, given in unmeant.items():
        if given:
            raise UsageError(f"{option} is for tables of vectors: {run} is a run, whose answers are measured")
    report = evaluate_model(run, dataset=dataset, progress=progress_for(as_json, quiet))
    _told(report, out, as_json)


def _told(report: Report, out: Path | None, as_json: bool) -> None:
    """Save a report where asked for, and print it."""
    if out is not None:
        report.save(out)
    if as_json:
        print_json(report.as_dict())
        return
    console().print(report.to_table())
    if out is not None:
        say(f"Report: {out / 'report.md'}")
