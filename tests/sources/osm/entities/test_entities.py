"""Which objects are one entity, and what it is called.

Oracles: made extracts whose entities are known by construction, and for real ones a plain osmium loop that owes nothing
to the reader.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import osmium
import pytest
import shapely

from placevec.errors import InputError, SourceError
from placevec.sources.osm.entities import joining
from placevec.sources.osm.entities.entities import Entity, EntityReport, read_entities
from placevec.sources.osm.entities.joining import OF_A_KIND
from placevec.sources.osm.entities.names import MAX_NAME, Name
from placevec.sources.osm.entities.relations import NOT_HERE, TOO_DEEP
from placevec.sources.osm.entities.types import TypeTable
from placevec.sources.osm.objects import Kind
from tests.osm_xml import OsmFile, box

Found = dict[str, tuple[Entity, shapely.Geometry, tuple[float, float]]]


def entities(path: Path, table: TypeTable | None = None, report: EntityReport | None = None) -> Found:
    found: Found = {}
    for some in read_entities(path, table, report=report):
        for row, shape, point in zip(some.rows, some.geometry, some.lonlat.tolist(), strict=True):
            assert row.entity_id not in found
            found[row.entity_id] = (row, shape, tuple(point))
    return found


RIVER = {"waterway": "river", "name": "Isar"}


def test_a_river_of_a_relation_and_ways_is_one(tmp_path: Path) -> None:
    """Its ways are connected or not, named or not; a stretch of another name is its own, and lies in the river too."""
    osm = OsmFile()
    first = osm.way([(11.0, 48.0), (11.0, 48.1)], RIVER)
    second = osm.way([(11.0, 48.1), (11.0, 48.2)], {**RIVER, "name:en": "River Isar"})
    unnamed = osm.way([(11.0, 48.5), (11.0, 48.6)], {"waterway": "river"})
    other = osm.way([(11.0, 48.2), (11.0, 48.3)], {"waterway": "river", "name": "Hammerbach"})
    members = [(way, "main_stream") for way in (first, second, unnamed, other, 999)]
    osm.relation(members, {"type": "waterway", **RIVER, "wikidata": "Q106588", "name:cs": "Jizera"})
    found = entities(osm.write(tmp_path / "river.osm"))
    assert set(found) == {"relation/1", f"way/{other}"}
    river, shape, point = found["relation/1"]
    assert (river.type, river.wikidata, river.name) == ("water/river", "Q106588", "Isar")
    assert sorted(river.osm_ids) == ["relation/1", f"way/{first}", f"way/{second}"]
    assert {Name("en", "name", "River Isar"), Name("cs", "name", "Jizera")} < set(river.names)
    assert shape.length == pytest.approx(0.4)
    assert shape.distance(shapely.Point(point)) < 1e-9


def relation(osm: OsmFile, members: list[tuple[str, int, str]], tags: dict[str, str]) -> int:
    """A relation of members of any kind."""
    number = osm.relation([], tags)
    said = "".join(f'<member type="{kind}" ref="{ref}" role="{role}"/>' for kind, ref, role in members)
    osm.relations[-1] = osm.relations[-1].replace(">", f">{said}", 1)
    return number


def test_relations_within_relations_are_followed(tmp_path: Path) -> None:
    """A river of two relations of its name and one without a name: one entity, with the lines of all five ways."""
    osm = OsmFile()
    ways = [
        osm.way(
            [(10.0 + n, 50.0), (10.5 + n, 50.0)],
            {"waterway": "river"} if n else {"waterway": "river", **RIVER},
        )
        for n in range(5)
    ]
    upper = osm.relation([(ways[0], ""), (ways[1], "")], {"type": "waterway", **RIVER})
    lower = osm.relation([(ways[2], "")], {"type": "waterway", **RIVER})
    delta = osm.relation([(ways[3], "")], {"type": "collection"})
    arms = relation(osm, [("relation", delta, ""), ("way", ways[4], "")], {"type": "collection"})
    members = [("relation", one, "main_stream") for one in (upper, lower, arms)]
    whole = relation(osm, members, {"type": "waterway", **RIVER, "wikidata": "Q106588"})
    report = EntityReport()
    ((river, shape, _),) = entities(osm.write(tmp_path / "a.osm"), report=report).values()
    assert {f"relation/{one}" for one in (upper, lower, whole)} | {f"way/{ways[0]}"} == set(river.osm_ids)
    assert river.wikidata == "Q106588"
    assert shape.length == pytest.approx(2.5)
    assert report.as_dict()["not used"] == {}


def test_a_multipolygon_is_a_member_with_its_area(tmp_path: Path) -> None:
    """A site of a building with a court; what has another role than that of a part is no part."""
    osm = OsmFile()
    outer, inner = osm.way(box(10, 50, 10.3, 50.3)), osm.way(box(10.1, 50.1, 10.2, 50.2))
    house = osm.relation([(outer, "outer"), (inner, "inner")], {"type": "multipolygon", "building": "yes"})
    far = osm.relation(
        [(osm.way(box(20, 50, 21, 51)), "outer")], {"type": "multipolygon", "natural": "water"}
    )
    members = [("relation", house, ""), ("relation", far, "subarea")]
    site = relation(osm, members, {"type": "site", "historic": "castle", "name": "Burg"})
    found = entities(osm.write(tmp_path / "a.osm"))
    _, shape, _ = found[f"relation/{site}"]
    assert shape.area == pytest.approx(0.09 - 0.01)


def test_circles_missing_members_and_depth(tmp_path: Path) -> None:
    """Relations that contain each other end; members that are not there, and those too deep, are counted."""
    osm = OsmFile()
    way = osm.way([(10.0, 50.0), (10.5, 50.0)], {"waterway": "river"})
    first = relation(osm, [("relation", 2, ""), ("relation", 1, "")], {"type": "waterway", **RIVER})
    second = relation(
        osm, [("relation", 1, ""), ("way", way, ""), ("relation", 999, "")], {"type": "waterway"}
    )
    assert (first, second) == (1, 2)
    for number in range(3, 14):  # each within the next
        relation(
            osm,
            [("relation", number - 1, "")],
            {"type": "collection"} if number < 13 else {"type": "site", "historic": "castle", "name": "Burg"},
        )
    report = EntityReport()
    found = entities(osm.write(tmp_path / "a.osm"), report=report)
    assert found["relation/1"][1].length == pytest.approx(0.5)
    lost = report.as_dict()["not used"]
    assert (lost[NOT_HERE], lost[TOO_DEEP]) == (1, 1)


def test_two_parks_of_one_name_stay_two(tmp_path: Path) -> None:
    """Even across a path from each other; one whose ways share a node is one, with the area of both."""
    osm = OsmFile()
    park = {"leisure": "park", "name": "Stadtpark"}
    osm.way(box(10.0, 50.0, 10.01, 50.01), park)
    osm.way(box(10.0101, 50.0, 10.02, 50.01), park)
    osm.way(box(30.0, 50.0, 30.01, 50.01), park)
    osm.way(box(30.01, 50.0, 30.02, 50.01), park)
    osm.way(box(30.02, 50.0, 30.03, 50.01), {"landuse": "cemetery", "name": "Stadtpark"})
    found = entities(osm.write(tmp_path / "parks.osm"))
    areas = {key: round(shape.area, 7) for key, (_, shape, _) in found.items()}
    assert areas == {"way/1": 1e-4, "way/2": 9.9e-5, "way/3": 2e-4, "way/5": 1e-4}
    assert found["way/3"][1].geom_type == "Polygon"
    assert all(shape.contains(shapely.Point(point)) for _, shape, point in found.values())


def test_items_join_and_keep_apart(tmp_path: Path) -> None:
    """A city's node and its boundary are one by their item; connected ways of different items are two."""
    osm = OsmFile()
    osm.node((10.5, 50.5), {"place": "city", "name": "Stadt", "wikidata": "Q1"})
    outline = osm.way(box(10.0, 50.0, 11.0, 51.0))
    boundary = {"type": "boundary", "boundary": "administrative", "name": "Stadt Stadt", "wikidata": "Q1"}
    osm.relation([(outline, "outer")], boundary)
    road = {"highway": "primary", "name": "Allee"}
    osm.way([(20.0, 50.0), (20.1, 50.0)], {**road, "wikidata": "Q2"})
    osm.way([(20.1, 50.0), (20.2, 50.0)], {**road, "wikidata": "Q3"})
    osm.way([(20.0, 50.0), (20.0, 50.1)], {**road, "highway": "residential", "wikidata": "nonsense"})
    report = EntityReport()
    found = entities(osm.write(tmp_path / "items.osm"), report=report)
    city, shape, point = found["relation/1"]
    assert (city.type, city.wikidata, shape.area) == ("place/city", "Q1", pytest.approx(1.0))
    assert city.osm_ids == ["relation/1", "node/1"]
    assert shape.contains(shapely.Point(point))
    assert {key: one.osm_ids for key, (one, _, _) in found.items() if one.name == "Allee"} == {
        "way/2": ["way/2", "way/4"], "way/3": ["way/3"],
    }  # fmt: skip
    assert report.as_dict()["not used"] == {"wikidata tags that are not Q and a number": 1}


def test_an_item_of_a_kind_joins_nothing(tmp_path: Path) -> None:
    osm = OsmFile()
    for number in range(20):
        osm.node(
            (10.0 + number, 50.0),
            {"historic": "memorial", "name": f"Person {number}", "wikidata": "Q26703203"},
        )
    report = EntityReport()
    assert len(entities(osm.write(tmp_path / "stones.osm"), report=report)) == 20
    assert report.joined[OF_A_KIND] == 20


def test_chunks_do_not_change_what_is_one(helsinki_pbf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few vertices at a time, as in a large extract, give what all at once do."""
    whole = entities(helsinki_pbf)
    monkeypatch.setattr(joining, "VERTICES_AT_ONCE", 50)
    monkeypatch.setattr("placevec.sources.osm.entities.entities.VERTICES_AT_ONCE", 50)
    again = entities(helsinki_pbf)
    assert {key: one for key, (one, _, _) in whole.items()} == {
        key: one for key, (one, _, _) in again.items()
    }
    assert all(shapely.equals_exact(shape, again[key][1]) for key, (_, shape, _) in whole.items())


HOSTILE = {
    "long": "ё" + "x" * 1_015,
    "right to left": "\u202eמגדל\u202c תל אביב",
    "scripts": "東京都庁舎 𠮷野家 ภัตตาคาร",
    "markup": "<script>alert('x')</script>&amp;=cmd|'/c calc'!A1",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_names(what: str, tmp_path: Path) -> None:
    """Raw, but for what is too long, which is counted. Oracle: the text itself."""
    osm = OsmFile()
    osm.node((10.0, 50.0), {"amenity": "cafe", "name": HOSTILE[what]})
    report = EntityReport()
    (found,) = entities(osm.write(tmp_path / "names.osm"), report=report).values()
    assert found[0].name == HOSTILE[what][:MAX_NAME]
    assert bool(report.as_dict()["not used"]) == (what == "long")


@pytest.mark.parametrize("form", ["osm", "osm.pbf"])
def test_names_of_ten_thousand_characters(form: str, tmp_path: Path) -> None:
    """osmium reads none of more than 1,024 bytes: they are cut, between characters, and reported; the rest is read."""
    osm = OsmFile()
    osm.node((10.0, 50.0), {"amenity": "cafe", "name": "MARK"})
    osm.node((10.1, 50.1), {"amenity": "cafe", "name": "Short", "name:uk": "Коротка"})
    path = osm.write(tmp_path / "names.osm", bounds=(9, 49, 11, 51))
    text = "дx" * 5_000
    path = with_long_text(path, tmp_path / f"long.{form}", "MARK", text)
    report = EntityReport()
    found = entities(path, report=report)
    assert {key: one.name for key, (one, _, _) in found.items()} == {
        "node/1": text[:682].rstrip(),
        "node/2": "Short",
    }
    assert report.read.notes == [
        "1 text has more than 1,024 bytes, which osmium does not read: they were cut there"
    ]
    with pytest.raises(SourceError, match="not a readable"):
        path.write_bytes(path.read_bytes()[:-30])
        entities(path)


def with_long_text(xml: Path, out: Path, mark: str, text: str) -> Path:
    """An extract in which a mark is another text, which osmium itself would not write."""
    if out.suffix == ".osm":
        out.write_text(xml.read_text("utf-8").replace(mark, text), "utf-8")
        return out
    with osmium.SimpleWriter(osmium.io.File(str(out), "pbf,pbf_compression=none")) as writer:
        for one in osmium.FileProcessor(str(xml)):
            writer.add(one)
    raw = out.read_bytes()
    head = int.from_bytes(raw[:4], "big")  # of the file's own header, which stays
    size = raw[4 + head - 1]
    start = 4 + head + size
    block_head = int.from_bytes(raw[start : start + 4], "big")
    blob = raw[start + 4 + block_head :]

    def number(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)

    def read(at: int) -> tuple[int, int]:
        value, shift = 0, 0
        while True:
            value |= (blob[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if blob[at - 1] < 128:
                return value, at

    assert blob[0] == 0x0A  # the content, not compressed
    _, at = read(1)
    assert blob[at] == 0x0A  # its table of texts
    length, first = read(at + 1)
    old = b"\x0a" + number(len(mark)) + mark.encode()
    table = blob[first : first + length]
    assert table.count(old) == 1
    table = table.replace(old, b"\x0a" + number(len(text.encode())) + text.encode())
    content = b"\x0a" + number(len(table)) + table + blob[first + length :]
    blob = b"\x0a" + number(len(content)) + content
    kind = b"\x0a\x07OSMData\x18" + number(len(blob))
    out.write_bytes(raw[:start] + len(kind).to_bytes(4, "big") + kind + blob)
    return out


def test_names_of_nothing_but_white_space(tmp_path: Path) -> None:
    """Are no names: with an item the object is an entity without a name, without one none is."""
    osm = OsmFile()
    osm.node((10.0, 50.0), {"amenity": "cafe", "name": "\t \u00a0\n", "wikidata": "Q5"})
    osm.node(
        (11.0, 50.0),
        {"amenity": "cafe", "name": " Bar\r\n\tCentral ", "alt_name:fr": "Le Bar; ;Chez\u0085Jo"},
    )
    osm.node((12.0, 50.0), {"amenity": "cafe", "name": "\u2003"})
    osm.node((13.0, 50.0), {"amenity": "cafe"})
    report = EntityReport()
    found = entities(osm.write(tmp_path / "names.osm"), report=report)
    assert {key: one.name for key, (one, _, _) in found.items()} == {"node/1": None, "node/2": "Bar Central"}
    assert found["node/2"][0].names[1:] == [
        Name("fr", "alt_name", "Le Bar"),
        Name("fr", "alt_name", "Chez Jo"),
    ]
    assert sum(report.as_dict()["not used"].values()) == 3  # two names, and the one between the semicolons


def test_over_the_antimeridian(tmp_path: Path) -> None:
    """A strait and a lake across it are cut there, and their points lie on them."""
    osm = OsmFile()
    osm.way([(179.9, -17.0), (-179.9, -17.0)], {"waterway": "river", "name": "Date Line River"})
    osm.way([(179.9, -16.0), (-179.9, -16.0), (-179.9, -15.9), (179.9, -15.9), (179.9, -16.0)],
            {"natural": "water", "name": "Lake"})  # fmt: skip
    for _, shape, (lon, lat) in entities(osm.write(tmp_path / "line.osm")).values():
        assert len(shape.geoms) == 2
        assert shape.bounds[::2] == (-180.0, 180.0)
        assert abs(lon) >= 179.9
        assert shape.distance(shapely.Point(lon, lat)) < 1e-9
        assert max(part.bounds[2] - part.bounds[0] for part in shape.geoms) == pytest.approx(0.1)


def test_what_lies_nowhere_is_counted(tmp_path: Path) -> None:
    osm = OsmFile()
    osm.node((10.0, 50.0), {"amenity": "cafe", "name": "There"})
    osm.relation([(77, "")], {"type": "waterway", **RIVER})
    report = EntityReport()
    assert set(entities(osm.write(tmp_path / "a.osm"), report=report)) == {"node/1"}
    assert list(report.as_dict()["not used"].values()) == [1]
    with pytest.raises(SourceError, match="not a readable"):
        broken = tmp_path / "b.osm"
        broken.write_text((tmp_path / "a.osm").read_text()[:-40])
        entities(broken)


# --- real extracts -----------------------------------------------------------------------------------------

NAME = re.compile(
    r"(name|(official|alt|int|short|loc|nat|reg|old)_name)(:[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*)?"
)


def plain_objects(path: Path, table: TypeTable) -> tuple[dict[str, Mapping[str, str]], set[str]]:
    """Every object of an extract with a type and a name or an item, one at a time; and ways of which no line is there."""
    found, nowhere, nodes = {}, set(), set()
    for one in osmium.FileProcessor(str(path)):
        tags = {tag.k: tag.v for tag in one.tags}
        number = f"{ {'n': 'node', 'w': 'way', 'r': 'relation'}[one.type_str()] }/{one.id}"
        kind = Kind.AREA if one.is_relation() else Kind.LINE if one.is_way() else Kind.POINT
        if one.is_node():
            nodes.add(one.id)
        elif one.is_way() and not any(a.ref in nodes and b.ref in nodes for a, b in pairwise(one.nodes)):
            nowhere.add(number)
        if (any(map(NAME.fullmatch, tags)) or "wikidata" in tags) and table.classify(tags, kind):
            found[number] = tags
    return found, nowhere


@pytest.mark.parametrize("name", [None, "andorra_2021", "stockholm_sodermalm_2020"])
def test_every_named_object_is_of_one_entity(
    name: str | None, helsinki_pbf: Path, request: pytest.FixtureRequest
) -> None:
    """Oracle: a plain loop over all objects. What is missing lies nowhere, or does not close; all is counted."""
    path = (
        helsinki_pbf if name is None else request.getfixturevalue("shared_data") / "osm" / f"{name}.osm.pbf"
    )
    table, report = TypeTable.default(), EntityReport()
    expected, nowhere = plain_objects(path, table)
    found = entities(path, table, report)
    held = Counter(number for one, _, _ in found.values() for number in one.osm_ids)
    missing = set(expected) - set(held)
    assert set(held.values()) == {1}
    assert set(held) == set(expected) - missing
    assert {number for number in missing if not number.startswith("relation")} == set(expected) & nowhere
    assert len(missing) <= sum(report.as_dict()["not used"].values())
    items = [one.wikidata for one, _, _ in found.values() if one.wikidata]
    tagged = (expected[number].get("wikidata", "").partition(";")[0].strip() for number in held)
    assert len(items) == len(set(items))  # no item is two entities
    assert set(items) == {item for item in tagged if re.fullmatch(r"Q[1-9]\d*", item)}


def test_known_objects_of_helsinki(helsinki_pbf: Path) -> None:
    """The cathedral and Mannerheimintie. Oracle: what OpenStreetMap says of these numbers."""
    found = entities(helsinki_pbf)
    cathedral, shape, _ = found["way/419479428"]
    assert (cathedral.type, cathedral.wikidata, shape.geom_type) == (
        "tourism/attraction",
        "Q738015",
        "Polygon",
    )
    swedish, chinese = Name("sv", "name", "Helsingfors domkyrka"), Name("zh", "name", "赫爾辛基座堂")
    assert {swedish, chinese, Name(None, "old_name", "Suurkirkko")} < set(cathedral.names)
    assert {"christian", "lutheran", "place of worship"} < set(cathedral.words)
    named = [one for one, _, _ in found.values() if one.name == "Mannerheimintie"]
    streets = [one for one in named if one.type.startswith("road/")]
    assert max(len(one.osm_ids) for one in streets) > 10
    assert all(Name("sv", "name", "Mannerheimvägen") in one.names for one in streets)


# --- types -------------------------------------------------------------------------------------------------


def test_types_of_ones_own(tmp_path: Path) -> None:
    """They come before the default ones, and the founding three are as the founding system chose them."""
    file = tmp_path / "types.toml"
    file.write_text(
        'extends = "default"\n[[type]]\nname = "water/pond"\nrules = [{ key = "water", values = ["pond"] }]\n'
    )
    table = TypeTable.of(file)
    assert table.classify({"natural": "water", "water": "pond"}, Kind.RING) == (0, "water/pond", True, "pond")
    assert table.hash != TypeTable.default().hash
    founding = TypeTable.of("founding")
    asked = [
        {"natural": "water"}, {"landuse": "forest"}, {"landuse": "farmland"}, {"place": "island", "natural": "water"},
        {"natural": "heath", "landuse": "forest"}, {"amenity": "school"},
    ]  # fmt: skip
    told = [founding.classify(tags, Kind.AREA) for tags in asked]
    assert [one and one.type for one in told] == ["water", "forest", "farmland", None, None, None]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "a list of"), ("[[type]]", "needs a name"), ('extends = "mine"\n[[type]]\nname = "a"', "extends must be"),
        ('[[type]]\nname = "../x"\nrules = [{ key = "a" }]', "needs a name"),
        ('[[type]]\nname = "a"\nrules = []', "needs rules"), ('[[type]]\nname = "a"\nrule = 1', "unknown field"),
        ('[[type]]\nname = "a"\nlines = 1', "lines is 1"), ("type = [1]", "is not a table"), ("[", "not TOML"),
        ('[[type]]\nname = "a"\nrules = [{ key = "a" }]\nwords = "\\u0007"', "words must be"),
    ],
)  # fmt: skip
def test_tables_of_types_that_are_wrong(content: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "types.toml"
    file.write_text(content)
    with pytest.raises(InputError, match=why):
        TypeTable.of(file)
