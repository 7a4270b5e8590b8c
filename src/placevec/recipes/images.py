"""Images of a dataset, or of several: the window through which recipes read maps and chips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from placevec.core import Look, View, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.views.chips import ChipsView
from placevec.datasets.views.registry import JoinedRecords, reader_of
from placevec.encoders.spectral_cnn import MAX_REFLECTANCE
from placevec.errors import InputError
from placevec.geo import Ints

TrainingData = Dataset | JoinedDataset
BACKBONES = ("resnet-18", "resnet-34", "resnet-50", "mobilenet-v2")
"""Encoders of `placevec.encoders.image_backbones`, for which there are weights that others trained."""
_SAMPLE = 64
_MAX_CUT = 0.05
"""Share of pixels that may lie outside of what an encoder reads."""


def image_window(dataset: TrainingData, spec: ViewSpec, window: Mapping[str, Any]) -> View:
    """The view of a map or of chips, with a size in pixels (and meters, of maps) and some of its channels.

    Args:
        dataset: one dataset, or several joined.
        spec: of the view.
        window: keywords of the view's ``window``: ``size_px``, ``channels`` and, of maps, ``size_m``.
    """
    if isinstance(dataset, Dataset) or reader_of(spec).is_map:
        return cast(View, cast(Any, dataset.view(spec.name)).window(**window))
    views = [cast(View, cast(ChipsView, part.view(spec.name)).window(**window)) for part in dataset.parts]
    return reader_of(spec).join(views, [part.stored(spec.name) for part in dataset.parts])


def check_range(view: View, rows: Ints, full_scale: float) -> None:
    """InputError where chips have numbers that encoders cut off: below 0, or above twice a reflectance of 1.

    Args:
        view: of chips.
        rows: places with a chip, of which a few are looked at.
        full_scale: the number that stands for a reflectance of 1.
    """
    chosen = np.random.default_rng(0).permutation(rows)[:_SAMPLE]
    if not len(chosen):
        return
    pixels = view.read(Look(torch.from_numpy(np.sort(chosen))))
    assert isinstance(pixels, Tensor)
    known = pixels[torch.isfinite(pixels)]
    cut = float(((known < 0) | (known > MAX_REFLECTANCE * full_scale)).float().mean())
    if cut > _MAX_CUT:
        low, high = torch.quantile(
            known[:: max(1, len(known) // 1_000_000)], torch.tensor([0.01, 0.99])
        ).tolist()
        raise InputError(
            f"{cut:.0%} of the pixel values of {view.spec.name!r} are outside the range that the encoder reads, 0 to "
            f"{MAX_REFLECTANCE * full_scale:g}: nearly all are {low:g} to {high:g}. Set --full-scale to the pixel "
            f"value that stands for white, or prepare the images scaled (--aerial-values scaled)"
        )


def chips_of(view: View) -> Ints:
    """(N,) number of chips of each place, of a view of chips."""
    parts = view.views if isinstance(view, JoinedRecords) else (view,)
    return np.concatenate([cast(ChipsView, part).counts for part in parts])


def footprint_m(dataset: TrainingData) -> float:
    """Side of the largest footprint of a place, meters; 0 for points."""
    parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
    return max(part.footprint_m for part in parts)
