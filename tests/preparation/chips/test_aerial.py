"""Images cut into chips.

Oracle: images whose numbers are their own coordinates (meters east and north of a corner), however they are laid out, so
that a chip must hold the coordinates of its pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio import Affine

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.errors import SourceError, UsageError
from placevec.sources.imagery.ground import between

EPSG, LEFT, TOP, SIDE = 32635, 384_000.0, 6_672_000.0, 120
"""Four kilometers in the east of Helsinki, in pixels of 10 m around it."""


def coordinates(transform: Affine, shape: tuple[int, int]) -> np.ndarray:
    """(2, H, W) meters east of `LEFT` and south of `TOP` at the centers of pixels, in steps of 10 m, from 20 on."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    x, y = transform * (columns, rows)
    return np.stack([(x - LEFT) / 10.0 + 20.0, (TOP - y) / 10.0 + 20.0])


def write(path: Path, transform: Affine, *, dtype: str = "float32", **options: Any) -> Path:
    pixels = coordinates(transform, (SIDE, SIDE))
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "dtype": dtype, "crs": f"EPSG:{EPSG}"}
    alpha = options.pop("alpha", None)
    with rasterio.open(
        path, "w", **{**profile, "transform": transform, "count": 2 + (alpha is not None), **options}
    ) as file:
        if alpha is not None:
            file.colorinterp = [*file.colorinterp[:2], rasterio.enums.ColorInterp.alpha]
            file.write(alpha.astype(dtype), 3)
        file.write(pixels[0].astype(dtype), 1)
        file.write(pixels[1].astype(dtype), 2)
    return path


NORTH_UP = Affine(10.0, 0.0, LEFT, 0.0, -10.0, TOP)
BOTTOM_UP = Affine(10.0, 0.0, LEFT, 0.0, 10.0, TOP - 10.0 * SIDE)
ROTATED = Affine.translation(LEFT + 600.0, TOP + 200.0) @ Affine.rotation(-45.0) @ Affine.scale(12.0, -12.0)


@pytest.fixture
def cells(tmp_path: Path) -> Callable[..., Dataset]:
    """Five cells of 160 m: three inside, one half outside, one far away."""
    x = LEFT + np.array([400.0, 600.0, 800.0, 0.0, 9000.0])
    y = TOP - np.array([500.0, 620.0, 500.0, 600.0, 600.0])
    lon, lat = between(EPSG, 4326).transform(x, y)
    rows = [f"{name},{a:.8f},{b:.8f}" for name, a, b in zip("abcde", lon, lat, strict=True)]
    (tmp_path / "cells.csv").write_text("\n".join(["place_id,lon,lat", *rows]))

    def prepared(*images: Path, out: str = "dataset", **options: Any) -> Dataset:
        return api.prepare(
            "mmgr", out=tmp_path / out, places=tmp_path / "cells.csv", size_m=160, aerial=images, aerial_px=32,
            **options,
        )  # fmt: skip

    return prepared


def chips_of(dataset: Dataset) -> dict[str, np.ndarray]:
    view = dataset.view("aerial")
    pixels = view.read(Look(torch.arange(len(dataset)))).numpy()
    return {
        name: chip for name, chip, there in zip(dataset.place_ids, pixels, view.known, strict=True) if there
    }


@pytest.mark.parametrize(
    "transform", [NORTH_UP, BOTTOM_UP, ROTATED], ids=["north-up", "bottom-up", "rotated"]
)
def test_a_chip_holds_the_coordinates_of_its_pixels(
    cells: Callable[..., Dataset], tmp_path: Path, transform: Affine
) -> None:
    dataset = cells(write(tmp_path / "image.tif", transform), aerial_values="stored")
    found = chips_of(dataset)
    assert {"a", "b", "c"} <= set(found) <= {"a", "b", "c", "d"}
    assert dataset.spec("aerial").size_m == 160.0
    east, south = found["a"]
    np.testing.assert_allclose(east.mean(0), 20 + 40 + (np.arange(32) - 15.5) * 0.5, atol=0.3)
    np.testing.assert_allclose(south.mean(1), 20 + 50 + (np.arange(32) - 15.5) * 0.5, atol=0.3)


def test_places_without_enough_data(cells: Callable[..., Dataset], tmp_path: Path) -> None:
    """Half outside: dropped, or kept with zeros where nothing is; the report counts both kinds."""
    image = write(tmp_path / "image.tif", NORTH_UP)
    dataset = cells(image)
    told = dataset.manifest["report"]["aerial"]
    assert told["places_without"] == {
        "outside the images": 1, "with too little data": 1, "without coordinates": 0,
    }  # fmt: skip
    kept = cells(image, out="kept", aerial_max_nodata=0.6, aerial_values="stored")
    half = chips_of(kept)["d"]
    assert not half[:, :, :15].any()
    assert (half[:, :, 17:] > 19).all()


def test_the_first_image_with_data_counts(cells: Callable[..., Dataset], tmp_path: Path) -> None:
    """Nodata and alpha are seen through to the image below, whose numbers are larger by 100."""
    alpha = np.full((SIDE, SIDE), 255.0)
    alpha[:, 60:] = 0.0
    first = write(tmp_path / "1.tif", NORTH_UP, dtype="uint8", alpha=alpha)
    below = NORTH_UP
    with rasterio.open(
        tmp_path / "2.tif", "w", driver="GTiff", width=SIDE, height=SIDE, count=3, dtype="uint8",
        crs=f"EPSG:{EPSG}", transform=below,
    ) as file:  # fmt: skip
        file.colorinterp = [*file.colorinterp[:2], rasterio.enums.ColorInterp.alpha]
        file.write((coordinates(below, (SIDE, SIDE)) + 100).astype("uint8"), [1, 2])
        file.write(np.full((SIDE, SIDE), 255, "uint8"), 3)
    found = chips_of(cells(first, tmp_path / "2.tif", aerial_values="stored"))
    assert found["a"].max() < 100 < found["c"][0].min()
    assert found["b"][0, :, :15].max() < 100 < found["b"][0, :, 17:].min()


def test_nodata_and_another_resolution(cells: Callable[..., Dataset], tmp_path: Path) -> None:
    """A finer image without data in its eastern half, over a coarser one: the coordinates are those of one image."""
    fine = write(tmp_path / "1.tif", Affine(5.0, 0.0, LEFT + 100.0, 0.0, -5.0, TOP - 200.0), nodata=-1.0)
    with rasterio.open(fine, "r+") as file:
        pixels = file.read()
        pixels[:, :, 60:] = -1.0
        file.write(pixels)
    found = chips_of(cells(fine, write(tmp_path / "2.tif", NORTH_UP), aerial_values="stored"))
    east, south = found["a"]
    np.testing.assert_allclose(east.mean(0), 20 + 40 + (np.arange(32) - 15.5) * 0.5, atol=0.3)
    np.testing.assert_allclose(south.mean(1), 20 + 50 + (np.arange(32) - 15.5) * 0.5, atol=0.3)


def test_numbers_of_sixteen_bits_are_scaled(cells: Callable[..., Dataset], tmp_path: Path) -> None:
    """By percentiles 1 and 99 of each band, which the report keeps; numpy's percentiles of the whole image."""
    image = write(tmp_path / "image.tif", NORTH_UP, dtype="uint16")
    dataset = cells(image)
    limits = dataset.manifest["report"]["aerial"]["limits"]
    pixels = coordinates(NORTH_UP, (SIDE, SIDE)).astype("uint16").reshape(2, -1)
    np.testing.assert_allclose(limits, np.percentile(pixels, [1, 99], axis=1).T, atol=1.0)
    east = chips_of(dataset)["a"][0]
    expected = 1 + 254 * (60.0 - limits[0][0]) / (limits[0][1] - limits[0][0])
    assert abs(east.mean() - expected) < 3
    assert dataset.spec("aerial").values.startswith("uint8, percentiles")


def test_the_polygon_masks(tmp_path: Path) -> None:
    corner = between(EPSG, 4326).transform(
        [LEFT + 400.0, LEFT + 480.0, LEFT + 480.0], [TOP - 500.0, TOP - 500.0, TOP - 420.0]
    )
    ring = ", ".join(f"[{lon:.8f}, {lat:.8f}]" for lon, lat in zip(*corner, strict=True))
    ring += f", {ring.split('], ')[0]}]"
    (tmp_path / "cells.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"id": "t"}, "geometry": '
        f'{{"type": "Polygon", "coordinates": [[{ring}]]}}}}]}}'
    )
    image = write(tmp_path / "image.tif", NORTH_UP)
    dataset = api.prepare(
        "mmgr", out=tmp_path / "dataset", places=tmp_path / "cells.geojson", size_m=100, aerial=(image,),
        aerial_px=50, aerial_mask=True, aerial_values="stored",
    )  # fmt: skip
    covered = (chips_of(dataset)["t"][0] > 0).mean()
    assert covered == pytest.approx(80 * 80 / 2 / 100**2, abs=0.05)


def test_it_is_made_once_and_masks_nothing_else(cells: Callable[..., Dataset], tmp_path: Path) -> None:
    image = write(tmp_path / "image.tif", NORTH_UP)
    before = cells(image).manifest
    assert cells(image).manifest == before
    with pytest.raises(Exception, match=r"--aerial-max-nodata was 0\.25 and is 0\.5 now"):
        cells(image, aerial_max_nodata=0.5)


def test_what_is_refused(cells: Callable[..., Dataset], tmp_path: Path) -> None:
    good = write(tmp_path / "good.tif", NORTH_UP)
    bare = write(tmp_path / "bare.tif", NORTH_UP, crs=None)
    other = write(tmp_path / "other.tif", NORTH_UP, alpha=np.full((SIDE, SIDE), 255.0))
    (tmp_path / "text.tif").write_text("no image")
    (tmp_path / "empty").mkdir()
    far = write(tmp_path / "far.tif", Affine(10, 0, LEFT + 90_000, 0, -10, TOP))
    for number, (images, problem) in enumerate({
        (bare,): "has no coordinate reference system", (good, other): "has 3 bands of float32, but",
        (tmp_path / "text.tif",): "is not a readable image", (tmp_path / "empty",): "has no image",
        (tmp_path / "nowhere.tif",): "nowhere.tif", (far,): "no place lies in the images",
    }.items()):  # fmt: skip
        with pytest.raises(SourceError, match=problem):
            cells(*images, out=f"refused-{number}")
    with pytest.raises(SourceError, match="numbered from 1; requested"):
        cells(good, out="bands", aerial_bands=("3",))
    with pytest.raises(UsageError, match="--aerial-bands must be numbers from 1"):
        cells(good, out="words", aerial_bands=("red",))
    with pytest.raises(UsageError, match="--aerial-px applies to aerial images"):
        cells(out="none")
