"""Matches rows of a table with the places of an existing dataset.

By ``place_id`` (or the column of ``--id``) if the table has one; coordinates, if any, must then be those of the place.
Otherwise by coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError
from placevec.geo import Floats, Ints, to_ecef
from placevec.preparation.existing_places import SAME_M, PlaceIds
from placevec.preparation.points.stage import PointSource
from placevec.sources.tables.columns import Columns
from placevec.sources.tables.labeled_points import PointRows
from placevec.sources.tables.values import texts

NEAR_M = 100.0
"""Maximum distance between a place and the coordinates of a row with its ID, which can be rounded or another point of
it. Rows whose IDs match by accident are farther away."""


class JoinedRows:
    """The rows of a source, with the IDs and coordinates of the matching places of a dataset.

    Args:
        source: source of the rows.
        dataset: dataset with the places.

    Attributes:
        path: path of the source.
    """

    def __init__(self, source: PointSource, dataset: Dataset) -> None:
        self.source, self.dataset, self.path = source, dataset, source.path
        self._ids = PlaceIds(dataset)
        self._near_m = max(NEAR_M, dataset.footprint_m / math.sqrt(2.0))
        self._strange, self._moved, self._several = 0, 0, 0
        self._such = ""

    @property
    def total(self) -> int:
        """Upper limit of `PointRows.done`."""
        return self.source.total

    @property
    def columns(self) -> Columns:
        """The columns: every row has an ID, and names of places are in the dataset."""
        return replace(self.source.columns, id=self.source.columns.id or "place_id", name=None)

    def batches(self) -> Iterator[PointRows]:
        """Rows in order.

        Raises:
            DatasetError: after the last row, if some match no place; how many, and one of them.
            SourceError: as raised by the source.
        """
        count = 0
        for rows in self.source.batches():
            at, told = self._found(rows)
            known = np.where(at >= 0, at, 0)
            lonlat = np.where(at[:, None] >= 0, self.dataset.lonlat[known], np.nan)
            ids = pa.array(self.dataset.places["place_id"].to_numpy(object)[known], pa.string(), mask=at < 0)
            cells = {name: cell for name, cell in rows.cells.items() if name != "name"}
            count += int(told.sum())
            yield PointRows(rows.first, lonlat, rows.unreadable, {**cells, "id": ids}, rows.done)
        self._require_own(count)

    def check(self) -> None:
        """Read all rows; DatasetError if some match no place."""
        for _ in self.batches():
            pass

    def _found(self, rows: PointRows) -> tuple[Ints, NDArray[np.bool_]]:
        """(the place of each row, -1 for none; which rows identify a place)."""
        if "id" in rows.cells:
            return self._by_id(rows)
        return self._by_coordinates(rows)

    def _by_id(self, rows: PointRows) -> tuple[Ints, NDArray[np.bool_]]:
        ids = texts(rows.cells["id"])
        told: NDArray[np.bool_] = np.asarray(ids.is_valid())
        at = self._ids.rows(ids)
        strange = told & (at < 0)
        self._strange += self._counted(strange, rows, lambda row: f"{self.columns.id} {ids[row].as_py()!r}")
        own = self.dataset.lonlat[np.maximum(at, 0)]
        both = (at >= 0) & np.isfinite(rows.lonlat).all(axis=1) & np.isfinite(own).all(axis=1)
        away = np.zeros(len(at))
        away[both] = np.linalg.norm(to_ecef(*_pair(rows.lonlat[both])) - to_ecef(*_pair(own[both])), axis=1)
        self._moved += self._counted(
            away > self._near_m,
            rows,
            lambda row: f"{ids[row].as_py()!r} is at {_at(rows.lonlat[row])}, not at {_at(own[row])}",
        )
        return at, told

    def _by_coordinates(self, rows: PointRows) -> tuple[Ints, NDArray[np.bool_]]:
        located, tree = self._tree
        told: NDArray[np.bool_] = np.asarray(np.isfinite(rows.lonlat).all(axis=1))
        at = np.full(len(rows), -1, np.int64)
        if len(located) and told.any():
            two = min(2, len(located))
            away, nearest = tree.query(to_ecef(*_pair(rows.lonlat[told])), k=[1, two])
            at[told] = np.where(
                away[:, 0] <= SAME_M, located[np.minimum(nearest[:, 0], len(located) - 1)], -1
            )
            if two == 2:
                several = np.zeros(len(rows), bool)
                several[told] = away[:, 1] <= SAME_M
                self._several += self._counted(several, rows, lambda row: _at(rows.lonlat[row]))
        self._strange += self._counted(told & (at < 0), rows, lambda row: _at(rows.lonlat[row]))
        return at, told

    @cached_property
    def _tree(self) -> tuple[Ints, Any]:
        """(rows of the places with coordinates, a search tree of their coordinates)."""
        from scipy.spatial import cKDTree

        located = np.flatnonzero(np.isfinite(self.dataset.lonlat).all(axis=1))
        return located, cKDTree(to_ecef(*_pair(self.dataset.lonlat[located])))

    def _counted(self, wrong: NDArray[np.bool_], rows: PointRows, such: Any) -> int:
        if wrong.any() and not self._such:
            row = int(np.flatnonzero(wrong)[0])
            self._such = f"row {rows.first + row}, {such(row)}"
        return int(wrong.sum())

    def _require_own(self, count: int) -> None:
        path, name = self.dataset.path, self.source.path.name
        if self._several:
            raise DatasetError(
                f"{path}: {self._several:,} of {count:,} rows of {name} match several places, such as "
                f"{self._such}: add the place_id of each row to the table"
            )
        if self._strange:
            how = (
                "have the ID of no place"
                if self.source.columns.id
                else f"are not within {SAME_M:g} m of any place"
            )
            raise DatasetError(
                f"{path}: its places are others: {self._strange:,} of {count:,} rows of {name} {how}, such as "
                f"{self._such}; rows must match existing places, by place_id or coordinates: choose another --out"
            )
        if self._moved:
            raise DatasetError(
                f"{path}: its places are others: {self._moved:,} of {count:,} rows of {name} are more than "
                f"{self._near_m:,.0f} m from the place with their ID, such as {self._such}; choose another --out"
            )


def _pair(lonlat: Floats) -> tuple[Floats, Floats]:
    return lonlat[:, 0], lonlat[:, 1]


def _at(lonlat: Floats) -> str:
    return f"lon={lonlat[0]:.6g}, lat={lonlat[1]:.6g}"
