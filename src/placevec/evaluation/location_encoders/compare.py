"""Which encoder is better than what, by the comparison, the rows and the results that every evaluation uses.

Within one task, kind of folds and probe every encoder is compared with the best baseline; the comparisons of such a
group are one family of Holm's procedure. Corrected forms are compared with their originals without it, and their
number is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.bootstrap import Resampling, Score, of_draws
from placevec.evaluation.compare import NO_DIFFERENCE, Comparison, compare
from placevec.evaluation.engine import is_tested, score_of
from placevec.evaluation.location_encoders import geo_bias
from placevec.evaluation.location_encoders.results import Cell, Unit
from placevec.evaluation.location_encoders.run import Benchmark, Probe
from placevec.evaluation.location_encoders.strata import MIN_POINTS, strata_of
from placevec.evaluation.point_baselines import BASELINES, names
from placevec.evaluation.results import Result, Row
from placevec.evaluation.splits import Scheme, Split, blocks_of
from placevec.evaluation.tasks import Task
from placevec.geo import Ints

DRAWS = 2_000
OVERALL = "overall"
GEO_BIAS, EDGES, SECONDS = "geo-bias", "penalties at the end of the grid", "seconds"
"""Further numbers of a row: see `geo_bias`; folds whose score still rose there; time of its cells, mean of the seeds."""


@dataclass(kw_only=True)
class Group(Result):
    """One task, kind of folds and probe.

    Rows are encoders from the best on, then baselines; each has its score of all counted points, then that of each
    stratum. Comparisons are those of the encoders with the best baseline.

    Attributes:
        scheme: of the folds.
        probe: of the encoders.
        best_baseline: name of the best baseline.
    """

    scheme: Scheme
    probe: Probe
    best_baseline: str

    @property
    def encoders(self) -> list[Row]:
        """Rows from the best to the worst."""
        return [row for row in self.rows if row.name not in BASELINES]

    def has(self, name: str) -> bool:
        """Whether there is a row of that name."""
        return any(row.name == name for row in self.rows)

    def against_best(self, name: str) -> Comparison | None:
        """The comparison of an encoder with the best baseline; None for baselines."""
        return next((pair for pair in self.comparisons if pair.of == name), None)

    @property
    def like_best(self) -> list[str]:
        """Encoders whose difference from the best one has an interval that holds zero; the best is one of them."""
        best = self.encoders[0].score
        return [row.name for row in self.encoders if (best - row.score).low <= 0]

    @property
    def title(self) -> str:
        """Such as ``elevation: R², folds of blocks, ridge``."""
        return f"{super().title}, folds of {self.scheme}, {self.probe}"

    @property
    def headline(self) -> str:
        """One sentence: who is best, how many are like it, and who is better than the best baseline."""
        claims = [pair.claim for pair in self.comparisons]
        found = f"{self.encoders[0].name} has the best score"
        if others := len(self.like_best) - 1:
            found += f"; {others} of {len(self.encoders) - 1} others do not differ significantly from it"
        against = f"the best baseline, {self.best_baseline}"
        if better := claims.count("better"):
            found += f". Better than {against}: {better} of {len(self.encoders)}"
        else:
            found += f". No encoder is significantly better than {against}"
        worse = claims.count("worse")
        return found + (f"; worse: {worse}." if worse else ".")

    @property
    def verdict(self) -> str:
        """Nothing that `headline` and the comparisons do not say."""
        return ""

    @property
    def why_no_claim(self) -> str:
        """Nothing: each comparison says it."""
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        content = super().as_dict() | {"headline": self.headline, "like_best": self.like_best}
        return {name: value for name, value in content.items() if name not in ("verdict", "subject")}


@dataclass(frozen=True)
class Correction:
    """Corrected minus original of one encoder in one group and stratum, paired; ``verdict`` reads the interval."""

    encoder: str
    task: str
    scheme: str
    probe: str
    stratum: str
    difference: Score

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no significant difference``."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else NO_DIFFERENCE

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        found = self.difference
        return {
            "encoder": self.encoder, "task": self.task, "scheme": self.scheme, "probe": self.probe,
            "stratum": self.stratum, "corrected_minus_original": found.value, "low": found.low, "high": found.high,
            "verdict": self.verdict,
        }  # fmt: skip


def compared(benchmark: Benchmark, done: Sequence[Unit]) -> list[Group]:
    """Every group of which at least one seed is complete."""
    groups = []
    for task in benchmark.tasks:
        for scheme in benchmark.schemes:
            for probe in benchmark.probes:
                of_group = (task.name, scheme, probe)
                units = [one for one in done if (one.task, one.scheme, one.probe) == of_group]
                if units:
                    units.sort(key=lambda one: one.seed)
                    groups.append(_group(benchmark, task, scheme, probe, units))
    return groups


def corrections(groups: Sequence[Group]) -> list[Correction]:
    """Every corrected form against its original, in every group and stratum.

    A score below zero, which only R² has, counts as zero: the mean would have done, and how far a probe went astray
    matters little. Otherwise one such fold would outweigh all tasks.
    """
    found = []
    for group in groups:
        for one in group.encoders:
            name = f"{one.name} (original)"
            if not group.has(name):
                continue
            for measure, score in one.scores.items():
                difference = _at_least_zero(score) - _at_least_zero(group.row(name).scores[measure])
                stratum = OVERALL if measure == group.metric else measure
                found.append(Correction(one.name, group.task, group.scheme, group.probe, stratum, difference))
    return found


def pooled(items: Sequence[Correction]) -> Score:
    """The mean difference over tasks and encoders: encoders share the draws of a task."""
    table = np.stack([one.difference.draws for one in items])
    known = np.isfinite(table)  # a draw may hold none of the blocks of a small stratum
    many = np.maximum(known.sum(axis=0), 1)
    draws = np.where(known.any(axis=0), np.where(known, table, 0.0).sum(axis=0) / many, np.nan)
    value = float(np.mean([one.difference.value for one in items]))
    return of_draws(value, draws, sum(one.difference.places for one in items))


def mean_ranks(groups: Sequence[Group]) -> Mapping[str, Score]:
    """Mean rank of every encoder that takes part in all the groups, with an interval from a bootstrap over tasks.

    The best first; those that are tied in the order of the first group.
    """
    if not groups:
        return {}
    there = [{one.name for one in group.encoders} for group in groups]
    # in the order of the first group, not of a set: tied encoders keep their order from process to process
    common = [one.name for one in groups[0].encoders if all(one.name in names for names in there)]
    drawn = np.random.default_rng(0xA2).integers(0, len(groups), (DRAWS, len(groups)))
    ranks = {}
    for name in common:
        orders = [[one.name for one in group.encoders if one.name in common] for group in groups]
        places = np.array([order.index(name) + 1.0 for order in orders])
        resampled_ranks = places[drawn].mean(axis=1)
        ranks[name] = of_draws(float(places.mean()), resampled_ranks, len(groups))
    return dict(sorted(ranks.items(), key=lambda item: item[1].value))


# --- one group ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """What all encoders of a group are measured on: blocks, parts of the globe, neighborhoods, folds of each seed."""

    task: Task
    over: Resampling
    strata: Mapping[str, NDArray[np.bool_]]
    around: Sequence[geo_bias.Neighborhood]
    folds: Sequence[Ints]


def _group(benchmark: Benchmark, task: Task, scheme: Scheme, probe: Probe, units: Sequence[Unit]) -> Group:
    blocks, splits = blocks_of(task), [benchmark.split(task.name, scheme, unit.seed) for unit in units]
    on = _Measured(
        task,
        Resampling(blocks.number, draws=DRAWS, seeds=len(units), lonlat=task.points, side_m=task.side_m),
        {
            task.metric: task.counted,
            **({} if task.kind == "presence" else strata_of(task.points, task.extra)),
        },
        geo_bias.around_task(task),
        [split.tested_in(len(task)) for split in splits],
    )
    seeds = zip(*(benchmark.rows(unit) for unit in units), strict=True)
    rows = [_row(on, same[0][1], [benchmark.cell(one) for one in same]) for same in seeds]
    many = len(names(task))
    others, rivals = rows[:many], rows[many:]
    best = max(others, key=lambda row: np.nan_to_num(row.score.value, nan=-np.inf))
    rivals.sort(key=lambda row: -row.score.value)
    pairs = compare(
        {row.name: row.score for row in (*others, *rivals)}, [(row.name, best.name) for row in rivals],
        lonlat=task.points, side_m=task.side_m, one_range=True,
    )  # fmt: skip
    return Group(
        task=task.name, kind=task.kind, description=task.description, metric=task.metric,
        places=int(task.counted.sum()), classes=task.counts(), blocks=blocks.count, effective_blocks=blocks.effective,
        block_m=task.side_m, folds=benchmark.folds, seeds=len(units), rows=[*rivals, *others],
        comparisons=pairs, subject=rivals[0].name, notes=_notes(task, splits[0], rivals), scheme=scheme, probe=probe,
        best_baseline=best.name,
    )  # fmt: skip


def _row(on: _Measured, name: str, held: Sequence[Cell | None]) -> Row:
    task, there = on.task, [cell for cell in held if cell is not None]
    given = [cell.predicted for cell in there]
    scores = {}
    for measure, rows in on.strata.items():
        if measure != task.metric and min(int((is_tested(one) & rows).sum()) for one in given) < MIN_POINTS:
            continue
        found = score_of(task, given, on.over, on.folds, rows)
        if np.isfinite(found.value):  # where all labels of the stratum are the same there is no R²
            scores[measure] = found
    further = {
        GEO_BIAS: geo_bias.of_predictions(task, given[0], on.around),
        SECONDS: float(np.mean([cell.seconds for cell in there])),
    }
    if edges := sum(choice.at_edge for cell in there for choice in cell.choices):
        further[EDGES] = edges
    return Row(name, scores, further=further)


def _notes(task: Task, split: Split, rivals: Sequence[Row]) -> list[str]:
    notes = [f"data: {task.credit}"] if task.credit.strip() else []
    if task.ceiling is not None:
        notes.append(f"no classifier can exceed {task.ceiling:.3f} in expectation")
    if (share := reachable(task, split)) < 0.995:
        notes.append(f"{share:.1%} of the tested points have a class that occurs in their training set")
    if edges := sum(int(row.further.get(EDGES, 0)) for row in rivals):
        notes.append(f"in {edges} folds the penalty was at the end of the grid while the score still rose")
    return notes


def reachable(task: Task, split: Split) -> float:
    """Share of the tested points whose class occurs in the training of their fold; 1 for other kinds than classes."""
    if task.kind != "classification":
        return 1.0
    right = many = 0
    for fold in split.folds:
        rows = fold.test[task.counted[fold.test]]
        right += int(np.isin(task.target[rows], np.unique(task.target[fold.train])).sum())
        many += len(rows)
    return right / max(many, 1)


def _at_least_zero(score: Score) -> Score:
    return replace(
        score, value=max(score.value, 0.0), draws=np.maximum(score.draws, 0.0),
        left_out=tuple(np.maximum(one, 0.0) for one in score.left_out), by_seed=np.maximum(score.by_seed, 0.0),
    )  # fmt: skip
