"""Learners on where a place lies, (n, 2) meters east and north: as strong as a practitioner's on coordinates alone."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from placevec.evaluation.neighbors import VOTES
from placevec.evaluation.probes import (
    PROBES,
    Array,
    Effort,
    Features,
    Probe,
    Training,
    as_if_equally_common,
    class_scores,
    nearest,
)

KS = (1, 3, 10, 30, 100, 300, 1_000, 3_000)
"""Numbers of neighbors to choose from, below the number of training places; that number itself is the mean."""
MAX_OUTPUTS = 10
"""Classes or groups above which no boosting is done: each is trained by itself."""
_LOOKED_AT = 400  # places on which the kernel of a Gaussian process is chosen


def nearest_places(training: Training, tested: Features, effort: Effort) -> Array:
    """Mean of the nearest training places in meters, their number (up to all) and votes chosen inside the fold."""
    if len(effort.neighbors) == 1:
        return nearest(training, tested, effort.neighbors, ("distance",))
    return nearest(training, tested, (*KS, len(training.features) - 1), VOTES)


def boosting(training: Training, tested: Features, effort: Effort) -> Array:
    """Gradient boosting of trees, a column at a time; the mean where there are more than `MAX_OUTPUTS` columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rounds = min(100, 2 * effort.trees)
    options: dict[str, Any] = {"max_iter": rounds, "learning_rate": 0.05, "random_state": training.seed}
    if training.outputs > MAX_OUTPUTS:
        return np.tile(training.columns().mean(axis=0), (len(tested), 1))
    if training.kind == "classification":
        model = HistGradientBoostingClassifier(**options).fit(training.features, training.target)
        return class_scores(model, tested, training)
    found = [
        HistGradientBoostingRegressor(**options).fit(training.features, column).predict(tested)
        for column in training.columns().T
    ]
    return np.asarray(np.stack(found, axis=-1))


def gaussian_process(training: Training, tested: Features, effort: Effort) -> Array:
    """`process_means` of at most ``process_places`` training places; classes are regressed as columns of 0 and 1."""
    many, most = len(training.features), effort.process_places
    if many > most:
        training.notes.append(f"the Gaussian process was trained on {most:,} places, drawn at random")
    found = process_means(training.features, training.columns(), tested, most, training.seed)
    if training.kind == "classification":
        return as_if_equally_common(np.maximum(found, 1e-6), training)
    return found


def process_means(features: Features, columns: Array, tested: Features, places: int, seed: int) -> Array:
    """(m, K) what a Gaussian process of Matern covariance (3/2) and noise expects at (m, D) tested features.

    Args:
        features: (n, D) of the places that it learns from.
        columns: (n, K) their labels as numbers.
        tested: features asked about.
        places: maximum number to learn from; of more a sample is drawn.
        seed: of the sample.

    Range and noise maximize the likelihood of 400 of the places, all columns together.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kept = np.random.default_rng([seed, 0x69]).permutation(len(features))[:places]
    scale = max(float(np.abs(features).max()), 1e-9)
    points, asked = features / scale, tested / scale
    mean, spread = columns[kept].mean(axis=0), np.maximum(columns[kept].std(axis=0), 1e-9)
    values = (columns - mean) / spread
    kernel = ConstantKernel(0.5, (1e-2, 10.0)) * Matern(0.2, (1e-3, 10.0), nu=1.5) + WhiteKernel(
        0.5, (1e-3, 1.0)
    )
    with warnings.catch_warnings():  # at a bound of the range: labels without spatial structure
        warnings.simplefilter("ignore", ConvergenceWarning)
        few = kept[:_LOOKED_AT]
        fitted = GaussianProcessRegressor(kernel, random_state=seed).fit(points[few], values[few])
    whole = GaussianProcessRegressor(fitted.kernel_, optimizer=None).fit(points[kept], values[kept])
    return np.asarray(np.asarray(whole.predict(asked)).reshape(len(tested), -1) * spread + mean)


POSITION_PROBES: dict[str, Probe] = {
    **PROBES, "kNN": nearest_places, "boosting": boosting, "Gaussian process": gaussian_process
}  # fmt: skip
"""What the row of coordinates takes the best of."""
