"""Texts of a PBF extract that osmium cannot hold: those with a zero byte in them, which end its process.

osmium keeps texts as C does, up to the first zero. A text that holds one shifts every tag behind it, and reading on
runs beyond its memory. No real extract has such a text; a damaged or hostile one may.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from placevec.errors import SourceError
from placevec.sources.pbf import varint

_MOST_RAW, _MOST_HEAD = 32 * 2**20, 64 * 2**10  # what the format allows for a block and for its head
_TYPE, _DATA_SIZE = 1 << 3 | 2, 3 << 3
_RAW, _ZLIB = 1 << 3 | 2, 3 << 3 | 2
_FIRST_STRINGS = 1 << 3 | 2


def check_strings(path: Path) -> None:
    """SourceError when a text holds a zero byte. Whatever else is wrong with the file is left for osmium to say."""
    try:
        with open(path, "rb") as file:
            while size := file.read(4):
                length = int.from_bytes(size, "big")
                if length > _MOST_HEAD:
                    return
                head = _fields(file.read(length))
                blob = file.read(int(head.get(_DATA_SIZE, 0)))
                if head.get(_TYPE) == b"OSMData" and _has_zero(_unpacked(_fields(blob))):
                    raise SourceError(f"{path} is damaged: a text in it holds a zero byte; download it again")
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
        raise ValueError("a blob without bytes")
    return content if _RAW in blob else zlib.decompressobj().decompress(content, _MOST_RAW)


def _has_zero(block: bytes) -> bool:
    """Whether a text of the block's table, its first field, holds a zero."""
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
