"""Shared by all samplers: the order of places in an epoch, random numbers per step, slices per process."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from placevec.core import Look
from placevec.errors import InputError
from placevec.geo import Ints

ORDER, PAIRS = 1, 2
"""Random streams that share a seed."""


class Epochs:
    """Which of ``total`` items a step draws: a new permutation every epoch, complete batches only.

    >>> order = Epochs(total=5, batch_size=2, seed=0)
    >>> order.steps, sorted(len(set(order.at(step).tolist())) for step in range(4))
    (2, [2, 2, 2, 2])
    """

    def __init__(self, total: int, batch_size: int, seed: int) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1; got {batch_size}")
        if seed < 0:
            raise InputError(f"seed must be an integer, at least 0; got {seed}")
        self.total, self.seed = total, seed
        self.batch_size = min(batch_size, total)
        self.steps = total // self.batch_size
        # the latest epoch and its order: a cache, one follows from the other
        self._latest: tuple[int, Ints] = (-1, np.empty(0, np.int64))

    def at(self, step: int) -> Ints:
        """(batch_size,) distinct positions."""
        if step < 0:
            raise InputError(f"step must be at least 0; got {step}")
        epoch, within = divmod(step, self.steps)
        known, order = self._latest
        if known != epoch:
            order = generator(self.seed, epoch, ORDER).permutation(self.total)
            self._latest = (epoch, order)
        return order[within * self.batch_size : (within + 1) * self.batch_size]


def generator(seed: int, step: int, stream: int) -> np.random.Generator:
    """A random generator that depends only on these numbers.

    >>> generator(0, 7, ORDER).random() == generator(0, 7, ORDER).random()
    True
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, step, stream])))


def slice_of(total: int, rank: int, world: int) -> slice:
    """The slice of a global batch of process ``rank`` out of ``world``.

    >>> slice_of(10, 1, 3)
    slice(3, 6, None)
    """
    if not 0 <= rank < world:
        raise InputError(f"rank must be from 0 to {world - 1}; got {rank}")
    return slice(total * rank // world, total * (rank + 1) // world)


def part_of(look: Look, part: slice) -> Look:
    """A slice of the rows of a look."""
    lonlat = None if look.lonlat is None else look.lonlat[part]
    return Look(look.rows[part], lonlat, {name: values[part] for name, values in look.warp.items()})


def checked_rows(rows: ArrayLike | None, total: int | None) -> Ints:
    """(R,) int64 rows to draw from, all of ``total`` for None; InputError if they are invalid.

    >>> checked_rows(None, 3).tolist()
    [0, 1, 2]
    """
    chosen = np.arange(total or 0) if rows is None else np.asarray(rows).reshape(-1)
    if len(chosen) == 0:
        raise InputError("there are no places to draw from: rows is empty")
    if not np.issubdtype(chosen.dtype, np.integer) or chosen.min() < 0 or (total and chosen.max() >= total):
        last = "N - 1" if total is None else total - 1
        raise InputError(
            f"rows must be integers from 0 to {last}; got {chosen.dtype} from {chosen.min()} to {chosen.max()}"
            f" (convert a mask with np.flatnonzero)"
        )
    return chosen.astype(np.int64)
