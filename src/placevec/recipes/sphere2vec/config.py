"""Every choice of the recipe Sphere2Vec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option
from placevec.options.choices import Variant
from placevec.recipes.sphere2vec.csp_config import CONTRASTS, CSP_LOSSES, ContrastChoices

Loss = Literal[
    "auto",
    "presence",
    "an_full",
    "an_slds",
    "an_ssdl",
    "cross-entropy",
    "regression",
    "csp",
    "csp-nce",
    "csp-mse",
]
LOSSES = tuple(name for name in get_args(Loss) if name != "auto")
OF_PRESENCE = ("presence", "an_full", "an_slds", "an_ssdl")
WITH_BACKGROUND = ("presence", "an_full", "an_ssdl")
ENCODER_OPTIONS = ("variant", "network", "hidden", "layers", "dropout", "activation", "seasons")
FEATURE_OPTIONS = (
    "scales", "r_min", "r_max", "taper_poles", "sigma", "anchors", "frequencies", "kernel_size", "degrees", "cells",
    "cell_width",
)  # fmt: skip
OF_ENCODER = ("encoder", "dim", *ENCODER_OPTIONS, *FEATURE_OPTIONS)
"""What makes an encoder, and so comes from the run that ``init`` names."""
DATASETS = ("birdsnap", "nabirds", "inat2017", "inat2018", "yfcc", "fmow")
"""Data sets for which the best hyper-parameters of encoders are known, see `placevec.recipes.sphere2vec.presets`."""
ENCODER, FEATURES, OBJECTIVE, DATA, TRAINING = "Location encoder", "Features", "Objective", "Data", "Training"


@dataclass(frozen=True)
class EncoderChoices(Options):
    """The location encoder; None leaves a choice to it.

    Radii are shares of the Earth's radius; those of the original grid and theory are degrees.
    """

    GROUP: ClassVar[str] = ENCODER

    encoder: str = option(
        "sphereC+", "Location encoder, by any of its names (all: every one, each into a folder of --out)"
    )
    dim: int = option(256, "Length of the vectors", min=1)
    variant: Variant = option(
        "corrected", "Variant of the encoder (original: formula, network and defaults as published in code)"
    )
    network: str | None = option(
        None,
        "Network after the features: ffn, resnet, siren, residual, linear or none (default: by the encoder)",
    )
    hidden: int | None = option(None, "Units of a hidden layer (default 512)")
    layers: int | None = option(None, "Hidden layers or blocks (default 1)")
    dropout: float | None = option(None, "Share of units dropped in training (default 0.1)")
    activation: str | None = option(
        None, "Activation: relu, leakyrelu, gelu, sigmoid or tanh (default: by the encoder)"
    )
    seasons: int = option(
        0, "Harmonics of the share of the year, where places have dates (0 leaves it out)", min=0
    )
    scales: int | None = option(
        None, "Number of scales, of the multi-scale encoders (default 32)", group=FEATURES
    )
    r_min: float | None = option(
        None, "Finest scale, share of the Earth's radius (default 0.001, a wave of 40 km)", group=FEATURES
    )
    r_max: float | None = option(
        None, "Coarsest scale, share of the Earth's radius (default 1)", group=FEATURES
    )
    taper_poles: bool | None = option(
        None, "Fading of features that would tear at the poles (default off)", group=FEATURES
    )
    sigma: float | None = option(None, "Width of rbf in degrees, or scale of rff", group=FEATURES)
    anchors: int | None = option(
        None, "Training places that rbf measures distances to, drawn at random (default 200)", group=FEATURES
    )
    frequencies: int | None = option(None, "Number of frequencies of rff", group=FEATURES)
    kernel_size: float | None = option(
        None, "Variance of the frequencies of the original rff", group=FEATURES
    )
    degrees: int | None = option(None, "Maximum degree of harmonics (default 20)", group=FEATURES)
    cells: int | None = option(None, "Number of cells, of cells (default 2048)", group=FEATURES)
    cell_width: int | None = option(None, "Length of a cell's vector (default 64)", group=FEATURES)

    def __post_init__(self) -> None:
        from placevec.encoders.locations.names import known_as

        super().__post_init__()
        object.__setattr__(self, "encoder", known_as(self.encoder))

    def encoder_arguments(self) -> dict[str, Any]:
        """The arguments of `placevec.encoders.location`, but for name, dim and the anchors of rbf."""
        named = (*ENCODER_OPTIONS, *(name for name in FEATURE_OPTIONS if name != "anchors"))
        found = {name: value for name in named if (value := getattr(self, name)) is not None}
        if "cell_width" in found:
            found["width"] = found.pop("cell_width")
        return found


@dataclass(frozen=True)
class Sphere2VecConfig(ContrastChoices, EncoderChoices):
    """Every choice of the recipe; None leaves a choice to the encoder or the loss."""

    GROUP: ClassVar[str] = OBJECTIVE

    loss: Loss = option(
        "auto",
        "Loss (auto: presence of classes, regression of numbers; csp where there are images and no labels)",
    )
    positive_weight: float | None = option(
        None,
        "Weight of the observed class in presence and an_full (default: the number of classes; 2048 of an_full)",
    )
    background: Literal["sphere", "octant", "land", "target-group"] | None = option(
        None,
        "Where background points lie (default sphere; octant as in the founding code, target-group: other places)",
    )
    background_weight: float | None = option(
        None, "Weight of background points in presence, an_full and csp (default 1)"
    )
    land: Path | None = option(
        None, "Outlines of the land for --background land, GeoJSON (default: coarse ones)"
    )
    users: bool = option(False, "Vectors of users learned too, with presence")
    label_smoothing: float | None = option(None, "Label smoothing of cross-entropy (default 0)")
    balance: int | None = option(
        None,
        "Maximum number of places of a class in an epoch, drawn anew each time (default: all)",
        group=DATA,
        min=1,
    )
    few_shot: float = option(
        1.0, "Share of the training labels to use, of every class", group=DATA, above=0, max=1
    )
    validation_share: float = option(
        0.1,
        "Share of the places held out in whole blocks, where the dataset has no split",
        group=DATA,
        min=0,
        max=0.5,
    )
    block_m: float | None = option(
        None,
        "Side of these blocks, meters (default: a twentieth of the extent, at most 500 km)",
        group=DATA,
        above=0,
    )
    batch_size: int = option(1024, "Places in a batch (halved where memory runs out)", group=TRAINING, min=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss != "auto":
            self.check_loss(self.loss)
        if self.land is not None and self.background != "land":
            raise UsageError(
                "outlines of the land are for background points on land: --background land --land FILE"
            )

    def check_loss(self, loss: str) -> None:
        """UsageError for a choice that has no effect with a loss."""
        self.check_contrast(loss)
        for given, meant, name in (
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
                raise UsageError(
                    f"{flag_of(name)} has no effect with --loss {loss}: it is of {', '.join(meant)}"
                )
