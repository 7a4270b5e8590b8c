"""The trained probe: encoder and head learned end to end, by the loop that trains every recipe."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from placevec import encoders
from placevec.core import Draw, Look, Objective, Recipe, Slot
from placevec.datasets.views.coordinates import NAME, CoordinatesView
from placevec.evaluation import ridge
from placevec.evaluation.location_encoders.candidates import UNTRAINED_MEANS_NOTHING, Candidate
from placevec.evaluation.splits import Split
from placevec.evaluation.tasks import Task
from placevec.geo import Floats, Ints
from placevec.models.heads import Head
from placevec.training.loop import train
from placevec.training.objectives.supervised import ClassLoss, NumberLoss
from placevec.training.options import TrainingOptions
from placevec.training.samplers.epochs import Epochs

DIM, HIDDEN, BATCH, STEPS, EPOCHS, RATE = 128, 256, 128, 300, 10, 2e-3
"""Length of the vectors, hidden units, points of a batch, steps, validations among them, peak of the learning rate."""


class _Rows:
    """Draws of labeled rows: a new order every epoch, pure in the step."""

    def __init__(self, rows: Ints, label: Tensor, batch: int, seed: int) -> None:
        self.rows, self.label = torch.from_numpy(rows), label
        self.epochs = Epochs(len(rows), batch, seed)

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The batch of a step."""
        rows = self.rows[torch.from_numpy(self.epochs.at(step))]
        return Draw({"point": Look(rows)}, {"label": self.label[rows]})


class _Whole:
    """All validation rows, every time."""

    def __init__(self, rows: Ints, label: Tensor) -> None:
        self.rows, self.label = torch.from_numpy(rows), label

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The same batch for every step."""
        return Draw({"point": Look(self.rows)}, {"label": self.label[self.rows]})


def predicted(candidate: Candidate, task: Task, folds: Split, seed: int) -> tuple[Floats, list[ridge.Choice]]:
    """((N, K) predictions, NaN where a row was not tested; the setting of each fold) of an encoder trained on every fold.

    The setting is the one that the ridge chooses inside the fold; what has no untrained features takes its first.
    """
    label = torch.from_numpy(np.array(task.target, np.float64 if task.kind == "regression" else np.int64))
    counted = task.points[task.counted]
    settings = candidate.settings(task.side_m)
    features = (
        []
        if candidate.encoder in UNTRAINED_MEANS_NOTHING or len(settings) == 1
        else [candidate.features(task.points, one, counted) for one in settings]
    )
    found = np.full((len(task), task.outputs), np.nan)
    choices = []
    for number, (fold, parts) in enumerate(zip(folds.folds, folds.inner, strict=True)):
        choice = (
            ridge.chosen(features, task.columns(), fold.train, parts, task.kind)
            if features
            else ridge.Choice(0, 0.0)
        )
        options = candidate.options(settings[choice.setting], counted)
        predict = fitted(candidate, options, task, label, fold.train, parts, seed=1000 * seed + number)
        found[fold.test] = predict(task.points[fold.test])
        choices.append(choice)
    return found, choices


def fitted(
    candidate: Candidate,
    options: Mapping[str, Any],
    task: Task,
    label: Tensor,
    rows: Ints,
    parts: Ints,
    seed: int,
) -> Callable[[Floats], Floats]:
    """Train on some rows; the best of `EPOCHS` epochs by the loss on one inner part predicts (m, K) at (m, 2) points."""
    torch.manual_seed(seed)
    encoder = encoders.location(candidate.encoder, DIM, variant=candidate.variant, hidden=HIDDEN, **options)
    head, objective = _head(task, rows)
    kept, held = _validation(parts, seed)
    batch = min(BATCH, len(rows[kept]))
    recipe = Recipe(
        {"point": Slot(NAME, "location")},
        {"location": encoder},
        {"label": (1.0, objective)},
        _Rows(rows[kept], label, batch, seed),
        validation=_Whole(rows[held], label),
    )
    best: dict[str, dict[str, Tensor]] = {}

    def keep(_: Path) -> None:
        for name, module in (("encoder", encoder), ("head", head)):
            best[name] = {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}

    options_of_loop = TrainingOptions(
        epochs=EPOCHS, steps_per_epoch=STEPS // EPOCHS, validation_steps=1, learning_rate=RATE, seed=seed,
        prefetch=0, workers=0, precision="fp32",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="placevec-benchmark-") as folder:
        train(
            recipe,
            {NAME: CoordinatesView(task.points)},
            Path(folder),
            options_of_loop,
            config={},
            save=keep,
        )
    encoder.load_state_dict(best["encoder"])
    head.load_state_dict(best["head"])
    encoder.eval()

    def predict(lonlat: Floats) -> Floats:
        with torch.no_grad():
            found = head.answers(encoder(lonlat)).double().cpu().numpy()
        return np.asarray(found[:, 1:] if task.kind == "presence" else found)

    return predict


def _head(task: Task, rows: Ints) -> tuple[Head, Objective]:
    if task.kind == "regression":
        values = task.target[rows]
        head = Head(DIM, "number", mean=float(values.mean()), deviation=max(float(values.std()), 1e-9))
        return head, NumberLoss(head)
    names = tuple(f"{number}" for number in range(len(task.classes)))
    head = Head(DIM, "classes", names)
    return head, ClassLoss(head)


def _validation(parts: Ints, seed: int) -> tuple[Ints, Ints]:
    """(places of rows kept, of rows validated on): one inner part, whole blocks where the folds are blocks."""
    held = parts == np.random.default_rng([seed, 0x7A1]).permutation(np.unique(parts))[0]
    return np.flatnonzero(~held), np.flatnonzero(held)
