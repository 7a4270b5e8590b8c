"""Reused memory: of batches that are no longer referenced, and of intermediate results.

New memory comes from the kernel page by page, which can take longer than reading windows into it.
"""

from __future__ import annotations

import math
import sys
import threading

import numpy as np
from numpy.typing import NDArray

LARGE = 2**20
"""Minimum bytes of a batch that is kept for reuse."""
SCRATCH_LIMIT = 2**25
"""Maximum bytes of scratch memory that is kept."""
KEPT = 2
"""Maximum number of kept batches."""


class Batches:
    """Arrays of zeros for one reader; can be shared between threads. Pickling stores no memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[NDArray[np.uint8]] = []

    def __reduce__(self) -> tuple[type[Batches], tuple[()]]:
        return Batches, ()

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A (shape) array of zeros that nothing else refers to: new, or in the memory of an unreferenced one."""
        size = math.prod(shape)
        if size < LARGE:
            return np.zeros(shape, np.uint8)
        with self._lock:
            for number in range(len(self._kept)):
                # every array or tensor made from a batch refers to it: two references are this list and this call
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
    """Arrays by name for intermediate results, separate for each thread.

    An array is valid until the same name is requested again.
    """

    def empty(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A contiguous, uninitialized (shape) array."""
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
