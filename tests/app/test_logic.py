"""What the screens compute, without Streamlit: search, sets, uploads, exports, statistics, names."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from placevec.api.embedding import embed
from placevec.api.searching import similar
from placevec.app import searching
from placevec.app.elements import csv_of
from placevec.app.pictures import layers_of, pictures_of
from placevec.app.project import Project, open_project
from placevec.app.screens.gallery import ORDERS, ordered
from placevec.app.searching import Query, compared, exported, find, prepare, row_asked
from placevec.app.sets import above, scores
from placevec.app.space import page_folder, read_selection, results_content, space_content, told_of_results
from placevec.app.statistics import measure
from placevec.app.texts import plain
from placevec.app.uploads import vector_of_upload
from placevec.core import Look
from placevec.datasets.views.registry import reader_of
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.clustering import cluster
from placevec.embeddings.search.stored import open_index
from placevec.errors import EmbeddingsError, InputError, PlacevecError, SourceError, UsageError
from placevec.explorer.precomputed import projection
from placevec.explorer.reductions import reduce_vectors
from placevec.inference.images import image_views
from placevec.models.fusion import MeanFusion
from placevec.models.model import Model
from placevec.models.reading import Reading
from tests.models import many_views


@pytest.mark.parametrize("metric", list(searching.METRICS))
def test_the_nearest_by_every_metric(project: Project, metric: str) -> None:
    """Oracle: numpy over all vectors; exports read back hold the same places."""
    place = str(project.table.place_id[7])
    found = find(project, Query({"place": place}), k=60, metric=metric, apart=False)
    assert row_asked(project, found) == 7
    vectors = project.table.vectors.astype(np.float64)
    far = {
        "angular": 1 - vectors @ vectors[7] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[7]),
        "euclidean": np.linalg.norm(vectors - vectors[7], axis=1),
        "manhattan": np.abs(vectors - vectors[7]).sum(axis=1),
        "dot": -(vectors @ vectors[7]),
    }[metric]
    far[7] = np.inf
    expected = project.table.place_id[np.argsort(far, kind="stable")[:60]]
    assert found["place_id"].tolist()[:20] == expected.tolist()[:20]
    assert len(found) == 60
    assert (
        pd.read_csv(io.BytesIO(exported(found, "csv", "©")))["place_id"].tolist()
        == found["place_id"].tolist()
    )
    collection = json.loads(exported(found, "geojson", "©"))
    assert (collection["attribution"], len(collection["features"])) == ("©", 60)
    assert len(gpd.read_parquet(io.BytesIO(exported(found, "parquet", "©")))) == 60


def test_two_places_beside_each_other(project: Project) -> None:
    """Oracle: a place and itself, and symmetry."""
    same = compared(project, 3, 3)
    assert same["cosine similarity"] == pytest.approx(1.0)
    assert [same[name] for name in ("Euclidean distance", "Manhattan distance", "distance, m")] == [
        0.0,
        0.0,
        0.0,
    ]
    assert compared(project, 3, 9) == pytest.approx(compared(project, 9, 3))


def test_a_set_holds_what_its_examples_are(project: Project) -> None:
    """Oracle: `placevec.similar` with the same examples and threshold."""
    like, unlike = [str(one) for one in project.table.place_id[[5, 17]]], [str(project.table.place_id[40])]
    with pytest.raises(UsageError, match="at least one place"):
        scores(project.table, [])
    score = scores(project.table, like, unlike)
    threshold = float(np.quantile(score, 0.7))
    found = above(project, score, threshold, [5, 17, 40])
    expected = similar(
        project.table,
        like=like,
        unlike=unlike,
        threshold=1 - threshold + 1e-6,
        k=len(project.table),
        min_distance_m=0,
    )
    assert 50 < len(found) == len(expected)
    assert found["place_id"].tolist()[:30] == expected["place_id"].tolist()[:30]
    assert np.allclose(found["score"], 1 - expected["distance"], atol=1e-5)


def test_an_approximate_index_and_a_kept_projection(project: Project) -> None:
    """Oracle: the exact result; the projection is read from beside the table by a second project."""
    pytest.importorskip("faiss")
    place = Query({"place": str(project.table.place_id[3])})
    exact, graph = (find(project, place, k=10, backend=one, quality=-1) for one in ("exact", "hnsw"))
    assert len(set(exact["place_id"]) & set(graph["place_id"])) >= 9
    assert exact.attrs["query"]["recall"] is None
    assert graph.attrs["query"]["recall"] > 0.9
    made = projection(project.table, "pca", dim=2, seed=0, max_places=len(project.drawn))
    again = open_project(project.path, clusters=4, max_places=400)
    kept = projection(again.table, "pca", dim=2, seed=0, max_places=len(again.drawn))
    assert kept.reused
    assert np.array_equal(kept.rows, again.drawn.rows)
    assert np.array_equal(kept.reduction.components, made.reduction.components)


def _png(size: tuple[int, int], mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=array.dtype == object)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", b"<svg/>"),
        ("../../etc/passwd", b"root"),
        ("a.png", b"<html>no picture"),
        ("a.png", _png((5_000, 16))),
        ("a.png", _png((64, 64))),  # of colors, where twelve layers are read
        ("a.npy", _npy(np.zeros((12, 8, 8), object))),  # pickled
        ("a.npy", _npy(np.zeros((3, 64, 64), np.uint8))),
        ("a.npy", _npy(np.full((8, 64, 64), 0.5, np.float32))),
        ("a.npy", b"\x93NUMPY" + b"\x01\x00" + b"\xff" * 40),
        ("a.tif", b"II*\x00" + b"\x00" * 60),
    ],
)
def test_uploads_that_do_not_fit_are_refused(project: Project, name: str, content: bytes) -> None:
    """Not images, too many pixels, pickles, other bands and values; nothing of the message is a path of this machine."""
    with pytest.raises(InputError) as caught:
        vector_of_upload(project, name, content)
    assert "/tmp" not in str(caught.value)
    assert name == "a.svg" or "passwd" in name or name in str(caught.value)  # of the user, not of a copy
    assert "object at" not in str(caught.value)


def test_no_file_that_a_user_names_is_read(project: Project, tmp_path: Path) -> None:
    """Oracle: Python's audit of opened files; an image whose name is that of a file that would be read is refused."""
    secret, watching = tmp_path / "secret.png", True
    opened: list[str] = []
    secret.write_bytes(_png((256, 256)))

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open":
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)  # cannot be taken away again
    try:
        secret.read_bytes()
        assert opened == [str(secret)]
        opened.clear()
        for name in (str(secret), os.path.relpath(secret, project.path.parent), f"file://{secret}"):
            for asked in ("place", "name", "tile", "text"):
                with pytest.raises(PlacevecError):
                    find(project, Query({asked: name}), k=5)
            with pytest.raises(InputError):
                vector_of_upload(project, name, b"no image")
            said = read_selection({"focus": name, "selected": [name]}, project)
            assert (said.focus, said.selected) == (None, ())
        assert not [one for one in opened if "secret" in one]
    finally:
        watching = False


def test_an_upload_of_what_the_model_reads_is_found(project: Project) -> None:
    """Oracle: the layers that the dataset holds around a place, uploaded, have the vector of that place."""
    assert project.model is not None
    assert project.dataset is not None
    (view,) = image_views(project.model)
    spec = project.model.specs[view]
    row = int(np.flatnonzero(project.dataset.place_ids == project.table.place_id[20])[0])
    read = reader_of(spec).fit(project.dataset.view(view), spec)
    where = torch.from_numpy(project.dataset.lonlat[[row]])
    pixels = read.read(Look(rows=torch.tensor([row]), lonlat=where, warp={}))
    assert isinstance(pixels, torch.Tensor)
    vector, remark = vector_of_upload(project, "tile.npy", _npy(pixels[0].numpy()))
    assert np.allclose(vector, project.table.vectors[20], atol=1e-4)
    assert remark == ""
    found = find(project, Query({}, vector), k=1)
    assert found["place_id"].tolist() == [project.table.place_id[20]]


def test_what_the_page_says_is_checked(project: Project) -> None:
    """Only places of the table and points on Earth count."""
    known = str(project.table.place_id[0])
    said = {"focus": known, "selected": [known, "nowhere", 3], "point": [24.9, 60.2], "at": 5}
    assert read_selection(said, project).selected == (known,)
    assert read_selection(said, project).point == (24.9, 60.2)
    for wrong in ("x", [], {"focus": "nowhere", "point": [400, 0]}, {"selected": "a", "at": "b"}):
        found = read_selection(wrong, project)
        assert (found.focus, found.selected, found.point, found.at) == (None, (), None, 0)


def test_positions_go_to_the_page(project: Project) -> None:
    """Oracle: the components themselves; a change of content changes the key."""
    flat = reduce_vectors(project.drawn.vectors, "pca", dim=2)
    content = space_content(flat)
    sent = np.frombuffer(base64.b64decode(content["values"]), np.float32).reshape(-1, content["dims"])
    assert np.array_equal(sent, flat.components)
    assert content["key"] != space_content(reduce_vectors(project.drawn.vectors, "pca", dim=3))["key"]
    page = (page_folder(project) / "index.html").read_text("utf-8")
    assert "connectApp()" in page
    assert [file.name for file in page_folder(project).iterdir()] == ["index.html"]


def test_results_beyond_the_sample_go_to_the_page(project: Project) -> None:
    """Issue: of ten results among a million places, the page showed those among the 20,000 drawn: none.

    Oracle: what is in the sample, and PCA of the sample, whose mean and directions numpy finds.
    """
    place = str(project.table.place_id[0])
    found = find(project, Query({"place": place}), k=200, apart=False)
    content = results_content(project, place, found, "distance")
    assert content["ids"] == found["place_id"].tolist()
    drawn = set(project.drawn.place_id.tolist())
    assert content["beyond"]["ids"] == [one for one in [place, *content["ids"]] if one not in drawn] != []
    rows = [project.row_of[one] for one in content["beyond"]["ids"]]
    assert content["beyond"]["lon"] == project.table.lonlat[rows, 0].tolist()
    sample = project.drawn.vectors.astype(np.float64)
    directions = np.linalg.svd(sample - sample.mean(axis=0), full_matrices=False)[2][:3]
    expected = (project.table.vectors[rows] - sample.mean(axis=0)) @ directions.T
    sent = np.frombuffer(base64.b64decode(content["beyond"]["components"]), np.float32).reshape(-1, 3)
    for axis in range(3):
        assert abs(np.corrcoef(sent[:, axis], expected[:, axis])[0, 1]) > 0.9999


def test_more_results_than_are_drawn_are_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue: of results beyond 5,000 nothing was drawn, and nothing said so. Oracle: numpy's order of the ranks."""
    monkeypatch.setattr("placevec.app.space.MAX_DRAWN", 20)
    place = str(project.table.place_id[0])
    found = find(project, Query({"place": place}), k=200, apart=False)
    ids = results_content(project, place, found, "distance")["ids"]
    ranks = found.set_index("place_id")["rank"][ids].to_numpy()
    assert ranks[:10].tolist() == list(range(1, 11))
    steps = np.diff(ranks[10:])
    assert (len(ids), ranks[-1]) == (20, len(found))
    assert np.ptp(steps) <= 1
    assert f"20 of the {len(found)} results" in told_of_results(len(found))
    assert told_of_results(20) == ""


def test_search_is_prepared_before_the_first_browser(project: Project) -> None:
    """Issue: the first search among a million places took seconds, and loaded a model that a place does not need."""
    fresh = open_project(project.path, clusters=4, max_places=400)
    prepare(fresh)
    index = open_index(fresh.table)
    find(fresh, Query({"place": str(fresh.table.place_id[5])}), k=3)
    assert open_index(fresh.table) is index
    assert "row_of" in vars(fresh)
    assert "model" not in fresh._made


def test_the_legend_and_the_statistics_name_the_same_places(project: Project, tmp_path: Path) -> None:
    """Issue: two computations found two middles of a cluster. Oracle: the table that ``placevec cluster`` writes."""
    legend = [one["label"] for one in project.drawn.by_cluster.content["categories"]]
    shown = measure(project).clusters
    assert shown["name"].tolist() == legend
    expected = cluster(project.drawn.emb[project.drawn.rows], clusters=4, seed=0).summary()
    assert (
        shown[["cluster", "places", "medoid"]].values.tolist()
        == expected[["cluster", "places", "medoid"]].values.tolist()
    )
    columns = tmp_path / "columns.csv"
    write_own(columns, project.table.place_id)
    given = open_project(project.path, columns=columns, max_places=400)
    assert measure(given).clusters["cluster"].tolist() == [3, 8]


def write_own(path: Path, places: np.ndarray) -> None:
    """Clusters of the user, with numbers that leave gaps."""
    lines = [f"{place},{3 if row % 3 else 8}" for row, place in enumerate(places)]
    path.write_text("\n".join(["place_id,cluster", *lines]))


def test_pictures_and_layers(project: Project) -> None:
    """Oracle: the coverage of the dataset: the layers' shares are those that the explorer shows."""
    picture = pictures_of(project, [0, 1])
    assert all(one is not None and one[:4] == b"RIFF" for one in picture)
    layers = layers_of(project, 0)
    shares = project.shares_at(np.array([0]))
    assert shares is not None
    assert [name for name, _, _ in layers] == list(shares[0])
    assert np.allclose([share for _, share, _ in layers], shares[1][0], atol=0.1)


def test_words_find_what_the_model_reads_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: `placevec.similar` with the same words and all views; the project knows every place found."""
    many_views.register(monkeypatch)
    dataset = many_views.write(tmp_path / "data")
    torch.manual_seed(0)
    encoders = {"image": many_views.Columns(12, 8), "text": many_views.Letters(8)}
    reads = {
        view: Reading(encoder, dataset.spec(view))
        for view, encoder in (("satellite", "image"), ("text", "text"))
    }
    model = Model(encoders, reads, fuse=MeanFusion(["satellite", "text"], 8))
    model.save(tmp_path / "model")
    file = tmp_path / "vectors.parquet"
    embed(model, dataset).save(file)
    words = open_project(file, clusters=2)
    found = find(words, Query({"text": "woodland"}), k=6)
    assert found["place_id"].tolist() == similar(file, text="woodland", k=6)["place_id"].tolist()
    assert set(found["place_id"]) <= set(words.row_of)
    assert row_asked(words, found) is None


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_the_gallery_holds_its_places_once(project: Project, order: str) -> None:
    rows = ordered(project, order)
    assert len(set(rows.tolist())) == len(rows) in (len(project.table), len(project.drawn))
    name = next(str(one) for one in project.table.names if one)
    assert len(ordered(project, order, name.upper())) <= len(rows)


def test_names_stay_names() -> None:
    """Oracle: Markdown shows an escaped character as it is."""
    for hostile in (
        "<script>alert(1)</script>",
        "[a](javascript:alert(1))",
        ":red[x] $x$ **b** `c`",
        "a\u202eb\nc",
    ):
        shown = plain(hostile)
        assert not any(f" {mark}" in f" {shown}".replace("\\" + mark, "") for mark in "<[$`*")
        assert "\n" not in shown
        assert "\u202e" not in shown
    assert csv_of(pd.DataFrame({"name": ['=HYPERLINK("x")']})).startswith(b"name\r\n\"'=HYPERLINK")


def _table(folder: Path, vectors: np.ndarray, lonlat: np.ndarray | None = None) -> Path:
    count = len(vectors)
    none = np.full(count, None, object)
    where = np.full((count, 2), np.nan) if lonlat is None else lonlat
    ids = np.array([f"<b>{n}</b>" for n in range(count)], object)
    path = folder / "odd.parquet"
    Embeddings(ids, vectors.astype(np.float32), where, none, none, "map", Provenance("m", "d")).save(path)
    return path


@pytest.mark.parametrize("vectors", [np.ones((1, 4)), np.ones((30, 4)), np.zeros((3, 2))])
def test_odd_tables_are_shown(tmp_path: Path, vectors: np.ndarray) -> None:
    """Of one place, all equal, all zero, without coordinates: everything computes, and says what is missing."""
    odd = open_project(_table(tmp_path, vectors))
    assert any("without pictures" in one for one in odd.remarks)
    found = find(odd, Query({"place": "<b>0</b>"}), k=5)
    assert len(found) == min(5, len(vectors) - 1)
    assert measure(odd).facts["Places"] == str(len(vectors))
    assert pictures_of(odd, [0]) == [None]
    assert layers_of(odd, 0) == []
    assert (page_folder(odd) / "index.html").exists()
    assert len(above(odd, scores(odd.table, ["<b>0</b>"]), 0.5, [0])) == (len(vectors) - 1) * int(
        vectors.any()
    )
    with pytest.raises(PlacevecError):
        find(odd, Query({"lon": 24.9, "lat": 60.2}), k=5)
    with pytest.raises(PlacevecError):
        find(odd, Query({"text": "a park"}), k=5)
    with pytest.raises(InputError, match="was not found"):
        vector_of_upload(odd, "a.png", _png((8, 8)))


def test_vectors_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """NaN never reaches a table, nor a file that is none."""
    with pytest.raises(EmbeddingsError, match="not finite"):
        _table(tmp_path, np.array([[np.nan, 1.0]]))
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    with pytest.raises((EmbeddingsError, SourceError)):
        open_project(tmp_path / "no.parquet")
