"""XML extracts looked through before osmium reads them: its parser holds a text of any length, and takes hours over it.

A kilobyte of ``.osm.gz`` can unpack to a gigabyte of one attribute. Looking through costs a small part of the reading.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from placevec.errors import SourceError

LONGEST_TEXT = 2**22
"""Bytes from one ``>`` to the next; OSM's own limit is some thousands."""
_FREE_BYTES, _MOST_EXPANSION = 2**28, 250
"""Real extracts unpack to ten to thirty times their size."""
_CHUNK = 2**20


def check_xml(path: Path) -> None:
    """SourceError for an XML extract (.osm, .osm.gz, .osm.bz2) that would exhaust its reader; once a file and run."""
    about = path.stat()
    _check(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=64)
def _check(path: Path, size: int, changed: int) -> None:
    total = since = 0
    try:
        with _opened(path) as file:
            while chunk := file.read(_CHUNK):
                total += len(chunk)
                first, last = chunk.find(b">"), chunk.rfind(b">")
                if since + (first if first >= 0 else len(chunk)) > LONGEST_TEXT:
                    raise SourceError(
                        f"{path} is no OSM extract: it holds a text of more than {LONGEST_TEXT // 2**20} MB"
                    )
                since = len(chunk) - last - 1 if last >= 0 else since + len(chunk)
                if total > _FREE_BYTES + _MOST_EXPANSION * size:
                    raise SourceError(
                        f"{path} unpacks to more than {_MOST_EXPANSION} times its size: no extract does"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"{path} is not a readable OSM extract, or cut short ({error}); download it again"
        ) from error


def _opened(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.open(path, "rb")
    return bz2.open(path, "rb") if suffix == ".bz2" else open(path, "rb")
