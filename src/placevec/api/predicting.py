"""`predict`: maps of the predictions of models with a head, as a raster, a figure, a page or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.inputs import BoxLike, PathLike, dataset_of, model_of, training_dataset
from placevec.api.labeling import Shares, label_places, read_shares, read_types
from placevec.errors import ModelError, PlacevecError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress, printable, say_notes
from placevec.options import Limits, Reads, checked_keywords
from placevec.options.choices import Effort, LabelKind

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from placevec.api.mapping_labels import LabelMapReport
    from placevec.datasets.dataset import Dataset
    from placevec.explorer.figures.prediction_figure import FigureReport
    from placevec.explorer.pages.prediction_page import DistributionPageReport
    from placevec.geo import Area, Floats
    from placevec.inference.query import Question
    from placevec.inference.raster import RasterReport
    from placevec.inference.table import TableReport
    from placevec.inference.typed_places import TypedReport
    from placevec.models.model import Model

    Predicted = (
        RasterReport | TableReport | FigureReport | DistributionPageReport | TypedReport | LabelMapReport
    )

KINDS = {".tif": "raster", ".tiff": "raster", ".png": "figure", ".html": "page", ".parquet": "table"}
CELLS_ACROSS = 720
"""Default columns of a raster or page."""
OUTLINES = "Outlines: Natural Earth, public domain"


def _whole(names: Any) -> tuple[str, ...]:
    """Names of classes as given: only the model knows which of them contain a comma."""
    return (names,) if isinstance(names, str) else tuple(names)


@checked_keywords
def predict(
    models: Model | PathLike | Sequence[Model | PathLike],
    out: PathLike,
    *,
    classes: Annotated[Sequence[str], Reads(_whole)] = (),
    points: PathLike | None = None,
    lon: str | None = None,
    lat: str | None = None,
    id: str | None = None,
    dataset: Dataset | PathLike | None = None,
    types: Annotated[Sequence[str], Reads(read_types)] = (),
    shares: Annotated[Mapping[str, float] | str, Reads(read_shares)] | None = None,
    view: str | None = None,
    labels: PathLike | None = None,
    columns: Sequence[str] | None = None,
    kind: LabelKind | None = None,
    fine_tune: bool = False,
    budget: Effort = "full",
    bbox: BoxLike | None = None,
    resolution: Annotated[float, Limits(above=0)] | None = None,
    land: PathLike | None = None,
    land_only: bool = False,
    show_points: bool = False,
    year: Annotated[float, Limits(min=0, max=1)] | None = None,
    date: str | None = None,
    title: str | None = None,
    own_scales: bool = False,
    support: bool = True,
    seed: Annotated[int, Limits(min=0)] = 0,
    progress: Progress = SILENT,
) -> Predicted:
    """Write predictions of models: where a class is likely, or the expected number.

    The extension of ``out`` selects the format: ``.tif`` is a georeferenced raster with one band per class, of any size
    in constant memory; ``.png`` is a figure with one row per class and one column per model; ``.html`` is a page that
    needs no network; ``.parquet`` is a table of predictions at ``points``.

    With ``types``, the places of a dataset are labeled instead with types given by name, which the model need not have
    been trained on: each name is put into several sentences, and the type nearest to a place's image is its
    prediction. The output is .parquet, .geojson, .html (the page of explore) or .png. Probabilities are shares of the
    given types and are not calibrated.

    With ``labels``, the labels of some places are predicted for all places of a dataset, by the best probe on their
    vectors. The output is .tif (cells and polygons), .parquet, .html (the page of explore), or a folder for all of them.

    Args:
        models: Model or its directory, or several for a figure or page; each must have a head and read only
            coordinates. With labels, any model or a table of vectors.
        out: File to write: .tif, .png, .html or .parquet; with labels, also a folder.
        classes: Class to predict; several separated by commas, or repeated (not for models that predict numbers).
        dataset: Dataset whose places are labeled, with types, or predicted, with labels (default: the recorded one).
        types: Types to choose from, with a model that reads texts and images: names such as park,school; `entities`
            for the types in the dataset; a table (.toml) as for prepare; or a text file with one type per line.
        shares: Share of each type among the places, in any unit, such as park=3,school=1; or `training`, the shares
            among the places that the model was trained on (default: equal shares).
        view: View whose images types are predicted from, or whose vectors labels are predicted from, if there are
            several.
        labels: Table of labels of some places, with place_id, lon and lat or polygons, as for evaluate.
        columns: Label column of that table; with --kind distribution or multilabel, several separated by commas.
        kind: Kind of labels (default: inferred from the values).
        fine_tune: Fine-tune the encoders on the labels, instead of training probes on their vectors.
        budget: Thoroughness of probes and fine-tuning (at most 30 epochs of fine-tuning with full, 5 with
            quick).
        points: Table of points to predict for or, with a figure or page, to draw as dots.
        lon: Column of longitude in the table of points (default: found by name).
        lat: Column of latitude in the table of points (default: found by name).
        id: Column of unique IDs of the points (default: place_id, id, or the row number).
        bbox: Area as west,south,east,north, degrees (default: the world).
        resolution: Side of a cell of a .tif or .html, degrees (default: 720 columns); with labels, in meters (default:
            the side of a tile, or a third of the spacing, or a third of the side of a square with the polygons' mean
            area).
        land: Outlines of the land: GeoJSON, Shapefile or GeoPackage (default: coarse ones from Natural Earth).
        land_only: Leave cells outside land without a value.
        show_points: Also draw the training points of each class, taken from the first model.
        year: Fraction of the year, for a model trained with --seasons only.
        date: Time to predict for, such as 2018-06-03T14:00, in UTC, for a model trained with dates; with a table of
            points, the column of their dates and times.
        title: Title of a .png or .html (default: the class).
        support: Include uncertainty, for models trained with this version: in a .tif, 90% bands or standard
            deviations, the distance to the training points, and a band named supported (1 where a training point is
            near); in a .png or .html, hatching where no training point is near.
        own_scales: Separate color scale for each map of a .png, from its lowest to its highest value.
        seed: Seed of the sample if there are more than 5,000 points to draw.
        progress: Receives progress reports.

    Raises:
        UsageError: an unsupported extension, several models for a raster or table, no class, an unknown class, or
            options that cannot be combined.
        ModelError: a model without a head, or one that reads other views.
        DatasetError: training points are requested, but their dataset is gone or has changed.
        InputError: points or outlines that cannot be read.
    """
    from placevec.explorer.figures.predictions import ModelQuery
    from placevec.geo.areas import area_of
    from placevec.inference.grid import WORLD

    given = [models] if isinstance(models, str | Path) or not isinstance(models, Sequence) else list(models)
    if labels is not None:
        unfit = (
            classes, points, lon, lat, id, types, shares, bbox, land, land_only, show_points, year, date, own_scales,
        )  # fmt: skip
        if len(given) != 1 or any(unfit):
            raise UsageError(
                "labels are predicted by one run or table of vectors; with --labels, only --columns, --kind, "
                "--fine-tune, --budget, --view, --resolution, --title, --seed and a dataset apply"
            )
        from placevec.api.mapping_labels import map_labels

        return map_labels(
            given[0], Path(out), labels=labels, columns=columns, kind=kind, dataset=dataset, view=view,
            fine_tune=fine_tune, budget=budget, resolution_m=resolution, title=title, seed=seed, progress=progress,
        )  # fmt: skip
    if columns is not None or kind is not None or fine_tune or budget != "full":
        raise UsageError(
            "columns, kind, fine_tune and budget apply to labels: name their table with --labels"
        )
    if types or dataset is not None or view is not None or shares is not None:
        others = (
            classes, points, lon, lat, id, bbox, resolution, land, land_only, show_points, year, date,
            own_scales,
        )  # fmt: skip
        return _typed(given, Path(out), dataset, tuple(types), view, title, shares, any(others), progress)
    form = KINDS.get(Path(out).suffix.lower())
    if form is None:
        raise UsageError(
            f"--out must end in {', '.join(KINDS)}, which determines the format; got {Path(out).name!r}"
        )
    _check(
        form, len(given), points=points, resolution=resolution, show_points=show_points, own_scales=own_scales
    )
    named = {"lon": lon, "lat": lat, "id": id}
    if form != "table" and any(named.values()):
        raise UsageError("--lon, --lat and --id name columns of a table of points: write a .parquet")
    if form in ("raster", "table") and title is not None:
        raise UsageError("--title applies only to .png and .html")
    if form == "table" and (bbox is not None or land is not None or land_only):
        raise UsageError("a table has predictions at its points: remove --bbox, --land and --land-only")
    atomic.check_writable(out)
    if form == "figure":
        from placevec.explorer.figures.plots import require_plots

        require_plots(())
    opened = [model_of(model) for model in given]
    if form == "table":
        assert points is not None
        return _table(opened[0], points, named, Path(out), classes, year, date, progress)
    asked = [
        ModelQuery(label, question)
        for label, question in zip(_labels(opened), _questions(opened, classes, year, date), strict=True)
    ]
    say_notes(dict.fromkeys(one.question.period_note for one in asked if one.question.period_note), progress)
    area = area_of(bbox) or WORLD
    outlines = outlines_of(land, required=land_only) if form != "raster" or land_only else None
    if form == "raster":
        return _raster(asked[0].question, area, resolution, Path(out), outlines, support, progress)
    dots = _dots(opened[0], asked[0].question, points, show_points)
    credit = OUTLINES if outlines is not None and land is None else ""
    if form == "page":
        from placevec.explorer.pages.prediction_page import write_distribution_page
        from placevec.inference.grid import Grid, span

        grid = Grid.of(area, span(area) / CELLS_ACROSS if resolution is None else resolution)
        return write_distribution_page(
            asked, grid, Path(out), land=outlines, land_only=land_only, points=dots, title=title,
            credit=credit, support=support, seed=seed, progress=progress,
        )  # fmt: skip
    from placevec.explorer.figures.prediction_figure import write_figure

    return write_figure(
        asked, area, Path(out), land=outlines, land_only=land_only, points=dots, title=title,
        own_scales=own_scales, support=support, credit=credit, seed=seed, progress=progress,
    )  # fmt: skip


def _typed(
    given: list[Model | PathLike], out: Path, dataset: Dataset | PathLike | None,
    types: tuple[str, ...], view: str | None, title: str | None, shares: Shares, others: bool, progress: Progress,
) -> TypedReport:  # fmt: skip
    """`predict` with types."""
    if dataset is None or not types or len(given) != 1:
        raise UsageError(
            "types are predicted by one model for the places of one dataset: give a run, a dataset and --types"
        )
    if others:
        raise UsageError("with --types, only --out, --shares, --view and --title apply")
    ground = dataset_of(dataset)
    return label_places(
        model_of(given[0]), ground, types, out, view=view, title=title, shares=shares, progress=progress
    )


def _check(
    kind: str, count: int, *, points: PathLike | None, resolution: float | None, show_points: bool, own_scales: bool
) -> None:  # fmt: skip
    """UsageError for options that do not apply to the output format."""
    if count == 0:
        raise UsageError("give a model: a run, or a model directory")
    if count > 1 and kind in ("raster", "table"):
        raise UsageError(
            f"a {kind} shows the predictions of one model, but {count} models are given; a .png or .html can show "
            f"several"
        )
    if kind == "table" and points is None:
        raise UsageError(
            "a table needs points to predict for: give a CSV, Parquet or GeoJSON after the model"
        )
    if kind == "raster" and (points is not None or show_points):
        raise UsageError(
            "a raster covers an area: remove the points, or write a .parquet to predict at the points"
        )
    if kind in ("figure", "table") and resolution is not None:
        raise UsageError(
            "--resolution applies only to .tif and .html: a figure uses its own pixels, a table its points"
        )
    if kind == "table" and show_points:
        raise UsageError("--show-points applies only to .png and .html")
    if kind != "figure" and own_scales:
        raise UsageError("--own-scales applies only to .png")
    if points is not None and show_points:
        raise UsageError(
            "draw either the points of a table or the training points: remove --show-points or the table"
        )


def _table(
    model: Model, points: PathLike, columns: Mapping[str, str | None], out: Path, classes: Sequence[str],
    year: float | None, date: str | None, progress: Progress,
) -> TableReport:  # fmt: skip
    from placevec.inference.query import answering, outside_note, question_at, split_names, time_for
    from placevec.inference.table import write_table
    from placevec.sources.tables.dates import is_date
    from placevec.sources.tables.labeled_points import PointTable

    answering(model)
    column = date if date is not None and model.times and year is None and not is_date(date) else None
    when = None if column is not None else time_for(model, year, date)
    question = question_at(model, split_names(model, classes), when) if classes else None
    if note := outside_note(model, when):
        progress.say(f"Note: {note}")
    table = PointTable(points, {**columns, "label": None, "user": None, "date": column, "split": None})
    return write_table(model, table, out, question=question, year=when, progress=progress)


def _raster(
    question: Question, area: Area, resolution: float | None, out: Path, land: BaseGeometry | None, support: bool,
    progress: Progress,
) -> RasterReport:  # fmt: skip
    from placevec.inference.grid import Grid, span
    from placevec.inference.raster import write_raster

    grid = Grid.of(area, span(area) / CELLS_ACROSS if resolution is None else resolution)
    return write_raster(question, grid, out, land=land, doubts=support, progress=progress)


def _questions(
    models: Sequence[Model], classes: Sequence[str], year: float | None, date: str | None
) -> list[Question]:
    """The same query for each model."""
    from dataclasses import replace

    from placevec.inference.query import NUMBER, ask, split_names

    questions = []
    for model, label in zip(models, _labels(models), strict=True):
        try:
            questions.append(ask(model, split_names(model, classes), year=year, date=date))
        except (ModelError, UsageError) as error:
            raise (error if len(models) == 1 else type(error)(f"{label}: {error}")) from None
    if any(question.names != questions[0].names for question in questions):
        if all(question.kind == "number" for question in questions):
            return [replace(question, names=(NUMBER,)) for question in questions]
        raise UsageError("the models have different classes: choose classes that they all have")
    return questions


def _labels(models: Sequence[Model]) -> list[str]:
    """The name of each model: its folder, with the parent folder if two have the same name."""
    paths = [model.path for model in models]
    names = [
        printable(path.name) if path is not None else f"model {number}"
        for number, path in enumerate(paths, 1)
    ]
    if len(set(names)) == len(names):
        return names
    return [
        name if path is None else f"{printable(path.resolve().parent.name)}/{name}"
        for name, path in zip(names, paths, strict=True)
    ]


def outlines_of(land: PathLike | None, *, required: bool) -> BaseGeometry | None:
    """Outlines of the land; None if they are not required and not available."""
    from placevec.sources.land import land_outlines

    try:
        return land_outlines(land)
    except PlacevecError:
        if land is not None or required:
            raise
        return None


def _dots(
    model: Model, question: Question, points: PathLike | None, show_points: bool
) -> list[Floats] | None:
    """Points to draw for each queried class."""
    if points is not None:
        from placevec.sources.tables.points import read_points

        return [read_points(points).lonlat] * len(question.names)
    return _trained_on(model, question) if show_points else None


def _trained_on(model: Model, question: Question) -> list[Floats]:
    """Training points of each class; for a model without a stored split, those of its dataset."""
    from placevec.datasets.splits import read_split

    dataset = training_dataset(model, "give a table of points instead")
    labels = dataset.labels()
    kept = read_split(model.path)
    split = None if kept is None else kept.split_of(dataset)
    rows = labels.rows("train") if split is None else split.rows("train")
    if labels.kind == "number":
        return [dataset.lonlat[rows]]
    known = {name: code for code, name in enumerate(labels.classes)}
    return [dataset.lonlat[rows[labels.values[rows] == known.get(name, -2)]] for name in question.names]
