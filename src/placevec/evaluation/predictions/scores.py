"""How good answers of a head are: ranks of the true class, or errors of numbers, with intervals over blocks of ground.

Intervals resample whole spatial blocks, as in `placevec.evaluation.scores`: places of one block err together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.predictions.ranking import TOP, expected_ranks
from placevec.evaluation.scores import interval
from placevec.geo import Ints

Array = NDArray[np.float64]
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

    def mean(self, values: Array, most: float = np.inf) -> Measured:
        """Of (N,) values from 0 to ``most``."""
        return self._told(self._sum(values) / self._sum(np.ones(len(values))), 0.0, most)

    def r2(self, wanted: Array, found: Array) -> Measured:
        """``1 - sum (y - f)^2 / sum (y - mean y)^2``, both of the draw."""
        count = self._sum(np.ones(len(wanted)))
        centered = (
            wanted - wanted.mean()
        )  # squares of large labels, such as times, would cancel each other's digits
        spread = self._sum(centered**2) - self._sum(centered) ** 2 / count
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._told(1.0 - self._sum((wanted - found) ** 2) / spread, -np.inf, 1.0)

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
            return self._told(f1.sum(axis=1) / (true > 0).sum(axis=1), 0.0, 1.0)

    def _sum(self, values: Array) -> Array:
        found: Array = self.weights @ np.bincount(self.block, weights=values, minlength=self.count)
        return found

    def _told(self, values: Array, least: float, most: float) -> Measured:
        if self.count < 2:
            return Measured(float(values[0]), float("nan"), float("nan"))
        # a resampling misses classes and repeats blocks, which shifts F1 and R2: only how far draws spread is told
        low, high = interval(values[1:] - np.nanmean(values[1:]) + values[0])
        return Measured(float(values[0]), float(np.clip(low, least, most)), float(np.clip(high, least, most)))


@dataclass(frozen=True)
class Standing:
    """Where the true class stands in each row; classes of equal score have no order, so these are expectations.

    Attributes:
        more: (N,) classes that score more; infinite where the true class was never learned, or its score is NaN.
        same: (N,) other classes that score the same.
        said: (N,) the class that is answered.
    """

    more: Array
    same: Array
    said: Ints

    @classmethod
    def of(cls, scores: NDArray[Any], truth: Ints) -> Standing:
        """Of (N, C) scores and (N,) true classes; below 0 or from C on is a class that was never learned.

        >>> found = Standing.of(np.array([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]), np.array([1, 0, 7]))
        >>> found.more.tolist(), found.same.tolist(), found.within(1).tolist()
        ([1.0, 0.0, inf], [0.0, 1.0, 0.0], [0.0, 0.5, 0.0])
        """
        classes = scores.shape[1]
        learned = (truth >= 0) & (truth < classes)
        more, same = np.full(len(scores), np.inf), np.zeros(len(scores))
        step = max(1, _CHUNK // classes)
        for start in range(0, len(scores), step):
            part = slice(start, start + step)
            own = np.where(learned[part], truth[part], 0)
            better, equal = expected_ranks(scores[part], own)
            told = learned[part] & np.isfinite(np.take_along_axis(scores[part], own[:, None], axis=1)[:, 0])
            more[part], same[part] = np.where(told, better, np.inf), np.where(told, equal, 0)
        return cls(more, same, scores.argmax(axis=1))

    @classmethod
    def joined(cls, parts: Sequence[Standing]) -> Standing:
        """Of rows one part after the other."""
        return cls(
            *(np.concatenate([getattr(one, name) for one in parts]) for name in ("more", "same", "said"))
        )

    def within(self, top: int) -> Array:
        """(N,) chance that the true class is among the first ``top``."""
        return np.asarray(np.clip((top - self.more) / (self.same + 1.0), 0.0, 1.0), np.float64)

    def reciprocal(self) -> Array:
        """(N,) expected 1 / rank."""
        known = np.isfinite(self.more)
        more, same = (np.where(known, one, 0).astype(np.int64) for one in (self.more, self.same))
        harmonic = np.concatenate(
            [[0.0], np.cumsum(1.0 / np.arange(1, int((more + same).max(initial=0)) + 2))]
        )
        return np.where(known, (harmonic[more + same + 1] - harmonic[more]) / (same + 1.0), 0.0)


def of_classes(standing: Standing, truth: Ints, classes: int, over: Resampling) -> dict[str, Measured]:
    """Top-1, 3, 5, 10 (those below the number of classes), MRR and macro-F1.

    Args:
        standing: of the true class.
        truth: (N,) true class; those never learned have numbers from ``classes`` on, or -1.
        classes: that are answered for.
        over: blocks.
    """
    found = {f"top-{top}": over.mean(standing.within(top), 1.0) for top in TOP if top == 1 or top < classes}
    found["MRR"] = over.mean(standing.reciprocal(), 1.0)
    unknown = np.where(truth < 0, classes, truth)
    found["macro-F1"] = over.macro_f1(unknown, standing.said, int(max(classes, unknown.max(initial=0) + 1)))
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
