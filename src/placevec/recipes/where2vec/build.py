"""Where2Vec: a place's image and what is said of it get the same vector, and places of one type similar ones.

Founding document 000. An image encoder (of a map or of satellite chips) and a text model with adapters are trained
together by the type-aware contrastive objective (`placevec.training.objectives.type_aware`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec import encoders
from placevec.core import Encoded, Recipe, Slot, View, ViewSpec
from placevec.datasets.place_types import Types, types_of
from placevec.datasets.sentences.templated import TemplatedTexts
from placevec.datasets.sentences.templates import Templates
from placevec.datasets.splits import Split
from placevec.datasets.views.chips import full_scale_of
from placevec.datasets.views.registry import known_rows, reader_of
from placevec.encoders.text import TextEncoder
from placevec.encoders.text_models import find_text_model
from placevec.errors import DatasetError, InputError, UsageError
from placevec.geo import Ints
from placevec.metrics import effective_rank, retrieval
from placevec.models.fusion import MeanFusion
from placevec.models.starting_weights import CARRIED, start_from
from placevec.recipes.blocks import split_in_blocks
from placevec.recipes.built import Built
from placevec.recipes.images import BACKBONES, TrainingData, chips_of, footprint_m, image_window
from placevec.recipes.where2vec.config import Where2VecConfig
from placevec.recipes.where2vec.texts import TypeNames, choices_of
from placevec.training import TrainingOptions
from placevec.training.objectives.type_aware import UNKNOWN, Form, TypeAware
from placevec.training.samplers.described import IMAGE, TYPES, WORDS, Choices, DescribedSampler, Disturbed

_FORMS: Mapping[str, tuple[Form, Form]] = {
    "founding": ("founding", "founding"),
    "log": ("log", "unicl"),
    "unicl": ("unicl", "unicl"),
    "sigmoid": ("sigmoid", "sigmoid"),
}
"""Objective -> forms of the instance and of the semantic part."""
_MAP, _CHIPS, _TEXT = "raster", "chips", "text"
_MAP_PX = 128
_MAP_WEIGHT, _CHIPS_WEIGHT = 0.3, 3.0
"""Weight of the semantic part. For chips 3 predicted types better than 0.3 and 1 on validation blocks (BENCHMARKS.md,
"Images and names on unseen ground"); for maps no weight was clearly better than the published 0.3."""


@dataclass
class _Side:
    """What is learned or validated on: a dataset, its views and the rows that have all of them."""

    dataset: TrainingData
    image: View
    text: View
    rows: Ints
    types: Types
    choices: Choices
    texts: list[str]

    @property
    def views(self) -> dict[str, View]:
        """What slots read, by name."""
        return {
            self.image.spec.name: self.image,
            self.text.spec.name: self.text,
            "types": TypeNames(self.types),
        }


def build(
    dataset: TrainingData,
    config: Where2VecConfig,
    training: Mapping[str, Any],
    validation: TrainingData | None = None,
) -> Built:
    """Slots, encoders, objective and samplers over the places of a dataset that have both an image and a text.

    A tenth of the places is held out in whole blocks, with a buffer as wide as a window around them; places without
    coordinates are all trained on, and a note says so.

    Raises:
        DatasetError: the views are missing, or fewer than two places with both.
        ModelError: the text model is not on this machine.
    """
    seed = int(training.get("seed", 0))
    side = _side(dataset, config, seed)
    notes = _notes(side)
    if validation is None:
        split = split_in_blocks(
            dataset, side.rows, window_m=side.image.spec.size_m or footprint_m(dataset), seed=seed,
            share=config.validation_share, block_m=config.block_m, excluded=_excluded(side),
        )  # fmt: skip
        held = split.rows("validation")
        if not split.held_out:
            held = side.rows
            if config.validation_share > 0:
                notes.append("no blocks can be held out here: validation uses training places")
        validation_data = side
    else:
        split = Split.of(len(dataset), train=side.rows, excluded=_excluded(side), by="other dataset")
        validation_data = _side(validation, config, seed)
        validation_data.types, held = validation_data.types.as_in(side.types), validation_data.rows
    text = _text_encoder(config)
    if cut := text.longer_than_window(side.texts):
        notes.append(
            f"{cut:,} of {len(side.texts):,} texts are longer than the {text.max_tokens} tokens that are read, and were"
            " truncated"
        )
    is_map = side.image.spec.kind == _MAP
    if config.semantic_weight is None:
        config = replace(config, semantic_weight=_MAP_WEIGHT if is_map else _CHIPS_WEIGHT)
    asked = cast(float, config.semantic_weight) > 0
    semantic = asked and bool((side.types.codes[side.rows] != UNKNOWN).any())
    if asked and not semantic:
        notes.append("no place has a known type: the semantic part of the objective is left out")
    sampler = _sampler(
        side, split.rows("train"), config, seed, semantic=semantic, disturbed=_disturbed(side, config)
    )
    validates = _sampler(
        validation_data, held, replace(config, balance_types=False), seed + 1, semantic=semantic
    )
    names = (side.image.spec.name, side.text.spec.name)
    image = _image_encoder(side.image.spec, config, is_map=is_map)
    if config.init is not None:
        inputs = (*side.image.spec.channels, *getattr(image, "indices", ()))
        notes.append(start_from(image, inputs, config.init, config.init_bands))
    recipe = Recipe(
        slots={
            IMAGE: Slot(names[0], "image"), WORDS: Slot(names[1], "text"),
            **({TYPES: Slot("types", "text")} if semantic else {}),
        },
        encoders={"image": image, "text": text},
        objectives={"type-aware": (1.0, _objective(config, semantic=semantic))},
        sampler=sampler,
        fuse=MeanFusion(names, config.dim),
        validation=validates,
        measure=measure,
    )  # fmt: skip
    steps = {
        "steps_per_epoch": sampler.steps_per_epoch,
        "validation_steps": min(4, validates.steps_per_epoch),
    }
    views = side.views
    there: dict[str, View] | None = None
    there_split: Split | None = None
    if validation is not None:
        there = validation_data.views
        there_split = Split.of(len(validation), train=held[:0], validation=held, by="other dataset")
    return Built(
        recipe, replace(config, views=names), views, {name: views[name].spec for name in names},
        TrainingOptions(**{**steps, **training}), split, there, there_split, notes,
        about={"type_shares": side.types.shares(split.rows("train"))} if semantic else {},
    )  # fmt: skip


def _side(dataset: TrainingData, config: Where2VecConfig, seed: int) -> _Side:
    image, text = _views(dataset, config)
    choices, texts = choices_of(dataset, text.spec.name, config.languages, config.kinds)
    whole = known_rows(image, dataset.lonlat) & (choices.counts > 0)
    rows = np.flatnonzero(whole)
    if config.max_places is not None:
        rows = np.sort(np.random.default_rng([seed, 0xFE3]).permutation(rows)[: config.max_places])
    if len(rows) < 2:
        raise DatasetError(
            f"fewer than two places of {dataset.name} have both {image.spec.name} and {text.spec.name}"
        )
    if config.templates is not None and config.rate:
        text = TemplatedTexts(text, dataset, Templates.of(config.templates), config.languages)
    return _Side(dataset, image, text, rows, types_of(dataset, text.spec.name, config.types), choices, texts)


def _views(dataset: TrainingData, config: Where2VecConfig) -> tuple[View, View]:
    """(the images through the window that is read, the texts)."""
    specs = {name: dataset.spec(name) for name in config.views or dataset.view_names}
    texts = [name for name, spec in specs.items() if spec.kind == _TEXT]
    images = [name for name, spec in specs.items() if spec.kind in (_MAP, _CHIPS)]
    if not config.views:  # the first of each
        of_chips = config.encoder.endswith(("spectral-cnn", *BACKBONES)) or config.init in CARRIED
        first = _CHIPS if of_chips else _MAP
        texts, images = texts[:1], sorted(images, key=lambda name: specs[name].kind != first)[:1]
    if len(texts) != 1 or len(images) != 1:
        told = ", ".join(f"{name} ({spec.kind})" for name, spec in specs.items()) or "none"
        raise UsageError(
            f"training needs a map or chips, and texts, but {dataset.name} has the views {told}: add a "
            "map by preparing one with the same --out, or start a new dataset with --map"
        )
    spec = specs[images[0]]
    for flag, names in (("bands", config.bands), ("drop-layers", config.drop_layers)):
        if unknown := [name for name in names if name not in spec.channels]:
            raise InputError(
                f"--{flag}: {spec.name} has no {unknown[0]!r}; it has {', '.join(spec.channels)}"
            )
    channels = config.bands or tuple(name for name in spec.channels if name not in config.drop_layers)
    if not channels:
        raise InputError("every layer was dropped: nothing is left to train on")
    window: dict[str, Any] = {"size_px": config.size_px, "channels": channels}
    if spec.kind == _MAP:
        window = {**window, "size_px": config.size_px or _MAP_PX, "size_m": config.size_m or None}
    return image_window(dataset, spec, window), dataset.view(texts[0])


def _notes(side: _Side) -> list[str]:
    lacking = len(side.dataset) - int(
        (known_rows(side.image, side.dataset.lonlat) & (side.choices.counts > 0)).sum()
    )
    if not lacking:
        return []
    return [f"{lacking:,} places without an image or a text are left out"]


def _excluded(side: _Side) -> dict[str, Ints]:
    """Reason -> rows, before it is known which rows are used."""
    everything = np.arange(len(side.dataset))
    located = np.isfinite(side.dataset.lonlat).all(axis=1)
    has_text = side.choices.counts > 0
    has_image = known_rows(side.image, side.dataset.lonlat)
    return {
        "sample": everything, "text": np.flatnonzero(~has_text), "image": np.flatnonzero(~has_image),
        **({"coordinates": np.flatnonzero(~located)} if side.image.spec.kind == _MAP else {}),
    }  # fmt: skip


def _sampler(
    side: _Side,
    rows: Ints,
    config: Where2VecConfig,
    seed: int,
    *,
    semantic: bool,
    disturbed: Disturbed | None = None,
) -> DescribedSampler:
    return DescribedSampler(
        rows, side.types.codes, batch_size=config.batch_size, seed=seed, choices=side.choices,
        lonlat=side.dataset.lonlat if reader_of(side.image.spec).by_coordinates else None,
        balanced=config.balance_types, disturbed=disturbed, resample=config.resample_texts,
        templates=config.rate, semantic=semantic,
    )  # fmt: skip


def _disturbed(side: _Side, config: Where2VecConfig) -> Disturbed:
    is_map, channels = side.image.spec.kind == _MAP, len(side.image.spec.channels)
    return Disturbed(
        angle=config.augment and is_map, turn=config.augment and not is_map, flip=config.augment,
        drop=config.drop_channels if channels > 1 else 0.0, channels=channels,
        chips=None if is_map or not config.augment else chips_of(side.image),
    )  # fmt: skip


def _text_encoder(config: Where2VecConfig) -> TextEncoder:
    """The text model, fetched from the hub where it is nowhere else: it was asked for."""
    found = find_text_model(config.text_model, download=True)
    return TextEncoder(
        found.name, found.sha256, config.dim, config.lora_rank, config.lora_alpha, config.lora_dropout,
        max_tokens=config.max_tokens, checkpointing=config.checkpoint_text,
    )  # fmt: skip


def _image_encoder(spec: ViewSpec, config: Where2VecConfig, *, is_map: bool) -> nn.Module:
    name: str = (
        config.encoder if config.encoder != "auto" else "compact-tile-cnn" if is_map else "spectral-cnn"
    )
    fixed: dict[str, Any] = {}
    if (
        config.init is not None
        and config.init in CARRIED
        and config.encoder in ("auto", CARRIED[config.init][2])
    ):
        _, _, name, fixed = CARRIED[config.init]
    spectral = name.endswith(("spectral-cnn", *BACKBONES))
    if spectral == is_map:
        fits = "tile encoders read maps, spectral encoders chips"
        asked = f"--encoder {name}" if config.encoder == name else f"--init {config.init} ({name})"
        raise UsageError(f"{asked} does not read {spec.name} ({spec.kind}): {fits}")
    if spectral:
        scale = config.full_scale or full_scale_of(spec.values)
        if name in BACKBONES:
            return encoders.build(name, bands=spec.channels, dim=config.dim, full_scale=scale, **fixed)
        if name == "spectral-cnn":
            return encoders.build(
                name, bands=spec.channels, dim=config.dim, width=config.width, indices=config.indices,
                full_scale=scale, statistics=config.band_statistics,
            )  # fmt: skip
        return encoders.build(name, channels=len(spec.channels), dim=config.dim, full_scale=scale)
    options: dict[str, Any] = {"channels": len(spec.channels), "dim": config.dim}
    if name == "founding-tile-cnn":
        return encoders.build(name, size_px=spec.size_px, **options)
    return encoders.build(name, width=config.width, unit_norm=True, **options)


def _objective(config: Where2VecConfig, *, semantic: bool) -> TypeAware:
    instance, other = _FORMS[config.objective]
    return TypeAware(
        IMAGE, WORDS, TYPES if semantic else None, instance=instance, semantic=other,
        temperature=config.temperature or (0.1 if config.objective == "sigmoid" else 0.07), alpha=config.alpha,
        semantic_weight=cast(float, config.semantic_weight), learnable=config.learn_temperature,
    )  # fmt: skip


@torch.no_grad()
def measure(slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, float]:
    """Of a batch: how often image and text find each other among all, images their type, and a sign of collapse."""
    image, words = F.normalize(slots[IMAGE].z), F.normalize(slots[WORDS].z)
    similarity = (image @ words.T).double().cpu().numpy()
    ks = [k for k in (1, 10) if k < len(similarity)]
    there, back = retrieval(similarity, ks=ks), retrieval(similarity.T, ks=ks)
    found = {f"image_to_text_recall_{k}": there[f"recall@{k}"] for k in ks}
    found |= {f"text_to_image_recall_{k}": back[f"recall@{k}"] for k in ks}
    types = targets["type"]
    known = types != UNKNOWN
    if TYPES in slots and bool(known.any()):
        nearest = (image[known] @ F.normalize(slots[TYPES].z[known]).T).argmax(1)
        found["type_accuracy"] = float((types[known][nearest] == types[known]).double().mean())
    return {**found, "effective_rank": effective_rank(image)}
