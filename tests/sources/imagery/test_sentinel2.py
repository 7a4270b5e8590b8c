"""Chips out of scenes: what was written is what is read, and scenes that fail."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from placevec.errors import SourceError
from placevec.sources.imagery import signing
from placevec.sources.imagery.ground import Square
from placevec.sources.imagery.scenes import Asset, Scene
from placevec.sources.imagery.sentinel2 import SceneReader
from placevec.sources.imagery.stac import StacQuery, client_for, find_scenes
from tests.sources.imagery.range_server import Asked, Reply, as_json, serving
from tests.sources.imagery.small_scenes import (
    BANDS,
    EPSG,
    LEFT,
    TOP,
    ground,
    item_of,
    pixel_centers,
    write_scene,
)

SQUARE = Square(EPSG, LEFT + 1_000, TOP - 1_500, 10.0, 50)
FAR = Square(EPSG, LEFT + 3_000, TOP - 3_000, 10.0, 50)


def dark_lake(band: str, x: Any, y: Any) -> Any:
    """The ground, with a lake in a corner: so dark that its pixels tell whether the offset is in them."""
    return np.where((x < LEFT + 800) & (y > TOP - 800), 150.0, ground(band, x, y))


def scene_of(
    folder: Path, name: str = "a", *, item: dict[str, Any] | None = None, **options: Any
) -> tuple[str, Scene]:
    """A scene on disk, found through its item."""
    files = write_scene(folder, name, **options)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(item_of(name, files, **(item or {}))))
    query = StacQuery([(24.8, 60.0, 25.2, 60.3)], BANDS)
    return str(path), find_scenes(str(path), query, client_for(str(path))).scenes[0]


def expected(square: Square = SQUARE, bands: tuple[str, ...] = BANDS) -> Any:
    x, y = pixel_centers(square.left, square.top, square.resolution, (square.size_px, square.size_px))
    return np.stack([np.rint(ground(band, x, y)) for band in bands])


@pytest.mark.parametrize(
    ("added", "item"),
    [
        (0, {"baseline": "03.01"}),
        (0, {"baseline": "05.09", "applied": True, "offset": -0.1}),  # declared, though it is applied
        (0, {"baseline": "05.09", "applied": False}),  # the flag is wrong
        (1000, {"baseline": "05.09", "applied": False, "offset": -0.1}),
        (1000, {"baseline": "04.00"}),
        (
            1000,
            {"baseline": "05.00", "when": "2019-07-01T00:00:00Z"},
        ),  # processed again: the date does not tell
    ],
)
def test_the_offset_is_removed_exactly_once(tmp_path: Path, added: int, item: dict[str, Any]) -> None:
    """Oracle: the ground, whose numbers the scenes hold with or without the offset, and say so or not."""
    address, scene = scene_of(tmp_path, added=added, numbers=dark_lake, item=item)
    with SceneReader(address, BANDS) as reader:
        first, second = reader.read(scene, [SQUARE, FAR])
        again = reader.read(scene, [SQUARE])[0]
        assert reader.decisions[scene.id].added == -added
    np.testing.assert_array_equal(first.pixels, expected())
    np.testing.assert_array_equal(second.pixels, expected(FAR))
    np.testing.assert_array_equal(again.pixels, first.pixels)
    assert not first.empty.any()


def test_coarser_bands_lie_over_finer_ones_and_classes_are_not_mixed(tmp_path: Path) -> None:
    bands = (*BANDS, "B11")

    def classes(x: Any, y: Any) -> Any:
        return np.where(x < LEFT + 1_200, 9, 4)

    address, scene = scene_of(tmp_path, bands=bands, classes=classes, item={"baseline": "03.00"})
    with SceneReader(address, bands) as reader:
        chip = reader.read(scene, [SQUARE])[0]
    np.testing.assert_allclose(chip.pixels, expected(bands=bands), atol=1)
    assert chip.classes is not None
    assert set(np.unique(chip.classes)) == {4.0, 9.0}
    assert (chip.classes[:, :20] == 9).all()
    assert (chip.classes[:, 20:] == 4).all()


def test_where_one_band_has_no_data_none_has(tmp_path: Path) -> None:
    address, scene = scene_of(tmp_path, item={"baseline": "03.00"})
    with rasterio.open(tmp_path / "a_B04.tif", "r+") as file:
        pixels = file.read(1)
        pixels[160:170, 110:115] = 0
        file.write(pixels, 1)
    with SceneReader(address, BANDS) as reader:
        chip = reader.read(scene, [SQUARE])[0]
    assert chip.empty.sum() == 50
    assert (chip.pixels[:, 10:20, 10:15] == 0).all()
    assert (chip.pixels[:, ~chip.empty] > 0).all()


def test_what_is_darker_than_nothing_stays_data(tmp_path: Path) -> None:
    """Reflectance below zero: numbers under 1,000 that still hold the offset become 1, and 0 stays no data."""
    address, scene = scene_of(tmp_path, numbers=lambda band, x, y: np.where(x < LEFT + 2_000, 980.0, 2_000.0))
    with SceneReader(address, BANDS, forced=-1000) as reader:
        chip = reader.read(scene, [SQUARE])[0]
        assert reader.decisions[scene.id].reason == "given"
    assert (chip.pixels == 1).all()


def test_reflectances_are_scaled(tmp_path: Path) -> None:
    """Oracle: the ground, stored as float32 reflectance, or as numbers with a scale of their own."""
    x, y = pixel_centers(LEFT, TOP, 10, (400, 400))
    for name, dtype, scale, asset in (("float", "float32", 1e-4, None), ("twentieth", "uint16", 0.5, 0.0002)):
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", width=400, height=400, count=1, dtype=dtype, nodata=0,
            crs=f"EPSG:{EPSG}", transform=from_origin(LEFT, TOP, 10, 10),
        ) as file:  # fmt: skip
            file.write((2 * np.rint(ground("B02", x, y) / 2) * scale).astype(dtype), 1)
        bands = {"B02": Asset(str(tmp_path / f"{name}.tif"), 1, asset)}
        scene = Scene(name, "", "2023-07-01", (24, 60, 26, 61), bands, None, None, "03.00")
        with SceneReader("", ["B02"]) as reader:
            chip = reader.read(scene, [SQUARE])[0]
        np.testing.assert_allclose(chip.pixels, expected(bands=("B02",)), atol=1)


def test_over_http_only_what_is_needed_is_read_and_each_file_opened_once(tmp_path: Path) -> None:
    address, local = scene_of(tmp_path, numbers=dark_lake, item={"baseline": "03.00"})
    size = sum(path.stat().st_size for path in tmp_path.glob("*.tif"))
    with serving(tmp_path) as server:
        query = StacQuery([(24.8, 60.0, 25.2, 60.3)], BANDS)
        remote = find_scenes(f"{server.url}/a.json", query, client_for(server.url)).scenes[0]
        with SceneReader(server.url, BANDS, connections=2) as reader:
            chips = [reader.read(remote, [SQUARE, FAR])[at] for at in (0, 1)] + reader.read(remote, [SQUARE])
        asked = dict(server.asked)
        assert server.sent < 2 * size
    with SceneReader(address, BANDS) as reader:
        for chip, wanted in zip(chips, reader.read(local, [SQUARE, FAR, SQUARE]), strict=True):
            np.testing.assert_array_equal(chip.pixels, wanted.pixels)
    assert {path for path in asked if "tif" in path} == {f"/a_{band}.tif" for band in BANDS}
    starts = [number for path, number in asked.items() if path.endswith(".tif")]
    assert max(starts) <= 4


def test_cloud_optimized_geotiffs_are_read_in_parts(tmp_path: Path) -> None:
    """Files of GDAL's own COG driver, with overviews; oracles: the ground, and GDAL reading the file on disk."""
    _, local = scene_of(tmp_path, side_m=12_000, item={"baseline": "03.00", "side_m": 12_000})
    for path in tmp_path.glob("*.tif"):
        plain, noise = path.with_suffix(".plain"), np.random.default_rng(0)
        path.rename(plain)
        with rasterio.open(plain) as file:
            pixels = file.read(1)
            pixels[400:] = noise.integers(
                1_000, 9_000, pixels[400:].shape
            )  # below the square: does not compress
            about = {**file.profile, "driver": "COG", "blocksize": 128, "overviews": "AUTO"}
        for name in ("tiled", "blockxsize", "blockysize", "interleave"):
            about.pop(name, None)
        with rasterio.open(path, "w", **about) as file:
            file.write(pixels, 1)
        with rasterio.open(path) as file:
            assert file.overviews(1) == [2, 4, 8, 16]
    size = sum(path.stat().st_size for path in tmp_path.glob("*.tif"))
    with serving(tmp_path) as server:
        query = StacQuery([(24.8, 60.0, 25.2, 60.3)], BANDS)
        remote = find_scenes(f"{server.url}/a.json", query, client_for(server.url)).scenes[0]
        with SceneReader(server.url, BANDS) as reader:
            chip = reader.read(remote, [SQUARE])[0]
        assert server.sent < 0.5 * size
    with rasterio.open(local.bands["B04"].href) as file:
        corner = file.index(SQUARE.left + 5, SQUARE.top - 5)
        part = file.read(1, window=((corner[0], corner[0] + 50), (corner[1], corner[1] + 50)))
    np.testing.assert_array_equal(chip.pixels[BANDS.index("B04")], part)
    np.testing.assert_array_equal(chip.pixels, expected())


def test_files_that_need_a_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers 403 without the signature that it gave last, as Planetary Computer documents it."""
    scene_of(tmp_path, item={"baseline": "03.00"})
    given: list[str] = []
    monkeypatch.setattr("placevec.sources.imagery.range_file.PAGE", 2**12)

    def answering(asked: Asked) -> Reply | None:
        parts = urlsplit(asked.path)
        told = parse_qs(parts.query)
        if parts.path == "/sign":
            given.append(told["href"][0])
            soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(
                seconds=signing.EARLY_S
            )  # at once too old
            return as_json({"msft:expiry": soon.isoformat(), "href": f"{told['href'][0]}?sig={len(given)}"})
        if parts.path.endswith(".tif") and told.get("sig") != [str(len(given))]:
            return Reply(403)
        return None

    with serving(tmp_path, answering) as server:
        query = StacQuery([(24.8, 60.0, 25.2, 60.3)], BANDS)
        remote = find_scenes(f"{server.url}/a.json", query, client_for(server.url)).scenes[0]
        with SceneReader(server.url, BANDS, connections=1, signer=f"{server.url}/sign") as reader:
            np.testing.assert_array_equal(reader.read(remote, [SQUARE])[0].pixels, expected())
        assert set(given) == {f"{server.url}/a_{band}.tif" for band in BANDS}
        assert len(given) > len(BANDS)
        with (
            SceneReader(server.url, BANDS) as reader,
            pytest.raises(SourceError, match="the server responded with 403"),
        ):
            reader.read(remote, [SQUARE])
        wrong = ('{"href": 5}', '{"href": "ftp://x/a"}', '{"href": "http://x/a", "msft:expiry": "?"}')
        for body in (b"<html>", b"[]", *map(str.encode, wrong)):
            server.answering = lambda asked, body=body: Reply(200, body) if "/sign" in asked.path else None
            with (
                SceneReader(server.url, BANDS, signer=f"{server.url}/sign") as reader,
                pytest.raises(
                    SourceError, match=r"/sign returned no signed address for http://.*/a_B\d+\.tif$"
                ),
            ):
                reader.read(remote, [SQUARE])


@pytest.mark.parametrize("kind", ["gone", "cut", "replaced", "garbage"])
def test_a_scene_that_dies_in_the_middle_is_one_line(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file answers its first request, and then no more."""
    monkeypatch.setattr("placevec.sources.patience.FIRST_WAIT_S", 0.0)
    noise = np.random.default_rng(0)

    def rough(band: str, x: Any, y: Any) -> Any:
        return 2_000 + noise.integers(0, 500, x.shape)  # does not compress into the first page

    scene_of(tmp_path, numbers=rough, item={"baseline": "03.00"})

    def dies(asked: Asked) -> Reply | None:
        if asked.before == 0 or "B04" not in asked.path:
            return None
        first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        size = (tmp_path / "a_B04.tif").stat().st_size
        span = {"Content-Range": f"bytes {first}-{min(last, size - 1)}/{size}"}
        body = bytes(min(last, size - 1) - first + 1)
        etag = {"ETag": f'"{(tmp_path / "a_B04.tif").stat().st_mtime_ns}"'}
        return {
            "gone": Reply(404),
            "cut": Reply(206, body, {**span, **etag}, cut=10),
            "replaced": Reply(206, body, {**span, "ETag": '"other"'}),
            "garbage": Reply(206, body, {**span, **etag}),
        }[kind]

    with serving(tmp_path, dies) as server:
        query = StacQuery([(24.8, 60.0, 25.2, 60.3)], BANDS)
        scene = find_scenes(f"{server.url}/a.json", query, client_for(server.url)).scenes[0]
        with (
            SceneReader(server.url, BANDS) as reader,
            pytest.raises(SourceError, match=r"the scene a: .*a_B04\.tif"),
        ):
            reader.read(scene, [SQUARE, FAR])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float64"}, "pixels of type float64"),
        ({"dtype": "complex64"}, "pixels of type complex64"),
        ({"crs": None}, "location is unknown"),
        ({"count": 0}, "has 1 bands, and no band 2"),
        ({"bytes": b"II*\0 and no more"}, "cannot be read"),
        ({"bytes": b"<VRTDataset rasterXSize='4' rasterYSize='4'/>"}, "cannot be read"),
        ({"gone": True}, "does not exist"),
    ],
)
def test_files_that_are_no_scene(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.tif"
    if "bytes" in change:
        path.write_bytes(change["bytes"])
    elif "gone" not in change:
        with rasterio.open(
            path, "w", driver="GTiff", width=8, height=8, count=1, dtype=change.get("dtype", "uint16"),
            crs=change.get("crs", "EPSG:32635"), transform=from_origin(LEFT, TOP, 10, 10),
        ) as file:  # fmt: skip
            file.write(np.ones((1, 8, 8), change.get("dtype", "uint16")))
    asset = Asset(str(path), 2 if "count" in change else 1)
    scene = Scene("a", "", "2023-07-01", (24, 60, 26, 61), {"B02": asset}, None, None, "03.00")
    with SceneReader("", ["B02"]) as reader, pytest.raises(SourceError, match=message):
        reader.read(scene, [SQUARE])
