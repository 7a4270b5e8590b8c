"""Squares in the local UTM zone, and rasters read onto them; oracle is a ground that is a function of meters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Geod, Transformer
from rasterio import Affine

from placevec.errors import SourceError
from placevec.sources.imagery.ground import Square, applied, degrees_around, read_onto, square_around

EPSG, LEFT, TOP = 32635, 384_000.0, 6_674_000.0
SQUARE = Square(EPSG, LEFT + 700, TOP - 900, 10.0, 40)


def rising(x: Any, y: Any) -> Any:
    return 1_000.0 + (x - LEFT) * 1.0 + (y - TOP + 4_000.0) * 0.5


def raster(
    path: Path,
    transform: Affine,
    side: int,
    *,
    epsg: int = EPSG,
    ground: Callable[[Any, Any], Any] = rising,
    **options: Any,
) -> Path:
    rows, columns = np.mgrid[:side, :side] + 0.5
    x, y = applied(transform, columns, rows)
    size = {"width": side, "height": side, "count": 1, "dtype": "float32", "nodata": 0}
    with rasterio.open(
        path, "w", driver="GTiff", crs=f"EPSG:{epsg}", transform=transform, **size, **options
    ) as file:
        file.write(ground(x, y).astype(np.float32), 1)
    return path


def read(path: Path, square: Square = SQUARE) -> np.ndarray[Any, Any]:
    with rasterio.open(path) as file:
        return read_onto(file, [1], square)[0]


def expected(square: Square = SQUARE) -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[: square.size_px, : square.size_px] + 0.5
    return np.asarray(rising(*applied(square.transform, columns, rows)))


@pytest.mark.parametrize(
    ("transform", "side", "tolerance"),
    [
        (Affine(10, 0, LEFT, 0, -10, TOP), 400, 0.0),  # the same grid: copied
        (Affine(20, 0, LEFT, 0, -20, TOP), 200, 0.01),  # coarser: between the nearest, exact for a plane
        (Affine(60, 0, LEFT, 0, -60, TOP), 66, 0.01),
        (Affine(5, 0, LEFT, 0, -5, TOP), 800, 0.01),  # finer: means, exact for a plane
        (Affine(10, 0, LEFT + 3, 0, -10, TOP + 4), 400, 0.01),  # beside the grid
        (Affine(10, 0, LEFT, 0, 10, TOP - 4000), 400, 0.01),  # rows from the south
    ],
)
def test_pixels_show_the_ground_where_they_lie(
    tmp_path: Path, transform: Affine, side: int, tolerance: float
) -> None:
    """Oracle: the plane itself. A raster whose rows are turned around, or shifted by a pixel, differs by 5 to 10."""
    path = raster(tmp_path / "a.tif", transform, side)
    np.testing.assert_allclose(read(path), expected(), atol=max(tolerance, 1e-3))


def test_much_finer_pixels_are_averaged_not_picked(tmp_path: Path) -> None:
    """Oracle: a checkerboard of 10 m has the mean of its colors at 20 m."""

    def board(x: Any, y: Any) -> Any:
        return 100.0 + 200.0 * ((np.floor(x / 10) + np.floor(y / 10)) % 2)

    path = raster(tmp_path / "a.tif", Affine(10, 0, LEFT, 0, -10, TOP), 400, ground=board)
    found = read(path, Square(EPSG, LEFT + 600, TOP - 600, 20.0, 30))
    np.testing.assert_allclose(found, 200.0)


def test_a_scene_of_the_neighboring_zone_lies_at_the_same_places(tmp_path: Path) -> None:
    """Oracle: the plane of zone 34, at the positions that pyproj gives for the square of zone 35."""
    there = Transformer.from_crs(EPSG, 32634, always_xy=True)
    square = Square(EPSG, 300_000.0, 6_674_000.0, 10.0, 40)
    rows, columns = np.mgrid[:40, :40] + 0.5
    x, y = there.transform(*applied(square.transform, columns, rows))
    left, top = np.floor(x.min() - 500), np.ceil(y.max() + 500)

    def plane(x: Any, y: Any) -> Any:
        return 1_000.0 + (x - left) + 0.5 * (y - top + 2_000)

    path = raster(tmp_path / "a.tif", Affine(10, 0, left, 0, -10, top), 200, epsg=32634, ground=plane)
    found = read(path, square)
    np.testing.assert_allclose(
        found, plane(x, y), atol=1.5
    )  # GDAL's transformer is exact to an eighth of a pixel
    assert abs(float((found - plane(x, y)).mean())) < 0.5


def test_gaps_and_edges_are_nan_and_do_not_bleed(tmp_path: Path) -> None:
    def with_gap(x: Any, y: Any) -> Any:
        return np.where((x > LEFT + 800) & (x < LEFT + 900), 0, rising(x, y))

    for side, meters in ((400, 10), (200, 20)):
        path = raster(
            tmp_path / f"{meters}.tif", Affine(meters, 0, LEFT, 0, -meters, TOP), side, ground=with_gap
        )
        found = read(path)
        assert np.isnan(found[:, 10:20]).all()
        assert not np.isnan(found[:, :9]).any()
        assert np.nanmin(found) > 2_000
    beyond = Square(EPSG, LEFT - 200, TOP + 100, 10.0, 40)
    found = read(tmp_path / "10.tif", beyond)
    assert np.isnan(found[:10]).all()
    assert np.isnan(found[:, :20]).all()
    assert np.isfinite(found[10:, 20:]).all()
    assert np.isnan(read(tmp_path / "10.tif", Square(EPSG, LEFT + 9e4, TOP, 10.0, 40))).all()


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_a_raster_that_lies_nowhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint16") as file:
        file.write(np.ones((1, 8, 8), np.uint16))
    with pytest.raises(SourceError, match="location is unknown"):
        read(path)


PLACES = [
    (24.94, 60.17), (-51.2, -30.0), (2.35, 48.85), (179.9999, -17.0), (-179.9999, 65.0), (10.0, 83.0), (-70.0, 87.0),
    (0.0, -89.0),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_squares_are_square_in_meters_around_their_place(place: tuple[float, float]) -> None:
    """Oracle: geodesics of pyproj. The original's boxes were 1,000 m by 658 m at 48.8 degrees north."""
    square = square_around(*place, size_px=100, resolution=10)
    back = Transformer.from_crs(square.epsg, 4326, always_xy=True)
    geod = Geod(ellps="WGS84")
    half = square.side_m / 2

    def at(x: float, y: float) -> Any:
        return back.transform(square.left + half + x, square.top - half + y)

    across = geod.inv(*at(-half, 0), *at(half, 0))[2]
    along = geod.inv(*at(0, -half), *at(0, half))[2]
    assert across == pytest.approx(along, rel=1e-3)
    assert across == pytest.approx(1_000, rel=7e-3)  # the scale of UTM and UPS
    assert geod.inv(*place, *at(0, 0))[2] < 7.2
    west, south, east, north = degrees_around(square)
    assert south < place[1] < north
    assert (west < place[0] < east) or west > east or place[1] < -88


def test_a_square_across_the_antimeridian_has_its_edges_on_both_sides() -> None:
    west, south, east, north = degrees_around(square_around(179.9999, -17.0, size_px=100, resolution=10))
    assert 179.99 < west < 180
    assert -180 < east < -179.99
    assert south < -17 < north
