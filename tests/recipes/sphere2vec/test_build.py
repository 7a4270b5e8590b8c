"""The recipe Sphere2Vec, trained small. Oracles: a resumed run equals the uninterrupted one bit by bit; a rule of the
Earth (which octant, the latitude) is learned; what makes no sense is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from placevec import api
from placevec.cli import main
from placevec.encoders.locations.names import names
from placevec.errors import DatasetError, InputError, ModelError, PlacevecError, UsageError
from placevec.models.model import Model
from placevec.recipes import recipe
from placevec.recipes.sphere2vec.build import build
from placevec.recipes.sphere2vec.presets import ENCODERS
from placevec.training.log import read_metrics
from tests.preparation.points.tables import globe, octant_points, octants, write_points

configure = recipe("sphere2vec").configure
SMALL: dict[str, Any] = {
    "epochs": 3, "scales": 4, "r_min": 0.1, "hidden": 32, "dim": 16, "batch_size": 128, "learning_rate": 0.01,
    "projector": 0, "steps_per_epoch": 10, "seed": 5,
}  # fmt: skip
CLASS_LOSSES = ("presence", "an_full", "an_slds", "an_ssdl", "cross-entropy")


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory):
    """1,500 points of eight classes, with users and dates."""
    lonlat = globe(1500)
    random = np.random.default_rng(1)
    return write_points(
        tmp_path_factory.mktemp("classes"), lonlat, octants(lonlat), classes=tuple("abcdefgh"),
        users=random.integers(-1, 5, 1500), dates=random.random(1500),
    )  # fmt: skip


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory):
    """1,500 points with a number that follows the latitude."""
    lonlat = globe(1500)
    return write_points(tmp_path_factory.mktemp("numbers"), lonlat, 20.0 - 0.5 * np.abs(lonlat[:, 1]))


def weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "model.safetensors")


@pytest.mark.parametrize("loss", CLASS_LOSSES)
def test_each_loss_learns_the_octants(loss: str, classes, tmp_path) -> None:
    """Chance is 1 in 8, and the most frequent class about as much."""
    model = api.train("sphere2vec", classes, out=tmp_path / "run", loss=loss, **{**SMALL, "epochs": 12})
    assert model.head is not None
    assert model.head.classes == tuple("abcdefgh")
    lonlat = globe(400, seed=9)
    right = model.predict_lonlat(lonlat).argmax(axis=1) == octants(lonlat)
    assert right.mean() > 0.45
    last = read_metrics(tmp_path / "run")[-1]
    assert 0 < last["validation/top1"] <= last["validation/mrr"] <= 1


def test_numbers_are_learned_in_their_unit(numbers, tmp_path) -> None:
    model = api.train("sphere2vec", numbers, out=tmp_path / "run", **{**SMALL, "epochs": 15})
    lonlat = globe(400, seed=9)
    wanted = 20.0 - 0.5 * np.abs(lonlat[:, 1])
    errors = model.predict_lonlat(lonlat)[:, 0] - wanted
    assert 1 - errors.var() / wanted.var() > 0.8
    assert model.head is not None
    assert model.training["label"] == numbers.manifest["labels"]["column"]  # what predict calls the answers
    trained = numbers.labels().values[model.training["places"] > 0 and slice(None)]
    assert model.head.mean == pytest.approx(trained.mean(), abs=1.0)
    assert read_metrics(tmp_path / "run")[-1]["validation/r2"] > 0.7


@pytest.mark.parametrize("encoder", names())
def test_each_encoder_trains(encoder: str, classes, tmp_path) -> None:
    own = (
        {"scales", "r_min"}
        if encoder in ("xyz", "wrap", "wrap+ffn", "rbf", "rff", "harmonics", "cells")
        else set()
    )
    own |= {"r_min"} if encoder == "NeRF" else set()
    options = {name: value for name, value in SMALL.items() if name not in own}
    if encoder == "cells":
        options |= {"cells": 64, "cell_width": 8}
    model = api.train(
        "sphere2vec", classes, out=tmp_path / "run", encoder=encoder, **{**options, "epochs": 2}
    )
    losses = [row["loss/train"] for row in read_metrics(tmp_path / "run")]
    assert losses[-1] < losses[0]
    assert model.predict_lonlat([[0.0, 0.0]]).shape == (1, 8)


def test_a_resumed_run_is_the_uninterrupted_one(classes, tmp_path) -> None:
    # without a warm-up, which is a share of all passes, a shorter run is the beginning of a longer one
    options = {**SMALL, "users": True, "seasons": 1, "balance": 60, "schedule": "constant", "warmup": 0.0}
    api.train("sphere2vec", classes, out=tmp_path / "whole", **{**options, "epochs": 4})
    api.train("sphere2vec", classes, out=tmp_path / "parts", **{**options, "epochs": 2})
    api.train("sphere2vec", classes, out=tmp_path / "parts", resume=True, **{**options, "epochs": 4})
    again = tmp_path / "again"
    api.train("sphere2vec", classes, out=again, **{**options, "epochs": 4})
    for other in ("parts", "again"):
        for name, value in weights(tmp_path / "whole").items():
            np.testing.assert_array_equal(value, weights(tmp_path / other)[name], err_msg=f"{other} {name}")
    with pytest.raises(PlacevecError, match="background"):
        api.train(
            "sphere2vec", classes, out=again, resume=True, background="octant", **{**options, "epochs": 5}
        )


def test_anchors_of_rbf_are_training_points_and_lie_in_the_model(classes, tmp_path) -> None:
    model = api.train(
        "sphere2vec", classes, out=tmp_path / "run", encoder="rbf", variant="original", anchors=20,
        epochs=1, projector=0, batch_size=128,
    )  # fmt: skip
    anchors = weights(tmp_path / "run")["location.positional.anchors"]
    assert anchors.shape == (20, 2)
    assert {tuple(one) for one in anchors} <= {tuple(one) for one in classes.lonlat}
    assert model.recipe["config"]["anchors"] == 20


@pytest.mark.parametrize(
    ("points", "options", "dim"),
    [
        (1500, {"encoder": "rbf", "anchors": 500}, 500),
        (1500, {"encoder": "rbf"}, 200),
        (60, {"encoder": "rbf"}, 60),  # no more anchors than training points
        (60, {"encoder": "sphereC", "scales": 4, "r_min": 0.1, "seasons": 1}, 3 * 4 + 2),
        (60, {"encoder": "cells", "cells": 64, "cell_width": 8}, 8),
    ],
)
def test_without_a_network_the_head_reads_the_features(points: int, options, dim: int, tmp_path) -> None:
    """Oracle: how many features each encoder has, by its formula; and the model is trained, loaded and asked."""
    lonlat = globe(points)
    dataset = write_points(
        tmp_path / "ds", lonlat, octants(lonlat), classes=tuple("abcdefgh"), dates=np.full(points, 0.5)
    )
    model = api.train(
        "sphere2vec", dataset, out=tmp_path / "run", network="none", epochs=1, projector=0, steps_per_epoch=2,
        validation_share=0.0, **options,
    )  # fmt: skip
    assert model.head is not None
    assert (model.head.dim, model.dim) == (dim, dim)
    year = np.full(points, 0.5) if "seasons" in options else None
    assert model.predict_lonlat(lonlat, year).shape == (points, 8)


def test_the_dataset_s_split_is_kept_and_test_rows_are_never_seen(tmp_path) -> None:
    split = np.repeat([0, 1, 2], 200)
    dataset = octant_points(tmp_path / "ds", 600, split=split)
    config, training = configure("default", {"batch_size": 50})
    built = build(dataset, config, training)
    assert built.places == 200
    trained = {int(row) for step in range(4) for row in built.recipe.sampler.draw(step).looks["point"].rows}
    assert trained == set(range(200))
    assert built.recipe.validation is not None
    assert {int(row) for row in built.recipe.validation.draw(0).looks["point"].rows} == set(range(200, 400))


def test_blocks_are_held_out_where_there_is_no_split(classes) -> None:
    config, training = configure("default", {"few_shot": 0.1})
    built = build(classes, config, training)
    assert built.recipe.validation is not None
    held = built.recipe.validation.draw(0).looks["point"].rows.numpy()
    trained = built.recipe.sampler.draw(0).looks["point"].rows.numpy()
    assert not set(held) & set(trained)
    assert 0.05 < len(held) / 1500 < 0.2
    assert built.places == pytest.approx(0.1 * (1500 - len(held)), abs=8)


def test_rows_that_lack_something_are_left_out_and_reported(tmp_path) -> None:
    lonlat = globe(300)
    values = octants(lonlat)
    values[:7] = -1
    lonlat[7:10] = np.nan
    dates = np.linspace(0, 1, 300)
    dates[10:14] = np.nan
    dataset = write_points(tmp_path / "ds", lonlat, values, classes=tuple("abcdefgh"), dates=dates)
    config, training = configure("default", {"seasons": 1, "validation_share": 0.0})
    built = build(dataset, config, training)
    assert built.places == 286
    told = " ".join(built.notes)
    assert "3 places without coordinates" in told
    assert "7 places without a label" in told
    assert "4 places without a date" in told


def test_one_class_is_reported_from_background(tmp_path) -> None:
    """Presence of one species: top-1 would always be 1, so that AUC is watched."""
    lonlat = globe(2000)
    lonlat = lonlat[(lonlat[:, 0] > 0) & (lonlat[:, 1] > 0)][:300]
    dataset = write_points(tmp_path / "ds", lonlat, np.zeros(len(lonlat), int), classes=("bear",))
    model = api.train("sphere2vec", dataset, out=tmp_path / "run", **{**SMALL, "epochs": 12})
    last = read_metrics(tmp_path / "run")[-1]
    assert last["validation/auc"] > 0.7
    assert "validation/top1" not in last
    here, away = model.predict_lonlat([[90.0, 45.0], [-90.0, -45.0]])[:, 0]
    assert here > away
    for loss in ("cross-entropy", "an_slds"):
        with pytest.raises(UsageError, match="two classes"):
            api.train("sphere2vec", dataset, out=tmp_path / "other", loss=loss, projector=0)


def test_a_preset_is_what_was_found_best(classes, tmp_path) -> None:
    config, training = configure("inat2018", {"encoder": "gridcell", "variant": "original"})
    assert (config.encoder, config.scales, config.r_min, config.r_max) == ("grid", 32, 1e-4, 360.0)
    assert (config.batch_size, config.hidden, config.activation) == (4096, 512, "leakyrelu")
    assert (training["optimizer"], training["schedule"], training["learning_rate"]) == ("adam", "decay", 0.01)
    api.train(
        "sphere2vec", classes, out=tmp_path / "run", preset="yfcc", epochs=1, scales=4, projector=0, hidden=16
    )
    other, _ = configure("fmow", {"loss": "cross-entropy"})
    assert (other.loss, other.balance) == ("cross-entropy", 100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoder": "spherec++"}, "did you mean sphereC"),
        ({"encoder": "xyz", "scales": 4}, "xyz has no option 'scales'"),
        ({"anchors": 5}, "has no option 'anchors'"),
        ({"loss": "hinge"}, "choose from auto, presence"),
        ({"loss": "cross-entropy", "background": "octant"}, "--background has no effect with --loss cross-entropy"),
        ({"loss": "an_slds", "background": "land"}, "--background has no effect"),
        ({"loss": "presence", "label_smoothing": 0.1}, "--label-smoothing has no effect"),
        ({"loss": "an_ssdl", "positive_weight": 3.0}, "--positive-weight has no effect"),
        ({"loss": "an_full", "users": True}, "--users has no effect"),
        ({"loss": "regression"}, "does not fit labels that are classes"),
        ({"land": "x.geojson"}, "--background land --land FILE"),
        ({"background": "moon"}, "choose from sphere, octant, land, target-group"),
        ({"few_shot": 0.0}, "--few-shot must be a number of more than 0 and at most 1"),
        ({"balance": 0}, "--balance must be an integer of at least 1"),
        ({"batch_size": 1}, "--batch-size must be an integer of at least 2"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"scales": "many"}, "scales must be an integer"),
        ({"device": "mps"}, "float64|not available"),
        ({"margin": 0.2}, "--margin is an option of train loc2vec, not of train sphere2vec"),
        ({"preset": "inat2099"}, "Choose from default, birdsnap"),
        ({"encoder": "harmonics", "preset": "fmow"}, "there is no preset for harmonics"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_rejected_in_a_line(options, said, classes, tmp_path) -> None:
    with pytest.raises(PlacevecError, match=said):
        api.train("sphere2vec", classes, out=tmp_path / "run", projector=0, **options)
    assert not (tmp_path / "run").exists()


def test_what_the_data_cannot_give_is_rejected(numbers, tmp_path) -> None:
    plain = octant_points(tmp_path / "plain", 50)
    constant = write_points(tmp_path / "constant", globe(50), np.full(50, 7.0))
    nothing = write_points(tmp_path / "nothing", globe(50), np.full(50, -1), classes=("a",))
    tested = octant_points(tmp_path / "tested", 50, split=np.full(50, 2))
    for dataset, options, error, said in (
        (plain, {"users": True}, InputError, "no users"),
        (plain, {"seasons": 1}, InputError, "no dates"),
        (numbers, {"loss": "presence"}, UsageError, "labels that are numbers"),
        (numbers, {"balance": 5}, UsageError, "--balance has no effect with --loss regression"),
        (constant, {}, InputError, "all training labels are 7"),
        (nothing, {}, DatasetError, "no place of"),
        (tested, {}, DatasetError, "no training place"),
        ([plain, numbers], {}, PlacevecError, "one dataset|view"),
    ):
        with pytest.raises(error, match=said):
            api.train("sphere2vec", dataset, out=tmp_path / "run", projector=0, **options)  # type: ignore[arg-type]


def test_seasons_are_learned_and_places_are_embedded_at_their_date(tmp_path) -> None:
    """The vector of a place is that of its coordinates at its date; without a date, at the middle of the year."""
    lonlat = globe(60)
    dates = np.linspace(0, 1, 60)
    dates[7] = np.nan
    ds = write_points(tmp_path / "ds", lonlat, octants(lonlat), classes=tuple("abcdefgh"), dates=dates)
    model = api.train("sphere2vec", ds, out=tmp_path / "run", epochs=1, seasons=1, hidden=16, dim=8)
    dates[7] = 0.5
    np.testing.assert_allclose(model.vectors(ds), model.embed_lonlat(lonlat, dates), atol=1e-6)
    undated = write_points(tmp_path / "undated", lonlat, octants(lonlat), classes=tuple("abcdefgh"))
    with pytest.raises(ModelError, match="prepare it with --date"):
        model.vectors(undated)


def test_several_encoders_are_trained_alike_and_compared(classes, tmp_path) -> None:
    """Options of the features reach those that have them; --resume keeps what is finished."""
    options = {**SMALL, "epochs": 2, "frequencies": 8}
    found = api.train_encoders(
        "sphere2vec", classes, out=tmp_path, encoders=["gridcell", "xyz", "rff"], **options
    )
    assert [one.encoder for one in found] == ["grid", "xyz", "rff"]
    assert [one.run for one in found] == [tmp_path / name for name in ("grid", "xyz", "rff")]
    assert all(one.epochs == 2 and 0 < one.validation["top1"] <= 1 for one in found)
    assert Model.load(tmp_path / "rff").recipe["config"]["frequencies"] == 8
    assert Model.load(tmp_path / "grid").recipe["config"]["scales"] == 4
    again = api.train_encoders("sphere2vec", classes, out=tmp_path, encoders=["grid"], resume=True, **options)
    assert again[0].validation == found[0].validation
    with pytest.raises(UsageError, match="loc2vec has no encoders to compare"):
        api.train_encoders("loc2vec", classes, out=tmp_path / "other")


def test_the_command_trains_all(tmp_path, capsys) -> None:
    dataset = octant_points(tmp_path / "ds", 200)
    told = [
        "train", "sphere2vec", str(dataset.path), "--out", str(tmp_path / "runs"), "--encoder", "all", "--epochs", "1",
        "--variant", "original", "--dim", "8", "--scales", "4", "--hidden", "8", "--projector", "0", "--anchors", "9",
        "--loss", "cross-entropy", "-q",
    ]  # fmt: skip
    assert main(told) == 0
    printed = capsys.readouterr().out
    assert {path.name for path in (tmp_path / "runs").iterdir()} == set(ENCODERS)
    assert all(name in printed for name in (*ENCODERS, "top1", "mrr"))
    assert main([*told, "--background", "octant", "--force"]) == 2
    assert "--background has no effect with --loss cross-entropy" in capsys.readouterr().err


def test_a_validation_of_a_few_places_is_made_and_reported(tmp_path) -> None:
    """One place validates in a batch of one, which is no --batch-size; places that only repeat training are no few."""
    config, training = configure("default", {"device": "cpu"})
    split = np.array([0, 0, 0, 0, 0, 1, 2, 2])
    few = build(octant_points(tmp_path / "few", 8, split=split), config, training)
    assert few.recipe.validation.batch_size == 1
    assert any("only 1 of 6 places is in the validation set" in note for note in few.notes)
    one_spot = write_points(
        tmp_path / "spot", np.full((4, 2), 24.0), np.array([0, 1, 0, 1]), classes=("a", "b")
    )
    repeated = build(one_spot, config, training)
    assert not repeated.split.held_out
    assert not any("mostly chance" in note for note in repeated.notes)
