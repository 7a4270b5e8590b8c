"""Reports the matches of a join of two tables, and raises an error if most of both have no match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import PlacevecError, SourceError

_CHECKED = 1_000  # IDs without a match in which leading zeros are looked for
MOST = 0.5
"""Maximum share of rows, and of places, without a match; an error is raised when both exceed it."""


@dataclass(frozen=True)
class Join:
    """A join of a table's rows to places.

    Attributes:
        table: the table of the rows, for messages.
        rows: number of rows that could be joined.
        lost_rows: number of these that match no place.
        places: number of places.
        lost_places: number of these that match no row.
        first: the first row without a match, such as ``row 3, place_id 'x'``.
        others: the ID of a place, such as ``'01001'``.
        by: what the tables are joined by.
        most: maximum share of rows, and of places, without a match.
        zeros: what `lost_zeros` says of the IDs.
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
    zeros: str = ""

    def note(self) -> str:
        """One line; empty if every row matches a place and every place a row.

        >>> Join("a.csv", 10, 1, 20, 11, "row 3, place_id 'x'", "'p'").note()
        "a.csv: 1 of 10 rows match no place (first: row 3, place_id 'x'); 11 of 20 places match no row"
        """
        told = []
        if self.lost_rows:
            first = f"{self.first}; {self.zeros}" if self.zeros else self.first
            told.append(f"{self.lost_rows:,} of {self.rows:,} rows match no place (first: {first})")
        if self.lost_places:
            told.append(f"{self.lost_places:,} of {self.places:,} places match no row")
        return f"{self.table}: {'; '.join(told)}" if told else ""

    def check(self, error: type[PlacevecError] = SourceError) -> None:
        """Raise if no row matches a place, or most rows and most places have no match."""
        ends = f"the first is {self.first}, and a place has the ID {self.others}; " + (
            self.zeros or "do both tables describe the same places?"
        )
        if self.lost_rows == self.rows:
            raise error(f"{self.table} matches none of the places by {self.by} ({self.rows:,} rows): {ends}")
        if self.lost_rows > self.most * self.rows and self.lost_places > self.most * self.places:
            raise error(
                f"{self.table}: {self.lost_rows:,} of {self.rows:,} rows match no place by {self.by}, and "
                f"{self.lost_places:,} of {self.places:,} places match no row: {ends}"
            )


def join_by_id(
    ids: NDArray[Any], places: NDArray[Any], table: object, by: str = "place_id"
) -> tuple[NDArray[np.int64], Join]:
    """((N,) index of the place of each row, -1 for none; the join). IDs are text in both tables.

    >>> join_by_id(np.array(["b", "x"]), np.array(["a", "b"]), "a.csv")[0].tolist()
    [1, -1]
    """
    import pandas as pd

    at = np.asarray(pd.Index(places).get_indexer(ids), np.int64)
    lost = np.flatnonzero(at < 0)
    met = len(np.unique(at[at >= 0]))
    first = f"row {lost[0] + 1}, {by} {str(ids[lost[0]])[:60]!r}" if len(lost) else ""
    others = repr(str(places[0])[:60]) if len(places) else "nothing"
    zeros = lost_zeros(ids[lost], places)
    return at, Join(
        table, len(ids), len(lost), len(places), len(places) - met, first, others, by, zeros=zeros
    )


def lost_zeros(lost: NDArray[Any], places: NDArray[Any]) -> str:
    """What to do where IDs without a match would match if leading zeros did not count; empty otherwise.

    >>> lost_zeros(np.array(["1001"]), np.array(["01001", "x"]))
    "the IDs differ in leading zeros ('1001' is '01001'): store that column as text"
    >>> lost_zeros(np.array(["1002"]), np.array(["01001", "x"]))
    ''
    """
    bare = {str(place).lstrip("0"): str(place) for place in places}
    for one in lost[:_CHECKED]:
        if one is not None and (meant := bare.get(str(one).lstrip("0"))) is not None:
            return f"the IDs differ in leading zeros ({str(one)[:30]!r} is {meant[:30]!r}): store that column as text"
    return ""
