"""The results as Markdown and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from placevec.evaluation.bootstrap import Score
from placevec.evaluation.compare import NO_CLAIM, NO_DIFFERENCE
from placevec.evaluation.location_encoders.compare import (
    GEO_BIAS,
    OVERALL,
    SECONDS,
    Group,
    corrections,
    mean_ranks,
    pooled,
)
from placevec.evaluation.location_encoders.run import Outcome, Probe
from placevec.evaluation.location_encoders.strata import ANTIMERIDIAN, POLES
from placevec.evaluation.report import Report, markdown_table, signed, task_lines
from placevec.evaluation.splits import Scheme
from placevec.io.atomic import write_csv, write_text
from placevec.io.progress import printable

METHOD = (
    "Intervals are 95% intervals over spatial blocks and seeds, paired over encoders. **better** and **worse** than "
    "the best "
    "baseline are claimed where Holm's procedure over the encoders of a table keeps the chance of any false claim at "
    "5%."
)
_HEADER = (
    "task", "metric", "folds", "probe", "name", "baseline", "stratum", "score", "low", "high", "points", "seeds", "rank",
    "minus_best_baseline", "minus_low", "minus_high", "p_holm", "verdict", "like_best", "geo_bias", "seconds",
)  # fmt: skip


@dataclass(kw_only=True)
class Results(Report):
    """What a benchmark found: a `Report` with the groups as its results, and what was run and left out."""

    outcome: Outcome
    method: str = METHOD

    @property
    def groups(self) -> list[Group]:
        """One for each task, kind of folds and probe of which a seed is complete."""
        return [item for item in self.results if isinstance(item, Group)]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON: everything but the draws."""
        ranks = [
            {"scheme": scheme, "probe": probe, "tasks": len(some), "ranks": {n: r.value for n, r in found.items()}}
            for scheme, probe, some, found in _summaries(self.groups)
        ]  # fmt: skip
        return {
            **super().as_dict(), "corrections": [one.as_dict() for one in corrections(self.groups)], "ranks": ranks,
            "left_out": [str(unit) for unit in self.outcome.left_out], "seconds": self.outcome.seconds,
        }  # fmt: skip

    def to_markdown(self) -> str:
        """A summary with ranks, corrected against original, then every group."""
        lines = ["# Location encoders compared", ""]
        lines += [f"- {name}: {printable(str(value))}" for name, value in self.about.items()]
        lines += ["", self.method, ""]
        if not self.results:
            lines += ["Nothing is complete yet: run the same command again, or give it a larger budget.", ""]
            return "\n".join(lines)
        lines += _ranks(self.groups) + _corrected(self.groups)
        for group in self.results:
            lines += task_lines(group)
        return "\n".join([*lines, *_left_out(self.outcome)]).rstrip() + "\n"

    def save(self, folder: str | Path) -> None:
        """Write ``table.md`` and ``results.csv``."""
        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "table.md", self.to_markdown())
        write_csv(out / "results.csv", _HEADER, _rows(self.groups))


# --- parts -------------------------------------------------------------------------------------------------


def _ranks(groups: Sequence[Group]) -> list[str]:
    lines = [
        "## Summary: mean ranks", "",
        "1 is the best; the interval resamples tasks. Where intervals overlap, the order is not established.",
        "",
    ]  # fmt: skip
    words = ("better", NO_DIFFERENCE, "worse", NO_CLAIM)
    for scheme, probe, some, ranks in _summaries(groups):
        tasks = ", ".join(group.task for group in some)
        title = f"### Folds of {scheme}, {probe}: {len(some)} task{'' if len(some) == 1 else 's'}"
        rows = []
        for name, rank in ranks.items():
            verdicts = [pair.claim for group in some if (pair := group.against_best(name)) is not None]
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
        "Difference between the corrected form and its original, mean over tasks, paired; each interval is a 95% "
        f"interval, not adjusted for the {len(found)} comparisons in this file. An R² below 0 counts as 0.",
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
        "What did not fit into the budget; the same command with a larger budget continues from here.",
        "",
    ]
    kinds: dict[tuple[str, str], list[str]] = {}
    for unit in outcome.left_out:
        kinds.setdefault((unit.probe, f"seed {unit.seed}"), []).append(f"{unit.task} ({unit.scheme})")
    return [*lines, *(f"- {probe}, {seed}: {', '.join(names)}" for (probe, seed), names in kinds.items())]


def _rows(groups: Sequence[Group]) -> list[tuple[Any, ...]]:
    lines: list[tuple[Any, ...]] = []
    for group in groups:
        alike, encoders = group.like_best, [row.name for row in group.encoders]
        for row in group.rows:
            head = (
                group.task,
                group.metric,
                group.scheme,
                group.probe,
                row.name,
                int(row.name not in encoders),
            )
            for measure, score in row.scores.items():
                overall = measure == group.metric
                known = (OVERALL if overall else measure, score.value, score.low, score.high, score.places)
                more: tuple[Any, ...] = ("",) * 9
                if overall:
                    rank = encoders.index(row.name) + 1 if row.name in encoders else 0
                    more = (rank, *_against_best(group, row.name), int(row.name in alike))
                    more += (row.further[GEO_BIAS], row.further[SECONDS])
                lines.append((*head, *known, group.seeds, *more))
    return lines


def _against_best(group: Group, name: str) -> tuple[Any, ...]:
    """(difference from the best baseline, low, high, p, verdict); unknown for baselines."""
    pair = group.against_best(name)
    if pair is None:
        return (*(float("nan"),) * 4, "")
    return pair.difference.value, pair.difference.low, pair.difference.high, pair.p, pair.claim
