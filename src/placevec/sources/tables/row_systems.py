"""The system of coordinates of each row, where a column names it: Darwin Core's geodeticDatum, or crs, srid, epsg."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.geo.systems import is_projected, to_degrees, transformer
from placevec.sources.tables.losses import HARMLESS, Losses
from placevec.sources.tables.values import texts

DATUM = "geodeticdatum"
UNKNOWN_DATUM = "a datum that PROJ does not know, taken to be WGS84"
_SAYS_NOTHING = re.compile(
    r"(unknown|unspecified|not (recorded|provided|applicable|specified)|none|n/?a|\?)\b.*", re.I
)
_NUMBER = re.compile(r"(?:EPSG|SRID)\s*[:=]*\s*(\d{4,6})", re.I)
_WGS84 = re.compile(r"WGS\W*(19)?84|world geodetic system\W*(of )?1984", re.I)


class RowSystems:
    """What the rows of one table name, batch by batch.

    Args:
        column: name of the column.
        table: what holds it, for messages.
    """

    def __init__(self, column: str, table: object) -> None:
        self._column, self._table = column, table
        self._is_datum = column.lower().strip() == DATUM
        self._named: dict[str, Any] = {}
        self._projected = ""
        self._only: Any = None

    def to_degrees(self, lonlat: Floats, named: pa.Array, first: int, losses: Losses) -> Floats:
        """(N, 2) degrees of WGS84; rows without a name are of the one system that is named, else of WGS84.

        Raises:
            SourceError: a system that PROJ does not know, or one in meters beside others.
        """
        coded = texts(named).dictionary_encode()
        words = coded.dictionary.to_pylist()
        for word in words:
            if word not in self._named:
                self._named[word] = self._system(word)
        self._check_one()
        if all(self._named[word] is None for word in words) and self._only is None:
            self._count_unknown(words, coded, first, losses)
            return lonlat
        at = np.asarray(pc.fill_null(coded.indices, len(words)))
        found = lonlat.copy()
        for number, system in enumerate([*(self._named[word] for word in words), self._only]):
            rows = at == number
            if system is not None and rows.any():
                found[rows] = np.stack(to_degrees(lonlat[rows, 0], lonlat[rows, 1], system), axis=1)
        self._count_unknown(words, coded, first, losses)
        return found

    def _system(self, word: str) -> Any:
        """A system by what the cell calls it; None is WGS84."""
        number = _NUMBER.search(word)
        name = f"EPSG:{number[1]}" if number else word
        if not number and (_WGS84.search(word) or _SAYS_NOTHING.fullmatch(word)):
            return None
        try:
            return None if transformer(name) is None else name
        except SourceError:
            if not self._is_datum:
                raise
            return None

    def _check_one(self) -> None:
        """One system in meters, or any number in degrees."""
        systems = {str(one or "EPSG:4326") for one in self._named.values()}
        self._only = next(iter(self._named.values())) if len(systems) == 1 else None
        if len(systems) > 1 and any(is_projected(one) for one in systems):
            first, second = sorted(systems, key=lambda one: (is_projected(one), one))[:2]
            second = next(one for one in systems if is_projected(one)) if not is_projected(second) else second
            raise SourceError(
                f"{self._table}: the column {self._column!r} has both {first[:40]} and {second[:40]}: convert "
                "all coordinates to one system, or pass --crs EPSG:4326 if all are degrees in WGS84"
            )

    def _count_unknown(self, words: list[str], coded: pa.Array, first: int, losses: Losses) -> None:
        if not self._is_datum:
            return
        strange = [
            number for number, word in enumerate(words)
            if self._named[word] is None and not (_WGS84.search(word) or _SAYS_NOTHING.fullmatch(word))
            and word.upper() != "EPSG:4326" and not _is_known(word)
        ]  # fmt: skip
        if strange:
            rows = np.flatnonzero(np.isin(np.asarray(pc.fill_null(coded.indices, -1)), strange))
            cell = coded[int(rows[0])].as_py()
            losses.add(
                UNKNOWN_DATUM, len(rows), f"row {first + rows[0] + 1}, column {self._column!r}: {cell[:40]!r}",
                "write it like EPSG:4326", share=HARMLESS,
            )  # fmt: skip


def _is_known(word: str) -> bool:
    try:
        transformer(word)
    except SourceError:
        return False
    return True
