"""The dataset that a model was trained on, where every verb that falls back to it finds it changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from placevec import api
from placevec.api.evaluating import evaluate_model
from placevec.api.inputs import training_dataset
from placevec.api.plotting import picture_latitude
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError
from placevec.explorer.pages import prediction_page as distribution_page
from placevec.io.progress import Advance, no_advance
from placevec.models.model import Model
from tests.preparation.points.tables import octant_points

QUICK = {
    "epochs": 1, "scales": 4, "r_min": 0.1, "hidden": 16, "dim": 8, "batch_size": 128, "projector": 0,
    "steps_per_epoch": 4, "loss": "cross-entropy",
}  # fmt: skip


class _Said:
    """Keeps the lines for people."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        yield no_advance

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return octant_points(tmp_path_factory.mktemp("ground") / "data", 600)


@pytest.fixture(scope="module")
def run(ground: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    api.train("sphere2vec", ground, out=path, **QUICK)
    return path


def moved(run: Path, to: Path) -> Model:
    """The model, which says that its dataset lies at ``to``."""
    model = Model.load(run)
    model.training["dataset_path"] = str(to)
    return model


def test_the_same_dataset_serves(
    ground: Dataset, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: its own places; a copy elsewhere is the same dataset."""
    shutil.copytree(ground.path, tmp_path / "copy")
    model = moved(run, tmp_path / "copy")
    assert training_dataset(model, "").path == tmp_path / "copy"
    said = _Said()
    picture_latitude([model], tmp_path / "l.png", progress=said)
    assert any("selected the best epoch" in line for line in said.lines)
    drawn: dict[str, list[np.ndarray]] = {}
    monkeypatch.setattr(
        distribution_page, "write_distribution_page", lambda *_, points, **__: drawn.update(points=points)
    )
    api.predict(model, tmp_path / "p.html", classes=["octant 3"], show_points=True)
    labels = ground.labels()
    trained = (pd.read_parquet(run / "split.parquet")["split"] == "train").to_numpy()
    assert 0 < (~trained).sum() < 200
    np.testing.assert_array_equal(drawn["points"][0], ground.lonlat[(labels.values == 3) & trained])


@pytest.mark.parametrize("change", ["prepared again", "gone", "never recorded"])
def test_another_dataset_is_never_taken_for_it(run: Path, tmp_path: Path, change: str) -> None:
    """Judged as another dataset's, its places would be those trained on; drawn, they would not be those trained on."""
    if change == "prepared again":
        octant_points(tmp_path / "data", 601)
    model = moved(run, tmp_path / "data")
    if change == "never recorded":
        octant_points(tmp_path / "data", 600)
        del model.training["dataset_hash"]
    words = (
        "is not at its recorded path"
        if change == "gone"
        else "is not the dataset that .* or has changed since"
    )
    with pytest.raises(DatasetError, match=f"{words}.*give one with --dataset"):
        evaluate_model(model)
    with pytest.raises(DatasetError, match=f"{words}.*give one with --dataset"):
        picture_latitude([model], tmp_path / "l.png")
    for name in ("p.png", "p.html"):
        with pytest.raises(DatasetError, match=f"{words}.*give a table of points instead"):
            api.predict(model, tmp_path / name, classes=["octant 3"], show_points=True)
        assert not (tmp_path / name).exists()
    assert not (tmp_path / "l.png").exists()


def test_what_a_reader_should_know_of_a_dataset_that_is_named(run: Path, tmp_path: Path) -> None:
    """A dataset without a split is judged on whole: those places may have been trained on, which is said."""
    other = octant_points(tmp_path / "other", 601)
    said = _Said()
    picture_latitude([run], tmp_path / "l.png", dataset=other, progress=said)
    assert said.lines == [
        "Note: run: the dataset has no split: all its places are tested, and no baseline can be trained"
    ]
