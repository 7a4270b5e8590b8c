"""TorchSpatial's checkpoints become models whose vectors and answers are those of its own code.

``torchspatial.npz`` holds numbers only, obtained by running seai-lab/TorchSpatial at 9f8d833 (MIT; numpy 2.4, torch
2.13, CPU), each point handed over in a fresh tensor, because wrap_ffn changes its input in place:

* ``FILE vectors`` (every 8th number) and ``FILE answers`` (the first 16 classes) of 12 points for each checkpoint of
  fMoW and YFCC that lies whole in its repository, with the file's SHA-256. rbf had 400,000 random training points.
* for each kind of encoder, a small network with random weights of that code: its state dict (``KIND:name``), vectors
  and answers. wrap is among them, of which no trained file could be had.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from placevec import api, cli
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.errors import PlacevecError
from placevec.models.importers import import_locations
from placevec.models.importers.torchspatial import KINDS
from placevec.models.model import Model

ORIGINAL = np.load(Path(__file__).with_name("torchspatial.npz"))
LONLAT = np.stack((ORIGINAL["lon"], ORIGINAL["lat"]), axis=1).astype(np.float64)
FILES = sorted({name.rsplit(" ", 1)[0] for name in ORIGINAL.files if name.endswith(" sha256")})
PARAMS: dict[str, Any] = {
    "dataset": "tiny", "frequency_num": 4, "min_radius": 0.001, "max_radius": 1.0, "num_hidden_layer": 1,
    "hidden_dim": 9, "num_rbf_anchor_pts": 6, "rbf_kernel_size": 20.0, "loc_encode": "encode_cos_sin", "num_filts": 5,
    "freq_init": "geometric", "spa_f_act": "relu", "map_range": [-162, -59, 20, 56], "use_layn": True,
    "skip_connection": True, "use_date_feats": False, "dropout": 0.5, "rbf_anchor_pt_ids": None,
}  # fmt: skip
SPECIAL: dict[str, dict[str, Any]] = {
    "Space2Vec-grid": {"max_radius": 360.0, "min_radius": 0.1, "spa_f_act": "leakyrelu"},
    "Space2Vec-theory": {"max_radius": 360.0, "min_radius": 0.1},
    "rff": {"rbf_kernel_size": 2.0, "frequency_num": 7},
    "rbf": {"rbf_anchor_pt_ids": [np.int64(row) for row in (3, 1, 4, 15, 9, 2)]},
    "NeRF": {"spa_f_act": "sigmoid"},
    "Sphere2Vec-sphereM": {"num_hidden_layer": 3, "spa_f_act": "gelu"},
}


def checkpoint(kind: str, **changes: Any) -> dict[str, Any]:
    """What TorchSpatial saves of a small network of that kind."""
    state = {
        name.partition(":")[2]: torch.tensor(ORIGINAL[name])
        for name in ORIGINAL.files
        if name.startswith(f"{kind}:")
    }
    params = {**PARAMS, **SPECIAL.get(kind, {}), "spa_enc_type": kind, **changes}
    return {"epoch": 3, "state_dict": state, "optimizer": {"state": {}, "param_groups": []}, "params": params}


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def training_points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("points") / "train.parquet"
    points = ORIGINAL["training points"].astype(np.float64)
    pd.DataFrame({"lon": points[:, 0], "lat": points[:, 1]}).to_parquet(path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_what_its_own_code_gives(kind: str, tmp_path: Path, training_points: Path) -> None:
    file = saved(checkpoint(kind), tmp_path / "model.pth.tar")
    points = training_points if kind == "rbf" else None
    model = import_locations(file, "torchspatial", tmp_path / "model", training_points=points)
    np.testing.assert_allclose(model.embed_lonlat(LONLAT), ORIGINAL[f"{kind} vectors"], atol=1e-5)
    np.testing.assert_allclose(model.predict_lonlat(LONLAT), ORIGINAL[f"{kind} answers"], atol=1e-5)
    assert model.head is not None
    assert model.head.classes == ("class 0", "class 1", "class 2")
    encoder = model.modules["location"]
    assert isinstance(encoder, LocationEncoder)
    assert (encoder.encoder, encoder.variant) == (
        KINDS[kind],
        "original",
    )
    assert model.hash == Model.load(tmp_path / "model").hash
    assert model.training["imported"]["tensors_left_out"] == 1  # the embedding of users


@pytest.mark.parametrize("name", FILES)
def test_trained_checkpoints_give_what_their_own_code_gives(name: str, tmp_path: Path) -> None:
    """Skipped without PLACEVEC_ORIGINALS, a folder with TorchSpatial's ``pre_trained_models`` somewhere in it."""
    folder = os.environ.get("PLACEVEC_ORIGINALS")
    found = next(Path(folder).rglob(name), None) if folder else None
    if found is None:
        pytest.skip(f"no {name}: set PLACEVEC_ORIGINALS to a folder with TorchSpatial in it")
    assert hashlib.sha256(found.read_bytes()).hexdigest() == str(ORIGINAL[f"{name} sha256"])
    points = None
    if "_rbf_" in name:
        points = tmp_path / "points.parquet"
        drawn = (np.random.default_rng(6).uniform(-1, 1, (400_000, 2)) * [180, 90]).astype(np.float32)
        pd.DataFrame(drawn.astype(np.float64), columns=["lon", "lat"]).to_parquet(points)
    model = import_locations(found, "torchspatial", tmp_path / "model", training_points=points)
    vectors, answers = model.embed_lonlat(LONLAT), model.predict_lonlat(LONLAT)
    np.testing.assert_allclose(vectors[:, ::8], ORIGINAL[f"{name} vectors"], rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(answers[:, :16], ORIGINAL[f"{name} answers"], atol=1e-5)


def test_names_of_classes_come_from_a_file(tmp_path: Path) -> None:
    file = saved(checkpoint("xyz"), tmp_path / "a.pth.tar")
    names = tmp_path / "names.txt"
    names.write_text("\ufeffairport\n<b>lake</b>\n\nzoo, city\n", encoding="utf-8")
    model = api.import_weights(file, system="torchspatial", out=tmp_path / "named", classes=names)
    assert model.head is not None
    assert model.head.classes == ("airport", "<b>lake</b>", "zoo, city")
    for text in ("one\ntwo\n", "one\ntwo\ntwo\n", "a\nb\nc\nd\n"):
        names.write_text(text)
        with pytest.raises(PlacevecError, match="the checkpoint has 3"):
            api.import_weights(file, system="torchspatial", out=tmp_path / "other", classes=names)
    names.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlacevecError, match="cannot read class names from"):
        api.import_weights(file, system="torchspatial", out=tmp_path / "other", classes=names)


def test_anchors_need_the_training_points(tmp_path: Path, training_points: Path) -> None:
    file = saved(checkpoint("rbf"), tmp_path / "rbf.pth.tar")
    with pytest.raises(PlacevecError, match="--training-points"):
        import_locations(file, "torchspatial", tmp_path / "model")
    few = tmp_path / "few.csv"
    few.write_text("lon,lat\n1,2\n3,4\n")
    with pytest.raises(PlacevecError, match="give the points that it was trained on"):
        import_locations(file, "torchspatial", tmp_path / "model", training_points=few)
    xyz = saved(checkpoint("xyz"), tmp_path / "xyz.pth.tar")
    with pytest.raises(PlacevecError, match="only for rbf"):
        import_locations(xyz, "torchspatial", tmp_path / "model", training_points=training_points)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (checkpoint("xyz", spa_enc_type="tile_ffn"), "the output is the same everywhere"),
        (checkpoint("xyz", spa_enc_type="Sphere2Vec-dfs"), "they are all equal"),
        (checkpoint("xyz", spa_enc_type="spherical_harmonics"), "is not part of the published code"),
        (checkpoint("xyz", spa_enc_type="hexagridcell"), "has the unknown encoder 'hexagridcell'"),
        (checkpoint("xyz", spa_enc_type=None), "no params with"),
        (checkpoint("xyz", use_layn=False), "use_layn"),
        (checkpoint("xyz", freq_init="random"), "freq_init"),
        (checkpoint("xyz", num_filts=2**40), "num_filts"),
        (checkpoint("xyz", num_filts=True), "num_filts"),
        (checkpoint("xyz", hidden_dim=10), "does not fit"),
        (checkpoint("xyz", num_hidden_layer=2), "does not fit"),
        (checkpoint("xyz", spa_f_act="<script>"), "unknown activation"),
        (checkpoint("xyz", dropout=float("nan")), "dropout"),
        (checkpoint("Sphere2Vec-sphereC", min_radius=float("inf")), "r_min"),
        (checkpoint("Sphere2Vec-sphereC", frequency_num=2**20), "scales"),
        (checkpoint("Sphere2Vec-sphereC", frequency_num=4096), "does not fit"),
        (checkpoint("rff", map_range=[1, 1, 2]), "map_range"),
        (checkpoint("rff", map_range=[5, 1, 2, 3]), "extent"),
        (checkpoint("rbf", rbf_anchor_pt_ids=[-1, 2]), "which training points"),
        (checkpoint("rbf", rbf_anchor_pt_ids="0123"), "which training points"),
        ({**checkpoint("xyz"), "state_dict": {}}, "no named weights"),
        ({"params": {"spa_enc_type": "xyz"}}, "no named weights"),
        (checkpoint("xyz")["state_dict"], "no params with"),
        ([1], "no params with"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_clear_line(content: Any, words: str, tmp_path: Path) -> None:
    file = saved(content, tmp_path / "wrong.pth.tar")
    with pytest.raises(PlacevecError, match=words) as caught:
        import_locations(file, "torchspatial", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_weights_that_are_no_numbers_are_rejected(tmp_path: Path) -> None:
    for key, value in (
        ("class_emb.weight", torch.full((3, 5), float("inf"))),
        ("class_emb.weight", torch.zeros(3)),
        ("spa_enc.ffn.layers.0.linear.weight", torch.zeros(1).expand(9, 3)),
        ("spa_enc.ffn.layers.0.linear.weight", torch.zeros(9, 4)),
    ):
        content = checkpoint("xyz")
        content["state_dict"][key] = value
        with pytest.raises(PlacevecError):
            import_locations(saved(content, tmp_path / "a.tar"), "torchspatial", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_an_unknown_system_and_options_of_another_one(tmp_path: Path) -> None:
    file = saved(checkpoint("xyz"), tmp_path / "a.pth.tar")
    out = tmp_path / "out"
    with pytest.raises(
        PlacevecError, match="loc2vec-12, loc2vec-rgb, where2vec-s2, torchspatial, geoclip, satclip"
    ):
        api.import_weights(file, system="range", out=out)
    with pytest.raises(PlacevecError, match="--zoom"):
        api.import_weights(file, system="torchspatial", out=out, zoom=18)
    with pytest.raises(PlacevecError, match="--classes"):
        api.import_weights(file, system="loc2vec-12", out=out, classes=file)
    with pytest.raises(PlacevecError, match="no classes"):
        api.import_weights(file, system="geoclip", out=out, classes=file)
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(PlacevecError, match="another --out"):
        api.import_weights(file, system="torchspatial", out=out)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(checkpoint("xyz"), tmp_path / "a.pth.tar")
    command = ["import-weights", str(file), "--as", "torchspatial", "--out", str(tmp_path / "m")]
    assert cli.main(command) == 2
    assert "--yes-i-trust-this-file" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    assert cli.main([*command, "--yes-i-trust-this-file"]) == 0
    printed = capsys.readouterr().out
    assert "predicts 3 classes" in printed
    assert "--classes FILE" in printed
    card = (tmp_path / "m" / "MODEL_CARD.md").read_text()
    assert "TorchSpatial" in card
    assert "MIT" in card
