"""What samplers of pairs share: anchors in turn, how windows are disturbed, what is known of the anchors."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from placevec import geo
from placevec.core import Draw, Look
from placevec.errors import InputError
from placevec.geo import Floats, Ints
from placevec.training.samplers.epochs import PAIRS, Epochs, checked_rows, generator, part_of, slice_of


class AnchorSampler:
    """Draws the slot ``anchor``; what is drawn beside it is a subclass's.

    Every epoch visits the places in a new order; the few that do not fill a batch wait for another epoch.

    Targets: ``anchor_xyz`` and ``positive_xyz``, (B, 3) float64 earth-centred metres, shifts not included, and
    whatever is known of the anchors.
    Warp of each look, where asked for: ``angle``, ``flip``, ``shift``, ``keep`` (core.Look).

    Args:
        lonlat: (N, 2) lon, lat degrees of all places of the dataset.
        rows: (R,) the places to draw from; None means all.
        batch_size: pairs in the global batch; the number of rows if that is smaller.
        seed: 0 or more.
        rotate: turn every window by a random angle.
        flip: mirror every window at random, east to west and north to south independently.
        shift_m: move every window to a random point within this many metres.
        drop_channels: chance of each channel to be blanked in the slots ``drop_in``; never all of them.
        channels: number of channels of the view, needed with ``drop_channels``.
        drop_in: slots that lose channels (Loc2Vec: the positive only).
        targets: name -> (N, ...) array over all places of the dataset (what is there), read at the anchors.

    Attributes:
        places: N, how many places the dataset has; never how many rows there are, nor the largest of them.
        rows: (R,) the places drawn from.
        lonlat: (R, 2) where they are.

    Raises:
        InputError: a row that does not exist or has no coordinates, or options that make no sense.
    """

    def __init__(
        self,
        lonlat: ArrayLike,
        *,
        rows: ArrayLike | None = None,
        batch_size: int,
        seed: int,
        rotate: bool = False,
        flip: bool = False,
        shift_m: float = 0.0,
        drop_channels: float = 0.0,
        channels: int = 0,
        drop_in: Sequence[str] = ("positive",),
        targets: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        all_lonlat = np.asarray(lonlat, np.float64).reshape(-1, 2)
        self.places = len(all_lonlat)
        self.rows = checked_rows(rows, self.places)
        self.lonlat = all_lonlat[self.rows]
        lost = np.flatnonzero(~np.isfinite(self.lonlat).all(axis=1))
        if len(lost):
            raise InputError(
                f"pairs by distance need coordinates, and {len(lost)} of {len(self.rows)} places have none"
                f" (the first is row {self.rows[lost[0]]})"
            )
        if not 0 <= shift_m < np.inf:
            raise InputError(f"shift_m is not negative, in metres; got {shift_m}")
        if not 0 <= drop_channels < 1 or (drop_channels and channels < 2):
            raise InputError(
                f"channels are dropped with a chance from 0 to below 1, of at least 2; got {drop_channels} of {channels}"
            )
        self.shift_m, self.rotate, self.flip, self.seed = float(shift_m), rotate, flip, seed
        self.drop_channels, self.channels, self.drop_in = drop_channels, channels, tuple(drop_in)
        self.targets = {name: np.asarray(values) for name, values in (targets or {}).items()}
        for name, values in self.targets.items():
            if len(values) != self.places:
                raise InputError(f"the target {name} has {len(values)} entries for {self.places} places")
        self._order = Epochs(len(self.rows), batch_size, seed)
        self._xyz = geo.to_ecef(self.lonlat[:, 0], self.lonlat[:, 1])

    @property
    def batch_size(self) -> int:
        """Pairs in the global batch."""
        return self._order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every place is an anchor once, but for an incomplete last batch."""
        return self._order.steps

    def with_batch_size(self, batch_size: int) -> Self:
        """The same sampler with batches of another size, for a machine that cannot hold these."""
        other = copy.copy(self)
        other._order = Epochs(len(self.rows), batch_size, self.seed)
        return other

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of rank ``rank`` of the batch of a step."""
        part = slice_of(self.batch_size, rank, world)
        picked = self._order.at(step)
        random = generator(self.seed, step, PAIRS)
        looks = {"anchor": self._look(picked, random, "anchor")}
        targets = {"anchor_xyz": torch.from_numpy(self._xyz[picked][part])}
        if (positive := self._positive(picked, random)) is not None:
            looks["positive"], positive_xyz = positive
            targets["positive_xyz"] = torch.from_numpy(positive_xyz[part])
        if (negative := self._negative(picked, random)) is not None:
            looks["negative"] = negative
        at_anchors = self.rows[picked][part]
        targets |= {name: torch.from_numpy(values[at_anchors]) for name, values in self.targets.items()}
        if world > 1:
            looks = {slot: part_of(look, part) for slot, look in looks.items()}
        return Draw(looks, targets)

    def _positive(self, picked: Ints, random: np.random.Generator) -> tuple[Look, Floats] | None:
        """A look near each picked place and (B, 3) where it is, or None."""
        return None

    def _negative(self, picked: Ints, random: np.random.Generator) -> Look | None:
        """A look far from each picked place, or None."""
        return None

    def _look(self, picked: Ints, random: np.random.Generator, slot: str) -> Look:
        rows, lonlat = torch.from_numpy(self.rows[picked]), torch.from_numpy(self.lonlat[picked])
        return Look(rows, lonlat, self._warp(len(picked), random, slot))

    def _warp(self, count: int, random: np.random.Generator, slot: str) -> dict[str, Tensor]:
        warp = {}
        if self.rotate:
            angle = random.random(count, np.float32) * np.float32(2 * np.pi) - np.float32(np.pi)
            warp["angle"] = torch.from_numpy(angle)
        if self.shift_m:
            warp["shift"] = torch.from_numpy(in_disc(random, count, self.shift_m).astype(np.float32))
        if self.drop_channels and slot in self.drop_in:
            chances = random.random((count, self.channels), np.float32)
            keep = chances >= self.drop_channels
            keep[np.arange(count), chances.argmax(axis=1)] = True  # the luckiest channel always stays
            warp["keep"] = torch.from_numpy(keep)
        if self.flip:
            warp["flip"] = torch.from_numpy(random.integers(0, 2, (count, 2)).astype(bool))
        return warp


def in_disc(random: np.random.Generator, count: int, radius_m: float) -> Floats:
    """(count, 2) metres east and north, uniform by area in a disc."""
    chances = random.random((count, 2))
    length, bearing = radius_m * np.sqrt(chances[:, 0]), 2.0 * np.pi * chances[:, 1]
    return np.stack([length * np.sin(bearing), length * np.cos(bearing)], axis=1)
