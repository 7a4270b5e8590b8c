"""MBTiles: rows counted northwards, and files that somebody made to do harm."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from placevec.errors import SourceError
from placevec.sources.tiles import mbtiles
from placevec.sources.tiles.decode import decode_tile
from placevec.sources.tiles.mbtiles import read_mbtiles
from tests.sources.tiles.tile_files import write_mbtiles

TILES: dict[tuple[int, int, int], object] = {(3, 1, 2): b"a", (3, 1, 5): b"b"}


def test_rows_are_counted_from_the_north(tmp_path: Path) -> None:
    write_mbtiles(tmp_path / "a.mbtiles", TILES, name="A", attribution="© me", format="png")
    found = read_mbtiles([tmp_path / "a.mbtiles"])
    assert (found.kind, found.zoom, found.name, found.about["attribution"]) == ("colors", 3, "a", "© me")
    assert found.tiles().tolist() == [[1, 2], [1, 5]]
    assert (found.content(0, 1, 2), found.content(0, 1, 5)) == (b"a", b"b")


def test_several_files_are_layers(tmp_path: Path) -> None:
    for name in ("roads", "buildings", "bays"):
        write_mbtiles(tmp_path / f"{name}.mbtiles", {(3, 1, 2): name.encode()})
    for paths in ([tmp_path], sorted(tmp_path.iterdir())):
        found = read_mbtiles(paths, order=("buildings", "roads"))
        assert (found.kind, found.layers) == ("layers", ("buildings", "roads", "bays"))
        assert [found.content(layer, 1, 2) for layer in range(3)] == [b"buildings", b"roads", b"bays"]


def test_real_tiles(shared_data: Path) -> None:
    """Oracle: the file's README: 256 tiles of 256 px at zoom 4. The sea is blue, the land is not."""
    found = read_mbtiles([shared_data / "tiles" / "osm_carto_z0-4.mbtiles"], zoom=4)
    assert len(found.tiles()) == 256
    sea = (
        decode_tile(found.content(0, 1, 7))[..., :3].reshape(-1, 3).mean(axis=0)
    )  # the middle of the Pacific
    land = decode_tile(found.content(0, 9, 7))[..., :3].reshape(-1, 3).mean(axis=0)  # Sudan
    assert sea[2] > sea[0] + 10
    assert land[0] > land[2] - 5


def test_what_is_no_mbtiles(tmp_path: Path) -> None:
    path = tmp_path / "a.mbtiles"
    for content in (b"", b"PMTiles\x03", b"SQLite format 3\0", b"SQLite format 3\0" + b"\xff" * 5000):
        path.write_bytes(content)
        with pytest.raises(SourceError):
            read_mbtiles([path])
    with pytest.raises(SourceError, match="does not exist"):
        read_mbtiles([tmp_path / "none.mbtiles"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="there is no"):
        read_mbtiles([tmp_path / "empty"])


def test_vector_tiles_are_named(tmp_path: Path) -> None:
    write_mbtiles(tmp_path / "a.mbtiles", TILES, format="pbf")
    with pytest.raises(SourceError, match="vector tiles"):
        read_mbtiles([tmp_path / "a.mbtiles"])


def test_rows_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mbtiles"
    write_mbtiles(path, {**TILES, (3, 99, 1): b"x", (3, 2, 2): "text", (3, 3, 3): None})
    with sqlite3.connect(path) as file:
        file.execute("INSERT INTO tiles VALUES (3, 'one', x'00', NULL)")
        file.execute("INSERT INTO tiles VALUES ('zoom', 1, 1, NULL)")
        file.execute("INSERT INTO tiles VALUES (-4, 1, 1, NULL)")
        file.execute("INSERT INTO tiles VALUES (3, 1, -1, NULL)")
        file.execute("INSERT INTO tiles VALUES (3, 1, 9223372036854775807, NULL)")
    found = read_mbtiles([path])
    assert found.tiles().tolist() == [[1, 2], [2, 2], [3, 3], [1, 5]]
    assert found.ignored.counts["rows that are not tiles"] == 4
    for tile in ((2, 2), (3, 3)):
        with pytest.raises(SourceError, match="has no image for tile"):
            found.content(0, *tile)


HOSTILE = {
    "endless": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) "
    "SELECT 3 AS zoom_level, i AS tile_column, 0 AS tile_row, x'00' AS tile_data FROM n",
    "busy": "SELECT a.zoom_level, a.tile_column, a.tile_row, a.tile_data FROM some a, some b, some c, some d, some e "
    "WHERE a.tile_column + b.tile_column + c.tile_column + d.tile_column + e.tile_column < 0",
    "huge": "SELECT 3 AS zoom_level, 1 AS tile_column, length(zeroblob(1000000000)) AS tile_row, x'00' AS tile_data",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_view_that_does_too_much(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``tiles`` may be a view, and so any program that SQLite runs."""
    monkeypatch.setattr(mbtiles, "_MAX_LOOKS", 20)
    path = tmp_path / "a.mbtiles"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE some (zoom_level, tile_column, tile_row, tile_data)")
        file.executemany("INSERT INTO some VALUES (3, ?, 1, x'00')", [(number,) for number in range(200)])
        file.execute(f"CREATE VIEW tiles AS {HOSTILE[name]}")
    with pytest.raises(SourceError):
        read_mbtiles([path])


def test_a_tile_that_is_too_large(tmp_path: Path) -> None:
    write_mbtiles(tmp_path / "a.mbtiles", {(3, 1, 2): bytes(5 * 2**20)})
    found = read_mbtiles([tmp_path / "a.mbtiles"])
    with pytest.raises(SourceError):
        found.content(0, 1, 2)


def test_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a b?#%.mbtiles"
    write_mbtiles(path, TILES)
    before = path.read_bytes()
    tmp_path.chmod(0o500)
    try:
        assert read_mbtiles([path]).content(0, 1, 2) == b"a"
    finally:
        tmp_path.chmod(0o700)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_a_file_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mbtiles"
    write_mbtiles(path, TILES)
    (tmp_path / "a.mbtiles-wal").write_bytes(b"x")
    with pytest.raises(SourceError, match="was not closed"):
        read_mbtiles([path])
