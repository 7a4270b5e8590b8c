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
from placevec.sources.tables.joins import Join, lost_zeros
from placevec.sources.tables.labeled_points import PointRows
from placevec.sources.tables.values import texts

NEAR_M = 100.0
"""How far from a place the coordinates of a row of its id may lie: rounded, or another point of it. Rows that are
numbered alike by accident lie farther."""
STRANGE = "that match no place of the dataset"
MOVED = "that are not where the place with their ID is"
SEVERAL = "that match several places"
MAX_STRANGE, MAX_MOVED = 0.5, 0.1
"""Shares of the rows that may be of other places, and that may lie elsewhere; beyond them, so does the table."""


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
        self._such: dict[str, str] = {}
        self._zeros = ""
        self._met: NDArray[np.bool_] = np.zeros(len(dataset), bool)
        self._notes: list[str] = []

    @property
    def total(self) -> int:
        """Upper limit of `PointRows.done`."""
        return self.source.total

    @property
    def columns(self) -> Columns:
        """The columns: every row has an ID, and names of places are in the dataset."""
        return replace(self.source.columns, id=self.source.columns.id or "place_id", name=None)

    @property
    def notes(self) -> list[str]:
        """What to know of how the source was read, and what met nobody."""
        return [*self.source.notes, *self._notes]

    def batches(self) -> Iterator[PointRows]:
        """Rows in order; those of no place, or that lie elsewhere than their place, are not to be used.

        Raises:
            DatasetError: after the last, when too many speak of other places; how many, and one of them.
            SourceError: what the source raises.
        """
        count = 0
        self._strange, self._moved, self._several, self._such, self._zeros = 0, 0, 0, {}, ""
        self._met[:] = False
        for rows in self.source.batches():
            at, told, left_out = self._found(rows)
            for those in left_out.values():
                at = np.where(those, -1, at)
            self._met[at[at >= 0]] = True
            known = np.where(at >= 0, at, 0)
            lonlat = np.where(at[:, None] >= 0, self.dataset.lonlat[known], np.nan)
            ids = pa.array(self.dataset.places["place_id"].to_numpy(object)[known], pa.string(), mask=at < 0)
            cells = {name: cell for name, cell in rows.cells.items() if name != "name"}
            count += int(told.sum())
            unreadable = 0 if "id" in rows.cells else rows.unreadable
            yield PointRows(
                rows.first,
                lonlat,
                unreadable,
                {**cells, "id": ids},
                rows.done,
                left_out={**rows.left_out, **left_out},
            )
        self._require_own(count)

    def check(self) -> None:
        """Read all rows; DatasetError if some match no place."""
        for _ in self.batches():
            pass

    def _found(self, rows: PointRows) -> tuple[Ints, NDArray[np.bool_], dict[str, NDArray[np.bool_]]]:
        """(the place of each row, -1 for none; which rows say of what place they are; reason -> rows not to be used)."""
        if "id" in rows.cells:
            return self._by_id(rows)
        return self._by_coordinates(rows)

    def _by_id(self, rows: PointRows) -> tuple[Ints, NDArray[np.bool_], dict[str, NDArray[np.bool_]]]:
        ids = texts(rows.cells["id"])
        told: NDArray[np.bool_] = np.asarray(ids.is_valid())
        at = self._ids.rows(ids)
        strange = told & (at < 0)
        if strange.any() and STRANGE not in self._such:
            self._zeros = lost_zeros(
                ids.to_numpy(zero_copy_only=False)[strange], self.dataset.places["place_id"].to_numpy(object)
            )
        self._strange += self._counted(
            STRANGE, strange, rows, lambda row: f"{self.columns.id} {ids[row].as_py()!r}"
        )
        own = self.dataset.lonlat[np.maximum(at, 0)]
        both = (at >= 0) & np.isfinite(rows.lonlat).all(axis=1) & np.isfinite(own).all(axis=1)
        away = np.zeros(len(at))
        away[both] = np.linalg.norm(to_ecef(*_pair(rows.lonlat[both])) - to_ecef(*_pair(own[both])), axis=1)
        moved = np.asarray(away > self._near_m)
        self._moved += self._counted(
            MOVED,
            moved,
            rows,
            lambda row: f"{ids[row].as_py()!r} is at {_at(rows.lonlat[row])}, not at {_at(own[row])}",
        )
        return at, told, {STRANGE: strange, MOVED: moved}

    def _by_coordinates(
        self, rows: PointRows
    ) -> tuple[Ints, NDArray[np.bool_], dict[str, NDArray[np.bool_]]]:
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
                self._several += self._counted(SEVERAL, several, rows, lambda row: _at(rows.lonlat[row]))
        strange = told & (at < 0)
        self._strange += self._counted(STRANGE, strange, rows, lambda row: _at(rows.lonlat[row]))
        return at, told, {STRANGE: strange}

    @cached_property
    def _tree(self) -> tuple[Ints, Any]:
        """(rows of the places with coordinates, a search tree of their coordinates)."""
        from scipy.spatial import cKDTree

        located = np.flatnonzero(np.isfinite(self.dataset.lonlat).all(axis=1))
        return located, cKDTree(to_ecef(*_pair(self.dataset.lonlat[located])))

    def _counted(self, reason: str, wrong: NDArray[np.bool_], rows: PointRows, such: Any) -> int:
        if wrong.any() and reason not in self._such:
            row = int(np.flatnonzero(wrong)[0])
            self._such[reason] = f"row {rows.first + row + 1}, {such(row)}"
        return int(wrong.sum())

    def _require_own(self, count: int) -> None:
        path, name = self.dataset.path, self.source.path.name
        if self._several:
            raise DatasetError(
                f"{path}: {self._several:,} of {count:,} rows of {name} match several places, such as "
                f"{self._such[SEVERAL]}: add the place_id of each row to the table"
            )
        lost = len(self._met) - int(self._met.sum())
        join = Join(
            name, count, self._strange, len(self._met), lost, self._such.get(STRANGE, ""), str(path),
            self.source.columns.id or "coordinates", zeros=self._zeros,
        )  # fmt: skip
        self._notes = [note for note in (join.note(),) if note]
        if self._strange > MAX_STRANGE * count:
            how = (
                "have an ID that matches no place"
                if self.source.columns.id
                else f"are not within {SAME_M:g} m of any place"
            )
            raise DatasetError(
                f"{path}: its places do not match: {self._strange:,} of {count:,} rows of {name} {how}, such as "
                f"{self._such[STRANGE]}; "
                + (
                    self._zeros
                    or "rows must match existing places, by place_id or coordinates: choose another --out"
                )
            )
        if 0 < self._moved < MAX_MOVED * count:
            self._notes.append(
                f"{self._moved:,} of {count:,} rows of {name} lie more than {self._near_m:,.0f} m from the place "
                f"with their ID, such as {self._such[MOVED]}, and are left out"
            )
        elif self._moved:
            raise DatasetError(
                f"{path}: its places do not match: {self._moved:,} of {count:,} rows of {name} are more than "
                f"{self._near_m:,.0f} m from the place with their ID, such as {self._such[MOVED]}; choose another --out"
            )


def _pair(lonlat: Floats) -> tuple[Floats, Floats]:
    return lonlat[:, 0], lonlat[:, 1]


def _at(lonlat: Floats) -> str:
    return f"lon={lonlat[0]:.6g}, lat={lonlat[1]:.6g}"
