"""OpenStreetMap extracts: features out of .osm.pbf, .osm, .osm.gz and .osm.bz2, streamed in chunks.

The reading is osmium's. Nodes are points, ways lines or rings, and relations of type multipolygon or boundary
areas, assembled with their holes. Whether a ring means an area is left to who asks (OSM decides by tags).
Two things are done in bulk because one object at a time is slow in Python: tags travel through osmium's own
text format OPL (three times faster than asking for each), and coordinates through WKB.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import osmium
from numpy.typing import NDArray

from placevec.errors import AreaError, SourceError
from placevec.geo import Area
from placevec.progress import SILENT, Progress
from placevec.sources.paths import Floats, Ints, Paths

SUFFIXES = (".osm.pbf", ".pbf", ".osm", ".osm.gz", ".osm.bz2")
LARGE_FILE = 200 * 2**20
"""Bytes of an extract from which node locations are kept in a file instead of in memory."""
CHUNK = 50_000
"""Objects that are read before a chunk is handed on."""
_EXAMPLES = 5
_EXTENT_SAMPLES = 2_000_000

T = TypeVar("T")


class Kind(IntEnum):
    """What the geometry of a feature is."""

    POINT = 0
    LINE = 1
    RING = 2
    """A closed way: a line or an area, as its tags say."""
    AREA = 3
    """A relation of type multipolygon or boundary, assembled."""


TYPE_NAMES = ("node", "way", "relation")


@dataclass(frozen=True)
class OsmHeader:
    """What an extract says about itself; None where it says nothing."""

    area: Area | None
    timestamp: str | None
    generator: str | None


@dataclass
class ReadReport:
    """What was met while reading.

    Attributes:
        objects: how many nodes, ways and relations had one of the keys.
        broken: why a wanted feature has no geometry, or only a part of it: reason -> how many.
        examples: reason -> the first few, written "way/123".
    """

    objects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TYPE_NAMES, 0))
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
    """A chunk of wanted features, in the order of the file.

    Attributes:
        osm_type: (N,) uint8, number in `TYPE_NAMES`.
        osm_id: (N,) int64.
        kind: (N,) uint8, see `Kind`.
        tags: N dictionaries.
        wanted: what the caller's function answered for each.
        paths: N rows of lon, lat degrees. Points: one vertex; lines: one path, or several where nodes are
            missing; rings: closed, in the way's own direction; areas: shells counter-clockwise, holes clockwise.
    """

    osm_type: NDArray[np.uint8]
    osm_id: Ints
    kind: NDArray[np.uint8]
    tags: list[dict[str, str]]
    wanted: list[T]
    paths: Paths

    def __len__(self) -> int:
        return len(self.tags)


# --- whole files -------------------------------------------------------------------------------------------


def check_extract(path: str | Path) -> Path:
    """``path`` itself if it is a file with the name of an OSM extract, else SourceError."""
    path = Path(path)
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file" if not path.is_dir() else f"{path} is a directory")
    if not path.name.lower().endswith(SUFFIXES):
        raise SourceError(f"{path}: an OSM extract is named {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty; download it again")
    return path


def read_header(path: str | Path) -> OsmHeader:
    """The box, date and program of an extract; SourceError if it is none."""
    path = check_extract(path)
    with _translated(path):
        header = osmium.FileProcessor(str(path)).header
    if header.has_multiple_object_versions:
        raise SourceError(f"{path} is a history file; give an extract of one date")
    return OsmHeader(
        _header_area(header),
        header.get("osmosis_replication_timestamp") or header.get("timestamp") or None,
        header.get("generator") or None,
    )


def _header_area(header: Any) -> Area | None:
    box = header.box()
    if not box.valid():
        return None
    low, high = box.bottom_left, box.top_right
    try:
        return Area(low.lon, low.lat, high.lon, high.lat)
    except AreaError:
        return None


def extent(path: str | Path) -> Area:
    """The box that holds 99 % of an extract's nodes in longitude and in latitude, for files that state none.

    Extracts with complete ways have a few nodes far outside, which the percentiles 0.5 and 99.5 leave out.
    Raises SourceError when there are no coordinates.
    """
    path = check_extract(path)
    sample: list[tuple[float, float]] = []
    stride = 1
    with _translated(path):
        for number, node in enumerate(osmium.FileProcessor(str(path), osmium.osm.NODE)):
            if number % stride == 0 and node.location.valid():
                sample.append((node.lon, node.lat))
                if len(sample) >= _EXTENT_SAMPLES:
                    sample, stride = sample[::2], stride * 2
    if not sample:
        raise SourceError(f"{path} holds no coordinates: there is no node in it")
    (west, south), (east, north) = np.percentile(np.array(sample), [0.5, 99.5], axis=0).tolist()
    pad = 1e-4  # a single node still has a box
    return Area(
        max(west - pad, -180.0), max(south - pad, -90.0), min(east + pad, 180.0), min(north + pad, 90.0)
    )


class _translated:  # noqa: N801 - reads as a word in `with _translated(path):`
    """Turns what osmium raises on a damaged file into one SourceError that names it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (RuntimeError, ValueError, osmium.InvalidLocationError, UnicodeDecodeError)):
            said = " ".join(str(error).split()) or type(error).__name__
            raise SourceError(
                f"{self.path} is not a readable OSM extract, or cut short ({said}); download it again"
            ) from error


# --- features ----------------------------------------------------------------------------------------------


def read_features(
    path: str | Path,
    *,
    keys: Collection[str],
    wanted: Callable[[Mapping[str, str], Kind], T | None],
    report: ReadReport | None = None,
    work: Path | None = None,
    progress: Progress = SILENT,
) -> Iterator[Features[T]]:
    """Stream the features of an extract that somebody wants.

    Args:
        path: .osm.pbf, .osm, .osm.gz or .osm.bz2, sorted or not.
        keys: tags by which objects are looked at; others are skipped inside osmium.
        wanted: called with the tags and the kind of each; None skips the feature, anything else is kept.
        report: is filled while reading.
        work: folder for what does not fit in memory; the system's temporary folder when None.
        progress: where to report.

    Raises:
        SourceError: missing, empty, truncated or foreign files, and files without coordinates.
    """
    path = check_extract(path)
    read_header(path)
    report = ReadReport() if report is None else report
    relations = _Relations()
    with tempfile.TemporaryDirectory(prefix="placevec-", dir=work) as folder:
        raw = _RawChunks(path, keys, Path(folder))
        with progress.task("Reading OSM") as advance:
            for chunk in raw:
                features = _finish_chunk(chunk, wanted, report, relations)
                advance(len(chunk.ids))
                if len(features):
                    yield features
        _check_whole(path, raw, report)
    for relation in sorted(relations.expected - relations.assembled):
        report.add_broken("outline does not close, or is cut by the edge of the extract", 2, relation)


def _check_whole(path: Path, raw: _RawChunks, report: ReadReport) -> None:
    """Refuse what opened well but cannot be a whole extract."""
    # PBF files have no end mark: one that was cut between two blocks reads as a shorter file. Nodes come first
    # and most have no tags, being there for ways: without any way, the rest is missing.
    if not report.objects["way"] and raw.storage.used_memory() > 1000 and _nodes_without_purpose(path):
        raise SourceError(f"{path} is cut short: it holds nodes without tags and no way; download it again")
    if not sum(report.objects.values()):
        raise SourceError(f"{path} holds nothing that a map shows: no object has a tag that is looked for")
    if not raw.coordinates:
        raise SourceError(f"{path} holds no coordinates: the nodes of its ways are missing")


def _nodes_without_purpose(path: Path) -> bool:
    """Whether a file holds no way at all though most of its nodes have no tags."""
    for _ in osmium.FileProcessor(str(path), osmium.osm.WAY):
        return False
    tagged = sum(
        1 for _ in osmium.FileProcessor(str(path), osmium.osm.NODE).with_filter(osmium.filter.EmptyTagFilter())
    )
    return sum(1 for _ in osmium.FileProcessor(str(path), osmium.osm.NODE)) > 2 * tagged


@dataclass
class _Chunk:
    """Objects as osmium hands them out, in parallel lists; areas have `Kind.AREA`, relations no geometry.

    ``geometry`` holds hexadecimal WKB of ways and areas, (lon, lat) of nodes, a list of paths for ways with
    missing nodes, or None. ``tags`` holds None where the tags are in the file ``opl``, line by line.
    """

    opl: Path
    types: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    tags: list[dict[str, str] | None] = field(default_factory=list)
    geometry: list[Any] = field(default_factory=list)


class _RawChunks:
    """The loop over osmium's objects; its body is the only Python that runs for each of them."""

    def __init__(self, path: Path, keys: Collection[str], folder: Path) -> None:
        self.path, self.keys, self.folder = path, keys, folder
        self.coordinates = False
        large = path.stat().st_size > LARGE_FILE
        self.storage = osmium.index.create_map(
            f"sparse_file_array,{folder / 'nodes.index'}" if large else "flex_mem"
        )

    def __iter__(self) -> Iterator[_Chunk]:
        with _translated(self.path):
            objects = iter(self._processor())
        factory = osmium.geom.WKBFactory()
        more = True
        while more:
            chunk = _Chunk(self.folder / "tags.opl")
            with _translated(self.path):
                text = osmium.io.File(str(chunk.opl), "opl,add_metadata=false")
                writer = osmium.SimpleWriter(text, overwrite=True)
                more = self._fill(chunk, objects, writer, factory)
                writer.close()
            yield chunk

    def _processor(self) -> Any:
        by_key = osmium.filter.KeyFilter(*sorted(self.keys))
        processor = osmium.FileProcessor(str(self.path))
        if processor.header.get("sorting") != "Type_then_ID":
            # Overpass, for one, writes ways before their nodes: learn all locations first.
            locate = osmium.NodeLocationsForWays(self.storage)
            locate.ignore_errors()
            with osmium.io.Reader(str(self.path), osmium.osm.NODE) as reader:
                osmium.apply(reader, locate)
        return processor.with_locations(self.storage).with_areas(by_key).with_filter(by_key)

    def _fill(self, chunk: _Chunk, objects: Iterator[Any], writer: Any, factory: Any) -> bool:
        """Read up to `CHUNK` objects; whether there may be more."""
        for item in objects:
            tags: dict[str, str] | None = None
            osm_type, kind, shape = 1, Kind.LINE, None
            if item.is_way():
                writer.add_way(item)
                shape = _way_geometry(item, factory)
            elif item.is_node():
                writer.add_node(item)
                osm_type, kind = 0, Kind.POINT
                location = item.location
                shape = (location.lon, location.lat) if location.valid() else None
            elif item.is_relation():
                osm_type, tags = 2, {tag.k: tag.v for tag in item.tags}
            elif item.from_way():
                continue  # the closed way itself is enough
            else:
                osm_type, kind, tags = 2, Kind.AREA, {tag.k: tag.v for tag in item.tags}
                shape = _area_geometry(item, factory)
            chunk.types.append(osm_type)
            chunk.ids.append(item.orig_id() if kind is Kind.AREA else item.id)
            chunk.kinds.append(kind)
            chunk.tags.append(tags)
            chunk.geometry.append(shape)
            if len(chunk.ids) >= CHUNK:
                break
        self.coordinates = self.coordinates or any(shape is not None for shape in chunk.geometry)
        return len(chunk.ids) >= CHUNK


def _way_geometry(way: Any, factory: Any) -> Any:
    """WKB, or the stretches between missing nodes, or None."""
    try:
        return factory.create_linestring(way)
    except (RuntimeError, osmium.InvalidLocationError):
        pass
    stretches: list[list[tuple[float, float]]] = [[]]
    for node in way.nodes:
        if node.location.valid():
            stretches[-1].append((node.lon, node.lat))
        elif stretches[-1]:
            stretches.append([])
    return [np.array(stretch) for stretch in stretches if len(set(stretch)) > 1] or None


def _area_geometry(area: Any, factory: Any) -> Any:
    try:
        return factory.create_multipolygon(area)
    except (RuntimeError, osmium.InvalidLocationError):
        return None


@dataclass
class _Relations:
    """Which relations should become areas, and which did; osmium hands out either first."""

    expected: set[int] = field(default_factory=set)
    assembled: set[int] = field(default_factory=set)


def _finish_chunk(
    chunk: _Chunk,
    wanted: Callable[[Mapping[str, str], Kind], T | None],
    report: ReadReport,
    relations: _Relations,
) -> Features[T]:
    """Decode coordinates and tags, ask what is wanted, and count what is broken."""
    tags = _tags_of(chunk)
    paths, rows = _decode_geometry(chunk)
    kinds, types = np.array(chunk.kinds, np.uint8), np.array(chunk.types, np.uint8)
    _tell_rings(kinds, paths, rows)
    row_of = np.full(len(kinds), -1, np.int64)
    row_of[rows] = np.arange(len(rows))
    for number, name in enumerate(TYPE_NAMES):
        report.objects[name] += int(np.sum((types == number) & (kinds != Kind.AREA)))
    kept: list[int] = []
    answers: list[T] = []
    each = zip(chunk.types, chunk.ids, tags, kinds.tolist(), chunk.geometry, strict=True)
    for number, (osm_type, osm_id, own, kind, geometry) in enumerate(each):
        relation = osm_type == 2 and kind != Kind.AREA
        if relation and own.get("type") not in ("multipolygon", "boundary"):
            continue
        answer = wanted(own, Kind.AREA if relation else _KINDS[kind])
        if answer is None:
            continue
        if relation:
            relations.expected.add(osm_id)
        elif geometry is not None:
            kept.append(number)
            answers.append(answer)
            if kind == Kind.AREA:
                relations.assembled.add(osm_id)
            elif isinstance(geometry, list):
                report.add_broken("nodes are missing: drawn as far as known", osm_type, osm_id)
        elif kind != Kind.AREA:
            report.add_broken("no geometry: fewer than two of its nodes are there", osm_type, osm_id)
    chosen = np.array(kept, np.int64)
    ids = np.array(chunk.ids, np.int64)[chosen]
    own_tags = [tags[number] for number in kept]
    return Features(types[chosen], ids, kinds[chosen], own_tags, answers, paths.take(row_of[chosen]))


# --- decoding ----------------------------------------------------------------------------------------------

_KINDS = tuple(Kind)
_ESCAPED = re.compile("%([0-9a-fA-F]{1,6})%")


def parse_opl_tags(line: str) -> dict[str, str]:
    """The tags in one line of OPL, osmium's text format (https://osmcode.org/opl-file-format).

    >>> parse_opl_tags("n1 Tname=Caf%e9%%20%X,highway=stop x2 y3")
    {'name': 'Café X', 'highway': 'stop'}
    """
    start = line.find(" T")
    if start < 0:
        return {}
    end = line.find(" ", start + 2)
    text = line[start + 2 : end] if end >= 0 else line[start + 2 :]
    tags = dict([pair.split("=", 1) for pair in text.split(",")]) if text else {}
    if "%" in text:
        return {_ESCAPED.sub(_unescape, key): _ESCAPED.sub(_unescape, value) for key, value in tags.items()}
    return tags


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else "\ufffd"


def _tags_of(chunk: _Chunk) -> list[dict[str, str]]:
    lines = iter(chunk.opl.read_bytes().decode("utf-8", "replace").split("\n"))
    return [parse_opl_tags(next(lines)) if own is None else own for own in chunk.tags]


def _decode_geometry(chunk: _Chunk) -> tuple[Paths, Ints]:
    """The paths of all objects that have a geometry, and the object that each row belongs to."""
    points, lines, others = [], [], []
    for number, shape in enumerate(chunk.geometry):
        if shape is None:
            continue
        if isinstance(shape, str) and chunk.kinds[number] == Kind.LINE:
            lines.append(number)
        elif isinstance(shape, tuple):
            points.append(number)
        else:
            others.append(number)
    lonlat = np.array([chunk.geometry[number] for number in points], np.float64).reshape(-1, 2)
    rows = [
        _area_paths(shape) if isinstance(shape := chunk.geometry[number], str) else shape for number in others
    ]
    xy, offsets = _decode_linestrings([chunk.geometry[number] for number in lines])
    paths = Paths.concatenate([Paths.points(lonlat), Paths.single(xy, offsets), Paths.of(rows)])
    return paths, np.array(points + lines + others, np.int64)


def _decode_linestrings(hexadecimal: list[str]) -> tuple[Floats, Ints]:
    """(V, 2) vertices and (N + 1,) offsets of little-endian WKB linestrings: 9 bytes of head, then doubles."""
    raw = np.frombuffer(bytes.fromhex("".join(hexadecimal)), np.uint8)
    sizes = np.fromiter(map(len, hexadecimal), np.int64, len(hexadecimal)) // 2
    starts = np.cumsum(sizes) - sizes
    keep = np.ones(len(raw), bool)
    keep[starts[:, None] + np.arange(9)] = False
    offsets = np.concatenate([[0], np.cumsum((sizes - 9) // 16)]).astype(np.int64)
    return raw[keep].view("<f8").reshape(-1, 2).astype(np.float64), offsets


def _area_paths(hexadecimal: str) -> list[Floats]:
    """Rings of a little-endian WKB multipolygon, shells turned counter-clockwise and holes clockwise."""
    raw = bytes.fromhex(hexadecimal)
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


def _tell_rings(kinds: NDArray[np.uint8], paths: Paths, rows: Ints) -> None:
    """Mark the lines that end where they begin, in place."""
    first = paths.xy[paths.row_vertices[:-1]]
    last = paths.xy[paths.row_vertices[1:] - 1]
    long_enough = np.diff(paths.row_vertices) >= 4
    single = np.diff(paths.row_offsets) == 1
    closed = np.all(first == last, axis=1) & long_enough & single & (kinds[rows] == Kind.LINE)
    kinds[rows[closed]] = Kind.RING
