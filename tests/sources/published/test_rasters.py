"""Rasters of vectors at places. Oracles: rasterio's own `sample` and `geometry_mask`, and vectors known by formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import geometry_mask
from rasterio.transform import Affine

from placevec.errors import PlacevecError
from placevec.sources.published.rasters import GeoTiff, TesseraTile, alphaearth_numbers
from placevec.sources.published.sampling import BLOCK, Sampled, bounds_of, sample, squares
from placevec.sources.published.stores import rasters_at
from tests.sources.imagery.range_server import serving
from tests.sources.published import files


def taken(paths: list[Path], lonlat: Any, shapes: Any = None, **how: Any) -> Sampled:
    shapes = np.full(len(lonlat), None, object) if shapes is None else np.asarray(shapes, object)
    year = how.pop("year", None)
    return sample(
        rasters_at([str(one) for one in paths], bounds_of(lonlat, shapes), year), lonlat, shapes, **how
    )


@pytest.mark.parametrize("bottom_up", [True, False])
def test_a_pixel_of_alphaearth_whichever_way_the_file_runs(tmp_path: Path, bottom_up: bool) -> None:
    path = tmp_path / "2024" / "35N" / "x-0000000000-0000000000.tiff"
    files.alphaearth(path, bottom_up=bottom_up)
    lonlat = files.points([0, 59, 3, 40], [0, 79, 70, 2], 60)
    found = taken([path], lonlat)
    xy = np.stack(files.TO_UTM.transform(lonlat[:, 0], lonlat[:, 1]), axis=1)
    with rasterio.open(path) as file:
        oracle = np.array(list(file.sample(xy)), np.float64)
    expected = np.sign(oracle) * (oracle / 127.5) ** 2
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    pixel = np.floor((xy - (files.WEST, files.SOUTH)) / 10) * 10 + 5 + (files.WEST, files.SOUTH)
    np.testing.assert_allclose(found.vectors, files.unit_vectors(pixel[:, 0], pixel[:, 1]), atol=0.01)
    assert found.pixels.tolist() == [1, 1, 1, 1]
    assert (found.edition.version, found.edition.year) == ("v1", "2024")


def test_the_mean_of_a_polygon_over_blocks_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placevec.sources.published.sampling.BLOCK", 7)
    west, east = tmp_path / "a.tiff", tmp_path / "b.tiff"
    left = files.alphaearth(west, 60, 40)
    right = files.alphaearth(east, 60, 40, west=files.WEST + 400, bottom_up=False)
    whole = np.concatenate([left, right], axis=1)
    shape = shapely.Polygon(
        [
            files.TO_DEGREES.transform(files.WEST + x, files.SOUTH + y)
            for x, y in ((103, 55), (702, 121), (350, 540))
        ]
    )
    lonlat = np.array([shape.centroid.coords[0], shape.centroid.coords[0]])
    found = taken([west, east], lonlat, [shape, squares(lonlat, 55.0)[1]])
    top = Affine(10, 0, files.WEST, 0, -10, files.SOUTH + 600)
    for row, one in enumerate((shape, squares(lonlat, 55.0)[1])):
        drawn = shapely.transform(
            one, lambda xy: np.stack(files.TO_UTM.transform(xy[:, 0], xy[:, 1]), axis=1)
        )
        mask = ~geometry_mask([drawn], (60, 80), top)
        mean = alphaearth_numbers(whole)[mask].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(found.vectors[row], mean / np.linalg.norm(mean), atol=1e-6)
        assert found.pixels[row] == mask.sum()


def test_blocks_are_read_only_where_places_are_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tiff"
    files.alphaearth(path, 300, 40)
    read: list[tuple[int, int]] = []
    whole = GeoTiff.read

    def counted(raster: GeoTiff, rows: slice, columns: slice) -> Any:
        read.append((rows.stop - rows.start, columns.stop - columns.start))
        return whole(raster, rows, columns)

    monkeypatch.setattr(GeoTiff, "read", counted)
    taken([path], files.points([1, 2, 299], [1, 30, 39], 300))
    assert sorted(read) == [(1, 1), (2, 30)]
    assert max(max(one) for one in read) <= BLOCK


def test_why_places_have_no_vector(tmp_path: Path) -> None:
    stored = files.stored_as_alphaearth(files.unit_vectors(*files.centers(60, 80)))
    stored[10, 10] = -128
    stored[20, 20] //= 2
    files.alphaearth(tmp_path / "a.tiff", stored=stored)
    lonlat = np.concatenate(
        [files.points([10, 20, *[30] * 30], [10, 20, *range(30)], 60), [[10.0, 50.0], [np.nan] * 2]]
    )
    found = taken([tmp_path / "a.tiff"], lonlat)
    assert {why: np.flatnonzero(rows).tolist() for why, rows in found.lost.items()} == {
        "where the rasters have no data": [0], "where the raster's values are out of range": [1],
        "outside the rasters": [32], "without coordinates": [33],
    }  # fmt: skip


def test_alphaearth_converted_to_float_in_degrees(tmp_path: Path) -> None:
    """As Earth Engine exports it: float64 in EPSG:4326, NaN where there is none."""
    vectors = files.unit_vectors(*files.centers(20, 30)).astype(np.float64)
    vectors[0, 0] = np.nan
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=20, width=30, count=64, dtype="float64", crs=4326,
        transform=Affine(1e-4, 0, 24.9, 0, -1e-4, 60.2),
    ) as file:  # fmt: skip
        file.write(np.moveaxis(vectors, -1, 0))
    found = taken([tmp_path / "a.tif"], np.array([[24.90215, 60.19905], [24.90005, 60.19995]]))
    np.testing.assert_allclose(found.vectors[0], vectors[9, 21], atol=1e-6)
    assert found.pixels.tolist() == [1, 0]


@pytest.mark.parametrize("flat", [True, False])
def test_tiles_of_tessera_found_by_their_names(
    tmp_path: Path, flat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the publisher's formula, numbers times scales. No folder of tiles is listed."""
    stored, scales = files.tessera_store(tmp_path, flat=flat)
    listed: list[Path] = []
    whole = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: (listed.append(path), whole(path))[1])
    found = taken([tmp_path], files.points([0, 39, 17], [0, 29, 4], 40))
    expected = stored.astype(np.float32) * (scales[..., None] if flat else scales)
    np.testing.assert_array_equal(found.vectors, expected[[0, 39, 17], [0, 29, 4]])
    assert str(found.edition) == "TESSERA embeddings 1.1 cambridge 2024"
    assert listed == [tmp_path / "global_0.1_degree_representation"]


def test_tessera_as_a_geotiff_says_its_version(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(128, 8, 9)).astype(np.float32)
    path = tmp_path / "grid_24.95_60.15_2023.tiff"
    with rasterio.open(
        path, "w", driver="GTiff", height=8, width=9, count=128, dtype="float32", crs=32635,
        transform=Affine(10, 0, files.WEST, 0, -10, files.SOUTH + 80),
    ) as file:  # fmt: skip
        file.write(vectors)
        file.update_tags(TESSERA_DATASET_VERSION="1.0", TESSERA_DATASET_VARIANT="vultr", TESSERA_YEAR="2023")
    found = taken([path], files.points([3], [7], 8))
    np.testing.assert_array_equal(found.vectors[0], vectors[:, 3, 7])
    assert str(found.edition) == "TESSERA embeddings 1.0 vultr 2023"


def test_an_outlier_among_the_scales_is_left_out_and_many_are_refused(tmp_path: Path) -> None:
    """geotessera issue 355: a scale of -161,685."""
    files.tessera_store(tmp_path)
    path = next(tmp_path.rglob("*_scales.npy"))
    scales = np.load(path)
    scales[5, 5], scales[6, 6], scales[7, 7] = -161_685, 900, np.nan
    np.save(path, scales)
    lonlat = files.points([5, 6, 7, *[9] * 28], [5, 6, 7, *range(28)], 40)
    found = taken([tmp_path], lonlat)
    assert np.flatnonzero(found.pixels == 0).tolist() == [0, 1, 2]
    assert {why: int(rows.sum()) for why, rows in found.lost.items()} == {
        "where the rasters have no data": 1, "where the raster's values are out of range": 2
    }  # fmt: skip
    with pytest.raises(
        PlacevecError, match="2 of 2 pixels are not vectors of TESSERA embeddings: their scales are neg"
    ):
        taken([tmp_path], lonlat[:2])


def raw(path: Path) -> None:
    files.alphaearth(path / "a.tiff", stored=np.full((60, 80, 64), 90, np.int8))


def other_bands(path: Path) -> None:
    with rasterio.open(
        path / "a.tiff", "w", driver="GTiff", height=9, width=9, count=3, dtype="uint8", crs=3857
    ) as file:
        file.write(np.ones((3, 9, 9), np.uint8))


def two_years(path: Path) -> None:
    files.alphaearth(path / "2023" / "35N" / "a.tiff")
    files.alphaearth(path / "2024" / "35N" / "a.tiff")


def two_versions(path: Path) -> None:
    files.alphaearth(path / "a.tiff")
    files.alphaearth(path / "b.tiff", MODEL_VERSION="v2.1")


def two_products(path: Path) -> None:
    files.alphaearth(path / "a.tiff")
    files.tessera_store(path)


def no_scales(path: Path) -> None:
    files.tessera_store(path)
    next(path.rglob("*_scales.npy")).unlink()


def no_land(path: Path) -> None:
    files.tessera_store(path)
    next(path.rglob("*.tiff")).unlink()


def pickled(path: Path) -> None:
    files.tessera_store(path)
    np.save(next(path.rglob("*_scales.npy")), np.array([{}], object), allow_pickle=True)


def other_size(path: Path) -> None:
    files.tessera_store(path)
    scales = next(path.rglob("*_scales.npy"))
    np.save(scales, np.load(scales)[:-1])


@pytest.mark.parametrize(
    ("made", "given", "said"),
    [
        (raw, ["a.tiff"], "a.tiff: 1 of 1 pixels are not vectors of AlphaEarth.*length is not 1"),
        (other_bands, ["a.tiff"], "a.tiff has 3 bands of uint8; AlphaEarth has 64 bands of int8"),
        (two_years, ["2023/35N/a.tiff", "2024/35N/a.tiff"], "v1 2023, but .* v1 2024: choose one year"),
        (two_years, ["."], "has the years 2023, 2024: choose one with --year"),
        (two_versions, ["a.tiff", "b.tiff"], "v1, but .*v2.1: vectors of different versions cannot be compared"),
        (two_products, ["a.tiff", "."], "a.tiff is AlphaEarth .* but .* is TESSERA"),
        (no_scales, ["."], "lacks its scales, without which its values are meaningless: .*_scales.npy does not exist"),
        (no_land, ["."], "lacks its landmask GeoTIFF"),
        (pickled, ["."], "_scales.npy is not a numpy array, or is damaged"),
        (other_size, ["."], r"_scales.npy must be \(40, 30\) or"),
        (lambda path: None, ["."], "has no raster for these places: neither GeoTIFFs"),
        (lambda path: (path / "a.tiff").write_bytes(b"II*\0no"), ["a.tiff"], "a.tiff is not a GeoTIFF, or is damaged"),
        (lambda path: None, ["a.vrt"], "a.vrt is not a GeoTIFF"),
        (lambda path: None, ["b.tiff"], "b.tiff does not exist"),
        (lambda path: np.save(path / "a.npy", np.zeros(3)), ["a.npy"], "must be named grid_LON_LAT.npy"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_line(
    tmp_path: Path, made: Any, given: list[str], said: str
) -> None:
    made(tmp_path)
    with pytest.raises(PlacevecError, match=said):
        taken([tmp_path / one for one in given], files.points([3], [7], 60 if made is not no_scales else 40))


def test_files_of_an_unknown_version_need_it_named(tmp_path: Path) -> None:
    files.tessera_store(tmp_path / "a", version=None)
    files.tessera_store(tmp_path / "b")
    lonlat = files.points([3], [7], 40)
    with pytest.raises(
        PlacevecError, match="give the version of files that do not state it with --model-version"
    ):
        taken([tmp_path / "a", tmp_path / "b"], lonlat)
    found = taken([tmp_path / "a", tmp_path / "b"], lonlat, version="1.1 cambridge")
    assert (found.edition.version, found.pixels.tolist()) == ("1.1 cambridge", [1])


def test_a_tile_of_another_grid_is_refused(tmp_path: Path) -> None:
    files.tessera_store(tmp_path)
    files.alphaearth(tmp_path / "other.tiff", 60, 80)
    with pytest.raises(
        PlacevecError,
        match=r"other.tiff has 60 x 80 pixels, but .* 40 x 30: they do not belong to the same tile",
    ):
        TesseraTile(next(tmp_path.rglob("grid_24.95_60.15.npy")), tmp_path / "other.tiff")


def test_a_file_on_a_web_server_is_read_in_parts(tmp_path: Path) -> None:
    files.alphaearth(tmp_path / "2024" / "35N" / "a.tiff", 300, 80)
    lonlat = files.points([3, 290], [7, 70], 300)
    with serving(tmp_path) as server:
        address = f"{server.url}/2024/35N/a.tiff"
        none = np.full(2, None, object)
        found = sample(rasters_at([address], bounds_of(lonlat, none), None), lonlat, none)
        assert server.sent < (tmp_path / "2024" / "35N" / "a.tiff").stat().st_size / 2
        with pytest.raises(PlacevecError, match=r"missing\.tiff: the server responded with 404"):
            GeoTiff(f"{server.url}/missing.tiff")
    np.testing.assert_array_equal(
        found.vectors, taken([tmp_path / "2024" / "35N" / "a.tiff"], lonlat).vectors
    )
    assert (found.edition.year, found.files) == ("2024", [address])
