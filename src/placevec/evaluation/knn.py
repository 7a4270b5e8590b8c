"""The k nearest neighbors: mean of their labels, k and the encoder's setting chosen inside the training fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from placevec.evaluation.point_tasks import TaskKind
from placevec.evaluation.ridge import Choice, scaled
from placevec.geo import Floats, Ints

KS = (1, 5, 20)
"""Numbers of neighbors to choose from."""
_AT_ONCE = 2_000


def predicted(
    settings: Sequence[Floats], target: Floats, train: Ints, parts: Ints, test: Ints, kind: TaskKind
) -> tuple[Floats, Choice]:
    """((m, K) answers for the tested rows, what was chosen). Arguments are those of `ridge.predicted`.

    Distances are Euclidean between standardized features. Among neighbors the nearer counts a little more, so that a tie
    of classes goes to the nearest.
    """
    choice = chosen(settings, target, train, parts, kind)
    features, tested = scaled(settings[choice.setting], train, test)
    return answers(features, target[train], tested, (int(choice.alpha),))[0], choice


def chosen(settings: Sequence[Floats], target: Floats, train: Ints, parts: Ints, kind: TaskKind) -> Choice:
    """The setting and k that answer the first inner part best from the others."""
    held = parts == 0
    if not held.any() or held.all():
        return Choice(0, float(KS[-1]))
    best, found = -np.inf, Choice(0, float(KS[-1]))
    truth = target[train[held]]
    for number, one in enumerate(settings):
        features, tested = scaled(one, train[~held], train[held])
        for k, given in zip(KS, answers(features, target[train[~held]], tested, KS), strict=True):
            score = (
                float((given.argmax(1) == truth.argmax(1)).mean())
                if kind == "classes"
                else -float(((given - truth) ** 2).mean())
            )
            if score > best:
                best, found = score, Choice(number, float(k))
    return found


def answers(features: Floats, target: Floats, tested: Floats, ks: Sequence[int]) -> list[Floats]:
    """For each k the (m, K) mean label of the k nearest of (n, D) features to (m, D) tested ones."""
    most = min(max(ks), len(features))
    here = torch.from_numpy(features).float()
    square = (here**2).sum(1)
    near = []
    for start in range(0, len(tested), _AT_ONCE):
        there = torch.from_numpy(tested[start : start + _AT_ONCE]).float()
        near.append(torch.topk(square - 2.0 * there @ here.T, most, largest=False).indices.numpy())
    order = np.concatenate(near) if near else np.zeros((0, most), np.int64)
    found = []
    for k in ks:
        used = min(k, most)
        weight = 1.0 + 1e-6 * np.arange(used, 0, -1)
        found.append(np.einsum("k,mkc->mc", weight / weight.sum(), target[order[:, :used]]))
    return found
