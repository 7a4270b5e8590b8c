"""The maps of several datasets as one: every window is read from the dataset of its area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from placevec.core import Look, ViewSpec
from placevec.datasets.views.raster.raster import RasterView
from placevec.errors import InputError
from placevec.geo import TILE_PX, Area, Floats, Ints, to_ecef


class JoinedView:
    """Views with the same specification over different areas, as one view.

    A look is read from the first view whose area contains its point; a point in no area (a positive just outside) from
    the view whose area has the nearest center. Shifts do not change this.

    Args:
        views: the views, one or more.
        areas: the area of each.

    Raises:
        InputError: no views, or views with different specifications.
    """

    def __init__(self, views: Sequence[RasterView], areas: Sequence[Area]) -> None:
        if not views or len(views) != len(areas):
            raise InputError("joined views need at least one view, and one area per view")
        if any(view.spec != views[0].spec for view in views):
            raise InputError("views with different specifications cannot be joined")
        self.views, self.areas = tuple(views), tuple(areas)
        centers = np.array([_center(area) for area in areas])
        self._centers = to_ecef(centers[:, 0], centers[:, 1])

    def window(
        self, *, size_px: int = TILE_PX, size_m: float | None = None, channels: Sequence[str] | None = None
    ) -> JoinedView:
        """The same maps with another window, see `RasterView.window`."""
        windows = [view.window(size_px=size_px, size_m=size_m, channels=channels) for view in self.views]
        return JoinedView(windows, self.areas)

    @property
    def spec(self) -> ViewSpec:
        """Specification of all of them."""
        return self.views[0].spec

    def owner(self, lonlat: Floats) -> Ints:
        """(N,) index of the view that reads each point (N, 2) lon, lat degrees; 0 for NaN."""
        known = np.flatnonzero(np.isfinite(lonlat).all(axis=1))
        owner = np.zeros(len(lonlat), np.int64)
        if len(known):
            xyz = to_ecef(lonlat[known, 0], lonlat[known, 1])
            away = ((xyz[:, None] - self._centers[None]) ** 2).sum(axis=2)
            owner[known] = away.argmin(axis=1)
        for number in range(len(self.areas) - 1, -1, -1):  # in reverse, so that the first match wins
            inside = self.areas[number].contains(lonlat[known, 0], lonlat[known, 1])
            owner[known[inside]] = number
        return owner

    def read(self, look: Look) -> Tensor:
        """As `RasterView.read`, each row from its own view."""
        if look.lonlat is None:
            raise InputError(f"the view {self.spec.name!r} needs coordinates, but none are given")
        owner = self.owner(look.lonlat.detach().cpu().numpy())
        batch: Tensor | None = None
        for number in np.unique(owner).tolist():
            rows = torch.from_numpy(np.flatnonzero(owner == number))
            warp = {name: values[rows] for name, values in look.warp.items()}
            part = self.views[number].read(Look(look.rows[rows], look.lonlat[rows], warp))
            if batch is None:
                batch = part.new_zeros((len(look), *part.shape[1:]))
            batch[rows] = part
        if batch is None:
            raise InputError("there are no places to read")
        return batch


def _center(area: Area) -> tuple[float, float]:
    west, south, east, north = area.bounds
    east += 360.0 * area.crosses_antimeridian
    return (west + east) / 2.0, (south + north) / 2.0
