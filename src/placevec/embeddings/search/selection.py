"""The smallest numbers of many, faster than by partitioning all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.search.metrics import Floats32, Mask, Rows

_GROUPS = 4  # groups for each number wanted
_AT_LEAST = 64  # numbers in a group; of fewer, all are partitioned


def smallest(costs: Floats32, keep: int) -> Rows:
    """(Q, keep) positions of the smallest of (Q, N) numbers, unordered; infinite ones only if the others do not suffice.

    >>> smallest(np.array([[3.0, 1.0, 2.0]], np.float32), 2).tolist()
    [[1, 2]]
    """
    found = np.empty((len(costs), keep), np.int64)
    for row, cost in enumerate(costs):
        near = np.flatnonzero(cost <= _bound(cost, keep))
        if len(near) < keep:  # numbers that are not comparable
            near = np.arange(len(cost))
        part = np.argpartition(cost[near], keep - 1)[:keep] if len(near) > keep else slice(None)
        found[row] = np.sort(near[part])
    return found


def _bound(cost: Floats32, keep: int) -> np.float32:
    """A number that at least ``keep`` do not exceed: the ``keep``-th smallest minimum of groups."""
    size = len(cost) // (_GROUPS * keep) if keep else 0
    if size < _AT_LEAST:
        return np.float32(np.inf)
    groups = len(cost) // size
    minima = cost[: groups * size].reshape(groups, size).min(axis=1)
    return np.float32(np.partition(minima, keep - 1)[keep - 1])


def rule_out(costs: Floats32, where: Mask) -> None:
    """Make (Q, M) costs infinite where an (M,) mask is false: in arithmetic, several times as fast as by the mask.

    >>> costs = np.array([[1.0, -2.0]], np.float32)
    >>> rule_out(costs, np.array([True, False]))
    >>> costs.tolist()
    [[1.0, inf]]
    """
    bits = np.subtract(
        where.view(np.int8), 1, dtype=np.int32
    )  # all of them where the mask is false, else none
    bits &= _INFINITE
    costs += bits.view(np.float32)


_INFINITE = np.array(np.inf, np.float32).view(np.int32)


class Best:
    """The ``keep`` smallest numbers of each of Q queries, from blocks of numbers.

    Only numbers below the largest one kept so far are looked at: after a few blocks these are few.

    >>> best = Best(1, 2)
    >>> best.add(np.array([[5.0, 4.0]], np.float32), 0)
    >>> best.add(np.array([[1.0, 9.0]], np.float32), 2)
    >>> best.rows().tolist()
    [[2, 1]]
    """

    def __init__(self, queries: int, keep: int) -> None:
        self.keep = keep
        self._limit = np.full(queries, np.inf, np.float32)
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats32]] = []
        self._waiting = 0

    def add(self, costs: Floats32, start: int) -> None:
        """(Q, M) numbers of the rows from ``start``."""
        limit = self._limit
        if not np.isfinite(limit).all() and costs.shape[1] >= _AT_LEAST * self.keep:
            bounds = np.array([_bound(cost, self.keep) for cost in costs], np.float32)
            limit = np.minimum(limit, np.nextafter(bounds, np.float32(np.inf)))
        queries, columns = np.divmod(np.flatnonzero(costs < limit[:, None]), costs.shape[1])
        self._parts.append((queries, columns + start, costs[queries, columns]))
        self._waiting += len(queries)
        if self._waiting > 4 * self.keep * len(self._limit) or np.isinf(self._limit).any():
            self._settle()

    def _settle(self) -> None:
        queries, rows, costs = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.lexsort((rows, costs, queries))
        queries = queries[order]
        starts = np.searchsorted(queries, np.arange(len(self._limit) + 1))
        kept = np.arange(len(queries)) - starts[queries] < self.keep
        full = starts[1:] - starts[:-1] >= self.keep
        self._limit[full] = costs[order][starts[:-1][full] + self.keep - 1]
        order = order[kept]
        self._parts = [(queries[kept], rows[order], costs[order])]
        self._waiting = 0

    def rows(self) -> Rows:
        """(Q, keep) rows, by their numbers; every query must have been given as many finite ones."""
        self._settle()
        return self._parts[0][1].reshape(len(self._limit), self.keep)
