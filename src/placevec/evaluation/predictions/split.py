"""Which places of a dataset a model is judged on, and which its floors may be taught on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import SPLITS, Labelled
from placevec.errors import EvaluationError, InputError
from placevec.geo import Floats, Ints
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.recipes.sphere2vec.config import Sphere2VecConfig
from placevec.recipes.sphere2vec.points import sides, usable

_KEPT = ("seasons", "few_shot", "validation_share", "block_m")


@dataclass
class Sides:
    """Rows of a dataset by what they are for.

    Attributes:
        name: what is judged on: ``test``, ``validation``, ``held-out blocks``, or ``all`` of another dataset.
        judged: rows that are judged on.
        taught: rows that the model was taught on, or that may teach floors.
        choosing: rows to choose a floor's options on; none where there is no third side.
        labels: (N,) labels: classes as the head numbers them, those that it does not know from its number of classes on.
        unseen: judged rows whose class the head does not know.
        unplaced: labelled rows of that side that have no coordinates: photos, which an image may tell.
        years: (N,) share of the year, where the model reads it.
        notes: what the reader should know.
    """

    name: str
    judged: Ints
    taught: Ints
    choosing: Ints
    labels: NDArray[Any]
    unseen: int = 0
    unplaced: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    years: Floats | None = None
    notes: list[str] = field(default_factory=list)


def sides_of(model: Model, dataset: Dataset, labels: Labelled) -> Sides:
    """The sides that the model's training had, or those of another dataset.

    Raises:
        EvaluationError: no place was kept from it.
    """
    assert model.head is not None
    config = _config(model)
    rows, _ = usable(dataset, labels, config)
    own = model.training.get("dataset_hash") == dataset.hash
    test = rows[:0] if labels.split is None else rows[labels.split[rows] == 2]
    held_out = model.training.get("held_out")
    seed = held_out.get("seed", 0) if isinstance(held_out, dict) else 0
    seed = seed if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else 0
    notes: list[str] = []
    if own:
        taught, validation, how, _ = sides(dataset.lonlat, labels, rows, config, seed)
        # without anything held out, validation repeats training places
        validation = validation if how else rows[:0]
        by_blocks = "size_m" in how
    else:
        taught = rows if labels.split is None else rows[labels.split[rows] == 0]
        validation = rows[:0] if labels.split is None else rows[labels.split[rows] == 1]
        by_blocks = False
    if len(test):
        name, judged, choosing = "test", test, validation
    elif len(validation):
        name, judged, choosing = ("held-out blocks" if by_blocks else "validation"), validation, rows[:0]
        notes.append("these places chose the weights that were kept, so they flatter the model a little")
    elif not own:
        name, judged, choosing, taught = "all", rows, rows[:0], rows[:0]
        notes.append("the dataset has no split: all its places are judged on, and no floor can be taught")
    else:
        raise EvaluationError(
            "no place was kept from training, so nothing can be judged: prepare with a split, or name another "
            "dataset with --dataset"
        )
    values = _numbered(labels, model.head)
    unseen = 0
    if labels.kind == "classes":
        unseen = int((values[judged] >= model.head.outputs).sum())
        taught, choosing = (part[values[part] < model.head.outputs] for part in (taught, choosing))
        if unseen == len(judged):
            raise EvaluationError("the model knows none of the classes that are judged on")
    unplaced = rows[:0]
    if labels.split is not None and name in SPLITS:
        placeless = ~np.isfinite(dataset.lonlat).all(axis=1)
        unplaced = np.flatnonzero(placeless & labels.known & (labels.split == SPLITS.index(name)))
    years = labels.dates if config.seasons else None
    return Sides(name, judged, taught, choosing, values, unseen, unplaced, years, notes)


def _config(model: Model) -> Sphere2VecConfig:
    """What decided the sides in training; the recipe of a model comes from a file."""
    held = model.recipe.get("config", {})
    given = {name: held[name] for name in _KEPT if name in held and held[name] is not None}
    try:
        return Sphere2VecConfig(**given)
    except (TypeError, InputError) as error:
        raise EvaluationError(f"the model's configuration is damaged: {error}") from error


def _numbered(labels: Labelled, head: Head) -> NDArray[Any]:
    """(N,) labels as the head numbers classes; those that it does not know follow its own."""
    if labels.kind == "number":
        return labels.values
    if labels.classes == head.classes:
        return labels.values.astype(np.int64)
    own = {name: number for number, name in enumerate(head.classes)}
    unknown = iter(range(len(own), len(own) + len(labels.classes)))
    table = np.array(
        [own[name] if name in own else next(unknown) for name in labels.classes] or [0], np.int64
    )
    return np.where(labels.values >= 0, table[np.maximum(labels.values, 0)], -1)
