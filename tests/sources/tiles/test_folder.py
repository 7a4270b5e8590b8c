"""Folders of tiles: which tiles are found, and that nothing outside of the folder is opened."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from placevec.errors import SourceError
from placevec.geo import Area, tile_bounds
from placevec.sources.tiles import tilesets as tile_sets
from placevec.sources.tiles.folder import read_tile_folder
from placevec.sources.tiles.tilesets import check_layer
from tests.sources.tiles.tile_files import write_layers

Z = 17
A, B, C = (70_000, 40_000), (70_001, 40_000), (70_000, 40_007)


def layered(folder: Path) -> Path:
    write_layers(folder, {"roads": {A: b"ra", B: b"rb"}, "buildings": {A: b"ba", C: b"bc"}, "zoo": {}}, Z)
    return folder


def test_layers_come_in_their_order_and_tiles_row_by_row(tmp_path: Path) -> None:
    found = read_tile_folder(layered(tmp_path), order=("buildings", "roads", "water"))
    assert (found.kind, found.zoom, found.layers) == ("layers", Z, ("buildings", "roads", "zoo"))
    assert found.tiles().tolist() == [list(A), list(B), list(C)]
    assert found.tiles(in_all=True).tolist() == []
    assert [found.has(1, *tile) for tile in (A, B, C, (0, 0))] == [True, True, False, False]
    assert (found.content(0, *A), found.content(1, *B)) == (b"ba", b"rb")
    west, south, east, north = tile_bounds(*B, Z)
    inside = found.within(Area(west + 1e-6, south + 1e-6, east - 1e-6, north - 1e-6))
    assert inside.tiles().tolist() == [list(B)]
    assert inside.content(1, *B) == b"rb"


@pytest.mark.parametrize("inner", [".", "tiles"])
def test_all_three_layouts_are_found(tmp_path: Path, inner: str) -> None:
    write_layers(tmp_path / "layers" / inner, {"roads": {A: b"x"}}, Z)
    flat, plain = tmp_path / "flat" / inner, tmp_path / "plain" / inner
    flat.mkdir(parents=True)
    (flat / f"tile_{Z}_{A[0]}_{A[1]}.png").write_bytes(b"x")
    (plain / str(Z) / str(A[0])).mkdir(parents=True)
    (plain / str(Z) / str(A[0]) / f"{A[1]}.JPG").write_bytes(b"x")
    for name, kind in (("layers", "layers"), ("flat", "colors"), ("plain", "colors")):
        found = read_tile_folder(tmp_path / name)
        assert (found.kind, found.zoom, found.tiles().tolist()) == (kind, Z, [list(A)])
        assert found.content(0, *A) == b"x"


def test_tiles_may_be_a_layer_among_others(tmp_path: Path) -> None:
    write_layers(tmp_path, {"tiles": {A: b"x"}, "roads": {A: b"y"}}, Z)
    assert read_tile_folder(tmp_path).layers == ("roads", "tiles")


def test_names_that_are_no_tile_are_counted(tmp_path: Path) -> None:
    layered(tmp_path)
    roads = tmp_path / "roads"
    for name in ("z17", "99", "017"):
        (roads / name).mkdir()
    (roads / str(Z) / "x5").mkdir()
    (roads / str(Z) / str(2**Z)).mkdir()
    here = roads / str(Z) / str(A[0])
    for name in ("40000@2x.png", "040001.png", "-1.png", f"{2**Z}.png", "note.txt", ".DS_Store"):
        (here / name).touch()
    os.mkfifo(here / "40002.png")
    (here / "40003.png").mkdir()
    (here / "40000.jpg").write_bytes(b"second")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    found = read_tile_folder(tmp_path)
    assert found.layers == ("buildings", "roads", "zoo")
    assert found.tiles().tolist() == [list(A), list(B), list(C)]
    assert found.content(1, *A) == b"ra"
    assert found.ignored.counts == {
        "names that are not a zoom": 4, "names that are not a column of tiles": 2, "names that are not a tile": 6,
        "tiles in a second format": 2,
    }  # fmt: skip
    assert any("such as" in line for line in found.ignored.lines())


def test_the_fingerprint_changes_with_the_tiles(tmp_path: Path) -> None:
    first = read_tile_folder(layered(tmp_path)).fingerprint
    assert read_tile_folder(tmp_path).fingerprint == first
    path = tmp_path / "roads" / str(Z) / str(A[0]) / f"{A[1]}.png"
    path.write_bytes(b"changed")
    second = read_tile_folder(tmp_path).fingerprint
    path.unlink()
    assert len({first, second, read_tile_folder(tmp_path).fingerprint}) == 3


def test_zooms(tmp_path: Path) -> None:
    write_layers(tmp_path, {"roads": {A: b"x"}}, Z)
    write_layers(tmp_path, {"roads": {(1, 2): b"y"}}, 3)
    with pytest.raises(SourceError, match="zoom 3, 17: choose one with --zoom"):
        read_tile_folder(tmp_path)
    assert read_tile_folder(tmp_path, zoom=3).content(0, 1, 2) == b"y"
    with pytest.raises(SourceError, match="no tiles of zoom 5; it has: 3, 17"):
        read_tile_folder(tmp_path, zoom=5)


def test_no_folder_no_tile(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        read_tile_folder(tmp_path / "none")
    with pytest.raises(SourceError, match="there are no tiles in"):
        read_tile_folder(tmp_path)


@pytest.mark.parametrize("where", [".", "roads", f"roads/{Z}", f"roads/{Z}/{A[0]}"])
def test_a_link_out_of_the_folder_is_rejected(tmp_path: Path, where: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    layered(inside)
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    for target in (
        outside,
        outside / "secret.png",
        tmp_path / "inside" / ".." / "outside",
        Path("/etc/passwd"),
    ):
        link = inside / where / "40001.png"
        link.symlink_to(target)
        with pytest.raises(SourceError, match="leads out of"):
            read_tile_folder(inside)
        link.unlink()


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    """As caches have them, which keep one picture of the open sea."""
    layered(tmp_path)
    (tmp_path / "roads" / str(Z) / str(A[0]) / f"{C[1]}.png").symlink_to(
        f"../../../buildings/{Z}/{C[0]}/{C[1]}.png"
    )
    (tmp_path / "loop").symlink_to(tmp_path)
    found = read_tile_folder(tmp_path)
    assert found.content(found.layers.index("roads"), *C) == b"bc"
    assert "loop" not in found.layers


def test_a_tile_that_is_exchanged_after_it_was_listed(tmp_path: Path) -> None:
    found = read_tile_folder(layered(tmp_path))
    path = tmp_path / "roads" / str(Z) / str(A[0]) / f"{A[1]}.png"
    path.unlink()
    with pytest.raises(SourceError, match="cannot read"):
        found.content(1, *A)
    os.mkfifo(path)  # opening it must not wait for ever
    with pytest.raises(SourceError, match="not a regular file"):
        found.content(1, *A)
    path.unlink()
    with open(path, "wb") as file:
        file.truncate(2**30)
    with pytest.raises(SourceError, match="more than the maximum for a tile"):
        found.content(1, *A)


@pytest.mark.parametrize("name", ["..", "a/b", "", "a\nb", "a" * 65, "<b>", "-rf", "end.", " a", "\u202eab"])
def test_names_that_are_no_layer(name: str) -> None:
    with pytest.raises(SourceError, match="is not a valid layer name"):
        check_layer(name)


def test_layers_of_hostile_names_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "<script>" / str(Z)).mkdir(parents=True)
    with pytest.raises(SourceError, match="is not a valid layer name"):
        read_tile_folder(tmp_path)


def test_what_the_folder_says_of_itself(tmp_path: Path) -> None:
    layered(tmp_path)
    (tmp_path / "tiles.json").write_text(
        json.dumps({"attribution": "© me", "placevec": {"background": "black"}})
    )
    assert read_tile_folder(tmp_path).about["attribution"] == "© me"
    for content in ("{", '{"attribution": 5}', "[]", "[" * 100_000):
        (tmp_path / "tiles.json").write_text(content)
        with pytest.raises(SourceError, match=r"cannot read .*tiles\.json"):
            read_tile_folder(tmp_path)


def test_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layered(tmp_path)
    monkeypatch.setattr(tile_sets, "MAX_TILES", 1)
    with pytest.raises(SourceError, match="more than 1 tiles"):
        read_tile_folder(tmp_path)


def test_listing_holds_few_bytes_a_tile() -> None:
    """Keys, formats and stamps of a million tiles lie in flat arrays: 17 bytes each, and grow by an eighth."""
    listing = tile_sets.Listing()
    for key in range(10_000):
        listing.add(key, 0, key)
    held = sum(
        part.buffer_info()[1] * part.itemsize for part in (listing._keys, listing._kinds, listing._stamps)
    )
    assert held == 17 * 10_000
    keys, *_ = listing.sorted()
    assert np.array_equal(keys, np.arange(10_000))
