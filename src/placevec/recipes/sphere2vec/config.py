"""Every choice of the recipe Sphere2Vec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from placevec.encoders.locations.names import known_as
from placevec.errors import UsageError
from placevec.io.json_documents import NONE, check
from placevec.recipes.sphere2vec.csp_config import (
    CONTRASTS,
    CSP_LOSSES,
    CSP_PRESETS,
    ContrastChoices,
    csp_preset,
)
from placevec.recipes.sphere2vec.init import inherited
from placevec.recipes.sphere2vec.presets import (
    BACKGROUND_WEIGHT,
    DATASETS,
    EPOCHS,
    MOST_OF_A_CLASS,
    encoder_options,
    published,
)
from placevec.training import TrainingOptions
from placevec.training.samplers.background import BACKGROUNDS

LOSSES = ("presence", "an_full", "an_slds", "an_ssdl", "cross-entropy", "regression", *CSP_LOSSES)
OF_PRESENCE = ("presence", "an_full", "an_slds", "an_ssdl")
WITH_BACKGROUND = ("presence", "an_full", "an_ssdl")
ENCODER_OPTIONS = ("variant", "network", "hidden", "layers", "dropout", "activation", "seasons")
FEATURE_OPTIONS = (
    "scales", "r_min", "r_max", "taper_poles", "sigma", "anchors", "frequencies", "kernel_size", "degrees", "cells",
    "cell_width",
)  # fmt: skip
OF_ENCODER = ("encoder", "dim", *ENCODER_OPTIONS, *FEATURE_OPTIONS)
"""What makes an encoder, and so comes from the run that ``init`` names."""


@dataclass(frozen=True)
class Sphere2VecConfig(ContrastChoices):
    """Every choice of the recipe, with those of `ContrastChoices`; None leaves a choice to the encoder or the loss.

    Attributes:
        encoder: any name of a location encoder.
        dim: length of the vectors.
        variant: ``corrected``, or ``original``: formula, network and defaults as published in code.
        network: ffn, resnet, siren, residual, linear or none.
        hidden: units of a hidden layer.
        layers: hidden layers or blocks.
        dropout: share of units dropped in training.
        activation: relu, leakyrelu, gelu, sigmoid or tanh.
        seasons: harmonics of the share of the year beside the position; 0 for none.
        scales: how many, of the multi-scale encoders.
        r_min, r_max: the finest and the coarsest, as shares of the Earth's radius (of the original grid and theory:
            degrees).
        taper_poles: whether features that would tear at the poles fade out there.
        sigma: of rbf and rff.
        anchors: of rbf: so many training places, drawn at random; 200 by default.
        frequencies: of rff.
        kernel_size: of the original rff.
        degrees: of harmonics.
        cells: how many, of cells.
        cell_width: numbers of a cell's vector.
        loss: ``auto`` (by the labels: presence of classes, regression of numbers; csp where there are images and no
            labels), or one of `LOSSES`.
        positive_weight: of the class seen, in presence (None: the number of classes) and an_full (None: 2,048).
        background: where nothing is known to be: ``sphere`` (None), ``octant`` as in the founding code, ``land`` or
            ``target-group``.
        background_weight: of what is learnt there, in presence and an_full; None: 1.
        land: GeoJSON of the land's outlines; coarse ones by default.
        users: learn a vector of every user too, in presence (``full_loss_user``).
        label_smoothing: of cross-entropy.
        balance: at most so many places of a class in a pass, drawn anew in every pass; None: all.
        few_shot: share of the training labels that is used, of every class.
        batch_size: places in a batch.
        validation_share: share of the places held out in whole blocks, where the dataset has no split.
        block_m: side of these blocks; None chooses a twentieth of the extent, at most 500 km.
    """

    encoder: str = "sphereC+"
    dim: int = 256
    variant: str = "corrected"
    network: str | None = None
    hidden: int | None = None
    layers: int | None = None
    dropout: float | None = None
    activation: str | None = None
    seasons: int = 0
    scales: int | None = None
    r_min: float | None = None
    r_max: float | None = None
    taper_poles: bool | None = None
    sigma: float | None = None
    anchors: int | None = None
    frequencies: int | None = None
    kernel_size: float | None = None
    degrees: int | None = None
    cells: int | None = None
    cell_width: int | None = None
    loss: str = "auto"
    positive_weight: float | None = None
    background: str | None = None
    background_weight: float | None = None
    land: str | None = None
    users: bool = False
    label_smoothing: float | None = None
    balance: int | None = None
    few_shot: float = 1.0
    batch_size: int = 1024
    validation_share: float = 0.1
    block_m: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoder", known_as(self.encoder))
        for name, value, allowed in (
            ("loss", self.loss, ("auto", *LOSSES)),
            ("background", self.background, (None, *BACKGROUNDS)),
            ("variant", self.variant, ("corrected", "original")),
        ):
            if value not in allowed:
                there = ", ".join(str(one) for one in allowed if one)
                raise UsageError(f"{name} {value!r} is unknown: choose from {there}")
        if self.loss != "auto":
            self.check_loss(self.loss)
        if self.land is not None and self.background != "land":
            raise UsageError(
                "outlines of the land are for background points on land: --background land --land FILE"
            )
        for name, number, least in (("batch_size", self.batch_size, 2), ("dim", self.dim, 1)):
            if number < least:
                raise UsageError(f"{name} is at least {least}; got {number}")
        if not 0 < self.few_shot <= 1:
            raise UsageError(
                f"few_shot is the share of labels to use, more than 0 and at most 1; got {self.few_shot:g}"
            )
        if not 0 <= self.validation_share <= 0.5:
            raise UsageError(
                f"validation_share is a share of the places, 0 to 0.5; got {self.validation_share:g}"
            )
        if self.balance is not None and self.balance < 1:
            raise UsageError(f"balance takes at least one place of a class; got {self.balance}")
        if self.block_m is not None and not self.block_m > 0:
            raise UsageError(f"a block has a side in metres; got {self.block_m:g}")

    def check_loss(self, loss: str) -> None:
        """UsageError for a choice that means nothing to a loss."""
        self.check_contrast(loss)
        for given, meant, option in (
            (self.background is not None, (*WITH_BACKGROUND, *CONTRASTS), "background"),
            (self.background_weight is not None, ("presence", "an_full", *CONTRASTS), "background_weight"),
            (self.positive_weight is not None, ("presence", "an_full"), "positive_weight"),
            (self.users, ("presence",), "users"),
            (self.label_smoothing is not None, ("cross-entropy",), "label_smoothing"),
            (
                self.balance is not None,
                tuple(one for one in LOSSES if one not in ("regression", *CSP_LOSSES)),
                "balance",
            ),
        ):
            if given and loss not in meant:
                name = option.replace("_", "-")
                raise UsageError(
                    f"--{name} means nothing to the loss {loss}: it belongs to {', '.join(meant)}"
                )

    def encoder_arguments(self) -> dict[str, Any]:
        """What `placevec.encoders.location` is told, but for name, dim and the anchors of rbf."""
        named = (*ENCODER_OPTIONS, *(name for name in FEATURE_OPTIONS if name != "anchors"))
        found = {name: value for name in named if (value := getattr(self, name)) is not None}
        if "cell_width" in found:
            found["width"] = found.pop("cell_width")
        return found


def config_dict(config: Sphere2VecConfig) -> dict[str, Any]:
    """Plain JSON of a configuration."""
    return asdict(config)


def configure(preset: str, options: Mapping[str, Any]) -> tuple[Sphere2VecConfig, dict[str, Any]]:
    """(recipe configuration, training options) from a preset and the options given; unknown names are refused.

    Presets: ``default``, and those of the data sets of `placevec.recipes.sphere2vec.presets`: what was found best for
    the chosen encoder there, with Adam, 0.98 of the learning rate after each pass and at most 100 places of a class; and
    those of `placevec.recipes.sphere2vec.csp_config` for learning from images. With ``init`` the encoder is the
    run's, and a preset gives what is left.

    >>> config, training = configure("inat2018", {"encoder": "sphereC"})
    >>> config.hidden, config.balance, training["learning_rate"]
    (1024, 100, 0.0005)
    """
    given = dict(options)
    own = {item.name for item in fields(Sphere2VecConfig)}
    loop = {item.name for item in fields(TrainingOptions)}
    unknown = sorted(set(given) - own - loop)
    if unknown:
        raise UsageError(f"sphere2vec has no option {unknown[0]!r}: it knows {', '.join(sorted(own | loop))}")
    _check_types(given)
    taken = {} if given.get("init") is None else inherited(given["init"], given, OF_ENCODER)
    asked = {**given, **taken}  # a preset is that of the encoder that is trained
    base, base_training = csp_preset(preset, asked) if preset in CSP_PRESETS else _preset(preset, asked)
    chosen = {
        key: value for key, value in given.items() if key in own and not (value is None and key in taken)
    }
    config = Sphere2VecConfig(**{**base, **taken, **chosen})
    return config, {**base_training, **{key: value for key, value in given.items() if key in loop}}


def _preset(preset: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if preset == "default":
        return {}, {}
    name = "".join(letter for letter in preset.lower() if letter not in " -_")
    if name not in DATASETS:
        raise UsageError(
            f"preset {preset!r} is unknown: choose from default, {', '.join((*DATASETS, *CSP_PRESETS))}"
        )
    encoder = given.get("encoder", Sphere2VecConfig.encoder)
    best = published(encoder, name)
    found = encoder_options(encoder, name, given.get("variant", "corrected"))
    features = found.pop("options")
    chosen = {**found, **features, "batch_size": best.batch_size, "loss": "presence"}
    chosen |= {"balance": MOST_OF_A_CLASS[name], "background_weight": BACKGROUND_WEIGHT}
    if given.get("loss", "presence") not in ("presence", "auto"):
        chosen = {key: value for key, value in chosen.items() if key not in ("loss", "background_weight")}
        if given["loss"] == "regression":
            del chosen["balance"]
    training = {
        "learning_rate": best.learning_rate, "optimiser": "adam", "weight_decay": 0.0, "clip_norm": 0.0, "warmup": 0.0,
        "schedule": "decay", "epochs": EPOCHS,
    }  # fmt: skip
    return chosen, training


def _check_types(given: Mapping[str, Any]) -> None:
    """UsageError for an option of another type than its field: options may come from a file."""
    shapes: dict[str, Any] = {
        "int": int, "float": float, "str": str, "bool": bool, "float | None": (float, NONE),
        "str | None": (str, NONE), "int | None": (int, NONE), "bool | None": (bool, NONE),
    }  # fmt: skip
    for item in (*fields(Sphere2VecConfig), *fields(TrainingOptions)):
        if item.name in given:
            try:
                check(given[item.name], shapes[str(item.type)], item.name)
            except ValueError as error:
                raise UsageError(f"option {error}") from None
