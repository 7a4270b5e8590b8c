"""Memory that is used again: of batches once nobody holds them, and of what a window passes through.

Fresh memory comes from the kernel page by page, which can take longer than reading windows into it.
"""

from __future__ import annotations

import math
import sys
import threading

import numpy as np
from numpy.typing import NDArray

LARGE = 2**20
"""Bytes from which on a batch is worth keeping."""
SCRATCH_LIMIT = 2**25
"""Bytes of scratch above which memory is not kept."""
KEPT = 2
"""Batches kept at most."""


class Batches:
    """Arrays of zeros for one reader; safe to share between threads. Pickling carries no memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[NDArray[np.uint8]] = []

    def __reduce__(self) -> tuple[type[Batches], tuple[()]]:
        return Batches, ()

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A (shape) array of zeros that nobody else sees: fresh, or in the memory of one that nobody sees any more."""
        size = math.prod(shape)
        if size < LARGE:
            return np.zeros(shape, np.uint8)
        with self._lock:
            for number in range(len(self._kept)):
                # every array or tensor made of a batch refers to it: two are this list and this very call
                if self._kept[number].size >= size and sys.getrefcount(self._kept[number]) == 2:
                    batch = self._kept[number][:size].reshape(shape)
                    break
            else:
                fresh = np.zeros(size, np.uint8)
                self._kept = [fresh, *self._kept[: KEPT - 1]]
                return fresh.reshape(shape)
        batch.fill(0)
        return batch


class Scratch(threading.local):
    """Arrays by name that hold intermediate results, each thread's its own.

    An array is valid until the same name is asked for again.
    """

    def empty(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A contiguous (shape) array of anything."""
        size = math.prod(shape)
        kept: NDArray[np.uint8] | None = self.__dict__.get(name)
        if kept is None or kept.size < size:
            kept = np.empty(size, np.uint8)
            if size <= SCRATCH_LIMIT:
                setattr(self, name, kept)
        return kept[:size].reshape(shape)

    def zeros(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A contiguous (shape) array of zeros."""
        array = self.empty(name, shape)
        array.fill(0)
        return array


scratch = Scratch()
