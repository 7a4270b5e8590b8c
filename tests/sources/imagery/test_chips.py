"""Folders and zip files of image chips: what rasterio wrote is what is read, real files, and files that lie."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.io import MemoryFile

from placevec.errors import SourceError, UsageError
from placevec.sources.imagery import chips as sentinel2_chips
from placevec.sources.imagery.chips import (
    ORDERS,
    Ground,
    chip_centers,
    decode_chip,
    folders_of,
    open_chips,
)

UTM = Affine(10.0, 0.0, 400_000.0, 0.0, -10.0, 6_672_000.0)


def geotiff(pixels: np.ndarray[Any, Any], *, crs: str | None = "EPSG:32635", transform: Affine = UTM,
            names: list[str] | None = None, date: str | None = None, driver: str = "GTiff") -> bytes:  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(
            driver=driver, width=pixels.shape[2], height=pixels.shape[1], count=len(pixels),
            dtype=pixels.dtype, crs=crs, transform=transform,
        ) as file:  # fmt: skip
            file.write(pixels)
            if names:
                file.descriptions = names
            if date:
                file.update_tags(TIFFTAG_DATETIME=date)
        return bytes(memory.read())


def pixels(seed: int = 0, bands: int = 3, side: int = 8) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 10000, (bands, side, side)).astype(np.uint16)


def test_a_folder_and_a_zip_of_it_are_the_same(tmp_path: Path) -> None:
    """Oracle: the arrays that rasterio wrote."""
    folder = tmp_path / "chips"
    for name in ("Forest/b", "Forest/a", "River/c"):
        path = folder / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(geotiff(pixels(ord(name[-1]))))
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.tif").write_bytes(b"")
    archive = tmp_path / "chips.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(folder))
    for source in (folder, archive):
        files = open_chips(source)
        assert files.names == ("Forest/a", "Forest/b", "River/c")
        assert list(folders_of(files.names)) == ["Forest", "Forest", "River"]
        found = files.read(1)
        assert found.pixels.dtype == np.uint16
        assert np.array_equal(found.pixels, pixels(ord("b")))
        assert (found.name, found.crs, found.bands) == ("Forest/b", "EPSG:32635", ORDERS["rgb"])
        assert found.transform == tuple(UTM)[:6]
    before = open_chips(folder).fingerprint
    (folder / "River/c.tif").write_bytes(geotiff(pixels(9, side=9)))
    assert open_chips(folder).fingerprint != before


def test_where_chips_lie() -> None:
    """Oracle: pyproj on the middle by hand, its geodesics for the shorter side; across the antimeridian too."""
    from pyproj import Geod, Transformer

    there = Transformer.from_crs("EPSG:32635", "EPSG:4326", always_xy=True)
    east, north = 400_000.0, 6_672_000.0
    edge = Transformer.from_crs("EPSG:4326", "EPSG:32660", always_xy=True).transform(179.999, -17.0)
    degrees = (0.001, 0.0, 179.9995, 0.0, -0.001, 10.0)
    lonlat, sides = chip_centers(
        [
            Ground("EPSG:32635", tuple(UTM)[:6], (64, 32)),
            Ground("EPSG:4326", degrees, (64, 32)),  # runs off the map
            Ground("", None, (64, 32)),
            Ground("EPSG:99999", tuple(UTM)[:6], (64, 32)),
            Ground("EPSG:32660", (10.0, 0.0, edge[0], 0.0, -10.0, edge[1]), (64, 64)),
        ]
    )
    assert lonlat[0].tolist() == pytest.approx(there.transform(east + 320, north - 160), abs=1e-9)
    top, bottom = (there.transform(east + 320, y) for y in (north, north - 320))
    assert sides[0] == pytest.approx(Geod(ellps="WGS84").inv(*top, *bottom)[2], rel=1e-6)
    assert not np.isfinite(lonlat[1:4]).any()
    assert not np.isfinite(sides[1:4]).any()
    assert lonlat[4, 0] == pytest.approx(-179.998, abs=1e-3)
    assert sides[4] == pytest.approx(640, rel=2e-3)


def test_names_of_bands(tmp_path: Path) -> None:
    """Oracle: what the file says, then how many there are, unless the user says."""
    (tmp_path / "a.tif").write_bytes(geotiff(pixels(bands=2), names=["VV", "VH"]))
    (tmp_path / "b.tif").write_bytes(geotiff(pixels(bands=2), names=["same", "same"]))
    (tmp_path / "c.tif").write_bytes(geotiff(pixels(bands=12)))
    files = open_chips(tmp_path)
    assert [files.read(at).bands for at in range(2)] == [("VV", "VH"), ("band1", "band2")]
    assert files.read(2).bands == ORDERS["l2a"]
    assert open_chips(tmp_path, "red,green").read(0).bands == ("red", "green")
    for wrong in ("red,red", "", "a/b", ",".join(map(str, range(65)))):
        with pytest.raises(UsageError, match="distinct names"):
            open_chips(tmp_path, wrong)


@pytest.mark.parametrize("order", ["eurosat", "l1c"])
def test_thirteen_bands_are_in_the_order_that_makes_cirrus_dark(tmp_path: Path, order: str) -> None:
    chip = pixels(bands=13) + 100
    chip[ORDERS[order].index("B10")] = 12
    (tmp_path / "a.tif").write_bytes(geotiff(chip))
    assert open_chips(tmp_path).read(0).bands == ORDERS[order]


def test_dates_and_chips_that_lie_nowhere() -> None:
    assert decode_chip("a", geotiff(pixels(), date="2017:06:13 10:10:31"), {}).date == "2017-06-13"
    assert decode_chip("a", geotiff(pixels(), date="2017:13:45 10:10:31"), {}).date is None
    for crs, transform in ((None, UTM), ("EPSG:32635", Affine.identity())):
        found = decode_chip("a", geotiff(pixels(), crs=crs, transform=transform), {})
        assert (found.crs, found.transform) == ("", None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the image 'a' is not a GeoTIFF"),
        (b"II*\0" + b"\xff" * 60, "the image 'a' is not a GeoTIFF"),
        (geotiff(pixels(side=64))[:-2000], "the image 'a' is not a GeoTIFF"),
        (geotiff(pixels().astype(np.uint8), driver="PNG", crs=None), "the image 'a' is not a GeoTIFF"),
        (b'<VRTDataset rasterXSize="1" rasterYSize="1"/>', "the image 'a' is not a GeoTIFF"),
        (geotiff(pixels().astype(np.float64)), "float64"),
        (geotiff(pixels(bands=65, side=2)), "65 bands"),
    ],
)
def test_files_that_are_no_chips(content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        decode_chip("a", content, {})


def test_files_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tif").write_bytes(geotiff(pixels()))
    monkeypatch.setattr(sentinel2_chips, "MAX_FILE_BYTES", 300)
    with pytest.raises(SourceError, match="too large for a chip"):
        open_chips(tmp_path).read(0)
    with pytest.raises(SourceError, match="unpack to 384 bytes"):
        decode_chip("a", geotiff(pixels()), {})


def test_folders_and_archives_that_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no GeoTIFF"):
        open_chips(tmp_path)
    with pytest.raises(SourceError, match="there is no folder or zip"):
        open_chips(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + b"\xff" * 50)
    with pytest.raises(SourceError, match="not a zip file"):
        open_chips(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("x.tif", geotiff(pixels()))
        archive.writestr("x.tiff", geotiff(pixels()))
    with pytest.raises(SourceError, match="two images named 'x'"):
        open_chips(tmp_path / "twice.zip")


def test_members_that_are_damaged_or_point_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../outside.tif", geotiff(pixels()))
        archive.writestr("torn.tif", geotiff(pixels(1, side=64)))
    files = open_chips(path)
    assert np.array_equal(files.read(0).pixels, pixels())  # a name, and never a path
    assert not list(tmp_path.parent.glob("outside*"))
    content = bytearray(path.read_bytes())
    at = content.index(b"torn.tif") + 200
    content[at : at + 50] = b"\xff" * 50
    path.write_bytes(bytes(content))
    with pytest.raises(SourceError, match="cannot be unpacked"):
        open_chips(path).read(1)


def test_real_chips(shared_data: Path) -> None:
    """Oracle: rasterio's own reading, the index that came with SatCLIP's chips, EuroSAT's known extent."""
    import pandas as pd

    folder = shared_data / "sentinel2"
    euro = open_chips(folder / "eurosat_ms_200.zip")
    assert len(euro) == 200
    assert sorted(set(folders_of(euro.names)))[:2] == ["AnnualCrop", "Forest"]
    chip = euro.read(0)
    assert (chip.pixels.shape, chip.bands[-1]) == ((13, 64, 64), "B8A")
    assert euro.ground(0) == (chip.crs, chip.transform, (64, 64))
    where, sides = chip_centers([euro.ground(0)])
    assert sides[0] == pytest.approx(640, rel=0.01)
    assert -9 < where[0, 0] < 33 and 35 < where[0, 1] < 64  # noqa: PT018
    patches = open_chips(folder / "satclip_s2l2a")
    index = pd.read_csv(folder / "satclip_s2l2a" / "index.csv").set_index("fn")
    for at in (0, 8):
        chip = patches.read(at)
        with rasterio.open(folder / "satclip_s2l2a" / f"{chip.name}.tif") as file:
            assert np.array_equal(chip.pixels, file.read())
        where, _ = chip_centers([patches.ground(at)])
        row = index.loc[f"{chip.name}.tif"]
        assert where[0].tolist() == pytest.approx([row.lon, row.lat], abs=0.03)
