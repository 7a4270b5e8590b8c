"""The one k-nearest-neighbors learner: of standardized features, and of places on the globe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.ridge import Choice, Votes, inner_score, scaled
from placevec.evaluation.tasks import Kind
from placevec.geo import Floats, Ints

VOTES: tuple[Votes, ...] = ("equal", "distance")
KS = (1, 5, 20, 100, 300, 1_000)
"""Numbers of neighbors to choose from, in a benchmark of encoders; those beyond the training points are left out."""
_AT_ONCE = 1_000
_MAX_VOTES = 2**25  # held at once, 256 MB
_TIE = 1e-6  # how much more a nearer neighbor counts, so that a tie of classes goes to the nearest


def neighbor_means(
    features: Floats, target: NDArray[Any], tested: Floats, ks: Sequence[int], *, classes: int = 0,
    votes: Votes = "equal", tie: float = _TIE,
) -> list[Floats]:  # fmt: skip
    """For each k the (m, K) mean label of the k nearest of (n, D) features to (m, D) tested ones, by Euclidean distance.

    Args:
        features: of the places learned from.
        target: (n, K) their labels as numbers; or (n,) class numbers.
        tested: features asked about.
        ks: numbers of neighbors; those beyond n count as n.
        classes: K, where labels are class numbers.
        votes: how neighbors count.
        tie: by how much more a neighbor counts than the next one, as a share.
    """
    from sklearn.neighbors import NearestNeighbors

    most = min(max(ks), len(features))
    index = NearestNeighbors(n_neighbors=most).fit(features)
    outputs = classes or target.shape[1]
    found = [np.zeros((len(tested), outputs)) for _ in ks]
    step = max(1, min(_AT_ONCE, _MAX_VOTES // (most * (1 if classes else outputs))))
    for start in range(0, len(tested), step):
        away, near = index.kneighbors(tested[start : start + step])
        for mean, k in zip(found, ks, strict=True):
            used = min(k, most)
            if votes == "equal" and not tie and not classes:
                mean[start : start + len(near)] = target[near[:, :used]].mean(axis=1)
                continue
            weight = np.tile(1.0 + tie * np.arange(used, 0, -1), (len(near), 1))
            if votes == "distance":
                weight = weight / np.maximum(away[:, :used], 1e-12 + 1e-9 * away[:, used - 1 : used])
            weight /= weight.sum(axis=1, keepdims=True)
            if classes:
                cell = np.arange(len(near))[:, None] * outputs + target[near[:, :used]]
                summed = np.bincount(cell.ravel(), weight.ravel(), minlength=len(near) * outputs)
                mean[start : start + len(near)] = summed.reshape(len(near), outputs)
            else:
                mean[start : start + len(near)] = np.einsum("mk,mkc->mc", weight, target[near[:, :used]])
    return found


def means_of(
    features: Floats, target: Floats, tested: Floats, ks: Sequence[int], kind: Kind, votes: Votes
) -> list[Floats]:
    """`neighbor_means` of (n, K) columns; those of classes are counted by class number, which takes less time."""
    if kind == "classification":
        return neighbor_means(
            features, target.argmax(axis=1), tested, ks, classes=target.shape[1], votes=votes
        )
    return neighbor_means(features, target, tested, ks, votes=votes)


def predicted(
    settings: Sequence[Floats], target: Floats, train: Ints, parts: Ints, test: Ints, kind: Kind
) -> tuple[Floats, Choice]:
    """((m, K) predictions of the tested rows, what was chosen). Arguments are those of `ridge.predicted`."""
    choice = chosen(settings, target, train, parts, kind)
    features, tested = scaled(settings[choice.setting], train, test)
    return means_of(features, target[train], tested, (int(choice.alpha),), kind, choice.votes)[0], choice


def chosen(
    settings: Sequence[Floats], target: Floats, train: Ints, parts: Ints, kind: Kind, *, scale: bool = True
) -> Choice:
    """The setting, k and votes that predict the first inner part best from the others; features as they are or scaled."""
    held = parts == 0
    if not held.any() or held.all():
        return Choice(0, 20.0)
    best, found = -np.inf, Choice(0, 20.0)
    rows, asked = train[~held], train[held]
    ks = [k for k in KS if k < len(rows)] or [len(rows)]
    for number, one in enumerate(settings):
        features, tested = scaled(one, rows, asked) if scale else (one[rows], one[asked])
        for votes in VOTES:
            means = means_of(features, target[rows], tested, ks, kind, votes)
            for k, given in zip(ks, means, strict=True):
                score = inner_score(given, target[asked], kind)
                if score > best:
                    best, found = score, Choice(number, float(k), votes=votes)
    return found
