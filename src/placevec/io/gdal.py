"""Files written by GDAL. A write that fails raises the error of the system, as for any other file.

GeoTIFFs hold a checksum of themselves in a tag, `CHECKSUM`: CRC-32 with zeros in its place, and the size of the file,
which says whether another program has written it again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from placevec.io.checksums import crc32_with_holes

CHECKSUM = {"CHECKSUM": "placevec:crc32:00000000:000000000000"}
"""Tag to write before `seal`."""
_WIDTH = 8
_MARK = re.compile(rb"placevec:crc32:([0-9a-f]{8}):([0-9a-f]{12})")
_MORE = 2**20
"""Bytes that find room where GDAL's next block, a tile at most, would have."""


def seal(path: Path) -> None:
    """Write the checksum of a finished file into its tag; nothing else of it changes."""
    marks = _marks(path)
    size = b"%012x" % path.stat().st_size
    _put(path, {at + _WIDTH + 1: size for at, _, _ in marks})
    whole = b"%08x" % crc32_with_holes(path, [at for at, _, _ in marks])
    _put(path, {at: whole for at, _, _ in marks})


def damage(path: Path) -> str | None:
    """Why a raster of placevec is not as it was written; None if it is. The whole file is verified."""
    marks = _marks(path)
    if not marks:
        return "its checksum is missing or damaged"
    _, whole, size = marks[0]
    if size != path.stat().st_size:
        return "its size has changed since it was written"
    found = crc32_with_holes(path, [at for at, _, _ in marks])
    return None if found == whole else "its content has changed since it was written"


def _marks(path: Path) -> list[tuple[int, int, int]]:
    """(position of the sum, the sum, the size) of each tag: where GDAL moved it, its former place keeps a copy."""
    if path.stat().st_size == 0:
        return []
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return [(mark.start(1), int(mark[1], 16), int(mark[2], 16)) for mark in _MARK.finditer(content)]


def _put(path: Path, parts: Mapping[int, bytes]) -> None:
    with open(path, "r+b", buffering=0) as file:
        for at, part in parts.items():
            file.seek(at)
            file.write(part)


@contextlib.contextmanager
def opened(path: Path, mode: str, **profile: Any) -> Iterator[Any]:
    """A file of rasterio that is closed within `writing`."""
    import rasterio

    file = rasterio.open(path, mode, **profile)
    try:
        yield file
    finally:
        with writing(path):
            file.close()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Run GDAL's calls that write to ``path``, a temporary file that is worthless if they fail.

    GDAL does not raise the reason; its TIFF library prints it to standard error, past every handler. So standard error
    is silenced during the call, and the reason is found by writing more.

    Raises:
        OSError: there is no room, or the file may not grow.
    """
    try:
        with _silenced():
            yield
    except Exception as error:
        try:
            with open(path, "ab") as file:
                file.write(bytes(_MORE))
                file.flush()
                os.fsync(file.fileno())
        except OSError as reason:
            raise reason from error
        raise


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Nothing reaches standard error, from whatever library."""
    with contextlib.suppress(AttributeError, ValueError, OSError):  # none, or closed
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
