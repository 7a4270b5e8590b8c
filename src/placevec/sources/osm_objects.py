"""One pass of osmium over an OSM extract, and the decoding of what comes out of it in bulk.

One object at a time is slow in Python. So tags travel through osmium's own text format OPL, three times faster
than asking for each, and coordinates through WKB, which is cut into arrays without a loop over vertices.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import osmium

from placevec.errors import SourceError
from placevec.sources.paths import Floats, Ints, Paths

LARGE_FILE = 200 * 2**20
"""Bytes of an extract from which node locations are kept in a file instead of in memory."""
CHUNK = 50_000
"""Objects that are read before a chunk is handed on."""


class Kind(IntEnum):
    """What the geometry of a feature is."""

    POINT = 0
    LINE = 1
    RING = 2
    """A closed way: a line or an area, as its tags say."""
    AREA = 3
    """A relation of type multipolygon or boundary, assembled."""


class translated:  # noqa: N801 - reads as a word in `with translated(path):`
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


# --- the pass ----------------------------------------------------------------------------------------------


@dataclass
class Chunk:
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


class RawChunks:
    """The loop over osmium's objects; its body is the only Python that runs for each of them."""

    def __init__(self, path: Path, keys: Collection[str], folder: Path) -> None:
        self.path, self.keys, self.folder = path, keys, folder
        self.coordinates = False
        large = path.stat().st_size > LARGE_FILE
        self.storage = osmium.index.create_map(
            f"sparse_file_array,{folder / 'nodes.index'}" if large else "flex_mem"
        )

    def __iter__(self) -> Iterator[Chunk]:
        with translated(self.path):
            objects = iter(self._processor())
        factory = osmium.geom.WKBFactory()
        more = True
        while more:
            chunk = Chunk(self.folder / "tags.opl")
            with translated(self.path):
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

    def _fill(self, chunk: Chunk, objects: Iterator[Any], writer: Any, factory: Any) -> bool:
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


# --- decoding ----------------------------------------------------------------------------------------------

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


def tags_of(chunk: Chunk) -> list[dict[str, str]]:
    """The tags of each object of a chunk."""
    lines = iter(chunk.opl.read_bytes().decode("utf-8", "replace").split("\n"))
    return [parse_opl_tags(next(lines)) if own is None else own for own in chunk.tags]


def decode_geometry(chunk: Chunk) -> tuple[Paths, Ints]:
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
