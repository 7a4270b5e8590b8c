"""What encoders are asked: points with a label each, and how they are split."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError
from placevec.geo import Floats, Ints

TaskKind = Literal["number", "classes", "presence"]
METRIC: dict[TaskKind, str] = {"number": "R²", "classes": "accuracy", "presence": "AUC"}
WORLD_BLOCK_M = 1_112_000.0
"""Ten degrees of a meridian: the blocks of tasks that span the world."""
MIN_POINTS = 50
MIN_PER_CLASS = 10
"""Points below which a class is left out: there would be folds without it."""


@dataclass(frozen=True)
class PointTask:
    """Labeled points.

    Attributes:
        name: letters, digits, dots and hyphens: it names files.
        kind: ``number``, ``classes`` (one of many), or ``presence`` (1 where something was seen, 0 for background).
        lonlat: (N, 2) float64 degrees.
        target: (N,) float64 numbers, or int64 classes from 0; presence is 0 or 1.
        classes: names of the classes; of presence absent and present; none of numbers. Hostile text.
        block_m: side of the blocks of spatial folds and of the bootstrap, meters.
        further: (N,) bool: points that are only ever tested, and count only in the strata that they were drawn for.
        most: what no classifier can exceed in expectation, where that is known, else None.
        description: one sentence.
        credit: where the data come from.
    """

    name: str
    kind: TaskKind
    lonlat: Floats
    target: NDArray[Any]
    classes: tuple[str, ...] = ()
    block_m: float = WORLD_BLOCK_M
    further: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    most: float | None = None
    description: str = ""
    credit: str = ""

    def __post_init__(self) -> None:
        if len(self.further) == 0:
            object.__setattr__(self, "further", np.zeros(len(self.target), bool))
        if not len(self.lonlat) == len(self.target) == len(self.further):
            raise EvaluationError(f"task {self.name}: one label a point is needed")
        if not np.isfinite(self.lonlat).all() or not np.isfinite(self.target).all():
            raise EvaluationError(f"task {self.name}: coordinates and labels must be known")
        counted = self.target[~self.further]
        if len(counted) < MIN_POINTS:
            raise EvaluationError(
                f"task {self.name}: {len(counted)} labeled points are too few; at least {MIN_POINTS} are needed"
            )
        if counted.min() == counted.max():
            raise EvaluationError(
                f"task {self.name}: all labels are the same, there is nothing to tell apart"
            )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def metric(self) -> str:
        """Of its kind; larger is better."""
        return METRIC[self.kind]

    @property
    def buffer_m(self) -> float:
        """Meters that training keeps from tested points in spatial folds: a twentieth of a block."""
        return self.block_m / 20.0

    @property
    def outputs(self) -> int:
        """Columns that a learner gives: one a class, else one."""
        return len(self.classes) if self.kind == "classes" else 1

    def columns(self) -> Floats:
        """(N, outputs) the target as numbers."""
        if self.kind == "classes":
            return np.asarray(np.eye(self.outputs)[self.target])
        return np.asarray(self.target, np.float64)[:, None]

    def taken(self, rows: Ints) -> PointTask:
        """The same task on some of its points."""
        return replace(self, lonlat=self.lonlat[rows], target=self.target[rows], further=self.further[rows])

    def sampled(self, points: int, seed: int = 0) -> PointTask:
        """At most ``points`` of its points (and as many further ones), drawn by the seed, in their old order.

        All points of a presence are kept, and classes that become too rare are left out.

        Raises:
            EvaluationError: too few points are left, or labels that are all the same.
        """
        random = np.random.default_rng([seed, 0x5A])
        kept = np.zeros(len(self), bool)
        groups: list[tuple[Ints, int]] = [(np.flatnonzero(self.further), points)]
        counted = np.flatnonzero(~self.further)
        if self.kind == "presence":
            seen = self.target[counted] == 1
            groups += [(counted[seen], points), (counted[~seen], max(points - int(seen.sum()), MIN_POINTS))]
        else:
            groups.append((counted, points))
        for rows, most in groups:
            kept[rows if len(rows) <= most else random.choice(rows, most, replace=False)] = True
        return with_common_classes(self.taken(np.flatnonzero(kept)))


def with_common_classes(task: PointTask, fewest: int = MIN_PER_CLASS) -> PointTask:
    """The task without classes of fewer than ``fewest`` counted points; classes are numbered anew.

    Raises:
        EvaluationError: too few points are left, or one class.
    """
    if task.kind != "classes":
        return task
    held = np.bincount(task.target[~task.further], minlength=task.outputs)
    common = held >= fewest
    if common.all():
        return task
    left = int(held[common].sum())
    if left < MIN_POINTS:
        raise EvaluationError(
            f"task {task.name}: {left} points are of classes with {fewest} points or more, too few; "
            f"at least {MIN_POINTS} are needed"
        )
    rows = np.flatnonzero(common[task.target])
    number = np.cumsum(common) - 1
    return replace(
        task.taken(rows),
        target=number[task.target[rows]],
        classes=tuple(name for name, many in zip(task.classes, common, strict=True) if many),
    )


def classes_of(labels: NDArray[Any]) -> tuple[Ints, tuple[str, ...]]:
    """((N,) class numbers, names in alphabetical order) of text labels.

    >>> classes_of(np.array(["b", "a", "b"]))[1]
    ('a', 'b')
    """
    names, numbers = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    return np.asarray(numbers, np.int64), tuple(str(name) for name in names)
