"""The one resampling of blocks: draws with replacement and a jackknife, the same for everything that is compared.

Places of one block err together, and resampling single places would make intervals too narrow (Kunsch, "The jackknife
and the bootstrap for general stationary observations", Annals of Statistics 17, 1989). Intervals and p are studentized
by a jackknife over blocks, on a scale where a measure is about symmetric, with Student's t of as many degrees of
freedom as there are effective blocks less one: they hold what they promise with ten blocks, where percentiles of draws
do not (`benchmarks.calibration`). Errors may be alike over more than a block: intervals and p are made with blocks of
one, two and four sides and with blocks that err together (`correlated_blocks`), and the widest interval and the largest
p count. Draws serve what has no blocks of its own: ranks, and means over tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.correlated_blocks import CorrelatedBlocks, Uncertainty
from placevec.evaluation.scores import LOWER_IS_BETTER, Array, mean_known, weighted_mean
from placevec.geo import Floats, spatial_blocks

Measure = Callable[[Array], Array]
"""(W, blocks) weights -> (W,) values."""
Scale = Literal["identity", "log", "logit", "log of what is lost"]
MULTIPLES = (1, 2, 4)
"""Sides, in blocks, of which a standard error is computed; intervals and p take the widest."""
FLAT = (1.0, 1.25, 1.5)
"""How much larger than with single blocks a standard error may be with wider ones to be called flat."""
MIN_GROUPS = 5
"""Blocks below which a multiple says nothing."""
_EDGE = 1e-9


@dataclass(frozen=True)
class Score:
    """A measure with what its uncertainty is computed from.

    Attributes:
        value: as measured, mean of the shuffles.
        places: it was measured on.
        draws: (W,) the measure in every draw.
        left_out: for each of `MULTIPLES` (groups,) the measure without one group of blocks.
        effective: for each multiple the effective number of groups.
        by_seed: (S,) the measure of each shuffle.
        scale: on which its interval is computed.
        losses: (N,) loss of each place, NaN where it was not tested; empty where nobody looked.
        known: the interval itself, where it does not come from blocks.
        together: how blocks may err together; None where nobody knows where they lie.
    """

    value: float
    places: int = 0
    draws: Array = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    left_out: tuple[Array, ...] = field(default=(), repr=False, compare=False)
    effective: tuple[float, ...] = field(default=(), repr=False, compare=False)
    by_seed: Array = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    scale: Scale = "identity"
    losses: Array = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    known: tuple[float, float] | None = field(default=None, repr=False)
    together: CorrelatedBlocks | None = field(default=None, repr=False, compare=False)

    def __sub__(self, other: Score) -> Score:
        """The paired difference: both were measured in the same draws and without the same blocks."""
        return Score(
            self.value - other.value, min(self.places, other.places), self.draws - other.draws,
            tuple(one - two for one, two in zip(self.left_out, other.left_out, strict=True)), self.effective,
            self.by_seed - other.by_seed, losses=self.losses - other.losses, together=self.together,
        )  # fmt: skip

    @property
    def errors(self) -> tuple[float, ...]:
        """Standard errors with blocks of 1, 2 and 4 sides; NaN where there are fewer than two."""
        return tuple(self._error(one, "identity") for one in self.left_out)

    @property
    def flat(self) -> bool:
        """Whether standard errors do not grow with the side of the blocks: errors are alike within blocks only."""
        first, *_ = self.errors or (float("nan"),)
        pairs = zip(self.errors, FLAT, self.effective, strict=False)
        return all(error <= allowed * first for error, allowed, many in pairs if many >= 2 and error == error)

    @property
    def correlated_error(self) -> float:
        """Standard error where neighboring blocks err together as much as they seem to; NaN where nobody knows.

        >>> Score(0.5, left_out=(np.array([0.4, 0.6]),), effective=(2.0,)).correlated_error
        nan
        """
        found = self._together("identity")
        return float("nan") if found is None else found.error

    @property
    def independent(self) -> float:
        """Number of independent blocks that would leave the same error: the effective blocks, or fewer where their
        errors are correlated.

        >>> Score(0.5, left_out=(np.array([0.4, 0.6]),), effective=(2.0,)).independent  # nobody knows where they lie
        2.0
        """
        many, error = (self.effective or (float("inf"),))[0], self.correlated_error
        return many * min(1.0, (self.errors[0] / error) ** 2) if error > 0 else many

    @property
    def low(self) -> float:
        """Lower end of the 95% interval; NaN where there are too few blocks for one."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """Upper end of the 95% interval; NaN where there are too few blocks for one."""
        return self._ends[1]

    @property
    def p(self) -> float:
        """Two-sided p-value that the value is zero: the largest over all block sizes and with correlated errors."""
        from scipy.stats import t as student

        found = []
        for error, many in self._usable():
            if error > 0:
                found.append(2.0 * float(student.sf(abs(self.value) / error, many - 1.0)))
            else:
                found.append(1.0 if self.value == 0 else 0.0)
        together = self._together("identity")
        if found and together is not None and together.error > 0:
            found.append(together.p(self.value))
        return max(found, default=1.0)

    def _usable(self, scale: Scale = "identity") -> list[tuple[float, float]]:
        """(standard error, effective blocks) with blocks of each side of which there are enough."""
        found = []
        for number, (one, many) in enumerate(zip(self.left_out, self.effective, strict=False)):
            error = self._error(one, scale)
            if error == error and many > 1.5 and (number == 0 or many >= MIN_GROUPS):
                found.append((error, many))
        return found

    def _together(self, scale: Scale) -> Uncertainty | None:
        """The uncertainty with correlated blocks; None if it cannot be estimated."""
        if self.together is None or not self.left_out:
            return None
        if scale not in self._known_together:
            value = float(_to(scale, np.array([self.value]))[0])
            found = self.together.uncertainty(value, _to(scale, self.left_out[0]))
            self._known_together[scale] = None if found is None else found.beside(self._shufflings(scale))
        return self._known_together[scale]

    @cached_property
    def _known_together(self) -> dict[Scale, Uncertainty | None]:
        """A cache, because the lines of a report need the same values repeatedly."""
        return {}

    def _shufflings(self, scale: Scale) -> float:
        """The part of the variance that comes from the shuffles."""
        seeds = _to(scale, self.by_seed)
        return float(seeds.var(ddof=1)) / len(seeds) if len(seeds) > 1 else 0.0

    def _error(self, left_out: Array, scale: Scale) -> float:
        values = _to(scale, left_out[np.isfinite(left_out)])
        if len(values) < 2:
            return float("nan")
        blocks = (len(values) - 1) / len(values) * float(((values - values.mean()) ** 2).sum())
        return float(np.sqrt(blocks + self._shufflings(scale)))

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The ends of the 95% interval, low and high."""
        from scipy.stats import t as student

        if self.known is not None:
            return self.known
        middle = float(_to(self.scale, np.array([self.value]))[0])
        found = [float(student.ppf(0.975, many - 1.0)) * error for error, many in self._usable(self.scale)]
        if not found:
            return float("nan"), float("nan")
        together = self._together(self.scale)
        away = max([*found, together.half_width(0.95) if together is not None else 0.0])
        ends = _from(self.scale, np.array([middle - away, middle + away]))
        return float(ends.min()), float(ends.max())


def _to(scale: Scale, values: Array) -> Array:
    if scale == "log":
        return np.log(np.maximum(values, _EDGE))
    if scale == "logit":
        inside = np.clip(values, _EDGE, 1.0 - _EDGE)
        return np.asarray(np.log(inside / (1.0 - inside)))
    if scale == "log of what is lost":
        return np.log(np.maximum(1.0 - values, _EDGE))
    return values


def _from(scale: Scale, values: Array) -> Array:
    if scale == "log":
        return np.asarray(np.exp(values))
    if scale == "logit":
        return np.asarray(1.0 / (1.0 + np.exp(-values)))
    if scale == "log of what is lost":
        return np.asarray(1.0 - np.exp(values))
    return values


def scale_of(metric: str) -> Scale:
    """Where a measure is about symmetric: R² by the share of variance that is lost, shares by their odds.

    >>> scale_of("R²"), scale_of("macro-F1"), scale_of("MAE")
    ('log of what is lost', 'logit', 'log')
    """
    if metric == "R²":
        return "log of what is lost"
    return "log" if metric in LOWER_IS_BETTER else "logit"


class Resampling:
    """Draws of blocks and shuffles, and the blocks left out in turn.

    Args:
        block: (N,) block of each place, any whole numbers.
        draws: how many.
        seeds: shuffles of the folds, each predicted once.
        seed: of the draws.
        lonlat: (N, 2) degrees of the places, from which wider blocks are made; without, there are none.
        side_m: side of a block.
    """

    def __init__(
        self, block: NDArray[np.int64], *, draws: int, seeds: int = 1, seed: int = 0, lonlat: Floats | None = None,
        side_m: float = 0.0,
    ) -> None:  # fmt: skip
        names, numbers = np.unique(block, return_inverse=True)
        self.block = np.asarray(numbers, np.int64)
        self.count = len(names)
        random = np.random.default_rng([seed, 0xB007])
        drawn = random.multinomial(self.count, np.full(self.count, 1.0 / self.count), size=draws)
        self.seeds = random.integers(0, seeds, (draws, seeds))
        sizes = np.bincount(self.block).astype(np.float64)
        groups = [np.arange(self.count)]
        self.together: CorrelatedBlocks | None = None
        if lonlat is not None:
            middle = (
                np.stack([np.bincount(self.block, weights=one) for one in _safe(lonlat).T], axis=-1)
                / sizes[:, None]
            )
            if side_m > 0 and self.count >= MIN_GROUPS:
                degrees = np.stack(
                    [(middle[:, 0] + lonlat[0, 0] + 180.0) % 360.0 - 180.0, middle[:, 1]], axis=-1
                )
                self.together = CorrelatedBlocks(degrees, sizes, side_m)
            groups += [_wider(middle, factor * side_m) for factor in MULTIPLES[1:]]
        self.effective = tuple(
            _effective(np.bincount(group, weights=sizes).astype(np.float64)) for group in groups
        )
        rows = [1.0 - np.eye(int(group.max()) + 1)[:, group] for group in groups]
        self.ends = np.cumsum([1 + draws, *map(len, rows)])
        self.weights = np.vstack([np.ones(self.count), drawn, *rows]).astype(
            np.float64
        )  # the first row is as it is

    def score(
        self, measures: Sequence[Measure], places: int = 0, scale: Scale = "identity", losses: Array | None = None
    ) -> Score:  # fmt: skip
        """The mean of a measure over the shuffles, one `Measure` each."""
        each = np.zeros(0) if losses is None else losses
        table = np.stack([measure(self.weights) for measure in measures], axis=-1)
        by_seed = np.asarray(table[0], np.float64)
        if self.count < 2:
            return Score(float(mean_known(by_seed)), places, table[:0, 0], scale=scale, losses=each)
        drawn = mean_known(np.take_along_axis(table[1 : self.ends[0]], self.seeds, axis=1))
        means = mean_known(table)
        left_out = tuple(means[start:end] for start, end in zip(self.ends[:-1], self.ends[1:], strict=True))
        known = by_seed[np.isfinite(by_seed)]
        return Score(
            float(means[0]),
            places,
            drawn,
            left_out,
            self.effective,
            known,
            scale,
            each,
            together=self.together,
        )


def _safe(lonlat: Floats) -> Floats:
    """Coordinates whose mean over a block is in the block: longitudes relative to the first place, unwrapped."""
    lon = (lonlat[:, 0] - lonlat[0, 0] + 180.0) % 360.0 - 180.0
    return np.stack([lon, lonlat[:, 1]], axis=-1)


def _wider(lonlat: Floats, side_m: float) -> NDArray[np.int64]:
    """(B,) wider block of each block, numbered from 0."""
    found = spatial_blocks((lonlat[:, 0] + 180.0) % 360.0 - 180.0, lonlat[:, 1], side_m)
    return np.asarray(np.unique(found, return_inverse=True)[1], np.int64)


def _effective(sizes: Array) -> float:
    """(sum n)² / sum n²: as many blocks of equal size would spread the places as widely."""
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def interval(values: Array, level: float = 0.95) -> tuple[float, float]:
    """(low, high) percentiles that enclose ``level`` of the draws; NaN where nothing is known.

    >>> [round(end, 1) for end in interval(np.arange(101.0))]
    [2.5, 97.5]
    """
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def of_draws(value: float, draws: Array, places: int = 0) -> Score:
    """A score whose interval encloses 95% of draws that are not of blocks, such as of tasks."""
    return Score(value, places, draws, known=interval(draws))


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


def mean_of(values: Floats, over: Resampling, scale: Scale = "logit") -> Score:
    """The mean of (N,) values, one per place."""
    return over.score([partial(weighted_mean, values, over.block)], len(values), scale, values)
