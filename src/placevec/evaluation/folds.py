"""How points are split: at random, or in spatial blocks; and inside the training points once more, to choose settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from placevec.errors import EvaluationError
from placevec.evaluation.point_tasks import PointTask
from placevec.evaluation.splits import Blocks, Fold, random_split, spatial_split
from placevec.geo import Ints, spatial_blocks

Scheme = Literal["random", "blocks"]
SCHEMES: tuple[Scheme, ...] = ("blocks", "random")
INNER = 4
"""Parts of the training points; each is predicted from the others to choose settings."""
MIN_TO_TRAIN = 20


@dataclass(frozen=True)
class Folds:
    """One shuffling of a task's points.

    Attributes:
        folds: rows trained on and rows tested on; further points are only ever tested.
        inner: for each fold, (n,) which of `INNER` parts each training row is in.
        tested_in: (N,) the fold that tests each row, -1 for none.
    """

    folds: tuple[Fold, ...]
    inner: tuple[Ints, ...]
    tested_in: Ints


def blocks_of(task: PointTask) -> Blocks:
    """The task's ground in squares, for spatial folds and for the bootstrap."""
    number = spatial_blocks(task.lonlat[:, 0], task.lonlat[:, 1], task.block_m)
    return Blocks(np.asarray(np.unique(number, return_inverse=True)[1], np.int64), task.block_m)


def folds_of(task: PointTask, scheme: Scheme, count: int, seed: int) -> Folds:
    """The points dealt into ``count`` folds by the seed, at random or by blocks with a buffer.

    Inner parts are made the same way: of blocks where the folds are, so that settings are chosen for the question asked.

    Raises:
        EvaluationError: too few points or blocks.
    """
    blocks = blocks_of(task)
    if scheme == "random":
        split = random_split(len(task), folds=count, seed=seed)
    else:
        split = spatial_split(task.lonlat, blocks, buffer_m=task.buffer_m, folds=count, seed=seed)
    folds, inner = [], []
    for number, fold in enumerate(split.folds):
        train = fold.train[~task.further[fold.train]]
        if len(train) < MIN_TO_TRAIN:
            raise EvaluationError(
                f"task {task.name}: a fold of {scheme} leaves {len(train)} points to learn from"
            )
        folds.append(Fold(train, fold.test))
        random = np.random.default_rng([seed, number, 0x1E])
        inner.append(_parts(blocks.number[train] if scheme == "blocks" else np.arange(len(train)), random))
    tested_in = np.full(len(task), -1, np.int64)
    for number, fold in enumerate(folds):
        tested_in[fold.test] = number
    return Folds(tuple(folds), tuple(inner), tested_in)


def _parts(groups: Ints, random: np.random.Generator) -> Ints:
    """(n,) part of each row: whole groups, shuffled, each dealt to the part that holds the fewest rows so far."""
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    part = np.zeros(len(names), np.int64)
    if len(names) == len(groups):
        part[random.permutation(len(names))] = np.arange(len(names)) % INNER
        return part[inverse]
    held = np.zeros(INNER)
    for name in random.permutation(len(names)):
        part[name] = int(np.argmin(held))
        held[part[name]] += sizes[name]
    return part[inverse]
