"""What needs no encoder: the mean, neighbours by distance on the sphere, and a ridge on four sines and cosines."""

from __future__ import annotations

import numpy as np

from placevec.benchmark import neighbours, ridge
from placevec.benchmark.folds import Folds
from placevec.benchmark.synthetic import xyz_of
from placevec.benchmark.tasks import PointTask
from placevec.evaluation.answer_floors import sines
from placevec.geo import Floats, Ints

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
            # chords of the unit sphere, not standardised: the order of great-circle distances
            xyz = xyz_of(task.lonlat)
            choice = _chosen_k(xyz, target, fold.train, parts, task)
            found[fold.test] = neighbours.answers(
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
        return ridge.Choice(0, float(neighbours.KS[-1]))
    truth = target[train[held]]
    given = neighbours.answers(xyz[train[~held]], target[train[~held]], xyz[train[held]], neighbours.KS)
    scores = [
        float((one.argmax(1) == truth.argmax(1)).mean())
        if task.kind == "classes"
        else -float(((one - truth) ** 2).mean())
        for one in given
    ]
    return ridge.Choice(0, float(neighbours.KS[int(np.argmax(scores))]))
