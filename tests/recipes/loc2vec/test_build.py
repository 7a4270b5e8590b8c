"""The recipe Loc2Vec on a real map: presets as the founding documents have them, units, validation, the projector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from placevec import api, cli
from placevec.datasets.dataset import Dataset
from placevec.errors import InputError, PlacevecError, UsageError
from placevec.recipes import recipe
from placevec.recipes.loc2vec.build import build
from placevec.training.log import read_metrics
from placevec.training.objectives.mining import InBatchNegatives
from placevec.training.objectives.triplet import SoftPN, TripletLoss
from placevec.training.samplers import BoxSampler, NearFarSampler, TileSampler

configure = recipe("loc2vec").configure
SMALL: dict[str, Any] = {
    "epochs": 1, "steps_per_epoch": 2, "batch_size": 8, "validation_steps": 1, "size_px": 32, "size_m": 120.0,
    "near_m": 40.0, "far_m": 160.0,
}  # fmt: skip


def test_founding_twelve_layers_is_the_document(helsinki_dataset: Dataset) -> None:
    """Oracle: the hyper-parameters of founding document 004, read there."""
    config, training = configure("founding", {"near_tiles": 0.5, "far_tiles": 1.5})
    assert (config, training) == configure("founding-12", {"near_tiles": 0.5, "far_tiles": 1.5})
    assert configure("founding", {})[0].near_tiles == 2
    assert configure("founding", {})[0].far_tiles == 10
    built = build(helsinki_dataset, config, training)
    options, encoder = built.training, built.recipe.encoders["tile"]
    assert (options.epochs, options.learning_rate, options.weight_decay) == (50, 1e-3, 1e-5)
    assert (options.optimizer, options.schedule, options.clip_norm, options.warmup) == (
        "adam",
        "plateau",
        1.0,
        0.0,
    )
    assert options.save_every == 10
    assert options.steps_per_epoch == 10_000 // 16
    assert encoder.config() == {"channels": 12, "size_px": 256, "dim": 128, "dropout": 0.5}  # type: ignore[operator]
    weight, objective = built.recipe.objectives["triplet-swap"]
    assert isinstance(objective, TripletLoss)
    assert (weight, objective.margin, objective.swap, objective.reduction) == (1.0, 0.2, True, "active")
    assert isinstance(built.recipe.sampler, TileSampler)
    assert set(built.recipe.sampler.draw(0).looks["anchor"].warp) == set()


def test_founding_rgb_is_the_document(helsinki_dataset: Dataset) -> None:
    """Oracle: the hyper-parameters of founding document 001, read there."""
    config, training = configure("founding-rgb", {"far_degrees": 0.004})
    assert configure("founding-rgb", {})[0].far_degrees == 0.01
    built = build(helsinki_dataset, config, training)
    options, encoder = built.training, built.recipe.encoders["tile"]
    assert (options.epochs, options.learning_rate, options.weight_decay) == (50, 1e-3, 1e-5)
    assert (options.optimizer, options.schedule, options.clip_norm) == ("adam", "plateau", 0.0)
    assert encoder.config() == {"channels": 12, "size_px": 64, "dim": 64}  # type: ignore[operator]
    _, objective = built.recipe.objectives["triplet"]
    assert isinstance(objective, TripletLoss)
    assert (objective.margin, objective.swap, objective.reduction) == (0.3, False, "mean")
    sampler = built.recipe.sampler
    assert isinstance(sampler, BoxSampler)
    assert (sampler.batch_size, sampler.near_degrees) == (32, 0.001)
    assert set(sampler.draw(0).looks["positive"].warp) == {"flip"}


def test_the_unit_given_takes_the_place_of_the_presets() -> None:
    assert configure("founding", {"near_m": 300.0, "far_m": 900.0})[0].near_tiles is None
    assert configure("founding", {"near_degrees": 0.001, "far_degrees": 0.01})[0].near_tiles is None
    assert configure("founding-rgb", {"near_tiles": 1.0, "far_tiles": 3.0})[0].near_degrees is None
    assert configure("founding", {"near_tiles": 3.0})[0].far_tiles == 10
    for wrong in (
        {"near_tiles": 1.0, "far_m": 300.0}, {"near_tiles": 1.0}, {"near_tiles": 5.0, "far_tiles": 2.0},
        {"near_degrees": 0.0, "far_degrees": 1.0}, {"negatives": "hard"}, {"negatives": "soft"},
        {"positives": "moon"}, {"reduction": "sum"}, {"samples_per_epoch": 0},
    ):  # fmt: skip
        with pytest.raises(PlacevecError):
            configure("default", wrong)


def test_distances_in_other_units_are_known_in_meters(helsinki_dataset: Dataset) -> None:
    """Oracle: a tile of zoom 17 is 152 m in Helsinki, a degree 111 km; buffers and exclusion rest on these."""
    tiles = build(helsinki_dataset, configure("founding", {"near_tiles": 1.0, "far_tiles": 3.0})[0], {})
    assert tiles.config.near_m == pytest.approx(152 * 2**0.5, rel=0.01)
    assert tiles.config.far_m == pytest.approx(152 * 3, rel=0.01)
    degrees = build(helsinki_dataset, configure("founding-rgb", {"far_degrees": 0.004})[0], {})
    assert degrees.config.near_m == pytest.approx(157, rel=0.01)
    assert degrees.config.far_m == pytest.approx(445, rel=0.01)


@pytest.mark.parametrize("objective", ["triplet", "triplet-swap", "softpn"])
def test_negatives_of_the_batch(helsinki_dataset: Dataset, objective: str) -> None:
    config, training = configure("default", {**SMALL, "objective": objective, "negatives": "hard"})
    built = build(helsinki_dataset, config, training)
    _, found = built.recipe.objectives[objective]
    assert isinstance(found, InBatchNegatives)
    assert found.exclusion_m == 160.0
    assert isinstance(found.objective, SoftPN if objective == "softpn" else TripletLoss)
    assert isinstance(built.recipe.sampler, NearFarSampler)
    assert set(built.recipe.slots) == {"anchor", "positive"}


def test_shift_and_samples(helsinki_dataset: Dataset) -> None:
    config, training = configure("default", {**SMALL, "shift_m": 20.0, "flip": True})
    del training["steps_per_epoch"]
    built = build(helsinki_dataset, config, training)
    warp = built.recipe.sampler.draw(0).looks["positive"].warp
    assert set(warp) == {"angle", "shift", "keep", "flip"}
    assert 0 < float(warp["shift"].norm(dim=1).max()) <= 20.0
    more, training = configure("default", {**SMALL, "samples_per_epoch": 100})
    del training["steps_per_epoch"]
    assert build(helsinki_dataset, more, training).training.steps_per_epoch == 13


def test_a_dataset_to_validate_on(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """All places are trained on, the other's are measured, and that they overlap is said."""
    other = api.prepare(
        "loc2vec", osm_name="helsinki-center", out=tmp_path / "other", spacing=150, size_m=120
    )
    config, training = configure("default", SMALL)
    built = build(helsinki_dataset, config, training, other)
    assert built.places == len(helsinki_dataset)
    assert built.split.by == "other dataset"
    assert not len(built.split.rows("validation"))
    assert "validation places lie within" in " ".join(built.notes)
    assert built.recipe.validation is not None
    drawn = built.recipe.validation.draw(0).looks["anchor"]
    assert drawn.lonlat is not None
    assert np.allclose(drawn.lonlat.numpy(), other.lonlat[drawn.rows.numpy()])
    model = api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", validation=other, **SMALL)
    assert model.training["validation"] == other.name
    assert "validation/loss" in read_metrics(tmp_path / "run")[-1]
    with pytest.raises(PlacevecError, match="validation_hash"):
        api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", resume=True, **SMALL)
    small = api.prepare(
        "loc2vec", osm_name="helsinki-center", out=tmp_path / "small", bbox="24.94,60.166,24.945,60.169"
    )
    in_degrees = {name: value for name, value in SMALL.items() if name not in ("near_m", "far_m")}
    apart = {"near_degrees": 0.001, "far_degrees": 0.006, "objective": "triplet"}
    config, training = configure("default", {**in_degrees, **apart})
    with pytest.raises(
        InputError, match=rf"^cannot sample from the validation dataset {small.name}: the box"
    ):
        build(helsinki_dataset, config, training, small)


def test_what_tensorboard_shows(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Losses, distances, active share, rate, rank; and the projector with as many rows of each kind as asked for."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = {**SMALL, "objective": "triplet"}
    api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", projector=30, **options)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {
        "loss/train", "train/positive_distance", "train/negative_distance", "train/active_share", "learning_rate",
        "validation/loss", "validation/active_share", "validation/effective_rank", "batch_size",
    } <= set(events.Tags()["scalars"])  # fmt: skip
    folder = tmp_path / "run" / "tensorboard" / "projector"
    (vectors,) = folder.rglob("tensors.tsv")
    rows = vectors.read_text().splitlines()
    labels = (vectors.parent / "metadata.tsv").read_text().splitlines()
    assert (len(rows), len(labels)) == (30, 31)
    assert labels[0].split("\t") == ["place_id", "name", "lon", "lat"]
    assert all(len(line.split("\t")) == 4 for line in labels)
    assert (vectors.parent / "sprite.png").read_bytes()[:4] == b"\x89PNG"
    assert (folder / "projector_config.pbtxt").exists()
    place = labels[1].split("\t")[0]
    row = helsinki_dataset.places["place_id"].tolist().index(place)
    vector = api.load_model(tmp_path / "run").vectors(helsinki_dataset, np.array([row]))[0]
    assert np.allclose([float(number) for number in rows[0].split("\t")], vector, atol=1e-4)


def test_resume_alone_and_from_a_checkpoint(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """The command line, as a user types it; a checkpoint is a model too."""
    options = tmp_path / "options.toml"
    options.write_text(
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in SMALL.items() if name != "epochs")
    )
    train = [
        "train",
        "loc2vec",
        str(helsinki_dataset.path),
        "--config",
        str(options),
        "-q",
        "--projector",
        "0",
    ]
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    assert cli.main([*train, "--out", first, "--epochs", "2", "--save_every", "1"]) == 0
    assert cli.main([*train, "--out", first, "--epochs", "3", "--resume"]) == 0
    assert [row["step"] for row in read_metrics(Path(first))] == [2, 4, 6]
    checkpoint = f"{first}/checkpoints/epoch-001"
    assert cli.main([*train, "--resume-from", checkpoint, "--out", second, "--epochs", "2"]) == 0
    states = [Path(second, "state", "step-00000004"), Path(first, "checkpoints", "epoch-002")]
    contents = [(state / "tensors.safetensors").read_bytes() for state in states]
    assert contents[0] == contents[1]
    model = api.load_model(checkpoint)
    assert torch.isfinite(torch.from_numpy(model.vectors(helsinki_dataset, np.arange(3)))).all()
    assert (
        cli.main([*train, "--resume-from", str(tmp_path / "nothing"), "--out", str(tmp_path / "third")]) == 1
    )
    assert not (tmp_path / "third" / "state").exists()


def test_resume_and_force_are_not_both_meant(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", resume=True, force=True, **SMALL)


def test_presence_sets_layers_apart_where_nothing_is_contrasted(helsinki_dataset: Dataset) -> None:
    """That of the included model for vectors that predict, none for vectors that contrast; what is given stays."""

    def of_encoder(preset: str, **options: Any) -> float:
        config, training = configure(preset, options)
        tile: Any = build(helsinki_dataset, config, training).recipe.encoders["tile"]
        return float(tile.presence)

    assert (of_encoder("multitask"), of_encoder("default")) == (2.0, 0.0)
    assert (of_encoder("multitask", presence=0.0), of_encoder("default", presence=3.0)) == (0.0, 3.0)
    with pytest.raises(UsageError, match="--presence applies only to --encoder shape-tile-cnn"):
        configure("founding", {"presence": 4.0})
