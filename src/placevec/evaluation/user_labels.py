"""Tasks from a table of the user's own: one task a column, joined to places by place_id or by where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.label_rows import rows_of_places
from placevec.evaluation.tasks import MIN_PLACES, Task, classes_task
from placevec.geo import Ints
from placevec.sources.tables.columns import ID_NAMES, LAT_NAMES, LON_NAMES

FEW_VALUES = 10
"""Whole numbers with at most so many distinct values are classes."""
MAX_CLASSES = 50
"""Text with more distinct values than this is not taken for classes unless the column is asked for."""
_NOT_LABELS = {*ID_NAMES, "osm_id", "name", *LON_NAMES, *LAT_NAMES, "geometry", "bbox"}


def label_tasks(
    path: str | Path,
    dataset: Dataset,
    columns: Sequence[str] | None = None,
    *,
    notes: list[str] | None = None,
) -> list[Task]:
    """One task a column of a CSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf table.

    Rows meet places by ``place_id`` when the table has that column. Otherwise by coordinates (lon/lat columns or
    geometry): a point labels the nearest place, if it lies in its footprint; a polygon labels every place whose
    center it holds. Where several rows label one place, numbers are averaged and the commonest text is taken.

    Numbers become regression, or classes when they are whole and have at most `FEW_VALUES` distinct values; text
    and booleans become classes. Without ``columns`` every column that can be a task is one. What was lost of the table
    is appended to ``notes``, a line each.

    Raises:
        SourceError: no such table, or nothing to join by.
        EvaluationError: no row lies on a place, no such column, or a column that cannot be a task.
    """
    path = Path(path)
    table, places, rows = rows_of_places(path, dataset, notes)
    names = [str(name) for name in table.columns]
    table = table.set_axis(names, axis=1)
    wanted = list(columns) if columns else [name for name in names if name.lower() not in _NOT_LABELS]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise EvaluationError(f"{path} has no column {missing[0]!r}; it has: {', '.join(names[:20])}")
    tasks, refused = [], []
    for name in wanted:
        try:
            tasks.append(_column_task(name, table[name], places, rows, asked_for=bool(columns)))
        except EvaluationError as error:
            if columns:
                raise
            refused.append(str(error))
    if not tasks:
        raise EvaluationError(
            f"no column of {path} can be a task: {'; '.join(refused[:3]) or 'there is none'}"
        )
    return tasks


# --- columns -----------------------------------------------------------------------------------------------


def _column_task(name: str, column: pd.Series, places: Ints, rows: Ints, *, asked_for: bool) -> Task:
    """A task from one column, its rows already matched to places."""
    values = column.iloc[rows]
    known = values.notna().to_numpy()
    values, places = values[known], places[known]
    if len(values) == 0:
        raise EvaluationError(f"column {name!r} has no value on any place")
    described = f"column {name} of the given labels"
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(np.float64)
        if not _few_whole(numbers):
            return _regression(name, numbers, places, described)
        texts = numbers.astype(np.int64).astype(str).astype(object)
    elif all(isinstance(value, str | bool | np.bool_) for value in values):
        texts = values.astype(str).to_numpy(object)
    else:
        raise EvaluationError(f"column {name!r} holds neither numbers nor text")
    distinct = len(np.unique(texts.astype(str)))
    if distinct > MAX_CLASSES and not asked_for:
        raise EvaluationError(f"column {name!r} has {distinct} distinct texts, too many for classes")
    frame = pd.DataFrame({"place": places, "text": texts})
    commonest = frame.groupby("place")["text"].agg(lambda held: held.mode().iloc[0])
    return classes_task(
        name, commonest.to_numpy(object), commonest.index.to_numpy(np.int64), description=described
    )


def _few_whole(numbers: NDArray[Any]) -> bool:
    distinct = np.unique(numbers)
    return len(distinct) <= FEW_VALUES and bool((distinct == np.rint(distinct)).all())


def _regression(name: str, numbers: NDArray[Any], places: Ints, description: str) -> Task:
    finite = np.isfinite(numbers)
    means = pd.Series(numbers[finite]).groupby(places[finite]).mean()
    if len(means) < 2 * MIN_PLACES or means.nunique() < 2:
        raise EvaluationError(
            f"column {name!r} has values on {len(means)} places; {2 * MIN_PLACES} that differ are needed"
        )
    return Task(
        name,
        "regression",
        means.to_numpy(np.float64),
        means.index.to_numpy(np.int64),
        description=description,
    )
