"""Vectors on a page: three principal components to draw, and integers from which neighbors are ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.explorer.reductions import leading

Array = NDArray[Any]

VECTOR_BYTES = 6_000_000
"""Most that the vectors of a page may take, before base64."""


@dataclass(frozen=True)
class PackedVectors:
    """Unit vectors as integers: row ``i`` is ``values[i] * scale[i]``.

    Attributes:
        values: (N, K) int16, or int8 when int16 would be too large; K is the vectors' D, or less when even
            int8 would be too large.
        scale: (N,) float64; 0 for a vector of zeros, which is then similar to nothing.
        kept: share of the squared length that K of D dimensions hold; 1 when K = D.
    """

    values: NDArray[np.int16] | NDArray[np.int8]
    scale: NDArray[np.float64]
    kept: float

    @property
    def bits(self) -> int:
        """16 or 8."""
        return int(self.values.dtype.itemsize) * 8


def pack_vectors(vectors: Array, max_bytes: int = VECTOR_BYTES) -> PackedVectors:
    """Unit vectors rounded to integers that fit into ``max_bytes``.

    With 16 bits a cosine similarity is off by some 1e-5: ranks are those of the vectors themselves. With
    8 bits it is off by up to 1e-2, so places about equally similar may change ranks. When not even 8 bits fit,
    the vectors are first turned onto their leading singular directions, which keep cosines best.
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
    return PackedVectors(stored.astype(dtype), scale, kept)
