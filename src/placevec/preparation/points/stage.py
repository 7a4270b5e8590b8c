"""First step for a table of points: stores usable rows in one format, with counts of those left out and why.

Some facts are only known once the whole table is read (whether labels are numbers, which IDs repeat), so its rows are
stored first. Memory does not grow with them, except for one byte per row.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.io.progress import Progress
from placevec.sources.tables.batches import BATCH_ROWS
from placevec.sources.tables.columns import Columns
from placevec.sources.tables.dates import REMEDY as DATE_REMEDY
from placevec.sources.tables.dates import Dates, dates
from placevec.sources.tables.delimited import RAGGED
from placevec.sources.tables.duplicates import Repeats, hashed
from placevec.sources.tables.labeled_points import UNREADABLE, PointRows, PointTable
from placevec.sources.tables.losses import SHARE, Losses
from placevec.sources.tables.values import splits, texts

NO_COORDINATES = "no coordinates"
NO_LABEL = "no label"
NO_SPLIT = "in no part of the split"
REPEATED = "duplicates of an earlier row"
_STAGED = {
    "row": pa.int64(), "place_id": pa.string(), "lon": pa.float64(), "lat": pa.float64(), "name": pa.string(),
    "label": pa.string(), "user": pa.string(), "date": pa.float64(), "time": pa.float64(), "hour": pa.float64(),
    "split": pa.int8(), "image_row": pa.int32(),
}  # fmt: skip


NOWHERE_SHARE, MIN_ROWS = 0.9, 10
"""Largest share of rows without coordinates, of a table with at least this number of rows."""
UNREADABLE_DATE = "dates that cannot be read"
VAGUE_DATE = "dates that give only a year, or span more than a month, and so no season"
_NAMING = ("row", "place_id", "image_row")
"""What tells rows apart that hold the same."""


class PointSource(Protocol):
    """A source of labeled points: a table, or a layout of several files."""

    path: Path

    @property
    def columns(self) -> Columns:
        """What its rows hold."""
        ...

    @property
    def total(self) -> int:
        """How far `PointRows.done` goes."""
        ...

    @property
    def notes(self) -> list[str]:
        """What to know of how it was read, and of what was lost."""
        ...

    def batches(self) -> Iterator[PointRows]:
        """Rows in order."""
        ...


@dataclass
class Staged:
    """Stored rows.

    Attributes:
        path: path of their Parquet file.
        columns: their columns.
        read: number of rows in the source.
        rows: number of stored rows.
        repeated: (rows,) bool: duplicates of an earlier row, which are not used.
        left_out: reason -> number of rows in the source.
        at_origin: number of rows at exactly lon=0, lat=0.
        bounds: west, south, east, north of those with coordinates, degrees.
        dates_unreadable: number of cells that are not dates, or name no season.
        dated: number of rows with a date or a fraction of the year.
        with_hour: those of them that name a time of day.
        period: first and last date, as years with their fraction; infinite without a year.
        notes: what to know about how the source was read and what was lost.
    """

    path: Path
    columns: tuple[str, ...] = ()
    read: int = 0
    rows: int = 0
    repeated: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    left_out: Counter[str] = field(default_factory=Counter)
    at_origin: int = 0
    bounds: tuple[float, float, float, float] = (np.inf, np.inf, -np.inf, -np.inf)
    dates_unreadable: int = 0
    dated: int = 0
    with_hour: int = 0
    period: tuple[float, float] = (np.inf, -np.inf)
    notes: list[str] = field(default_factory=list)

    def batches(self, columns: list[str] | None = None) -> Iterator[tuple[pa.RecordBatch, NDArray[np.bool_]]]:
        """(rows, which of them to use) in order; some columns or all."""
        first = 0
        with pq.ParquetFile(self.path, buffer_size=2**20, pre_buffer=False) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                yield batch, ~self.repeated[first : first + batch.num_rows]
                first += batch.num_rows


def stage(
    source: PointSource,
    work: Path,
    *,
    keep_repeats: bool,
    keep_unplaced: bool,
    progress: Progress,
    remedy: str = "choose another column with --id, or --id row for the row number",
) -> Staged:
    """Store the rows of a source in ``work``.

    Args:
        source: of the rows.
        work: folder for files that may be removed afterwards; existing files in it are removed first.
        keep_repeats: keep duplicate rows; two different rows with one ID still raise an error.
        keep_unplaced: use rows of validation and test that have no coordinates (an image may know them).
        progress: where to report.
        remedy: what to do if two rows with one ID differ.

    Raises:
        SourceError: errors of the source; an empty table; a row without ID, or two different rows with one ID.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    staged = Staged(work / "staged.parquet")
    repeats = Repeats(work / "hashes")
    has_id = source.columns.id is not None
    of_dates = Losses(source.path)
    with progress.task(f"Reading {source.path.name}", total=source.total) as advance:
        before, writer = 0, None
        try:
            for rows in source.batches():
                table = _put(rows, source, staged, keep_unplaced, of_dates)
                if writer is None:
                    writer = pq.ParquetWriter(
                        staged.path, table.schema, compression="zstd", use_dictionary=["label", "user"]
                    )
                    staged.columns = tuple(table.column_names)
                writer.write_table(table)
                if table.num_rows and (has_id or not keep_repeats):
                    content = hashed(
                        [_cells(table, name) for name in table.column_names if name not in _NAMING]
                    )
                    key = hashed([_cells(table, "place_id")]) if has_id else content
                    repeats.add(key, content, staged.rows)
                staged.rows += table.num_rows
                advance(rows.done - before)
                before = rows.done
            advance(source.total - before)
        finally:
            if writer is not None:
                writer.close()
    if staged.read == 0:
        raise SourceError(f"{source.path} has no rows")
    _check_losses(source, staged, of_dates, keep_unplaced)
    staged.repeated, clash = repeats.found(staged.rows)
    if clash is not None:
        first, second = _at(staged, clash[0]), _at(staged, clash[1])
        raise SourceError(
            f"{source.path}: row {first['row'] + 1} and row {second['row'] + 1} have the same "
            f"{source.columns.id} {first['place_id']!r} but differ: {remedy}"
        )
    if staged.repeated.any():
        staged.left_out[REPEATED] += int(staged.repeated.sum())
    return staged


def _check_losses(source: PointSource, staged: Staged, of_dates: Losses, keep_unplaced: bool) -> None:
    """SourceError when more is lost than may be: dates that cannot be read, rows that lie nowhere."""
    of_dates.check(staged.read)
    nowhere = staged.left_out[NO_COORDINATES]
    if not keep_unplaced and staged.read >= MIN_ROWS and NOWHERE_SHARE * staged.read < nowhere < staged.read:
        raise SourceError(
            f"{source.path}: {nowhere:,} of {staged.read:,} rows have no coordinates in "
            f"{source.columns.lon or source.columns.geometry!r}: choose other columns with --lon and --lat, or leave "
            f"these "
            "rows out"
        )
    ragged = source.losses.by_reason.get(RAGGED) if isinstance(source, PointTable) else None
    if ragged is not None:
        staged.read += ragged.count
        staged.left_out[RAGGED] += ragged.count
    staged.notes = [*source.notes, *of_dates.notes(staged.read)]


def _put(
    rows: PointRows, source: PointSource, staged: Staged, keep_unplaced: bool, of_dates: Losses
) -> pa.Table:
    """Rows to put down."""
    what = {role: f"{source.path}, column {name!r}," for role, name in source.columns.given().items()}
    number = np.arange(rows.first, rows.first + len(rows))
    columns: dict[str, pa.Array] = {"row": pa.array(number)}
    if "id" in rows.cells:
        columns["place_id"] = texts(rows.cells["id"])
    lon, lat = rows.lonlat.T
    placed = np.isfinite(lon)
    columns["lon"], columns["lat"] = pa.array(lon), pa.array(lat)
    columns |= {role: texts(rows.cells[role]) for role in ("name", "label", "user") if role in rows.cells}
    if "date" in rows.cells:
        found = dates(rows.cells["date"], what["date"])
        columns |= {
            "date": pa.array(found.shares), "time": pa.array(found.times), "hour": pa.array(found.hours)
        }  # fmt: skip
        staged.dates_unreadable += count_dates(found, rows, str(source.columns.date), of_dates)
    kept = placed.copy()
    strange: NDArray[np.bool_] = np.zeros(len(rows), bool)
    for reason, those in rows.left_out.items():
        staged.left_out[reason] += int(np.count_nonzero(those & ~strange))
        strange |= those
    kept &= ~strange
    if "split" in rows.cells:
        side = splits(rows.cells["split"], what["split"])
        columns["split"] = pa.array(side)
        if keep_unplaced:
            kept |= (side > 0) & ~strange
        staged.left_out[NO_SPLIT] += int(np.count_nonzero(kept & (side < 0)))
        kept &= side >= 0
    if "image_row" in rows.cells:
        columns["image_row"] = rows.cells["image_row"]
    nowhere = ~(placed | kept) if keep_unplaced else ~placed
    lost = int(np.count_nonzero(nowhere & ~strange))
    staged.left_out[UNREADABLE] += rows.unreadable
    staged.left_out[NO_COORDINATES] += lost - rows.unreadable
    if "label" in columns:
        labeled = np.asarray(columns["label"].is_valid())
        staged.left_out[NO_LABEL] += int(np.count_nonzero(kept & ~labeled))
        kept &= labeled
    staged.read += len(rows)
    used = placed & kept
    if "date" in columns:
        _note_dates(staged, columns, kept)
    if used.any():
        west, south, east, north = staged.bounds
        staged.bounds = (
            min(west, float(lon[used].min())), min(south, float(lat[used].min())),
            max(east, float(lon[used].max())), max(north, float(lat[used].max())),
        )  # fmt: skip
        staged.at_origin += int(np.count_nonzero((lon[used] == 0) & (lat[used] == 0)))
    table = pa.table({name: columns[name] for name in _STAGED if name in columns}).filter(pa.array(kept))
    if "place_id" in columns and table["place_id"].null_count:
        row = table["row"].filter(pc.is_null(table["place_id"]))[0].as_py()
        raise SourceError(
            f"{source.path}, row {row + 1} has no {source.columns.id}: give each row one, or remove the column"
        )
    return table


def _note_dates(staged: Staged, columns: dict[str, pa.Array], kept: NDArray[np.bool_]) -> None:
    """Count the dates of the rows that are kept, and widen their period."""
    share, time, hour = (np.asarray(columns[name])[kept] for name in ("date", "time", "hour"))
    staged.dated += int((np.isfinite(share) | np.isfinite(time)).sum())
    staged.with_hour += int(np.isfinite(hour).sum())
    known = time[np.isfinite(time)]
    if len(known):
        first, last = staged.period
        staged.period = (min(first, float(known.min())), max(last, float(known.max())))


def count_dates(found: Dates, rows: PointRows, column: str, losses: Losses) -> int:
    """Note the cells of a column of dates that are unknown; how many they are."""
    for reason, those in ((UNREADABLE_DATE, found.unreadable), (VAGUE_DATE, found.vague)):
        if those.any():
            row = int(np.flatnonzero(those)[0])
            cell = str(rows.cells["date"][row].as_py())[:40]
            where = f"row {rows.first + row + 1}, column {column!r}: {cell!r}"
            losses.add(
                reason,
                int(those.sum()),
                where,
                f"they stay unknown: {DATE_REMEDY}",
                share=1.0 if those is found.vague else SHARE,
            )
    return int(np.count_nonzero(found.unreadable | found.vague))


def _cells(table: pa.Table, name: str) -> pa.Array:
    cells = table[name].combine_chunks()
    return cells.to_numpy(zero_copy_only=False) if pa.types.is_floating(cells.type) else cells


def _at(staged: Staged, row: int) -> dict[str, Any]:
    first = 0
    for batch, _ in staged.batches():
        if row < first + batch.num_rows:
            return dict(batch.slice(row - first, 1).to_pylist()[0])
        first += batch.num_rows
    raise IndexError(row)  # justified: hashes are of rows that were written
