"""Decoding OPL and WKB, against osmium's own writer and shapely's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import osmium
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec.sources.osm_objects import _area_paths, _decode_linestrings, parse_opl_tags

# osmium's writer loses the private plane 16, which no map text uses.
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0", max_codepoint=0xFFFFF)
TEXT = st.text(CHARACTERS, min_size=1, max_size=12)


@given(st.dictionaries(TEXT, TEXT, max_size=5))
@settings(max_examples=150, deadline=None)
def test_tags_survive_osmiums_text_format(
    tmp_path_factory: pytest.TempPathFactory, tags: dict[str, str]
) -> None:
    """Oracle: osmium writes, we read; whatever text there is comes back."""
    path: Path = tmp_path_factory.mktemp("opl") / "tags.opl"
    with osmium.SimpleWriter(osmium.io.File(str(path), "opl,add_metadata=false")) as writer:
        writer.add_node(osmium.osm.mutable.Node(id=7, location=(1.0, 2.0), tags=tags))
    assert parse_opl_tags(path.read_text("utf-8").split("\n")[0]) == tags


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        ("n1 T x1 y2", {}),
        ("n1", {}),
        ("w1 Ta=b Nn1,n2", {"a": "b"}),
        ("w1 Ta=b=c", {"a": "b=c"}),
        ("n1 Ta=%110000%%d800%%41%", {"a": "\ufffd\ufffdA"}),
    ],
)
def test_odd_lines(line: str, tags: dict[str, str]) -> None:
    assert parse_opl_tags(line) == tags


def test_linestrings_equal_shapely() -> None:
    random = np.random.default_rng(0)
    lines = [shapely.LineString(random.normal(size=(random.integers(2, 30), 2))) for _ in range(50)]
    xy, offsets = _decode_linestrings([line.wkb_hex for line in lines])
    assert np.array_equal(xy, shapely.get_coordinates(lines))
    assert np.array_equal(np.diff(offsets), shapely.get_num_coordinates(lines))
    assert _decode_linestrings([])[0].shape == (0, 2)


def test_multipolygons_equal_shapely() -> None:
    shell = [(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)]
    hole = [(1, 1), (1, 2), (2, 2), (2, 1), (1, 1)]
    far = [(20, 0), (20, 5), (29, 5), (20, 0)]  # clockwise
    rings = _area_paths(shapely.MultiPolygon([(shell, [hole]), (far, [])]).wkb_hex)
    assert [shapely.LinearRing(ring).is_ccw for ring in rings] == [True, False, True]
    assert [abs(shapely.Polygon(ring).area) for ring in rings] == [81.0, 1.0, 22.5]
