"""The best known hyperparameters of every encoder of Sphere2Vec on six datasets, also in placevec's units.

The original repository never contained the script with these numbers. They were recovered from the names of the 78
checkpoints that TorchSpatial (Wu et al. 2024, doi:10.48550/arXiv.2406.15658; github.com/seai-lab/TorchSpatial at
9f8d833) lists for the same encoders and, for fMoW and YFCC, from the contents of those files. Each is the best of one
search with one run per cell, without seeds or intervals. BirdSnap and NABirds are those with simulated metadata
(``ebird_meta``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from placevec.encoders.locations.frequencies import Schedule, max_scales, odd, whole
from placevec.encoders.locations.names import Variant, known_as
from placevec.errors import UsageError
from placevec.recipes.sphere2vec.config import DATASETS, Sphere2VecConfig

Unit = Literal["degrees", "earth radii"]


@dataclass(frozen=True)
class Published:
    """The best hyperparameters found for one encoder on one dataset, in the original's units.

    Attributes:
        learning_rate: initial learning rate of Adam; multiplied by `DECAY` after every epoch.
        layers: hidden layers of the network. Not for ``wrap``, whose residual network is fixed.
        hidden: units of each layer.
        activation: relu, leakyrelu or sigmoid.
        batch_size: samples per batch.
        scales: S, ``--frequency_num``; always 16 for NeRF.
        r_min: the finest radius in `unit`, ``--min_radius``.
        r_max: the coarsest radius, ``--max_radius``.
        anchors: for rbf, ``--num_rbf_anchor_pts``: number of training places.
        sigma: for rbf, ``--rbf_kernal_size``, in degrees.
        frequencies: for rff, ``--frequency_num``.
        kernel_size: for rff, ``--rbf_kernal_size``: variance of its draws.
    """

    learning_rate: float
    layers: int = 1
    hidden: int = 512
    activation: str = "relu"
    batch_size: int = 1024
    scales: int | None = None
    r_min: float | None = None
    r_max: float | None = None
    anchors: int | None = None
    sigma: float | None = None
    frequencies: int | None = None
    kernel_size: float | None = None

    @property
    def unit(self) -> Unit | None:
        """Unit of the radii: degrees if r_max is 360 (grid, theory), otherwise Earth radii; None without radii."""
        if self.r_max is None:
            return None
        return "degrees" if self.r_max > 1 else "earth radii"

    @property
    def radii(self) -> tuple[float, float] | None:
        """r_min and r_max in Earth radii; None if the encoder has no radii.

        The code uses degrees / r as radians: a wavelength is 2 pi r degrees, so r degrees are radians(r) Earth radii.
        """
        if self.r_min is None or self.r_max is None:
            return None
        if self.unit == "earth radii":
            return self.r_min, self.r_max
        return math.radians(self.r_min), math.radians(self.r_max)


DIM, DROPOUT, EPOCHS, DECAY, BACKGROUND_WEIGHT = 256, 0.5, 30, 0.98, 1.0
"""Shared by all: length of vectors, dropout, the default number of epochs (logs show 30 to 126), the factor of the
learning rate per epoch, and the weight of background points in the loss."""
MAX_PER_CLASS: Mapping[str, int | None] = dict.fromkeys(DATASETS, 100) | {"yfcc": None}
"""Samples per class and epoch, drawn without replacement; None: all."""


def _ffn(learning_rate: float, **rest: Any) -> Published:
    return Published(learning_rate, **rest)


def _plane(learning_rate: float, scales: int, r_min: float, hidden: int, batch_size: int = 4096) -> Published:
    return Published(learning_rate, 1, hidden, "leakyrelu", batch_size, scales, r_min, 360.0)


def _sphere(
    learning_rate: float, scales: int, r_min: float, hidden: int = 512, activation: str = "relu"
) -> Published:
    return Published(learning_rate, 1, hidden, activation, 1024, scales, r_min, 1.0)


def _dfs(
    learning_rate: float, scales: int, r_min: float, layers: int, hidden: int, batch_size: int = 4096
) -> Published:
    return Published(learning_rate, layers, hidden, "leakyrelu", batch_size, scales, r_min, 1.0)


def _nerf(activation: str) -> Published:
    return Published(0.01, 1, 256, activation, scales=16)


def _rbf(learning_rate: float, anchors: int) -> Published:
    return Published(learning_rate, anchors=anchors, sigma=2.0)


def _rff(learning_rate: float, frequencies: int, kernel_size: float) -> Published:
    return Published(learning_rate, frequencies=frequencies, kernel_size=kernel_size)


_FOUND: Mapping[str, tuple[Published, ...]] = {  # in the order of DATASETS
    "xyz": (
        _ffn(0.002, layers=2), _ffn(0.02706033, layers=3, hidden=1024), _ffn(0.0005), _ffn(0.0005), _ffn(0.002),
        _ffn(0.005),
    ),
    "wrap": tuple(Published(rate) for rate in (0.005, 0.005, 0.005, 0.00316757, 0.001, 0.005)),
    "wrap+ffn": (
        _ffn(0.001), _ffn(0.002), _ffn(0.00060059, activation="leakyrelu"),
        _ffn(0.01402766, hidden=256, activation="leakyrelu"), _ffn(0.002), _ffn(0.002),
    ),
    "rbf": (
        _rbf(0.0005, 200), _rbf(0.0005, 200), _rbf(0.01, 500), _rbf(0.01, 500), _rbf(0.001, 200), _rbf(0.005, 200),
    ),
    "rff": (
        _rff(0.002, 64, 2.0), _rff(0.001, 64, 2.0), _rff(0.0005, 16, 0.1), _rff(0.0005, 64, 2.0),
        _rff(0.001, 64, 1.0), _rff(0.005, 64, 2.0),
    ),
    "grid": (
        _plane(0.01, 128, 0.1, 512, 1024), _plane(0.01, 32, 0.1, 256), _plane(0.02, 128, 0.005, 256),
        _plane(0.01, 32, 1e-4, 512), _plane(0.01, 64, 0.005, 512), _plane(0.01, 128, 0.02, 512, 8192),
    ),
    "theory": (
        _plane(0.01, 32, 0.05, 256), _plane(0.01, 32, 0.05, 256), _plane(0.02, 64, 0.1, 256),
        _plane(0.02, 64, 0.05, 512), _plane(0.01, 64, 0.05, 256), _plane(0.02, 64, 1e-4, 512, 8192),
    ),
    "NeRF": tuple(_nerf(one) for one in ("leakyrelu", "sigmoid", "leakyrelu", "leakyrelu", "relu", "relu")),
    "sphereC": (
        _sphere(0.001, 64, 0.001), _sphere(0.001, 64, 5e-4), _sphere(1e-4, 32, 0.01, 1024),
        _sphere(5e-4, 64, 0.001, 1024, "leakyrelu"), _sphere(5e-4, 64, 1e-4), _sphere(0.005, 64, 5e-4),
    ),
    "sphereC+": (
        _sphere(0.001, 64, 1e-4), _sphere(0.001, 64, 1e-4), _sphere(1e-4, 32, 0.01, 1024),
        _sphere(5e-4, 64, 0.001, 1024, "leakyrelu"), _sphere(5e-4, 64, 5e-4), _sphere(0.005, 64, 1e-4),
    ),
    "sphereM": (
        _sphere(0.001, 64, 0.001), _sphere(0.001, 32, 0.001), _sphere(1e-4, 32, 0.01, 1024),
        _sphere(5e-4, 64, 0.001, 1024, "leakyrelu"), _sphere(0.001, 64, 5e-4), _sphere(0.005, 64, 1e-4),
    ),
    "sphereM+": (
        _sphere(0.001, 64, 0.001), _sphere(0.01371944, 32, 1.75e-5, 256, "leakyrelu"), _sphere(1e-4, 32, 0.01, 1024),
        _sphere(5e-4, 64, 0.001, 1024, "leakyrelu"), _sphere(0.00078654, 64, 3.025e-4, 512, "leakyrelu"),
        _sphere(0.00916117, 64, 0.0662392, 1024, "leakyrelu"),
    ),
    "dfs": (
        _dfs(0.01, 8, 0.1, 3, 512), _dfs(0.01, 8, 0.005, 3, 256), _dfs(0.01, 8, 0.01, 1, 512),
        _dfs(0.01, 8, 1e-4, 1, 512), _dfs(0.01, 8, 0.005, 3, 512), _dfs(0.01, 64, 0.01, 1, 512, 8192),
    ),
}  # fmt: skip

ENCODERS = tuple(_FOUND)
"""placevec's names of the encoders with presets: the original thirteen."""

_SCHEDULES: Mapping[str, Schedule] = {
    "grid": whole, "theory": whole, "sphereC": odd, "sphereC+": odd, "sphereM": odd, "sphereM+": odd, "dfs": odd,
}  # fmt: skip


def published(encoder: str, dataset: str) -> Published:
    """The best hyperparameters found, in the original's units.

    Args:
        encoder: any name of one of the original thirteen.
        dataset: one of `DATASETS`; case, spaces, hyphens and underscores are ignored.

    Raises:
        ModelError: an unknown encoder.
        UsageError: no preset for that encoder, or an unknown dataset.

    >>> published("spheregrid", "iNat_2018").r_min
    0.001
    """
    title = known_as(encoder)
    if title not in _FOUND:
        raise UsageError(f"there is no preset for {title}: choose from {', '.join(ENCODERS)}")
    name = "".join(letter for letter in dataset.lower() if letter not in " -_")
    if name not in DATASETS:
        raise UsageError(
            f"there is no preset for dataset {dataset[:40]!r}: choose from {', '.join(DATASETS)}"
        )
    return _FOUND[title][DATASETS.index(name)]


def encoder_options(encoder: str, dataset: str, variant: Variant = "corrected") -> dict[str, Any]:
    """A preset as the arguments of `placevec.encoders.location`.

    For ``original`` they are the original numbers. ``corrected`` encoders get the same wavelengths: radii in degrees
    are converted to Earth radii, at most once around the Earth. If fewer than S frequencies are periodic around the
    Earth, S is reduced to their number. NeRF gets one more band, because placevec's starts an octave lower. rff gets
    the width of the original's kernel in the geometric mean of its directions: over the whole Earth it is twice as
    wide in longitude.
    ``anchors`` of rbf is a number: the original draws that many training places; without training places, that many
    evenly spread anchors are used.

    >>> found = encoder_options("gridcell", "birdsnap")
    >>> found["options"]["scales"], round(found["options"]["r_min"], 6), found["options"]["r_max"]
    (128, 0.001745, 1.0)
    """
    best, title = published(encoder, dataset), known_as(encoder)
    found: dict[str, Any] = {"encoder": title, "dim": DIM, "variant": variant, "dropout": DROPOUT}
    if title != "wrap":
        found |= {"hidden": best.hidden, "layers": best.layers, "activation": best.activation}
    named = ("scales", "r_min", "r_max", "anchors", "sigma", "frequencies", "kernel_size")
    options = {name: value for name in named if (value := getattr(best, name)) is not None}
    found["options"] = options if variant == "original" else _corrected(title, best, options)
    return found


def _corrected(title: str, best: Published, options: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(options)
    if best.radii is not None and best.scales is not None:
        r_min, r_max = best.radii[0], min(best.radii[1], 1.0)
        scales = min(best.scales, max_scales(_SCHEDULES[title], r_min))
        found |= {"scales": scales, "r_min": r_min, "r_max": r_max}
    elif title == "NeRF" and best.scales is not None:
        found["scales"] = best.scales + 1
    elif best.kernel_size is not None:
        del found["kernel_size"]
        found["sigma"] = math.sqrt(180.0 * 90.0) / math.sqrt(best.kernel_size)
    return found


def dataset_preset(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the recipe and of training: the best known ones of the given encoder on a dataset.

    With Adam, a factor of 0.98 per epoch and at most 100 places per class, as in the original.

    >>> dataset_preset("inat2018", {"encoder": "sphereC"})["learning_rate"]
    0.0005
    """
    encoder = given.get("encoder", Sphere2VecConfig.encoder)
    best = published(encoder, name)
    found = encoder_options(encoder, name, given.get("variant", "corrected"))
    features = found.pop("options")
    chosen = {**found, **features, "batch_size": best.batch_size, "loss": "presence"}
    chosen |= {"balance": MAX_PER_CLASS[name], "background_weight": BACKGROUND_WEIGHT}
    if given.get("loss", "presence") not in ("presence", "auto"):
        chosen = {key: value for key, value in chosen.items() if key not in ("loss", "background_weight")}
        if given["loss"] == "regression":
            del chosen["balance"]
    training = {
        "learning_rate": best.learning_rate, "optimizer": "adam", "weight_decay": 0.0, "clip_norm": 0.0, "warmup": 0.0,
        "schedule": "decay", "epochs": EPOCHS,
    }  # fmt: skip
    return {**chosen, **training}
