"""Whole tables: the places that a user brings, the columns that go with places, and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from placevec.errors import PlacevecError, SourceError
from placevec.geo import Floats
from placevec.geo.antimeridian import Objects, wrapped
from placevec.geo.coordinate_names import LAT_NAMES, LON_NAMES
from placevec.sources.tables.batches import OpenedTable
from placevec.sources.tables.columns import ID_NAMES
from placevec.sources.tables.labeled_points import PointRows, PointTable
from placevec.sources.tables.losses import Losses
from placevec.sources.tables.opened import open_table
from placevec.sources.tables.values import texts, typed, with_points

PLACE_ID = "place_id"
_NOT_OTHERS: Mapping[str, str | None] = {"label": None, "user": None, "date": None, "split": None}
__all__ = ["ID_NAMES", "LAT_NAMES", "LON_NAMES", "Points", "read_columns", "read_points", "read_shapes"]


@dataclass
class Points:
    """Rows provided by the user.

    Attributes:
        table: every column of the file but the geometry; ids and codes are texts.
        lonlat: (N, 2) float64 degrees; NaN where a row has no coordinates.
        geometry: (N,) object array of shapely geometries in WGS84, or None.
        place_id: (N,) object array of distinct strings.
        notes: what to know of how it was read and of what was lost, a line each.
    """

    table: pd.DataFrame
    lonlat: Floats
    geometry: Objects
    place_id: np.ndarray[Any, Any]
    notes: list[str] = field(default_factory=list)


def read_points(path: str | Path) -> Points:
    """Read a table of places.

    Coordinates come from the geometry (reprojected to WGS84; a point inside each polygon) or from columns named
    lon/longitude/lng/x and lat/latitude/y. Names of places come from a ``place_id``, ``id``, ``gbifID`` or
    ``occurrenceID`` column, else the row number. Rows may lack coordinates. The ``metadata.json`` of the original
    Loc2Vec pipeline is read too.

    Raises:
        SourceError: the file does not exist, is not a table, or has no coordinates, coordinates off the Earth, or
            duplicate place_ids.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "shops.csv"
    >>> _ = file.write_text("id,lon,lat,rent\\na,24.94,60.17,31\\nb,24.95,60.18,28\\n")
    >>> points = read_points(file)
    >>> points.place_id.tolist(), points.lonlat.tolist(), points.table["rent"].tolist()
    (['a', 'b'], [[24.94, 60.17], [24.95, 60.18]], [31, 28])
    """
    import shapely

    path = Path(path)
    table = PointTable(path, _NOT_OTHERS, others=None, shapes=True)
    batches = _read(table)
    if not batches:
        raise SourceError(f"{path} has no rows")
    lonlat = np.concatenate([rows.lonlat for rows in batches])
    if table.columns.geometry is None:
        geometry = np.full(len(lonlat), None, dtype=object)
        known = np.isfinite(lonlat).all(axis=1)
        geometry[known] = shapely.points(lonlat[known])
    else:
        geometry = wrapped(np.concatenate([rows.shapes for rows in batches if rows.shapes is not None]))
    frame = _frame({name: [rows.others[name] for rows in batches] for name in batches[0].others}, len(lonlat))
    ids = _ids(table, batches, len(lonlat))
    held = [(table.columns.lat, lonlat[:, 1]), (table.columns.lon, lonlat[:, 0]), (table.columns.id, ids)]
    for name, values in held:
        if name is not None and name not in frame.columns:
            frame.insert(0, name, pd.Series(values, dtype=values.dtype))
    notes = list(table.notes)
    lacking = int(np.count_nonzero(~np.isfinite(lonlat).all(axis=1)))
    if lacking:
        notes.append(f"{lacking:,} of {len(lonlat):,} places have no coordinates")
    return Points(frame, lonlat, geometry, ids, notes)


def _read(table: PointTable) -> list[PointRows]:
    """All rows, of batches that hold any."""
    try:
        return [rows for rows in table.batches() if len(rows)]
    except PlacevecError:
        raise
    except Exception as error:  # pyarrow, shapely and PROJ each raise their own for a damaged file
        raise SourceError(f"cannot read {table.path} as a table: {error or type(error).__name__}") from error


def _ids(table: PointTable, batches: list[PointRows], count: int) -> np.ndarray[Any, Any]:
    """(N,) IDs of places; SourceError if one is missing, or two are the same."""
    if "id" not in batches[0].cells:
        return np.array([str(row) for row in range(count)], dtype=object)
    column = pa.chunked_array([texts(rows.cells["id"]) for rows in batches], pa.string())
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise SourceError(
            f"{table.path}, row {row + 1} has no {table.columns.id}: give every row one, or remove the column"
        )
    ids: np.ndarray[Any, Any] = column.to_numpy().astype(object)
    repeated = pd.Index(ids).duplicated()
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        first = int(np.flatnonzero(ids == ids[row])[0])
        raise SourceError(
            f"{table.path}: {table.columns.id} {ids[row]!r} occurs more than once, in row {first + 1} and row {row + 1}; "
            "place IDs must be unique"
        )
    return ids


def read_columns(path: str | Path) -> pd.DataFrame:
    """A table with a ``place_id`` column (or ``id``, ``gbifID``, ``occurrenceID``), to be joined to places by it.

    Geometry is left out; ids are texts, in a column called ``place_id``.

    Raises:
        SourceError: the file does not exist, is not a table, or has no column of ids.
    """
    table = open_table(Path(path))
    frame = frame_of(table)
    if PLACE_ID not in frame.columns:
        raise SourceError(
            f"{path} has no place_id column; its columns are: {', '.join(map(str, table.names[:12]))}"
        )
    return frame


def frame_of(table: OpenedTable) -> pd.DataFrame:
    """All columns of a table but geometry and lists; ids as texts, in ``place_id`` where there is a usual column of them.

    Raises:
        SourceError: a damaged file, two columns of one name.
    """
    names = [name for name in table.names if table.is_flat(name)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SourceError(f"{table.path} has a duplicate column name, {twice!r}")
    losses, rows = Losses(table.path), 0
    parts: dict[str, list[pa.Array]] = {name: [] for name in names}
    for batch in table.batches(names, geometry=False, losses=losses):
        rows += batch.rows
        for name in names:
            parts[name].append(batch.columns[name])
    losses.check(rows + losses.count)
    lower = {name.lower().strip(): name for name in reversed(names)}
    key = next((lower[name] for name in ID_NAMES if name in lower), None)
    ids = [] if key is None else [texts(_decoded(part)) for part in parts.pop(key)]
    if table.decimal_comma:
        parts = {name: [with_points(part) for part in held] for name, held in parts.items()}
    frame = _frame(parts, rows)
    if key is not None:
        frame.insert(names.index(key), PLACE_ID, pa.chunked_array(ids, pa.string()).to_numpy().astype(object))
    frame.attrs["notes"] = [*table.notes, *losses.notes(rows)]
    return frame


def _frame(columns: Mapping[str, list[pa.Array]], rows: int) -> pd.DataFrame:
    """Columns that were read in parts, with their types."""
    return pd.DataFrame({name: typed(_whole(parts)) for name, parts in columns.items()}, index=range(rows))


def _whole(parts: list[pa.Array]) -> pa.ChunkedArray:
    if not parts:
        return pa.chunked_array([], pa.string())
    return pa.chunked_array([_decoded(part) for part in parts])


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def read_shapes(path: str | Path) -> Objects:
    """(N,) the geometries of a table in degrees of WGS84, None where there is none.

    Raises:
        SourceError: the file does not exist, is not a table, or has no geometry.
    """
    table = PointTable(path, _NOT_OTHERS, shapes=True)
    if table.columns.geometry is None:
        raise SourceError(f"{path} has no geometry")
    found = [rows.shapes for rows in _read(table) if rows.shapes is not None]
    return np.concatenate(found) if found else np.zeros(0, object)
