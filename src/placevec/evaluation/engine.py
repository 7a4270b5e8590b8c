"""The evaluation engine: every row of features by every probe, on every fold of every shuffle."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from placevec.distributed.executors import IN_THIS_PROCESS, Executor, Maker, Part
from placevec.errors import EvaluationError
from placevec.evaluation.bootstrap import Resampling, Score, scale_of
from placevec.evaluation.compare import compare
from placevec.evaluation.neighbors import VOTES
from placevec.evaluation.position_probes import POSITION_PROBES
from placevec.evaluation.probes import (
    CHANCE,
    MLP_PENALTIES,
    PROBES,
    RETRIEVAL,
    Effort,
    Features,
    Probe,
    Training,
    mlp,
)
from placevec.evaluation.results import CurvePoint, Result, Row
from placevec.evaluation.scores import SECONDARY, Array, better, loss, mean_known, resampled, score
from placevec.evaluation.splits import (
    MIN_TRAINING,
    Blocks,
    Fold,
    Scheme,
    Split,
    block_grid,
    random_split,
    region_split,
    spatial_split,
    thinned,
)
from placevec.evaluation.tasks import MIN_PLACES, Task, varied
from placevec.evaluation.variogram import correlation_range
from placevec.geo import Floats
from placevec.io.progress import SILENT, Advance, Progress

OURS = "vectors"
CHANCE_ROW = "chance"
CURVE = (0.05, 0.1, 0.25, 0.5)
"""Shares of the labels that a learning curve shows, before all of them."""
FeaturesOfFold = Callable[[int], Features]
"""Number of a fold -> (n, D) features of all places, such as from an encoder trained without the fold's region."""
Variants = tuple[Features, ...]
"""Feature sets (n, D) of equal standing, such as an untrained encoder by several seeds; shuffling s sees variant s."""


class Learner(Protocol):
    """A row without features of its own: it learns from the places of a fold in its own way, such as by fine-tuning.

    Attributes:
        dim: length of the vectors that it predicts from.
        probe: what the report names as its probe.
    """

    dim: int
    probe: str

    def learned(
        self, task: Task, fold: Fold, groups: NDArray[np.int64], seed: int
    ) -> tuple[Array, list[str]]:
        """((m, outputs) scores of the tested places, notes), as a probe returns them.

        ``groups`` (n,) stay whole where settings are chosen inside the training places.
        """
        ...


@dataclass(frozen=True)
class Budget:
    """How much an evaluation may cost: what probes try, draws of the bootstrap, places looked at.

    Attributes:
        epochs: at most, of encoders that are trained further.
        mlp: penalties of the multilayer perceptron, where it is asked for.
    """

    effort: Effort
    draws: int
    places: int
    epochs: int = 30
    mlp: tuple[float, ...] = MLP_PENALTIES

    def with_mlp(self) -> Budget:
        """The same budget, with the multilayer perceptron as an additional probe."""
        return replace(self, effort=replace(self.effort, mlp_penalties=self.mlp))


BUDGETS = {
    "quick": Budget(
        Effort(trees=15, inverse_penalties=(0.1,), neighbors=(10,), process_places=500),
        500,
        2_000,
        5,
        (10.0,),
    ),
    "full": Budget(Effort(neighbors=(5, 20, 100, 300, 1_000), votes=VOTES), 2_000, 10_000),
}


def evaluate_task(
    task: Task,
    features: Mapping[str, Variants],
    lonlat: Floats,
    *,
    pairs: tuple[tuple[str, str], ...],
    buffer_m: float,
    folds: int,
    seeds: int,
    budget: Budget,
    follow_range: bool = True,
    regions: NDArray[np.str_] | None = None,
    scheme: Scheme = "blocks",
    curve: Sequence[float] = (),
    positions: Sequence[str] = (),
    learners: Mapping[str, Learner] | None = None,
    executor: Executor = IN_THIS_PROCESS,
    progress: Progress = SILENT,
) -> Result:
    """Every feature set by every probe on spatial folds, then the best of each compared.

    Args:
        task: n labeled places.
        features: name -> variants, each (n, D) in the order of the task's places.
        lonlat: (n, 2) degrees of the same places.
        pairs: (of, against) rows that are compared.
        buffer_m: meters that training keeps from tested places.
        folds: a shuffling.
        seeds: shuffles of the blocks.
        budget: see `BUDGETS`.
        follow_range: make blocks as wide as labels are correlated, as far as the area holds enough of them, and the
            buffer at least a quarter of that.
        regions: (n,) name of the region of each place: each is left out once, in place of folds of blocks.
        scheme: ``random`` folds take no heed of regions, blocks or buffers, which only serve the intervals.
        curve: shares of the labels, below 1, that rows are also evaluated with (`CURVE`).
        positions: rows of (n, 2) meters that say where places lie, which take the best of `POSITION_PROBES`.
        learners: further rows, which learn in their own way, in this process.
        executor: where probes learn.
        progress: where to report.

    Raises:
        EvaluationError: labels that are all the same, too few places or blocks, or no fold keeps places to train on.
    """
    task.check_varied()
    reach = correlation_range(lonlat, task.columns()) if follow_range else 0.0
    blocks = block_grid(lonlat, buffer_m=buffer_m, range_m=reach)
    if scheme == "random":
        buffer_m, regions = 0.0, None
    elif reach > 0:
        buffer_m = max(buffer_m, min(reach, blocks.size_m) / 4.0)
    names: list[str] = []
    if scheme == "random":
        splits = [random_split(len(task), folds=folds, seed=seed) for seed in range(seeds)]
        inner = np.arange(len(task))
    elif regions is None:
        splits = [
            spatial_split(lonlat, blocks, buffer_m=buffer_m, folds=folds, seed=seed) for seed in range(seeds)
        ]
        inner = blocks.number
    else:
        held, inner = np.unique(regions, return_inverse=True)
        names = [str(name) for name in held]
        splits = [region_split(inner, lonlat, buffer_m=buffer_m)] * seeds
        both = np.unique(np.stack([inner, blocks.number], axis=-1), axis=0, return_inverse=True)[1]
        blocks = Blocks(both.reshape(-1).astype(np.int64), blocks.size_m)
    found = evaluate_splits(
        task, features, splits, blocks, inner, pairs=pairs, buffer_m=buffer_m, budget=budget, lonlat=lonlat,
        regions=names, curve=curve, positions=positions, learners=learners, executor=executor,
        progress=progress,
    )  # fmt: skip
    return replace(found, label_range_m=reach, scheme=scheme)


def evaluate_splits(
    task: Task,
    features: Mapping[str, Sequence[Features | FeaturesOfFold]],
    splits: Sequence[Split],
    blocks: Blocks,
    inner: NDArray[np.int64],
    *,
    pairs: tuple[tuple[str, str], ...],
    buffer_m: float = 0.0,
    budget: Budget,
    lonlat: Floats | None = None,
    regions: Sequence[str] = (),
    curve: Sequence[float] = (),
    positions: Sequence[str] = (),
    learners: Mapping[str, Learner] | None = None,
    executor: Executor = IN_THIS_PROCESS,
    progress: Progress = SILENT,
) -> Result:
    """Like `evaluate_task`, on any splits.

    Args:
        splits: one a shuffling; where all are the same one, a row of a single variant is predicted once.
        blocks: that the bootstrap draws.
        inner: (n,) groups that stay whole where probes choose their settings inside the training places.
        lonlat: (n, 2) degrees of the places, from which wider blocks and correlation ranges are made.
        regions: name of the region that each fold of a split leaves out, where folds are regions.
        curve: shares of the labels that rows are also evaluated with.
        executor: as in `evaluate_task`; only this process takes features that are functions.
    """
    _check_rows(task, features)
    whole = splits
    splits, dropped = _usable(task, whole, buffer_m)
    fewer, too_few = _with_fewer_labels(task, splits, curve)
    learners = learners or {}
    total = sum(len(split.folds) for split in splits) * (1 + len(fewer))
    variants: dict[str, Sequence[Features | FeaturesOfFold]] = {
        CHANCE_ROW: (np.zeros((len(task), 0)),),
        **features,
    }
    rows: dict[str, Row] = {}
    points: dict[float, dict[str, Score]] = {}
    noted: dict[str, list[str]] = {}
    tested = [split.tested_in(len(task)) for split in splits]
    seen: NDArray[np.bool_] = np.asarray(
        (np.stack(tested) >= 0).any(axis=0)
    )  # places that are only learned from count in no block
    over = Resampling(
        blocks.number[seen], draws=budget.draws, seeds=len(splits), lonlat=None if lonlat is None else lonlat[seen],
        side_m=blocks.size_m,
    )  # fmt: skip
    over.block = _spread(over.block, seen)
    predicting = Predicting(task, variants, inner, {1.0: splits, **fewer}, tuple(positions), budget.effort)
    with progress.task(f"Evaluating {task.name}", total=total * len(variants)) as advance, one_thread():
        for name, share, given, dim, told in predicting.all_rows(executor, advance):
            row = _best_row(task, name, dim, given, over, tested)
            if share < 1.0:
                points.setdefault(share, {})[name] = row.score
                continue
            rows[name] = row
            noted[name] = _probe_notes(name, told[row.probe], splits)
            row.by_region = _by_region(task, given[row.probe], whole[0], regions)
    rows = {name: rows[name] for name in variants}
    points = {share: {name: points[share][name] for name in variants} for share in fewer}
    notes = [note for name in variants for note in noted[name]]
    for name, learner in learners.items():
        with progress.task(f"{name[:1].upper()}{name[1:]}: {task.name}", total=total) as advance:
            for share, some in {1.0: splits, **fewer}.items():
                given, learned = _learned(task, learner, inner, some, advance, f"{share:.0%} of the labels")
                row = _best_row(task, name, learner.dim, given, over, tested)
                if share < 1.0:
                    points.setdefault(share, {})[name] = row.score
                    continue
                rows[name] = row
                notes += _probe_notes(name, learned, splits)
                row.by_region = _by_region(task, given[learner.probe], whole[0], regions)
    sign = better(task.metric)
    return Result(
        task=task.name,
        kind=task.kind,
        description=task.description,
        metric=task.metric,
        places=int(seen.sum()),
        classes=task.counts(),
        blocks=over.count,
        effective_blocks=over.effective[0],
        block_m=blocks.size_m,
        buffer_m=buffer_m,
        folds=max(len(split.folds) for split in splits),
        seeds=len(splits),
        kept=float(np.mean([split.kept for split in splits])),
        rows=list(rows.values()),
        comparisons=compare(
            {name: row.score for name, row in rows.items()},
            pairs,
            sign,
            lonlat=lonlat,
            side_m=blocks.size_m,
        ),
        notes=[*_notes(splits, dropped, buffer_m), *notes, *_region_notes(task, whole[0], regions), *too_few],
        curve=_curve({**fewer, 1.0: splits}, points | {1.0: {name: row.score for name, row in rows.items()}}),
    )


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """For many small fits: threads would wait for one another, and arguments are checked here. Repeats bit by bit."""
    from sklearn import config_context
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with config_context(assume_finite=True, skip_parameter_validation=True), threadpool_limits(1):
        yield


def score_of(
    task: Task,
    predictions: Sequence[NDArray[Any]],
    over: Resampling,
    folds: Sequence[NDArray[np.int64]] | None = None,
    within: NDArray[np.bool_] | None = None,
) -> Score:
    """The task's measure of one prediction a shuffling, (n, K) or (n,), NaN where a place was not tested.

    ``folds``: for each shuffle, (n,) the fold that tests each place; ``within``: (n,) the places that count.
    """
    at = [np.flatnonzero(is_tested(one) & (True if within is None else within)) for one in predictions]
    measures = []
    losses = np.full((len(task), len(predictions)), np.nan)
    for number, (here, predicted) in enumerate(zip(at, predictions, strict=True)):
        given = (task.metric, task.target[here], predicted[here])
        fold = None if folds is None else folds[number][here]
        measures.append(partial(resampled, *given, over.block[here], fold=fold))
        losses[here, number] = loss(*given)
    return over.score(measures, len(at[0]), scale_of(task.metric), mean_known(losses))


def _spread(numbers: NDArray[np.int64], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) numbers of the places of a mask, 0 elsewhere."""
    found = np.zeros(len(where), np.int64)
    found[where] = numbers
    return found


def is_tested(predicted: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) which places (n, K) or (n,) predictions are of: those that are not NaN.

    >>> is_tested(np.array([[0.2, 0.8], [np.nan, np.nan]])).tolist()
    [True, False]
    """
    return np.asarray(np.isfinite(predicted.reshape(len(predicted), -1)).all(axis=1))


def _check_rows(task: Task, features: Mapping[str, Sequence[Features | FeaturesOfFold]]) -> None:
    """EvaluationError for features of other places than the task's, or that are not finite."""
    for name, variants in features.items():
        for one in variants:
            if callable(one):
                continue
            if len(one) != len(task):
                raise EvaluationError(
                    f"task {task.name}: row {name!r} has {len(one):,} places, but there are {len(task):,} labels"
                )
            if not np.isfinite(one).all():
                place = int(np.flatnonzero(~np.isfinite(one).all(axis=1))[0])
                raise EvaluationError(f"task {task.name}: row {name!r} is not finite at place {place}")


def _usable(task: Task, splits: Sequence[Split], buffer_m: float) -> tuple[list[Split], int]:
    """The splits with only those folds that leave something to learn from, and how many folds were dropped."""
    kept, dropped = {}, 0
    for split in splits:
        if id(split) in kept:
            continue
        good = [
            fold for fold in split.folds if len(fold.train) >= MIN_TRAINING and varied(task.target[fold.train])
        ]  # fmt: skip
        dropped += len(split.folds) - len(good)
        kept[id(split)] = replace(split, folds=tuple(good))
    if not all(split.folds for split in kept.values()):
        raise EvaluationError(
            f"task {task.name}: a buffer of {buffer_m:.0f} m leaves no training places among {len(task)}; "
            "prepare a larger area"
        )
    return [kept[id(split)] for split in splits], dropped


def _with_fewer_labels(
    task: Task, splits: Sequence[Split], shares: Sequence[float]
) -> tuple[dict[float, list[Split]], list[str]]:
    """(share -> the splits with that share of their training places, a note on shares that leave too few)."""
    found, too_few = {}, []
    for share in shares:
        once: dict[int, Split] = {}  # splits that are one another stay so, and are predicted once
        some = [once.setdefault(id(split), thinned(split, share, seed)) for seed, split in enumerate(splits)]
        trained = [fold.train for split in some for fold in split.folds]
        if all(len(train) >= MIN_TRAINING and varied(task.target[train]) for train in trained):
            found[share] = some
        else:
            too_few.append(f"{share:.0%}")
    note = f"{' and '.join(too_few)} of the labels are too few to train on: left out of the learning curve"
    return found, [note] if too_few else []


def _curve(
    splits: Mapping[float, Sequence[Split]], points: Mapping[float, dict[str, Score]]
) -> list[CurvePoint]:
    """The learning curve from the smallest share up; empty if there is only one share."""
    if len(points) < 2:
        return []
    return [
        CurvePoint(share, round(float(np.mean([len(fold.train) for one in some for fold in one.folds]))), points[share])
        for share, some in splits.items()
    ]  # fmt: skip


def _by_region(
    task: Task, predictions: Sequence[Array], split: Split, regions: Sequence[str]
) -> dict[str, float]:
    """Score within each region of `MIN_PLACES` tested places or more, mean of the shuffles."""
    found = {}
    for name, fold in zip(regions, split.folds, strict=False):
        inside = [np.full_like(predicted, np.nan) for predicted in predictions]
        for held, predicted in zip(inside, predictions, strict=True):
            held[fold.test] = predicted[fold.test]
        if np.isfinite(inside[0]).all(axis=1).sum() >= MIN_PLACES and varied(task.target[fold.test]):
            one_fold = [np.zeros(len(task), np.int64)] * len(inside)
            found[name] = _mean(task, inside, task.metric, one_fold)
    return found


def _region_notes(task: Task, split: Split, regions: Sequence[str]) -> list[str]:
    if not regions:
        return []
    held = ", ".join(f"{name} ({len(fold.test):,})" for name, fold in zip(regions, split.folds, strict=False))
    return [f"every fold leaves one region out (number of places): {held}"]


class _Fit(NamedTuple):
    """One unit of work: a row, with a share of the labels, on one fold of one shuffle."""

    row: str
    share: float
    seed: int
    fold: int


_Predicted = tuple[dict[str, Array], dict[str, list[str]], int]
"""(probe -> (m, outputs) scores of the tested places; probe -> notes; length of a feature)."""


@dataclass(frozen=True)
class Predicting:
    """Everything that predictions depend on; can be sent to other processes if no features are functions.

    Attributes:
        task: the labels.
        variants: row -> its features.
        inner: (n,) groups that stay whole where settings are chosen.
        splits: share of the labels -> one split a shuffling.
        positions: rows that say where places lie.
        effort: of the probes.
    """

    task: Task
    variants: Mapping[str, Sequence[Features | FeaturesOfFold]]
    inner: NDArray[np.int64]
    splits: Mapping[float, Sequence[Split]]
    positions: tuple[str, ...]
    effort: Effort

    def all_rows(
        self, executor: Executor, advance: Advance
    ) -> Iterator[tuple[str, float, dict[str, list[Array]], int, dict[str, list[str]]]]:
        """Every row by every share of the labels, as soon as it is complete.

        Yields:
            Row, share, probe -> one (n, outputs) a shuffling (NaN where a place was not tested), length of a feature,
            probe -> notes.
        """
        parts, waiting = [], dict[tuple[str, float], dict[tuple[int, int], _Predicted]]()
        for row in self.variants:
            for share, splits in self.splits.items():
                waiting[row, share] = {}
                for seed, split in enumerate(splits):
                    if self._source(row, share, seed) != seed:
                        advance(len(split.folds), note=row)
                        continue
                    for fold in range(len(split.folds)):
                        name = f"{self.task.name}: {row}, fold {fold + 1} of shuffling {seed + 1}"
                        parts.append(Part(name, _Fit(row, share, seed, fold)))
        count = {key: sum(part.content[:2] == key for part in parts) for key in waiting}
        for part, found in executor.run(self, parts, advance):
            row, share, seed, fold = part.content
            waiting[row, share][seed, fold] = found
            if len(waiting[row, share]) == count[row, share]:
                yield row, share, *self._joined(row, share, waiting.pop((row, share)))

    def elsewhere(self) -> Callable[[], Maker]:
        """See `Work.elsewhere`; features are sent as they are."""
        return partial(_there, self)

    def make(self, asked: _Fit, advance: Advance) -> _Predicted:
        """Learn from the fold's training places by every probe, and predict its tested places."""
        fold, variants = self.splits[asked.share][asked.seed].folds[asked.fold], self.variants[asked.row]
        variant = variants[asked.seed % len(variants)]
        features = variant(asked.fold) if callable(variant) else variant
        task = self.task
        training = Training(
            task.kind, features[fold.train], task.target[fold.train], task.outputs, self.inner[fold.train], asked.seed
        )  # fmt: skip
        scores: dict[str, Array] = {}
        notes: dict[str, list[str]] = {}
        for probe, learn in self._probes_of(asked.row).items():
            scores[probe] = learn(training, features[fold.test], self.effort)
            notes[probe] = list(training.notes)
            training.notes.clear()
        advance(1, note=asked.row)
        return scores, notes, int(features.shape[1])

    def _probes_of(self, row: str) -> Mapping[str, Probe]:
        if row == CHANCE_ROW:
            return CHANCE[self.task.kind]
        return _probes(self.task, row in self.positions, self.effort)

    def _source(self, row: str, share: float, seed: int) -> int:
        """The shuffling whose predictions are those of this one: itself, or the first if nothing differs."""
        splits = self.splits[share]
        return 0 if len(self.variants[row]) == 1 and splits[seed] is splits[0] else seed

    def _joined(
        self, row: str, share: float, found: Mapping[tuple[int, int], _Predicted]
    ) -> tuple[dict[str, list[Array]], int, dict[str, list[str]]]:
        """The folds of a row as one array a shuffling."""
        splits, dim = self.splits[share], 0
        predictions: dict[str, list[Array]] = {probe: [] for probe in self._probes_of(row)}
        notes: dict[str, list[str]] = {probe: [] for probe in predictions}
        for seed, split in enumerate(splits):
            if self._source(row, share, seed) != seed:
                for some in predictions.values():
                    some.append(some[0])
                continue
            for probe, some in predictions.items():
                scores = np.full((len(self.task), self.task.outputs), np.nan)
                for number, fold in enumerate(split.folds):
                    of_fold, told, dim = found[seed, number]
                    scores[fold.test] = of_fold[probe]
                    notes[probe] += told[probe]
                some.append(scores)
        return predictions, dim, notes


def _there(predicting: Predicting) -> Maker:
    """`Predicting.make` in another process, on one thread."""

    def make(asked: _Fit, advance: Advance) -> _Predicted:
        with one_thread():
            return predicting.make(asked, advance)

    return make


def _probes(task: Task, position: bool, effort: Effort) -> Mapping[str, Probe]:
    if task.kind == "retrieval":
        return RETRIEVAL
    found = POSITION_PROBES if position else PROBES
    return {**found, "MLP": mlp} if effort.mlp_penalties else found


def _learned(
    task: Task, learner: Learner, inner: NDArray[np.int64], splits: Sequence[Split], advance: Advance, note: str
) -> tuple[dict[str, list[Array]], list[str]]:  # fmt: skip
    """Like `_predictions`, for a row that learns in its own way."""
    found: list[Array] = []
    notes: list[str] = []
    for seed, split in enumerate(splits):
        scores = np.full((len(task), task.outputs), np.nan)
        for fold in split.folds:
            scores[fold.test], told = learner.learned(task, fold, inner[fold.train], seed)
            notes += told
            advance(1, note=note)
        found.append(scores)
    return {learner.probe: found}, notes


def _probe_notes(name: str, told: Sequence[str], splits: Sequence[Split]) -> list[str]:
    """Notes of the best probe of a row that occur in more than half of the folds."""
    total = sum(len(split.folds) for split in splits)
    often = [(told.count(one), one) for one in dict.fromkeys(told)]
    return [f"{name}: {one} ({many} of {total} folds)" for many, one in often if 2 * many > total]


def _best_row(
    task: Task, name: str, dim: int, predictions: Mapping[str, list[Array]], over: Resampling,
    tested: Sequence[NDArray[np.int64]],
) -> Row:  # fmt: skip
    """The row by its best probe; ``tested``: for each shuffle the fold that tests each place."""
    sign = better(task.metric)
    by_probe = {probe: _mean(task, found, task.metric, tested) for probe, found in predictions.items()}
    best = max(by_probe, key=lambda probe: np.nan_to_num(sign * by_probe[probe], nan=-np.inf))
    scores = {task.metric: score_of(task, predictions[best], over, tested)}
    further = {metric: _mean(task, predictions[best], metric, tested) for metric in SECONDARY[task.kind]}
    return Row(name, scores, dim, best, further, by_probe)


def _mean(
    task: Task, predictions: Sequence[Array], metric: str, tested: Sequence[NDArray[np.int64]]
) -> float:
    """Mean over the shuffles of a measure of their predictions."""
    found: list[Any] = []
    for predicted, fold in zip(predictions, tested, strict=True):
        rows = np.isfinite(predicted).all(axis=1)
        found.append(score(metric, task.target[rows], predicted[rows], fold[rows]))
    return float(np.mean(found))


def _notes(splits: Sequence[Split], dropped: int, buffer_m: float) -> list[str]:
    notes = []
    kept = float(np.mean([split.kept for split in splits]))
    if any(split.compact for split in splits):
        notes.append(
            "folds are strips of neighboring blocks: the extent is so small that buffers around "
            "scattered blocks would leave too few training places"
        )
    if kept < 0.5:
        notes.append(f"the buffer of {buffer_m:.0f} m leaves {kept:.0%} of the training places")
    if dropped:
        notes.append(f"{dropped} folds kept too few training places and were left out")
    return notes
