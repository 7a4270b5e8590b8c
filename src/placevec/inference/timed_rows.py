"""The times of a table's rows, as a model reads them, with what cannot be read counted."""

from __future__ import annotations

from placevec.geo import Floats
from placevec.models.model import Model
from placevec.preparation.points.stage import count_dates
from placevec.sources.tables.dates import dates, known_rows, moments
from placevec.sources.tables.labeled_points import PointRows, PointTable
from placevec.sources.tables.losses import Losses


class TimedRows:
    """The column of dates of a table.

    Args:
        model: the model.
        points: the table; without a column of dates, nothing is read.
        undated_rows: what happens to rows without a time, for the note.

    Attributes:
        undated: rows without a time that the model can use.
        outside: rows before or after the period of training.
    """

    def __init__(self, model: Model, points: PointTable, undated_rows: str = "they are left out") -> None:
        self.model, self.points, self.undated_rows = model, points, undated_rows
        self.forget()

    def forget(self) -> None:
        """Begin again."""
        self.read = self.undated = self.outside = 0
        self.losses = Losses(self.points.path)

    def of(self, rows: PointRows) -> Floats | None:
        """(N,) or (N, K) what the model reads of the time, NaN unknown; None if the table has no column of dates."""
        column = self.points.columns.date
        if column is None:
            return None
        found = dates(rows.cells["date"], f"{self.points.path}, column {column!r},")
        count_dates(found, rows, column, self.losses)
        times = moments(self.model.times, found.shares, found.times, found.hours)
        self.read += len(rows)
        self.undated += int((~known_rows(times)).sum())
        self.outside += int(self.model.outside_period(times).sum())
        return times

    @property
    def notes(self) -> list[str]:
        """What could not be read, and what is answered for another time than asked."""
        found = list(self.losses.notes(self.read))
        if self.undated:
            found.append(
                f"{self.undated:,} of {self.read:,} rows have no time from which the model can read the "
                f"{' and the '.join(self.model.times)}: {self.undated_rows}"
            )
        if self.outside:
            found.append(
                f"{self.outside:,} of {self.read:,} times lie outside the period of training: there the model answers for"
                " its first or last moment"
            )
        return found
