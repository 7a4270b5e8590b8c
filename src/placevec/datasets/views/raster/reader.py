"""Opens raster views, fits them to a model and joins those of several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from placevec.core import View, ViewSpec
from placevec.datasets.views.given_image import bands_of, in_window, require_type, resized
from placevec.datasets.views.raster.joined import JoinedView
from placevec.datasets.views.raster.raster import RasterView
from placevec.datasets.views.registry import Reader, Stored, check_spec
from placevec.errors import DatasetError, PlacevecError
from placevec.geo import TILE_PX
from placevec.sources.imagery.chips import Chip


class RasterReader(Reader):
    """Windows of stored tiles: fields that can be read at any point of the area."""

    by_coordinates = True
    is_map = True
    words = "layer"
    from_images = True
    image = "map"

    def open(self, stored: Stored) -> RasterView:
        """Reads of one native tile; `RasterView.window` changes the size."""
        spec = stored.spec
        if spec.zoom is None:
            raise DatasetError(f"the view {spec.name!r} of {stored.path} has no zoom")
        return RasterView(
            stored.path, name=spec.name, zoom=spec.zoom, channels=spec.channels, rules=spec.rules
        )

    def fit(self, view: View, wanted: ViewSpec) -> View:
        """The window and the channels that a model reads."""
        check_spec(view.spec, wanted, words=self.words)
        if wanted.size_m is None and wanted.zoom != view.spec.zoom:
            raise PlacevecError(
                f"the model reads whole tiles of zoom {wanted.zoom}, but the dataset has zoom {view.spec.zoom}"
            )
        windows = cast("RasterView | JoinedView", view)
        return windows.window(
            size_px=wanted.size_px or TILE_PX, size_m=wanted.size_m, channels=wanted.channels
        )

    def join(self, views: Sequence[View], stored: Sequence[Stored]) -> JoinedView:
        """Every window from the dataset of its area."""
        return JoinedView([cast(RasterView, view) for view in views], [one.places.area for one in stored])

    def given_image(self, chip: Chip, spec: ViewSpec) -> Tensor:
        """An image of the layers or colors as a batch of one: 0..255, where layers may also be 0 and 1."""
        pixels = in_window(bands_of(chip, spec, self.words), chip, spec)
        require_type(pixels, ["uint8"], chip.name, spec)
        if spec.values.startswith("coverage") and pixels.max(initial=0) <= 1:
            pixels = np.where(pixels.astype(bool), np.uint8(255), np.uint8(0))
        return torch.from_numpy(np.ascontiguousarray(resized(pixels, spec.size_px or TILE_PX)))[None]

    def shows(self, spec: ViewSpec) -> str:
        """Window size in pixels and meters."""
        ground = f"{spec.size_m:g} m" if spec.size_m is not None else f"whole tiles of zoom {spec.zoom}"
        return f"{spec.size_px} px, {ground}"


READER = RasterReader()
