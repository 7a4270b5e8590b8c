"""``placevec benchmark``: tables that others can reproduce."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from placevec.cli.output import JSON, QUIET, print_json, print_table, progress_for, say
from placevec.errors import UsageError

if TYPE_CHECKING:
    from placevec.evaluation.location_encoders.compare import Group

NAME = "benchmark"
HELP = """Compare the location encoders with one another, and with what needs no encoder.

Every encoder, corrected and as published, on tasks of real and made-up data, in random and in spatial-block folds, by
three probes (ridge, trained head, nearest neighbours), with intervals. Writes table.md, results.csv and pictures. The
same command goes on where it was stopped; with --budget it begins with what tells most and says what was left out.

Examples:

  placevec benchmark encoders --budget 30m --out encoders/

  placevec benchmark encoders --tasks country-of-cities,vmf-U4 --encoders sphereC+,grid,xyz

  placevec benchmark encoders --task stations.csv --label temperature
"""
_SHOWN = 12  # units left out that are named on the terminal
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def command(
    what: Literal["encoders"] = typer.Argument(..., help="What to compare."),
    out: Path = typer.Option(Path("benchmark-encoders"), "--out", "-o", help="Folder of the results."),
    encoders: list[str] = typer.Option([], help="Only these, by any name, separated by commas."),
    originals: bool = typer.Option(True, help="Also the published forms."),
    tasks: list[str] = typer.Option(
        [], help="Only these, separated by commas; all, real and synthetic stand for several."
    ),
    task: list[Path] = typer.Option(
        [], help="A table of your own, with lon, lat and a label (may be repeated)."
    ),
    label: str | None = typer.Option(None, help="The column to predict in it."),
    block_km: float | None = typer.Option(
        None, min=0.01, help="Side of its spatial blocks; a tenth of its extent by default."
    ),
    probes: list[str] = typer.Option([], help="Only these, separated by commas: ridge, trained, kNN."),
    schemes: list[str] = typer.Option([], help="Only these folds, separated by commas: blocks, random."),
    seeds: int = typer.Option(3, min=1, help="Shufflings of the points."),
    folds: int = typer.Option(5, min=2, help="Folds of a shuffling."),
    points: int | None = typer.Option(
        None, min=100, help="At most so many points of a task (5000, or what a budget allows)."
    ),
    budget: str | None = typer.Option(None, help="Begin nothing new after this time: 90s, 30m, 2h."),
    plots: bool = typer.Option(True, help="Also pictures."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.benchmark_encoders` and print what it found."""
    from placevec import api

    results = api.benchmark_encoders(
        out, encoders=_split(encoders), originals=originals, tasks=_split(tasks), files=task, label=label,
        block_km=block_km, probes=_among("probes", probes, ("ridge", "trained", "kNN")),  # type: ignore[arg-type]
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


def _split(values: list[str]) -> list[str] | None:
    return [part.strip() for value in values for part in value.split(",") if part.strip()] or None


def _among(name: str, values: list[str], known: tuple[str, ...]) -> list[str] | None:
    chosen = _split(values)
    for one in chosen or ():
        if one not in known:
            raise UsageError(f"--{name} are {', '.join(known)}; got {one[:40]!r}")
    return chosen
