"""Several datasets as one to learn from: many cities, each prepared on its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec.core import ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, InputError, UsageError
from placevec.geo import Floats
from placevec.io import atomic

if TYPE_CHECKING:
    from placevec.datasets.views.raster.joined import JoinedView


class JoinedDataset:
    """The places of several datasets, one after the other, and their maps read as one.

    What a recipe asks of a `placevec.datasets.dataset.Dataset` to train on it. Row ``i`` of the whole is row
    ``i - first_row[k]`` of the dataset ``k`` that holds it.

    Args:
        parts: the datasets, whose maps are drawn by the same rules at the same zoom.

    Raises:
        InputError: no dataset, or one of them twice.
        DatasetError: maps of different rules or zooms.
    """

    def __init__(self, parts: Sequence[Dataset]) -> None:
        if not parts:
            raise InputError("there is no dataset to train on")
        self.parts = tuple(parts)
        hashes = [part.hash for part in parts]
        for number, part in enumerate(parts):
            if part.hash in hashes[:number]:
                raise UsageError(f"{part.path} is given twice (as {parts[hashes.index(part.hash)].path})")
            if part.map_spec != parts[0].map_spec:
                raise DatasetError(
                    f"{part.path} and {parts[0].path} cannot be trained on together: "
                    "their maps differ in layers, rules or zoom"
                )
        self.first_row = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.first_row[-1])

    @property
    def name(self) -> str:
        """What people call them."""
        return ", ".join(part.name for part in self.parts)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over theirs; of one alone its own."""
        hashes = [part.hash for part in self.parts]
        return hashes[0] if len(hashes) == 1 else atomic.sha256_of_json(hashes)

    @property
    def attribution(self) -> str:
        """Every credit, once."""
        return "; ".join(
            dict.fromkeys(credit for part in self.parts for credit in part.attribution.split("; "))
        )

    @cached_property
    def lonlat(self) -> Floats:
        """(N, 2) lon, lat degrees; NaN without coordinates."""
        return np.concatenate([part.lonlat for part in self.parts])

    @property
    def zoom(self) -> int:
        """Zoom at which the maps' pixels are native."""
        return self.parts[0].zoom

    @property
    def map_spec(self) -> ViewSpec:
        """Specification of the ``map`` view, the same in all."""
        return self.parts[0].map_spec

    def map_view(self) -> JoinedView:
        """The maps, one native tile a read."""
        from placevec.datasets.views.raster.joined import JoinedView

        return JoinedView([part.map_view() for part in self.parts], [part.area for part in self.parts])

    def require_coordinates(self, rows: np.ndarray[Any, Any], what: str) -> np.ndarray[Any, Any]:
        """``rows`` that have coordinates; DatasetError when none has, because ``what`` needs them."""
        known: np.ndarray[Any, Any] = rows[np.isfinite(self.lonlat[rows]).all(axis=1)]
        if len(known) == 0:
            raise DatasetError(f"{what} needs coordinates, and no place of {self.name} has any")
        return known
