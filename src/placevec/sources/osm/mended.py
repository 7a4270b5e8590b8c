"""Repairs extracts that osmium would misread: an equivalent file that it reads correctly is written once and used
instead.

Repaired are XML of JOSM and Overpass as listed in `placevec.sources.osm.plain_xml`, bz2 with a short last stream, and
files with duplicate objects or unordered ways, as when extracts are joined with ``cat``.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from xml.parsers.expat import ExpatError

import numpy as np
import osmium

from placevec.errors import SourceError
from placevec.geo.polylines import Ints
from placevec.sources.osm.pbf import shorten_strings
from placevec.sources.osm.plain_xml import MAX_TEXT_BYTES, NEW_IDS, PlainXml
from placevec.sources.osm.problems import RENUMBER, LongTextError, translated
from placevec.sources.osm.xml_check import Box, XmlSigns, check_xml, opened

MAX_XML = 2 * 2**30
"""Maximum bytes of XML that is rewritten; JOSM and Overpass write less."""
MAX_SORTED = 2**28
"""Maximum bytes of a file that is sorted: it is all in memory then, at up to ten times its size."""
T = TypeVar("T")
_KEPT = 2
"""Number of repaired files kept for later use."""


@dataclass(frozen=True)
class Readable:
    """The file to read instead of an extract.

    Attributes:
        path: path of the file; the extract itself if it needs no repair.
        originals: for nodes, ways and relations: original IDs of objects that got new IDs in the file.
        notes: what was repaired, in words.
    """

    path: Path
    originals: tuple[Ints, Ints, Ints] | None = None
    notes: tuple[str, ...] = ()
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)

    def own_ids(self, osm_type: int, ids: Ints) -> Ints:
        """The IDs of objects in the extract."""
        if self.originals is None or not (ids >= NEW_IDS).any():
            return ids
        own = ids.copy()
        new = ids >= NEW_IDS
        own[new] = self.originals[osm_type][ids[new] - NEW_IDS]
        return own


_kept: OrderedDict[tuple[Path, int, int, bool], Readable] = OrderedDict()


def readable(path: Path) -> Readable:
    """The file to read instead of an extract (which must exist).

    Raises:
        SourceError: it cannot be repaired here; the message names the command that does it.
    """
    if path.suffix.lower() == ".pbf":
        return _known(path, True) or Readable(path)
    signs = check_xml(path)
    if not (signs.unusual or signs.documents > 1 or signs.short_stream):
        return _known(path, True) or Readable(path)
    return (
        _known(path, True)
        or _known(path, False)
        or _keep(path, False, lambda folder: _mended(path, signs, folder))
    )


def sorted_once(path: Path) -> Readable:
    """The extract with its objects in order, only the latest version of each; after a `DisorderedError`."""
    before = readable(path)
    if before.path.stat().st_size > MAX_SORTED:
        raise SourceError(
            f"{path} has duplicate or unordered objects, as when extracts are joined with cat, and is too large to be "
            f"sorted here: join the parts again with osmium merge A.osm.pbf B.osm.pbf -o {_stem(path)}.osm.pbf"
        )

    def made(folder: Path) -> Readable:
        target = folder / "sorted.osm.pbf"
        removed = _sort(before.path, target, path)
        note = _twice(removed) if removed else "its ways are unordered: they were sorted"
        return Readable(target, before.originals, (*before.notes, note))

    return _keep(path, True, made)


def renumbered(path: Path) -> Readable:
    """A PBF file in which objects with negative IDs get new IDs; after an `UnnumberedError`."""
    if path.stat().st_size > MAX_SORTED:
        raise SourceError(
            f"{path} has objects with negative IDs and is too large to be renumbered here: {RENUMBER}"
        )

    def made(folder: Path) -> Readable:
        rewritten, target = folder / "renumbered.osm.pbf", folder / "sorted.osm.pbf"
        originals = _renumber(path, rewritten)
        removed = _sort(rewritten, target, path)
        rewritten.unlink()
        return Readable(target, originals, (_twice(removed),) if removed else ())

    return _keep(path, True, made)


def shortened(path: Path) -> Readable:
    """The extract with its longest texts cut; after a `LongTextError`."""

    def made(folder: Path) -> Readable:
        if path.suffix.lower() != ".pbf":
            return _mended(path, replace(check_xml(path), unusual=True), folder)
        target = folder / "shortened.osm.pbf"
        try:
            count = shorten_strings(path, target, MAX_TEXT_BYTES)
        except (OSError, ValueError, IndexError, zlib.error) as error:
            raise SourceError(f"{path} is not a readable OSM extract, or is truncated ({error})") from error
        return Readable(target, notes=(_cut(count),))

    return _keep(path, True, made)


def with_long_texts_cut(path: Path, read: Callable[[], T]) -> T:
    """What ``read`` gives; where texts of the extract are too long for osmium, once more with `readable` cutting them."""
    try:
        return read()
    except LongTextError:
        shortened(path)
        return read()


def _cut(count: int) -> str:
    texts = "1 text has" if count == 1 else f"{count:,} texts have"
    return f"{texts} more than {MAX_TEXT_BYTES:,} bytes, which osmium does not read: they were cut there"


def _twice(removed: int) -> str:
    objects = "1 object occurs" if removed == 1 else f"{removed:,} objects occur"
    return f"{objects} more than once (are these joined extracts?): the latest version of each is used"


def _sort(source: Path, target: Path, path: Path, boxes: Sequence[Box | None] | None = None) -> int:
    """Write the objects of a file in order, without duplicates; returns how many were removed."""
    with translated(path):
        merge = osmium.MergeInputReader()
        merge.add_file(str(source))
        with osmium.SimpleWriter(str(target), header=_header(source, boxes), overwrite=True) as writer:
            merge.apply(writer, simplify=True)
        return _count(source) - _count(target)


def _header(source: Path, boxes: Sequence[Box | None] | None) -> osmium.io.Header:
    old, new = osmium.FileProcessor(str(source)).header, osmium.io.Header()
    known = [box for box in boxes or () if box is not None]
    if boxes and len(known) == len(boxes):
        west, south, east, north = np.array(known).T
        low, high = (float(west.min()), float(south.min())), (float(east.max()), float(north.max()))
        new.add_box(osmium.osm.Box(*low, *high))
    elif old.box().valid():
        new.add_box(old.box())
    for name in ("generator", "timestamp", "osmosis_replication_timestamp"):
        if old.get(name):
            new.set(name, old.get(name))
    return new


def _renumber(source: Path, target: Path) -> tuple[Ints, Ints, Ints]:
    """Write a file with new IDs instead of negative ones; returns the original IDs, by type."""
    new: tuple[dict[int, int], dict[int, int], dict[int, int]] = ({}, {}, {})

    def number(kind: int, own: int) -> int:
        return own if own >= 0 else new[kind].setdefault(own, NEW_IDS + len(new[kind]))

    with (
        translated(source),
        osmium.SimpleWriter(str(target), header=_header(source, None), overwrite=True) as writer,
    ):
        for item in osmium.FileProcessor(str(source)):
            if item.is_node():
                writer.add_node(item.replace(id=number(0, item.id)) if item.id < 0 else item)
            elif item.is_way():
                refs = [number(0, vertex.ref) for vertex in item.nodes]
                writer.add_way(item.replace(id=number(1, item.id), nodes=refs))
            else:
                members = [
                    (one.type, number("nwr".index(one.type), one.ref), one.role) for one in item.members
                ]
                writer.add_relation(item.replace(id=number(2, item.id), members=members))
    nodes, ways, relations = (np.array(list(of), np.int64) for of in new)
    return nodes, ways, relations


def _count(path: Path) -> int:
    return sum(1 for _ in osmium.FileProcessor(str(path)))


def _mended(path: Path, signs: XmlSigns, folder: Path) -> Readable:
    if signs.unpacked > MAX_XML:
        raise SourceError(
            f"{path} has {signs.unpacked / 2**30:.1f} GiB of XML that must be rewritten to be read ({_why(signs)}): "
            f"convert it first, with osmium cat {path.name} -o {_stem(path)}.osm.pbf"
        )
    if not (signs.unusual or signs.documents > 1):
        target = folder / "whole.osm.gz"
        with opened(path) as source, gzip.open(target, "wb", compresslevel=1) as file:
            shutil.copyfileobj(source, file, 2**20)
        return Readable(target)
    plain = folder / "plain.osm"
    with (
        opened(path) as source,
        open(plain, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as text,
    ):
        rewriting = PlainXml(text.write)
        try:
            rewriting.read(source)
        except ExpatError as error:
            raise SourceError(
                f"{path} is not a readable OSM extract, or is truncated (XML: {error}); write or download it again"
            ) from error
        except SourceError as error:
            raise SourceError(f"{path} is not a readable OSM extract: {error}") from error
    target = folder / "mended.osm.pbf"
    removed = _sort(plain, target, path, rewriting.boxes)
    plain.unlink()
    notes = []
    if rewriting.deleted:
        many = "1 object is" if rewriting.deleted == 1 else f"{rewriting.deleted:,} objects are"
        notes.append(f"{many} marked as deleted and left out")
    if rewriting.shortened:
        notes.append(_cut(rewriting.shortened))
    if removed:
        notes.append(_twice(removed))
    originals = tuple(np.array(own, np.int64) for own in rewriting.originals)
    return Readable(target, (originals[0], originals[1], originals[2]), tuple(notes))


def _why(signs: XmlSigns) -> str:
    if signs.documents > 1:
        return f"{signs.documents} concatenated documents"
    return "JOSM's or Overpass's variant" if signs.unusual else "a last stream that osmium ignores"


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or "merged"


# --- keeping -----------------------------------------------------------------------------------------------


def _key(path: Path, is_sorted: bool) -> tuple[Path, int, int, bool]:
    about = path.stat()
    return path.resolve(), about.st_size, about.st_mtime_ns, is_sorted


def _known(path: Path, is_sorted: bool) -> Readable | None:
    return _kept.get(_key(path, is_sorted))


def _keep(path: Path, is_sorted: bool, make: Callable[[Path], Readable]) -> Readable:
    """Create it in a folder that is removed with it, at the latest when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="placevec-osm-")
    made = make(Path(folder.name))
    made = Readable(made.path, made.originals, made.notes, folder)
    _kept[_key(path, is_sorted)] = made
    while len(_kept) > _KEPT:
        _kept.popitem(last=False)
    return made
