"""Which places a model is asked about: those of whole blocks that it was not trained on, and all that are other entities.

A place of another entity may still lie beside a training place and share its pixels; one in a held-out block does not.
Both are asked about, in pools of equal size, so that what nearness adds can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.place_types import entities_of
from placevec.datasets.splits import read_split
from placevec.errors import EvaluationError
from placevec.geo import Ints
from placevec.models.model import Model

MAX_ASKED = 2_000
"""Places of a pool, drawn at random."""
MIN_ASKED = 10
MAX_TRAINED = 5_000
"""Training places that baselines are fitted on."""


@dataclass(frozen=True)
class Held:
    """Rows of a dataset, each ascending.

    Attributes:
        blocks: asked about, in blocks (or a dataset) that the model was not trained on.
        entities: as many, of entities that it was not trained on, wherever they lie.
        train: that it was trained on; none where it was trained on another dataset.
        seen: the places asked about are training places: there are no others.
        notes: for people.
    """

    blocks: Ints
    entities: Ints
    train: Ints
    seen: bool
    notes: tuple[str, ...]


def held_of(model: Model, dataset: Dataset, usable: NDArray[np.bool_], view: str, *, seed: int = 0) -> Held:
    """The places of a dataset that may be asked about.

    Args:
        model: with its path, beside which the split of its training lies.
        dataset: the one that it was trained on, or another.
        usable: (N,) places with an image and a text.
        view: of texts.
        seed: of what is drawn.

    Raises:
        EvaluationError: fewer than `MIN_ASKED` places.
    """
    kept = read_split(model.path)
    split = None if kept is None else kept.split_of(dataset)
    notes, seen = [], False
    if split is not None:
        train = np.flatnonzero((split.code == 0) & usable)
        blocks = np.flatnonzero((split.code > 0) & usable)
        apart = np.flatnonzero((split.code != 0) & usable)
        names = np.array([one or "" for one in entities_of(dataset, view)], object)
        entities = apart[~np.isin(names[apart], names[train])]
        seen = len(blocks) < MIN_ASKED
        if seen:
            notes.append(
                "no places were held out: the evaluated places are training places, so no difference is claimed"
            )
            blocks = entities = train
    else:
        trained = str(model.training.get("dataset_hash") or "")
        if not trained or dataset.descends_from(trained):
            notes.append(
                "it is unknown whether the model was trained on these places, so no difference is claimed"
            )
            seen = True
        train = np.zeros(0, np.int64)
        blocks = entities = np.flatnonzero(usable)
    count = min(len(blocks), len(entities), MAX_ASKED)
    if count < MIN_ASKED:
        raise EvaluationError(
            f"{count} places have both an image and a text to evaluate; at least {MIN_ASKED} are needed"
        )
    for name, rows in (("in held-out blocks", blocks), ("of other entities", entities)):
        if len(rows) > count and not seen:
            notes.append(
                f"{count:,} of {len(rows):,} places {name}, drawn at random so that pools are of equal size"
            )
    return Held(
        _some(blocks, count, seed), _some(entities, count, seed + 1), _some(train, MAX_TRAINED, seed), seen, tuple(notes)
    )  # fmt: skip


def _some(rows: Ints, count: int, seed: int) -> Ints:
    if len(rows) <= count:
        return rows
    return np.sort(np.random.default_rng([seed, 0x4E1D]).choice(rows, count, replace=False))
