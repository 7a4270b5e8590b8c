"""On which places a model is judged. Oracle: rows and figures recorded before runs kept their split, when evaluation drew
the recipe's split again from its seed (commit 4e66263); and what must be said where a model keeps none.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec import api
from placevec.api.evaluating import evaluate_model
from placevec.datasets.dataset import Dataset
from placevec.datasets.splits import FILE, RunSplit, Split, write_split
from placevec.errors import EvaluationError, ModelError
from placevec.evaluation.predictions.split import UNKNOWN_SPLIT, held_out
from placevec.models.model import Model
from tests.preparation.points.tables import globe, octant_points, octants, write_points

pytestmark = pytest.mark.usefixtures("small_probes")
QUICK: dict[str, Any] = {
    "epochs": 1, "scales": 4, "r_min": 0.1, "hidden": 8, "dim": 8, "batch_size": 64, "projector": 0,
    "steps_per_epoch": 1, "seed": 5,
}  # fmt: skip
COUNT = 1500
SPLIT = np.random.default_rng(3).choice(3, COUNT, p=[0.7, 0.1, 0.2])


def points(path: Path, split: np.ndarray | None = None) -> Dataset:
    """Places of eight classes, some without coordinates, without a label or without a date."""
    lonlat = globe(COUNT)
    values = octants(lonlat)
    values[::97] = -1
    dates = np.random.default_rng(1).random(COUNT)
    dates[5::101] = np.nan
    lonlat[3::211] = np.nan
    return write_points(path, lonlat, values, classes=tuple("abcdefgh"), dates=dates, split=split)


def digest(rows: np.ndarray) -> str:
    return hashlib.sha256(np.asarray(rows, np.int64).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("split", "options", "name", "rows", "figures"),
    [
        (None, {}, "held-out blocks",
         [(148, "8bd7bdabb39a3caa"), (1328, "3426732e4124895b"), (0, "e3b0c44298fc1c14")],
         {"class frequency": 0.356901544}),
        (None, {"few_shot": 0.3, "seasons": 1, "loss": "cross-entropy"}, "held-out blocks",
         [(148, "b6f796a510ec3533"), (394, "3d9e20130a63a6f1"), (0, "e3b0c44298fc1c14")],
         {"class frequency": 0.323970399}),
        (None, {"block_m": 2e6, "validation_share": 0.3}, "held-out blocks",
         [(451, "a944f8d8e36c9714"), (1025, "dda714b8af6ba232"), (0, "e3b0c44298fc1c14")],
         {"class frequency": 0.27114613}),
        (SPLIT, {}, "test",
         [(299, "3a925b6d967b95af"), (1032, "26ccc4926a48cb1f"), (145, "88b4eeb8e37f2a93")],
         {"class frequency": 0.353324574}),
        (SPLIT, {"few_shot": 0.2}, "test",
         [(299, "3a925b6d967b95af"), (206, "cd4185f18adf0973"), (145, "88b4eeb8e37f2a93")],
         {"class frequency": 0.352586001}),
        (np.where(SPLIT == 1, 0, SPLIT), {}, "test",
         [(299, "3a925b6d967b95af"), (1059, "88f9ffe4d9415a99"), (118, "65009e3e03ba2547")],
         {"class frequency": 0.352376971}),
    ],
)  # fmt: skip
def test_the_run_says_what_its_seed_said(
    split: np.ndarray | None, options: dict[str, Any], name: str, rows: Any, figures: Any, tmp_path: Path
) -> None:
    dataset = points(tmp_path / "ds", split)
    model = api.train("sphere2vec", dataset, out=tmp_path / "run", **QUICK, **options)
    split_found = held_out(model, dataset, dataset.labels())
    assert split_found.name == name
    found = [
        (len(some), digest(some)) for some in (split_found.test, split_found.train, split_found.validation)
    ]
    assert found == rows
    report = evaluate_model(model)
    for row, value in figures.items():
        assert report.results[0].row(row).scores["MRR"].value == pytest.approx(value, abs=1e-8)


def test_numbers_too(tmp_path: Path) -> None:
    lonlat = globe(1200)
    dataset = write_points(tmp_path / "ds", lonlat, 20 - 0.5 * np.abs(lonlat[:, 1]))
    api.train("sphere2vec", dataset, out=tmp_path / "run", **QUICK)
    report = evaluate_model(tmp_path / "run")
    about = report.about
    assert (about["split"], about["places"], about["trained"], report.results[0].blocks) == (
        "held-out blocks",
        120,
        1080,
        87,
    )
    assert report.results[0].row("mean").scores["MAE"].value == pytest.approx(9.80737393, abs=1e-8)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return octant_points(tmp_path_factory.mktemp("ground") / "data", 400, split=SPLIT[:400])


@pytest.fixture
def model(ground: Dataset, tmp_path: Path) -> Model:
    return api.train("sphere2vec", ground, out=tmp_path / "run", **QUICK)


def test_a_model_without_a_split_is_unknown(ground: Dataset, model: Model, tmp_path: Path) -> None:
    """As of a run of before, and of models that others trained: it may have seen any place, which is said."""
    (tmp_path / "run" / FILE).unlink()
    known = ground.labels()
    split_found = held_out(model, ground, known)
    assert (split_found.name, split_found.notes) == ("test", [UNKNOWN_SPLIT])
    np.testing.assert_array_equal(split_found.test, known.rows("test"))
    bare = octant_points(tmp_path / "bare", 400)
    split_found = held_out(model, bare, bare.labels())
    assert (split_found.name, len(split_found.test), split_found.notes[0]) == ("all", 400, UNKNOWN_SPLIT)
    assert UNKNOWN_SPLIT in evaluate_model(model, dataset=bare).results[0].notes


def test_places_trained_on_are_known_in_another_dataset_of_the_same_places(
    ground: Dataset, model: Model, tmp_path: Path
) -> None:
    """The same points with another split of their own: those that the run learned from are never judged."""
    other = octant_points(tmp_path / "other", 400, split=np.roll(SPLIT[:400], 7))
    split_found = held_out(model, other, other.labels())
    np.testing.assert_array_equal(split_found.test, ground.labels().rows("test"))
    assert any("the split of its run is used" in note for note in split_found.notes)


def test_a_model_trained_on_all_places_has_nothing_to_be_evaluated_on(tmp_path: Path) -> None:
    dataset = octant_points(tmp_path / "ds", 100)
    model = api.train("sphere2vec", dataset, out=tmp_path / "run", validation_share=0.0, **QUICK)
    with pytest.raises(EvaluationError, match="trained on all of these places"):
        held_out(model, dataset, dataset.labels())


def test_a_damaged_split_is_one_line(ground: Dataset, model: Model, tmp_path: Path) -> None:
    path = tmp_path / "run" / FILE
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelError, match=r"split\.parquet is damaged"):
        evaluate_model(model)
    split = Split.of(400, train=np.arange(400))
    made = RunSplit.of_datasets([ground], split)
    (part,) = made.parts
    renamed = RunSplit(
        (type(part)(part.name, part.hash, part.places, part.place_id.slice(0, 399), split.part(0, 399)),)
    )
    write_split(tmp_path / "run", renamed)
    with pytest.raises(ModelError, match="its places are not those of"):
        evaluate_model(model)
