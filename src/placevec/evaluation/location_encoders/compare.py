"""Which encoder is better than what, by the comparison that every evaluation uses.

Within one task, kind of folds and probe every encoder is compared with the best baseline; the comparisons of such a
group are one family of Holm's procedure. Corrected forms are compared with their originals without it, and their
number is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation import point_baselines as baselines
from placevec.evaluation.bootstrap import Resampling, Score, of_draws, scale_of
from placevec.evaluation.compare import NO_DIFFERENCE, Comparison, compare
from placevec.evaluation.location_encoders import geo_bias
from placevec.evaluation.location_encoders.results import Cell, tested
from placevec.evaluation.location_encoders.run import Benchmark, Probe, Unit
from placevec.evaluation.location_encoders.strata import MIN_POINTS, strata_of
from placevec.evaluation.scores import loss, mean_known, resampled
from placevec.evaluation.splits import Scheme, blocks_of
from placevec.evaluation.tasks import Task
from placevec.geo import Floats, Ints

DRAWS = 2_000
OVERALL = "overall"


@dataclass
class Standing:
    """One encoder, or baseline, in one group.

    Attributes:
        name: of the encoder.
        baseline: it is one.
        scores: ``overall`` and each stratum.
        against_best: its comparison with the best baseline; None for baselines.
        like_best: its difference from the best encoder has an interval that holds zero.
        rank: 1 for the best encoder; baselines have none.
        geo_bias: `geo_bias.score`, NaN where there are too few points.
        edges: folds whose penalty was at the end of the grid while its score still rose.
        seconds: that its cells took, mean of the seeds.
    """

    name: str
    baseline: bool
    scores: dict[str, Score]
    against_best: Comparison | None = None
    like_best: bool = False
    rank: int = 0
    geo_bias: float = float("nan")
    edges: int = 0
    seconds: float = 0.0

    @property
    def overall(self) -> Score:
        """Of all counted points."""
        return self.scores[OVERALL]

    @property
    def verdict(self) -> str:
        """Against the best baseline: ``better``, ``worse`` or ``no significant difference``."""
        return "" if self.against_best is None else self.against_best.claim


@dataclass
class Group:
    """One task, kind of folds and probe.

    Attributes:
        task: with its points.
        scheme: of the folds.
        probe: of the encoders.
        seeds: whose cells are complete.
        standings: encoders from the best on, then baselines.
        best_baseline: name of the best baseline.
        reachable: share of the tested points whose class occurs in the training of their fold; 1 for other kinds.
    """

    task: Task
    scheme: Scheme
    probe: Probe
    seeds: tuple[int, ...]
    standings: list[Standing]
    best_baseline: str
    reachable: float

    @property
    def encoders(self) -> list[Standing]:
        """From the best on."""
        return [one for one in self.standings if not one.baseline]

    def of(self, name: str) -> Standing | None:
        """The standing of an encoder or baseline."""
        return next((one for one in self.standings if one.name == name), None)


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
            original = group.of(f"{one.name} (original)")
            if original is None:
                continue
            for stratum, score in one.scores.items():
                difference = _at_least_zero(score) - _at_least_zero(original.scores[stratum])
                found.append(
                    Correction(one.name, group.task.name, group.scheme, group.probe, stratum, difference)
                )
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
    on = _Measured(
        task,
        Resampling(
            blocks_of(task).number, draws=DRAWS, seeds=len(units), lonlat=task.points, side_m=task.side_m
        ),
        {OVERALL: task.counted, **({} if task.kind == "presence" else strata_of(task.points, task.extra))},
        geo_bias.around_task(task),
        [benchmark.split(task.name, scheme, unit.seed).tested_in(len(task)) for unit in units],
    )  # fmt: skip
    others = [
        _standing(on, name, True, [benchmark.baseline(unit, name) for unit in units])
        for name in baselines.names(task)
    ]
    rivals = [
        _standing(on, candidate.name, False, [benchmark.cell(unit, candidate) for unit in units])
        for candidate in benchmark.competing(probe)
    ]
    best = max(others, key=lambda one: np.nan_to_num(one.overall.value, nan=-np.inf))
    rivals.sort(key=lambda one: -one.overall.value)
    scores = {one.name: one.overall for one in (*others, *rivals)}
    pairs = compare(
        scores, [(one.name, best.name) for one in rivals], lonlat=task.points, side_m=task.side_m, one_range=True,
    )  # fmt: skip
    for place, (one, pair) in enumerate(zip(rivals, pairs, strict=True)):
        one.rank, one.against_best = place + 1, pair
        one.like_best = (rivals[0].overall - one.overall).low <= 0
    return Group(
        task, scheme, probe, tuple(unit.seed for unit in units), [*rivals, *others], best.name,
        _reachable(benchmark, task, units[0]),
    )  # fmt: skip


def _standing(on: _Measured, name: str, baseline: bool, held: Sequence[Cell | None]) -> Standing:
    task, over = on.task, on.over
    there = [cell for cell in held if cell is not None]
    known = [tested(cell.predicted) for cell in there]
    scores = {}
    for stratum, rows in on.strata.items():
        points = [np.flatnonzero(rows & one) for one in known]
        if stratum != OVERALL and min(map(len, points)) < MIN_POINTS:
            continue
        measures = [
            partial(
                resampled, task.metric, task.target[at], cell.predicted[at], over.block[at], fold=fold[at]
            )
            for cell, at, fold in zip(there, points, on.folds, strict=True)
        ]
        losses = _losses(task, there, known) if stratum == OVERALL else None
        found = over.score(measures, len(points[0]), scale_of(task.metric), losses)
        if np.isfinite(found.value):  # where all labels of the stratum are the same there is no R²
            scores[stratum] = found
    return Standing(
        name,
        baseline,
        scores,
        geo_bias=geo_bias.of_predictions(task, there[0].predicted, on.around),
        edges=sum(choice.at_edge for cell in there for choice in cell.choices),
        seconds=float(np.mean([cell.seconds for cell in there])),
    )


def _losses(task: Task, cells: Sequence[Cell], known: Sequence[NDArray[np.bool_]]) -> Floats:
    found = np.full((len(task), len(cells)), np.nan)
    for number, (cell, one) in enumerate(zip(cells, known, strict=True)):
        rows = np.flatnonzero(one & task.counted)
        found[rows, number] = loss(task.metric, task.target[rows], cell.predicted[rows])
    return mean_known(found)


def _at_least_zero(score: Score) -> Score:
    return replace(
        score, value=max(score.value, 0.0), draws=np.maximum(score.draws, 0.0),
        left_out=tuple(np.maximum(one, 0.0) for one in score.left_out), by_seed=np.maximum(score.by_seed, 0.0),
    )  # fmt: skip


def _reachable(benchmark: Benchmark, task: Task, unit: Unit) -> float:
    if task.kind != "classification":
        return 1.0
    right = many = 0
    for fold in benchmark.split(unit.task, unit.scheme, unit.seed).folds:
        rows = fold.test[task.counted[fold.test]]
        right += int(np.isin(task.target[rows], np.unique(task.target[fold.train])).sum())
        many += len(rows)
    return right / max(many, 1)
