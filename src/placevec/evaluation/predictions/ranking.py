"""The rank of the true class among all of them, and what an image classifier says of each.

Assuming that image and location are independent given the class, and a flat prior of classes, P(y | image, location) is
proportional to their product (O. Mac Aodha et al., ICCV 2019, equation 1). Where one of the two is unknown (no
coordinates, NaN predictions) it is taken as flat, so that the other decides alone.

Classes of equal score have no order: ranks are those expected when ties are broken at random, so that predictions
that are mostly zeros, as stored sparsely, are neither favored nor penalized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError
from placevec.geo import Floats, Ints

TOP = (1, 3, 5, 10)
_MAX_CELLS = 2**23
"""Scores at a time: 64 MB of float64."""


def expected_ranks(scores: Floats, truth: Ints) -> tuple[Ints, Ints]:
    """((N,) classes that score more than the true one, (N,) classes besides it that score the same).

    >>> more, same = expected_ranks(np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]), np.array([1, 2]))
    >>> more.tolist(), same.tolist()
    ([1, 0], [1, 0])
    """
    own = np.take_along_axis(scores, truth[:, None], axis=1)
    return (scores > own).sum(axis=1), (scores == own).sum(axis=1) - 1


@dataclass(frozen=True)
class TrueRanks:
    """Where the true class ranks in each row; classes of equal score have no order, so these are expectations.

    Attributes:
        more: (N,) classes that score more; infinite where the true class was never trained on, or its score is NaN.
        same: (N,) other classes that score the same.
        predicted: (N,) the class that scores most.
    """

    more: Floats
    same: Floats
    predicted: Ints

    @classmethod
    def of(cls, scores: NDArray[Any], truth: Ints) -> TrueRanks:
        """Of (N, C) scores and (N,) true classes; below 0 or from C on is a class that was never trained on.

        >>> found = TrueRanks.of(np.array([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]), np.array([1, 0, 7]))
        >>> found.more.tolist(), found.same.tolist(), found.within(1).tolist()
        ([1.0, 0.0, inf], [0.0, 1.0, 0.0], [0.0, 0.5, 0.0])
        """
        classes = scores.shape[1]
        known = (truth >= 0) & (truth < classes)
        more, same = np.full(len(scores), np.inf), np.zeros(len(scores))
        step = max(1, _MAX_CELLS // classes)
        for start in range(0, len(scores), step):
            part = slice(start, start + step)
            own = np.where(known[part], truth[part], 0)
            higher, equal = expected_ranks(scores[part], own)
            scored = known[part] & np.isfinite(np.take_along_axis(scores[part], own[:, None], axis=1)[:, 0])
            more[part], same[part] = np.where(scored, higher, np.inf), np.where(scored, equal, 0)
        return cls(more, same, scores.argmax(axis=1))

    @classmethod
    def joined(cls, parts: Sequence[TrueRanks]) -> TrueRanks:
        """Of rows one part after the other."""
        names = ("more", "same", "predicted")
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))

    def within(self, top: int) -> Floats:
        """(N,) chance that the true class is among the first ``top``."""
        return np.asarray(np.clip((top - self.more) / (self.same + 1.0), 0.0, 1.0), np.float64)

    def reciprocal(self) -> Floats:
        """(N,) expected 1 / rank."""
        known = np.isfinite(self.more)
        more, same = (np.where(known, one, 0).astype(np.int64) for one in (self.more, self.same))
        most = int((more + same).max(initial=0)) + 1
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, most + 1))])
        return np.where(known, (harmonic[more + same + 1] - harmonic[more]) / (same + 1.0), 0.0)


def seen_by_image(image: Any, rows: Ints, classes: int) -> tuple[Floats, NDArray[np.bool_]]:
    """((n, C) scores by image, flat without, and which rows have them)."""
    if len(rows) and int(rows.max()) >= image.shape[0]:
        raise EvaluationError(
            f"an image refers to row {int(rows.max())}, but there are {image.shape[0]:,} rows of predictions"
        )
    there = rows >= 0
    scores = np.ones((len(rows), classes))
    if there.any():
        part = image[rows[there]]
        found, known = _known(_array(part.toarray() if hasattr(part, "toarray") else part), "by image")
        scores[there] = found
        there[there] = known
    return scores, there


def _known(scores: Floats, what: str) -> tuple[Floats, NDArray[np.bool_]]:
    """(scores, ones in rows that hold NaN or nothing but zeros; which rows hold neither)."""
    if (scores < 0).any():
        raise EvaluationError(f"scores {what} must be probabilities, 0 or more; one is {np.nanmin(scores):g}")
    known: NDArray[np.bool_] = np.asarray(np.isfinite(scores).all(axis=1) & (scores > 0).any(axis=1))
    return np.where(known[:, None], scores, 1.0), known


def _array(scores: Any) -> Floats:
    if hasattr(scores, "detach"):
        scores = scores.detach().cpu()
    return np.asarray(scores, np.float64)
