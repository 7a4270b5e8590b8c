"""What is predicted: labels on places, their kind, and which layers of a map give the label away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError
from placevec.geo import Floats, Ints

Kind = Literal["classification", "multilabel", "regression", "presence", "distribution", "retrieval"]
METRIC: dict[Kind, str] = {
    "classification": "macro-F1",
    "multilabel": "mean average precision",
    "regression": "R²",
    "presence": "AUC",
    "distribution": "L1",
    "retrieval": "precision@10",
}
"""The measure that rows of a task are compared by, where the task names no other."""
RETRIEVED = 10
"""Nearest places that a task of retrieval looks at."""
OF_CLASSES: tuple[Kind, ...] = ("classification", "retrieval")
"""Kinds whose labels are class numbers."""
COLORS = ("red", "green", "blue")
MIN_PLACES = 20
"""Places that a class needs, and that a POI group needs with and without."""
MIN_POINTS = 50
MIN_OF_A_CLASS = 10
"""Points below which a class of a table of points is left out: there would be folds without it."""
WORLD_BLOCK_M = 1_112_000.0
"""Ten degrees of a meridian: the blocks of tasks that span the world."""


@dataclass(frozen=True)
class Task:
    """Labels on places.

    Attributes:
        name: for people, the command line and names of files.
        kind: of the labels.
        target: (n,) int64 class numbers, (n, G) bool, (n,) float64, (n,) 0 background or 1 present, (n, G) shares
            that sum to 1, or (n,) class numbers that the nearest places should share.
        rows: (n,) int64 distinct rows of the dataset's places, or of a table of points.
        classes: names of the K classes or G groups; empty for regression. Hostile text.
        leaks: layers whose presence in a model's input gives the label away.
        class_leaks: for each class or group, further layers that give this one away; empty: none do.
        description: one sentence.
        lonlat: (n, 2) float64 degrees, where the task knows them.
        block_m: side of its spatial blocks in meters; None: chosen by the evaluation.
        extra: (n,) bool: only ever tested, and counted only in the strata that they were drawn for.
        ceiling: what no classifier can exceed in expectation, where that is known.
        credit: where the data come from.
        metric: what rows are compared by; by default that of the kind.
        notes: what the user should know of how it was made, such as classes that were left out.
    """

    name: str
    kind: Kind
    target: NDArray[Any]
    rows: Ints
    classes: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    class_leaks: tuple[tuple[str, ...], ...] = ()
    description: str = ""
    lonlat: Floats | None = None
    block_m: float | None = None
    extra: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    ceiling: float | None = None
    credit: str = ""
    metric: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.target) != len(self.rows) or len(np.unique(self.rows)) != len(self.rows):
            raise EvaluationError(
                f"task {self.name}: there must be one label per place, and each place may occur only once"
            )
        if self.kind not in METRIC:
            raise EvaluationError(
                f"task {self.name}: unknown kind {self.kind!r}: choose from {', '.join(METRIC)}"
            )
        if len(self.extra) == 0:
            object.__setattr__(self, "extra", np.zeros(len(self.rows), bool))
        object.__setattr__(self, "metric", self.metric or METRIC[self.kind])
        if self.kind == "distribution" and not are_shares(self.target):
            raise EvaluationError(f"task {self.name}: the shares of a place must be 0 or more and sum to 1")
        known = self.lonlat is None or (len(self.lonlat) == len(self.rows) and np.isfinite(self.lonlat).all())
        if not known or not np.isfinite(np.asarray(self.target, np.float64)).all():
            raise EvaluationError(
                f"task {self.name}: coordinates and labels must be finite numbers, one per place"
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def outputs(self) -> int:
        """Columns of a prediction: one a class or group, else one; of retrieval one for each place retrieved."""
        if self.kind == "retrieval":
            return RETRIEVED
        return max(1, len(self.classes)) if self.kind != "presence" else 1

    @property
    def points(self) -> Floats:
        """(n, 2) `lonlat`, which the task must have."""
        if self.lonlat is None:
            raise EvaluationError(f"task {self.name}: its places have no coordinates")
        return self.lonlat

    @property
    def side_m(self) -> float:
        """Side of its spatial blocks in meters; those of the world where it names none."""
        return WORLD_BLOCK_M if self.block_m is None else self.block_m

    @property
    def counted(self) -> NDArray[np.bool_]:
        """(n,) places that are not `extra`."""
        return ~self.extra

    def columns(self) -> Floats:
        """(n, K) the target as numbers: one column per class or group, or a single one."""
        if self.kind in OF_CLASSES:
            return np.asarray(np.eye(len(self.classes))[self.target])
        return np.asarray(self.target, np.float64).reshape(len(self), -1)

    def taken(self, chosen: NDArray[Any]) -> Task:
        """The same task on some of its places (indices or mask into `rows`)."""
        lonlat = None if self.lonlat is None else self.lonlat[chosen]
        return replace(
            self, target=self.target[chosen], rows=self.rows[chosen], extra=self.extra[chosen], lonlat=lonlat
        )

    def only(self, kept: NDArray[Any]) -> Task:
        """A multilabel task on some of its groups (ascending numbers)."""
        return replace(
            self,
            target=self.target[:, kept],
            classes=tuple(self.classes[number] for number in kept),
            class_leaks=tuple(self.class_leaks[number] for number in kept) if self.class_leaks else (),
        )

    def counts(self) -> dict[str, int]:
        """Places of each class, or with each group."""
        if self.kind in OF_CLASSES:
            held = np.bincount(self.target[self.counted], minlength=len(self.classes))
        elif self.kind == "multilabel":
            held = self.target.sum(axis=0)
        else:
            return {}
        return {name: int(count) for name, count in zip(self.classes, held, strict=True)}

    def check_varied(self) -> None:
        """EvaluationError where all labels are the same: nothing could be predicted better than by a constant."""
        counted = self.target[self.counted]
        if len(counted) == 0 or not varied(counted):
            raise EvaluationError(
                f"task {self.name}: all labels are the same, so there is nothing to predict"
            )


def are_shares(values: NDArray[Any]) -> bool:
    """Whether every row of (n, G) numbers is 0 or more and sums to 1.

    >>> are_shares(np.array([[0.25, 0.75]])), are_shares(np.array([[0.5, 0.6]]))
    (True, False)
    """
    table = np.asarray(values, np.float64)
    return table.ndim == 2 and bool((table >= 0).all() and np.allclose(table.sum(axis=1), 1.0, atol=1e-6))


def varied(target: NDArray[Any]) -> bool:
    """Whether labels differ: two classes, a group with both answers, values that differ.

    >>> varied(np.array([1, 1])), varied(np.array([[True, False], [True, True]]))
    (False, True)
    """
    return len(target) > 0 and bool((target.min(axis=0) != target.max(axis=0)).any())


# --- making ------------------------------------------------------------------------------------------------


def classes_of(labels: NDArray[Any]) -> tuple[Ints, tuple[str, ...]]:
    """((N,) class numbers, names in alphabetical order) of text labels.

    >>> classes_of(np.array(["b", "a", "b"]))[1]
    ('a', 'b')
    """
    names, numbers = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    return np.asarray(numbers, np.int64), tuple(str(name) for name in names)


def classes_task(
    name: str,
    labels: Sequence[str | None] | NDArray[Any],
    rows: Ints,
    *,
    leaks: tuple[str, ...] = (),
    description: str = "",
    kind: Kind = "classification",
) -> Task:
    """A task of classes from one text per place (None: unknown); classes of under `MIN_PLACES` are left out.

    Raises:
        EvaluationError: fewer than two classes are left.
    """
    texts = np.asarray(labels, object)
    known = np.array([text is not None for text in texts], bool)
    found, counts = np.unique(texts[known].astype(str), return_counts=True)
    kept = found[counts >= MIN_PLACES]
    if len(kept) < 2:
        largest = sorted(zip(found, counts, strict=True), key=lambda one: -one[1])[:5]
        there = ", ".join(f"{text[:30]} {count}" for text, count in largest)
        raise EvaluationError(
            f"task {name}: at least two classes with {MIN_PLACES} or more places are needed, but there "
            f"{'is only 1' if len(kept) == 1 else 'are none'} (largest classes: {there or 'none'})"
        )
    chosen = np.flatnonzero(known & np.isin(np.where(known, texts, ""), kept))
    target, classes = classes_of(texts[chosen])
    notes = rare_classes(dict(zip(found.tolist(), counts.tolist(), strict=True)), MIN_PLACES)
    return Task(name, kind, target, rows[chosen], classes, leaks, description=description, notes=notes)


def rare_classes(counts: Mapping[str, int], fewest: int, shown: int = 5) -> tuple[str, ...]:
    """A note on the classes that are too rare, if any.

    >>> rare_classes({"oak": 40, "elm": 2}, 5)
    ('classes with fewer than 5 places are left out: elm (2)',)
    """
    rare = sorted(((count, name) for name, count in counts.items() if count < fewest), reverse=True)
    if not rare:
        return ()
    named = ", ".join(f"{name[:30]} ({count})" for count, name in rare[:shown])
    more = f" and {len(rare) - shown} more" if len(rare) > shown else ""
    return (f"classes with fewer than {fewest} places are left out: {named}{more}",)


def point_task(
    name: str, kind: Kind, lonlat: Floats, target: NDArray[Any], classes: tuple[str, ...] = (), **more: Any
) -> Task:
    """A task on a table of points: (N, 2) degrees with a label each. Classes are compared by accuracy.

    Raises:
        EvaluationError: fewer than `MIN_POINTS` points, all labels the same, or a number that is not finite.
    """
    if kind == "classification":
        more.setdefault("metric", "accuracy")
    more.setdefault("block_m", WORLD_BLOCK_M)
    if len(target) != len(lonlat):
        raise EvaluationError(f"task {name}: there must be one label per point")
    task = Task(name, kind, target, np.arange(len(target)), classes, lonlat=lonlat, **more)
    return checked_points(task)


def checked_points(task: Task) -> Task:
    """The task, or EvaluationError where it has too few points or one label."""
    many = int(task.counted.sum())
    if many < MIN_POINTS:
        raise EvaluationError(
            f"task {task.name}: {many} labeled points are too few; at least {MIN_POINTS} are needed"
        )
    task.check_varied()
    return task


# --- fewer -------------------------------------------------------------------------------------------------


def sampled(task: Task, count: int, *, fewest: int = MIN_PLACES, seed: int = 0) -> Task:
    """At most ``count`` counted places (and as many extra ones) drawn by the seed, in their order.

    All present points of a presence task are kept. Classes and groups of under ``fewest`` places are left out.

    Raises:
        EvaluationError: one class is left, or too few points of a table.
    """
    groups = [(np.flatnonzero(task.extra), count)]
    counted = np.flatnonzero(task.counted)
    if task.kind == "presence":
        seen = task.target[counted] == 1
        groups += [(counted[seen], count), (counted[~seen], max(count - int(seen.sum()), MIN_POINTS))]
    else:
        groups.append((counted, count))
    if all(len(rows) <= most for rows, most in groups):
        return with_common_classes(task, fewest)
    random = np.random.default_rng([seed, 0x5A])
    kept = np.zeros(len(task), bool)
    for rows, most in groups:
        kept[rows if len(rows) <= most else random.choice(rows, most, replace=False)] = True
    return with_common_classes(task.taken(kept), fewest)


def with_common_classes(task: Task, fewest: int = MIN_OF_A_CLASS) -> Task:
    """The task without classes and groups of fewer than ``fewest`` counted places; classes are numbered anew."""
    if task.kind not in (*OF_CLASSES, "multilabel"):
        return task
    common = np.array(list(task.counts().values())) >= fewest
    if common.all():
        return task
    if task.kind == "multilabel":
        return task.only(np.flatnonzero(common))
    number = np.cumsum(common) - 1
    part = task.taken(common[task.target])
    if task.block_m is not None and int(part.counted.sum()) < MIN_POINTS:
        raise EvaluationError(
            f"task {task.name}: {int(part.counted.sum())} points belong to classes with at least {fewest} points; "
            f"at least {MIN_POINTS} are needed"
        )
    names = tuple(name for name, many in zip(task.classes, common, strict=True) if many)
    return replace(part, target=number[part.target], classes=names)


# --- leaks -------------------------------------------------------------------------------------------------


def leaking(task: Task, seen: Sequence[str]) -> tuple[str, ...]:
    """The layers that a model sees and that give the label away; the colors of a drawn map may show any of them."""
    if task.leaks and set(COLORS) <= set(seen):
        return COLORS
    return tuple(layer for layer in task.leaks if layer in seen)


def without_leaking_groups(task: Task, seen: Sequence[str]) -> tuple[Task, dict[str, tuple[str, ...]]]:
    """(the task without the groups that seen layers give away, those groups and the layers)."""
    given_away = {
        name: tuple(layer for layer in layers if layer in seen)
        for name, layers in zip(task.classes, task.class_leaks, strict=False)
        if set(layers) & set(seen)
    }
    if not given_away:
        return task, {}
    return task.only(np.flatnonzero([name not in given_away for name in task.classes])), given_away
