"""The presets of the recipe Loc2Vec: both founding systems as they were, and what was found since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from placevec.errors import UsageError
from placevec.io.json_documents import NONE, check
from placevec.recipes.loc2vec.config import PREDICTABLE, Loc2VecConfig
from placevec.training import TrainingOptions

_FOUNDING_TRAINING = {
    "epochs": 50,
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 1e-5,
    "schedule": "plateau",  # halved after five passes without improvement
    "warmup": 0.0,
}
_AS_STORED = {"size_m": None, "rotate": False, "drop_channels": 0.0}

FOUNDING = {
    **_AS_STORED,
    "encoder": "founding-tile-cnn",
    "dim": 128,
    "dropout": 0.5,
    "size_px": 256,
    "objective": "triplet-swap",  # which its --loss_type called softpn
    "reduction": "active",
    "margin": 0.2,
    "near_tiles": 2.0,
    "far_tiles": 10.0,
    "batch_size": 16,
    "samples_per_epoch": 10_000,
}
FOUNDING_TRAINING = {**_FOUNDING_TRAINING, "clip_norm": 1.0, "save_every": 10}
"""Founding document 004: twelve layers of Kyiv. It had no validation; here blocks are held out."""

FOUNDING_RGB = {
    **_AS_STORED,
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
FOUNDING_RGB_TRAINING = {**_FOUNDING_TRAINING, "clip_norm": 0.0, "save_every": 1}
"""Founding document 001: RGB tiles of a server."""

TAUGHT = {
    "size_px": 128,
    "size_m": 256.0,
    # the tags that are foretold draw in the first four; what the last two draw depends on the mapper, not the ground
    "drop_layers": ("landcover", "natural-features", "leisure", "amenities", "places", "boundaries"),
    "predict": PREDICTABLE,
    "contrast_weight": 0.0,
    "drop_channels": 0.15,
    "most_places": 2500,
    "batch_size": 128,
}
TAUGHT_TRAINING = {"learning_rate": 2e-3, "weight_decay": 0.02}
"""What carries best to cities never seen (docs/decisions/0004): the recipe of the model that comes with placevec."""

PRESETS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "default": ({}, {}),
    "founding": (FOUNDING, FOUNDING_TRAINING),
    "founding-12": (FOUNDING, FOUNDING_TRAINING),
    "founding-rgb": (FOUNDING_RGB, FOUNDING_RGB_TRAINING),
    "taught": (TAUGHT, TAUGHT_TRAINING),
}


def configure(preset: str, options: Mapping[str, Any]) -> tuple[Loc2VecConfig, dict[str, Any]]:
    """(recipe configuration, training options) from a preset and the options given; unknown names are refused."""
    if preset not in PRESETS:
        raise UsageError(f"preset {preset!r} is unknown: choose from {', '.join(PRESETS)}")
    given = dict(options)
    own = {item.name for item in fields(Loc2VecConfig)}
    loop = {item.name for item in fields(TrainingOptions)}
    unknown = sorted(set(given) - own - loop)
    if unknown:
        raise UsageError(f"loc2vec has no option {unknown[0]!r}: it knows {', '.join(sorted(own | loop))}")
    _check_types(given)
    base, base_training = PRESETS[preset]
    base = _in_one_unit(base, given)
    config = Loc2VecConfig(**{**base, **{key: value for key, value in given.items() if key in own}})
    return config, {**base_training, **{key: value for key, value in given.items() if key in loop}}


def _in_one_unit(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A preset without its own distances where others are given in another unit."""
    units = {unit for unit in ("m", "tiles", "degrees") if {f"near_{unit}", f"far_{unit}"} & set(given)}
    if len(units) > 1:
        raise UsageError(
            f"distances are in metres, in tiles or in degrees: got {' and '.join(sorted(units))}"
        )
    others = [unit for unit in ("tiles", "degrees") if units and unit not in units]
    return {
        key: value for key, value in base.items() if not key.endswith(tuple(f"_{unit}" for unit in others))
    }


def _check_types(given: Mapping[str, Any]) -> None:
    """UsageError for an option of another type than its field: options may come from a file."""
    shapes: dict[str, Any] = {
        "int": int, "float": float, "str": str, "bool": bool, "float | None": (float, NONE),
        "str | None": (str, NONE),
        "int | None": (int, NONE), "tuple[str, ...]": [str],
    }  # fmt: skip
    for item in (*fields(Loc2VecConfig), *fields(TrainingOptions)):
        if item.name in given:
            value = given[item.name]
            try:
                check(list(value) if isinstance(value, tuple) else value, shapes[str(item.type)], item.name)
            except ValueError as error:
                raise UsageError(f"option {error}") from None
