"""The layer tables: what they draw, what identifies them, and what a user's own table may get wrong."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from placevec.errors import InputError
from placevec.sources.osm.layers import Drawing, How, LayerTable
from placevec.sources.osm.objects import Kind

FOUNDING = (
    "natural-features", "boundaries", "landcover", "buildings", "amenities", "railways",
    "aeroways", "leisure", "places", "water", "roads", "power",
)  # fmt: skip


@pytest.fixture(scope="module")
def table() -> LayerTable:
    return LayerTable.default()


def drawn(table: LayerTable, kind: Kind, **tags: str) -> dict[str, tuple[How, float]]:
    found = table.classify({key.replace("__", ":"): value for key, value in tags.items()}, kind)
    return {table.layers[drawing.layer]: (drawing.how, drawing.meters) for drawing in found}


def test_the_twelve_layers_in_founding_order(table: LayerTable) -> None:
    assert table.layers == FOUNDING
    assert [table.layers[n] for n, counts in enumerate(table.content) if not counts] == [
        "boundaries",
        "places",
    ]
    assert table.sea == FOUNDING.index("water")


def test_roads_have_the_width_of_their_class(table: LayerTable) -> None:
    widths = [
        drawn(table, Kind.LINE, highway=value)["roads"][1] for value in ("motorway", "primary", "residential")
    ]
    assert widths == sorted(widths, reverse=True)
    assert drawn(table, Kind.LINE, highway="proposed") == {}


# OSM wiki, "Area" and "Key:area": what a closed way means without and with area=yes / area=no.
@pytest.mark.parametrize(
    ("tags", "how"),
    [
        ({"building": "yes"}, How.FILL),
        ({"building": "yes", "area": "no"}, None),
        ({"landuse": "forest"}, How.FILL),
        ({"highway": "pedestrian"}, How.LINE),
        ({"highway": "pedestrian", "area": "yes"}, How.FILL),
        ({"highway": "residential"}, How.LINE),
        ({"leisure": "park"}, How.FILL),
        ({"leisure": "track"}, How.LINE),
        ({"leisure": "track", "area": "yes"}, How.FILL),
        ({"barrier": "fence"}, How.LINE),
        ({"railway": "rail"}, How.LINE),
        ({"railway": "platform"}, How.FILL),
        ({"railway": "platform", "area": "no"}, How.LINE),
        ({"waterway": "river"}, How.LINE),
        ({"waterway": "riverbank"}, How.FILL),
        ({"aeroway": "runway"}, How.LINE),
        ({"aeroway": "aerodrome"}, How.FILL),
        ({"boundary": "administrative"}, How.LINE),
        ({"natural": "coastline"}, None),
        ({"natural": "cliff"}, How.LINE),
    ],
)
def test_what_a_closed_way_means(table: LayerTable, tags: dict[str, str], how: How | None) -> None:
    found = {drawing.how for drawing in table.classify(tags, Kind.RING)}
    assert found == (set() if how is None else {how})


def test_multipolygons_are_areas_even_of_lines(table: LayerTable) -> None:
    assert drawn(table, Kind.AREA, highway="pedestrian", type="multipolygon") == {"roads": (How.FILL, 0.0)}
    assert drawn(table, Kind.AREA, boundary="administrative", type="boundary")["boundaries"][0] == How.LINE


def test_what_lies_under_ground_is_not_on_the_map(table: LayerTable) -> None:
    assert drawn(table, Kind.LINE, railway="subway", tunnel="yes") == {}
    assert "railways" in drawn(table, Kind.LINE, railway="subway", bridge="yes")
    assert drawn(table, Kind.LINE, highway="primary", tunnel="yes") == {}
    assert "roads" in drawn(table, Kind.LINE, highway="primary", tunnel="no")
    assert drawn(table, Kind.LINE, waterway="stream", tunnel="culvert") == {}
    assert drawn(table, Kind.LINE, power="cable") == {}
    assert "power" in drawn(table, Kind.LINE, power="cable", location="overhead")


def test_one_object_in_several_layers_once_each(table: LayerTable) -> None:
    found = drawn(
        table, Kind.RING, building="yes", amenity="school", shop="kiosk", tourism="museum", name="x"
    )
    assert set(found) == {"buildings", "amenities"}


def test_no_means_no(table: LayerTable) -> None:
    for key in ("building", "amenity", "leisure", "landuse", "natural", "building__part"):
        assert drawn(table, Kind.RING, **{key: "no"}) == {}


def test_places_are_larger_the_more_people(table: LayerTable) -> None:
    sizes = [
        drawn(table, Kind.POINT, place=value)["places"][1] for value in ("city", "town", "village", "hamlet")
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert drawn(table, Kind.AREA, place="country") == {}


def test_water_from_other_keys_is_not_landcover_too(table: LayerTable) -> None:
    assert set(drawn(table, Kind.RING, landuse="reservoir")) == {"water"}
    assert set(drawn(table, Kind.RING, natural="water", water="lake")) == {"water"}


def test_labels_come_only_from_layers_that_are_kept_out(table: LayerTable) -> None:
    """What a test on land use asks must not be in the layers that the tested model sees."""
    labels = LayerTable.landuse()
    kept_out = {"landcover", "natural-features", "leisure", "amenities"}
    for rules in labels.rules:
        for rule in rules:
            for value in rule.values or {"yes"}:
                tags = {rule.key: value}
                assert {drawing.how for drawing in labels.classify(tags, Kind.AREA)} == {How.FILL}
                assert set(drawn(table, Kind.AREA, **tags)) <= kept_out, tags
                assert drawn(table, Kind.AREA, **tags), tags
    assert {"residential", "commercial", "industrial", "farm", "green"} <= set(labels.layers)


def test_a_label_value_belongs_to_one_class() -> None:
    labels = LayerTable.landuse()
    for rules in labels.rules:
        for rule in rules:
            for value in rule.values or ():
                assert len(labels.classify({rule.key: value}, Kind.AREA)) == 1, (rule.key, value)


def test_real_tags_are_drawn(shared_data: Path, table: LayerTable) -> None:
    """Of the presets of the iD editor that are physical things of our keys, nearly all must draw."""
    import json

    presets = json.loads((shared_data / "poi" / "id_tagging_schema" / "presets.json").read_text("utf-8"))
    keys = {
        "building",
        "highway",
        "landuse",
        "natural",
        "leisure",
        "amenity",
        "railway",
        "waterway",
        "power",
        "aeroway",
    }
    tags = {
        next(iter(preset["tags"].items()))
        for preset in presets.values()
        if len(preset["tags"]) == 1 and keys & set(preset["tags"]) and "*" not in preset["tags"].values()
    }
    missing = [
        (key, value)
        for key, value in sorted(tags)
        if not any(
            table.classify(tags, kind)
            for tags in ({key: value, "area": "yes"}, {key: value})
            for kind in Kind
        )
    ]
    assert len(tags) > 300
    assert len(missing) < 0.12 * len(tags), missing


# --- identity ----------------------------------------------------------------------------------------------

OWN = """
[[layer]]
name = "green"
rules = [{ key = "leisure", values = ["park", "garden"], fill = true }]
[[layer]]
name = "ways"
rules = [{ key = "highway", fill = "explicit", width_m = 4 }]
"""


def own(tmp_path: Path, text: str = OWN) -> LayerTable:
    path = tmp_path / "own.toml"
    path.write_text(text)
    return LayerTable.from_toml(path)


def test_the_hash_is_of_the_meaning(tmp_path: Path) -> None:
    first = own(tmp_path)
    same = own(
        tmp_path,
        "# a comment\n" + OWN.replace('"park", "garden"', '"garden", "park"').replace("= 4", "= 4.0"),
    )
    assert first.hash == same.hash
    assert first == same
    changed = (
        OWN.replace("= 4", "= 5"),
        OWN.replace('"green"', '"greens"'),
        OWN.replace('"explicit"', "true"),
    )
    assert len({first.hash, *(own(tmp_path, text).hash for text in changed)}) == 4


def test_a_table_travels_to_other_processes(table: LayerTable) -> None:
    again = pickle.loads(pickle.dumps(table))  # noqa: S301 - our own bytes
    assert again == table
    assert again.hash == table.hash


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    table = own(tmp_path)
    assert table.classify({"leisure": "park"}, Kind.RING) == (Drawing(0, How.FILL, 0.0),)
    assert table.classify({"highway": "path"}, Kind.RING) == (Drawing(1, How.LINE, 4.0),)
    assert (table.sea, table.content, table.keys) == (None, (True, True), {"leisure", "highway"})


RULE = "rules = [{ key = 'a', fill = true }]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml [", "not valid TOML"),
        ("", r"\[\[layer\]\]"),
        (
            "title = 'x'\n[[layer]]\nname='a'\n" + RULE,
            r"a layer table must contain only \[\[layer\]\] entries",
        ),
        ("[[layer]]\n" + RULE, "layer 1 needs a name"),
        ("[[layer]]\nname = 'a'", "layer 'a' needs rules"),
        ("[[layer]]\nname = 'a'\nrules = []", "layer 'a' needs rules"),
        (f"[[layer]]\nname = 'a'\n{RULE}\n[[layer]]\nname = 'a'\n{RULE}", "layer 2 has a duplicate name 'a'"),
        (f"[[layer]]\nname = 'a'\ncolor = 'red'\n{RULE}", "unknown field 'color'"),
        ("[[layer]]\nname = 'a'\nrules = [{ fill = true }]", "rule 1 needs a key"),
        (
            "[[layer]]\nname = 'a'\nrules = [{ key = 'x', fill = true }, { key = 'y', widht_m = 3 }]",
            "rule 2.*widht_m",
        ),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x' }]", "rule 1 draws nothing"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', width_m = -1 }]", "rule 1.*width_m"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', width_m = inf }]", "rule 1.*width_m"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', point_m = 'big' }]", "rule 1.*point_m"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', width_m = true }]", "rule 1.*width_m"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', fill = 'yes' }]", "rule 1.*fill"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', fill = 1 }]", "rule 1.*fill"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', values = [], fill = true }]", "rule 1.*values"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', values = 'y', fill = true }]", "rule 1.*values"),
        ("[[layer]]\nname = 'a'\nrules = [{ key = 'x', unless = ['y'], fill = true }]", "rule 1.*unless"),
        ("[[layer]]\nname = 'a'\nsea = 'yes'\n" + RULE, "sea must be true or false"),
        (
            f"[[layer]]\nname = 'a'\nsea = true\n{RULE}\n[[layer]]\nname = 'b'\nsea = true\n{RULE}",
            "only one layer",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        own(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "own.toml" in str(caught.value)


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        LayerTable.from_toml(tmp_path / "none.toml")
