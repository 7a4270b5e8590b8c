"""Every measure of predictions, by name, when blocks of places count several times or not at all.

A measure takes labels, predictions, the block of each place and ``weights`` (W, blocks): how often block b counts in
row w. A row of ones is the measure itself, other rows are what a bootstrap or a jackknife over blocks asks for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.tasks import METRIC, Kind

Array = NDArray[np.float64]
LOWER_IS_BETTER = frozenset(
    {"MAE", "mean absolute error", "RMSE", "L1", "Jensen-Shannon", "KL", "Chebyshev", "Canberra"}
)
SECONDARY: dict[Kind, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "multilabel": (),
    "regression": ("mean absolute error", "RMSE"),
    "presence": (),
    "distribution": ("Jensen-Shannon", "KL", "Chebyshev", "Canberra", "cosine"),
    "retrieval": ("precision@1", "precision@5", "MRR@10"),
}
"""Further measures of a kind, without intervals."""
_CHUNK = 4_000_000  # numbers held at once by the weighted average precision
_MIN_SHARE = 1e-9  # of a prediction, so that KL stays finite


def resampled(
    metric: str, target: NDArray[Any], predicted: NDArray[Any], block: NDArray[np.int64], weights: Array,
    fold: NDArray[np.int64] | None = None,
) -> Array:  # fmt: skip
    """(W,) a measure when block b counts ``weights[w, b]`` times; NaN where nothing drawn defines it.

    Args:
        metric: one of the names in this module, such as ``R²``; a kind of task stands for its measure.
        target: (n,) or (n, G), as a task of that kind holds it.
        predicted: (n, K) scores, shares, or values; of classes also (n,) the class predicted; of retrieval the classes
            of what was retrieved, the nearest first.
        block: (n,) block of each place.
        weights: (W, blocks).
        fold: (n,) the fold that tested each place. Presence only compares places of one fold, because scores of
            different folds come from different learners.
    """
    metric = METRIC.get(metric, metric)  # type: ignore[call-overload]
    if metric == "macro-F1":
        return _macro_f1(target, _named(predicted), block, weights)
    if metric == "mean average precision":
        columns = range(target.shape[1])
        groups = [_average_precision(target[:, g], predicted[:, g], block, weights) for g in columns]
        return mean_known(np.stack(groups, axis=-1))
    values = np.asarray(predicted, np.float64).reshape(len(target), -1)
    if metric == "R²":
        return _r2(np.asarray(target, np.float64), values[:, 0], block, weights)
    if metric == "RMSE":
        return np.sqrt(weighted_mean((values[:, 0] - target) ** 2, block, weights))
    if metric == "AUC":
        return _auc(target == 1, values[:, 0], block, np.zeros_like(block) if fold is None else fold, weights)
    return weighted_mean(each(metric, target, predicted), block, weights)


def score(
    metric: str, target: NDArray[Any], predicted: NDArray[Any], fold: NDArray[np.int64] | None = None
) -> float:
    """A measure of predictions as they are, see `resampled`."""
    block = np.zeros(len(target), np.int64)
    return float(resampled(metric, target, predicted, block, np.ones((1, 1)), fold)[0])


def each(metric: str, target: NDArray[Any], predicted: NDArray[Any]) -> Array:
    """(n,) what each place adds to a measure that is a mean over places."""
    if metric == "accuracy":
        return np.asarray(_named(predicted) == target, np.float64)
    values = np.asarray(predicted, np.float64).reshape(len(target), -1)
    if metric in ("MAE", "mean absolute error"):
        return np.asarray(np.abs(values[:, 0] - target))
    name, _, first = metric.partition("@")
    if first:
        hit = values[:, : int(first)] == np.asarray(target)[:, None]
        if name == "precision":
            return np.asarray(hit.mean(axis=1))
        return np.asarray(np.where(hit.any(axis=1), 1.0 / (1.0 + hit.argmax(axis=1)), 0.0))
    return _distance(metric, np.asarray(target, np.float64), values)


def loss(metric: str, target: NDArray[Any], predicted: NDArray[Any]) -> Array:
    """(n,) how wrong the prediction of each place is, for the correlation range of differences between rows."""
    if metric in ("accuracy", "macro-F1"):
        return 1.0 - each("accuracy", target, predicted)
    if metric in LOWER_IS_BETTER and metric != "RMSE":
        return each(metric, target, predicted)
    if "@" in metric or metric == "cosine":
        return 1.0 - each(metric, target, predicted)
    values = np.asarray(predicted, np.float64).reshape(len(target), -1)
    truth = np.asarray(target, np.float64).reshape(len(target), -1)
    return np.asarray(((values - truth) ** 2).mean(axis=1))


def weighted_mean(values: Array, block: NDArray[np.int64], weights: Array) -> Array:
    """(W,) mean of (n,) values when block b counts ``weights[w, b]`` times; NaN where nothing counts."""
    many = weights @ np.bincount(block, minlength=weights.shape[1]).astype(np.float64)
    total = weights @ np.bincount(block, weights=values, minlength=weights.shape[1])
    return np.asarray(np.divide(total, many, out=np.full(len(many), np.nan), where=many > 0))


def better(metric: str) -> int:
    """1 where larger is better, -1 where smaller is."""
    return -1 if metric in LOWER_IS_BETTER else 1


def mean_known(values: Array) -> Array:
    """Mean of the last axis without NaN; NaN when nothing is known."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(
        np.divide(total, known.sum(axis=-1), out=np.full(total.shape, np.nan), where=known.any(axis=-1))
    )


def _named(predicted: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) the class predicted, from (n, K) scores or as it is."""
    return np.asarray(predicted if predicted.ndim == 1 else predicted.argmax(axis=1), np.int64)


def _macro_f1(
    target: NDArray[Any], named: NDArray[np.int64], block: NDArray[np.int64], weights: Array
) -> Array:
    """Mean over the classes that are drawn or predicted of ``2 tp / (2 tp + fp + fn)``, as scikit-learn has it."""
    classes = int(max(target.max(initial=0), named.max(initial=0))) + 1
    hit = named == target
    true, said, both = (
        weights
        @ np.bincount(block[rows] * classes + values[rows], minlength=weights.shape[1] * classes).reshape(-1, classes)
        for rows, values in ((slice(None), target), (slice(None), named), (hit, target))
    )  # fmt: skip
    f1 = np.divide(2.0 * both, true + said, out=np.full(true.shape, np.nan), where=true + said > 0)
    return mean_known(np.asarray(f1))


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


def _r2(target: Array, predicted: Array, block: NDArray[np.int64], weights: Array) -> Array:
    """1 - squared error / squared distance from the mean of the places drawn."""
    centered = target - target.mean()  # against cancellation

    def total(values: Array) -> Array:
        return np.asarray(weights @ np.bincount(block, weights=values, minlength=weights.shape[1]))

    spread = total(centered**2) - total(centered) ** 2 / np.maximum(total(np.ones(len(target))), 1e-12)
    error = total((target - predicted) ** 2)
    lost = np.divide(error, spread, out=np.full(len(error), np.nan), where=spread > 1e-12)
    return np.asarray(1.0 - lost)


def _auc(
    present: NDArray[np.bool_], predicted: Array, block: NDArray[np.int64], fold: NDArray[np.int64], weights: Array
) -> Array:  # fmt: skip
    """From counts of pairs between blocks: a pair counts as often as both of its blocks were drawn together."""
    blocks = weights.shape[1]
    won, pairs = np.zeros((blocks, blocks)), np.zeros((blocks, blocks))
    for number in np.unique(fold):
        here = fold == number
        seen, background = np.flatnonzero(here & present), np.flatnonzero(here & ~present)
        if not len(seen) or not len(background):
            continue
        above = (predicted[seen][:, None] > predicted[background]) + 0.5 * (
            predicted[seen][:, None] == predicted[background]
        )
        first, second = np.eye(blocks)[block[seen]], np.eye(blocks)[block[background]]
        won += first.T @ above @ second
        pairs += np.outer(first.sum(0), second.sum(0))
    top = np.einsum("wi,ij,wj->w", weights, won, weights, optimize=True)
    bottom = np.einsum("wi,ij,wj->w", weights, pairs, weights, optimize=True)
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))


def _distance(metric: str, target: Array, predicted: Array) -> Array:
    """(n,) how far (n, G) predicted shares lie from the true ones; both are brought to sum 1, below 0 counts as 0.

    Sources: ``KL`` is sum t log(t / p); ``Jensen-Shannon`` the mean KL of both from their mean, in bits, 0 to 1 (Lin
    1991); ``Canberra`` sum |t - p| / (t + p), 0/0 counting 0 (Lance and Williams 1967).
    """
    told, true = shares(predicted), shares(target)
    if metric == "L1":
        return np.asarray(np.abs(true - told).sum(axis=1))
    if metric == "Chebyshev":
        return np.asarray(np.abs(true - told).max(axis=1))
    if metric == "KL":
        return _relative_entropy(true, told)
    if metric == "Jensen-Shannon":
        middle = (true + told) / 2.0
        both = _relative_entropy(true, middle) + _relative_entropy(told, middle)
        return np.asarray(both / (2.0 * np.log(2.0)))
    if metric == "Canberra":
        both = true + told
        parts = np.divide(np.abs(true - told), both, out=np.zeros_like(both), where=both > 0)
        return np.asarray(parts.sum(axis=1))
    if metric == "cosine":
        lengths = np.linalg.norm(true, axis=1) * np.linalg.norm(told, axis=1)
        return np.asarray((true * told).sum(axis=1) / np.maximum(lengths, 1e-300))
    raise ValueError(f"unknown measure {metric!r}")


def _relative_entropy(true: Array, told: Array) -> Array:
    ratio = np.where(true > 0, true / np.maximum(told, _MIN_SHARE), 1.0)
    return np.asarray((true * np.log(ratio)).sum(axis=1))


def shares(values: Array) -> Array:
    """(n, G) numbers as shares: below 0 counts as 0, rows sum to 1, rows of nothing are even."""
    held = np.maximum(values, 0.0)
    total = held.sum(axis=1, keepdims=True)
    return np.where(total > 0, held / np.where(total > 0, total, 1.0), 1.0 / values.shape[1])
