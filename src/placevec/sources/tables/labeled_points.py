"""A table of points with labels, read a batch of rows at a time: ten million rows take no more memory than a few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.geo import Floats
from placevec.geo.antimeridian import Objects, points_within
from placevec.geo.coordinate_names import contradiction, coordinate_pairs
from placevec.geo.geometry_columns import NAMES, GeometryColumn, of_cells, points_of, shapes_of
from placevec.geo.systems import is_projected, shapes_to_degrees, to_degrees, transformer
from placevec.sources.tables.batches import Batch
from placevec.sources.tables.columns import found_columns
from placevec.sources.tables.degrees import REMEDY, Axis, degrees
from placevec.sources.tables.delimited import RAGGED
from placevec.sources.tables.losses import Losses
from placevec.sources.tables.opened import open_table, sample_of
from placevec.sources.tables.row_systems import RowSystems
from placevec.sources.tables.values import Longitudes, numbers, plain, texts, with_points

UNREADABLE = "coordinates that are infinite or not numbers"
_SHAPES = "shapes"


@dataclass
class PointRows:
    """Some rows of a table.

    Attributes:
        first: number of the first one in the table, from 0.
        lonlat: (N, 2) float64 degrees, longitudes within 180; not finite where there are no coordinates.
        unreadable: how many have coordinates that are infinite, or no numbers.
        cells: what else was asked for (``id``, ``name``, ``label``, ``user``, ``date``, ``split``), N cells each.
        done: bytes of the file, or rows of a table read whole, that lie behind.
        others: further columns that were asked for, by name.
        shapes: (N,) geometries in degrees, where they were asked for and the table has any.
        left_out: reason -> (N,) bool rows that must not be used.
    """

    first: int
    lonlat: Floats
    unreadable: int
    cells: dict[str, pa.Array]
    done: int
    others: dict[str, pa.Array] = field(default_factory=dict)
    shapes: Objects | None = None
    left_out: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lonlat)


class PointTable:
    """A table of points that can be read several times, in batches.

    Args:
        path: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
        wanted: role -> column, of the roles of `Columns`; None finds the usual name where there is one.
        crs: the system of the coordinates, such as ``EPSG:3067``; degrees, or that of the file, by default.
        ids_are_enough: a table with ids may lack coordinates, because the places are known.
        others: further columns to read along; None is all of them but those of ids and of degrees.
        shapes: read whole geometries too.

    Attributes:
        columns: what its columns hold.
        losses: what was lost when it was read last.
        rows: how many it had then.

    Raises:
        SourceError: the file does not exist, is not a table, or lacks the columns.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "trees.csv"
    >>> _ = file.write_text("lon,lat,species\\n24.94,60.17,oak\\n24.95,60.18,elm\\n")
    >>> (batch,) = PointTable(file, {"label": "species"}).batches()
    >>> batch.lonlat.tolist(), batch.cells["label"].to_pylist()
    ([[24.94, 60.17], [24.95, 60.18]], ['oak', 'elm'])
    """

    def __init__(
        self,
        path: str | Path,
        wanted: Mapping[str, str | None],
        crs: str | None = None,
        *,
        ids_are_enough: bool = False,
        others: Sequence[str] | None = (),
        shapes: bool = False,
    ) -> None:
        self.path = Path(path)
        transformer(crs)
        self._table = open_table(self.path)
        self.total, self._crs, self._with_shapes = self._table.total, crs, shapes
        self._notes: list[str] = []
        names = self._table.names
        self._geometry = self._table.geometry
        if self._geometry is None and wanted.get("lon") is None and len(set(names)) == len(names):
            self._geometry, wanted = self._located(names, dict(wanted))
        self.columns = found_columns(
            names, wanted, path, geometry=None if self._geometry is None else self._geometry.name,
            ids_are_enough=ids_are_enough,
        )  # fmt: skip
        if self.columns.geometry is None:
            self._geometry = None
        known = (
            [self.columns.id] if self.columns.crs else [self.columns.id, self.columns.lon, self.columns.lat]
        )
        every = [name for name in names if self._table.is_flat(name) and name not in known]
        self._others = every if others is None else list(others)
        self.losses, self.rows = Losses(self.path), 0

    @property
    def notes(self) -> list[str]:
        """What to know of how it is read and of what was lost, a line each."""
        return [*self._table.notes, *self._notes, *self.losses.notes(self.rows)]

    def _located(
        self, names: Sequence[str], wanted: dict[str, str | None]
    ) -> tuple[GeometryColumn | None, dict[str, str | None]]:
        """(the column of geometry, the columns asked for): of several pairs of coordinates, the one that is filled."""
        taken = [name for name in wanted.values() if name is not None]
        pairs = coordinate_pairs(names, taken)
        shapes = [name for name in names if name.lower().strip() in NAMES and name not in taken]
        if len(pairs) + len(shapes) <= (1 if pairs else 0):
            return None, wanted
        sample = sample_of(self._table, [*dict.fromkeys(name for pair in pairs for name in pair), *shapes])
        filled = [min(len(one) - _missing(one) for one in (sample[lon], sample[lat])) for lon, lat in pairs]
        if any(filled):
            best = int(np.argmax(filled))
            lon, lat = pairs[best]
            if best:
                self._notes.append(
                    f"coordinates are read from {lon} and {lat}: {' and '.join(pairs[0])} have fewer values"
                )
            for other in pairs:
                columns = (numbers(texts(sample[name]))[0] for name in (lon, lat, *other))
                if note := contradiction((lon, lat), other, *columns):
                    self._notes.append(f"of the first rows, {note}")
            return None, {**wanted, "lon": lon, "lat": lat}
        found = next((one for name in shapes if (one := of_cells(name, sample[name])) is not None), None)
        return found, wanted

    def batches(self) -> Iterator[PointRows]:
        """Its rows in order, with checked coordinates.

        Raises:
            SourceError: a damaged file, coordinates off the Earth, in mixed systems or counted in two ways; after the
                last row, when too many could not be read.
        """
        first, longitudes = 0, Longitudes(self.path)
        self.losses, self.rows = Losses(self.path), 0
        roles = {role: name for role, name in self.columns.given().items() if role != "geometry"}
        named = (
            None
            if self.columns.crs is None or self._crs is not None
            else RowSystems(self.columns.crs, self.path)
        )
        in_text = self._geometry is not None and self._table.geometry is None
        text_geometry = [str(self.columns.geometry)] if in_text else []
        names = list(dict.fromkeys([*roles.values(), *self._others, *text_geometry]))
        for batch in self._table.batches(names, geometry=self._geometry is not None, losses=self.losses):
            cells = {
                role: plain(batch.columns[name], f"{self.path}, column {name!r},")
                for role, name in roles.items()
            }
            if "label" in cells and self._table.decimal_comma:
                cells["label"] = with_points(cells["label"])
            rows = PointRows(first, np.full((batch.rows, 2), np.nan), 0, cells, batch.done)
            if self._geometry is not None:
                shape = batch.columns[text_geometry[0]] if text_geometry else batch.geometry
                self._place_by_shape(rows, shape)
            elif "lon" in cells:
                self._place(rows, named)
            cells.pop("crs", None)
            pair = None if self.columns.lon is None else (str(self.columns.lon), str(self.columns.lat))
            longitudes.within_180(rows.lonlat, first, self.path, pair)
            rows.cells = {role: cell for role, cell in cells.items() if role not in ("lon", "lat")}
            rows.others = {name: self._other(batch, name) for name in self._others}
            yield rows
            first += len(rows)
        self.rows = first + self._skipped()
        self.losses.check(self.rows)

    def _skipped(self) -> int:
        ragged = self.losses.by_reason.get(RAGGED)
        return 0 if ragged is None else ragged.count

    def _other(self, batch: Batch, name: str) -> pa.Array:
        column = batch.columns[name]
        return with_points(column) if self._table.decimal_comma else column

    def _place(self, rows: PointRows, named: RowSystems | None) -> None:
        """Read the coordinates of rows from two columns."""
        both = []
        wrong: NDArray[np.bool_] = np.zeros(len(rows), bool)
        axes: tuple[Axis, Axis] = ("lon", "lat")
        for axis in axes:
            cells = with_points(rows.cells[axis]) if self._table.decimal_comma else rows.cells[axis]
            what = f"{self.path}, column {getattr(self.columns, axis)!r},"
            if self._crs is not None and is_projected(self._crs):
                values, bad = numbers(cells)
            else:
                values, bad = degrees(cells, axis, what, rows.first)
            bad = bad | np.isinf(values)
            if bad.any():
                self._count(rows, bad & ~wrong, axis, cells)
            both.append(values)
            wrong = wrong | bad
        lonlat = np.stack(both, axis=1)
        if self._crs is not None:
            lonlat = np.stack(to_degrees(lonlat[:, 0], lonlat[:, 1], self._crs), axis=1)
        elif named is not None:
            lonlat = named.to_degrees(lonlat, rows.cells["crs"], rows.first, self.losses)
        lonlat[wrong | ~np.isfinite(lonlat).all(axis=1)] = np.nan
        rows.lonlat, rows.unreadable = lonlat, int(np.count_nonzero(wrong))

    def _count(self, rows: PointRows, bad: NDArray[np.bool_], axis: str, cells: pa.Array) -> None:
        if not bad.any():
            return
        row = int(np.flatnonzero(bad)[0])
        held = str(cells[row].as_py())[:40]
        column = getattr(self.columns, axis)
        self.losses.add(
            UNREADABLE, int(bad.sum()), f"row {rows.first + row + 1}, column {column!r}: {held!r}", REMEDY
        )

    def _place_by_shape(self, rows: PointRows, cells: Any) -> None:
        """Read the coordinates of rows from their geometry, and the geometry itself where it is wanted."""
        assert self._geometry is not None
        about = self._geometry if self._crs is None else replace(self._geometry, system=self._crs)
        if about.encoding == _SHAPES or self._with_shapes:
            shapes = cells if about.encoding == _SHAPES else shapes_of(cells, about, self.path, rows.first)
            rows.shapes = shapes_to_degrees(np.asarray(shapes, object), about.system)
            rows.lonlat = points_within(rows.shapes)
        else:
            lonlat = points_of(cells, about, self.path, rows.first)
            rows.lonlat = np.array(np.stack(to_degrees(lonlat[:, 0], lonlat[:, 1], about.system), axis=1))
        infinite = np.isinf(rows.lonlat).any(axis=1)
        rows.unreadable = int(np.count_nonzero(infinite))
        if rows.unreadable:
            row = int(np.flatnonzero(infinite)[0])
            self.losses.add(
                UNREADABLE,
                rows.unreadable,
                f"row {rows.first + row + 1}, column {about.name!r}",
                "correct its geometry",
            )
        rows.lonlat[~np.isfinite(rows.lonlat).all(axis=1)] = np.nan


def _missing(cells: pa.Array) -> int:
    """How many cells hold nothing."""
    if pa.types.is_string(cells.type):
        cells = texts(cells)
    missing = int(cells.null_count)
    if pa.types.is_floating(cells.type):
        missing += int(pc.sum(pc.is_nan(cells)).as_py() or 0)
    return missing
