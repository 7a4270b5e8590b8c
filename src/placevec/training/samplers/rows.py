"""Samplers without distances: places with all their views, and a fixed set of batches for validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from placevec.core import ROW_MISSING, Draw, Look
from placevec.errors import InputError
from placevec.training.samplers.epochs import Epochs, checked_rows, slice_of


class PairSampler:
    """Places with all their views: every slot of a batch reads the same rows.

    For views that are read by row (chips, text, POI sets, features) and for coordinates; batches are random. Places that
    a slot does not have are ``ROW_MISSING`` there, and objectives ignore them for that slot.

    Args:
        rows: (R,) the places to draw from.
        batch_size: places in the global batch; at most the number of rows.
        seed: random seed, at least 0.
        slots: names of the slots; or name -> (N,) bool, which places of the dataset the slot has (None: all).
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
        self.rows = checked_rows(rows, None)
        self.lonlat = None if lonlat is None else np.asarray(lonlat, np.float64).reshape(-1, 2)
        known = slots if isinstance(slots, Mapping) else dict.fromkeys(slots)
        self.known = {slot: None if mask is None else np.asarray(mask, bool) for slot, mask in known.items()}
        self.targets = {name: np.asarray(values) for name, values in (targets or {}).items()}
        tables = {**self.known, **self.targets, "lonlat": self.lonlat}
        for name, table in tables.items():
            if table is not None and len(table) <= self.rows.max():
                raise InputError(f"{name} has {len(table)} entries, so row {self.rows.max()} is out of range")
        self._order = Epochs(len(self.rows), batch_size, seed)

    @property
    def batch_size(self) -> int:
        """Places in the global batch."""
        return self._order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch: every place once, except for an incomplete last batch."""
        return self._order.steps

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of process ``rank`` of the batch of a step."""
        rows = self.rows[self._order.at(step)[slice_of(self.batch_size, rank, world)]]
        lonlat = None if self.lonlat is None else torch.from_numpy(self.lonlat[rows])
        looks = {}
        for slot, known in self.known.items():
            read = rows if known is None else np.where(known[rows], rows, ROW_MISSING)
            looks[slot] = Look(torch.from_numpy(read), lonlat)
        return Draw(looks, {name: torch.from_numpy(values[rows]) for name, values in self.targets.items()})
