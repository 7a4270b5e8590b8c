"""Images that a user gives: bands by name, the middle, the size in meters; and what does not fit is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from placevec.core import ViewSpec
from placevec.datasets.views.chips import READER as CHIPS
from placevec.datasets.views.raster.reader import READER as RASTER
from placevec.errors import InputError, PlacevecError
from placevec.sources.imagery.chips import Chip
from placevec.sources.imagery.single_image import read_image

SPEC = ViewSpec("satellite", "chips", ("B08", "B04"), "uint16 as stored", size_px=4)
MAP = ViewSpec("map", "raster", ("water", "roads"), "coverage 0..255", size_px=8, size_m=80.0, zoom=17)


def chip(pixels: np.ndarray, bands: tuple[str, ...] = (), pixel_m: float | None = None) -> Chip:
    transform = None if pixel_m is None else (pixel_m, 0.0, 386_000.0, 0.0, -pixel_m, 6_672_000.0)
    return Chip("one.tif", pixels, bands, "" if pixel_m is None else "EPSG:32635", transform, None)


def test_bands_by_name_and_the_middle() -> None:
    """Oracle: indices by hand: of six pixels the middle four, in the order of the model's bands."""
    pixels = np.arange(3 * 36, dtype=np.uint16).reshape(3, 6, 6)
    found = CHIPS.given_image(chip(pixels, ("B02", "B04", "B08")), SPEC).numpy()
    assert np.array_equal(found[0], pixels[[2, 1], 1:5, 1:5])
    assert np.array_equal(CHIPS.given_image(chip(pixels[:2]), SPEC)[0, 0], pixels[0, 1:5, 1:5])


def test_a_map_is_cut_to_the_meters_that_the_model_reads() -> None:
    """Oracle: 16 pixels of 10 m are 160 m, of which the middle 80 m are eight pixels; 0 and 1 are 0 and 255."""
    pixels = np.zeros((2, 16, 16), np.uint8)
    pixels[0, 4:12, 4:12] = 1
    found = RASTER.given_image(chip(pixels, ("water", "roads"), 10.0), MAP).numpy()
    assert found.shape == (1, 2, 8, 8)
    assert (found[0, 0] == 255).all()
    assert not found[0, 1].any()
    with pytest.raises(InputError, match="covers 32 m per side, but the model reads windows of 80 m"):
        RASTER.given_image(chip(pixels, ("water", "roads"), 2.0), MAP)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            chip(np.zeros((2, 6, 6), np.float32), ("B04", "B08")),
            "float32, but the model was trained on uint16",
        ),
        (chip(np.zeros((2, 6, 6), np.uint16), ("B04", "B03")), "has no band 'B08'"),
        (
            chip(np.zeros((2, 3, 6), np.uint16), ("B04", "B08")),
            "6 x 3 px, but the model needs at least 4 per side",
        ),
        (chip(np.zeros((5, 6, 6), np.uint16)), "5 bands without names"),
    ],
)
def test_what_does_not_fit(given: Chip, told: str) -> None:
    with pytest.raises(InputError, match=told):
        CHIPS.given_image(given, SPEC)


def test_files(tmp_path: Path) -> None:
    """A picture has its colors; pickles, bombs and other formats are refused in one line."""
    colors = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(colors).save(tmp_path / "one.png")
    found = read_image(tmp_path / "one.png")
    assert found.bands == ("red", "green", "blue")
    assert np.array_equal(found.pixels, colors.transpose(2, 0, 1))
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros((4, 4), np.uint8))
    np.save(tmp_path / "long.npy", np.zeros((1, 2, 2), np.int64))
    Image.new("1", (5_000, 5_000)).save(tmp_path / "large.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "one.png").read_bytes()[:60])
    (tmp_path / "no.tif").write_bytes(b"II")
    for name in (
        "pickle.npy",
        "flat.npy",
        "long.npy",
        "large.png",
        "cut.png",
        "no.tif",
        "absent.npy",
        "one.svg",
    ):
        with pytest.raises(PlacevecError) as told:
            read_image(tmp_path / name)
        assert "\n" not in str(told.value), name
