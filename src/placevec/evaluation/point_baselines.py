"""Baselines of predictions at coordinates: what needs no location encoder, on the same split.

The learners are those that an evaluation gives its row of coordinates (`position_probes`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation import neighbors, ridge
from placevec.evaluation.position_probes import MAX_OUTPUTS, boosting, gaussian_process
from placevec.evaluation.probes import Effort, Probe, Training, forest
from placevec.evaluation.ridge import Choice
from placevec.evaluation.splits import Split
from placevec.evaluation.tasks import Task
from placevec.geo import Floats, Ints
from placevec.geo.coordinates import xyz_of

MEAN, NEAREST, SINES = "mean or majority", "coordinates, kNN", "sin and cos, ridge"
FOREST, BOOSTING, PROCESS = (
    "coordinates, random forest", "coordinates, boosting", "coordinates, Gaussian process"
)  # fmt: skip
BASELINES = (MEAN, NEAREST, SINES, FOREST, BOOSTING, PROCESS)
"""Their names in a benchmark of encoders, the simplest first."""
EFFORT = Effort()
"""What they may try."""
_PROBES: dict[str, Probe] = {FOREST: forest, BOOSTING: boosting, PROCESS: gaussian_process}
MAX_TRAINED = 50_000
"""Places that a baseline learns from; of more a sample is drawn."""
_EPOCHS, _BATCH, _RATE = 40, 512, 0.02


def sines(lonlat: Floats) -> Floats:
    """(N, 4) sin and cos of longitude and of latitude."""
    angles = np.radians(lonlat)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def frequencies(labels: Ints, classes: int) -> Floats:
    """(C,) share of each class."""
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    return np.asarray(counts / counts.sum(), np.float64)


def names(task: Task) -> tuple[str, ...]:
    """The baselines of a task: boosting only of at most `MAX_OUTPUTS` classes, each of which it trains by itself."""
    return tuple(name for name in BASELINES if name != BOOSTING or task.outputs <= MAX_OUTPUTS)


def predicted(name: str, task: Task, split: Split) -> tuple[Floats, list[Choice]]:
    """((N, K) predictions, NaN where a row was not tested; what was chosen in each fold) of one of `BASELINES`."""
    target = task.columns()
    found = np.full(target.shape, np.nan)
    choices = []
    for number, (fold, parts) in enumerate(zip(split.folds, split.inner, strict=True)):
        if name == MEAN:
            found[fold.test] = target[fold.train].mean(axis=0)
            choice = Choice(0, 0.0)
        elif name == NEAREST:
            # chords of the unit sphere, not standardized: the order of great-circle distances
            xyz = xyz_of(task.points)
            choice = neighbors.chosen([xyz], target, fold.train, parts, task.kind, scale=False)
            found[fold.test] = neighbors.means_of(
                xyz[fold.train],
                target[fold.train],
                xyz[fold.test],
                (int(choice.alpha),),
                task.kind,
                choice.votes,
            )[0]
        elif name in _PROBES:
            found[fold.test], choice = _learned(_PROBES[name], task, split, number), Choice(0, 0.0)
        else:
            found[fold.test], choice = ridge.predicted(
                [sines(task.points)], target, fold.train, parts, fold.test, task.kind
            )
        choices.append(choice)
    return found, choices


def _learned(probe: Probe, task: Task, split: Split, number: int) -> Floats:
    """(m, K) what a probe of degrees and of xyz on the unit sphere, which has no antimeridian, predicts in a fold."""
    fold, features = split.folds[number], np.hstack([xyz_of(task.points), np.radians(task.points)])
    if probe is gaussian_process:
        features = features[:, :3]  # its covariance is of distances
    training = Training(
        task.kind, features[fold.train], task.target[fold.train], task.outputs, split.inner[number], number,
        balanced=False,
    )  # fmt: skip
    return np.asarray(probe(training, features[fold.test], EFFORT), np.float64)


def linear_layer(
    features: Floats, labels: NDArray[Any], tested: Floats, classes: int, seed: int, parts: Ints
) -> NDArray[np.float32]:
    """What a linear layer trained on (M, D) features predicts: (N, C) logits, or (N, 1) numbers.

    Classes by softmax and Adam; numbers by ridge, its penalty chosen on the (M,) inner parts.
    """
    if not classes:
        rows = np.arange(len(features))
        target = np.asarray(labels, np.float64)[:, None]
        both, asked = np.concatenate([features, tested]), len(features) + np.arange(len(tested))
        found, _ = ridge.predicted([both], target, rows, parts, asked, "regression")
        return np.asarray(found, np.float32)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, 1.0)
    return _softmax(
        (features - mean) / scale, labels.astype(np.int64), (tested - mean) / scale, classes, seed
    )


def _softmax(features: Floats, labels: Ints, tested: Floats, classes: int, seed: int) -> NDArray[np.float32]:
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
            return np.asarray(layer(torch.from_numpy(tested).float()).numpy(), np.float32)
