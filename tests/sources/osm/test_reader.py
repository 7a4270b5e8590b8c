"""Reading extracts: what is in them, and every way in which a file can be wrong."""

from __future__ import annotations

import bz2
import gzip
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import pytest
import shapely

from placevec.errors import SourceError
from placevec.sources.osm import node_index
from placevec.sources.osm import objects as osm_objects
from placevec.sources.osm.objects import Kind
from placevec.sources.osm.reader import ReadReport, extent, read_features, read_header
from tests.osm_xml import OsmFile, box, ring

KEYS = ("building", "highway", "natural", "name", "landuse")


def read(path: Path, report: ReadReport | None = None, keys: tuple[str, ...] = KEYS) -> list[dict[str, Any]]:
    found = []
    for chunk in read_features(path, keys=keys, wanted=lambda tags, kind: dict(tags), report=report):
        for row in range(len(chunk)):
            found.append(
                {
                    "id": int(chunk.osm_id[row]),
                    "type": int(chunk.osm_type[row]),
                    "kind": Kind(chunk.kind[row]),
                    "tags": chunk.tags[row],
                    "wanted": chunk.wanted[row],
                    "paths": chunk.paths.row(row),
                }
            )
    return found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A point, a line, a house, and a lake with an island, in a box that the file states."""
    file = OsmFile()
    file.node((24.5, 60.5), {"name": "Point", "natural": "tree"})
    file.way([(24.1, 60.1), (24.2, 60.2), (24.3, 60.1)], {"highway": "path"})
    file.way(box(24.4, 60.4, 24.41, 60.41), {"building": "yes"})
    outer = file.way(box(24.6, 60.6, 24.7, 60.7))
    inner = file.way(box(24.62, 60.62, 24.64, 60.66))
    file.relation([(outer, "outer"), (inner, "inner")], {"type": "multipolygon", "natural": "water"})
    return file.write(tmp_path / "small.osm", bounds=(24.0, 60.0, 25.0, 61.0))


# --- what is in it -----------------------------------------------------------------------------------------


def test_points_lines_rings_and_areas(small: Path) -> None:
    report = ReadReport()
    point, line, house, lake = read(small, report)
    assert (point["kind"], point["tags"], point["type"]) == (
        Kind.POINT,
        {"name": "Point", "natural": "tree"},
        0,
    )
    assert point["paths"][0].tolist() == [[24.5, 60.5]]
    assert (line["kind"], line["paths"][0].tolist()) == (
        Kind.LINE,
        [[24.1, 60.1], [24.2, 60.2], [24.3, 60.1]],
    )
    assert (house["kind"], len(house["paths"][0])) == (Kind.RING, 5)
    assert (lake["kind"], lake["type"], lake["id"], len(lake["paths"])) == (Kind.AREA, 2, 1, 2)
    assert report.objects == {"node": 1, "way": 2, "relation": 1}
    assert report.broken == {}


def test_holes_run_against_their_shell_whatever_the_file_says(tmp_path: Path) -> None:
    """Oracle: shapely's area of the polygon with its hole."""
    for turned in (False, True):
        file = OsmFile()
        outer, inner = box(0.0, 0.0, 0.4, 0.2), box(0.1, 0.1, 0.2, 0.15)
        ways = [file.way(shape[::-1] if turned else shape) for shape in (outer, inner)]
        file.relation([(ways[0], "outer"), (ways[1], "inner")], {"type": "multipolygon", "landuse": "forest"})
        (area,) = read(file.write(tmp_path / "a.osm"))
        signed = [shapely.LinearRing(path).is_ccw for path in area["paths"]]
        assert signed == [True, False]
        assert shapely.Polygon(area["paths"][0], area["paths"][1:]).area == pytest.approx(
            0.4 * 0.2 - 0.1 * 0.05
        )


def test_an_outline_of_several_ways_is_joined(tmp_path: Path) -> None:
    file = OsmFile()
    one = file.way([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])
    two = file.way([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)])  # runs the other way
    file.relation([(one, "outer"), (two, "outer")], {"type": "multipolygon", "landuse": "forest"})
    (area,) = read(file.write(tmp_path / "a.osm"))
    assert shapely.Polygon(area["paths"][0]).area == pytest.approx(1.0)


def test_what_is_not_wanted_is_left_out_and_answers_come_along(small: Path) -> None:
    def wanted(tags: Mapping[str, str], kind: Kind) -> str | None:
        return f"{kind.name} {tags['building']}" if "building" in tags else None

    (chunk,) = read_features(small, keys=KEYS, wanted=wanted)
    assert chunk.wanted == ["RING yes"]


def test_hostile_and_foreign_text_arrives_as_it_is(tmp_path: Path) -> None:
    name = "<b>=cmd|' /C calc'!A0</b> %20% a,b=c\n\t\u202eKahvila ☕ \U0001f600 @x"
    file = OsmFile()
    file.node((1.0, 2.0), {"name": name.replace("\n\t", " "), "odd key=,%": "väärä"})
    file.way([(1.0, 2.0), (1.1, 2.1)], {"name": "x", "highway": "a%b"})
    point, line = read(file.write(tmp_path / "a.osm"))
    assert point["tags"] == {"name": name.replace("\n\t", " "), "odd key=,%": "väärä"}
    assert line["tags"] == {"name": "x", "highway": "a%b"}


def test_chunks_do_not_change_what_is_read(helsinki_pbf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(helsinki_pbf)
    monkeypatch.setattr(osm_objects, "CHUNK", 700)
    pieces = read(helsinki_pbf)
    assert len(whole) == len(pieces) > 1000
    for one, other in zip(whole, pieces, strict=True):
        assert (one["id"], one["type"], one["tags"], one["kind"]) == (
            other["id"], other["type"], other["tags"], other["kind"],
        )  # fmt: skip
        assert all(np.array_equal(a, b) for a, b in zip(one["paths"], other["paths"], strict=True))


def test_a_file_backed_index_reads_the_same(
    helsinki_pbf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = read(helsinki_pbf)
    monkeypatch.setattr(node_index, "LARGE_FILE", 10)
    monkeypatch.setattr(node_index, "_EVERY", 100)
    again = list(read_features(helsinki_pbf, keys=KEYS, wanted=lambda tags, kind: 1, work=tmp_path))
    assert sum(map(len, again)) == len(whole)
    assert np.array_equal(np.concatenate([c.osm_id for c in again]), [item["id"] for item in whole])
    assert list(tmp_path.iterdir()) == []


def test_tags_and_coordinates_equal_osmium_object_by_object(helsinki_pbf: Path) -> None:
    """Oracle: osmium's own objects, one at a time."""
    factory = osmium.geom.WKBFactory()
    expected: dict[tuple[int, int], tuple[dict[str, str], Any]] = {}
    for item in osmium.FileProcessor(str(helsinki_pbf)).with_locations():
        if item.is_way() and "highway" in item.tags:
            try:
                line = shapely.from_wkb(factory.create_linestring(item))
            except (RuntimeError, osmium.InvalidLocationError):
                continue
            expected[1, item.id] = (dict(item.tags), line)
    found = {(f["type"], f["id"]): f for f in read(helsinki_pbf, keys=("highway",)) if f["type"] == 1}
    assert len(expected) > 500
    for key, (tags, line) in expected.items():
        assert found[key]["tags"] == tags
        assert np.array_equal(found[key]["paths"][0], shapely.get_coordinates(line))


@pytest.mark.parametrize(("suffix", "pack"), [(".osm.gz", gzip.compress), (".osm.bz2", bz2.compress)])
def test_compressed_xml(small: Path, tmp_path: Path, suffix: str, pack: Any) -> None:
    packed = tmp_path / f"packed{suffix}"
    packed.write_bytes(pack(small.read_bytes()))
    assert [f["tags"] for f in read(packed)] == [f["tags"] for f in read(small)]
    header = read_header(packed).area
    assert header is not None
    assert header.bounds == (24.0, 60.0, 25.0, 61.0)


def test_ways_before_their_nodes_as_overpass_writes_them(tmp_path: Path) -> None:
    file = OsmFile()
    way = file.way(box(0.0, 0.0, 1.0, 1.0))
    file.way([(0.0, 0.0), (1.0, 1.0)], {"highway": "path"})
    file.relation([(way, "outer")], {"type": "multipolygon", "landuse": "forest"})
    line, area = read(file.write(tmp_path / "a.osm", order="rwn"))
    assert line["paths"][0].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert area["kind"] == Kind.AREA


# --- what is broken in it ----------------------------------------------------------------------------------


def test_broken_geometry_is_counted_with_examples_and_never_fatal(tmp_path: Path) -> None:
    file = OsmFile()
    points = [(float(x), 0.0) for x in range(6)]
    file.way(points, {"highway": "path"}, missing=[2])
    file.way(points[:2], {"highway": "path"}, missing=[0])
    half = file.way([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])
    file.relation([(half, "outer")], {"type": "multipolygon", "landuse": "forest"})
    file.relation([(999, "outer")], {"type": "boundary", "natural": "water"})
    file.relation([(999, "outer")], {"type": "route", "name": "no area"})
    report = ReadReport()
    (line,) = read(file.write(tmp_path / "a.osm"), report)
    assert [path[:, 0].tolist() for path in line["paths"]] == [[0.0, 1.0], [3.0, 4.0, 5.0]]
    assert sorted(report.broken.values()) == [1, 1, 2]
    examples = [example for some in report.examples.values() for example in some]
    assert sorted(examples) == ["relation/1", "relation/2", "way/1", "way/2"]


def test_a_ring_that_misses_a_node_is_no_ring(tmp_path: Path) -> None:
    file = OsmFile()
    file.way(box(0.0, 0.0, 1.0, 1.0), {"building": "yes"}, missing=[1])
    (line,) = read(file.write(tmp_path / "a.osm"))
    assert line["kind"] == Kind.LINE


def test_a_ring_that_crosses_itself_is_kept(tmp_path: Path) -> None:
    file = OsmFile()
    file.way(ring([(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)]), {"building": "yes"})
    (house,) = read(file.write(tmp_path / "a.osm"))
    assert house["kind"] == Kind.RING


# --- wrong files -------------------------------------------------------------------------------------------


def cut_between_blocks(raw: bytes, share: float) -> bytes:
    """The first blocks of a PBF file, cut exactly where one ends: nothing in what remains is damaged."""
    at, ends = 0, []
    while at < len(raw):
        (head,) = struct.unpack(">I", raw[at : at + 4])
        message, position, size = raw[at + 4 : at + 4 + head], 0, 0
        while position < len(message):
            key, position = message[position], position + 1
            value = shift = 0
            while True:
                byte, position = message[position], position + 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            if key == 0x18:
                size = value
            elif key & 7 == 2:
                position += value
        at += 4 + head + size
        ends.append(at)
    return raw[: ends[int(len(ends) * share)]]


def wrong_files(folder: Path, pbf: bytes) -> dict[str, bytes]:
    xml = b'<osm version="0.6"><node id="1" lat="1" lon="2"><tag k="name" v="x"/></node></osm>'
    way = b'<osm version="0.6"><way id="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="x"/></way></osm>'
    return {
        "empty.osm.pbf": b"",
        "truncated.osm.pbf": pbf[: len(pbf) * 2 // 3],
        "half.osm.pbf": pbf[: len(pbf) // 2 + 1],
        "text.osm.pbf": b"this is no OSM file" * 99,
        "html.osm": b"<html><body>404</body></html>",
        "truncated.osm": xml[:-8],
        "truncated.osm.gz": gzip.compress(xml * 1 + b" " * 9999)[:60],
        "truncated.osm.bz2": bz2.compress(xml)[:60],
        "garbage.osm.gz": b"xx" * 99,
        "entities.osm": b'<!DOCTYPE x [<!ENTITY a "b">]>' + xml.replace(b'"x"', b'"&a;"'),
        "no_objects.osm": b'<osm version="0.6"></osm>',
        "no_tags.osm": xml.replace(b'k="name"', b'k="created_by"'),
        "no_coordinates.osm": way,
        "impossible.osm": xml.replace(b'lat="1"', b'lat="1000"'),
        "name.txt": xml,
    }


@pytest.mark.parametrize("name", list(wrong_files(Path(), b"")))
def test_wrong_files_are_rejected_in_one_line_that_names_them(
    name: str, tmp_path: Path, helsinki_pbf: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(wrong_files(tmp_path, helsinki_pbf.read_bytes())[name])
    with pytest.raises(SourceError) as caught:
        read(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_are_rejected(tmp_path: Path) -> None:
    for path in (tmp_path / "none.osm.pbf", tmp_path):
        with pytest.raises(SourceError, match=str(path)):
            read_header(path)


def test_a_pbf_cut_between_two_blocks_does_not_pass_for_a_shorter_one(
    shared_data: Path, tmp_path: Path
) -> None:
    """PBF has no end mark: cut before its ways, the file reads without an error from osmium."""
    path = tmp_path / "cut.osm.pbf"
    path.write_bytes(cut_between_blocks((shared_data / "osm" / "malta_2016.osm.pbf").read_bytes(), 0.5))
    assert sum(1 for _ in osmium.FileProcessor(str(path))) > 1000
    with pytest.raises(SourceError, match="it has nodes without tags but no ways"):
        read(path)


def test_points_alone_are_no_cut_file(tmp_path: Path) -> None:
    file = OsmFile()
    for number in range(50):
        file.node((1.0 + number / 100, 2.0), {"name": str(number)} if number % 2 else {"created_by": "x"})
    assert len(read(file.write(tmp_path / "points.osm"))) == 25


def test_a_history_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "history.osh.pbf"
    header = osmium.io.Header()
    header.has_multiple_object_versions = True
    with osmium.SimpleWriter(str(path), header=header) as writer:
        writer.add_node(osmium.osm.mutable.Node(id=1, location=(1.0, 2.0), tags={"name": "x"}))
    with pytest.raises(SourceError, match="history"):
        read_header(path)


# --- headers -----------------------------------------------------------------------------------------------


def test_header_of_a_real_extract(helsinki_pbf: Path) -> None:
    header = read_header(helsinki_pbf)
    assert header.area is not None
    assert header.area.contains(
        [(header.area.west + header.area.east) / 2], [header.area.south + 0.001]
    ).all()


def test_date_and_program(shared_data: Path) -> None:
    header = read_header(shared_data / "osm" / "monaco_2023.osm.pbf")
    assert header.timestamp == "2023-12-26T21:21:22Z"
    assert header.generator == "osmium/1.14.0"


def test_extent_leaves_out_what_lies_far_away(tmp_path: Path) -> None:
    """Oracle: the uniform distribution of the nodes, whose 0.5 and 99.5 percentiles are known."""
    random = np.random.default_rng(0)
    file = OsmFile()
    for lon, lat in random.uniform((10.0, 50.0), (11.0, 51.0), (2000, 2)).tolist():
        file.node((lon, lat))
    file.node((-170.0, -80.0))
    path = file.write(tmp_path / "far.osm")
    assert read_header(path).area is None
    assert np.allclose(extent(path).bounds, (10.005, 50.005, 10.995, 50.995), atol=0.01)


def test_extent_of_one_point_is_still_a_box(tmp_path: Path) -> None:
    file = OsmFile()
    file.node((10.0, 50.0))
    assert extent(file.write(tmp_path / "one.osm")).contains([10.0], [50.0]).all()


def test_extent_without_nodes_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "none.osm"
    path.write_text('<osm version="0.6"></osm>')
    with pytest.raises(SourceError, match="no coordinates"):
        extent(path)
