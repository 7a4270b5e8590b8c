from __future__ import annotations

import numpy as np
import pytest

from placevec.explorer.maps.pictures import MapPictures
from placevec.geo import TILE_PX
from tests.explorer.standin import CORNER, LAYERS, TILES, StandInDataset, town


@pytest.fixture(scope="module")
def pictures(dataset: StandInDataset) -> MapPictures:
    return MapPictures.of(dataset)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return town()


def test_native_pixels_come_as_they_are(pictures: MapPictures, pixels: np.ndarray) -> None:
    x, y = CORNER[0] + 2, CORNER[1] + 1
    read = pictures.read((x, y, x + 1, y + 1), TILE_PX)
    np.testing.assert_array_equal(read, pixels[:, TILE_PX : 2 * TILE_PX, 2 * TILE_PX : 3 * TILE_PX] * 255)


@pytest.mark.parametrize("size", [64, 16])
def test_shrunk_pixels_are_means(pictures: MapPictures, pixels: np.ndarray, size: int) -> None:
    """Oracle: block means of the drawn town; 64 from the shards, 16 from the coverage raster."""
    x, y = CORNER[0] + 4, CORNER[1] + 3
    part = pixels[:, 3 * TILE_PX : 4 * TILE_PX, 4 * TILE_PX : 5 * TILE_PX].astype(float)
    step = TILE_PX // size
    means = part.reshape(len(LAYERS), size, step, size, step).mean(axis=(2, 4)) * 255
    assert np.abs(pictures.read((x, y, x + 1, y + 1), size) - means).max() <= 1


def test_boxes_beyond_the_map_are_empty_there(pictures: MapPictures, pixels: np.ndarray) -> None:
    west, north = float(CORNER[0]), float(CORNER[1])
    for size in (128, 8):
        read = pictures.read((west - 0.5, north - 0.5, west + 0.5, north + 0.5), size)
        assert not read[:, : size // 2].any()
        assert not read[:, :, : size // 2].any()
        assert read[:, size // 2 :, size // 2 :].any()
    far = pictures.read((west + 1000, north, west + 1001, north + 1), 8)
    assert not far.any()


def test_whole_map_at_a_glance(pictures: MapPictures, pixels: np.ndarray) -> None:
    box = (CORNER[0], CORNER[1], CORNER[0] + TILES[0], CORNER[1] + TILES[1])
    small = pictures.read_coarse(box, TILES[0], TILES[1]) / 255
    means = pixels.reshape(len(LAYERS), TILES[1], TILE_PX, TILES[0], TILE_PX).mean(axis=(2, 4))
    assert np.abs(small - means).max() < 0.01


def test_shares(pictures: MapPictures, pixels: np.ndarray) -> None:
    x, y = CORNER[0] + 1, CORNER[1] + 1
    shares = pictures.shares(np.array([[x, y, x + 1, y + 1], [np.nan] * 4]))
    means = pixels[:, TILE_PX : 2 * TILE_PX, TILE_PX : 2 * TILE_PX].mean(axis=(1, 2))
    np.testing.assert_allclose(shares[0], means, atol=0.01)
    assert np.isnan(shares[1]).all()
