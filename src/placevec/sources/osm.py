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
    expected: set[int] = set()
    with tempfile.TemporaryDirectory(prefix="placevec-", dir=work) as folder:
        raw = _RawChunks(path, keys, Path(folder))
        with progress.task("Reading OSM") as advance:
            for chunk in raw:
                features = _finish_chunk(chunk, wanted, report, expected)
                advance(len(chunk.ids))
                if len(features):
                    yield features
    for relation in sorted(expected):
        report.add_broken("outline does not close, or is cut by the edge of the extract", 2, relation)
    _check_whole(path, raw, report)


def _check_whole(path: Path, raw: _RawChunks, report: ReadReport) -> None:
    """Refuse what opened well but cannot be a whole extract."""
    if not sum(report.objects.values()):
        raise SourceError(f"{path} holds nothing that a map shows: none of its objects has a tag that is looked for")
    if not raw.coordinates:
        raise SourceError(f"{path} holds no coordinates: its ways have no nodes")
    # PBF files have no end mark: one that was cut between two blocks reads as a shorter file.
    if not report.objects["way"] and raw.locations > 4 * report.objects["node"] + 1000:
        raise SourceError(
            f"{path} is cut short: it holds {raw.locations:,} nodes and no way; download it again"
        )


@dataclass
class _Chunk:
    """Objects as osmium hands them out: parallel lists, and a file with a line of tags for each."""

    opl: Path
    types: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    area: list[bool] = field(default_factory=list)
    geometry: list[Any] = field(default_factory=list)
    """Hexadecimal WKB of ways and areas, (lon, lat) of nodes, list of paths of ways with missing nodes, None."""


class _RawChunks:
    """The loop over osmium's objects; the body of it is the only Python that runs for each."""

    def __init__(self, path: Path, keys: Collection[str], folder: Path) -> None:
        self.path, self.keys, self.folder = path, keys, folder
        self.coordinates = False
        self.locations = 0

    def __iter__(self) -> Iterator[_Chunk]:
        with _translated(self.path):
            objects = iter(self._processor())
        chunk, writer = self._open(0)
        factory = osmium.geom.WKBFactory()
        more, number = True, 0
        while more:
            with _translated(self.path):
                more = self._fill(objects, chunk, writer, factory)
                writer.close()
            yield chunk
            number += 1
            if more:
                chunk, writer = self._open(number)
        self.locations = self.storage.used_memory() // 16  # osmium keeps 16 bytes a node

    def _processor(self) -> Any:
        by_key = osmium.filter.KeyFilter(*sorted(self.keys))
        large = self.path.stat().st_size > LARGE_FILE
        self.storage = osmium.index.create_map(
            f"sparse_file_array,{self.folder / 'nodes.index'}" if large else "flex_mem"
        )
        processor = osmium.FileProcessor(str(self.path))
        if processor.header.get("sorting") != "Type_then_ID":
            # Overpass writes ways before their nodes: learn all locations first.
            locate = osmium.NodeLocationsForWays(self.storage)
            locate.ignore_errors()
            with osmium.io.Reader(str(self.path), osmium.osm.NODE) as reader:
                osmium.apply(reader, locate)
        return processor.with_locations(self.storage).with_areas(by_key).with_filter(by_key)

    def _open(self, number: int) -> tuple[_Chunk, Any]:
        path = self.folder / f"{number % 2}.opl"
        writer = osmium.SimpleWriter(
            osmium.io.File(str(path), "opl,add_metadata=false"), overwrite=True
        )
        return _Chunk(path), writer

    def _fill(self, objects: Iterator[Any], chunk: _Chunk, writer: Any, factory: Any) -> bool:
        types, ids, area, geometry = chunk.types, chunk.ids, chunk.area, chunk.geometry
        for item in objects:
            if item.is_way():
                shape = _way_geometry(item, factory)
                writer.add_way(item)
                types.append(1)
                ids.append(item.id)
                area.append(False)
            elif item.is_node():
                location = item.location
                shape = (location.lon, location.lat) if location.valid() else None
                writer.add_node(item)
                types.append(0)
                ids.append(item.id)
                area.append(False)
            elif item.is_relation():
                shape = None
                writer.add_relation(item)
                types.append(2)
                ids.append(item.id)
                area.append(False)
            elif item.is_area() and not item.from_way():
                # No line of tags: its relation has one.
                types.append(2)
                ids.append(item.orig_id())
                area.append(True)
                shape = _area_geometry(item, factory)
            else:
                continue  # areas of closed ways: the ring is enough
            geometry.append(shape)
            self.coordinates = self.coordinates or shape is not None
            if len(ids) >= CHUNK:
                return True
        return False
