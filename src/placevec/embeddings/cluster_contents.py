"""What the places of a cluster have more of than others: words to name it by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMED = 3
"""Things that are named, at most."""
LEAST, MORE = 0.01, 1.25
"""Their mean share in the cluster, at least, and how many times that over all places."""


def what_they_hold(label: NDArray[np.int64], kinds: Sequence[str], shares: NDArray[Any]) -> tuple[str, ...]:
    """(K,) texts: of each cluster the kinds of which it has most beside all places, and how much of them.

    Args:
        label: (N,) number of the cluster of each place, 0 to K - 1, below 0 for none.
        kinds: (C,) names, such as those of map layers.
        shares: (N, C) how much of each kind a place holds, 0..1; NaN where that is not known.

    Kinds are ordered by how far the cluster's mean lies above that of all places, in standard deviations between places.
    The text is empty where of no place of a cluster the shares are known.

    >>> what_they_hold(np.array([0, 0, 1]), ["water", "roads"], np.array([[0.9, 0.1], [0.7, 0.1], [0.0, 0.1]]))
    ('water 80%', 'as elsewhere')
    """
    shares = np.asarray(shares, np.float64)
    known = np.isfinite(shares).all(axis=1)
    count = int(label.max(initial=-1)) + 1
    if not known.any():
        return ("",) * count
    everywhere, spread = shares[known].mean(axis=0), shares[known].std(axis=0)
    texts = []
    for number in range(count):
        rows = known & (label == number)
        if not rows.any():
            texts.append("")
            continue
        mean = shares[rows].mean(axis=0)
        above = (mean - everywhere) / np.where(spread > 0, spread, 1.0)
        order = np.argsort(-above, kind="stable")
        most = [one for one in order if mean[one] >= max(LEAST, MORE * everywhere[one])][:NAMED]
        texts.append(", ".join(f"{kinds[one]} {100 * mean[one]:.0f}%" for one in most) or "as elsewhere")
    return tuple(texts)
