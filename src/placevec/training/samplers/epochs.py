"""What all samplers share: the order in which places come, random numbers by step, slices by process."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from placevec.core import Look
from placevec.errors import InputError
from placevec.geo import Ints

ORDER, PAIRS = 1, 2
"""Streams of random numbers that share a seed."""


class Epochs:
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
            order = generator(self.seed, epoch, ORDER).permutation(self.total)
            self._latest = (epoch, order)
        return order[within * self.batch_size : (within + 1) * self.batch_size]


def generator(seed: int, step: int, stream: int) -> np.random.Generator:
    """Random numbers that depend on nothing but these."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, step, stream])))


def slice_of(total: int, rank: int, world: int) -> slice:
    """The part of a global batch that one of ``world`` processes takes."""
    if not 0 <= rank < world:
        raise InputError(f"rank {rank} is not one of {world} processes")
    return slice(total * rank // world, total * (rank + 1) // world)


def part_of(look: Look, part: slice) -> Look:
    """Some rows of a look."""
    lonlat = None if look.lonlat is None else look.lonlat[part]
    return Look(look.rows[part], lonlat, {name: values[part] for name, values in look.warp.items()})


def checked_rows(rows: ArrayLike | None, total: int | None) -> Ints:
    """(R,) int64 rows to draw from, all of ``total`` for None; InputError when they are none."""
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
