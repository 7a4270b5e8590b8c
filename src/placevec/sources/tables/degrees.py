"""Cells as degrees: decimal with a point or a comma, with the letter of a hemisphere, or with minutes and seconds."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.sources.tables.values import numbers, texts

Axis = Literal["lon", "lat"]
_FORM = (
    r"^(?P<before>[NSEW])?[\s:]*(?P<sign>[+\-])?\s*(?P<degrees>\d+(?:[.,]\d+)?)\s*(?:"
    r"(?:[°D:\s]|DEG\.?|DEGREES?)\s*(?:(?P<minutes>\d+(?:[.,]\d+)?)\s*(?:(?:['M:\s]|MIN\.?)\s*"
    r"""(?:(?P<seconds>\d+(?:[.,]\d+)?)\s*(?:"|''|SEC\.?)?)?)?)?)?\s*(?P<after>[NSEW])?$"""
)
_PLAIN = str.maketrans({
    "−": "-", "–": "-", "º": "°", "˚": "°", "᾽": "'", "′": "'", "’": "'", "‘": "'", "´": "'", "`": "'", "″": '"',
    "”": '"', "“": '"', "\u00a0": " ", "\u202f": " ", "\u2009": " ",
})  # fmt: skip
_LETTERS = {"lon": ("E", "W"), "lat": ("N", "S")}
REMEDY = "write decimal degrees such as 24.94, or leave the cell empty"


def degrees(column: pa.Array, axis: Axis, what: str, first_row: int = 0) -> tuple[Floats, NDArray[np.bool_]]:
    """((N,) float64 with NaN where there is none, (N,) bool cells that hold something else than degrees).

    Args:
        column: of the cells.
        axis: which coordinate it is.
        what: names the column in messages.
        first_row: number of the first cell, for messages.

    Raises:
        SourceError: a cell with the letter of the other axis.

    >>> cells = ["24.94", "24,94", "24.94E", "0.5 W", "24°56'24\\"E", "W 24 56.4", "-24:56:24", "24°70'", "north", None]
    >>> values, wrong = degrees(pa.array(cells), "lon", "a.csv, column 'x',")
    >>> values.round(2).tolist()
    [24.94, 24.94, 24.94, -0.5, 24.94, -24.94, -24.94, nan, nan, nan]
    >>> wrong.nonzero()[0].tolist()
    [7, 8]
    """
    values, wrong = numbers(column)
    rows = np.flatnonzero(wrong)
    if not len(rows) or pa.types.is_temporal(column.type):
        return values, wrong
    coded = texts(column).take(pa.array(rows)).dictionary_encode()  # each text is read once
    words = pa.array([word.translate(_PLAIN).upper() for word in coded.dictionary.to_pylist()], pa.string())
    parts = pc.extract_regex(words, _FORM)
    found = _read(parts, axis, words, what, rows, coded, first_row)
    values, wrong = values.copy(), wrong.copy()
    values[rows] = found[np.asarray(coded.indices)]
    wrong[rows] = np.isnan(values[rows])
    return values, wrong


def _read(
    parts: pa.Array,
    axis: Axis,
    words: pa.Array,
    what: str,
    rows: NDArray[np.int64],
    coded: pa.Array,
    first: int,
) -> Floats:
    """(W,) degrees of texts that were taken apart; NaN where they are none."""
    part = {name: pc.struct_field(parts, name).fill_null("") for name in ("before", "sign", "after")}
    number = {name: pc.struct_field(parts, name).fill_null("") for name in ("degrees", "minutes", "seconds")}
    letters = pc.binary_join_element_wise(part["before"], part["after"], "")
    other = _LETTERS["lat" if axis == "lon" else "lon"]
    stray = np.flatnonzero(np.asarray(pc.is_in(letters, value_set=pa.array(other))))
    if len(stray):
        at = int(np.flatnonzero(np.asarray(coded.indices) == stray[0])[0])
        found, meant = ("latitude", "longitude") if axis == "lon" else ("longitude", "latitude")
        raise SourceError(
            f"{what} row {first + rows[at] + 1}: {words[int(stray[0])].as_py()[:40]!r} is a {found}, but the column "
            f"contains the {meant}: are the columns swapped? Name them with --lon and --lat"
        )
    value = {name: _floats(one) for name, one in number.items()}
    split = {name: np.asarray(pc.not_equal(number[name], "")) for name in ("minutes", "seconds")}
    total = value["degrees"] + np.nan_to_num(value["minutes"]) / 60 + np.nan_to_num(value["seconds"]) / 3600
    signed = np.asarray(pc.not_equal(part["sign"], ""))
    lettered = np.asarray(pc.not_equal(letters, ""))
    sixty = (np.nan_to_num(value["minutes"]) < 60) & (np.nan_to_num(value["seconds"]) < 60)
    whole = (~split["minutes"] | (value["degrees"] % 1 == 0)) & (
        ~split["seconds"] | (np.nan_to_num(value["minutes"]) % 1 == 0)
    )
    fine = sixty & whole & ~(signed & lettered) & (np.asarray(pc.utf8_length(letters)) <= 1)
    negative = np.asarray(
        pc.or_(pc.equal(part["sign"], "-"), pc.is_in(letters, value_set=pa.array(["W", "S"])))
    )
    return np.where(fine, np.where(negative, -total, total), np.nan)


def _floats(words: pa.Array) -> Floats:
    """(W,) numbers with a point or a comma; NaN for empty texts."""
    plain = pc.replace_substring(words, ",", ".")
    return np.array(
        pc.fill_null(
            pc.if_else(pc.equal(plain, ""), pa.scalar(None, pa.string()), plain).cast(pa.float64()), np.nan
        ),
        np.float64,
    )
