"""Scales that follow the points, and options chosen on validation. Oracles: grids of known spacing, and a loss with a
known minimum.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placevec import api
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.encoders.locations.names import names
from placevec.encoders.locations.spacing import WAVES_PER_SPACING, spacing_of, suited
from placevec.errors import InputError, UsageError
from placevec.geo import Floats
from placevec.io.progress import Silent
from placevec.recipes.sphere2vec import tuning
from placevec.recipes.sphere2vec.config import Sphere2VecConfig
from tests.preparation.points.tables import globe, octant_points, write_points


def grid(step: float, side: int = 20) -> Floats:
    """Points near the equator, ``step`` degrees apart."""
    return np.array([[step * i, step * j] for i in range(side) for j in range(side)], float)


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.mark.parametrize("step", [0.01, 0.1, 1.0])
def test_spacing_and_extent_of_a_grid(step: float) -> None:
    found = spacing_of(grid(step))
    assert found is not None
    assert found.spacing_km == pytest.approx(111.2 * step, rel=0.02)
    assert found.extent_km == pytest.approx(111.2 * step * 19 * 2**0.5, rel=0.05)
    options = suited("sphereC+", "corrected", grid(step))
    assert options["r_min"] * 40_030 == pytest.approx(WAVES_PER_SPACING * found.spacing_km, rel=0.06)


@pytest.mark.parametrize("encoder", names())
def test_every_encoder_can_be_built_with_what_suits_the_points(encoder: str) -> None:
    for points in (grid(0.01), grid(1.0, 3), globe(50), np.array([[10.0, 50.0], [10.0, 50.1]])):
        options = suited(encoder, "corrected", points)
        LocationEncoder(encoder, dim=4, hidden=4, options=options)
    assert suited(encoder, "corrected", np.array([[10.0, 50.0]])) == {}
    assert suited(encoder, "original", grid(1.0)) == {} if encoder not in ("harmonics", "cells") else True


def test_a_run_says_its_scales_and_keeps_them_and_given_ones_stay(tmp_path: Path) -> None:
    notes = Notes()
    dataset = octant_points(tmp_path / "ds", 300)
    options = {"epochs": 1, "steps_per_epoch": 2, "hidden": 16, "dim": 8, "projector": 0}
    model = api.train("sphere2vec", dataset, out=tmp_path / "run", progress=notes, **options)
    assert any("scales follow the" in line and "--r-min" in line for line in notes.said)
    config = model.recipe["config"]
    assert config["r_min"] > 0.01
    assert config["scales"] == len(model.modules["location"].positional.frequencies)
    given = api.train("sphere2vec", dataset, out=tmp_path / "given", r_min=0.1, scales=4, **options)
    assert (given.recipe["config"]["r_min"], given.recipe["config"]["r_max"]) == (0.1, None)


def test_the_search_finds_the_least_loss_and_keeps_to_its_time() -> None:
    """Losses with a minimum at half the finest scale and half the scales; the clock is the number of trials."""
    start = Sphere2VecConfig(r_min=0.01, r_max=1.0, scales=16, dropout=0.1, layers=1, hidden=512)

    def loss_of(config: Sphere2VecConfig) -> float:
        assert config.r_min is not None
        assert config.scales is not None
        return abs(np.log(config.r_min / 0.005)) + abs(np.log(config.scales / 8))

    best, trials = tuning.search(start, ("r_min", "scales", "dropout"), loss_of, 60.0)
    assert (best.r_min, best.scales, best.dropout) == (0.005, 8, 0.1)
    assert trials[0].changed == {}
    said = tuning.said(trials, {"r_min": best.r_min}, 60.0)
    assert "validation loss 1.386 -> 0" in said
    assert "--r-min 0.005" in said
    alone, few = tuning.search(start, ("r_min", "scales"), loss_of, 0.0)
    assert (alone, len(few)) == (start, 1)


def test_a_tuned_run_is_resumed_without_a_search(tmp_path: Path) -> None:
    lonlat = globe(600)
    dataset = write_points(tmp_path / "ds", lonlat, np.abs(lonlat[:, 1]))
    options = {
        "tune": "1s", "steps_per_epoch": 2, "hidden": 16, "layers": 1, "dim": 8, "projector": 0, "schedule": "constant",
        "warmup": 0.0,
    }  # fmt: skip
    notes = Notes()
    api.train("sphere2vec", dataset, out=tmp_path / "run", epochs=1, progress=notes, **options)
    assert any(line.startswith("Note: --tune: ") for line in notes.said)
    again = Notes()
    model = api.train(
        "sphere2vec", dataset, out=tmp_path / "run", epochs=2, resume=True, progress=again, **options
    )
    assert not any("--tune: " in line for line in again.said)
    assert model.recipe["config"]["tune"] == "1s"
    assert model.recipe["config"]["dropout"] is not None


def test_what_cannot_be_tuned(tmp_path: Path) -> None:
    dataset = octant_points(tmp_path / "ds", 60)
    with pytest.raises(InputError, match="with fewer than 30 the best setting is a matter of chance"):
        api.train("sphere2vec", dataset, out=tmp_path / "run", tune="5s")
    with pytest.raises(UsageError, match="--tune must be a time"):
        api.train("sphere2vec", dataset, out=tmp_path / "run", tune="soon")
    assert not (tmp_path / "run").exists()


def test_a_run_that_learned_nothing_says_so_and_its_bands_are_measured(tmp_path: Path) -> None:
    """One step of a tiny rate: a linear layer on the untrained encoder knows more of the latitude."""
    lonlat = globe(700)
    dataset = write_points(
        tmp_path / "ds", lonlat, np.abs(lonlat[:, 1]), split=np.repeat([0, 0, 0, 0, 0, 1, 2], 100)
    )
    notes = Notes()
    model = api.train(
        "sphere2vec", dataset, out=tmp_path / "run", epochs=1, steps_per_epoch=1, learning_rate=1e-7, hidden=32, dim=16,
        projector=0, progress=notes,
    )  # fmt: skip
    assert any(
        "worse than a linear layer on the same encoder without training: R²" in line for line in notes.said
    )
    report = api.evaluate_model(model, baselines=False)
    measured = report.about["reliability"]
    assert 0.75 < measured["coverage"] <= 1.0
    assert measured["coverage_low"] <= measured["coverage"] <= measured["coverage_high"]
    assert set(measured["risk"]) == {"1", "0.9", "0.8", "0.5"}
    assert any(line.startswith("90% bands cover") for line in report.results[0].notes)
