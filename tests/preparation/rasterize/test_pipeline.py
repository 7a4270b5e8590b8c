"""From extracts to maps: known shapes at known places, real extracts, kills and resumption."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.windows import Window

from placevec.datasets.views.pois import read_pois
from placevec.datasets.views.raster.shards import SHARD_PX, read_shard_table
from placevec.distributed.engine import Engine
from placevec.distributed.executors import Executor
from placevec.distributed.ray_executor import RayExecutor
from placevec.errors import InputError, SourceError
from placevec.geo import Area, lonlat_to_tile_xy, offset, tile_ranges, tile_xy_to_lonlat, tiles_of_area
from placevec.geo.geotiff import ATTRIBUTION
from placevec.io.progress import Progress
from placevec.preparation.rasterize import pipeline as burn
from placevec.preparation.rasterize import shard_job as shard_burn
from placevec.preparation.rasterize import shard_parts
from placevec.preparation.rasterize.pipeline import BurnReport, burn_extract
from placevec.sources.osm.layers import LayerTable
from placevec.sources.osm.reader import read_features, read_header
from tests.distributed.pretended_ray import PretendedRay
from tests.osm_xml import OsmFile, box, ring

LAYERS = LayerTable.default().layers
LonLat = tuple[float, float]


def meters(start: LonLat, *steps: LonLat) -> list[LonLat]:
    """Points at meters east and north of one, along the ellipsoid."""
    found = [offset(start[0], start[1], east_m=east, north_m=north).tolist() for east, north in steps]
    return [(lon, lat) for lon, lat in found]


def around(lon: float, lat: float, half: float = 0.004) -> Area:
    return Area(lon - half, lat - half, lon + half, lat + half)


class Map:
    """A burnt map by layer: pixels of the whole area, and where a point lies in them."""

    def __init__(self, dataset: Path) -> None:
        with rasterio.open(dataset / "map.vrt") as file:
            self.transform, self.names = file.transform, file.descriptions
            self.shape = file.shape
        self.path = dataset / "map.vrt"

    def pixel(self, lon: float, lat: float, zoom: int = 17) -> tuple[int, int]:
        """Row and column, by geo's arithmetic and the file's origin."""
        x, y = lonlat_to_tile_xy(lon, lat, zoom) * 256
        half = 20037508.342789244
        resolution = 2 * half / (256 * 2**zoom)
        column, row = (self.transform.c + half) / resolution, (half - self.transform.f) / resolution
        return math.floor(y - row), math.floor(x - column)

    def window(self, layer: str, lon: float, lat: float, reach: int, zoom: int = 17) -> np.ndarray:
        row, column = self.pixel(lon, lat, zoom)
        with rasterio.open(self.path) as file:
            window = Window(column - reach, row - reach, 2 * reach + 1, 2 * reach + 1)
            return file.read(self.names.index(layer) + 1, window=window, boundless=False)

    def layer(self, layer: str) -> np.ndarray:
        with rasterio.open(self.path) as file:
            return file.read(self.names.index(layer) + 1)


def burnt(tmp_path: Path, file: OsmFile, area: Area, **options: Any) -> tuple[Map, BurnReport]:
    path = file.write(tmp_path / "a.osm")
    report = burn_extract(path, tmp_path / "dataset", area=area, **options)
    return Map(tmp_path / "dataset"), report


def content(folder: Path) -> dict[str, str]:
    """Name -> hash of every file, without what resuming keeps."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".work" not in path.parts
    }


# --- where and how large -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(0.01, 0.01), (24.94, 60.17), (-70.6, -33.4), (178.9, -17.8)])
def test_shapes_lie_where_they_should_and_are_not_turned(tmp_path: Path, place: LonLat) -> None:
    """A letter L (foot to the east) and a point to its north-east."""
    file = OsmFile()
    file.way(ring(meters(place, (0, 0), (60, 0), (60, 15), (15, 15), (15, 80), (0, 80))), {"building": "yes"})
    (north_east,) = meters(place, (50, 70))
    file.node(north_east, {"amenity": "cafe"})
    drawn, report = burnt(tmp_path, file, around(*place))
    for east, north, inside in (
        (7, 70, True),
        (50, 7, True),
        (50, 40, False),
        (-5, 40, False),
        (30, 90, False),
    ):
        (point,) = meters(place, (east, north))
        assert bool(drawn.window("buildings", *point, 0)[0, 0]) == inside
    assert drawn.window("amenities", *north_east, 2).all()
    assert not drawn.window("amenities", *meters(place, (7, 7))[0], 2).any()
    assert report.drawn["buildings"] == report.drawn["amenities"] == 1


@pytest.mark.parametrize("latitude", [0.0, 60.0, -60.0])
def test_widths_are_meters_on_the_ground_at_every_latitude(tmp_path: Path, latitude: float) -> None:
    """Closed form: a road of 400 m and 15 m is 6,000 m2 and its round ends; a pixel is its meters squared.

    Ground meters a pixel: 40,075,017 m / (256 x 2^17) x cos(latitude) of the sphere, on the ellipsoid within 0.7 %.
    """
    file = OsmFile()
    start = (10.0, latitude + 0.0002)
    for bearing in range(0, 180, 30):
        middle = offset(start[0] + bearing * 0.0002, start[1], east_m=0, north_m=0).tolist()
        east, north = 200 * math.sin(math.radians(bearing)), 200 * math.cos(math.radians(bearing))
        ends = meters((middle[0] + bearing * 0.0003, middle[1]), (-east, -north), (east, north))
        file.way(ends, {"highway": "motorway"})
    drawn, _ = burnt(tmp_path, file, Area(9.98, latitude - 0.02, 10.12, latitude + 0.02))
    pixel = 40075016.686 / (256 * 2**17) * math.cos(math.radians(latitude))
    area = drawn.layer("roads").sum() * pixel**2 / 6
    assert area == pytest.approx(400 * 15 + math.pi * 7.5**2, rel=0.025)


def test_points_are_discs_of_their_diameter(tmp_path: Path) -> None:
    file = OsmFile()
    file.node((24.94, 60.17), {"place": "suburb"})  # 100 m
    drawn, _ = burnt(tmp_path, file, around(24.94, 60.17))
    pixel = 40075016.686 / (256 * 2**17) * math.cos(math.radians(60.17))
    assert drawn.layer("places").sum() * pixel**2 == pytest.approx(math.pi * 50**2, rel=0.02)


def test_multipolygons_keep_their_holes(tmp_path: Path) -> None:
    """Oracle: shapely's area of the same rings in meters."""
    file = OsmFile()
    place = (14.5, 35.9)
    shell = meters(place, (0, 0), (200, 0), (200, 160), (0, 160))
    hole = meters(place, (50, 50), (120, 50), (120, 110), (50, 110))
    members = [(file.way(ring(shell)), "outer"), (file.way(ring(hole)), "inner")]
    file.relation(members, {"type": "multipolygon", "natural": "water"})
    drawn, _ = burnt(tmp_path, file, around(*place))
    assert not drawn.window("water", *meters(place, (80, 80))[0], 20).any()
    assert drawn.window("water", *meters(place, (25, 80))[0], 10).all()
    pixel = 40075016.686 / (256 * 2**17) * math.cos(math.radians(35.9))
    assert drawn.layer("water").sum() * pixel**2 == pytest.approx(200 * 160 - 70 * 60, rel=0.015)


def test_boundaries_of_relations_are_outlines(tmp_path: Path) -> None:
    file = OsmFile()
    place = (14.5, 35.9)
    way = file.way(ring(meters(place, (0, 0), (200, 0), (200, 200), (0, 200))))
    file.relation([(way, "outer")], {"type": "boundary", "boundary": "administrative", "admin_level": "8"})
    drawn, report = burnt(tmp_path, file, around(*place))
    assert drawn.window("boundaries", *meters(place, (0, 100))[0], 1).any()
    assert not drawn.window("boundaries", *meters(place, (100, 100))[0], 30).any()
    assert report.nonempty_tiles.shape == (0, 2)


# --- what is content ---------------------------------------------------------------------------------------


def test_tiles_with_content_and_tiles_without(tmp_path: Path) -> None:
    """Roads count; the sea, boundaries and places alone do not."""
    file = OsmFile()
    west, east = 14.49, 14.53
    file.way([(14.5, 35.8), (14.5, 36.0)], {"natural": "coastline"})  # sea in the east
    file.way(meters((west, 35.9), (0, 0), (20, 0)), {"highway": "path"})
    file.node((east, 35.9), {"place": "locality", "name": "Reef"})
    file.way(meters((14.495, 35.9), (0, 0), (20, 0)), {"boundary": "administrative"})
    drawn, report = burnt(tmp_path, file, Area(14.48, 35.89, 14.54, 35.91))
    x, y = lonlat_to_tile_xy(west, 35.9, 17)
    assert {tuple(tile) for tile in report.nonempty_tiles.tolist()} <= {(int(x) + n, int(y)) for n in (0, 1)}
    assert len(report.nonempty_tiles) >= 1
    assert "closed" in report.sea
    assert drawn.window("water", east, 35.9, 50).all()
    assert drawn.window("places", east, 35.9, 5).all()


def test_content_is_in_the_area_and_tiles_are_counted(tmp_path: Path) -> None:
    file = OsmFile()
    file.way([(14.0, 35.9), (15.0, 35.9)], {"highway": "primary"})
    area = Area(14.5, 35.89, 14.52, 35.91)
    _, report = burnt(tmp_path, file, area)
    touched = {tuple(tile) for tile in report.nonempty_tiles.tolist()}
    assert touched <= {tuple(tile) for tile in tiles_of_area(area, 17).tolist()}
    assert len(touched) in (7, 8)
    assert report.tiles >= len(tiles_of_area(area, 17))


def test_a_table_of_ones_own_and_any_zoom(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[[layer]]\nname = "a <&> b"\nrules = [{ key = "building", fill = true }]\n'
        '[[layer]]\nname = "paths"\nrules = [{ key = "highway", width_m = 3 }]\n'
    )
    file = OsmFile()
    file.way(ring(meters((14.5, 35.9), (0, 0), (50, 0), (50, 50), (0, 50))), {"building": "yes"})
    for zoom in (0, 5, 12, 17, 19, 22):
        table = LayerTable.from_toml(tmp_path / "own.toml")
        out = tmp_path / str(zoom)
        report = burn_extract(
            file.write(tmp_path / "a.osm"), out, area=around(14.5, 35.9, 0.0004), zoom=zoom, table=table
        )
        assert report.layers == ("a <&> b", "paths")
        with rasterio.open(out / "map.vrt") as virtual, rasterio.open(out / "map_coverage.tif") as coverage:
            assert virtual.descriptions == coverage.descriptions == report.layers
        (shard,) = (out / "map").glob("*.tif")
        read_shard_table(shard, zoom, 2)  # the reader's own checks of size, place, bits and compression
        assert Map(out).window("a <&> b", *meters((14.5, 35.9), (25, 25))[0], 0, zoom).any() or zoom < 12
        assert len(report.nonempty_tiles) >= 1


# --- the files ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def helsinki(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BurnReport, Area]:
    """The embedded extract, burnt once."""
    from placevec.sources.osm.extracts import embedded_extract

    path = embedded_extract().path
    area = read_header(path).area
    assert area is not None
    folder = tmp_path_factory.mktemp("helsinki")
    return folder, burn_extract(path, folder, area=area, labels={"landuse": LayerTable.landuse()}), area


def test_the_dataset_holds_what_it_should(helsinki: tuple[Path, BurnReport, Area]) -> None:
    folder, report, _ = helsinki
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {"map", "map.vrt", "map_coverage.tif", "landuse_coverage.tif", "pois.parquet"}
    assert report.shards == len(list((folder / "map").iterdir()))
    assert report.extract_sha256 == hashlib.sha256(_embedded().read_bytes()).hexdigest()
    assert sum(report.broken.values()) > 100
    assert all(len(examples) > 0 for examples in report.examples.values())
    assert set(report.seconds) == {"fingerprint", "read", "burn", "bind"}
    assert report.drawn["buildings"] > 500
    assert 40 < len(report.nonempty_tiles) <= report.tiles


def _embedded() -> Path:
    from placevec.sources.osm.extracts import embedded_extract

    return embedded_extract().path


def test_shards_are_what_the_layout_says(helsinki: tuple[Path, BurnReport, Area]) -> None:
    folder, _, _ = helsinki
    for path in (folder / "map").iterdir():
        table = read_shard_table(path, 17, 12)
        assert (table.bits, table.compression) == (1, 50000)
        with rasterio.open(path) as file:
            assert file.shape == (SHARD_PX, SHARD_PX)
            assert file.descriptions == LAYERS
            assert file.tags()["ATTRIBUTION"] == ATTRIBUTION
            assert file.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == "1"
            x, y = (int(part) for part in path.stem.split("_"))
            lon, lat = 24.9414, 60.1719
            column, row = lonlat_to_tile_xy(lon, lat, 17) * 256 - np.array([x, y]) * SHARD_PX
            from rasterio.warp import transform

            (east,), (north,) = transform("EPSG:4326", "EPSG:3857", [lon], [lat])
            assert file.index(east, north) == (math.floor(row), math.floor(column))


def test_coverage_is_the_share_of_pixels(helsinki: tuple[Path, BurnReport, Area]) -> None:
    """Oracle: means over the pixels of the virtual raster."""
    folder, _, _ = helsinki
    with rasterio.open(folder / "map.vrt") as pixels, rasterio.open(folder / "map_coverage.tif") as coverage:
        assert (pixels.width, pixels.height) == (16 * coverage.width, 16 * coverage.height)
        assert pixels.bounds == pytest.approx(coverage.bounds)
        assert coverage.descriptions == LAYERS
        for band in (1, 4, 10, 11):
            cells = pixels.read(band).reshape(coverage.height, 16, coverage.width, 16).mean(axis=(1, 3))
            assert np.array_equal(np.floor(cells * 255 + 0.5).astype(np.uint8), coverage.read(band))


def test_content_tiles_are_those_with_coverage(helsinki: tuple[Path, BurnReport, Area]) -> None:
    """All layers that count; tiles of nothing but sea are the only difference."""
    folder, report, area = helsinki
    counting = [n + 1 for n, name in enumerate(LAYERS) if name not in ("boundaries", "places")]
    with rasterio.open(folder / "map_coverage.tif") as file:
        full = (file.read(counting) > 0).any(axis=0)
        dry = (file.read([n for n in counting if LAYERS[n - 1] != "water"]) > 0).any(axis=0)
        x0 = round((file.transform.c + 20037508.342789244) / (file.transform.a * 16))
        y0 = round((20037508.342789244 - file.transform.f) / (file.transform.a * 16))
    shape = full.shape[0] // 16, 16, full.shape[1] // 16, 16
    found = {tuple(tile) for tile in report.nonempty_tiles.tolist()}
    area_tiles = {tuple(tile) for tile in tiles_of_area(area, 17).tolist()}
    any_layer = {(x0 + x, y0 + y) for y, x in np.argwhere(full.reshape(shape).any(axis=(1, 3))).tolist()}
    without_water = {(x0 + x, y0 + y) for y, x in np.argwhere(dry.reshape(shape).any(axis=(1, 3))).tolist()}
    assert found <= any_layer & area_tiles
    assert found >= without_water & area_tiles


def test_buildings_of_helsinki_equal_gdal(helsinki: tuple[Path, BurnReport, Area]) -> None:
    """Oracle: rasterio.features on the same rings; a pixel is set when its center lies inside."""
    folder, _, area = helsinki
    row, column = Map(folder).pixel(area.west, area.north)
    with rasterio.open(folder / "map.vrt") as file:
        pixels = file.read(LAYERS.index("buildings") + 1, window=Window(column, row, 1700, 2500))
        west, north = file.xy(row, column, offset="ul")
        scale = file.transform.a
    shapes = []
    for chunk in read_features(
        _embedded(), keys=["building"], wanted=lambda tags, _: tags["building"] != "no" or None
    ):
        for row in range(len(chunk)):
            rings = chunk.paths.row(row)
            if chunk.kind[row] >= 2:
                xy = [_mercator(path) for path in rings]
                inside = [((path - [west, north]) / [scale, -scale]) for path in xy]
                polygons = [shapely.Polygon(path).buffer(0) for path in inside]
                shape = polygons[0]
                for other in polygons[1:]:
                    shape = shape.symmetric_difference(other)
                shapes.append(shape)
    truth = rasterize([(shape, 1) for shape in shapes if not shape.is_empty], out_shape=pixels.shape)
    assert truth.mean() > 0.1
    assert (truth & pixels).sum() / (truth | pixels).sum() > 0.97
    assert pixels.sum() / truth.sum() == pytest.approx(1.0, abs=0.01)


def _mercator(lonlat: np.ndarray) -> np.ndarray:
    from rasterio.warp import transform

    return np.array(transform("EPSG:4326", "EPSG:3857", *lonlat.T.tolist())).T


def test_points_of_interest_of_helsinki(helsinki: tuple[Path, BurnReport, Area]) -> None:
    folder, report, _ = helsinki
    pois = read_pois(folder / "pois.parquet")
    assert len(pois) == report.pois > 2000
    assert {"Helsinki", "Kaisaniemi"} & set(pois["name"].dropna())
    assert pois["group"].value_counts()["food"] > 200
    x, y = lonlat_to_tile_xy(pois["lon"], pois["lat"], 17).T
    assert (np.floor(x).max() - np.floor(x).min() + 1) * (
        np.floor(y).max() - np.floor(y).min() + 1
    ) <= report.tiles


def test_points_of_interest_of_all_tiles_and_no_others(tmp_path: Path) -> None:
    """One in every tile of 3 x 3 and in each of those around; also with two parts at the antimeridian."""
    for number, area in enumerate(
        (Area(24.9375, 60.165, 24.9424, 60.1674), Area(179.9974, 0.0002, -179.9973, 0.005))
    ):
        file, wanted = OsmFile(), set()
        ranges = tile_ranges(area, 17)
        for x0, y0, x1, y1 in ranges:
            for x in range(x0 - 1, x1 + 2):
                for y in range(y0 - 1, y1 + 2):
                    lon, lat = tile_xy_to_lonlat(np.array([[x + 0.5, y + 0.5]]), 17)[0].tolist()
                    name = f"{x % 2**17}/{y}"
                    file.node(((lon + 180.0) % 360.0 - 180.0, lat), {"amenity": "cafe", "name": name})
            wanted |= {f"{x}/{y}" for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)}
        (tmp_path / f"{number}").mkdir()
        burnt(tmp_path / f"{number}", file, area)
        found = read_pois(tmp_path / f"{number}" / "dataset" / "pois.parquet")
        assert set(found["name"]) == wanted


def test_label_classes_are_counted_and_not_kept_as_pixels(helsinki: tuple[Path, BurnReport, Area]) -> None:
    folder, _, _ = helsinki
    with (
        rasterio.open(folder / "landuse_coverage.tif") as labels,
        rasterio.open(folder / "map_coverage.tif") as map_,
    ):
        assert labels.descriptions == LayerTable.landuse().layers
        assert labels.transform == map_.transform
        assert labels.shape == map_.shape
        green = labels.read(labels.descriptions.index("green") + 1)
        assert green.any()
        drawn = map_.read(
            [LAYERS.index(name) + 1 for name in ("landcover", "natural-features", "leisure", "amenities")]
        )
        assert (drawn.max(axis=0)[green > 0] > 0).all()


# --- the same again, and after a kill ----------------------------------------------------------------------


def run_helsinki(folder: Path, **options: Any) -> BurnReport:
    area = read_header(_embedded()).area
    assert area is not None
    settings: dict[str, Any] = {
        "area": area,
        "zoom": 20,
        "labels": {"landuse": LayerTable.landuse()},
        **options,
    }
    return burn_extract(_embedded(), folder, **settings)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], BurnReport, Path]:
    folder = tmp_path_factory.mktemp("whole")
    report = run_helsinki(folder)
    assert report.shards >= 4
    return content(folder), report, folder


def equal(one: BurnReport, other: BurnReport) -> bool:
    same = {key: value for key, value in one.__dict__.items() if key not in ("seconds", "nonempty_tiles")}
    return np.array_equal(one.nonempty_tiles, other.nonempty_tiles) and all(
        other.__dict__[key] == value for key, value in same.items()
    )


def test_a_second_run_reuses_everything(
    uninterrupted: tuple[dict[str, str], BurnReport, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first, folder = uninterrupted
    monkeypatch.setattr(burn, "burn_shard", lambda job: pytest.fail("burnt again"))
    monkeypatch.setattr(burn, "read_features", lambda *args, **more: pytest.fail("read again"))
    again = run_helsinki(folder)
    assert equal(again, first)
    assert content(folder) == before


def test_a_run_that_stopped_between_shards_ends_with_the_same_bytes(
    tmp_path: Path, uninterrupted: tuple[dict[str, str], BurnReport, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def stops(job: shard_burn.ShardJob, *_: object) -> tuple[int, int]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(job.shard)
        return shard_burn.burn_shard(job)

    monkeypatch.setattr(burn, "burn_shard", stops)
    with pytest.raises(KeyboardInterrupt):
        run_helsinki(tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "map").iterdir()}
    assert len(kept) == 2
    monkeypatch.undo()
    monkeypatch.setattr(burn, "read_features", lambda *args, **more: pytest.fail("read again"))
    report = run_helsinki(tmp_path)
    assert equal(report, uninterrupted[1])
    assert content(tmp_path) == uninterrupted[0]
    assert {name: (tmp_path / "map" / name).stat().st_mtime_ns for name in kept} == kept


def test_several_processes_draw_the_same(
    tmp_path: Path, uninterrupted: tuple[dict[str, str], BurnReport, Path]
) -> None:
    assert equal(run_helsinki(tmp_path, engine=Engine(workers=2)), uninterrupted[1])
    assert content(tmp_path) == uninterrupted[0]


def test_workers_of_a_cluster_draw_the_same(
    tmp_path: Path, uninterrupted: tuple[dict[str, str], BurnReport]
) -> None:
    """One dies before it draws, one after it wrote its map file and before its part, one as it writes."""
    deaths = iter(("before", "", "after", "", "during"))

    def dies(actor: Any, method: str, given: tuple[Any, ...]) -> bool:
        when = next(deaths, "") if method == "make" else ""
        if when == "after":
            shard_burn.burn_shard(given[0])
            (given[0].parts.folder / shard_parts.part_name(given[0].shard)).unlink()
        if when == "during":
            (given[0].target.parent / ".tmp-7.ffff-12345678-1_2.tif").write_bytes(
                b"half"
            )  # of another machine
        return bool(when)

    ray = PretendedRay(dies, cpus=2)

    class Pretended(Engine):
        @contextmanager
        def opened(self, progress: Progress) -> Iterator[Executor]:
            yield RayExecutor(ray, 2, 0.0, progress)

    assert equal(run_helsinki(tmp_path, engine=Pretended()), uninterrupted[1])
    assert content(tmp_path) == uninterrupted[0]
    assert len([actor for actor in ray.actors if actor.is_dead]) >= 2


def test_other_rules_start_afresh(tmp_path: Path) -> None:
    place = (14.5, 35.9)
    file = OsmFile()
    file.way(ring(meters(place, (0, 0), (50, 0), (50, 50), (0, 50))), {"building": "yes"})
    file.way(meters((14.6, 35.9), (0, 0), (50, 0)), {"highway": "path"})
    path = file.write(tmp_path / "a.osm")
    out = tmp_path / "dataset"
    first = burn_extract(
        path, out, area=Area(14.49, 35.89, 14.61, 35.91), labels={"landuse": LayerTable.landuse()}
    )
    assert first.shards == 2
    second = burn_extract(path, out, area=around(*place))
    assert second.shards == 1
    assert len(list((out / "map").iterdir())) == 1
    assert not (out / "landuse_coverage.tif").exists()
    assert json.loads((out / ".work" / "inputs.json").read_text())["labels"] == {}


def test_what_somebody_removed_is_made_again(tmp_path: Path) -> None:
    file = OsmFile()
    file.way(box(14.5, 35.9, 14.501, 35.901), {"building": "yes"})
    path = file.write(tmp_path / "a.osm")
    out = tmp_path / "dataset"
    burn_extract(path, out, area=around(14.5, 35.9))
    before = content(out)
    next((out / "map").iterdir()).unlink()
    burn_extract(path, out, area=around(14.5, 35.9))
    assert content(out) == before


# --- the edge of the world ---------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [4, 12, 17])
def test_an_area_over_the_antimeridian(tmp_path: Path, zoom: int) -> None:
    """Taveuni lies on both sides; a lake drawn over the line, and houses left and right of it."""
    file = OsmFile()
    file.way(box(179.999, -16.801, 179.9995, -16.8), {"building": "yes"})
    file.way(box(-179.9995, -16.801, -179.999, -16.8), {"building": "yes"})
    lake = ring([(179.9997, -16.803), (-179.9997, -16.803), (-179.9997, -16.802), (179.9997, -16.802)])
    file.way(lake, {"natural": "water"})
    area = Area(179.995, -16.81, -179.995, -16.79)
    drawn, report = burnt(tmp_path, file, area, zoom=zoom)
    assert report.shards == (1 if zoom < 6 else 2)
    xs = set(report.nonempty_tiles[:, 0].tolist())
    assert xs & {2**zoom - 1}
    assert xs & {0}
    with rasterio.open(tmp_path / "dataset" / "map_coverage.tif") as coverage:
        half = 20037508.342789244
        assert zoom < 6 or coverage.bounds.left < half < coverage.bounds.right
        assert coverage.width < 2000
    if zoom == 17:
        water = drawn.layer("water")
        columns = np.flatnonzero(water.any(axis=0))
        _, column = drawn.pixel(179.9999999, -16.8025)
        assert columns.min() < column < columns.max() - 1  # one lake, in one piece
        pixel = 40075016.686 / (256 * 2**17) * math.cos(math.radians(16.8))
        width = 0.0006 * 111319.49 * math.cos(math.radians(16.8))
        assert water.sum() * pixel**2 == pytest.approx(width * 0.001 * 110650, rel=0.03)


def test_the_far_north_and_what_has_no_tiles(tmp_path: Path) -> None:
    file = OsmFile()
    file.way(box(15.0, 85.0, 15.01, 85.01), {"building": "yes"})
    file.way(box(15.0, 89.0, 15.01, 89.9), {"building": "yes"})
    _, report = burnt(tmp_path, file, Area(14.99, 84.99, 15.02, 90.0))
    assert report.shards >= 1
    with pytest.raises(InputError, match="Web Mercator"):
        burn_extract(file.write(tmp_path / "b.osm"), tmp_path / "pole", area=Area(14.0, 86.0, 15.0, 90.0))


# --- wrong inputs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"zoom": 23}, {"zoom": -1}, {"labels": {"../x": LayerTable.landuse()}}],
)
def test_impossible_options(tmp_path: Path, options: dict[str, Any]) -> None:
    file = OsmFile()
    file.way(box(14.5, 35.9, 14.501, 35.901), {"building": "yes"})
    with pytest.raises(InputError):
        burnt(tmp_path, file, around(14.5, 35.9), **options)
    assert not (tmp_path / "dataset").exists()


def test_a_truncated_extract_leaves_no_map(tmp_path: Path) -> None:
    path = tmp_path / "cut.osm.pbf"
    path.write_bytes(_embedded().read_bytes()[:-1000])
    with pytest.raises(SourceError, match="truncated"):
        burn_extract(path, tmp_path / "dataset", area=around(24.94, 60.17))
    assert not (tmp_path / "dataset" / "map.vrt").exists()
    assert not (tmp_path / "dataset" / "pois.parquet").exists()


def test_an_area_where_there_is_nothing(tmp_path: Path) -> None:
    file = OsmFile()
    file.way(box(14.5, 35.9, 14.501, 35.901), {"building": "yes"})
    _, report = burnt(tmp_path, file, around(50.0, 10.0))
    assert (report.shards, report.pois, len(report.nonempty_tiles)) == (0, 0, 0)
    with rasterio.open(tmp_path / "dataset" / "map_coverage.tif") as coverage:
        assert not coverage.read().any()


# --- real islands ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_malta(shared_data: Path, tmp_path: Path) -> None:
    """The first experiments counted 29,260 tiles in the box and 5,718 that are not empty (other rules)."""
    path = shared_data / "osm" / "malta_2016.osm.pbf"
    area = read_header(path).area
    assert area is not None
    report = burn_extract(path, tmp_path, area=area, engine=Engine(workers=2))
    assert report.tiles == 29260
    assert len(report.nonempty_tiles) == pytest.approx(5718, rel=0.1)
    assert report.sea == "closed from the coastline"
    drawn = Map(tmp_path)
    assert drawn.window("buildings", 14.5141, 35.8985, 40).any()  # Valletta
    assert drawn.window("water", 14.55, 35.95, 100).all()  # the open sea
    assert not drawn.window("water", 14.4, 35.88, 20).all()
    assert drawn.window("aeroways", 14.4775, 35.8575, 20).any()  # Luqa
