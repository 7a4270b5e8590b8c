"""Which results are made, in which order, and for how long: cells one by one, the most informative first.

With a budget, a unit (all encoders on one task, kind of folds, seed and probe) is only begun when it is expected to
end in time, because a table of some of the encoders compares nothing. What was left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from placevec.evaluation import neighbors, ridge
from placevec.evaluation import point_baselines as baselines
from placevec.evaluation.engine import one_thread
from placevec.evaluation.location_encoders import results as cells
from placevec.evaluation.location_encoders.candidates import SAME_FEATURES, UNTRAINED_MEANS_NOTHING, Candidate
from placevec.evaluation.splits import SCHEMES, Scheme, Split, task_split
from placevec.evaluation.tasks import Task
from placevec.geo import Floats
from placevec.io.progress import SILENT, Progress
from placevec.options import choices

Probe = choices.Probe
PROBES: tuple[Probe, ...] = ("ridge", "trained", "kNN")
"""In the order in which they are run."""
BASELINE = "baseline"
"""The probe under which baselines are kept."""
Predictions = tuple[Floats, list[ridge.Choice]]


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
class Benchmark:
    """What is compared.

    Attributes:
        tasks: in the order in which they are run.
        candidates: encoders.
        out: folder of the results.
        probes: of `PROBES`.
        schemes: of `folds.SCHEMES`.
        seeds: shufflings, from 0.
        folds: of a shuffling.
    """

    tasks: Sequence[Task]
    candidates: Sequence[Candidate]
    out: Path
    probes: Sequence[Probe] = PROBES
    schemes: Sequence[Scheme] = SCHEMES
    seeds: int = 3
    folds: int = 5
    _splits: dict[tuple[str, Scheme, int], Split] = field(default_factory=dict, repr=False)

    def units(self) -> Iterator[Unit]:
        """The most informative first: one seed of every probe and task, then further seeds; no probe without encoders."""
        probes = [probe for probe in self.probes if self.competing(probe)]
        for seed in range(self.seeds):
            for probe in probes:
                for task in self.tasks:
                    for scheme in self.schemes:
                        yield Unit(task.name, scheme, seed, probe)

    def task(self, name: str) -> Task:
        """One of them by its name."""
        return next(task for task in self.tasks if task.name == name)

    def split(self, task: str, scheme: Scheme, seed: int) -> Split:
        """The folds of a unit; kept, because neighbors of the buffer take time to find."""
        key = (task, scheme, seed)
        if key not in self._splits:
            self._splits[key] = task_split(self.task(task), scheme, self.folds, seed)
        return self._splits[key]

    def competing(self, probe: Probe) -> tuple[Candidate, ...]:
        """Who takes part in a probe."""
        return competing(self.candidates, probe)

    def cell(self, unit: Unit, candidate: Candidate) -> cells.Cell | None:
        """The result of an encoder, where it is there."""
        task = self.task(unit.task)
        key = cells.Key(unit.task, unit.scheme, unit.seed, unit.probe, candidate.name)
        return cells.read(key, self.out, self.made_of(task, candidate))

    def baseline(self, unit: Unit, name: str) -> cells.Cell | None:
        """The result of a baseline, where it is there; baselines are the same for every probe."""
        key = cells.Key(unit.task, unit.scheme, unit.seed, BASELINE, name)
        return cells.read(key, self.out, self.made_of(self.task(unit.task), None))

    def made_of(self, task: Task, candidate: Candidate | None) -> str:
        """What a cell must have been made of to be taken as it is."""
        settings: Sequence[Any] = () if candidate is None else candidate.settings(task.side_m)
        return cells.identity(task, self.folds, settings)

    def complete(self, unit: Unit) -> bool:
        """Whether all cells of a unit are there."""
        return all(
            self.cell(unit, candidate) is not None for candidate in self.competing(unit.probe)
        ) and all(self.baseline(unit, name) is not None for name in baselines.names(self.task(unit.task)))


def competing(candidates: Sequence[Candidate], probe: Probe) -> tuple[Candidate, ...]:
    """Who of them takes part in a probe: equal features, and features that are learned, differ by training only."""
    if probe == "trained":
        return tuple(candidates)
    there = {one.encoder for one in candidates}
    return tuple(
        one
        for one in candidates
        if one.encoder not in UNTRAINED_MEANS_NOTHING and SAME_FEATURES.get(one.encoder) not in there
    )


@dataclass(frozen=True)
class Outcome:
    """How a run ended: units that are complete, units that did not fit into the budget, seconds it took."""

    done: tuple[Unit, ...]
    left_out: tuple[Unit, ...]
    seconds: float


def run(benchmark: Benchmark, *, budget_s: float | None = None, progress: Progress = SILENT) -> Outcome:
    """Make the cells that are missing, the most informative first, for at most about ``budget_s`` seconds."""
    began = time.monotonic()
    guess = _Guess()
    units = list(benchmark.units())
    done: list[Unit] = []
    left: list[Unit] = []
    with progress.task("Comparing encoders", total=len(units)) as advance, one_thread():
        for unit in units:
            spent = time.monotonic() - began
            if budget_s is not None and spent + _expected(benchmark, unit, guess) > budget_s:
                (done if benchmark.complete(unit) else left).append(unit)
            else:
                _work(benchmark, unit, guess)
                done.append(unit)
            advance(1, note=str(unit))
    return Outcome(tuple(done), tuple(left), time.monotonic() - began)


class _Guess:
    """Seconds that a cell takes: a rate for every probe, learned from the cells made so far."""

    def __init__(self) -> None:
        self.seconds = {"ridge": 0.6, "trained": 8.0, "kNN": 1.5, BASELINE: 8.0}
        self.work = dict.fromkeys(self.seconds, 1.0)

    def learn(self, probe: str, work: float, seconds: float) -> None:
        self.seconds[probe] += seconds
        self.work[probe] += work

    def of(self, probe: str, work: float) -> float:
        return self.seconds[probe] / self.work[probe] * work


def _size(task: Task, benchmark: Benchmark, probe: str) -> float:
    """How much work a cell is, 1 for 5,000 points in 5 folds; a training has the same steps whatever the points."""
    return (
        benchmark.folds
        / 5.0
        * (1.0 if probe == "trained" else (len(task) / 5_000.0) ** (2 if probe == "kNN" else 1))
    )


def _expected(benchmark: Benchmark, unit: Unit, guess: _Guess) -> float:
    """Seconds that the cells of a unit that are missing will take."""
    task = benchmark.task(unit.task)
    missing = sum(benchmark.cell(unit, candidate) is None for candidate in benchmark.competing(unit.probe))
    bare = sum(benchmark.baseline(unit, name) is None for name in baselines.names(task))
    return guess.of(unit.probe, missing * _size(task, benchmark, unit.probe)) + guess.of(
        BASELINE, bare * _size(task, benchmark, BASELINE)
    )


def _work(benchmark: Benchmark, unit: Unit, guess: _Guess) -> None:
    """Make the cells of a unit that are missing, and those of its baselines."""
    task = benchmark.task(unit.task)
    for name in baselines.names(task):
        if benchmark.baseline(unit, name) is None:
            key = cells.Key(unit.task, unit.scheme, unit.seed, BASELINE, name)
            split = benchmark.split(unit.task, unit.scheme, unit.seed)
            _make(benchmark, key, None, partial(baselines.predicted, name, task, split), guess)
    for candidate in benchmark.competing(unit.probe):
        if benchmark.cell(unit, candidate) is None:
            key = cells.Key(unit.task, unit.scheme, unit.seed, unit.probe, candidate.name)
            split = benchmark.split(unit.task, unit.scheme, unit.seed)
            _make(benchmark, key, candidate, partial(predictions, unit, candidate, task, split), guess)


def _make(
    benchmark: Benchmark,
    key: cells.Key,
    candidate: Candidate | None,
    work: Callable[[], Predictions],
    guess: _Guess,
) -> None:
    task, began = benchmark.task(key.task), time.monotonic()
    given, choices = work()
    seconds = time.monotonic() - began
    cell = cells.Cell(cells.stored(task, given), tuple(choices), seconds)
    cells.write(key, benchmark.out, cell, benchmark.made_of(task, candidate))
    guess.learn(key.probe, _size(task, benchmark, key.probe), seconds)


def predictions(unit: Unit, candidate: Candidate, task: Task, folds: Split) -> Predictions:
    """((N, K) predictions, NaN where a row was not tested; what was chosen in each fold) of one encoder."""
    if unit.probe == "trained":
        from placevec.evaluation.location_encoders import trained_probe as trained

        return trained.predicted(candidate, task, folds, unit.seed)
    learn = ridge.predicted if unit.probe == "ridge" else neighbors.predicted
    counted = task.points[task.counted]
    settings = [candidate.features(task.points, one, counted) for one in candidate.settings(task.side_m)]
    target = task.columns()
    found, choices = np.full(target.shape, np.nan), []
    for fold, parts in zip(folds.folds, folds.inner, strict=True):
        found[fold.test], choice = learn(settings, target, fold.train, parts, fold.test, task.kind)
        choices.append(choice)
    return found, choices
