"""Samplers of the two founding Loc2Vec systems, which measured distances in tiles and in degrees.

They exist for parity. `placevec.training.samplers.near_far` measures in meters, which mean the same everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from placevec import geo
from placevec.core import ROW_SYNTHETIC, Look
from placevec.errors import InputError
from placevec.geo import Floats, Ints
from placevec.training.samplers.anchors import AnchorSampler, in_disc
from placevec.training.samplers.near_far import Neighbors, check_far_places, far_from, moved

_ROUNDING = 1e-6
"""In tiles: tolerance for centers that are an integer number of tiles apart."""
_TRIES = 1000
"""Rounds of redrawing a negative before the box is considered to have none."""
_METERS_A_DEGREE = 111_320.0
"""Meters per degree along the equator, the upper limit."""


class TileSampler(AnchorSampler):
    """Triplets of the founding 12-layer system, by distance in slippy-map tiles.

    A positive is a random other row within the square of ``2 near_tiles + 1`` tiles per side around the anchor; a
    negative is a random row farther away than ``far_tiles`` (Euclidean). Places do not have to be tiles. A place that is
    alone in its square is its own positive, shifted within ``near_tiles`` (the founding code used any other place, at
    any distance).

    Args:
        lonlat: (N, 2) lon, lat degrees of all places of the dataset.
        zoom: zoom level of the tiles.
        near_tiles, far_tiles: distances in tiles.
        negatives: draw the slot ``negative``.
        common: the options of `AnchorSampler`.

    Raises:
        InputError: as `AnchorSampler`, or places without another one ``far_tiles`` away.

    Source: the founding document 004.

    >>> lonlat = np.stack([24.9 + 0.003 * np.arange(20), np.full(20, 60.17)], axis=1)  # about a tile apart at zoom 17
    >>> draw = TileSampler(lonlat, zoom=17, near_tiles=2, far_tiles=10, batch_size=4, seed=0).draw(0)
    >>> sorted(draw.looks)
    ['anchor', 'negative', 'positive']
    """

    def __init__(
        self,
        lonlat: ArrayLike,
        *,
        zoom: int,
        near_tiles: float,
        far_tiles: float,
        negatives: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(lonlat, **common)
        if not 0 < near_tiles < np.inf or not near_tiles <= far_tiles < np.inf:
            raise InputError(
                f"near_tiles must be positive and far_tiles at least as large; got {near_tiles} and {far_tiles}"
            )
        self.near_tiles, self.far_tiles, self.negatives = float(near_tiles), float(far_tiles), negatives
        self._tile = geo.lonlat_to_tile_xy(self.lonlat[:, 0], self.lonlat[:, 1], zoom)
        world = 2.0**zoom  # tile numbers continue across the antimeridian
        self._tile[:, 0] -= world * np.round((self._tile[:, 0] - self._tile[0, 0]) / world)
        self._tile_m = geo.meters_per_pixel(self.lonlat[:, 1], zoom) * geo.TILE_PX
        most = min(int(2 * near_tiles + 1) ** 2, 4096)
        self._neighbors = Neighbors.of(self._tile, near_tiles + _ROUNDING, most, norm=np.inf)
        if negatives:
            check_far_places(self._tile, self.rows, far_tiles + _ROUNDING, unit="tiles")

    @property
    def reach_m(self) -> float:
        """Maximum distance in meters from the center of a window to the nearest of the rows."""
        lonely = self._neighbors.lonely
        return (self.near_tiles * float(self._tile_m[lonely].max()) if lonely.any() else 0.0) + self.shift_m

    def _positive(self, picked: Ints, random: np.random.Generator) -> tuple[Look, Floats]:
        chosen = self._neighbors.one_of(picked, random)
        look = self._look(chosen, random, "positive")
        if self._neighbors.lonely.any():
            moves = in_disc(random, len(picked), self.near_tiles) * self._tile_m[picked][:, None]
            moves[~self._neighbors.lonely[picked]] = 0.0
            look = moved(look, moves.astype(np.float32))
        return look, self._xyz[chosen]

    def _negative(self, picked: Ints, random: np.random.Generator) -> Look | None:
        if not self.negatives:
            return None
        far = far_from(self._tile, picked, self.far_tiles + _ROUNDING, random)
        return self._look(far, random, "negative")


class BoxSampler(AnchorSampler):
    """Triplets of the founding RGB system, by distance in degrees, at any point of a bounding box.

    A positive is the anchor shifted uniformly by up to ``near_degrees`` along each axis and clipped to the box; a
    negative is a uniform point of the box farther away than ``far_degrees`` (Euclidean, in degrees). Degrees of longitude
    shrink with latitude: at 60 degrees, these distances are half as long eastward as northward.

    Args:
        lonlat: (N, 2) lon, lat degrees of all places of the dataset.
        boxes: (4,) or (N, 4) west, south, east, north degrees: one box for all places, or one per place; ``west > east``
            crosses the antimeridian.
        near_degrees, far_degrees: distances in degrees.
        negatives: draw the slot ``negative``.
        keep_off: (M, 2) lon, lat degrees of places to which no negative may be close, such as held-out places.
        keep_off_m: minimum distance to them in meters.
        common: the options of `AnchorSampler`.

    Raises:
        InputError: as `AnchorSampler`, boxes of the wrong shape, or a box without any point ``far_degrees`` away.

    Source: the founding document 001.

    >>> sampler = BoxSampler(
    ...     [[24.90, 60.15], [24.95, 60.18]], boxes=[24.9, 60.1, 25.0, 60.2], near_degrees=0.001, far_degrees=0.01,
    ...     batch_size=2, seed=0,
    ... )
    >>> sampler.draw(0).looks["negative"].lonlat.shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        lonlat: ArrayLike,
        *,
        boxes: ArrayLike,
        near_degrees: float,
        far_degrees: float,
        negatives: bool = True,
        keep_off: ArrayLike | None = None,
        keep_off_m: float = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(lonlat, **common)
        if not 0 < near_degrees < 90 or not near_degrees <= far_degrees < 90:
            raise InputError(
                f"near_degrees must be positive and far_degrees at least as large; got {near_degrees} and {far_degrees}"
            )
        self.near_degrees, self.far_degrees, self.negatives = near_degrees, far_degrees, negatives
        every = _box_of_each(boxes, self.places)[self.rows]
        self._corner = every[:, :2]
        width = np.where(
            every[:, 2] > every[:, 0], every[:, 2] - every[:, 0], every[:, 2] - every[:, 0] + 360.0
        )
        self._size = np.stack([width, every[:, 3] - every[:, 1]], axis=1)
        east = geo.wrap_longitude(self.lonlat[:, 0] - every[:, 0] - width / 2.0) + width / 2.0
        self._inside = np.stack([east, self.lonlat[:, 1] - every[:, 1]], axis=1)
        """(R, 2) degrees east and north of the southwest corner of a place's box."""
        reach = np.hypot(*np.maximum(self._inside, self._size - self._inside).T)
        if negatives and (reach <= far_degrees).any():
            raise InputError(
                f"the box has no point {far_degrees:g} degrees away from {int((reach <= far_degrees).sum())} of"
                f" {len(reach)} places, so they have no negatives: set --far-degrees below {reach.min():.4f}, or use a"
                " larger area"
            )
        self._kept_off, self._keep_off_m = None, float(keep_off_m)
        if keep_off is not None and len(np.asarray(keep_off)) and keep_off_m > 0:
            from scipy.spatial import cKDTree

            held = np.asarray(keep_off, np.float64).reshape(-1, 2)
            self._kept_off = cKDTree(geo.to_ecef(held[:, 0], held[:, 1]))

    @property
    def reach_m(self) -> float:
        """Maximum distance in meters from a positive to the nearest of the rows."""
        return math.sqrt(2.0) * self.near_degrees * _METERS_A_DEGREE + self.shift_m

    def _positive(self, picked: Ints, random: np.random.Generator) -> tuple[Look, Floats]:
        step = random.uniform(-self.near_degrees, self.near_degrees, (len(picked), 2))
        inside = np.clip(self._inside[picked] + step, 0.0, self._size[picked])
        lonlat = self._placed(picked, inside)
        return self._point(lonlat, random, "positive"), geo.to_ecef(lonlat[:, 0], lonlat[:, 1])

    def _negative(self, picked: Ints, random: np.random.Generator) -> Look | None:
        if not self.negatives:
            return None
        inside = np.empty((len(picked), 2))
        left = np.arange(len(picked))
        for _ in range(_TRIES):
            inside[left] = random.random((len(left), 2)) * self._size[picked[left]]
            away = inside[left] - self._inside[picked[left]]
            refused = np.hypot(away[:, 0], away[:, 1]) <= self.far_degrees
            refused |= self._is_kept_off(self._placed(picked[left], inside[left]))
            left = left[refused]
            if len(left) == 0:
                return self._point(self._placed(picked, inside), random, "negative")
        raise InputError(
            f"no point of the box is {self.far_degrees:g} degrees away and far enough from the held-out places: lower"
            " far_degrees, hold out fewer places, or validate on another dataset"
        )

    def _is_kept_off(self, lonlat: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
        if self._kept_off is None:
            return np.zeros(len(lonlat), bool)
        distances, _ = self._kept_off.query(geo.to_ecef(lonlat[:, 0], lonlat[:, 1]))
        return np.asarray(distances < self._keep_off_m)

    def _placed(self, picked: Ints, inside: Floats) -> Floats:
        lonlat = self._corner[picked] + inside
        return np.stack([geo.wrap_longitude(lonlat[:, 0]), lonlat[:, 1]], axis=1)

    def _point(self, lonlat: Floats, random: np.random.Generator, slot: str) -> Look:
        rows = torch.full((len(lonlat),), ROW_SYNTHETIC, dtype=torch.int64)
        return Look(rows, torch.from_numpy(lonlat), self._warp(len(lonlat), random, slot))


def _box_of_each(boxes: ArrayLike, places: int) -> Floats:
    """(N, 4) the box of each place of the dataset; InputError if their number does not match."""
    given = np.asarray(boxes, np.float64)
    if given.shape not in ((4,), (places, 4)):
        raise InputError(f"boxes must have shape (4,) or, one per place, ({places}, 4); got {given.shape}")
    return np.broadcast_to(given, (places, 4))
