"""Shares from the coarse grid, against plain sums over its cells and against the map itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.transform import from_origin

from placevec import geo
from placevec.core import ROW_SYNTHETIC, Look
from placevec.datasets.views.raster.coverage import Coverage
from placevec.datasets.views.raster.raster import RasterView
from placevec.errors import DatasetError, InputError

from .shard_files import HALF, letter_f, write_map

ZOOM = 17
TILE_X, TILE_Y = 74620, 37950
NAMES = ("roads", "water", "f")


def write_grid(
    path: Path, cells: NDArray[np.uint8], tile_x: int, tile_y: int, zoom: int = ZOOM, **options: object
) -> Path:
    """Cells (C, h, w) whose north-west corner is that of a tile, as the contract has them."""
    side = 2 * HALF / (16 * 2**zoom)
    transform = from_origin(tile_x * 16 * side - HALF, HALF - tile_y * 16 * side, side, side)
    profile = {"driver": "GTiff", "count": len(cells), "height": cells.shape[1], "width": cells.shape[2],
               "dtype": "uint8", "crs": "EPSG:3857", "transform": transform, "compress": "ZSTD", "tiled": True,
               "blockxsize": 256, "blockysize": 256, "interleave": "band", **options}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(cells)
        for band in range(len(cells)):
            file.set_band_description(band + 1, NAMES[band])
    return path


def grid(height: int = 80, width: int = 112) -> NDArray[np.uint8]:
    cells = np.random.default_rng(0).integers(0, 256, (3, height, width)).astype(np.uint8)
    cells[1, 5:, :] = 0
    cells[2] = 0
    cells[2, :64, :64] = letter_f(64) * 255
    return cells


@pytest.fixture(scope="module")
def coverage(tmp_path_factory: pytest.TempPathFactory) -> Coverage:
    return Coverage(
        write_grid(tmp_path_factory.mktemp("dataset") / "map_coverage.tif", grid(), TILE_X, TILE_Y)
    )


def weighted_mean(
    cells: NDArray[np.uint8], x0: float, y0: float, x1: float, y1: float
) -> NDArray[np.float64]:
    """(C,) mean over a box in cells, each weighted by the length of its overlap in x and in y."""
    x, y = np.arange(cells.shape[2]), np.arange(cells.shape[1])
    across = np.clip(np.minimum(x + 1, x1) - np.maximum(x, x0), 0, None)
    down = np.clip(np.minimum(y + 1, y1) - np.maximum(y, y0), 0, None)
    return np.einsum("chw,h,w->c", cells.astype(float), down, across) / ((x1 - x0) * (y1 - y0))


def test_what_the_file_says_of_itself(coverage: Coverage) -> None:
    assert (coverage.channels, coverage.zoom, coverage.shape) == (NAMES, ZOOM, (80, 112))
    assert coverage.origin == (TILE_X, TILE_Y)


def test_a_tile_is_the_mean_of_its_cells(coverage: Coverage) -> None:
    """Exactly, to float32; also for a footprint given at a neighboring zoom."""
    tiles = np.array([(column, row) for row in range(5) for column in range(7)])
    corner = tiles + np.array([TILE_X, TILE_Y])
    means = grid().reshape(3, 5, 16, 7, 16).astype(float).mean(axis=(2, 4)) / 255
    expected = means.transpose(1, 2, 0).reshape(35, 3).astype(np.float32)
    shares = coverage.fractions(np.hstack([corner, corner + 1]), ZOOM)
    assert shares.dtype == np.float32
    np.testing.assert_array_equal(shares, expected)
    np.testing.assert_array_equal(
        coverage.fractions(np.hstack([corner, corner + 1]) / 2.0, ZOOM - 1), expected
    )


@settings(max_examples=80, deadline=None)
@given(
    x=st.floats(-3.0, 9.0), y=st.floats(-3.0, 7.0), width=st.floats(0.01, 9.0), height=st.floats(0.01, 9.0)
)
def test_any_footprint_weights_its_cells_by_area(
    coverage: Coverage, x: float, y: float, width: float, height: float
) -> None:
    """Oracle: a plain weighted sum; ground beyond the grid is uncovered."""
    box = np.array([x, y, x + width, y + height])
    shares = coverage.fractions(box[None] + [TILE_X, TILE_Y, TILE_X, TILE_Y], ZOOM)[0]
    np.testing.assert_allclose(shares, weighted_mean(grid(), *(box * 16)) / 255, atol=2e-6)
    assert (shares >= 0).all()
    assert (shares <= 1).all()


def test_shares_are_those_of_the_map(tmp_path: Path) -> None:
    """The grid and the pixels that it was counted from agree to half a step of 1/255, whole tiles and parts."""
    truth = np.random.default_rng(0).random((3, 768, 768)) < np.linspace(0, 0.5, 768)
    write_map(tmp_path / "map", truth.astype(np.uint8), TILE_X * 256, TILE_Y * 256, ZOOM)
    cells = np.round(255 * truth.reshape(3, 48, 16, 48, 16).mean(axis=(2, 4))).astype(np.uint8)
    coverage = Coverage(write_grid(tmp_path / "map_coverage.tif", cells, TILE_X, TILE_Y))
    centers = np.array([(TILE_X + 0.5, TILE_Y + 0.5), (TILE_X + 1.25, TILE_Y + 1.4375)])
    points = torch.from_numpy(geo.tile_xy_to_lonlat(centers, ZOOM))
    windows = RasterView(tmp_path, zoom=ZOOM, channels=NAMES).read(
        Look(torch.full((2,), ROW_SYNTHETIC), points)
    )
    shares = coverage.fractions(np.hstack([centers - 0.5, centers + 0.5]), ZOOM)
    np.testing.assert_allclose(shares, windows.double().mean(dim=(2, 3)) / 255, atol=0.51 / 255)


def test_pieces_of_a_large_grid_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coverage = Coverage(write_grid(tmp_path / "large.tif", grid(400, 640), TILE_X, TILE_Y))
    corners = np.random.default_rng(0).uniform((-1, -1), (40, 25), (500, 2)) + np.array([TILE_X, TILE_Y])
    boxes = np.hstack([corners, corners + np.random.default_rng(1).uniform(0.1, 4.0, (500, 2))])
    whole = coverage.fractions(boxes, ZOOM)
    monkeypatch.setattr("placevec.datasets.views.raster.coverage._CHUNK_CELLS", 50)
    np.testing.assert_allclose(coverage.fractions(boxes, ZOOM), whole, atol=1e-6)
    assert whole.max() > 0.4


def test_footprints_over_the_antimeridian(tmp_path: Path) -> None:
    """The same ground whether it is numbered past the last tile or before the first."""
    side = 2**ZOOM
    cells = grid()[:, :16, :64]
    for origin in (side - 2, -2):  # a grid that runs over the edge, either way
        coverage = Coverage(write_grid(tmp_path / f"{origin}.tif", cells, origin, 500))
        for turn in (-side, 0):
            shares = coverage.fractions([[side - 0.5 + turn, 500.0, side + 0.5 + turn, 501.0]], ZOOM)
            np.testing.assert_allclose(shares[0], weighted_mean(cells, 24, 0, 40, 16) / 255, atol=1e-6)


def test_nothing_known_is_nothing_covered(coverage: Coverage) -> None:
    boxes = [[0, 0, 1, 1], [np.nan] * 4, [TILE_X, TILE_Y, TILE_X + 1, TILE_Y + 1]]
    shares = coverage.fractions(boxes, ZOOM)
    assert not shares[:2].any()
    assert shares[2].any()
    assert coverage.fractions(np.zeros((0, 4)), ZOOM).shape == (0, 3)
    with pytest.raises(InputError, match="footprint 0 has no area"):
        coverage.fractions([[5, 5, 5, 6]], ZOOM)


def test_an_overview_is_the_whole_grid_made_small(coverage: Coverage) -> None:
    pixels, bounds = coverage.overview(56)
    assert bounds == (TILE_X, TILE_Y, TILE_X + 7, TILE_Y + 5)
    expected = grid().reshape(3, 40, 2, 56, 2).mean(axis=(2, 4))
    assert pixels.shape == (3, 40, 56)
    assert np.abs(pixels - expected).max() <= 1.0
    whole, _ = coverage.overview(5000)
    np.testing.assert_array_equal(whole, grid())
    assert coverage.overview(1)[0].shape == (3, 1, 1)


def test_what_is_no_coverage_grid_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        Coverage(tmp_path / "missing.tif")
    (tmp_path / "text.tif").write_text("no tiff")
    with pytest.raises(DatasetError, match="cannot read"):
        Coverage(tmp_path / "text.tif")
    for options in ({"crs": "EPSG:4326"}, {"transform": from_origin(0, 0, 10, 10)}, {"dtype": "uint16"}):
        with pytest.raises(DatasetError, match="is not a coverage grid"):
            Coverage(write_grid(tmp_path / "other.tif", grid(), TILE_X, TILE_Y, **options))
    path = write_grid(tmp_path / "damaged.tif", grid(), TILE_X, TILE_Y)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x28\xb5\x2f\xfd", bytes(4)))  # no block begins as ZSTD does
    with pytest.raises(DatasetError, match="damaged"):
        Coverage(path).fractions([[TILE_X, TILE_Y, TILE_X + 1, TILE_Y + 1]], ZOOM)
    path.write_bytes(content[:4000])
    with pytest.raises(DatasetError, match="cannot read"):
        Coverage(path)
