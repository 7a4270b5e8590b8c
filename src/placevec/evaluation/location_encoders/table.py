"""The results as Markdown and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from placevec.evaluation.bootstrap import Score
from placevec.evaluation.compare import NO_CLAIM, NO_DIFFERENCE
from placevec.evaluation.location_encoders.compare import (
    OVERALL,
    Correction,
    Group,
    Standing,
    corrections,
    mean_ranks,
    pooled,
)
from placevec.evaluation.location_encoders.run import Outcome, Probe
from placevec.evaluation.location_encoders.strata import ANTIMERIDIAN, POLES
from placevec.evaluation.report import cell, markdown_table, number, signed
from placevec.evaluation.splits import Scheme
from placevec.io.atomic import write_csv, write_text
from placevec.io.progress import printable

_RULE = (
    "Intervals are 95% over spatial blocks and seeds, paired over encoders. **better** and **worse** than the best "
    "baseline are claimed where Holm's procedure over the encoders of a table keeps the chance of any false claim at "
    "5%. = marks encoders whose difference from the best one has an interval that holds zero."
)
_HEADER = (
    "task", "metric", "folds", "probe", "name", "baseline", "stratum", "score", "low", "high", "points", "seeds", "rank",
    "minus_best_baseline", "minus_low", "minus_high", "p_holm", "verdict", "like_best", "geo_bias", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """What a benchmark found.

    Attributes:
        groups: one for each task, kind of folds and probe of which a seed is complete.
        outcome: what was run and what was left out.
        about: facts for the head: points, folds, date, ...
    """

    groups: Sequence[Group]
    outcome: Outcome
    about: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON: everything but the draws."""
        return {
            "about": dict(self.about),
            "groups": [_described(group) for group in self.groups],
            "corrections": [_correction(one) for one in corrections(self.groups)],
            "ranks": [
                {
                    "folds": scheme,
                    "probe": probe,
                    "tasks": len(some),
                    "ranks": {n: r.value for n, r in ranks.items()},
                }
                for scheme, probe, some, ranks in _summaries(self.groups)
            ],
            "left_out": [str(unit) for unit in self.outcome.left_out],
            "seconds": self.outcome.seconds,
        }

    def save(self, out: Path) -> list[Path]:
        """Write ``table.md`` and ``results.csv``."""
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "table.md", markdown(self))
        write_csv(out / "results.csv", _HEADER, _rows(self.groups))
        return [out / "table.md", out / "results.csv"]


def markdown(results: Results) -> str:
    """A summary with ranks, corrected against original, then a table for each task."""
    lines = ["# Location encoders compared", ""]
    lines += [f"- {name}: {printable(str(value))}" for name, value in results.about.items()]
    lines += ["", _RULE, ""]
    if not results.groups:
        return "\n".join(
            [*lines, "Nothing is complete yet: run the same command again, or give it a larger budget.", ""]
        )
    lines += _ranks(results.groups) + _corrected(results.groups)
    for task in dict.fromkeys(group.task.name for group in results.groups):
        lines += _of_task([group for group in results.groups if group.task.name == task])
    lines += _left_out(results.outcome)
    return "\n".join(lines).rstrip() + "\n"


def in_words(group: Group) -> str:
    """One sentence about a group."""
    counts = {word: sum(one.verdict == word for one in group.encoders) for word in ("better", "worse")}
    alike = sum(one.like_best for one in group.encoders)
    said = f"{group.encoders[0].name} has the best score"
    if alike > 1:
        said += f"; {alike - 1} of {len(group.encoders) - 1} others do not differ significantly from it"
    against = f"the best baseline, {group.best_baseline}"
    if counts["better"]:
        said += f". Better than {against}: {counts['better']} of {len(group.encoders)}"
    else:
        said += f". No encoder is significantly better than {against}"
    return said + (f"; worse: {counts['worse']}." if counts["worse"] else ".")


# --- parts -------------------------------------------------------------------------------------------------


def _of_task(groups: Sequence[Group]) -> list[str]:
    task = groups[0].task
    lines = [f"## {task.name}", "", f"{printable(task.description)}. {task.metric}, larger is better."]
    lines[-1] += f" {int((task.counted).sum()):,} points; blocks of {task.side_m / 1000:,.0f} km."
    if task.credit.strip():
        lines[-1] += f" {task.credit}."
    if task.ceiling is not None:
        lines[-1] += f" No classifier can exceed {task.ceiling:.3f} in expectation."
    lines.append("")
    for group in groups:
        title = f"### {task.name}: folds of {group.scheme}, {group.probe}"
        seeds = f"{len(group.seeds)} seed{'s' if len(group.seeds) > 1 else ''}"
        lines += [title, "", f"{in_words(group)} ({seeds})"]
        if group.reachable < 0.995:
            lines[-1] += (
                f" {group.reachable:.1%} of the tested points have a class that occurs in their training."
            )
        edges = sum(one.edges for one in group.encoders)
        if edges:
            lines[-1] += (
                f" In {edges} folds the penalty was at the end of the grid while the score still rose."
            )
        strata = [name for name in group.standings[0].scores if name != OVERALL]
        heads = ("", task.metric, "minus best baseline", "verdict", "geo-bias", *strata)
        lines += ["", *markdown_table(heads, [_cells(one, strata) for one in group.standings])]
    return lines


def _cells(one: Standing, strata: Sequence[str]) -> list[str]:
    mark = " (baseline)" if one.baseline else " =" if one.like_best else ""
    apart = "" if one.against_best is None else signed(one.against_best.difference)
    bias = "" if np.isnan(one.geo_bias) else f"{one.geo_bias:.1f}"
    parts = [number(one.scores[name].value) if name in one.scores else "" for name in strata]
    return [f"{one.name}{mark}", cell(one.scores[OVERALL]), apart, one.verdict, bias, *parts]


def _against_best(one: Standing) -> tuple[float, float, float, float]:
    """(difference from the best baseline, low, high, p); NaN for baselines."""
    if one.against_best is None:
        return (float("nan"),) * 4
    difference = one.against_best.difference
    return difference.value, difference.low, difference.high, one.against_best.p


def _ranks(groups: Sequence[Group]) -> list[str]:
    lines = [
        "## Summary: mean ranks", "",
        "1 is the best; the interval resamples tasks. Where intervals overlap, the order is not established.",
        "",
    ]  # fmt: skip
    words = ("better", NO_DIFFERENCE, "worse", NO_CLAIM)
    for scheme, probe, some, ranks in _summaries(groups):
        tasks = ", ".join(group.task.name for group in some)
        title = f"### Folds of {scheme}, {probe}: {len(some)} task{'' if len(some) == 1 else 's'}"
        rows = []
        for name, rank in ranks.items():
            verdicts = [standing.verdict for group in some if (standing := group.of(name)) is not None]
            shown = f"{rank.value:.1f}" + (f" ({rank.low:.1f} to {rank.high:.1f})" if len(some) > 1 else "")
            rows.append([name, shown, *(str(verdicts.count(word)) for word in words)])
        heads = ("", "mean rank", "better than the best baseline", *words[1:])
        lines += [title, "", tasks, "", *markdown_table(heads, rows)]
    return lines


def _summaries(groups: Sequence[Group]) -> list[tuple[Scheme, Probe, list[Group], Mapping[str, Score]]]:
    kinds = dict.fromkeys((group.scheme, group.probe) for group in groups)
    found = []
    for scheme, probe in kinds:
        some = [group for group in groups if (group.scheme, group.probe) == (scheme, probe)]
        found.append((scheme, probe, some, mean_ranks(some)))
    return found


def _corrected(groups: Sequence[Group]) -> list[str]:
    found = corrections(groups)
    if not found:
        return []
    lines = [
        "## Summary: corrected against original", "",
        "Difference of the corrected form from its original, mean of the tasks, paired; each a 95% interval, "
        f"not adjusted for there being {len(found)} comparisons in this file. An R² below 0 counts as 0.",
        "",
    ]  # fmt: skip
    strata = [OVERALL, ANTIMERIDIAN, POLES]
    heads = ("", *(head for name in strata for head in (name, "tasks better / worse")))
    for scheme, probe in dict.fromkeys((one.scheme, one.probe) for one in found):
        some = [one for one in found if (one.scheme, one.probe) == (scheme, probe)]
        rows = []
        for encoder in [*dict.fromkeys(one.encoder for one in some), None]:
            own = [one for one in some if encoder is None or one.encoder == encoder]
            rows.append([encoder or "all of them"])
            for stratum in strata:
                verdicts = [one.verdict for one in own if one.stratum == stratum]
                mean = signed(pooled([one for one in own if one.stratum == stratum])) if verdicts else ""
                counts = f"{verdicts.count('better')} / {verdicts.count('worse')} of {len(verdicts)}"
                rows[-1] += [mean, counts if verdicts else ""]
        lines += [f"### Folds of {scheme}, {probe}", "", *markdown_table(heads, rows)]
    return lines


def _left_out(outcome: Outcome) -> list[str]:
    if not outcome.left_out:
        return []
    lines = [
        "## Left out",
        "",
        "What did not fit into the budget; the same command with a larger one goes on from here.",
        "",
    ]
    kinds: dict[tuple[str, str], list[str]] = {}
    for unit in outcome.left_out:
        kinds.setdefault((unit.probe, f"seed {unit.seed}"), []).append(f"{unit.task} ({unit.scheme})")
    return [*lines, *(f"- {probe}, {seed}: {', '.join(names)}" for (probe, seed), names in kinds.items())]


def _rows(groups: Sequence[Group]) -> list[tuple[Any, ...]]:
    rows = []
    for group in groups:
        for one in group.standings:
            for stratum, score in one.scores.items():
                head = (
                    group.task.name,
                    group.task.metric,
                    group.scheme,
                    group.probe,
                    one.name,
                    int(one.baseline),
                    stratum,
                )
                rows.append(
                    (*head, score.value, score.low, score.high, score.places, len(group.seeds))
                    + ((one.rank, *_against_best(one), one.verdict, int(one.like_best),
                        one.geo_bias, one.seconds) if stratum == OVERALL else ("",) * 9)
                )  # fmt: skip
    return rows


def _described(group: Group) -> dict[str, Any]:
    return {
        "task": group.task.name,
        "metric": group.task.metric,
        "folds": group.scheme,
        "probe": group.probe,
        "seeds": list(group.seeds),
        "best_baseline": group.best_baseline,
        "ceiling": group.task.ceiling,
        "reachable": group.reachable,
        "in_words": in_words(group),
        "standings": [
            {
                "name": one.name, "baseline": one.baseline, "rank": one.rank, "p_holm": _against_best(one)[3],
                "verdict": one.verdict,
                "like_best": one.like_best, "geo_bias": one.geo_bias, "seconds": one.seconds,
                "minus_best_baseline": list(_against_best(one)[:3]),
                "scores": {
                    name: {"score": score.value, "low": score.low, "high": score.high, "points": score.places}
                    for name, score in one.scores.items()
                },
            }
            for one in group.standings
        ],
    }  # fmt: skip


def _correction(one: Correction) -> dict[str, Any]:
    return {
        "encoder": one.encoder, "task": one.task, "folds": one.scheme, "probe": one.probe, "stratum": one.stratum,
        "corrected_minus_original": one.difference.value, "low": one.difference.low, "high": one.difference.high,
        "verdict": one.verdict,
    }  # fmt: skip
