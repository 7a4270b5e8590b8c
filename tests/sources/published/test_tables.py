"""Tables of published vectors, of each layout. Oracle: what was written."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import CRS

from placevec.errors import PlacevecError
from placevec.geo import Area
from placevec.sources.published.tables import read_tables
from tests.sources.published.files import SOUTH, TO_UTM, WEST, geoparquet

CELLS = np.array([shapely.box(24.9 + x / 100, 60.1, 24.905 + x / 100, 60.105) for x in range(4)], object)
DRAWS = np.random.default_rng(0)


def vectors(dim: int, count: int = 4) -> list[list[float]]:
    found: list[list[float]] = DRAWS.normal(size=(count, dim)).astype(np.float32).tolist()
    return found


def earth_index(path: Path, dim: int = 384, **kind: Any) -> list[list[float]]:
    held = vectors(dim)
    geoparquet(
        path, {"id": ["35VLG-1", "35VLG-2", "35VLG-3", "35VLG-4"], "embedding": pa.array(held)}, CELLS, **kind
    )
    return held


def clay(path: Path, dim: int = 768) -> list[list[float]]:
    held = vectors(dim)
    dates = pa.array(["2021-01-01", "2021-06-30", "2021-06-30", "2021-06-30"]).cast(pa.date32())
    columns = {
        "source_url": ["s3://a.tif"] * 4,
        "date": dates,
        "embeddings": pa.array(held, pa.list_(pa.float32())),
    }
    geoparquet(path, columns, CELLS)
    return held


def clay_15(path: Path, dim: int = 1024) -> list[list[float]]:
    held = vectors(dim)
    dates = pa.array([0, 1, 2, 3], pa.timestamp("us"))
    lists = pa.array(held, pa.list_(pa.float32()))
    columns = {
        "chips_id": ["a", "b", "c", "d"],
        "cell_id": ["1", "2", "3", "4"],
        "datetime": dates,
        "embedding": lists,
    }
    geoparquet(path, columns, CELLS)
    return held


def major_tom(path: Path, dim: int = 1024, sensor: str = "S2A") -> list[list[float]]:
    held = vectors(dim)
    pq.write_table(
        pa.table({
            "unique_id": [f"{sensor}{n}" for n in range(4)], "embedding": pa.array(held, pa.list_(pa.float32(), dim)),
            "timestamp": ["20210101T100000"] * 4, "product_id": [f"{sensor}_MSIL2A_{n}" for n in range(4)],
            "grid_cell": ["668U_140R"] * 4, "grid_row_u": [668] * 4, "grid_col_r": [140] * 4,
            "geometry": pa.array(shapely.to_wkb(CELLS), pa.binary()), "centre_lat": [60.1025] * 4,
            "centre_lon": [24.9025 + x / 100 for x in range(4)], "utm_crs": ["EPSG:32635"] * 4,
        }),
        path,
    )  # fmt: skip
    return held


def cityrep(path: Path, dim: int = 5) -> list[list[float]]:
    held = vectors(dim)
    columns: dict[str, Any] = {
        "sample_id": ["p1", "p2", "p3", "p4"],
        "x": [WEST + 5.0 * n for n in range(4)],
        "y": [SOUTH] * 4,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**columns, **{f"e{n}": [row[n] for row in held] for n in range(dim)}}), path)
    return held


@pytest.mark.parametrize(
    ("written", "name", "dim", "title", "first"),
    [
        (earth_index, "35VLG_2024-01-01_2025-01-01.parquet", 384, "Earth Index embeddings", "35VLG-1"),
        (clay, "35VLG_20200101_20231231_v001.gpq", 768, "Clay embeddings", "35VLG_20200101_20231231_v001:0"),
        (clay_15, "part-0.parquet", 1024, "Clay embeddings", "a"),
        (major_tom, "part_00001.parquet", 1024, "Major TOM embeddings", "S2A0"),
    ],
)
def test_each_layout(tmp_path: Path, written: Any, name: str, dim: int, title: str, first: str) -> None:
    held = written(tmp_path / name)
    found = read_tables([tmp_path / name])
    np.testing.assert_array_equal(found.vectors, np.array(held, np.float32))
    np.testing.assert_allclose(found.lonlat, [[24.9025 + x / 100, 60.1025] for x in range(4)], atol=1e-6)
    assert shapely.equals(found.shapes.tolist(), CELLS.tolist()).all()
    assert (found.edition.product.title, found.edition.dim, found.place_id[0]) == (title, dim, first)
    inside = read_tables([tmp_path / name], area=Area(24.905, 60.0, 24.925, 60.2))
    np.testing.assert_array_equal(inside.vectors, np.array(held, np.float32)[1:3])
    assert inside.lost == {"outside the area": 2}


def test_versions_that_files_tell(tmp_path: Path) -> None:
    for path, written in ((tmp_path / "a_v001.gpq", clay), (tmp_path / "b.parquet", clay_15)):
        written(path)
    major_tom(tmp_path / "c.parquet")
    told = [str(read_tables([tmp_path / name]).edition) for name in ("a_v001.gpq", "b.parquet", "c.parquet")]
    assert told == ["Clay embeddings v0 (001)", "Clay embeddings v1.5", "Major TOM embeddings S2"]


def test_geometry_in_meters_becomes_degrees(tmp_path: Path) -> None:
    """Oracle: PROJ, the other way round."""
    x, y = TO_UTM.transform([24.9, 24.91], [60.1, 60.1])
    shapes = np.array([shapely.Point(*one) for one in zip(x, y, strict=True)], object)
    columns = {"id": ["a", "b"], "embedding": pa.array(vectors(4, 2))}
    path = geoparquet(tmp_path / "a.parquet", columns, shapes, crs=json.loads(CRS.from_epsg(32635).to_json()))
    np.testing.assert_allclose(read_tables([path]).lonlat, [[24.9, 60.1], [24.91, 60.1]], atol=1e-9)


def test_cityreps_baselines_by_their_registry_or_by_crs(tmp_path: Path) -> None:
    path = tmp_path / "baselines" / "artifacts" / "AlphaEarth" / "helsinki" / "helsinki.population.parquet"
    held = cityrep(path)
    with pytest.raises(PlacevecError, match="the coordinate reference system of x and y: add --crs"):
        read_tables([path])
    given = read_tables([path], crs="EPSG:32635")
    registry = tmp_path / "baselines" / "registry" / "embedding_manifest.csv"
    registry.parent.mkdir()
    with registry.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["model", "task_id", "artifact_path", "embedding_config"])
        relative = "baselines/artifacts/AlphaEarth/helsinki/helsinki.population.parquet"
        rows.writerow(["AlphaEarth", "helsinki.population", relative, json.dumps({"crs": "EPSG:32635"})])
    found = read_tables([path])
    np.testing.assert_array_equal(found.vectors, np.array(held, np.float32))
    np.testing.assert_array_equal(found.lonlat, given.lonlat)
    np.testing.assert_allclose(TO_UTM.transform(*found.lonlat[1]), (WEST + 5, SOUTH), atol=1e-3)


def test_rows_without_a_usable_vector_are_counted(tmp_path: Path) -> None:
    held = [[1.0, 2.0], None, [0.0, 0.0], [np.nan, 1.0]]
    columns = {"id": ["a", "b", "c", "d"], "embedding": pa.array(held, pa.list_(pa.float16()))}
    found = read_tables([geoparquet(tmp_path / "a.parquet", columns, CELLS)])
    assert (found.place_id.tolist(), found.vectors.tolist()) == (["a"], [[1.0, 2.0]])
    assert found.lost == {"without a vector, or with one that is zero or infinite": 3}


def ragged(path: Path) -> None:
    columns = {"id": ["a", "b", "c", "d"], "embedding": pa.array([[1.0, 2.0], [1.0], [1.0, 2.0], [1.0, 2.0]])}
    geoparquet(path, columns, CELLS)


def texts(path: Path) -> None:
    geoparquet(path, {"id": ["a", "b", "c", "d"], "embedding": ["[1, 2]"] * 4}, CELLS)


def ours(path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}).replace_schema_metadata({"placevec": "{}"}), path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([ragged], "0.parquet, row 2: embedding has 1 numbers, but others have 2: all must have the same number"),
        ([texts], "0.parquet: embedding must be lists of numbers; it is string"),
        ([ours], "0.parquet is already a placevec table of vectors: use it as it is"),
        ([lambda path: pq.write_table(pa.table({"a": [1]}), path)], "0.parquet has no known layout .*columns are: a"),
        ([lambda path: path.write_bytes(b"PAR1")], "0.parquet is not a Parquet table, or is damaged"),
        ([earth_index, earth_index], "'35VLG-1' occurs in 2 rows of .* import files that contain each place only once"),
        ([earth_index, lambda path: earth_index(path, 12)], "vectors of 384 numbers, but .*1.parquet of 12"),
        ([earth_index, clay_15], "0.parquet is Earth Index .* but .*1.parquet is Clay .*cannot be compared"),
        ([clay, clay_15], "0.parquet is Clay embeddings v0, but .*1.parquet is Clay embeddings v1.5"),
        ([major_tom, lambda path: major_tom(path, sensor="S1B")], "Major TOM embeddings S2, but .* S1"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_line(tmp_path: Path, written: list[Any], said: str) -> None:
    paths = [tmp_path / f"{number}.parquet" for number in range(len(written))]
    for path, write in zip(paths, written, strict=True):
        write(path)
    with pytest.raises(PlacevecError, match=said):
        read_tables(paths)
