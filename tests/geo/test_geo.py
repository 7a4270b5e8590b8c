"""Geography against morecantile (tiles), pyproj (meters) and closed forms."""

from __future__ import annotations

import json
import math

import morecantile
import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec import geo
from placevec.errors import AreaError, InputError

longitudes = st.floats(-180, 179.999999)
latitudes = st.floats(-85.05, 85.05)
zooms = st.integers(0, 20)
web_mercator = morecantile.tms.get("WebMercatorQuad")


@given(longitudes, latitudes, zooms)
def test_tile_of_a_point_is_morecantiles(lon: float, lat: float, zoom: int) -> None:
    """Oracle: morecantile, an independent implementation (points within a millionth of a tile's edge aside)."""
    xy = geo.lonlat_to_tile_xy(lon, lat, zoom)
    if np.any(np.abs(xy - np.round(xy)) < 1e-6):
        return
    theirs = web_mercator.tile(lon, lat, zoom)
    assert (int(xy[0]), int(xy[1])) == (theirs.x, theirs.y)


@given(zooms.flatmap(lambda z: st.tuples(st.just(z), st.integers(0, 2**z - 1), st.integers(0, 2**z - 1))))
def test_tile_bounds_are_morecantiles(tile: tuple[int, int, int]) -> None:
    """Oracle: morecantile, to a hundredth of a millimeter."""
    zoom, x, y = tile
    theirs = web_mercator.bounds(morecantile.Tile(x=x, y=y, z=zoom))
    assert np.allclose(geo.tile_bounds(x, y, zoom), theirs, atol=1e-9)


@given(longitudes, latitudes, zooms)
def test_tile_coordinates_are_inverted(lon: float, lat: float, zoom: int) -> None:
    """Invariant: there and back again."""
    back = geo.tile_xy_to_lonlat(geo.lonlat_to_tile_xy(lon, lat, zoom), zoom)
    assert np.allclose(back, [lon, lat], atol=1e-9)


def test_beyond_web_mercator_is_rejected() -> None:
    for lat in (85.2, -89.0):
        with pytest.raises(InputError, match="Web Mercator"):
            geo.lonlat_to_tile_xy(0.0, lat, 5)
    with pytest.raises(InputError, match="zoom 23"):
        geo.lonlat_to_tile_xy(0.0, 0.0, 23)
    with pytest.raises(InputError, match="swapped"):
        geo.lonlat_to_tile_xy(60.0, 120.0, 5)
    with pytest.raises(InputError, match="does not exist"):
        geo.parse_tile_id("3/8/0")
    with pytest.raises(InputError, match="z/x/y"):
        geo.parse_tile_id("3/8")


@settings(max_examples=60)
@given(longitudes, st.floats(-89, 89), st.floats(-3000, 3000), st.floats(-3000, 3000))
def test_offset_walks_the_distance_it_says(lon: float, lat: float, east: float, north: float) -> None:
    """Oracle: the inverse geodesic of pyproj; the closed form within a meter per kilometer squared."""
    arrived = geo.offset(lon, lat, east_m=east, north_m=north)
    walked = geo.distance_m(lon, lat, arrived[0], arrived[1])
    assert float(walked) == pytest.approx(math.hypot(east, north), abs=1e-3)
    assert -180 <= arrived[0] < 180
    if abs(lat) < 80:
        near = geo.local_offset(lon, lat, east_m=east / 3, north_m=north / 3)
        exact = geo.offset(lon, lat, east_m=east / 3, north_m=north / 3)
        assert float(geo.distance_m(*near, *exact)) < 0.5


def test_local_offset_is_as_exact_as_it_says() -> None:
    """Oracle: the geodesic; the bounds that the docstring states."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    for lat, allowed in ((0.0, 0.1), (35.9, 0.1), (60.2, 0.2), (-65.0, 0.2), (80.0, 0.6)):
        step = {"east_m": 1000 * np.sin(angles), "north_m": 1000 * np.cos(angles)}
        near, exact = geo.local_offset(24.9, lat, **step), geo.offset(24.9, lat, **step)
        assert float(geo.distance_m(*near.T, *exact.T).max()) < allowed


@given(longitudes, st.floats(-89, 89), st.floats(-70_000, 70_000), st.floats(-70_000, 70_000))
def test_ecef_chords_are_ground_distances(lon: float, lat: float, east: float, north: float) -> None:
    """Oracle: geodesic distance; equal to 1 part in 50,000 up to 100 km, also over poles and antimeridian."""
    other = geo.offset(lon, lat, east_m=east, north_m=north)
    chord = np.linalg.norm(geo.to_ecef(lon, lat) - geo.to_ecef(*other))
    assert chord == pytest.approx(float(geo.distance_m(lon, lat, *other)), rel=2e-5, abs=1e-3)


def test_ecef_is_pyprojs() -> None:
    """Oracle: PROJ's geocentric conversion."""
    to_geocentric = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    for lon, lat in ((0, 0), (24.94, 60.17), (-179.9, -45), (10, 90)):
        assert np.allclose(geo.to_ecef(lon, lat), to_geocentric.transform(lon, lat, 0.0), atol=1e-5)


@pytest.mark.parametrize("lat", [0.0, 35.9, 60.17, 84.0])
def test_meters_per_pixel_measures_the_ground(lat: float) -> None:
    """Oracle: the geodesic width and height of a tile, whose mean the function is."""
    xy = geo.lonlat_to_tile_xy(14.5, lat, 17)
    west, south, east, north = geo.tile_bounds(int(xy[0]), int(xy[1]), 17)
    middle = (south + north) / 2
    width = float(geo.distance_m(west, middle, east, middle))
    height = float(geo.distance_m(west, south, west, north))
    assert float(geo.meters_per_pixel(middle, 17)) * 256 == pytest.approx((width + height) / 2, rel=1e-5)


def test_areas() -> None:
    assert geo.Area.parse("14,35,15,36").bounds == (14, 35, 15, 36)
    for wrong in ("14,35,15", "a,b,c,d", "14,36,15,35", "14,35,14,36", "0,0,200,1", "0,0,1,nan"):
        with pytest.raises(AreaError):
            geo.Area.parse(wrong)
    assert geo.Area(0, 0, 2, 2).intersects(geo.Area(1, 1, 3, 3))
    assert not geo.Area(0, 0, 2, 2).intersects(geo.Area(3, 3, 4, 4))
    assert geo.Area.from_dict(geo.Area(0, 0, 2, 2).as_dict()) == geo.Area(0, 0, 2, 2)


def test_an_area_from_geojson(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [0, 2], [0, 0]]]}
    file = folder / "area.geojson"
    file.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [{"type": "Feature", "geometry": triangle, "properties": {}}],
            }
        )
    )
    area = geo.Area.from_geojson(file)
    assert area.bounds == (0, 0, 2, 2)
    assert area.contains([0.5, 1.9], [0.5, 1.9]).tolist() == [True, False]
    assert geo.Area.from_dict(area.as_dict()).contains(0.5, 0.5).all()
    for content in (
        "",
        "{}",
        "[]",
        '{"type": "Point", "coordinates": [0, 0]}',
        '{"features": 3}',
        "[" * 100_000,
    ):
        file.write_text(content)
        with pytest.raises(AreaError):
            geo.Area.from_geojson(file)
    with pytest.raises(AreaError, match="does not exist"):
        geo.Area.from_geojson(folder / "missing.geojson")


def test_the_antimeridian_is_no_edge() -> None:
    """Fiji's meridian: the box has two parts, tiles on both sides, distances that cross."""
    area = geo.Area(179.9, -17.1, -179.9, -16.9)
    assert area.crosses_antimeridian
    tiles = geo.tiles_of_area(area, 13)
    assert set(tiles[:, 0]) == {8190, 8191, 0, 1}
    assert geo.distance_m(179.999, 0, -179.999, 0) == pytest.approx(222.6, abs=0.1)
    assert geo.offset(179.9999, 0, east_m=100, north_m=0)[0] < -179.99
    lon = np.array([179.9995, -179.9995])
    assert len(set(geo.spatial_blocks(lon, np.zeros(2), 100_000.0))) <= 2
    assert len(set(geo.spatial_blocks([180.0, -180.0], [60.0, 60.0], 1000.0))) == 1
    assert geo.within_distance(np.array([[179.9999, 0.0]]), np.array([[-179.9999, 0.0]]), 30).all()


def test_tiles_of_an_area_have_their_center_in_it() -> None:
    area = geo.Area(14.40, 35.80, 14.60, 35.95)
    tiles = geo.tiles_of_area(area, 15)
    centers = geo.tile_xy_to_lonlat(tiles + 0.5, 15)
    assert area.contains(*centers.T).all()
    assert len(tiles) == len({tuple(tile) for tile in tiles})
    ((x_min, y_min, x_max, y_max),) = geo.tile_ranges(area, 15)
    assert len(tiles) <= (x_max - x_min + 1) * (y_max - y_min + 1)
    tiny = geo.Area(14.5, 35.9, 14.5001, 35.9001)
    assert len(geo.tiles_of_area(tiny, 10)) == 1


@pytest.mark.parametrize("lat", [0.0, 45.0, 70.0, 89.0])
def test_blocks_are_square_and_of_the_size_asked(lat: float) -> None:
    """Invariants: within a block, the widest distance stays near the diagonal of a square of that size; 36 square
    kilometers have 36 blocks, and some more at their edges.
    """
    rng = np.random.default_rng(0)
    points = geo.offset(
        10.0, lat, east_m=rng.uniform(-3000, 3000, 4000), north_m=rng.uniform(-3000, 3000, 4000)
    )
    blocks = geo.spatial_blocks(points[:, 0], points[:, 1], 1000.0)
    xyz = geo.to_ecef(points[:, 0], points[:, 1])
    assert len(np.unique(blocks)) <= 7 * 8
    for block in np.unique(blocks):
        own = xyz[blocks == block]
        assert np.linalg.norm(own - own[0], axis=1).max() < 1000 * math.sqrt(2) * 1.1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(100, 900), st.floats(20, 300))
def test_held_out_blocks_keep_their_distance(seed: int, size: float, buffer: float) -> None:
    """Invariant of the split: no kept point nearer than the buffer to a held-out one, none in both."""
    rng = np.random.default_rng(seed)
    lonlat = geo.offset(24.9, 60.2, east_m=rng.uniform(0, 3000, 300), north_m=rng.uniform(0, 3000, 300))
    kept, held = geo.hold_out_blocks(lonlat, size_m=size, share=0.2, buffer_m=buffer, seed=seed)
    assert not set(kept) & set(held)
    sizes = np.unique(geo.spatial_blocks(*lonlat.T, size), return_counts=True)[1]
    assert 0.2 * 300 <= len(held) < 0.2 * 300 + sizes.max(), "blocks are drawn until the share is reached"
    if len(kept) and len(held):
        a, b = geo.to_ecef(*lonlat[kept].T), geo.to_ecef(*lonlat[held].T)
        assert np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).min() >= buffer * 0.999


def test_a_metric_grid_has_equal_steps() -> None:
    """Oracle: geodesic distances between neighbors, at 60 degrees north."""
    area = geo.Area(24.93, 60.16, 24.96, 60.18)
    grid = geo.metric_grid(area, 100.0)
    assert area.contains(*grid.T).all()
    first_row = grid[grid[:, 1] == grid[0, 1]]
    steps = geo.distance_m(*first_row[:-1].T, *first_row[1:].T)
    assert np.allclose(steps, 100.0, rtol=1e-3)
    rows = np.unique(grid[:, 1])
    assert np.allclose(geo.distance_m(24.94, rows[:-1], 24.94, rows[1:]), 100.0, rtol=1e-3)
    west, south = grid[0]  # half a step inside
    assert geo.distance_m(area.west, south, west, south) == pytest.approx(50.0, rel=1e-3)
    assert geo.distance_m(west, area.south, west, south) == pytest.approx(50.0, rel=1e-3)
    coarse = geo.metric_grid(area, 600.0)  # 2,228 m are three rows and seven tenths, whose middle is inside
    assert len(np.unique(coarse[:, 1])) == 4
    with pytest.raises(InputError):
        geo.metric_grid(area, 0)


def test_footprints_have_their_size() -> None:
    """Oracle: geodesic width and height of the footprint's corners."""
    lonlat = np.array([[14.5, 35.9], [24.9, 60.2], [0.0, 0.0]])
    bounds = geo.footprint_bounds(lonlat, 200.0, 17)
    top_left, bottom_right = (
        geo.tile_xy_to_lonlat(bounds[:, :2], 17),
        geo.tile_xy_to_lonlat(bounds[:, 2:], 17),
    )
    width = geo.distance_m(top_left[:, 0], lonlat[:, 1], bottom_right[:, 0], lonlat[:, 1])
    height = geo.distance_m(lonlat[:, 0], top_left[:, 1], lonlat[:, 0], bottom_right[:, 1])
    assert np.allclose((width + height) / 2, 200.0, rtol=1e-4)
    assert np.allclose(width, 200.0, rtol=5e-3)
