"""Options of contrastive spatial pretraining (CSP) in the recipe Sphere2Vec, and those of the paper and its scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from placevec.errors import UsageError
from placevec.options import Options, option, options_of

CSP_LOSSES = ("csp", "csp-nce", "csp-mse")
"""Softmax (CSP-MC in the paper), sigmoid (CSP-NCE), and regression on image features, its baseline."""
CONTRASTS = ("csp", "csp-nce")

_GRID = {
    "encoder": "Space2Vec-grid",
    "scales": 32,
    "r_max": 1.0,
    "hidden": 512,
    "layers": 1,
    "dropout": 0.5,
    "dim": 256,
}
_ADAM = {"optimizer": "adam", "weight_decay": 0.0, "clip_norm": 0.0, "warmup": 0.0, "schedule": "decay"}
_ALL_ONE = {
    "temperature": 1.0, "background_temperature": 1.0, "twin_temperature": 1.0, "background_weight": 1.0,
    "twin_weight": 1.0, "negative_points": 1, "batch_size": 1024,
}  # fmt: skip


def _degree(degrees: float) -> float:
    """Radii of the original grid, from degrees to Earth radii."""
    return math.radians(degrees)


CSP_PRESETS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "csp-paper-inat2018": (
        {**_GRID, **_ALL_ONE, "r_min": _degree(0.01), "activation": "leakyrelu"},
        {**_ADAM, "learning_rate": 2e-4, "epochs": 30},
    ),
    "csp-paper-fmow": (
        {**_GRID, **_ALL_ONE, "r_min": _degree(0.01), "activation": "gelu"},
        {**_ADAM, "learning_rate": 1e-3, "epochs": 300},
    ),
    "csp-script-inat2018": (
        {**_GRID, **_ALL_ONE, "temperature": 20.0, "r_min": _degree(0.1), "activation": "leakyrelu"},
        {**_ADAM, "learning_rate": 5e-4, "epochs": 30},
    ),
    "csp-script-fmow": (
        {**_GRID, **_ALL_ONE, "temperature": 20.0, "r_min": _degree(0.1), "activation": "gelu"},
        {**_ADAM, "learning_rate": 5e-5, "epochs": 300},
    ),
    "csp-checkpoint-fmow": (
        {**_GRID, **_ALL_ONE, "twin_weight": 0.1, "r_min": _degree(0.1), "activation": "gelu"},
        {**_ADAM, "learning_rate": 5e-5, "epochs": 300},
    ),
}
"""(recipe, training) as in the appendix of the paper, the shell scripts of github.com/gengchenmai/csp at 67f3407, and
the name of its fMoW checkpoint, which differ from one another. Epochs for the paper are those of the scripts.
Background points are placevec's, uniform on the sphere."""
CSP_SUMMARIES = {
    "csp-paper-inat2018": "as in the appendix of the paper for inat2018",
    "csp-paper-fmow": "as in the appendix of the paper for fmow",
    "csp-script-inat2018": "as in the published script for inat2018",
    "csp-script-fmow": "as in the published script for fmow",
    "csp-checkpoint-fmow": "with the settings that the file name of the published fmow checkpoint gives",
}
"""What each preset follows, for help."""


@dataclass(frozen=True)
class ContrastChoices(Options):
    """Options of the CSP losses; None means the default of the loss, see `defaults`.

    In the paper: T0 is ``temperature``, T1 ``background_temperature``, T2 ``twin_temperature``, a1
    ``background_weight``, a2 ``twin_weight``, K ``negative_points``; ``symmetric`` is ``contsoftmaxsym`` in code.
    """

    GROUP: ClassVar[str] = "Learning from images"

    temperature: float | None = option(
        None, "Temperature of the contrast between places and images (default 0.1)", above=0
    )
    background_temperature: float | None = option(
        None, "Temperature of the contrast between images and random places (default 0.1)", above=0
    )
    twin_temperature: float | None = option(
        None,
        "Temperature of the contrast between places and their copies under different dropout (default 0.1)",
        above=0,
    )
    twin_weight: float | None = option(
        None, "Weight of the contrast between a place and its copy (default 1; 0 disables it)", min=0
    )
    negative_points: int | None = option(None, "Random places per image (default 1)", min=1)
    symmetric: bool | None = option(
        None, "Also contrast each image with all places of the batch (default on)"
    )
    init: Path | None = option(None, "Run or model whose location encoder is the starting point")

    def check_contrast(self, loss: str) -> None:
        """UsageError for an option that has no effect with a loss."""
        for one in options_of(ContrastChoices):
            given = one.name != "init" and getattr(self, one.name) is not None
            if given and loss not in CONTRASTS:
                raise UsageError(
                    f"{one.flag} has no effect with --loss {loss}: it applies to {', '.join(CONTRASTS)}"
                )


def defaults(loss: str) -> dict[str, Any]:
    """Defaults of a loss: T0, T1, T2, a1, a2, K and symmetry; empty for other losses.

    Temperatures are lower than published, and images are also contrasted with places: this learns most in the control
    experiment of docs/csp.md.

    >>> defaults("csp")["temperature"], defaults("presence")
    (0.1, {})
    """
    if loss not in CONTRASTS:
        return {}
    return {
        "temperature": 0.1, "background_temperature": 0.1, "twin_temperature": 0.1, "background_weight": 1.0,
        "twin_weight": 1.0, "negative_points": 1, "symmetric": True,
    }  # fmt: skip


def csp_preset(preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one of `CSP_PRESETS`; for encoders other than grid, without its scales."""
    from placevec.encoders.locations.names import known_as

    recipe, training = CSP_PRESETS[preset]
    chosen = {**recipe, "loss": "csp", "symmetric": False}
    if known_as(given.get("encoder", recipe["encoder"])) != known_as(recipe["encoder"]):
        chosen = {name: value for name, value in chosen.items() if name not in ("scales", "r_min", "r_max")}
    if given.get("loss", "csp") == "csp-mse":
        chosen = {name: value for name, value in chosen.items() if name not in (*_ALL_ONE, "symmetric")}
    return {**chosen, **training}
