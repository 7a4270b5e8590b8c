"""Tiles of other tools: rows counted from the south, twice as many pixels, AVIF.

The oracle is the same tiles written plainly, and arithmetic on the rows.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import placevec as pv
from placevec.errors import SourceError, UsageError
from placevec.geo import tile_bounds
from placevec.preparation.validate import validate
from placevec.sources.tiles.decode import decode_tile
from placevec.sources.tiles.folder import read_tile_folder
from placevec.sources.tiles.mbtiles import read_mbtiles
from tests.sources.tiles.tile_files import png, write_layers, write_mbtiles

Z, X, Y = 15, 18_654, 9_486
SOUTH = 2**Z - 1 - Y
GDAL2TILES = """<?xml version="1.0" encoding="utf-8"?>
<TileMap version="1.0.0" tilemapservice="http://tms.osgeo.org/1.0.0">
  <Title>city.tif</Title><SRS>{srs}</SRS>
  <BoundingBox minx="24.9" miny="60.1" maxx="25.0" maxy="60.2"/><Origin x="24.9" y="60.1"/>
  <TileFormat width="256" height="256" mime-type="image/png" extension="png"/>
  <TileSets profile="{profile}"><TileSet href="15" units-per-pixel="4.77731426716000" order="15"/></TileSets>
</TileMap>"""


def colors(folder: Path, y: int, name: str = "{y}.png", content: bytes | None = None) -> Path:
    """Two tiles, one above the other, of other colors; y is that of the northern one as the folder counts."""
    step = -1 if y == SOUTH else 1
    for row in range(2):
        path = folder / str(Z) / str(X) / name.format(y=y + row * step)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content or png(np.full((256, 256, 3), 40 + 100 * row, np.uint8)))
    return folder


def tilejson(folder: Path, name: str = "tiles.json", **content: object) -> None:
    (folder / name).write_text(json.dumps({"tilejson": "2.2.0", "tiles": ["x"], **content}))


def latitudes(folder: Path, **options: str) -> list[float]:
    tiles = read_tile_folder(folder, **options)  # type: ignore[arg-type]
    return [round(tile_bounds(x, y, Z)[1], 2) for x, y in tiles.tiles().tolist()]


NORTH = [round(tile_bounds(X, Y + row, Z)[1], 2) for row in range(2)]


@pytest.mark.parametrize("name", ["tiles.json", "tilejson.json", "metadata.json"])
@pytest.mark.parametrize("inner", [".", "tiles"])
def test_tilejson_names_the_scheme(tmp_path: Path, name: str, inner: str) -> None:
    colors(tmp_path / inner, SOUTH)
    assert latitudes(tmp_path) != NORTH
    tilejson(tmp_path, name, scheme="tms")
    found = read_tile_folder(tmp_path)
    assert latitudes(tmp_path) == NORTH
    assert [int(decode_tile(found.content(0, X, Y + row))[0, 0, 0]) for row in range(2)] == [40, 140]
    assert name in found.notes[0]
    assert not found.about["has_metadata"]


def test_gdal2tiles(tmp_path: Path) -> None:
    colors(tmp_path, SOUTH)
    (tmp_path / "leaflet.html").write_text("<html></html>")
    (tmp_path / "tilemapresource.xml").write_text(GDAL2TILES.format(srs="EPSG:3857", profile="mercator"))
    assert latitudes(tmp_path) == NORTH
    for srs, profile in (("EPSG:4326", "geodetic"), ("EPSG:3067", "raster"), ("EPSG:3857", "raster")):
        (tmp_path / "tilemapresource.xml").write_text(GDAL2TILES.format(srs=srs, profile=profile))
        with pytest.raises(SourceError, match=r"not in Web Mercator: .*--profile mercator"):
            read_tile_folder(tmp_path)


def test_each_layer_of_gdal2tiles_says_it_itself(tmp_path: Path) -> None:
    write_layers(tmp_path, {"roads": {(X, SOUTH): b"r"}, "buildings": {(X, Y): b"b"}}, Z)
    (tmp_path / "roads" / "tilemapresource.xml").write_text(
        GDAL2TILES.format(srs="EPSG:3857", profile="mercator")
    )
    found = read_tile_folder(tmp_path)
    assert found.tiles(in_all=True).tolist() == [[X, Y]]
    assert {found.content(layer, X, Y) for layer in range(2)} == {b"r", b"b"}
    assert found.ignored.counts == {}


def test_said_by_hand(tmp_path: Path) -> None:
    colors(tmp_path / "south", SOUTH)
    assert latitudes(tmp_path / "south", scheme="tms") == NORTH
    colors(tmp_path / "north", Y)
    tilejson(tmp_path / "north", scheme="tms")
    assert latitudes(tmp_path / "north", scheme="xyz") == NORTH
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / f"tile_{Z}_{X}_{SOUTH}.png").write_bytes(png())
    assert read_tile_folder(tmp_path / "flat", scheme="tms").tiles().tolist() == [[X, Y]]
    with pytest.raises(UsageError, match="--scheme must be one of auto, xyz, tms"):
        validate(tmp_path / "north", scheme="south")


def test_files_that_disagree_or_name_no_scheme(tmp_path: Path) -> None:
    colors(tmp_path, SOUTH)
    tilejson(tmp_path, scheme="xyz")
    (tmp_path / "tilemapresource.xml").write_text(GDAL2TILES.format(srs="EPSG:3857", profile="mercator"))
    with pytest.raises(
        SourceError, match=r"disagree .*tiles\.json xyz and tilemapresource\.xml tms.*--scheme"
    ):
        read_tile_folder(tmp_path)
    assert latitudes(tmp_path, scheme="tms") == NORTH
    (tmp_path / "tilemapresource.xml").unlink()
    tilejson(tmp_path, scheme="bing")
    with pytest.raises(SourceError, match="has the scheme 'bing', which is neither xyz nor tms"):
        read_tile_folder(tmp_path)


def test_the_dataset_lies_where_the_tiles_do_and_validate_says_the_same(tmp_path: Path) -> None:
    colors(tmp_path / "in", SOUTH)
    tilejson(tmp_path / "in", scheme="tms", attribution="me")
    notes = validate(tmp_path / "in").notes
    dataset = pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "a")
    assert np.allclose(sorted(dataset.lonlat[:, 1]), sorted(np.array(NORTH) + 0.0027), atol=0.006)
    assert dataset.manifest["report"]["notes"][0] in notes
    assert "counted from the south (TMS)" in notes[0]
    other = pv.prepare("loc2vec", tile_folder=tmp_path / "in", scheme="xyz", out=tmp_path / "b")
    assert (other.lonlat[:, 1] < -59).all()


# --- bounds ------------------------------------------------------------------------------------------------


def bounds_of_north() -> list[float]:
    west, _, east, north = tile_bounds(X, Y, Z)
    return [west, tile_bounds(X, Y + 1, Z)[1], east, north]


def test_rows_that_contradict_the_bounds(tmp_path: Path) -> None:
    text = ",".join(map(str, bounds_of_north()))
    content = png()
    write_mbtiles(tmp_path / "right.mbtiles", {(Z, X, Y + row): content for row in range(2)}, bounds=text)
    assert read_mbtiles([tmp_path / "right.mbtiles"]).notes == ()
    write_mbtiles(tmp_path / "wrong.mbtiles", {(Z, X, SOUTH - row): content for row in range(2)}, bounds=text)
    found = read_mbtiles([tmp_path / "wrong.mbtiles"])
    assert "--scheme xyz" in found.notes[0]
    assert found.notes[0] in validate(tmp_path / "wrong.mbtiles").notes
    mended = read_mbtiles([tmp_path / "wrong.mbtiles"], scheme="xyz")
    assert (mended.notes, mended.tiles().tolist()) == ((), [[X, Y], [X, Y + 1]])
    assert mended.fingerprint != found.fingerprint
    write_mbtiles(tmp_path / "far.mbtiles", {(Z, X, Y): content}, bounds="2,48,3,49")
    assert "outside their stated bounds" in read_mbtiles([tmp_path / "far.mbtiles"]).notes[0]
    for none in ("", "world", "1,2,3", "5,5,5,5", "-180,-85,180,85"):
        write_mbtiles(tmp_path / f"{none[:3]}.mbtiles", {(Z, X, Y): content}, bounds=none)
        assert read_mbtiles([tmp_path / f"{none[:3]}.mbtiles"]).notes == ()


def test_mbtiles_that_name_a_scheme(tmp_path: Path) -> None:
    write_mbtiles(tmp_path / "a.mbtiles", {(Z, X, SOUTH): b"a"}, scheme="xyz")
    found = read_mbtiles([tmp_path / "a.mbtiles"])
    assert found.tiles().tolist() == [[X, Y]]
    assert found.content(0, X, Y) == b"a"
    assert "counted from the north" in found.notes[0]


def test_a_folder_that_contradicts_its_bounds(tmp_path: Path) -> None:
    colors(tmp_path, SOUTH)
    tilejson(tmp_path, bounds=bounds_of_north())
    assert "--scheme" in read_tile_folder(tmp_path).notes[0]
    assert read_tile_folder(tmp_path, scheme="tms").notes == ()


# --- names and formats ---------------------------------------------------------------------------------------


def test_tiles_of_twice_as_many_pixels(tmp_path: Path) -> None:
    large = png(np.full((512, 512, 3), 90, np.uint8))
    colors(tmp_path / "in", Y, "{y}@2x.png", large)
    found = read_tile_folder(tmp_path / "in")
    assert found.tiles().tolist() == [[X, Y], [X, Y + 1]]
    assert found.content(0, X, Y) == large
    dataset = pv.prepare("loc2vec", tile_folder=tmp_path / "in", all_tiles=True, out=tmp_path / "out")
    assert len(dataset) == 2
    assert validate(tmp_path / "in").usable
    (tmp_path / "in" / str(Z) / str(X) / f"{Y}.png").write_bytes(b"plain")
    assert read_tile_folder(tmp_path / "in").content(0, X, Y) == b"plain"


def encoded(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "AVIF", **options)
    return file.getvalue()


def test_avif(tmp_path: Path) -> None:
    pytest.importorskip("PIL._avif")
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[:, 128:] = (200, 100, 50)
    content = encoded(Image.fromarray(pixels), quality=100, subsampling="4:4:4")
    assert np.abs(decode_tile(content)[..., :3].astype(int) - pixels).max() <= 3
    colors(tmp_path, Y, "{y}.avif", content)
    assert read_tile_folder(tmp_path).content(0, X, Y) == content
    with pytest.raises(SourceError, match="the tile has 64 x 64 px instead of 256 x 256"):
        decode_tile(encoded(Image.fromarray(pixels[:64, :64])))
    with pytest.raises(SourceError, match=r"damaged|truncated"):
        decode_tile(content[: len(content) // 2])
    at = content.index(b"ispe") + 8
    with pytest.raises(SourceError, match=r"16,777,216 x 256 px"):
        decode_tile(content[:at] + (2**24).to_bytes(4) + content[at + 4 :])


def test_a_folder_without_tiles_says_what_is_there(tmp_path: Path) -> None:
    colors(tmp_path, Y, "tile{y}.png")
    with pytest.raises(SourceError, match=f"no tiles of zoom {Z} .*names that are not a tile"):
        pv.prepare("loc2vec", tile_folder=tmp_path, out=tmp_path / "out")
    assert "names that are not a tile" in validate(tmp_path).problems[0]


def test_validate_decodes_as_many_tiles_as_prepare_does(tmp_path: Path) -> None:
    """One damaged tile of two hundred is less than one in a hundred: both say it can be used, and both name it."""
    for row in range(200):
        path = tmp_path / "in" / str(Z) / str(X) / f"{Y + row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(np.full((256, 256, 3), 40 + row % 200, np.uint8)))
    (tmp_path / "in" / str(Z) / str(X) / f"{Y + 77}.png").write_bytes(b"torn")
    found = validate(tmp_path / "in")
    assert found.usable
    assert any("1 of 200 sampled tiles" in note for note in found.notes)
    dataset = pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "out")
    report = dataset.manifest["report"]
    assert (report["tiles_damaged"], len(report["damaged_examples"]), len(dataset)) == (1, 1, 199)
    assert f"{Z}/{X}/{Y + 77}: the tile is not" in report["damaged_examples"][0]
    for row in (3, 5):
        (tmp_path / "in" / str(Z) / str(X) / f"{Y + row}.png").write_bytes(b"torn")
    assert not validate(tmp_path / "in").usable
    with pytest.raises(SourceError, match="are damaged, more than"):
        pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "more")
