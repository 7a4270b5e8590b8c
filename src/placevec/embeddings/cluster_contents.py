"""What the places of a cluster contain more of than other places, as words for its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMED = 3
"""Maximum number of kinds named."""
LEAST, MORE = 0.01, 1.25
"""Minimum mean share in the cluster, and minimum ratio to the mean share over all places."""


def what_they_hold(label: NDArray[np.int64], kinds: Sequence[str], shares: NDArray[Any]) -> tuple[str, ...]:
    """(K,) texts: for each cluster, the kinds that stand out against all places, and how much of them.

    Args:
        label: (N,) cluster of each place, 0 to K - 1; below 0 for none.
        kinds: (C,) names, such as those of map layers.
        shares: (N, C) how much of each kind a place contains, 0..1; NaN if unknown.

    Kinds are ordered by how far the cluster's mean lies above that of all places, in standard deviations between
    places. The text is empty if the shares are unknown for all places of a cluster.

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
