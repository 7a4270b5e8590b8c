"""What is lost of a table while it is read: counted by reason, the first of each named, and refused beyond a share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from placevec.errors import SourceError
from placevec.io.progress import Progress, say_notes

SHARE = 0.1
"""Of a table's rows that may be unreadable for one reason."""
HARMLESS = 2.0
"""The share of what is used all the same."""
FEW = 2
"""Rows that may be unreadable whatever their share, as long as others can be read."""


@dataclass
class Loss:
    """Rows that are lost for one reason.

    Attributes:
        count: how many.
        first: where the first of them is and what it holds, such as ``row 3, column 'lat': 'north'``.
        remedy: what to do.
        share: of a table's rows that may be lost so; never refused above 1.
    """

    count: int
    first: str
    remedy: str
    share: float = SHARE


class Losses:
    """What is lost of one table.

    >>> losses = Losses("a.csv")
    >>> losses.add("coordinates that are not numbers", 1, "row 3, column 'lat': 'north'", "write decimal degrees")
    >>> losses.check(40)
    >>> list(losses.notes(40))
    ["1 of 40 rows: coordinates that are not numbers (first: row 3, column 'lat': 'north'; write decimal degrees)"]
    """

    def __init__(self, table: object, what: str = "rows") -> None:
        self._table, self._what = table, what
        self.by_reason: dict[str, Loss] = {}

    @property
    def count(self) -> int:
        """How many there are, for all reasons."""
        return sum(loss.count for loss in self.by_reason.values())

    def add(self, reason: str, count: int, first: str, remedy: str, *, share: float = SHARE) -> None:
        """Note further rows of a reason."""
        if count <= 0:
            return
        known = self.by_reason.get(reason)
        if known is None:
            self.by_reason[reason] = Loss(count, first, remedy, share)
        else:
            known.count += count

    def check(self, rows: int) -> None:
        """SourceError when all of ``rows`` are lost for one reason, or more than its share."""
        for reason, loss in self.by_reason.items():
            if loss.share > 1:
                continue
            if loss.count >= rows or (loss.count > FEW and loss.count > loss.share * rows):
                raise SourceError(
                    f"{self._table}: {loss.count:,} of {rows:,} {self._what} have {reason}, the first is {loss.first}: "
                    f"{loss.remedy}"
                )

    def settle(self, rows: int, progress: Progress) -> None:
        """`check`, then report what was lost."""
        self.check(rows)
        say_notes(self.notes(rows), progress)

    def notes(self, rows: int) -> Iterator[str]:
        """One line a reason."""
        for reason, loss in self.by_reason.items():
            yield f"{loss.count:,} of {rows:,} {self._what}: {reason} (first: {loss.first}; {loss.remedy})"
