"""Vectors of a page, quantized to integers, from which the browser ranks neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.explorer.reductions import leading

Array = NDArray[Any]

VECTOR_BYTES = 13_000_000
"""Maximum size of the vectors of a page in bytes, before base64."""


@dataclass(frozen=True)
class PackedVectors:
    """Unit vectors quantized to integers: row ``i`` is ``values[i] * scale[i]``.

    Attributes:
        values: (N, K) int16, or int8 if int16 would be too large; K is D, or less if even int8 would be too large.
        scale: (N,) float64; 0 for zero vectors, which have similarity 0 to all others.
        length: (N,) float32 length of the vectors.
        kept: share of the squared length kept by K of D dimensions; 1 if K = D.
    """

    values: NDArray[np.int16] | NDArray[np.int8]
    scale: NDArray[np.float64]
    length: NDArray[np.float32]
    kept: float

    @property
    def bits(self) -> int:
        """16 or 8."""
        return int(self.values.dtype.itemsize) * 8

    @property
    def note(self) -> str:
        """How exact they are, after "distance"; empty if ranks are exact."""
        rounded = "" if self.bits == 16 else " of vectors rounded to 8 bits"
        if self.kept < 1.0:
            rounded += (
                f" in {self.values.shape[1]} dimensions, which keep {self.kept:.1%} of their squared length"
            )
        return rounded


def pack_vectors(vectors: Array, max_bytes: int = VECTOR_BYTES) -> PackedVectors:
    """Quantize unit vectors to integers that fit into ``max_bytes``.

    With 16 bits, cosine similarities are accurate to about 1e-5 and ranks are exact. With 8 bits they are accurate to
    1e-2, so places with almost equal similarity may swap ranks. If even 8 bits are too large, the vectors are first
    projected onto their leading singular directions, which preserve cosines best.

    >>> packed = pack_vectors(np.eye(4))
    >>> packed.bits, packed.kept, (packed.values[0] * packed.scale[0]).tolist()
    (16, 1.0, [1.0, 0.0, 0.0, 0.0])
    """
    count, dim = vectors.shape
    units = np.asarray(vectors, np.float64)
    length = np.linalg.norm(units, axis=1, keepdims=True)
    units = np.divide(units, length, out=np.zeros_like(units), where=length > 0)
    kept = 1.0
    room = max(1, max_bytes // max(count, 1))
    if dim > room:
        values, directions = leading(units, room)
        kept = float(values.sum() / max(np.square(units).sum(), 1e-30))
        units = units @ directions
    dtype: type[np.int16] | type[np.int8] = np.int16 if count * units.shape[1] * 2 <= max_bytes else np.int8
    scale = np.abs(units).max(axis=1, initial=0.0) / np.iinfo(dtype).max
    stored = np.rint(np.divide(units, scale[:, None], out=np.zeros_like(units), where=scale[:, None] > 0))
    return PackedVectors(stored.astype(dtype), scale, length[:, 0].astype(np.float32), kept)
