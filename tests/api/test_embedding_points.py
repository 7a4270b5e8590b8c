"""Vectors of tables of points. Oracles: the model's own vectors, and pyarrow and geopandas reading the file."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from placevec import encoders
from placevec._version import __version__
from placevec.api.embedding_points import embed_points
from placevec.cli import main
from placevec.core import ViewSpec
from placevec.datasets.views.coordinates import SPEC
from placevec.embeddings import Embeddings
from placevec.embeddings.provenance import Provenance
from placevec.embeddings.streaming import EmbeddingsWriter
from placevec.errors import EmbeddingsError, ModelError, PlacevecError, SourceError, UsageError
from placevec.models.model import Model
from placevec.models.reading import Reading

COUNT = 3000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return made(tmp_path_factory.mktemp("model"))


def made(path: Path, **options: int) -> Model:
    torch.manual_seed(2)
    encoder = encoders.location("sphereC+", dim=8, scales=4, hidden=16, **options)
    model = Model({"location": encoder}, {"coordinates": Reading("location", SPEC)}, {"name": "sphere2vec"})
    model.save(path)
    return Model.load(path)


def table(count: int = COUNT) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame({
        "code": [f"c{row}" for row in range(count)], "lon": random.uniform(-180, 180, count),
        "lat": random.uniform(-90, 90, count), "seen": random.random(count),
    })  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "parquet", "geojson"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_vectors_are_the_model_s_whatever_the_table(kind: str, dtype, model, tmp_path) -> None:
    points, file, out = table(), tmp_path / f"points.{kind}", tmp_path / "e.parquet"
    if kind == "csv":
        points.to_csv(file, index=False)
    elif kind == "parquet":
        points.to_parquet(file)
    else:
        geometry = geopandas.points_from_xy(points.lon, points.lat)
        geopandas.GeoDataFrame(points[["code"]], geometry=geometry, crs=4326).to_file(file)
    done = embed_points(model, file, out=out, id="code", dtype=dtype)
    assert (done.count, done.dim, done.left_out, done.model_hash) == (COUNT, 8, 0, model.hash)
    read = Embeddings.load(out)
    wanted = model.embed_lonlat(read.lonlat)
    step = {
        "float32": 0.0,
        "float16": 2**-10 * np.abs(wanted).max(),
        "int8": np.abs(wanted).max() / 254 * 1.001,
    }[dtype]
    assert np.abs(read.vectors - wanted).max() <= step + 1e-6
    assert read.place_id.tolist() == points.code.tolist()
    np.testing.assert_allclose(read.lonlat, points[["lon", "lat"]], atol=1e-6)
    assert (read.provenance.model_hash, read.provenance.placevec_version) == (model.hash, __version__)
    assert len(geopandas.read_parquet(out)) == COUNT
    bounds = json.loads(pq.read_metadata(out).metadata[b"geo"])["columns"]["geometry"]["bbox"]
    assert bounds == [*read.lonlat.min(axis=0), *read.lonlat.max(axis=0)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_rows_without_coordinates_are_left_out_and_numbers_stay(model, tmp_path) -> None:
    points = table(5)
    points.loc[2, "lon"] = np.nan
    points.drop(columns="code").to_csv(tmp_path / "p.csv", index=False)
    done = embed_points(model, tmp_path / "p.csv", out=tmp_path / "e.parquet")
    assert (done.count, done.left_out) == (4, 1)
    assert Embeddings.load(tmp_path / "e.parquet").place_id.tolist() == ["0", "1", "3", "4"]


def test_dates_reach_a_model_that_reads_them(tmp_path) -> None:
    seasonal = made(tmp_path / "m", seasons=1)
    points = table(20)
    points.to_csv(tmp_path / "p.csv", index=False)
    embed_points(seasonal, tmp_path / "p.csv", out=tmp_path / "e.parquet", date="seen")
    read = Embeddings.load(tmp_path / "e.parquet")
    np.testing.assert_allclose(read.vectors, seasonal.embed_lonlat(read.lonlat, points.seen), atol=1e-6)
    with pytest.raises(UsageError, match="--date"):
        embed_points(seasonal, tmp_path / "p.csv", out=tmp_path / "f.parquet")


def test_what_cannot_be_embedded_is_one_line_and_leaves_no_file(model, tmp_path) -> None:
    good = table(5)
    cases = (
        (good.assign(code=["a", "b", "a", "c", "d"]), SourceError, "choose another column with --id"),
        (good.assign(code=["a", None, "b", "c", "d"]), SourceError, "have no ID"),
        (good.assign(lat=[91.0, 1, 2, 3, 4]), SourceError, "lat"),
        (good.assign(lon=np.nan), SourceError, "no row with coordinates"),
        (good.drop(columns="lat"), PlacevecError, "lat"),
        (good.head(0), PlacevecError, "no row|empty"),
    )
    for frame, error, said in cases:
        frame.to_csv(tmp_path / "p.csv", index=False)
        with pytest.raises(error, match=said):
            embed_points(model, tmp_path / "p.csv", out=tmp_path / "e.parquet", id="code")
        assert not (tmp_path / "e.parquet").exists()
    good.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(UsageError, match="the model was trained without dates"):
        embed_points(model, tmp_path / "p.csv", out=tmp_path / "e.parquet", date="seen")
    with pytest.raises(UsageError, match="parquet"):
        embed_points(model, tmp_path / "p.csv", out=tmp_path / "e.csv")
    spec = ViewSpec("map", "raster", channels=("roads",), size_px=32, size_m=100.0)
    reads_maps = Model(
        {"tile": encoders.build("compact-tile-cnn", channels=1, dim=8)}, {"map": Reading("tile", spec)}
    )
    with pytest.raises(ModelError, match="reads 'map'"):
        embed_points(reads_maps, tmp_path / "p.csv", out=tmp_path / "e.parquet")


def test_the_command(model, tmp_path, capsys) -> None:
    table(30).to_csv(tmp_path / "p.csv", index=False)
    out = tmp_path / "e.parquet"
    assert main(["embed", str(model.path), str(tmp_path / "p.csv"), "-o", str(out), "--id", "code"]) == 0
    assert "30 vectors of 8 dimensions" in capsys.readouterr().out
    assert main(["embed", str(model.path), str(tmp_path / "none.csv"), "-o", str(out)]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_not_written(value: float, tmp_path: Path) -> None:
    vectors = np.array([[0.0, value]], np.float32)
    with (
        pytest.raises(EmbeddingsError, match="not finite"),
        EmbeddingsWriter(tmp_path / "e.parquet", 2, "coordinates", Provenance("m", "d"), "float32") as writer,
    ):
        writer.write(pa.array(["a"]), pa.array(["A"]), np.array([[24.9, 60.2]]), vectors)
    assert list(tmp_path.iterdir()) == []
