"""Tasks from a table of the user's own: joined to places by place_id or by where they lie, or points by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError, InputError, PlacevecError, SourceError
from placevec.evaluation.label_columns import (
    are_numbers,
    flags_of,
    label_names,
    numbers_of,
    shares_of,
    texts_of,
)
from placevec.evaluation.tasks import (
    MIN_PLACES,
    WORLD_BLOCK_M,
    Kind,
    Task,
    classes_of,
    classes_task,
    point_task,
    with_common_classes,
)
from placevec.geo import Floats, Ints, lonlat_to_tile_xy, to_ecef
from placevec.geo.geoparquet import read_parquet
from placevec.sources.tables.points import Points, read_points

SUFFIXES = (".csv", ".tsv", ".parquet", ".geojson", ".json", ".gpkg")
TOGETHER: tuple[Kind, ...] = ("distribution", "multilabel")
"""Kinds whose columns are one task."""
MAX_CLASSES = 50
"""Text with more distinct values than this is not taken for classes unless the column is asked for."""
MAX_CLASSES_ASKED_FOR = 2_000


def label_tasks(
    path: str | Path, dataset: Dataset, columns: Sequence[str] | None = None, kind: Kind | None = None
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

    Raises:
        SourceError: a missing or damaged table, or nothing to join by.
        EvaluationError: no row lies on a place, an unknown column, or a column that cannot be a task.
    """
    path = Path(path)
    table, places, rows = joined(path, dataset)
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
            f"no column of {path} can be a task: {'; '.join(unusable[:3]) or 'there is none'}"
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
    about: dict[str, Any] = {
        "block_m": _block_of(lonlat) if block_m is None else block_m,
        "description": f"{column} of {path.name}",
    }
    if are_numbers(column, values):
        return point_task(name, "regression", lonlat, numbers_of(column, values), **about)
    target, names = classes_of(texts_of(column, values, MAX_CLASSES_ASKED_FOR))
    return with_common_classes(point_task(name, "classification", lonlat, target, names, **about))


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
    diagonal = float(np.linalg.norm(xyz.max(axis=0) - xyz.min(axis=0)))
    return float(np.clip(diagonal / 10.0, 1_000.0, WORLD_BLOCK_M))


# --- joining -----------------------------------------------------------------------------------------------


def joined(path: Path, dataset: Dataset) -> tuple[pd.DataFrame, Ints, Ints]:
    """(table, place rows, table rows): pairs of a place and a row of the table that labels it."""
    if path.suffix.lower() not in SUFFIXES:
        raise SourceError(f"labels come as {', '.join(SUFFIXES)}; got {path.name!r}")
    ids = dataset.places["place_id"].to_numpy(object)
    table = _plain_table(path)
    if table is None or "place_id" not in table.columns:
        points = read_points(path)
        table = points.table
        if "place_id" not in table.columns:
            places, rows = _by_ground(points, dataset)
            if len(places) == 0:
                raise EvaluationError(f"{path}: {_apart(points.lonlat, dataset)}")
            return table, places, rows
    found = pd.Index(ids).get_indexer([str(name) for name in table["place_id"]])
    rows = np.flatnonzero(found >= 0)
    if len(rows) == 0:
        first = str(table["place_id"].iloc[0])[:40] if len(table) else "none"
        raise EvaluationError(
            f"{path}: the dataset has no place with any of its {len(table)} place_ids (such as {first!r}); the dataset's "
            f"are such as {ids[0]!r}"
        )
    return table, found[rows].astype(np.int64), rows


def _plain_table(path: Path) -> pd.DataFrame | None:
    """CSV and Parquet without looking for coordinates; None for the other formats."""
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            return pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",", dtype={"place_id": str})
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            schema = pq.read_schema(path)
            kept = [field.name for field in schema if field.name not in ("geometry", "bbox", "embedding")]
            return read_parquet(path, columns=kept).to_pandas(ignore_metadata=True)
    except FileNotFoundError:
        raise SourceError(f"the table {path} does not exist") from None
    except PlacevecError:
        raise
    except Exception as error:  # pandas and pyarrow each raise their own for a damaged file
        raise SourceError(f"cannot read {path} as a table: {error or type(error).__name__}") from error
    return None


def _by_ground(points: Points, dataset: Dataset) -> tuple[Ints, Ints]:
    import shapely

    located = np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1))
    area = np.array(
        [shape is not None and shape.geom_type.endswith("Polygon") for shape in points.geometry], bool
    )
    places, rows = _in_footprint(points.lonlat, np.flatnonzero(~area), dataset, located)
    if area.any():
        polygons = np.flatnonzero(area)
        tree = shapely.STRtree(points.geometry[polygons])
        centers = shapely.points(dataset.lonlat[located])
        inside, polygon = tree.query(centers, predicate="within")
        places, rows = np.append(places, located[inside]), np.append(rows, polygons[polygon])
    return places, rows


def _in_footprint(lonlat: Floats, rows: Ints, dataset: Dataset, located: Ints) -> tuple[Ints, Ints]:
    """The nearest place of each point, where the point lies in its footprint."""
    from scipy.spatial import cKDTree

    rows = rows[np.isfinite(lonlat[rows]).all(axis=1) & (np.abs(lonlat[rows, 1]) < 85.0)]
    if len(rows) == 0 or len(located) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    centers = to_ecef(dataset.lonlat[located, 0], dataset.lonlat[located, 1])
    _, nearest = cKDTree(centers).query(to_ecef(lonlat[rows, 0], lonlat[rows, 1]))
    places = located[nearest]
    at = lonlat_to_tile_xy(lonlat[rows, 0], lonlat[rows, 1], dataset.zoom)
    box = dataset.footprints()[places]
    inside = ((at >= box[:, :2]) & (at <= box[:, 2:])).all(axis=1)
    return places[inside], rows[inside]


def _apart(lonlat: Floats, dataset: Dataset) -> str:
    def extent(points: Floats) -> str:
        known = points[np.isfinite(points).all(axis=1)]
        if len(known) == 0:
            return "nowhere"
        (west, south), (east, north) = known.min(axis=0), known.max(axis=0)
        return f"lon {west:.4f} to {east:.4f}, lat {south:.4f} to {north:.4f}"

    return f"no row lies on a place: rows are at {extent(lonlat)}, places at {extent(dataset.lonlat)}"


# --- columns -----------------------------------------------------------------------------------------------


def _column_task(name: str, values: pd.Series, places: Ints, kind: Kind | None, *, asked_for: bool) -> Task:
    """A task from one column, its rows already matched to places."""
    known = values.notna().to_numpy()
    values, places = values[known], places[known]
    if len(values) == 0:
        raise EvaluationError(f"column {name!r} has no value on any place")
    described = f"column {name} of the given labels"
    if kind is None:
        kind = "regression" if are_numbers(name, values) else "classification"
    if kind == "regression":
        numbers = numbers_of(name, values)
        finite = np.isfinite(numbers)
        means = pd.Series(numbers[finite]).groupby(places[finite]).mean()
        if len(means) < 2 * MIN_PLACES or means.nunique() < 2:
            raise EvaluationError(
                f"column {name!r} has values on {len(means)} places; {2 * MIN_PLACES} that differ are needed"
            )
        return Task(name, kind, means.to_numpy(), means.index.to_numpy(np.int64), description=described)
    if kind == "presence":
        held = pd.Series(flags_of(name, values)).groupby(places).max().astype(np.int64)
        _check_both(name, held.to_numpy())
        rows = held.index.to_numpy(np.int64)
        return Task(name, kind, held.to_numpy(), rows, ("absent", "present"), description=described)
    texts = pd.Series(texts_of(name, values, MAX_CLASSES_ASKED_FOR if asked_for else MAX_CLASSES))
    commonest = texts.groupby(places).agg(lambda held: held.mode().iloc[0])
    return classes_task(
        name, commonest.to_numpy(object), commonest.index.to_numpy(np.int64), description=described, kind=kind
    )


def _task_of_all(name: str, table: pd.DataFrame, places: Ints, kind: Kind) -> Task:
    """One task from all columns, their rows already matched to places."""
    known = table.notna().all(axis=1).to_numpy()
    table, places = table[known], places[known]
    columns = tuple(table.columns)
    if len(table) == 0 or not columns:
        raise EvaluationError("no place has a value in every column")
    described = f"columns {', '.join(columns)} of the given labels"
    if kind == "distribution":
        values = shares_of(table)
        means = pd.DataFrame(values).groupby(places).mean()
        if len(means) < 2 * MIN_PLACES:
            raise EvaluationError(f"shares are known of {len(means)} places; {2 * MIN_PLACES} are needed")
    else:
        values = np.stack([flags_of(column, table[column]) for column in columns], axis=-1)
        means = pd.DataFrame(values).groupby(places).max()
        for column, held in zip(columns, means.to_numpy(bool).T, strict=True):
            _check_both(column, held)
    return Task(name, kind, means.to_numpy(), means.index.to_numpy(np.int64), columns, description=described)


def _check_both(name: str, held: NDArray[Any]) -> None:
    there = int(held.sum())
    if min(there, len(held) - there) < MIN_PLACES:
        raise EvaluationError(
            f"column {name!r} is 1 on {there} of {len(held)} places; {MIN_PLACES} of either are needed"
        )
