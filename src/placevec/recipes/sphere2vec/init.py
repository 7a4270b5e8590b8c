"""Starts training from the location encoder of another run: pretrained on images, fine-tuned on labels."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from placevec import encoders
from placevec.datasets.views.coordinates import NAME
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.encoders.locations.names import feature_options, known_as
from placevec.errors import ModelError, UsageError
from placevec.models.model import Model
from placevec.recipes.sphere2vec.config import OF_ENCODER

_FREE = ("dropout",)
"""Options that can differ from the run, because they have no weights."""
_CALLED = {"width": "cell_width"}
"""Options of features -> their names in the recipe."""


def encoder_of_run(path: str | Path) -> LocationEncoder:
    """The location encoder of a run or model, with its weights.

    Raises:
        ModelError: no model, a model that does not read coordinates, or an encoder of another kind.
    """
    model = Model.load(path)
    reading = model.readings.get(NAME)
    module = None if reading is None else model.modules[reading.encoder]
    if not isinstance(module, LocationEncoder):
        reads = ", ".join(model.readings)
        raise ModelError(f"{path} has no location encoder to start from: its inputs are {reads}")
    return module


def started_from(path: str | Path, dropout: float | None) -> LocationEncoder:
    """A trainable copy of it, with another dropout if given."""
    before = encoder_of_run(path)
    config = before.config() if dropout is None else {**before.config(), "dropout": dropout}
    encoder = encoders.build("location", **config)
    encoder.load_state_dict(before.state_dict())
    assert isinstance(encoder, LocationEncoder)
    return encoder


def completed(given: Mapping[str, Any]) -> dict[str, Any]:
    """The given options, with those of the encoder of the run that ``init`` names; a preset fills the rest.

    Raises:
        ModelError: as in `encoder_of_run`.
        UsageError: an option that differs from the run's.
    """
    if given.get("init") is None:
        return dict(given)
    taken = inherited(given["init"], given, OF_ENCODER)
    return {
        **taken,
        **{name: value for name, value in given.items() if value is not None or name not in taken},
    }


def inherited(path: str | Path, given: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The options that define the encoder of a run, which ``given`` must not contradict; None for options it lacks.

    Args:
        path: path of the run.
        given: options of the user.
        known: names of all options of the recipe that define an encoder.

    Raises:
        ModelError: as in `encoder_of_run`.
        UsageError: an option that differs from the run's, or that its encoder does not have.
    """
    options = options_in_effect(encoder_of_run(path))
    for name in known:
        value = given.get(name)
        if value is None or name in _FREE:
            continue
        wanted = known_as(value) if name == "encoder" else value
        if wanted != options.get(name):
            has = f"no {name.replace('_', ' ')}" if options.get(name) is None else options[name]
            raise UsageError(
                f"--{name.replace('_', '-')} {value} contradicts --init: the encoder of {path} has {has}"
            )
    return {name: options.get(name) for name in known}


def options_in_effect(encoder: LocationEncoder) -> dict[str, Any]:
    """All options in effect; an encoder stores only those of its features that were given."""
    config = encoder.config()
    told = config.pop("options")
    signature = inspect.signature(type(encoder.positional)).parameters
    features = {
        name: told.get(name, signature[name].default)
        for name in feature_options(encoder.encoder, encoder.variant)
    }
    # a default of None is computed by the features, such as the width of rbf from the number of its anchors
    chosen = {
        name: getattr(encoder.positional, name, None) if value is None else value
        for name, value in features.items()
    }
    config["trend"] = config.pop("period", None) is not None
    config = {"months": False, "hours": 0, "clock": "utc", **config}
    return {**config, **{_CALLED.get(name, name): value for name, value in chosen.items()}}
