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

from placevec.errors import EvaluationError, PlacevecError, UsageError
from placevec.evaluation.neighbors import VOTES
from placevec.evaluation.ridge import Choice
from placevec.evaluation.splits import Scheme
from placevec.evaluation.tasks import MIN_OF_A_CLASS, Task, checked_points, sampled
from placevec.geo import Floats
from placevec.io.atomic import sha256_of_json, write_bytes, write_json
from placevec.io.json_documents import check, read_json

VERSION = 3
"""Of what is computed: a change of a probe that changes answers counts it up, and old cells are made again."""
_MAX_BYTES = 1 << 27


@dataclass(frozen=True)
class Key:
    """Which cell."""

    task: str
    scheme: Scheme
    seed: int
    probe: str
    candidate: str

    def path(self, out: Path) -> Path:
        """Of its file: names of encoders become letters, digits and signs that every file system takes."""
        name = re.sub(r"[^A-Za-z0-9+.]+", "-", self.candidate).strip("-")
        return out / "cells" / self.task / f"{self.scheme}-{self.seed}" / f"{self.probe}-{name}.npz"


@dataclass(frozen=True)
class Cell:
    """One result.

    Attributes:
        predicted: (N,) as `stored` keeps it.
        choices: what was chosen in each fold.
        seconds: that it took.
    """

    predicted: NDArray[Any]
    choices: tuple[Choice, ...]
    seconds: float


UNTESTED = np.uint16(65535)


def stored(task: Task, predictions: Floats) -> NDArray[np.generic]:
    """(N,) what is kept of (N, K) predictions: the class predicted (uint16, `UNTESTED`), or the number (float32, NaN)."""
    if task.kind != "classification":
        return predictions[:, 0].astype(np.float32)
    tested = np.isfinite(predictions).all(axis=1)
    named = np.full(len(predictions), UNTESTED, np.uint16)
    named[tested] = predictions[tested].argmax(axis=1)
    return named


def tested(predicted: NDArray[np.generic]) -> NDArray[np.bool_]:
    """(N,) which rows of `stored` predictions were tested."""
    return np.asarray(predicted != UNTESTED if predicted.dtype == np.uint16 else np.isfinite(predicted))


def identity(task: Task, folds: int, settings: Sequence[Any]) -> str:
    """SHA-256 of everything that a cell's answers depend on beside its key."""
    data = hashlib.sha256()
    for array in (task.points, task.target, task.extra):
        data.update(np.ascontiguousarray(array).tobytes())
    return sha256_of_json(
        [
            VERSION,
            data.hexdigest(),
            task.side_m,
            task.kind,
            folds,
            [sorted(map(repr, one.items())) for one in settings],
        ]
    )


def write(key: Key, out: Path, cell: Cell, made_of: str) -> None:
    """Write a cell, whole or not at all."""
    held = io.BytesIO()
    np.savez_compressed(
        held,
        predicted=cell.predicted,
        choices=np.array(
            [(one.setting, one.alpha, one.at_edge, VOTES.index(one.votes)) for one in cell.choices],
            np.float64,
        ).reshape(-1, 4),
        seconds=np.float64(cell.seconds),
        made_of=np.array(_signed(key, made_of)),
    )
    write_bytes(key.path(out), held.getvalue())


def read(key: Key, out: Path, made_of: str) -> Cell | None:
    """A cell, or None where there is none, a damaged one, or one of other data or settings."""
    path = key.path(out)
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        with (
            path.open("rb") as file,
            np.load(file, allow_pickle=False) as held,
        ):  # np.load leaves damaged ones open
            if str(held["made_of"]) != _signed(key, made_of):
                return None
            choices = tuple(
                Choice(int(setting), float(alpha), bool(edge), VOTES[int(votes)])
                for setting, alpha, edge, votes in held["choices"]
            )
            return Cell(held["predicted"], choices, float(held["seconds"]))
    except Exception:  # of a damaged file: zlib, zipfile and numpy each raise their own, of many kinds
        return None


def _signed(key: Key, made_of: str) -> str:
    """What a file says of itself: a copy of another cell is not taken for this one."""
    return sha256_of_json([made_of, key.task, key.scheme, key.seed, key.probe, key.candidate])


POINTS = 5_000
"""Points of a task, without a budget."""
FEWER = (5_000, 3_000, 2_000, 1_000)
"""Numbers of points that a budget chooses from."""
_SECONDS = 1.5  # a cell of the ridge takes for 5,000 points in 5 folds, mean of the encoders, one core
_PLAN = "plan.json"
_SPEC = {"points": int, "folds": int}


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
    known = _read(out)
    if known is not None:
        if points not in (None, known["points"]) or folds != known["folds"]:
            raise UsageError(
                f"{out} holds a benchmark of {known['points']:,} points in {known['folds']} folds: "
                "ask for the same, or choose another --out"
            )
        return known["points"], known["folds"]
    return affordable(budget_s, folds, cells) if points is None else points, folds


def keep(out: Path, points: int, folds: int) -> None:
    """Write down what a benchmark was begun with. Not before it can begin: a run that was refused binds nobody."""
    write_json(out / _PLAN, {"points": points, "folds": folds})


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
            f"{error}. Of its {many:,} points only {points:,} were taken: raise --points"
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


def _read(out: Path) -> dict[str, int] | None:
    path = out / _PLAN
    if not path.is_file():
        return None
    try:
        content = read_json(path)
        check(content, _SPEC)
    except (PlacevecError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is damaged ({error}): remove it, or choose another --out") from error
    return {"points": int(content["points"]), "folds": int(content["folds"])}
