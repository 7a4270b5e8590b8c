"""Last step for a table of points: writes ``places.parquet`` and ``labels.parquet`` together, batch by batch."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import LABELS, OF_DATES, SPLITS
from placevec.datasets.layout import PLACES
from placevec.errors import SourceError
from placevec.geo.geoparquet import geo_of_points, wkb_points
from placevec.io import parquet
from placevec.io.atomic import replacing
from placevec.io.progress import Progress
from placevec.preparation.existing_places import PlaceIds
from placevec.preparation.points.label_schema import Decided
from placevec.preparation.points.split import Sides, SplitPlan
from placevec.preparation.points.stage import Staged
from placevec.sources.tables.values import numbers

_PLACES = pa.schema(
    {
        "place_id": pa.string(),
        "lon": pa.float64(),
        "lat": pa.float64(),
        "name": pa.string(),
        "geometry": pa.binary(),
    }
)


MAX_USERS = 2_000_000
"""Maximum number of users: their names are held in memory until the end."""


class Users:
    """Indices of users, in order of appearance; SourceError if there are more than `MAX_USERS`."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._number)

    def of(self, names: pa.Array) -> pa.Array:
        """int32 index of each; null if there is no name."""
        encoded = names.dictionary_encode()
        told = encoded.dictionary.to_pylist()
        table = np.array([self._number.setdefault(name, len(self._number)) for name in told], np.int32)
        if not len(table):
            return pa.nulls(len(names), pa.int32())
        if len(self) > MAX_USERS:
            raise SourceError(
                f"the column of --user has more than {MAX_USERS:,} users: does it list observations instead of observers?"
            )
        codes = np.asarray(encoded.indices.fill_null(0))
        return pa.array(table[codes], mask=np.asarray(encoded.indices.is_null()))


def write_rows(
    staged: Staged, decided: Decided | None, plan: SplitPlan, out: Path, *, progress: Progress
) -> dict[str, int]:
    """Write the rows that are used; ``decided`` is None for places without labels.

    Returns:
        Number of places (``places``), of places without coordinates (``unplaced``), and of ``users``.
    """
    total = {"places": 0, "unplaced": 0, "users": 0}
    users = Users()
    sides = None if decided is None else Sides(plan, classes=decided.kind == "classes")
    with contextlib.ExitStack() as stack, progress.task("Writing places", total=staged.rows) as advance:
        places = stack.enter_context(_writer(stack, out / PLACES, _PLACES))
        labels: parquet.ParquetWriter | None = None
        for batch, used in staged.batches():
            kept = used.copy()
            columns: dict[str, pa.Array] = {}
            if decided is not None and sides is not None:
                columns, known = _labels(batch, decided, sides.of(batch, used))
                kept &= known
            keep = pa.array(kept)
            if decided is not None:
                if "user" in staged.columns:
                    columns["user"] = users.of(
                        pc.if_else(keep, batch.column("user"), pa.scalar(None, pa.string()))
                    )
                for name in (*OF_DATES, "image_row"):
                    if name in staged.columns:
                        column = batch.column(name)
                        columns[name] = _nan_as_null(column) if name in OF_DATES else column
                table = pa.table(columns).filter(keep)
                if labels is None:
                    labels = stack.enter_context(_writer(stack, out / LABELS, table.schema))
                labels.write_table(table)
            rows = _places(batch.filter(keep))
            places.write_table(rows)
            total["places"] += rows.num_rows
            total["unplaced"] += rows["geometry"].null_count
            advance(batch.num_rows)
        places.add_key_value_metadata({"geo": json.dumps(geo_of_points(staged.bounds))})
    total["users"] = len(users)
    return total


def write_added_labels(
    staged: Staged, decided: Decided, plan: SplitPlan, dataset: Dataset, folder: Path, *, progress: Progress
) -> dict[str, int]:
    """Write ``labels.parquet`` for the places of a dataset into a folder, one row per place; unknown without a
    matching row.

    A place without a label belongs to the split of its block if blocks are split, otherwise to training: only labeled
    places are evaluated.

    Returns:
        Number of labeled places (``places``), of those without coordinates (``unplaced``), and of ``users``.
    """
    count, users, ids = len(dataset), Users(), PlaceIds(dataset)
    side = _sides_of(dataset, plan)
    held: dict[str, NDArray[Any]] = {
        "label": np.full(count, -1, np.int32) if decided.kind == "classes" else np.full(count, np.nan)
    }
    held |= {
        name: np.full(count, np.nan) if name in OF_DATES else np.full(count, -1, np.int32)
        for name in ("user", *OF_DATES, "image_row")
        if name in staged.columns
    }
    sides = Sides(plan, classes=decided.kind == "classes")
    labeled = np.zeros(count, bool)
    with progress.task("Writing labels", total=staged.rows) as advance:
        for batch, used in staged.batches():
            of_batch = sides.of(batch, used)
            columns, known = _labels(batch, decided, of_batch)
            keep = np.flatnonzero(used & known)
            rows = ids.rows(batch.column("place_id"))[keep]
            columns |= {name: batch.column(name) for name in (*OF_DATES, "image_row") if name in held}
            if "user" in held:
                columns["user"] = users.of(batch.column("user").take(pa.array(keep)))
            for name, values in held.items():
                column = columns[name] if name == "user" else columns[name].take(pa.array(keep))
                unknown = pa.scalar(np.nan if values.dtype.kind == "f" else -1, column.type)
                values[rows] = np.asarray(pc.fill_null(column, unknown))
            side[rows] = of_batch[keep]
            labeled[rows] = True
            advance(batch.num_rows)
    table = pa.table({**{name: pa.array(values) for name, values in held.items()}, "split": _named(side)})
    with replacing(folder / LABELS) as temporary:
        parquet.write_table(table, temporary, use_dictionary=["split"])
    unplaced = labeled & ~np.isfinite(dataset.lonlat).all(axis=1)
    return {"places": int(labeled.sum()), "unplaced": int(unplaced.sum()), "users": len(users)}


def _sides_of(dataset: Dataset, plan: SplitPlan) -> NDArray[np.int8]:
    """(N,) int8 split of each place, before it is known which ones have a label."""
    side = np.zeros(len(dataset), np.int8)
    located = np.isfinite(dataset.lonlat).all(axis=1)
    if plan.block_m is not None and located.any():
        lon, lat = (pa.array(dataset.lonlat[located, axis]) for axis in (0, 1))
        batch = pa.RecordBatch.from_arrays([lon, lat], names=["lon", "lat"])
        side[located] = Sides(plan, classes=False).of(batch, np.ones(len(lon), bool))
    return side


def _named(side: NDArray[np.int8]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.maximum(side, 0)), pa.array(SPLITS)).cast(pa.string())


def _writer(stack: contextlib.ExitStack, path: Path, schema: pa.Schema) -> parquet.ParquetWriter:
    temporary = stack.enter_context(replacing(path))
    texts = [field.name for field in schema if pa.types.is_string(field.type) and field.name != "place_id"]
    return parquet.ParquetWriter(temporary, schema, use_dictionary=texts)


def _labels(
    batch: pa.RecordBatch, decided: Decided, side: NDArray[np.int8]
) -> tuple[dict[str, pa.Array], NDArray[np.bool_]]:
    """(columns of ``labels.parquet``, rows with a label)."""
    words = batch.column("label")
    if decided.kind == "number":
        values, _ = numbers(words)
        label, known = pa.array(values, pa.float64()), np.isfinite(values)
    else:
        label = pc.index_in(words, value_set=pa.array(decided.classes, pa.string()))
        known = np.asarray(label.is_valid())
    return {"label": label, "split": _named(side)}, known


def _places(batch: pa.RecordBatch) -> pa.Table:
    there = batch.schema.names
    lon, lat = (np.asarray(batch.column(name), np.float64) for name in ("lon", "lat"))
    ids = batch.column("place_id") if "place_id" in there else batch.column("row").cast(pa.string())
    names = batch.column("name") if "name" in there else pa.nulls(batch.num_rows, pa.string())
    columns = [ids, _nan_as_null(pa.array(lon)), _nan_as_null(pa.array(lat)), names, wkb_points(lon, lat)]
    return pa.Table.from_arrays(columns, schema=_PLACES)


def _nan_as_null(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
