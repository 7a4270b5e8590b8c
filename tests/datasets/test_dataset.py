"""The dataset directory: what prepare makes, what opening it checks, what places can be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio

from placevec import api, geo
from placevec.datasets.additions import Made
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import Places
from placevec.datasets.writer import begin, write_dataset
from placevec.errors import AreaError, DatasetError, InputError, SourceError
from tests.unsealed import unsealed


@pytest.fixture
def copied(helsinki_dataset: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(helsinki_dataset.path, tmp_path / "copy"))


def test_what_prepare_made(helsinki_dataset: Dataset) -> None:
    """Everything of the contract is there, opens in other programs, and lies where Helsinki lies."""
    path = helsinki_dataset.path
    places = geopandas.read_parquet(path / "places.parquet")
    assert len(places) == len(helsinki_dataset) > 300
    assert places.crs == "OGC:CRS84"
    assert helsinki_dataset.area.contains(places.lon, places.lat).all()
    assert places["name"].notna().sum() > 100
    with rasterio.open(path / "map.vrt") as map_file:
        assert map_file.crs.to_epsg() == 3857
        assert map_file.descriptions == helsinki_dataset.spec("map").channels
        assert len(map_file.descriptions) == 12
    (source,) = helsinki_dataset.manifest["sources"]
    assert len(source["sha256"]) == 64
    assert "OpenStreetMap contributors" in helsinki_dataset.attribution
    assert helsinki_dataset.manifest["report"]["broken"] > 0  # this extract does hold broken geometries
    assert not (path / ".work").exists()


def test_map_tiles_are_the_default(tmp_path: Path) -> None:
    """By default a place is a tile that something besides boundaries and places touches; --all-tiles keeps all."""
    some = api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "some")
    whole = api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "all", all_tiles=True)
    assert 0 < len(some) <= len(whole)
    zoom, x, y = geo.parse_tile_id(some.places.place_id[0])
    assert zoom == 17
    assert np.allclose(some.footprints()[0], [x, y, x + 1, y + 1])
    assert np.allclose(some.geometry()[0].bounds, geo.tile_bounds(x, y, zoom))
    expected = geo.tiles_of_area(whole.area, 17)
    assert set(whole.places.place_id) == {geo.tile_id(int(x), int(y), 17) for x, y in expected}


def test_places_from_a_table(tmp_path: Path) -> None:
    """Points by lon/lat; a row without coordinates stays a place, and what needs coordinates says so."""
    table = tmp_path / "shops.csv"
    pd.DataFrame(
        {"place_id": ["a", "b", "c"], "lon": [24.94, 24.95, None], "lat": [60.17, 60.171, None]}
    ).to_csv(table)
    dataset = api.prepare(
        "loc2vec", osm_name="helsinki-center", out=tmp_path / "shops", places=table, size_m=100
    )
    assert list(dataset.places.place_id) == ["a", "b", "c"]
    assert np.isnan(dataset.lonlat[2]).all()
    assert dataset.geometry()[2] is None
    assert np.isnan(dataset.footprints()[2]).all()
    assert dataset.require_coordinates(np.arange(3), "x").tolist() == [0, 1]
    with pytest.raises(DatasetError, match="needs coordinates"):
        dataset.require_coordinates(np.array([2]), "embedding")


def test_places_from_polygons(tmp_path: Path) -> None:
    import shapely

    polygons = [shapely.box(24.94, 60.17, 24.942, 60.171), shapely.box(24.945, 60.172, 24.946, 60.173)]
    file = tmp_path / "districts.geojson"
    geopandas.GeoDataFrame({"id": ["one", "two"]}, geometry=polygons, crs=4326).to_crs(3067).to_file(file)
    dataset = api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "d", places=file)
    assert list(dataset.places.place_id) == ["one", "two"]
    assert [
        polygon.contains(shapely.Point(*point))
        for polygon, point in zip(polygons, dataset.lonlat, strict=True)
    ] == [True, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "has neither a geometry nor lon and lat columns"),
        ("lon,lat\n", "no rows"),
        ("lon,lat\n60.17,124.9\n", "not on Earth"),
        ("place_id,lon,lat\nx,1,2\nx,1,3\n", "more than once"),
    ],
)
def test_bad_tables_of_places(tmp_path: Path, content: str, message: str) -> None:
    table = tmp_path / "places.csv"
    table.write_text(content)
    with pytest.raises(SourceError, match=message):
        api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "out", places=table)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_places_with_lon_and_lat_swapped(tmp_path: Path) -> None:
    """All outside of the area is an error that asks; some outside is a note."""
    table = tmp_path / "swapped.csv"
    pd.DataFrame({"lon": [60.17, 60.171], "lat": [24.94, 24.95]}).to_csv(table)
    with pytest.raises(SourceError, match="swapped"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "out", places=table)
    pd.DataFrame({"lon": [24.94, 14.5], "lat": [60.17, 35.9]}).to_csv(table)
    assert len(api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "out", places=table)) == 2


def test_preparing_again_reuses_and_other_options_are_rejected(copied: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    api.prepare("loc2vec", osm_name="helsinki-center", out=copied, spacing=60, size_m=120)
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before
    with pytest.raises(DatasetError, match="--spacing was 60"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=copied, spacing=80, size_m=120)


def test_force_never_deletes_what_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DatasetError, match="will not delete"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path, force=True)
    assert (tmp_path / "thesis.tex").exists()


def test_an_area_that_the_extract_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="outside"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "a", bbox=(14.4, 35.8, 14.6, 35.9))
    with pytest.raises(AreaError, match="upside down"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "a", bbox="24.94,60.18,24.95,60.17")
    with pytest.raises(InputError, match="zoom 30"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "a", zoom=30)


def _edit(path: Path, **changes: object) -> None:
    manifest = json.loads((path / "dataset.json").read_text())
    manifest.update(changes)
    (path / "dataset.json").write_text(json.dumps(unsealed(manifest)))


def test_opening_checks_what_is_there(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a placevec dataset"):
        Dataset.open(tmp_path)
    hash_before = Dataset.open(copied).hash
    shard = next((copied / "map").glob("*.tif"))
    shard.rename(tmp_path / "elsewhere.tif")
    with pytest.raises(DatasetError, match="is missing map/"):
        Dataset.open(copied)
    (tmp_path / "elsewhere.tif").rename(shard)
    assert Dataset.open(copied).hash == hash_before
    _edit(copied, schema_version=0)
    with pytest.raises(DatasetError, match="schema 0"):
        Dataset.open(copied)
    _edit(copied, schema_version=1, format="something")
    with pytest.raises(DatasetError, match="not the manifest"):
        Dataset.open(copied)
    for content in ("", "[", "[]", '{"format": "placevec dataset", "schema_version": 1}', "[" * 100_000):
        (copied / "dataset.json").write_text(content)
        with pytest.raises(DatasetError):
            Dataset.open(copied)


def test_a_manifest_cannot_name_files_elsewhere(copied: Path) -> None:
    manifest = json.loads((copied / "dataset.json").read_text())
    manifest["views"]["map"]["files"].append("../../etc/passwd")
    (copied / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    with pytest.raises(DatasetError, match="outside the dataset"):
        Dataset.open(copied)


def test_damaged_places(copied: Path) -> None:
    (copied / "places.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DatasetError, match="not a Parquet"):
        Dataset.open(copied)


def test_a_recipe_that_begins_a_dataset_overwrites_none(copied: Path, tmp_path: Path) -> None:
    """What recipes of other packages call: neither the directory nor the manifest of another dataset is taken."""
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    mine = {"places": Made("climate", {"stations": "a" * 64})}
    with pytest.raises(
        DatasetError, match=r"already holds places, made from .*: choose another --out, or --force"
    ):
        begin(copied, mine)
    known = Dataset.open(copied)
    places = Places(known.place_ids[:2], known.lonlat[:2], known.geometry()[:2], None, "given")
    with pytest.raises(DatasetError, match="is already a dataset"):
        write_dataset(
            copied, name="other", area=known.area, places=places, names=None,
            sources=[], views={}, report={}, created="2026-01-01T00:00:00Z",
        )  # fmt: skip
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    assert begin(tmp_path / "new", mine) is None
    assert begin(tmp_path / "new", mine) is None  # a killed command goes on
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(DatasetError, match="is not a placevec dataset"):
        begin(tmp_path / "mine", mine)
