"""The location encoder that the recipe Sphere2Vec trains: fresh, or from a run that was trained before."""

from __future__ import annotations

import os

import numpy as np
import torch

from placevec import encoders
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.errors import InputError
from placevec.geo import Floats
from placevec.recipes.sphere2vec.config import Sphere2VecConfig
from placevec.recipes.sphere2vec.init import started_from

_ANCHORS = 200
_STREAM = 0xA7C


def encoder_of(config: Sphere2VecConfig, points: Floats, seed: int) -> LocationEncoder:
    """A fresh encoder, or that of ``config.init`` with its weights; the anchors of rbf are training points.

    Args:
        config: of the recipe.
        points: (N, 2) lon, lat degrees that are trained on.
        seed: of the anchors.
    """
    arguments = config.encoder_arguments()
    if config.init is not None:
        return started_from(config.init, arguments.get("dropout"))
    if config.encoder == "rbf":
        wanted = min(_ANCHORS if config.anchors is None else config.anchors, len(points))
        drawn = np.random.default_rng([seed, _STREAM]).choice(len(points), wanted, replace=False)
        arguments["anchors"] = points[drawn]
    elif config.anchors is not None:
        arguments["anchors"] = config.anchors  # refused there, by name
    return encoders.location(config.encoder, config.dim, **arguments)


def device_of(name: str) -> torch.device:
    """The device for training on coordinates; ``auto`` takes a CUDA GPU where there is one, never Apple's.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: ``mps``, which has no float64 and cannot hold angles.
    """
    if name == "mps":
        raise InputError("coordinates are computed in float64, which this device has not: --device cpu")
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")
