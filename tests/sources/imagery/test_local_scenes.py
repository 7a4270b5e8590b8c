"""Scenes on this machine: SAFE folders, and GeoTIFFs of one band or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as raster_copy
from rasterio.transform import from_origin

from placevec.errors import SourceError
from placevec.sources.imagery.ground import Square
from placevec.sources.imagery.local_scenes import fingerprint_of, local_scenes, within_dates
from placevec.sources.imagery.sentinel2 import SceneReader
from tests.sources.imagery.small_scenes import BANDS, EPSG, LEFT, TOP, ground, pixel_centers, write_scene

SQUARE = Square(EPSG, LEFT + 200, TOP - 300, 10.0, 30)
PRODUCT = "S2B_MSIL2A_20230701T095031_N0509_R079_T35VLG_20230701T120000"
METADATA = """<n1:Level-2A_User_Product><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
<BOA_ADD_OFFSET_VALUES_LIST><BOA_ADD_OFFSET band_id="0">-1000</BOA_ADD_OFFSET></BOA_ADD_OFFSET_VALUES_LIST>
<Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment></n1:Level-2A_User_Product>"""


def expected(bands: tuple[str, ...] = BANDS) -> Any:
    x, y = pixel_centers(SQUARE.left, SQUARE.top, 10, (30, 30))
    return np.stack([np.rint(ground(band, x, y)) for band in bands])


def write_safe(folder: Path, tmp: Path) -> Path:
    """A product as ESA lays it out, in lossless JPEG 2000: B02 to B08 at 10 m, copies at 20 m, SCL."""
    names = write_scene(tmp / "raw", "x", side_m=800, added=1000, classes=lambda x, y: np.full(x.shape, 4))
    safe = folder / f"{PRODUCT}.SAFE"
    images = safe / "GRANULE" / "L2A_T35VLG_A033000_20230701T095031" / "IMG_DATA"
    for band, name in names.items():
        for meters in (20,) if band == "SCL" else (10, 20):
            target = images / f"R{meters}m" / f"T35VLG_20230701T095031_{band}_{meters}m.jp2"
            target.parent.mkdir(parents=True, exist_ok=True)
            raster_copy(tmp / "raw" / name, target, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    (safe / "MTD_MSIL2A.xml").write_text(METADATA)
    return safe


def test_a_safe_folder(tmp_path: Path) -> None:
    """Oracle: the ground; the offset and the clouds as the metadata say."""
    safe = write_safe(tmp_path / "scenes", tmp_path)
    for given in (safe, tmp_path / "scenes"):
        (scene,) = local_scenes([given], BANDS).scenes
        assert (scene.id, scene.tile, scene.baseline, scene.cloud) == (PRODUCT, "35VLG", "05.09", 12.5)
        assert scene.when == "2023-07-01T09:50:31Z"
        assert scene.bands["B02"].offset == pytest.approx(-0.1)
        assert all("R10m" in asset.href for asset in scene.bands.values())
    with SceneReader("", BANDS) as reader:
        chip = reader.read(scene, [SQUARE])[0]
        assert reader.decisions[scene.id].added == -1000
    np.testing.assert_array_equal(chip.pixels, expected())
    assert chip.classes is not None
    assert (chip.classes == 4).all()


def write_stack(path: Path, bands: tuple[str, ...], *, named: bool) -> None:
    x, y = pixel_centers(LEFT, TOP, 10, (80, 80))
    size = {"width": 80, "height": 80, "count": len(bands), "dtype": "uint16"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", crs=f"EPSG:{EPSG}", transform=from_origin(LEFT, TOP, 10, 10), **size
    ) as file:
        file.write(np.stack([np.rint(ground(band, x, y)) for band in bands]).astype(np.uint16))
        if named:
            file.descriptions = bands


@pytest.mark.parametrize("kind", ["one band a file", "named", "by number", "by the user"])
def test_geotiffs_of_one_band_and_of_several(tmp_path: Path, kind: str) -> None:
    folder, turned = tmp_path / "scenes", ("B08", "B04", "B03", "B02")
    if kind == "one band a file":
        write_scene(folder / "2023", "S2_20230701", side_m=800)
    else:
        write_stack(
            folder / "S2_20230701.tif", BANDS if kind == "by number" else turned, named=kind == "named"
        )
    (folder / "notes.txt").write_text("no scene")
    found = local_scenes([folder], BANDS, turned if kind == "by the user" else ())
    (scene,) = found.scenes
    assert (scene.id, scene.when, scene.baseline) == ("S2_20230701", "2023-07-01", None)
    with SceneReader("", BANDS, forced=0) as reader:
        np.testing.assert_array_equal(reader.read(scene, [SQUARE])[0].pixels, expected())
    assert within_dates(found, "2023-07-02", None).left_out == {"outside the dates": 1}
    assert within_dates(found, "2023-07-01", "2023-07-01").scenes == found.scenes


def test_what_is_no_scene_is_counted_or_refused(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", "good", side_m=800)
    write_scene(tmp_path / "b", "blind", side_m=800, bands=("B02", "B03"))
    (tmp_path / "a" / "bad.tif").write_bytes(b"II*\0 and no more")
    found = local_scenes([tmp_path / "a", tmp_path / "b"], BANDS)
    assert [scene.id for scene in found.scenes] == ["good"]
    assert found.left_out["without the band B04"] == 1
    assert sum(found.left_out.values()) == 2
    for given in (tmp_path / "b", tmp_path / "a" / "bad.tif"):
        with pytest.raises(SourceError, match="there is no scene in"):
            local_scenes([given], BANDS)
    with pytest.raises(SourceError, match="does not exist"):
        local_scenes([tmp_path / "none.tif"], BANDS)


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", "x", side_m=800)
    before = fingerprint_of([tmp_path / "a"])
    assert fingerprint_of([tmp_path / "a"]) == before
    (tmp_path / "a" / "x_B02.tif").write_bytes(b"II*\0")
    assert fingerprint_of([tmp_path / "a"]) != before
