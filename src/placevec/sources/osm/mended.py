"""Extracts that osmium would misread, read rightly: an equal file that it reads is written once and used instead.

What is mended: XML of JOSM and Overpass that `placevec.sources.osm.plain_xml` names, bz2 whose last stream is short,
and files in which an object comes twice or in which ways are not in order, as when extracts are joined with ``cat``.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
import osmium

from placevec.errors import SourceError
from placevec.geo.polylines import Ints
from placevec.sources.osm.plain_xml import NEW_IDS, PlainXml
from placevec.sources.osm.problems import RENUMBER, translated
from placevec.sources.osm.xml_check import Box, XmlSigns, check_xml, opened

MAX_XML = 2 * 2**30
"""Bytes of XML that are rewritten; JOSM and Overpass write less."""
MAX_SORTED = 2**28
"""Bytes of a file that is sorted: all of it is in memory then, at up to ten times its size."""
_KEPT = 2
"""Mended files that are kept for the next look at the same extract."""


@dataclass(frozen=True)
class Readable:
    """What is read in place of an extract.

    Attributes:
        path: of the file; the extract itself where nothing is wrong with it.
        originals: for nodes, ways and relations: the own numbers of objects whose numbers in the file are new ones.
        notes: what was mended, in words.
    """

    path: Path
    originals: tuple[Ints, Ints, Ints] | None = None
    notes: tuple[str, ...] = ()
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)

    def own_ids(self, osm_type: int, ids: Ints) -> Ints:
        """The numbers that objects have in the extract."""
        if self.originals is None or not (ids >= NEW_IDS).any():
            return ids
        own = ids.copy()
        new = ids >= NEW_IDS
        own[new] = self.originals[osm_type][ids[new] - NEW_IDS]
        return own


_kept: OrderedDict[tuple[Path, int, int, bool], Readable] = OrderedDict()


def readable(path: Path) -> Readable:
    """What to read in place of an extract (which exists).

    Raises:
        SourceError: it cannot be mended here; the message names the command that does it.
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
    """The extract with its objects in order, the latest version of each once; of a `DisorderedError`."""
    before = readable(path)
    if before.path.stat().st_size > MAX_SORTED:
        raise SourceError(
            f"{path} holds objects twice or out of order, as extracts that cat has joined, and is too large to be sorted "
            f"here: join the parts again with osmium merge A.osm.pbf B.osm.pbf -o {_stem(path)}.osm.pbf"
        )

    def made(folder: Path) -> Readable:
        target = folder / "sorted.osm.pbf"
        removed = _sort(before.path, target, path)
        note = _twice(removed) if removed else "its ways are not in order: they were sorted"
        return Readable(target, before.originals, (*before.notes, note))

    return _keep(path, True, made)


def renumbered(path: Path) -> Readable:
    """A PBF file whose objects below 0 have other numbers; of an `UnnumberedError`."""
    if path.stat().st_size > MAX_SORTED:
        raise SourceError(
            f"{path} holds objects with ids below 0 and is too large to be renumbered here: {RENUMBER}"
        )

    def made(folder: Path) -> Readable:
        rewritten, target = folder / "renumbered.osm.pbf", folder / "sorted.osm.pbf"
        originals = _renumber(path, rewritten)
        removed = _sort(rewritten, target, path)
        rewritten.unlink()
        return Readable(target, originals, (_twice(removed),) if removed else ())

    return _keep(path, True, made)


def _twice(removed: int) -> str:
    objects = "1 object comes" if removed == 1 else f"{removed:,} objects come"
    return f"{objects} more than once (are these joined extracts?): the latest version of each is read"


def _sort(source: Path, target: Path, path: Path, boxes: Sequence[Box | None] | None = None) -> int:
    """Write the objects of a file in order, each once; how many fewer there are."""
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
    """Write a file with other numbers for what is below 0; their own numbers, by type."""
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
            f"{path} holds {signs.unpacked / 2**30:.1f} GiB of XML that must be rewritten to be read ({_why(signs)}): "
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
                f"{path} is not a readable OSM extract, or cut short (XML: {error}); write or download it again"
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
    if removed:
        notes.append(_twice(removed))
    originals = tuple(np.array(own, np.int64) for own in rewriting.originals)
    return Readable(target, (originals[0], originals[1], originals[2]), tuple(notes))


def _why(signs: XmlSigns) -> str:
    if signs.documents > 1:
        return f"{signs.documents} documents one behind the other"
    return "JOSM's or Overpass's own form" if signs.unusual else "a last stream that osmium leaves out"


def _stem(path: Path) -> str:
    return path.name.split(".")[0] or "merged"


# --- keeping -----------------------------------------------------------------------------------------------


def _key(path: Path, is_sorted: bool) -> tuple[Path, int, int, bool]:
    about = path.stat()
    return path.resolve(), about.st_size, about.st_mtime_ns, is_sorted


def _known(path: Path, is_sorted: bool) -> Readable | None:
    return _kept.get(_key(path, is_sorted))


def _keep(path: Path, is_sorted: bool, make: Callable[[Path], Readable]) -> Readable:
    """Make it in a folder that is removed with it, at the latest when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="placevec-osm-")
    made = make(Path(folder.name))
    made = Readable(made.path, made.originals, made.notes, folder)
    _kept[_key(path, is_sorted)] = made
    while len(_kept) > _KEPT:
        _kept.popitem(last=False)
    return made
