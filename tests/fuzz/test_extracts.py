"""OSM extracts of unknown origin: .pbf, .osm, .gz and .bz2."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fuzz.corpus import LAT, LON, Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds, refused
from tests.osm_xml import OsmFile, box

MEGABYTE = 2**20
HEAD = b'<?xml version="1.0"?><osm version="0.6">'


def test_damaged(corpus: Corpus, isolated: Isolated) -> None:
    holds("extract", corpus, isolated, 60)


def bomb(head: bytes, unit: bytes, times: int) -> bytes:
    """Gzip of ``head`` and many times ``unit``, made without holding it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(head), *(packer.compress(unit) for _ in range(times)), packer.flush()]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("head", "unit", "times", "says"),
    [
        (b"", bytes(MEGABYTE), 8, "more than 4 MB"),
        (HEAD + b'<node id="1" lon="1" lat="1"><tag k="a" v="', b"a" * MEGABYTE, 8, "more than 4 MB"),
        (HEAD, b" " * (MEGABYTE - 4) + b"<a/>", 400, "250 times"),
    ],
)
def test_a_bomb_is_rejected_before_it_goes_off(
    isolated: Isolated, head: bytes, unit: bytes, times: int, says: str
) -> None:
    """An attribute without end took osmium's XML parser more than two minutes and all memory."""
    assert says in refused(isolated, "extract", "small.osm.gz", bomb(head, unit, times))


def test_entities_are_not_expanded(isolated: Isolated) -> None:
    names = "abcdefghij"
    entities = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise(names))
    text = (
        f'<!DOCTYPE o [<!ENTITY a "aaaaaaaaaa">{entities}]><osm version="0.6"><node id="1" lat="1" lon="1">'
    )
    text += '<tag k="amenity" v="&j;"/></node></osm>'
    refused(isolated, "extract", "small.osm", text.encode())


def blob(kind: bytes, raw: bytes, claimed: int) -> bytes:
    packed = zlib.compress(raw)
    content = b"\x10" + varint(claimed) + b"\x1a" + varint(len(packed)) + packed
    head = b"\x0a" + varint(len(kind)) + kind + b"\x18" + varint(len(content))
    return struct.pack(">I", len(head)) + head + content


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


@pytest.mark.parametrize("claimed", [2**31 - 1, 2**63, 31 * MEGABYTE, 0])
def test_a_block_that_lies_about_its_size(isolated: Isolated, claimed: int) -> None:
    features = b"\x22\x0eOsmSchema-V0.6\x22\x0aDenseNodes"
    content = blob(b"OSMHeader", features, len(features)) + blob(b"OSMData", bytes(100), claimed)
    refused(isolated, "extract", "plain.osm.pbf", content)


def test_a_program_whose_name_is_no_text(corpus: Corpus, isolated: Isolated) -> None:
    """Was a UnicodeDecodeError: the name in the header is asked for outside of osmium's own errors."""
    content = (corpus.folder / "extract" / "plain.osm.pbf").read_bytes()
    assert b"libosmium" in content
    said = refused(isolated, "extract", "plain.osm.pbf", content.replace(b"libosmium", b"\xff\xfe\xfdosmium"))
    assert "not a readable OSM extract" in said


def hostile_shapes() -> OsmFile:
    """Rings that cross themselves, do not close, repeat one node; relations of themselves and of nothing."""
    osm = OsmFile()
    bow = [(LON, LAT), (LON + 0.001, LAT + 0.001), (LON + 0.001, LAT), (LON, LAT + 0.001), (LON, LAT)]
    osm.way(bow, {"building": "yes"})
    osm.way([(LON, LAT)] * 3000, {"building": "yes"})
    osm.way([(LON, LAT), (LON + 0.001, LAT)] * 1500, {"highway": "residential"})
    osm.way(box(LON, LAT, LON, LAT), {"building": "yes"})
    osm.node((180.0, 90.0), {"amenity": "cafe"})
    osm.node((-180.0, -90.0), {"amenity": "cafe"})
    osm.node((999.0, 99.0), {"amenity": "cafe"})
    opened = osm.way(bow[:-1])
    twice = osm.way(box(LON, LAT, LON + 0.002, LAT + 0.002))
    building = {"type": "multipolygon", "building": "yes"}
    for ways in ([opened], [twice, twice], [10**9], [], [twice] * 500):
        osm.relation([(way, "outer") for way in ways], building)
    osm.relation([(twice, "inner"), (opened, "outer")], building)
    members = '<member type="relation" ref="7" role="outer"/><member type="relation" ref="8" role="outer"/>'
    for number in (7, 8):
        tags = '<tag k="type" v="multipolygon"/><tag k="building" v="yes"/>'
        osm.relations.append(f'<relation id="{number}">{members}{tags}</relation>')
    return osm


@pytest.mark.parametrize("order", ["nwr", "rwn"])
def test_hostile_shapes_are_read_or_counted(isolated: Isolated, tmp_path: Path, order: str) -> None:
    content = hostile_shapes().write(tmp_path / "a.osm", order=order).read_bytes()
    outcome, said = isolated.read("extract", "small.osm", content)
    assert outcome in ("valid", "refused"), said
    sane = content.replace(b'lon="999.0" lat="99.0"', b'lon="1.0" lat="1.0"')
    assert isolated.read("extract", "small.osm", sane) == ("valid", "")


@pytest.mark.parametrize(
    "number", ["9223372036854775807", "-9223372036854775808", "99999999999999999999", "0"]
)
def test_absurd_numbers_of_objects(corpus: Corpus, isolated: Isolated, number: str) -> None:
    content = (corpus.folder / "extract" / "small.osm").read_text().replace('id="1"', f'id="{number}"')
    outcome, said = isolated.read("extract", "small.osm", content.encode())
    assert outcome in ("valid", "refused"), said
