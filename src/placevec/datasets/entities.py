"""Entities of a dataset: ``entities.parquet``, GeoParquet 1.1, one row per entity.

=========== ======================================== ==================================================================
column      type                                     meaning
=========== ======================================== ==================================================================
entity_id   string                                   of the object that it is named after, such as ``relation/34914``
type        string                                   ``group`` or ``group/leaf``, such as ``water/river``
wikidata    string, may be null                      such as ``Q1757``
name        string, may be null                      what is written on the spot: raw, hostile text
names       list of (language, kind, text)           all names; language is BCP 47, null for those on the spot
words       list of string                           what it is in plain English, out of its tags
osm_ids     list of string                           all objects that it is made of
lon, lat    double                                   degrees of a point in it
geometry    WKB                                      degrees; areas and lines of one entity are a collection
=========== ======================================== ==================================================================

Where Wikidata was read (``prepare where2vec --wikidata``), ``names`` and ``words`` have its labels and types too, and
there are three more columns:

============== ============================= ===========================================================================
column         type                          meaning
============== ============================= ===========================================================================
descriptions   list of (language, text)      what the item is, in a few words
wikidata_types list of string                what the item is an instance of, such as ``Q515``
wikidata_from  string, may be null           ``tag`` of OpenStreetMap, or ``search`` by name and place
============== ============================= ===========================================================================
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placevec.errors import DatasetError, SourceError
from placevec.geo.geoparquet import read_parquet
from placevec.io import parquet

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

FILE = "entities.parquet"
_NAMES = pa.list_(pa.struct([("language", pa.string()), ("kind", pa.string()), ("text", pa.string())]))
SCHEMA = pa.schema(
    [
        ("entity_id", pa.string()),
        ("type", pa.string()),
        ("wikidata", pa.string()),
        ("name", pa.string()),
        ("names", _NAMES),
        ("words", pa.list_(pa.string())),
        ("osm_ids", pa.list_(pa.string())),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("geometry", pa.binary()),
    ]
)
WIKIDATA_SCHEMA = pa.schema(
    [
        *SCHEMA,
        ("descriptions", pa.list_(pa.struct([("language", pa.string()), ("text", pa.string())]))),
        ("wikidata_types", pa.list_(pa.string())),
        ("wikidata_from", pa.string()),
    ]
)
"""With the columns of items."""


class EntityWriter:
    """Writes the table chunk by chunk (give it a temporary name and rename it).

    Args:
        path: of the table.
        attribution: of what it holds.
        schema: `SCHEMA`, or `WIKIDATA_SCHEMA`.

    Attributes:
        rows: that were written.
    """

    def __init__(self, path: Path, attribution: str, schema: pa.Schema = SCHEMA) -> None:
        self._schema = schema
        self._writer = parquet.ParquetWriter(path, schema.with_metadata({"attribution": attribution}))
        self._kinds: set[str] = set()
        self._bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self.rows = 0

    def __enter__(self) -> EntityWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        column: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(self._kinds)}
        if np.isfinite(self._bounds).all():
            column["bbox"] = self._bounds.tolist()
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        self._writer.add_key_value_metadata({"geo": json.dumps(geo)})
        self._writer.close()

    def add(self, columns: dict[str, Sequence[Any]], geometry: np.ndarray[Any, Any]) -> None:
        """Append rows: all columns but ``geometry``, and their shapely geometries."""
        import shapely

        self._kinds.update({shape.geom_type for shape in geometry})
        bounds = shapely.bounds(geometry)
        self._bounds[:2] = np.minimum(self._bounds[:2], bounds[:, :2].min(axis=0))
        self._bounds[2:] = np.maximum(self._bounds[2:], bounds[:, 2:].max(axis=0))
        held = {**columns, "geometry": shapely.to_wkb(geometry)}
        arrays = [pa.array(held[field.name], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self.rows += len(geometry)


def has_entities(dataset: Dataset) -> bool:
    """Whether entities came with one of a dataset's views."""
    return any(FILE in view["files"] for view in dataset.manifest["views"].values())


def read_entities(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of ``entities.parquet``, or some of its columns; DatasetError when it is missing or damaged."""
    names = SCHEMA.names if columns is None else list(columns)
    try:
        table = read_parquet(path, "table of entities", names)
    except SourceError as error:
        raise DatasetError(f"{error}; prepare the dataset again") from error
    if missing := [name for name in names if name not in table.column_names]:
        raise DatasetError(
            f"{path} lacks the columns {', '.join(missing)} of entities: prepare the dataset again"
        )
    for name in names:
        if table[name].type != WIKIDATA_SCHEMA.field(name).type:
            raise DatasetError(f"{path} is damaged: its column {name} holds {table[name].type}")
    for name in {"entity_id", "type"}.intersection(names):
        if table[name].null_count:
            raise DatasetError(f"{path} is damaged: {table[name].null_count} entities have no {name}")
    return table.select(names)


@dataclass(frozen=True)
class EntitySummary:
    """How many entities there are, and of what.

    Attributes:
        count: of all.
        with_item: of those with a Wikidata item.
        named: of those with a name.
        types: type -> count, the most frequent first.
        languages: language -> how many entities are named in it, the most frequent first.
    """

    count: int
    with_item: int
    named: int
    types: dict[str, int]
    languages: dict[str, int]

    @property
    def groups(self) -> dict[str, int]:
        """Group of types -> count, the most frequent first."""
        found: Counter[str] = Counter()
        for kind, count in self.types.items():
            found[kind.partition("/")[0]] += count
        return dict(found.most_common())


def summary_of(path: str | Path) -> EntitySummary:
    """What ``entities.parquet`` holds; DatasetError when it is missing or damaged."""
    table = read_entities(path, ["type", "wikidata", "name", "names"])
    names = table["names"].combine_chunks()
    parents = pc.list_parent_indices(names)
    languages = pc.list_flatten(names).field("language")
    pairs = pa.table({"row": parents, "language": languages}).group_by(["row", "language"]).aggregate([])
    count = table.num_rows
    return EntitySummary(
        count,
        count - table["wikidata"].null_count,
        count - table["name"].null_count,
        _counted(table["type"]),
        _counted(pairs["language"].drop_null()),
    )


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    counts = Counter({one["values"]: one["counts"] for one in column.value_counts().to_pylist()})
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
