"""Folders of tiles become datasets and come out again. Oracles: the pictures that were drawn, GDAL, and the dataset that
was burnt from the embedded extract, whose bits must survive the way out and back."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

import placevec as pv
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.raster.coverage import Coverage
from placevec.errors import AreaError, DatasetError, OutputError, PlacevecError, SourceError, UsageError
from placevec.evaluation.osm_tasks import landuse_task
from placevec.evaluation.tasks import Task, leaking
from placevec.geo import Area, tile_bounds, tile_xy_to_lonlat
from placevec.io.progress import SILENT
from placevec.preparation.tiles.export import _metadata
from placevec.sources.tiles.loc2vec_metadata import Loc2VecMetadata, write_loc2vec_metadata
from tests.sources.tiles.tile_files import bomb, png, write_layers, write_mbtiles
from tests.unsealed import unsealed

Z = 17
X, Y = 74_567, 37_890
Masks = dict[str, dict[tuple[int, int], np.ndarray]]


def masks(names: tuple[str, ...] = ("roads", "buildings", "bays"), side: int = 256) -> Masks:
    """3 x 3 tiles a layer, less than half of each set; one layer lacks a tile, one has a blank one."""
    random = np.random.default_rng(3)
    found: Masks = {name: {} for name in names}
    for name in names:
        for x in range(X, X + 3):
            for y in range(Y, Y + 3):
                coarse = random.random((16, 16)) < 0.2
                found[name][x, y] = coarse.repeat(side // 16, axis=0).repeat(side // 16, axis=1)
    del found["roads"][X, Y]
    found["buildings"][X + 1, Y][:] = False
    return found


def write(folder: Path, drawn: Masks, mode: str = "1", invert: bool = False) -> Path:
    pictures = {
        layer: {at: png((mask ^ invert).astype(np.uint8) * 255, mode=mode) for at, mask in tiles.items()}
        for layer, tiles in drawn.items()
    }
    write_layers(folder, pictures, Z)
    return folder


def look_at(dataset: Dataset, x: int, y: int) -> np.ndarray:
    """(C, 256, 256) a tile of a dataset."""
    center = tile_xy_to_lonlat([[x + 0.5, y + 0.5]], dataset.zoom)
    read: np.ndarray = dataset.view("map").read(Look(torch.tensor([0]), torch.from_numpy(center))).numpy()[0]
    return read


def same(dataset: Dataset, drawn: Masks) -> None:
    """Every tile of every layer is there; what was not drawn is empty."""
    for x in range(X, X + 3):
        for y in range(Y, Y + 3):
            tile = look_at(dataset, x, y)
            for channel, name in enumerate(dataset.spec("map").channels):
                expected = drawn[name].get((x, y), np.zeros((256, 256), bool))
                assert np.array_equal(tile[channel] > 0, expected), (name, x, y)


@pytest.mark.parametrize("inner", [".", "tiles"])
def test_layers_of_founding_document_004(tmp_path: Path, inner: str) -> None:
    drawn = masks()
    write(tmp_path / "in" / inner, drawn)
    dataset = pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "out")
    assert dataset.spec("map").channels == ("buildings", "roads", "bays")  # the founding order, then by name
    assert dataset.spec("map").values == "coverage 0..255"
    assert (dataset.zoom, len(dataset), dataset.manifest["places"]["grid"]) == (Z, 9, "tiles")
    same(dataset, drawn)
    report = dataset.manifest["report"]
    assert report["tiles"] == {"buildings": 9, "roads": 8, "bays": 9}
    assert (report["tiles_in_any_layer"], report["tiles_in_all_layers"]) == (9, 8)
    assert set(report["backgrounds"].values()) == {"black"}
    assert "unknown" in dataset.attribution
    assert not (tmp_path / "out" / ".work").exists()
    with rasterio.open(tmp_path / "out" / "map.vrt") as file:
        assert file.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == "1"


def to_mode(mask: np.ndarray, mode: str) -> bytes:
    """A mask, white on black, in any mode a PNG may have."""
    gray = mask.astype(np.uint8) * 255
    if mode == "16 bit":
        return png(mask.astype(np.uint16) * 65535)
    if mode == "P, transparent":  # index 1 is seen, index 0 is a white that is not
        image = Image.fromarray(mask.astype(np.uint8), "P")
        image.putpalette([255, 255, 255, 0, 0, 0])
        image.info["transparency"] = 0
        return _saved(image, transparency=0)
    if mode == "LA":
        return png(np.dstack([gray, np.full_like(gray, 255)]))
    if mode == "RGBA, transparent":
        return png(np.dstack([gray * 0, gray * 0, gray * 0, gray]))
    return png(gray, mode=mode)


def _saved(image: Image.Image, **options: Any) -> bytes:
    import io

    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "P, transparent", "RGB", "RGBA", "RGBA, transparent", "16 bit"]
)
def test_any_mode_of_png_gives_the_same_bits(tmp_path: Path, mode: str) -> None:
    drawn = masks(("roads", "buildings"))
    pictures = {
        layer: {at: to_mode(mask, mode) for at, mask in tiles.items()} for layer, tiles in drawn.items()
    }
    write_layers(tmp_path / "in", pictures, Z)
    dataset = pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "out")
    same(dataset, drawn)
    expected = "transparent" if "transparent" in mode else "black"
    assert set(dataset.manifest["report"]["backgrounds"].values()) == {expected}


def test_a_mask_is_not_turned_inside_out(tmp_path: Path) -> None:
    """Black on white, found or said; and what a wrong word does, so that the word is seen to be obeyed."""
    drawn = masks()
    write(tmp_path / "in", drawn, mode="L", invert=True)
    said: list[str] = []

    class Listening:
        say = staticmethod(said.append)
        task = staticmethod(SILENT.task)

    found = pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "a", progress=Listening())  # type: ignore[arg-type]
    same(found, drawn)
    assert any(line.startswith("Background white") for line in said)
    same(pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "b", background="white"), drawn)
    inverted = pv.prepare(
        "loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "c", background="white,bays=black"
    )
    assert np.array_equal(look_at(inverted, X, Y)[2] > 0, ~drawn["bays"][X, Y])


def test_threshold_and_shades(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    write_layers(tmp_path / "in", {"roads": {(X, Y): png(ramp), (X + 1, Y): png()}}, Z)
    options: dict[str, Any] = {"tile_folder": tmp_path / "in", "background": "black"}
    dataset = pv.prepare("loc2vec", out=tmp_path / "a", threshold=40, **options)
    assert np.array_equal(look_at(dataset, X, Y)[0] > 0, ramp >= 40)
    dataset = pv.prepare("loc2vec", out=tmp_path / "b", keep_gray=True, **options)
    assert np.array_equal(look_at(dataset, X, Y)[0], ramp)
    assert dataset.spec("map").values == "intensity 0..255"


def test_places(tmp_path: Path) -> None:
    drawn = masks()
    for tiles in drawn.values():  # one tile is blank in all layers
        tiles[X + 2, Y + 2] = np.zeros((256, 256), bool)
    folder = write(tmp_path / "in", drawn)
    ids = set(pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "a").places["place_id"])
    assert len(ids) == 8
    assert f"{Z}/{X + 2}/{Y + 2}" not in ids
    assert f"{Z}/{X}/{Y}" in ids  # roads lack it, which is an empty layer
    assert len(pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "b", all_tiles=True)) == 9
    founding = pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "c", require_all_layers=True)
    assert len(founding) == 8
    assert f"{Z}/{X}/{Y}" not in set(founding.places["place_id"])
    west, south, east, north = tile_bounds(X + 1, Y + 1, Z)
    area = Area(west + 1e-7, south + 1e-7, east - 1e-7, north - 1e-7)
    assert len(pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "d", bbox=area)) == 1
    grid = pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "e", spacing=60, size_m=60)
    assert grid.manifest["places"]["grid"] == "spacing"
    assert len(grid) > 20
    (tmp_path / "p.csv").write_text(f"place_id,lon,lat\na,{(west + east) / 2},{(south + north) / 2}\n")
    given = pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "f", places=tmp_path / "p.csv")
    assert list(given.places["place_id"]) == ["a"]
    with pytest.raises(AreaError, match="no tile of in is in the area"):
        pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "g", bbox="1,1,2,2")


def colors(seed: int = 0) -> dict[tuple[int, int], np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        (x, y): random.integers(0, 256, (256, 256, 3), np.uint8)
        for x in range(X, X + 3)
        for y in range(Y, Y + 2)
    }


def test_colors_of_founding_document_001(tmp_path: Path) -> None:
    tiles, folder = colors(), tmp_path / "in"
    (folder / "tiles").mkdir(parents=True)
    for (x, y), pixels in tiles.items():
        (folder / "tiles" / f"tile_{Z}_{x}_{y}.png").write_bytes(png(pixels))
    lonlat = tile_xy_to_lonlat(np.array([[X + 0.5, Y + 0.5], [X + 1.25, Y + 1.5], [X + 9, Y]]), Z)
    write_loc2vec_metadata(folder / "metadata.json", Loc2VecMetadata(Z, lonlat))
    dataset = pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "out")
    assert dataset.spec("map").channels == ("red", "green", "blue")
    assert dataset.spec("map").values == "intensity 0..255"
    for (x, y), pixels in tiles.items():
        assert np.array_equal(look_at(dataset, x, y), pixels.transpose(2, 0, 1))
    assert len(dataset) == 2  # the third sample lies on no tile
    assert np.allclose(np.sort(dataset.lonlat, axis=0), np.sort(lonlat[:2], axis=0), atol=1e-7)
    patch = 64 * 2 * np.pi * 6378137 * np.cos(np.radians(lonlat[0, 1])) / 2**Z / 256
    assert dataset.footprint_m == pytest.approx(patch, rel=0.01)
    (folder / "metadata.json").unlink()
    assert len(pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "tiles")) == 6
    with pytest.raises(UsageError, match="--threshold, --background and --keep-gray apply to layers"):
        pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "b", threshold=5)


def test_colors_of_mbtiles(tmp_path: Path) -> None:
    tiles = colors()
    write_mbtiles(
        tmp_path / "a.mbtiles",
        {(Z, x, y): png(p) for (x, y), p in tiles.items()},
        attribution="© me",
        name="Town",
    )
    dataset = pv.prepare("loc2vec", mbtiles=tmp_path / "a.mbtiles", out=tmp_path / "out")
    assert (dataset.attribution, dataset.name) == ("© me", "Town")
    for (x, y), pixels in tiles.items():
        assert np.array_equal(look_at(dataset, x, y), pixels.transpose(2, 0, 1))


def test_pictures_of_512_pixels_are_halved(tmp_path: Path) -> None:
    drawn = masks(side=512)
    dataset = pv.prepare("loc2vec", tile_folder=write(tmp_path / "in", drawn), out=tmp_path / "out")
    same(dataset, {name: {at: mask[::2, ::2] for at, mask in tiles.items()} for name, tiles in drawn.items()})


# --- out and back ------------------------------------------------------------------------------------------


def pixels_of(dataset: Dataset) -> dict[str, Any]:
    """Every pixel of the map and its coverage, as GDAL reads them, band by band; only their hashes."""
    found: dict[str, Any] = {}
    for name in ("map.vrt", "map_coverage.tif"):
        with rasterio.open(dataset.path / name) as file:
            found[name] = file.transform, file.shape
            for band, layer in enumerate(file.descriptions, 1):
                found[f"{name} {layer}"] = hashlib.sha256(file.read(band).tobytes()).hexdigest()
    return found


@pytest.fixture(scope="module")
def burnt(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A few tiles of Helsinki, of all layers."""
    out = tmp_path_factory.mktemp("burnt") / "data"
    return pv.prepare("loc2vec", osm_name="helsinki-center", bbox="24.940,60.168,24.9465,60.1715", out=out)


@pytest.mark.parametrize("how", ["tile_folder", "mbtiles"])
def test_what_was_burnt_comes_back_bit_for_bit(burnt: Dataset, tmp_path: Path, how: str) -> None:
    out = tmp_path / "tiles"
    count = pv.export(burnt, **{how: out})  # type: ignore[arg-type]
    back = pv.prepare("loc2vec", out=tmp_path / "back", **{how: out})
    assert pixels_of(back) == pixels_of(burnt)
    assert back.spec("map") == burnt.spec("map")  # the rules too: a model of the one reads the other
    assert back.attribution == burnt.attribution
    assert pv.export(burnt, **{how: out}) == count  # type: ignore[arg-type]
    if how == "tile_folder":
        layers = sorted(path.name for path in (out / "tiles").iterdir())
        assert layers == sorted(burnt.spec("map").channels)
        assert all(len(list((out / "tiles" / name).rglob("*.png"))) == count for name in layers)
        some = next((out / "tiles" / "roads").rglob("*.png"))
        assert Image.open(some).mode == "1"
        (out / "tiles.json").unlink()  # as a folder of anyone's: what is background must be found
        anyone = pv.prepare("loc2vec", tile_folder=out, out=tmp_path / "anyone")
        assert pixels_of(anyone) == pixels_of(burnt)
    other = pv.prepare("loc2vec", tile_folder=write(tmp_path / "in", masks()), out=tmp_path / "other")
    with pytest.raises(OutputError, match="was not exported from this dataset"):
        pv.export(other, **{how: out})  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["tile_folder", "mbtiles"])
def test_colors_come_back(tmp_path: Path, how: str) -> None:
    write_mbtiles(
        tmp_path / "a.mbtiles", {(Z, x, y): png(p) for (x, y), p in colors().items()}, attribution="© me"
    )
    dataset = pv.prepare("loc2vec", mbtiles=tmp_path / "a.mbtiles", out=tmp_path / "in")
    out = tmp_path / ("tiles" if how == "tile_folder" else "tiles.mbtiles")
    assert pv.export(dataset, **{how: out}) == 6  # type: ignore[arg-type]
    assert pv.export(dataset, **{how: out}) == 6  # type: ignore[arg-type]
    if how == "tile_folder":
        founding = json.loads((out / "metadata.json").read_text())
        assert founding["num_samples"] == 6
        lat, lon = founding["sample_coordinates"][0]
        assert (lon, lat) == tuple(dataset.lonlat[0])
        assert len(list((out / "tiles").glob(f"tile_{Z}_*_*.png"))) == 6
    else:
        with rasterio.open(out) as file:  # GDAL's own driver
            assert file.count >= 3
        with sqlite3.connect(out) as file:
            assert dict(file.execute("SELECT * FROM metadata"))["attribution"] == "© me"
    back = pv.prepare("loc2vec", out=tmp_path / "back", **{how: out})
    assert pixels_of(back) == pixels_of(dataset)


def test_export_is_rejected_where_it_would_do_harm(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").touch()
    with pytest.raises(OutputError, match="choose another path"):
        pv.export(helsinki_dataset, tile_folder=tmp_path / "mine")
    with pytest.raises(UsageError, match="give the folder"):
        pv.export(helsinki_dataset, mbtiles=tmp_path / "a.mbtiles")
    with pytest.raises(
        UsageError,
        match="give one of --tile-folder DIR, --mbtiles FILE, --csv FILE",
    ):
        pv.export(helsinki_dataset)
    hostile = Path(shutil.copytree(helsinki_dataset.path, tmp_path / "hostile"))
    manifest = json.loads((hostile / "dataset.json").read_text())
    manifest["views"]["map"]["spec"]["channels"][0] = "../../outside"
    (hostile / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    with pytest.raises(SourceError, match="is not a valid layer name"):
        pv.export(hostile, tile_folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- what is wrong with a folder ---------------------------------------------------------------------------


def test_one_layer_missing(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", masks())
    shutil.rmtree(folder / "roads")
    (folder / "roads").mkdir()
    dataset = pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "a")
    assert dataset.spec("map").channels == ("buildings", "roads", "bays")
    assert not look_at(dataset, X, Y)[1].any()
    with pytest.raises(SourceError, match="no tile exists in all 3 layers: roads has only 0"):
        pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "b", require_all_layers=True)
    found = pv.validate(folder)
    assert found.usable
    assert "the layer roads has no tiles" in found.notes


BAD = {
    "truncated": (png(mode="RGB")[:-20], "truncated"),
    "no image": (b"<html>not found</html>", "not a PNG, JPEG, WebP or AVIF"),
    "empty": (b"", "nothing at all"),
    "a bomb": (bomb(), "50,000 x 50,000"),
    "of another size": (png(side=512), "512 x 512"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_few_damaged_tiles_are_kept_out_and_many_are_rejected(tmp_path: Path, kind: str) -> None:
    content, words = BAD[kind]
    drawn = masks()["bays"]
    many = {(X + x, Y + y): png(drawn[X, Y].astype(np.uint8) * 255) for x in range(12) for y in range(10)}
    write_layers(tmp_path / "in", {"bays": many, "roads": {**many, (X + 3, Y + 3): content}}, Z)
    dataset = pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "out")
    assert len(dataset) == 119
    assert f"{Z}/{X + 3}/{Y + 3}" not in set(dataset.places["place_id"])
    assert dataset.manifest["report"]["tiles_damaged"] == 1
    assert words in dataset.manifest["report"]["damaged_examples"][0]
    write_layers(tmp_path / "in", {"roads": {(X + 4, Y + 4): content, (X + 5, Y + 5): content}}, Z)
    with pytest.raises(SourceError, match=r"of 120 tiles are damaged, more than 1%.*roads 17/") as caught:
        pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "again")
    assert words in str(caught.value)


def test_only_damaged_tiles(tmp_path: Path) -> None:
    for kind, (content, words) in BAD.items():
        if kind == "of another size":
            continue
        folder = tmp_path / kind
        write_layers(folder, {"roads": {(X, Y): content}}, Z)
        with pytest.raises(SourceError, match=words):
            pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "out")
        assert not pv.validate(folder).usable


@pytest.mark.parametrize("side", [128, 1024])
def test_pictures_of_other_sizes_are_rejected(tmp_path: Path, side: int) -> None:
    write_layers(tmp_path / "in", {"roads": {(X, Y): png(side=side)}}, Z)
    with pytest.raises(SourceError, match=f"{side} x {side} px: expected 256 or 512"):
        pv.prepare("loc2vec", tile_folder=tmp_path / "in", out=tmp_path / "out")


def test_wrong_usage(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", masks())
    out: dict[str, Any] = {"out": tmp_path / "out"}
    for options, words in (
        ({"tile_folder": folder, "mbtiles": "a.mbtiles"}, "give only one source"),
        ({"tile_folder": folder, "tiles": "http://a/{z}/{x}/{y}.png"}, "give only one source"),
        ({"tile_folder": folder, "layers": "a.toml"}, "applies to drawing an OpenStreetMap extract"),
        ({"osm_name": "helsinki-center", "threshold": 3}, "applies to existing tiles"),
        (
            {"tile_folder": folder, "require_all_layers": True, "spacing": 50},
            "--require-all-layers selects tiles",
        ),
    ):
        with pytest.raises(UsageError, match=words):
            pv.prepare("loc2vec", **out, **options)
    assert not (tmp_path / "out").exists()


def test_a_dataset_is_reused_only_for_the_same_tiles(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", masks())
    first = pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "out").hash
    assert pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "out").hash == first
    with pytest.raises(DatasetError, match="--buildings was"):
        pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "out", threshold=1)
    (folder / "roads" / str(Z) / str(X + 1) / f"{Y}.png").unlink()
    with pytest.raises(DatasetError, match="content of 'tiles' differs"):
        pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "out")
    assert pv.prepare("loc2vec", tile_folder=folder, out=tmp_path / "out", force=True).hash != first


# --- looking through ---------------------------------------------------------------------------------------


def test_validate_shows_what_the_founding_check_prints(tmp_path: Path) -> None:
    found = pv.validate(write(tmp_path / "in", masks()))
    assert found.usable
    assert [(layer.name, layer.tiles) for layer in found.layers] == [
        ("buildings", 9),
        ("roads", 8),
        ("bays", 9),
    ]
    assert (found.coordinates, found.common) == (9, 8)
    assert found.batch == {role: [4, 3, 256, 256] for role in ("anchor", "positive", "negative")}
    assert {layer.background for layer in found.layers} == {"black"}
    drawn = masks()["bays"]
    share = np.mean([mask.mean() for mask in drawn.values()])
    assert found.layers[2].set_share == pytest.approx(share)
    assert any(
        "original twelve layers, these are missing: natural-features, boundaries" in note
        for note in found.notes
    )
    assert any("more than 10 tiles apart" in note for note in found.notes)
    assert json.loads(json.dumps(found.as_dict()))["usable"] is True


def test_validate_datasets(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    found = pv.validate(helsinki_dataset.path)
    assert found.usable
    assert found.batch["anchor"][1:] == [12, 256, 256]
    assert found.coordinates == len(helsinki_dataset)
    broken = Path(shutil.copytree(helsinki_dataset.path, tmp_path / "broken"))
    shard = next((broken / "map").glob("*.tif"))
    shard.write_bytes(shard.read_bytes()[:200])
    assert not pv.validate(broken).usable
    assert pv.validate(tmp_path / "none").problems == [f"{tmp_path / 'none'} does not exist"]


def test_an_extract_beside_labels_the_tiles(helsinki_tiles: Path, tmp_path: Path) -> None:
    """Oracle: the dataset that was burnt from the extract: the same land use, points and names."""
    burnt = pv.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "burnt")
    options: dict[str, Any] = {"tile_folder": helsinki_tiles, "out": tmp_path / "out"}
    assert "labels" not in pv.prepare("loc2vec", **options).manifest["report"]
    labeled = pv.prepare("loc2vec", osm_name="helsinki-center", **options)  # added to what is there
    assert [source["kind"] for source in labeled.manifest["sources"]] == ["LAYER/z/x/y.png", "osm-labels"]
    footprints = burnt.footprints()
    shares = [
        Coverage(part.path / "landuse_coverage.tif").fractions(footprints, Z) for part in (burnt, labeled)
    ]
    assert np.array_equal(*shares)
    assert shares[0].max() > 0.5
    names = [part.places.set_index("place_id")["name"] for part in (burnt, labeled)]
    assert names[0].notna().sum() > 10
    assert names[1].loc[names[0].index].equals(names[0])
    assert not list((tmp_path / "out").glob(".*"))
    assert pv.prepare("loc2vec", osm_name="helsinki-center", **options).hash == labeled.hash
    assert pv.prepare("loc2vec", **options).hash == labeled.hash
    write(tmp_path / "malta", masks())
    with pytest.raises(AreaError, match="the tiles are outside"):
        pv.prepare(
            "loc2vec", tile_folder=tmp_path / "malta", osm_name="helsinki-center", out=tmp_path / "other"
        )


def test_a_map_in_colors_may_show_every_label() -> None:
    task = Task("landuse", "classification", np.zeros(2, np.int64), np.arange(2), ("a",), ("landcover",))
    assert leaking(task, ("red", "green", "blue")) == ("red", "green", "blue")
    assert leaking(task, ("roads", "red")) == ()
    assert leaking(replace(task, leaks=()), ("red", "green", "blue")) == ()


def test_without_an_extract_evaluation_says_what_is_missing(tmp_path: Path) -> None:
    dataset = pv.prepare("loc2vec", tile_folder=write(tmp_path / "in", masks()), out=tmp_path / "out")
    with pytest.raises(PlacevecError, match=r"no landuse_coverage\.tif"):
        landuse_task(dataset)


def test_the_size_of_a_place_becomes_pixels_of_its_tiles() -> None:
    """Oracle: pixels of Web Mercator, 2 pi r cos(lat) / 256 / 2^z meters; without a size, the original's 64."""
    lonlat = np.array([[24.9, 60.2], [24.95, 60.2]])
    for size_m, patch in (
        (None, 64),
        (120.0, 120 / (2 * np.pi * 6378137 * np.cos(np.radians(60.2)) / 256 / 2**Z)),
    ):
        manifest = {"places": {"size_m": size_m}}
        like: Any = SimpleNamespace(
            lonlat=lonlat, manifest=manifest, zoom=Z, area=Area(24.8, 60.1, 25.0, 60.3)
        )
        assert _metadata(like).patch_size == round(patch)
