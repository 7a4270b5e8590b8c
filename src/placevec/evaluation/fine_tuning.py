"""Fine-tuning: the encoders of a model trained further, with a head, on the labels of a fold.

The head starts as the best linear probe on the frozen vectors, so that the first steps do not spoil the encoders (A.
Kumar et al., "Fine-tuning can distort pretrained features", ICLR 2022). A quarter of the training blocks chooses its
penalty and the number of epochs, from none on; then head and encoders are trained anew on all places of the fold, for
that many epochs. Any model of views takes part, as it is: nothing here knows which recipe made it.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from placevec.core import FUSED, ROW_MISSING, Draw, Look, Recipe, Slot, View
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.registry import known_rows, reader_of
from placevec.evaluation.probes import Training, as_if_equally_common
from placevec.evaluation.splits import INNER, Fold, inner_parts
from placevec.evaluation.tasks import Kind, Task, varied
from placevec.geo import Floats, Ints
from placevec.io.jobs import Job
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.training.loop import train
from placevec.training.objectives.labels import LabelLoss, Labels, label_loss
from placevec.training.options import TrainingOptions
from placevec.training.samplers.epochs import Epochs

FINE_TUNED, SCRATCH = "fine-tuned", "trained from scratch"
"""Rows: the model trained further, and the same architecture trained on these labels alone."""
RATE, SCRATCH_RATE = 3e-4, 1e-3
"""Learning rates, constant."""
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Of the weights of the head that starts, for a place and a feature of unit variance."""
_BATCH, _VALIDATED_AT_ONCE = 32, 128
_MIN_VALIDATION = 4
_LABELS: dict[Kind, Labels] = {
    "classification": "shares", "distribution": "shares", "presence": "flags", "multilabel": "flags",
    "regression": "number",
}  # fmt: skip
KINDS = tuple(_LABELS)
"""Kinds of tasks that have a loss; of retrieval there is nothing to train."""
NO_EPOCHS = "validation preferred the frozen encoder: only the head was trained"
ALL_EPOCHS = "the last epoch was the best: more epochs could be better"


@dataclass
class FineTuning:
    """A row of the evaluation that trains a model further in every fold.

    Attributes:
        model: whose encoders and fusion every fold starts from.
        dataset: whose views are read.
        view: whose vectors the head reads, or ``fused``.
        epochs: at most.
        job: where finished folds are kept; None keeps none.
        scratch: start from fresh weights instead.
        dim: length of the vectors under the head.
        probe: what the report names in the place of one.
    """

    model: Model
    dataset: Dataset
    view: str
    epochs: int
    job: Job | None = None
    scratch: bool = False
    dim: int = field(init=False)
    probe: str = field(init=False, default="head")

    def __post_init__(self) -> None:
        self.dim = self.model.dims[self.view]

    def learned(
        self, task: Task, fold: Fold, groups: NDArray[np.int64], seed: int
    ) -> tuple[NDArray[np.float64], list[str]]:
        """((m, outputs) scores of the tested places, notes), from the job where this fold was finished before."""
        name = self._name(task, fold, groups, seed)
        kept = None if self.job is None else self.job.get_json(name)
        if kept is not None:
            return np.asarray(kept["scores"], np.float64).reshape(len(fold.test), -1), kept["notes"]
        start = self.model.untrained(seed + 1) if self.scratch else self.model
        fitted, epochs = fit(
            start, self.dataset, self.view, task, fold.train, groups, epochs=self.epochs,
            rate=SCRATCH_RATE if self.scratch else RATE, seed=seed,
        )  # fmt: skip
        scores = predictions(fitted, self.dataset, self.view, task.rows[fold.test])
        if task.kind == "classification":
            about = Training(
                task.kind, np.zeros((len(fold.train), 0)), task.target[fold.train], task.outputs, groups, seed
            )
            scores = as_if_equally_common(scores, about)
        notes = [NO_EPOCHS] if epochs == 0 else [ALL_EPOCHS] if epochs == self.epochs else []
        if self.job is not None:
            self.job.put_json(name, {"scores": scores.tolist(), "notes": notes})
        return scores, notes

    def _name(self, task: Task, fold: Fold, groups: NDArray[np.int64], seed: int) -> str:
        """Name of the part of a job: everything that its scores depend on besides the inputs of the job."""
        digest = hashlib.sha256(f"{task.kind} {self.scratch} {seed} {self.epochs}".encode())
        for part in (task.rows[fold.train], task.rows[fold.test], task.columns()[fold.train], groups):
            digest.update(np.ascontiguousarray(part).tobytes())
        return f"fold-{digest.hexdigest()[:32]}"


def predictions(model: Model, dataset: Dataset, view: str, rows: Ints) -> Floats:
    """(n, K) of a fitted model's head for the places at ``rows``: shares, probabilities or numbers."""
    vectors = model.vectors(dataset, rows, view=view)
    with torch.inference_mode():
        found = model.heads[view].cpu().answers(torch.from_numpy(vectors))
    return found.double().numpy()


def fit(
    model: Model, dataset: Dataset, view: str, task: Task, train_on: Ints, groups: NDArray[np.int64], *, epochs: int,
    rate: float, seed: int,
) -> tuple[Model, int]:  # fmt: skip
    """(a copy of the model with a head on ``view``, trained on some places of a task; the epochs that were chosen).

    Args:
        model: to start from; it stays as it is.
        dataset: whose views are read.
        view: whose vectors the head reads, or ``fused``.
        task: of a kind in `KINDS`.
        train_on: (n,) places of the task.
        groups: (n,) what stays whole where settings are chosen.
        epochs: at most.
        rate: learning rate.
        seed: of the validation places, batches and dropout.
    """
    places = _Places.of(model, dataset, view, task, train_on)
    inner, outer = _validation(groups, task.target[train_on], seed)
    penalty, frozen = PENALTIES[len(PENALTIES) // 2], np.inf
    chosen = 0
    if len(outer):
        heads = [_probed(places, inner, one) for one in PENALTIES]
        losses = [_loss_of(places, head, outer) for head in heads]
        best = int(np.argmin(losses))
        penalty, frozen = PENALTIES[best], losses[best]
        if epochs:
            tried = _copy(model, view, heads[best])
            loss, chosen = _trained(tried, places, inner, outer, epochs, rate, seed)
            chosen = chosen if loss < frozen else 0
    fitted = _copy(model, view, _probed(places, np.arange(len(train_on)), penalty))
    if chosen:
        _trained(fitted, places, np.arange(len(train_on)), np.zeros(0, np.int64), chosen, rate, seed)
    return fitted, chosen


@dataclass
class _Places:
    """The training places of a fold: what their views hold and what their labels are.

    Attributes:
        rows: (n,) of the dataset.
        target: (n, K) float32, standardized where they are numbers.
        vectors: (n, dim) of the model as it came.
        views: opened as the model reads them.
        looks: view -> a look at all n places.
    """

    task: Task
    rows: Ints
    target: Tensor
    mean: float
    deviation: float
    vectors: Tensor
    views: dict[str, View]
    looks: dict[str, Look]
    view: str

    @classmethod
    def of(cls, model: Model, dataset: Dataset, view: str, task: Task, train_on: Ints) -> _Places:
        """The training places at ``train_on`` of a task."""
        rows = task.rows[train_on]
        columns = task.columns()[train_on]
        mean, deviation = 0.0, 1.0
        if task.kind == "regression":
            mean, deviation = float(columns.mean()), max(float(columns.std()), 1e-9)
        fused = () if model.fuse is None else model.fuse.views
        views = model.views_of(dataset, None if view == FUSED else [view])
        views = {name: one for name, one in views.items() if view != FUSED or name in fused}
        years = model._years(dataset, rows, views)
        return cls(
            task, rows, torch.from_numpy(((columns - mean) / deviation).astype(np.float32)), mean, deviation,
            torch.from_numpy(model.vectors(dataset, rows, view=view)), views,
            {name: _look(one, dataset, rows, years) for name, one in views.items()}, view,
        )  # fmt: skip

    @property
    def labels(self) -> Labels:
        return _LABELS[self.task.kind]

    def new_head(self) -> Head:
        """A head for these labels."""
        dim, task = self.vectors.shape[1], self.task
        if self.labels == "number":
            return Head(dim, "number", mean=self.mean, deviation=self.deviation)
        names = task.classes if task.kind != "presence" else ("present",)
        return Head(dim, "classes" if self.labels == "shares" else "presence", names, bias=True)

    def draw(self, chosen: Ints) -> Draw:
        """The places at ``chosen`` as a batch."""
        at = torch.from_numpy(chosen)
        looks = {
            name: Look(
                look.rows[at],
                None if look.lonlat is None else look.lonlat[at],
                {key: value[at] for key, value in look.warp.items()},
            )
            for name, look in self.looks.items()
        }
        return Draw(looks, {"label": self.target[at]})


def _look(view: View, dataset: Dataset, rows: Ints, years: Floats | None) -> Look:
    """All places at ``rows``, those that the view lacks as missing."""
    lonlat = dataset.lonlat[rows]
    known = known_rows(view, dataset.lonlat)[rows]
    numbers = torch.from_numpy(np.where(known, rows, ROW_MISSING))
    warp = {} if years is None else {"year": torch.from_numpy(years)}
    by_coordinates = reader_of(view.spec).by_coordinates
    return Look(numbers, torch.from_numpy(lonlat) if by_coordinates else None, warp)


class _Batches:
    """Draws of training places: a new order every epoch, pure in the step."""

    def __init__(self, places: _Places, chosen: Ints, seed: int) -> None:
        self.places, self.chosen = places, chosen
        self.epochs = Epochs(len(chosen), _BATCH, seed)

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The batch of a step."""
        return self.places.draw(self.chosen[self.epochs.at(step)])


class _Validated:
    """All validation places, in parts of about equal size."""

    def __init__(self, places: _Places, chosen: Ints) -> None:
        self.places = places
        self.parts: Sequence[Ints] = np.array_split(chosen, -(-len(chosen) // _VALIDATED_AT_ONCE) or 1)

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """A subset of these places."""
        return self.places.draw(self.parts[step % len(self.parts)])


def _validation(groups: NDArray[np.int64], target: NDArray[Any], seed: int) -> tuple[Ints, Ints]:
    """(places to learn from, to validate on) of n: a quarter, of whole groups where there are `INNER` of them.

    All and none where that would leave labels that are all the same, or too few.
    """
    parted = groups if len(np.unique(groups)) >= INNER else np.arange(len(groups))
    part = inner_parts(parted, np.random.default_rng([seed, 0xF17E]))
    inner, outer = np.flatnonzero(part != 0), np.flatnonzero(part == 0)
    if len(outer) < _MIN_VALIDATION or not varied(target[inner]):
        return np.arange(len(groups)), np.zeros(0, np.int64)
    return inner, outer


def _probed(places: _Places, chosen: Ints, penalty: float) -> Head:
    """A head fitted on frozen vectors: the minimum of the loss and ``penalty`` times the squared standardized weights."""
    vectors, target = places.vectors[chosen].double(), places.target[chosen].double()
    mean, deviation = vectors.mean(dim=0), vectors.std(dim=0, unbiased=False)
    constant = deviation < 1e-9
    scale = torch.where(constant, 1.0, deviation)
    features = torch.where(constant, 0.0, (vectors - mean) / scale)
    weight = torch.zeros(target.shape[1], features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(target.shape[1], dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        found = (
            label_loss(places.labels, features @ weight.T + bias, target).mean() + penalty * (weight**2).sum()
        )
        found.backward()  # type: ignore[no-untyped-call]
        return found

    with torch.enable_grad():
        solver.step(loss)  # type: ignore[arg-type, no-untyped-call]
    head = places.new_head()
    with torch.no_grad():
        folded = torch.where(constant, 0.0, weight / scale)
        head.linear.weight.copy_(folded)
        head.linear.bias.copy_(bias - folded @ mean)
    return head


@torch.no_grad()
def _loss_of(places: _Places, head: Head, chosen: Ints) -> float:
    """Mean loss of a head on frozen vectors."""
    return float(label_loss(places.labels, head(places.vectors[chosen]), places.target[chosen]).mean())


def _copy(model: Model, view: str, head: Head) -> Model:
    """A copy of a model whose only head is a copy of ``head``."""
    made = replace(
        model,
        modules=copy.deepcopy(model.modules),
        fuse=copy.deepcopy(model.fuse),
        heads={view: copy.deepcopy(head)},
    )
    made.__dict__.pop("hash", None)
    return made


def _trained(
    model: Model, places: _Places, inner: Ints, outer: Ints, epochs: int, rate: float, seed: int
) -> tuple[float, int]:
    """Train a model in place; (lowest loss on ``outer``, the epochs to it), of the training places without ``outer``."""
    slot = places.view
    objective = LabelLoss(model.heads[slot], places.labels, slot)
    sampler = _Batches(places, inner, seed)
    recipe = Recipe(
        {name: Slot(name, model.readings[name].encoder) for name in places.views},
        {
            model.readings[name].encoder: model.modules[model.readings[name].encoder]
            for name in places.views
        },
        {"label": (1.0, objective)},
        sampler,
        fuse=model.fuse if slot == FUSED else None,
        validation=_Validated(places, outer) if len(outer) else None,
    )  # fmt: skip
    options = TrainingOptions(
        epochs=epochs, steps_per_epoch=sampler.epochs.steps, validation_steps=-(-len(outer) // _VALIDATED_AT_ONCE),
        learning_rate=rate, schedule="constant", warmup=0.0, patience=max(2, epochs // 5) if len(outer) else 0,
        seed=seed, prefetch=0, workers=0,
    )  # fmt: skip
    found = train(recipe, places.views, None, options, config={}, save=lambda _: None)
    for module in (*model.modules.values(), *model.heads.values()):
        module.eval()
    return float(found.best_loss or 0.0), found.best_step // options.steps_per_epoch
