"""Reads an OSM extract with osmium once, and writes the objects of interest, with their coordinates, to two files.

Everything per object happens inside osmium: it reads any OSM format, filters by key, finds the coordinates of ways,
joins relations to areas, and writes nodes and ways as uncompressed PBF, which `placevec.sources.osm.pbf` decodes in
bulk. Only areas, which are few, pass through Python one at a time.
"""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import osmium
from numpy.typing import NDArray

from placevec.geo.polylines import Floats, Ints, Paths
from placevec.sources.osm.node_index import node_index
from placevec.sources.osm.pbf import UNITS_PER_DEGREE, Block, has_refs_below_zero, node_ids
from placevec.sources.osm.problems import MERGE, RENUMBER, DisorderedError, UnnumberedError, translated

CHUNK = 25_000
"""Objects per chunk."""
_AREA_HEAD = struct.Struct("<qII")
_AREA_CHUNK_BYTES = 2**24


class Kind(IntEnum):
    """Kind of a feature's geometry."""

    POINT = 0
    LINE = 1
    RING = 2
    """A closed way: a line or an area, depending on its tags."""
    AREA = 3
    """An assembled relation of type multipolygon or boundary."""


# --- the pass ----------------------------------------------------------------------------------------------


@dataclass
class RawObjects:
    """The objects of an extract that have one of the keys.

    Attributes:
        nodes_and_ways: their file, for `placevec.sources.osm.pbf.read_blocks`.
        areas: file of assembled relations, for `read_areas`.
        relations: number of relations.
        expected: number of them that should become areas.
        located: bytes used for the locations of all nodes.
    """

    nodes_and_ways: Path
    areas: Path
    relations: int = 0
    expected: set[int] = field(default_factory=set)
    located: int = 0


def extract_objects(
    path: Path,
    keys: Collection[str],
    folder: Path,
    is_area: Callable[[Mapping[str, str]], bool],
    *,
    called: Path | None = None,
) -> RawObjects:
    """Read an extract once.

    Args:
        path: the file to read.
        keys: keys of the objects to look at.
        folder: folder for the result.
        is_area: whether the area of a relation with these tags is wanted.
        called: path named in messages.

    Raises:
        DisorderedError: duplicate objects, or unordered ways.
        UnnumberedError: ways refer to nodes with negative IDs.
        SourceError: the file is damaged.
    """
    found = RawObjects(folder / "objects.pbf", folder / "areas")
    storage, watching = node_index(path, folder)
    locate = osmium.NodeLocationsForWays(storage)
    locate.ignore_errors()
    by_key = osmium.filter.KeyFilter(*sorted(keys))
    manager = osmium.area.AreaManager()
    called = called or path
    with translated(called):
        with osmium.io.Reader(str(path), osmium.osm.RELATION) as reader:
            is_sorted = reader.header().get("sorting") == "Type_then_ID"
            on_ways = has_locations_on_ways(reader.header())
            seen: set[int] = set()
            for relation in osmium.OsmFileIterator(reader, by_key, manager.first_pass_handler()):
                found.relations += 1
                if relation.id in seen:
                    raise DisorderedError(f"{called} has relation/{relation.id} more than once: {MERGE}")
                seen.add(relation.id)
                tags = {tag.k: tag.v for tag in relation.tags}
                if tags.get("type") in ("multipolygon", "boundary") and is_area(tags):
                    found.expected.add(relation.id)
        if not is_sorted and not on_ways:
            # Overpass, for example, writes ways before their nodes: read all locations first.
            with osmium.io.Reader(str(path), osmium.osm.NODE) as reader:
                osmium.apply(reader, locate)
        # osmium gives areas of relations odd IDs. It also makes areas of closed ways, which are not needed.
        of_relations = osmium.filter.IdFilter(2 * relation + 1 for relation in found.expected)
        options = "pbf,pbf_compression=none,add_metadata=false,locations_on_ways=true"
        with (
            open(found.areas, "wb") as file,
            _writing(osmium.io.File(str(found.nodes_and_ways), options)) as writer,
            osmium.io.Reader(str(path)) as reader,
        ):
            areas = manager.second_pass_handler(of_relations, _AreaWriter(file))
            located = () if on_ways else (locate,)  # it would drop the locations that ways already have
            osmium.apply(reader, *located, areas, by_key, *watching, writer)
    found.located = storage.used_memory()
    if not is_sorted:
        _check_distinct(node_ids(found.nodes_and_ways), called)
        if not on_ways and has_refs_below_zero(found.nodes_and_ways):
            raise UnnumberedError(
                f"{called} has objects with negative IDs, which were never uploaded: {RENUMBER}"
            )
    return found


def has_locations_on_ways(header: Any) -> bool:
    """Whether the ways of a PBF file include the locations of their nodes (``osmium add-locations-to-ways``)."""
    told = (
        header.get(f"pbf_{kind}_feature_{number}") for kind in ("optional", "required") for number in range(8)
    )
    return "LocationsOnWays" in list(told)


def _check_distinct(ids: Iterator[Ints], called: Path) -> None:
    """DisorderedError for a duplicate node."""
    held = list(ids)
    every = np.concatenate([np.zeros(0, np.int64), *held])
    if (np.diff(every) > 0).all():
        return
    every.sort()
    twice = np.flatnonzero(np.diff(every) == 0)
    if len(twice):
        raise DisorderedError(f"{called} has node/{every[twice[0]]} more than once: {MERGE}")


@contextmanager
def _writing(file: Any) -> Iterator[Any]:
    """A writer that survives a full disk.

    The destructor of a failed writer would close it again and end the process with a signal, so it is never destroyed.
    """
    writer = osmium.SimpleWriter(file, overwrite=True)
    try:
        yield writer
    finally:
        try:
            writer.close()
        except RuntimeError:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(writer))
            raise


class _AreaWriter:
    """Takes areas from osmium and writes their ID, tags and WKB to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._factory = file, osmium.geom.WKBFactory()

    def area(self, area: Any) -> None:
        try:
            shape = self._factory.create_multipolygon(area)
        except (RuntimeError, osmium.InvalidLocationError):
            return
        tags = json.dumps({tag.k: tag.v for tag in area.tags}).encode()
        raw = bytes.fromhex(shape)
        self._file.write(_AREA_HEAD.pack(area.orig_id(), len(tags), len(raw)) + tags + raw)


@dataclass(frozen=True)
class Areas:
    """A chunk of assembled relations: their IDs, tags, and rings (see `multipolygon_rings`)."""

    ids: list[int]
    tags: list[dict[str, str]]
    rings: list[list[Floats]]


def read_areas(path: Path) -> Iterator[Areas]:
    """The areas written by `extract_objects`, in chunks."""
    with open(path, "rb") as file:
        while True:
            areas, size = Areas([], [], []), 0
            while (
                size < _AREA_CHUNK_BYTES and len(areas.ids) < CHUNK and (head := file.read(_AREA_HEAD.size))
            ):
                number, tags, shape = _AREA_HEAD.unpack(head)
                areas.ids.append(number)
                areas.tags.append(json.loads(file.read(tags)))
                areas.rings.append(multipolygon_rings(file.read(shape)))
                size += shape
            if not areas.ids:
                return
            yield areas


# --- geometry ----------------------------------------------------------------------------------------------


def node_paths(nodes: Block) -> tuple[Paths, Ints]:
    """Points in degrees, and the object of each: all nodes except those without a location on Earth."""
    rows = np.flatnonzero(on_earth(nodes.lonlat))
    return Paths.points(nodes.lonlat[rows] / UNITS_PER_DEGREE), rows


def way_paths(ways: Block) -> tuple[Paths, Ints]:
    """Lines in degrees, and the object of each, ascending: all ways except those with fewer than two locations.

    Repeated vertices are removed. If nodes are missing, a row has the stretches between them.
    """
    offsets, lonlat = ways.vertex_offsets, ways.lonlat
    known = on_earth(lonlat)
    keep = np.ones(len(lonlat), bool)
    keep[1:] = (lonlat[1:] != lonlat[:-1]).any(axis=1)
    keep[offsets[:-1][np.diff(offsets) > 0]] = True
    sizes, unknown = _counts(keep, offsets), _counts(~known, offsets)
    whole = (unknown == 0) & (sizes > 1)
    keep &= np.repeat(whole, np.diff(offsets))
    rows = np.flatnonzero(whole)
    ends = np.concatenate([[0], np.cumsum(sizes[rows])]).astype(np.int64)
    paths = Paths.single(lonlat[keep] / UNITS_PER_DEGREE, ends)
    broken = {row: _stretches(ways, known, row) for row in np.flatnonzero(unknown).tolist()}
    broken = {row: stretches for row, stretches in broken.items() if stretches}
    if not broken:
        return paths, rows
    rows = np.concatenate([rows, np.array(list(broken), np.int64)])
    order = np.argsort(rows)
    return Paths.concatenate([paths, Paths.of(list(broken.values()))]).take(order), rows[order]


def on_earth(lonlat: Ints) -> NDArray[np.bool_]:
    """(V,) bool: vertices with a known location, from (V, 2) lon, lat in units of 1e-7 degrees."""
    limit = np.array([180, 90]) * int(UNITS_PER_DEGREE)
    return np.asarray((np.abs(lonlat) <= limit).all(axis=1))


def _counts(flags: NDArray[np.bool_], offsets: Ints) -> Ints:
    """Number of flags set in each group."""
    return np.diff(np.concatenate([[0], np.cumsum(flags)])[offsets])


def _stretches(ways: Block, known: NDArray[np.bool_], row: int) -> list[Floats]:
    """The parts of a way between missing nodes, except those with fewer than two locations."""
    first, end = ways.vertex_offsets[row : row + 2].tolist()
    flags = np.concatenate([[False], known[first:end], [False]])
    cuts = (first + np.flatnonzero(flags[1:] != flags[:-1])).tolist()
    stretches = [ways.lonlat[a:b] for a, b in zip(cuts[::2], cuts[1::2], strict=True)]
    return [stretch / UNITS_PER_DEGREE for stretch in stretches if (stretch != stretch[0]).any()]


def multipolygon_rings(raw: bytes) -> list[Floats]:
    """Rings of a little-endian WKB multipolygon, shells counterclockwise and holes clockwise."""
    rings = []
    (polygons,) = struct.unpack_from("<I", raw, 5)
    at = 9
    for _ in range(polygons):
        (count,) = struct.unpack_from("<I", raw, at + 5)
        at += 9
        for ring in range(count):
            (vertices,) = struct.unpack_from("<I", raw, at)
            xy = np.frombuffer(raw, "<f8", 2 * vertices, at + 4).reshape(-1, 2)
            at += 4 + 16 * vertices
            here = xy[:-1] - xy[0]
            after = xy[1:] - xy[0]
            counter_clockwise = np.sum(here[:, 0] * after[:, 1] - after[:, 0] * here[:, 1]) > 0
            rings.append(xy if counter_clockwise == (ring == 0) else xy[::-1])
    return rings
