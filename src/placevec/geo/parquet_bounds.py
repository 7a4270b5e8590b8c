"""How much a Parquet file unpacks to, found out before anything is unpacked: a few bytes can stand for gigabytes.

A page may decompress to a thousand times its size; a text of a dictionary is stored once and stands in any number of
rows; a text may begin as the one before it does. Footer and page headers say how much the first can be, and bound the
others; where that bound is too wide to decide by, the column is measured in its packed form.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from placevec.errors import SourceError
from placevec.geo.parquet_footer import (
    BYTE_ARRAY,
    DELTA_BYTE_ARRAY,
    PLAIN_DICTIONARY,
    RLE_DICTIONARY,
    Chunk,
    Footer,
    Leaf,
    Page,
    pages_of,
    read_footer,
)

# Real tables have fewer than ten values per byte and decompress to less than a hundred times their size.
FREE_CELLS, CELLS_A_BYTE = 20_000_000, 64
FREE_BYTES, MAX_EXPANSION = 2**28, 1000
_MEASURED_ROWS = 65_536
_FEW_TEXTS = 5000
_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_AT_ONCE = 2**26
"""Bytes that a batch may unpack to while a column is measured."""


@dataclass
class _Column:
    """What is known of a column's values.

    Attributes:
        name: the column of the table that it is of.
        is_nested: it is a part of that only.
        shared: bytes that texts of a dictionary unpack to at most, beyond those of the pages.
        values: how many refer to a dictionary, of each row group.
        prefixed: the same of texts that begin as the one before.
        largest: bytes of its largest page.
    """

    name: str
    is_nested: bool
    shared: int = 0
    values: list[int] = field(default_factory=list)
    prefixed: int = 0
    largest: int = 0


def check_unpacked(path: str | Path, columns: Collection[str] | None = None) -> Footer:
    """The footer of a file that may be read.

    Args:
        path: of the file.
        columns: those that are to be read, all by default.

    Raises:
        SourceError: it unpacks to more than any table of places of its size does.
        ValueError: not Parquet, or damaged.
    """
    with open(path, "rb") as file:
        footer = read_footer(file, path)
        size = file.seek(0, 2)
        allowed = FREE_BYTES + MAX_EXPANSION * size
        cells = unpacked = 0
        found = {
            number: _Column(leaf.path[0], len(leaf.path) > 1)
            for number, leaf in enumerate(footer.leaves)
            if columns is None or leaf.path[0] in columns
        }
        for chunk in footer.chunks:
            if chunk.column not in found:
                continue
            leaf, about = footer.leaves[chunk.column], found[chunk.column]
            chunk_cells, chunk_bytes = _look_at(file, chunk, leaf, about)
            cells, unpacked = cells + chunk_cells, unpacked + chunk_bytes
            if cells > FREE_CELLS + CELLS_A_BYTE * size or unpacked > allowed:
                raise _bomb(path, size, f"{cells:,} values of {unpacked:,} bytes, or more")
    for about in found.values():
        if about.shared > allowed - unpacked and not about.is_nested:
            about.shared = _longest_shared(path, about)
        if about.shared + about.prefixed > allowed - unpacked:
            unpacked += _measured(path, about, allowed - unpacked)
            if unpacked > allowed:
                raise _bomb(path, size, f"more than {allowed:,} bytes in the column {about.name[:40]!r}")
    return footer


def _bomb(path: object, size: int, what: str) -> SourceError:
    return SourceError(
        f"{path} has {size:,} bytes but would decompress to {what}, which is implausible for a table of places"
    )


def _look_at(file: Any, chunk: Chunk, leaf: Leaf, about: _Column) -> tuple[int, int]:
    """(values, unpacked bytes) of a chunk's pages, and what its texts may become, noted down."""
    cells = unpacked = longest = referring = 0
    for page in pages_of(file, chunk):
        unpacked += page.unpacked
        if page.is_dictionary:
            longest = max(page.unpacked - 4 * page.values, 0)
            if leaf.kind == BYTE_ARRAY and chunk.values * longest > FREE_BYTES:
                longest = _longest_of(file, chunk, page) or longest
            continue
        cells += page.values
        about.largest = max(about.largest, page.unpacked)
        if leaf.kind != BYTE_ARRAY:
            unpacked += max(page.values * leaf.width - page.unpacked, 0)
        elif page.encoding in (PLAIN_DICTIONARY, RLE_DICTIONARY):
            about.shared += page.values * longest
            referring += page.values
        elif page.encoding == DELTA_BYTE_ARRAY:
            about.prefixed += page.values * page.unpacked
    about.values.append(referring)
    return cells, unpacked


def _longest_of(file: Any, chunk: Chunk, page: Page) -> int | None:
    """The longest text of a dictionary whose texts are few, or all of one length; None of any other."""
    codec = _CODECS.get(chunk.codec)
    if page.unpacked > _AT_ONCE or not page.values or chunk.codec not in (0, *_CODECS):
        return None
    file.seek(page.start)
    raw = file.read(page.packed)
    try:
        data = raw if codec is None else pa.decompress(raw, page.unpacked, codec, asbytes=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError("a dictionary cannot be decompressed") from error
    width = int.from_bytes(data[:4], "little")
    if len(data) == page.values * (4 + width):
        lengths = np.frombuffer(data, np.dtype([("length", "<u4"), ("text", f"V{width}")]))["length"]
        if (lengths == width).all():
            return width
    if page.values > _FEW_TEXTS:
        return None
    longest, at = 0, 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        longest, at = max(longest, length), at + 4 + length
    return longest


def _longest_shared(path: str | Path, about: _Column) -> int:
    """Bytes that texts of a dictionary unpack to at most, by the longest of each: the first row brings the dictionary."""
    total = 0
    with pq.ParquetFile(path, read_dictionary=[about.name], pre_buffer=False) as file:
        for group, values in enumerate(about.values):
            if not values or group >= file.metadata.num_row_groups:
                continue
            for batch in file.iter_batches(1, row_groups=[group], columns=[about.name]):
                words = batch.column(0)
                words = words.dictionary if pa.types.is_dictionary(words.type) else words
                total += values * int(pc.max(pc.binary_length(words)).as_py() or 0)
                break
    return total


def _measured(path: str | Path, about: _Column, allowed: int) -> int:
    """Bytes that a column of texts unpacks to, counted up to a little more than ``allowed``."""
    if about.is_nested:
        return allowed + 1  # nobody writes texts of such size in lists, and they cannot be measured packed
    rows = _MEASURED_ROWS if not about.prefixed else max(1, min(_MEASURED_ROWS, _AT_ONCE // about.largest))
    total = 0
    dictionaries = [about.name] if not about.prefixed else []
    with pq.ParquetFile(path, read_dictionary=dictionaries, pre_buffer=False) as file:
        for batch in file.iter_batches(rows, columns=[about.name]):
            total += _bytes_of(batch.column(0))
            if total > allowed:
                break
    return total


def _bytes_of(column: pa.Array) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)
