"""Oracles: scikit-learn's Ridge and GridSearchCV."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from placevec.evaluation import ridge
from placevec.evaluation.splits import INNER


def _problem(outputs: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    features = random.normal(size=(120, 30)) * np.linspace(0.2, 3, 30)
    target = features[:, :5] @ random.normal(size=(5, outputs)) + random.normal(size=(120, outputs)) + 7
    return features, target, np.arange(120) % INNER


@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 10.0])
def test_weights_are_those_of_scikit_learn(alpha: float) -> None:
    features, target, _ = _problem(outputs=3)
    weights, intercept = ridge.fitted(features, target, alpha)
    theirs = Ridge(alpha=alpha * len(features)).fit(features, target)
    np.testing.assert_allclose(weights.T, theirs.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(intercept, theirs.intercept_, rtol=1e-8)


def test_inner_errors_are_those_of_cross_validation() -> None:
    """Of every penalty, against fits that scikit-learn makes anew for each part."""
    features, target, parts = _problem()
    ours = ridge._inner(features, target, parts, "regression")
    for number, alpha in enumerate(ridge.ALPHAS):
        errors = 0.0
        for part in range(INNER):
            inside = parts != part
            model = Ridge(alpha=alpha * inside.sum()).fit(features[inside], target[inside])
            errors += ((model.predict(features[~inside]).reshape(-1, 1) - target[~inside]) ** 2).sum()
        assert ours[number] == pytest.approx(-errors / len(target), rel=1e-7)


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_the_penalty_chosen_is_the_one_of_a_grid_search(noise: float) -> None:
    """Of scikit-learn's, over features standardized beforehand: 1 and 10; not standardized 0.01 and 100 are best."""
    features, target, parts = _problem()
    target = target + noise * np.random.default_rng(5).normal(size=target.shape)
    inside = (parts != 0).sum()  # all parts are of one size
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    search = GridSearchCV(
        Ridge(), {"alpha": [alpha * inside for alpha in ridge.ALPHAS]}, cv=PredefinedSplit(parts),
        scoring="neg_mean_squared_error",
    ).fit(standardized, target)  # fmt: skip
    choice = ridge.chosen([features], target, np.arange(len(features)), parts, "regression")
    assert choice.alpha == pytest.approx(search.best_params_["alpha"] / inside)


def test_the_setting_with_the_signal_is_chosen() -> None:
    features, target, parts = _problem()
    noise = np.random.default_rng(1).normal(size=features.shape)
    rows = np.arange(len(features))
    answers, choice = ridge.predicted(
        [noise, features], target, rows[:90], parts[:90], rows[90:], "regression"
    )
    assert choice.setting == 1
    assert answers.shape == (30, 1)
    assert np.corrcoef(answers[:, 0], target[90:, 0])[0, 1] > 0.5


def test_a_penalty_at_the_end_of_the_grid_is_reported() -> None:
    """Labels without any relation to the features want an infinite penalty, a sum of them none at all."""
    random = np.random.default_rng(2)
    features, parts = random.normal(size=(200, 100)), np.arange(200) % INNER
    rows = np.arange(200)
    none = ridge.chosen([features], random.normal(size=(200, 1)), rows, parts, "regression")
    exact = ridge.chosen([features[:, :3]], features[:, :1], rows, parts, "regression")
    assert none.alpha > 1e-1
    assert exact.alpha <= 1e-4
    assert not exact.at_edge  # nothing is left to gain there


def test_scales_are_of_the_training_alone() -> None:
    """Closed form: training rows get mean 0 and deviation 1, whatever is tested."""
    learned, tested = ridge.scaled(np.array([[1.0], [3.0], [100.0]]), np.array([0, 1]), np.array([2]))
    assert (learned.tolist(), tested.tolist()) == ([[-1.0], [1.0]], [[98.0]])


def test_constant_and_equal_columns_do_no_harm() -> None:
    features, target, parts = _problem()
    rows = np.arange(len(features))
    doubled = np.concatenate([features, features[:, :1], np.ones((len(features), 1))], axis=1)
    answers, _ = ridge.predicted([doubled], target, rows[:90], parts[:90], rows[90:], "regression")
    assert np.isfinite(answers).all()
