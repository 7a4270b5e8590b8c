"""Which places meet in a batch: pairs in metres, and places with what else is known of them.

Samplers speak in numbers (core.Look), never in pixels. ``draw(step, rank, world)`` is a pure function: the global
batch follows from (seed, step) alone, and each of ``world`` processes takes its own slice of it, so that the same
batches come at any number of processes, and a resumed run needs no state.

No sampler looks beyond the ``rows`` it was given. Pass the training rows of a split: what is held out is then never
an anchor, a positive or a negative. Windows between places (``positives="disc"``, shifts) reach `reach_m` beyond
the training places; a split whose buffer is at least that plus a window's width keeps them off held-out ground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from placevec import geo
from placevec.core import ROW_MISSING, ROW_SYNTHETIC, Draw, Look, Sampler
from placevec.errors import InputError
from placevec.geo import Floats, Ints

Positives = Literal["disc", "places", "none"]
"""Where a positive comes from: any point near the anchor, another place near it, or nowhere: anchors alone."""

_ORDER, _PAIRS = 1, 2
"""Streams of random numbers that share a seed."""
_TRIES = 32
"""Rounds of drawing negatives again before the far places of an anchor are listed one by one."""


class NearFarSampler:
    """Anchors, positives near them and, for triplets, negatives far from them; all distances in metres.

    Every epoch visits the places in a new order; the few that do not fill a batch wait for another epoch. Distances
    are straight lines through the ellipsoid, which are ground distances to 1 part in 100,000.

    Slots drawn: ``anchor`` (places of the dataset), ``positive`` and, with ``negatives``, ``negative``.
    Targets: ``anchor_xyz`` and ``positive_xyz``, (B, 3) float64 earth-centred metres, shifts not included, and
    whatever is known of the anchors.
    Warp of each look, where asked for: ``angle``, ``shift``, ``keep`` (core.Look).

    Args:
        lonlat: (N, 2) lon, lat degrees of all places of the dataset.
        rows: (R,) the places to draw from; None means all.
        batch_size: pairs in the global batch; the number of rows if that is smaller.
        seed: 0 or more.
        near_m: a positive lies within this many metres of its anchor.
        far_m: a negative lies at least this many metres from its anchor; needed with ``negatives``.
        positives: ``disc``: a point anywhere in the disc of radius ``near_m``, uniform by area, which need not be a
            place; ``places``: another of the rows within ``near_m`` (of more than ``max_neighbours``, the nearest);
            a place without neighbours is its own positive, shifted to a random point of the disc; ``none``: anchors
            alone, to predict from.
        negatives: draw the slot ``negative``.
        rotate: turn every window by a random angle.
        shift_m: move every window to a random point within this many metres.
        drop_channels: chance of each channel to be blanked in the slots ``drop_in``; never all of them.
        channels: number of channels of the view, needed with ``drop_channels``.
        drop_in: slots that lose channels (Loc2Vec: the positive only).
        max_neighbours: neighbours kept in memory for each place.
        targets: name -> (N, ...) array over all places of the dataset (what is there), read at the anchors.

    Raises:
        InputError: a row that does not exist or has no coordinates, sizes that make no sense, or, at construction,
            places with no other place ``far_m`` away; the message says what to lower.

    Source: tile pairs by distance, Jean et al. 2019 (Tile2Vec, arXiv:1805.02855) and Spruyt 2018 (Loc2Vec); the disc
    and the dropped channels are Loc2Vec's.
    """

    def __init__(
        self,
        lonlat: ArrayLike,
        *,
        rows: ArrayLike | None = None,
        batch_size: int,
        seed: int,
        near_m: float,
        far_m: float | None = None,
        positives: Positives = "disc",
        negatives: bool = False,
        rotate: bool = False,
        shift_m: float = 0.0,
        drop_channels: float = 0.0,
        channels: int = 0,
        drop_in: Sequence[str] = ("positive",),
        max_neighbours: int = 64,
        targets: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        all_lonlat = np.asarray(lonlat, np.float64).reshape(-1, 2)
        self.rows = _checked_rows(rows, len(all_lonlat))
        self.lonlat = all_lonlat[self.rows]
        lost = np.flatnonzero(~np.isfinite(self.lonlat).all(axis=1))
        if len(lost):
            raise InputError(
                f"pairs in metres need coordinates, and {len(lost)} of {len(self.rows)} places have none"
                f" (the first is row {self.rows[lost[0]]})"
            )
        _check_distances(near_m, far_m, shift_m, positives, negatives)
        if not 0 <= drop_channels < 1 or (drop_channels and channels < 2):
            raise InputError(
                f"channels are dropped with a chance from 0 to below 1, of at least 2; got {drop_channels} of {channels}"
            )
        self.near_m, self.far_m, self.shift_m = float(near_m), far_m, float(shift_m)
        self.positives, self.negatives, self.rotate = positives, negatives, rotate
        self.drop_channels, self.channels, self.drop_in = drop_channels, channels, tuple(drop_in)
        self.seed = seed
        self.targets = {name: np.asarray(values) for name, values in (targets or {}).items()}
        for name, values in self.targets.items():
            if len(values) != len(all_lonlat):
                raise InputError(f"the target {name} has {len(values)} entries for {len(all_lonlat)} places")
        self._order = _Epochs(len(self.rows), batch_size, seed)
        self._xyz = geo.to_ecef(self.lonlat[:, 0], self.lonlat[:, 1])
        self._neighbours = (
            _Neighbours.of(self._xyz, near_m, max_neighbours) if positives == "places" else None
        )
        if negatives and far_m is not None:
            _check_far_places(self._xyz, self.rows, far_m)

    @property
    def batch_size(self) -> int:
        """Pairs in the global batch."""
        return self._order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every place is an anchor once, but for an incomplete last batch."""
        return self._order.steps

    @property
    def reach_m(self) -> float:
        """How far, in metres, the centre of a window may lie from the nearest of the rows."""
        alone = self.positives == "none"
        leaves = not alone and (self._neighbours is None or bool(self._neighbours.lonely.any()))
        return (self.near_m if leaves else 0.0) + self.shift_m

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of rank ``rank`` of the batch of a step."""
        part = _slice(self.batch_size, rank, world)
        picked = self._order.at(step)
        random = _generator(self.seed, step, _PAIRS)
        looks = {"anchor": self._look(picked, random, "anchor")}
        targets = {"anchor_xyz": torch.from_numpy(self._xyz[picked][part])}
        if self.positives != "none":
            if self._neighbours is None:
                looks["positive"], positive_xyz = self._point_near(picked, random)
            else:
                looks["positive"], positive_xyz = self._place_near(picked, random, self._neighbours)
            targets["positive_xyz"] = torch.from_numpy(positive_xyz[part])
        if self.negatives:
            looks["negative"] = self._look(self._far_from(picked, random), random, "negative")
        at_anchors = self.rows[picked][part]
        targets |= {name: torch.from_numpy(values[at_anchors]) for name, values in self.targets.items()}
        return Draw({slot: _part_of(look, part) for slot, look in looks.items()}, targets)

    def _look(self, picked: Ints, random: np.random.Generator, slot: str) -> Look:
        rows, lonlat = torch.from_numpy(self.rows[picked]), torch.from_numpy(self.lonlat[picked])
        return Look(rows, lonlat, self._warp(len(picked), random, slot))

    def _point_near(self, picked: Ints, random: np.random.Generator) -> tuple[Look, Floats]:
        step = _in_disc(random, len(picked), self.near_m)
        start = self.lonlat[picked]
        lonlat = geo.local_offset(start[:, 0], start[:, 1], east_m=step[:, 0], north_m=step[:, 1])
        rows = torch.full((len(picked),), ROW_SYNTHETIC, dtype=torch.int64)
        look = Look(rows, torch.from_numpy(lonlat), self._warp(len(picked), random, "positive"))
        return look, geo.to_ecef(lonlat[:, 0], lonlat[:, 1])

    def _place_near(
        self, picked: Ints, random: np.random.Generator, neighbours: _Neighbours
    ) -> tuple[Look, Floats]:
        chosen = neighbours.one_of(picked, random)
        look = self._look(chosen, random, "positive")
        if neighbours.lonely.any():
            moves = _in_disc(random, len(picked), self.near_m).astype(np.float32)
            moves[~neighbours.lonely[picked]] = 0.0
            moved = torch.from_numpy(moves)
            shift = look.warp["shift"] + moved if "shift" in look.warp else moved
            look = replace(look, warp={**look.warp, "shift": shift})
        return look, self._xyz[chosen]

    def _far_from(self, picked: Ints, random: np.random.Generator) -> Ints:
        """Another place far from each: drawn again until it is far; expected O(1) where most places are far."""
        far2 = (float(self.far_m or 0.0) * (1.0 - 1e-9)) ** 2  # no place is lost to rounding
        chosen = random.integers(0, len(self.rows), len(picked))
        for _ in range(_TRIES):
            near = np.flatnonzero(((self._xyz[chosen] - self._xyz[picked]) ** 2).sum(axis=1) < far2)
            if len(near) == 0:
                return chosen
            chosen[near] = random.integers(0, len(self.rows), len(near))
        for i in near:
            far = np.flatnonzero(((self._xyz - self._xyz[picked[i]]) ** 2).sum(axis=1) >= far2)
            chosen[i] = far[random.integers(0, len(far))]
        return chosen

    def _warp(self, count: int, random: np.random.Generator, slot: str) -> dict[str, Tensor]:
        warp = {}
        if self.rotate:
            angle = random.random(count, np.float32) * np.float32(2 * np.pi) - np.float32(np.pi)
            warp["angle"] = torch.from_numpy(angle)
        if self.shift_m:
            warp["shift"] = torch.from_numpy(_in_disc(random, count, self.shift_m).astype(np.float32))
        if self.drop_channels and slot in self.drop_in:
            chances = random.random((count, self.channels), np.float32)
            keep = chances >= self.drop_channels
            keep[np.arange(count), chances.argmax(axis=1)] = True  # the luckiest channel always stays
            warp["keep"] = torch.from_numpy(keep)
        return warp


class PairSampler:
    """Places with all that is known of them: every slot of a batch reads the same rows.

    For views that are read by row (chips, words, POI sets, ready features) and for coordinates; which rows meet is
    random. What a slot knows nothing of is ``ROW_MISSING`` there, and takes no part in any objective on that slot.

    Args:
        rows: (R,) the places to draw from.
        batch_size: places in the global batch; the number of rows if that is smaller.
        seed: 0 or more.
        slots: names of the slots; or name -> (N,) bool, the places of the dataset it knows (None: all).
        lonlat: (N, 2) lon, lat degrees of all places, for slots that read coordinates.
        targets: name -> (N, ...) array over all places (labels, types), read at the drawn rows.

    >>> sampler = PairSampler([0, 1, 2], batch_size=2, seed=0, slots=["image", "words"])
    >>> draw = sampler.draw(0)
    >>> len(draw.looks["image"]), torch.equal(draw.looks["image"].rows, draw.looks["words"].rows)
    (2, True)
    """

    def __init__(
        self,
        rows: ArrayLike,
        *,
        batch_size: int,
        seed: int,
        slots: Sequence[str] | Mapping[str, ArrayLike | None],
        lonlat: ArrayLike | None = None,
        targets: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.rows = _checked_rows(rows, None)
        self.lonlat = None if lonlat is None else np.asarray(lonlat, np.float64).reshape(-1, 2)
        known = slots if isinstance(slots, Mapping) else dict.fromkeys(slots)
        self.known = {slot: None if mask is None else np.asarray(mask, bool) for slot, mask in known.items()}
        self.targets = {name: np.asarray(values) for name, values in (targets or {}).items()}
        tables = {**self.known, **self.targets, "lonlat": self.lonlat}
        for name, table in tables.items():
            if table is not None and len(table) <= self.rows.max():
                raise InputError(
                    f"{name} has {len(table)} entries and cannot be read at row {self.rows.max()}"
                )
        self._order = _Epochs(len(self.rows), batch_size, seed)

    @property
    def batch_size(self) -> int:
        """Places in the global batch."""
        return self._order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every place comes once, but for an incomplete last batch."""
        return self._order.steps

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of rank ``rank`` of the batch of a step."""
        rows = self.rows[self._order.at(step)[_slice(self.batch_size, rank, world)]]
        lonlat = None if self.lonlat is None else torch.from_numpy(self.lonlat[rows])
        looks = {}
        for slot, known in self.known.items():
            read = rows if known is None else np.where(known[rows], rows, ROW_MISSING)
            looks[slot] = Look(torch.from_numpy(read), lonlat)
        return Draw(looks, {name: torch.from_numpy(values[rows]) for name, values in self.targets.items()})


class FixedPairs:
    """The same few batches of another sampler again and again, to measure on: step ``s`` is its ``s % batches``.

    Give it a sampler over held-out rows. Being pure, that sampler draws the same batches in every process and run.

    >>> few = FixedPairs(PairSampler(range(9), batch_size=3, seed=0, slots=["a"]), batches=2)
    >>> torch.equal(few.draw(0).looks["a"].rows, few.draw(2).looks["a"].rows), few.steps_per_epoch
    (True, 2)
    """

    def __init__(self, sampler: Sampler, batches: int) -> None:
        if batches < 1:
            raise InputError(f"validation needs at least one batch; got {batches}")
        self.sampler, self.steps_per_epoch = sampler, batches

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of rank ``rank`` of one of the fixed batches."""
        return self.sampler.draw(step % self.steps_per_epoch, rank, world)


# --- orders and slices -------------------------------------------------------------------------------------


class _Epochs:
    """Which of ``total`` items a step draws: a new permutation every epoch, whole batches only."""

    def __init__(self, total: int, batch_size: int, seed: int) -> None:
        if batch_size < 1:
            raise InputError(f"a batch holds at least one pair; got {batch_size}")
        if seed < 0:
            raise InputError(f"a seed is a whole number, 0 or more; got {seed}")
        self.total, self.seed = total, seed
        self.batch_size = min(batch_size, total)
        self.steps = total // self.batch_size
        # the latest epoch and its order, kept for speed only: one follows from the other
        self._latest: tuple[int, Ints] = (-1, np.empty(0, np.int64))

    def at(self, step: int) -> Ints:
        """(batch_size,) positions, all different."""
        if step < 0:
            raise InputError(f"a step is 0 or more; got {step}")
        epoch, within = divmod(step, self.steps)
        known, order = self._latest
        if known != epoch:
            order = _generator(self.seed, epoch, _ORDER).permutation(self.total)
            self._latest = (epoch, order)
        return order[within * self.batch_size : (within + 1) * self.batch_size]


def _generator(seed: int, step: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, step, stream])))


def _slice(total: int, rank: int, world: int) -> slice:
    if not 0 <= rank < world:
        raise InputError(f"rank {rank} is not one of {world} processes")
    return slice(total * rank // world, total * (rank + 1) // world)


def _part_of(look: Look, part: slice) -> Look:
    lonlat = None if look.lonlat is None else look.lonlat[part]
    return Look(look.rows[part], lonlat, {name: values[part] for name, values in look.warp.items()})


def _checked_rows(rows: ArrayLike | None, total: int | None) -> Ints:
    chosen = np.arange(total or 0) if rows is None else np.asarray(rows).reshape(-1)
    if len(chosen) == 0:
        raise InputError("there is no place to draw from: the rows are empty")
    if not np.issubdtype(chosen.dtype, np.integer) or chosen.min() < 0 or (total and chosen.max() >= total):
        last = "N - 1" if total is None else total - 1
        raise InputError(
            f"rows are whole numbers from 0 to {last}; got {chosen.dtype} from {chosen.min()} to {chosen.max()}"
            f" (a mask needs np.flatnonzero)"
        )
    return chosen.astype(np.int64)


# --- near and far ------------------------------------------------------------------------------------------


def _in_disc(random: np.random.Generator, count: int, radius_m: float) -> Floats:
    """(count, 2) metres east and north, uniform by area in a disc."""
    chances = random.random((count, 2))
    length, bearing = radius_m * np.sqrt(chances[:, 0]), 2.0 * np.pi * chances[:, 1]
    return np.stack([length * np.sin(bearing), length * np.cos(bearing)], axis=1)


@dataclass(frozen=True)
class _Neighbours:
    """The places near each place: those of ``i`` are ``members[offsets[i]:offsets[i + 1]]``."""

    offsets: Ints
    members: NDArray[np.int32]
    lonely: NDArray[np.bool_]

    @classmethod
    def of(cls, xyz: Floats, near_m: float, most: int, chunk: int = 65536) -> _Neighbours:
        from scipy.spatial import cKDTree

        tree, total = cKDTree(xyz), len(xyz)
        ranks = np.arange(1, min(most + 1, total) + 1)
        counts, members = [np.zeros(1, np.int64)], []
        bound = np.nextafter(near_m, np.inf)  # scipy's is exclusive
        for start in range(0, total, chunk):
            queried = np.arange(start, min(start + chunk, total))
            _, found = tree.query(xyz[queried], k=ranks, distance_upper_bound=bound, workers=-1)
            neighbour = (found < total) & (found != queried[:, None])
            counts.append(neighbour.sum(axis=1))
            members.append(found[neighbour].astype(np.int32))
        numbers = np.concatenate(counts)
        return cls(np.cumsum(numbers), np.concatenate(members), numbers[1:] == 0)

    def one_of(self, picked: Ints, random: np.random.Generator) -> Ints:
        """A random neighbour of each; a lonely place itself."""
        start, count = self.offsets[picked], self.offsets[picked + 1] - self.offsets[picked]
        chosen = picked.copy()
        some = np.flatnonzero(count)
        drawn = (random.random(len(picked))[some] * count[some]).astype(np.int64)
        chosen[some] = self.members[start[some] + drawn]
        return chosen


def _check_distances(
    near_m: float, far_m: float | None, shift_m: float, positives: str, negatives: bool
) -> None:
    if positives not in get_args(Positives):
        raise InputError(f"positives come from {' or '.join(get_args(Positives))}; got {positives!r}")
    if not 0 < near_m < np.inf or not 0 <= shift_m < np.inf:
        raise InputError(
            f"near_m is positive and shift_m not negative, in metres; got {near_m} and {shift_m}"
        )
    if negatives and (far_m is None or not near_m <= far_m < np.inf):
        raise InputError(f"negatives need far_m, in metres and at least near_m = {near_m:g}; got {far_m}")


def _check_far_places(xyz: Floats, rows: Ints, far_m: float) -> None:
    """InputError unless every place has another ``far_m`` away."""
    signs = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 3)
    farthest = np.zeros(len(xyz))
    for outermost in np.unique((xyz @ signs.T).argmax(axis=0)):
        farthest = np.maximum(farthest, np.sqrt(((xyz - xyz[outermost]) ** 2).sum(axis=1)))
    doubtful = np.flatnonzero(farthest < far_m)
    if len(doubtful):
        from scipy.spatial import cKDTree

        below = np.nextafter(far_m, 0.0)
        near = cKDTree(xyz).query_ball_point(xyz[doubtful], below, return_length=True)
        stuck = doubtful[near == len(xyz)]
        if len(stuck):
            raise InputError(
                f"{len(stuck)} of {len(xyz)} places (the first is row {rows[stuck[0]]}) have no other place"
                f" {far_m:,.0f} m away to be a negative: the places span {farthest.max():,.0f} m; lower far_m to"
                f" {np.floor(farthest.min()):,.0f} m or less, or take a larger area"
            )
