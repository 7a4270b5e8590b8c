"""Cells of a user's table as numbers, dates and texts, a column of a batch at a time; and what cannot be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import Floats

NO_VALUE = ("", "na", "n/a", "nan", "null", "none", "nil", "-", "<na>", "#n/a", "nat")
"""Texts in lower case that stand where a number or a date is missing. A class may well be called NA (Namibia)."""
SPLIT_NAMES = {
    "train": 0, "training": 0, "trn": 0,
    "validation": 1, "valid": 1, "val": 1, "dev": 1,
    "test": 2, "testing": 2,
}  # fmt: skip


def is_text(kind: pa.DataType) -> bool:
    """Whether cells are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether cells are numbers, true and false included."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def plain(column: pa.Array, what: str) -> pa.Array:
    """The column without a dictionary; SourceError when its cells are lists, documents or bytes."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_large_string(kind):
        return column.cast(pa.string())
    if not (is_text(kind) or is_number(kind) or pa.types.is_temporal(kind)):
        raise SourceError(f"{what} holds {kind}, neither texts nor numbers")
    return column


def texts(column: pa.Array) -> pa.Array:
    """Cells as trimmed texts; null where there is nothing or NaN. Whole numbers among floats lose their ``.0``."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        words = pc.replace_substring_regex(column.cast(pa.string()), r"\.0$", "")
    else:
        words = column if is_text(column.type) else column.cast(pa.string())
    words = pc.utf8_trim_whitespace(words)
    return pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)


def numbers(column: pa.Array) -> tuple[Floats, NDArray[np.bool_]]:
    """((N,) float64 with NaN where there is none, (N,) bool cells that hold something else than a number)."""
    if not is_text(column.type):
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        if pa.types.is_temporal(column.type):
            return np.full(len(column), np.nan), np.asarray(column.is_valid())
        values = np.array(pc.fill_null(column.cast(pa.float64(), safe=False), np.nan), np.float64)
        return values, np.zeros(len(values), bool)
    words = texts(column)
    try:
        return np.array(pc.fill_null(words.cast(pa.float64()), np.nan), np.float64), np.zeros(
            len(words), bool
        )
    except pa.ArrowInvalid:
        pass
    missing = pc.or_(pc.is_null(words), pc.is_in(pc.utf8_lower(words), value_set=pa.array(NO_VALUE)))
    left = pc.if_else(missing, pa.scalar(None, pa.string()), words).to_pandas()
    values = np.asarray(pd.to_numeric(left, errors="coerce"), np.float64)
    return values, np.isnan(values) & ~np.asarray(missing)


def dates(column: pa.Array, what: str) -> tuple[Floats, NDArray[np.bool_]]:
    """((N,) share of the year that had passed, NaN unknown, (N,) bool cells that are no dates).

    Cells are dates, ISO texts (``2018-06-03``, with or without a time), or the share itself, 0 to 1.

    Raises:
        SourceError: numbers that are no share; a column of durations or of times of the day, which say no day.

    >>> share, wrong = dates(pa.array(["2019-07-02T12:00", "0.25", "soon", None]), "date")
    >>> share.tolist(), wrong.tolist()
    ([0.5, 0.25, nan, nan], [False, False, True, False])
    """
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return _shares(pd.to_datetime(column.to_pandas(), errors="coerce", utc=True)), np.zeros(
            len(column), bool
        )
    if pa.types.is_temporal(column.type):
        raise SourceError(
            f"{what} holds {column.type}, neither dates such as 2018-06-03 nor shares of the year, 0 to 1"
        )
    values, wrong = numbers(column)
    values, wrong = values.copy(), wrong.copy()
    off = np.flatnonzero((values < 0) | (values > 1) | np.isinf(values))
    if len(off):
        raise SourceError(
            f"{what} holds {values[off[0]]:g}, which is neither a date such as 2018-06-03 nor a share of the year, 0 to 1"
        )
    if wrong.any():
        words = texts(column).to_pandas()[wrong]
        read = _shares(pd.to_datetime(words, errors="coerce", utc=True, format="ISO8601"))
        values[wrong] = read
        wrong[wrong] = np.isnan(read)
    return values, wrong


def _shares(moments: Any) -> Floats:
    series = pd.Series(moments)
    start = pd.to_datetime(
        series.dt.year.astype("Int64").astype("string"), format="%Y", utc=True, errors="coerce"
    )
    days = 365.0 + series.dt.is_leap_year.to_numpy(np.float64)
    passed = (series - start).dt.total_seconds().to_numpy(np.float64, na_value=np.nan)
    return np.asarray(passed / (86400.0 * days))


def splits(column: pa.Array, what: str) -> NDArray[np.int8]:
    """(N,) int8: 0 train, 1 validation, 2 test, -1 nothing; SourceError for any other word."""
    words = pc.utf8_lower(texts(column))
    codes = pc.index_in(words, value_set=pa.array(list(SPLIT_NAMES)))
    unknown = pc.and_(pc.is_valid(words), pc.is_null(codes))
    if pc.any(unknown).as_py():
        word = words.filter(unknown)[0].as_py()
        raise SourceError(f"{what} holds {word[:40]!r}: a row belongs to train, validation or test")
    table = np.array([*SPLIT_NAMES.values(), -1], np.int8)
    return np.asarray(table[np.asarray(pc.fill_null(codes, len(SPLIT_NAMES)))])


# --- degrees -----------------------------------------------------------------------------------------------


def check_degrees(
    lon: Floats, lat: Floats, first_row: int, what: object, names: tuple[str, str] | None = None
) -> int:
    """SourceError unless finite coordinates are on Earth, with what is likely wrong; returns how many lon exceed 180.

    Longitudes may run from -180 to 180 or from 0 to 360. ``names`` are those of the two columns, when there are any.
    """
    known = np.isfinite(lon) & np.isfinite(lat)
    off = known & ((np.abs(lat) > 90) | (lon < -180) | (lon > 360))
    if not off.any():
        return int(np.count_nonzero(lon[known] > 180))
    row = int(np.flatnonzero(off)[0])
    told = f"{what}, row {first_row + row}: lon={lon[row]:g}, lat={lat[row]:g} is not on Earth"
    swapped = (np.abs(lon[known]) <= 90).all() and (np.abs(lat[known]) <= 360).all()
    if swapped and np.abs(lat[row]) > 90:
        remedy = f"say --lon {names[1]} --lat {names[0]}" if names else "write longitude first"
        raise SourceError(
            f"{told}: longitude and latitude look swapped, since every longitude lies within 90 degrees; {remedy}"
        )
    if max(abs(lon[row]), abs(lat[row])) > 1000:
        raise SourceError(f"{told}: if these are meters, name their system, such as --crs EPSG:3067")
    raise SourceError(f"{told}: longitudes lie from -180 to 180, latitudes from -90 to 90")


class Longitudes:
    """How the rows of one table count longitudes, found out batch by batch: -180 to 180, or 0 to 360; never both.

    Args:
        table: what holds them all, for messages.

    >>> lonlat = np.array([[190.0, 4.0], [24.9, 60.2]])
    >>> Longitudes("a.csv").within_180(lonlat, 0, "a.csv")
    >>> lonlat[:, 0].tolist()
    [-170.0, 24.9]
    """

    def __init__(self, table: object) -> None:
        self._table, self._over, self._under = table, 0, 0

    def within_180(
        self, lonlat: Floats, first_row: int, what: object, names: tuple[str, str] | None = None
    ) -> None:
        """Check (N, 2) degrees as `check_degrees` does, and take a turn off longitudes above 180, in place.

        Raises:
            SourceError: a place off the Earth; or longitudes above 180 and below 0, in this batch and those before it.
        """
        beyond = check_degrees(lonlat[:, 0], lonlat[:, 1], first_row, what, names)
        self._over, self._under = self._over + beyond, self._under + int(np.count_nonzero(lonlat[:, 0] < 0))
        if self._over and self._under:
            raise SourceError(
                f"{self._table}: some longitudes exceed 180 and others are below 0: count all from -180 to 180, or all "
                "from 0 to 360"
            )
        if beyond:
            lonlat[lonlat[:, 0] > 180, 0] -= 360.0
