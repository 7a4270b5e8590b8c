"""Cache of downloaded tiles, with the metadata needed to ask the server whether they have changed.

One SQLite file per server in the user's cache folder. It is also an MBTiles file, so QGIS and GDAL open it. Committed
tiles survive a kill; two programs can use the file at the same time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.geo import Ints
from placevec.io.databases import database_errors
from placevec.io.folders import cache_folder
from placevec.sources.tiles.address import TileTemplate

UNKNOWN, GOOD, BLANK, CORRUPT, MISSING, FAILED = range(6)
"""Kinds of tiles: blank has a single color, missing is not on the server, failed could not be downloaded."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS metadata (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS tiles (
    id INTEGER PRIMARY KEY, zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS tile_index ON tiles (zoom_level, tile_column, tile_row);
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, fresh_until REAL NOT NULL, etag TEXT, modified TEXT, sha256 BLOB);
"""
_TOGETHER = 500


@dataclass(frozen=True)
class Kept:
    """Metadata of a tile: its kind, until when it is fresh, and validators for the next request."""

    kind: int
    fresh_until: float
    etag: str | None
    modified: str | None


class TileCache:
    """The tiles of one server at one zoom; use it in one thread, or `read` in several.

    Args:
        path: the SQLite file; see `of_server` for its path.
        zoom: zoom of the tiles; their codes are ``y * 2**zoom + x``.

    Raises:
        SourceError: the file is damaged.
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path, zoom: int) -> None:
        self.path, self.zoom = path, zoom
        self._side, self._first = 2**zoom, zoom << 48
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, tuple[Any, ...]]] = []
        with database_errors(self.path, "cached tiles"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60.0, check_same_thread=False)
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            about = {"name": "tiles kept by placevec", "format": "png"}
            self._database.executemany("INSERT OR IGNORE INTO metadata VALUES (?, ?)", about.items())
            self._database.commit()

    @classmethod
    def of_server(cls, template: TileTemplate, zoom: int) -> TileCache:
        """In the user's cache folder (``PLACEVEC_CACHE``)."""
        return cls(cache_folder() / "tiles" / template.hash[:16] / "tiles.mbtiles", zoom)

    def __enter__(self) -> TileCache:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.commit()
        finally:
            self._database.close()

    def known(self, codes: Ints) -> dict[int, Kept]:
        """Metadata of some tiles."""
        found: dict[int, Kept] = {}
        for part in _parts(codes):
            rows = self._query("SELECT id, kind, fresh_until, etag, modified FROM answers", part)
            found |= {row[0] - self._first: Kept(*row[1:]) for row in rows}
        return found

    def kinds(self, codes: Ints) -> NDArray[np.uint8]:
        """(N,) the kind of every tile; `UNKNOWN` if it is not cached or was not checked."""
        kinds = np.zeros(len(codes), np.uint8)
        order = np.argsort(codes)
        for part in _parts(np.arange(len(codes))):
            rows = dict(self._query("SELECT id, kind FROM answers", codes[order[part]]))
            kinds[order[part]] = [rows.get(int(code) + self._first, UNKNOWN) for code in codes[order[part]]]
        return kinds

    def sha256(self, codes: Ints) -> str:
        """Hash of the contents of tiles, in the given order, including which ones are missing."""
        digest = hashlib.sha256()
        for part in _parts(codes):
            rows = dict(self._query("SELECT id, sha256 FROM answers", part))
            for code in part.tolist():
                digest.update(b"%d:" % code + (rows.get(code + self._first) or b""))
        return digest.hexdigest()

    def read(self, code: int) -> bytes | None:
        """The content of a tile, or None."""
        with database_errors(self.path, "cached tiles"), self._lock:
            row = self._database.execute(
                "SELECT tile_data FROM tiles WHERE id = ?", (code + self._first,)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, code: int, content: bytes | None, kept: Kept) -> None:
        """Cache a tile or, without content, its absence; stored with the next `commit`."""
        y, x = divmod(code, self._side)
        number = code + self._first
        if content is None:
            self._waiting.append(("DELETE FROM tiles WHERE id = ?", (number,)))
        else:
            row = (number, self.zoom, x, self._side - 1 - y, content)
            self._waiting.append(("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?)", row))
        digest = None if content is None else hashlib.sha256(content).digest()
        answer = (number, kept.kind, kept.fresh_until, kept.etag, kept.modified, digest)
        self._waiting.append(("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", answer))
        if len(self._waiting) >= _TOGETHER:
            self.commit()

    def renew(self, code: int, fresh_until: float) -> None:
        """The server says that a tile has not changed."""
        self._waiting.append(
            ("UPDATE answers SET fresh_until = ? WHERE id = ?", (fresh_until, code + self._first))
        )

    def commit(self) -> None:
        """Store what was put last, in one short transaction, because another program may be waiting."""
        waiting, self._waiting = self._waiting, []
        with database_errors(self.path, "cached tiles"), self._database:
            for statement, values in waiting:
                self._database.execute(statement, values)

    def mark(self, codes: Ints, kinds: NDArray[np.uint8]) -> None:
        """Set the kind of tiles."""
        rows = zip(kinds.tolist(), (codes + self._first).tolist(), strict=True)
        with database_errors(self.path, "cached tiles"), self._database:
            self._database.executemany("UPDATE answers SET kind = ? WHERE id = ?", rows)

    def _query(self, select: str, codes: Ints) -> list[Any]:
        numbers = (codes + self._first).tolist()
        marks = ",".join("?" * len(numbers))
        with database_errors(self.path, "cached tiles"):
            return self._database.execute(f"{select} WHERE id IN ({marks})", numbers).fetchall()


def fresh_until(cache_control: str, min_s: float) -> float:
    """When a tile should be requested again: as the server says, but not within ``min_s`` nor after 90 days.

    >>> import time
    >>> round(fresh_until("max-age=864000", min_s=604800) - time.time(), -1)
    864000.0
    """
    told = 0.0
    for part in cache_control.lower().split(","):
        name, _, value = part.strip().partition("=")
        if name == "max-age" and value.strip('"').isdecimal():
            told = float(value.strip('"')[:12])
    return time.time() + min(max(told, min_s), 90 * 86400.0)


def _parts(codes: Ints) -> Iterator[Ints]:
    for start in range(0, len(codes), _TOGETHER):
        yield codes[start : start + _TOGETHER]
