"""Folders of tiles, as written by the original pipelines and by most tile tools.

::

    [tiles/]LAYER/z/x/y.png       founding document 004: one gray or black-and-white picture per layer
    [tiles/]tile_z_x_y.png        founding document 001: colors
    [tiles/]z/x/y.png             the same in folders
    [tiles/]NAME-x-y-z.png        the same, as fAIr and RAMP name tiles of aerial images (OAM-x-y-z.png)

y counts from the north (XYZ), or from the south (TMS) if a file next to the tiles or the caller says so. ``y@2x.png``
has twice as many pixels per side. Folders are listed as a stream, so a million files take 17 MB during listing. Links
out of the folder are not followed, and only regular files with the names above are opened.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from placevec.errors import SourceError
from placevec.geo import MAX_ZOOM
from placevec.io.json_documents import check
from placevec.io.progress import SILENT, Advance, Progress
from placevec.sources.tiles.decode import MAX_TILE_BYTES
from placevec.sources.tiles.schemes import (
    TILE_MAP,
    AskedScheme,
    Scheme,
    contradiction,
    small_json,
    stated_scheme,
)
from placevec.sources.tiles.schemes import TILEJSON as NAMES_OF_TILEJSON
from placevec.sources.tiles.tilesets import (
    MAX_LAYERS,
    Ignored,
    Listing,
    TileSet,
    check_layer,
    chosen_zoom,
    fingerprint_of,
    in_order,
)

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".avif")
"""Extensions of tiles; if a tile has several, the first of these is used."""
TILEJSON = "tiles.json"
METADATA = "metadata.json"
_BESIDE = (*NAMES_OF_TILEJSON, TILE_MAP)
RETINA = "@2x"
"""Suffix of y for tiles with twice as many pixels; if a tile has both, the plain one is used."""
_NUMBER = "(0|[1-9][0-9]{0,7})"
_NAME = re.compile(_NUMBER)
_ENDING = r"((?:@2x)?\.(?:png|PNG|jpe?g|JPE?G|webp|WEBP|avif|AVIF))"
_TILE = re.compile(_NUMBER + _ENDING)
_FLAT = re.compile(f"tile_{_NUMBER}_{_NUMBER}_{_NUMBER}{_ENDING}")
_NAMED = re.compile(f"([A-Za-z][A-Za-z0-9_]{{0,31}})-{_NUMBER}-{_NUMBER}-{_NUMBER}{_ENDING}")
_ABOUT = {"attribution?": str, "name?": str, "placevec?": dict}


def read_tile_folder(
    folder: str | Path,
    *,
    zoom: int | None = None,
    scheme: AskedScheme = "auto",
    order: Sequence[str] = (),
    progress: Progress = SILENT,
) -> TileSet:
    """The tiles of a folder.

    Args:
        folder: the folder, or the folder above ``tiles``.
        zoom: zoom of the tiles; None if there is only one.
        scheme: ``xyz`` if rows are counted from the north, ``tms`` from the south; ``auto`` reads it from the files
            next to the tiles.
        order: names of the first layers, in this order; the others follow by name.
        progress: receives progress reports.

    Raises:
        SourceError: the folder does not exist, has no tiles or several zooms, has a link that leads out of it, files
            that disagree on how rows are counted, or tiles that are not in Web Mercator.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}")
    listing = _Folder(folder, scheme)
    with listing.explained(), progress.task("Listing tiles") as advance:
        return listing.read(zoom, order, advance)


class _Folder:
    def __init__(self, folder: Path, scheme: AskedScheme) -> None:
        self.folder, self.scheme = folder, scheme
        self.real = os.path.realpath(folder)
        self.ignored = Ignored()
        self.notes: dict[str, None] = {}
        self._told: dict[tuple[Path, ...], tuple[Scheme, str] | None] = {}

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn system errors into a SourceError."""
        try:
            yield
        except OSError as error:
            where = error.filename or self.folder
            raise SourceError(f"cannot read {os.fsdecode(where)}: {error.strerror or error}") from error

    def read(self, zoom: int | None, order: Sequence[str], advance: Advance) -> TileSet:
        base = self._base()
        flat: dict[int, Listing] = {}
        prefix = ""
        south: bool | None = None
        zooms: list[str] = []
        layers: list[str] = []
        for entry in self._entries(base):
            name = entry.name
            if match := _FLAT.fullmatch(name):
                south = self._from_south([base, self.folder]) if south is None else south
                self._add_flat(flat, match.groups(), entry, south)
                advance(1)
            elif (match := _NAMED.fullmatch(name)) and match[1] == (prefix := prefix or match[1]):
                south = self._from_south([base, self.folder]) if south is None else south
                self._add_flat(flat, (match[4], match[2], match[3], match[5]), entry, south)
                advance(1)
            elif entry.is_dir():
                (zooms if _NAME.fullmatch(name) else layers).append(name)
            elif name not in _BESIDE:
                self.ignored.add("files that are not tiles", name)
        about = {**_tilejson(self.folder), "has_metadata": _is_founding(self.folder / METADATA)}
        if flat:
            if layers or zooms:
                self.ignored.add("folders next to tile_z_x_y files", (layers + zooms)[0])
            chosen = chosen_zoom(list(flat), zoom, str(self.folder))
            layout = f"{prefix}-x-y-z.png" if prefix else "tile_z_x_y.png"
            return self._colors(base, layout, chosen, flat[chosen], about, bool(south))
        if zooms and not layers:
            found = [int(name) for name in zooms if int(name) <= MAX_ZOOM]
            chosen = chosen_zoom(found, zoom, str(self.folder))
            from_south = self._from_south([base, self.folder])
            tiles = self._listed(base / str(chosen), chosen, from_south, advance)
            return self._colors(base, "z/x/y.png", chosen, tiles, about, from_south)
        for name in zooms:
            self.ignored.add("zooms next to layers", name)
        return self._layers(base, layers, zoom, order, about, advance)

    def _base(self) -> Path:
        """The folder of the tiles: its ``tiles`` subfolder, unless that is one of several layers."""
        folders = [entry.name for entry in self._entries(self.folder) if entry.is_dir()]
        if "tiles" not in folders:
            return self.folder
        inner = self.folder / "tiles"
        is_layer = any(_NAME.fullmatch(entry.name) for entry in self._entries(inner))
        return self.folder if is_layer and len(folders) > 1 else inner

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        """Entries of a folder, without hidden files; SourceError for a link that leads out of it."""
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink():
                    real = os.path.realpath(entry.path)
                    if os.path.commonpath([real, self.real]) != self.real:
                        raise SourceError(
                            f"{entry.path} is a link that leads out of {self.folder} and is not followed; remove it, "
                            f"or replace it with its target"
                        )
                yield entry

    def _add_flat(
        self, flat: dict[int, Listing], parts: Sequence[str], entry: os.DirEntry[str], from_south: bool
    ) -> None:
        """Add a tile by the parts of its name: zoom, x, y, extension."""
        zoom, x, y = (int(number) for number in parts[:3])
        if zoom > MAX_ZOOM or max(x, y) >= 2**zoom or not entry.is_file():
            self.ignored.add("tiles with invalid coordinates", entry.name)
            return
        row = 2**zoom - 1 - y if from_south else y
        flat.setdefault(zoom, Listing()).add(row * 2**zoom + x, _ending(parts[3]), _stamp(entry))

    def _layers(
        self, base: Path, names: list[str], zoom: int | None, order: Sequence[str], about: dict[str, Any],
        advance: Advance,
    ) -> TileSet:  # fmt: skip
        zooms: dict[str, list[int]] = {}
        for name in names:
            found = []
            for entry in self._entries(base / name):
                if entry.is_dir() and _NAME.fullmatch(entry.name) and int(entry.name) <= MAX_ZOOM:
                    found.append(int(entry.name))
                elif entry.name not in _BESIDE:
                    self.ignored.add("names that are not a zoom", f"{name}/{entry.name}")
            if found or not any(base.joinpath(name).iterdir()):
                zooms[check_layer(name)] = found
            if len(zooms) > MAX_LAYERS:
                raise SourceError(
                    f"{self.folder} has more than {MAX_LAYERS} layers: move some of them elsewhere"
                )
        chosen = chosen_zoom([one for found in zooms.values() for one in found], zoom, str(self.folder))
        layers = in_order(zooms, order)
        from_south = [self._from_south([base / name, base, self.folder]) for name in layers]
        listings = [
            self._listed(base / name / str(chosen), chosen, south, advance)
            if chosen in zooms[name]
            else Listing()
            for name, south in zip(layers, from_south, strict=True)
        ]
        return self._set(
            "layers", "LAYER/z/x/y.png", chosen, layers, listings, about, from_south,
            lambda layer, x, y: f"{base}/{layers[layer]}/{chosen}/{x}/{y}",
        )  # fmt: skip

    def _from_south(self, folders: Sequence[Path]) -> bool:
        """Whether rows are counted from the south, with a note if this comes from a file."""
        if self.scheme != "auto":
            return self.scheme == "tms"
        key = tuple(folders)
        if key not in self._told:
            self._told[key] = stated_scheme(folders)
        told = self._told[key]
        if told is None or told[0] == "xyz":
            return False
        self.notes[
            f"rows are counted from the south (TMS), according to {told[1]}; use --scheme xyz to count from the north"
        ] = None
        return True

    def _colors(
        self, base: Path, layout: str, zoom: int, listing: Listing, about: dict[str, Any], from_south: bool
    ) -> TileSet:
        def place(layer: int, x: int, y: int) -> str:
            prefix = layout.removesuffix("-x-y-z.png")
            if prefix != layout:
                return f"{base}/{prefix}-{x}-{y}-{zoom}"
            return f"{base}/{zoom}/{x}/{y}" if layout == "z/x/y.png" else f"{base}/tile_{zoom}_{x}_{y}"

        return self._set("colors", layout, zoom, ("tiles",), [listing], about, [from_south], place)

    def _listed(self, folder: Path, zoom: int, from_south: bool, advance: Advance) -> Listing:
        """The tiles ``x/y.png`` of a folder."""
        tiles, side = Listing(), 2**zoom
        for column in self._entries(folder):
            if not (_NAME.fullmatch(column.name) and int(column.name) < side and column.is_dir()):
                self.ignored.add("names that are not a column of tiles", f"{folder.name}/{column.name}")
                continue
            x, count = int(column.name), 0
            for entry in self._entries(folder / column.name):
                match = _TILE.fullmatch(entry.name)
                if match is None or int(match[1]) >= side or not entry.is_file():
                    self.ignored.add("names that are not a tile", f"{zoom}/{x}/{entry.name}")
                    continue
                row = side - 1 - int(match[1]) if from_south else int(match[1])
                tiles.add(row * side + x, _ending(match[2]), _stamp(entry))
                count += 1
            advance(count)
        return tiles

    def _set(
        self, kind: str, layout: str, zoom: int, layers: tuple[str, ...], listings: list[Listing],
        about: dict[str, Any], from_south: Sequence[bool], place: Callable[[int, int, int], str],
    ) -> TileSet:  # fmt: skip
        """The set; its tile (layer, x, y in the file's counting) has the path ``place`` with the listed extension."""
        found = [listing.sorted() for listing in listings]
        for layer, (_, _, _, twice) in zip(layers, found, strict=True):
            if twice:
                self.ignored.counts["tiles in a second format"] += twice
                self.ignored.examples.setdefault("tiles in a second format", []).append(layer)
        keys = tuple(part[0] for part in found)
        endings = [part[1] for part in found]
        side = 2**zoom

        def content(layer: int, x: int, y: int) -> bytes:
            at = int(keys[layer].searchsorted(y * side + x))
            row = side - 1 - y if from_south[layer] else y
            return _read(place(layer, x, row), int(endings[layer][at]))

        stamped = ((layer, part[0], part[2]) for layer, part in zip(layers, found, strict=True))
        tiles = TileSet(
            self.folder.resolve().name, kind, layout, zoom, layers, keys, fingerprint_of(stamped), about,
            self.ignored, content, tuple(self.notes),
        )  # fmt: skip
        wrong = contradiction(tiles.tiles(), zoom, about.pop("bounds", None), f"the tiles of {tiles.name}")
        return tiles if wrong is None else replace(tiles, notes=(*tiles.notes, wrong))


def _ending(text: str) -> int:
    """A number for the extension of a tile, smaller if preferred."""
    plain = text.removeprefix(RETINA)
    return (text != plain) * 2 * len(ENDINGS) + ENDINGS.index(plain.lower()) * 2 + (plain != plain.lower())


def _spelled(ending: int) -> str:
    retina, ending = divmod(ending, 2 * len(ENDINGS))
    suffix = ENDINGS[ending // 2]
    return RETINA * retina + (suffix.upper() if ending % 2 else suffix)


def _is_founding(path: Path) -> bool:
    """Whether a document is from the original pipeline: other tools write TileJSON under its name.

    An unreadable one counts: whoever wants its samples will get the error.
    """
    return path.is_file() and (not (content := small_json(path)) or "sample_coordinates" in content)


def _stamp(entry: os.DirEntry[str]) -> int:
    """A number that changes with the size and the time of a file."""
    about = entry.stat()
    return about.st_size * 0x9E3779B97F4A7C15 + about.st_mtime_ns


def _read(path: str, ending: int) -> bytes:
    """The bytes of a tile that was listed."""
    path += _spelled(ending)
    try:
        # non-blocking, in case a pipe has replaced it
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise SourceError(f"{path} is not a regular file")
            if about.st_size > MAX_TILE_BYTES:
                raise SourceError(
                    f"{path} has {about.st_size:,} bytes, more than the maximum for a tile ({MAX_TILE_BYTES:,})"
                )
            return file.read(MAX_TILE_BYTES)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def _tilejson(folder: Path) -> dict[str, Any]:
    """The contents of TileJSON documents next to the tiles; empty if there are none."""
    found: dict[str, Any] = {}
    for name in NAMES_OF_TILEJSON:
        content = small_json(folder / name)
        if "sample_coordinates" in content:  # from the original pipeline
            continue
        try:
            check(content, _ABOUT)
        except ValueError as error:
            raise SourceError(f"cannot read {folder / name}: {error}; fix or remove it") from error
        for key in ("attribution", "name", "placevec", "bounds"):
            if key in content:
                found.setdefault(key, content[key])
    return found
