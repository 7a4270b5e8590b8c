"""The text view: texts about places, in any language: ``text.parquet``, one row per text.

========= ====================== ===============================================================================
column    type                   meaning
========= ====================== ===============================================================================
place_id  string                 its place: the link to ``places.parquet``; a place can have several texts
view      string                 view that it belongs to
language  string, may be null    BCP 47, such as ``en`` or ``uk``
kind      string, may be null    name, alias, description, words, ...
text      string                 raw, untrusted text
entity_id string, may be null    its entity in ``entities.parquet``; the column is optional
========= ====================== ===============================================================================

A text is read as its bytes (`placevec.io.byte_texts`). Encoders for words or subwords tokenize the
output of `placevec.io.byte_texts.decoded`, so that one view works with every tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from placevec.core import ROW_MISSING, Batch, Look, ViewSpec
from placevec.datasets.views.registry import Reader, Stored
from placevec.errors import DatasetError, InputError, SourceError
from placevec.geo.geoparquet import read_parquet
from placevec.io import atomic, parquet
from placevec.io.byte_texts import VALUES as VALUES
from placevec.io.byte_texts import cut, tokens_of

FILE = "text.parquet"
NAME = KIND = "text"
"""What the view is called that preparing makes, and the kind of all such views."""
_COLUMNS = ("place_id", "view", "language", "kind", "text")
_ENTITY = "entity_id"
Text = tuple[str, str | None, str | None, str, str | None]
"""place_id, language, kind, text and entity_id."""
_SCHEMA = pa.schema([(name, pa.string()) for name in (*_COLUMNS, _ENTITY)])


class TextView:
    """Texts of places (the `View` of kind ``text``).

    Args:
        path: the table.
        spec: specification of the view.
        place_ids: (N,) IDs of the dataset's places, in order.

    Attributes:
        counts: (N,) int64 number of texts of each place.

    Raises:
        DatasetError: the table is missing or damaged, or texts belong to unknown places.
    """

    def __init__(self, path: str | Path, spec: ViewSpec, place_ids: ArrayLike | Sequence[str]) -> None:
        table = read_texts(path, spec.name)
        ids = pa.array(np.asarray(place_ids, object), pa.string())
        place = pc.index_in(table["place_id"], value_set=ids)
        if place.null_count:
            raise DatasetError(f"{path} is damaged: it has texts of places that are not in the dataset")
        rows = np.asarray(place.to_numpy()).astype(np.int64)
        order = np.argsort(rows, kind="stable")
        self._texts: list[bytes] = [cut(text) for text in table["text"].take(pa.array(order)).to_pylist()]
        self._starts = np.searchsorted(rows[order], np.arange(len(ids) + 1))
        self.counts: NDArray[np.int64] = np.diff(self._starts)
        self.spec = spec

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,) bool: places with a text."""
        return self.counts > 0

    def read(self, look: Look) -> Mapping[str, Tensor]:
        """Tokens of one text per row.

        A look's ``text`` (N,) int64 selects one of a place's texts, modulo their number; default is the first.

        Returns:
            ``input_ids`` (N, L) int64 and ``attention_mask`` (N, L) int64; zeros for missing rows and places without a
            text. L is the length of the longest text in the batch, at least 1.

        Raises:
            InputError: an invalid row, or another warp.
        """
        if unknown := set(look.warp) - {"text"}:
            raise InputError(f"unknown warp {', '.join(sorted(unknown))}: texts support only 'text'")
        rows = look.rows.cpu().numpy()
        if bool(((rows != ROW_MISSING) & ((rows < 0) | (rows >= len(self)))).any()):
            raise InputError(f"a row is out of range: there are texts for {len(self):,} places")
        which = look.warp["text"].cpu().numpy() if "text" in look.warp else np.zeros(len(rows), np.int64)
        found = [
            self._texts[self._starts[row] + int(pick) % int(self.counts[row])]
            if row >= 0 and self.counts[row]
            else b""
            for row, pick in zip(rows.tolist(), which.tolist(), strict=True)
        ]
        return tokens_of(found)


def read_texts(path: str | Path, view: str | None = None) -> pa.Table:
    """The rows of a table of texts, all or of one view; DatasetError if it is missing or damaged.

    >>> import tempfile
    >>> file, row = Path(tempfile.mkdtemp()) / "text.parquet", {"place_id": ["a"], "view": ["text"], "language": ["fi"]}
    >>> write_texts(file, pa.table({**row, "kind": ["name"], "text": ["Töölö"]}))
    >>> read_texts(file)["text"].to_pylist()
    ['Töölö']
    """
    try:
        table = read_parquet(path, "table of texts", [*_COLUMNS, _ENTITY])
    except SourceError as error:
        raise DatasetError(str(error)) from error
    if any(name not in table.column_names for name in _COLUMNS):
        raise DatasetError(
            f"{path} must have the columns {', '.join(_COLUMNS)}; it has {', '.join(table.column_names)}"
        )
    for name in ("place_id", "view", "text"):
        if table[name].type != pa.string() or table[name].null_count:
            raise DatasetError(
                f"{path} is damaged: its column {name} has type {table[name].type}, or missing values"
            )
    return table if view is None else table.filter(pc.equal(table["view"], view))


def write_texts(path: str | Path, rows: pa.Table) -> None:
    """Write a table of texts, atomically; its columns are those above.

    >>> import tempfile
    >>> file, row = Path(tempfile.mkdtemp()) / "text.parquet", {"place_id": ["a"], "view": ["text"], "language": ["fi"]}
    >>> write_texts(file, pa.table({**row, "kind": ["name"], "text": ["Töölö"]}))
    >>> file.exists()
    True
    """
    names = [*_COLUMNS, *({_ENTITY} & set(rows.column_names))]
    with atomic.replacing(path) as temporary:
        parquet.write_table(rows.select(names), temporary)


class TextWriter:
    """Writes a table of texts chunk by chunk (give it a temporary name and rename it).

    Attributes:
        rows: that were written.
    """

    def __init__(self, path: Path, view: str = NAME) -> None:
        self._writer, self._view = parquet.ParquetWriter(path, _SCHEMA), view
        self.rows = 0

    def __enter__(self) -> TextWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add_table(self, rows: pa.Table) -> None:
        """Append rows of another table of texts."""
        columns = [
            rows[field.name] if field.name in rows.column_names else pa.nulls(len(rows), field.type)
            for field in _SCHEMA
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
        self.rows += len(rows)

    def add(self, texts: Sequence[Text]) -> None:
        """Append texts."""
        if not texts:
            return
        place, language, kind, text, entity = zip(*texts, strict=True)
        columns = [place, [self._view] * len(texts), language, kind, text, entity]
        arrays = [pa.array(column, pa.string()) for column in columns]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
        self.rows += len(texts)


class TextReader(Reader):
    """Texts: records, several per place."""

    from_texts = True

    def texts(self, texts: Sequence[str]) -> Batch:
        """Their tokens."""
        return tokens_of(texts)

    def open(self, stored: Stored) -> TextView:
        """The texts, in memory."""
        files = stored.entry.get("files") or [FILE]
        return TextView(stored.path / files[0], stored.spec, stored.places.place_ids)


READER = TextReader()
