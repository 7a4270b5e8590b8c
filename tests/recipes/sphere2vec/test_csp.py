"""Learning from images without labels: what is learned, carried on and refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from placevec import api, encoders
from placevec.core import Draw, encode
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.coordinates import SPEC
from placevec.encoders.locations.names import known_as
from placevec.errors import DatasetError, InputError, ModelError, UsageError
from placevec.models.model import Model
from placevec.models.reading import Reading
from placevec.recipes import recipe
from placevec.recipes.sphere2vec import build as sphere2vec
from placevec.recipes.sphere2vec import csp as sphere2vec_csp
from placevec.recipes.sphere2vec.config import OF_ENCODER, Sphere2VecConfig
from placevec.recipes.sphere2vec.csp_config import CSP_PRESETS
from placevec.recipes.sphere2vec.presets import published
from placevec.training.objectives.spatial_contrast import LocationImage, SigmoidDropoutTwins

COUNT = 80
configure = recipe("sphere2vec").configure
SMALL: dict[str, Any] = {
    "encoder": "sphereC", "dim": 16, "hidden": 32, "scales": 4, "r_min": 0.05, "dropout": 0.1, "batch_size": 64,
    "epochs": 4, "steps_per_epoch": 15, "learning_rate": 5e-3, "device": "cpu", "projector": 0,
}  # fmt: skip


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Places over the Earth whose image features are smooth functions of where they lie, and a few more numbers."""
    folder = tmp_path_factory.mktemp("pictured")
    random = np.random.default_rng(0)
    lon, lat = random.uniform(-180, 180, COUNT), np.degrees(np.arcsin(random.uniform(-1, 1, COUNT)))
    xyz = np.stack([np.cos(np.radians(lat)) * np.cos(np.radians(lon)), np.cos(np.radians(lat)) * np.sin(np.radians(lon)),
                    np.sin(np.radians(lat))], 1)  # fmt: skip
    rows = "".join(f"{a},{b},{15 * c:.6f}\n" for a, b, c in zip(lon, lat, xyz[:, 2], strict=True))
    (folder / "points.csv").write_text("lon,lat,warmth\n" + rows)
    features = np.concatenate([np.tanh(xyz @ random.standard_normal((3, 12))), np.full((COUNT, 1), 7.0)], 1)
    np.save(folder / "features.npy", features)
    return api.prepare(
        "sphere2vec", points=folder / "points.csv", image_features=folder / "features.npy", out=folder / "ds"
    )


@pytest.fixture(scope="session")
def labeled(pictured: Dataset) -> Dataset:
    """The same places with a number each."""
    points = pictured.path.parent / "points.csv"
    return api.prepare("sphere2vec", points=points, label="warmth", out=pictured.path.parent / "labeled")


@pytest.fixture(scope="session")
def run(pictured: Dataset) -> Path:
    out = pictured.path.parent / "run"
    api.train("sphere2vec", pictured, out=out, loss="csp", **SMALL)
    return out


def metrics(run: Path) -> list[dict[str, Any]]:
    from placevec.training.log import read_metrics

    return list(read_metrics(run))


def test_held_out_places_find_their_images(run: Path, pictured: Dataset) -> None:
    """Oracle: chance: of n held-out images a random order finds one at a mean reciprocal rank of H(n) / n."""
    options = {name: value for name, value in SMALL.items() if name != "projector"}
    built = sphere2vec.build(pictured, *configure("default", {**options, "loss": "csp"}))
    judge: Any = built.recipe.validation
    sampler: Any = built.recipe.sampler
    assert not set(judge.rows) & set(sampler.rows)
    chance = sum(1 / rank for rank in range(1, len(judge.rows) + 1)) / len(judge.rows)
    assert max(row["validation/image_mrr"] for row in metrics(run)) > 1.3 * chance
    assert metrics(run)[-1]["loss/train"] < metrics(run)[0]["loss/train"]
    assert metrics(run)[-1]["train/own_image_cosine"] > 0.3


def test_the_model_reads_coordinates_and_keeps_the_projection(run: Path, pictured: Dataset) -> None:
    """Oracle: the encoder called directly; the projection is fitted to the training images."""
    model = Model.load(run)
    assert list(model.readings) == ["coordinates"]
    assert sorted(model.modules) == ["image", "location"]
    vectors = model.embed_lonlat(pictured.lonlat[:5])
    with torch.no_grad():
        expected = model.modules["location"](torch.from_numpy(pictured.lonlat[:5])).numpy()
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    image: Any = model.modules["image"]
    assert float(image.standard.deviation[-1]) == 1.0  # of what does not vary
    assert float(image.standard.mean[-1]) == pytest.approx(7.0)


@pytest.mark.parametrize("loss", ["csp", "csp-nce", "csp-mse"])
def test_every_form_learns(pictured: Dataset, loss: str) -> None:
    """Oracle: the loss of the same batch before and after twenty steps, nothing dropped."""
    options = {name: value for name, value in SMALL.items() if name != "projector"}
    config, training = configure("default", {**options, "loss": loss, "dropout": 0.0})
    torch.manual_seed(0)
    built = sphere2vec.build(pictured, config, training)
    parameters = [
        value
        for part in (*built.recipe.encoders.values(), *(one for _, one in built.recipe.objectives.values()))
        for value in part.parameters()
    ]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)

    def loss_of(draw: Draw) -> torch.Tensor:
        batches = {
            name: built.views[built.recipe.slots[name].view].read(look) for name, look in draw.looks.items()
        }
        encoded = encode(built.recipe, batches, draw.looks)
        parts = [weight * part(encoded, draw.targets) for weight, part in built.recipe.objectives.values()]
        return torch.stack(parts).sum()

    draw = built.recipe.sampler.draw(0)
    before = float(loss_of(draw).detach())
    for _ in range(20):
        optimizer.zero_grad()
        loss_of(draw).backward()
        optimizer.step()
    assert float(loss_of(draw).detach()) < 0.95 * before


def test_weights_of_zero_leave_parts_out(pictured: Dataset) -> None:
    config, training = configure("default", {"loss": "csp", "twin_weight": 0.0, "background_weight": 0.0})
    recipe = sphere2vec.build(pictured, config, training).recipe
    assert sorted(recipe.slots) == ["image", "point"]
    assert list(recipe.objectives) == ["image"]
    config, training = configure("default", {"loss": "csp-nce", "negative_points": 3, "twin_weight": 0.5})
    recipe = sphere2vec.build(pictured, config, training).recipe
    weight, twins = recipe.objectives["twin"]
    assert weight == 0.5
    assert isinstance(twins, SigmoidDropoutTwins)
    draw = recipe.sampler.draw(0)
    assert len(draw.looks["background"]) == 3 * len(draw.looks["point"])


def test_test_places_are_never_learned_from(pictured: Dataset, tmp_path: Path) -> None:
    """Oracle: the split of the dataset."""
    folder = pictured.path.parent
    dataset = api.prepare(
        "sphere2vec", points=folder / "points.csv", label="warmth", out=tmp_path / "ds", test_share=0.3,
        image_features=folder / "features.npy",
    )  # fmt: skip
    config, training = configure("default", {"loss": "csp"})
    sampler: Any = sphere2vec.build(dataset, config, training).recipe.sampler
    assert set(sampler.rows) == set(dataset.labels().rows("train"))


def test_fine_tuning_starts_from_the_run(run: Path, labeled: Dataset, tmp_path: Path) -> None:
    """Oracle: weights of the run before the first step; its options are inherited, another share dropped is allowed."""
    config, training = configure("default", {"init": str(run), "dropout": 0.4, "few_shot": 0.5})
    assert (config.encoder, config.dim, config.scales, config.r_min) == ("sphereC", 16, 4, 0.05)
    built = sphere2vec.build(labeled, config, training)
    before = Model.load(run).modules["location"].state_dict()
    after = built.recipe.encoders["location"]
    for name, value in after.state_dict().items():
        assert torch.equal(value, before[name])
    assert after.config()["dropout"] == 0.4  # type: ignore[operator]
    tuned = api.train(
        "sphere2vec", labeled, out=tmp_path / "tuned", init=str(run), epochs=1, device="cpu", projector=0
    )
    assert tuned.head is not None
    assert tuned.predict_lonlat(labeled.lonlat[:3]).shape == (3, 1)


def test_what_contradicts_a_run_is_rejected(run: Path, labeled: Dataset, tmp_path: Path) -> None:
    configure("default", {"init": str(run), "encoder": "sphere", "scales": 4})  # the same by another name
    for option, value in (("encoder", "rbf"), ("dim", 8), ("scales", 5), ("variant", "original")):
        with pytest.raises(UsageError, match=f"--{option} {value} contradicts --init"):
            configure("default", {"init": str(run), option: value})
    with pytest.raises(ModelError, match="nowhere"):
        configure("default", {"init": "nowhere"})
    with pytest.raises(ModelError, match="no location encoder"):
        configure("default", {"init": "base"})


@pytest.fixture
def runs(tmp_path: Path) -> Callable[..., str]:
    """A run with a location encoder of some options, as a model on disk."""

    def made(encoder: str, **options: Any) -> str:
        module = encoders.location(encoder, 16, **options)
        path = tmp_path / known_as(encoder)
        Model({"location": module}, {"coordinates": Reading("location", SPEC)}).save(path)
        return str(path)

    return made


@pytest.mark.parametrize(
    ("encoder", "same", "other", "has"),
    [
        ("sphereC", {"scales": 32, "r_min": 1e-3, "r_max": 1.0}, {"scales": 8}, "32"),
        ("sphereC", {}, {"sigma": 2.0}, "no sigma"),
        ("sphereC+", {"taper_poles": False}, {"taper_poles": True}, "False"),
        ("dfs", {"scales": 8, "r_min": 1e-2}, {"r_min": 1e-3}, "0.01"),
        ("cells", {"cells": 2048, "cell_width": 64}, {"cell_width": 32}, "64"),
        ("rff", {"frequencies": 256, "sigma": 10.0}, {"sigma": 3.0}, "10.0"),
        ("rbf", {"anchors": 200}, {"anchors": 100}, "200"),
    ],
)
def test_a_run_s_defaults_are_contradicted_too(
    runs: Callable[..., str], encoder: str, same: dict[str, Any], other: dict[str, Any], has: str
) -> None:
    """A run remembers the options it was told. Oracle: the signatures of the features."""
    run = runs(encoder)
    config, _ = configure("default", {"init": run, **same})
    assert {name: getattr(config, name) for name in same} == same
    plain, _ = configure("default", {"init": run})
    assert {name: getattr(plain, name) for name in same} == same
    ((name, value),) = other.items()
    with pytest.raises(UsageError) as caught:
        configure("default", {"init": run, **other})
    told = f"--{name.replace('_', '-')} {value} contradicts --init: the encoder of {run} has {has}"
    assert str(caught.value) == told


def test_a_cell_s_width_is_compared_by_the_recipe_s_name(runs: Callable[..., str]) -> None:
    run = runs("cells", cells=64, width=8)
    assert configure("default", {"init": run, "cell_width": 8})[0].cell_width == 8
    with pytest.raises(UsageError, match=r"--cell-width 4 contradicts --init: .* has 8"):
        configure("default", {"init": run, "cell_width": 4})


def test_the_width_that_rbf_chose_itself_is_the_run_s(runs: Callable[..., str]) -> None:
    """Oracle: a steradian's share of 50 even anchors, sqrt(4 pi / 50)."""
    config, _ = configure("default", {"init": runs("rbf", anchors=50)})
    assert config.anchors == 50
    assert config.sigma == pytest.approx(math.degrees(math.sqrt(4 * math.pi / 50)))


@pytest.mark.parametrize("preset", ["inat2018", "csp-paper-fmow"])
@pytest.mark.parametrize("encoder", ["sphereC+", "rbf", "grid", "wrap"])
def test_a_preset_does_not_change_the_form_of_a_run(
    runs: Callable[..., str], encoder: str, preset: str
) -> None:
    """What a configuration says is what is trained; the rest is the preset's of that very encoder."""
    run = runs(encoder)
    config, training = configure(preset, {"init": run})
    had = Model.load(run).modules["location"].config()  # type: ignore[operator]
    for name in ("encoder", "dim", "variant", "network", "hidden", "layers", "dropout", "activation"):
        assert getattr(config, name) == had[name]
    assert config == replace(configure(preset, {"encoder": encoder})[0], **of_run(config), init=run)
    if encoder == "sphereC+":
        assert (config.scales, config.r_min) == (32, 1e-3)
    elif encoder != "grid":
        assert (config.scales, config.r_min, config.r_max) == (None, None, None)
    if preset == "inat2018":
        assert training["learning_rate"] == published(encoder, preset).learning_rate


def of_run(config: Sphere2VecConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in OF_ENCODER}


def test_apple_s_gpu_is_not_trained_on(
    pictured: Dataset, labeled: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no float64, in which angles are. Oracle: the device that is left where there is no other GPU."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for dataset, loss in ((pictured, "csp"), (labeled, "regression")):
        built = sphere2vec.build(dataset, *configure("default", {"loss": loss}))
        assert built.training.device == "cpu"
        with pytest.raises(InputError, match="coordinates need float64, which this device does not support"):
            sphere2vec.build(dataset, *configure("default", {"loss": loss, "device": "mps"}))


def test_what_needs_labels_or_images_is_rejected(pictured: Dataset, labeled: Dataset) -> None:
    for given in ({"few_shot": 0.5}, {"seasons": 1}):
        with pytest.raises(UsageError, match="needs labels"):
            sphere2vec_csp.build(pictured, Sphere2VecConfig(loss="csp", **given), {})
    with pytest.raises(DatasetError, match="has no images"):
        sphere2vec_csp.build(labeled, Sphere2VecConfig(loss="csp"), {})
    for given, said in (
        ({"loss": "presence", "twin_weight": 1.0}, "--twin-weight has no effect with --loss presence"),
        ({"loss": "csp-mse", "temperature": 1.0}, "--temperature has no effect with --loss csp-mse"),
        ({"loss": "csp", "balance": 5}, "--balance has no effect with --loss csp"),
        ({"loss": "csp", "users": True}, "--users has no effect with --loss csp"),
    ):
        with pytest.raises(UsageError, match=said):
            configure("default", given)
    with pytest.raises(InputError, match="temperature"):
        sphere2vec_csp.build(pictured, Sphere2VecConfig(loss="csp", temperature=-1.0), {})


def test_images_without_labels_are_learned_from_by_default(pictured: Dataset) -> None:
    config, training = configure("default", {})
    built = sphere2vec.build(pictured, config, training)
    assert built.config.loss == "csp"
    assert isinstance(built.recipe.objectives["image"][1], LocationImage)


@pytest.mark.parametrize("preset", CSP_PRESETS)
def test_presets_can_be_built(preset: str, pictured: Dataset) -> None:
    """Oracle: what the appendix of the paper and the scripts say of temperatures and weights."""
    config, training = configure(preset, {})
    built = sphere2vec.build(pictured, config, training)
    image: Any = built.recipe.objectives["image"][1]
    assert image.temperature == (20.0 if "script" in preset else 1.0)
    assert not image.symmetric
    assert built.recipe.objectives["twin"][0] == (0.1 if "checkpoint" in preset else 1.0)
    assert (built.config.encoder, built.config.scales) == (known_as("gridcell"), 32)
    other, _ = configure(preset, {"encoder": "sphereC+"})
    assert (other.encoder, other.scales, other.r_min) == ("sphereC+", None, None)


def test_a_resumed_run_is_the_uninterrupted_one(pictured: Dataset, tmp_path: Path) -> None:
    """Oracle: the weights of a run in one go: one that was killed after its first pass."""
    options = {**SMALL, "epochs": 2, "steps_per_epoch": 3, "loss": "csp"}
    whole = api.train("sphere2vec", pictured, out=tmp_path / "whole", save_every=1, **options)
    again = api.train(
        "sphere2vec", pictured, out=tmp_path / "again", resume=tmp_path / "whole/checkpoints/epoch-001",
        save_every=1, **options,
    )  # fmt: skip
    first, second = (
        tmp_path / name / "checkpoints/epoch-002/model.safetensors" for name in ("whole", "again")
    )
    assert first.read_bytes() == second.read_bytes()
    assert whole.dim == again.dim
