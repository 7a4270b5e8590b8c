"""OpenStreetMap extracts: features out of .osm.pbf, .osm, .osm.gz and .osm.bz2, streamed in chunks.

Nodes are points, ways lines or rings, and relations of type multipolygon or boundary areas, which osmium
assembles with their holes. Whether a ring means an area is left to who asks (OSM decides by tags).
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
from placevec.progress import SILENT, Progress
from placevec.sources.osm_objects import Chunk, Kind, RawChunks, decode_geometry, tags_of, translated
from placevec.sources.paths import Ints, Paths

SUFFIXES = (".osm.pbf", ".pbf", ".osm", ".osm.gz", ".osm.bz2")
TYPE_NAMES = ("node", "way", "relation")
_EXAMPLES = 5
_EXTENT_SAMPLES = 2_000_000
_KINDS = tuple(Kind)

T = TypeVar("T")


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
    with translated(path):
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
    with translated(path):
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
        raw = RawChunks(path, keys, Path(folder))
        with progress.task("Reading OSM") as advance:
            for chunk in raw:
                features = _finish_chunk(chunk, wanted, report, relations)
                advance(len(chunk.ids))
                if len(features):
                    yield features
        _check_whole(path, raw, report)
    for relation in sorted(relations.expected - relations.assembled):
        report.add_broken("outline does not close, or is cut by the edge of the extract", 2, relation)


def _check_whole(path: Path, raw: RawChunks, report: ReadReport) -> None:
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
        1
        for _ in osmium.FileProcessor(str(path), osmium.osm.NODE).with_filter(osmium.filter.EmptyTagFilter())
    )
    return sum(1 for _ in osmium.FileProcessor(str(path), osmium.osm.NODE)) > 2 * tagged


@dataclass
class _Relations:
    """Which relations should become areas, and which did; osmium hands out either first."""

    expected: set[int] = field(default_factory=set)
    assembled: set[int] = field(default_factory=set)


def _finish_chunk(
    chunk: Chunk,
    wanted: Callable[[Mapping[str, str], Kind], T | None],
    report: ReadReport,
    relations: _Relations,
) -> Features[T]:
    """Decode coordinates and tags, ask what is wanted, and count what is broken."""
    tags = tags_of(chunk)
    paths, rows = decode_geometry(chunk)
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


def _tell_rings(kinds: NDArray[np.uint8], paths: Paths, rows: Ints) -> None:
    """Mark the lines that end where they begin, in place."""
    first = paths.xy[paths.row_vertices[:-1]]
    last = paths.xy[paths.row_vertices[1:] - 1]
    long_enough = np.diff(paths.row_vertices) >= 4
    single = np.diff(paths.row_offsets) == 1
    closed = np.all(first == last, axis=1) & long_enough & single & (kinds[rows] == Kind.LINE)
    kinds[rows[closed]] = Kind.RING
