"""What an opened table is, whatever its file: named columns, and rows a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from placevec.geo.antimeridian import Objects
from placevec.geo.geometry_columns import GeometryColumn
from placevec.sources.tables.losses import Losses

BATCH_ROWS = 131_072


@dataclass
class Batch:
    """Some rows.

    Attributes:
        columns: name -> cells, of the columns that were asked for; texts of delimited files, else as they are stored.
        geometry: cells of the column of geometry, or shapes, where it was asked for.
        rows: how many.
        done: how far `OpenedTable.total` they reach.
    """

    columns: dict[str, pa.Array]
    geometry: pa.Array | Objects | None
    rows: int
    done: int


class OpenedTable(Protocol):
    """A table that can be read again and again.

    Attributes:
        path: of the file.
        names: of its columns without a declared geometry, in order.
        geometry: its column of geometry, where it declares one; ``shapes`` where cells are shapes already.
        decimal_comma: numbers of all columns have a comma for a point.
        total: how far `Batch.done` goes: bytes of the file, or rows.
        notes: what to know of how it is read.
    """

    path: Path
    names: list[str]
    geometry: GeometryColumn | None
    decimal_comma: bool
    total: int
    notes: list[str]

    def batches(self, names: Sequence[str], *, geometry: bool, losses: Losses) -> Iterator[Batch]:
        """Rows in order; SourceError when the file is damaged."""
        ...

    def is_flat(self, name: str) -> bool:
        """Whether the cells of a column are texts, numbers or times, not lists or documents."""
        ...
