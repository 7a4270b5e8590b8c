"""Heads, and their place in a model. Oracles: numpy's own sigmoid and softmax, and the files read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from placevec import encoders
from placevec.core import ViewSpec
from placevec.errors import InputError, ModelError
from placevec.io.atomic import sha256_of_file
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.models.reading import Reading
from tests.unsealed import unsealed

COORDINATES = ViewSpec("coordinates", "coordinates", values="degrees lon, lat, WGS84")
POINTS = np.array([[24.94, 60.17], [-170.7, -14.3], [180.0, 0.0]])


def model_of(head: Head | None, **options: object) -> Model:
    torch.manual_seed(3)
    encoder = encoders.location("sphereC", dim=8, scales=4, hidden=16, **options)
    return Model(
        {"location": encoder}, {"coordinates": Reading("location", COORDINATES)}, {"name": "sphere2vec"},
        {"dataset": "points"}, heads={} if head is None else {"coordinates": head},
    )  # fmt: skip


def head_of(kind: str) -> Head:
    torch.manual_seed(4)
    return Head(8, "number", mean=15.0, deviation=8.0) if kind == "number" else Head(8, kind, ["a", "b", "c"])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["presence", "classes", "number"])
def test_answers_are_the_formulas_of_numpy(kind: str) -> None:
    head, z = head_of(kind), torch.randn(5, 8)
    bias = 0.0 if head.linear.bias is None else head.linear.bias.detach().numpy()
    logits = z.numpy() @ head.linear.weight.detach().numpy().T + bias
    wanted = {
        "presence": 1 / (1 + np.exp(-logits)),
        "classes": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        "number": 15.0 + 8.0 * logits,
    }[kind]
    np.testing.assert_allclose(head.answers(z).detach().numpy(), wanted, rtol=2e-5)
    assert (head.linear.bias is None) == (kind == "presence")


@pytest.mark.parametrize("kind", ["presence", "classes", "number"])
def test_a_head_survives_the_disk(kind: str, tmp_path: object) -> None:
    model = model_of(head_of(kind))
    model.save(tmp_path)  # type: ignore[arg-type]
    again = Model.load(tmp_path)  # type: ignore[arg-type]
    assert again.hash == model.hash
    assert again.head is not None
    assert again.head.config() == model.head.config()  # type: ignore[union-attr]
    np.testing.assert_array_equal(again.predict_lonlat(POINTS), model.predict_lonlat(POINTS))
    assert again.predict_lonlat(POINTS).shape == (3, again.head.outputs)
    assert again.embed_lonlat(POINTS).shape == (3, 8)


def test_a_model_without_a_head_stays_what_it_was(tmp_path) -> None:
    model = model_of(None)
    model.save(tmp_path)
    assert "heads" not in json.loads((tmp_path / "config.json").read_text())
    assert not [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("heads.")]
    assert Model.load(tmp_path).head is None
    with pytest.raises(ModelError, match="has no head"):
        model.predict_lonlat(POINTS)


def test_the_head_is_part_of_the_hash() -> None:
    """Two heads on the same encoder are two models."""
    assert (
        len(
            {model_of(head_of(kind)).hash for kind in ("presence", "classes", "number")}
            | {model_of(None).hash}
        )
        == 4
    )


def test_vectors_are_the_encoder_s_own_however_many_points() -> None:
    model = model_of(None)
    points = np.random.default_rng(0).uniform([-180, -90], [180, 90], (9000, 2))
    with torch.no_grad():
        encoder = model.modules["location"].eval()
        wanted = torch.cat([encoder(torch.from_numpy(part)) for part in (points[:8192], points[8192:])])
    np.testing.assert_array_equal(model.embed_lonlat(points), wanted.numpy())
    assert model.embed_lonlat(np.zeros((0, 2))).shape == (0, 8)


def test_dates_are_handed_on() -> None:
    model = model_of(head_of("classes"), seasons=1)
    assert not np.allclose(model.predict_lonlat(POINTS, [0.1] * 3), model.predict_lonlat(POINTS, [0.6] * 3))
    with pytest.raises(InputError, match="needs year"):
        model.embed_lonlat(POINTS)
    with pytest.raises(InputError, match="give one year per point"):
        model.embed_lonlat(POINTS, [0.5])


@pytest.mark.parametrize("encoder", ["rbf", "cells", "rff", "wrap", "harmonics", "dfs"])
@pytest.mark.parametrize("variant", ["corrected", "original"])
def test_every_kind_of_encoder_survives_the_disk(encoder: str, variant: str, tmp_path) -> None:
    """Those with buffers above all: anchors and random draws lie in the weights."""
    if variant == "original" and encoder in ("cells", "harmonics"):
        pytest.skip("not part of the original system")
    options = {"anchors": POINTS} if encoder == "rbf" else {"scales": 4} if encoder == "dfs" else {}
    built = encoders.location(encoder, dim=8, variant=variant, **options)  # type: ignore[arg-type]
    model = Model({"location": built}, {"coordinates": Reading("location", COORDINATES)})
    model.save(tmp_path)
    np.testing.assert_array_equal(Model.load(tmp_path).embed_lonlat(POINTS), model.embed_lonlat(POINTS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "oracle"}, "unknown kind of head 'oracle'"),
        ({"classes": []}, "one to a million classes"),
        ({"classes": ["a", "a", "b"]}, "a head has a duplicate class"),
        ({"classes": "abc"}, "not a list"),
        ({"classes": ["a", "b"]}, "do not match its configuration"),
        ({"classes": [f"{n}" for n in range(200_000)]}, "do not match its configuration"),
        ({"dim": 9}, "its head expects vectors of 9 dimensions, unlike its encoder's"),
        ({"dim": 10**9}, "1 to 65536"),
        ({"deviation": 0.0}, "positive standard deviation"),
        ({"kind": 7}, "not a text"),
        ({"bias": True}, "do not match its configuration"),
    ],
)  # fmt: skip
def test_hostile_configurations_are_rejected(change: dict[str, object], said: str, tmp_path) -> None:
    model_of(head_of("presence")).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["heads"]["coordinates"].update(change)
    (tmp_path / "config.json").write_text(json.dumps(unsealed(config)))
    with pytest.raises(ModelError, match=said):
        Model.load(tmp_path)


def test_weights_without_the_head_are_rejected(tmp_path) -> None:
    model_of(head_of("presence")).save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(
        {name: value for name, value in tensors.items() if not name.startswith("heads.")},
        tmp_path / "model.safetensors",
    )
    config = json.loads((tmp_path / "config.json").read_text())
    config["weights_sha256"] = [sha256_of_file(tmp_path / "model.safetensors")]
    (tmp_path / "config.json").write_text(json.dumps(unsealed(config)))
    with pytest.raises(ModelError, match=r"heads\.coordinates\.linear\.weight is none"):
        Model.load(tmp_path)


def test_the_card_shows_of_the_head(tmp_path) -> None:
    """Names of classes are anybody's text: they cannot become markup."""
    model = model_of(Head(8, "presence", ["<b>wolf</b>", "lynx"]))
    model.save(tmp_path)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "2 classes" in card
    assert "&lt;b&gt;wolf" in card
    assert "placevec evaluate MODEL" in card
