"""Who is better than what, with intervals and a rule for many comparisons.

The rule. All intervals are 95 % percentile intervals of a bootstrap over spatial blocks and seeds, whose draws are
the same for every encoder of a task, so differences are paired. Within one task, kind of folds and probe every
encoder is compared with the best floor; the two-sided p of a difference is twice the smaller share of draws on either
side of zero, and Holm's step-down procedure over the encoders keeps the chance of any false claim below 5 %.
Corrected forms are compared with their originals without such a correction, and their number is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation import baselines as floors
from placevec.evaluation import bootstrap as measures
from placevec.evaluation.bootstrap import FEWEST, strata_of
from placevec.evaluation.folds import Scheme, blocks_of
from placevec.evaluation.location_encoders import geo_bias
from placevec.evaluation.location_encoders.results import Cell
from placevec.evaluation.location_encoders.run import Contest, Probe, Unit
from placevec.evaluation.point_tasks import PointTask
from placevec.evaluation.scores import Draws, draws, interval
from placevec.geo import Floats, Ints

DRAWS = 2_000
LEVEL = 0.05
OVERALL = "overall"


@dataclass(frozen=True)
class Score:
    """A metric with its 95 % interval and the number of points tested; ``draws`` (W,) is where the interval is from."""

    value: float
    low: float
    high: float
    points: int
    draws: Floats = field(repr=False)


@dataclass
class Standing:
    """One encoder, or floor, in one group.

    Attributes:
        name: of the encoder.
        floor: it is one.
        scores: ``overall`` and each stratum.
        ahead: minus the best floor, with its interval.
        p: of that difference, adjusted by Holm over the encoders of the group; NaN for floors.
        like_best: its difference from the best encoder has an interval that holds zero.
        rank: 1 for the best encoder; floors have none.
        geo_bias: `geo_bias.score`, NaN where there are too few points.
        edges: folds whose penalty was at the end of the grid while its score still rose.
        seconds: that its cells took, mean of the seeds.
    """

    name: str
    floor: bool
    scores: dict[str, Score]
    ahead: Score
    p: float = float("nan")
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
        """Against the best floor: ``above``, ``below`` or ``not told apart``."""
        if not self.p < LEVEL:
            return "" if self.floor else "not told apart"
        return "above" if self.ahead.value > 0 else "below"


@dataclass
class Group:
    """One task, kind of folds and probe.

    Attributes:
        task: with its points.
        scheme: of the folds.
        probe: of the encoders.
        seeds: whose cells are complete.
        standings: encoders from the best on, then floors.
        best_floor: name of the best floor.
        reachable: share of the tested points whose class occurs in the training of their fold; 1 for other kinds.
    """

    task: PointTask
    scheme: Scheme
    probe: Probe
    seeds: tuple[int, ...]
    standings: list[Standing]
    best_floor: str
    reachable: float

    @property
    def encoders(self) -> list[Standing]:
        """From the best on."""
        return [one for one in self.standings if not one.floor]

    def of(self, name: str) -> Standing | None:
        """The standing of an encoder or floor."""
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
        """``better``, ``worse`` or ``not told apart``."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "not told apart"


def compared(contest: Contest, done: Sequence[Unit]) -> list[Group]:
    """Every group of which at least one seed is complete."""
    groups = []
    for task in contest.tasks:
        for scheme in contest.schemes:
            for probe in contest.probes:
                units = [
                    one for one in done if (one.task, one.scheme, one.probe) == (task.name, scheme, probe)
                ]
                if units:
                    groups.append(
                        _group(contest, task, scheme, probe, sorted(units, key=lambda one: one.seed))
                    )
    return groups


def corrections(groups: Sequence[Group]) -> list[Correction]:
    """Every corrected form against its original, in every group and stratum.

    A score below zero, which only R² has, counts as zero: the mean would have done, and how far a probe went astray says
    little. Otherwise one such fold would outweigh all tasks.
    """
    found = []
    for group in groups:
        for one in group.encoders:
            original = group.of(f"{one.name} (original)")
            if original is None:
                continue
            for stratum, score in one.scores.items():
                difference = _difference(_at_least_zero(score), _at_least_zero(original.scores[stratum]))
                found.append(
                    Correction(one.name, group.task.name, group.scheme, group.probe, stratum, difference)
                )
    return found


def pooled(items: Sequence[Correction]) -> Score:
    """The mean difference over tasks and encoders: encoders share the draws of a task."""
    table = np.stack([one.difference.draws for one in items])
    known = np.isfinite(table)  # a draw may hold none of the blocks of a small stratum
    many = np.maximum(known.sum(axis=0), 1)
    draws_of = np.where(known.any(axis=0), np.where(known, table, 0.0).sum(axis=0) / many, np.nan)
    value = float(np.mean([one.difference.value for one in items]))
    return Score(value, *interval(draws_of), sum(one.difference.points for one in items), draws_of)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p of a family of comparisons (Holm 1979): rejecting those below a level keeps the family's error there.

    >>> [round(one, 3) for one in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.zeros(len(p))
    running = 0.0
    for place, number in enumerate(order):
        running = max(running, min(1.0, (len(p) - place) * p[number]))
        adjusted[number] = running
    return [float(one) for one in adjusted]


def two_sided(differences: Floats) -> float:
    """The bootstrap's p that a difference is zero: twice the smaller share of draws at or beyond zero, never 0."""
    known = differences[np.isfinite(differences)]
    if len(known) == 0:
        return 1.0
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2.0 * (smaller + 1) / (len(known) + 1))


# --- one group -----------------------------------------------------------------------------------------------


def _group(contest: Contest, task: PointTask, scheme: Scheme, probe: Probe, units: Sequence[Unit]) -> Group:
    blocks = blocks_of(task)
    drawn = draws(DRAWS, blocks.count, len(units))
    ground = _Ground(
        task, blocks.number, drawn, np.concatenate([np.ones((1, blocks.count)), drawn.weights]),
        {OVERALL: ~task.further, **({} if task.kind == "presence" else strata_of(task.lonlat, task.further))},
        geo_bias.around_task(task), [contest.shuffled(task.name, scheme, unit.seed).tested_in for unit in units],
    )  # fmt: skip
    standings = []
    for name in floors.FLOORS:
        held = [contest.floor(unit, name) for unit in units]
        standings.append(_standing(ground, name, True, held))
    for entrant in contest.competing(probe):
        held = [contest.cell(unit, entrant) for unit in units]
        standings.append(_standing(ground, entrant.name, False, held))
    best_floor = max(
        (one for one in standings if one.floor),
        key=lambda one: np.nan_to_num(one.scores[OVERALL].value, nan=-np.inf),
    )
    rivals = sorted((one for one in standings if not one.floor), key=lambda one: -one.scores[OVERALL].value)
    for place, one in enumerate(rivals):
        one.rank = place + 1
        one.like_best = _difference(rivals[0].scores[OVERALL], one.scores[OVERALL]).low <= 0
    for one in standings:
        one.ahead = _difference(one.scores[OVERALL], best_floor.scores[OVERALL])
    for one, adjusted in zip(rivals, holm([two_sided(one.ahead.draws) for one in rivals]), strict=True):
        one.p = adjusted
    return Group(
        task, scheme, probe, tuple(unit.seed for unit in units),
        rivals + [one for one in standings if one.floor], best_floor.name, _reachable(contest, task, units[0]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Ground:
    """What all encoders of a group are measured on: ``weights`` has a row of ones, then those of the draws."""

    task: PointTask
    block: Ints
    drawn: Draws
    weights: Floats
    strata: Mapping[str, NDArray[np.bool_]]
    around: Sequence[geo_bias.Neighborhood]
    folds: Sequence[Ints]


def _standing(ground: _Ground, name: str, floor: bool, held: Sequence[Cell | None]) -> Standing:
    task = ground.task
    there = [cell for cell in held if cell is not None]
    tested = [measures.tested(cell.predicted) for cell in there]
    scores = {}
    for stratum, rows in ground.strata.items():
        if stratum != OVERALL and min(int((rows & one).sum()) for one in tested) < FEWEST:
            continue
        by_seed = []
        for cell, one, fold in zip(there, tested, ground.folds, strict=True):
            here = np.flatnonzero(rows & one)
            by_seed.append(
                measures.measured(
                    task.kind,
                    task.target[here],
                    cell.predicted[here],
                    ground.block[here],
                    fold[here],
                    ground.weights,
                )
            )
        table = np.stack(by_seed, axis=-1)
        resampled = np.take_along_axis(table[1:], ground.drawn.seeds, axis=1).mean(axis=1)
        points = int((rows & tested[0]).sum())
        if not np.isfinite(table[0]).all():
            continue  # all labels of the stratum are the same: it has no R²
        scores[stratum] = Score(float(table[0].mean()), *interval(resampled), points, resampled)
    return Standing(
        name,
        floor,
        scores,
        scores[OVERALL],
        geo_bias=geo_bias.of_predictions(task, there[0].predicted, ground.around),
        edges=sum(choice.at_edge for cell in there for choice in cell.choices),
        seconds=float(np.mean([cell.seconds for cell in there])),
    )


def _at_least_zero(score: Score) -> Score:
    return Score(
        max(score.value, 0.0),
        max(score.low, 0.0),
        max(score.high, 0.0),
        score.points,
        np.maximum(score.draws, 0.0),
    )


def _difference(one: Score, other: Score) -> Score:
    apart = one.draws - other.draws
    return Score(one.value - other.value, *interval(apart), min(one.points, other.points), apart)


def _reachable(contest: Contest, task: PointTask, unit: Unit) -> float:
    if task.kind != "classes":
        return 1.0
    right = many = 0
    for fold in contest.shuffled(unit.task, unit.scheme, unit.seed).folds:
        tested = fold.test[~task.further[fold.test]]
        right += int(np.isin(task.target[tested], np.unique(task.target[fold.train])).sum())
        many += len(tested)
    return right / max(many, 1)


def mean_ranks(groups: Sequence[Group]) -> Mapping[str, Score]:
    """Mean rank of every encoder that takes part in all the groups, with an interval from a bootstrap over tasks.

    The best first; those that are tied in the order of the first group.
    """
    if not groups:
        return {}
    there = [{one.name for one in group.encoders} for group in groups]
    # in the order of the first group, not of a set: tied encoders keep their order from process to process
    common = [one.name for one in groups[0].encoders if all(one.name in names for names in there)]
    random = np.random.default_rng(0xA2)
    drawn = random.integers(0, len(groups), (DRAWS, len(groups)))
    ranks = {}
    for name in common:
        places = []
        for group in groups:
            among = [one.name for one in group.encoders if one.name in common]
            places.append(among.index(name) + 1.0)
        resampled = np.array(places)[drawn].mean(axis=1)
        ranks[name] = Score(float(np.mean(places)), *interval(resampled), len(groups), resampled)
    return dict(sorted(ranks.items(), key=lambda item: item[1].value))
