"""Results on disk: one file for an encoder, probe, task, kind of folds and seed. A killed run goes on where it was."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError, UsageError
from placevec.evaluation.engine import is_tested
from placevec.evaluation.neighbors import VOTES
from placevec.evaluation.ridge import Choice
from placevec.evaluation.splits import Scheme
from placevec.evaluation.tasks import MIN_OF_A_CLASS, Task, checked_points, sampled
from placevec.geo import Floats
from placevec.io import jobs
from placevec.io.atomic import sha256_of_json

VERSION = 3
"""Of what is computed: a change of a probe that changes answers counts it up, and old cells are made again."""


@dataclass(frozen=True)
class Unit:
    """All encoders, or baselines, on one task, kind of folds, seed and probe.

    >>> Unit("forest", "blocks", 0, "ridge").file("wrap (original)")
    'forest/blocks-0/ridge-wrap-original.npz'
    """

    task: str
    scheme: Scheme
    seed: int
    probe: str

    def __str__(self) -> str:
        return f"{self.task}, {self.scheme}, seed {self.seed}, {self.probe}"

    def file(self, name: str) -> str:
        """File of a cell; the name of its encoder is reduced to characters that every file system accepts."""
        plain = re.sub(r"[^A-Za-z0-9+.]+", "-", name).strip("-")
        return f"{self.task}/{self.scheme}-{self.seed}/{self.probe}-{plain}.npz"


@dataclass(frozen=True)
class Cell:
    """One result.

    Attributes:
        predicted: (N,) float32 class predicted, or number; NaN where a row was not tested.
        choices: what was chosen in each fold.
        seconds: that it took.
    """

    predicted: NDArray[np.float32]
    choices: tuple[Choice, ...]
    seconds: float


def stored(task: Task, predictions: Floats) -> NDArray[np.float32]:
    """(N,) what is kept of (N, K) predictions: of classes the one predicted."""
    if task.kind != "classification":
        return predictions[:, 0].astype(np.float32)
    return np.where(is_tested(predictions), predictions.argmax(axis=1), np.nan).astype(np.float32)


def identity(task: Task, folds: int, settings: Sequence[Any]) -> str:
    """SHA-256 of everything that a cell's answers depend on beside its file's name."""
    data = hashlib.sha256()
    for array in (task.points, task.target, task.extra):
        data.update(np.ascontiguousarray(array).tobytes())
    described = [sorted(map(repr, one.items())) for one in settings]
    return sha256_of_json([VERSION, data.hexdigest(), task.side_m, task.kind, folds, described])


def write(file: str, out: Path, cell: Cell, made_of: str) -> None:
    """Write a cell, whole or not at all."""
    held = io.BytesIO()
    choices = [(one.setting, one.alpha, one.at_edge, VOTES.index(one.votes)) for one in cell.choices]
    np.savez_compressed(
        held, predicted=cell.predicted, choices=np.array(choices, np.float64).reshape(-1, 4), seconds=cell.seconds
    )  # fmt: skip
    _part(file, out, made_of).put(file, held.getvalue())


def read(file: str, out: Path, made_of: str) -> Cell | None:
    """A cell, or None where there is none, a damaged one, or one of other data or settings."""
    content = _part(file, out, made_of).get(file)
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        choices = tuple(
            Choice(int(setting), float(alpha), bool(edge), VOTES[int(votes)])
            for setting, alpha, edge, votes in held["choices"]
        )
        return Cell(held["predicted"], choices, float(held["seconds"]))


def folder(out: Path) -> Path:
    """Where the cells of a benchmark lie, with what they are of."""
    return out / "cells"


def _part(file: str, out: Path, made_of: str) -> jobs.Parts:
    """A cell by itself: a copy of another one is not taken for it."""
    return jobs.Parts(folder(out), sha256_of_json([made_of, file]))


POINTS = 5_000
"""Points of a task, without a budget."""
FEWER = (5_000, 3_000, 2_000, 1_000)
"""Numbers of points that a budget chooses from."""
_SECONDS = 1.5  # a cell of the ridge takes for 5,000 points in 5 folds, mean of the encoders, one core


def settled(
    out: Path, *, points: int | None, folds: int, budget_s: float | None, cells: int
) -> tuple[int, int]:
    """(points, folds) of a benchmark: those that it was begun with, else those asked for, else what the budget allows.

    Args:
        out: folder of the results.
        points: asked for.
        folds: asked for.
        budget_s: seconds.
        cells: of the first seed of the ridge, all tasks and kinds of folds.

    Raises:
        UsageError: it was begun with others.
    """
    known = jobs.inputs_of(folder(out))
    if isinstance(known, dict) and known.keys() == {"points", "folds"}:
        if points not in (None, known["points"]) or folds != known["folds"]:
            raise UsageError(
                f"{out} holds a benchmark with {known['points']:,} points and {known['folds']} folds: use the same "
                f"numbers, or choose another --out"
            )
        return int(known["points"]), folds
    return affordable(budget_s, folds, cells) if points is None else points, folds


def taken(whole: Task, points: int, split: Callable[[Task], object]) -> Task:
    """At most ``points`` of a task's points, which ``split`` must be able to deal into folds.

    Raises:
        EvaluationError: there are too few points, blocks or classes; says so where the whole task would have enough.
    """
    try:
        task = _fewer(whole, points)
        split(task)
    except EvaluationError as error:
        many = int(whole.counted.sum())
        try:
            split(_fewer(whole, many))
        except EvaluationError:
            raise error from None
        raise EvaluationError(
            f"{error}. Only {points:,} of its {many:,} points were used: raise --points"
        ) from error
    return task


def _fewer(task: Task, points: int) -> Task:
    return checked_points(sampled(task, points, fewest=MIN_OF_A_CLASS))


def affordable(budget_s: float | None, folds: int, cells: int) -> int:
    """The most points with which the first seed of the ridge takes at most a third of the budget.

    >>> affordable(None, 5, 600), affordable(1800, 5, 600), affordable(300, 5, 600)
    (5000, 3000, 1000)
    """
    if budget_s is None:
        return POINTS
    fitting: Sequence[int] = [
        points for points in FEWER if cells * _SECONDS * points / 5_000 * folds / 5 <= budget_s / 3
    ]
    return max(fitting, default=FEWER[-1])
