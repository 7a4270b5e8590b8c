"""Exact search over short codes: one byte or one bit a number is scanned, and the best are compared again in full."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.embeddings.search.measured import MeasuredIndex
from placevec.embeddings.search.metrics import (
    BLOCK_ROWS,
    Distances,
    Floats32,
    Mask,
    Rows,
    by_direction,
    never_zero,
    norms,
    sorted_exactly,
)
from placevec.embeddings.search.selection import Best, rule_out
from placevec.errors import InputError
from placevec.options.choices import Metric, Storage

_RESCORED = {"int8": (4, 64), "bits": (32, 512)}
"""Storage -> (candidates a result, and beside) that are compared in full."""
_BLOCK = 8192  # rows decoded at once: 4 MB of float32 at 128 numbers


class CodesIndex(MeasuredIndex):
    """Codes of the vectors without their mean: numbers of 8 bits, with one scale a dimension, or signs.

    Args:
        vectors: (N, D) float32; only the candidates' are read.
        metric: not manhattan.
        storage: ``int8`` (a quarter of the bytes) or ``bits`` (a thirty-second).
        read: file that `write` wrote; None: encode the vectors.

    >>> index = CodesIndex(np.random.default_rng(0).normal(size=(9000, 8)), "cosine", "int8")
    >>> index.bytes, index.query(index.vectors[:1], 1)[0].tolist(), index.recall()
    (72000, [[0]], 1.0)
    """

    backend = "exact"
    ending = ".npy"

    def __init__(
        self, vectors: ArrayLike, metric: Metric, storage: Storage, *, read: Path | None = None
    ) -> None:
        super().__init__(vectors, metric)
        if metric == "manhattan":
            raise InputError(
                "int8 and bits are supported only for the metrics cosine, angular, euclidean and dot"
            )
        self.storage = storage
        self._center, self._scale, self._term = self._measured()
        self._codes: NDArray[np.generic]
        self._codes = self._encoded(self.vectors) if read is None else np.load(read, mmap_mode="r")

    @property
    def bytes(self) -> int:
        """Bytes of the codes."""
        return int(self._codes.nbytes)

    def _units(self, vectors: Floats32) -> NDArray[np.float64]:
        block = vectors.astype(np.float64)
        return block / never_zero(norms(block))[:, None] if by_direction(self.metric) else block

    def _measured(self) -> tuple[NDArray[np.float64], NDArray[np.float64], Floats32 | None]:
        """(center (D,), scale (D,), for the metric euclidean the squared length of each centered vector)."""
        dim = self.vectors.shape[1]
        center, largest = np.zeros(dim), np.zeros(dim)
        starts = range(0, len(self), BLOCK_ROWS)
        for start in starts:
            center += self._units(self.vectors[start : start + BLOCK_ROWS]).sum(axis=0)
        center /= max(len(self), 1)
        term = np.empty(len(self), np.float32)
        for start in starts:
            away = self._units(self.vectors[start : start + BLOCK_ROWS]) - center
            largest = np.maximum(largest, np.abs(away).max(axis=0))
            term[start : start + BLOCK_ROWS] = np.einsum("ij,ij->i", away, away)
        return center, never_zero(largest / 127.0), term if self.metric == "euclidean" else None

    def _encoded(self, vectors: Floats32) -> NDArray[np.generic]:
        parts = [
            self._encode(vectors[start : start + BLOCK_ROWS]) for start in range(0, len(vectors), BLOCK_ROWS)
        ]
        return np.concatenate(parts) if parts else self._encode(vectors)

    def _encode(self, vectors: Floats32) -> NDArray[np.generic]:
        away = self._units(vectors) - self._center
        if self.storage == "int8":
            return np.rint(away / self._scale).astype(np.int8)
        signs = np.packbits(away > 0, axis=1)
        words = np.zeros((len(signs), -(-signs.shape[1] // 8) * 8), np.uint8)
        words[:, : signs.shape[1]] = signs
        return words.view(np.uint64)

    def _found(
        self, asked: Floats32, k: int, where: Mask | None, allowed: int, quality: int | None
    ) -> tuple[Rows, Distances]:
        times, more = _RESCORED[self.storage]
        keep = min(quality or times * k + more, allowed)
        keep = max(keep, k)
        if allowed * 8 < len(self) or keep * 4 > allowed:
            return self.exact._found(asked, k, where, allowed, None)
        best = Best(len(asked), keep)
        weights = self._weights(asked)
        for start in range(0, len(self), _BLOCK):
            part = slice(start, start + _BLOCK)
            cost = self._costs(weights, part)
            if where is not None:
                rule_out(cost, where[part])
            best.add(cost, start)
        return sorted_exactly(asked, best.rows(), self.vectors, self.metric, k)

    def _weights(self, asked: Floats32) -> NDArray[np.generic]:
        if self.storage == "bits":
            return self._encode(asked)
        units = self._units(asked)
        if self.metric == "euclidean":
            units = 2.0 * (units - self._center)
        return np.asarray(-units * self._scale, np.float32)

    def _costs(self, weights: NDArray[np.generic], part: slice) -> Floats32:
        codes = self._codes[part]
        if self.storage == "bits":
            differing = [_count_bits(codes ^ one).sum(axis=1, dtype=np.float32) for one in weights]
            return np.stack(differing)
        cost: Floats32 = np.asarray(weights, np.float32) @ codes.astype(np.float32).T
        if self._term is not None:
            cost += self._term[part]
        return cost

    def _grown(self, vectors: Floats32) -> None:
        self.vectors = vectors
        self.__dict__.pop("exact", None)
        self._center, self._scale, self._term = self._measured()
        self._codes = self._encoded(vectors)

    def write(self, path: Path) -> None:
        """Write the codes, which numpy maps."""
        with path.open("wb") as file:
            np.save(file, self._codes)


_BITS = np.array([bin(number).count("1") for number in range(256)], np.uint8)


def _count_bits(words: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Number of set bits of each word, or of each byte where numpy has no function for it (before 2.0)."""
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(words))
    return np.asarray(_BITS[np.ascontiguousarray(words).view(np.uint8)])
