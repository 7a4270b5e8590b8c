"""Checks XML extracts before osmium reads them, for contents that would exhaust its parser or that it would misread.

The parser accepts a text of any length and takes hours for it, and a kilobyte of ``.osm.gz`` can unpack to a gigabyte
of a single attribute. It also ignores the extra data of JOSM and Overpass, and stops before the end of some files that
were compressed in parallel. The check takes a small part of the reading time.
"""

from __future__ import annotations

import bz2
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from placevec.errors import SourceError

LONGEST_TEXT = 2**22
"""Maximum bytes from one ``>`` to the next; OSM's own limit is some thousands."""
_FREE_BYTES, _MAX_EXPANSION = 2**28, 250
"""Real extracts unpack to ten to thirty times their size."""
_CHUNK = 2**20
_OVERLAP = 256
"""Bytes of the previous chunk that are searched again, because a sign can span two chunks."""
_SHORT_STREAM = 16_384
"""libbz2 reads its file 5,000 bytes at a time, and osmium takes the end of the file for that of the last stream."""
_SIGNS = (
    b"id='-",
    b'id="-',
    b"ref='-",
    b'ref="-',
    b"action=",
    b"visible='false'",
    b'visible="false"',
    b"<center",
)
"""Contents that osmium misreads: objects that were never uploaded or are deleted, and Overpass's centers."""
_PLACED = re.compile(rb"<nd\s[^>]*\b(?:lat|lon)\s*=")
_FIRST_OBJECT = re.compile(rb"<(?:node|way|relation)\b")
_BOUNDS = re.compile(rb"<bounds\b([^>]*)>")
_REMARK = re.compile(rb"<remark>\s*([^<]{0,200})")

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class XmlSigns:
    """Findings in an XML extract.

    Attributes:
        unusual: it has contents that osmium ignores or misreads: see `placevec.sources.osm.plain_xml`.
        documents: number of documents.
        short_stream: bz2 whose last stream osmium would ignore.
        unpacked: uncompressed bytes.
        boxes: (west, south, east, north) of each area that it states.
    """

    unusual: bool
    documents: int
    short_stream: bool
    unpacked: int
    boxes: tuple[Box, ...]


def check_xml(path: Path) -> XmlSigns:
    """Check an XML extract (.osm, .osm.gz, .osm.bz2), once per file and process.

    Raises:
        SourceError: it would exhaust the parser, is damaged or truncated, is a change file, or is an incomplete answer
            of a server.
    """
    about = path.stat()
    return _check(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _check(path: Path, size: int, changed: int) -> XmlSigns:
    total = since = documents = 0
    unusual, before = False, b""
    head: bytes | None = b""
    boxes: tuple[Box, ...] = ()
    try:
        with opened(path) as file:
            while chunk := file.read(_CHUNK):
                total += len(chunk)
                first, last = chunk.find(b">"), chunk.rfind(b">")
                if since + (first if first >= 0 else len(chunk)) > LONGEST_TEXT:
                    raise SourceError(
                        f"{path} is not an OSM extract: it has a string of more than {LONGEST_TEXT // 2**20} MB"
                    )
                since = len(chunk) - last - 1 if last >= 0 else since + len(chunk)
                if total > _FREE_BYTES + _MAX_EXPANSION * size:
                    raise SourceError(
                        f"{path} unpacks to more than {_MAX_EXPANSION} times its size, unlike any extract"
                    )
                seen = before + chunk
                _refuse_other_documents(seen, path)
                documents += chunk.count(b"</osm>") + (
                    seen[: len(before) + 5].count(b"</osm>") if before else 0
                )
                unusual = unusual or _is_unusual(seen)
                if head is not None:
                    head = (head + chunk)[: 4 * _CHUNK]
                    if (begin := _FIRST_OBJECT.search(head)) or len(head) >= 4 * _CHUNK:
                        boxes, head = _boxes(head[: begin.start() if begin else None]), None
                before = chunk[-_OVERLAP:]
            short = isinstance(file, _Bzip2) and file.short_stream
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"{path} is not a readable OSM extract, or is truncated ({error}); download it again"
        ) from error
    return XmlSigns(unusual, documents, short, total, boxes)


def _is_unusual(seen: bytes) -> bool:
    if any(sign in seen for sign in _SIGNS):
        return True
    return b"<nd" in seen and (b"lat=" in seen or b"<nd/>" in seen) and _PLACED.search(seen) is not None


def _refuse_other_documents(seen: bytes, path: Path) -> None:
    """SourceError for a file that is not an extract, or only part of one."""
    if b"<osmChange" in seen:
        raise SourceError(
            f"{path} is a change file (osmChange), not an extract: apply it to an extract with osmium apply-changes"
        )
    if b"<action " in seen:
        raise SourceError(
            f"{path} is a list of differences (Overpass diff), not an extract: query without [diff]"
        )
    if remark := _REMARK.search(seen):
        said = " ".join(remark[1].decode("utf-8", "replace").split())
        if "error" in said.lower():
            raise SourceError(
                f"{path} is incomplete: the Overpass server stopped ({said[:120]!r}); query a smaller area, or allow "
                "more with [timeout:900][maxsize:1073741824]"
            )


def _boxes(head: bytes) -> tuple[Box, ...]:
    """The areas that a file states before its first object: JOSM writes one for each download."""
    found = []
    for match in _BOUNDS.finditer(head):
        sides = {
            name: value
            for name, _, value in re.findall(
                rb"\b(minlon|minlat|maxlon|maxlat)\s*=\s*(['\"])([-+.\deE]+)\2", match[1]
            )
        }
        try:
            west, south, east, north = (
                float(sides[name]) for name in (b"minlon", b"minlat", b"maxlon", b"maxlat")
            )
        except (KeyError, ValueError):
            continue
        found.append((west, south, east, north))
    return tuple(found)


# --- opening -----------------------------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The XML of an extract, decompressed while reading; all streams of a compressed file."""
    opens: Any = {".gz": gzip.GzipFile, ".bz2": _Bzip2}.get(path.suffix.lower(), open)
    with opens(path, **({} if opens is _Bzip2 else {"mode": "rb"})) as file:
        yield file


class _Bzip2(io.RawIOBase):
    """Reads all streams of a bz2 file, as Python's own reader does, and records the position of the last one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        self._size = path.stat().st_size
        self._decoder: bz2.BZ2Decompressor | None = bz2.BZ2Decompressor()
        self._held, self._streams = b"", 0
        self.short_stream = False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; empty only at the end.

        Raises:
            EOFError: the last stream is truncated.
            OSError: it is not bz2.
        """
        out = bytearray()
        while len(out) < size or size < 0:
            if self._decoder is None:
                break
            if self._decoder.eof:
                self._next_stream(self._decoder.unused_data)
                continue
            data = self._held or (self._file.read(_CHUNK) if self._decoder.needs_input else b"")
            self._held = b""
            if not data and self._decoder.needs_input:
                raise EOFError("compressed file ended before the end of its last stream")
            out += self._decoder.decompress(data, max(0, size - len(out)) if size >= 0 else -1)
        return bytes(out)

    def _next_stream(self, left: bytes) -> None:
        left = left or self._file.read(_CHUNK)
        self._streams += 1
        if not left:
            self._decoder = None
            return
        begins = self._file.tell() - len(left)
        self.short_stream = self.short_stream or self._size - begins < _SHORT_STREAM
        decoder = bz2.BZ2Decompressor()
        try:
            decoder.decompress(left[:10], 0)
        except OSError:  # trailing data that is not a stream: other readers ignore it too
            self._decoder, self.short_stream = None, True
            return
        self._decoder, self._held = bz2.BZ2Decompressor(), left


def of_another_kind(path: Path) -> str | None:
    """What a file really is if it does not match its name, and what to do; None if it may match.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.osm"
    >>> _ = file.write_bytes(gzip.compress(b"<osm/>"))
    >>> of_another_kind(file)
    'is compressed with gzip, which does not match its name: rename it to a.osm.gz'
    """
    with open(path, "rb") as file:
        head = file.read(64)
    found = next(
        (kind for begins, kind in _BEGINNINGS if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(begins)), None
    )
    if head[4:15] == b"\n\tOSMHeader":
        found = "PBF"
    name = path.name
    expected = {".pbf": "PBF", ".gz": "gzip", ".bz2": "bzip2"}.get(path.suffix.lower(), "XML")
    if found is None or found == expected:
        return None
    stem = re.sub(r"(\.osm)?(\.pbf|\.gz|\.bz2)?$", "", name, flags=re.IGNORECASE)
    if found in _NAMED:
        what, ending = _NAMED[found]
        return f"is {what}, which does not match its name: rename it to {stem}{ending}"
    return f"is {found}"


_NAMED = {
    "PBF": ("PBF", ".osm.pbf"),
    "XML": ("uncompressed XML", ".osm"),
    "gzip": ("compressed with gzip", ".osm.gz"),
    "bzip2": ("compressed with bzip2", ".osm.bz2"),
}
_BEGINNINGS = (
    (b"<!DOCTYPE html", "a web page: the server did not answer with an extract"),
    (b"<!doctype html", "a web page: the server did not answer with an extract"),
    (b"<html", "a web page: the server did not answer with an extract"),
    (b"<?xml", "XML"),
    (b"<osm", "XML"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"{", "JSON: query Overpass with [out:xml] instead of [out:json]"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first, with xz -d"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first, with zstd -d"),
    (b"\xff\xe0\x04o5m", "o5m: convert it with osmium cat -f pbf"),
    (b"SQLite format 3", "an SQLite database"),
)
