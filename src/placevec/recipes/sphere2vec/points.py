"""Which points the recipe Sphere2Vec learns from, which it is validated on, and where background points lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import Labelled
from placevec.errors import DatasetError, InputError
from placevec.geo import Floats, Ints, hold_out_blocks, to_ecef
from placevec.recipes.sphere2vec.config import Sphere2VecConfig
from placevec.training.samplers.background import Background, Land, Octant, Sphere, TargetGroup
from placevec.training.samplers.labeled import few_shot

_FEWEST = 8
"""Places that a validation is worth reading on."""


def usable(dataset: Dataset, labels: Labelled, config: Sphere2VecConfig) -> tuple[Ints, list[str]]:
    """(R,) rows that have coordinates, a label and what else is learnt from, and notes about those that have not.

    Raises:
        DatasetError: none has.
    """
    located = np.isfinite(dataset.lonlat).all(axis=1)
    kept, notes = located & labels.known, []
    lacking = [(int((~located).sum()), "coordinates"), (int((located & ~labels.known).sum()), "a label")]
    if config.seasons:
        if labels.dates is None:
            raise InputError(
                "there are no dates to learn seasons from: prepare with --date, or without seasons"
            )
        dated = np.isfinite(labels.dates)
        lacking.append((int((kept & ~dated).sum()), "a date"))
        kept &= dated
    for count, what in lacking:
        if count:
            notes.append(f"{count:,} places without {what} are left out")
    if not kept.any():
        raise DatasetError(f"no place of {dataset.path} has coordinates and a label to learn from")
    return np.flatnonzero(kept), notes


def sides(
    lonlat: Floats, labels: Labelled, rows: Ints, config: Sphere2VecConfig, seed: int
) -> tuple[Ints, Ints, dict[str, Any], list[str]]:
    """(training rows, validation rows, how they were held out, notes); no test row is in either.

    The dataset's own split decides where it has one; else, or where it names no validation, whole blocks of ground are
    held out of the training places.
    """
    train = rows if labels.split is None else rows[labels.split[rows] == 0]
    if len(train) == 0:
        raise DatasetError("the split of this dataset leaves no place to train on")
    held = np.empty(0, np.int64) if labels.split is None else rows[labels.split[rows] == 1]
    how: dict[str, Any] = {"by": "the dataset's split", "seed": seed}
    notes: list[str] = []
    if len(held) == 0 and config.validation_share > 0:
        train, held, how = _blocks(lonlat, train, config, seed)
        if not how:
            notes.append("the extent is too small to hold blocks out: validation repeats training places")
    if config.few_shot < 1:
        train = few_shot(train, labels.values, config.few_shot, seed, classes=labels.kind == "classes")
    if config.validation_share == 0 and len(held) == 0:
        how = {}
    return train, held, how, notes


def _blocks(
    lonlat: Floats, train: Ints, config: Sphere2VecConfig, seed: int
) -> tuple[Ints, Ints, dict[str, Any]]:
    points = lonlat[train]
    size = config.block_m
    if size is None:
        xyz = to_ecef(points[:, 0], points[:, 1])
        extent = float(np.linalg.norm(xyz.max(axis=0) - xyz.min(axis=0)))
        size = float(np.clip(extent / 20.0, 1.0, 500_000.0))
    how: dict[str, Any] = {"size_m": size, "share": config.validation_share, "buffer_m": 0.0, "seed": seed}
    kept, held = hold_out_blocks(points, **how)
    if len(kept) < 0.5 * len(train) or len(held) < min(_FEWEST, len(train)):
        return train, train, {}
    return train[kept], train[held], how


def background_of(config: Sphere2VecConfig, points: Floats, seed: int) -> Background:
    """Where background points lie; ``points`` are those trained on."""
    name = config.background or "sphere"
    if name == "land":
        from placevec.sources.land import land_outlines

        return Land(land_outlines(config.land), seed=seed)
    if name == "target-group":
        return TargetGroup(points)
    return Octant() if name == "octant" else Sphere()
