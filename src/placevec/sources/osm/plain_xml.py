"""Converts OSM XML as other programs write it to plain OSM XML: the same data, as osmium's parser expects it.

========================== =================================================================================
JOSM                       negative IDs mark objects that were never uploaded: they get new IDs;
                           objects with ``action="delete"`` or ``visible="false"`` are left out
Overpass ``out geom``      locations within ways and members: nodes and ways are created if the file lacks them
Overpass ``out center``    and ``out bb``: ignored, in addition to the object's own location
joined files               concatenated documents are read as one
texts of 1,025 bytes       and more, which osmium does not read, are cut
========================== =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from placevec.errors import SourceError
from placevec.sources.osm.xml_check import Box

NEW_IDS = 2**40
"""First of the IDs given to objects without one of their own; OSM has reached 2**34."""
MAX_TEXT_BYTES = 1_024
"""Longest text that osmium reads; OSM itself takes 255 characters."""
_TYPES = {"node": 0, "way": 1, "relation": 2}
_CHUNK = 2**20
_END = b"</osm>"


class PlainXml:
    """Rewrites documents.

    Args:
        write: receives the text.

    Attributes:
        originals: for nodes, ways and relations: the original IDs of those whose new ID is `NEW_IDS` plus the position;
            0 for objects that had none.
        deleted: number of objects left out because they are deleted.
        shortened: number of texts that were cut after `MAX_TEXT_BYTES`.
        boxes: (west, south, east, north) of each document, combined if it has several; None if it has none.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self.originals: tuple[list[int], list[int], list[int]] = ([], [], [])
        self.deleted = self.shortened = 0
        self.boxes: list[Box | None] = []
        self._new: tuple[dict[object, int], dict[object, int], dict[object, int]] = ({}, {}, {})
        self._lines: list[str] | None = None
        self._is_deleted = False
        self._member: list[int] | None = None
        self._seen_nodes: set[int] = set()
        self._placed: dict[int, tuple[str, str]] = {}
        self._ways: dict[int, list[int]] = {}
        self._seen_ways: set[int] = set()
        self._member_way = 0

    def read(self, file: IO[bytes]) -> None:
        """Rewrite all documents of a file.

        Raises:
            expat.ExpatError: it is not XML.
            SourceError: it has an invalid number or location, or defines entities.
        """
        self._write('<?xml version="1.0"?>\n')
        parser: expat.XMLParserType | None = None
        left, keep = b"", len(_END) - 1
        while chunk := file.read(_CHUNK):
            left += chunk
            while (end := left.find(_END)) >= 0:
                (parser or self._parser()).Parse(left[: end + len(_END)], True)
                parser, left = None, left[end + len(_END) :].lstrip()
            left = left if parser else left.lstrip()
            if len(left) > keep:
                parser = parser or self._parser()
                parser.Parse(left[:-keep], False)
                left = left[-keep:]
        if parser or left.strip():
            (parser or self._parser()).Parse(left, True)
        if not self.boxes:
            raise SourceError("it has no element <osm>")
        for number, (lat, lon) in self._placed.items():
            if number not in self._seen_nodes:
                self._write(f'<node id="{number}" version="0" lat={quoteattr(lat)} lon={quoteattr(lon)}/>\n')
        for number, nodes in self._ways.items():
            if number not in self._seen_ways:
                refs = "".join(f'<nd ref="{node}"/>' for node in nodes)
                self._write(f'<way id="{number}" version="0">{refs}</way>\n')
        self._write("</osm>\n")

    def _parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = self._entity
        return parser

    def _entity(self, *_: object) -> None:
        raise SourceError("it defines XML entities, which OSM extracts never do")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in _TYPES:
            self._begin(name, attributes)
        elif self._lines is None:
            if name == "osm":
                if not self.boxes:
                    self._write(
                        f'<osm version="0.6" generator={quoteattr(attributes.get("generator", ""))}>\n'
                    )
                self.boxes.append(None)
            elif name == "bounds" and self.boxes:
                self._widen(attributes)
        elif name == "tag":
            key, value = self._text(attributes.get("k", "")), self._text(attributes.get("v", ""))
            self._lines.append(f"<tag k={quoteattr(key)} v={quoteattr(value)}/>")
        elif name == "nd":
            self._vertex(attributes)
        elif name == "member" and attributes.get("type") in _TYPES:
            kind, role = attributes["type"], self._text(attributes.get("role", ""))
            number = self._number(kind, attributes.get("ref"))
            self._lines.append(f'<member type="{kind}" ref="{number}" role={quoteattr(role)}/>')
            self._member, self._member_way = [], number if kind == "way" else 0
            if kind == "node" and "lat" in attributes and "lon" in attributes:
                self._placed.setdefault(number, (attributes["lat"], attributes["lon"]))

    def _text(self, text: str) -> str:
        """A text, cut where osmium would not read it."""
        if len(text) <= MAX_TEXT_BYTES // 4:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        if len(raw) <= MAX_TEXT_BYTES:
            return text
        self.shortened += 1
        return raw[:MAX_TEXT_BYTES].decode("utf-8", "ignore")

    def _widen(self, attributes: Mapping[str, str]) -> None:
        """Extend the area by a box of the document: JOSM writes one for each download."""
        try:
            west, south, east, north = (
                float(attributes[side]) for side in ("minlon", "minlat", "maxlon", "maxlat")
            )
        except (KeyError, ValueError):
            return
        if (held := self.boxes[-1]) is not None:
            west, south, east, north = (
                min(west, held[0]), min(south, held[1]), max(east, held[2]), max(north, held[3])
            )  # fmt: skip
        self.boxes[-1] = west, south, east, north

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        self._is_deleted = attributes.get("action") == "delete" or attributes.get("visible") == "false"
        number = self._number(name, attributes.get("id"))
        kept = [f'<{name} id="{number}"']
        for own in ("version", "lat", "lon"):
            if own in attributes:
                kept.append(f" {own}={quoteattr(attributes[own])}")
        kept.append(">")
        self._lines = ["".join(kept)]
        if self._is_deleted:
            return
        if name == "node" and "lat" in attributes:
            self._seen_nodes.add(number)
        elif name == "way":
            self._seen_ways.add(number)

    def _vertex(self, attributes: Mapping[str, str]) -> None:
        lat, lon = attributes.get("lat"), attributes.get("lon")
        if "ref" in attributes:
            number = self._number("node", attributes["ref"])
            if lat is not None and lon is not None:
                self._placed.setdefault(number, (lat, lon))
        elif lat is not None and lon is not None:
            number = self._numbered(0, (lat, lon), 0)
            self._placed.setdefault(number, (lat, lon))
        else:
            return
        if self._member is not None:
            self._member.append(number)
        elif self._lines is not None:
            self._lines.append(f'<nd ref="{number}"/>')

    def _number(self, kind: str, text: str | None) -> int:
        """The ID of an object, or a new one if it is negative."""
        try:
            number = int(text or "")
        except ValueError:
            raise SourceError(f"a {kind} has the ID {str(text)[:40]!r}, which is not an integer") from None
        return number if number >= 0 else self._numbered(_TYPES[kind], number, number)

    def _numbered(self, osm_type: int, name: object, original: int) -> int:
        number = self._new[osm_type].get(name)
        if number is None:
            number = self._new[osm_type][name] = NEW_IDS + len(self.originals[osm_type])
            self.originals[osm_type].append(original)
        return number

    def _end(self, name: str) -> None:
        if name == "member" and self._member is not None:
            if len(self._member) > 1 and self._member_way:
                self._ways.setdefault(self._member_way, self._member)
            self._member = None
        elif name in _TYPES and self._lines is not None:
            if self._is_deleted:
                self.deleted += 1
            else:
                self._write("".join([*self._lines, f"</{name}>\n"]))
            self._lines = None
