"""Metrics of vectors that need no probe: collapse, triplets, retrieval, neighborhoods, and geographic coherence.

All functions take numpy arrays or torch tensors (on any device) and return plain floats computed in float64. For
metrics of predictions (macro-F1, R2, balanced accuracy) use scikit-learn. Metrics of vectors that scikit-learn has
(silhouette, trustworthiness) are computed by it, after the shapes have been checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import InputError
from placevec.geo import to_ecef

if TYPE_CHECKING:
    from torch import Tensor

Vectors: TypeAlias = "ArrayLike | Tensor"
"""(N, D) numbers: numpy, nested lists or a torch tensor."""

# --- collapse ----------------------------------------------------------------------------------------------


def effective_rank(vectors: Vectors) -> float:
    """Effective number of directions that (N, D) vectors span: between 1 (collapsed to a line) and min(N, D).

    ``exp(-sum_k p_k log p_k)`` with ``p = singular values / their sum``, without centering the vectors.

    Source: Roy & Vetterli 2007; as a check for collapse: RankMe, Garrido et al. 2023, arXiv:2210.02885.

    >>> round(effective_rank([[1, 0], [0, 1], [1, 0], [0, 1]]), 6)
    2.0
    """
    values = np.linalg.svd(_matrix(vectors), compute_uv=False)
    if not values.any():
        raise InputError("the effective rank is undefined: all vectors are zero")
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def principal_share(vectors: Vectors, directions: int = 2) -> float:
    """Share of the variance of (N, D) vectors in their first principal components; 1 if all vectors are equal.

    >>> round(principal_share([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 3]], 1), 3)
    0.444
    """
    matrix = _matrix(vectors)
    variances = np.linalg.svd(matrix - matrix.mean(axis=0), compute_uv=False) ** 2
    return float(variances[:directions].sum() / variances.sum()) if variances.any() else 1.0


# --- triplets and retrieval --------------------------------------------------------------------------------


def triplet_accuracy(anchors: Vectors, positives: Vectors, negatives: Vectors) -> float:
    """Share of (N, D) triplets whose positive is nearer (Euclidean) to the anchor than the negative; ties count half.

    Chance level is 0.5, which collapsed vectors get too.

    >>> triplet_accuracy([[0.0], [0.0]], [[1.0], [3.0]], [[2.0], [2.0]])
    0.5
    """
    middle, near = _same_shape(_matrix(anchors), _matrix(positives))
    middle, far = _same_shape(middle, _matrix(negatives))
    gap = ((middle - far) ** 2).sum(axis=1) - ((middle - near) ** 2).sum(axis=1)
    return float((gap > 0).mean() + (gap == 0).mean() / 2.0)


def ranks_of_truth(similarity: Vectors, truth: ArrayLike | None = None) -> NDArray[np.float64]:
    """(Q,) rank (1 is best) of the true candidate in each row of a (Q, C) similarity matrix.

    Ties get their mean rank, so an encoder that gives every candidate the same vector gets (C + 1) / 2.

    Args:
        similarity: larger is more similar.
        truth: (Q,) column of each row's true candidate; None means the diagonal.

    >>> ranks_of_truth([[0.9, 0.1], [0.8, 0.3]]).tolist()
    [1.0, 2.0]
    """
    scores = _matrix(similarity)
    columns = np.arange(len(scores)) if truth is None else np.asarray(truth, np.int64)
    if len(columns) != len(scores) or columns.min(initial=0) < 0 or columns.max(initial=0) >= scores.shape[1]:
        raise InputError(
            f"each of the {len(scores)} rows needs the index of its true column, from 0 to {scores.shape[1] - 1}"
        )
    own = scores[np.arange(len(scores)), columns][:, None]
    better, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    return np.asarray(better + (equal + 1) / 2.0, np.float64)


def recall_at_k(ranks: ArrayLike, k: int) -> float:
    """Share of (Q,) ranks (`ranks_of_truth`) that are ``k`` or better; chance level is k / C.

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
    """The usual retrieval metrics of a (Q, C) similarity matrix, with the chance level of each recall.

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


# --- neighborhoods ----------------------------------------------------------------------------------------


def silhouette(
    vectors: Vectors, labels: ArrayLike, metric: Literal["cosine", "euclidean"] = "cosine"
) -> float:
    """Mean silhouette score, ``(b - a) / max(a, b)``.

    ``a`` is the mean distance to the other places of the same class, ``b`` the smallest mean distance to another
    class. 1 is best, 0 means overlapping classes, and below 0 places lie nearer to another class. Classes with one
    place count 0. Memory grows with N, time with N squared.

    Args:
        vectors: (N, D).
        labels: (N,) labels of any type, with 2 to N - 1 distinct values.
        metric: ``cosine`` or ``euclidean``.

    Source: Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7; computed by scikit-learn.

    >>> silhouette([[1, 0], [1, 0], [0, 1], [0, 1]], ["sea", "sea", "town", "town"])
    1.0
    """
    from sklearn.metrics import silhouette_score

    points = _unit(vectors) if metric == "cosine" else _matrix(vectors)
    _, classes = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) != len(points):
        raise InputError(f"the number of vectors and labels must match; got {len(points)} and {len(classes)}")
    if not 2 <= classes.max() + 1 < len(points):
        raise InputError(
            f"the silhouette of {len(points)} places needs 2 to {len(points) - 1} classes; got {classes.max() + 1}"
        )
    return float(silhouette_score(points, classes, metric=metric))


def trustworthiness(vectors: Vectors, drawn: Vectors, k: int = 10) -> float:
    """Trustworthiness of a projection: 1 if all neighbors in the projection are also neighbors by the vectors.

    Each of a place's ``k`` neighbors in the projection that is not among its ``k`` nearest by the vectors (cosine) is
    penalized by how many ranks it lies beyond them. A random projection gets `trustworthiness_by_chance`, about 0.5.

    Args:
        vectors: (N, D).
        drawn: (N, d) projection, such as two principal components; compared by Euclidean distance.
        k: number of neighbors, 1 to less than N / 2.

    Source: Venna & Kaski 2001, doi:10.1007/3-540-44668-0_68; computed by scikit-learn, in memory of N squared.

    >>> trustworthiness([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [[0], [1], [8], [9]], k=1)
    1.0
    """
    from sklearn.manifold import trustworthiness as measured

    points, picture = _unit(vectors), _matrix(drawn)
    if len(points) != len(picture):
        raise InputError(
            f"the number of vectors and projected places must match; got {len(points)} and {len(picture)}"
        )
    if not 1 <= k < len(points) / 2:
        raise InputError(
            f"k must be at least 1 and less than half the number of places, {len(points)}; got {k}"
        )
    return float(measured(points, picture, n_neighbors=k, metric="cosine"))


def trustworthiness_by_chance(places: int, k: int = 10) -> float:
    """Expected `trustworthiness` of a random projection.

    A neighbor is false with probability ``(N - 1 - k) / (N - 1)``, and then lies ``(N - k) / 2`` ranks too far on
    average.

    >>> round(trustworthiness_by_chance(2000), 2)
    0.5
    """
    others = places - 1
    return 1.0 - (others - k) * (places - k) / (others * (2 * places - 3 * k - 1))


class Coherence(NamedTuple):
    """The result of `distance_coherence`.

    Attributes:
        spearman: rank correlation, -1..1.
        chance: 95th percentile of its absolute value under permutation.
        pairs: number of pairs compared.
    """

    spearman: float
    chance: float
    pairs: int


def distance_coherence(
    vectors: Vectors,
    lonlat: ArrayLike,
    *,
    pairs: int = 10_000,
    apart_m: float = 0.0,
    shuffles: int = 99,
    seed: int = 0,
) -> Coherence:
    """Spearman's rank correlation of geographic distance and cosine distance, over a random sample of pairs.

    Geographic distances are straight lines through the Earth, which rank pairs as ground distances do. The chance
    level comes from a permutation test over which vector belongs to which place (Mantel 1967): pairs share places, so
    the textbook interval for independent pairs would be too narrow. Vectors that describe what is at a place rather
    than where it is are not expected to reach 1. If all distances are equal the correlation is NaN.

    Args:
        vectors: (N, D).
        lonlat: (N, 2) lon, lat degrees.
        pairs: number of random pairs; fewer are compared if some are too close.
        apart_m: minimum distance of a pair in meters.
        shuffles: number of permutations for ``chance``; 0 leaves it NaN.
        seed: random seed of pairs and permutations.

    >>> lon = np.linspace(24, 26, 50)
    >>> vectors = np.stack([np.cos(lon), np.sin(lon)], axis=1)  # the angle grows with longitude
    >>> round(distance_coherence(vectors, np.stack([lon, np.full(50, 60.0)], axis=1)).spearman, 3)
    1.0
    """
    points, places = _unit(vectors), _matrix(lonlat)
    if len(points) != len(places):
        raise InputError(f"the number of vectors and places must match; got {len(points)} and {len(places)}")
    random = np.random.default_rng([seed, 0xC0])
    first, second = random.integers(0, len(points), (2, pairs))
    xyz = to_ecef(places[:, 0], places[:, 1])
    away = np.linalg.norm(xyz[first] - xyz[second], axis=1)
    kept = (first != second) & (away >= apart_m)
    if kept.sum() < 3:
        raise InputError(
            f"only {int(kept.sum())} of {pairs} pairs are at least {apart_m:g} m apart; 3 are needed"
        )
    first, second = first[kept], second[kept]
    far = _centered_ranks(away[kept])

    def correlation(order: NDArray[np.int64]) -> float:
        cosine = np.einsum("pd,pd->p", points[order[first]], points[order[second]])
        ranks = _centered_ranks(1.0 - np.clip(cosine, -1.0, 1.0).round(12))  # equal vectors are a tie
        length = float(np.linalg.norm(ranks) * np.linalg.norm(far))
        return float(ranks @ far) / length if length else float("nan")

    found = correlation(np.arange(len(points)))
    shuffled = [
        abs(correlation(random.permutation(len(points)))) for _ in range(shuffles if found == found else 0)
    ]
    chance = float(np.quantile(shuffled, 0.95)) if shuffled else float("nan")
    return Coherence(found, chance, len(first))


def _centered_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of (P,) values minus their mean; ties get their mean rank."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values) - (len(values) + 1) / 2.0, np.float64)


# --- arrays ------------------------------------------------------------------------------------------------


def _matrix(values: Vectors) -> NDArray[np.float64]:
    """(N, D) float64, N at least 1, or InputError."""
    plain: Any = values
    if hasattr(plain, "detach"):
        plain = plain.detach().cpu().double().numpy()
    matrix = np.asarray(plain, np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(f"expected a non-empty two-dimensional array; got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise InputError(
            f"{int((~np.isfinite(matrix)).any(axis=1).sum())} of {len(matrix)} rows have values that are not finite"
        )
    return matrix


def _unit(values: Vectors) -> NDArray[np.float64]:
    """Rows scaled to length 1; zero rows stay zero."""
    matrix = _matrix(values)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(lengths > 0, lengths, 1.0))


def _same_shape(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if first.shape != second.shape:
        raise InputError(
            f"both arrays of vectors must have the same shape; got {first.shape} and {second.shape}"
        )
    return first, second
