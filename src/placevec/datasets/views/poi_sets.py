"""Points of interest around any place, as sets of different sizes: categories and positions."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.core import ROW_MISSING, Look, Ragged, View, ViewSpec
from placevec.datasets.views.pois import read_pois
from placevec.datasets.views.registry import Reader, Stored, check_spec
from placevec.errors import DatasetError, InputError
from placevec.geo import Floats, offset, to_ecef

FILE = "pois.parquet"
VALUES = "category, meters east, meters north"
_WARPS = ("angle", "shift")


class PoiSetsView:
    """Points of interest within a square around each point (the `View` of kind ``pois``).

    Args:
        path: the table, see `placevec.datasets.views.pois`.
        spec: its channels are the categories, in order (groups of the table; others are left out); ``size_m`` is the
            side of the square in meters.

    Raises:
        DatasetError: the table is missing or damaged.
        InputError: a specification without categories or without a size.
    """

    def __init__(self, path: str | Path, spec: ViewSpec) -> None:
        if spec.size_m is None or not spec.channels:
            raise InputError(f"the view {spec.name!r} needs categories and a size in meters")
        pois = read_pois(path)
        number = {name: position for position, name in enumerate(spec.channels)}
        group = pois["group"].astype(object).map(number)
        kept = group.notna().to_numpy()
        self._category = group[kept].to_numpy(np.float64)
        self._lonlat = pois.loc[kept, ["lon", "lat"]].to_numpy(np.float64)
        self._set(spec, _tree(self._lonlat))

    def _set(self, spec: ViewSpec, tree: Any) -> None:
        self._spec, self._tree = spec, tree

    @property
    def spec(self) -> ViewSpec:
        """Specification of what is read."""
        return self._spec

    def window(self, *, size_m: float) -> PoiSetsView:
        """The same points in a square of another size."""
        other = object.__new__(PoiSetsView)
        other._category, other._lonlat = self._category, self._lonlat
        other._set(dataclasses.replace(self._spec, size_m=size_m), self._tree)
        return other

    def read(self, look: Look) -> Ragged:
        """The sets around the points of a look.

        A look's ``shift`` (meters east, north) moves the square, then ``angle`` (radians, counterclockwise) rotates the
        points under it around its center, as `RasterView.read` does with the map.

        Returns:
            ``values`` (total, 3) float32: category, meters east and meters north of the center; sets of missing rows
            and of NaN coordinates are empty.

        Raises:
            InputError: a look without coordinates, or another warp.
        """
        if look.lonlat is None:
            raise InputError(f"the view {self._spec.name!r} needs coordinates, but the look has none")
        if unknown := set(look.warp) - set(_WARPS):
            raise InputError(
                f"unknown warp {', '.join(unknown)}: sets of points support {' and '.join(_WARPS)}"
            )
        lonlat = look.lonlat.cpu().numpy().astype(np.float64)
        there = (look.rows.cpu().numpy() != ROW_MISSING) & np.isfinite(lonlat).all(axis=1)
        sets, half = [], cast(float, self._spec.size_m) / 2.0
        for row in range(len(look)):
            sets.append(self._around(lonlat[row], look, row, half) if there[row] else np.zeros((0, 3)))
        sizes = torch.tensor([0, *map(len, sets)])
        values = np.concatenate(sets) if sets else np.zeros((0, 3))
        return Ragged(torch.from_numpy(values.astype(np.float32)), sizes.cumsum(0))

    def _around(self, point: Floats, look: Look, row: int, half: float) -> NDArray[np.float64]:
        from pyproj import Geod

        lon, lat = point.tolist()
        if "shift" in look.warp:
            east, north = look.warp["shift"][row].tolist()
            lon, lat = offset(lon, lat, east_m=east, north_m=north).tolist()
        if self._tree is None:
            return np.zeros((0, 3))
        near = np.sort(
            np.array(self._tree.query_ball_point(to_ecef(lon, lat).reshape(3), half * 1.45), np.int64)
        )
        others = self._lonlat[near]
        bearing, _, meters = Geod(ellps="WGS84").inv(
            np.full(len(near), lon), np.full(len(near), lat), others[:, 0], others[:, 1]
        )
        away = np.column_stack([meters * np.sin(np.radians(bearing)), meters * np.cos(np.radians(bearing))])
        if "angle" in look.warp:
            turn = float(look.warp["angle"][row])
            sine, cosine = math.sin(turn), math.cos(turn)
            away = away @ np.array([[cosine, sine], [-sine, cosine]])
        inside = (np.abs(away) <= half).all(axis=1)
        found: NDArray[np.float64] = np.column_stack([self._category[near], away])[inside]
        return found


def _tree(lonlat: Floats) -> Any:
    from scipy.spatial import cKDTree

    return cKDTree(to_ecef(lonlat[:, 0], lonlat[:, 1])) if len(lonlat) else None


class PoiSetsReader(Reader):
    """Points of interest: a field of points."""

    by_coordinates = True
    words = "category"

    def open(self, stored: Stored) -> PoiSetsView:
        """The table of points, in memory."""
        files = stored.entry.get("files") or [FILE]
        return PoiSetsView(stored.path / files[0], stored.spec)

    def fit(self, view: View, wanted: ViewSpec) -> View:
        """The square that a model reads; categories must be the same, because it knows them by index."""
        check_spec(view.spec, wanted, words=self.words)
        if view.spec.channels != wanted.channels:
            raise DatasetError(
                f"the categories of {wanted.name!r} differ from those that the model was trained on"
            )
        return cast(PoiSetsView, view).window(size_m=cast(float, wanted.size_m))

    def shows(self, spec: ViewSpec) -> str:
        """The size of the square."""
        return f"{len(spec.channels)} categories within {spec.size_m:g} m"


READER = PoiSetsReader()
