"""The location encoder that the recipe Sphere2Vec trains: fresh, or from an earlier run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from placevec import encoders
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.encoders.locations.fields import RasterField
from placevec.encoders.locations.names import FAMILIES, feature_options, known_as
from placevec.errors import InputError
from placevec.geo import Floats
from placevec.recipes.sphere2vec.config import FEATURE_OPTIONS, Sphere2VecConfig
from placevec.recipes.sphere2vec.init import started_from
from placevec.recipes.sphere2vec.presets import ENCODERS

_ANCHORS = 200
_STREAM = 0xA7C


def encoder_of(
    config: Sphere2VecConfig, points: Floats, seed: int, period: tuple[float, float] | None = None
) -> LocationEncoder:
    """A fresh encoder, or that of ``config.init`` with its weights; the anchors of rbf are training points.

    Args:
        config: configuration of the recipe.
        points: (N, 2) lon, lat degrees of the training points.
        seed: seed for the anchors.
        period: first and last absolute time of training, as years, if it is read.
    """
    arguments = config.encoder_arguments()
    if config.init is not None:
        return started_from(config.init, arguments.get("dropout"))
    if config.encoder == "rbf":
        wanted = min(_ANCHORS if config.anchors is None else config.anchors, len(points))
        drawn = np.random.default_rng([seed, _STREAM]).choice(len(points), wanted, replace=False)
        arguments["anchors"] = points[drawn]
    elif config.anchors is not None:
        arguments["anchors"] = config.anchors  # the encoder raises the error, with its name
    if period is not None:
        arguments["period"] = period
    return encoders.location(config.encoder, config.dim, **arguments)


def with_rasters(encoder: LocationEncoder, fields: Sequence[RasterField]) -> LocationEncoder:
    """The encoder built again with rasters, whose cells are put in."""
    if not fields:
        return encoder
    options = {**encoder.config(), "rasters": [field.config() for field in fields]}
    made = encoders.build(
        "location",
        **{name: value for name, value in options.items() if name != "options"},
        options=encoder.options,
    )
    assert isinstance(made, LocationEncoder)
    for own, field in zip(made.rasters, fields, strict=True):
        own.load_state_dict(field.state_dict())
    return made


def device_of(name: str) -> torch.device:
    """The device for training on coordinates; ``auto`` uses a CUDA GPU if available, never Apple's.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: ``mps``, which has no float64 and cannot represent angles.
    """
    if name == "mps":
        raise InputError("coordinates need float64, which this device does not support: use --device cpu")
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def each(preset: str, given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, options) of every encoder that the preset and the variant have, or of the given one.

    Options of features are passed to the encoders that have them.
    """
    variant = given.get("variant", "corrected")
    original = [
        name for name, family in FAMILIES.items() if variant != "original" or family.original is not None
    ]
    every = ENCODERS if preset != "default" else original
    named = given.get("encoder")
    for name in every if named is None else [known_as(named)]:
        there = {"cell_width" if one == "width" else one for one in feature_options(name, variant)}
        own = {key: value for key, value in given.items() if key not in FEATURE_OPTIONS or key in there}
        yield name, {**own, "encoder": name}
