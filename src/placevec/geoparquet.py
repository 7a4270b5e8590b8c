"""GeoParquet 1.1, written with pyarrow alone: WKB geometry, ``geo`` metadata, zstd.

Written by hand because geopandas cannot read back its own fixed-size lists (embeddings), and because the same
table must open in pandas, DuckDB, QGIS and geopandas alike. https://geoparquet.org/releases/v1.1.0/
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from placevec.atomic import replacing
from placevec.errors import SourceError

_GEOMETRY = "geometry"


def _geo_metadata(geometry: np.ndarray[Any, Any]) -> dict[str, Any]:
    import shapely

    kinds = {name for item in geometry if item is not None for name in [item.geom_type]}
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(kinds)}  # CRS absent: OGC:CRS84
    bounds = shapely.total_bounds(geometry).tolist()
    if all(math.isfinite(value) for value in bounds):
        column["bbox"] = bounds
    return {"version": "1.1.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}


def write_geoparquet(
    path: str | PathLike[str],
    columns: Mapping[str, pa.Array | pa.ChunkedArray],
    geometry: np.ndarray[Any, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    byte_stream_split: Sequence[str] = (),
) -> None:
    """Write columns and an object array of shapely geometries (lon, lat; None allowed), whole or not at all.

    ``metadata`` entries are stored as JSON under their names in the file's key-value metadata.
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
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            use_dictionary=[name for name, column in columns.items() if pa.types.is_string(column.type)],
            use_byte_stream_split=list(byte_stream_split) or False,
        )


def read_geoparquet(path: str | PathLike[str], what: str = "table") -> tuple[pa.Table, dict[str, Any]]:
    """(table, metadata decoded from JSON) of a Parquet file; SourceError in one line when it is none."""
    try:
        table = pq.read_table(path)
        raw = table.schema.metadata or {}
        metadata = {}
        for key, value in raw.items():
            if key != b"pandas" and key != b"ARROW:schema":
                metadata[key.decode()] = json.loads(value)
    except FileNotFoundError:
        raise SourceError(f"the {what} {path} does not exist") from None
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not a Parquet {what}, or is damaged") from error
    return table, metadata


def geometry_of(table: pa.Table) -> np.ndarray[Any, Any]:
    """The table's geometries as an object array of shapely geometries and None; None throughout when absent."""
    import shapely

    if _GEOMETRY not in table.column_names:
        return np.full(table.num_rows, None, dtype=object)
    geometry: np.ndarray[Any, Any] = shapely.from_wkb(table[_GEOMETRY].to_numpy(zero_copy_only=False))
    return geometry
