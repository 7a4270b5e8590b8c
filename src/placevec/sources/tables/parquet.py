"""A Parquet file as a table, its geometry in any form, read a batch at a time once it is known what it unpacks to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from placevec.errors import SourceError
from placevec.geo.geometry_columns import of_schema
from placevec.geo.parquet_bounds import check_unpacked
from placevec.geo.parquet_footer import MAX_COLUMNS, Footer, footer_of
from placevec.io import parquet
from placevec.sources.tables import batches
from placevec.sources.tables.batches import Batch
from placevec.sources.tables.losses import Losses


class ParquetTable:
    """A Parquet file; see `batches.OpenedTable`."""

    decimal_comma = False

    def __init__(self, path: Path) -> None:
        self.path, self.notes = path, list[str]()
        try:
            self._footer: Footer = footer_of(path)
            with parquet.opened(path) as file:
                self._schema: pa.Schema = file.schema_arrow
                self.total = int(file.metadata.num_rows)
        except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
            raise SourceError(f"{path} is not a Parquet table, or is damaged: {error}") from error
        if len(self._schema.names) > MAX_COLUMNS:
            raise SourceError(
                f"{path} has more than {MAX_COLUMNS:,} columns: leave out the columns that are not needed"
            )
        if len(set(self._schema.names)) < len(self._schema.names):
            twice = next(name for name in self._schema.names if self._schema.names.count(name) > 1)
            raise SourceError(f"{path} has a duplicate column name, {twice!r}")
        self.geometry = of_schema(self._schema, self._footer, path)
        self.names = [
            name for name in self._schema.names if self.geometry is None or name != self.geometry.name
        ]

    def is_flat(self, name: str) -> bool:
        """Whether the cells of a column are texts, numbers or times, not lists or documents."""
        kind = self._schema.field(name).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def batches(self, names: Sequence[str], *, geometry: bool, losses: Losses) -> Iterator[Batch]:
        """Rows in order; pages are read as they are needed, since a row group may hold the whole file."""
        shape = self.geometry.name if geometry and self.geometry is not None else None
        wanted = [*dict.fromkeys(names), *([] if shape is None else [shape])]
        done = 0
        try:
            check_unpacked(self.path, wanted)
            with parquet.opened(self.path, buffer_size=2**20, pre_buffer=False) as file:
                for batch in file.iter_batches(batches.BATCH_ROWS, columns=wanted):
                    batch.validate(full=True)
                    done += batch.num_rows
                    cells: Any = None if shape is None else batch.column(shape)
                    yield Batch({name: batch.column(name) for name in names}, cells, batch.num_rows, done)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(f"{self.path} is not a Parquet table, or is damaged: {error}") from error
