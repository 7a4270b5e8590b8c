"""Reading and writing GeoParquet 1.1 with pyarrow: WKB geometry, ``geo`` metadata, zstd compression.

geopandas is not used because it cannot read back its own fixed-size lists (embeddings), and because the same
table must open in pandas, DuckDB, QGIS and geopandas. https://geoparquet.org/releases/v1.1.0/
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.geo.parquet_bounds import check_unpacked
from placevec.io import parquet
from placevec.io.atomic import replacing
from placevec.io.files import check_regular
from placevec.io.json_documents import parse_json

_GEOMETRY = "geometry"
_WKB_POINT = np.dtype([("order", "u1"), ("kind", "<u4"), ("lon", "<f8"), ("lat", "<f8")])


def _geo_metadata(geometry: np.ndarray[Any, Any]) -> dict[str, Any]:
    import shapely

    kinds = {name for item in geometry if item is not None for name in [item.geom_type]}
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(kinds)}  # CRS absent: OGC:CRS84
    bounds = shapely.total_bounds(geometry).tolist()
    if all(math.isfinite(value) for value in bounds):
        column["bbox"] = bounds
    return {"version": "1.1.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}


def wkb_points(lon: Floats, lat: Floats) -> pa.Array:
    """(N,) WKB points, null without coordinates; encoded in bulk, ten times faster than one shapely object per point.

    >>> wkb_points(np.array([24.9, np.nan]), np.array([60.2, np.nan])).is_valid().tolist()
    [True, False]
    """
    points = np.empty(len(lon), _WKB_POINT)
    points["order"], points["kind"], points["lon"], points["lat"] = 1, 1, lon, lat
    offsets = np.arange(len(lon) + 1, dtype=np.int32) * _WKB_POINT.itemsize
    wkb = pa.BinaryArray.from_buffers(
        pa.binary(), len(lon), [None, pa.py_buffer(offsets), pa.py_buffer(points.tobytes())]
    )
    return pc.if_else(pa.array(np.isfinite(lon)), wkb, pa.scalar(None, pa.binary()))


def geo_of_points(bounds: Sequence[float] = ()) -> dict[str, Any]:
    """The ``geo`` metadata of a table of points within (west, south, east, north), left out if not known or not finite.

    >>> geo_of_points((14.1, 35.7, 14.6, 36.1))["columns"]["geometry"]["bbox"]
    [14.1, 35.7, 14.6, 36.1]
    """
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"]}  # CRS absent: OGC:CRS84
    if len(bounds) and np.isfinite(bounds).all():
        column["bbox"] = [float(value) for value in bounds]
    return {"version": "1.1.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}


def write_geoparquet(
    path: str | PathLike[str],
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
    geometry: np.ndarray[Any, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    byte_stream_split: Sequence[str] = (),
) -> None:
    """Atomically write columns and an object array of shapely geometries (lon, lat degrees; None allowed).

    ``metadata`` entries are stored as JSON under their names in the file's key-value metadata.

    >>> import shapely, tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "places.parquet"
    >>> points = np.array([shapely.Point(24.9, 60.2)], object)
    >>> write_geoparquet(file, {"name": pa.array(["Helsinki"])}, points, metadata={"attribution": "OSM"})
    >>> table, metadata = read_geoparquet(file)
    >>> table.column_names, metadata["attribution"]
    (['name', 'geometry'], 'OSM')
    """
    import shapely

    wkb = pa.array(shapely.to_wkb(geometry), pa.binary())
    table = pa.table({**columns, _GEOMETRY: wkb})
    entries = {"geo": _geo_metadata(geometry), **(metadata or {})}
    table = table.replace_schema_metadata(
        {key: json.dumps(value, ensure_ascii=False) for key, value in entries.items()}
    )
    with replacing(path) as temporary:
        # mypy: pyarrow's keyword wants a list or a bool
        parquet.write_table(
            table,
            temporary,
            use_dictionary=[name for name, column in columns.items() if pa.types.is_string(column.type)],
            use_byte_stream_split=list(byte_stream_split) or False,
        )


def read_geoparquet(
    path: str | PathLike[str], what: str = "table", columns: Sequence[str] | None = None
) -> tuple[pa.Table, dict[str, Any]]:
    """(table, or some of its columns; metadata decoded from JSON) of a Parquet file.

    Raises:
        SourceError: the file does not exist, is damaged, or is not Parquet.
    """
    table = read_parquet(path, what, columns)
    metadata = {}
    try:
        for key, value in parquet.own_metadata(table.schema.metadata).items():
            metadata[key.decode()] = parse_json(value)
    except ValueError as error:
        raise SourceError(
            f"{path} is not a Parquet {what}, or is damaged: its metadata is not valid JSON"
        ) from error
    return table, metadata


def read_parquet(
    path: str | PathLike[str], what: str = "table", columns: Sequence[str] | None = None
) -> pa.Table:
    """A Parquet file, or some of its columns, fully validated (UTF-8 text, offsets and codes within bounds).

    Raises:
        SourceError: the file does not exist, is damaged, is not Parquet, or is a decompression bomb.
    """
    check_regular(Path(path), what)
    try:
        check_unpacked(os.fspath(path), columns)
        with parquet.opened(path) as file:
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise SourceError(f"{path} has duplicate column names")
            table = file.read(columns=None if columns is None else list(columns))
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not a Parquet {what}, or is damaged") from error
    return table


def read_summary(path: str | PathLike[str], what: str = "table") -> tuple[pa.Schema, int]:
    """(schema, number of rows) of a Parquet file, without reading the rows; raises as `read_parquet` does."""
    check_regular(Path(path), what)
    try:
        with parquet.opened(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not a Parquet {what}, or is damaged") from error
    if len(set(schema.names)) < len(schema.names):
        raise SourceError(f"{path} has duplicate column names")
    return schema, int(rows)


def geometry_of(table: pa.Table) -> np.ndarray[Any, Any]:
    """The table's geometries as an object array of shapely geometries and None; all None without a geometry column.

    Raises:
        SourceError: the column is not WKB.

    >>> import shapely
    >>> shape = shapely.Point(24.9, 60.2)
    >>> geometry_of(pa.table({"geometry": pa.array([shape.wkb, None], pa.binary())})).tolist()
    [<POINT (24.9 60.2)>, None]
    """
    import shapely

    if _GEOMETRY not in table.column_names:
        return np.full(table.num_rows, None, dtype=object)
    column = table[_GEOMETRY]
    if pa.types.is_null(column.type):
        return np.full(table.num_rows, None, dtype=object)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise SourceError(f"the geometry column has type {column.type}; expected WKB")
    try:
        geometry: np.ndarray[Any, Any] = shapely.from_wkb(column.to_numpy(zero_copy_only=False))
    except (shapely.errors.ShapelyError, ValueError) as error:
        raise SourceError(f"the geometry column is not valid WKB: {error}") from error
    return geometry


def are_points_at(table: pa.Table, lonlat: Floats) -> bool:
    """Whether all geometries are points at (N, 2) lon, lat, or missing: found out without decoding them.

    >>> lonlat = np.array([[24.9, 60.2], [24.9, 60.3]])
    >>> table = pa.table({"geometry": wkb_points(lonlat[:, 0], lonlat[:, 1])})
    >>> are_points_at(table, lonlat), are_points_at(table, lonlat[::-1])
    (True, False)
    """
    if _GEOMETRY not in table.column_names or pa.types.is_null(table[_GEOMETRY].type):
        return True
    start = 0
    for chunk in table[_GEOMETRY].chunks:
        expected = lonlat[start : start + len(chunk)]
        start += len(chunk)
        if chunk.null_count == len(chunk):
            continue
        found, known = plain_points(chunk), np.asarray(chunk.is_valid())
        if found is None or not (found[known] == expected[known]).all():
            return False
    return True


def plain_points(cells: pa.Array) -> Floats | None:
    """(N, 2) coordinates of WKB that is little-endian points of two numbers throughout, NaN where there is none; None
    of any other.

    >>> plain_points(wkb_points(np.array([24.9]), np.array([60.2]))).tolist()
    [[24.9, 60.2]]
    """
    if len(cells) == 0 or not pa.types.is_binary(cells.type):
        return None
    lengths = pc.min_max(pc.binary_length(cells))
    if lengths["min"].as_py() != _WKB_POINT.itemsize or lengths["max"].as_py() != _WKB_POINT.itemsize:
        return None
    held = cells.drop_null()
    (start,) = np.frombuffer(held.buffers()[1], np.int32, 1, 4 * held.offset)
    raw = np.frombuffer(held.buffers()[2], _WKB_POINT, len(held), int(start))
    if not ((raw["order"] == 1) & (raw["kind"] == 1)).all():
        return None
    points = np.full((len(cells), 2), np.nan)
    known = np.asarray(cells.is_valid())
    points[known, 0], points[known, 1] = raw["lon"], raw["lat"]
    return points
