"""One task judged: every row by its best probe, on the same folds, with paired intervals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError
from placevec.evaluation.probes import CHANCE, PROBES, Effort, Features, Probe, Training, learnable
from placevec.evaluation.scores import (
    METRIC,
    Array,
    Draws,
    bootstrap,
    draws,
    interval,
    score,
    secondary,
)
from placevec.evaluation.splits import Blocks, Split, block_grid, spatial_split
from placevec.evaluation.tasks import Task
from placevec.geo import Floats
from placevec.io.progress import SILENT, Advance, Progress

OURS = "vectors"
CHANCE_ROW = "chance"
PLACES_TO_CLAIM = 500
"""Below so many places nothing is claimed."""
BLOCKS_TO_CLAIM = 30
"""Below so many blocks a bootstrap over them is too narrow, and nothing is claimed."""
MIN_TRAINING = 20

_IN_WORDS = {"above": "above", "not told apart": "not told apart from", "below": "below"}

Variants = tuple[Features, ...]
"""Feature sets (n, D) of equal standing, such as an untrained encoder by several seeds; shuffling s sees variant s."""


@dataclass(frozen=True)
class Budget:
    """How much an evaluation may cost: what probes try, draws of the bootstrap, places looked at."""

    effort: Effort
    draws: int
    places: int


BUDGETS = {
    "quick": Budget(Effort(trees=15, inverse_penalties=(0.1,), neighbors=(10,)), 500, 2_000),
    "full": Budget(Effort(), 2_000, 10_000),
}


@dataclass(frozen=True)
class Row:
    """One feature set.

    Attributes:
        name: such as ``coverage fractions``.
        dim: numbers in a feature; 0 for chance.
        probe: the best one, which the rest is about.
        score: mean over the shufflings; larger is better.
        low: of the 95 % interval.
        high: of the 95 % interval.
        further: other numbers by name.
        by_probe: score of every probe.
    """

    name: str
    dim: int
    probe: str
    score: float
    low: float
    high: float
    further: dict[str, float]
    by_probe: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """``of`` minus ``against``, paired over blocks and shufflings; ``verdict`` reads the 95 % interval."""

    of: str
    against: str
    difference: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """The smallest difference that could have been seen."""
        return (self.high - self.low) / 2.0

    @property
    def verdict(self) -> str:
        """``above``, ``below`` or ``not told apart``."""
        if self.low > 0:
            return "above"
        return "below" if self.high < 0 else "not told apart"


@dataclass
class Judgement:
    """All that is said of one task. Distances are meters; ``places`` were tested, ``blocks`` resampled."""

    task: str
    kind: str
    description: str
    metric: str
    places: int
    classes: dict[str, int]
    blocks: int
    effective_blocks: float
    block_m: float
    buffer_m: float
    folds: int
    seeds: int
    kept: float
    rows: list[Row]
    comparisons: list[Comparison]
    leaks: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def claims(self) -> bool:
        """Whether there are places and blocks enough to claim anything."""
        return self.places >= PLACES_TO_CLAIM and self.effective_blocks >= BLOCKS_TO_CLAIM and not self.leaks

    @property
    def verdict(self) -> str:
        """One honest sentence."""
        said = "; ".join(
            f"{words} {', '.join(found)}"
            for verdict, words in _IN_WORDS.items()
            if (
                found := [
                    item.against for item in self.comparisons if item.of == OURS and item.verdict == verdict
                ]
            )
        )
        for item in self.comparisons:
            if item.of != OURS:
                said += f". {item.of.capitalize()} is {_IN_WORDS[item.verdict]} {item.against} alone"
        if self.leaks:
            return f"No claim: the model sees {', '.join(self.leaks)}, which give the label away. Vectors are {said}."
        if not self.claims:
            return (
                f"No claim: {self.places} places in {self.effective_blocks:.1f} effective blocks are too few "
                f"(at least {PLACES_TO_CLAIM} and {BLOCKS_TO_CLAIM}). In this sample vectors are {said}."
            )
        return f"Vectors are {said}."

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        content = asdict(self)
        content["comparisons"] = [
            {**asdict(item), "half_width": item.half_width, "verdict": item.verdict}
            for item in self.comparisons
        ]
        return {**content, "leaks": list(self.leaks), "claims": self.claims, "verdict": self.verdict}


def judge(
    task: Task,
    features: Mapping[str, Variants],
    lonlat: Floats,
    *,
    pairs: tuple[tuple[str, str], ...],
    buffer_m: float,
    folds: int,
    seeds: int,
    budget: Budget,
    progress: Progress = SILENT,
) -> Judgement:
    """Every feature set by every probe on every fold, then the best of each compared.

    Args:
        task: n labeled places.
        features: name -> variants, each (n, D) in the order of the task's places.
        lonlat: (n, 2) degrees of the same places.
        pairs: (of, against) rows that are compared.
        buffer_m: meters that training keeps from tested places.
        folds: a shuffling.
        seeds: shufflings of the blocks.
        budget: see `BUDGETS`.
        progress: where to report.

    Raises:
        EvaluationError: too few places or blocks, or no fold keeps places to train on.
    """
    blocks = block_grid(lonlat, buffer_m=buffer_m)
    splits = [
        spatial_split(lonlat, blocks, buffer_m=buffer_m, folds=folds, seed=seed) for seed in range(seeds)
    ]
    splits, dropped = _usable(task, splits, buffer_m)
    total = sum(len(split.folds) for split in splits) * (len(features) + 1)
    variants: dict[str, Variants] = {CHANCE_ROW: (np.zeros((len(task), 0)),), **features}
    with progress.task(f"Judging {task.name}", total=total) as advance, one_thread():
        predictions = {
            name: _predictions(task, sets, blocks, splits, _probes(name, task), budget.effort, advance, name)
            for name, sets in variants.items()
        }
    drawn = draws(budget.draws, blocks.count, seeds)
    rows, resampled = judged(task, variants, predictions, blocks, drawn)
    return Judgement(
        task=task.name,
        kind=task.kind,
        description=task.description,
        metric=METRIC[task.kind],
        places=int(_tested(splits, len(task)).any(axis=0).sum()),
        classes=task.counts(),
        blocks=blocks.count,
        effective_blocks=blocks.effective,
        block_m=blocks.size_m,
        buffer_m=buffer_m,
        folds=max(len(split.folds) for split in splits),
        seeds=seeds,
        kept=float(np.mean([split.kept for split in splits])),
        rows=list(rows.values()),
        comparisons=compared(rows, resampled, pairs),
        notes=_notes(splits, dropped, buffer_m),
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """For many small fits: threads would wait for one another, and arguments are checked here. Repeats bit by bit."""
    from sklearn import config_context
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with config_context(assume_finite=True, skip_parameter_validation=True), threadpool_limits(1):
        yield


def _probes(name: str, task: Task) -> dict[str, Probe]:
    return CHANCE[task.kind] if name == CHANCE_ROW else PROBES


def _usable(task: Task, splits: list[Split], buffer_m: float) -> tuple[list[Split], int]:
    """The splits with only those folds that leave something to learn from, and how many folds were dropped."""
    kept, dropped = [], 0
    for split in splits:
        good = [
            fold
            for fold in split.folds
            if len(fold.train) >= MIN_TRAINING and learnable(task.kind, task.target[fold.train])
        ]
        dropped += len(split.folds) - len(good)
        kept.append(replace(split, folds=tuple(good)))
    if not all(split.folds for split in kept):
        raise EvaluationError(
            f"task {task.name}: a buffer of {buffer_m:.0f} m leaves no training places among {len(task)}; "
            "prepare a larger area"
        )
    return kept, dropped


def _tested(splits: list[Split], count: int) -> NDArray[np.bool_]:
    """(seeds, n) which places each shuffling tests."""
    tested = np.zeros((len(splits), count), bool)
    for number, split in enumerate(splits):
        for fold in split.folds:
            tested[number, fold.test] = True
    return tested


def _predictions(
    task: Task,
    variants: Variants,
    blocks: Blocks,
    splits: list[Split],
    probes: dict[str, Probe],
    effort: Effort,
    advance: Advance,
    name: str,
) -> dict[str, list[Array]]:
    """Probe -> one (n, outputs) a shuffling, NaN where a place was not tested."""
    outputs = max(1, len(task.classes))
    found: dict[str, list[Array]] = {probe: [] for probe in probes}
    for seed, split in enumerate(splits):
        features = variants[seed % len(variants)]
        scores = {probe: np.full((len(task), outputs), np.nan) for probe in probes}
        for fold in split.folds:
            training = Training(
                task.kind,
                features[fold.train],
                task.target[fold.train],
                outputs,
                blocks.number[fold.train],
                seed,
            )
            for probe, learn in probes.items():
                scores[probe][fold.test] = learn(training, features[fold.test], effort)
            advance(1, note=name)
        for probe in probes:
            found[probe].append(scores[probe])
    return found


def judged(
    task: Task,
    variants: Mapping[str, Variants],
    predictions: dict[str, dict[str, list[Array]]],
    blocks: Blocks,
    drawn: Draws,
) -> tuple[dict[str, Row], dict[str, Array]]:
    """(rows, their metric in every draw), each by its best probe."""
    rows, resampled = {}, {}
    for name, by_probe in predictions.items():
        scores = {probe: _mean(task, found, score) for probe, found in by_probe.items()}
        best = max(scores, key=lambda probe: np.nan_to_num(scores[probe], nan=-np.inf))
        resampled[name] = bootstrap(task.kind, task.target, by_probe[best], blocks.number, drawn)
        low, high = interval(resampled[name])
        names = secondary(task.kind, *_known(task, by_probe[best][0]))
        further = {
            key: _mean(task, by_probe[best], lambda *at, key=key: secondary(*at)[key]) for key in names
        }
        dim = int(variants[name][0].shape[1])
        rows[name] = Row(name, dim, best, scores[best], low, high, further, scores)
    return rows, resampled


def _known(task: Task, predicted: Array) -> tuple[NDArray[Any], Array]:
    rows = np.isfinite(predicted).all(axis=1)
    return task.target[rows], predicted[rows]


def _mean(task: Task, predictions: list[Array], measure: Any) -> float:
    """Mean over the shufflings of a number about their predictions."""
    return float(np.mean([measure(task.kind, *_known(task, predicted)) for predicted in predictions]))


def compared(
    rows: dict[str, Row], resampled: dict[str, Array], pairs: tuple[tuple[str, str], ...]
) -> list[Comparison]:
    """The difference of every pair of rows, with the interval of its draws."""
    found = []
    for of, against in pairs:
        if of in rows and against in rows:
            low, high = interval(resampled[of] - resampled[against])
            found.append(Comparison(of, against, rows[of].score - rows[against].score, low, high))
    return found


def _notes(splits: list[Split], dropped: int, buffer_m: float) -> list[str]:
    notes = []
    kept = float(np.mean([split.kept for split in splits]))
    if any(split.compact for split in splits):
        notes.append(
            "folds are strips of neighboring blocks: scattered over so small an extent, "
            "their buffers would eat the training places"
        )
    if kept < 0.5:
        notes.append(f"the buffer of {buffer_m:.0f} m leaves {kept:.0%} of the training places")
    if dropped:
        notes.append(f"{dropped} folds kept too few places to learn from and were left out")
    return notes
