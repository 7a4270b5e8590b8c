"""Rasters beside coordinates. Oracles: scipy's interpolation on the grid, and a label that only the raster tells."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from scipy.interpolate import RegularGridInterpolator

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.encoders.locations.fields import RasterField
from placevec.errors import ModelError, PlacevecError
from placevec.models.model import Model
from placevec.recipes.sphere2vec.rasters import fields_from
from tests.preparation.points.tables import write_points

RANDOM = np.random.default_rng(5)
CELLS = RANDOM.normal(10, 3, (2, 30, 40)).astype(np.float32)
WEST, NORTH, STEP = 10.0, 60.0, 0.5


def interpolated(lonlat: np.ndarray) -> np.ndarray:
    """(N, 2) of points between centers of cells."""
    lat = NORTH - (np.arange(30) + 0.5) * STEP
    lon = WEST + (np.arange(40) + 0.5) * STEP
    return np.stack(
        [RegularGridInterpolator((lat[::-1], lon), band[::-1])(lonlat[:, ::-1]) for band in CELLS], axis=1
    )


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rasters") / "noise.tif"
    profile = {
        "driver": "GTiff",
        "width": 40,
        "height": 30,
        "count": 2,
        "dtype": "float32",
        "crs": "EPSG:4326",
    }
    with rasterio.open(
        path, "w", transform=from_origin(WEST, NORTH, STEP, STEP), nodata=-9999.0, **profile
    ) as file:
        file.write(CELLS)
        file.set_band_description(1, "elevation")
        file.set_band_unit(1, "m")
    return path


def points(count: int = 1200) -> np.ndarray:
    return np.random.default_rng(1).uniform([10.5, 45.5], [29.5, 59.5], (count, 2))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A number that follows the first band, which is noise from cell to cell."""
    lonlat = points()
    return write_points(tmp_path_factory.mktemp("points"), lonlat, interpolated(lonlat)[:, 0])


def test_values_are_those_of_a_linear_interpolation(raster: Path) -> None:
    lonlat = points(200)
    (field,), notes = fields_from([raster], lonlat)
    assert notes == []
    lon, lat = torch.from_numpy(lonlat).unbind(-1)
    found, wanted = field(lon, lat).numpy(), interpolated(lonlat)
    np.testing.assert_allclose(found[:, :2], (wanted - wanted.mean(0)) / wanted.std(0, ddof=1), atol=1e-4)
    np.testing.assert_allclose(found[:, 2], 0.0, atol=1e-9)
    np.testing.assert_allclose(field(lon + 360, lat).numpy(), found, atol=1e-6)
    away = field(torch.tensor([-170.0, 20.0]), torch.tensor([50.0, -50.0])).numpy()
    np.testing.assert_array_equal(away, [[0, 0, 1], [0, 0, 1]])


def test_a_raster_around_the_earth_has_no_seam() -> None:
    field = RasterField(1, 2, 36, west=-180.0, north=10.0, step_lon=10.0, step_lat=10.0)
    field.values = torch.arange(36.0).repeat(2, 1)[None]
    found = field(torch.tensor([-180.0, 180.0, 179.999]), torch.tensor([0.0, 0.0, 0.0]))[:, 0]
    np.testing.assert_allclose(found, 17.5, atol=1e-2)


def test_it_predicts_what_only_the_raster_tells_and_needs_no_file(
    raster: Path, dataset: Dataset, tmp_path: Path
) -> None:
    """Noise from cell to cell cannot be learned from coordinates of other blocks: R² with the raster, and without."""
    options = {
        "epochs": 12,
        "hidden": 32,
        "dim": 16,
        "projector": 0,
        "learning_rate": 0.01,
        "batch_size": 128,
    }
    scores = {}
    for name, rasters in (("with", [raster]), ("without", [])):
        model = api.train(
            "sphere2vec", dataset, out=tmp_path / name, rasters=rasters, scales=3, r_min=0.1, **options
        )
        lonlat = np.random.default_rng(8).uniform([10.5, 45.5], [29.5, 59.5], (500, 2))
        wanted = interpolated(lonlat)[:, 0]
        scores[name] = 1 - ((model.predict_lonlat(lonlat)[:, 0] - wanted) ** 2).mean() / wanted.var()
    assert scores["with"] > 0.9 > 0.3 > scores["without"]
    moved = tmp_path / "moved"
    (tmp_path / "with").rename(moved)
    again = Model.load(moved)
    source = again.modules["location"].rasters[0].source
    assert (source.name, source.channels, source.units) == ("noise.tif", ("elevation", "band 2"), ("m", ""))
    assert source.sha256 == hashlib.sha256(raster.read_bytes()).hexdigest()
    said = f"noise.tif (elevation in m, band 2), SHA-256 {source.sha256[:16]}"
    assert said in (moved / "MODEL_CARD.md").read_text()
    assert said in again.modules["location"].describe()
    assert np.isfinite(again.predict_lonlat(points(5))).all()
    bare = again.untrained(1).modules["location"].rasters[0]
    torch.testing.assert_close(bare.values, again.modules["location"].rasters[0].values, equal_nan=True)


@pytest.mark.parametrize(
    "source",
    [{}, "noise.tif", {"name": "a", "sha256": "b", "channels": ["one"], "units": ["m"]}, {"name": 1}],
)
def test_a_source_of_other_bands_is_refused(source: object) -> None:
    with pytest.raises(ModelError, match="2 channels and units"):
        RasterField(2, 1, 1, 0.0, 0.0, 1.0, 1.0, source=source)  # type: ignore[arg-type]


def test_rasters_that_do_not_cover_the_points_are_refused_or_said(raster: Path, tmp_path: Path) -> None:
    away = np.random.default_rng(0).uniform([100, 0], [110, 10], (100, 2))
    with pytest.raises(PlacevecError, match="covers 0 of 100 training points"):
        fields_from([raster], away)
    _, notes = fields_from([raster], np.concatenate([points(80), away[:20]]))
    assert "no value at 20 of 100" in notes[0]
    with pytest.raises(PlacevecError, match="there is no raster"):
        fields_from([tmp_path / "none.tif"], away)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(PlacevecError, match="cannot read the raster"):
        fields_from([tmp_path / "text.tif"], away)
    bare = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "float32"}
    with rasterio.open(tmp_path / "bare.tif", "w", transform=from_origin(0, 1, 1, 1), **bare) as file:
        file.write(np.ones((1, 2, 2), np.float32))
    with pytest.raises(PlacevecError, match="has no CRS"):
        fields_from([tmp_path / "bare.tif"], away)
