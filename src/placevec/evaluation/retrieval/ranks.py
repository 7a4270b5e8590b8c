"""Where the true candidate stands among all that are as near: ranks, recalls and their chance level in closed form.

Candidates of equal similarity share their ranks: whoever breaks ties at random finds the true one among the first k
with the probability that is counted here. Vectors that are all the same, or texts that are, then score as chance does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import EvaluationError
from placevec.evaluation.scores import Array
from placevec.geo import Ints

KS = (1, 5, 10)
_AT_ONCE = 2_048
_EQUAL = 1e-6
"""Cosines of float32 vectors that differ by less are equal: the same text may be rounded in two ways."""


@dataclass(frozen=True)
class Found:
    """How each of n queries found its own candidate.

    Attributes:
        nearer: (n,) candidates that are nearer than the true one.
        equal: (n,) candidates that are as near, the true one included: at least 1.
        candidates: (n,) size of the pool.
    """

    nearer: Array
    equal: Array
    candidates: Array

    @property
    def rank(self) -> Array:
        """(n,) mean rank, 1 is best."""
        return np.asarray(self.nearer + (self.equal + 1.0) / 2.0)

    def within(self, k: int) -> Array:
        """(n,) probability that the true one is among the first ``k``, ties broken at random.

        >>> Found(np.array([0.0, 2.0]), np.array([4.0, 1.0]), np.array([4.0, 4.0])).within(2).tolist()
        [0.5, 0.0]
        """
        return np.clip((k - self.nearer) / self.equal, 0.0, 1.0)


def found(images: ArrayLike, words: ArrayLike, pool: ArrayLike) -> Found:
    """How (n, D) images find their own words, row i of both a pair, by cosine.

    Args:
        images: that ask.
        words: that are found; exchange both to let words ask.
        pool: (n,) any whole numbers: only pairs of equal numbers are candidates for each other.

    >>> found(np.eye(3), np.eye(3), np.zeros(3, np.int64)).rank.tolist()
    [1.0, 1.0, 1.0]
    """
    asking, answering, pools = unit(images), unit(words), np.asarray(pool, np.int64)
    if asking.shape != answering.shape or len(pools) != len(asking):
        raise EvaluationError(
            f"images {asking.shape}, words {answering.shape} and pools {pools.shape} must belong to the same pairs"
        )
    if not (np.isfinite(asking).all() and np.isfinite(answering).all()):
        raise EvaluationError("vectors of images or words are not finite")
    nearer, equal, candidates = (np.zeros(len(pools)) for _ in range(3))
    for rows in _groups(pools):
        among = answering[rows].T
        candidates[rows] = len(rows)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            cosines = asking[some] @ among
            own = cosines[np.arange(len(some)), np.arange(start, start + len(some))][:, None]
            nearer[some] = (cosines > own + _EQUAL).sum(axis=1)
            equal[some] = (np.abs(cosines - own) <= _EQUAL).sum(axis=1)
    return Found(nearer, equal, candidates)


def by_chance(pool: ArrayLike) -> Found:
    """What knows nothing, in closed form: all candidates of a pool are as near."""
    size = _sizes(np.asarray(pool, np.int64))
    return Found(np.zeros(len(size)), size, size)


def by_type(types: ArrayLike, pool: ArrayLike) -> Found:
    """What knows the type of every image and of every text, and nothing else; types below 0 are not known.

    A query of known type has those of its type before all others; one without has no order at all.

    >>> by_type([0, 0, 1, 1], [0, 0, 0, 0]).rank.tolist()
    [1.5, 1.5, 1.5, 1.5]
    """
    codes, pools = np.asarray(types, np.int64), np.asarray(pool, np.int64)
    size = _sizes(pools)
    _, both = np.unique(np.stack([codes, pools], axis=-1), axis=0, return_inverse=True)
    return Found(np.zeros(len(size)), np.where(codes >= 0, _sizes(both.reshape(-1)), size), size)


def unit(vectors: ArrayLike) -> NDArray[np.float64]:
    """(n, D) float64 scaled to length 1; zeros stay.

    >>> unit([[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    rows = np.asarray(vectors, np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12))


def _groups(pool: Ints) -> list[Ints]:
    order = np.argsort(pool, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(pool[order])) + 1) if len(pool) else []


def _sizes(pool: Ints) -> Array:
    _, number, counts = np.unique(pool, return_inverse=True, return_counts=True)
    return np.asarray(counts[number.reshape(-1)], np.float64)
