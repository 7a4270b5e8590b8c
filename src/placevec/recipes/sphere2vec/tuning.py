"""Options of a location encoder chosen on the validation places: one at a time, by short trainings, within a time.

The start has scales that follow the training points (`encoders.locations.spacing`). Each option that the user left open
is then tried at a few other values, from the best found so far; what is best on validation is kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from placevec.encoders.locations.names import feature_options
from placevec.errors import InputError, UsageError
from placevec.recipes.sphere2vec.config import Sphere2VecConfig

MIN_VALIDATED = 30
"""Validation places without which the best of several settings is mostly chance."""
EPOCHS, PATIENCE = 10, 3
"""Of a trial."""
_FACTORS = {"r_min": (2.0, 0.5, 4.0, 0.25), "sigma": (2.0, 0.5, 4.0, 0.25)}
_VALUES = {"dropout": (0.3, 0.5), "layers": (2, 0), "hidden": (128,)}
OPTIONS = ("r_min", "sigma", "degrees", "scales", "dropout", "layers", "hidden")
"""What is tried, in this order."""


@dataclass(frozen=True)
class Trial:
    """One short training: the options that it changed, its lowest validation loss, and how long it took.

    >>> Trial({"scales": 12}, loss=0.31, seconds=4.0).loss
    0.31
    """

    changed: Mapping[str, Any]
    loss: float
    seconds: float


def check_tuning(config: Sphere2VecConfig, validated: int, train: int) -> None:
    """Whether options can be chosen by a search.

    Raises:
        UsageError: an encoder that another run defines, or several processes.
        InputError: fewer than `MIN_VALIDATED` validation places.
    """
    if config.init is not None:
        raise UsageError("--tune chooses options of a new encoder: remove --init")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--tune runs in one process: tune first, then train with the options that it prints")
    if validated < MIN_VALIDATED:
        raise InputError(
            f"--tune compares settings on validation places, but there are {validated} of {train + validated}, and "
            f"with fewer than {MIN_VALIDATED} the best setting is a matter of chance: prepare more places, raise "
            f"--validation-share, or leave out --tune"
        )


def search(
    start: Sphere2VecConfig,
    open_options: Sequence[str],
    loss_of: Callable[[Sphere2VecConfig], float],
    budget_s: float,
) -> tuple[Sphere2VecConfig, list[Trial]]:
    """The best configuration found, and all trials, the first of ``start``; no trial begins that would end too late.

    Args:
        start: a complete configuration.
        open_options: those of `OPTIONS` that may change.
        loss_of: the lowest validation loss of a short training.
        budget_s: seconds for all trials.
    """
    began = time.monotonic()
    trials = [_tried(start, {}, loss_of)]
    best, least, changed = start, trials[0].loss, dict[str, Any]()
    for option in OPTIONS:
        if option not in open_options:
            continue
        base, so_far = best, changed
        for value in _alternatives(base, option):
            if time.monotonic() - began + max(one.seconds for one in trials) > budget_s:
                return best, trials
            config, named = replace(base, **{option: value}), {**so_far, option: value}
            trial = _tried(config, named, loss_of)
            trials.append(trial)
            if trial.loss < least:
                best, least, changed = config, trial.loss, named
    return best, trials


def searched(config: Sphere2VecConfig) -> tuple[str, ...]:
    """Options that the user left open and that the encoder has."""
    known = feature_options(config.encoder, config.variant)
    of_network = ("dropout",) if config.network in ("none", "linear") else ("dropout", "layers", "hidden")
    return tuple(
        name for name in OPTIONS if getattr(config, name) is None and (name in known or name in of_network)
    )


def said(trials: Sequence[Trial], chosen: Mapping[str, Any], budget_s: float) -> str:
    """The note about a search."""
    first, best = trials[0].loss, min(one.loss for one in trials)
    spent = sum(one.seconds for one in trials)
    gain = (
        f"validation loss {first:.4g} -> {best:.4g}"
        if best < first
        else "no trial was better than the initial settings"
    )
    return (
        f"--tune: {len(trials)} short trainings in {spent:.0f} of {budget_s:.0f} s, {gain}: {flags(chosen)}"
    )


def flags(chosen: Mapping[str, Any]) -> str:
    """Options as they are given on the command line.

    >>> flags({"r_min": 0.01, "scales": 8})
    '--r-min 0.01 --scales 8'
    """
    return " ".join(f"--{name.replace('_', '-')} {_shown(value)}" for name, value in chosen.items())


def continued(config: Sphere2VecConfig, stored: Mapping[str, Any]) -> Sphere2VecConfig:
    """The configuration of a resumed run: what a search chose when it began is not searched again."""
    if config.tune is None or stored.get("tune") != config.tune:
        return config
    names = (*searched(config), "r_max")
    return replace(config, **{name: stored[name] for name in names if stored.get(name) is not None})


def _alternatives(config: Sphere2VecConfig, option: str) -> list[Any]:
    now = getattr(config, option)
    if option in _FACTORS:
        return [] if now is None else [float(f"{now * factor:.3g}") for factor in _FACTORS[option]]
    if option in ("scales", "degrees"):
        return [] if now is None else [value for value in (now // 2, now * 2) if 2 <= value <= 64]
    return [value for value in _VALUES[option] if value != now]


def _tried(
    config: Sphere2VecConfig, changed: Mapping[str, Any], loss_of: Callable[[Sphere2VecConfig], float]
) -> Trial:
    began = time.monotonic()
    loss = loss_of(config)
    return Trial(dict(changed), loss, time.monotonic() - began)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
