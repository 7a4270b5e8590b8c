"""``placevec benchmark``: tables that others can reproduce."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from placevec.cli.output import print_json, print_table, progress_for, say
from placevec.cli.signature import Json, Quiet, at_least
from placevec.errors import UsageError

if TYPE_CHECKING:
    from placevec.evaluation.location_encoders.compare import Group

HELP = """\
Every encoder, corrected and as published, on tasks of real and made-up data, in random and in spatial-block
folds, by three probes (ridge, trained head, nearest neighbors), with intervals. Writes table.md,
results.csv and pictures. The same command goes on where it was stopped; with --budget it begins with what
matters most and lists what was left out.

For example:

  placevec benchmark encoders --budget 30m --out encoders/

  placevec benchmark encoders --tasks country-of-cities,vmf-U4 --encoders sphereC+,grid,xyz

  placevec benchmark encoders --task stations.csv --label temperature"""
_SHOWN = 12  # units left out that are named on the terminal
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def command(
    what: Literal["encoders"],
    /,
    *,
    out: Annotated[Path, Parameter(name=("--out", "-o"))] = Path("benchmark-encoders"),
    encoders: tuple[str, ...] = (),
    originals: bool = True,
    tasks: tuple[str, ...] = (),
    task: tuple[Path, ...] = (),
    label: str | None = None,
    block_m: Annotated[float | None, Parameter(validator=at_least(10))] = None,
    probes: tuple[str, ...] = (),
    schemes: tuple[str, ...] = (),
    seeds: Annotated[int, Parameter(validator=at_least(1))] = 3,
    folds: Annotated[int, Parameter(validator=at_least(2))] = 5,
    points: Annotated[int | None, Parameter(validator=at_least(100))] = None,
    budget: str | None = None,
    plots: bool = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call `placevec.api.benchmark_encoders` and print what it found.

    Args:
        what: What to compare.
        out: Folder of the results.
        encoders: Only these, by any name, separated by commas.
        originals: The published forms too.
        tasks: Only these, separated by commas (all, real and synthetic stand for several).
        task: Table of your own, with lon, lat and a label (may be repeated).
        label: Column to predict in it.
        block_m: Side of its spatial blocks, meters (default: a tenth of its extent).
        probes: Only these, separated by commas: ridge, trained, kNN.
        schemes: Only these folds, separated by commas: blocks, random.
        seeds: Shufflings of the points.
        folds: Folds of a shuffling.
        points: Maximum number of points of a task (default 5000, or what a budget allows).
        budget: Time after which nothing new is begun: 90s, 30m, 2h.
        plots: Pictures too.
    """
    from placevec import api

    results = api.benchmark_encoders(
        out, encoders=_split(encoders), originals=originals, tasks=_split(tasks), files=task, label=label,
        block_m=block_m, probes=_among("probes", probes, ("ridge", "trained", "kNN")),  # type: ignore[arg-type]
        schemes=_among("schemes", schemes, ("blocks", "random")),  # type: ignore[arg-type]
        seeds=seeds, folds=folds, points=points, budget_s=None if budget is None else seconds_of(budget), plots=plots,
        progress=progress_for(as_json, quiet),
    )  # fmt: skip
    if as_json:
        print_json(results.as_dict())
        return
    print_table(
        (
            "task",
            "folds",
            "probe",
            "metric",
            "best encoder",
            "score",
            "best baseline",
            "its score",
            "beside it",
            "alike",
        ),
        [_row(group) for group in results.groups],
    )
    left, done = results.outcome.left_out, results.outcome.done
    if left:
        say(
            f"Left out for want of time: {len(left)} of {len(left) + len(done)} units; the same command goes on from here"
        )
        for unit in left[:_SHOWN]:
            say(f"  {unit}")
        if len(left) > _SHOWN:
            say(f"  and {len(left) - _SHOWN} more, named in table.md")
    written = "Tables and pictures" if plots and results.groups else "Tables"
    say(f"{written} in {out}: begin with {out / 'table.md'}")


def _row(group: Group) -> tuple[Any, ...]:
    """One line of the printed table; ``alike``: encoders that are not told apart from the best."""
    best, baseline = group.encoders[0], group.of(group.best_baseline)
    score = best.overall
    return (
        group.task.name, group.scheme, group.probe, group.task.metric, best.name,
        f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]", group.best_baseline,
        f"{baseline.overall.value:.3f}" if baseline else "", best.verdict, sum(one.like_best for one in group.encoders),
    )  # fmt: skip


def seconds_of(budget: str) -> float:
    """Seconds of ``90s``, ``30m``, ``1.5h``.

    Raises:
        UsageError: something else.

    >>> seconds_of("30m")
    1800.0
    """
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smh])", budget.strip().lower())
    if not found or float(found[1]) <= 0:
        raise UsageError(f"a budget is a time such as 90s, 30m or 2h; got {budget[:20]!r}")
    return float(found[1]) * _UNITS[found[2]]


def _split(values: Sequence[str]) -> list[str] | None:
    return [part.strip() for value in values for part in value.split(",") if part.strip()] or None


def _among(name: str, values: Sequence[str], known: tuple[str, ...]) -> list[str] | None:
    chosen = _split(values)
    for one in chosen or ():
        if one not in known:
            raise UsageError(f"--{name} are {', '.join(known)}; got {one[:40]!r}")
    return chosen
