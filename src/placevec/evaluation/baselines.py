"""What vectors must rise above: features that need no learning, and the same encoder before it learned anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.evaluation import knn as neighbors
from placevec.evaluation import ridge
from placevec.evaluation.compare import OURS, Variants
from placevec.evaluation.folds import Folds
from placevec.evaluation.point_tasks import PointTask
from placevec.evaluation.probes import Features, standardized
from placevec.evaluation.splits import local_plane
from placevec.geo import Floats, Ints, to_ecef
from placevec.geo.coordinates import xyz_of
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model

COORDINATES = "coordinates"
COVERAGE = "coverage fractions"
UNTRAINED = "untrained encoder"
BESIDE = "coverage beside vectors"

PAIRS = (
    (OURS, "chance"),
    (OURS, COORDINATES),
    (OURS, COVERAGE),
    (OURS, UNTRAINED),
    (BESIDE, COVERAGE),
)
"""Rows that every task compares: (of, against)."""


def floors(
    dataset: Dataset,
    model: Model | None,
    rows: Ints,
    *,
    view: str | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    progress: Progress = SILENT,
) -> dict[str, Variants]:
    """Feature sets of the places at ``rows`` that need no training.

    Args:
        dataset: where the places lie and what the map holds.
        model: whose channels and architecture are looked at; None leaves out the untrained encoder and looks at
            every channel.
        rows: (n,) places, all with coordinates.
        view: of the untrained encoder's vectors, see `Model.default_view`.
        seeds: of the untrained encoders, one variant each.
        progress: where to report.

    Returns:
        ``coordinates`` (n, 2) meters east and north of the middle; ``coverage fractions`` (n, C) share of the
        footprint that each channel covers, 0 to 1; ``untrained encoder`` (n, dim), a variant a seed.
    """
    found: dict[str, Variants] = {COORDINATES: (local_plane(dataset.lonlat[rows]),)}
    fractions = coverage_fractions(dataset, None if model is None else model.seen, rows)
    if fractions is not None:
        found[COVERAGE] = (fractions,)
    if model is not None:
        found[UNTRAINED] = tuple(
            model.untrained(seed).vectors(
                dataset, rows, view=view, label=f"Untrained encoder {seed}", progress=progress
            )
            for seed in seeds
        )
    return found


def coverage_fractions(
    dataset: Dataset, channels: Sequence[str] | None, rows: Ints
) -> NDArray[np.float64] | None:
    """(n, C) share of each footprint under each channel (all when None); None when no coverage is stored."""
    from placevec.datasets.views.raster.coverage import Coverage

    file = dataset.path / "map_coverage.tif"
    if not file.exists():
        return None
    coverage = Coverage(file)
    fractions = np.asarray(coverage.fractions(dataset.footprints()[rows], dataset.zoom), np.float64)
    if channels is None:
        return fractions
    kept = [number for number, name in enumerate(coverage.channels) if name in channels]
    return fractions[:, kept] if kept else None


def beside(first: Features, second: Features) -> Features:
    """Both, standardized, side by side."""
    return np.hstack([standardized(part, part)[0] for part in (first, second)])


Array = NDArray[np.float64]
NEIGHBORS = (1, 5, 20)
MAX_TRAIN = 50_000
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


class Neighbors:
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
        """(N,) meters through the Earth to the nearest."""
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
        optimizer = torch.optim.Adam(layer.parameters(), lr=_RATE)
        x, y = torch.from_numpy(features).float(), torch.from_numpy(labels)
        steps = _EPOCHS * max(1, len(x) // _BATCH)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            rows = torch.randint(len(x), (min(_BATCH, len(x)),))
            loss = torch.nn.functional.cross_entropy(layer(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            falling.step()
        with torch.no_grad():
            return [layer(torch.from_numpy(one).float()).numpy() for one in asked]


MEAN, NEAREST, SINES = "mean or majority", "coordinates, kNN", "sin and cos, ridge"
FLOORS = (MEAN, NEAREST, SINES)
"""Their names, the humblest first."""


def predicted(name: str, task: PointTask, folds: Folds) -> tuple[Floats, list[ridge.Choice]]:
    """((N, K) answers, NaN where a row was not tested; what was chosen in each fold) of one floor."""
    target = task.columns()
    found = np.full(target.shape, np.nan)
    choices = []
    for fold, parts in zip(folds.folds, folds.inner, strict=True):
        if name == MEAN:
            found[fold.test] = target[fold.train].mean(axis=0)
            choice = ridge.Choice(0, 0.0)
        elif name == NEAREST:
            # chords of the unit sphere, not standardized: the order of great-circle distances
            xyz = xyz_of(task.lonlat)
            choice = _chosen_k(xyz, target, fold.train, parts, task)
            found[fold.test] = neighbors.answers(
                xyz[fold.train], target[fold.train], xyz[fold.test], (int(choice.alpha),)
            )[0]
        else:
            found[fold.test], choice = ridge.predicted(
                [sines(task.lonlat)], target, fold.train, parts, fold.test, task.kind
            )
        choices.append(choice)
    return found, choices


def _chosen_k(xyz: Floats, target: Floats, train: Ints, parts: Ints, task: PointTask) -> ridge.Choice:
    held = parts == 0
    if not held.any() or held.all():
        return ridge.Choice(0, float(neighbors.KS[-1]))
    truth = target[train[held]]
    given = neighbors.answers(xyz[train[~held]], target[train[~held]], xyz[train[held]], neighbors.KS)
    scores = [
        float((one.argmax(1) == truth.argmax(1)).mean())
        if task.kind == "classes"
        else -float(((one - truth) ** 2).mean())
        for one in given
    ]
    return ridge.Choice(0, float(neighbors.KS[int(np.argmax(scores))]))
