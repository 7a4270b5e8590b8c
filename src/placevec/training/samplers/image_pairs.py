"""Places with their images and random background points, for contrastive training of location encoders."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from placevec.core import ROW_SYNTHETIC, Draw, Look
from placevec.errors import InputError
from placevec.geo import Floats
from placevec.training.samplers.background import Background
from placevec.training.samplers.epochs import Epochs, checked_rows, generator, slice_of

_BACKGROUND = 3


class ImagePairs:
    """Places in random order, each once per epoch; an incomplete last batch is dropped.

    Slots are ``point`` and ``image``. With ``twins`` there is also ``twin``, the same points again, encoded with a
    different dropout mask; with a background also ``background``, ``negatives`` points per place: row ``k * B + b`` is
    the k-th of place b.

    Args:
        rows: (R,) places that have coordinates and an image.
        lonlat: (N, 2) lon, lat degrees of all places.
        batch_size: places in the global batch; at most the number of rows.
        seed: random seed, at least 0.
        twins: whether to draw the slot ``twin``.
        background: distribution of the background points; None draws none.
        negatives: number of background points per place.

    >>> draw = ImagePairs([0, 1, 2], np.zeros((3, 2)), batch_size=2, seed=0, twins=True).draw(0)
    >>> sorted(draw.looks), len(draw.looks["image"])
    (['image', 'point', 'twin'], 2)
    """

    def __init__(
        self,
        rows: ArrayLike,
        lonlat: Floats,
        *,
        batch_size: int,
        seed: int,
        twins: bool = False,
        background: Background | None = None,
        negatives: int = 1,
    ) -> None:
        self.rows = checked_rows(rows, len(lonlat))
        if negatives < 1:
            raise InputError(f"negatives must be at least 1; got {negatives} (use background=None for none)")
        self.lonlat, self.twins, self.seed = np.asarray(lonlat, np.float64), twins, seed
        self.background, self.negatives = background, negatives
        self._order = Epochs(len(self.rows), batch_size, seed)

    @property
    def batch_size(self) -> int:
        """Places in the global batch."""
        return self._order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Complete batches per epoch."""
        return self._order.steps

    def with_batch_size(self, batch_size: int) -> ImagePairs:
        """A copy of the sampler with another batch size."""
        return ImagePairs(
            self.rows, self.lonlat, batch_size=batch_size, seed=self.seed, twins=self.twins,
            background=self.background, negatives=self.negatives,
        )  # fmt: skip

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of process ``rank`` of the batch of a step."""
        part = slice_of(self.batch_size, rank, world)
        chosen = self.rows[self._order.at(step)[part]]
        rows, lonlat = torch.from_numpy(chosen), torch.from_numpy(self.lonlat[chosen])
        looks = {"point": Look(rows, lonlat), "image": Look(rows)}
        if self.twins:
            looks["twin"] = Look(rows, lonlat)
        if self.background is not None:
            random = generator(self.seed, step, _BACKGROUND)
            everywhere = self.background.draw(random, self.negatives * self.batch_size)
            mine = everywhere.reshape(self.negatives, self.batch_size, 2)[:, part].reshape(-1, 2)
            nowhere = torch.full((len(mine),), ROW_SYNTHETIC, dtype=torch.int64)
            looks["background"] = Look(nowhere, torch.from_numpy(np.ascontiguousarray(mine)))
        return Draw(looks)
