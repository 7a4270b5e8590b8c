"""Loc2Vec: the layers of the map around a place, learned by telling near from far.

V. Spruyt, "Loc2Vec: Learning location embeddings with triplet-loss networks", Sentiance, 2018; the 12-layer
pipeline of founding document 004. Near places, turned, shifted and with layers switched off, must be closer in
the space of vectors than far ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from placevec import encoders
from placevec.core import Encoded, Objective, Recipe, Slot, View, ViewSpec
from placevec.dataset import Dataset
from placevec.documents import NONE, check
from placevec.errors import InputError, UsageError
from placevec.geo import TILE_PX, Ints, footprint_bounds, hold_out_blocks, metres_per_pixel, to_ecef
from placevec.joined import JoinedDataset
from placevec.metrics import effective_rank, triplet_accuracy
from placevec.objectives.contrastive import InfoNCE
from placevec.objectives.prediction import PredictDistribution, PredictShares
from placevec.objectives.triplet import SoftPN, TripletLoss
from placevec.recipes.osm_dataset import prepare
from placevec.sampling import NearFarSampler
from placevec.training import TrainingOptions
from placevec.views.contents import Contents, Ground, landuse_contents, layer_contents, tag_contents

__all__ = ["Built", "Loc2VecConfig", "build", "config_dict", "configure", "prepare"]

OBJECTIVES = ("infonce", "triplet", "triplet-swap", "softpn")
PREDICTABLE = ("layers", "landuse", "tags")
_LESSON_WEIGHTS = {"layers": 0.25, "landuse": 1.5, "tags": 0.5}
"""Of losses that are all 1 where nothing is known; see docs/decisions/0004."""
PRESETS = ("default", "founding", "taught")


@dataclass(frozen=True)
class Loc2VecConfig:
    """Every choice of the recipe. Distances are metres.

    Attributes:
        encoder: registered name of the tile encoder.
        dim: length of the vectors.
        width: channels of the first stage of the shape and the compact encoder.
        dropout: of the founding encoder.
        size_px: side of the window in pixels.
        size_m: side of the window in metres; None reads whole native tiles, whose footprint varies with latitude.
        drop_layers: layers kept out of the input, so that tasks made of their tags stay honest.
        objective: ``infonce``, ``triplet``, ``triplet-swap`` or ``softpn``.
        margin: of the triplet objectives.
        temperature: of InfoNCE.
        near_m: positives lie within this distance of the anchor.
        far_m: negatives lie at least this far away; nearer pairs of a batch are not negatives.
        positives: ``disc`` (any point near the anchor) or ``places`` (another place of the table near it).
        rotate: turn the map by a random angle before each window is read.
        drop_channels: chance that a layer of the positive is switched off; of the anchor where nothing is contrasted.
        predict: what the vectors must also foretell of a place, as shares: ``layers`` (those kept out of the input),
            ``landuse``, ``tags`` (which occur). These are labels: vectors are then judged on other ground only.
        contrast_weight: of the objective beside the predictions; 0 leaves it out.
        most_places: places of one dataset that are trained on, drawn at random, so that the largest of several does
            not outweigh the others; None: all.
        batch_size: anchors in a batch.
        validation_share: share of the places held out in whole blocks.
        block_m: side of a block; None chooses an eighth of the extent, between 250 m and 5 km.
    """

    encoder: str = "shape-tile-cnn"
    dim: int = 128
    width: int = 32
    dropout: float = 0.5
    size_px: int = 128
    size_m: float | None = 200.0
    drop_layers: tuple[str, ...] = ()
    objective: str = "infonce"
    margin: float = 0.2
    temperature: float = 0.1
    near_m: float = 100.0
    far_m: float = 300.0
    positives: str = "disc"
    rotate: bool = True
    drop_channels: float = 0.25
    predict: tuple[str, ...] = ()
    contrast_weight: float = 1.0
    most_places: int | None = None
    batch_size: int = 64
    validation_share: float = 0.1
    block_m: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "drop_layers", tuple(self.drop_layers))
        object.__setattr__(self, "predict", tuple(self.predict))
        if self.objective not in OBJECTIVES:
            raise UsageError(f"objective {self.objective!r} is unknown: choose from {', '.join(OBJECTIVES)}")
        if self.size_px < 16:
            raise InputError(f"a window of {self.size_px} px is too small: at least 16")
        if self.size_m is not None and not self.size_m > 0:
            raise InputError(f"a window needs a positive size in metres; got {self.size_m}")
        if not 0 < self.near_m < self.far_m:
            raise InputError(f"near ({self.near_m} m) must be positive and less than far ({self.far_m} m)")
        if self.batch_size < 2:
            raise InputError("a batch needs at least two places")
        if unknown := [name for name in self.predict if name not in PREDICTABLE]:
            raise UsageError(f"{unknown[0]!r} cannot be predicted: choose from {', '.join(PREDICTABLE)}")
        if not self.contrast_weight >= 0 or (self.contrast_weight == 0 and not self.predict):
            raise InputError(
                "nothing is left to learn: give contrast a weight above 0, or something to predict"
            )
        if self.most_places is not None and self.most_places < 2:
            raise InputError("at least two places of a dataset are trained on")


FOUNDING = {
    "encoder": "founding-tile-cnn",
    "size_px": 256,
    "size_m": None,
    "objective": "triplet-swap",
    "margin": 0.2,
    "near_m": 400.0,  # two tiles of zoom 17 in Kyiv
    "far_m": 2000.0,  # ten
    "positives": "places",
    "rotate": False,
    "drop_channels": 0.0,
    "batch_size": 16,
}
FOUNDING_TRAINING = {"learning_rate": 1e-3, "weight_decay": 1e-5, "schedule": "plateau", "warmup": 0.0}
"""Founding document 004's hyper-parameters, where they differ from the defaults."""

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


@dataclass
class Built:
    """A recipe over a dataset, ready for the training loop."""

    recipe: Recipe
    views: dict[str, View]
    specs: dict[str, ViewSpec]
    training: TrainingOptions
    places: int
    held_out: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
    presets: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "default": ({}, {}), "founding": (FOUNDING, FOUNDING_TRAINING), "taught": (TAUGHT, TAUGHT_TRAINING),
    }  # fmt: skip
    base, base_training = presets[preset]
    config = Loc2VecConfig(**{**base, **{key: value for key, value in given.items() if key in own}})
    return config, {**base_training, **{key: value for key, value in given.items() if key in loop}}


def _check_types(given: Mapping[str, Any]) -> None:
    """InputError for an option of another type than its field: options may come from a file."""
    shapes: dict[str, Any] = {
        "int": int, "float": float, "str": str, "bool": bool, "float | None": (float, NONE),
        "int | None": (int, NONE), "tuple[str, ...]": [str],
    }  # fmt: skip
    for item in (*fields(Loc2VecConfig), *fields(TrainingOptions)):
        if item.name in given:
            value = given[item.name]
            try:
                check(list(value) if isinstance(value, tuple) else value, shapes[str(item.type)], item.name)
            except ValueError as error:
                raise InputError(f"option {error}") from None


def kept_channels(spec: ViewSpec, drop: tuple[str, ...]) -> tuple[str, ...]:
    """The layers that are read; InputError for an unknown one or when none is left."""
    unknown = [layer for layer in drop if layer not in spec.channels]
    if unknown:
        raise InputError(f"there is no layer {unknown[0]!r} to drop: the map has {', '.join(spec.channels)}")
    kept = tuple(layer for layer in spec.channels if layer not in drop)
    if not kept:
        raise InputError("every layer was dropped: nothing is left to learn from")
    return kept


def _objective(config: Loc2VecConfig) -> Objective:
    if config.objective == "infonce":
        return InfoNCE(temperature=config.temperature, exclusion_m=config.far_m)
    if config.objective == "softpn":
        return SoftPN()
    swap = config.objective == "triplet-swap"
    return TripletLoss(margin=config.margin, swap=swap, reduction="active" if swap else "mean")


def _encoder(config: Loc2VecConfig, channels: int) -> Any:
    options: dict[str, Any] = {"channels": channels, "dim": config.dim}
    if config.encoder == "founding-tile-cnn":
        options.update(size_px=config.size_px, dropout=config.dropout)
    elif config.encoder == "shape-tile-cnn":
        # margins of triplets are measured between vectors of length 1
        options.update(
            width=config.width, unit_norm=config.contrast_weight > 0 and "triplet" in config.objective
        )
    else:
        # SoftPN never gets low on vectors of length 1: distances must be free to grow. Predictions need no length 1.
        unit_norm = config.objective != "softpn" and config.contrast_weight > 0
        options.update(width=config.width, unit_norm=unit_norm)
    return encoders.build(config.encoder, **options)


def measure(slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, float]:
    """Numbers of a validation batch: triplet accuracy against a shuffled far place, and the effective rank."""
    anchor = slots["anchor"].z
    if "positive" not in slots:
        return {"effective_rank": effective_rank(anchor)}
    positive = slots["positive"].z
    negative = slots["negative"].z if "negative" in slots else anchor.roll(len(anchor) // 2, 0)
    return {
        "triplet_accuracy": triplet_accuracy(anchor, positive, negative),
        "effective_rank": effective_rank(anchor),
    }


def block_size(lonlat: np.ndarray[Any, Any], config: Loc2VecConfig) -> float:
    """Side of the blocks held out for validation, metres."""
    if config.block_m is not None:
        return config.block_m
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    extent = float(np.linalg.norm(xyz.max(0) - xyz.min(0)))
    return float(np.clip(extent / 8.0, 250.0, 5000.0))


def _split(
    dataset: Dataset | JoinedDataset, config: Loc2VecConfig, rows: Ints, seed: int
) -> tuple[Ints, Ints, dict[str, Any]]:
    """(training rows, validation rows, how they were held out); the last is empty when the extent is too small."""
    lonlat = dataset.lonlat[rows]
    footprint = config.size_m or float(np.max(metres_per_pixel(lonlat[:, 1], dataset.zoom))) * TILE_PX
    held_out: dict[str, Any] = {
        "size_m": block_size(lonlat, config),
        "share": config.validation_share,
        # no pixel shared: turned windows reach half a diagonal, and both sides' positives leave their places
        "buffer_m": footprint * math.sqrt(2.0) + 2.0 * config.near_m,
        "seed": seed,
    }
    train_rows, held_rows = hold_out_blocks(lonlat, **held_out)
    if len(train_rows) < 0.5 * len(rows) or len(held_rows) < 8:
        return rows, rows, {}
    return rows[train_rows], rows[held_rows], held_out


def _sampler(
    dataset: Dataset | JoinedDataset, config: Loc2VecConfig, rows: Ints, **options: Any
) -> NearFarSampler:
    contrasts = config.contrast_weight > 0
    return NearFarSampler(
        dataset.lonlat,
        rows=rows,
        batch_size=min(config.batch_size, len(rows)),
        near_m=config.near_m,
        far_m=config.far_m,
        positives=config.positives if contrasts else "none",  # type: ignore[arg-type]
        negatives=contrasts and config.objective != "infonce",
        drop_in=("positive",) if contrasts else ("anchor",),
        rotate=config.rotate,
        channels=len(dataset.map_spec.channels) - len(config.drop_layers),
        **options,
    )


def build(dataset: Dataset | JoinedDataset, config: Loc2VecConfig, training: Mapping[str, Any]) -> Built:
    """Slots, encoder, objective and samplers over a dataset's map.

    A tenth of the places is held out in whole blocks, with a buffer around them so wide that training and
    validation windows share no pixel. On an extent too small for blocks nothing is held out, and a note says so.
    """
    channels = kept_channels(dataset.map_spec, config.drop_layers)
    view = dataset.map_view().window(size_px=config.size_px, size_m=config.size_m, channels=channels)
    rows = dataset.require_coordinates(np.arange(len(dataset)), "loc2vec")
    seed = int(training.get("seed", 0))
    rows = _fewer(dataset, rows, config.most_places, seed)
    train_rows, held_rows, held_out = _split(dataset, config, rows, seed)
    notes = []
    if not held_out and config.validation_share > 0:
        notes.append("the extent is too small to hold blocks out: validation repeats training places")
    contents = {name: _contents(name, dataset, config) for name in config.predict}
    targets = {name: found.shares for name, found in contents.items()}
    sampler = _sampler(
        dataset, config, train_rows, seed=seed, drop_channels=config.drop_channels, targets=targets
    )
    validation = _sampler(dataset, config, held_rows, seed=seed + 1, drop_channels=0.0, targets=targets)
    drawn = {"anchor": True, "positive": config.contrast_weight > 0, "negative": sampler.negatives}
    objectives: dict[str, tuple[float, Objective]] = {
        f"predict-{name}": (
            _LESSON_WEIGHTS[name],
            _predicts(name)(config.dim, _mean(found, train_rows), target=name),
        )
        for name, found in contents.items()
    }
    if config.contrast_weight > 0:
        objectives[config.objective] = (config.contrast_weight, _objective(config))
    recipe = Recipe(
        slots={role: Slot("map", "tile") for role, there in drawn.items() if there},
        encoders={"tile": _encoder(config, len(channels))},
        objectives=objectives,
        sampler=sampler,
        validation=validation,
        measure=measure,
    )
    options = TrainingOptions(**{"steps_per_epoch": sampler.steps_per_epoch, **training})
    return Built(recipe, {"map": view}, {"map": view.spec}, options, len(train_rows), held_out, notes)


def _fewer(dataset: Dataset | JoinedDataset, rows: Ints, most: int | None, seed: int) -> Ints:
    """``rows`` with at most so many of each dataset, drawn at random."""
    if most is None:
        return rows
    first = dataset.first_row if isinstance(dataset, JoinedDataset) else np.array([0, len(dataset)])
    random = np.random.default_rng([seed, 0xFE3])
    parts = [
        random.permutation(rows[(rows >= start) & (rows < stop)])[:most]
        for start, stop in itertools.pairwise(first.tolist())
    ]
    return np.sort(np.concatenate(parts))


def _contents(name: str, dataset: Dataset | JoinedDataset, config: Loc2VecConfig) -> Contents:
    """What every place holds under the window that is read around it."""
    parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
    grounds = [
        Ground(
            part.path,
            part.footprints()
            if config.size_m is None
            else footprint_bounds(part.lonlat, config.size_m, part.zoom),
            part.zoom,
        )
        for part in parts
    ]
    if name == "layers":
        if not config.drop_layers:
            raise InputError("predicting layers needs layers that are not seen: name them with drop_layers")
        return layer_contents(grounds, config.drop_layers)
    return landuse_contents(grounds) if name == "landuse" else tag_contents(grounds)


def _predicts(name: str) -> type[PredictShares] | type[PredictDistribution]:
    return PredictDistribution if name == "landuse" else PredictShares


def _mean(contents: Contents, rows: Ints) -> Tensor:
    known = Contents(contents.names, contents.shares[rows]).mean()
    return torch.from_numpy(np.nan_to_num(known))


def config_dict(config: Loc2VecConfig) -> dict[str, Any]:
    """Plain JSON of a configuration."""
    return {**asdict(config), "drop_layers": list(config.drop_layers), "predict": list(config.predict)}
