"""What needs no learned location encoder: frequencies, neighbours, four sines and cosines, an encoder left untrained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.geo import Floats, Ints, to_ecef

Array = NDArray[np.float64]
NEIGHBOURS = (1, 5, 20)
MOST_TAUGHT = 50_000
"""Places that a floor is taught on; more are drawn from."""
_EPOCHS, _BATCH, _RATE = 40, 512, 0.02


def frequencies(labels: Ints, classes: int) -> Array:
    """(C,) share of each class."""
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    return np.asarray(counts / counts.sum(), np.float64)


def sines(lonlat: Floats) -> Array:
    """(N, 4) sin and cos of longitude and of latitude."""
    angles = np.radians(lonlat)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


class Neighbours:
    """The nearest places taught on: votes of classes, or the mean of numbers.

    Args:
        lonlat: (M, 2) lon, lat degrees.
        labels: (M,) class or number.
        classes: 0 for numbers.
    """

    def __init__(self, lonlat: Floats, labels: NDArray[Any], classes: int) -> None:
        from scipy.spatial import cKDTree

        self.tree = cKDTree(to_ecef(lonlat[:, 0], lonlat[:, 1]))
        self.labels, self.classes = labels, classes
        self.prior = frequencies(labels.astype(np.int64), classes) if classes else np.zeros(0)

    def distance(self, lonlat: Floats) -> Array:
        """(N,) metres through the Earth to the nearest."""
        return np.asarray(self.tree.query(to_ecef(lonlat[:, 0], lonlat[:, 1]))[0], np.float64)

    def answers(self, lonlat: Floats, count: int) -> NDArray[np.float32]:
        """(N, C) votes of the ``count`` nearest, ties to the nearer ones, then by frequency; or (N, 1) means."""
        count = min(count, len(self.labels))
        _, near = self.tree.query(to_ecef(lonlat[:, 0], lonlat[:, 1]), k=count)
        own = self.labels[near.reshape(len(lonlat), count)]
        if not self.classes:
            means: NDArray[np.float32] = own.mean(axis=1, keepdims=True).astype(np.float32)
            return means
        votes = np.tile(self.prior * 1e-3, (len(lonlat), 1))
        rows = np.arange(len(lonlat))
        for rank in range(count):
            votes[rows, own[:, rank]] += 1.0 + 0.4 / count * 2.0 ** -(rank + 1)
        return votes.astype(np.float32)


def taught(
    features: Array, labels: NDArray[Any], asked: Sequence[Array], classes: int, seed: int
) -> list[NDArray[np.float32]]:
    """What a linear layer on features answers, taught on (M, D) of them: (N, C) logits, or (N, 1) numbers.

    Classes by softmax and Adam; numbers by ridge with the best of five penalties (leave-one-out).
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scaled = [(one - mean) / np.where(deviation > 1e-9, deviation, 1.0) for one in (features, *asked)]
    if not classes:
        from sklearn.linear_model import RidgeCV

        ridge = RidgeCV(np.logspace(-3, 3, 5)).fit(scaled[0], labels.astype(np.float64))
        return [ridge.predict(one).reshape(-1, 1).astype(np.float32) for one in scaled[1:]]
    return _softmax(scaled[0], labels.astype(np.int64), scaled[1:], classes, seed)


def _softmax(
    features: Array, labels: Ints, asked: Sequence[Array], classes: int, seed: int
) -> list[NDArray[np.float32]]:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = torch.nn.Linear(features.shape[1], classes)
        optimiser = torch.optim.Adam(layer.parameters(), lr=_RATE)
        x, y = torch.from_numpy(features).float(), torch.from_numpy(labels)
        steps = _EPOCHS * max(1, len(x) // _BATCH)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            rows = torch.randint(len(x), (min(_BATCH, len(x)),))
            loss = torch.nn.functional.cross_entropy(layer(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            falling.step()
        with torch.no_grad():
            return [layer(torch.from_numpy(one).float()).numpy() for one in asked]
