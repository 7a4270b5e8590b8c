"""Options of the recipe Sphere2Vec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option
from placevec.options.choices import Clock, Variant
from placevec.options.durations import seconds_of
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
ENCODER_OPTIONS = (
    "variant", "network", "hidden", "layers", "dropout", "activation", "seasons", "months", "hours", "clock",
)  # fmt: skip
FEATURE_OPTIONS = (
    "scales", "r_min", "r_max", "taper_poles", "sigma", "anchors", "frequencies", "kernel_size", "degrees", "cells",
    "cell_width",
)  # fmt: skip
OF_ENCODER = ("encoder", "dim", *ENCODER_OPTIONS, "trend", *FEATURE_OPTIONS)
"""Options that define the encoder, and so come from the run that ``init`` names."""
DATASETS = ("birdsnap", "nabirds", "inat2017", "inat2018", "yfcc", "fmow")
"""Datasets with known best hyperparameters, see `placevec.recipes.sphere2vec.presets`."""
ENCODER, FEATURES, OBJECTIVE, DATA, TRAINING = "Location encoder", "Features", "Objective", "Data", "Training"


@dataclass(frozen=True)
class EncoderChoices(Options):
    """The location encoder; None means the default of the encoder.

    Radii are in Earth radii; those of the original grid and theory are in degrees.
    """

    GROUP: ClassVar[str] = ENCODER

    encoder: str = option(
        "sphereC+",
        "Location encoder, by any of its names (`all` trains every encoder, each in a subfolder of --out)",
    )
    dim: int = option(256, "Length of the vectors", min=1)
    variant: Variant = option(
        "corrected", "Variant of the encoder (original: formula, network and defaults of the published code)"
    )
    network: str | None = option(
        None,
        "Network after the features: ffn, resnet, siren, residual, linear or none (default: depends on the encoder)",
    )
    hidden: int | None = option(None, "Units per hidden layer (default 512)")
    layers: int | None = option(None, "Hidden layers or blocks (default 1)")
    dropout: float | None = option(None, "Share of units dropped in training (default 0.1)")
    activation: str | None = option(
        None, "Activation: relu, leakyrelu, gelu, sigmoid or tanh (default: depends on the encoder)"
    )
    seasons: int = option(0, "Harmonics of the time of year, if places have dates (0 disables it)", min=0)
    months: bool = option(False, "A feature for each month of the year, if places have dates")
    hours: int = option(
        0, "Harmonics of the hour of the day, if dates of the places have times (0 disables it)", min=0
    )
    clock: Clock = option(
        "utc",
        "Time that --hours refers to (utc: times without a zone are UTC; solar: UTC plus an hour for "
        "every 15 degrees east)",
    )
    trend: bool = option(
        False,
        "A feature for the absolute time, within the period of training and constant before and after it",
    )
    scales: int | None = option(
        None,
        "Number of scales, for multi-scale encoders (default: one per octave between --r-min and --r-max)",
        group=FEATURES,
    )
    r_min: float | None = option(
        None,
        "Finest scale, Earth radii; 0.001 is a wavelength of 40 km (default: based on the spacing of the places)",
        group=FEATURES,
    )
    r_max: float | None = option(None, "Coarsest scale, Earth radii (default 1)", group=FEATURES)
    taper_poles: bool | None = option(
        None, "Fade out features that are discontinuous at the poles (default off)", group=FEATURES
    )
    sigma: float | None = option(
        None,
        "Width for rbf in degrees, or scale for rff (default: based on the spacing of the places)",
        group=FEATURES,
    )
    anchors: int | None = option(
        None, "Training places used as anchors of rbf, drawn at random (default 200)", group=FEATURES
    )
    frequencies: int | None = option(None, "Number of frequencies, for rff", group=FEATURES)
    kernel_size: float | None = option(
        None, "Variance of the frequencies, for the original rff", group=FEATURES
    )
    degrees: int | None = option(
        None, "Maximum degree of harmonics (default: based on the spacing of the places)", group=FEATURES
    )
    cells: int | None = option(None, "Number of cells, for the encoder cells (default 2048)", group=FEATURES)
    cell_width: int | None = option(None, "Length of each cell's vector (default 64)", group=FEATURES)

    def __post_init__(self) -> None:
        from placevec.encoders.locations.names import known_as

        super().__post_init__()
        object.__setattr__(self, "encoder", known_as(self.encoder))
        if self.clock != "utc" and not self.hours:
            raise UsageError("--clock applies to --hours: add --hours 1")

    @property
    def times(self) -> tuple[str, ...]:
        """What is read of the time, in the order of `placevec.encoders.locations.times.LIMITS`."""
        given = {"season": self.seasons, "month": self.months, "hour": self.hours, "time": self.trend}
        return tuple(name for name, value in given.items() if value)

    def encoder_arguments(self) -> dict[str, Any]:
        """The arguments of `placevec.encoders.location`, except name, dim and the anchors of rbf."""
        named = (*ENCODER_OPTIONS, *(name for name in FEATURE_OPTIONS if name != "anchors"))
        found = {name: value for name in named if (value := getattr(self, name)) is not None}
        if not self.hours:
            del found["clock"]
        if "cell_width" in found:
            found["width"] = found.pop("cell_width")
        return found


@dataclass(frozen=True)
class Sphere2VecConfig(ContrastChoices, EncoderChoices):
    """Options of the recipe; None means the default of the encoder or the loss.

    >>> config = Sphere2VecConfig(encoder="sphereC+", scales=16)
    >>> config.encoder_arguments()["scales"]
    16
    """

    GROUP: ClassVar[str] = OBJECTIVE

    loss: Loss = option(
        "auto",
        "Loss (auto: presence for classes, regression for numbers; csp for images without labels)",
    )
    positive_weight: float | None = option(
        None,
        "Weight of the observed class in presence and an_full (default: the number of classes; 2048 for an_full)",
    )
    background: Literal["sphere", "octant", "land", "target-group"] | None = option(
        None,
        "Where background points are drawn (default sphere; octant: as in the original; target-group: other places)",
    )
    background_weight: float | None = option(
        None, "Weight of background points in presence, an_full and csp (default 1)"
    )
    land: Path | None = option(
        None, "Outlines of land for --background land, GeoJSON (default: coarse outlines)"
    )
    users: bool = option(False, "Also learn a vector for each user (with the loss presence)")
    label_smoothing: float | None = option(None, "Label smoothing for cross-entropy (default 0)")
    balance: int | None = option(
        None,
        "Maximum number of places per class and epoch, drawn anew each epoch (default: all)",
        group=DATA,
        min=1,
    )
    few_shot: float = option(
        1.0, "Share of the training labels to use, per class", group=DATA, above=0, max=1
    )
    validation_share: float = option(
        0.1,
        "Share of the places held out in whole blocks if the dataset has no split",
        group=DATA,
        min=0,
        max=0.5,
    )
    block_m: float | None = option(
        None,
        "Side of the validation blocks, meters (default: a twentieth of the extent, at most 500 km)",
        group=DATA,
        above=0,
    )
    rasters: tuple[Path, ...] = option(
        (),
        "Raster whose bands are read in addition to the coordinates, such as climate or elevation (may be repeated; "
        "any CRS, kept in"
        " the model)",
        group=ENCODER,
    )
    tune: str | None = option(
        None,
        "Time to spend on choosing scales, dropout and network on the validation places, such as 10m (default: no "
        "search; options that you set are kept)",
        group=ENCODER,
    )
    batch_size: int = option(1024, "Places per batch (halved if memory runs out)", group=TRAINING, min=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds_of(self.tune, "--tune")
        if self.loss != "auto":
            self.check_loss(self.loss)
        if self.rasters and self.init is not None:
            raise UsageError(
                "--rasters applies only to a new encoder: remove --init, or remove --rasters to use those of its run"
            )
        if self.land is not None and self.background != "land":
            raise UsageError(
                "--land sets the outlines for background points on land: use --background land --land FILE"
            )

    def check_loss(self, loss: str) -> None:
        """UsageError for an option that has no effect with a loss."""
        self.check_contrast(loss)
        for given, meant, name in (
            (self.background is not None, (*WITH_BACKGROUND, *CONTRASTS), "background"),
            (self.background_weight is not None, ("presence", "an_full", *CONTRASTS), "background_weight"),
            (self.positive_weight is not None, ("presence", "an_full"), "positive_weight"),
            (self.users, ("presence",), "users"),
            (self.label_smoothing is not None, ("cross-entropy",), "label_smoothing"),
            (bool(self.rasters), tuple(one for one in LOSSES if one not in CSP_LOSSES), "rasters"),
            (self.tune is not None, tuple(one for one in LOSSES if one not in CSP_LOSSES), "tune"),
            (
                self.balance is not None,
                tuple(one for one in LOSSES if one not in ("regression", *CSP_LOSSES)),
                "balance",
            ),
        ):
            if given and loss not in meant:
                raise UsageError(
                    f"{flag_of(name)} has no effect with --loss {loss}: it applies to {', '.join(meant)}"
                )
