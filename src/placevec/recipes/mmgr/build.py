"""MMGR: the image of a cell and its points of interest get vectors that know of each other.

Founding document 003. An image encoder and an encoder of sets of points are trained together by the contrast of
`placevec.training.objectives.cells`; the vectors that are kept are those before the projection heads, and both together
are the fused ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from placevec import encoders
from placevec.core import Encoded, Recipe, Slot, View, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import DEFAULT_SIZE_M
from placevec.datasets.splits import Split
from placevec.datasets.views.chips import full_scale_of
from placevec.datasets.views.poi_sets import PoiSetsView
from placevec.datasets.views.registry import known_rows, reader_of
from placevec.encoders.image_backbones import Backbone
from placevec.encoders.poi_set import PoiSetEncoder
from placevec.errors import DatasetError, InputError, UsageError
from placevec.geo import Ints
from placevec.metrics import effective_rank
from placevec.models.category_vectors import fill_categories
from placevec.models.fusion import ConcatFusion
from placevec.models.starting_weights import CARRIED, start_from
from placevec.recipes.blocks import split_in_blocks
from placevec.recipes.built import Built
from placevec.recipes.images import (
    BACKBONES,
    TrainingData,
    check_range,
    chips_of,
    footprint_m,
    image_window,
)
from placevec.recipes.mmgr.config import MmgrConfig
from placevec.training import TrainingOptions
from placevec.training.objectives.cells import CellContrast
from placevec.training.samplers.cells import IMAGES, POIS, CellSampler
from placevec.training.samplers.described import Disturbed

_MAP, _CHIPS, _POIS = "raster", "chips", ("pois", "poi-rows")
_MAP_PX = 128
_SHIFT = 0.1
"""Shift of augmented windows, as a share of their side."""


@dataclass
class _Side:
    """What is learned or validated on: a dataset, its views and which cells have what."""

    dataset: TrainingData
    image: View
    pois: View | None
    has_image: NDArray[np.bool_]
    has_pois: NDArray[np.bool_]
    rows: Ints

    @property
    def views(self) -> dict[str, View]:
        """What slots read, by name."""
        return {view.spec.name: view for view in (self.image, self.pois) if view is not None}

    @property
    def excluded(self) -> dict[str, Ints]:
        """Reason -> rows, before it is known which rows are used."""
        nothing = np.flatnonzero(~(self.has_image | self.has_pois))
        return {"sample": np.arange(len(self.dataset)), "image": nothing}


def build(
    dataset: TrainingData,
    config: MmgrConfig,
    training: Mapping[str, Any],
    validation: TrainingData | None = None,
) -> Built:
    """Slots, encoders, objective and samplers over the cells of a dataset that have an image or points of interest.

    A tenth of the cells is held out in whole blocks, with a buffer as wide as a window around them. Without points of
    interest in the dataset, two images of a cell are contrasted only.

    Raises:
        DatasetError: images are missing, or fewer than two cells have what is contrasted.
        InputError: an unknown layer or category.
        UsageError: options of points of interest for a dataset without any.
    """
    seed = int(training.get("seed", 0))
    config = replace(config, size_m=config.size_m or footprint_m(dataset) or DEFAULT_SIZE_M)
    side = _side(dataset, config, seed)
    notes = _notes(side)
    if validation is None:
        split = split_in_blocks(
            dataset, side.rows, window_m=float(cast(float, config.size_m)), share=config.validation_share,
            block_m=config.block_m, seed=seed, excluded=side.excluded,
        )  # fmt: skip
        held, judge = split.rows("validation"), side
        if not split.held_out:
            held = side.rows
            if config.validation_share > 0:
                notes.append("no blocks can be held out here: validation uses training cells")
    else:
        split = Split.of(len(dataset), train=side.rows, excluded=side.excluded, by="other dataset")
        judge = _side(validation, config, seed, like=side)
        held = judge.rows
    image = _image_encoder(side.image.spec, config)
    pois = None if side.pois is None else _poi_encoder(side.pois.spec, config)
    if side.image.spec.kind == _CHIPS:
        check_range(side.image, np.flatnonzero(side.has_image), _full_scale(side.image.spec, config))
    if config.init is not None:
        notes.append(start_from(image, side.image.spec.channels, config.init, config.init_bands))
    if config.category_vectors is not None and side.pois is not None and pois is not None:
        notes += fill_categories(pois, side.pois.spec.channels, config.category_vectors, config.text_model)
    sampler = _sampler(side, split.rows("train"), config, seed, augment=True)
    validates = _sampler(judge, held, config, seed + 1, augment=False)
    names = tuple(side.views)
    slots = {name: Slot(names[0], "image") for name in IMAGES}
    slots |= {name: Slot(names[1], "pois") for name in sampler.poi_slots}
    recipe = Recipe(
        slots=slots,
        encoders={"image": image} if pois is None else {"image": image, "pois": pois},
        objectives={"cells": (1.0, _objective(config, image, pois))},
        sampler=sampler,
        fuse=None if pois is None else ConcatFusion(names, [int(cast(Any, image).dim), pois.dim]),
        validation=validates,
        measure=measure,
    )
    steps = {
        "steps_per_epoch": sampler.steps_per_epoch,
        "validation_steps": min(4, validates.steps_per_epoch),
    }
    views = side.views
    there: dict[str, View] | None = None
    there_split: Split | None = None
    if validation is not None:
        there = judge.views
        there_split = Split.of(len(validation), train=held[:0], validation=held, by="other dataset")
    return Built(
        recipe, replace(config, image_view=names[0]), views, {name: views[name].spec for name in names},
        TrainingOptions(**{**steps, **training}), split, there, there_split, notes,
    )  # fmt: skip


def lacking(dataset: Dataset) -> str:
    """What must be added before training: a view of images, or of points of interest."""
    kinds = {dataset.spec(name).kind for name in dataset.view_names}
    if not kinds & {_MAP, _CHIPS}:
        return "add images to the same --out, with --aerial IMAGES, or a map with --osm FILE"
    return "" if kinds & {*_POIS} else "add points of interest to the same --out, with --pois TABLE"


def _side(dataset: TrainingData, config: MmgrConfig, seed: int, like: _Side | None = None) -> _Side:
    image, pois = _image(dataset, config), _pois(dataset, config, like)
    has_image = known_rows(image, dataset.lonlat)
    has_pois = np.zeros_like(has_image) if pois is None else known_rows(pois, dataset.lonlat)
    if int((has_image if pois is None else has_image & has_pois).sum()) < 2:
        what = "" if pois is None else " and points of interest"
        raise DatasetError(f"fewer than two cells of {dataset.name} have {image.spec.name}{what}")
    rows = np.flatnonzero(has_image | has_pois)
    if config.max_places is not None:
        rows = np.sort(np.random.default_rng([seed, 0xFE3]).permutation(rows)[: config.max_places])
    return _Side(dataset, image, pois, has_image, has_pois, rows)


def _image(dataset: TrainingData, config: MmgrConfig) -> View:
    """The images through the window that is read."""
    specs = {name: dataset.spec(name) for name in dataset.view_names}
    name = config.image_view or next(
        (name for kind in (_CHIPS, _MAP) for name, spec in specs.items() if spec.kind == kind), None
    )
    if name is None or name not in specs or specs[name].kind not in (_MAP, _CHIPS):
        told = ", ".join(f"{name} ({spec.kind})" for name, spec in specs.items()) or "none"
        raise UsageError(
            f"training needs a map or chips, but {dataset.name} has the views {told}: choose one with --image-view, "
            f"or "
            "add a map by preparing one with the same --out"
        )
    spec = specs[name]
    if unknown := [layer for layer in config.drop_layers if layer not in spec.channels]:
        raise InputError(f"--drop-layers: {name} has no {unknown[0]!r}; it has {', '.join(spec.channels)}")
    channels = tuple(layer for layer in spec.channels if layer not in config.drop_layers)
    if not channels:
        raise InputError("every layer was dropped: nothing is left to train on")
    window: dict[str, Any] = {"size_px": config.size_px, "channels": channels}
    if spec.kind == _MAP:
        window = {**window, "size_px": config.size_px or _MAP_PX, "size_m": config.size_m}
    return image_window(dataset, spec, window)


def _pois(dataset: TrainingData, config: MmgrConfig, like: _Side | None) -> View | None:
    """The points of interest of the categories that are read; those of ``like``, for validation elsewhere.

    None if the dataset has none, and ``like`` neither.
    """
    names = [name for name in dataset.view_names if dataset.spec(name).kind in _POIS]
    if not names and (like is None or like.pois is None):
        if config.category_vectors is not None or config.drop_categories:
            flag = "--drop-categories" if config.drop_categories else "--category-vectors"
            raise UsageError(
                f"{flag}: {dataset.name} has no points of interest; add them with placevec prepare mmgr"
            )
        return None
    if not names or (like is not None and like.pois is None):
        raise UsageError("training and validation must both have points of interest, or neither")
    spec = dataset.spec(names[0])
    known = {*spec.channels, *(channel.partition("/")[0] for channel in spec.channels)}
    if unknown := [name for name in config.drop_categories if name not in known]:
        raise InputError(
            f"--drop-categories: there is no {unknown[0]!r}; choose from {', '.join(sorted(known)[:40])}"
        )
    dropped = set(config.drop_categories)
    channels = tuple(
        channel
        for channel in spec.channels
        if channel not in dropped and channel.partition("/")[0] not in dropped
    )
    if not channels:
        raise InputError("every category was dropped: nothing is left to train on")
    window: dict[str, Any] = {
        "size_m": config.size_m,
        "channels": channels if like is None or like.pois is None else like.pois.spec.channels,
        "edges": config.pooling == "graph",
    }  # fmt: skip
    if isinstance(dataset, Dataset):
        return cast(PoiSetsView, dataset.view(names[0])).window(**window)
    if like is None and any(part.spec(names[0]).channels != spec.channels for part in dataset.parts):
        known = set().union(*(part.spec(names[0]).channels for part in dataset.parts))
        window["channels"] = tuple(sorted(known - dropped))
    views = [cast(PoiSetsView, part.view(names[0])).window(**window) for part in dataset.parts]
    return reader_of(spec).join(views, [part.stored(names[0]) for part in dataset.parts])


def _notes(side: _Side) -> list[str]:
    total = len(side.dataset)
    if side.pois is None:
        without = int((~side.has_image).sum())
        left = [f"{without:,} of {total:,} cells have no image and are left out"] if without else []
        return ["there are no points of interest: images are contrasted only with images", *left]
    counts = {
        "without an image or points of interest, which are left out": ~side.has_image & ~side.has_pois,
        "without points of interest, which are trained on their images": side.has_image & ~side.has_pois,
        "without an image, which are trained on their points": ~side.has_image & side.has_pois,
    }
    return [
        f"{int(mask.sum()):,} of {total:,} cells are {what}" for what, mask in counts.items() if mask.any()
    ]


def _sampler(side: _Side, rows: Ints, config: MmgrConfig, seed: int, *, augment: bool) -> CellSampler:
    spec = side.image.spec
    is_map, channels = spec.kind == _MAP, len(spec.channels)
    disturbed = Disturbed(
        angle=config.augment and is_map, turn=config.augment and not is_map, flip=config.augment,
        drop=config.drop_channels if channels > 1 else 0.0, channels=channels,
        chips=None if is_map else chips_of(side.image),
        **(
            {"crop": config.crop_share, "jitter": config.jitter, "gray": config.gray}
            if config.augment and not is_map
            else {}
        ),
    )  # fmt: skip
    return CellSampler(
        rows, side.has_image, side.has_pois, batch_size=config.batch_size, seed=seed, lonlat=side.dataset.lonlat,
        disturbed=disturbed if augment else None, image_by_row=not reader_of(spec).by_coordinates,
        keep_share=config.keep_share, shift_m=_SHIFT * float(config.size_m or 0) * (config.augment and is_map),
        again=config.objective == "separate" and config.poi_weight > 0,
    )  # fmt: skip


def _full_scale(spec: ViewSpec, config: MmgrConfig) -> float:
    return 255.0 if spec.kind == _MAP else config.full_scale or full_scale_of(spec.values)


def _image_encoder(spec: ViewSpec, config: MmgrConfig) -> nn.Module:
    is_map, fixed = spec.kind == _MAP, dict[str, Any]()
    name: str = config.encoder if config.encoder != "auto" else "compact-tile-cnn" if is_map else "resnet-18"
    if (
        config.init is not None
        and config.init in CARRIED
        and config.encoder in ("auto", CARRIED[config.init][2])
    ):
        _, _, name, fixed = CARRIED[config.init]
    scale = _full_scale(spec, config)
    if name in BACKBONES:
        own = cast(type[Backbone], encoders.class_of(name)).width
        dim = None if config.dim == own else config.dim
        return encoders.build(name, bands=spec.channels, dim=dim, full_scale=scale, unit_norm=False, **fixed)
    if name == "spectral-cnn":
        if is_map:
            raise UsageError(f"--encoder {name} reads chips, not the map {spec.name}")
        return encoders.build(
            name, bands=spec.channels, dim=config.dim, width=config.width, full_scale=scale,
            statistics=config.band_statistics,
        )  # fmt: skip
    if not is_map:
        raise UsageError(
            f"--encoder {name} reads maps, not chips: choose resnet-18 or spectral-cnn for {spec.name}"
        )
    options: dict[str, Any] = {"channels": len(spec.channels), "dim": config.dim}
    if name == "founding-tile-cnn":
        return encoders.build(name, size_px=spec.size_px, **options)
    return encoders.build(name, width=config.width, unit_norm=False, **options)


def _poi_encoder(spec: ViewSpec, config: MmgrConfig) -> PoiSetEncoder:
    dim = 2 * config.category_dim if config.pooling == "set2set" else config.dim
    return cast(
        PoiSetEncoder,
        encoders.build(
            "poi-set", categories=len(spec.channels), dim=dim, category_dim=config.category_dim,
            pooling=config.pooling, positions=config.positions and reader_of(spec).by_coordinates,
            size_m=float(spec.size_m or cast(float, config.size_m)),
            trained_categories=config.train_categories or config.category_vectors is None, distances=config.distances,
        ),
    )  # fmt: skip


def _objective(config: MmgrConfig, image: nn.Module, pois: PoiSetEncoder | None) -> CellContrast:
    return CellContrast(
        int(cast(Any, image).dim),
        None if pois is None else pois.dim,
        projection_dim=config.projection_dim,
        image_hidden=config.image_hidden,
        poi_hidden=config.poi_hidden,
        form=config.objective,
        intra_weight=config.intra_weight,
        inter_weight=config.inter_weight,
        poi_weight=config.poi_weight,
        temperature=config.temperature,
        learnable=config.learn_temperature,
    )


@torch.no_grad()
def measure(slots: Mapping[str, Encoded], targets: Mapping[str, Any]) -> dict[str, float]:
    """Of a batch: signs of collapse of both kinds of vectors."""
    found = {}
    for name in (IMAGES[0], POIS[0]):
        if name not in slots:
            continue
        vectors = F.normalize(slots[name].z[slots[name].present])
        if len(vectors) > 1:
            found[f"{name}_effective_rank"] = effective_rank(vectors)
    return found
