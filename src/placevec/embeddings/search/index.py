"""What every index has in common: checks, filters, exact distances, and never fewer results than there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from placevec.embeddings.search.metrics import (
    METRICS,
    Distances,
    Floats32,
    Mask,
    Rows,
    checked,
    checked_mask,
    distances,
)
from placevec.errors import InputError
from placevec.options.choices import Backend, Metric, Storage


@dataclass(frozen=True)
class Ranking:
    """The rows of an index, ranked for one query.

    Attributes:
        draw: number k -> the k best rows and their distances, best first.
        about: rows -> (M,) their distances, up to float32 rounding.
        drop: rows that are not drawn from then on -> number of rows left.
    """

    draw: Callable[[int], tuple[Rows, Distances]]
    about: Callable[[Rows], Distances]
    drop: Callable[[Rows], int]


class Index(ABC):
    """Finds the nearest vectors, exactly or approximately; distances are always exact.

    Attributes:
        vectors: (N, D) float32.
        metric: see `placevec.embeddings.search.metrics.distances`.
        backend: how it finds them.
        storage: the numbers that are compared first.
        approximate: whether neighbors can be missed.
    """

    backend: Backend
    storage: Storage = "float32"
    approximate = False

    def __init__(self, vectors: ArrayLike, metric: Metric) -> None:
        if metric not in METRICS:
            raise InputError(f"unknown metric {metric!r}: choose from {', '.join(METRICS)}")
        self.metric: Metric = metric
        self.vectors = checked(vectors)
        self.recalls: dict[tuple[int, int | None], float] = {}

    def __len__(self) -> int:
        return len(self.vectors)

    def query(
        self, vectors: ArrayLike, k: int, *, where: Mask | None = None, quality: int | None = None
    ) -> tuple[Rows, Distances]:
        """The ``k`` nearest rows of each of ``vectors`` (Q, D).

        Args:
            vectors: (Q, D), finite.
            k: number of neighbors; fewer are returned only if fewer rows pass the filter.
            where: (N,) bool, rows to search; all if None.
            quality: candidates that an approximate index examines; its default if None or -1.

        Returns:
            ``(rows, distances)``: (Q, min(k, allowed)) int64 and float64, nearest first, ties by row.
        """
        asked = checked(vectors, self.vectors.shape[1])
        if k < 1:
            raise InputError(f"the number of neighbors must be at least 1; got {k}")
        where = None if where is None else checked_mask(where, len(self))
        allowed = len(self) if where is None else int(np.count_nonzero(where))
        if allowed == len(self):
            where = None
        k = min(int(k), allowed)
        if k == 0 or len(asked) == 0:
            return np.zeros((len(asked), k), np.int64), np.zeros((len(asked), k))
        return self._found(asked, k, where, allowed, None if quality == -1 else quality)

    @abstractmethod
    def _found(
        self, asked: Floats32, k: int, where: Mask | None, allowed: int, quality: int | None
    ) -> tuple[Rows, Distances]:
        """`query` after its checks: 1 <= k <= allowed."""

    def ranking(self, vector: ArrayLike, *, where: Mask | None = None, quality: int | None = None) -> Ranking:
        """Rank the rows for one vector (D,), to draw any number of them."""
        asked = np.reshape(np.asarray(vector, np.float32), (1, -1))
        left = where

        def draw(k: int) -> tuple[Rows, Distances]:
            rows, far = self.query(asked, k, where=left, quality=quality)
            return rows[0], far[0]

        def drop(rows: Rows) -> int:
            nonlocal left
            left = np.ones(len(self), bool) if left is None else left.copy()
            left[rows] = False
            return int(np.count_nonzero(left))

        return Ranking(draw, lambda rows: distances(asked[0], self.vectors[rows], self.metric), drop)

    def add(self, vectors: ArrayLike) -> None:
        """Append (M, D) vectors as further rows; InputError if this kind of index cannot grow."""
        more = checked(vectors, self.vectors.shape[1], "a vector to add")
        self.grow(np.concatenate([self.vectors, more]))

    def grow(self, vectors: Floats32) -> None:
        """`add`, given all vectors: those so far, and the new ones after them."""
        self._grown(vectors)
        self.recalls.clear()

    @abstractmethod
    def _grown(self, vectors: Floats32) -> None:
        """Extend the index; ``vectors`` begins with those that it has."""

    def write(self, path: Path) -> None:
        """Write what was built, so that it can be read again."""
        raise NotImplementedError(f"an index of kind {self.backend} cannot be saved: it is built each time")

    def recall(self, k: int = 10, quality: int | None = None, sample: int = 100) -> float:
        """Share of the exact ``k`` nearest neighbors that are found: all, by an exact index."""
        return 1.0
