"""Objects that may be entities, on disk while their extract is read: what memory holds of each is a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.geo.polylines import Ints
from placevec.io.arrow import blobs, numbers, texts

_SCHEMA = pa.schema(
    [
        ("osm_type", pa.uint8()),
        ("osm_id", pa.int64()),
        ("entry", pa.int32()),
        ("type", pa.string()),
        ("about", pa.string()),
        ("wkb", pa.binary()),
    ]
)
NO_PART = -1


@dataclass
class Columns:
    """Some objects to be kept.

    Attributes:
        osm_type, osm_id: of each.
        entry: number of its type's entry in the table.
        type: of each.
        about: JSON of its names and words.
        wkb: its geometry; empty for relations, whose members have it.
        hash: (N,) uint64 of name and group; 0 where it is joined by neither.
        qid: (N,) int64, 0 without.
        part_of: (N,) int64 row of the relation whose geometry it is a part of, or `NO_PART`.
        vertices: (N,) int64.
    """

    osm_type: Ints
    osm_id: Ints
    entry: Ints
    type: list[str]
    about: list[str]
    wkb: list[bytes]
    hash: NDArray[np.uint64]
    qid: Ints
    part_of: Ints
    vertices: Ints

    def take(self, rows: Ints) -> Columns:
        """Some of them."""
        picked: dict[str, Any] = {
            name: [values[row] for row in rows.tolist()] if isinstance(values, list) else values[rows]
            for name, values in vars(self).items()
        }
        return Columns(**picked)


class Store:
    """A file of objects, written once and read by row.

    Attributes:
        folder: where the file lies.
        hash, qid, part_of, vertices: (N,) of all objects, in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.folder = path, path.parent
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, _SCHEMA)
        self._starts = [0]
        self.hash: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.qid: Ints = np.zeros(0, np.int64)
        self.part_of: Ints = np.zeros(0, np.int64)
        self.vertices: Ints = np.zeros(0, np.int64)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._file.close()

    def __len__(self) -> int:
        return self._starts[-1]

    def add(self, some: Columns) -> None:
        """Append objects."""
        if not len(some.osm_id):
            return
        batch = pa.RecordBatch.from_arrays(
            [
                numbers(some.osm_type, pa.uint8()), numbers(some.osm_id, pa.int64()), numbers(some.entry, pa.int32()),
                texts(some.type), texts(some.about), blobs(some.wkb),
            ],
            schema=_SCHEMA,
        )  # fmt: skip
        self._writer.write_batch(batch)
        self._starts.append(len(self) + len(some.osm_id))
        self.hash = np.concatenate([self.hash, some.hash])
        self.qid = np.concatenate([self.qid, some.qid])
        self.part_of = np.concatenate([self.part_of, some.part_of])
        self.vertices = np.concatenate([self.vertices, some.vertices])

    def take(self, rows: Ints, columns: tuple[str, ...] = tuple(_SCHEMA.names)) -> pa.Table:
        """Columns of rows, which ascend; the file is closed by then."""
        cuts = np.searchsorted(rows, self._starts)
        schema = pa.schema([_SCHEMA.field(name) for name in columns])
        chosen = pa.ipc.IpcReadOptions(included_fields=[_SCHEMA.get_field_index(name) for name in columns])
        with pa.OSFile(str(self._path)) as file:
            reader = pa.ipc.open_file(file, options=chosen)
            parts = [
                reader.get_batch(number).take(numbers(rows[first:end] - self._starts[number], pa.int64()))
                for number, (first, end) in enumerate(pairwise(cuts.tolist()))
                if end > first
            ]
        return pa.Table.from_batches(parts, schema=schema)
