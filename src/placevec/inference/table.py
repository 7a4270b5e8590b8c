"""Writes a table of a model's predictions at points, in batches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from placevec.errors import InputError
from placevec.geo import Floats
from placevec.inference.query import Question, answering
from placevec.inference.timed_rows import TimedRows
from placevec.io import parquet
from placevec.io.atomic import replacing
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model
from placevec.sources.tables.dates import known_rows
from placevec.sources.tables.labeled_points import PointTable
from placevec.sources.tables.values import texts

_MAX_NUMBERS = 2**24


@dataclass(frozen=True)
class TableReport:
    """Summary of the table that was written.

    Attributes:
        path: the GeoParquet file.
        rows: number of points, the same as in the input table.
        without: number of points without coordinates, or without a time that the model needs: they have no prediction.
        columns: the columns for each point.
    """

    path: Path
    rows: int
    without: int
    columns: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One line for the console."""
        missing = f", {self.without:,} of them without coordinates or time" if self.without else ""
        return f"{self.rows:,} points{missing}: {', '.join(self.columns[3:-1])}"


def write_table(
    model: Model, points: PointTable, path: Path, *, question: Question | None = None,
    year: tuple[float, ...] | None = None,
    progress: Progress = SILENT,
) -> TableReport:  # fmt: skip
    """Write GeoParquet with one row per point, in the order of ``points``, atomically.

    Columns: ``place_id``, ``lon``, ``lat``; for a model of numbers ``prediction``; otherwise ``prediction``, the most
    likely class, its ``probability``, and ``probability: NAME`` for each queried class; ``geometry``.

    Args:
        model: a model with a head that reads coordinates.
        points: the points to predict for.
        path: the file.
        question: classes whose probability is added; its model must be ``model``.
        year: the time to predict for, see `Model.times`, unless the table has a column of dates.
        progress: receives progress reports.

    Raises:
        ModelError: the model has no head, or reads other views.
        InputError: no point has coordinates.
    """
    head = answering(model)
    asked = question.names if question is not None and head.kind != "number" else ()
    most = [pa.field("prediction", pa.float32())]
    if head.kind != "number":
        most = [
            pa.field("prediction", pa.dictionary(pa.int32(), pa.string())),
            pa.field("probability", pa.float32()),
        ]
    told = [*most, *(pa.field(f"probability: {name}", pa.float32()) for name in asked)]
    fields = [pa.field("place_id", pa.string()), pa.field("lon", pa.float64()), pa.field("lat", pa.float64())]
    schema = pa.schema([*fields, *told, pa.field("geometry", pa.binary())], metadata=_metadata(model))
    rows = without = behind = 0
    timed = TimedRows(model, points, "they stay in the table, without a prediction")
    at_once = max(256, _MAX_NUMBERS // head.outputs)
    with replacing(path) as temporary, progress.task("Predicting", total=points.total) as advance:
        with parquet.ParquetWriter(temporary, schema) as file:
            for batch in points.batches():
                times = timed.of(batch)
                if times is None and year is not None:
                    times = np.tile(np.array(year, np.float64), (len(batch), 1))
                for start in range(0, len(batch), at_once):
                    part = batch.lonlat[start : start + at_once]
                    named = batch.cells.get("id")
                    names = (
                        pa.array([str(batch.first + start + row) for row in range(len(part))], pa.string())
                        if named is None
                        else texts(named.slice(start, len(part)))
                    )
                    when = None if times is None else times[start : start + at_once]
                    table = _part(model, names, part, asked, when, schema)
                    file.write_table(table)
                    without += table["prediction"].null_count
                rows += len(batch)
                advance(batch.done - behind)
                behind = batch.done
        if rows == without:
            raise InputError(
                f"no row of {points.path} has coordinates"
                + (" and a time that the model can use" if timed.undated else "")
                + ": there is nothing to predict"
            )
    for note in (*points.notes, *timed.notes):
        progress.say(f"Note: {note}")
    return TableReport(path, rows, without, tuple(schema.names))


def _part(
    model: Model, names: pa.Array, lonlat: Floats, asked: tuple[str, ...], times: Floats | None, schema: pa.Schema
) -> pa.Table:  # fmt: skip
    """Rows of the table."""
    import shapely

    head = answering(model)
    placed = np.asarray(np.isfinite(lonlat).all(axis=1))
    known = placed if times is None else placed & known_rows(times)
    answers = np.full((len(lonlat), head.outputs), np.nan, np.float32)
    answers[known] = model.predict_lonlat(lonlat[known], None if times is None else times[known])
    none = ~known
    columns: list[Any] = [names, pa.array(lonlat[:, 0], mask=~placed), pa.array(lonlat[:, 1], mask=~placed)]
    if head.kind == "number":
        columns.append(pa.array(answers[:, 0], mask=none))
    else:
        best = np.where(known, np.nan_to_num(answers, nan=-1.0).argmax(axis=1), 0).astype(np.int32)
        codes = pa.array(best, pa.int32(), mask=none)
        columns.append(pa.DictionaryArray.from_arrays(codes, pa.array(head.classes, pa.string())))
        columns.append(pa.array(answers[np.arange(len(best)), best], mask=none))
        columns += [pa.array(answers[:, head.classes.index(name)], mask=none) for name in asked]
    points = shapely.to_wkb(shapely.points(np.where(placed[:, None], lonlat, 0.0)))
    columns.append(pa.array(points, pa.binary(), mask=~placed))
    return pa.table(columns, schema=schema)


def _metadata(model: Model) -> dict[str, str]:
    geo = {
        "version": "1.1.0", "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"]}},
    }  # fmt: skip
    told = {
        "model_hash": model.hash,
        "dataset": str(model.training.get("dataset", "unknown")),
        "attribution": str(model.training.get("attribution", "unknown")),
    }
    return {"geo": json.dumps(geo), "placevec": json.dumps(told, ensure_ascii=False)}
