"""The one bootstrap: whole blocks of places drawn with replacement, the same draws for everything that is compared.

Places of one block err together, and resampling single places would make intervals too narrow (Kunsch, "The jackknife
and the bootstrap for general stationary observations", Annals of Statistics 17, 1989). Every draw also draws the
shufflings of the folds. The same draws serve every row, so differences between rows are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.scores import Array, mean_known

Measure = Callable[[Array], Array]
"""(W, blocks) weights -> (W,) values."""


@dataclass(frozen=True)
class Score:
    """A measure with its 95 % interval.

    Attributes:
        value: as measured.
        low: of the interval; NaN where there are too few blocks for one.
        high: of the interval.
        places: it was measured on.
        draws: (W,) the measure in every draw.
    """

    value: float
    low: float
    high: float
    places: int = 0
    draws: Array = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def __sub__(self, other: Score) -> Score:
        """The paired difference: both were measured in the same draws."""
        apart = self.draws - other.draws
        return Score(self.value - other.value, *interval(apart), min(self.places, other.places), apart)


class Resampling:
    """Draws of blocks and shufflings.

    Args:
        block: (N,) block of each place, any whole numbers.
        draws: how many.
        seeds: shufflings of the folds, each predicted once.
        seed: of the draws.
    """

    def __init__(self, block: NDArray[np.int64], *, draws: int, seeds: int = 1, seed: int = 0) -> None:
        names, numbers = np.unique(block, return_inverse=True)
        self.block = np.asarray(numbers, np.int64)
        self.count = len(names)
        random = np.random.default_rng([seed, 0xB007])
        drawn = random.multinomial(self.count, np.full(self.count, 1.0 / self.count), size=draws)
        self.weights = np.vstack([np.ones(self.count), drawn]).astype(np.float64)  # the first row is as it is
        self.seeds = random.integers(0, seeds, (draws, seeds))

    def score(self, measures: Sequence[Measure], places: int = 0) -> Score:
        """The mean of a measure over the shufflings, one `Measure` each."""
        table = np.stack([measure(self.weights) for measure in measures], axis=-1)
        if self.count < 2:
            return Score(float(mean_known(table[0])), float("nan"), float("nan"), places, table[:0, 0])
        drawn = mean_known(np.take_along_axis(table[1:], self.seeds, axis=1))
        return Score(float(mean_known(table[0])), *interval(drawn), places, drawn)


def interval(values: Array, level: float = 0.95) -> tuple[float, float]:
    """(low, high) percentiles that enclose ``level`` of the draws; NaN where nothing is known."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def two_sided(differences: Array) -> float:
    """The bootstrap's p that a difference is zero: twice the smaller share of draws at or beyond zero, never 0."""
    known = differences[np.isfinite(differences)]
    if len(known) == 0:
        return 1.0
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2.0 * (smaller + 1) / (len(known) + 1))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p of a family of comparisons (Holm 1979): rejecting those below a level keeps the family's error there.

    >>> [round(one, 3) for one in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.zeros(len(p))
    running = 0.0
    for place, number in enumerate(order):
        running = max(running, min(1.0, (len(p) - place) * p[number]))
        adjusted[number] = running
    return [float(one) for one in adjusted]
