"""How good answers of a head are: ranks of the true class, or errors of numbers, with intervals over blocks of ground.

Intervals resample whole spatial blocks, as in `placevec.evaluation.scores`: places of one block err together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.scores import interval
from placevec.geo import Ints

Array = NDArray[np.float64]
TOPS = (1, 3, 5, 10)
DRAWS = 400
_CHUNK = 2**24
"""Scores looked at at once."""


@dataclass(frozen=True)
class Measured:
    """One number and the interval that encloses 95 % of its resamplings."""

    value: float
    low: float
    high: float


class Resampling:
    """Blocks drawn with replacement, the same draws for everything that is measured on them.

    Args:
        block: (N,) block of each place, any whole numbers.
        seed: of the draws.
    """

    def __init__(self, block: Ints, seed: int = 0) -> None:
        names, self.block = np.unique(block, return_inverse=True)
        self.count = len(names)
        random = np.random.default_rng([seed, 0xB007])
        drawn = random.multinomial(self.count, np.full(self.count, 1 / self.count), DRAWS)
        self.weights = np.vstack([np.ones(self.count), drawn]).astype(np.float64)  # the first row is as it is

    def mean(self, values: Array) -> Measured:
        """Of (N,) values."""
        return self._told(self._sum(values) / self._sum(np.ones(len(values))))

    def r2(self, wanted: Array, found: Array) -> Measured:
        """``1 - sum (y - f)^2 / sum (y - mean y)^2``, both of the draw."""
        count, total = self._sum(np.ones(len(wanted))), self._sum(wanted)
        spread = self._sum(wanted**2) - total**2 / count
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._told(1.0 - self._sum((wanted - found) ** 2) / spread)

    def macro_f1(self, wanted: Ints, found: Ints, classes: int) -> Measured:
        """The mean over classes that occur of ``2 tp / (2 tp + fp + fn)``."""
        cells = self.count * classes
        hit = wanted == found
        true, said, both = (
            self.weights
            @ np.bincount(self.block[rows] * classes + values[rows], minlength=cells).reshape(-1, classes)
            for rows, values in ((slice(None), wanted), (slice(None), found), (hit, wanted))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            f1 = np.where(true > 0, 2 * both / (true + said), 0.0)
            return self._told(f1.sum(axis=1) / (true > 0).sum(axis=1))

    def _sum(self, values: Array) -> Array:
        found: Array = self.weights @ np.bincount(self.block, weights=values, minlength=self.count)
        return found

    def _told(self, values: Array) -> Measured:
        if self.count < 2:
            return Measured(float(values[0]), float("nan"), float("nan"))
        # a resampling misses classes and repeats blocks, which shifts F1 and R2: only how far draws spread is told
        low, high = interval(values[1:] - np.nanmean(values[1:]) + values[0])
        return Measured(float(values[0]), low, high)


def ranks_of(scores: NDArray[np.floating], truth: Ints) -> Array:
    """(N,) rank, 1 is best, of the true class in each row of (N, C) scores; ties share the mean of their ranks.

    A truth of -1, a class that was never learnt, ranks nowhere: infinity. So does NaN.

    >>> ranks_of(np.array([[0.9, 0.1], [0.8, 0.3], [0.5, 0.5]]), np.array([0, 1, -1])).tolist()
    [1.0, 2.0, inf]
    """
    found = np.full(len(scores), np.inf)
    step = max(1, _CHUNK // max(1, scores.shape[1]))
    for start in range(0, len(scores), step):
        part, true = scores[start : start + step], truth[start : start + step]
        own = np.take_along_axis(part, np.maximum(true, 0)[:, None], axis=1)
        rank = (part > own).sum(axis=1) + ((part == own).sum(axis=1) + 1) / 2.0
        found[start : start + step] = np.where((true >= 0) & np.isfinite(own[:, 0]), rank, np.inf)
    return found


def of_classes(ranks: Array, said: Ints, truth: Ints, classes: int, over: Resampling) -> dict[str, Measured]:
    """Top-1, 3, 5, 10 (those below the number of classes), MRR and macro-F1.

    Args:
        ranks: (N,) of the true class, `ranks_of`.
        said: (N,) class that is answered.
        truth: (N,) true class; those never learnt have numbers from ``classes`` on, or -1.
        classes: that are answered for.
        over: blocks.
    """
    found = {
        f"top-{top}": over.mean((ranks <= top).astype(float)) for top in TOPS if top == 1 or top < classes
    }
    found["MRR"] = over.mean(1.0 / ranks)
    unknown = np.where(truth < 0, classes, truth)
    found["macro-F1"] = over.macro_f1(unknown, said, int(max(classes, unknown.max(initial=0) + 1)))
    return found


def of_numbers(wanted: Array, found: Array, over: Resampling) -> dict[str, Measured]:
    """R2, and the mean absolute error in the label's unit."""
    return {"R²": over.r2(wanted, found), "MAE": over.mean(np.abs(wanted - found))}


def auc(here: Array, elsewhere: Array) -> Array:
    """(N,) how often each of ``here`` scores above those ``elsewhere``, ties half: their mean is the AUC."""
    order = np.sort(elsewhere)
    below, upto = np.searchsorted(order, here, "left"), np.searchsorted(order, here, "right")
    return np.asarray((below + upto) / (2.0 * len(order)), np.float64)


def plain(measured: Mapping[str, Measured]) -> dict[str, dict[str, float]]:
    """Plain JSON."""
    return {name: dict(one.__dict__) for name, one in measured.items()}
