"""Numbers about vectors that need no probe: collapse, triplets, retrieval, neighbourhoods.

All take numpy arrays or torch tensors (on any device) and return plain floats computed in float64. Scores of
predictions (macro-F1, R2, balanced accuracy) are scikit-learn's and are not repeated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Vectors: TypeAlias = "ArrayLike | Tensor"
"""(N, D) numbers: numpy, nested lists or a torch tensor."""

_CHUNK = 1024
"""Rows whose similarities to all others are held at once."""


# --- collapse ----------------------------------------------------------------------------------------------


def effective_rank(vectors: Vectors) -> float:
    """In how many directions (N, D) vectors spread: between 1 (collapsed to a line) and min(N, D).

    ``exp(-sum_k p_k log p_k)`` with ``p = singular values / their sum``, of the vectors as they are (not centred).

    Source: Roy & Vetterli 2007; as a guard against collapse: RankMe, Garrido et al. 2023, arXiv:2210.02885.

    >>> round(effective_rank([[1, 0], [0, 1], [1, 0], [0, 1]]), 6)
    2.0
    """
    values = np.linalg.svd(_matrix(vectors), compute_uv=False)
    if not values.any():
        raise InputError("the effective rank of vectors that are all zero is not defined")
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def alignment(anchors: Vectors, positives: Vectors) -> float:
    """How far positives lie from their anchors: mean ``|a - p|^2`` of (N, D) vectors scaled to length 1; 0 is best.

    Source: Wang & Isola 2020, arXiv:2005.10242, equation 4 with exponent 2.

    >>> alignment([[1.0, 0.0]], [[0.0, 3.0]])
    2.0
    """
    first, second = _same_shape(_unit(anchors), _unit(positives))
    return float(((first - second) ** 2).sum(axis=1).mean())


def uniformity(vectors: Vectors) -> float:
    """How evenly (N, D) vectors fill the sphere: ``log mean exp(-2 |x - y|^2)`` over pairs; lower is more even.

    Vectors are scaled to length 1. From 0 (all in one point) to about -4 (spread over a high-dimensional sphere).

    Source: Wang & Isola 2020, arXiv:2005.10242, equation 5 with t = 2.

    >>> uniformity([[1.0, 0.0], [-1.0, 0.0]])
    -8.0
    """
    points = _unit(vectors)
    total = len(points)
    if total < 2:
        raise InputError("uniformity is about pairs: it needs at least two vectors")
    mass = 0.0
    for start in range(0, total, _CHUNK):
        cosines = points[start : start + _CHUNK] @ points.T
        kernel = np.exp(-4.0 * (1.0 - np.clip(cosines, -1.0, 1.0)))  # |x - y|^2 = 2 - 2 cos
        kernel[np.arange(len(kernel)), np.arange(start, start + len(kernel))] = 0.0
        mass += float(kernel.sum())
    return float(np.log(mass / (total * (total - 1))))


# --- triplets and retrieval --------------------------------------------------------------------------------


def triplet_accuracy(anchors: Vectors, positives: Vectors, negatives: Vectors) -> float:
    """Share of (N, D) triplets whose positive is nearer (Euclidean) to the anchor than the negative; ties are half.

    Chance is 0.5, which is also what collapsed vectors get.

    >>> triplet_accuracy([[0.0], [0.0]], [[1.0], [3.0]], [[2.0], [2.0]])
    0.5
    """
    middle, near = _same_shape(_matrix(anchors), _matrix(positives))
    middle, far = _same_shape(middle, _matrix(negatives))
    gap = ((middle - far) ** 2).sum(axis=1) - ((middle - near) ** 2).sum(axis=1)
    return float((gap > 0).mean() + (gap == 0).mean() / 2.0)


def ranks_of_truth(similarity: Vectors, truth: ArrayLike | None = None) -> NDArray[np.float64]:
    """(Q,) rank, 1 is best, of the true candidate in each row of a (Q, C) similarity matrix.

    Ties share the mean of their ranks, so an encoder that gives every candidate the same vector gets (C + 1) / 2.

    Args:
        similarity: larger is more alike.
        truth: (Q,) column of each row's true candidate; None means the diagonal.

    >>> ranks_of_truth([[0.9, 0.1], [0.8, 0.3]]).tolist()
    [1.0, 2.0]
    """
    scores = _matrix(similarity)
    columns = np.arange(len(scores)) if truth is None else np.asarray(truth, np.int64)
    if len(columns) != len(scores) or columns.min(initial=0) < 0 or columns.max(initial=0) >= scores.shape[1]:
        raise InputError(f"each of the {len(scores)} rows needs a true column of {scores.shape[1]}")
    own = scores[np.arange(len(scores)), columns][:, None]
    better, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    return np.asarray(better + (equal + 1) / 2.0, np.float64)


def recall_at_k(ranks: ArrayLike, k: int) -> float:
    """Share of (Q,) ranks (`ranks_of_truth`) that are ``k`` or better; chance is k / C.

    >>> recall_at_k([1, 2, 7, 30], k=5)
    0.5
    """
    return float((np.asarray(ranks) <= k).mean())


def mean_reciprocal_rank(ranks: ArrayLike) -> float:
    """Mean of 1 / rank over (Q,) ranks (`ranks_of_truth`). Source: Voorhees 1999, TREC-8.

    >>> mean_reciprocal_rank([1, 2, 4])
    0.5833333333333334
    """
    return float((1.0 / np.asarray(ranks, np.float64)).mean())


def retrieval(
    similarity: Vectors, truth: ArrayLike | None = None, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """The numbers usually printed of a (Q, C) similarity matrix, and beside each recall what chance would give.

    Returns:
        ``recall@k`` and ``chance@k`` for each k, ``mrr``, ``median_rank``, ``mean_rank``, ``candidates`` (C).

    >>> retrieval([[0.9, 0.1], [0.8, 0.3]], ks=[1])["recall@1"]
    0.5
    """
    scores = _matrix(similarity)
    ranks = ranks_of_truth(scores, truth)
    found: dict[str, float] = {}
    for k in ks:
        found[f"recall@{k}"] = recall_at_k(ranks, k)
        found[f"chance@{k}"] = min(1.0, k / scores.shape[1])
    return found | {
        "mrr": mean_reciprocal_rank(ranks),
        "median_rank": float(np.median(ranks)),
        "mean_rank": float(ranks.mean()),
        "candidates": float(scores.shape[1]),
    }


# --- neighbourhoods ----------------------------------------------------------------------------------------


def knn_purity(vectors: Vectors, labels: ArrayLike, k: int = 10) -> float:
    """Mean share of the ``k`` nearest others (by cosine) that have the label of the place itself.

    Chance is the sum of the squared shares of the labels.

    Args:
        vectors: (N, D).
        labels: (N,) of any type.
        k: 1 to N - 1.

    >>> knn_purity([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], ["sea", "sea", "town", "town"], k=1)
    1.0
    """
    points = _unit(vectors)
    _, classes = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) != len(points):
        raise InputError(f"{len(points)} vectors and {len(classes)} labels do not belong together")
    if not 1 <= k < len(points):
        raise InputError(f"k is from 1 to the number of other places, {len(points) - 1}; got {k}")
    same = 0
    for start in range(0, len(points), _CHUNK):
        cosines = points[start : start + _CHUNK] @ points.T
        own = np.arange(start, start + len(cosines))
        cosines[np.arange(len(cosines)), own] = -np.inf
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        same += int((classes[nearest] == classes[own][:, None]).sum())
    return same / (k * len(points))


# --- arrays ------------------------------------------------------------------------------------------------


def _matrix(values: Vectors) -> NDArray[np.float64]:
    """(N, D) float64, N at least 1, or InputError."""
    plain: Any = values
    if hasattr(plain, "detach"):
        plain = plain.detach().cpu().double().numpy()
    matrix = np.asarray(plain, np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(f"expected numbers in two dimensions, not empty; got the shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise InputError(
            f"{int((~np.isfinite(matrix)).any(axis=1).sum())} of {len(matrix)} rows are not finite"
        )
    return matrix


def _unit(values: Vectors) -> NDArray[np.float64]:
    """Rows scaled to length 1; rows of zeros stay."""
    matrix = _matrix(values)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(lengths > 0, lengths, 1.0))


def _same_shape(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if first.shape != second.shape:
        raise InputError(f"vectors of shape {first.shape} and {second.shape} do not pair")
    return first, second
