"""Arrow columns from and to numpy and lists, without `pyarrow.array`, which first loads all of pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

_DTYPES: dict[pa.DataType, np.dtype[Any]] = {
    pa.int8(): np.dtype(np.int8),
    pa.uint8(): np.dtype(np.uint8),
    pa.int32(): np.dtype(np.int32),
    pa.int64(): np.dtype(np.int64),
    pa.float32(): np.dtype(np.float32),
    pa.float64(): np.dtype(np.float64),
}


def numbers(values: ArrayLike, kind: pa.DataType) -> pa.Array:
    """A column of numbers without missing values.

    >>> numbers([1, 2], pa.uint8()).to_pylist()
    [1, 2]
    """
    raw = np.ascontiguousarray(np.asarray(values, _DTYPES[kind]))
    return pa.Array.from_buffers(kind, len(raw), [None, pa.py_buffer(raw)])


def to_numpy(column: pa.Array) -> NDArray[Any]:
    """The numbers of a column without missing values.

    >>> to_numpy(numbers([1, 2], pa.uint8())).tolist()
    [1, 2]
    """
    raw = np.frombuffer(column.buffers()[1], _DTYPES[column.type])
    return raw[column.offset : column.offset + len(column)]


def texts(values: Sequence[str | None]) -> pa.Array:
    """A column of texts, some of which may be missing.

    >>> texts(["a", None, "ä"]).to_pylist()
    ['a', None, 'ä']
    """
    raw = [b"" if text is None else text.encode("utf-8", "replace") for text in values]
    return pa.Array.from_buffers(pa.string(), len(raw), [_present(values), *_stretches(raw)])


def blobs(values: Sequence[bytes]) -> pa.Array:
    """A column of bytes."""
    return pa.Array.from_buffers(pa.binary(), len(values), [None, *_stretches(values)])


def few_texts(values: Sequence[str | None], kind: pa.DictionaryType) -> pa.DictionaryArray:
    """A dictionary-encoded column of texts.

    >>> few_texts(["a", None, "a"], pa.dictionary(pa.int8(), pa.string())).to_pylist()
    ['a', None, 'a']
    """
    known: dict[str, int] = {}
    index = [0 if text is None else known.setdefault(text, len(known)) for text in values]
    raw = np.array(index, _DTYPES[kind.index_type])
    indices = pa.Array.from_buffers(kind.index_type, len(raw), [_present(values), pa.py_buffer(raw)])
    return pa.DictionaryArray.from_arrays(indices, texts(list(known)))


def lists(offsets: NDArray[np.int64], members: pa.Array) -> pa.Array:
    """A column of lists, from the offsets at which each begins.

    >>> lists(np.array([0, 2, 3]), numbers([1, 2, 3], pa.int32())).to_pylist()
    [[1, 2], [3]]
    """
    kind = pa.list_(members.type)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32))]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers, children=[members])


def _present(values: Sequence[object]) -> pa.Buffer | None:
    """The validity bitmap; None if no value is missing."""
    present = np.array([value is not None for value in values], bool)
    return None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))


def _stretches(values: Sequence[bytes]) -> list[pa.Buffer]:
    """Offsets and bytes."""
    ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
    return [pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
