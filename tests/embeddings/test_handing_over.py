"""Tables of vectors as others take them: parts for query engines, STAC, and rasters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import geopandas
import numpy as np
import pyarrow.dataset
import pytest
import rasterio
from fsspec.implementations.memory import MemoryFileSystem

import placevec as pv
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.partitioned import NOWHERE, cells_of, write_partitioned
from placevec.embeddings.rasterized import write_cog
from placevec.embeddings.stac import write_stac
from placevec.errors import PlacevecError
from placevec.geo import Area, metric_grid
from placevec.geo.tiles import lonlat_to_tile_xy, tile_xy_to_lonlat
from placevec.io.object_store import ATTEMPTS, ObjectStore, store_at

MADE = Provenance(
    "a" * 64, "b" * 64, "runs/a", "data/a", "© an inventor", "2026-11-30T20:00:00+00:00", "0.1.0"
)


def table(lonlat: Any, dim: int = 3, ids: Any = None, **more: Any) -> Embeddings:
    count = len(lonlat)
    vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    ids = np.array([f"p{row}" for row in range(count)], object) if ids is None else ids
    none = np.full(count, None, object)
    return Embeddings(
        ids, vectors, np.asarray(lonlat, float), none, none, "map", Provenance(**{**MADE.__dict__, **more})
    )


SCATTERED = table(np.random.default_rng(1).uniform((-180, -85), (180, 85), (24, 2)))


class BusyStore(MemoryFileSystem):
    """An object store that answers 503 to every request but each fourth."""

    protocol = "busy"
    answers: list[bool] = []  # noqa: RUF012  # of all instances
    always = False

    def put_file(self, source: str, target: str, **options: Any) -> None:
        self.answers.append(len(self.answers) % 4 == 3 and not self.always)
        if not self.answers[-1]:
            raise OSError("503 Service Unavailable: reduce your request rate")
        super().put_file(source, target, **options)


@pytest.fixture
def busy() -> Any:
    fsspec.register_implementation("busy", BusyStore, clobber=True)
    BusyStore.store.clear()
    BusyStore.answers.clear()
    BusyStore.always = False
    return BusyStore


def test_quadkeys_are_those_of_map_tiles() -> None:
    """Oracle: Microsoft's definition of a quadkey, digit by digit, from x and y of the tile."""
    lonlat = SCATTERED.lonlat
    tiles = np.floor(lonlat_to_tile_xy(lonlat[:, 0], lonlat[:, 1], 7)).astype(int)

    def quadkey(x: int, y: int) -> str:
        return "".join(str(((x >> bit) & 1) + 2 * ((y >> bit) & 1)) for bit in range(6, -1, -1))

    assert cells_of(lonlat, "quadkey", 7).tolist() == [quadkey(x, y) for x, y in tiles.tolist()]
    long = cells_of(np.array([[179.99999, -85.0], [-180.0, 85.0]]), "quadkey", 18)
    assert [len(one) for one in long] == [18, 18]


def test_parts_are_read_as_one_by_engines_of_others(tmp_path: Path) -> None:
    lonlat = SCATTERED.lonlat.copy()
    lonlat[:2] = np.nan
    whole = table(lonlat)
    assert write_partitioned(whole, store_at(tmp_path / "parts"), grid="quadkey", level=2) > 5
    found = pyarrow.dataset.dataset(tmp_path / "parts", partitioning="hive").to_table().to_pandas()
    found = found.set_index("place_id").loc[whole.place_id]
    np.testing.assert_array_equal(np.stack(found["embedding"]), whole.vectors)
    one = next((tmp_path / "parts").glob("quadkey=1*/*.parquet"))
    assert set(geopandas.read_parquet(one)["place_id"]) <= set(whole.place_id)
    assert pv.load_embeddings(one).provenance == whole.provenance
    assert len(list((tmp_path / "parts" / f"quadkey={NOWHERE}").iterdir())) == 1
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "parts").rglob("*.parquet")}
    write_partitioned(whole, store_at(tmp_path / "parts"), grid="quadkey", level=2)
    assert files == {file: file.stat().st_mtime_ns for file in (tmp_path / "parts").rglob("*.parquet")}
    with pytest.raises(PlacevecError, match=r"holds .* of another export, such as quadkey="):
        write_partitioned(whole[10:], store_at(tmp_path / "parts"), grid="quadkey", level=2)
    assert files == {file: file.stat().st_mtime_ns for file in (tmp_path / "parts").rglob("*.parquet")}


def test_cells_of_h3(tmp_path: Path) -> None:
    h3 = pytest.importorskip("h3")
    write_partitioned(SCATTERED, store_at(tmp_path), grid="h3", level=0)
    for file in tmp_path.rglob("*.parquet"):
        part = pv.load_embeddings(file).of()
        cells = {h3.latlng_to_cell(lat, lon, 0) for lon, lat in part.lonlat.tolist()}
        assert cells == {file.parent.name.removeprefix("h3=")}


def test_an_object_store_that_is_busy_is_asked_again_and_the_export_continues(busy: Any) -> None:
    waits: list[float] = []
    store = ObjectStore("busy://bucket/places", sleep=waits.append)
    count = write_partitioned(SCATTERED, store, grid="quadkey", level=1)
    assert (count, len(busy.answers), len(waits)) == (4, 16, 12)
    assert waits[2] > waits[0]
    write_partitioned(SCATTERED, store, grid="quadkey", level=1)
    assert len(busy.answers) == 16  # all of it was there
    assert sum(store.sizes(".parquet").values()) > 0
    busy.always = True
    with pytest.raises(
        PlacevecError,
        match=f"busy://bucket/other/quadkey=.* after {ATTEMPTS} attempts: 503 .*again to continue",
    ):
        other = ObjectStore("busy://bucket/other", sleep=waits.append)
        write_partitioned(SCATTERED, other, grid="quadkey", level=1)


def test_an_address_of_no_known_store_is_refused() -> None:
    with pytest.raises(PlacevecError, match="cannot write to nonsense://a: Protocol not known"):
        store_at("nonsense://a")


def test_a_collection_and_an_item_that_validate(tmp_path: Path) -> None:
    """Oracles: pystac with the schemas of STAC, and what the schema of the extension v0.0.1 requires."""
    published = {"source": "AlphaEarth", "version": "v1 2024", "license": "CC-BY-4.0"}
    pystac = pytest.importorskip("pystac")
    for name, more in (("one", {}), ("two", published)):
        whole = table(SCATTERED.lonlat, **more)
        whole.save(tmp_path / f"{name}.parquet", "int8")
        write_stac(whole, tmp_path / f"{name}.parquet", tmp_path / name)
    told = json.loads((tmp_path / "one" / "collection.json").read_text())
    assert {
        "emb:type": "chip",
        "emb:dimensions": 3,
        "data_type": "int8",
        "license": "various",
    }.items() <= told.items()
    assert [link["rel"] for link in told["links"]] == ["root", "item", "emb:model", "emb:source-data"]
    assert [link["href"] for link in told["links"][2:]] == [
        f"urn:sha256:{'a' * 64}",
        f"urn:sha256:{'b' * 64}",
    ]
    assert "runs/" not in json.dumps(told)
    assert {key for key in told if key.startswith("emb:")} == {"emb:type", "emb:dimensions"}
    item = json.loads((tmp_path / "one" / "item.json").read_text())
    assert {key for key in item["properties"] if key.startswith("emb:")} == {"emb:quantization"}
    assert item["properties"]["data_type"] == "int8"
    assert {"emb:model", "emb:source-data"} <= {link["rel"] for link in item["links"]}
    assert item["properties"]["emb:quantization"].keys() <= {
        "method", "original_dtype", "quantized_dtype", "scale", "offset"
    }  # fmt: skip
    assert list(item["assets"]) == ["embeddings"]
    collection = pystac.Collection.from_file(str(tmp_path / "two" / "collection.json"))
    assert (collection.license, collection.extent.temporal.intervals[0][0].year) == ("CC-BY-4.0", 2024)
    (found,) = collection.get_items()
    assert Path(found.assets["embeddings"].get_absolute_href() or "") == tmp_path / "two.parquet"


def test_map_tiles_become_pixels_exactly(tmp_path: Path) -> None:
    """Oracle: rasterio's coordinates of pixels, and the vectors within half a step."""
    tiles = np.array([(x, y) for x in range(74_600, 74_606) for y in range(37_940, 37_944)])
    tiles = tiles[tiles.sum(axis=1) != 74_603 + 37_942]
    ids = np.array([f"17/{x}/{y}" for x, y in tiles], object)
    whole = table(tile_xy_to_lonlat(tiles + 0.5, 17), 5, ids)
    assert write_cog(whole, tmp_path / "a.tif") == len(tiles)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert (file.crs.to_epsg(), file.shape, file.count) == (3857, (4, 6), 5)
        assert (file.dtypes[0], file.nodata) == ("int8", -128)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags()["attribution"] == "© an inventor"
        assert file.descriptions[4] == "v004"
        points = geopandas.points_from_xy(*whole.lonlat.T, crs=4326).to_crs(3857)
        numbers = np.array(list(file.sample(zip(points.x, points.y, strict=True))), float)
        scales = np.array(file.scales)
        empty = (file.read() == -128).all(axis=0)
    assert (np.abs(numbers * scales - whole.vectors) <= scales / 2 + 1e-6).all()
    assert empty.sum() == 24 - len(tiles)


def test_a_grid_in_meters_becomes_pixels_of_its_zone(tmp_path: Path) -> None:
    lonlat = metric_grid(Area(24.90, 60.10, 24.95, 60.12), 100.0)
    whole = table(lonlat, 2)
    count = write_cog(whole, tmp_path / "a.tif")
    assert 0.95 * len(lonlat) <= count <= len(lonlat)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.crs.to_epsg() == 32635
        assert file.res[0] == pytest.approx(100, abs=1)
        points = geopandas.points_from_xy(*lonlat.T, crs=4326).to_crs(32635)
        numbers = np.array(list(file.sample(zip(points.x, points.y, strict=True))), float) * file.scales
    right = (np.abs(numbers - whole.vectors) <= np.array(file.scales) / 2 + 1e-6).all(axis=1)
    assert right.mean() > 0.95


@pytest.mark.parametrize(
    ("lonlat", "name", "said"),
    [
        (
            np.random.default_rng(0).uniform(24, 25, (200, 2)) ** 3 / 600,
            "a.tif",
            "these places are not on a grid: only .* have a neighbor about",
        ),
        ([[np.nan, np.nan]], "a.tif", "no place of this table has coordinates"),
        ([[24.0, 60.0]], "a.tif", "a single place is not enough for a raster"),
        ([[24.0, 60.0]], "a.png", "must end in .tif; got a.png"),
    ],
)
def test_what_is_no_raster_is_said(tmp_path: Path, lonlat: Any, name: str, said: str) -> None:
    with pytest.raises(PlacevecError, match=said):
        write_cog(table(lonlat), tmp_path / name)


def test_the_commands_and_what_validate_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from placevec.cli import main

    SCATTERED.save(path := tmp_path / "a.parquet")
    assert main(["export", str(path), "--partitions", str(tmp_path / "parts"), "--level", "1"]) == 0
    assert main(["export", str(path), "--stac", str(tmp_path / "stac")]) == 0
    assert main(["validate", str(path)]) == 0
    told = capsys.readouterr()
    assert "24 places" in told.out
    assert "has only pixel and chip" in told.out
    for wrong, said in (
        (["--stac", "a", "--cog", "b.tif"], "give one of --to ADDRESS"),
        (["--out", str(tmp_path / "a.gpkg"), "--level", "3"], "--grid and --level apply to --partitions"),
        (["--partitions", "a", "--level", "40"], "--level must be at most 23 for quadkey; got 40"),
    ):
        assert main(["export", str(path), *wrong]) != 0
        assert said in capsys.readouterr().err
