"""SatCLIP, Climplicit, SINR and CSP: files of exactly their layouts, with random weights, give what their formulas give.

Oracles: for SatCLIP scipy's spherical harmonics at its angles, for Climplicit and SINR their layers in NumPy, as the MIT
code of microsoft/satclip at 1ead106, torchgeo's ports of SatCLIP and Climplicit and elijahcole/sinr at 594040c have
them; for CSP the numbers that TorchSpatial's own code gave for the same encoders (``torchspatial.npz``).
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from placevec import api
from placevec.encoders.locations.climplicit import ClimplicitEncoder
from placevec.errors import PlacevecError
from placevec.models.importers import import_locations
from tests.models.importers.test_torchspatial import LONLAT, ORIGINAL, PARAMS, SPECIAL

L, HIDDEN, DIM = 5, 7, 6


def drawn(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights, as small as trained ones."""
    random = np.random.default_rng(seed)
    return {
        name: torch.from_numpy(random.normal(0, 0.3, shape).astype(np.float32))
        for name, shape in shapes.items()
    }


def satclip() -> dict[str, Any]:
    nnet = {
        "layers.0.weight": (HIDDEN, L * L), "layers.0.bias": (HIDDEN,), "layers.1.weight": (HIDDEN, HIDDEN),
        "layers.1.bias": (HIDDEN,), "last_layer.weight": (DIM, HIDDEN), "last_layer.bias": (DIM,),
    }  # fmt: skip
    state = {f"model.location.nnet.{name}": value.double() for name, value in drawn(nnet).items()}
    state["model.visual.conv1.weight"] = torch.zeros(2, 2)
    options = {
        "le_type": "sphericalharmonics",
        "pe_type": "siren",
        "harmonics_calculation": "analytic",
        "capacity": HIDDEN,
    }
    return {"state_dict": state, "hyper_parameters": options, "epoch": 3}


def satclip_formula(content: dict[str, Any]) -> np.ndarray:
    """Y_lm at longitude + 180 and latitude + 90, those of order 0 times pi; sin(30 ...), sin, linear."""
    from scipy.special import sph_harm_y

    theta, phi = np.radians(LONLAT[:, 1] + 90), np.radians(LONLAT[:, 0] + 180)
    columns = []
    for degree in range(L):
        for order in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(order), theta, phi) * (-1.0) ** order
            part = value.imag if order < 0 else value.real
            columns.append(part * (np.pi if order == 0 else np.sqrt(2)))
    x = np.stack(columns, axis=1)
    part = {
        name.split("nnet.")[1]: value.numpy()
        for name, value in content["state_dict"].items()
        if "nnet" in name
    }
    x = np.sin(30 * (x @ part["layers.0.weight"].T + part["layers.0.bias"]))
    x = np.sin(x @ part["layers.1.weight"].T + part["layers.1.bias"])
    return x @ part["last_layer.weight"].T + part["last_layer.bias"]


def climplicit() -> dict[str, torch.Tensor]:
    shapes: dict[str, tuple[int, ...]] = {
        "chelsa_regressor.weight": (11, DIM),
        "chelsa_regressor.bias": (11,),
    }
    for number, width in enumerate((4, HIDDEN, HIDDEN)):
        shapes |= {f"location_encoder.layers.{number}.weight": (HIDDEN, width)}
        shapes |= {f"location_encoder.layers.{number}.bias": (HIDDEN,)}
    shapes |= {
        "location_encoder.last_layer.weight": (DIM, HIDDEN),
        "location_encoder.last_layer.bias": (DIM,),
    }
    return drawn(shapes, 1)


def climplicit_formula(state: dict[str, torch.Tensor]) -> np.ndarray:
    part = {name.removeprefix("location_encoder."): value.double().numpy() for name, value in state.items()}
    found = []
    for month in (3, 6, 9, 12):
        turn = np.full(len(LONLAT), month / 12 * 2 * np.pi)
        x = np.stack([LONLAT[:, 0] / 180, LONLAT[:, 1] / 90, np.sin(turn), np.cos(turn)], axis=1)
        inner = x @ part["layers.0.weight"].T + part["layers.0.bias"]
        x = np.sin(30 * np.sinh(2 * inner))
        for number in (1, 2):
            inner = (x @ part[f"layers.{number}.weight"].T + part[f"layers.{number}.bias"] + inner) / 2
            x = np.sin(inner)
        found.append(x @ part["last_layer.weight"].T + part["last_layer.bias"])
    return np.concatenate(found, axis=1)


def sinr() -> dict[str, Any]:
    shapes: dict[str, tuple[int, ...]] = {"feats.0.weight": (HIDDEN, 4), "feats.0.bias": (HIDDEN,)}
    for block in (2, 3):
        for layer in ("w1", "w2"):
            shapes |= {
                f"feats.{block}.{layer}.weight": (HIDDEN, HIDDEN),
                f"feats.{block}.{layer}.bias": (HIDDEN,),
            }
    state = drawn({**shapes, "class_emb.weight": (3, HIDDEN)}, 2)
    return {
        "state_dict": state,
        "params": {"input_enc": "sin_cos", "class_to_taxa": [48, 7, 100], "lr": 5e-4},
    }


def sinr_formula(content: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    part = {name: value.double().numpy() for name, value in content["state_dict"].items()}
    place = LONLAT / [180, 90] * np.pi
    x = np.concatenate([np.sin(place), np.cos(place)], axis=1)
    x = np.maximum(x @ part["feats.0.weight"].T + part["feats.0.bias"], 0)
    for block in (2, 3):
        inner = np.maximum(x @ part[f"feats.{block}.w1.weight"].T + part[f"feats.{block}.w1.bias"], 0)
        x = x + np.maximum(inner @ part[f"feats.{block}.w2.weight"].T + part[f"feats.{block}.w2.bias"], 0)
    return x, 1 / (1 + np.exp(-x @ part["class_emb.weight"].T))


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_satclip_gives_its_formula_and_says_license_and_hash(tmp_path: Path) -> None:
    content = satclip()
    model = api.import_weights(saved(content, tmp_path / "a.ckpt"), system="satclip", out=tmp_path / "model")
    np.testing.assert_allclose(model.embed_lonlat(LONLAT), satclip_formula(content), atol=2e-4)
    assert "MIT" in model.training["attribution"]
    others = sum("nnet." not in name for name in content["state_dict"])
    assert model.training["imported"]["tensors_left_out"] == others
    assert len(model.training["imported"]["sha256"]) == 64
    alone = {name.removeprefix("model.location."): value for name, value in content["state_dict"].items()}
    again = import_locations(saved(alone, tmp_path / "b.pt"), "satclip", tmp_path / "alone")
    assert again.hash == model.hash  # torchgeo's file of the location encoder alone


def test_climplicit_gives_its_formula(tmp_path: Path) -> None:
    state = climplicit()
    model = import_locations(saved(state, tmp_path / "a.pth"), "climplicit", tmp_path / "model")
    assert model.dim == 4 * DIM
    assert model.training["imported"]["tensors_left_out"] == 2  # of its regression of climate
    np.testing.assert_allclose(model.embed_lonlat(LONLAT), climplicit_formula(state), atol=2e-4)
    encoder = ClimplicitEncoder(width=4, hidden=8, layers=2)
    points = torch.tensor(LONLAT)
    torch.testing.assert_close(encoder(points), encoder.unchecked(points))
    with pytest.raises(PlacevecError, match="year"):
        encoder(points, year=0.5)


def test_sinr_gives_its_formula_and_its_taxa(tmp_path: Path) -> None:
    content = sinr()
    model = import_locations(saved(content, tmp_path / "model.pt"), "sinr", tmp_path / "model")
    vectors, answers = sinr_formula(content)
    np.testing.assert_allclose(model.embed_lonlat(LONLAT), vectors, atol=1e-5)
    np.testing.assert_allclose(model.predict_lonlat(LONLAT), answers, atol=1e-5)
    assert model.head is not None
    assert model.head.classes == ("taxon 48", "taxon 7", "taxon 100")
    assert model.training["imported"]["tensors_left_out"] == 0


@pytest.mark.parametrize(
    ("theirs", "code"),
    [("Space2Vec-grid", "gridcell"), ("Sphere2Vec-sphereC", "sphere"), ("wrap", "geo_net")],
)
def test_csp_gives_the_vectors_of_the_same_encoder(theirs: str, code: str, tmp_path: Path) -> None:
    """Its location encoder wrapped by a model of images and places, under its founding name."""
    prefix = f"{theirs}:"
    state = {
        name.removeprefix(prefix): torch.tensor(ORIGINAL[name])
        for name in ORIGINAL.files
        if name.startswith(prefix)
    }
    twice = {f"loc_enc.{name}": value for name, value in state.items()}
    content = {"state_dict": {**twice, "img_dec.weight": torch.zeros(2, 2)}}
    content["params"] = {
        **PARAMS,
        **SPECIAL.get(theirs, {}),
        "spa_enc_type": code,
        "unsuper_loss": "contsoftmax",
    }
    model = import_locations(saved(content, tmp_path / "a.pth.tar"), "csp", tmp_path / "model")
    np.testing.assert_allclose(model.embed_lonlat(LONLAT), ORIGINAL[f"{theirs} vectors"], atol=1e-5)
    assert model.head is None
    assert model.training["imported"]["tensors_left_out"] == 3  # of images, users and classes without names


MADE = {"satclip": satclip, "climplicit": climplicit, "sinr": sinr}


@pytest.mark.parametrize("system", MADE)
def test_foreign_files_that_do_not_fit_are_one_clear_line(system: str, tmp_path: Path) -> None:
    """Of another architecture, cut short, pickled, incomplete, and not finite."""
    whole = saved(MADE[system](), tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes(whole.read_bytes()[:-500])
    (tmp_path / "pickled.pt").write_bytes(pickle.dumps({"a": 1}))
    saved({"state_dict": {"encoder.conv.weight": torch.zeros(2, 2)}}, tmp_path / "other.pt")
    saved({"state_dict": {"x": Path("code")}}, tmp_path / "objects.pt")
    content = MADE[system]()
    state = content.get("state_dict", content)
    first = next(name for name in state if "0.weight" in name)
    for name, value in (("nan", torch.full_like(state[first], float("nan"))), ("shape", state[first][:, :3])):
        changed = {**state, first: value}
        saved(
            {**content, "state_dict": changed} if "state_dict" in content else changed,
            tmp_path / f"{name}.pt",
        )
    for name in ("cut", "pickled", "other", "objects", "nan", "shape"):
        with pytest.raises(PlacevecError) as caught:
            import_locations(tmp_path / f"{name}.pt", system, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert f"{name}.pt" in str(caught.value)
        assert not (tmp_path / "out").exists()


def test_what_they_were_trained_with_must_be_supported(tmp_path: Path) -> None:
    content = satclip()
    content["hyper_parameters"]["le_type"] = "grid"
    with pytest.raises(PlacevecError, match="le_type 'grid'"):
        import_locations(saved(content, tmp_path / "a.ckpt"), "satclip", tmp_path / "out")
    rasters = sinr()
    rasters["params"]["input_enc"] = "sin_cos_env"
    with pytest.raises(PlacevecError, match="climate rasters"):
        import_locations(saved(rasters, tmp_path / "b.pt"), "sinr", tmp_path / "out")
    with pytest.raises(PlacevecError, match="vectors only"):
        import_locations(tmp_path / "a.ckpt", "satclip", tmp_path / "out", classes=tmp_path / "names.txt")
