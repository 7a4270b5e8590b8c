"""Exact nearest neighbors by brute force: the default index, and the oracle for any other.

A query reads the vectors once, where they lie: they are neither copied nor scaled, filters mask scores, and beside the
vectors there are two numbers per row. A query over a million vectors of length 128 takes tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.embeddings.search.index import Index, Ranking
from placevec.embeddings.search.metrics import (
    BLOCK_ROWS,
    METRICS,
    Distances,
    Floats32,
    Mask,
    Rows,
    by_direction,
    checked,
    distances,
    never_zero,
    norms,
    sorted_exactly,
)
from placevec.embeddings.search.selection import Best, rule_out, smallest
from placevec.options.choices import Metric

__all__ = ["METRICS", "Distances", "ExactIndex", "Floats32", "Index", "Mask", "Rows", "distances"]

_SPARE = 32  # candidates beyond k that are recomputed in float64, in case of rounding at the border
_SCORES = 2_000_000  # of a batch, held at once: 8 MB, about what a cache holds
_ALL_SCORES = 16_000_000  # where k is large: 64 MB
_FEW = 5  # if fewer than one row of this many passes a filter, those rows are gathered instead of masked
_AT_ONCE = (
    65_536  # rows whose costs are computed, scaled and masked before the next, while they are in the cache
)
_GATHERED = 2_048  # rows gathered at once, into memory that stays in the cache
_ALIKE = 1e-3  # spread of the vectors, relative to their length, below which float32 needs centered copies

Costs = Callable[[Floats32, "slice | Rows"], Floats32]


class ExactIndex(Index):
    """Compares every vector; see `placevec.embeddings.search.metrics.distances` for the distances.

    Args:
        vectors: (N, D), finite; float32 is not copied.
        metric: one of `METRICS`.

    >>> index = ExactIndex([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], "cosine")
    >>> rows, distances = index.query([[0.0, 2.0]], k=2)
    >>> rows.tolist(), distances.round(3).tolist()
    ([[0, 2]], [[0.0, 0.293]])
    """

    backend = "exact"

    def __init__(self, vectors: ArrayLike, metric: Metric = "cosine") -> None:
        super().__init__(vectors, metric)
        self._prepare()

    def _prepare(self) -> None:
        """Center, factor and term: ``factor (w·v) + term`` orders rows v as the metric does, for w of `_weights`.

        Subtracting the mean from the query changes the order of neither |a - b| nor the cosine, if the term is adjusted.
        It keeps small differences between vectors that point in similar directions above float32 rounding.
        """
        vectors, dim = self.vectors, self.vectors.shape[1]
        self._searched = vectors
        self._center = np.zeros(dim)
        self._factor: Floats32 | None = None
        self._term: Floats32 | None = None
        if self.metric in ("manhattan", "dot") or len(vectors) == 0:
            return
        lengths = norms(vectors)
        size = lengths**2
        if by_direction(self.metric):
            lengths, size = never_zero(lengths), np.sign(size)
        else:
            lengths = np.ones(len(vectors))
        for part, block in _blocks(vectors):
            self._center += (1.0 / lengths[part]) @ block
        self._center /= len(vectors)
        along = np.concatenate([block @ self._center for _, block in _blocks(vectors)]) / lengths
        square = float(self._center @ self._center)
        spread = np.maximum(size - 2.0 * along + square, 0.0)
        if spread.sum() < _ALIKE**2 * size.sum():
            spread, along = self._copy_centered(lengths)
        elif by_direction(self.metric):
            self._factor = (1.0 / lengths).astype(np.float32)
        self._term = (spread if self.metric == "euclidean" else square - along).astype(np.float32)

    def _copy_centered(self, lengths: Distances) -> tuple[Distances, Distances]:
        """Search copies of vectors that hardly differ, without what they have in common.

        Returns:
            (N,) their squared lengths and, for the original ones, their products with the center.
        """
        self._searched = np.empty_like(self.vectors)
        spread, along = np.empty(len(self)), np.empty(len(self))
        for part, block in _blocks(self.vectors):
            away = block / lengths[part, None] - self._center
            self._searched[part] = away
            spread[part] = np.einsum("ij,ij->i", away, away)
            along[part] = away @ self._center
        return spread, along + float(self._center @ self._center)

    def _weights(self, asked: Floats32) -> Floats32:
        """(Q, D) queries, centered and scaled like the term."""
        if self.metric == "dot":
            return np.asarray(-asked)
        if by_direction(self.metric):
            lengths = never_zero(norms(asked))[:, None]
            return np.asarray(self._center - asked / lengths, np.float32)
        return np.asarray(-2.0 * (asked - self._center), np.float32)

    def _costs(self, weights: Floats32, rows: slice | Rows) -> Floats32:
        """(Q, M) float32 numbers that order the rows as the metric does, up to rounding; smaller is nearer."""
        block = self._searched[rows]
        cost: Floats32 = (block @ weights[0])[None] if len(weights) == 1 else weights @ block.T
        self._scale(cost, rows)
        return cost

    def _scale(self, products: Floats32, rows: slice | Rows) -> None:
        """Turn (Q, M) products of rows into their `_costs`."""
        if self._factor is not None:
            products *= self._factor[rows]
        if self._term is not None:
            products += self._term[rows]

    def _sums(self, asked: Floats32, rows: slice | Rows) -> Floats32:
        """`_costs` of the metric manhattan."""
        from scipy.spatial.distance import cdist

        block = self._searched[rows]
        found = np.empty((len(asked), len(block)), np.float32)
        for start in range(0, len(block), 4096):  # which cdist copies to float64
            part = slice(start, start + 4096)
            found[:, part] = cdist(asked, block[part], "cityblock")
        return found

    def _asking(self, asked: Floats32) -> tuple[Floats32, Costs]:
        return (asked, self._sums) if self.metric == "manhattan" else (self._weights(asked), self._costs)

    def _found(
        self, asked: Floats32, k: int, where: Mask | None, allowed: int, quality: int | None
    ) -> tuple[Rows, Distances]:
        few = None if where is None or allowed * _FEW > len(self) else np.flatnonzero(where)
        count, keep = len(self) if few is None else allowed, min(k + _SPARE, allowed)
        weights, costs = self._asking(asked)
        rows = np.empty((len(asked), keep), np.int64)
        step = max(1, _ALL_SCORES // count)
        if len(asked) <= 4 or keep * len(asked) * 8 > _SCORES:
            for start in range(0, len(asked), step):
                part = slice(start, start + step)
                rows[part] = smallest(self._all_costs(weights[part], costs, where, few), keep)
        else:
            self._in_blocks(weights, costs, where, few, count, rows)
        if few is not None:
            rows = few[rows]
        return sorted_exactly(asked, rows, self.vectors, self.metric, k)

    def _all_costs(self, weights: Floats32, costs: Costs, where: Mask | None, few: Rows | None) -> Floats32:
        """(Q, N) costs of all rows, infinite where the mask is false; of the few rows alone if given."""
        count, step = (len(self), _AT_ONCE) if few is None else (len(few), _GATHERED)
        found = np.empty((len(weights), count), np.float32)
        at_once = len(weights) == 1 and few is None and self.metric != "manhattan"
        if at_once:  # threads of the product wait for each other once, not for each part
            np.matmul(self._searched, weights[0], out=found[0])
        for start in range(0, count, step):
            part = slice(start, start + step)
            if at_once:
                self._scale(found[:, part], part)
            else:
                found[:, part] = costs(weights, part if few is None else few[part])
            if where is not None and few is None:
                rule_out(found[:, part], where[part])
        return found

    def _in_blocks(
        self,
        weights: Floats32,
        costs: Costs,
        where: Mask | None,
        few: Rows | None,
        count: int,
        rows: Rows,
    ) -> None:
        """Fill ``rows`` with the best of each query, while the scores of a block are in the cache."""
        step = max(1024, _SCORES // len(weights))
        best = Best(len(weights), rows.shape[1])
        for start in range(0, count, step):
            part = slice(start, start + step)
            found = costs(weights, part if few is None else few[part])
            if where is not None and few is None:
                rule_out(found, where[part])
            best.add(found, start)
        rows[:] = best.rows()

    def ranking(self, vector: ArrayLike, *, where: Mask | None = None, quality: int | None = None) -> Ranking:
        """Rank all rows for one vector: the vectors are read once, however many results are drawn later."""
        asked = checked(np.reshape(np.asarray(vector, np.float32), (1, -1)), self.vectors.shape[1])
        allowed = len(self) if where is None else int(np.count_nonzero(where))
        if allowed == 0:
            return super().ranking(vector, where=where)
        few = None if where is None or allowed * _FEW > len(self) else np.flatnonzero(where)
        weights, costs = self._asking(asked)
        found = self._all_costs(weights, costs, where, few)
        kept = None  # costs of rows that were dropped are infinite in it, but not in what `about` reads
        left = None

        def draw(k: int) -> tuple[Rows, Distances]:
            k = min(k, allowed)
            rows = smallest(found if kept is None else kept, min(k + _SPARE, allowed))
            rows, far = sorted_exactly(
                asked, rows if few is None else few[rows], self.vectors, self.metric, k
            )
            return rows[0], far[0]

        def about(rows: Rows) -> Distances:
            at = rows if few is None else np.searchsorted(few, rows)
            return self._as_distances(found[0, at].astype(np.float64), asked)

        def drop(rows: Rows) -> int:
            nonlocal allowed, kept, left
            if kept is None or left is None:
                kept, left = found.copy(), np.ones(len(self), bool) if where is None else where.copy()
            rows = np.sort(rows[left[rows]])  # in order, they are found in a few rows the faster
            left[rows] = False
            kept[0, rows if few is None else np.searchsorted(few, rows)] = np.inf
            allowed = int(np.count_nonzero(left))
            return allowed

        return Ranking(draw, about, drop)

    def _as_distances(self, cost: Distances, asked: Floats32) -> Distances:
        """Distances from the float32 costs of one query: as exact as these."""
        if self.metric in ("manhattan", "dot"):
            return cost
        centered = (
            self._searched is not self.vectors
        )  # what the centers have in common is not in the cost then
        if self.metric == "euclidean":
            away = asked[0] - self._center
            left = 0.0 if centered else 2.0 * float(away @ self._center)
            return np.asarray(np.sqrt(np.maximum(cost + left + float(away @ away), 0.0)))
        unit = asked[0] / never_zero(norms(asked))[0]
        left = float((unit if centered else self._center) @ self._center)
        far: Distances = np.clip(1.0 + cost - left, 0.0, 2.0)
        return far if self.metric == "cosine" else np.sqrt(2.0 * far)

    def _grown(self, vectors: Floats32) -> None:
        self.vectors = vectors
        self._prepare()


def _blocks(vectors: Floats32) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """(slice, float64 rows) of all vectors."""
    for start in range(0, len(vectors), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        yield part, vectors[part].astype(np.float64)
