"""What a Parquet file says of itself: its footer and the headers of its pages, without unpacking anything.

Read here and not by pyarrow, which ends the process on some damaged footers when it is asked about their columns, and
which knows no page before it has been unpacked. https://github.com/apache/parquet-format (Thrift's compact protocol)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from placevec.errors import SourceError

MAX_FOOTER_BYTES = 32 * 2**20
MAX_COLUMNS = 10_000
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_DEEPEST = 24
_HEADER_BYTES, _LONGEST_HEADER = 2048, 16 * 2**20
DICTIONARY_PAGE = 2
PLAIN, PLAIN_DICTIONARY, RLE, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 2, 3, 7, 8
INT96, BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY = 3, 6, 7
_WIDTHS = {0: 1, 1: 4, 2: 8, INT96: 12, 4: 4, 5: 8}
"""Bytes of a value by physical type, of those that have one width."""


@dataclass(frozen=True)
class Leaf:
    """A column of values.

    Attributes:
        path: names from the top of the schema; several where it is nested.
        kind: its physical type, as Parquet numbers them.
        width: bytes of a value; 0 for texts, whose values differ.
        geometry: of a native GEOMETRY or GEOGRAPHY column, the text that names its system (empty: longitude and
            latitude); None for any other.
    """

    path: tuple[str, ...]
    kind: int
    width: int
    geometry: str | None


@dataclass(frozen=True)
class Chunk:
    """Where a column's values of one row group lie.

    Attributes:
        column: number of the `Leaf`.
        start: of its first page, in bytes.
        length: of its pages, in bytes.
        codec: that they are compressed by, as Parquet numbers them.
        values: how many, as the footer has it.
    """

    column: int
    start: int
    length: int
    codec: int
    values: int


@dataclass(frozen=True)
class Page:
    """A page, as its header describes it.

    Attributes:
        is_dictionary: it holds the values that others refer to.
        values: how many.
        encoding: as Parquet numbers them.
        unpacked: bytes after decompression.
        start: of its content in the file.
        packed: bytes of its content there.
    """

    is_dictionary: bool
    values: int
    encoding: int
    unpacked: int
    start: int
    packed: int


@dataclass(frozen=True)
class Footer:
    """The footer of a file.

    Attributes:
        leaves: its columns, in order.
        chunks: of all row groups.
        rows: of the table.
        metadata: of the file, by key.
    """

    leaves: tuple[Leaf, ...]
    chunks: tuple[Chunk, ...]
    rows: int
    metadata: dict[str, bytes]

    def geometry(self) -> dict[str, str]:
        """Native geometry columns -> the text that names their system."""
        return {leaf.path[0]: leaf.geometry for leaf in self.leaves if leaf.geometry is not None}


def read_footer(file: BinaryIO, path: object) -> Footer:
    """The footer of an open file.

    Raises:
        SourceError: encrypted, or of more columns than a table of places has.
        ValueError: not Parquet, or damaged.
    """
    size = file.seek(0, os.SEEK_END)
    if size < 12:
        raise ValueError("it is too short")
    file.seek(size - 8)
    end = file.read(8)
    if end[4:] == _ENCRYPTED:
        raise SourceError(f"{path} is encrypted: write it without encryption")
    length = int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or length > size - 12:
        raise ValueError("it does not end with the signature of Parquet")
    if length > MAX_FOOTER_BYTES:
        raise SourceError(
            f"{path} has a footer of {length / 2**20:,.0f} MiB, more than {MAX_FOOTER_BYTES // 2**20}: leave out "
            f"columns, or write it with larger row groups"
        )
    file.seek(size - 8 - length)
    try:
        content = _Reader(file.read(length)).struct()
        leaves = _leaves(content[2], path)
        chunks = tuple(
            chunk for group in content.get(4) or () for chunk in _chunks(group[1], len(leaves), size)
        )
        pairs = content.get(5) or ()
        return Footer(leaves, chunks, int(content[3]), {one[1].decode(): one.get(2, b"") for one in pairs})
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"its footer is damaged ({error})") from error


def pages_of(file: BinaryIO, chunk: Chunk) -> Iterator[Page]:
    """The headers of a chunk's pages, one after the other; ValueError when they are damaged."""
    at, end = chunk.start, chunk.start + chunk.length
    while at < end:
        file.seek(at)
        wanted = _HEADER_BYTES
        while True:
            file.seek(at)
            reader = _Reader(file.read(min(wanted, end - at)))
            try:
                header = reader.struct()
                break
            except IndexError as error:
                if wanted >= min(end - at, _LONGEST_HEADER):
                    raise ValueError("a page has no header") from error
                wanted *= 16
        try:
            kind, unpacked, packed = header[1], header[2], header[3]
            about = header.get(5) or header.get(7) or header.get(8) or {1: 0}
            encoding = about.get(4 if 8 in header else 2, PLAIN)
            if not all(isinstance(one, int) and one >= 0 for one in (unpacked, packed, about[1])):
                raise ValueError("a page has a negative size")
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError("the header of a page is damaged") from error
        yield Page(kind == DICTIONARY_PAGE, about[1], encoding, unpacked, at + reader.at, packed)
        at += reader.at + packed


def _leaves(elements: list[dict[int, Any]], path: object) -> tuple[Leaf, ...]:
    """The columns of a schema, which lies flat with the number of each one's children."""
    if len(elements) > 4 * MAX_COLUMNS or sum(5 not in one or not one[5] for one in elements) > MAX_COLUMNS:
        raise SourceError(
            f"{path} has more than {MAX_COLUMNS:,} columns: leave out the columns that are not needed"
        )
    found: list[Leaf] = []
    open_groups: list[list[Any]] = [[elements[0][5], ()]]
    for element in elements[1:]:
        while open_groups and open_groups[-1][0] == 0:
            open_groups.pop()
        if not open_groups or len(open_groups) > 100:
            raise ValueError("its schema is damaged")
        open_groups[-1][0] -= 1
        name = (*open_groups[-1][1], element[4].decode())
        if element.get(5):
            open_groups.append([element[5], name])
            continue
        kind = element[1]
        width = element.get(2, 0) if kind == FIXED_LEN_BYTE_ARRAY else _WIDTHS.get(kind, 0)
        logical = element.get(10) or {}
        native = logical.get(17, logical.get(18))
        found.append(Leaf(name, kind, width, None if native is None else native.get(1, b"").decode()))
    return tuple(found)


def _chunks(columns: list[dict[int, Any]], count: int, size: int) -> Iterator[Chunk]:
    if len(columns) != count:
        raise ValueError("a row group lacks columns")
    for number, column in enumerate(columns):
        about = column[3]
        start, length = about[9], about[7]
        first = about.get(11) or start
        if column.get(1) or not 0 <= min(first, start) <= size or not 0 <= length <= size:
            raise ValueError("a column lies outside of the file")
        yield Chunk(number, min(first, start), length, about[4], about[5])


class _Reader:
    """Values of Thrift's compact protocol; IndexError where the bytes end."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def varint(self) -> int:
        byte = self.data[self.at]
        self.at += 1
        if byte < 128:
            return byte
        value, shift = byte & 127, 7
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 70:
                raise ValueError("a number is too long")

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Number of each field -> its value."""
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            if byte == 0:
                return found
            number = number + (byte >> 4) if byte >> 4 else self.zigzag()
            found[number] = self._value(byte & 15, depth)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            self.at += 1
            return self.data[self.at - 1]
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self.varint())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"there is no type {kind}")

    def _bytes(self, length: int) -> bytes:
        self.at += length
        if self.at > len(self.data):
            raise IndexError("the bytes end")
        return self.data[self.at - length : self.at]

    def _list(self, depth: int) -> list[Any]:
        byte = self.data[self.at]
        self.at += 1
        count = byte >> 4 if byte >> 4 != 15 else self.varint()
        if count > len(self.data) - self.at:
            raise IndexError("a list is longer than its bytes")
        kind = byte & 15
        if kind in (1, 2):  # a truth value of a list has a byte of its own
            return [byte == 1 for byte in self._bytes(count)]
        return [self._value(kind, depth + 1) for _ in range(count)]


def footer_of(path: str | Path) -> Footer:
    """The footer of a file; raises as `read_footer` does, and OSError."""
    with open(path, "rb") as file:
        return read_footer(file, path)
