"""OSM's data in the forms that other programs write: read as the plain form of the same data, or refused by true name.

The oracle is a plain file of the same objects, written by the test: what is read of both must be the same.
"""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import osmium
import pytest

from placevec.errors import SourceError
from placevec.sources.osm.layers import LayerTable
from placevec.sources.osm.reader import ReadReport, check_whole, extent, read_features, read_header

HEAD = '<?xml version="1.0"?>\n<osm version="0.6" generator="test">\n'
CORNERS = [(24.94, 60.17), (24.9405, 60.17), (24.9405, 60.1705), (24.94, 60.1705)]
Read = list[tuple[int, int, int, list[list[float]]]]


def node(number: int, lonlat: tuple[float, float], more: str = "", tags: str = "") -> str:
    lon, lat = lonlat
    return f'<node id="{number}" version="1" {more} lat="{lat}" lon="{lon}">{tags}</node>\n'


def way(number: int, refs: list[int], more: str = 'version="1"', tags: str = "") -> str:
    tags = tags or '<tag k="building" v="yes"/>'
    return f'<way id="{number}" {more}>' + "".join(f'<nd ref="{ref}"/>' for ref in refs) + f"{tags}</way>\n"


def nodes(first: int = 1, step: int = 1, more: str = "") -> str:
    return "".join(node(first + step * at, corner, more) for at, corner in enumerate(CORNERS))


CAFE = '<tag k="amenity" v="cafe"/><tag k="name" v="Caf&amp;&#10;&lt;é&gt;"/>'
HOUSE = nodes() + node(9, (24.9402, 60.1702), tags=CAFE) + way(5, [1, 2, 3, 4, 1])
PLAIN = f"{HEAD}{HOUSE}</osm>\n"


def read(path: Path, report: ReadReport | None = None) -> Read:
    """Every feature that the twelve layers show: type, id, kind, first path."""
    table, found = LayerTable.default(), []
    for some in read_features(
        path, keys=table.keys, wanted=lambda tags, kind: table.classify(tags, kind) or None, report=report
    ):
        for row in range(len(some)):
            found.append(
                (
                    int(some.osm_type[row]),
                    int(some.osm_id[row]),
                    int(some.kind[row]),
                    some.paths.row(row)[0].tolist(),
                )
            )
    return found


def plain(tmp_path: Path, text: str = PLAIN) -> Read:
    (tmp_path / "plain.osm").write_text(text)
    return read(tmp_path / "plain.osm")


def negative(found: Read) -> Read:
    """The same with JOSM's numbers."""
    return [(kind, -number, shape, path) for kind, number, shape, path in found]


# --- JOSM --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("ending", [".osm", ".osm.gz", ".osm.bz2", ".osm.pbf"])
def test_objects_that_were_never_uploaded(tmp_path: Path, ending: str, quote: str) -> None:
    expected = plain(tmp_path)
    assert [one[:2] for one in expected] == [(0, 9), (1, 5)]
    text = HEAD + nodes(-1, -1, 'action="modify"') + node(-9, (24.9402, 60.1702), tags=CAFE)
    text += way(-5, [-1, -2, -3, -4, -1], 'action="modify"') + "</osm>\n"
    raw = (
        text.replace('"', quote)
        .replace(f"<?xml version={quote}1.0{quote}?>", '<?xml version="1.0"?>')
        .encode()
    )
    path = tmp_path / f"new{ending}"
    if ending == ".osm.pbf":
        (tmp_path / "new.osm").write_bytes(raw)
        with osmium.SimpleWriter(str(path)) as writer:
            for item in osmium.FileProcessor(str(tmp_path / "new.osm")):
                writer.add(item)
    else:
        path.write_bytes({".osm": bytes, ".osm.gz": gzip.compress, ".osm.bz2": bz2.compress}[ending](raw))
    assert sorted(read(path)) == sorted(negative(expected))
    assert read_header(path).generator != ""
    check_whole(path)


def test_an_uploaded_way_through_new_nodes_and_a_new_area_around_it(tmp_path: Path) -> None:
    outline = (
        '<member type="way" ref="5" role="outer"/><tag k="type" v="multipolygon"/><tag k="natural" v="wood"/>'
    )
    old = f'{HOUSE}<relation id="7" version="1">{outline}</relation>'
    expected = plain(tmp_path, f"{HEAD}{old}</osm>")
    new = (
        old.replace('id="4"', 'id="-4"')
        .replace('ref="4"', 'ref="-4"')
        .replace('relation id="7"', 'relation id="-7"')
    )
    (tmp_path / "a.osm").write_text(f"{HEAD}{new}</osm>")
    found = read(tmp_path / "a.osm")
    assert [one[:2] for one in found] == [(0, 9), (1, 5), (2, -7)]
    assert [one[2:] for one in found] == [one[2:] for one in expected]


@pytest.mark.parametrize("mark", ['action="delete"', 'visible="false"'])
def test_what_is_deleted_is_not_there(tmp_path: Path, mark: str) -> None:
    expected = plain(tmp_path)
    gone = nodes(11, 1, mark) + way(15, [11, 12, 13, 14, 11], f'version="2" {mark}')
    (tmp_path / "a.osm").write_text(f"{HEAD}{HOUSE}{gone}</osm>")
    report = ReadReport()
    assert read(tmp_path / "a.osm", report) == expected
    assert report.notes == ["5 objects are marked as deleted and left out"]


def test_the_area_of_several_downloads_is_all_of_them(tmp_path: Path) -> None:
    """osmium tells the first alone."""
    boxes = [(24.0, 60.0, 25.0, 61.0), (25.5, 59.5, 26.0, 60.5)]
    bounds = "".join(
        f'<bounds minlat="{s}" minlon="{w}" maxlat="{n}" maxlon="{e}" origin="x"/>' for w, s, e, n in boxes
    )
    for name, body in (
        ("a.osm", HOUSE),
        ("b.osm", HOUSE.replace('way id="5"', 'way action="modify" id="5"')),
    ):
        (tmp_path / name).write_text(f"{HEAD}{bounds}{body}</osm>")
        area = read_header(tmp_path / name).area
        assert area is not None
        assert area.bounds == (24.0, 59.5, 26.0, 61.0)


# --- ways that know their places ---------------------------------------------------------------------------


def with_locations(path: Path, nodes_kept: Callable[[osmium.osm.Node], bool], text: str = PLAIN) -> None:
    """What ``osmium add-locations-to-ways`` writes."""
    source = path.with_name("for_locations.osm")
    source.write_text(text)
    file = osmium.io.File(str(path), "pbf,locations_on_ways=true")
    with osmium.SimpleWriter(file) as writer:
        for item in osmium.FileProcessor(str(source)).with_locations():
            if not item.is_node() or nodes_kept(item):
                writer.add(item)


def test_ways_with_locations(tmp_path: Path) -> None:
    outline = (
        '<member type="way" ref="5" role="outer"/><tag k="type" v="multipolygon"/><tag k="natural" v="wood"/>'
    )
    text = f'{HEAD}{HOUSE}<relation id="7" version="1">{outline}</relation></osm>'
    expected = plain(tmp_path, text)
    with_locations(tmp_path / "tagged.osm.pbf", lambda one: len(one.tags) > 0, text)
    with_locations(tmp_path / "all.osm.pbf", lambda one: True, text)
    with_locations(tmp_path / "none.osm.pbf", lambda one: False, text)
    assert read(tmp_path / "tagged.osm.pbf") == expected
    assert read(tmp_path / "all.osm.pbf") == expected
    assert read(tmp_path / "none.osm.pbf") == [one for one in expected if one[0] != 0]
    for name in ("tagged", "all", "none"):
        area = extent(tmp_path / f"{name}.osm.pbf")
        assert area.contains(*np.array(CORNERS).T).all()
        check_whole(tmp_path / f"{name}.osm.pbf")


def geometry(refs: bool) -> str:
    vertices = "".join(
        f'<nd {f"""ref="{at % 4 + 1}" """ if refs else ""}lat="{CORNERS[at % 4][1]}" lon="{CORNERS[at % 4][0]}"/>'
        for at in range(5)
    )
    bounds = '<bounds minlat="60" minlon="24" maxlat="61" maxlon="25"/>'
    return f'<way id="5">{bounds}{vertices}<tag k="building" v="yes"/></way>'


@pytest.mark.parametrize("refs", [True, False])
def test_overpass_geometry_of_ways(tmp_path: Path, refs: bool) -> None:
    expected = [one for one in plain(tmp_path) if one[0] == 1]
    (tmp_path / "a.osm").write_text(f"{HEAD}{geometry(refs)}</osm>")
    assert read(tmp_path / "a.osm") == expected


def test_overpass_geometry_of_relations(tmp_path: Path) -> None:
    def member(number: int, corners: list[int]) -> str:
        vertices = "".join(f'<nd lat="{CORNERS[at][1]}" lon="{CORNERS[at][0]}"/>' for at in corners)
        return f'<member type="way" ref="{number}" role="outer">{vertices}</member>'

    tags = '<tag k="type" v="multipolygon"/><tag k="natural" v="wood"/>'
    (tmp_path / "a.osm").write_text(
        f'{HEAD}<relation id="7">{member(11, [0, 1, 2])}{member(12, [2, 3, 0])}{tags}</relation></osm>'
    )
    ((kind, number, _, path),) = read(tmp_path / "a.osm")
    assert (kind, number) == (2, 7)
    assert {tuple(vertex) for vertex in path} == set(CORNERS)


def test_overpass_centers_are_left_out(tmp_path: Path) -> None:
    expected = plain(tmp_path)
    text = PLAIN.replace('<nd ref="1"/>', '<center lat="1" lon="1"/><nd ref="1"/>', 1)
    (tmp_path / "a.osm").write_text(text)
    assert read(tmp_path / "a.osm") == expected


# --- bz2 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 200, -300, -1])
def test_streams_one_behind_the_other(tmp_path: Path, at: int) -> None:
    """As pbzip2 writes them; Python's bz2 is the oracle of what the file holds."""
    expected = plain(tmp_path)
    raw = PLAIN.encode()
    packed = bz2.compress(raw[:at]) + bz2.compress(raw[at:])
    assert bz2.decompress(packed) == raw
    (tmp_path / "a.osm.bz2").write_bytes(packed)
    assert read(tmp_path / "a.osm.bz2") == expected


def test_a_short_stream_behind_a_long_one(tmp_path: Path) -> None:
    ways = "".join(way(number, [1, 2, 3, 4, 1]) for number in range(10, 6000))
    raw = f"{HEAD}{nodes()}{ways}</osm>".encode()
    at = len(raw) - 5000
    (tmp_path / "a.osm.bz2").write_bytes(bz2.compress(raw[:at]) + bz2.compress(raw[at:]))
    assert len(read(tmp_path / "a.osm.bz2")) == 5990
    (tmp_path / "cut.osm.bz2").write_bytes((bz2.compress(raw[:at]) + bz2.compress(raw[at:]))[:-9])
    with pytest.raises(SourceError, match=r"the end of its last stream\)"):
        read(tmp_path / "cut.osm.bz2")


# --- joined ------------------------------------------------------------------------------------------------


def test_what_comes_twice_is_read_once(tmp_path: Path) -> None:
    expected = plain(tmp_path)
    for name, text in {
        "merged.osm": HEAD + "".join(2 * line for line in HOUSE.splitlines(keepends=True)) + "</osm>",
        "behind.osm": f"{HEAD}{HOUSE}{HOUSE}</osm>",
        "documents.osm": PLAIN + PLAIN,
        "only_nodes.osm": f"{HEAD}{node(9, (24.9402, 60.1702), tags=CAFE)}{HOUSE}</osm>",
    }.items():
        (tmp_path / name).write_text(text)
        report = ReadReport()
        assert read(tmp_path / name, report) == expected, name
        assert "more than once" in report.notes[0]
    (tmp_path / "a.osm.gz").write_bytes(2 * gzip.compress(PLAIN.encode()))
    (tmp_path / "a.osm.bz2").write_bytes(2 * bz2.compress(PLAIN.encode()))
    assert read(tmp_path / "a.osm.gz") == read(tmp_path / "a.osm.bz2") == expected


def test_relations_that_come_twice(tmp_path: Path) -> None:
    outline = (
        '<member type="way" ref="5" role="outer"/><tag k="type" v="multipolygon"/><tag k="natural" v="wood"/>'
    )
    area = f'<relation id="7" version="1">{outline}</relation>'
    expected = plain(tmp_path, f"{HEAD}{HOUSE}{area}</osm>")
    (tmp_path / "a.osm").write_text(f"{HEAD}{HOUSE}{area}{area}</osm>")
    assert read(tmp_path / "a.osm") == expected


def test_the_latest_version_counts(tmp_path: Path) -> None:
    newer = node(9, (25.0, 61.0), tags=CAFE).replace('version="1"', 'version="2"')
    (tmp_path / "a.osm").write_text(f"{HEAD}{HOUSE}{newer}</osm>")
    assert read(tmp_path / "a.osm")[0] == (0, 9, 0, [[25.0, 61.0]])


def test_ways_out_of_order(tmp_path: Path) -> None:
    other = way(3, [1, 2, 3, 4, 1])
    expected = plain(tmp_path, f"{HEAD}{other}{HOUSE}</osm>")
    (tmp_path / "a.osm").write_text(f"{HEAD}{HOUSE}{other}</osm>")
    assert read(tmp_path / "a.osm") == sorted(expected)


def test_joined_pbf_names_the_command(tmp_path: Path, helsinki_pbf: Path) -> None:
    (tmp_path / "a.osm.pbf").write_bytes(2 * helsinki_pbf.read_bytes())
    with pytest.raises(SourceError, match="osmium merge"):
        read(tmp_path / "a.osm.pbf")


# --- lost --------------------------------------------------------------------------------------------------


def test_ways_without_their_nodes_are_rejected(tmp_path: Path) -> None:
    """An area whose nodes are missing is no line that nobody asked for: it is lost, and counted so."""
    there = "".join(way(number, [1, 2, 3, 4, 1]) for number in range(10, 50))
    for count in (4, 5):
        lost = "".join(way(number, [71, 72, 73, 71]) for number in range(100, 100 + count))
        (tmp_path / "a.osm").write_text(f"{HEAD}{nodes()}{there}{lost}</osm>")
        report = ReadReport()
        if count == 4:  # 4 of 44 are less than a tenth, 5 of 45 are more
            assert len(read(tmp_path / "a.osm", report)) == 40
            assert (report.lost["way"], report.wanted["way"]) == (4, 44)
            continue
        with pytest.raises(SourceError, match=r"nodes of 5 of 45 ways .* such as way/100: .*osmium"):
            read(tmp_path / "a.osm")


def test_an_area_with_a_missing_corner_is_counted(tmp_path: Path) -> None:
    report = ReadReport()
    (tmp_path / "a.osm").write_text(f"{HEAD}{HOUSE}{way(6, [1, 2, 77, 4, 1])}</osm>")
    assert len(read(tmp_path / "a.osm", report)) == 2
    assert report.examples == {
        "nodes of its outline are missing: the area does not close and is not drawn": ["way/6"]
    }


# --- true names --------------------------------------------------------------------------------------------

TRUE_NAMES: dict[str, tuple[bytes, str]] = {
    "a.osm": (gzip.compress(PLAIN.encode()), "compressed with gzip.*rename it to a.osm.gz"),
    "b.osm": (bz2.compress(PLAIN.encode()), "rename it to b.osm.bz2"),
    "c.osm.pbf": (PLAIN.encode(), r"rename it to c\.osm"),
    "d.osm.gz": (PLAIN.encode(), r"rename it to d\.osm"),
    "e.osm": (b'{"version": 0.6, "elements": []}', r"JSON.*\[out:xml\]"),
    "e.json": (b'{"version": 0.6, "elements": []}', r"JSON.*\[out:xml\]"),
    "f.osm": (b"<!DOCTYPE html><html></html>", "a web page"),
    "g.osm": (b"<osmChange version='0.6'><create/></osmChange>", "change file.*apply-changes"),
    "h.osm": (f'{HEAD}<action type="modify"><old/></action></osm>'.encode(), "differences"),
    "i.osm": (f"{HEAD}{HOUSE}<remark> runtime error: Query timed out </remark></osm>".encode(), "incomplete.*timed out"),
    "j.osm": (PLAIN.replace("0.6", "0.5").encode(), "version 0.5"),
    "k.osm.zip": (b"PK\x03\x04" + bytes(99), "zip archive: unpack"),
    "l.opl": (b"n1 v1 x1 y1\n", "osmium cat l.opl -o l.osm.pbf"),
    "m.osm": (f"{HEAD}{HOUSE}<node id='-1' lat='1' lon='1'".encode(), "unclosed token"),
    "n.osm": (f"{HEAD}<node id='-x' lat='1' lon='1'/></osm>".encode(), "a node has the ID '-x', which is not an integer"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUE_NAMES)
def test_true_names(tmp_path: Path, name: str) -> None:
    content, message = TRUE_NAMES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_rejected_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.osm")
    with pytest.raises(SourceError, match="is a pipe"):
        read(tmp_path / "a.osm")
