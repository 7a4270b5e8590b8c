"""Maps of ready tiles: what is stored must be what was given. Oracles: the tiles themselves, GDAL (rasterio) and the
readers of burnt maps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window

from placevec.core import Look
from placevec.datasets.views.raster.coverage import Coverage
from placevec.datasets.views.raster.raster import RasterView
from placevec.errors import AreaError, InputError
from placevec.geo import tile_xy_to_lonlat
from placevec.preparation.rasterize.from_tiles import TileMap, shards_of, tile_ranges_of, write_tile_map

ZOOM = 12
RGB = ("red", "green", "blue")
Tiles = dict[tuple[int, int], np.ndarray]


def some_tiles(channels: int, bits: int, corner: tuple[int, int] = (62, 127), seed: int = 0) -> Tiles:
    """A few tiles round the corner of four shards: one missing, one blank, one with a blank channel."""
    random = np.random.default_rng(seed)
    tiles: Tiles = {}
    for x in range(corner[0], corner[0] + 4):
        for y in range(corner[1], corner[1] + 3):
            tiles[x % 2**ZOOM, y] = random.integers(0, 2 if bits == 1 else 256, (256, 256, channels)).astype(
                np.uint8
            )
    x, y = corner
    del tiles[(x + 1) % 2**ZOOM, y]
    tiles[(x + 2) % 2**ZOOM, y][:] = 0
    tiles[x % 2**ZOOM, y][:, :, 0] = 0
    return tiles


def write(out: Path, tiles: Tiles, channels: tuple[str, ...], bits: int, **options: Any) -> TileMap:
    out.mkdir(exist_ok=True)
    return write_tile_map(
        out, zoom=ZOOM, channels=channels, bits=bits, shards=shards_of(np.array(list(tiles))),
        read=lambda x, y: tiles.get((x, y)), attribution="© somebody", **{"fingerprint": {"a": 1}, **options},
    )  # fmt: skip


def truth_at(tiles: Tiles, left: int, top: int, width: int, height: int) -> np.ndarray:
    """(C, height, width) the pixels of a window, put together tile by tile."""
    channels = next(iter(tiles.values())).shape[2]
    out = np.zeros((height, width, channels), np.uint8)
    for (x, y), pixels in tiles.items():
        x0, y0 = max(left, x * 256), max(top, y * 256)
        x1, y1 = min(left + width, x * 256 + 256), min(top + height, y * 256 + 256)
        if x0 < x1 and y0 < y1:
            out[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[
                y0 - y * 256 : y1 - y * 256, x0 - x * 256 : x1 - x * 256
            ]
    return out.transpose(2, 0, 1)


@pytest.mark.parametrize(("channels", "bits"), [(RGB, 8), (("a", "b <&> c"), 1), (("gray",), 8)])
def test_gdal_reads_the_pixels_that_were_given(tmp_path: Path, channels: tuple[str, ...], bits: int) -> None:
    tiles = some_tiles(len(channels), bits)
    report = write(tmp_path, tiles, channels, bits)
    assert sorted(map(tuple, report.present.tolist())) == sorted(tiles)
    assert sorted(map(tuple, report.content.tolist())) == sorted(key for key in tiles if tiles[key].any())
    assert report.present.tolist() == sorted(report.present.tolist(), key=lambda tile: (tile[1], tile[0]))
    assert all((tmp_path / name).is_file() for name in report.files)
    with rasterio.open(tmp_path / "map.vrt") as file:
        assert file.descriptions == channels
        assert file.tags()["ATTRIBUTION"] == "© somebody"
        assert file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == ("1" if bits == 1 else None)
        assert [kind.name for kind in file.colorinterp][:1] == (["red"] if channels == RGB else ["undefined"])
        left, top = (round(value) for value in ~file.transform @ (-20037508.342789244, 20037508.342789244))
        window = Window(62 * 256 + left, 127 * 256 + top, 4 * 256, 3 * 256)
        assert np.array_equal(file.read(window=window), truth_at(tiles, 62 * 256, 127 * 256, 1024, 768))
    for name in report.files[2:]:
        with rasterio.open(tmp_path / name) as file:
            assert file.tags()["ATTRIBUTION"] == "© somebody"
            assert file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == ("1" if bits == 1 else None)
            if channels == RGB:
                assert [kind.name for kind in file.colorinterp] == list(RGB)


@pytest.mark.parametrize("bits", [1, 8])
def test_coverage_cells_are_the_means_of_their_pixels(tmp_path: Path, bits: int) -> None:
    tiles = some_tiles(3, bits)
    write(tmp_path, tiles, RGB, bits)
    coverage = Coverage(tmp_path / "map_coverage.tif")
    pixels = tiles[64, 128].astype(float) * (255 if bits == 1 else 1)
    expected = pixels.reshape(16, 16, 16, 16, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    cells = [
        [64 + x / 16, 128 + y / 16, 64 + (x + 1) / 16, 128 + (y + 1) / 16]
        for y in range(16)
        for x in range(16)
    ]
    found = coverage.fractions(cells, ZOOM).T.reshape(3, 16, 16) * 255
    assert np.abs(found - expected).max() <= 0.5 + 1e-3
    share = coverage.fractions([[64, 128, 65, 129]], ZOOM)[0]
    assert np.allclose(share, pixels.mean(axis=(0, 1)) / 255.0, atol=0.002)


def _view(folder: Path, channels: tuple[str, ...], memory: bool | None, **window: Any) -> RasterView:
    return RasterView(folder, zoom=ZOOM, channels=channels, memory=memory).window(**window)


def _look(pixels: list[tuple[float, float]], **warp: torch.Tensor) -> Look:
    lonlat = tile_xy_to_lonlat(np.array(pixels) / 256.0, ZOOM)
    return Look(torch.arange(len(pixels)), torch.from_numpy(lonlat), warp)


CENTERS = [(64 * 256 + 128, 128 * 256 + 128), (64 * 256 + 3, 128 * 256 - 7), (63 * 256 + 77, 128 * 256 + 200)]


@pytest.mark.parametrize("memory", [True, False, None])
@pytest.mark.parametrize("side", [256, 64, 300])
def test_native_windows_of_eight_bits_are_copies(tmp_path: Path, memory: bool | None, side: int) -> None:
    tiles = some_tiles(3, 8)
    write(tmp_path, tiles, RGB, 8)
    view = _view(tmp_path, RGB, memory, size_px=side)
    assert view.spec.values == "intensity 0..255"
    for _ in range(2):  # from the files, then from memory
        found = view.read(_look(CENTERS)).numpy()
        for window, (x, y) in zip(found, CENTERS, strict=True):
            assert np.array_equal(window, truth_at(tiles, x - side // 2, y - side // 2, side, side))
    turned = view.read(_look(CENTERS[:1], angle=torch.tensor([np.pi / 2]))).numpy()[0]
    straight = view.read(_look(CENTERS[:1])).numpy()[0]
    assert np.array_equal(turned, np.rot90(straight, axes=(1, 2)))


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize(("size_px", "scale"), [(64, 1.0), (64, 3.0), (32, 6.0)])
def test_windows_of_meters_of_eight_bits_are_means(
    tmp_path: Path, memory: bool, size_px: int, scale: float
) -> None:
    """Oracle: a smooth picture, whose value at any position is known in closed form."""
    y, x = np.mgrid[0:768, 0:1024]
    ramp = np.stack([x / 5.0, y / 4.0, 20 + x / 10 + y / 10], axis=2)
    tiles = {
        (62 + column, 127 + row): ramp[row * 256 :, column * 256 :][:256, :256].round().astype(np.uint8)
        for row in range(3)
        for column in range(4)
    }
    write(tmp_path, tiles, RGB, 8)
    center = (62 * 256 + 500.0, 127 * 256 + 380.0)
    lonlat = tile_xy_to_lonlat(np.array([center]) / 256.0, ZOOM)
    from placevec.geo import meters_per_pixel

    size_m = float(size_px * scale * meters_per_pixel(lonlat[0, 1], ZOOM))
    view = _view(tmp_path, RGB, memory, size_px=size_px, size_m=size_m)
    for angle in (0.0, 0.5):
        found = view.read(_look([center], angle=torch.tensor([angle]))).numpy()[0].astype(float)
        # a pixel's position from the middle of the window, turned clockwise as the map turns counter-clockwise
        across, down = np.meshgrid(*[(np.arange(size_px) - (size_px - 1) / 2) * scale] * 2)
        px = 499.5 + across * np.cos(angle) - down * np.sin(angle)
        py = 379.5 + across * np.sin(angle) + down * np.cos(angle)
        expected = np.stack([px / 5.0, py / 4.0, 20 + px / 10 + py / 10])
        assert np.abs(found - expected).max() < 2.0


def test_a_map_may_lie_on_both_sides_of_the_antimeridian(tmp_path: Path) -> None:
    tiles = some_tiles(3, 8, corner=(2**ZOOM - 2, 100))
    write(tmp_path, tiles, RGB, 8)
    with rasterio.open(tmp_path / "map.vrt") as file:
        assert file.width <= 64 * 256
        left, top = (round(value) for value in ~file.transform @ (-20037508.342789244, 20037508.342789244))
        shown = file.read(window=Window(2**ZOOM * 256 + left, 100 * 256 + top, 256, 256))
    assert np.array_equal(shown, tiles[0, 100].transpose(2, 0, 1))
    assert tile_ranges_of(np.array([[5, 1], [9, 3]]), ZOOM) == [(5, 1, 9, 3)]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".work" not in path.parts
    }


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    tiles = some_tiles(3, 8)
    whole = write(tmp_path / "whole", tiles, RGB, 8)
    asked: list[tuple[int, int]] = []

    def stopping(after: int) -> Callable[[int, int], np.ndarray | None]:
        def read(x: int, y: int) -> np.ndarray | None:
            asked.append((x, y))
            if len(asked) == after:
                raise KeyboardInterrupt
            return tiles.get((x, y))

        return read

    out = tmp_path / "stopped"
    out.mkdir()
    options = {
        "zoom": ZOOM, "channels": RGB, "bits": 8, "shards": shards_of(np.array(list(tiles))),
        "attribution": "© somebody", "fingerprint": {"a": 1},
    }  # fmt: skip
    for after in (10, 4096 + 4095, 2 * 4096 + 100):
        with pytest.raises(KeyboardInterrupt):
            write_tile_map(out, read=stopping(after), **options)
        assert not list(out.glob("map/.tmp-*"))
    again = write_tile_map(out, read=stopping(10**9), threads=4, **options)
    assert len(asked) < 4 * 4096 + 10 + 4095 + 4096  # what was finished was not read again
    assert _bytes(out) == _bytes(tmp_path / "whole")
    assert again.sha256 == whole.sha256
    assert np.array_equal(again.present, whole.present)
    (out / "map" / "0_1.tif").unlink()
    write_tile_map(out, read=stopping(10**9), **options)
    assert _bytes(out) == _bytes(tmp_path / "whole")


def test_other_inputs_start_afresh(tmp_path: Path) -> None:
    write(tmp_path, some_tiles(3, 8), RGB, 8)
    tiles = {key: pixels for key, pixels in some_tiles(3, 8, seed=1).items() if key[0] > 63}
    write(tmp_path, tiles, RGB, 8, fingerprint={"a": 2})
    write(tmp_path / "new", tiles, RGB, 8, fingerprint={"a": 2})
    here = {name: content for name, content in _bytes(tmp_path).items() if not name.startswith("new")}
    assert here == _bytes(tmp_path / "new")


def test_nothing_of_an_unfinished_burnt_map_stays(tmp_path: Path) -> None:
    """Its labels would be taken for those of the tiles, and its note would let it go on over their shards."""
    tiles = some_tiles(3, 8)
    old = [
        "landuse_coverage.tif",
        "pois.parquet",
        ".work/inputs.json",
        ".work/parts/0_1.arrow",
        "map/7_7.tif",
    ]
    for name in old:
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_bytes(b"{}")
    write(tmp_path / "a", tiles, RGB, 8)
    note = tmp_path / "a" / old.pop(2)
    assert json.loads(note.read_text())["zoom"] == ZOOM
    assert not any((tmp_path / "a" / name).exists() for name in old)
    write(tmp_path / "b", tiles, RGB, 8)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")


def test_what_cannot_be_written_is_rejected(tmp_path: Path) -> None:
    far = {
        (0, 0): np.ones((256, 256, 3), np.uint8),
        (2**ZOOM // 2, 2**ZOOM - 1): np.ones((256, 256, 3), np.uint8),
    }
    assert write(tmp_path / "a", far, RGB, 8).present.tolist() == [[0, 0], [2048, 4095]]
    with pytest.raises(AreaError, match="too wide"):
        write_tile_map(
            tmp_path, zoom=20, channels=RGB, bits=8, shards=[(0, 0), (2**13, 2**14 - 1)], read=lambda x, y: None,
            attribution="", fingerprint={},
        )  # fmt: skip
    for wrong in (np.ones((512, 512, 3), np.uint8), np.ones((256, 256, 3), np.float32)):
        with pytest.raises(InputError, match="a tile has"):
            write(tmp_path / "b", {(1, 1): wrong}, RGB, 8)
    with pytest.raises(InputError, match="no tile"):
        write_tile_map(
            tmp_path,
            zoom=3,
            channels=RGB,
            bits=8,
            shards=[],
            read=lambda x, y: None,
            attribution="",
            fingerprint={},
        )
