"""The linear probe: ridge regression in closed form, penalty and encoder's setting chosen inside the training fold.

Classes are regressed as columns of 0 and 1 and the largest one is taken. Everything is float64. The scatter matrix
of every inner part is made once; those of the inner training sets are differences from their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from placevec.evaluation.splits import INNER
from placevec.evaluation.tasks import Kind
from placevec.geo import Floats, Ints

Votes = Literal["equal", "distance"]
"""Whether neighbors count alike, or by 1 / distance."""
ALPHAS = tuple(10.0**power for power in range(-7, 3))
"""Penalties, for a point and a feature of unit variance; `fitted` multiplies them by the number of points."""
EDGE_MATTERS = 1e-3
"""How much the score must still rise at the end of `ALPHAS` for a warning: there a wider grid could be better."""


@dataclass(frozen=True)
class Choice:
    """What was chosen inside a training fold.

    Attributes:
        setting: number of the encoder's setting.
        alpha: penalty, or for neighbors their number.
        at_edge: the penalty is the smallest or largest tried, and its score was still rising.
        votes: how neighbors count.
    """

    setting: int
    alpha: float
    at_edge: bool = False
    votes: Votes = "equal"


def fitted(features: Floats, target: Floats, alpha: float) -> tuple[Floats, Floats]:
    """((D, K) weights, (K,) intercepts) that minimize sum |y - x w - b|² + alpha n |w|², n the number of points.

    >>> weights, intercept = fitted(np.array([[-1.0], [1.0]]), np.array([[1.0], [3.0]]), 0.0)
    >>> float(weights[0, 0]), float(intercept[0])
    (1.0, 2.0)
    """
    mean, middle = features.mean(axis=0), target.mean(axis=0)
    centered = features - mean
    values, vectors = np.linalg.eigh(centered.T @ centered)
    weights = _solved(values, vectors, vectors.T @ (centered.T @ (target - middle)), alpha * len(features))
    return weights, middle - mean @ weights


def predicted(
    settings: Sequence[Floats], target: Floats, train: Ints, parts: Ints, test: Ints, kind: Kind
) -> tuple[Floats, Choice]:
    """((m, K) predictions of the tested rows, what was chosen): by the best setting and penalty of the inner parts.

    Args:
        settings: features of every point, (N, D) for each setting.
        target: (N, K) numbers.
        train: (n,) rows to learn from.
        parts: (n,) inner part of each.
        test: (m,) rows to predict.
        kind: decides what is best inside: accuracy for classes, else squared error.
    """
    choice = chosen(settings, target, train, parts, kind)
    features, tested = scaled(settings[choice.setting], train, test)
    weights, intercept = fitted(features, target[train], choice.alpha)
    return tested @ weights + intercept, choice


def chosen(settings: Sequence[Floats], target: Floats, train: Ints, parts: Ints, kind: Kind) -> Choice:
    """The setting and penalty that predict the inner parts best, each from the others; of ties the stronger penalty."""
    scores = np.stack(
        [_inner(scaled(one, train, train[:0])[0], target[train], parts, kind) for one in settings]
    )
    backwards = scores[:, ::-1]
    setting, place = np.unravel_index(int(np.argmax(backwards)), backwards.shape)
    at = len(ALPHAS) - 1 - int(place)
    beside = {0: 1, len(ALPHAS) - 1: len(ALPHAS) - 2}.get(at)
    spread = float(np.var(target[train], axis=0).sum()) if kind != "classification" else 1.0
    rising = beside is not None and scores[setting, at] - scores[setting, beside] > EDGE_MATTERS * spread
    return Choice(int(setting), ALPHAS[at], bool(rising))


def scaled(features: Floats, train: Ints, test: Ints) -> tuple[Floats, Floats]:
    """Training and tested rows by the mean and deviation of the training; a constant column becomes zero."""
    learned = features[train]
    mean, deviation = learned.mean(axis=0), learned.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, np.inf)
    return (learned - mean) / scale, (features[test] - mean) / scale


def inner_score(given: Floats, truth: Floats, kind: Kind) -> float:
    """Accuracy of classes, else minus the mean squared error: by this settings are chosen."""
    if kind == "classification":
        return float((given.argmax(1) == truth.argmax(1)).mean())
    return -float(((given - truth) ** 2).mean())


def _inner(features: Floats, target: Floats, parts: Ints, kind: Kind) -> Floats:
    """(penalties,) accuracy, or minus the mean squared error, over all parts."""
    sides = [parts == part for part in range(INNER)]
    sums = [(int(rows.sum()), features[rows].sum(0), target[rows].sum(0)) for rows in sides]
    squares = [features[rows].T @ features[rows] for rows in sides]
    products = [features[rows].T @ target[rows] for rows in sides]
    whole, cross = sum(squares), sum(products)
    found = np.zeros(len(ALPHAS))
    for part, rows in enumerate(sides):
        many = len(features) - sums[part][0]
        if many < 2 or not rows.any():
            continue
        mean = -sums[part][1] / many + features.sum(0) / many
        middle = (target.sum(0) - sums[part][2]) / many
        scatter = whole - squares[part] - many * np.outer(mean, mean)
        values, vectors = np.linalg.eigh(scatter)
        turned = vectors.T @ (cross - products[part] - many * np.outer(mean, middle))
        tested = (features[rows] - mean) @ vectors
        truth = target[rows] - middle
        for number, alpha in enumerate(ALPHAS):
            answers = tested @ (turned / _damped(values, alpha * many))
            if kind == "classification":
                right = (answers + middle).argmax(axis=1) == target[rows].argmax(axis=1)
                found[number] += float(right.sum())
            else:
                found[number] -= float(((answers - truth) ** 2).sum())
    return found / len(features)


def _solved(values: Floats, vectors: Floats, turned: Floats, penalty: float) -> Floats:
    return np.asarray(vectors @ (turned / _damped(values, penalty)))


def _damped(values: Floats, penalty: float) -> Floats:
    """(D, 1) what each direction is divided by; directions without any spread get no weight."""
    damped = np.maximum(values, 0.0) + penalty
    none = damped <= 1e-12 * max(float(values.max()), 1e-300)
    return np.where(none, np.inf, damped)[:, None]
