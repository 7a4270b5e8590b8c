"""Cells of a user's table as numbers and texts, a column of a batch at a time; and what cannot be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import Floats

NO_VALUE = (
    "", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "<na>", "#n/a", "nat", "-", "--", "–", "—", "?", ".", "..",
    "...", "k.a.", "k. a.", "k.a", "keine angabe", "n.d.", "n/d", "nd", "s/d", "s.d.", "missing", "unknown", "no data",
)  # fmt: skip
"""Texts, in lower case, for a missing number or date. As a class, NA is valid (Namibia)."""
SPLIT_NAMES = {
    "train": 0, "training": 0, "trn": 0,
    "validation": 1, "valid": 1, "val": 1, "dev": 1,
    "test": 2, "testing": 2,
}  # fmt: skip


def is_text(kind: pa.DataType) -> bool:
    """Whether cells are text.

    >>> is_text(pa.string()), is_text(pa.float64())
    (True, False)
    """
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether cells are numbers, including true and false.

    >>> is_number(pa.float64()), is_number(pa.bool_()), is_number(pa.string())
    (True, True, False)
    """
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def plain(column: pa.Array, what: str) -> pa.Array:
    """The column without a dictionary; SourceError when its cells are lists, documents or no texts."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_large_string(kind):
        return column.cast(pa.string())
    if pa.types.is_binary(kind):  # texts that old writers did not declare as such
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise SourceError(f"{what} holds bytes that are not UTF-8: it must be text or numbers") from error
    if not (is_text(kind) or is_number(kind) or pa.types.is_temporal(kind)):
        raise SourceError(f"{what} must be text or numbers; it is {kind}")
    return column


def texts(column: pa.Array) -> pa.Array:
    """Cells as trimmed text; null if empty or NaN. Integers stored as floats lose their ``.0``.

    >>> texts(pa.array([" oak ", "", None])).to_pylist(), texts(pa.array([1.0, 2.5])).to_pylist()
    (['oak', None, None], ['1', '2.5'])
    """
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        words = pc.replace_substring_regex(column.cast(pa.string()), r"\.0$", "")
    else:
        words = column if pa.types.is_string(column.type) else column.cast(pa.string())
    words = pc.utf8_trim_whitespace(words)
    return pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)


def with_points(column: pa.Array) -> pa.Array:
    """The column with a point for the decimal comma of its numbers, and without their dots between thousands.

    Other texts are unchanged.

    >>> with_points(pa.array(["1,5", "a, b", "-0,25", "1.156,85", "2.340", None])).to_pylist()
    ['1.5', 'a, b', '-0.25', '1156.85', '2340', None]
    """
    if not is_text(column.type):
        return column
    dotted = pc.match_substring_regex(column, r"^\s*[+-]?\d{1,3}(\.\d{3})+(,\d+)?\s*$")
    if pc.any(dotted).as_py():
        column = pc.if_else(pc.fill_null(dotted, False), pc.replace_substring(column, ".", ""), column)
    return pc.replace_substring_regex(column, r"^(\s*[+-]?\d+),(\d+\s*)$", r"\1.\2")


def numbers(column: pa.Array) -> tuple[Floats, NDArray[np.bool_]]:
    """((N,) float64 with NaN if missing, (N,) bool cells that are not numbers).

    >>> values, wrong = numbers(pa.array(["1.5", "NA", "tall"]))
    >>> values.tolist(), wrong.tolist()
    ([1.5, nan, nan], [False, False, True])
    """
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


def splits(column: pa.Array, what: str) -> NDArray[np.int8]:
    """(N,) int8: 0 train, 1 validation, 2 test, -1 missing; SourceError for any other word.

    >>> splits(pa.array(["train", "val", "test", None]), "column 'split'").tolist()
    [0, 1, 2, -1]
    """
    words = pc.utf8_lower(texts(column))
    codes = pc.index_in(words, value_set=pa.array(list(SPLIT_NAMES)))
    unknown = pc.and_(pc.is_valid(words), pc.is_null(codes))
    if pc.any(unknown).as_py():
        word = words.filter(unknown)[0].as_py()
        raise SourceError(f"{what} must be train, validation or test; got {word[:40]!r}")
    table = np.array([*SPLIT_NAMES.values(), -1], np.int8)
    return np.asarray(table[np.asarray(pc.fill_null(codes, len(SPLIT_NAMES)))])


# --- degrees -----------------------------------------------------------------------------------------------


def check_degrees(
    lon: Floats, lat: Floats, first_row: int, what: object, names: tuple[str, str] | None = None
) -> int:
    """SourceError unless finite coordinates are on Earth, with the likely cause; returns how many lon exceed 180.

    Longitudes run from -180 to 180 or from 0 to 360. ``names`` are those of the two columns, if there are any.

    >>> check_degrees(np.array([24.9, 190.0]), np.array([60.2, -16.0]), 0, "trees.csv")
    1
    """
    known = np.isfinite(lon) & np.isfinite(lat)
    off = known & ((np.abs(lat) > 90) | (lon < -180) | (lon > 360))
    if not off.any():
        return int(np.count_nonzero(lon[known] > 180))
    row = int(np.flatnonzero(off)[0])
    told = f"{what}, row {first_row + row + 1}: lon={lon[row]:g}, lat={lat[row]:g} is not on Earth"
    swapped = (np.abs(lon[known]) <= 90).all() and (np.abs(lat[known]) <= 360).all()
    if swapped and np.abs(lat[row]) > 90:
        remedy = f"pass --lon {names[1]} --lat {names[0]}" if names else "write longitude first"
        raise SourceError(
            f"{told}: longitude and latitude look swapped, because all longitudes lie within 90 degrees; {remedy}"
        )
    if max(abs(lon[row]), abs(lat[row])) > 1000:
        raise SourceError(
            f"{told}: if these are meters, give their coordinate reference system, such as EPSG:3067, in a column "
            f"named crs, or with --crs if the command has that option"
        )
    raise SourceError(f"{told}: longitudes must be from -180 to 180, latitudes from -90 to 90")


class Longitudes:
    """Detects whether longitudes of a table run from -180 to 180 or from 0 to 360, batch by batch; never both.

    Args:
        table: name of the table, for messages.

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
        """Check (N, 2) degrees as `check_degrees` does, and wrap longitudes above 180, in place.

        Raises:
            SourceError: a place off the Earth, or longitudes both above 180 and below 0, in all batches so far.
        """
        beyond = check_degrees(lonlat[:, 0], lonlat[:, 1], first_row, what, names)
        self._over, self._under = self._over + beyond, self._under + int(np.count_nonzero(lonlat[:, 0] < 0))
        if self._over and self._under:
            raise SourceError(
                f"{self._table}: some longitudes exceed 180 and others are below 0: use either -180 to 180 or 0 to 360 "
                "for all"
            )
        if beyond:
            lonlat[lonlat[:, 0] > 180, 0] -= 360.0


# --- whole columns -----------------------------------------------------------------------------------------


_FIRST = 64


def typed(column: pa.ChunkedArray) -> pd.Series[Any]:
    """A whole column for people: texts that are numbers throughout become numbers, empty ones are missing.

    Texts stay texts when one of them is a code, such as ``01001``, which is another than 1001.

    >>> typed(pa.chunked_array([["1", "2", None]])).tolist(), typed(pa.chunked_array([["01", "02"]])).tolist()
    ([1.0, 2.0, nan], ['01', '02'])
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not is_text(column.type):
        return column.to_pandas()
    first = texts(column.slice(0, _FIRST).combine_chunks())
    if numbers(first)[1].any():  # one that is none decides, and most columns of texts begin with such
        return texts(column.combine_chunks()).to_pandas()
    words = texts(column.combine_chunks())
    if pc.any(pc.match_substring_regex(words, r"^[+-]?0\d")).as_py():
        return words.to_pandas()
    values, wrong = numbers(words)
    if wrong.any() or not np.isfinite(values).any():
        return words.to_pandas()
    whole = words.null_count == 0 and not pc.any(pc.match_substring_regex(words, r"[^\d+-]")).as_py()
    if whole and np.abs(values).max() < 2**53:
        return pd.Series(values.astype(np.int64))
    return pd.Series(values)
