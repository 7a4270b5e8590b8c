"""A task from a table that the user brings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from placevec.errors import EvaluationError, InputError
from placevec.evaluation.tasks import WORLD_BLOCK_M, Task, classes_of, point_task, with_common_classes
from placevec.geo import Floats, to_ecef
from placevec.sources.tables.points import read_points

MAX_CLASSES = 2_000
_NOT_LABELS = ("lon", "lat", "longitude", "latitude", "lng", "long", "x", "y", "place_id", "id", "geometry")


def own_task(path: str | Path, label: str | None = None, block_m: float | None = None) -> Task:
    """The points of a CSV, Parquet, GeoJSON, GeoPackage or Shapefile with a column to predict.

    Args:
        path: the table, with lon and lat or geometries.
        label: the column; by default ``label``, or the only one that is neither coordinate nor id. Numbers that are not
            all whole are predicted as numbers, everything else as classes.
        block_m: side of the spatial blocks, meters; by default a tenth of the extent, at most ten degrees.

    Raises:
        SourceError: no such table, or one without coordinates.
        InputError: no such column.
        EvaluationError: too few points, or labels that are all the same.
    """
    path = Path(path)
    points = read_points(path)
    column = _label_column(list(map(str, points.table.columns)), label, path)
    values = points.table[column]
    known = np.isfinite(points.lonlat).all(axis=1) & values.notna().to_numpy()
    if values.dtype.kind == "f":
        known &= np.isfinite(values.to_numpy(np.float64))
    lonlat, values = points.lonlat[known], values[known]
    name = re.sub(r"[^A-Za-z0-9]+", "-", path.stem).strip("-")[:60] or "own"
    if len(values) == 0:
        raise EvaluationError(f"{path.name}: no row has coordinates and a {column}")
    size = _block_of(lonlat) if block_m is None else block_m
    if values.dtype.kind == "f" and not (values == np.round(values)).all():
        return point_task(
            name,
            "regression",
            lonlat,
            values.to_numpy(np.float64),
            block_m=size,
            description=f"{column} of {path.name}",
        )
    target, names = classes_of(values.astype(str).to_numpy())
    if len(names) > MAX_CLASSES:
        raise EvaluationError(
            f"{path.name}: {column} has {len(names):,} different values; as classes at most {MAX_CLASSES:,} are taken. "
            "Numbers to predict as such need a fraction somewhere, or choose another column with --label"
        )
    return with_common_classes(
        point_task(
            name,
            "classification",
            lonlat,
            target,
            names,
            block_m=size,
            description=f"{column} of {path.name}",
        )
    )


def _label_column(columns: list[str], label: str | None, path: Path) -> str:
    others = [name for name in columns if name.lower() not in _NOT_LABELS]
    if label is not None:
        if label not in columns:
            raise InputError(f"{path.name} has no column {label!r}; it has {', '.join(columns[:12])}")
        return label
    if "label" in columns:
        return "label"
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
