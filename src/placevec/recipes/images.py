"""Images of a dataset, or of several: the window through which recipes read maps and chips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from placevec.core import View, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.views.chips import ChipsView
from placevec.datasets.views.registry import JoinedRecords, reader_of
from placevec.geo import Ints

TrainingData = Dataset | JoinedDataset


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


def chips_of(view: View) -> Ints:
    """(N,) number of chips of each place, of a view of chips."""
    parts = view.views if isinstance(view, JoinedRecords) else (view,)
    return np.concatenate([cast(ChipsView, part).counts for part in parts])


def footprint_m(dataset: TrainingData) -> float:
    """Side of the largest footprint of a place, meters; 0 for points."""
    parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
    return max(part.footprint_m for part in parts)
