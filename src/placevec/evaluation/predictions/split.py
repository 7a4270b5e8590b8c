"""Which places of a dataset a model is tested on, and which its baselines may be trained on.

The run says it (`placevec.datasets.splits`): nothing here knows how a recipe divides places.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import SPLITS, Labeled
from placevec.datasets.splits import Split, read_split
from placevec.errors import EvaluationError
from placevec.geo import Floats, Ints
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.sources.tables.dates import known_rows

UNKNOWN_SPLIT = "the model keeps no split.parquet, so which of these places it was trained on is unknown"


@dataclass
class HeldOut:
    """Rows of a dataset by what they serve.

    Attributes:
        name: of the tested places: ``test``, ``validation``, ``held-out blocks``, or ``all`` of another dataset.
        test: rows that are tested.
        train: rows that the model was trained on, or that baselines may be trained on.
        validation: rows to choose options of a baseline on; none where there is no third part.
        labels: (N,) labels: classes as the head numbers them, those that it does not know from its number of classes on.
        unseen: tested rows whose class the head does not know.
        unplaced: labeled rows of that part that have no coordinates: photos, which an image may classify.
        years: (N,) or (N, K) what the model reads of the time.
        notes: what the reader should know.
    """

    name: str
    test: Ints
    train: Ints
    validation: Ints
    labels: NDArray[Any]
    unseen: int = 0
    unplaced: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    years: Floats | None = None
    notes: list[str] = field(default_factory=list)


def held_out(model: Model, dataset: Dataset, labels: Labeled) -> HeldOut:
    """The split that the model's training had, or that of another dataset.

    A model that does not keep its split may have seen any place, and a note says so.

    Raises:
        EvaluationError: all places were trained on, or none can be tested.
        ModelError: its split is damaged.
    """
    assert model.head is not None
    years = _years(model, dataset, labels)
    rows = _usable(dataset, labels, years)
    kept = read_split(model.path)
    split = None if kept is None else kept.split_of(dataset)
    notes = [UNKNOWN_SPLIT] if kept is None else []
    if split is not None and labels.split is not None and ((labels.split == 2) & (split.code == 0)).any():
        notes.append(
            "the model was trained on test places of this dataset, so the split of its run is used instead"
        )
    train, validation, test = _divided(rows, labels, split)
    if len(test):
        name, tested = "test", test
    elif len(validation):
        by_blocks = split is not None and split.by == "blocks"
        name, tested, validation = ("held-out blocks" if by_blocks else "validation"), validation, rows[:0]
        if split is not None:
            notes.append("these places selected the best epoch, so the results are slightly optimistic")
    elif split is None:
        name, tested, validation, train = "all", rows, rows[:0], rows[:0]
        notes.append("the dataset has no split: all its places are tested, and no baseline can be trained")
    else:
        raise EvaluationError(
            "the model was trained on all of these places, so none are left to test it on: prepare with a split, or "
            "give another dataset with --dataset"
        )
    values = _numbered(labels, model.head)
    unseen = 0
    if labels.kind == "classes":
        unseen = int((values[tested] >= model.head.outputs).sum())
        train, validation = (part[values[part] < model.head.outputs] for part in (train, validation))
        if unseen == len(tested):
            raise EvaluationError("the model was not trained on any of the tested classes")
    unplaced = rows[:0]
    if labels.split is not None and name in SPLITS:
        placeless = ~np.isfinite(dataset.lonlat).all(axis=1)
        unplaced = np.flatnonzero(placeless & labels.known & (labels.split == SPLITS.index(name)))
    return HeldOut(name, tested, train, validation, values, unseen, unplaced, years, notes)


def _divided(rows: Ints, labels: Labeled, split: Split | None) -> tuple[Ints, Ints, Ints]:
    """(training, validation, test) rows among ``rows``: the run's, else the dataset's own."""
    code = labels.split if split is None else split.code
    if code is None:
        return rows[:0], rows[:0], rows[:0]
    train, validation, test = (rows[code[rows] == number] for number in range(len(SPLITS)))
    return train, validation, test


def _years(model: Model, dataset: Dataset, labels: Labeled) -> Floats | None:
    """(N,) or (N, K) what the model reads of the time of each place; None if nothing."""
    if not model.times:
        return None
    found = labels.moments(model.times)
    if found is None:
        raise EvaluationError(
            f"the model reads the time, but {dataset.path} has no dates: prepare it with --date"
        )
    return found


def _usable(dataset: Dataset, labels: Labeled, years: Floats | None) -> Ints:
    """Rows that have coordinates, a label and what the model reads besides."""
    kept = np.isfinite(dataset.lonlat).all(axis=1) & labels.known
    if years is not None:
        kept &= known_rows(years)
    if not kept.any():
        raise EvaluationError(f"no place of {dataset.path} has coordinates and a label to test")
    return np.flatnonzero(kept)


def _numbered(labels: Labeled, head: Head) -> NDArray[Any]:
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
