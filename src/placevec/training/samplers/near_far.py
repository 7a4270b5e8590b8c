"""Pairs by distance in meters: positives near their anchor, negatives far from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from placevec import geo
from placevec.core import ROW_SYNTHETIC, Look
from placevec.errors import InputError
from placevec.geo import Floats, Ints
from placevec.training.samplers.anchors import AnchorSampler, in_disc

Positives = Literal["disc", "places", "none"]
"""Source of positives: any point near the anchor, another place near it, or none (anchors only)."""

_TRIES = 32
"""Rounds of redrawing negatives before the far places of an anchor are enumerated."""


class NearFarSampler(AnchorSampler):
    """Anchors, positives near them and, for triplets, negatives far from them; all distances in meters.

    Distances are straight lines through the ellipsoid, which equal ground distances to 1 part in 100,000.

    Slots: ``anchor`` (places of the dataset), ``positive`` and, with ``negatives``, ``negative``.

    Args:
        lonlat: (N, 2) lon, lat degrees of all places of the dataset.
        near_m: maximum distance of a positive from its anchor in meters.
        far_m: minimum distance of a negative from its anchor in meters; needed with ``negatives``.
        positives: ``disc``: a random point in the disc of radius ``near_m``, uniform by area, which does not have to be
            a place; ``places``: a random other row within ``near_m`` (one of the ``max_neighbors`` nearest); a place
            without neighbors is its own positive, shifted to a random point of the disc; ``none``: anchors only, for
            prediction objectives.
        negatives: draw the slot ``negative``.
        max_neighbors: maximum number of neighbors stored per place.
        common: the options of `AnchorSampler`: rows, batch size, seed, warps, targets.

    Raises:
        InputError: a row that does not exist or has no coordinates, invalid distances, or places without another place
            ``far_m`` away; the message says what to lower.

    Source: tile pairs by distance, Jean et al. 2019 (Tile2Vec, arXiv:1805.02855) and Spruyt 2018 (Loc2Vec); the disc
    and dropped channels are from Loc2Vec.

    >>> lonlat = np.stack([24.9 + 0.001 * np.arange(20), np.full(20, 60.17)], axis=1)  # 55 m apart
    >>> draw = NearFarSampler(lonlat, near_m=60, far_m=300, negatives=True, batch_size=4, seed=0).draw(0)
    >>> apart = (draw.targets["anchor_xyz"] - draw.targets["positive_xyz"]).norm(dim=1)
    >>> sorted(draw.looks), bool((apart <= 60).all())
    (['anchor', 'negative', 'positive'], True)
    """

    def __init__(
        self,
        lonlat: ArrayLike,
        *,
        near_m: float,
        far_m: float | None = None,
        positives: Positives = "disc",
        negatives: bool = False,
        max_neighbors: int = 64,
        **common: Any,
    ) -> None:
        super().__init__(lonlat, **common)
        _check_distances(near_m, far_m, positives, negatives)
        self.near_m, self.far_m, self.positives, self.negatives = float(near_m), far_m, positives, negatives
        self._neighbors = Neighbors.of(self._xyz, near_m, max_neighbors) if positives == "places" else None
        if negatives and far_m is not None:
            check_far_places(self._xyz, self.rows, far_m)

    @property
    def reach_m(self) -> float:
        """Maximum distance in meters from the center of a window to the nearest of the rows."""
        alone = self.positives == "none"
        leaves = not alone and (self._neighbors is None or bool(self._neighbors.lonely.any()))
        return (self.near_m if leaves else 0.0) + self.shift_m

    def _positive(self, picked: Ints, random: np.random.Generator) -> tuple[Look, Floats] | None:
        if self.positives == "none":
            return None
        if self._neighbors is None:
            return self._point_near(picked, random)
        chosen, moves = self._neighbors.one_of(picked, random), None
        look = self._look(chosen, random, "positive")
        if self._neighbors.lonely.any():
            moves = in_disc(random, len(picked), self.near_m).astype(np.float32)
            moves[~self._neighbors.lonely[picked]] = 0.0
            look = moved(look, moves)
        return look, self._xyz[chosen]

    def _negative(self, picked: Ints, random: np.random.Generator) -> Look | None:
        if not self.negatives:
            return None
        # tolerance for rounding
        far = far_from(self._xyz, picked, float(self.far_m or 0.0) * (1.0 - 1e-9), random)
        return self._look(far, random, "negative")

    def _point_near(self, picked: Ints, random: np.random.Generator) -> tuple[Look, Floats]:
        step = in_disc(random, len(picked), self.near_m)
        start = self.lonlat[picked]
        lonlat = geo.local_offset(start[:, 0], start[:, 1], east_m=step[:, 0], north_m=step[:, 1])
        rows = torch.full((len(picked),), ROW_SYNTHETIC, dtype=torch.int64)
        look = Look(rows, torch.from_numpy(lonlat), self._warp(len(picked), random, "positive"))
        return look, geo.to_ecef(lonlat[:, 0], lonlat[:, 1])


def moved(look: Look, moves: NDArray[np.float32]) -> Look:
    """A look shifted by another (N, 2) meters, east then north."""
    further = torch.from_numpy(moves)
    shift = look.warp["shift"] + further if "shift" in look.warp else further
    return replace(look, warp={**look.warp, "shift": shift})


def far_from(points: Floats, picked: Ints, far: float, random: np.random.Generator) -> Ints:
    """A random one of the (N, D) points at least ``far`` away, for each picked point.

    Redrawn until it is far: expected O(1) if most points are far. Every picked point must have a far one.

    >>> points = np.array([[0.0], [1.0], [100.0]])
    >>> far_from(points, np.array([0, 1]), 50.0, np.random.default_rng(0)).tolist()
    [2, 2]
    """
    far2 = far**2
    chosen = random.integers(0, len(points), len(picked))
    near = picked
    for _ in range(_TRIES):
        near = np.flatnonzero(((points[chosen] - points[picked]) ** 2).sum(axis=1) < far2)
        if len(near) == 0:
            return chosen
        chosen[near] = random.integers(0, len(points), len(near))
    for i in near:
        candidates = np.flatnonzero(((points - points[picked[i]]) ** 2).sum(axis=1) >= far2)
        chosen[i] = candidates[random.integers(0, len(candidates))]
    return chosen


@dataclass(frozen=True)
class Neighbors:
    """The neighbors of each place: those of ``i`` are ``members[offsets[i]:offsets[i + 1]]``.

    >>> neighbors = Neighbors.of(np.array([[0.0], [1.0], [9.0]]), near=2.0, maximum=8)
    >>> neighbors.members.tolist(), neighbors.lonely.tolist()
    ([1, 0], [False, False, True])
    """

    offsets: Ints
    members: NDArray[np.int32]
    lonely: NDArray[np.bool_]

    @classmethod
    def of(
        cls, points: Floats, near: float, maximum: int, *, norm: float = 2.0, chunk: int = 65536
    ) -> Neighbors:
        """Up to ``maximum`` nearest others within ``near`` of each of the (N, D) points, in a Minkowski norm."""
        from scipy.spatial import cKDTree

        tree, total = cKDTree(points), len(points)
        ranks = np.arange(1, min(maximum + 1, total) + 1)
        counts, members = [np.zeros(1, np.int64)], []
        bound = np.nextafter(near, np.inf)  # scipy's bound is exclusive
        for start in range(0, total, chunk):
            queried = np.arange(start, min(start + chunk, total))
            _, found = tree.query(points[queried], k=ranks, p=norm, distance_upper_bound=bound, workers=-1)
            neighbor = (found < total) & (found != queried[:, None])
            counts.append(neighbor.sum(axis=1))
            members.append(found[neighbor].astype(np.int32))
        numbers = np.concatenate(counts)
        return cls(np.cumsum(numbers), np.concatenate(members), numbers[1:] == 0)

    def one_of(self, picked: Ints, random: np.random.Generator) -> Ints:
        """A random neighbor of each picked place; a place without neighbors gets itself."""
        start, count = self.offsets[picked], self.offsets[picked + 1] - self.offsets[picked]
        chosen = picked.copy()
        some = np.flatnonzero(count)
        drawn = (random.random(len(picked))[some] * count[some]).astype(np.int64)
        chosen[some] = self.members[start[some] + drawn]
        return chosen


def _check_distances(near_m: float, far_m: float | None, positives: str, negatives: bool) -> None:
    if positives not in get_args(Positives):
        raise InputError(f"positives must be {' or '.join(get_args(Positives))}; got {positives!r}")
    if not 0 < near_m < np.inf:
        raise InputError(f"near_m must be a positive number of meters; got {near_m}")
    if negatives and (far_m is None or not near_m <= far_m < np.inf):
        raise InputError(f"negatives need far_m of at least near_m = {near_m:g} meters; got {far_m}")


def check_far_places(points: Floats, rows: Ints, far: float, unit: str = "m") -> None:
    """InputError unless each of the (N, D) points has another one at least ``far`` away."""
    signs = np.stack(np.meshgrid(*[[-1, 0, 1]] * points.shape[1], indexing="ij"), axis=-1)
    farthest = np.zeros(len(points))
    for outermost in np.unique((points @ signs.reshape(-1, points.shape[1]).T).argmax(axis=0)):
        farthest = np.maximum(farthest, np.sqrt(((points - points[outermost]) ** 2).sum(axis=1)))
    doubtful = np.flatnonzero(farthest < far)
    if len(doubtful):
        from scipy.spatial import cKDTree

        below = np.nextafter(far, 0.0)
        near = cKDTree(points).query_ball_point(points[doubtful], below, return_length=True)
        stuck = doubtful[near == len(points)]
        if len(stuck):
            raise InputError(
                f"{len(stuck)} of {len(points)} places (the first is row {rows[stuck[0]]}) have no other place"
                f" {far:,.0f} {unit} away for a negative: the places span {farthest.max():,.0f} {unit}; lower"
                f" far_{unit} to {np.floor(farthest.min()):,.0f} {unit} or less, or use a larger area"
            )
