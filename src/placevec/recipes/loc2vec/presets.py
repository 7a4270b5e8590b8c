"""Presets of the recipe Loc2Vec: both original systems, and later findings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from placevec.errors import UsageError
from placevec.recipes.base import Preset
from placevec.recipes.loc2vec.config import PREDICTABLE

_FOUNDING_TRAINING = {
    "epochs": 50,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 1e-5,
    "schedule": "plateau",  # halved after five epochs without improvement
    "warmup": 0.0,
}
_AS_STORED = {"size_m": None, "rotate": False, "drop_channels": 0.0}

FOUNDING = {
    **_FOUNDING_TRAINING,
    **_AS_STORED,
    "clip_norm": 1.0,
    "save_every": 10,
    "encoder": "founding-tile-cnn",
    "dim": 128,
    "dropout": 0.5,
    "size_px": 256,
    "objective": "triplet-swap",  # --loss_type softpn in the original
    "reduction": "active",
    "margin": 0.2,
    "near_tiles": 2.0,
    "far_tiles": 10.0,
    "batch_size": 16,
    "samples_per_epoch": 10_000,
}
"""Founding document 004: twelve layers of Kyiv. The original has no validation; here blocks are held out."""

FOUNDING_RGB = {
    **_FOUNDING_TRAINING,
    **_AS_STORED,
    "clip_norm": 0.0,
    "save_every": 1,
    "encoder": "founding-rgb-cnn",
    "dim": 64,
    "size_px": 64,
    "objective": "triplet",
    "reduction": "mean",
    "margin": 0.3,
    "near_degrees": 0.001,
    "far_degrees": 0.01,
    "flip": True,
    "batch_size": 32,
}
"""Founding document 001: RGB tiles from a server."""

MULTITASK = {
    "learning_rate": 2e-3,
    "weight_decay": 0.02,
    "size_px": 128,
    "size_m": 256.0,
    # predicted tags are drawn in the first four; the last two depend more on the mapper than on the place
    "drop_layers": ("landcover", "natural-features", "leisure", "amenities", "places", "boundaries"),
    "predict": PREDICTABLE,
    "contrast_weight": 0.0,
    "drop_channels": 0.15,
    "max_places": 2500,
    "batch_size": 128,
}
"""Transfers best to cities not trained on (docs/decisions/0004): the recipe of the model that comes with placevec."""


def _in_one_unit(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A preset without its own distances if others are given in another unit."""
    units = {unit for unit in ("m", "tiles", "degrees") if {f"near_{unit}", f"far_{unit}"} & set(given)}
    if len(units) > 1:
        raise UsageError(f"set distances in only one unit; got {' and '.join(sorted(units))}")
    others = tuple(f"_{unit}" for unit in ("tiles", "degrees") if units and unit not in units)
    return {key: value for key, value in preset.items() if not key.endswith(others)}


PRESETS = {
    "default": Preset(
        "shape features with a small network, InfoNCE, windows of 200 m", partial(_in_one_unit, {})
    ),
    "founding": Preset(
        "the original 12-layer system: network and hyperparameters", partial(_in_one_unit, FOUNDING)
    ),
    "founding-12": Preset("same as founding", partial(_in_one_unit, FOUNDING)),
    "founding-rgb": Preset(
        "the original RGB system: network and hyperparameters", partial(_in_one_unit, FOUNDING_RGB)
    ),
    "multitask": Preset("vectors that also predict what places contain", partial(_in_one_unit, MULTITASK)),
}
