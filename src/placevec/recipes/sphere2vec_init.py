"""A run whose location encoder another training starts from: pre-trained on images, fine-tuned on labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placevec import encoders
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.encoders.locations.names import known_as
from placevec.errors import ModelError, UsageError
from placevec.model import Model
from placevec.views.coordinates import NAME

_FREE = ("dropout",)
"""What may differ from the run: it has no weights."""


def encoder_of_run(path: str) -> LocationEncoder:
    """The location encoder of a run or model, with its weights.

    Raises:
        ModelError: no model there, or one that reads no coordinates, or with an encoder of another kind.
    """
    model = Model.load(path)
    reading = model.readings.get(NAME)
    module = None if reading is None else model.modules[reading.encoder]
    if not isinstance(module, LocationEncoder):
        reads = ", ".join(model.readings)
        raise ModelError(f"{path} has no location encoder to start from: it reads {reads}")
    return module


def started_from(path: str, dropout: float | None) -> LocationEncoder:
    """A copy of it to be trained, with another share of units dropped where one is given."""
    before = encoder_of_run(path)
    config = before.config() if dropout is None else {**before.config(), "dropout": dropout}
    encoder = encoders.build("location", **config)
    encoder.load_state_dict(before.state_dict())
    assert isinstance(encoder, LocationEncoder)
    return encoder


def inherited(path: str, given: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The options that make the encoder of a run: those of the recipe, which ``given`` must not contradict.

    Args:
        path: of the run.
        given: options of the user.
        known: names of the recipe's options.

    Raises:
        UsageError: an option that is another than the run's.
    """
    config = encoder_of_run(path).config()
    options = {**config, **config.pop("options")}
    found = {name: value for name, value in options.items() if name in known and value is not None}
    for name, value in given.items():
        if name in _FREE or name not in options:
            continue
        wanted = known_as(value) if name == "encoder" else value
        if wanted != options[name]:
            raise UsageError(
                f"--{name.replace('_', '-')} {value} contradicts --init: the encoder of {path} has {options[name]}"
            )
    return found
