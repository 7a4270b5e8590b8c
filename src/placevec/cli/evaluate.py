"""``placevec evaluate``: the quality of vectors, or of a model's predictions, compared with baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from placevec.api.evaluating import evaluate, evaluate_model
from placevec.api.inputs import load_embeddings
from placevec.cli.output import console, print_json, progress_for, say
from placevec.cli.signature import taking_keywords_of
from placevec.errors import EmbeddingsError, EvaluationError, MissingExtraError, UsageError
from placevec.io import atomic
from placevec.options import flag_of

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.evaluation.report import Report
    from placevec.evaluation.retrieval.report import WordsReport
    from placevec.io.progress import Progress

HELP = """\
Splits are spatial blocks with a buffer; every row uses its best probe; confidence intervals are computed over blocks.
Tasks made from OSM tags need a model that does not read those tags: train it with --drop-layers.

For a model of words and images, it evaluates on held-out places how well words retrieve images and images retrieve
words: recall and ranks in both directions, within types, by language and script, and of types by their names,
compared with chance, a type oracle, ridge regression on image statistics, and untrained encoders. --out also writes a
plot of both directions.

For a model trained on labels, it evaluates the predictions on held-out places: top-1, 3, 5 and 10, MRR and macro-F1,
or R² and the mean absolute error, compared with class frequencies, neighbors and an untrained encoder.

For example:

  placevec evaluate malta.parquet

  placevec evaluate runs/sightings --out report/

  placevec evaluate runs/named --out report/

  placevec evaluate runs/sightings --learning-curve --regions countries.gpkg

  placevec evaluate malta.parquet --labels population.csv --learning-curve --out report/

  placevec evaluate malta.parquet --labels ages.csv --columns young,grown,old --kind distribution

  placevec evaluate malta.parquet --labels rents.csv --regions districts.gpkg

  placevec evaluate runs/cells --labels population.gpkg --fine-tune --schemes blocks,random --out report/"""
_OF_A_RUN = ("dataset", "regions", "learning_curve", "budget")
"""Options that also apply to a run."""


@taking_keywords_of(evaluate, without=("resume_in",))
def command(
    embeddings: Path,
    /,
    *,
    out: Path | None = None,
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Print the report.

    Args:
        embeddings: Table of vectors, or a run trained on labels or on words and images; with --labels or --fine-tune,
            any run.
        out: Directory for report.json and report.md; with --fine-tune, an interrupted command continues from what it
            holds.
    """
    if out is not None:
        atomic.check_writable(out, directory=True)  # before work that takes minutes
    progress = progress_for(as_json, quiet)
    if embeddings.is_dir() and ("labels" in options or options.get("fine_tune")):
        _told(evaluate(embeddings, resume_in=out, progress=progress, **options), out, as_json)
        return
    if embeddings.is_dir():
        if others := [name for name in options if name not in _OF_A_RUN]:
            raise UsageError(f"{flag_of(others[0])} applies to tables of vectors, but {embeddings} is a run")
        if "budget" in options and not {"regions", "learning_curve"} & options.keys():
            raise UsageError("--budget applies to --regions and --learning-curve of a run")
        report = evaluate_model(embeddings, progress=progress, **options)
        _told(report, out, as_json)
        if out is not None and getattr(report, "pictured", None) is not None:
            _picture(cast("WordsReport", report), out, as_json, progress)
        return
    if not embeddings.exists():
        raise EmbeddingsError(f"{embeddings} does not exist: give a table of vectors, a run or a model")
    vectors = load_embeddings(embeddings)
    if "cityrep" not in options:
        _check_of_dataset(vectors, embeddings)
    resume_in = out if options.get("fine_tune") else None
    _told(evaluate(vectors, resume_in=resume_in, progress=progress, **options), out, as_json)


def _picture(report: WordsReport, out: Path, as_json: bool, progress: Progress) -> None:
    """Draw both modalities beside the report, where Matplotlib is installed."""
    from placevec.api.plotting import picture_words

    try:
        drawn = picture_words(report, out / "words-and-images.png", progress=progress)
    except MissingExtraError as error:
        if not as_json:
            say(f"No picture: {error}")
        return
    if not as_json:
        say(f"Picture: {drawn}")


def _check_of_dataset(vectors: Embeddings | EmbeddingsOfViews, path: Path) -> None:
    """EvaluationError for vectors of a table of points: tasks, blocks and baselines need a dataset."""
    from placevec.datasets.views.coordinates import NAME

    made = vectors.provenance
    if vectors.views == (NAME,) and made.dataset_hash and not made.dataset_path:
        run = made.model_path or "RUN"
        raise EvaluationError(
            f"the vectors in {path} come from a table of points, but evaluate needs vectors of a prepared dataset: "
            f"create them with placevec embed {run} DATASET -o E.parquet"
        )


def _told(report: Report, out: Path | None, as_json: bool) -> None:
    """Save a report if requested, and print it."""
    if out is not None:
        report.save(out)
    if as_json:
        print_json(report.as_dict())
        return
    console().print(report.to_table())
    if out is not None:
        say(f"Report: {out / 'report.md'}")
