"""Points that the recipe Sphere2Vec uses for training and validation, and where background points are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import Labeled
from placevec.datasets.splits import Split
from placevec.errors import DatasetError, InputError
from placevec.geo import Floats, Ints, hold_out_blocks, spatial_blocks
from placevec.geo.blocks import block_side_m
from placevec.recipes.sphere2vec.config import Sphere2VecConfig
from placevec.sources.tables.dates import known_rows
from placevec.training.samplers.background import Background, Land, Octant, Sphere, TargetGroup
from placevec.training.samplers.labeled import few_shot

OF_TIMES = {"season": "--seasons", "month": "--months", "hour": "--hours", "time": "--trend"}
"""What is read of the time -> its option."""
NEEDED = (
    "--hours needs times such as 2018-06-03T14:00, --trend dates with a year, --seasons and --months a day or a month; "
    "datasets of earlier versions keep the season only: prepare it again"
)
_MIN_PLACES = 8
"""Minimum places of a validation set."""


def usable(
    dataset: Dataset, labels: Labeled, config: Sphere2VecConfig
) -> tuple[Ints, dict[str, Ints], list[str]]:
    """(R,) rows with coordinates, a label and everything else needed; what the others lack, and notes about them.

    Raises:
        DatasetError: no row has all of these.
    """
    located = np.isfinite(dataset.lonlat).all(axis=1)
    kept = located & labels.known
    lacking = {"coordinates": ~located, "label": located & ~labels.known}
    if config.times:
        found = labels.moments(config.times)
        flags = " and ".join(OF_TIMES[name] for name in config.times)
        if found is None:
            raise InputError(
                f"there are no dates in the dataset: prepare it with --date, or train without {flags}"
            )
        dated = known_rows(found)
        if not dated.any():
            raise InputError(f"no place has what {flags} needs: {NEEDED}")
        lacking["date"] = kept & ~dated
        kept &= dated
    notes = []
    for what, rows in lacking.items():
        if count := int(rows.sum()):
            said = what if what == "coordinates" else f"a {what}"
            if what == "date" and "hour" in config.times:
                said = "a date with a time of day"
            notes.append(f"{count:,} places without {said} are left out")
    if not kept.any():
        raise DatasetError(f"no place of {dataset.path} has both coordinates and a label")
    return np.flatnonzero(kept), {what: np.flatnonzero(rows) for what, rows in lacking.items()}, notes


def divided(
    lonlat: Floats,
    labels: Labeled,
    rows: Ints,
    config: Sphere2VecConfig,
    seed: int,
    *,
    lacking: Mapping[str, Ints],
) -> tuple[Split, Ints, list[str]]:
    """(the split, validation rows, notes); no test row is used for training or validation.

    The dataset's own split is used if it has one. If it has none, or no validation set, whole spatial blocks of the
    training places are held out. If the extent is too small for that, validation uses training places.

    Args:
        lonlat: (N, 2) lon, lat of all places.
        labels: their labels.
        rows: usable rows.
        config: configuration of the recipe.
        seed: seed of the training.
        lacking: reason -> unusable rows.
    """
    train = rows if labels.split is None else rows[labels.split[rows] == 0]
    if len(train) == 0:
        raise DatasetError("the split of this dataset has no training places")
    held = np.empty(0, np.int64) if labels.split is None else rows[labels.split[rows] == 1]
    more: dict[str, Any] = {"by": "dataset"} if len(held) else {"by": "nothing"}
    kept_out, buffer, notes = held, held[:0], []
    if len(held) == 0 and config.validation_share > 0:
        blocks = _blocks(lonlat, train, config, seed)
        if blocks is None:
            held = train
            notes.append("the extent is too small to hold out blocks: validation uses training places")
        else:
            kept, held, options = blocks
            buffer = np.setdiff1d(train, np.union1d(kept, held))
            train, kept_out = kept, held
            more = {"by": "blocks", "options": options, "block": _numbers(lonlat, options["size_m"])}
    drawn = train
    if config.few_shot < 1:
        drawn = few_shot(train, labels.values, config.few_shot, seed, classes=labels.kind == "classes")
    split = Split.of(
        len(lonlat), train=drawn, validation=kept_out, test=labels.rows("test"),
        excluded={**lacking, "sample": train, "buffer": buffer}, **more,
    )  # fmt: skip
    return split, held, notes


def _blocks(
    lonlat: Floats, train: Ints, config: Sphere2VecConfig, seed: int
) -> tuple[Ints, Ints, dict[str, Any]] | None:
    """(rows kept, rows held out, how); None if the extent is too small."""
    points = lonlat[train]
    size = config.block_m
    if size is None:
        size = block_side_m(points)
    how: dict[str, Any] = {"size_m": size, "share": config.validation_share, "buffer_m": 0.0, "seed": seed}
    kept, held = hold_out_blocks(points, **how)
    if len(kept) < 0.5 * len(train) or len(held) < min(_MIN_PLACES, len(train)):
        return None
    return train[kept], train[held], how


def _numbers(lonlat: Floats, size_m: float) -> Ints:
    """(N,) block of each place, -1 without coordinates."""
    located = np.isfinite(lonlat).all(axis=1)
    numbers = np.full(len(lonlat), -1, np.int64)
    numbers[located] = spatial_blocks(lonlat[located, 0], lonlat[located, 1], size_m)
    return numbers


def background_of(config: Sphere2VecConfig, points: Floats, seed: int) -> Background:
    """The sampler of background points; ``points`` are the training points."""
    name = config.background or "sphere"
    if name == "land":
        from placevec.sources.land import land_outlines

        return Land(land_outlines(config.land), seed=seed)
    if name == "target-group":
        return TargetGroup(points)
    return Octant() if name == "octant" else Sphere()
