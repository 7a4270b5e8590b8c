"""Labels of some places predicted for all of them, wall to wall: by the best probe on vectors, or by fine-tuning.

Every place gets the prediction of a learner of all labels. Labeled places also get that of the fold that did not see the
block they lie in, which is what the score is of: their other prediction has seen their own label. The spread of the
learners of all folds says how much a prediction hangs on which blocks were labeled; it is no error bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings import Embeddings
from placevec.errors import EvaluationError
from placevec.evaluation.engine import BUDGETS, one_thread
from placevec.evaluation.fine_tuning import KINDS, RATE, fit, predictions
from placevec.evaluation.probes import CHANCE, PROBES, Probe, Training
from placevec.evaluation.scores import SECONDARY, better, score, shares
from placevec.evaluation.splits import Fold, Split, block_grid, spatial_split
from placevec.evaluation.tasks import OF_CLASSES, Task
from placevec.geo import Floats, Ints
from placevec.io.jobs import Job
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model
from placevec.options.choices import Effort

FINE_TUNED = "fine-tuned encoders"
MIN_LABELED = 40
_FOLDS = 5


@dataclass
class LabelMap:
    """Predictions for all places that have vectors.

    Attributes:
        task: the labels; its rows are those of the dataset.
        rows: (N,) places of the dataset that are predicted.
        names: what is predicted: classes, columns of shares, or the column of numbers.
        values: (N, K) of the learner of all labels.
        held_out: (N, K) of labeled places, by the fold that did not see their block; NaN elsewhere.
        truth: (N, K) labels as numbers; NaN elsewhere.
        spread: (N,) standard deviation over the learners of the folds, of several columns the mean of theirs.
        learner: the probe that was best, or `FINE_TUNED`.
        scores: measure -> value of the held-out predictions.
        chance: first measure of predicting the mean or the shares of the training.
        blocks_m: side of the blocks.
        notes: what else the reader should know.
    """

    task: Task
    rows: Ints
    names: tuple[str, ...]
    values: Floats
    held_out: Floats
    truth: Floats
    spread: Floats
    learner: str
    scores: dict[str, float]
    chance: float
    blocks_m: float
    notes: list[str] = field(default_factory=list)

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """(N,) places whose label was given."""
        return np.asarray(np.isfinite(self.truth).all(axis=1))

    @property
    def summary(self) -> str:
        """One line: what is predicted, from what, and with which score."""
        metric = next(iter(self.scores))
        more = ", ".join(f"{name} {value:.3g}" for name, value in list(self.scores.items())[1:])
        return (
            f"{self.task.name} for {len(self.rows):,} places, from {int(self.labeled.sum()):,} labels by "
            f"{self.learner}; "
            f"held-out blocks of {self.blocks_m:.0f} m: {metric} {self.scores[metric]:.3g} (chance {self.chance:.3g})"
            + (f", {more}" if more else "")
        )


def map_labels(
    emb: Embeddings,
    task: Task,
    rows: Ints,
    lonlat: Floats,
    *,
    buffer_m: float,
    budget: Effort = "full",
    tuned: tuple[Model, int] | None = None,
    dataset: object = None,
    seed: int = 0,
    job: Job | None = None,
    progress: Progress = SILENT,
) -> LabelMap:
    """Predict a task's labels for every place with a vector.

    Args:
        emb: the vectors, one per place.
        task: with rows of the dataset.
        rows: (N,) row of the dataset of each vector.
        lonlat: (N, 2) degrees of the same places.
        buffer_m: meters between training and tested places of the folds.
        budget: of the probes.
        tuned: a model to train further on the labels, and its most epochs; in place of probes on the vectors.
        dataset: that the model reads, with ``tuned``.
        seed: of folds and learners.
        job: where finished folds are kept.
        progress: where to report.

    Raises:
        EvaluationError: labels of one value, of a kind that has no map, or on too few places or blocks.
    """
    at = np.full(int(max(rows.max(), task.rows.max())) + 1, -1, np.int64)
    at[rows] = np.arange(len(rows))
    task = task.taken(at[task.rows] >= 0)
    if task.kind == "retrieval":
        raise EvaluationError("retrieval predicts nothing that a map could show: choose another --kind")
    if len(task) < MIN_LABELED:
        raise EvaluationError(
            f"task {task.name}: {len(task)} labeled places have a vector; {MIN_LABELED} are needed"
        )
    task.check_varied()
    labeled = at[task.rows]
    blocks = block_grid(lonlat[labeled], buffer_m=buffer_m)
    split = spatial_split(lonlat[labeled], blocks, buffer_m=buffer_m, folds=_FOLDS, seed=seed)
    folds = [*split.folds, Fold(np.arange(len(task)), np.zeros(0, np.int64))]
    learners: dict[str, Probe | None] = {FINE_TUNED: None} if tuned is not None else dict(PROBES)
    found: dict[str, list[Floats]] = {name: [] for name in learners}
    with progress.task(f"Predicting {task.name}", total=len(folds) * len(learners)) as advance:
        for fold in folds:
            for name, probe in learners.items():
                if probe is None:
                    assert tuned is not None
                    found[name].append(
                        _tuned(tuned, dataset, emb.view, task, fold, blocks.number, rows, seed, job)
                    )
                else:
                    found[name].append(_probed(emb, task, fold, blocks.number, labeled, probe, budget, seed))
                advance(1, note=name)
    scored = {name: _held_out(task, split, labeled, parts) for name, parts in found.items()}
    tested = split.tested_in(len(task)) >= 0
    sign = better(task.metric)
    best = max(
        learners, key=lambda name: sign * score(task.metric, task.target[tested], scored[name][tested])
    )
    chance = np.full((len(task), task.outputs), np.nan)
    for fold in split.folds:
        training = _training(task, np.zeros((len(task), 0)), fold.train, blocks.number, seed)
        first = next(iter(CHANCE[task.kind].values()))
        chance[fold.test] = first(training, np.zeros((len(fold.test), 0)), BUDGETS[budget].effort)
    values, held_out = found[best][-1], np.full((len(rows), task.outputs), np.nan)
    held_out[labeled] = scored[best]
    truth = np.full((len(rows), task.outputs), np.nan)
    truth[labeled] = task.columns()
    measures = (task.metric, *SECONDARY[task.kind])
    reached = score(task.metric, task.target[tested], scored[best][tested])
    by_chance = score(task.metric, task.target[tested], chance[tested])
    notes = [*task.notes]
    if not sign * reached > sign * by_chance:
        notes.append(
            "on held-out blocks, predicting the mean does as well: away from the labels, this map is no "
            "better than the mean"
        )
    spread = np.stack(found[best][:-1]).std(axis=0).mean(axis=1)
    return LabelMap(
        task, rows, _names(task), values, held_out, truth, spread, best,
        {name: score(name, task.target[tested], scored[best][tested]) for name in measures},
        by_chance, blocks.size_m, notes,
    )  # fmt: skip


def _names(task: Task) -> tuple[str, ...]:
    return task.classes if task.kind in (*OF_CLASSES, "multilabel", "distribution") else (task.name,)


def _training(task: Task, features: Floats, train: Ints, block: NDArray[np.int64], seed: int) -> Training:
    """The places at ``train`` for a probe; probabilities of classes are as common as they are."""
    return Training(
        task.kind, features[train], task.target[train], task.outputs, block[train], seed, balanced=False
    )


def _probed(
    emb: Embeddings, task: Task, fold: Fold, block: NDArray[np.int64], labeled: Ints, probe: Probe, budget: Effort,
    seed: int,
) -> Floats:  # fmt: skip
    """(N, K) predictions for all places by a probe that saw a fold's training places."""
    features = np.asarray(emb.vectors, np.float64)
    with one_thread():
        found = probe(
            _training(task, features[labeled], fold.train, block, seed), features, BUDGETS[budget].effort
        )
    return _within(task, found)


def _tuned(
    tuned: tuple[Model, int], dataset: object, view: str, task: Task, fold: Fold, block: NDArray[np.int64], rows: Ints,
    seed: int, job: Job | None,
) -> Floats:  # fmt: skip
    """The same with encoders that were fine-tuned on these places."""
    if task.kind not in KINDS:
        raise EvaluationError(f"{task.kind} has no loss to train with")
    name = f"fold-{len(fold.train)}-{int(fold.train.sum())}"
    kept = None if job is None else job.get_array(name)
    if kept is not None:
        return np.asarray(kept, np.float64)
    model, epochs = tuned
    fitted, _ = fit(
        model, dataset, view, task, fold.train, block[fold.train], epochs=epochs, rate=RATE, seed=seed  # type: ignore[arg-type]
    )  # fmt: skip
    found = _within(task, predictions(fitted, dataset, view, rows))  # type: ignore[arg-type]
    if job is not None:
        job.put_array(name, found)
    return found


def _within(task: Task, found: Floats) -> Floats:
    """Predictions in their valid range: shares that sum to 1, probabilities from 0 to 1."""
    if task.kind in ("distribution", *OF_CLASSES):
        return shares(found)
    return np.clip(found, 0.0, 1.0) if task.kind in ("multilabel", "presence") else found


def _held_out(task: Task, split: Split, labeled: Ints, parts: Sequence[Floats]) -> Floats:
    """(n, K) prediction for each labeled place by the fold that tests it."""
    found = np.full((len(task), task.outputs), np.nan)
    for fold, values in zip(split.folds, parts, strict=False):
        found[fold.test] = values[labeled[fold.test]]
    return found
