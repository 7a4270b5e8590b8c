"""Which results are made, in which order, and for how long: cells one by one, the most informative first.

With a budget, a unit (all encoders on one task, kind of folds, seed and probe) is only begun when it is expected to
end in time, because a table of some of the encoders compares nothing. What was left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np

from placevec.evaluation import neighbors, ridge
from placevec.evaluation import point_baselines as baselines
from placevec.evaluation.engine import one_thread
from placevec.evaluation.location_encoders import results as cells
from placevec.evaluation.location_encoders.candidates import SAME_FEATURES, UNTRAINED_MEANS_NOTHING, Candidate
from placevec.evaluation.location_encoders.results import Unit
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
Row = tuple[Unit, str, Candidate | None]
"""(under which its cell is kept, name, the encoder; None for a baseline)."""


@dataclass
class Benchmark:
    """What is compared.

    Attributes:
        tasks: in the order in which they are run.
        candidates: encoders.
        out: folder of the results.
        probes: of `PROBES`.
        schemes: of `folds.SCHEMES`.
        seeds: shuffles, from 0.
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

    def rows(self, unit: Unit) -> list[Row]:
        """Of a unit: the baselines, which are the same for every probe, then the encoders."""
        alone = replace(unit, probe=BASELINE)
        rivals = self.competing(cast(Probe, unit.probe))
        return [(alone, name, None) for name in baselines.names(self.task(unit.task))] + [
            (unit, one.name, one) for one in rivals
        ]

    def cell(self, row: Row) -> cells.Cell | None:
        """The result of a row, where it is there."""
        unit, name, _ = row
        return cells.read(unit.file(name), self.out, self.made_of(row))

    def made_of(self, row: Row) -> str:
        """What a cell must have been made of to be taken as it is."""
        unit, _, candidate = row
        task = self.task(unit.task)
        return cells.identity(task, self.folds, () if candidate is None else candidate.settings(task.side_m))

    def complete(self, unit: Unit) -> bool:
        """Whether all cells of a unit are there."""
        return all(self.cell(row) is not None for row in self.rows(unit))


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
    task, rows = benchmark.task(unit.task), list(benchmark.rows(unit))
    missing = [row for row in rows if benchmark.cell(row) is None]
    bare = sum(candidate is None for _, _, candidate in missing)
    return guess.of(unit.probe, (len(missing) - bare) * _size(task, benchmark, unit.probe)) + guess.of(
        BASELINE, bare * _size(task, benchmark, BASELINE)
    )


def _work(benchmark: Benchmark, unit: Unit, guess: _Guess) -> None:
    """Make the cells of a unit that are missing."""
    task = benchmark.task(unit.task)
    for row in benchmark.rows(unit):
        if benchmark.cell(row) is not None:
            continue
        of, name, candidate = row
        split, began = benchmark.split(unit.task, unit.scheme, unit.seed), time.monotonic()
        if candidate is None:
            given, choices = baselines.predicted(name, task, split)
        else:
            given, choices = predictions(unit, candidate, task, split)
        seconds = time.monotonic() - began
        cell = cells.Cell(cells.stored(task, given), tuple(choices), seconds)
        cells.write(of.file(name), benchmark.out, cell, benchmark.made_of(row))
        guess.learn(of.probe, _size(task, benchmark, of.probe), seconds)


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
