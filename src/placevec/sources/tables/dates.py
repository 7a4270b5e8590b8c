"""Cells as dates: the share of the year that had passed, of days, months and intervals as Darwin Core writes them.

Darwin Core's eventDate is ISO 8601: ``2019-03-02``, ``2019-03``, ``2019``, ``2019-061``, ``2019-03-02/2019-03-05``,
``2007-11-13/15``. https://dwc.tdwg.org/terms/#dwc:eventDate
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import InputError, SourceError
from placevec.geo import Floats
from placevec.sources.tables.values import NO_VALUE, numbers, texts

MAX_DAYS = 31
"""Longest interval whose middle still tells the season."""
REMEDY = "write it as 2018-06-03, or leave the cell empty"
_DAY_LENGTH = 10
_DATE = re.compile(
    r"(?P<year>\d{4})(?:-?W(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?|-(?P<ordinal>\d{3})"
    r"|[-/](?P<month>\d{1,2})(?:[-/](?P<day>\d{1,2}))?|(?P<packed>\d{4}))?(?P<time>[T ].*)?"
)
_YEAR = re.compile(r"\d{4}(\.0)?")
Moment = dt.datetime
Span = tuple[Moment, Moment]


@dataclass(frozen=True)
class Dates:
    """Cells as dates.

    Attributes:
        shares: (N,) float64 share of the year that had passed; NaN unknown.
        times: (N,) float64 the year with its fraction; NaN unknown, as for cells that are the share itself.
        hours: (N,) float64 hours of the day, UTC, 0 to 24; NaN where no time of the day is named.
        unreadable: (N,) bool cells that are no dates.
        vague: (N,) bool cells that name a year, or more than `MAX_DAYS` days, and so no season.
    """

    shares: Floats
    times: Floats
    hours: Floats
    unreadable: NDArray[np.bool_]
    vague: NDArray[np.bool_]


def moments(reads: Sequence[str], shares: Floats, times: Floats | None, hours: Floats | None) -> Floats:
    """(N, K) what an encoder reads of the time, see `encoders.locations.times.LIMITS`; (N,) for one; NaN unknown.

    >>> found = dates(pa.array(["2020-03-01T06:00", "2019"]), "date")
    >>> moments(["month", "hour", "time"], found.shares, found.times, found.hours).round(3).tolist()
    [[2.0, 6.0, 2020.165], [nan, nan, 2019.5]]
    """
    unknown = np.full(len(shares), np.nan)
    known: dict[str, Floats] = {
        "season": shares,
        "month": _months(shares, times) if "month" in reads else unknown,
        "hour": unknown if hours is None else hours,
        "time": unknown if times is None else times,
    }
    found = [known[name] for name in reads]
    return found[0] if len(found) == 1 else np.stack(found, axis=1)


def known_rows(found: Floats) -> NDArray[np.bool_]:
    """(N,) whether (N,) or (N, K) numbers are all known.

    >>> known_rows(np.array([[1.0, 2.0], [np.nan, 2.0]])).tolist()
    [True, False]
    """
    return np.asarray(np.isfinite(found.reshape(len(found), -1)).all(axis=1))


def is_date(word: str) -> bool:
    """Whether a text is a date, an interval or a share of the year.

    >>> is_date("2018-06-03T14:00"), is_date("seen_on")
    (True, False)
    """
    found = dates(pa.array([word]), "date")
    return bool(np.isfinite(found.shares)[0] or found.vague[0])


def read_moments(when: Any, reads: Sequence[str]) -> Floats:
    """(N,) or (N, K) what an encoder reads of the time, of dates and times, or of such numbers themselves.

    Raises:
        InputError: a date that cannot be read, or that lacks what is read, such as the hour.

    >>> read_moments(["2018-07-02T12:00", "2018-01-01T00:00"], ["season", "hour"]).tolist()
    [[0.5, 12.0], [0.0, 0.0]]
    """
    given = np.atleast_1d(np.asarray(when))
    if given.dtype.kind in "biuf":
        return np.array(given, np.float64, order="C")
    found = dates(pa.array(pd.Series(given.reshape(-1)), from_pandas=True), "year")
    known = moments(reads or ("season",), found.shares, found.times, found.hours)
    bad = np.flatnonzero(~known_rows(known))
    if len(bad):
        raise InputError(
            f"{len(bad):,} of {len(known):,} times cannot be used, the first in row {bad[0]}: "
            f"{str(given.reshape(-1)[bad[0]])[:40]!r}; the model reads {' and '.join(reads)}: write 2018-06-03T14:00"
        )
    return known


def _months(shares: Floats, times: Floats | None) -> Floats:
    """(N,) month, 0 to 11, of a share of a year; of one of 365 days where the year is unknown."""
    years = (
        np.full(len(shares), np.nan) if times is None else np.floor(np.where(shares == 1, times - 0.5, times))
    )
    known = np.nan_to_num(years, nan=1.0)
    leap = (known % 4 == 0) & ((known % 100 != 0) | (known % 400 == 0))
    lengths = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    ends = np.cumsum(lengths)
    days = np.nan_to_num(shares) * (365.0 + leap)
    days += 1e-6  # a tenth of a second: shares are rounded, and midnight belongs to the day that begins
    found = np.minimum((days[:, None] >= ends + leap[:, None] * (np.arange(12) > 0)).sum(axis=1), 11)
    return np.where(np.isfinite(shares), found, np.nan)


def dates(column: pa.Array, what: str) -> Dates:
    """Cells of a column: dates, ISO 8601 texts with or without a time, intervals, or the share itself, 0 to 1.

    A month is its middle, and so is an interval of at most `MAX_DAYS` days.

    Raises:
        SourceError: a column of durations or of times of the day, which say no day.

    >>> found = dates(pa.array(["2019-07-02T12:00", "0.25", "soon", None, "2019", "2019-01-01/2019-01-03"]), "date")
    >>> found.shares.round(4).tolist()
    [0.5, 0.25, nan, nan, nan, 0.0027]
    >>> found.unreadable.nonzero()[0].tolist(), found.vague.nonzero()[0].tolist()
    ([2], [4])
    """
    nothing = np.zeros(len(column), bool)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        found = pd.to_datetime(column.to_pandas(), errors="coerce", utc=True)
        shares, times, hours = _of(found)
        if pa.types.is_date(column.type):
            hours = np.full(len(column), np.nan)
        return Dates(shares, times, hours, nothing, nothing)
    if pa.types.is_temporal(column.type):
        raise SourceError(
            f"{what} holds {column.type}, which are neither dates such as 2018-06-03 nor fractions of the year, 0 to 1"
        )
    words = texts(column)
    missing = np.asarray(
        pc.or_(pc.is_null(words), pc.is_in(pc.utf8_lower(words), value_set=pa.array(NO_VALUE)))
    )
    values, times, hours = (np.full(len(words), np.nan) for _ in range(3))
    long = np.asarray(pc.fill_null(pc.greater_equal(pc.utf8_length(words), _DAY_LENGTH), False))
    dashed = long & np.asarray(pc.fill_null(pc.match_substring_regex(words, r"^\d{4}-\d\d-\d\d"), False))
    if dashed.any():
        found = pd.to_datetime(
            words.filter(pa.array(dashed)).to_pandas(), errors="coerce", utc=True, format="ISO8601"
        )
        values[dashed], times[dashed], hours[dashed] = _of(found)
        timed = np.asarray(pc.fill_null(pc.greater(pc.utf8_length(words), _DAY_LENGTH + 1), False))
        hours[~timed] = np.nan
    left = np.flatnonzero(np.isnan(values) & ~missing)
    vague = nothing.copy()
    if len(left):
        values[left], times[left], hours[left], vague[left] = _others(words.take(pa.array(left)))
    return Dates(values, times, hours, np.isnan(values) & ~missing & ~vague, vague)


def _others(words: pa.Array) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """((M,) shares of cells that are no plain days, times, hours, (M,) bool vague ones); each text is read once."""
    number, _ = numbers(words)
    with np.errstate(invalid="ignore"):
        share = (number >= 0) & (number <= 1)
    coded = words.dictionary_encode()
    read = [_odd(word) for word in coded.dictionary.to_pylist()]
    at = np.asarray(coded.indices)
    values, times, hours = np.array([one[:3] for one in read], np.float64).reshape(-1, 3)[at].T
    vague = np.array([one[3] for one in read], bool)[at]
    none = np.nan
    return (
        np.where(share, number, values), np.where(share, none, times), np.where(share, none, hours), vague & ~share,
    )  # fmt: skip


def _odd(word: str) -> tuple[float, float, float, bool]:
    """(share of the year, time, hour, whether it is too vague to have a season) of a date in an unusual form."""
    nothing = (np.nan, np.nan, np.nan, False)
    if _YEAR.fullmatch(word):
        return (np.nan, int(word[:4]) + 0.5, np.nan, True) if 1000 <= int(word[:4]) <= 2999 else nothing
    begin, _, end = word.partition("/") if word.count("/") == 1 else (word, "", "")
    try:
        first = _span(begin.strip())
        last = _span(_completed(begin.strip(), end.strip())) if end.strip() else first
    except (ValueError, OverflowError):
        return nothing
    if last[1] < first[0]:
        return nothing
    days = (last[1] - first[0]) / dt.timedelta(days=1)
    middle = first[0] + (last[0] - first[0]) / 2 if end else _middle(first)
    year = Moment(middle.year, 1, 1)
    share = (middle - year) / (Moment(middle.year + 1, 1, 1) - year)
    if days > MAX_DAYS + 1:
        return np.nan, middle.year + share, np.nan, True
    instant = not end and first[0] == first[1]
    hour = (middle - Moment(middle.year, middle.month, middle.day)) / dt.timedelta(hours=1)
    return share, middle.year + share, hour if instant else np.nan, False


def _middle(span: Span) -> Moment:
    """A day is its beginning, as where it stands alone; what is longer is its middle."""
    length = span[1] - span[0]
    return span[0] if length <= dt.timedelta(days=1) else span[0] + length / 2


def _completed(begin: str, end: str) -> str:
    """The end of an interval, with what it leaves out as its beginning has it: ``2007-11-13/15``, ``2009-01/02``."""
    if re.match(r"\d{4}", end):
        return end
    day = re.match(r"[\dW-]+", begin)
    if "T" in begin and ":" in end and "-" not in end.split("T")[0]:
        return f"{begin.split('T')[0]}T{end.lstrip('T')}"
    if day is None or not re.fullmatch(r"\d{1,2}(-\d{1,2})?([T ].*)?", end):
        raise ValueError(end)
    plain = re.split(r"[T ]", end)[0]
    kept = day[0].split("-")[: -(plain.count("-") + 1)]
    return "-".join([*kept, end])


def _span(word: str) -> Span:
    """When a date begins and ends, in UTC; ValueError if it is not a date."""
    found = _DATE.fullmatch(word)
    if found is None:
        raise ValueError(word)
    year = int(found["year"])
    day = dt.timedelta(days=1)
    if found["week"]:
        begin = Moment.combine(
            dt.date.fromisocalendar(year, int(found["week"]), int(found["weekday"] or 1)), dt.time()
        )
        return begin, begin + (day if found["weekday"] else 7 * day)
    if found["ordinal"]:
        if not 1 <= int(found["ordinal"]) <= 365 + calendar.isleap(year):
            raise ValueError(word)
        begin = Moment(year, 1, 1) + (int(found["ordinal"]) - 1) * day
        return begin, begin + day
    month, date = found["month"], found["day"]
    if found["packed"]:
        month, date = found["packed"][:2], found["packed"][2:]
    if not month:
        return Moment(year, 1, 1), Moment(year + 1, 1, 1)
    if not date:
        return Moment(year, int(month), 1), Moment(year + int(month) // 12, int(month) % 12 + 1, 1)
    begin = Moment(year, int(month), int(date))
    if not found["time"]:
        return begin, begin + day
    moment = dt.datetime.fromisoformat(f"{begin:%Y-%m-%d}T{found['time'][1:].strip()}")
    plain = moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return plain, plain


def _of(found: Any) -> tuple[Floats, Floats, Floats]:
    """(shares of the year, times, hours of the day) of timestamps."""
    series = pd.Series(found)
    start = pd.to_datetime(
        series.dt.year.astype("Int64").astype("string"), format="%Y", utc=True, errors="coerce"
    )
    days = 365.0 + series.dt.is_leap_year.to_numpy(np.float64)
    passed = (series - start).dt.total_seconds().to_numpy(np.float64, na_value=np.nan)
    shares = np.asarray(passed / (86400.0 * days))
    return shares, series.dt.year.to_numpy(np.float64) + shares, passed % 86400.0 / 3600.0
