"""One number for predictions, and how it moves when the ground is resampled block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.point_tasks import PointTask, TaskKind
from placevec.evaluation.scores import resampled as resampled_by_kind
from placevec.geo import Floats, Ints


def stored(task: PointTask, answers: Floats) -> NDArray[np.generic]:
    """(N,) what is kept of (N, K) answers: the class named (uint16, `UNTESTED`), or the number (float32, NaN)."""
    if task.kind != "classes":
        return answers[:, 0].astype(np.float32)
    tested = np.isfinite(answers).all(axis=1)
    named = np.full(len(answers), UNTESTED, np.uint16)
    named[tested] = answers[tested].argmax(axis=1)
    return named


UNTESTED = np.uint16(65535)


def tested(predicted: NDArray[np.generic]) -> NDArray[np.bool_]:
    """(N,) which rows of `stored` predictions were tested."""
    return np.asarray(predicted != UNTESTED if predicted.dtype == np.uint16 else np.isfinite(predicted))


def measured(
    kind: TaskKind, target: Floats, predicted: NDArray[np.generic], block: Ints, fold: Ints, weights: Floats
) -> Floats:
    """(W,) the metric of a kind when block b counts ``weights[w, b]`` times.

    Args:
        kind: ``number``: R²; ``classes``: share that is right; ``presence``: area under the ROC curve over pairs of one
            present and one background point tested in the same fold, because scores of different folds are of different
            learners.
        target: (n,) classes, numbers, or 0 and 1.
        predicted: (n,) as `stored` keeps it, all tested.
        block: (n,) block of each row.
        fold: (n,) fold that tested it.
        weights: (W, blocks).
    """
    if kind == "number":
        values = np.asarray(predicted, np.float64)[:, None]
        return resampled_by_kind("regression", target, values, block, weights)
    blocks = weights.shape[1]
    if kind == "classes":
        many = weights @ np.bincount(block, minlength=blocks).astype(np.float64)
        right = weights @ np.bincount(block, weights=predicted == target, minlength=blocks)
        return np.asarray(np.divide(right, many, out=np.full(len(many), np.nan), where=many > 0))
    return _auc(target == 1, np.asarray(predicted, np.float64), block, fold, weights)


def _auc(present: NDArray[np.bool_], predicted: Floats, block: Ints, fold: Ints, weights: Floats) -> Floats:
    """From counts of pairs between blocks: a pair counts as often as both of its blocks were drawn together."""
    blocks = weights.shape[1]
    won, pairs = np.zeros((blocks, blocks)), np.zeros((blocks, blocks))
    for number in np.unique(fold):
        here = fold == number
        seen, ground = np.flatnonzero(here & present), np.flatnonzero(here & ~present)
        if not len(seen) or not len(ground):
            continue
        above = (predicted[seen][:, None] > predicted[ground]) + 0.5 * (
            predicted[seen][:, None] == predicted[ground]
        )
        first, second = np.eye(blocks)[block[seen]], np.eye(blocks)[block[ground]]
        won += first.T @ above @ second
        pairs += np.outer(first.sum(0), second.sum(0))
    top = np.einsum("wi,ij,wj->w", weights, won, weights, optimize=True)
    bottom = np.einsum("wi,ij,wj->w", weights, pairs, weights, optimize=True)
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))


EARTH_RADIUS_M = 6_371_000.0
NEAR_M = 500_000.0
"""How near to the antimeridian, meters."""
FEWEST = 30
"""Tested points below which nothing is said of a stratum."""
ANTIMERIDIAN = "antimeridian"
POLES = "beyond 75°"
BANDS = {
    "below 30°": (0.0, 30.0),
    "30° to 60°": (30.0, 60.0),
    "60° to 75°": (60.0, 75.0),
    POLES: (75.0, 90.01),
}
"""Bands of absolute latitude, degrees."""


def near_antimeridian(lonlat: Floats, distance_m: float = NEAR_M) -> NDArray[np.bool_]:
    """(N,) which points of (N, 2) lie nearer to the antimeridian than a great-circle distance on the sphere.

    >>> near_antimeridian(np.array([[179.0, 0.0], [-176.0, 10.0], [170.0, 0.0], [170.0, 70.0]])).tolist()
    [True, True, False, True]
    """
    away = np.radians(180.0 - np.abs(lonlat[:, 0]))
    # the nearest point of a great circle is at asin(cos lat sin away); beyond a right angle it is the pole
    sine = np.cos(np.radians(lonlat[:, 1])) * np.sin(np.minimum(away, np.pi / 2))
    return np.asarray(np.arcsin(sine) * EARTH_RADIUS_M < distance_m)


def strata_of(lonlat: Floats, further: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Name -> (N,) which points are in it.

    ``further`` points were drawn near the antimeridian and the poles, and count there only. The surroundings of the
    antimeridian end at 75 degrees, where those of the poles begin.
    """
    lat = np.abs(lonlat[:, 1])
    bands = {name: (lat >= low) & (lat < high) for name, (low, high) in BANDS.items()}
    bands = {name: rows if name == POLES else rows & ~further for name, rows in bands.items()}
    return {**bands, ANTIMERIDIAN: near_antimeridian(lonlat) & (lat < BANDS[POLES][0])}
