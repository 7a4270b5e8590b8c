"""One number for predictions, and how far it would move on other ground: block bootstrap.

Intervals resample whole spatial blocks, because the places of one block err together; resampling single places
would make intervals too narrow (Kunsch, "The jackknife and the bootstrap for general stationary observations",
Annals of Statistics 17, 1989). Every draw also draws the shufflings of the folds. The same draws serve every row,
so differences between rows are paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["classification", "multilabel", "regression"]
Array = NDArray[np.float64]
METRIC: dict[Kind, str] = {
    "classification": "macro-F1",
    "multilabel": "mean average precision",
    "regression": "R²",
}
_CHUNK = 4_000_000  # numbers held at once by the weighted average precision


def score(kind: Kind, target: NDArray[Any], predicted: NDArray[Any]) -> float:
    """The metric of a kind, larger is better.

    Args:
        kind: decides the metric: macro-F1 over the classes that occur, mean average precision over the groups
            that occur, or R².
        target: (n,) class numbers, (n, G) 0/1, or (n,) values.
        predicted: (n, K) class scores, (n, G) scores, or (n, 1) values.
    """
    blocks = np.zeros(len(target), np.int64)
    return float(resampled(kind, target, predicted, blocks, np.ones((1, 1)))[0])


def resampled(
    kind: Kind, target: NDArray[Any], predicted: NDArray[Any], block: NDArray[np.int64], weights: Array
) -> Array:
    """(W,) the metric when block b counts ``weights[w, b]`` times; weights is (W, blocks)."""
    if kind == "classification":
        return _macro_f1(target, predicted.argmax(axis=1), predicted.shape[1], block, weights)
    if kind == "multilabel":
        groups = [
            _average_precision(target[:, g], predicted[:, g], block, weights) for g in range(target.shape[1])
        ]
        return _mean_known(np.stack(groups, axis=-1))
    return _r2(target, predicted[:, 0], block, weights)


def secondary(kind: Kind, target: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Further numbers, for people: accuracy, or the mean absolute error in the unit of the target."""
    if kind == "classification":
        return {"accuracy": float((predicted.argmax(axis=1) == target).mean())}
    if kind == "regression":
        return {"mean absolute error": float(np.abs(predicted[:, 0] - target).mean())}
    return {}


def _mean_known(values: Array) -> Array:
    """Mean of the last axis without NaN; NaN when nothing is known."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(
        np.divide(total, known.sum(axis=-1), out=np.full(total.shape, np.nan), where=known.any(axis=-1))
    )


def _macro_f1(
    target: NDArray[Any], predicted: NDArray[Any], classes: int, block: NDArray[np.int64], weights: Array
) -> Array:
    """From confusion matrices of the blocks, summed by weight."""
    cells = classes * classes
    flat = np.bincount(
        block * cells + target.astype(np.int64) * classes + predicted, minlength=weights.shape[1] * cells
    )
    confusion = (weights @ flat.reshape(-1, cells)).reshape(-1, classes, classes)
    right = np.einsum("wkk->wk", confusion)
    either = confusion.sum(axis=1) + confusion.sum(axis=2)
    f1 = np.divide(2.0 * right, either, out=np.full(right.shape, np.nan), where=either > 0)
    return _mean_known(np.asarray(f1))


def _average_precision(
    target: NDArray[Any], predicted: NDArray[Any], block: NDArray[np.int64], weights: Array
) -> Array:
    """Area under precision over recall as a step function, equal scores taken together, as scikit-learn has it."""
    order = np.argsort(-predicted, kind="stable")
    sorted_scores = predicted[order]
    ends = np.append(np.flatnonzero(np.diff(sorted_scores)), len(order) - 1)
    positive, of_block = target[order].astype(np.float64), block[order]
    step = max(1, _CHUNK // max(len(order), 1))
    return np.concatenate(
        [
            _stepwise(weights[at : at + step, :][:, of_block], positive, ends)
            for at in range(0, len(weights), step)
        ]
    )


def _stepwise(weight: Array, positive: Array, ends: NDArray[np.int64]) -> Array:
    found = np.cumsum(weight * positive, axis=1)[:, ends]
    looked_at = np.cumsum(weight, axis=1)[:, ends]
    precision = np.divide(found, looked_at, out=np.zeros_like(found), where=looked_at > 0)
    gained = np.diff(found, axis=1, prepend=0.0)
    total = found[:, -1]
    area = (gained * precision).sum(axis=1)
    return np.asarray(np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0))


def _r2(target: NDArray[Any], predicted: NDArray[Any], block: NDArray[np.int64], weights: Array) -> Array:
    """1 - squared error / squared distance from the mean of the places drawn."""
    centered = target - target.mean()  # against cancellation

    def total(values: Array) -> Array:
        return np.asarray(weights @ np.bincount(block, weights=values, minlength=weights.shape[1]))

    spread = total(centered**2) - total(centered) ** 2 / np.maximum(total(np.ones(len(target))), 1e-12)
    error = total((target - predicted) ** 2)
    lost = np.divide(error, spread, out=np.full(len(error), np.nan), where=spread > 1e-12)
    return np.asarray(1.0 - lost)


# --- bootstrap ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draws:
    """What every row is resampled with.

    Attributes:
        weights: (W, blocks) how often each block is drawn.
        seeds: (W, S) which shufflings of the folds are averaged.
    """

    weights: Array
    seeds: NDArray[np.int64]


def draws(count: int, blocks: int, seeds: int, seed: int = 0) -> Draws:
    """``count`` draws of ``blocks`` blocks and of ``seeds`` shufflings, both with replacement."""
    random = np.random.default_rng([seed, 0xB007])
    weights = random.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=count).astype(np.float64)
    return Draws(weights, random.integers(0, seeds, (count, seeds)))


def bootstrap(
    kind: Kind, target: NDArray[Any], predictions: list[NDArray[Any]], block: NDArray[np.int64], drawn: Draws
) -> Array:
    """(W,) the metric of each draw: mean over the shufflings drawn.

    ``predictions`` holds one (n, K) a shuffling, NaN in the rows that it could not test.
    """
    by_seed = []
    for predicted in predictions:
        rows = np.flatnonzero(np.isfinite(predicted).all(axis=1))
        by_seed.append(resampled(kind, target[rows], predicted[rows], block[rows], drawn.weights))
    stacked = np.stack(by_seed, axis=-1)
    return _mean_known(np.take_along_axis(stacked, drawn.seeds, axis=1))


def interval(values: Array, level: float = 0.95) -> tuple[float, float]:
    """(low, high) percentiles that enclose ``level`` of the draws."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
