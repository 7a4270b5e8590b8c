"""Existing features of places: image vectors from another network, or any other numbers.

::

    features/NAME.npy        (M, D) float32, memory-mapped
    features/NAME.parquet    place_id, one row for each of the M: the link to places.parquet, independent of row order
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from placevec.core import ROW_MISSING, Look, View, ViewSpec
from placevec.datasets.views.registry import Reader, Stored, check_spec
from placevec.errors import DatasetError, InputError, PlacevecError, SourceError
from placevec.geo.geoparquet import read_parquet
from placevec.io import atomic, parquet

FOLDER = "features"
KIND = "features"
IMAGE_FEATURES = "image_features"
"""Name of the view with features of the places' images."""
MAX_FEATURES = 65_536
IN_MEMORY = 2**30
"""Maximum bytes of a table in memory, on the looks' device; larger ones are read from disk."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def feature_files(name: str) -> tuple[str, str]:
    """The two files of a view, relative to the dataset; InputError for an invalid name.

    >>> feature_files("image_features")
    ('features/image_features.npy', 'features/image_features.parquet')
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a view name must consist of lowercase letters, digits, _ and -; got {name[:80]!r}")
    return f"{FOLDER}/{name}.npy", f"{FOLDER}/{name}.parquet"


class FeaturesView:
    """Existing features of places (the `View` of kind ``features``).

    Args:
        folder: the dataset's directory.
        spec: specification of the view; its channels are the names of the features, or empty.
        place_ids: (N,) IDs of the dataset's places, in order.

    Attributes:
        dim: number of features.
        known: (N,) bool, places with features.

    Raises:
        DatasetError: files are missing or damaged, or belong to unknown places.
    """

    def __init__(self, folder: str | Path, spec: ViewSpec, place_ids: ArrayLike | Sequence[str]) -> None:
        numbers, names = (Path(folder) / file for file in feature_files(spec.name))
        self.spec, self._path = spec, numbers
        self._array = _opened(numbers)
        self.dim = int(self._array.shape[1])
        if spec.channels and len(spec.channels) != self.dim:
            raise DatasetError(f"{numbers} has {self.dim} features, but its view lists {len(spec.channels)}")
        held = _ids(names)
        if len(held) != len(self._array):
            raise DatasetError(f"{names} has {len(held):,} places for {len(self._array):,} rows")
        ids = pa.array(np.asarray(place_ids, object), pa.string())
        if held.null_count or pc.count_distinct(held).as_py() < len(held):
            raise DatasetError(f"{names} is damaged: it has a duplicate or missing place_id")
        if pc.index_in(held, value_set=ids).null_count:
            raise DatasetError(f"{names} is damaged: it has places that are not in the dataset")
        at = pc.fill_null(pc.index_in(ids, value_set=held), -1)
        self._at = torch.from_numpy(np.array(at.to_numpy(zero_copy_only=False), np.int64))
        self.known: NDArray[np.bool_] = self._at.numpy() >= 0
        self._table: Tensor | None = None
        if self._array.nbytes <= IN_MEMORY:
            self._table = torch.from_numpy(np.array(self._array))

    def __len__(self) -> int:
        return len(self.known)

    def read(self, look: Look) -> Tensor:
        """(n, dim) float32; zeros for missing rows and places without features. InputError for an invalid row."""
        rows = look.rows
        if rows.device.type == "cpu":
            wrong = (rows != ROW_MISSING) & ((rows < 0) | (rows >= len(self)))
            if bool(wrong.any()):
                raise InputError(
                    f"row {int(rows[wrong][0])} is out of range: there are features for {len(self):,} places"
                )
        if self._at.device != rows.device:  # once: tables then stay on the looks' device
            self._at = self._at.to(rows.device)
            self._table = None if self._table is None else self._table.to(rows.device)
        if not len(self) or not len(self._array):
            return torch.zeros(len(look), self.dim, device=rows.device)
        at = torch.where(rows >= 0, self._at[rows.clamp(min=0)], -1)
        if self._table is not None:
            found = self._table[at.clamp(min=0)]
        else:
            found = torch.from_numpy(self._array[at.clamp(min=0).cpu().numpy()]).to(rows.device)
        return torch.where(at[:, None] >= 0, found, 0.0)

    def moments(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (D,) float32 over some places; 1 for features without variance.

        Raises InputError if none of them has features.
        """
        at = self._at.cpu().numpy()[rows]
        at = at[at >= 0]
        if not len(at):
            raise InputError("none of these places has features")
        total, squares = np.zeros(self.dim), np.zeros(self.dim)
        first = self._array[at[0]].astype(np.float64)  # close to the mean, so squares lose few digits
        for start in range(0, len(at), 65_536):
            part = self._array[np.sort(at[start : start + 65_536])].astype(np.float64) - first
            total, squares = total + part.sum(0), squares + (part**2).sum(0)
        mean = total / len(at)
        deviation = np.sqrt(np.maximum(squares / len(at) - mean**2, 0.0))
        deviation[deviation <= 1e-6 * np.maximum(1e-6, np.abs(mean + first))] = 1.0
        return torch.from_numpy((mean + first).astype(np.float32)), torch.from_numpy(
            deviation.astype(np.float32)
        )


def write_features(
    folder: str | Path, name: str, place_ids: ArrayLike | Sequence[str], parts: Iterable[NDArray[Any]]
) -> tuple[list[str], int, str]:
    """Write the features of places in parts; returns (files, number of features, SHA-256 of the numbers).

    Args:
        folder: the dataset's directory.
        name: name of the view.
        place_ids: (M,) unique IDs of the places.
        parts: (m, D) arrays, M rows in total.

    Raises:
        InputError: parts of different widths, more or fewer rows than places, or numbers that are not finite.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> files, dim, _ = write_features(folder, "image_features", ["a", "b"], [np.array([[1.0, 2.0], [3.0, 4.0]])])
    >>> files, dim
    (['features/image_features.npy', 'features/image_features.parquet'], 2)
    >>> view = FeaturesView(folder, ViewSpec("image_features", "features"), np.array(["b", "c", "a"], object))
    >>> view.known.tolist(), view.read(Look(torch.tensor([0, 1]))).tolist()
    ([True, False, True], [[3.0, 4.0], [0.0, 0.0]])
    """
    files = feature_files(name)
    ids = pa.array(np.asarray(place_ids, object), pa.string())
    written, dim, row = None, 0, 0
    with atomic.replacing(Path(folder) / files[0]) as temporary:
        for part in parts:
            if written is None:
                dim = _checked_width(part)
                written = np.lib.format.open_memmap(
                    temporary, mode="w+", dtype=np.float32, shape=(len(ids), dim)
                )
            if part.ndim != 2 or part.shape[1] != dim or row + len(part) > len(ids):
                raise InputError(
                    f"features of {len(ids):,} places must have the shape (N, {dim}); got {part.shape} after {row:,} rows"
                )
            small = part.astype(np.float32)
            if not np.isfinite(small).all():
                at = row + int(np.flatnonzero(~np.isfinite(small).all(1))[0])
                raise InputError(f"the features of place {ids[at].as_py()!r} are not finite")
            written[row : row + len(part)] = small
            row += len(part)
        if written is None or row < len(ids):
            raise InputError(f"there are features for {row:,} places, but the dataset has {len(ids):,}")
        written.flush()
        del written
    with atomic.replacing(Path(folder) / files[1]) as temporary:
        parquet.write_table(pa.table({"place_id": ids}), temporary)
    return list(files), dim, atomic.sha256_of_file(Path(folder) / files[0])


def _checked_width(part: NDArray[Any]) -> int:
    if part.ndim != 2 or not 1 <= part.shape[1] <= MAX_FEATURES:
        raise InputError(
            f"features must have the shape (N, D) with D from 1 to {MAX_FEATURES:,}; got {part.shape}"
        )
    return int(part.shape[1])


def _opened(path: Path) -> NDArray[np.float32]:
    """The numbers, memory-mapped; nothing in them is ever unpickled."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist: prepare the dataset again") from None
    except Exception as error:  # a header can contain anything, even syntax errors and overflows
        raise DatasetError(f"{path} is not a numpy file of features, or is damaged: {error}") from error
    if array.ndim != 2 or array.dtype != np.float32 or not 1 <= array.shape[1] <= MAX_FEATURES:
        raise DatasetError(f"{path} has {array.dtype} of shape {array.shape}, not features (M, D) of float32")
    return array


def _ids(path: Path) -> pa.Array:
    try:
        table = read_parquet(path, "table of places", ["place_id"])
    except SourceError as error:
        raise DatasetError(str(error)) from error
    if "place_id" not in table.column_names or table["place_id"].type != pa.string():
        raise DatasetError(f"{path} is damaged: it has no text column place_id")
    return table["place_id"].combine_chunks()


class FeaturesReader(Reader):
    """Ready features: records, one row per place."""

    words = "feature"

    def open(self, stored: Stored) -> FeaturesView:
        """The table, memory-mapped."""
        return FeaturesView(stored.path, stored.spec, stored.places.place_ids)

    def fit(self, view: View, wanted: ViewSpec) -> View:
        """The same features in the same order: they have no names to select them by."""
        check_spec(view.spec, wanted, words=self.words)
        if view.spec.channels != wanted.channels:
            raise PlacevecError(
                f"the features in {wanted.name!r} differ in order or number from those that the model was trained on"
            )
        return view


READER = FeaturesReader()
