"""Decoding PBF column by column, against osmium's own writer and reader, and Python's integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import osmium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec.sources.osm.pbf import decode_signed, decode_varints, read_blocks
from placevec.sources.osm.tags import TagColumns

OPTIONS = "pbf,pbf_compression=none,add_metadata=false,locations_on_ways=true"
# osmium's strings end at a zero byte.
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
TAGS = st.dictionaries(
    st.text(CHARACTERS, min_size=1, max_size=12), st.text(CHARACTERS, max_size=12), max_size=5
)


def varint(value: int) -> bytes:
    raw = bytearray()
    while value >= 128:
        raw.append(value & 127 | 128)
        value >>= 7
    return bytes([*raw, value])


@given(st.lists(st.integers(0, 2**62)))
@settings(deadline=None)
def test_numbers_of_any_length(values: list[int]) -> None:
    """Oracle: the encoding as the specification states it, one number at a time."""
    raw = np.frombuffer(b"".join(map(varint, values)), np.uint8)
    assert decode_varints(raw).tolist() == values


@given(st.lists(st.integers(-(2**61), 2**61)))
@settings(deadline=None)
def test_signs(values: list[int]) -> None:
    """Oracle: zigzag, 2n for n >= 0 and -2n - 1 below."""
    raw = np.frombuffer(b"".join(varint(2 * n if n >= 0 else -2 * n - 1) for n in values), np.uint8)
    assert decode_signed(raw).tolist() == values


@given(st.lists(TAGS, min_size=1, max_size=4), st.integers(1, 2**40))
@settings(max_examples=100, deadline=None)
def test_tags_and_numbers_survive(
    tmp_path_factory: pytest.TempPathFactory, tags: list[dict[str, str]], first: int
) -> None:
    """Oracle: osmium writes, we read; whatever text there is comes back."""
    path: Path = tmp_path_factory.mktemp("pbf") / "a.pbf"
    with osmium.SimpleWriter(osmium.io.File(str(path), OPTIONS)) as writer:
        for number, own in enumerate(tags):
            writer.add_node(osmium.osm.mutable.Node(id=first + number, location=(-1.5, 2.25), tags=own))
        for number, own in enumerate(tags):
            writer.add_way(osmium.osm.mutable.Way(id=first + number, nodes=[1, 2], tags=own))
    blocks = list(read_blocks(path))
    assert [one.osm_type for one in blocks] == [0, 1]
    for one in blocks:
        assert one.ids.tolist() == list(range(first, first + len(tags)))
        assert TagColumns(one.strings, one.tag_offsets, one.keys, one.values).rows() == tags
    assert (blocks[0].lonlat == [-15_000_000, 22_500_000]).all()


def test_a_real_extract_equals_osmiums_objects(helsinki_pbf: Path, tmp_path: Path) -> None:
    """Oracle: osmium's own objects, one at a time, coordinates of ways included."""
    path = tmp_path / "a.pbf"
    locate = osmium.NodeLocationsForWays(osmium.index.create_map("flex_mem"))
    locate.ignore_errors()
    with (
        osmium.SimpleWriter(osmium.io.File(str(path), OPTIONS)) as writer,
        osmium.io.Reader(str(helsinki_pbf)) as reader,
    ):
        osmium.apply(reader, locate, osmium.filter.EmptyTagFilter(), writer)
    objects = (
        osmium.FileProcessor(str(helsinki_pbf)).with_locations().with_filter(osmium.filter.EmptyTagFilter())
    )
    expected = ((int(one.is_way()), one) for one in objects if not one.is_relation())
    count = 0
    for block in read_blocks(path):
        tags = TagColumns(block.strings, block.tag_offsets, block.keys, block.values).rows()
        for number, own in enumerate(tags):
            osm_type, one = next(expected)
            first, end = block.vertex_offsets[number : number + 2].tolist()
            nodes = [node.location for node in one.nodes] if osm_type else [one.location]
            assert (block.osm_type, int(block.ids[number]), own) == (osm_type, one.id, dict(one.tags))
            assert block.lonlat[first:end].tolist() == [[place.x, place.y] for place in nodes]
            count += 1
    assert count > 5000
    assert next(expected, None) is None
