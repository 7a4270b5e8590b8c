"""MBTiles: tiles in one SQLite file, rows counted from the south (github.com/mapbox/mbtiles-spec, 1.3).

An untrusted file is a program that SQLite runs: it can contain views, triggers and huge values. So it is opened
read-only and immutable, only SELECT is allowed, no value can be larger than a tile, and every step has a limit of
work. One file is one layer, or the colors of a map.
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
"""Maximum characters of a metadata value."""
_STEPS = 100_000
"""Instructions of SQLite's virtual machine between two checks of the work done."""
_MAX_LOOKS = 2_000
"""Maximum checks per answer: a few seconds."""
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_ALL = "SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ?"
_ONE = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
_ZOOMS = "SELECT DISTINCT zoom_level FROM tiles WHERE zoom_level BETWEEN 0 AND 22 LIMIT 23"
_ABOUT = "SELECT name, value FROM metadata LIMIT 200"


def find_mbtiles(path: str | Path) -> list[Path]:
    """The file itself, or the ``*.mbtiles`` files in a folder, by name; SourceError if there are none.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("water", "roads"):
    ...     (folder / f"{name}.mbtiles").touch()
    >>> [file.name for file in find_mbtiles(folder)]
    ['roads.mbtiles', 'water.mbtiles']
    """
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
        paths: one file of colors, or several files, each a layer named after its file; a folder stands for its files.
        zoom: zoom of the tiles; None if there is only one.
        scheme: ``tms`` if rows are counted from the south, as in MBTiles; ``xyz`` from the north; ``auto`` uses the
            scheme in the file's metadata, if any.
        order: names of the first layers, in this order; the others follow by name.
        progress: receives progress reports.

    Raises:
        SourceError: not an SQLite file, no tiles, several zooms, vector tiles, or a file that takes too much work.
    """
    files = [file for path in paths for file in find_mbtiles(path)]
    is_layers = len(files) > 1 or any(Path(path).is_dir() for path in paths)
    if len(files) > MAX_LAYERS:
        raise SourceError(f"there are {len(files)} files, more than the maximum of {MAX_LAYERS} layers")
    by_layer = {check_layer(file.stem) if is_layers else "tiles": file for file in files}
    if len(by_layer) < len(files):
        raise SourceError(
            "two MBTiles files have the same name, which is also the name of the layer: rename one"
        )
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
    """The texts in a file's metadata; SourceError if it is not an SQLite file."""
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
            raise SourceError(f"{path} is not an MBTiles file: it is not an SQLite database")
        beside = path.with_name(path.name + "-wal")
        if beside.is_file() and beside.stat().st_size:
            raise SourceError(
                f"{path} is being written to, or was not closed: {beside.name} exists next to it"
            )
        told = self.about().get("scheme", "").strip().lower() if scheme == "auto" else scheme
        self.from_north = told == "xyz"
        if scheme == "auto" and self.from_north:
            self.note = (
                "rows are counted from the north, says its metadata; use --scheme tms to count from the south"
            )

    def zooms(self) -> list[int]:
        """Zooms that have tiles."""
        return [row[0] for row in self._rows(_ZOOMS) if isinstance(row[0], int)]

    def about(self) -> dict[str, str]:
        """Its metadata, with long texts cut."""
        try:
            rows = list(self._rows(_ABOUT))
        except SourceError:  # the table is optional
            return {}
        return {
            name: text[:_LONGEST] for name, text in rows if isinstance(name, str) and isinstance(text, str)
        }

    def keys(self, zoom: int, ignored: Ignored) -> Iterator[int]:
        """``y * 2**zoom + x`` of its tiles, in any order."""
        if self.about().get("format", "").lower() in ("pbf", "mvt"):
            raise SourceError(
                f"{self.path} has vector tiles: only images (PNG, JPEG, WebP or AVIF) are supported"
            )
        side = 2**zoom
        for column, row in self._rows(_ALL, zoom):
            if isinstance(column, int) and isinstance(row, int) and 0 <= column < side and 0 <= row < side:
                yield (row if self.from_north else side - 1 - row) * side + column
            else:
                ignored.add("rows that are not tiles", f"{str(column)[:20]}, {str(row)[:20]}")

    def tile(self, zoom: int, x: int, y: int) -> bytes:
        """The bytes of a tile; y counts from the north."""
        rows = list(self._rows(_ONE, zoom, x, y if self.from_north else 2**zoom - 1 - y, most=1))
        if not rows or not isinstance(rows[0][0], bytes):
            raise SourceError(f"{self.path} has no image for tile {zoom}/{x}/{y}")
        return rows[0][0]

    def _rows(self, query: str, *values: int, most: int | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, with a limit of work per thousand rows."""
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
                text = "the query takes more work than tiles should need"
            elif text.endswith("table: tiles"):
                text = "it has no table of tiles"
            raise SourceError(f"{self.path} is not a readable MBTiles file: {text}") from error
        except (sqlite3.Error, UnicodeError, OverflowError, MemoryError) as error:
            raise SourceError(
                f"{self.path} is damaged, or is not an MBTiles file: {error or type(error).__name__}"
            ) from error


def _may(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
