"""`evaluate`: vectors beside their baselines, on tasks and without labels."""

from __future__ import annotations

import contextlib
import datetime
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.splits import Split, read_split
from placevec.distributed.executors import IN_THIS_PROCESS, Executor
from placevec.embeddings import Embeddings
from placevec.embeddings.matching import match_by_id, match_by_location
from placevec.errors import AreaError, EvaluationError, InputError, UsageError
from placevec.evaluation.baselines import (
    AREA,
    COORDINATES,
    COORDINATES_AREA,
    COUNTS,
    COVERAGE,
    MEAN_COLOR,
    OF_POIS,
    PAIRS,
    baselines,
    beside,
    with_missing,
)
from placevec.evaluation.compare import BESIDE
from placevec.evaluation.engine import (
    BUDGETS,
    CURVE,
    OURS,
    Budget,
    Learner,
    Variants,
    evaluate_task,
    one_thread,
)
from placevec.evaluation.fine_tuning import FINE_TUNED, KINDS, SCRATCH, FineTuning
from placevec.evaluation.intrinsic import (
    ELSEWHERE,
    HELD_OUT,
    TRAINED_ON,
    UNKNOWN,
    class_silhouettes,
    label_free,
)
from placevec.evaluation.layer_recall import LayerRecall, layer_recall, layers_held
from placevec.evaluation.osm_tasks import OSM_TASKS, NoLabelsError, landuse_task, missing_labels, poi_task
from placevec.evaluation.own_labels import LABELS_TASK, check_not_learned, labels_task
from placevec.evaluation.predictions.split import UNKNOWN_SPLIT
from placevec.evaluation.regions import regions_of
from placevec.evaluation.report import Report
from placevec.evaluation.results import Result, Row
from placevec.evaluation.splits import SCHEMES, Scheme, block_grid
from placevec.evaluation.tasks import COLORS, OF_CLASSES, Kind, Task, leaking, sampled, without_leaking_groups
from placevec.evaluation.user_labels import label_tasks
from placevec.geo import Area, Floats, Ints
from placevec.io.folders import found_path
from placevec.io.jobs import Job, opened
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model
from placevec.options.choices import Effort

_DEFAULT_PAIR_RADIUS = 1.0
"""Distance of training pairs, in footprints, when the model does not say."""
_FINE_PAIRS = ((FINE_TUNED, OURS), (FINE_TUNED, SCRATCH), (FINE_TUNED, COORDINATES), (FINE_TUNED, COVERAGE))
_TRAINED_LABELS = {"landuse": ("landuse", "layers"), "pois": ("tags", "layers")}
_ENOUGH_HELD_OUT = 100
_MAX_WITHOUT_LABELS = 2_000


def evaluate(
    emb: Embeddings,
    *,
    dataset: Dataset,
    model: Model | None = None,
    tasks: Sequence[str | Task] | None = None,
    labels: str | Path | None = None,
    columns: Sequence[str] | None = None,
    kind: Kind | None = None,
    regions: str | Path | None = None,
    learning_curve: bool = False,
    schemes: Sequence[Scheme] = ("blocks",),
    mlp: bool = False,
    fine_tune: bool = False,
    fine_tune_epochs: int | None = None,
    work: Path | None = None,
    seeds: int = 3,
    folds: int = 5,
    budget: Effort = "full",
    allow_leaks: bool = False,
    others: Mapping[str, Model] | None = None,
    views: Mapping[str, Embeddings] | None = None,
    tables: Mapping[str, Embeddings] | None = None,
    executor: Executor = IN_THIS_PROCESS,
    progress: Progress = SILENT,
) -> Report:
    """`placevec.evaluate` of vectors, a dataset and models that are open already.

    Args:
        emb: the vectors.
        dataset: the dataset that they describe.
        model: the model that made them; without it the untrained encoder is missing, and whether a task leaks
            cannot be known.
        tasks: tasks, or names of those that come with a dataset (`OSM_TASKS`); all of these when None.
        labels: a table of labels beside them, see `label_tasks` for it, ``columns`` and ``kind``.
        regions: see `regions_of`.
        work: folder in which finished folds of ``fine_tune`` are kept until all are.
        others: further models by the name of their row, on the same places and folds.
        views: vectors of the same model in single views by name, each a row of its own.
        tables: vectors of others by the name of their row, joined by place.
        executor: where probes learn.

    The other arguments are those of `placevec.evaluate`.

    Raises:
        EvaluationError: no task can be evaluated and nothing can be measured; an unknown task.
        InputError: nonsensical options.
    """
    if seeds < 1 or budget not in BUDGETS:
        raise UsageError(f"evaluation needs at least one seed and a budget of {' or '.join(BUDGETS)}")
    if labels is None and (columns or kind):
        raise UsageError("columns and kind apply to a table of labels: add --labels FILE")
    if not schemes or set(schemes) - set(SCHEMES):
        raise UsageError(
            f"schemes must be one or both of {' and '.join(SCHEMES)}; got {', '.join(schemes) or 'none'}"
        )
    if fine_tune and model is None:
        raise UsageError("fine-tuning needs the model that made the vectors: give it with --model")
    others = others or {}
    places = _Places(emb, dataset)
    region = None if regions is None else regions_of(regions, dataset, labels)
    if region is not None:
        places.only(np.array([name is not None for name in region], bool))
    chosen, skipped = _tasks(dataset, _default_tasks(dataset, labels) if tasks is None else tasks)
    lost: list[str] = []
    if labels is not None:
        given = _own_tasks(labels, dataset, columns, kind, None if regions is None else str(regions), lost)
        named = {task.name for task in given}
        chosen = [*(task for task in chosen if task.name not in named), *given]
    ready: list[_Ready] = []
    for task in chosen:
        try:
            ready.append(_ready(task, places, model, BUDGETS[budget], allow_leaks))
        except EvaluationError as error:
            skipped.append(str(error))
    free_rows, basis = _rows_without_labels(places, model)
    features = _Features(
        places, model, [*(item.task.rows for item in ready), free_rows], seeds, executor, progress
    )
    features.add(others, progress)
    alone = features.add_views(places, views or {})
    joined = features.add_tables(places, tables or {})
    pairs = (
        *PAIRS,
        *((OURS, name) for name in (*others, *alone, *joined)),
        *(_FINE_PAIRS if fine_tune else ()),
    )
    buffer_m = max(buffer_m_of(dataset, each) for each in (model, *others.values()))
    spend = BUDGETS[budget].with_mlp() if mlp else BUDGETS[budget]
    if fine_tune_epochs is not None:
        spend = replace(spend, epochs=fine_tune_epochs)
    results = []
    with _kept(work if fine_tune else None, model, dataset, progress) as job:
        for item in ready:
            shown = features.at(item.task.rows)
            if item.task.name == "pois":
                shown = {name: sets for name, sets in shown.items() if name not in OF_POIS}
            for name, other in others.items():
                if reason := _unfit(item.task, places, other):
                    del shown[name]
                    item.notes.append(f"{name} is left out: {reason}")
                else:
                    item.notes.extend(f"{name}: {note}" for note in _trained_here(item.task, places, other))
            learners: dict[str, Learner] = {}
            if fine_tune and item.task.kind in KINDS and model is not None:
                whole = FineTuning(model, dataset, emb.view, spend.epochs, job)
                learners = {FINE_TUNED: whole, SCRATCH: replace(whole, scratch=True)}
            elif fine_tune:
                item.notes.append(f"{item.task.kind} has no loss to train with: nothing is fine-tuned")
            how = partial(
                evaluate_task, item.task, shown, dataset.lonlat[item.task.rows], pairs=pairs, buffer_m=buffer_m,
                folds=folds, seeds=seeds, budget=spend, curve=CURVE if learning_curve or fine_tune else (),
                positions=(COORDINATES,), learners=learners,
                regions=None if region is None else region[item.task.rows].astype(str),
                executor=executor, progress=progress,
            )  # fmt: skip
            try:
                found = _on_all(how, schemes)
            except EvaluationError as error:
                skipped.append(str(error))
                continue
            rows = _with_silhouettes(found.rows, item.task, shown)
            results.append(
                replace(
                    found, rows=rows, leaks=item.leaks, notes=[*item.task.notes, *found.notes, *item.notes]
                )
            )
    without = {
        name: sets
        for name, sets in features.at(free_rows).items()
        if name not in (BESIDE, COORDINATES, COORDINATES_AREA, AREA)
    }
    with one_thread():
        measured = label_free(
            without, dataset.lonlat[free_rows], footprint_m=dataset.footprint_m, basis=basis
        )
        layers = _layers(without, dataset, model, free_rows, buffer_m, spend.draws)
    if not results and measured is None:
        raise EvaluationError(f"nothing could be evaluated: {'; '.join(skipped)}")
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {
        "created": created, "model_hash": emb.provenance.model_hash, "dataset_hash": dataset.hash,
        "attribution": dataset.attribution, "budget": budget, "view": emb.view, "places": len(emb), "dim": emb.dim,
    }  # fmt: skip
    notes = [
        *lost,
        *joined.values(),
        *_notes(model, places, seeds, budget),
        *_missing_baselines(features.sets),
    ]
    return Report(results, measured, skipped, notes, about, layers=layers)


def _layers(
    features: Mapping[str, Variants],
    dataset: Dataset,
    model: Model | None,
    rows: Ints,
    buffer_m: float,
    draws: int,
) -> LayerRecall | None:
    """Which layers of the map the nearest vectors share; None where there is no map."""
    held = layers_held(dataset, rows)
    if held is None:
        return None
    layers, holds = held
    lonlat = dataset.lonlat[rows]
    return layer_recall(
        {name: sets for name, sets in features.items() if name not in OF_POIS}, holds, layers,
        None if model is None else model.seen, lonlat, block_grid(lonlat, buffer_m=buffer_m),
        apart_m=dataset.footprint_m * 2.0**0.5, draws=draws,
    )  # fmt: skip


@contextlib.contextmanager
def _kept(
    work: Path | None, model: Model | None, dataset: Dataset, progress: Progress
) -> Iterator[Job | None]:
    """The job that keeps finished folds in a folder until everything is done; None without a folder."""
    if work is None or model is None:
        yield None
        return
    inputs = {"model": model.hash, "dataset": dataset.hash, "places": dataset.places_hash}
    with opened(work / "report.json", inputs, progress=progress) as job:
        if done := sum(1 for _ in job.work.glob("fold-*")):
            progress.say(f"Note: {done} folds were already fine-tuned; continuing from there")
        yield job
        job.finish()


def _on_all(how: Callable[..., Result], schemes: Sequence[Scheme]) -> Result:
    """The result on folds of blocks, and beside it that on random folds; or the only one that was asked for."""
    found = {scheme: how(scheme=scheme) for scheme in SCHEMES if scheme in schemes}
    if len(found) == 1:
        return next(iter(found.values()))
    return replace(found["blocks"], random=found["random"])


def _with_silhouettes(rows: list[Row], task: Task, features: Mapping[str, Variants]) -> list[Row]:
    """The rows of a task of classes, each with the silhouette of those classes in its features."""
    if task.kind not in OF_CLASSES:
        return rows
    with one_thread():
        found = class_silhouettes(features, task.target)
    return [
        replace(row, further={**row.further, "silhouette": found[row.name]}) if row.name in found else row
        for row in rows
    ]


class _Places:
    """The places that have both a vector and coordinates, found in either table."""

    def __init__(self, emb: Embeddings, dataset: Dataset) -> None:
        self.emb, self.dataset = emb, dataset
        ids = pd.Index(emb.place_id)
        row = ids.get_indexer(dataset.places["place_id"].to_numpy(object))
        located = np.isfinite(dataset.lonlat).all(axis=1)
        self.row_of_vector = np.where(located, row, -1)
        self.rows: Ints = np.flatnonzero(self.row_of_vector >= 0)
        if len(self.rows) == 0:
            raise EvaluationError(
                "no place of the dataset has a vector in this table: were the vectors made from this dataset?"
            )
        self._splits: dict[Path | None, Split | None] = {}

    def only(self, kept: NDArray[np.bool_]) -> None:
        """Leave out places of the dataset, such as those in no region; (N,) ``kept``."""
        self.rows = self.rows[kept[self.rows]]
        if len(self.rows) == 0:
            raise EvaluationError("no place with a vector lies in any of the regions")

    def left_out_of(self, task: Task) -> list[str]:
        """A note for each reason for which labeled places of a task are not evaluated."""
        lost = task.rows[~np.isin(task.rows, self.rows)]
        unplaced = ~np.isfinite(self.dataset.lonlat[lost]).all(axis=1)
        bare = ~unplaced & (self.row_of_vector[lost] < 0)
        reasons = {
            "without coordinates": unplaced, "without a vector": bare, "outside all regions": ~unplaced & ~bare
        }  # fmt: skip
        return [
            f"{int(those.sum()):,} of {len(task):,} labeled places are left out: {why}"
            for why, those in reasons.items()
            if those.any()
        ]

    def split_of(self, model: Model) -> Split | None:
        """How the training of a model divided the dataset's places; None where it did not, or does not say."""
        if model.path not in self._splits:
            kept = read_split(model.path)
            self._splits[model.path] = None if kept is None else kept.split_of(self.dataset)
        return self._splits[model.path]

    def is_unknown_to(self, model: Model) -> bool:
        """Whether nobody can say which of the places the model was trained on."""
        trained = str(model.training.get("dataset_hash") or "")
        return self.split_of(model) is None and (not trained or self.dataset.descends_from(trained))


class _Features:
    """Every row of the tables for the places that any task or measure looks at, made once."""

    def __init__(
        self,
        places: _Places,
        model: Model | None,
        wanted: list[Ints],
        seeds: int,
        executor: Executor,
        progress: Progress,
    ) -> None:
        self.rows: Ints = np.unique(np.concatenate(wanted))
        self.dataset = places.dataset
        ours: NDArray[np.float32] = places.emb.vectors[places.row_of_vector[self.rows]]
        self.view = places.emb.view
        others = baselines(
            places.dataset,
            model,
            self.rows,
            view=self.view,
            seeds=range(seeds),
            executor=executor,
            progress=progress,
        )
        self.sets: dict[str, Variants] = {OURS: (ours,), **others}
        if COVERAGE in others:
            self.sets[BESIDE] = (beside(others[COVERAGE][0], ours),)

    def add(self, models: Mapping[str, Model], progress: Progress) -> None:
        """The vectors of further models, a row each."""
        for name, model in models.items():
            if name in self.sets:
                raise InputError(f"there is already a row {name!r}")
            view = self.view if self.view in model.dims else None
            vectors = model.vectors(
                self.dataset, self.rows, view=view, label=f"Embedding: {name}", progress=progress
            )
            self.sets[name] = (vectors,)

    def add_views(self, places: _Places, views: Mapping[str, Embeddings]) -> list[str]:
        """The vectors of single views, a row each; their names. Places that a view lacks are marked."""
        names = []
        ids = places.dataset.places["place_id"].to_numpy(object)[self.rows]
        for view, table in views.items():
            row = pd.Index(table.place_id).get_indexer(ids)
            vectors = np.where((row >= 0)[:, None], table.vectors[row], np.nan)
            names.append(f"{view} only")
            self.sets[names[-1]] = (with_missing(vectors),)
        return names

    def add_tables(self, places: _Places, tables: Mapping[str, Embeddings]) -> dict[str, str]:
        """The vectors of others, a row each; what to know of each, by its name. Places that a table lacks are marked.

        They are joined by place_id where they were made for this dataset, else by location.
        """
        told = {}
        dataset = places.dataset
        for name, table in tables.items():
            if name in self.sets:
                raise InputError(f"there is already a row {name!r}")
            if dataset.descends_from(table.provenance.dataset_hash):
                ids = dataset.places["place_id"].to_numpy(object)[self.rows]
                found = match_by_id(ids, table.place_id)
            else:
                found = match_by_location(dataset.geometry()[self.rows], table.geometry, table.lonlat)
            there = int(found.matched.sum())
            if not there:
                raise EvaluationError(f"{name} has no vector at any of the places that are evaluated")
            self.sets[name] = (with_missing(found.mean(table.vectors)),)
            told[name] = (
                f"{name} has vectors of {there:,} of {len(self.rows):,} places; what their model was trained on is "
                "unknown, so a leak cannot be ruled out"
            )
        return told

    def at(self, rows: Ints) -> dict[str, Variants]:
        """The feature sets of some of the places."""
        position = np.searchsorted(self.rows, rows)
        return {name: tuple(variant[position] for variant in sets) for name, sets in self.sets.items()}


@dataclass(frozen=True)
class _Ready:
    """A task on places that have vectors, allowed to run."""

    task: Task
    leaks: tuple[str, ...]
    notes: list[str]


def _own_tasks(
    labels: str | Path,
    dataset: Dataset,
    columns: Sequence[str] | None,
    kind: Kind | None,
    region: str | None,
    notes: list[str],
) -> list[Task]:
    """Tasks of the user's table; not of the column that names the regions, unless it is asked for.

    ``notes`` receives what was lost of the table.
    """
    found = label_tasks(labels, dataset, columns, kind, notes=notes)
    return [task for task in found if columns or task.name != region] or found


def _default_tasks(dataset: Dataset, labels: str | Path | None) -> tuple[str, ...]:
    """Tasks that the dataset has labels for; those of OpenStreetMap are named as missing if there are no others."""
    own = (LABELS_TASK,) if dataset.has_labels else ()
    return own if dataset.base_map is None and (own or labels is not None) else (*OSM_TASKS, *own)


def _tasks(dataset: Dataset, tasks: Sequence[str | Task]) -> tuple[list[Task], list[str]]:
    """(tasks, one line for each that could not be made)."""
    makers = {"landuse": landuse_task, "pois": poi_task, LABELS_TASK: labels_task}
    found, skipped = [], []
    bare: list[NoLabelsError] = []
    for task in tasks:
        if isinstance(task, Task):
            found.append(task)
            continue
        if task not in makers:
            raise EvaluationError(
                f"unknown task {task!r}: choose from {', '.join(makers)}, or use --labels for your own"
            )
        try:
            found.append(makers[task](dataset))
        except NoLabelsError as error:
            bare.append(error)
        except EvaluationError as error:
            skipped.append(str(error))
    if bare:
        which = f"{'tasks' if len(bare) > 1 else 'task'} {' and '.join(error.task for error in bare)}"
        skipped.append(
            f"{which}: {missing_labels([error.file for error in bare], dataset.base_map is not None)}"
        )
    return found, skipped


def _ready(task: Task, places: _Places, model: Model | None, budget: Budget, allow_leaks: bool) -> _Ready:
    """The task on places with vectors, no more than the budget has; EvaluationError says why it cannot run."""
    if model is not None and not allow_leaks:
        _check_not_trained_on(task, places, model)
        check_not_learned(task, model)
    leaks = () if model is None else leaking(task, model.seen)
    if leaks == COLORS and not allow_leaks:
        raise EvaluationError(
            f"task {task.name}: the model sees a map in colors, which may show the label; with --allow-leaks, the "
            f"task runs and is marked as a leak"
        )
    if leaks and not allow_leaks:
        raise EvaluationError(
            f"task {task.name}: the model sees {', '.join(leaks)}, which give the label away; "
            f"train with --drop-layers {','.join(task.leaks)}, or run with --allow-leaks to have it marked as a leak"
        )
    notes = [] if model is None else _trained_here(task, places, model)
    if model is not None and not allow_leaks:
        task, given_away = without_leaking_groups(task, model.seen)
        notes += [
            f"{name} is left out: it is visible in {', '.join(layers)}, which the model sees"
            for name, layers in given_away.items()
        ]
    if model is None and task.leaks:
        notes.append("which layers the model sees is unknown, so a leak cannot be ruled out")
    notes += places.left_out_of(task)
    task = task.taken(np.isin(task.rows, places.rows))
    count = len(task)
    if count == 0:
        raise EvaluationError(f"task {task.name}: no labeled place has a vector")
    if count > budget.places:
        task = sampled(task, budget.places)
        notes.append(f"{len(task):,} of {count:,} labeled places, drawn at random")
    if len(task.classes) < (2 if task.kind in OF_CLASSES else task.kind == "multilabel"):
        raise EvaluationError(
            f"task {task.name}: too few classes are left among {len(task)} places with vectors"
        )
    return _Ready(task, leaks, notes)


def _check_not_trained_on(task: Task, places: _Places, model: Model) -> None:
    """EvaluationError when the model was trained to predict this task's labels on places that would be tested."""
    lessons = [name for name in model.trained_labels if name in _TRAINED_LABELS.get(task.name, ())]
    rows = task.rows[np.isin(task.rows, places.rows)]
    if lessons and _trained_on(places, model, rows).any():
        raise EvaluationError(
            f"task {task.name}: the model was trained on {' and '.join(lessons)} of these places, so "
            "evaluating its vectors here would be misleading: evaluate it on another area, or run with "
            "--allow-leaks"
        )


def _trained_here(task: Task, places: _Places, model: Model) -> list[str]:
    """A note where the model was trained on labels of places that are tested: the task's may correlate with them."""
    rows = task.rows[np.isin(task.rows, places.rows)]
    if not model.trained_labels or not _trained_on(places, model, rows).any():
        return []
    return [
        f"the model was trained on {' and '.join(model.trained_labels)} of these places: its vectors look too good "
        f"on labels that correlate with them; evaluate on another area to be sure"
    ]


def _unfit(task: Task, places: _Places, other: Model) -> str:
    """Why a further model cannot take part in this task; empty when it can."""
    if leaks := leaking(task, other.seen):
        return f"it sees {', '.join(leaks)}"
    if shown := without_leaking_groups(task, other.seen)[1]:
        return f"it sees layers that show {', '.join(shown)}, which are predicted"
    try:
        _check_not_trained_on(task, places, other)
    except EvaluationError as error:
        return str(error)
    return ""


def trained_on(model: Model, lonlat: Floats) -> NDArray[np.bool_]:
    """(N,) whether each point (lon, lat degrees) lies in an area that the model was trained on.

    All do where the model does not name its areas.
    """
    named = model.training.get("areas")
    try:
        areas = [Area.from_dict(area) for area in named]  # type: ignore[union-attr]
    except (AreaError, TypeError, ValueError, KeyError, AttributeError):
        return np.ones(len(lonlat), bool)
    inside = np.zeros(len(lonlat), bool)
    for area in areas:
        inside |= area.contains(lonlat[:, 0], lonlat[:, 1])
    return inside


def _trained_on(places: _Places, model: Model, rows: Ints) -> NDArray[np.bool_]:
    """(R,) whether the model was trained on places of the dataset: not on blocks that its training held out."""
    seen = trained_on(model, places.dataset.lonlat[rows])
    split = places.split_of(model)
    if split is not None and split.by == "blocks":
        seen &= ~np.isin(rows, split.rows("validation"))
    return seen


def buffer_m_of(dataset: Dataset, model: Model | None) -> float:
    """Meters between training and tested places: footprints do not touch, and no training pair spans the gap.

    The diagonal of the widest footprint (or window of the model), plus the distance of the model's training pairs,
    which is one footprint where the model does not record it.
    """
    widest = float(dataset.footprint_m)
    radius = _DEFAULT_PAIR_RADIUS * widest
    if model is not None:
        widest = max([widest, *(spec.size_m for spec in model.specs.values() if spec.size_m is not None)])
        radius = _pair_distance_m(model, radius)
    return float(widest * 2.0**0.5 + radius)


def _pair_distance_m(model: Model, unknown: float) -> float:
    """Distance of the model's training pairs in meters, ``unknown`` where it does not record any."""
    near = model.training.get("near_m")
    return float(near) if isinstance(near, int | float) and math.isfinite(near) and near >= 0 else unknown


def _rows_without_labels(places: _Places, model: Model | None) -> tuple[Ints, str]:
    """(places to measure without labels, whether training has seen them).

    The blocks that training held out, where the run's split names them; else all places.
    """
    rows, basis = places.rows, UNKNOWN
    split = None if model is None else places.split_of(model)
    if split is not None and len(split.rows("train")):
        basis = TRAINED_ON
        if split.by == "blocks":
            found = np.intersect1d(split.rows("validation"), rows)
            if len(found) >= _ENOUGH_HELD_OUT:
                rows, basis = found, HELD_OUT
    elif model is not None and not places.is_unknown_to(model):
        there = "areas" in model.training and trained_on(model, places.dataset.lonlat[rows]).any()
        basis = TRAINED_ON if there else ELSEWHERE
    return np.sort(np.random.default_rng([0, 0x1F]).permutation(rows)[:_MAX_WITHOUT_LABELS]), basis


def _missing_baselines(rows: Mapping[str, Variants]) -> list[str]:
    """Notes on baselines that these places do not allow."""
    reasons = {
        AREA: "places are not polygons, or all have the same size",
        COUNTS: "the dataset holds no points of interest",
        COVERAGE: "the dataset holds no coverage of a map",
        MEAN_COLOR: "the model reads no images besides a map with coverage",
    }
    return [f"no row {name!r}: {why}" for name, why in reasons.items() if name not in rows]


def _why_no_model(emb: Embeddings) -> str:
    path = emb.provenance.model_path
    if emb.provenance.source:
        return (
            f"{emb.provenance.source} is published without its model: no untrained encoder is compared, and a leak "
            "cannot be ruled out"
        )
    without = "no untrained encoder is compared, and leaks cannot be ruled out"
    if path and (found_path(path) / "config.json").exists():
        return f"the model in {path} has changed since it made these vectors: {without}; embed again to compare with it"
    return f"the model that made these vectors was not found: {without}; give it with --model"


def _notes(model: Model | None, places: _Places, seeds: int, budget: str) -> list[str]:
    notes = []
    if model is None:
        notes.append(_why_no_model(places.emb))
    elif places.is_unknown_to(model):
        notes.append(UNKNOWN_SPLIT)
    if model is not None and (lessons := model.trained_labels):
        known = _trained_on(places, model, places.rows).any()
        where = "these places are among them" if known else "these places are not among them"
        notes.append(f"the model was trained on {', '.join(lessons)} of its training areas: {where}")
    if seeds < 3:
        notes.append(f"only {seeds} shuffle{'s' if seeds > 1 else ''}: use 3 or more for reliable intervals")
    if budget == "quick":
        notes.append(
            "quick budget: small probes with one setting each; use --budget full for reliable results"
        )
    return notes
