"""Places as pixels. Oracles: the cell whose center lies under a pixel's, tile arithmetic, and rasterio's own reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.inference.cell_raster import _nearest, raster_of, write_cells


def cells(out: Path, **how: object) -> Dataset:
    return api.prepare("mmgr", out=out, bbox=(24.93, 60.16, 24.96, 60.18), **how)


def values_at(path: Path, lonlat: np.ndarray, band: int = 1) -> np.ndarray:
    with rasterio.open(path) as file:
        x, y = transform("EPSG:4326", file.crs, *lonlat.T)
        return np.array([value[band - 1] for value in file.sample(zip(x, y, strict=True))])


@pytest.mark.parametrize("how", [{"zoom": 16}, {"spacing": 150.0}])
def test_each_cell_of_a_grid_has_its_pixels(how: dict[str, object], tmp_path: Path) -> None:
    dataset = cells(tmp_path / "cells", **how)
    kept = np.arange(len(dataset))[::2]
    raster = raster_of(dataset, kept)
    shown, counts = np.unique(raster.place[raster.place >= 0], return_counts=True)
    assert len(shown) == len(kept)
    numbers = np.arange(len(kept), dtype=float)
    write_cells(
        raster, {"number": numbers, "twice": 2 * numbers}, tmp_path / "a.tif", {"ATTRIBUTION": "nobody"}
    )
    np.testing.assert_array_equal(values_at(tmp_path / "a.tif", dataset.lonlat[kept]), numbers)
    np.testing.assert_array_equal(values_at(tmp_path / "a.tif", dataset.lonlat[kept], 2), 2 * numbers)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert (file.descriptions, file.tags()["ATTRIBUTION"]) == (("number", "twice"), "nobody")
    if "zoom" in how:
        assert counts.max() == 1
        assert np.isnan(values_at(tmp_path / "a.tif", dataset.lonlat[1::2])).all(), (
            "left-out tiles have no value"
        )
    else:
        assert raster.size == 50.0
        assert 6 <= counts.min() <= counts.max() <= 12 + 6 * (len(kept) < len(dataset)), (
            "about nine pixels a cell"
        )


def test_a_pixel_shows_the_polygon_that_holds_its_center_and_points_fill_nothing(tmp_path: Path) -> None:
    import geopandas

    west = shapely.Polygon([(24.93, 60.16), (24.95, 60.16), (24.93, 60.18)])
    east = shapely.box(24.951, 60.16, 24.97, 60.18)
    frame = geopandas.GeoDataFrame({"place_id": ["w", "e"]}, geometry=[west, east], crs=4326)
    frame.to_file(tmp_path / "two.geojson")
    dataset = api.prepare("mmgr", out=tmp_path / "two", places=tmp_path / "two.geojson")
    raster = raster_of(dataset, np.arange(2), resolution_m=100)
    write_cells(raster, {"number": np.array([1.0, 2.0])}, tmp_path / "b.tif", {})
    asked = np.array([[24.934, 60.163], [24.96, 60.17], [24.948, 60.178]])
    found = values_at(tmp_path / "b.tif", asked)
    assert found[:2].tolist() == [1.0, 2.0]
    assert np.isnan(found[2])
    (tmp_path / "points.csv").write_text("place_id,lon,lat\na,24.94,60.17\nb,24.95,60.17\n")
    points = api.prepare("mmgr", out=tmp_path / "points", places=tmp_path / "points.csv")
    with pytest.raises(UsageError, match="points, which cannot fill a raster"):
        raster_of(points, np.arange(2))


def test_a_pixel_of_points_shows_the_nearest_up_to_the_corner_of_its_cell() -> None:
    """A lattice on the equator, eight pixels a step. Oracle: the nearest by rounding; nothing beyond three quarters."""

    class Degrees:
        def transform(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return x, y

    step = 0.001
    lonlat = np.stack(np.meshgrid(np.arange(4), np.arange(3)), axis=-1).reshape(-1, 2) * step
    x, y = (np.arange(-4, 8 * count - 3) / 8 * step for count in (4, 3))
    spacing_m = step * 111_319.49
    found = _nearest(lonlat, Degrees(), x, y, spacing_m)
    assert (found >= 0).all(), "corners lie 0.71 of a step from their point"
    off = np.abs(np.arange(-4, 29) % 8 - 4) > 0  # the middle between two points belongs to either
    columns, rows = np.clip(np.rint(x / step), 0, 3), np.clip(np.rint(y / step), 0, 2)
    expected = (rows[:, None] * 4 + columns).astype(int)
    assert (found == expected)[np.ix_(off[: len(y)], off)].all()
    beyond = _nearest(lonlat, Degrees(), np.array([3.74, 3.77]) * step, np.array([0.0]), spacing_m)
    assert beyond.tolist() == [[3, -1]]
