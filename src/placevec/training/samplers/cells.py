"""Cells with an image and points of interest: distinct cells in a batch, two images and two samples of points of each."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from placevec.core import ROW_MISSING, Draw, Look
from placevec.errors import InputError
from placevec.geo import Floats
from placevec.training.samplers.described import Disturbed
from placevec.training.samplers.epochs import PAIRS, Epochs, checked_rows, generator, slice_of

IMAGES, POIS = ("image", "image_again"), ("pois", "pois_again")
"""Slots: two augmentations of a cell's image, two samples of its points of interest."""


class CellSampler:
    """Draws the slots ``image``, ``image_again``, ``pois`` and ``pois_again`` of the same cells.

    Args:
        rows: (R,) cells that have an image, points of interest or both.
        has_image, has_pois: (N,) bool of all cells.
        batch_size: distinct cells in the global batch; at most the number of rows.
        seed: random seed, at least 0.
        lonlat: (N, 2) lon, lat degrees of all cells.
        disturbed: how images are augmented; None reads them as they are: for validation.
        image_by_row: whether images are read by row (chips) instead of by coordinates.
        keep_share: lowest share of a cell's points that a sample keeps, 1 keeps all; each time between it and 1.
        shift_m: how far the window of an image is moved at most, meters, each way.
        again: whether there is a second sample of points; if no cell has points, there is none.

    >>> there = np.ones(6, bool)
    >>> sampler = CellSampler(range(6), there, there, batch_size=4, seed=0, lonlat=np.zeros((6, 2)))
    >>> sorted(sampler.draw(0).looks)
    ['image', 'image_again', 'pois']
    """

    def __init__(
        self,
        rows: ArrayLike,
        has_image: NDArray[np.bool_],
        has_pois: NDArray[np.bool_],
        *,
        batch_size: int,
        seed: int,
        lonlat: Floats,
        disturbed: Disturbed | None = None,
        image_by_row: bool = False,
        keep_share: float = 1.0,
        shift_m: float = 0.0,
        again: bool = False,
    ) -> None:
        self.rows = checked_rows(rows, len(has_image))
        if not 0 < keep_share <= 1:
            raise InputError(f"keep_share must be more than 0 and at most 1; got {keep_share}")
        if not (has_image | has_pois)[self.rows].all():
            raise InputError("cells without an image and without points of interest cannot be drawn")
        self.has_image, self.has_pois, self.lonlat = has_image, has_pois, lonlat
        self.seed, self.disturbed, self.image_by_row = seed, disturbed, image_by_row
        self.keep_share, self.shift_m, self.again = keep_share, shift_m, again
        self._epochs = Epochs(len(self.rows), batch_size, seed)

    @property
    def poi_slots(self) -> tuple[str, ...]:
        """The slots of points of interest that are drawn."""
        return POIS[: 1 + self.again] if self.has_pois.any() else ()

    @property
    def batch_size(self) -> int:
        """Cells in the global batch."""
        return self._epochs.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Complete batches per epoch, in which as many cells are drawn as there are."""
        return self._epochs.steps

    def with_batch_size(self, batch_size: int) -> Self:
        """A copy of the sampler with another batch size, for when memory runs out."""
        other = copy.copy(self)
        other._epochs = Epochs(len(self.rows), batch_size, self.seed)
        return other

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of process ``rank`` of the batch of a step."""
        part = slice_of(self.batch_size, rank, world)
        rows = self.rows[self._epochs.at(step)]
        random = generator(self.seed, step, PAIRS)
        looks: dict[str, Look] = {}
        for name in IMAGES:
            warp = {} if self.disturbed is None else self.disturbed.warp(rows, random)
            if self.shift_m and self.disturbed is not None and not self.image_by_row:
                warp["shift"] = random.uniform(-self.shift_m, self.shift_m, (len(rows), 2)).astype(np.float32)
            looks[name] = self._look(rows, self.has_image, warp, part, by_row=self.image_by_row)
        for name in self.poi_slots:
            warp = {}
            if self.keep_share < 1 and self.disturbed is not None:
                warp["keep_share"] = random.uniform(self.keep_share, 1.0, len(rows))
                warp["seed"] = random.integers(0, 2**62, len(rows))
            looks[name] = self._look(rows, self.has_pois, warp, part, by_row=False)
        return Draw(looks, {})

    def _look(
        self,
        rows: NDArray[Any],
        there: NDArray[np.bool_],
        warp: dict[str, NDArray[Any]],
        part: slice,
        *,
        by_row: bool,
    ) -> Look:
        held = rows[part]
        return Look(
            torch.from_numpy(np.where(there[held], held, ROW_MISSING)),
            None if by_row else torch.from_numpy(self.lonlat[held]),
            {name: torch.from_numpy(values[part]) for name, values in warp.items()},
        )
