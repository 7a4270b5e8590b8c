"""Contrastive spatial pretraining: trains a location encoder on images of places, without labels.

Mai et al., "CSP: Self-supervised contrastive spatial pre-training for geospatial-visual representations", ICML 2023,
arXiv:2305.01118. Frozen features of images (`image_features`) pass through one learned matrix; the location encoder
learns to identify each place's own image. The trained model holds both, and reads coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from placevec.core import Encoded, Objective, Recipe, Slot
from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import Labeled
from placevec.datasets.views.coordinates import NAME, SPEC, CoordinatesView
from placevec.datasets.views.features import IMAGE_FEATURES, FeaturesView
from placevec.encoders.feature_projection import FeatureProjection, StandardFeatures
from placevec.errors import DatasetError, UsageError
from placevec.geo import Ints
from placevec.metrics import effective_rank
from placevec.recipes.built import Built
from placevec.recipes.sphere2vec.config import Sphere2VecConfig
from placevec.recipes.sphere2vec.csp_config import CONTRASTS, defaults
from placevec.recipes.sphere2vec.encoder import device_of, encoder_of
from placevec.recipes.sphere2vec.points import background_of, divided
from placevec.training import TrainingOptions
from placevec.training.objectives.spatial_contrast import (
    BACKGROUND,
    IMAGE,
    LOCATION,
    TWIN,
    DropoutTwins,
    ImageRegression,
    LocationImage,
    NegativeLocations,
    SigmoidDropoutTwins,
    SigmoidLocationImage,
    SigmoidNegativeLocations,
    directions,
)
from placevec.training.samplers.image_pairs import ImagePairs

_MIN_STEPS = 10
"""Minimum batches per epoch: an epoch repeats the images if there are few."""
_FORMS: Mapping[str, tuple[type[LocationImage], type[NegativeLocations], type[DropoutTwins]]] = {
    "csp": (LocationImage, NegativeLocations, DropoutTwins),
    "csp-nce": (SigmoidLocationImage, SigmoidNegativeLocations, SigmoidDropoutTwins),
}


def build(dataset: Dataset, config: Sphere2VecConfig, training: Mapping[str, Any]) -> Built:
    """Location encoder, projection of image features, losses and sampler for a dataset's places with images.

    The dataset's own split is used: images of validation and test places are not trained on.

    Raises:
        DatasetError: no image features, or none for a place with coordinates.
        InputError: a device without float64.
        UsageError: an option that needs labels.
    """
    config = _decided(config)
    device = device_of(str(training.get("device", "auto")))
    if IMAGE_FEATURES not in dataset.view_names:
        raise DatasetError(
            f"{dataset.path} has no images: prepare it with --images DIR, or with points and --image-features FILE"
        )
    seed, lonlat = int(training.get("seed", 0)), dataset.lonlat
    images = dataset.view(IMAGE_FEATURES)
    assert isinstance(images, FeaturesView)
    rows, lacking, notes = _usable(dataset, images)
    labels = dataset.labels() if dataset.has_labels else Labeled("number", np.zeros(len(dataset)))
    split, held, more = divided(lonlat, labels, rows, config, seed, lacking=lacking)
    train = split.rows("train")
    location = encoder_of(config, lonlat[train], seed)
    image: FeatureProjection | StandardFeatures = (
        StandardFeatures(images.dim)
        if config.loss == "csp-mse"
        else FeatureProjection(images.dim, location.dim)
    )
    sampler = _pairs(dataset, config, train, seed)
    validation_data = _pairs(dataset, config, held, seed + 1) if len(held) else None
    encoders: dict[str, nn.Module] = {"location": location, "image": image.fit(*images.moments(train))}
    recipe = Recipe(
        slots={
            role: Slot(*((IMAGE_FEATURES, "image") if role == IMAGE else (NAME, "location")))
            for role in sampler.draw(0).looks
        },
        encoders=encoders,
        objectives=_objectives(config, location.dim, images.dim),
        sampler=sampler,
        validation=validation_data,
        measure=None if config.loss == "csp-mse" else measure,
    )
    options = {
        "steps_per_epoch": max(sampler.steps_per_epoch, _MIN_STEPS),
        "validation_steps": 0 if validation_data is None else validation_data.steps_per_epoch,
        "prefetch": 0,  # taking a few rows of a table is faster than waiting for them
        **training,
        **({"device": "cpu"} if device.type == "cpu" else {}),
    }
    return Built(
        recipe, config, {NAME: CoordinatesView(lonlat), IMAGE_FEATURES: images}, {NAME: SPEC}, TrainingOptions(**options),
        split, notes=[*notes, *more],
    )  # fmt: skip


def _decided(config: Sphere2VecConfig) -> Sphere2VecConfig:
    """The configuration with all defaults of the loss; UsageError for options that need labels."""
    for given, option in (
        (config.few_shot < 1, "few-shot"),
        *((bool(getattr(config, name)), name) for name in ("seasons", "months", "hours", "trend")),
    ):
        if given:
            raise UsageError(f"--{option} needs labels, but --loss {config.loss} uses none")
    open_ones = {
        name: value for name, value in defaults(config.loss).items() if getattr(config, name) is None
    }
    return replace(config, **open_ones)


def _usable(dataset: Dataset, images: FeaturesView) -> tuple[Ints, dict[str, Ints], list[str]]:
    """Places with coordinates and an image, what the others lack, and notes about them."""
    located = np.isfinite(dataset.lonlat).all(axis=1)
    rows = np.flatnonzero(located & images.known)
    if len(rows) < 2:
        raise DatasetError(f"fewer than two places of {dataset.path} have both coordinates and an image")
    lacking = {"coordinates": np.flatnonzero(~located), "image": np.flatnonzero(located & ~images.known)}
    notes = [
        f"{len(some):,} places without {'an image' if what == 'image' else what} are left out"
        for what, some in lacking.items()
        if len(some)
    ]
    return rows, lacking, notes


def _pairs(dataset: Dataset, config: Sphere2VecConfig, rows: Ints, seed: int) -> ImagePairs:
    contrast = config.loss in CONTRASTS
    elsewhere = contrast and config.background_weight != 0
    return ImagePairs(
        rows, dataset.lonlat, batch_size=config.batch_size, seed=seed,
        twins=contrast and config.twin_weight != 0, negatives=config.negative_points or 1,
        background=background_of(config, dataset.lonlat[rows], seed) if elsewhere else None,
    )  # fmt: skip


def _objectives(config: Sphere2VecConfig, dim: int, features: int) -> dict[str, tuple[float, Objective]]:
    if config.loss == "csp-mse":
        return {"features": (1.0, ImageRegression(dim, features))}
    image, background, twins = _FORMS[config.loss]
    weights = (1.0, float(config.background_weight or 0.0), float(config.twin_weight or 0.0))
    temperatures = (config.temperature, config.background_temperature, config.twin_temperature)
    first, second, third = (float(value or 0.0) for value in temperatures)
    found: dict[str, tuple[float, Objective]] = {
        IMAGE: (weights[0], image(first, symmetric=bool(config.symmetric))),
        BACKGROUND: (weights[1], background(second)),
        TWIN: (weights[2], twins(third)),
    }
    return {name: part for name, part in found.items() if part[0] != 0}


def measure(slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, float]:
    """Of a batch: how often a location ranks its own image first, the mean reciprocal rank, and signs of collapse."""
    location, image = slots[LOCATION], slots[IMAGE]
    whole = location.present & image.present
    cosines = directions(location.z, whole) @ directions(image.z, whole).T
    own = cosines.diagonal()[:, None]
    ranks = (cosines > own).sum(1) + ((cosines == own).sum(1) + 1) / 2.0
    return {
        "image_top1": float((ranks <= 1).double().mean()),
        "image_mrr": float((1.0 / ranks).mean()),
        "effective_rank": effective_rank(location.z),
    }
