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
        squares: Squares | None = None,
        about: Callable[[NDArray[np.int64]], Distances] | None = None,
    ) -> Background:
        """Measure (D,) against (N, D), or against the rows of a mask; see `metrics.distances`.

        Args:
            vector: (D,) the query.
            vectors: (N, D) the places.
            metric: distance between vectors.
            where: (N,) bool, the rows searched.
            squares: of the places; those in one square count as one.
            about: distances of rows that an index has already computed, used where many places are sampled.

        >>> line = np.array([[1.0, y] for y in np.linspace(0.5, 1.5, 101)], np.float32)
        >>> Background.of([1.0, 0.0], line, "euclidean").middle
        1.0
        """
        count = len(vectors) if where is None else int(np.count_nonzero(where))
        if count == 0:
            return cls(0, float("nan"), 0.0)
        some = _evenly(len(vectors), count, where)
        known = about is not None and count > SAMPLE
        far = about(some) if about is not None and known else distances(vector, vectors[some], metric)
        middle = float(np.median(far))
        if squares is not None:
            count = squares.with_any(where)
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
            f"nothing stands out: the best z is {best[0]:.1f}, and the best of {self.count:,} random numbers (as "
            f"many as there are non-overlapping places) reaches {self.by_chance:.1f} in one of twenty cases; the "
            f"order may mean little"
        )


def _evenly(total: int, count: int, where: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """All rows that a mask allows, or of more than `SAMPLE` about as many that are evenly spaced."""
    if count <= SAMPLE:
        return np.arange(total) if where is None else np.flatnonzero(where)
    rows = np.linspace(0, total - 1, int(SAMPLE * total / count)).astype(np.int64)
    return rows if where is None else rows[where[rows]]


@dataclass(frozen=True)
class Squares:
    """What square of a grid each place lies in, to count overlapping ones as one.

    Attributes:
        number: (N,) from `squares_of`.
        held: (S,) number of places in each.
    """

    number: NDArray[np.int32]
    held: NDArray[np.int32]

    @classmethod
    def of(cls, lonlat: Floats, side_m: float) -> Squares:
        """Of (N, 2) degrees, in squares ``side_m`` wide.

        >>> Squares.of(np.array([[24.9400, 60.17], [24.9401, 60.17], [24.99, 60.17]]), 500.0).with_any()
        2
        """
        number = squares_of(lonlat, side_m)
        return cls(number, np.bincount(number).astype(np.int32))

    def with_any(self, where: NDArray[np.bool_] | None = None) -> int:
        """How many squares hold a place that an (N,) mask allows."""
        if where is None:
            return len(self.held)
        if np.count_nonzero(where) * 8 < len(where) * 7:
            numbers = self.number.take(
                np.flatnonzero(where)
            )  # a third of the time that the mask itself takes
            return int(np.count_nonzero(np.bincount(numbers, minlength=len(self.held))))
        out = np.flatnonzero(~where)
        emptied, lost = np.unique(self.number[out], return_counts=True)
        return len(self.held) - int(np.count_nonzero(self.held[emptied] == lost))


def squares_of(lonlat: Floats, side_m: float) -> NDArray[np.int32]:
    """(N,) number of the square, ``side_m`` meters wide, that holds each (N, 2) point, degrees.

    Without coordinates, or a side of 0, each has its own.

    >>> found = squares_of(np.array([[24.9400, 60.17], [24.9401, 60.17], [24.99, 60.17], [np.nan, np.nan]]), 500.0)
    >>> len(set(found.tolist())), bool(found[0] == found[1])
    (3, True)
    """
    known = np.isfinite(lonlat).all(axis=1)
    if not side_m > 0:
        return np.arange(len(lonlat), dtype=np.int32)
    row = np.floor(lonlat[known, 1] * _METERS_PER_DEGREE / side_m)
    narrow = np.cos(np.radians(np.clip((row + 0.5) * side_m / _METERS_PER_DEGREE, -90.0, 90.0)))
    both = row * 2.0**32 + np.floor(lonlat[known, 0] * _METERS_PER_DEGREE * narrow / side_m)
    del row, narrow
    order = np.argsort(both).astype(np.int32)
    both = both[order]
    numbers = np.cumsum(np.append(True, both[1:] != both[:-1])[: len(both)], dtype=np.int32) - 1
    found, at = np.empty(len(lonlat), np.int32), np.flatnonzero(known)
    found[at[order]] = numbers
    found[~known] = int(numbers[-1:].max(initial=-1)) + 1 + np.arange(len(lonlat) - len(at))
    return found
