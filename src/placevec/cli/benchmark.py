"""``placevec benchmark``: reproducible tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from placevec.api.benchmarking import benchmark_encoders
from placevec.cli.output import print_json, print_table, progress_for, say
from placevec.cli.signature import taking_keywords_of

if TYPE_CHECKING:
    from placevec.evaluation.location_encoders.compare import Group

HELP = """\
Compares every encoder, corrected and as published, on real and synthetic tasks, in random folds and folds of spatial
blocks, with three probes (ridge, trained head, nearest neighbors) and confidence intervals. Writes table.md,
results.csv and plots. If interrupted, run the same command again to continue. With --budget, the most important
results come first, and the output lists what was left out.

For example:

  placevec benchmark encoders --budget 30m --out encoders/

  placevec benchmark encoders --tasks country-of-cities,vmf-U4 --encoders sphereC+,grid,xyz

  placevec benchmark encoders --files stations.csv --label temperature"""
_SHOWN = 12  # units left out that are listed on the terminal


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
    """Print the results.

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
            "verdict",
            "alike",
        ),
        [_row(group) for group in results.groups],
    )
    left, done = results.outcome.left_out, results.outcome.done
    if left:
        say(
            f"Left out for lack of time: {len(left)} of {len(left) + len(done)} units; run the same command to continue"
        )
        for unit in left[:_SHOWN]:
            say(f"  {unit}")
        if len(left) > _SHOWN:
            say(f"  and {len(left) - _SHOWN} more, listed in table.md")
    written = "Tables and plots" if options.get("plots", True) and results.groups else "Tables"
    say(f"{written} in {out}: start with {out / 'table.md'}")


def _row(group: Group) -> tuple[Any, ...]:
    """One row of the printed table; ``alike``: encoders without a significant difference from the best."""
    best, pair = group.encoders[0], group.comparisons[0]
    score = best.score
    return (
        group.task, group.scheme, group.probe, group.metric, best.name,
        f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]", group.best_baseline,
        f"{group.row(group.best_baseline).score.value:.3f}", pair.claim, len(group.like_best),
    )  # fmt: skip
