"""Tasks from a table of the user's own: one task a column, joined to places by place_id or by where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError, PlacevecError, SourceError
from placevec.evaluation.tasks import MIN_PLACES, Task, classes_task
from placevec.geo import Floats, Ints, lonlat_to_tile_xy, to_ecef
from placevec.geo.geoparquet import read_parquet
from placevec.sources.tables.points import ID_NAMES, LAT_NAMES, LON_NAMES, Points, read_points

SUFFIXES = (".csv", ".tsv", ".parquet", ".geojson", ".json", ".gpkg")
FEW_VALUES = 10
"""Whole numbers with at most so many distinct values are classes."""
MAX_CLASSES = 50
"""Text with more distinct values than this is not taken for classes unless the column is asked for."""
_NOT_LABELS = {*ID_NAMES, *LON_NAMES, *LAT_NAMES, "geometry", "bbox"}


def label_tasks(path: str | Path, dataset: Dataset, columns: Sequence[str] | None = None) -> list[Task]:
    """One task a column of a CSV, Parquet, GeoJSON or GeoPackage table.

    Rows meet places by ``place_id`` when the table has that column. Otherwise by coordinates (lon/lat columns or
    geometry): a point labels the nearest place, if it lies in its footprint; a polygon labels every place whose
    center it holds. Where several rows label one place, numbers are averaged and the commonest text is taken.

    Numbers become regression, or classes when they are whole and have at most `FEW_VALUES` distinct values; text
    and booleans become classes. Without ``columns`` every column that can be a task is one.

    Raises:
        SourceError: no such table, or nothing to join by.
        EvaluationError: no row lies on a place, no such column, or a column that cannot be a task.
    """
    path = Path(path)
    table, places, rows = _joined(path, dataset)
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


# --- joining -----------------------------------------------------------------------------------------------


def _joined(path: Path, dataset: Dataset) -> tuple[pd.DataFrame, Ints, Ints]:
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
            f"{path}: none of its {len(table)} place_ids (such as {first!r}) is a place of the dataset "
            f"(such as {ids[0]!r})"
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
