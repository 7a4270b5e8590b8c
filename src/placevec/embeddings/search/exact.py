"""Exact nearest neighbors by brute force, in blocks: the default index, and the oracle for any other.

A query over a million vectors of length 128 takes tens of milliseconds and only the memory of one block of scores.
"""

from __future__ import annotations

from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import InputError
from placevec.options.choices import Metric

METRICS: tuple[Metric, ...] = get_args(Metric)

Floats32 = NDArray[np.float32]
Rows = NDArray[np.int64]
Distances = NDArray[np.float64]
Mask = NDArray[np.bool_]

_BLOCK_ROWS = 65_536
_BLOCK_SCORES = 16_000_000  # float32 scores held at once: 64 MB
_SPARE = 32  # candidates beyond k that are recomputed in float64, in case of rounding at the border


class Index(Protocol):
    """Finds the nearest vectors, exactly or approximately."""

    def query(self, vectors: ArrayLike, k: int, *, where: Mask | None = None) -> tuple[Rows, Distances]:
        """(Q, k) rows and distances, nearest first, of ``vectors`` (Q, D) among the rows of ``where``."""
        ...


class ExactIndex:
    """Compares every vector.

    Distances, smaller is nearer, for vectors a and b:

    * ``cosine``: 1 - a·b / (|a| |b|), 0 to 2; a zero vector has no direction and has distance 1 to all;
    * ``euclidean``: |a - b|;
    * ``manhattan``: the sum of |a_i - b_i|;
    * ``dot``: -a·b, so that the largest product comes first.

    Args:
        vectors: (N, D), finite; kept as float32.
        metric: one of `METRICS`.

    >>> index = ExactIndex([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], "cosine")
    >>> rows, distances = index.query([[0.0, 2.0]], k=2)
    >>> rows.tolist(), distances.round(3).tolist()
    ([[0, 2]], [[0.0, 0.293]])
    """

    def __init__(self, vectors: ArrayLike, metric: Metric = "cosine") -> None:
        if metric not in METRICS:
            raise InputError(f"unknown metric {metric!r}: choose from {', '.join(METRICS)}")
        self.metric: Metric = metric
        self.vectors = _checked(vectors, None)
        self._searched, self._center, self._term = _prepared(self.vectors, metric)

    def __len__(self) -> int:
        return len(self.vectors)

    def query(self, vectors: ArrayLike, k: int, *, where: Mask | None = None) -> tuple[Rows, Distances]:
        """The ``k`` nearest rows of each of ``vectors`` (Q, D).

        Args:
            vectors: (Q, D), finite.
            k: number of neighbors; fewer are returned if there are fewer.
            where: (N,) bool, rows to search; all if None.

        Returns:
            ``(rows, distances)``: (Q, min(k, allowed)) int64 and float64, nearest first, ties by row.
        """
        asked = _checked(vectors, self.vectors.shape[1])
        if k < 1:
            raise InputError(f"the number of neighbors must be at least 1; got {k}")
        allowed = np.arange(len(self)) if where is None else np.flatnonzero(_mask(where, len(self)))
        k = min(int(k), len(allowed))
        if k == 0 or len(asked) == 0:
            return np.zeros((len(asked), k), np.int64), np.zeros((len(asked), k))
        step = max(1, _BLOCK_SCORES // min(_BLOCK_ROWS, len(allowed)))
        parts = [self._query_block(asked[i : i + step], k, allowed) for i in range(0, len(asked), step)]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([far for _, far in parts])

    def _query_block(self, asked: Floats32, k: int, allowed: Rows) -> tuple[Rows, Distances]:
        """Candidates by float32 scores, block by block; then computed exactly and sorted."""
        keep = min(k + _SPARE, len(allowed))
        moved = self._moved(asked)
        score, row = np.zeros((len(asked), 0), np.float32), np.zeros((len(asked), 0), np.int64)
        whole = len(allowed) == len(self)  # then a slice of the vectors, without a copy
        for start in range(0, len(allowed), _BLOCK_ROWS):
            rows = allowed[start : start + _BLOCK_ROWS]
            found = self._scores(moved, slice(start, start + _BLOCK_ROWS) if whole else rows)
            found, rows = _smallest(found, np.broadcast_to(rows, found.shape), keep)
            score, row = _smallest(np.hstack([score, found]), np.hstack([row, rows]), keep)
        return self._sorted(asked, row, k)

    def _moved(self, asked: Floats32) -> Floats32:
        """Queries, centered like the searched vectors."""
        unit = asked / _never_zero(_norms(asked))[:, None] if self.metric == "cosine" else asked
        return np.asarray(unit - self._center, np.float32)

    def _scores(self, asked: Floats32, rows: Rows | slice) -> Floats32:
        """(Q, M) float32 scores that order the rows as the metric does, up to rounding."""
        block = self._searched[rows]
        if self.metric == "manhattan":
            from scipy.spatial.distance import cdist

            return np.asarray(cdist(asked, block, "cityblock"), np.float32)
        score: Floats32 = self._term[rows] - 2.0 * (asked @ block.T)
        return score

    def _sorted(self, asked: Floats32, rows: Rows, k: int) -> tuple[Rows, Distances]:
        """The candidates recomputed in float64; the ``k`` nearest of each query, ties by row."""
        chosen = np.zeros((len(asked), k), np.int64)
        far = np.zeros((len(asked), k))
        for i, vector in enumerate(asked):
            distance = distances(vector, self.vectors[rows[i]], self.metric)
            order = np.lexsort((rows[i], distance))[:k]
            chosen[i], far[i] = rows[i][order], distance[order]
        return chosen, far


def _smallest(score: Floats32, rows: Rows, keep: int) -> tuple[Floats32, Rows]:
    """The ``keep`` smallest scores of each query and their rows, unordered."""
    if score.shape[1] <= keep:
        return score, rows
    part = np.argpartition(score, keep - 1, axis=1)[:, :keep]
    return np.take_along_axis(score, part, 1), np.take_along_axis(rows, part, 1)


def _prepared(vectors: Floats32, metric: Metric) -> tuple[Floats32, Floats32, Floats32]:
    """(searched (N, D), center (D,), term (N,)): ``term - 2 (a - center)·searched`` orders as the metric does.

    Subtracting the mean from all vectors changes the order of neither |a - b| nor the cosine (with the term adjusted).
    It keeps small differences between vectors that point in similar directions above float32 rounding.
    """
    searched, center = vectors, np.zeros(vectors.shape[1], np.float32)
    term = np.zeros(len(vectors), np.float32)
    if metric in ("cosine", "euclidean") and len(vectors):
        if metric == "cosine":
            searched = np.asarray(vectors / _never_zero(_norms(vectors)).astype(np.float32)[:, None])
        center = searched.mean(0, np.float64).astype(np.float32)
        searched = searched - center
        term = _norms(searched).astype(np.float32) ** 2 if metric == "euclidean" else -2 * (searched @ center)
    return searched, center, term


def distances(vector: ArrayLike, others: ArrayLike, metric: Metric) -> Distances:
    """(M,) float64 distance of ``vector`` (D,) to each of ``others`` (M, D), as `ExactIndex` defines it.

    >>> distances([1.0, 0.0], [[1.0, 0.0], [0.0, 2.0]], "cosine").tolist()
    [0.0, 1.0]
    """
    one, many = np.asarray(vector, np.float64), np.asarray(others, np.float64)
    if metric == "euclidean":
        return np.asarray(np.linalg.norm(many - one, axis=1))
    if metric == "manhattan":
        return np.asarray(np.abs(many - one).sum(axis=1))
    if metric == "dot":
        return np.asarray(-(many @ one))
    cosine = many @ one / (_never_zero(_norms(many)) * _never_zero(_norms(one[None])))
    return np.asarray(np.clip(1.0 - cosine, 0.0, 2.0))


def _norms(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) float64 lengths, in blocks."""
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS].astype(np.float64, copy=False)
        norms[start : start + _BLOCK_ROWS] = np.linalg.norm(block, axis=1)
    return norms


def _never_zero(norms: NDArray[Any]) -> NDArray[Any]:
    """1 where a length is zero, so that the cosine is 0 instead of NaN."""
    return np.where(norms > 0, norms, 1)


def _checked(vectors: ArrayLike, dim: int | None) -> Floats32:
    array = np.ascontiguousarray(vectors, np.float32)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"vectors must have the shape (rows, numbers); got {array.shape}")
    if dim is not None and array.shape[1] != dim:
        raise InputError(f"the query vectors have {array.shape[1]} numbers, the searched vectors have {dim}")
    if not np.isfinite(array).all():
        raise InputError("a query vector has values that are not finite")
    return array


def _mask(where: Mask, count: int) -> Mask:
    mask = np.asarray(where)
    if mask.dtype != bool or mask.shape != (count,):
        raise InputError(f"the filter must be a mask of {count} booleans; got {mask.dtype} {mask.shape}")
    return mask
