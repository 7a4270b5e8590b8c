"""The model that comes with placevec: what it is, what it costs, what it may be asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from placevec import api
from placevec.evaluation.vectors import trained_on
from placevec.geo import distance_m
from placevec.models.files import SHIPPED
from placevec.models.model import Model

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from tests.robustness.commands import Nursery

BASE = SHIPPED / "base"


def test_it_is_small_and_its_card_shows_all() -> None:
    size = sum(path.stat().st_size for path in BASE.iterdir())
    assert sorted(path.name for path in BASE.iterdir()) == [
        "MODEL_CARD.md",
        "config.json",
        "model.safetensors",
    ]
    assert size < 10_000_000
    model, card = Model.load("base"), (BASE / "MODEL_CARD.md").read_text("utf-8")
    assert model.hash in card
    for said in ("Apache-2.0", "ODbL", "OpenStreetMap contributors", "landuse", "malta", "andorra"):
        assert said in card
    assert not model.training.get("dataset_path")
    assert "/" not in str(model.training["dataset"])


def test_it_has_not_seen_helsinki(helsinki_dataset: Dataset) -> None:
    """So that the demo shows it on ground that it does not know."""
    assert not trained_on(Model.load("base"), helsinki_dataset.lonlat).any()


def test_it_embeds_without_training(nursery: Nursery, helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Through the command line, as a user does it; near places are more alike than far ones."""
    out = tmp_path / "vectors.parquet"
    done = nursery.run("embed", "--model", "base", helsinki_dataset.path, "-o", out, "--json")
    assert done.code == 0, done.err
    table = api.load_embeddings(out)
    assert table.provenance.model_hash == Model.load("base").hash
    assert table.provenance.license == "ODbL-1.0"
    assert table.vectors.shape == (len(helsinki_dataset), 128)
    assert np.isfinite(table.vectors).all()
    alike = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
    away = distance_m(
        *table.lonlat[:-1].T, *table.lonlat[1:].T
    )  # of places that follow one another in the grid
    following = (alike[:-1] * alike[1:]).sum(axis=1)[away < 70]
    random = np.random.default_rng(0).permutation(len(alike))
    assert len(following) > 100
    assert following.mean() > (alike * alike[random]).sum(axis=1).mean() + 0.2


def test_a_directory_of_ones_own_comes_first(
    helsinki_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Model.load(helsinki_run).save(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    assert Model.load("base").hash == Model.load(helsinki_run).hash


def test_wrong_numbers_of_directories_are_one_line(
    nursery: Nursery, helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    done = nursery.run("embed", helsinki_dataset.path, "-o", tmp_path / "e.parquet")
    assert done.code == 2
    assert "embed --model base DATASET" in done.err
    assert len(done.err.strip().splitlines()) == 1
