"""Finds rows of a stream that repeat an earlier one, in memory that does not depend on the contents.

Rows are compared by 64-bit hashes, written to disk in `BUCKETS` parts by their first bits; each part is then sorted
separately. Two different rows of ten million have the same hash by chance in 3 of a million datasets.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

BUCKETS = 64
_ENTRY = np.dtype([("key", np.uint64), ("content", np.uint64), ("row", np.int64)])
Hashes = NDArray[np.uint64]


def hashed(columns: Sequence[pa.Array | NDArray[Any]]) -> Hashes:
    """(N,) uint64 hash of each row over some columns; NaN and null are ordinary values.

    >>> first, second, third = hashed([np.array([1.0, 2.0, 1.0]), pa.array(["a", "a", "a"])])
    >>> bool(first == third), bool(first == second)
    (True, False)
    """
    total = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        with np.errstate(over="ignore"):
            total = total * np.uint64(0x9E3779B97F4A7C15) + _hashed(column)
    return total


def _hashed(column: pa.Array | NDArray[Any]) -> Hashes:
    if not isinstance(column, pa.Array):
        values = column + 0.0 if column.dtype.kind == "f" else column  # -0.0 is 0.0
        return np.asarray(pd.util.hash_array(values))
    coded = column.dictionary_encode()  # each text is hashed once
    words = pd.util.hash_array(coded.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    codes = np.asarray(coded.indices.fill_null(len(words)))
    return np.asarray(np.append(words, np.uint64(0))[codes])


class Repeats:
    """Collects hashes of rows in files of a folder, then finds rows that repeat another.

    >>> import tempfile
    >>> repeats = Repeats(Path(tempfile.mkdtemp()))
    >>> repeats.add(hashed([np.array([1.0, 2.0, 1.0])]), hashed([np.array([5.0, 5.0, 5.0])]), 0)
    >>> repeats.found(3)[0].tolist(), repeats.found(3)[1]
    ([False, False, True], None)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, key: Hashes, content: Hashes, first: int) -> None:
        """Add rows from ``first`` on: hashes of their key and of their content."""
        entries = np.empty(len(key), _ENTRY)
        entries["key"], entries["content"], entries["row"] = key, content, np.arange(first, first + len(key))
        bucket = (key >> np.uint64(58)).astype(np.int64)
        order = np.argsort(bucket, kind="stable")
        edges = np.searchsorted(bucket[order], np.arange(BUCKETS + 1))
        for number, (start, stop) in enumerate(itertools.pairwise(edges)):
            if stop > start:
                with open(self._file(number), "ab") as file:
                    file.write(entries[order[start:stop]].tobytes())

    def found(self, rows: int) -> tuple[NDArray[np.bool_], tuple[int, int] | None]:
        """((rows,) bool: rows that repeat an earlier key and content, two rows with one key but different content)."""
        repeated, clash = np.zeros(rows, bool), None
        for number in range(BUCKETS):
            if not self._file(number).exists():
                continue
            entries = np.fromfile(self._file(number), _ENTRY)
            entries = entries[np.lexsort((entries["row"], entries["key"]))]
            first = np.concatenate([[True], entries["key"][1:] != entries["key"][:-1]])
            of = np.maximum.accumulate(np.where(first, np.arange(len(entries)), 0))
            same = entries["content"] == entries["content"][of]
            repeated[entries["row"][~first & same]] = True
            if clash is None and not same.all():
                at = int(np.flatnonzero(~same)[0])
                clash = int(entries["row"][of[at]]), int(entries["row"][at])
        return repeated, clash

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:02d}"
