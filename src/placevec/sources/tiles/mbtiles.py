"""MBTiles: tiles in one SQLite file, rows counted northwards (github.com/mapbox/mbtiles-spec, 1.3).

A file from elsewhere is a program that SQLite runs: views, triggers and huge values in it are somebody else's choice.
So it is opened read-only and immutable, may only select, makes no value larger than a tile, and every step has a
limit of work. One file is one layer, or the colors of a map.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from placevec.errors import SourceError
from placevec.io.atomic import sha256_of_file, sha256_of_json
from placevec.io.files import check_regular
from placevec.io.json_documents import parse_json
from placevec.io.progress import SILENT, Progress
from placevec.sources.tiles.decode import MAX_TILE_BYTES
from placevec.sources.tiles.schemes import AskedScheme, contradiction
from placevec.sources.tiles.tilesets import (
    MAX_LAYERS,
    Ignored,
    Listing,
    TileSet,
    check_layer,
    chosen_zoom,
    in_order,
)

ENDING = ".mbtiles"
_MAGIC = b"SQLite format 3\0"
_LONGEST = 10_000
"""Characters of a text of the metadata."""
_STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the work done."""
_MAX_LOOKS = 2_000
"""Looks that one answer may take: some seconds."""
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_ALL = "SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ?"
_ONE = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
_ZOOMS = "SELECT DISTINCT zoom_level FROM tiles WHERE zoom_level BETWEEN 0 AND 22 LIMIT 23"
_ABOUT = "SELECT name, value FROM metadata LIMIT 200"


def find_mbtiles(path: str | Path) -> list[Path]:
    """The file itself, or the ``*.mbtiles`` of a folder, by name; SourceError when there is none."""
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix == ENDING and not one.name.startswith("."))
    if not found:
        raise SourceError(f"there is no *{ENDING} file in {path}")
    return found


def read_mbtiles(
    paths: Sequence[str | Path],
    *,
    zoom: int | None = None,
    scheme: AskedScheme = "auto",
    order: Sequence[str] = (),
    progress: Progress = SILENT,
) -> TileSet:
    """The tiles of MBTiles files.

    Args:
        paths: one file of colors, or several, each a layer called like its file; folders stand for those in them.
        zoom: of the tiles; None when there is only one.
        scheme: ``tms`` where rows are counted from the south, as they are in MBTiles; ``xyz`` from the north; ``auto``
            goes by the file's metadata where these name a scheme.
        order: names of layers that come first, in this order; the others follow by name.
        progress: where to report.

    Raises:
        SourceError: no SQLite file, no tiles in it, several zooms, vector tiles, or a file that does too much work.
    """
    files = [file for path in paths for file in find_mbtiles(path)]
    is_layers = len(files) > 1 or any(Path(path).is_dir() for path in paths)
    if len(files) > MAX_LAYERS:
        raise SourceError(f"{len(files)} files are more than {MAX_LAYERS} layers")
    by_layer = {check_layer(file.stem) if is_layers else "tiles": file for file in files}
    if len(by_layer) < len(files):
        raise SourceError("two MBTiles files have the same name, which names their layer")
    layers = in_order(by_layer, order)
    read = [_File(by_layer[layer], scheme) for layer in layers]
    chosen = chosen_zoom([one for file in read for one in file.zooms()], zoom, ", ".join(map(str, paths)))
    ignored, keys = Ignored(), []
    with progress.task("Listing tiles") as advance:
        for file in read:
            listing = Listing()
            for key in file.keys(chosen, ignored):
                listing.add(key, 0, 0)
                advance(1)
            keys.append(listing.sorted()[0])
    abouts = [file.about() for file in read]
    notes = [note for file in read if (note := file.note)]
    for layer, (file, told) in enumerate(zip(read, abouts, strict=True)):
        tiles = np.stack(np.divmod(keys[layer], 2**chosen)[::-1], axis=1)
        if wrong := contradiction(tiles, chosen, told.get("bounds"), f"the tiles of {file.path.name}"):
            notes.append(wrong)
    about: dict[str, Any] = {name: value for one in reversed(abouts) for name, value in one.items()}
    about["placevec"] = _json(about.get("placevec", ""))
    if is_layers:
        about["name"] = ""
    stamp = sha256_of_json(
        {
            layer: [sha256_of_file(by_layer[layer]), file.from_north]
            for layer, file in zip(layers, read, strict=True)
        }
    )

    def content(layer: int, x: int, y: int) -> bytes:
        return read[layer].tile(chosen, x, y)

    first = Path(paths[0])
    return TileSet(
        first.stem if len(paths) == 1 else first.resolve().parent.name, "layers" if is_layers else "colors",
        "MBTiles", chosen, layers, tuple(keys), stamp, about, ignored, content, tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def mbtiles_metadata(path: str | Path) -> dict[str, str]:
    """The texts of a file's metadata; SourceError when it is no SQLite file."""
    return _File(Path(path)).about()


class _File:
    """One MBTiles file; each thread has its own connection to it."""

    def __init__(self, path: Path, scheme: AskedScheme = "auto") -> None:
        self.path, self.note = path, ""
        self._here = threading.local()
        check_regular(path, "MBTiles file")
        try:
            with open(path, "rb") as file:
                head = file.read(len(_MAGIC))
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
        if head != _MAGIC:
            raise SourceError(f"{path} is no MBTiles file: it is no SQLite database")
        beside = path.with_name(path.name + "-wal")
        if beside.is_file() and beside.stat().st_size:
            raise SourceError(f"{path} is being written to, or was not closed: {beside.name} lies beside it")
        told = self.about().get("scheme", "").strip().lower() if scheme == "auto" else scheme
        self.from_north = told == "xyz"
        if scheme == "auto" and self.from_north:
            self.note = (
                "rows are counted from the north, as its metadata say; --scheme tms counts from the south"
            )

    def zooms(self) -> list[int]:
        """Those that it has tiles of."""
        return [row[0] for row in self._rows(_ZOOMS) if isinstance(row[0], int)]

    def about(self) -> dict[str, str]:
        """What its metadata says, long texts cut."""
        try:
            rows = list(self._rows(_ABOUT))
        except SourceError:  # the table is not always there
            return {}
        return {
            name: text[:_LONGEST] for name, text in rows if isinstance(name, str) and isinstance(text, str)
        }

    def keys(self, zoom: int, ignored: Ignored) -> Iterator[int]:
        """``y * 2**zoom + x`` of its tiles, in any order."""
        if self.about().get("format", "").lower() in ("pbf", "mvt"):
            raise SourceError(
                f"{self.path} holds vector tiles: pictures (PNG, JPEG, WebP or AVIF) are expected"
            )
        side = 2**zoom
        for column, row in self._rows(_ALL, zoom):
            if isinstance(column, int) and isinstance(row, int) and 0 <= column < side and 0 <= row < side:
                yield (row if self.from_north else side - 1 - row) * side + column
            else:
                ignored.add("rows that are no tile", f"{str(column)[:20]}, {str(row)[:20]}")

    def tile(self, zoom: int, x: int, y: int) -> bytes:
        """The bytes of a tile; y counts southwards."""
        rows = list(self._rows(_ONE, zoom, x, y if self.from_north else 2**zoom - 1 - y, most=1))
        if not rows or not isinstance(rows[0][0], bytes):
            raise SourceError(f"{self.path} holds no picture of tile {zoom}/{x}/{y}")
        return rows[0][0]

    def _rows(self, query: str, *values: int, most: int | None = None) -> Iterator[tuple[Any, ...]]:
        """What a query gives, the work for each thousand rows limited."""
        with self._explained():
            connection = self._connection()
            self._here.looks = 0
            cursor = connection.execute(query, values)
            while rows := cursor.fetchmany(most or 1000):
                self._here.looks = 0
                yield from rows
                if most is not None:
                    break
            cursor.close()

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._here, "connection"):
            address = f"file:{quote(str(self.path.resolve()))}?mode=ro&immutable=1"
            connection = sqlite3.connect(address, uri=True, isolation_level=None)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TILE_BYTES + 2**16)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
            for pragma in (
                "trusted_schema = 0",
                "cell_size_check = 1",
                "query_only = 1",
                "temp_store = MEMORY",
            ):
                connection.execute(f"PRAGMA {pragma}")
            connection.set_authorizer(_may)
            connection.set_progress_handler(self._look, _STEPS)
            self._here.connection, self._here.looks = connection, 0
        found: sqlite3.Connection = self._here.connection
        return found

    def _look(self) -> int:
        self._here.looks += 1
        return int(self._here.looks > _MAX_LOOKS)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if text == "interrupted":
                text = "answering takes more work than tiles do"
            elif "no such table: tiles" in text:
                text = "it has no table of tiles"
            raise SourceError(f"{self.path} is no MBTiles file that can be read: {text}") from error
        except (sqlite3.Error, UnicodeError, OverflowError, MemoryError) as error:
            raise SourceError(
                f"{self.path} is damaged, or no MBTiles file: {error or type(error).__name__}"
            ) from error


def _may(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
