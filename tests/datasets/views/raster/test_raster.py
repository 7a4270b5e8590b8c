"""Windows of the map: where they lie, which way up, how large, how turned."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from rasterio.features import rasterize
from rasterio.windows import Window
from scipy import ndimage
from shapely import affinity
from shapely.geometry import Polygon, box

from placevec import geo
from placevec.core import ROW_MISSING, ROW_SYNTHETIC, Look, View
from placevec.datasets.views.raster.coverage import Coverage
from placevec.datasets.views.raster.raster import RasterView
from placevec.errors import DatasetError, InputError
from placevec.preparation.rasterize.pipeline import burn_extract

from .shard_files import HALF, cut, letter_f, write_map

ZOOM = 17
CORNER = 74624 * 256, 37952 * 256  # where four shards meet, in Helsinki
SIDE = 1200
LEFT, TOP = CORNER[0] - SIDE // 2, CORNER[1] - SIDE // 2
CHANNELS = ("f", "noise", "bar", "empty", "dots", "block")


def image() -> np.ndarray:
    """Six channels: more than OpenCV warps at once, one of them blank."""
    rng = np.random.default_rng(0)
    truth = np.zeros((6, SIDE, SIDE), np.uint8)
    truth[0] = letter_f(SIDE)
    truth[1] = ndimage.uniform_filter(rng.random((SIDE, SIDE)), 9) > 0.5
    truth[2, :, 590:600] = 1
    truth[4] = rng.random((SIDE, SIDE)) < 0.01
    truth[5, 300:500, 700:1100] = 1
    return truth


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    write_map(path / "map", image(), LEFT, TOP, ZOOM)
    return path


@pytest.fixture(scope="module")
def view(dataset: Path) -> RasterView:
    return RasterView(dataset, zoom=ZOOM, channels=CHANNELS, rules="abc")


def look_at_pixels(pixels: object, **warp: object) -> Look:
    """Points given in native pixels of the map."""
    lonlat = geo.tile_xy_to_lonlat(np.atleast_2d(np.asarray(pixels, np.float64)) / 256, ZOOM)
    return look_at(lonlat, **warp)


def look_at(lonlat: object, **warp: object) -> Look:
    points = torch.from_numpy(np.atleast_2d(np.asarray(lonlat, np.float64)))
    rows = torch.full((len(points),), ROW_SYNTHETIC)
    return Look(rows, points, {key: torch.as_tensor(value) for key, value in warp.items()})


def truth_around(x: float, y: float, side: int = 256) -> np.ndarray:
    corner = math.floor(x - side / 2 + 0.5), math.floor(y - side / 2 + 0.5)
    return cut(image(), LEFT, TOP, *corner, side, side) * 255


def native_meters(size_px: int, y: float = CORNER[1]) -> float:
    """Ground meters of ``size_px`` native pixels at a row of the map."""
    lat = geo.tile_xy_to_lonlat([0.0, y / 256], ZOOM)[1]
    return float(geo.meters_per_pixel(lat, ZOOM)) * size_px


# --- placement and orientation -----------------------------------------------------------------------------


def test_it_is_a_view_and_says_what_it_reads(view: RasterView) -> None:
    as_view: View = view
    spec = as_view.spec
    assert (spec.name, spec.kind, spec.channels, spec.zoom, spec.rules) == (
        "map",
        "raster",
        CHANNELS,
        ZOOM,
        "abc",
    )
    assert (spec.values, spec.size_px, spec.size_m) == ("coverage 0..255", 256, None)


def test_a_tile_read_at_its_center_is_its_block(view: RasterView) -> None:
    """Exactly, for every tile around the corner of four shards. Oracle: the array that GDAL stored."""
    tiles = np.array([(x, y) for y in range(37949, 37955) for x in range(74621, 74627)])
    batch = view.read(look_at_pixels(tiles * 256 + 128.0))
    assert batch.dtype == torch.uint8
    assert batch.shape == (36, 6, 256, 256)
    for (x, y), seen in zip(tiles.tolist(), batch.numpy(), strict=True):
        np.testing.assert_array_equal(seen, cut(image(), LEFT, TOP, x * 256, y * 256, 256, 256) * 255)


@pytest.mark.parametrize("size_px", [1, 7, 64, 129, 1024])
def test_native_windows_are_centered_on_the_nearest_pixel(view: RasterView, size_px: int) -> None:
    points = [(CORNER[0] + 3.3, CORNER[1] - 77.8), (CORNER[0] - 300.6, CORNER[1] + 11.2)]
    batch = view.window(size_px=size_px).read(look_at_pixels(points)).numpy()
    for (x, y), seen in zip(points, batch, strict=True):
        np.testing.assert_array_equal(seen, truth_around(x, y, size_px))


@pytest.mark.parametrize("size_m", [None, native_meters(256) * 0.9])
def test_a_point_lies_where_pyproj_puts_it(tmp_path: Path, size_m: float | None) -> None:
    """North is row 0, west is column 0. Oracle: EPSG:3857 by pyproj, and the geodesic for meters."""
    resolution = 2 * HALF / (256 * 2**ZOOM)
    lon, lat = 24.9412, 60.1719
    dot_lon, dot_lat, _ = Geod(ellps="WGS84").fwd(lon, lat, 30.0, 60.0)  # 52 m north, 30 m east
    east, north = Transformer.from_crs(4326, 3857, always_xy=True).transform(dot_lon, dot_lat)
    x, y = math.floor((east + HALF) / resolution), math.floor((HALF - north) / resolution)
    write_map(tmp_path / "map", np.ones((1, 3, 3), np.uint8), x - 1, y - 1, ZOOM)
    seen = RasterView(tmp_path, zoom=ZOOM, channels=("dot",), size_m=size_m).read(look_at([lon, lat]))
    row, column = ndimage.center_of_mass(seen.numpy()[0, 0])
    meters = (size_m or native_meters(256, y)) / 256
    assert (column + 0.5 - 128) * meters == pytest.approx(30.0, abs=0.7)
    assert (128 - row - 0.5) * meters == pytest.approx(60.0 * math.cos(math.radians(30.0)), abs=0.7)


def test_a_mirrored_or_turned_reading_would_be_seen(view: RasterView) -> None:
    """Every wrong way to hold the F differs from what is read by more than a tenth of its pixels."""
    seen = view.window(size_px=1200).read(look_at_pixels(CORNER)).numpy()[0, 0]
    right = letter_f(1200) * 255
    np.testing.assert_array_equal(seen, right)
    wrong = [np.rot90(right, k) for k in (1, 2, 3)] + [
        right[::-1],
        right[:, ::-1],
        right.T,
        right[::-1, ::-1].T,
    ]
    for mutant in wrong:
        assert (mutant != seen).mean() > 0.1


def test_unknown_ground_and_missing_rows_are_zeros(view: RasterView) -> None:
    look = look_at_pixels([CORNER, CORNER, CORNER, (CORNER[0] + 10**6, CORNER[1])])
    look.rows[1] = ROW_MISSING
    assert look.lonlat is not None
    look.lonlat[2] = math.nan
    for window in (view, view.window(size_m=300.0)):
        batch = window.read(look)
        assert batch[0].any()
        assert not batch[1:].any()
    nothing = Look(torch.full((2,), ROW_MISSING), torch.full((2, 2), math.nan, dtype=torch.float64),
                   {"angle": torch.zeros(2), "shift": torch.zeros(2, 2)})  # fmt: skip
    assert not view.read(nothing).any()
    assert view.read(look_at(np.zeros((0, 2)))).shape == (0, 6, 256, 256)


def test_longitudes_wrap(tmp_path: Path) -> None:
    world = 256 * 2**ZOOM
    truth = letter_f(600)[None]
    write_map(tmp_path / "map", truth, world - 300, world // 2 - 300, ZOOM)
    read = RasterView(tmp_path, zoom=ZOOM, channels=("f",), size_px=600).read
    for lon in (180.0, -180.0, 540.0 - 360.0):
        np.testing.assert_array_equal(read(look_at([lon, 0.0])).numpy()[0], truth * 255)
    moved = read(look_at([179.999, 0.0], shift=[[geo.distance_m(179.999, 0.0, 180.0, 0.0).item(), 0.0]]))
    np.testing.assert_array_equal(moved.numpy()[0], truth * 255)


def test_a_real_map_is_read_as_gdal_reads_it(helsinki_pbf: Path, tmp_path: Path) -> None:
    """The embedded extract as placevec burns it. Oracle: GDAL, on map.vrt, over shard borders and unaligned."""
    area = geo.Area(24.937, 60.170, 24.947, 60.176)
    layers = burn_extract(helsinki_pbf, tmp_path, area=area, zoom=17).layers
    view = RasterView(tmp_path, zoom=17, channels=layers)
    coverage = Coverage(tmp_path / "map_coverage.tif")
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(24.935, 24.949, 20), rng.uniform(60.169, 60.177, 20)])
    corners = np.floor(geo.lonlat_to_tile_xy(*points.T, 17) * 256 - 128 + 0.5).astype(int)
    with rasterio.open(tmp_path / "map.vrt") as file:
        assert file.descriptions == layers == coverage.channels
        resolution = 2 * HALF / (256 * 2**17)
        origin = round((file.transform.c + HALF) / resolution), round((HALF - file.transform.f) / resolution)
        for corner, seen in zip(corners, view.read(look_at(points)).numpy(), strict=True):
            window = Window(*(corner - origin).tolist(), 256, 256)
            expected = file.read(window=window, boundless=True, fill_value=0)
            np.testing.assert_array_equal(seen, expected * 255)
    assert view.read(look_at(points)).any(dim=3).any(dim=2).sum() > 60
    tiles = np.unique(corners // 256, axis=0)
    whole = view.read(look_at(geo.tile_xy_to_lonlat(tiles + 0.5, 17))).double().mean(dim=(2, 3)) / 255
    np.testing.assert_allclose(coverage.fractions(np.hstack([tiles, tiles + 1]), 17), whole, atol=0.51 / 255)


# --- warps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quarter", [-1, 1, 2, 3, 5])
def test_a_right_angle_is_numpys_rot90(view: RasterView, quarter: int) -> None:
    """Positive is counter-clockwise, as numpy.rot90; float32 angles are close enough to be exact."""
    angle = torch.tensor([quarter * math.pi / 2], dtype=torch.float32)
    seen = view.read(look_at_pixels((CORNER[0] + 40, CORNER[1] - 30), angle=angle)).numpy()[0]
    expected = np.rot90(truth_around(CORNER[0] + 40, CORNER[1] - 30), quarter, axes=(1, 2))
    np.testing.assert_array_equal(seen, expected)
    nearly = view.read(look_at_pixels((CORNER[0] + 40, CORNER[1] - 30), angle=angle + 1e-5)).numpy()[0]
    assert np.abs(nearly.astype(int) - expected).max() < 3  # the resampled way turns the same way


@pytest.mark.parametrize("degrees", [17.0, 45.0, -100.0, 200.0])
@pytest.mark.parametrize("scale", [1.0, 0.5, 1.7])
def test_turned_and_scaled_windows(view: RasterView, degrees: float, scale: float) -> None:
    """Oracle: scipy.ndimage, linear in float64, at positions turned as complex numbers with north up."""
    center = CORNER[0] + 21.0, CORNER[1] - 64.0
    window = view.window(size_px=256, size_m=native_meters(256, center[1]) * scale)
    seen = window.read(look_at_pixels(center, angle=[math.radians(degrees)])).numpy()[0].astype(float)
    row, column = np.mgrid[:256, :256] - 127.5
    place = scale * (column - 1j * row) * np.exp(-1j * math.radians(degrees))
    stored = truth_around(*center, 800).astype(float)
    for channel in range(6):
        expected = ndimage.map_coordinates(stored[channel], (399.5 - place.imag, 399.5 + place.real), order=1)
        assert np.abs(seen[channel] - expected).max() < 1.0


@pytest.mark.parametrize("degrees", [30.0, -100.0])
def test_angles_turn_as_scipy_does(view: RasterView, degrees: float) -> None:
    """Oracle: scipy.ndimage.rotate, counter-clockwise as displayed."""
    seen = view.read(look_at_pixels(CORNER, angle=[math.radians(degrees)])).numpy()[0].astype(float)
    for channel, stored in enumerate(truth_around(*CORNER, 800).astype(float)):
        turned = ndimage.rotate(stored, degrees, reshape=False, order=1)[272:528, 272:528]
        assert np.abs(seen[channel] - turned).max() < 1.0


def test_a_turned_shape_is_the_shape_turned(tmp_path: Path) -> None:
    """Oracle: shapely turns an L about the window's center, rasterio.features burns it."""
    shape = Polygon([(40, 30), (90, 30), (90, 180), (200, 180), (200, 220), (40, 220)])
    truth = rasterize([shape], (256, 256))
    write_map(tmp_path / "map", truth[None], CORNER[0] - 128, CORNER[1] - 128, ZOOM)
    read = RasterView(tmp_path, zoom=ZOOM, channels=("l",)).read
    for degrees in (30.0, 135.0, -77.0):
        seen = read(look_at_pixels(CORNER, angle=[math.radians(degrees)])).numpy()[0, 0] >= 128
        overlap = {}
        for sign in (1, -1):  # rows grow southwards: counter-clockwise on the map is -degrees in rows
            expected = rasterize([affinity.rotate(shape, -sign * degrees, origin=(128, 128))], (256, 256)) > 0
            overlap[sign] = (seen & expected).sum() / (seen | expected).sum()
        assert overlap[1] > 0.98 > 0.9 > overlap[-1]


def test_a_shift_is_meters_east_and_north(view: RasterView) -> None:
    """Oracle: the geodesic by pyproj; and the stored pixels at the place where that ends."""
    lon, lat = geo.tile_xy_to_lonlat(np.array(CORNER) / 256, ZOOM)
    shift = np.array([[75.0, 40.0], [-120.0, -10.0]])
    seen = view.read(look_at([[lon, lat]] * 2, shift=shift.astype(np.float32))).numpy()
    for (east, north), window in zip(shift, seen, strict=True):
        bearing, length = math.degrees(math.atan2(east, north)), math.hypot(east, north)
        there = Geod(ellps="WGS84").fwd(lon, lat, bearing, length)[:2]
        np.testing.assert_array_equal(window, view.read(look_at(there)).numpy()[0])
        meters = native_meters(1)
        expected = truth_around(CORNER[0] + east / meters, CORNER[1] - north / meters)
        assert (window != expected).mean() < 0.08  # a pixel off at most: 0.35 % of 120 m is 0.7 pixels
        for wrong in ((-east, north), (east, -north), (north, east)):
            mutant = truth_around(CORNER[0] + wrong[0] / meters, CORNER[1] - wrong[1] / meters)
            assert (window[1] != mutant[1]).mean() > 0.1


def test_the_map_turns_after_the_window_moved(view: RasterView) -> None:
    there = geo.offset(*geo.tile_xy_to_lonlat(np.array(CORNER) / 256, ZOOM), east_m=90.0, north_m=0.0)
    together = view.read(look_at_pixels(CORNER, shift=[[90.0, 0.0]], angle=[0.7]))
    assert torch.equal(together, view.read(look_at(there, angle=[0.7])))


def test_channels_not_kept_are_blank_and_leave_the_others_alone(view: RasterView) -> None:
    points = [(CORNER[0] + 40, CORNER[1] - 30)] * 3
    keep = torch.tensor([[True] * 6, [True, False, True, True, False, False], [False] * 6])
    for angle in (0.0, 0.5):
        full = view.read(look_at_pixels(points, angle=[angle] * 3))
        assert full[0, [0, 1, 2, 4, 5]].flatten(1).any(1).all()
        seen = view.read(look_at_pixels(points, angle=[angle] * 3, keep=keep))
        assert torch.equal(seen, full * keep[:, :, None, None])


# --- ground meters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lat", [0.0, 36.0, 60.0, -45.0, 80.0])
def test_a_square_of_known_meters_keeps_its_pixels(tmp_path: Path, lat: float) -> None:
    """80 m x 80 m by pyproj's geodesics is 80 / 200 of a 200 m window at every latitude, within 1 %."""
    lon, geodesic = 10.0123, Geod(ellps="WGS84")
    north, south = (geodesic.fwd(lon, lat, bearing, 40.0)[1] for bearing in (0.0, 180.0))
    east, west = (geodesic.fwd(lon, lat, bearing, 40.0)[0] for bearing in (90.0, 270.0))
    (x0, y0), (x1, y1) = (
        geo.lonlat_to_tile_xy(*corner, 19) * 256 for corner in ((west, north), (east, south))
    )
    left, top, side = math.floor(x0) - 20, math.floor(y0) - 20, math.ceil(max(x1 - x0, y1 - y0)) + 40
    truth = rasterize([box(x0 - left, y0 - top, x1 - left, y1 - top)], (side, side))
    write_map(tmp_path / "map", truth[None], left, top, 19)
    window = RasterView(tmp_path, zoom=19, channels=("square",), size_px=256, size_m=200.0)
    seen = window.read(look_at([lon, lat])).numpy()[0, 0] / 255.0
    assert seen.sum() == pytest.approx((80 / 200 * 256) ** 2, rel=0.01)
    assert seen.max(axis=1).sum() == pytest.approx(80 / 200 * 256, rel=0.02)
    assert seen.max(axis=0).sum() == pytest.approx(80 / 200 * 256, rel=0.02)
    np.testing.assert_allclose(ndimage.center_of_mass(seen), (127.5, 127.5), atol=0.5)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_whole_factors_are_area_averages(view: RasterView, factor: int) -> None:
    """Oracle: the mean of each factor x factor cell of the stored pixels, to the rounding."""
    side, center = 96, (CORNER[0] - 10.0, CORNER[1] + 33.0)
    window = view.window(size_px=side, size_m=native_meters(side * factor, center[1]))
    seen = window.read(look_at_pixels(center)).numpy()[0].astype(float)
    stored = truth_around(*center, side * factor).astype(float)
    expected = stored.reshape(6, side, factor, side, factor).mean(axis=(2, 4))
    assert np.abs(seen - expected).max() <= 1.5


@pytest.mark.parametrize("factor", [2, 3])
def test_rounding_of_coordinates_does_not_blur(view: RasterView, factor: int) -> None:
    """A center a millionth of a pixel to either side of a corner reads the same window."""
    window = view.window(size_px=96, size_m=native_meters(96 * factor))
    beside = [(CORNER[0] + east, CORNER[1] + south) for east in (-1e-6, 1e-6) for south in (-1e-6, 1e-6)]
    seen = window.read(look_at_pixels(beside)).numpy().astype(int)
    assert np.abs(seen - seen[:1]).max() <= 1


@pytest.mark.parametrize("scale", [2.5, 5.3, 9.0])
def test_thin_lines_fade_and_do_not_break(tmp_path: Path, scale: float) -> None:
    """A grid of lines of 2 pixels, seen coarsely: its share of the ground stays, and no line vanishes."""
    truth = np.zeros((1, 3000, 3000), np.uint8)
    lines = (np.arange(0, 3000, 250)[:, None] + [0, 1]).ravel()
    truth[0, lines] = truth[0, :, lines] = 1
    write_map(tmp_path / "map", truth, CORNER[0] - 1500, CORNER[1] - 1500, ZOOM)
    view = RasterView(
        tmp_path, zoom=ZOOM, channels=("lines",), size_px=256, size_m=native_meters(256) * scale
    )
    seen = view.read(look_at_pixels(CORNER, angle=[0.3])).numpy()[0, 0] / 255.0
    inside = math.floor(256 * scale / 2)
    share = truth[0, 1500 - inside : 1500 + inside, 1500 - inside : 1500 + inside].mean()
    assert seen.mean() == pytest.approx(
        share, rel=0.12
    )  # the window is turned: other lines cross its corners
    profile = ndimage.rotate(seen, -math.degrees(0.3), reshape=False, order=1)[64:192, 64:192]
    along = profile.mean(axis=1)
    peaks = along[along > along.mean() * 1.5]
    assert len(peaks) >= 128 * scale / 250 - 1  # every line that crosses is there


def test_strips_do_not_show(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = RasterView(
        dataset, zoom=ZOOM, channels=CHANNELS, size_px=200, size_m=native_meters(1200), memory=False
    )
    whole = view.read(look_at_pixels(CORNER, angle=[0.2]))
    monkeypatch.setattr("placevec.datasets.views.raster.overview.STRIP_PX", 31)
    assert torch.equal(view.read(look_at_pixels(CORNER, angle=[0.2])), whole)


# --- sharing -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_memory_and_shards_give_the_same_pixels(dataset: Path, data: st.DataObject) -> None:
    """Whatever the window: kept in memory or read afresh, and the stored pixels when it is not resampled."""
    size_px = data.draw(st.integers(1, 300))
    size_m = data.draw(st.none() | st.floats(20.0, 900.0))
    angle = data.draw(st.sampled_from([0.0, math.pi / 2, 0.3]) | st.floats(-7.0, 7.0))
    x, y = (at + data.draw(st.floats(-900.0, 900.0)) for at in CORNER)
    both = [
        RasterView(dataset, zoom=ZOOM, channels=CHANNELS, size_px=size_px, size_m=size_m, memory=memory)
        for memory in (False, True)
    ]
    from_shards, from_memory = (view.read(look_at_pixels((x, y), angle=[angle])) for view in both)
    assert torch.equal(from_shards, from_memory)
    assert torch.equal(from_memory, both[1].read(look_at_pixels((x, y), angle=[angle])))
    if size_m is None and angle == 0.0:
        x, y = geo.lonlat_to_tile_xy(*geo.tile_xy_to_lonlat([x / 256, y / 256], ZOOM), ZOOM) * 256
        np.testing.assert_array_equal(from_shards.numpy()[0], truth_around(x, y, size_px))


def test_windows_share_their_blocks_and_choose_channels(view: RasterView) -> None:
    full = view.window(size_px=128, size_m=150.0).read(look_at_pixels(CORNER, angle=[1.0]))
    some = view.window(size_px=128, size_m=150.0, channels=("bar", "f", "empty"))
    assert some.shards is view.shards
    assert some.spec.channels == ("bar", "f", "empty")
    assert (some.spec.size_px, some.spec.size_m, some.spec.rules) == (128, 150.0, "abc")
    assert torch.equal(some.read(look_at_pixels(CORNER, angle=[1.0])), full[:, [2, 0, 3]])
    fewer = some.window(size_px=128, size_m=150.0, channels=["f"])
    assert torch.equal(fewer.read(look_at_pixels(CORNER, angle=[1.0])), full[:, :1])
    assert some.window(size_px=64).spec.channels == ("bar", "f", "empty")


def test_a_view_can_be_pickled(view: RasterView) -> None:
    window = view.window(size_px=64, size_m=70.0, channels=("f", "bar"))
    again = pickle.loads(pickle.dumps(window))  # noqa: S301 (our own, for data loaders)
    assert again.spec == window.spec
    assert torch.equal(again.read(look_at_pixels(CORNER)), window.read(look_at_pixels(CORNER)))


def test_color_maps_of_eight_bits(tmp_path: Path) -> None:
    """RGB tiles in the same layout: copied exactly, and resampled as any other."""
    truth = np.random.default_rng(0).integers(0, 256, (3, 500, 500)).astype(np.uint8)
    write_map(tmp_path / "map", truth, CORNER[0] - 250, CORNER[1] - 250, ZOOM, nbits=None)
    for memory in (True, False):
        rgb = RasterView(tmp_path, zoom=ZOOM, channels=("red", "green", "blue"), size_px=400, memory=memory)
        assert rgb.spec.values == "intensity 0..255"
        seen = rgb.read(look_at_pixels((CORNER[0] + 100, CORNER[1]))).numpy()[0]
        np.testing.assert_array_equal(seen, cut(truth, -250, -250, -100, -200, 400, 400))
        half = rgb.window(size_px=200, size_m=native_meters(400)).read(look_at_pixels(CORNER)).numpy()[0]
        expected = truth[:, 50:450, 50:450].reshape(3, 200, 2, 200, 2).mean(axis=(2, 4))
        assert np.abs(half - expected).max() <= 1.5


# --- errors ------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_says_so(view: RasterView, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Web Mercator"):
        view.read(look_at([10.0, 86.0]))
    with pytest.raises(InputError, match="not a point"):
        view.read(look_at([10.0, math.inf]))
    with pytest.raises(InputError, match="the view 'map' needs coordinates"):
        view.read(Look(torch.zeros(1, dtype=torch.int64)))
    with pytest.raises(InputError, match="unknown warp zoom"):
        view.read(look_at([10.0, 50.0], zoom=[2.0]))
    for warp in ({"angle": [0.0, 1.0]}, {"shift": [1.0]}, {"keep": [[True]]}):
        with pytest.raises(InputError, match="shape"):
            view.read(look_at([10.0, 50.0], **warp))
    with pytest.raises(InputError, match="finite"):
        view.read(look_at([10.0, 50.0], angle=[math.nan]))
    with pytest.raises(InputError, match="lower zoom"):
        view.window(size_m=30_000.0).read(look_at([24.9, 60.1]))
    for size in ({"size_px": 0}, {"size_px": 10**6}, {"size_m": 0.0}, {"size_m": math.nan}):
        with pytest.raises(InputError, match="window"):
            view.window(**size)  # type: ignore[arg-type]
    for channels in (("f", "sea"), ("f", "f"), ()):
        with pytest.raises(InputError, match="channel"):
            view.window(channels=channels)
    with pytest.raises(DatasetError, match="no map"):
        RasterView(tmp_path, zoom=ZOOM, channels=CHANNELS)


def test_the_edge_of_the_mercator_square(view: RasterView) -> None:
    """The last latitude reads, and a shift over it does not end a training run."""
    edge = look_at([10.0, geo.MAX_MERCATOR_LATITUDE], shift=[[0.0, 500.0]], angle=[0.1])
    assert not view.window(size_m=100.0).read(edge).any()


def test_a_damaged_shard_says_so(tmp_path: Path) -> None:
    write_map(tmp_path / "map", image(), LEFT, TOP, ZOOM)
    view = RasterView(tmp_path, zoom=ZOOM, channels=CHANNELS)
    for path in (tmp_path / "map").glob("*.tif"):
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DatasetError, match="prepare"):
        view.read(look_at_pixels(CORNER))


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_flip_mirrors_what_was_read(view: RasterView, angle: float) -> None:
    """Oracle: torch.flip of the same windows, each in its own way; copies and resampled windows alike."""
    center = geo.tile_xy_to_lonlat(np.array([[LEFT + 600, TOP + 600]] * 4) / 256, ZOOM)
    rows, lonlat = torch.zeros(4, dtype=torch.int64), torch.from_numpy(center)
    turned = {"angle": torch.full((4,), angle)}
    flip = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    plain, mirrored = (
        view.read(Look(rows, lonlat, turned)),
        view.read(Look(rows, lonlat, {**turned, "flip": flip})),
    )
    assert plain.any()
    for number, dims in enumerate(((), (2,), (1,), (1, 2))):
        assert torch.equal(mirrored[number], plain[number].flip(dims) if dims else plain[number])
    assert not torch.equal(mirrored[1], plain[1])
