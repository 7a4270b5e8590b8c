"""OpenStreetMap extracts: features from .osm.pbf, .osm, .osm.gz and .osm.bz2, streamed in chunks.

Nodes are points, ways are lines or rings, and relations of type multipolygon or boundary are areas, which osmium
assembles with their holes. The caller decides whether a ring is an area (in OSM, this depends on tags).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import osmium
from numpy.typing import NDArray

from placevec.errors import AreaError, SourceError
from placevec.geo import Area
from placevec.geo.polylines import Ints, Paths
from placevec.io.files import check_regular
from placevec.io.progress import SILENT, Progress
from placevec.sources.osm import objects as osm_objects
from placevec.sources.osm.mended import Readable, readable, renumbered, sorted_once, with_long_texts_cut
from placevec.sources.osm.objects import (
    Areas,
    Kind,
    RawObjects,
    extract_objects,
    has_locations_on_ways,
    node_paths,
    on_earth,
    read_areas,
    way_paths,
)
from placevec.sources.osm.pbf import Block, check_strings, read_blocks
from placevec.sources.osm.problems import DisorderedError, UnnumberedError, translated
from placevec.sources.osm.tags import Asker, TagColumns
from placevec.sources.osm.xml_check import check_xml, of_another_kind

SUFFIXES = (".osm.pbf", ".pbf", ".osm", ".osm.gz", ".osm.bz2")
TYPE_NAMES = ("node", "way", "relation")
_EXAMPLES = 5
_EXTENT_SAMPLES = 200_000
_KINDS = tuple(Kind)
_CHUNK_VERTICES = 200_000

_CUT = "{} is truncated: it has nodes without tags but no ways; download it again"
_NOWHERE = "{} has no coordinates: it has no nodes, and its ways have no locations"

MAX_WAYS_LOST = 0.1
"""Maximum share of the wanted ways without a location; clipped extracts lack one in a hundred."""
MAX_RELATIONS_LOST = 0.9
"""Maximum share of areas that do not close; in an extract of a few streets, half are cut by its edge."""
_FEW_WAYS, _FEW_RELATIONS = 2, 10
_WITH_NODES = (
    "extract it with its nodes (osmium tags-filter without -R, osmium extract without --strategy simple, Overpass with "
    "(._;>;);)"
)

T = TypeVar("T")


@dataclass(frozen=True)
class OsmHeader:
    """Metadata of an extract; None if missing."""

    area: Area | None
    timestamp: str | None
    generator: str | None


@dataclass
class ReadReport:
    """Problems found while reading.

    Attributes:
        objects: number of nodes, ways and relations with one of the keys.
        wanted: number of them that were wanted.
        lost: number of those without any geometry.
        notes: repairs that were needed to read the extract.
        broken: why a wanted feature has no geometry, or only part of it: reason -> count.
        examples: reason -> the first few, written "way/123".
    """

    objects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TYPE_NAMES, 0))
    wanted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TYPE_NAMES, 0))
    lost: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TYPE_NAMES, 0))
    notes: list[str] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add_broken(self, reason: str, osm_type: int, osm_id: int) -> None:
        """Count one, and keep it as an example if there are few."""
        self.broken[reason] = self.broken.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(f"{TYPE_NAMES[osm_type]}/{osm_id}")


@dataclass(frozen=True)
class Features(Generic[T]):
    """A chunk of wanted features, in the order of the file: nodes, ways, then areas as assembled.

    Attributes:
        osm_type: (N,) uint8, number in `TYPE_NAMES`.
        osm_id: (N,) int64.
        kind: (N,) uint8, see `Kind`.
        tags: N dictionaries.
        answer: (N,) int64 index into ``answers``.
        answers: return values of the caller's function.
        paths: N rows of lon, lat degrees. Points: one vertex; lines: one path, or several if nodes are missing; rings:
            closed, in the direction of the way; areas: shells counterclockwise, holes clockwise.
    """

    osm_type: NDArray[np.uint8]
    osm_id: Ints
    kind: NDArray[np.uint8]
    tags: TagColumns
    answer: Ints
    answers: list[T]
    paths: Paths

    def __len__(self) -> int:
        return len(self.osm_id)

    @property
    def wanted(self) -> list[T]:
        """The return value of the caller's function for each feature."""
        return [self.answers[number] for number in self.answer.tolist()]


# --- whole files -------------------------------------------------------------------------------------------


def check_extract(path: str | Path) -> Path:
    """``path`` itself if it is a file with the name of an OSM extract, otherwise SourceError."""
    path = Path(path)
    check_regular(path, "extract")
    if said := of_another_kind(path):
        raise SourceError(f"{path} {said}")
    if not path.name.lower().endswith(SUFFIXES):
        raise SourceError(
            f"{path}: OSM extracts are named {', '.join(SUFFIXES)}; convert others with osmium cat {path.name} "
            f"-o {path.name.split('.')[0] or 'extract'}.osm.pbf"
        )
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty; download it again")
    if path.suffix.lower() != ".pbf":
        check_xml(path)
    return path


def read_header(path: str | Path) -> OsmHeader:
    """The box, date and program of an extract; SourceError if it is not an extract."""
    path = check_extract(path)
    source = readable(path)
    with translated(path):
        header = osmium.FileProcessor(str(source.path)).header
        told = [header.get(name) for name in ("osmosis_replication_timestamp", "timestamp", "generator")]
    if header.has_multiple_object_versions:
        raise SourceError(
            f"{path} is a history file; extract a single date from it, for example with osmium time-filter"
        )
    return OsmHeader(_header_area(header, source, path), told[0] or told[1] or None, told[2] or None)


def _header_area(header: Any, source: Readable, path: Path) -> Area | None:
    """The box of a file, or the one around all its boxes (osmium returns only the first)."""
    boxes = check_xml(path).boxes if source.path == path and path.suffix.lower() != ".pbf" else ()
    if len(boxes) > 1:
        west, south, east, north = np.array(boxes).T
        sides = (float(west.min()), float(south.min()), float(east.max()), float(north.max()))
    else:
        box = header.box()
        if not box.valid():
            return None
        low, high = box.bottom_left, box.top_right
        sides = (low.lon, low.lat, high.lon, high.lat)
    try:
        return Area(*sides)
    except AreaError:
        return None


def check_whole(path: str | Path) -> None:
    """Read all of an extract; SourceError if it is damaged or truncated, or has no coordinates.

    Everything happens inside osmium, at about 40 MB/s of a .osm.pbf.
    """
    path = check_extract(path)
    check_strings(path)
    with_long_texts_cut(path, lambda: _read_through(path))


def _read_through(path: Path) -> None:
    source = readable(path).path
    with translated(path):
        with osmium.io.Reader(str(source)) as reader:
            osmium.apply(reader, osmium.filter.KeyFilter("\0"))  # matches nothing: no object reaches Python
        if _nodes_without_purpose(source, at_least=1000):
            raise SourceError(_CUT.format(path))
        if not any(True for _ in _locations(source)):
            raise SourceError(_NOWHERE.format(path))


def extent(path: str | Path) -> Area:
    """The box with 99 percent of an extract's nodes in longitude and in latitude, for files without one.

    Extracts with complete ways have a few nodes far outside, which the percentiles 0.5 and 99.5 exclude.
    Raises SourceError if there are no coordinates.
    """
    path = check_extract(path)
    return with_long_texts_cut(path, lambda: _extent(path))


def _extent(path: Path) -> Area:
    sample: list[tuple[float, float]] = []
    stride = 1
    with translated(path):
        for number, location in enumerate(_locations(readable(path).path)):
            if number % stride == 0:
                sample.append((location.lon, location.lat))
                if len(sample) >= _EXTENT_SAMPLES:
                    sample, stride = sample[::2], stride * 2
    if not sample:
        raise SourceError(_NOWHERE.format(path))
    lon, lat = np.array(sample).T
    (south, north), (west, east) = (np.percentile(values, [0.5, 99.5]).tolist() for values in (lat, lon))
    if east - west > 180:  # on both sides of the antimeridian, the box is narrower the other way around
        first, last = np.percentile(lon % 360.0, [0.5, 99.5]).tolist()
        if last - first < east - west:
            west, east = first, last
    pad = 1e-4  # so that a single node also has a box
    south, north = max(south - pad, -90.0), min(north + pad, 90.0)
    if east > 180.0 and west - pad <= 180.0:
        return Area(west - pad, south, east + pad - 360.0, north)
    turn = 360.0 if west > 180.0 else 0.0
    return Area(max(west - pad - turn, -180.0), south, min(east + pad - turn, 180.0), north)


def _locations(path: Path) -> Iterator[Any]:
    """Locations of an extract's nodes, and of the vertices of ways that include them."""
    nodes = osmium.FileProcessor(str(path), osmium.osm.NODE)
    on_ways = has_locations_on_ways(nodes.header)
    for node in nodes:
        if node.location.valid():
            yield node.location
    if on_ways:
        for way in osmium.FileProcessor(str(path), osmium.osm.WAY):
            yield from (vertex.location for vertex in way.nodes if vertex.location.valid())


# --- features ----------------------------------------------------------------------------------------------


def read_features(
    path: str | Path,
    *,
    keys: Collection[str],
    wanted: Callable[[Mapping[str, str], Kind], T | None],
    asked: Collection[str] | None = None,
    report: ReadReport | None = None,
    work: Path | None = None,
    progress: Progress = SILENT,
) -> Iterator[Features[T]]:
    """Stream the wanted features of an extract.

    Args:
        path: .osm.pbf, .osm, .osm.gz or .osm.bz2, sorted or not.
        keys: keys of the objects to look at; others are skipped inside osmium.
        wanted: called with tags and kind, once for all objects that agree in both; None skips these features, any other
            value keeps them.
        asked: keys of the tags passed to ``wanted``; all if None.
        report: filled while reading.
        work: folder for data that does not fit in memory; None uses the system's temporary folder.
        progress: receives progress reports.

    Raises:
        SourceError: missing, empty, truncated or foreign files, and files without coordinates.
    """
    path = check_extract(path)
    read_header(path)
    check_strings(path)
    report = ReadReport() if report is None else report
    asker = Asker(wanted, _KINDS.__getitem__, asked)
    with tempfile.TemporaryDirectory(prefix="placevec-", dir=work) as folder:
        with progress.task("Reading OSM") as advance:
            source, found = _extracted(
                path, keys, Path(folder), lambda tags: asker.ask_one(tags, Kind.AREA) is not None
            )
            for note in source.notes:
                progress.say(f"Note: {path.name}: {note}")
            report.notes += source.notes
            report.objects["relation"] += found.relations
            report.wanted["relation"] += len(found.expected)
            advance(found.relations)
            located = assembled = 0
            for some in _chunks(read_blocks(found.nodes_and_ways)):
                features, count = _finish_chunk(some, asker, report, source)
                located += count
                advance(sum(len(block.ids) for block in some))
                if len(features):
                    yield features
            for areas in read_areas(found.areas):
                found.expected.difference_update(areas.ids)
                assembled += len(areas.ids)
                yield _finish_areas(areas, asker, source)
        report.lost["relation"] += len(found.expected)
        for relation in source.own_ids(2, np.array(sorted(found.expected), np.int64)).tolist():
            report.add_broken("outline does not close, or is cut by the edge of the extract", 2, relation)
        _check_whole(path, source.path, found, report, located + assembled)


def _extracted(
    path: Path, keys: Collection[str], folder: Path, is_area: Callable[[Mapping[str, str]], bool]
) -> tuple[Readable, RawObjects]:
    """The file to read instead of an extract, and its objects; cut, sorted and renumbered first if necessary."""
    return with_long_texts_cut(path, lambda: _in_order(path, keys, folder, is_area))


def _in_order(
    path: Path, keys: Collection[str], folder: Path, is_area: Callable[[Mapping[str, str]], bool]
) -> tuple[Readable, RawObjects]:
    source = readable(path)
    for _ in range(2):
        try:
            return source, extract_objects(source.path, keys, folder, is_area, called=path)
        except DisorderedError:
            source = sorted_once(path)
        except UnnumberedError:
            source = renumbered(path)
    return source, extract_objects(source.path, keys, folder, is_area, called=path)


def _check_whole(path: Path, source: Path, found: RawObjects, report: ReadReport, with_geometry: int) -> None:
    """Raise an error for a file that opens but cannot be a complete extract, or lacks too much."""
    # PBF files have no end mark: one that was cut between two blocks reads like a shorter file. Nodes come first, and
    # most have no tags because they belong to ways: without any way, the rest is missing.
    if not report.objects["way"] and found.located > 1000 and _nodes_without_purpose(source):
        raise SourceError(_CUT.format(path))
    if not sum(report.objects.values()):
        raise SourceError(f"{path} has nothing to draw: no object has one of the tags in the layer rules")
    if not with_geometry:
        raise SourceError(f"{path} has no coordinates: the nodes of its ways are missing; {_WITH_NODES}")
    _check_lost(path, report)


def _check_lost(path: Path, report: ReadReport) -> None:
    """SourceError if more features are lost than `MAX_WAYS_LOST` and `MAX_RELATIONS_LOST` allow."""
    ways, lost = report.wanted["way"], report.lost["way"]
    if lost > MAX_WAYS_LOST * ways and (lost > _FEW_WAYS or (lost == ways and not report.wanted["node"])):
        raise SourceError(
            f"{path} lacks the nodes of {lost:,} of {ways:,} ways to draw, such as {_example(report, 'way')}: "
            f"{_WITH_NODES}"
        )
    areas, lost = report.wanted["relation"], report.lost["relation"]
    if areas >= _FEW_RELATIONS and lost > MAX_RELATIONS_LOST * areas:
        raise SourceError(
            f"{path} lacks member ways of {lost:,} of {areas:,} areas to draw, such as "
            f"{_example(report, 'relation')}: make the extract again with complete relations (osmium extract "
            f"--strategy smart, Overpass (._;>;);)"
        )


def _example(report: ReadReport, kind: str) -> str:
    return next((one for some in report.examples.values() for one in some if one.startswith(kind)), kind)


def _nodes_without_purpose(path: Path, at_least: int = 0) -> bool:
    """Whether a file has no ways although most of its nodes (and at least a given number) have no tags."""
    for _ in osmium.FileProcessor(str(path), osmium.osm.WAY):
        return False
    tagged = sum(
        1
        for _ in osmium.FileProcessor(str(path), osmium.osm.NODE).with_filter(osmium.filter.EmptyTagFilter())
    )
    return sum(1 for _ in osmium.FileProcessor(str(path), osmium.osm.NODE)) > max(2 * tagged, at_least)


def _chunks(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    """Consecutive blocks of one type, up to `osm_objects.CHUNK` objects or `_CHUNK_VERTICES` vertices."""
    held: list[Block] = []
    for block in blocks:
        size = sum(len(one.ids) for one in held)
        if held and (
            block.osm_type != held[0].osm_type
            or size + len(block.ids) > osm_objects.CHUNK
            or sum(len(one.lonlat) for one in held) > _CHUNK_VERTICES
        ):
            yield held
            held = []
        held.append(block)
    if held:
        yield held


def _finish_chunk(
    blocks: list[Block], asker: Asker[Kind, T], report: ReadReport, source: Readable
) -> tuple[Features[T], int]:
    """Nodes or ways as features, and how many of them have a geometry, wanted or not; counts broken ones."""
    osm_type = blocks[0].osm_type
    ids = source.own_ids(osm_type, np.concatenate([block.ids for block in blocks]))
    report.objects[TYPE_NAMES[osm_type]] += len(ids)
    kinds = np.full(len(ids), (Kind.POINT, Kind.LINE)[osm_type], np.uint8)
    first = np.cumsum([0, *(len(block.ids) for block in blocks)]).tolist()
    located = [(node_paths, way_paths)[osm_type](block) for block in blocks]
    paths = Paths.concatenate([own for own, _ in located])
    rows = np.concatenate([own + base for (_, own), base in zip(located, first, strict=False)])
    if osm_type == 1:
        _separate_rings(kinds, paths, rows)
    tags = TagColumns.concatenate(
        [TagColumns(block.strings, block.tag_offsets, block.keys, block.values) for block in blocks]
    )
    answer, answers = asker.ask(tags, kinds)
    missing = np.concatenate([_lack_nodes(block) for block in blocks])
    lost = answer >= 0
    unclosed = _unclosed(asker, tags, answer, missing)
    lost[rows] = False
    lost[unclosed] = True
    report.wanted[TYPE_NAMES[osm_type]] += int(np.count_nonzero(answer >= 0)) + len(unclosed)
    report.lost[TYPE_NAMES[osm_type]] += int(np.count_nonzero(lost))
    located_rows = np.zeros(len(ids), bool)
    located_rows[rows] = True
    for row in np.flatnonzero(lost).tolist():
        report.add_broken(_UNCLOSED if located_rows[row] else _NO_GEOMETRY, osm_type, int(ids[row]))
    chosen = np.flatnonzero(answer[rows] >= 0)
    kept = rows[chosen]
    for row in kept[missing[kept]].tolist():
        report.add_broken("nodes are missing: the known part is drawn", osm_type, int(ids[row]))
    types = np.full(len(kept), osm_type, np.uint8)
    taken = paths if len(chosen) == len(rows) else paths.take(chosen)
    return Features(types, ids[kept], kinds[kept], tags.take(kept), answer[kept], answers, taken), len(rows)


_NO_GEOMETRY = "no geometry: fewer than two of its nodes exist"
_UNCLOSED = "nodes of its outline are missing: the area does not close and is not drawn"


def _unclosed(asker: Asker[Kind, T], tags: TagColumns, answer: Ints, missing: NDArray[np.bool_]) -> Ints:
    """Rows with missing nodes that are wanted only as areas, which they may have been."""
    rows = np.flatnonzero(missing & (answer < 0))
    if not len(rows):
        return rows
    as_rings, _ = asker.ask(tags.take(rows), np.full(len(rows), Kind.RING, np.uint8))
    return rows[as_rings >= 0]


def _lack_nodes(block: Block) -> NDArray[np.bool_]:
    """(N,) bool: objects with vertices at unknown locations."""
    unknown = np.concatenate([[0], np.cumsum(~on_earth(block.lonlat))])
    return np.asarray(np.diff(unknown[block.vertex_offsets]) > 0)


def _finish_areas(areas: Areas, asker: Asker[Kind, T], source: Readable) -> Features[T]:
    kinds = np.full(len(areas.ids), Kind.AREA, np.uint8)
    tags = TagColumns.of(areas.tags)
    answer, answers = asker.ask(tags, kinds)
    kept = np.flatnonzero(answer >= 0)
    paths = Paths.of(areas.rings).take(kept)
    types, ids = np.full(len(kept), 2, np.uint8), source.own_ids(2, np.array(areas.ids, np.int64)[kept])
    return Features(types, ids, kinds[kept], tags.take(kept), answer[kept], answers, paths)


def _separate_rings(kinds: NDArray[np.uint8], paths: Paths, rows: Ints) -> None:
    """Mark closed lines as rings, in place."""
    first = paths.xy[paths.row_vertices[:-1]]
    last = paths.xy[paths.row_vertices[1:] - 1]
    long_enough = np.diff(paths.row_vertices) >= 4
    single = np.diff(paths.row_offsets) == 1
    kinds[rows[np.all(first == last, axis=1) & long_enough & single]] = Kind.RING
