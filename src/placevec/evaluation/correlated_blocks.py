"""The uncertainty of a mean over blocks that err together: what each block adds has an exponential covariance.

A jackknife over blocks takes them for independent. Here the variance of the mean follows from a covariance of
``share x exp(-distance / range) + (1 - share) / places`` between blocks, up to a factor. Neither range nor share is
taken for known: p and intervals are averaged over a grid of both, each weighted by its restricted likelihood (Harville
1974; for spatial data Kitanidis 1983), which asks nothing of the mean itself, and by a prior over equal steps of log
range, because the likelihood alone cannot exclude ranges as wide as the area (Berger, De Oliveira and Sanso,
"Objective Bayesian analysis of spatially correlated data", JASA 96, 2001). The prior is 1 / range where nearly all of the
variance is correlated, and rises with the range where a part is, the more the fewer blocks there are: such a part hides
in the noise of single blocks, and yet decides about the mean. The exponents and the grid of shares were chosen by
simulation (`benchmarks.calibration`), as the least that keep false claims within 5% where up to 70% of the variance of
blocks is noise and the rest is correlated over up to half the side of the area.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placevec.geo import Floats, spatial_blocks, to_ecef

Array = NDArray[np.float64]
MAX_BLOCKS = 300
"""Blocks looked at; of more, neighboring ones are joined."""
MIN_BLOCKS = 5
"""Blocks below which a covariance between them says nothing."""
_RANGES = 12
_NARROWEST = 0.25  # range by side of a block: neighboring blocks are as good as independent
_WIDEST = 0.8  # range by distance of the two blocks that lie farthest apart
_SHARES = np.array([0.0, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0])
"""Of the variance, that is correlated between blocks."""
_NEARLY_ALL = 0.9
_OF_ALL = -1.0
"""Exponent of the range in the prior where nearly all of the variance is correlated."""
_SIDES, _OF_A_PART = (6.0, 10.0, 16.0), (1.2, 0.4, 0.0)
"""The exponent where a part of it is, by the square root of the number of blocks: the fewer, the less they show."""
_EDGE = 1e-8


@dataclass(frozen=True)
class Uncertainty:
    """Of a mean: a mixture of Student's t.

    Attributes:
        variance: (K,) of the mean, for each covariance.
        weight: (K,) of each covariance, 1 in total.
        degrees: of freedom.

    >>> both = Uncertainty(np.array([0.01, 0.04]), np.array([0.5, 0.5]), 99.0)
    >>> round(both.error, 3), round(both.p(0.4), 3), round(both.half_width(0.95), 2)
    (0.158, 0.024, 0.33)
    """

    variance: Array
    weight: Array
    degrees: float

    @property
    def error(self) -> float:
        """Standard error: the root of the mean variance."""
        return float(np.sqrt(self.weight @ self.variance))

    def p(self, away: float) -> float:
        """Two-sided p of a mean that is ``away`` from the expected one."""
        from scipy.stats import t as student

        error = np.sqrt(np.maximum(self.variance, np.finfo(np.float64).tiny))
        return float(2.0 * self.weight @ student.sf(abs(away) / error, self.degrees))

    def half_width(self, level: float) -> float:
        """Half of the interval of a level."""
        from scipy.optimize import brentq
        from scipy.stats import t as student

        most = float(student.isf((1.0 - level) / 2.0, self.degrees) * np.sqrt(self.variance.max()))
        return float(brentq(lambda away: self.p(away) - (1.0 - level), 0.0, most)) if most > 0 else 0.0

    def beside(self, variance: float) -> Uncertainty:
        """With the variance of something independent."""
        return Uncertainty(self.variance + variance, self.weight, self.degrees)


class CorrelatedBlocks:
    """Blocks with their locations and the number of places in each.

    Args:
        lonlat: (B, 2) degrees of the middle of each block.
        sizes: (B,) number of places in each block.
        side_m: side of a block.

    >>> lonlat = np.stack(np.meshgrid(np.arange(4), np.arange(4)), axis=-1).reshape(-1, 2) / 111.32
    >>> blocks = CorrelatedBlocks(lonlat, np.ones(16), 1_000.0)
    >>> trend, stripes = np.repeat(np.arange(4.0), 4), np.tile([0.0, 1.0], 8)
    >>> [round(blocks.error(one.mean(), (one.sum() - one) / 15), 2) for one in (trend, stripes)]
    [0.65, 0.22]
    >>> [round(float(one.std(ddof=1)) / 4, 2) for one in (trend, stripes)]  # independent blocks
    [0.29, 0.13]
    """

    def __init__(self, lonlat: Floats, sizes: Array, side_m: float) -> None:
        self._sizes = np.asarray(sizes, np.float64)
        self._group = np.arange(len(sizes))
        self.side_m = side_m
        while self._group.max() + 1 > MAX_BLOCKS:
            self.side_m *= 2.0
            found = spatial_blocks(lonlat[:, 0], lonlat[:, 1], self.side_m)
            self._group = np.unique(found, return_inverse=True)[1].reshape(-1)
        self._places = np.bincount(self._group, weights=self._sizes)
        xyz = to_ecef(lonlat[:, 0], lonlat[:, 1]) * self._sizes[:, None]
        summed = np.stack([np.bincount(self._group, weights=one) for one in xyz.T], axis=-1)
        self._xyz = summed / self._places[:, None]

    def error(self, value: float, left_out: Array) -> float:
        """Standard error of a measure, as of `uncertainty`; NaN where that is unknown.

        >>> CorrelatedBlocks(np.zeros((3, 2)), np.ones(3), 1_000.0).error(0.5, np.array([0.4, 0.5, 0.6]))
        nan
        """
        found = self.uncertainty(value, left_out)
        return float("nan") if found is None else found.error

    def uncertainty(self, value: float, left_out: Array) -> Uncertainty | None:
        """Of a measure, from ``left_out``: (B,) the measure without each block, NaN where unknown.

        None where there are fewer than `MIN_BLOCKS` blocks, or where all lie in one place.
        """
        if len(self._places) < MIN_BLOCKS or not self._ranges.size:
            return None
        total = self._sizes.sum()
        without = np.where(np.isfinite(left_out), left_out, value)
        added = (value - without) * (total - self._sizes)  # places x influence of a place
        y = np.bincount(self._group, weights=added) / self._places
        if not np.ptp(y) > 0:
            return Uncertainty(np.zeros(1), np.ones(1), len(y) - 1.0)
        likelihood, variance = self._each(y)
        of_a_part = np.interp(np.sqrt(len(y)), _SIDES, _OF_A_PART)
        exponent = np.where(_SHARES >= _NEARLY_ALL, _OF_ALL, of_a_part)
        weight = np.exp(likelihood - likelihood.max()) * (self._ranges[:, None] / self.side_m) ** exponent
        return Uncertainty(variance.reshape(-1), weight.reshape(-1) / weight.sum(), len(y) - 1.0)

    def _each(self, y: Array) -> tuple[Array, Array]:
        """(ranges, shares) log restricted likelihood and variance of the mean."""
        along, values, ones, mean = self._axes
        seen = np.einsum("rbk,b->rk", along, y * np.sqrt(self._relative))[:, None]
        explained = (ones**2 / values).sum(axis=-1)
        free = len(y) - 1
        squares = (seen**2 / values).sum(axis=-1) - (ones * seen / values).sum(axis=-1) ** 2 / explained
        squares = np.maximum(squares, np.finfo(np.float64).tiny)
        likelihood = -0.5 * (np.log(values).sum(axis=-1) + np.log(explained) + free * np.log(squares))
        return likelihood, (mean**2 * values).sum(axis=-1) * squares / free

    @cached_property
    def _relative(self) -> Array:
        """(B,) places of each block, by their mean."""
        return np.asarray(self._places / self._places.mean())

    @cached_property
    def _distance(self) -> Array:
        square = (self._xyz**2).sum(axis=1)
        found = square[:, None] + square - 2.0 * self._xyz @ self._xyz.T
        return np.asarray(np.sqrt(np.maximum(found, 0.0)))

    @cached_property
    def _ranges(self) -> Array:
        widest = _WIDEST * float(self._distance.max())
        if not widest > 0:
            return np.zeros(0)
        narrowest = min(_NARROWEST * self.side_m, widest / 2.0)
        return np.asarray(np.geomspace(narrowest, widest, _RANGES))

    @cached_property
    def _axes(self) -> tuple[Array, Array, Array, Array]:
        """For each range the axes along which no two blocks covary, whatever the share: one decomposition a range.

        (R, B, B) axes, (R, S, B) variances along them, (R, 1, B) the vector of ones and (R, 1, B) the mean over
        places in these axes.
        """
        root = np.sqrt(self._relative)
        mean = self._places / self._places.sum() / root
        along, values = [], []
        for reach in self._ranges:
            found, axes = np.linalg.eigh(np.exp(-self._distance / reach) * root[:, None] * root)
            along.append(axes)
            values.append(np.maximum(_SHARES[:, None] * found + (1.0 - _SHARES[:, None]), _EDGE))
        axes = np.stack(along)
        return (
            axes, np.stack(values), np.einsum("rbk,b->rk", axes, root)[:, None],
            np.einsum("rbk,b->rk", axes, mean)[:, None],
        )  # fmt: skip
