"""Tables of vectors as other tools open them, and the selection of a page as GeoParquet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.embeddings import Embeddings, Provenance
from placevec.errors import InputError
from placevec.geo import distance_m


def table(count: int = 60) -> Embeddings:
    random = np.random.default_rng(0)
    lonlat = np.stack([random.uniform(-0.2, 0.1, count), random.uniform(51.4, 51.6, count)], axis=1)
    lonlat[7] = np.nan
    names = np.full(count, None, object)
    names[0] = "two\nlines\tand a tab"
    ids = [f"{lon:.4f}_{lat:.4f}" for lon, lat in lonlat]
    return Embeddings(
        ids,
        random.normal(size=(count, 8)),
        lonlat,
        np.full(count, None, object),
        names,
        "map",
        Provenance("m", "d"),
    )


def test_files_of_the_projector(helsinki_table: Path, helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Oracle: the table itself; TensorBoard's own reader of the configuration."""
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    emb = api.load_embeddings(helsinki_table).of()
    assert api.export(helsinki_table, projector=tmp_path / "p", max_places=50) == 50
    config = json.loads((tmp_path / "p/projector_config.json").read_text())["embeddings"][0]
    assert config["tensorShape"] == [50, emb.dim]
    vectors = np.fromfile(tmp_path / "p" / config["tensorPath"], "<f4").reshape(config["tensorShape"])
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "p/tensors.tsv", np.float32), vectors)
    metadata = pd.read_csv(tmp_path / "p" / config["metadataPath"], sep="\t", dtype=str)
    rows = [list(emb.place_id).index(one) for one in metadata["place_id"]]
    np.testing.assert_array_equal(emb.vectors[rows], vectors)
    assert config["sprite"] == {"imagePath": "sprite.png", "singleImageDim": [32, 32]}
    sprite = np.asarray(Image.open(tmp_path / "p/sprite.png"))
    assert sprite.shape == (8 * 32, 8 * 32, 3)
    assert (sprite[-32:, -32:] == 255).all()  # the 64th of 50 is blank
    assert sprite[:32, :32].std() > 0
    read = text_format.Parse((tmp_path / "p/projector_config.pbtxt").read_text(), ProjectorConfig())
    assert read.embeddings[0].tensor_path == "tensors.tsv"
    assert list(read.embeddings[0].sprite.single_image_dim) == [32, 32]


def test_names_stay_on_their_line(tmp_path: Path) -> None:
    api.export(table(), projector=tmp_path)
    lines = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert len(lines) == 61
    assert lines[1].split("\t")[1] == "two lines and a tab"
    assert not (tmp_path / "sprite.png").exists()


def test_file_of_embedding_atlas(tmp_path: Path) -> None:
    """Oracles: scikit-learn's neighbors; distances on the ellipsoid for the meters, rounded to float32."""
    emb = table()
    assert api.export(emb, atlas=tmp_path / "a.parquet", projection="pca") == len(emb)
    found = pq.read_table(tmp_path / "a.parquet").to_pandas()
    assert {"x", "y", "neighbors", "place_id", "lon", "lat", "east_m", "north_m"} <= set(found.columns)
    far, rows = NearestNeighbors(n_neighbors=16, metric="cosine").fit(emb.vectors).kneighbors(emb.vectors)
    assert [list(one["ids"]) for one in found["neighbors"]] == rows.tolist()
    np.testing.assert_allclose([one["distances"] for one in found["neighbors"]], far, atol=1e-6)
    meters = found[["east_m", "north_m"]].to_numpy(np.float32)
    a, b = np.array([0, 1, 2, 3]), np.array([4, 5, 6, 8])
    drawn = np.hypot(*(meters[a] - meters[b]).T)
    np.testing.assert_allclose(drawn, distance_m(*emb.lonlat[a].T, *emb.lonlat[b].T), rtol=6e-3)
    exact = found[["east_m", "north_m"]].to_numpy()
    assert np.nanmax(np.abs(meters - exact)) < 0.01
    assert np.isnan(meters[7]).all()


@pytest.mark.parametrize("kind", [".parquet", ".geojson", ".csv"])
def test_selection_of_a_page(tmp_path: Path, kind: str) -> None:
    """Ids that begin like a formula have an apostrophe in the page's CSV."""
    emb = table()
    asked = pd.DataFrame({"place_id": [f"'{emb.place_id[20]}", emb.place_id[3]], "Cluster": ["a", "b"]})
    asked.to_csv(tmp_path / "selection.csv", index=False)
    out = tmp_path / f"selected{kind}"
    assert api.export(emb, selection=tmp_path / "selection.csv", out=out) == 2
    if kind == ".parquet":
        found = api.load_embeddings(out).of()
        assert found.place_id.tolist() == [emb.place_id[3], emb.place_id[20]]
        np.testing.assert_array_equal(found.vectors, emb.vectors[[3, 20]])
        assert found.provenance.model_hash == "m"
    elif kind == ".geojson":
        features = json.loads(out.read_text())["features"]
        assert [one["properties"]["place_id"] for one in features] == [emb.place_id[3], emb.place_id[20]]
        assert features[0]["properties"]["embedding_8"] == pytest.approx(float(emb.vectors[3, 7]))
    else:
        assert len(pd.read_csv(out)) == 2


def test_selection_of_another_table(tmp_path: Path) -> None:
    pd.DataFrame({"place_id": ["nowhere"]}).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(
        InputError, match=r"1 of 1 places in .* are not in this table \(for example, 'nowhere'\)"
    ):
        api.export(table(), selection=tmp_path / "s.csv", out=tmp_path / "o.parquet")


def test_what_notebooks_show(helsinki_table: Path, helsinki_dataset: Dataset, helsinki_run: Path) -> None:
    """Facts, and names as text."""
    emb = table()
    emb.names[1] = "<img src=x onerror=alert(1)>"
    shown = emb._repr_html_()
    assert "&lt;img src=x" in shown
    assert "<img" not in shown
    assert "60" in shown
    assert "Dataset" in helsinki_dataset._repr_html_()
    assert str(len(helsinki_dataset)) in helsinki_dataset._repr_html_().replace(",", "")
    assert "parameters" in api.load_model(helsinki_run)._repr_html_()
    assert "helsinki" in api.load_embeddings(helsinki_table)._repr_html_()
