"""What a join of two tables met, said of both sides, and refused when most of both met nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import PlacevecError, SourceError

MOST = 0.5
"""Rows and places may both go without the other up to this share of each."""


@dataclass(frozen=True)
class Join:
    """A join of a table's rows to places.

    Attributes:
        table: what holds the rows, for messages.
        rows: of the table that could be joined.
        lost_rows: of these that met no place.
        places: of the other side.
        lost_places: of these that met no row.
        first: what the first lost row is called, such as ``row 3, place_id 'x'``.
        others: what a place is called, such as ``'01001'``.
        by: what both are joined by.
        most: the share of rows, and of places, that may go without the other.
    """

    table: object
    rows: int
    lost_rows: int
    places: int
    lost_places: int
    first: str
    others: str
    by: str = "place_id"
    most: float = MOST

    def note(self) -> str:
        """One line; empty where every row met a place and every place a row.

        >>> Join("a.csv", 10, 1, 20, 11, "row 3, place_id 'x'", "'p'").note()
        "a.csv: 1 of 10 rows met no place (first: row 3, place_id 'x'); 11 of 20 places met no row"
        """
        told = []
        if self.lost_rows:
            told.append(f"{self.lost_rows:,} of {self.rows:,} rows met no place (first: {self.first})")
        if self.lost_places:
            told.append(f"{self.lost_places:,} of {self.places:,} places met no row")
        return f"{self.table}: {'; '.join(told)}" if told else ""

    def check(self, error: type[PlacevecError] = SourceError) -> None:
        """Raise when no row met a place, or most rows and most places met nobody."""
        ends = f"the first is {self.first}, and a place is called {self.others}; do both speak of the same places?"
        if self.lost_rows == self.rows:
            raise error(f"{self.table} matches none of the places by {self.by} ({self.rows:,} rows): {ends}")
        if self.lost_rows > self.most * self.rows and self.lost_places > self.most * self.places:
            raise error(
                f"{self.table}: {self.lost_rows:,} of {self.rows:,} rows met no place by {self.by}, and "
                f"{self.lost_places:,} of {self.places:,} places met no row: {ends}"
            )


def join_by_id(
    ids: NDArray[Any], places: NDArray[Any], table: object, by: str = "place_id"
) -> tuple[NDArray[np.int64], Join]:
    """((N,) the place of each row, -1 for none; what was met). Ids are texts on both sides.

    >>> join_by_id(np.array(["b", "x"]), np.array(["a", "b"]), "a.csv")[0].tolist()
    [1, -1]
    """
    import pandas as pd

    at = np.asarray(pd.Index(places).get_indexer(ids), np.int64)
    lost = np.flatnonzero(at < 0)
    met = len(np.unique(at[at >= 0]))
    first = f"row {lost[0]}, {by} {str(ids[lost[0]])[:60]!r}" if len(lost) else ""
    others = repr(str(places[0])[:60]) if len(places) else "nothing"
    return at, Join(table, len(ids), len(lost), len(places), len(places) - met, first, others, by)
