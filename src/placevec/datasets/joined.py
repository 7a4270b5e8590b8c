"""Several datasets as one for training: many cities, each prepared separately."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from placevec.core import View, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.registry import reader_of
from placevec.errors import DatasetError, InputError, UsageError
from placevec.geo import Floats
from placevec.io import atomic


class JoinedDataset:
    """The places of several datasets, concatenated, and their views as one.

    It has everything that a recipe needs from a `placevec.datasets.dataset.Dataset` for training. Row ``i`` is row
    ``i - first_row[k]`` of the dataset ``k`` that contains it.

    Args:
        parts: the datasets. Views that are read must have the same specification in all.

    Raises:
        InputError: no datasets, or a duplicate.
    """

    def __init__(self, parts: Sequence[Dataset]) -> None:
        if not parts:
            raise InputError("there is no dataset to train on")
        self.parts = tuple(parts)
        hashes = [part.hash for part in parts]
        for number, part in enumerate(parts):
            if part.hash in hashes[:number]:
                raise UsageError(
                    f"{part.path} is given twice (also as {parts[hashes.index(part.hash)].path})"
                )
        self.first_row = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.first_row[-1])

    @property
    def name(self) -> str:
        """The display names."""
        return ", ".join(part.name for part in self.parts)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over their hashes; a single dataset keeps its own."""
        hashes = [part.hash for part in self.parts]
        return hashes[0] if len(hashes) == 1 else atomic.sha256_of_json(hashes)

    @property
    def attribution(self) -> str:
        """All credits, without duplicates."""
        return "; ".join(
            dict.fromkeys(credit for part in self.parts for credit in part.attribution.split("; "))
        )

    @cached_property
    def lonlat(self) -> Floats:
        """(N, 2) lon, lat degrees; NaN without coordinates."""
        return np.concatenate([part.lonlat for part in self.parts])

    @property
    def base_map(self) -> str | None:
        """Name of the view that pages draw, if all have it."""
        names = {part.base_map for part in self.parts}
        return names.pop() if len(names) == 1 else None

    @property
    def base_map_spec(self) -> ViewSpec:
        """Its specification, the same in all; DatasetError if there is none."""
        if self.base_map is None:
            raise DatasetError(f"not all of {self.name} have a map")
        return self.spec(self.base_map)

    @property
    def zoom(self) -> int:
        """Zoom of the maps' native resolution."""
        self.base_map_spec  # noqa: B018 - refuses maps that differ
        return self.parts[0].zoom

    @property
    def view_names(self) -> tuple[str, ...]:
        """The views that all of them have."""
        return tuple(
            name for name in self.parts[0].view_names if all(name in part.view_names for part in self.parts)
        )

    def spec(self, view: str) -> ViewSpec:
        """Specification of a view; DatasetError if it differs between datasets."""
        for part in self.parts:
            if part.spec(view) != self.parts[0].spec(view):
                raise DatasetError(
                    f"{part.path} and {self.parts[0].path} cannot be trained on together: "
                    f"their views {view!r} differ in channels, rules, values or resolution"
                )
        return self.parts[0].spec(view)

    def view(self, name: str) -> View:
        """A view of all of them as one."""
        reader = reader_of(self.spec(name))
        stored = [part.stored(name) for part in self.parts]
        return reader.join([part.view(name) for part in self.parts], stored)

    def require_coordinates(self, rows: np.ndarray[Any, Any], what: str) -> np.ndarray[Any, Any]:
        """``rows`` with coordinates; DatasetError, naming ``what`` needs them, if there are none."""
        known: np.ndarray[Any, Any] = rows[np.isfinite(self.lonlat[rows]).all(axis=1)]
        if len(known) == 0:
            raise DatasetError(f"{what} needs coordinates, but no place of {self.name} has any")
        return known
