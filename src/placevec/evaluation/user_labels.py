"""Tasks from a table of the user's own: joined to places by place_id or by where they lie, or points by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError, InputError
from placevec.evaluation.label_columns import (
    are_numbers,
    flags_of,
    label_names,
    numbers_of,
    shares_of,
    texts_of,
)
from placevec.evaluation.label_rows import rows_of_places
from placevec.evaluation.tasks import (
    MIN_OF_A_CLASS,
    MIN_PLACES,
    WORLD_BLOCK_M,
    Kind,
    Task,
    classes_of,
    classes_task,
    point_task,
    rare_classes,
    with_common_classes,
)
from placevec.geo import Floats, Ints, to_ecef
from placevec.geo.coordinates import extent_of
from placevec.sources.tables.points import read_points

TOGETHER: tuple[Kind, ...] = ("distribution", "multilabel")
"""Kinds whose columns are one task."""
MAX_CLASSES = 50
"""Text with more distinct values than this is not taken for classes unless the column is asked for."""
MAX_CLASSES_ASKED_FOR = 2_000
OUTLIERS = 10
"""Interquartile ranges from the median beyond which a number is reported."""


def label_tasks(
    path: str | Path,
    dataset: Dataset,
    columns: Sequence[str] | None = None,
    kind: Kind | None = None,
    *,
    notes: list[str] | None = None,
) -> list[Task]:
    """Tasks from the columns of a CSV, Parquet, GeoJSON or GeoPackage table.

    Rows meet places by ``place_id`` when the table has that column. Otherwise by coordinates (lon/lat columns or
    geometry): a point labels the nearest place, if it lies in its footprint; a polygon labels every place whose
    center it holds. Where several rows label one place, numbers are averaged and the commonest text is taken.

    Args:
        path: the table.
        dataset: whose places are labeled.
        columns: of labels; by default every column that can be a task.
        kind: of the tasks. By default a column of numbers is ``regression``, and one of text, booleans, or whole
            numbers with at most `MAX_VALUES` distinct values ``classification``. ``presence`` takes columns of 0 and 1,
            ``retrieval`` asks whether the nearest vectors share the class. All columns together are one task of
            ``multilabel`` (0 and 1), or one ``distribution`` (shares that sum to 1, or percentages).
        notes: receives a line for each loss: rows and places without a match, and cells that cannot be read.

    Raises:
        SourceError: a missing or damaged table, or nothing to join by.
        EvaluationError: no row lies on a place, an unknown column, or a column that cannot be a task.
    """
    path = Path(path)
    table, places, rows = rows_of_places(path, dataset, notes)
    names = [str(name) for name in table.columns]
    table = table.set_axis(names, axis=1)
    wanted = list(columns) if columns else label_names(names)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise EvaluationError(f"{path} has no column {missing[0]!r}; it has: {', '.join(names[:20])}")
    if kind in TOGETHER:
        try:
            return [_task_of_all(path.stem, table[wanted].iloc[rows], places, kind)]
        except EvaluationError as error:
            raise EvaluationError(f"{path}: {error}") from None
    tasks, unusable = [], []
    for name in wanted:
        try:
            tasks.append(_column_task(name, table[name].iloc[rows], places, kind, asked_for=bool(columns)))
        except EvaluationError as error:
            if columns:
                raise
            unusable.append(str(error))
    if not tasks:
        raise EvaluationError(
            f"no column of {path} can be used as a task: {'; '.join(unusable[:3]) or 'there is none'}"
        )
    return tasks


def points_task(path: str | Path, label: str | None = None, block_m: float | None = None) -> Task:
    """The points of a CSV, Parquet, GeoJSON, GeoPackage or Shapefile with a column to predict.

    Args:
        path: the table, with lon and lat or geometries.
        label: the column; by default ``label``, or the only one that is neither coordinate nor id. Numbers and classes
            are recognized as in `label_tasks`.
        block_m: side of the spatial blocks, meters; by default a tenth of the extent, at most ten degrees.

    Raises:
        SourceError: a missing or damaged table, or one without coordinates.
        InputError: an unknown column.
        EvaluationError: too few points, or labels that are all the same.
    """
    path = Path(path)
    points = read_points(path)
    column = _label_column([str(name) for name in points.table.columns], label, path)
    values = points.table[column].replace([np.inf, -np.inf], np.nan)
    known = np.isfinite(points.lonlat).all(axis=1) & values.notna().to_numpy()
    lonlat, values = points.lonlat[known], values[known]
    if len(values) == 0:
        raise EvaluationError(f"{path.name}: no row has coordinates and a {column}")
    name = re.sub(r"[^A-Za-z0-9]+", "-", path.stem).strip("-")[:60] or "own"
    lost = int((~known).sum())
    about: dict[str, Any] = {
        "block_m": _block_of(lonlat) if block_m is None else block_m,
        "description": f"{column} of {path.name}",
        "notes": (
            *points.notes,
            *(
                [f"{lost:,} of {len(known):,} rows lack coordinates or a {column} and are left out"]
                if lost
                else []
            ),
        ),
    }
    if are_numbers(column, values):
        return point_task(name, "regression", lonlat, numbers_of(column, values), **about)
    target, names = classes_of(texts_of(column, values, MAX_CLASSES_ASKED_FOR))
    task = point_task(name, "classification", lonlat, target, names, **about)
    return with_common_classes(
        replace(task, notes=(*task.notes, *rare_classes(task.counts(), MIN_OF_A_CLASS)))
    )


def _label_column(columns: list[str], label: str | None, path: Path) -> str:
    if label is not None:
        if label not in columns:
            raise InputError(f"{path.name} has no column {label!r}; it has {', '.join(columns[:12])}")
        return label
    if "label" in columns:
        return "label"
    others = label_names(columns)
    if len(others) != 1:
        raise InputError(
            f"{path.name} has {len(others)} columns that could be the label: name one with --label"
            + (f" ({', '.join(others[:8])})" if others else "")
        )
    return others[0]


def _block_of(lonlat: Floats) -> float:
    """A tenth of the diagonal of the box around the points, in meters, from 1 km to ten degrees."""
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    diagonal = extent_of(xyz)
    return float(np.clip(diagonal / 10.0, 1_000.0, WORLD_BLOCK_M))


# --- columns -----------------------------------------------------------------------------------------------


def _column_task(name: str, values: pd.Series, places: Ints, kind: Kind | None, *, asked_for: bool) -> Task:
    """A task from one column, its rows already matched to places."""
    known = values.notna().to_numpy()
    missing = len(np.setdiff1d(places, places[known]))
    notes: tuple[str, ...] = ()
    if missing:
        notes = (f"{missing:,} of {len(np.unique(places)):,} places in the table have no value",)
    values, places = values[known], places[known]
    if len(values) == 0:
        raise EvaluationError(f"column {name!r} has no value at any place")
    described = f"column {name} of the given labels"
    if kind is None:
        kind = "regression" if are_numbers(name, values) else "classification"
    if kind == "regression":
        numbers = numbers_of(name, values)
        finite = np.isfinite(numbers)
        means = pd.Series(numbers[finite]).groupby(places[finite]).mean()
        if len(means) < 2 * MIN_PLACES or means.nunique() < 2:
            same = f", all {means.iloc[0]:g}" if means.nunique() == 1 else ""
            raise EvaluationError(
                f"column {name!r} has values at {len(means)} places{same}; at least {2 * MIN_PLACES} are needed, "
                f"with at least two different values"
            )
        if not finite.all():
            notes += (f"{int((~finite).sum()):,} infinite values of {name} are left out",)
        notes += outliers_of(name, means.to_numpy())
        return Task(
            name, kind, means.to_numpy(), means.index.to_numpy(np.int64), description=described, notes=notes
        )
    if kind == "presence":
        held = pd.Series(flags_of(name, values)).groupby(places).max().astype(np.int64)
        _check_both(name, held.to_numpy())
        rows = held.index.to_numpy(np.int64)
        return Task(
            name, kind, held.to_numpy(), rows, ("absent", "present"), description=described, notes=notes
        )
    texts = pd.Series(texts_of(name, values, MAX_CLASSES_ASKED_FOR if asked_for else MAX_CLASSES))
    commonest = texts.groupby(places).agg(lambda held: held.mode().iloc[0])
    task = classes_task(
        name, commonest.to_numpy(object), commonest.index.to_numpy(np.int64), description=described, kind=kind
    )
    return replace(task, notes=(*task.notes, *notes))


def outliers_of(name: str, values: Floats) -> tuple[str, ...]:
    """A note where numbers lie far from the rest: squared errors, and so R², hang on them.

    >>> outliers_of("rent", np.append(np.arange(99.0), -9999.0))[0][:82]
    '1 value of rent beyond 10 interquartile ranges from the median, such as -9999: R² '
    """
    low, middle, high = np.percentile(values, [25, 50, 75])
    far = values[np.abs(values - middle) > OUTLIERS * (high - low)] if high > low else values[:0]
    if len(far) == 0:
        return ()
    worst = far[np.argmax(np.abs(far - middle))]
    many = f"{len(far):,} {'value' if len(far) == 1 else 'values'} of {name}"
    return (
        f"{many} beyond {OUTLIERS} interquartile ranges from the median, such as {worst:g}: R² depends on them; "
        f"empty the cells that hold no real value, and take the logarithm of values that span orders of magnitude",
    )


def _task_of_all(name: str, table: pd.DataFrame, places: Ints, kind: Kind) -> Task:
    """One task from all columns, their rows already matched to places."""
    known = table.notna().all(axis=1).to_numpy()
    missing = len(np.setdiff1d(places, places[known]))
    many = len(np.unique(places))
    notes = (f"{missing:,} of {many:,} places in the table lack a value in a column",) if missing else ()
    table, places = table[known], places[known]
    columns = tuple(table.columns)
    if len(table) == 0 or not columns:
        raise EvaluationError("no place has a value in every column")
    described = f"columns {', '.join(columns)} of the given labels"
    if kind == "distribution":
        values = shares_of(table)
        means = pd.DataFrame(values).groupby(places).mean()
        if len(means) < 2 * MIN_PLACES:
            raise EvaluationError(
                f"only {len(means)} places have shares; at least {2 * MIN_PLACES} are needed"
            )
    else:
        values = np.stack([flags_of(column, table[column]) for column in columns], axis=-1)
        means = pd.DataFrame(values).groupby(places).max()
        for column, held in zip(columns, means.to_numpy(bool).T, strict=True):
            _check_both(column, held)
    rows = means.index.to_numpy(np.int64)
    return Task(name, kind, means.to_numpy(), rows, columns, description=described, notes=notes)


def _check_both(name: str, held: NDArray[Any]) -> None:
    there = int(held.sum())
    if min(there, len(held) - there) < MIN_PLACES:
        raise EvaluationError(
            f"column {name!r} is 1 at {there} of {len(held)} places; at least {MIN_PLACES} ones and "
            f"{MIN_PLACES} zeros are needed"
        )
