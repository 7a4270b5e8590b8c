"""Learners on where places lie: they follow a smooth surface, and give up where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from placevec.evaluation.engine import evaluate_task
from placevec.evaluation.position_probes import POSITION_PROBES, gaussian_process, nearest_places
from placevec.evaluation.probes import Effort, Training
from placevec.evaluation.scores import score
from placevec.evaluation.tasks import Kind, Task
from tests.evaluation.test_kinds import SMALL
from tests.evaluation.test_splits import town as town_points

EFFORT = Effort(trees=50, inverse_penalties=(1.0,), process_places=300)
STRONG = ("kNN", "boosting", "Gaussian process", "random forest")


def surface(kind: Kind, seed: int, smooth: bool = True, count: int = 400) -> Training:
    """A wave over 10 km, or noise."""
    random = np.random.default_rng(seed)
    plane = random.uniform(-5_000, 5_000, (count, 2))
    value = np.sin(plane[:, 0] / 1_500) + np.cos(plane[:, 1] / 2_000) if smooth else random.normal(size=count)
    value = value + 0.1 * random.normal(size=count)
    block = (plane[:, 0] // 2_000 * 10 + plane[:, 1] // 2_000).astype(np.int64)
    if kind == "classification":
        return Training(kind, plane, np.digitize(value, [-0.5, 0.7]), 3, block, 0)
    if kind == "multilabel":
        return Training(kind, plane, np.stack([value > 0.3, value < -0.8], axis=-1), 2, block, 0)
    return Training(kind, plane, value, 1, block, 0)


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
@pytest.mark.parametrize("name", STRONG)
def test_a_smooth_surface_is_followed(kind: Kind, name: str) -> None:
    training, other = surface(kind, 0), surface(kind, 1)
    found = POSITION_PROBES[name](training, other.features, EFFORT)
    assert found.shape == (400, training.outputs)
    assert score(kind, other.target, found) > 0.75


def test_neighbors_fall_back_to_the_mean_where_there_is_no_surface() -> None:
    training, other = surface("regression", 2, smooth=False), surface("regression", 3, smooth=False)
    found = nearest_places(training, other.features, EFFORT)
    assert score("regression", other.target, found) > -0.1
    five = nearest_places(training, other.features, replace(EFFORT, neighbors=(5,)))
    assert score("regression", other.target, five) < -0.1, "a fixed small number does worse"


def test_the_gaussian_process_is_scikit_learn_s_on_the_sample_that_it_says() -> None:
    """Oracle: the same kernel with its own optimum on all places: nearly as good, from three quarters of them."""
    training, other = surface("regression", 0), surface("regression", 1)
    found = gaussian_process(training, other.features, EFFORT)
    assert training.notes == ["the Gaussian process was trained on 300 places, drawn at random"]
    kernel = ConstantKernel() * Matern(0.2, nu=1.5) + WhiteKernel(0.1)
    known = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    known.fit(training.features / 5_000, training.target)
    wanted = score("regression", other.target, known.predict(other.features / 5_000)[:, None])
    assert score("regression", other.target, found) == pytest.approx(wanted, abs=0.03)


def test_only_the_row_of_coordinates_takes_them() -> None:
    plane = surface("regression", 0)
    lonlat = town_points(24.9, 60.2, km=10, count=400, seed=0)
    task = Task("t", "regression", plane.target, np.arange(400))
    found = evaluate_task(
        task, {"coordinates": (plane.features,), "other": (plane.features,)}, lonlat, pairs=(), buffer_m=100.0,
        folds=3, seeds=1, budget=SMALL, positions=("coordinates",),
    )  # fmt: skip
    assert set(found.row("coordinates").by_probe) == set(POSITION_PROBES)
    assert set(found.row("other").by_probe) == {"linear", "kNN", "random forest"}
