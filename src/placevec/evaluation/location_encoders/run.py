"""Who meets whom, in which order, and for how long: cells are made one by one, the most telling first.

With a budget, a unit (all encoders on one task, kind of folds, seed and probe) is only begun when it is expected to
end in time, because a table of some of the encoders compares nothing. What was left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from placevec.evaluation import baselines as floors
from placevec.evaluation import bootstrap as measures
from placevec.evaluation import knn as neighbors
from placevec.evaluation import ridge
from placevec.evaluation.compare import one_thread
from placevec.evaluation.folds import SCHEMES, Folds, Scheme, folds_of
from placevec.evaluation.location_encoders import results as cells
from placevec.evaluation.location_encoders.contenders import SAME_FEATURES, UNTRAINED_MEANS_NOTHING, Entrant
from placevec.evaluation.point_tasks import PointTask
from placevec.geo import Floats
from placevec.io.progress import SILENT, Progress

Probe = Literal["ridge", "trained", "kNN"]
PROBES: tuple[Probe, ...] = ("ridge", "trained", "kNN")
"""In the order in which they are run."""
FLOOR = "floor"
"""The probe under which floors are kept."""
Answers = tuple[Floats, list[ridge.Choice]]


@dataclass(frozen=True)
class Unit:
    """All encoders on one task, kind of folds, seed and probe."""

    task: str
    scheme: Scheme
    seed: int
    probe: Probe

    def __str__(self) -> str:
        return f"{self.task}, {self.scheme}, seed {self.seed}, {self.probe}"


@dataclass
class Contest:
    """What is compared.

    Attributes:
        tasks: in the order in which they are run.
        entrants: encoders.
        out: folder of the results.
        probes: of `PROBES`.
        schemes: of `folds.SCHEMES`.
        seeds: shufflings, from 0.
        folds: of a shuffling.
    """

    tasks: Sequence[PointTask]
    entrants: Sequence[Entrant]
    out: Path
    probes: Sequence[Probe] = PROBES
    schemes: Sequence[Scheme] = SCHEMES
    seeds: int = 3
    folds: int = 5
    _shuffled: dict[tuple[str, Scheme, int], Folds] = field(default_factory=dict, repr=False)

    def units(self) -> Iterator[Unit]:
        """The most telling first: one seed of every probe and task, then further seeds; no probe without encoders."""
        probes = [probe for probe in self.probes if self.competing(probe)]
        for seed in range(self.seeds):
            for probe in probes:
                for task in self.tasks:
                    for scheme in self.schemes:
                        yield Unit(task.name, scheme, seed, probe)

    def task(self, name: str) -> PointTask:
        """One of them by its name."""
        return next(task for task in self.tasks if task.name == name)

    def shuffled(self, task: str, scheme: Scheme, seed: int) -> Folds:
        """The folds of a unit; kept, because neighbors of the buffer take time to find."""
        key = (task, scheme, seed)
        if key not in self._shuffled:
            self._shuffled[key] = folds_of(self.task(task), scheme, self.folds, seed)
        return self._shuffled[key]

    def competing(self, probe: Probe) -> tuple[Entrant, ...]:
        """Who takes part in a probe."""
        return competing(self.entrants, probe)

    def cell(self, unit: Unit, entrant: Entrant) -> cells.Cell | None:
        """The result of an encoder, where it is there."""
        task = self.task(unit.task)
        key = cells.Key(unit.task, unit.scheme, unit.seed, unit.probe, entrant.name)
        return cells.read(key, self.out, self.made_of(task, entrant))

    def floor(self, unit: Unit, name: str) -> cells.Cell | None:
        """The result of a floor, where it is there; floors are the same for every probe."""
        key = cells.Key(unit.task, unit.scheme, unit.seed, FLOOR, name)
        return cells.read(key, self.out, self.made_of(self.task(unit.task), None))

    def made_of(self, task: PointTask, entrant: Entrant | None) -> str:
        """What a cell must have been made of to be taken as it is."""
        settings: Sequence[Any] = () if entrant is None else entrant.settings(task.block_m)
        return cells.identity(task, self.folds, settings)

    def complete(self, unit: Unit) -> bool:
        """Whether all cells of a unit are there."""
        return all(self.cell(unit, entrant) is not None for entrant in self.competing(unit.probe)) and all(
            self.floor(unit, name) is not None for name in floors.FLOORS
        )


def competing(entrants: Sequence[Entrant], probe: Probe) -> tuple[Entrant, ...]:
    """Who of them takes part in a probe: only training tells apart equal features, and features that are learned."""
    if probe == "trained":
        return tuple(entrants)
    there = {one.encoder for one in entrants}
    return tuple(
        one
        for one in entrants
        if one.encoder not in UNTRAINED_MEANS_NOTHING and SAME_FEATURES.get(one.encoder) not in there
    )


@dataclass(frozen=True)
class Outcome:
    """How a run ended: units that are complete, units that did not fit into the budget, seconds it took."""

    done: tuple[Unit, ...]
    left_out: tuple[Unit, ...]
    seconds: float


def run(contest: Contest, *, budget_s: float | None = None, progress: Progress = SILENT) -> Outcome:
    """Make the cells that are missing, the most telling first, for at most about ``budget_s`` seconds."""
    began = time.monotonic()
    guess = _Guess()
    units = list(contest.units())
    done: list[Unit] = []
    left: list[Unit] = []
    with progress.task("Comparing encoders", total=len(units)) as advance, one_thread():
        for unit in units:
            spent = time.monotonic() - began
            if budget_s is not None and spent + _expected(contest, unit, guess) > budget_s:
                (done if contest.complete(unit) else left).append(unit)
            else:
                _work(contest, unit, guess)
                done.append(unit)
            advance(1, note=str(unit))
    return Outcome(tuple(done), tuple(left), time.monotonic() - began)


class _Guess:
    """Seconds that a cell takes: a rate for every probe, learned from the cells made so far."""

    def __init__(self) -> None:
        self.seconds = {"ridge": 0.6, "trained": 8.0, "kNN": 1.5, FLOOR: 1.0}
        self.work = dict.fromkeys(self.seconds, 1.0)

    def learn(self, probe: str, work: float, seconds: float) -> None:
        self.seconds[probe] += seconds
        self.work[probe] += work

    def of(self, probe: str, work: float) -> float:
        return self.seconds[probe] / self.work[probe] * work


def _size(task: PointTask, contest: Contest, probe: str) -> float:
    """How much work a cell is, 1 for 5,000 points in 5 folds; a training has the same steps whatever the points."""
    return (
        contest.folds
        / 5.0
        * (1.0 if probe == "trained" else (len(task) / 5_000.0) ** (2 if probe == "kNN" else 1))
    )


def _expected(contest: Contest, unit: Unit, guess: _Guess) -> float:
    """Seconds that the cells of a unit that are missing will take."""
    missing = sum(contest.cell(unit, entrant) is None for entrant in contest.competing(unit.probe))
    return guess.of(unit.probe, missing * _size(contest.task(unit.task), contest, unit.probe))


def _work(contest: Contest, unit: Unit, guess: _Guess) -> None:
    """Make the cells of a unit that are missing, and those of its floors."""
    task = contest.task(unit.task)
    for name in floors.FLOORS:
        if contest.floor(unit, name) is None:
            key = cells.Key(unit.task, unit.scheme, unit.seed, FLOOR, name)
            shuffled = contest.shuffled(unit.task, unit.scheme, unit.seed)
            _make(contest, key, None, partial(floors.predicted, name, task, shuffled), guess)
    for entrant in contest.competing(unit.probe):
        if contest.cell(unit, entrant) is None:
            key = cells.Key(unit.task, unit.scheme, unit.seed, unit.probe, entrant.name)
            shuffled = contest.shuffled(unit.task, unit.scheme, unit.seed)
            _make(contest, key, entrant, partial(answers, unit, entrant, task, shuffled), guess)


def _make(
    contest: Contest, key: cells.Key, entrant: Entrant | None, work: Callable[[], Answers], guess: _Guess
) -> None:
    task, began = contest.task(key.task), time.monotonic()
    given, choices = work()
    seconds = time.monotonic() - began
    cell = cells.Cell(measures.stored(task, given), tuple(choices), seconds)
    cells.write(key, contest.out, cell, contest.made_of(task, entrant))
    guess.learn(key.probe, _size(task, contest, key.probe), seconds)


def answers(unit: Unit, entrant: Entrant, task: PointTask, folds: Folds) -> Answers:
    """((N, K) answers, NaN where a row was not tested; what was chosen in each fold) of one encoder."""
    if unit.probe == "trained":
        from placevec.evaluation.location_encoders import trained_probe as trained

        return trained.predicted(entrant, task, folds, unit.seed)
    learn = ridge.predicted if unit.probe == "ridge" else neighbors.predicted
    counted = task.lonlat[~task.further]
    settings = [entrant.features(task.lonlat, one, counted) for one in entrant.settings(task.block_m)]
    target = task.columns()
    found, choices = np.full(target.shape, np.nan), []
    for fold, parts in zip(folds.folds, folds.inner, strict=True):
        found[fold.test], choice = learn(settings, target, fold.train, parts, fold.test, task.kind)
        choices.append(choice)
    return found, choices
