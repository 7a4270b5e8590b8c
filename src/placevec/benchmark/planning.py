"""How many points a budget allows; kept beside the results, so that a run that goes on compares the same points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from placevec.atomic import write_json
from placevec.benchmark.tasks import PointTask
from placevec.documents import check, read_json
from placevec.errors import EvaluationError, PlacevecError, UsageError

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


def taken(whole: PointTask, points: int, split: Callable[[PointTask], object]) -> PointTask:
    """At most ``points`` of a task's points, which ``split`` must be able to deal into folds.

    Raises:
        EvaluationError: there are too few points, blocks or classes; says so where the whole task would have enough.
    """
    try:
        task = whole.sampled(points)
        split(task)
    except EvaluationError as error:
        many = int((~whole.further).sum())
        try:
            split(whole.sampled(many))
        except EvaluationError:
            raise error from None
        raise EvaluationError(
            f"{error}. Of its {many:,} points only {points:,} were taken: raise --points"
        ) from error
    return task


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
