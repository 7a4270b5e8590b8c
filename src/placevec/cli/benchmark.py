"""``placevec benchmark``: tables that others can reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from placevec.api.benchmarking import benchmark_encoders
from placevec.cli.output import print_json, print_table, progress_for, say
from placevec.cli.signature import taking_keywords_of

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

  placevec benchmark encoders --files stations.csv --label temperature"""
_SHOWN = 12  # units left out that are named on the terminal


@taking_keywords_of(benchmark_encoders)
def command(
    what: Literal["encoders"],
    /,
    *,
    out: Path = Path("benchmark-encoders"),
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Print what was found.

    Args:
        what: What to compare.
    """
    results = benchmark_encoders(out, progress=progress_for(as_json, quiet), **options)
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
    written = "Tables and pictures" if options.get("plots", True) and results.groups else "Tables"
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
