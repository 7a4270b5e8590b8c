"""A zero byte in a text ends osmium's process: such files are refused before it reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from placevec.errors import SourceError
from placevec.sources.osm.pbf import check_strings
from tests.osm_xml import OsmFile
from tests.robustness.commands import Nursery


def extract(folder: Path, compression: str) -> Path:
    """A small real PBF, written by osmium."""
    import osmium

    source = OsmFile()
    source.node((24.94, 60.17), {"amenity": "cafe", "name": "Fazer"})
    xml = source.write(folder / "small.osm")
    out = folder / f"{compression}.osm.pbf"
    with osmium.SimpleWriter(osmium.io.File(str(out), f"pbf,pbf_compression={compression}")) as writer:
        for node in osmium.FileProcessor(str(xml)):
            writer.add(node)
    return out


@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_what_osmium_writes_is_fine(tmp_path: Path, compression: str) -> None:
    check_strings(extract(tmp_path, compression))


def test_real_extracts_are_fine(helsinki_pbf: Path) -> None:
    check_strings(helsinki_pbf)


def test_a_zero_byte_is_rejected_and_ends_no_process(nursery: Nursery, tmp_path: Path) -> None:
    """The file that fuzzing found: one byte of a key is zero. Before, preparing it died of SIGSEGV."""
    content = extract(tmp_path, "none").read_bytes()
    assert content.count(b"\x04name") == 1
    bad = tmp_path / "bad.osm.pbf"
    bad.write_bytes(content.replace(b"\x04name", b"\x04\0ame"))
    with pytest.raises(SourceError, match="a string with a zero byte"):
        check_strings(bad)
    done = nursery.run("prepare", "loc2vec", "--osm", bad, "--out", tmp_path / "out")
    assert done.code == 1, done.err
    assert "a string with a zero byte" in done.err


def test_other_damage_is_left_to_osmium(tmp_path: Path) -> None:
    content = extract(tmp_path, "zlib").read_bytes()
    for number, damage in enumerate(
        (b"", content[:7], content[:-9], b"\xff" * 40, content[:20] + b"\0" * 60)
    ):
        file = tmp_path / f"{number}.osm.pbf"
        file.write_bytes(damage)
        check_strings(file)
