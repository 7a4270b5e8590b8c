"""Loc2Vec: learns from the map layers around a place, by contrasting near places with far ones.

V. Spruyt, "Loc2Vec: Learning location embeddings with triplet-loss networks", Sentiance, 2018; the 12-layer pipeline of
founding document 004 and the RGB pipeline of 001. Vectors of near places, rotated, shifted and with layers dropped,
must be closer to each other than vectors of far places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from placevec import encoders
from placevec.core import Encoded, Objective, Recipe, Slot, View, ViewSpec
from placevec.datasets.additions import PLACES_PART, made
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.splits import Split
from placevec.errors import DatasetError, InputError
from placevec.geo import Floats, Ints, footprint_bounds, to_ecef
from placevec.geo.geotiff import RGB
from placevec.metrics import effective_rank, principal_share, triplet_accuracy
from placevec.recipes.built import Built
from placevec.recipes.loc2vec.config import Loc2VecConfig
from placevec.recipes.loc2vec.pairs import all_trained, buffer_m, fewer, in_meters, sampler_of, split
from placevec.recipes.loc2vec.targets import (
    Contents,
    PlacesOf,
    landuse_contents,
    layer_contents,
    tag_contents,
)
from placevec.training import TrainingOptions
from placevec.training.objectives.contrastive import InfoNCE
from placevec.training.objectives.mining import InBatchNegatives
from placevec.training.objectives.prediction import PredictDistribution, PredictShares
from placevec.training.objectives.triplet import SoftPN, TripletLoss
from placevec.training.samplers.anchors import AnchorSampler

if TYPE_CHECKING:
    from placevec.datasets.views.raster.joined import JoinedView
    from placevec.datasets.views.raster.raster import RasterView

VIEW = "map"
"""The view that is read: map layers or colors around a place."""
_LESSON_WEIGHTS = {"layers": 0.25, "landuse": 1.5, "tags": 0.5}
"""Weight relative to losses that are all 1 for an uninformed model; see docs/decisions/0004."""


def _window(dataset: Dataset | JoinedDataset, **window: Any) -> RasterView | JoinedView:
    """The map of one dataset, or of several, with a given window and channels."""
    return cast("RasterView | JoinedView", dataset.view(VIEW)).window(**window)


def kept_channels(spec: ViewSpec, drop: tuple[str, ...]) -> tuple[str, ...]:
    """The layers that are read; InputError for an unknown layer, or if none is left.

    >>> kept_channels(ViewSpec("map", "raster", ("roads", "water", "landcover")), ("landcover",))
    ('roads', 'water')
    """
    unknown = [layer for layer in drop if layer not in spec.channels]
    if unknown:
        raise InputError(
            f"unknown layer {unknown[0]!r} in drop_layers: the map has {', '.join(spec.channels)}"
        )
    kept = tuple(layer for layer in spec.channels if layer not in drop)
    if not kept:
        raise InputError("drop_layers drops every layer: keep at least one to train on")
    return kept


def _objective(config: Loc2VecConfig) -> Objective:
    if config.objective == "infonce":
        return InfoNCE(temperature=config.temperature, exclusion_m=config.far_m)
    swap = config.objective == "triplet-swap"
    reduction = config.reduction or ("active" if swap else "mean")
    objective: Objective = (
        SoftPN()
        if config.objective == "softpn"
        else TripletLoss(margin=config.margin, swap=swap, reduction=reduction)  # type: ignore[arg-type]
    )
    if config.negatives == "random":
        return objective
    return InBatchNegatives(objective, rule=config.negatives, exclusion_m=config.far_m)  # type: ignore[arg-type]


def _encoder(config: Loc2VecConfig, channels: int) -> Any:
    options: dict[str, Any] = {"channels": channels, "dim": config.dim}
    if config.encoder == "founding-tile-cnn":
        options.update(size_px=config.size_px, dropout=config.dropout)
    elif config.encoder == "founding-rgb-cnn":
        options.update(size_px=config.size_px)
    elif config.encoder == "shape-tile-cnn":
        # margins of triplets are measured between vectors of length 1
        options.update(
            width=config.width, presence=config.encoder_presence,
            unit_norm=config.contrast_weight > 0 and "triplet" in config.objective,
        )  # fmt: skip
    else:
        # SoftPN stays high for unit vectors: distances must be free to grow. Predictions do not need unit vectors.
        unit_norm = config.objective != "softpn" and config.contrast_weight > 0
        options.update(width=config.width, unit_norm=unit_norm)
    return encoders.build(config.encoder, **options)


def measure(slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars of a batch: triplet accuracy against a shuffled far place, and signs of collapse."""
    anchor = slots["anchor"].z
    numbers = {"effective_rank": effective_rank(anchor)}
    if len(anchor) >= 8:  # fewer vectors always span few directions
        numbers["two_direction_share"] = principal_share(anchor, 2)
    if "positive" not in slots:
        return numbers
    positive = slots["positive"].z
    negative = slots["negative"].z if "negative" in slots else anchor.roll(len(anchor) // 2, 0)
    return {"triplet_accuracy": triplet_accuracy(anchor, positive, negative), **numbers}


def build(
    dataset: Dataset | JoinedDataset,
    config: Loc2VecConfig,
    training: Mapping[str, Any],
    validation: Dataset | JoinedDataset | None = None,
) -> Built:
    """Slots, encoder, objective and samplers for a dataset's map.

    A tenth of the places is held out in whole blocks, with a buffer so wide that training and validation windows share
    no pixel. If the extent is too small for blocks, nothing is held out, and a note says so. With a separate
    ``validation`` dataset, all places are used for training.
    """
    config = in_meters(dataset, config)
    channels = kept_channels(dataset.spec(VIEW), config.drop_layers)
    window: dict[str, Any] = {"size_px": config.size_px, "size_m": config.size_m, "channels": channels}
    view = _window(dataset, **window)
    located = dataset.require_coordinates(np.arange(len(dataset)), "loc2vec")
    seed = int(training.get("seed", 0))
    rows = fewer(dataset, located, config.max_places, seed)
    validated = dataset if validation is None else validation
    notes: list[str] = []
    if validation is None:
        divided = split(dataset, config, located, rows, seed)
        train_rows = divided.rows("train")
        held_rows = divided.rows("validation") if divided.held_out else train_rows
        if not divided.held_out and config.validation_share > 0:
            notes.append("the extent is too small to hold out blocks: validation uses training places")
    else:
        divided = all_trained(dataset, located, rows, by="other dataset")
        train_rows, held_rows = rows, validation.require_coordinates(np.arange(len(validation)), "loc2vec")
        notes += _overlap(dataset, validation, config, rows, held_rows)
    contents: dict[str, Contents] = {name: _contents(name, dataset, config) for name in config.predict}
    held_out_lonlat = validated.lonlat[held_rows] if divided.held_out else None
    sampler = sampler_of(
        dataset, config, train_rows, seed=seed, drop_channels=config.drop_channels, flip=config.flip,
        targets=_shares(contents), keep_off=held_out_lonlat,
    )  # fmt: skip
    there = (
        contents if validation is None else {name: _contents(name, validated, config) for name in contents}
    )
    try:
        validates = sampler_of(
            validated, config, held_rows, seed=seed + 1, drop_channels=0.0, targets=_shares(there)
        )
    except InputError as error:
        if validation is None:
            raise
        raise InputError(f"cannot sample from the validation dataset {validation.name}: {error}") from error
    recipe = Recipe(
        slots={role: Slot(VIEW, "tile") for role in sampler.draw(0).looks},
        encoders={"tile": _encoder(config, len(channels))},
        objectives=_objectives(config, contents, train_rows),
        sampler=sampler,
        validation=validates,
        measure=measure,
    )
    options = TrainingOptions(**{"steps_per_epoch": _steps(config, sampler), **training})
    there_views: dict[str, View] | None = None
    there_split: Split | None = None
    if validation is not None:
        there_views = {VIEW: _window(validation, **window)}
        there_split = Split.of(len(validation), train=rows[:0], validation=held_rows, by="other dataset")
    return Built(
        recipe, config, {VIEW: view}, {VIEW: view.spec}, options, divided, there_views, there_split, notes
    )  # fmt: skip


def suited(dataset: Dataset) -> dict[str, Any]:
    """Training options that suit a dataset: the original RGB network for colors, and windows no larger than patches."""
    if dataset.base_map_spec.channels != RGB:
        return {}
    laid_out = made(dataset, PLACES_PART)
    patch = None if laid_out is None else laid_out.inputs.get("patch_size")
    size_m = dataset.manifest["places"]["size_m"]
    window = {} if patch is None else {"size_m": float(f"{size_m:.4g}"), "size_px": patch}
    return {"preset": "founding-rgb", **window}


def _steps(config: Loc2VecConfig, sampler: AnchorSampler) -> int:
    samples = config.samples_per_epoch
    return sampler.steps_per_epoch if samples is None else -(-samples // sampler.batch_size)


def _objectives(
    config: Loc2VecConfig, contents: Mapping[str, Contents], rows: Ints
) -> dict[str, tuple[float, Objective]]:
    objectives: dict[str, tuple[float, Objective]] = {
        f"predict-{name}": (
            _LESSON_WEIGHTS[name],
            _predicts(name)(config.dim, _mean(found, rows), target=name),
        )
        for name, found in contents.items()
    }
    if config.contrast_weight > 0:
        objectives[config.objective] = (config.contrast_weight, _objective(config))
    return objectives


def _overlap(
    dataset: Dataset | JoinedDataset,
    validation: Dataset | JoinedDataset,
    config: Loc2VecConfig,
    rows: Ints,
    held_rows: Ints,
) -> list[str]:
    """A note if validation windows overlap training windows; DatasetError if the validation map differs."""
    if validation.spec(VIEW) != dataset.spec(VIEW):
        raise DatasetError(
            f"the validation dataset {validation.name} cannot be used: its map differs in layers, rules or zoom"
        )
    from scipy.spatial import cKDTree

    near = buffer_m(dataset, config, rows)
    trained, held = (_positions(lonlat) for lonlat in (dataset.lonlat[rows], validation.lonlat[held_rows]))
    shared = int((cKDTree(trained).query(held, distance_upper_bound=near)[0] < near).sum())
    if not shared:
        return []
    return [
        f"{shared:,} of {len(held):,} validation places lie within {near:,.0f} m of training places: their windows may"
        " overlap, so the validation loss may be too low"
    ]


def _positions(lonlat: Floats) -> Floats:
    return to_ecef(lonlat[:, 0], lonlat[:, 1])


def _shares(contents: Mapping[str, Contents]) -> dict[str, Any]:
    return {name: found.shares for name, found in contents.items()}


def _contents(name: str, dataset: Dataset | JoinedDataset, config: Loc2VecConfig) -> Contents:
    """What every place contains within its window."""
    parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
    grounds = [
        PlacesOf(
            part.path,
            part.footprints()
            if config.size_m is None
            else footprint_bounds(part.lonlat, config.size_m, part.zoom),
            part.zoom,
        )
        for part in parts
    ]
    if name == "layers":
        if not config.drop_layers:
            raise InputError("predicting layers needs layers that are not part of the input: set drop_layers")
        return layer_contents(grounds, config.drop_layers)
    return landuse_contents(grounds) if name == "landuse" else tag_contents(grounds)


def _predicts(name: str) -> type[PredictShares] | type[PredictDistribution]:
    return PredictDistribution if name == "landuse" else PredictShares


def _mean(contents: Contents, rows: Ints) -> Tensor:
    known = Contents(contents.names, contents.shares[rows]).mean()
    return torch.from_numpy(np.nan_to_num(known))
