"""Writes small .osm files, so that a test can say in a few lines what is on the ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

Tags = Mapping[str, str]
LonLat = tuple[float, float]


class OsmFile:
    """Collects objects and numbers them; ``write`` makes the file."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.ways: list[str] = []
        self.relations: list[str] = []
        self._places: dict[LonLat, int] = {}

    def node(self, lonlat: LonLat, tags: Tags | None = None) -> int:
        """A node; untagged ones at one place are the same node."""
        if not tags and lonlat in self._places:
            return self._places[lonlat]
        number = len(self.nodes) + 1
        if not tags:
            self._places[lonlat] = number
        lon, lat = lonlat
        self.nodes.append(f'<node id="{number}" lon="{lon!r}" lat="{lat!r}">{_tags(tags)}</node>')
        return number

    def way(self, lonlats: Sequence[LonLat], tags: Tags | None = None, missing: Sequence[int] = ()) -> int:
        """A way through points; ``missing`` are positions whose node is left out of the file."""
        refs = [10**6 + at if at in missing else self.node(lonlat) for at, lonlat in enumerate(lonlats)]
        number = len(self.ways) + 1
        members = "".join(f'<nd ref="{ref}"/>' for ref in refs)
        self.ways.append(f'<way id="{number}">{members}{_tags(tags)}</way>')
        return number

    def relation(self, ways: Sequence[tuple[int, str]], tags: Tags) -> int:
        """A relation of (way, role) members."""
        number = len(self.relations) + 1
        members = "".join(f'<member type="way" ref="{way}" role="{role}"/>' for way, role in ways)
        self.relations.append(f'<relation id="{number}">{members}{_tags(tags)}</relation>')
        return number

    def write(
        self, path: Path, bounds: tuple[float, float, float, float] | None = None, order: str = "nwr"
    ) -> Path:
        """Write the file; ``order`` is that of nodes, ways and relations."""
        parts = {"n": self.nodes, "w": self.ways, "r": self.relations}
        head = ""
        if bounds:
            west, south, east, north = bounds
            head = f'<bounds minlon="{west}" minlat="{south}" maxlon="{east}" maxlat="{north}"/>'
        body = "\n".join(line for kind in order for line in parts[kind])
        path.write_text(
            f'<?xml version="1.0"?>\n<osm version="0.6" generator="a test">{head}\n{body}\n</osm>\n'
        )
        return path


def ring(lonlats: Sequence[LonLat]) -> list[LonLat]:
    """Closed: the first point again at the end."""
    return [*lonlats, lonlats[0]]


def box(west: float, south: float, east: float, north: float) -> list[LonLat]:
    """A closed rectangle, counter-clockwise."""
    return ring([(west, south), (east, south), (east, north), (west, north)])


def _tags(tags: Tags | None) -> str:
    breaks = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
    return "".join(f"<tag k={quoteattr(k)} v={quoteattr(v, breaks)}/>" for k, v in (tags or {}).items())
