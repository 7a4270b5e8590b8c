"""How far the results of a query stand out from all other places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.embeddings.search.metrics import Distances, distances
from placevec.geo import Floats
from placevec.options.choices import Metric

SAMPLE = 20_000
"""Places whose distances are measured; of more, as many evenly spaced ones."""
_SIGMA = 1.4826  # standard deviations of a normal distribution per median absolute deviation
_CHANCE = 0.05
_METERS_PER_DEGREE = 111_195.0


@dataclass(frozen=True)
class Background:
    """The distances of a query to all places that were searched.

    Attributes:
        count: number of places searched that are far enough apart to be independent: overlapping windows are one.
        middle: median distance.
        spread: median absolute deviation of the distances times 1.4826: their standard deviation if they are normal,
            whatever a few near places do; 0 if more than half are equal.
    """

    count: int
    middle: float
    spread: float

    @classmethod
    def of(
        cls,
        vector: ArrayLike,
        vectors: NDArray[np.float32],
        metric: Metric = "cosine",
        *,
        where: NDArray[np.bool_] | None = None,
        squares: NDArray[np.int64] | None = None,
        about: Callable[[NDArray[np.int64]], Distances] | None = None,
    ) -> Background:
        """Measure (D,) against (N, D), or against the rows of a mask; see `metrics.distances`.

        Args:
            vector: (D,) the query.
            vectors: (N, D) the places.
            metric: distance between vectors.
            where: (N,) bool, the rows searched.
            squares: (N,) from `squares_of`; places in one square count as one.
            about: distances of rows that an index has already computed, used where many places are sampled.

        >>> line = np.array([[1.0, y] for y in np.linspace(0.5, 1.5, 101)], np.float32)
        >>> Background.of([1.0, 0.0], line, "euclidean").middle
        1.0
        """
        rows = np.arange(len(vectors)) if where is None else np.flatnonzero(where)
        if len(rows) == 0:
            return cls(0, float("nan"), 0.0)
        some = rows if len(rows) <= SAMPLE else rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(int)]
        known = about is not None and len(rows) > SAMPLE
        far = about(some) if about is not None and known else distances(vector, vectors[some], metric)
        middle = float(np.median(far))
        count = len(rows)
        if squares is not None:
            held = np.zeros(len(squares), bool)
            held[squares[rows]] = True
            count = int(np.count_nonzero(held))
        return cls(count, middle, float(np.median(np.abs(far - middle))) * _SIGMA)

    def z(self, far: Distances) -> Distances:
        """(M,) how many spreads distances lie below the median: the larger, the more similar than most; NaN if unknown.

        >>> Background(100, 0.8, 0.1).z(np.array([0.5, 0.8])).round(6).tolist()
        [3.0, 0.0]
        """
        if not self.spread > 0:
            return np.full(len(far), np.nan)
        return (self.middle - far) / self.spread

    @property
    def by_chance(self) -> float:
        """The z that the best of as many independent normal distances exceeds in one of twenty cases.

        >>> round(Background(1_000, 0.8, 0.1).by_chance, 2)
        3.88
        """
        return NormalDist().inv_cdf((1.0 - _CHANCE) ** (1.0 / max(self.count, 1)))

    def note(self, far: Distances) -> str:
        """A remark if none of these results stands out; empty otherwise.

        >>> Background(1_000, 0.8, 0.1).note(np.array([0.3]))
        ''
        """
        best = self.z(far)[:1]
        if len(best) == 0 or best[0] > self.by_chance:
            return ""
        if not np.isfinite(best[0]):
            return "nothing stands out: most places are equally far from the query"
        return (
            f"nothing stands out: the best z is {best[0]:.1f}, and the best of {self.count:,} random numbers (as many as"
            f" places that do not overlap) reaches {self.by_chance:.1f} in one of twenty cases; the order may mean little"
        )


def squares_of(lonlat: Floats, side_m: float) -> NDArray[np.int64]:
    """(N,) number of the square, ``side_m`` meters wide, that holds each (N, 2) point, degrees.

    Without coordinates, or a side of 0, each has its own.

    >>> found = squares_of(np.array([[24.9400, 60.17], [24.9401, 60.17], [24.99, 60.17], [np.nan, np.nan]]), 500.0)
    >>> len(set(found.tolist())), bool(found[0] == found[1])
    (3, True)
    """
    known = np.isfinite(lonlat).all(axis=1)
    if not side_m > 0:
        return np.arange(len(lonlat))
    found = np.empty(len(lonlat), np.int64)
    row = np.floor(lonlat[known, 1] * _METERS_PER_DEGREE / side_m)
    narrow = np.cos(np.radians(np.clip((row + 0.5) * side_m / _METERS_PER_DEGREE, -90.0, 90.0)))
    column = np.floor(lonlat[known, 0] * _METERS_PER_DEGREE * narrow / side_m)
    both, found[known] = np.unique(row * 2.0**32 + column, return_inverse=True)
    found[~known] = len(both) + np.arange(len(lonlat) - known.sum())
    return found
