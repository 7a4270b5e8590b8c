"""Decodes OSM's PBF format column by column, in blocks of thousands of objects.

Handling one object at a time is slow in Python. So osmium reads the extract, filters it, attaches coordinates to ways,
and writes the rest as uncompressed PBF; this module turns those blocks into arrays without a loop over vertices or
tags. It reads
what osmium writes, not every PBF: https://wiki.openstreetmap.org/wiki/PBF_Format.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo.polylines import Ints

Bytes = NDArray[np.uint8]

UNITS_PER_DEGREE = 1e7
"""Coordinates are integers in units of 1e-7 degrees (the granularity that osmium writes)."""
# (number of the field << 3) | wire type
_VARINT, _BYTES = 0, 2
_HEADER_SIZE, _BLOB_RAW = 3 << 3 | _VARINT, 1 << 3 | _BYTES
_STRINGS, _GROUP, _STRING = 1 << 3 | _BYTES, 2 << 3 | _BYTES, 1 << 3 | _BYTES
_DENSE, _WAY = 2 << 3 | _BYTES, 3 << 3 | _BYTES
_ID = 1 << 3 | _VARINT
_WAY_FIELDS = [number << 3 | _BYTES for number in (2, 3, 4, 8, 10, 9)]
"""Keys, values, info, nodes, longitudes, latitudes: in the order in which osmium writes them."""


@dataclass(frozen=True)
class Block:
    """Nodes or ways of one block of a file.

    Attributes:
        osm_type: 0 for nodes, 1 for ways.
        ids: (N,) int64.
        strings: texts, as bytes, referenced by keys and values.
        tag_offsets: (N + 1,) int64; the tags of object ``n`` are entries ``tag_offsets[n]`` to ``[n + 1]`` of
        keys, values: (T,) int64 indices of strings.
        vertex_offsets: (N + 1,) int64; likewise, the vertices of object ``n`` in
        lonlat: (V, 2) int64 units of 1e-7 degrees; nodes missing from the extract lie outside the valid range.
    """

    osm_type: int
    ids: Ints
    strings: list[bytes]
    tag_offsets: Ints
    keys: Ints
    values: Ints
    vertex_offsets: Ints
    lonlat: Ints


def read_blocks(path: Path) -> Iterator[Block]:
    """The nodes and ways of an uncompressed PBF file written by osmium, in the order of the file."""
    with open(path, "rb") as file:
        while found := _next_content(file):
            kind, content = found
            if kind == b"OSMData":
                yield from _decode_block(content)


def node_ids(path: Path) -> Iterator[Ints]:
    """The IDs of the nodes, block by block."""
    for raw, fields, text in _groups(path):
        if fields[0][0] == _DENSE:
            first, end = {key >> 3: (a, b) for key, a, b in _members(text, *fields[0][1:])}[1]
            yield np.cumsum(decode_signed(raw[first:end]))


def has_refs_below_zero(path: Path) -> bool:
    """Whether a way refers to a node with a negative ID."""
    for raw, fields, _ in _groups(path):
        if fields[0][0] == _WAY:
            _, columns = _way_columns(raw, fields)
            steps, counts = _cut(np.append(raw, np.uint8(0)), *columns[3])
            if (_sums(decode_signed(steps), np.concatenate([[0], np.cumsum(counts)])) < 0).any():
                return True
    return False


def _groups(path: Path) -> Iterator[tuple[Bytes, list[tuple[int, int, int]], bytes]]:
    """(bytes of a block, fields of a group in it, the same bytes) of an uncompressed PBF file written by osmium."""
    with open(path, "rb") as file:
        while found := _next_content(file):
            kind, text = found
            for key, first, end in _members_of_block(text) if kind == b"OSMData" else ():
                if key == _GROUP and (fields := _members(text, first, end)):
                    yield np.frombuffer(text, np.uint8), fields, text


def _next_content(file: BinaryIO) -> tuple[bytes, bytes] | None:
    """Kind and content of the next blob, None at the end."""
    size = file.read(4)
    if not size:
        return None
    head = file.read(int.from_bytes(size, "big"))
    kind, at = b"", 0
    while head[at] != _HEADER_SIZE:
        length, at = varint(head, at + 1)
        kind = kind or head[at : at + length]
        at += length
    blob = file.read(varint(head, at + 1)[0])
    if blob[0] != _BLOB_RAW:
        raise ValueError("a block of the intermediate file is compressed")
    length, at = varint(blob, 1)
    return kind, blob[at : at + length]


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it.

    >>> varint(b"\\x96\\x01", 0)
    (150, 2)
    """
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7


def _members(raw: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """(key, first byte, end) of the fields of a message."""
    found = []
    while at < end:
        key = raw[at]
        size = raw[at + 1]
        if key & 7 == _BYTES:
            if size < 128:
                at += 2
            else:
                size, at = varint(raw, at + 1)
            found.append((key, at, at + size))
            at += size
        else:
            first = at + 1
            at = varint(raw, first)[1]
            found.append((key, first, at))
    return found


def _decode_block(raw: bytes) -> Iterator[Block]:
    strings: list[bytes] = []
    for key, first, end in _members_of_block(raw):
        if key == _STRINGS:
            strings = [raw[a:b] for kind, a, b in _members(raw, first, end) if kind == _STRING]
        elif key == _GROUP:
            fields = _members(raw, first, end)
            if fields and fields[0][0] == _DENSE:
                yield _decode_nodes(np.frombuffer(raw, np.uint8), fields[0], raw, strings)
            elif fields and fields[0][0] == _WAY:
                yield _decode_ways(np.frombuffer(raw, np.uint8), fields, strings)


def _members_of_block(raw: bytes) -> list[tuple[int, int, int]]:
    """As `_members`, up to the first field with a two-byte key (granularity and dates: always the defaults)."""
    found, at = [], 0
    while at < len(raw) and raw[at] < 128:
        key = raw[at]
        size, at = varint(raw, at + 1)
        found.append((key, at, at + size))
        at += size
    return found


# --- numbers -----------------------------------------------------------------------------------------------


def decode_varints(raw: Bytes) -> Ints:
    """Concatenated varints: seven bits per byte, least significant first.

    >>> decode_varints(np.array([1, 0x96, 1, 0], np.uint8)).tolist()
    [1, 150, 0]
    """
    ends = np.flatnonzero(raw < 128)
    if len(ends) == len(raw):
        return raw.astype(np.int64)
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    low = raw & np.uint8(127)
    values = low[starts].astype(np.int64)
    rows = np.flatnonzero(ends > starts)
    behind = 1
    while len(rows):
        at = starts[rows] + behind
        values[rows] |= low[at].astype(np.int64) << (7 * behind)
        behind += 1
        rows = rows[ends[rows] > at]
    return values


def decode_signed(raw: Bytes) -> Ints:
    """As `decode_varints`, with the sign in the lowest bit.

    >>> decode_signed(np.array([0, 1, 2, 3], np.uint8)).tolist()
    [0, -1, 1, -2]
    """
    values = decode_varints(raw)
    return (values >> 1) ^ -(values & 1)


def _cut(raw: Bytes, starts: Ints, sizes: Ints) -> tuple[Bytes, Ints]:
    """The concatenated bytes of many stretches, and the count of numbers in each stretch."""
    ends = np.cumsum(sizes)
    index = np.repeat(starts - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
    taken = raw[index]
    finished = np.concatenate([[0], np.cumsum(taken < 128)])
    return taken, finished[ends] - finished[ends - sizes]


# --- objects -----------------------------------------------------------------------------------------------


def _decode_nodes(raw: Bytes, dense: tuple[int, int, int], text: bytes, strings: list[bytes]) -> Block:
    """Nodes: columns of differences, and the tags of all nodes in one sequence, with a zero after each node."""
    columns = {key >> 3: raw[a:b] for key, a, b in _members(text, dense[1], dense[2])}
    ids = np.cumsum(decode_signed(columns[1]))
    lonlat = np.stack([np.cumsum(decode_signed(columns[number])) for number in (9, 8)], axis=1)
    tags = decode_varints(columns.get(10, np.zeros(len(ids), np.uint8)))
    ends = np.flatnonzero(tags == 0)
    if len(ends) != len(ids):
        raise ValueError("a block of the intermediate file has tags of other nodes")
    offsets = np.concatenate([[0], (ends - np.arange(len(ends))) // 2])
    pairs = np.delete(tags, ends).reshape(-1, 2)
    vertices = np.arange(len(ids) + 1, dtype=np.int64)
    return Block(0, ids, strings, offsets, pairs[:, 0], pairs[:, 1], vertices, lonlat)


def _decode_ways(raw: Bytes, fields: Sequence[tuple[int, int, int]], strings: list[bytes]) -> Block:
    """Ways: one message each, read in parallel, because their fields come in the same order."""
    ids, columns = _way_columns(raw, fields)
    raw = np.append(raw, np.uint8(0))  # so that the position after the last message can be read
    (keys, tags), (values, _), (lon, vertices), (lat, _) = (_cut(raw, *columns[n]) for n in (0, 1, 4, 5))
    offsets = np.concatenate([[0], np.cumsum(vertices)])
    lonlat = np.stack([_sums(decode_signed(column), offsets) for column in (lon, lat)], axis=1)
    tag_offsets = np.concatenate([[0], np.cumsum(tags)])
    return Block(1, ids, strings, tag_offsets, decode_varints(keys), decode_varints(values), offsets, lonlat)


def _way_columns(raw: Bytes, fields: Sequence[tuple[int, int, int]]) -> tuple[Ints, list[tuple[Ints, Ints]]]:
    """The IDs of ways, and for each of `_WAY_FIELDS` where it begins in each way and its length in bytes."""
    at, end = np.array([field[1:] for field in fields], np.int64).T
    if not (raw[at] == _ID).all():
        raise ValueError("a way of the intermediate file has no number")
    ids, at = _numbers_at(raw, at + 1)
    raw = np.append(raw, np.uint8(0))  # so that the position after the last message can be read
    columns = []
    for key in _WAY_FIELDS:
        here = np.flatnonzero((at < end) & (raw[at] == key))
        start, size = at.copy(), np.zeros(len(at), np.int64)
        size[here], start[here] = _numbers_at(raw, at[here] + 1)
        at = start + size
        columns.append((start, size))
    if not np.array_equal(at, end):
        raise ValueError("a way of the intermediate file has fields in an unknown order")
    return ids, columns


def _numbers_at(raw: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """The numbers at many positions, and the positions after them."""
    values, rows, shift = np.zeros(len(at), np.int64), np.arange(len(at)), 0
    at = at.copy()
    while len(rows):
        byte = raw[at[rows]].astype(np.int64)
        values[rows] |= (byte & 127) << shift
        at[rows] += 1
        rows = rows[byte >= 128]
        shift += 7
    return values, at


def _sums(steps: Ints, offsets: Ints) -> Ints:
    """Running sums that restart at each offset."""
    sums = np.concatenate([[0], np.cumsum(steps)])
    return np.asarray(sums[1:] - np.repeat(sums[offsets[:-1]], np.diff(offsets)))


_MAX_RAW, _MAX_HEAD = 32 * 2**20, 64 * 2**10  # limits of the format for a block and its header
_TYPE, _DATA_SIZE = 1 << 3 | 2, 3 << 3
_RAW, _ZLIB = 1 << 3 | 2, 3 << 3 | 2
_FIRST_STRINGS = 1 << 3 | 2


def check_strings(path: Path) -> None:
    """SourceError if a text contains a zero byte. osmium reports every other problem of the file."""
    try:
        with open(path, "rb") as file:
            while size := file.read(4):
                length = int.from_bytes(size, "big")
                if length > _MAX_HEAD:
                    return
                head = _fields(file.read(length))
                blob = file.read(int(head.get(_DATA_SIZE, 0)))
                if head.get(_TYPE) == b"OSMData" and _has_zero(_unpacked(_fields(blob))):
                    raise SourceError(
                        f"{path} is damaged: it has a string with a zero byte; download it again"
                    )
    except (OSError, IndexError, ValueError, zlib.error):
        return


def _fields(message: bytes) -> dict[int, int | bytes]:
    """Numbers and bytes of a message by key, the last of each."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        value, at = varint(message, at)
        if key & 7 == 2:
            found[key], at = message[at : at + value], at + value
        elif key & 7 == 0:
            found[key] = value
        else:
            raise ValueError("a message of another kind")
    return found


def _unpacked(blob: dict[int, int | bytes]) -> bytes:
    content = blob.get(_RAW) or blob.get(_ZLIB) or b""
    if not isinstance(content, bytes):
        raise ValueError("an empty blob")
    return content if _RAW in blob else zlib.decompressobj().decompress(content, _MAX_RAW)


def _has_zero(block: bytes) -> bool:
    """Whether a text in the block's table, its first field, contains a zero."""
    if not block or block[0] != _FIRST_STRINGS:
        return False
    length, at = varint(block, 1)
    table = block[at : at + length]
    zeros = table.count(0)
    if zeros == 0 or (zeros == 1 and table[:2] == b"\n\0"):  # the first text is always empty: its length is 0
        return False
    at = 0
    while at < len(table):
        size, at = varint(table, at + 1)
        if 0 in table[at : at + size]:
            return True
        at += size
    return False


# --- texts that are too long -------------------------------------------------------------------------------


def shorten_strings(source: Path, target: Path, max_bytes: int) -> int:
    """Copy a PBF file, cutting texts longer than ``max_bytes`` at a character boundary; returns how many were cut.

    Blocks without such texts are copied as they are, and so are blocks compressed with something other than zlib.

    Raises:
        ValueError, IndexError, zlib.error: a damaged block.
    """
    count = 0
    with open(source, "rb") as file, open(target, "wb") as out:
        while size := file.read(4):
            head = file.read(int.from_bytes(size, "big"))
            fields = _fields(head)
            blob = file.read(int(fields.get(_DATA_SIZE, 0)))
            if fields.get(_TYPE) == b"OSMData":
                content, cut = _shortened(_unpacked(_fields(blob)), max_bytes)
                if cut:
                    count += cut
                    blob = _field(_ZLIB, zlib.compress(content, 1))
                    blob = _number(2 << 3, len(content)) + blob
                    head = _field(_TYPE, b"OSMData") + _number(_DATA_SIZE, len(blob))
                    size = len(head).to_bytes(4, "big")
            out.write(size + head + blob)
    return count


def _shortened(block: bytes, max_bytes: int) -> tuple[bytes, int]:
    """A block with shorter texts, and how many were cut."""
    at, count = 0, 0
    while at < len(block):
        begin = at
        key, at = varint(block, at)
        value, at = varint(block, at)
        if key & 7 != 2:
            continue
        if key == _STRINGS:
            strings = [block[a:b] for _, a, b in _strings(block, at, at + value)]
            count = sum(len(one) > max_bytes for one in strings)
            cut = [
                one if len(one) <= max_bytes else one[:max_bytes].decode("utf-8", "ignore").encode()
                for one in strings
            ]
            table = b"".join(_field(_STRING, one) for one in cut)
            return block[:begin] + _field(_STRINGS, table) + block[at + value :], count
        at += value
    return block, 0


def _strings(raw: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    while at < end:
        key, at = varint(raw, at)
        size, at = varint(raw, at)
        if key != _STRING or at + size > end:
            raise ValueError("a table of texts contains something else")
        yield key, at, at + size
        at += size


def _field(key: int, content: bytes) -> bytes:
    return _number(key, len(content)) + content


def _number(key: int, value: int) -> bytes:
    return _varint_of(key) + _varint_of(value)


def _varint_of(value: int) -> bytes:
    """The bytes of a number.

    >>> varint(_varint_of(150), 0)
    (150, 2)
    """
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
