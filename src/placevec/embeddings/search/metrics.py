"""Distances between vectors: what every index computes in the end, in float64."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import InputError
from placevec.options.choices import Metric

METRICS: tuple[Metric, ...] = get_args(Metric)

Floats32 = NDArray[np.float32]
Rows = NDArray[np.int64]
Distances = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK_ROWS = 8_192
"""Rows that are converted to float64 at once."""


def distances(vector: ArrayLike, others: ArrayLike, metric: Metric) -> Distances:
    """(M,) float64 distance of ``vector`` (D,) to each of ``others`` (M, D); smaller is nearer.

    * ``cosine``: 1 - a·b / (|a| |b|), 0 to 2; a zero vector has no direction and has distance 1 to all;
    * ``angular``: distance of the unit vectors, the square root of twice the cosine distance, 0 to 2: it ranks as the
      cosine does, and is what Annoy reports;
    * ``euclidean``: |a - b|;
    * ``manhattan``: the sum of |a_i - b_i|;
    * ``dot``: -a·b, so that the largest product comes first.

    >>> distances([1.0, 0.0], [[1.0, 0.0], [0.0, 2.0]], "cosine").tolist()
    [0.0, 1.0]
    >>> distances([1.0, 0.0], [[-3.0, 0.0]], "angular").tolist()
    [2.0]
    """
    one, many = np.asarray(vector, np.float64), np.asarray(others, np.float64)
    if metric == "euclidean":
        return np.asarray(np.linalg.norm(many - one, axis=1))
    if metric == "manhattan":
        return np.asarray(np.abs(many - one).sum(axis=1))
    if metric == "dot":
        return np.asarray(-(many @ one))
    cosine = many @ one / (never_zero(norms(many)) * never_zero(norms(one[None])))
    far = np.clip(1.0 - cosine, 0.0, 2.0)
    return np.asarray(far if metric == "cosine" else np.sqrt(2.0 * far))


def norms(vectors: NDArray[Any]) -> Distances:
    """(N,) float64 lengths, in blocks.

    >>> norms(np.array([[3.0, 4.0]])).tolist()
    [5.0]
    """
    found = np.empty(len(vectors))
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS].astype(np.float64, copy=False)
        found[start : start + BLOCK_ROWS] = np.linalg.norm(block, axis=1)
    return found


def never_zero(lengths: NDArray[Any]) -> NDArray[Any]:
    """1 where a length is zero, so that the cosine is 0 instead of NaN."""
    return np.where(lengths > 0, lengths, 1)


def by_direction(metric: Metric) -> bool:
    """Whether the length of a vector does not count."""
    return metric in ("cosine", "angular")


def checked(vectors: ArrayLike, dim: int | None = None, what: str = "a query vector") -> Floats32:
    """(Q, D) float32, without a copy if possible; InputError for another shape or values that are not finite."""
    array = np.ascontiguousarray(vectors, np.float32)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"vectors must have the shape (rows, dimensions); got {array.shape}")
    if dim is not None and array.shape[1] != dim:
        raise InputError(
            f"the query vectors have {array.shape[1]} dimensions, the searched vectors have {dim}"
        )
    for start in range(0, len(array), BLOCK_ROWS):
        if not np.isfinite(array[start : start + BLOCK_ROWS]).all():
            raise InputError(f"{what} has values that are not finite")
    return array


def checked_mask(where: Mask, count: int) -> Mask:
    """(N,) bool; InputError for anything else."""
    mask = np.asarray(where)
    if mask.dtype != bool or mask.shape != (count,):
        raise InputError(f"the filter must be a mask of {count} booleans; got {mask.dtype} {mask.shape}")
    return mask


def sorted_exactly(
    asked: Floats32, candidates: Rows, vectors: NDArray[Any], metric: Metric, k: int
) -> tuple[Rows, Distances]:
    """The ``k`` nearest of (Q, C) candidate rows, by their float64 distances, ties by row."""
    chosen, far = np.zeros((len(asked), k), np.int64), np.zeros((len(asked), k))
    step = max(1, _AT_ONCE // max(candidates.shape[1] * vectors.shape[1], 1))
    for start in range(0, len(asked), step):
        part = slice(start, start + step)
        rows = candidates[part]
        distance = _all_distances(asked[part], vectors[rows], metric)
        order = np.lexsort((rows, distance), axis=-1)[:, :k]
        chosen[part] = np.take_along_axis(rows, order, 1)
        far[part] = np.take_along_axis(distance, order, 1)
    return chosen, far


_AT_ONCE = 1_000_000


def _all_distances(asked: Floats32, others: Floats32, metric: Metric) -> Distances:
    """(Q, C) `distances` of each of (Q, D) to its own (C, D)."""
    if len(asked) == 1:
        return distances(asked[0], others[0], metric)[None]
    one, many = asked.astype(np.float64)[:, None, :], others.astype(np.float64)
    if metric == "euclidean":
        return np.asarray(np.linalg.norm(many - one, axis=2))
    if metric == "manhattan":
        return np.asarray(np.abs(many - one).sum(axis=2))
    products = np.asarray((many @ one.transpose(0, 2, 1))[:, :, 0])
    if metric == "dot":
        return -products
    lengths = never_zero(np.linalg.norm(many, axis=2)) * never_zero(np.linalg.norm(one, axis=2))
    far = np.clip(1.0 - products / lengths, 0.0, 2.0)
    return np.asarray(far if metric == "cosine" else np.sqrt(2.0 * far))
