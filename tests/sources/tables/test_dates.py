"""Cells of a user's table as dates."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from placevec.errors import SourceError
from placevec.sources.tables.dates import dates


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns", "Europe/Helsinki")]
)
def test_dates_and_moments(kind: pa.DataType) -> None:
    """Closed form: 1 January 2019 is a year's start; noon of 2 July, in UTC, its half."""
    told = [dt.datetime(2019, 1, 1, tzinfo=dt.UTC), dt.datetime(2019, 7, 2, 12, tzinfo=dt.UTC), None]
    days = [one and one.date() for one in told]
    found = dates(pa.array(days if pa.types.is_date(kind) else told, kind), "when")
    half = 182 / 365 if pa.types.is_date(kind) else 0.5
    assert np.allclose(found.shares, [0.0, half, np.nan], equal_nan=True)
    assert not (found.unreadable | found.vague).any()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([dt.timedelta(days=1)]),
        pa.array([None], pa.duration("s")),
        pa.array([dt.time(12, 30)]),
        pa.array([1], pa.time32("s")),
    ],
)
def test_durations_and_times_of_the_day_are_no_dates(column: pa.Array) -> None:
    """Pandas raised its own error for the first two and knew nothing of the others, without a word."""
    with pytest.raises(SourceError, match=r"when holds (duration|time).*neither dates"):
        dates(column, "when")


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("2019-03-02", 60.0),
        ("2019-03-02T12:00:00", 60.5),
        ("2019-03-02T12:00:00+02:00", 60.0 + 10 / 24),
        ("1963-03-08T14:07-0600", 66.0 + (20 + 7 / 60) / 24),
        ("2019-061", 60.0),
        ("2019-W10-3", 64.0),
        ("20190302", 60.0),
        ("2019/3/2", 60.0),
        ("2019-03", 59.0 + 15.5),  # the middle of the month
        ("2019-03-02/2019-03-05", 61.5),
        ("2019-03-02/05", 61.5),
        ("2019-03-02/03-05", 61.5),
        ("2019-03-02T10:00:00/2019-03-02T11:00:00", 60.0 + 10.5 / 24),
        ("2009-02-20T08:40Z/09:20Z", 50.0 + 9 / 24),
        ("2019-12-30/2020-01-01", 364.0),  # the middle is New Year's Eve
    ],
)
def test_what_darwin_core_calls_a_date(cell: str, day: float) -> None:
    """Days since 1 January, counted on the calendar by hand; none of these years is a leap year."""
    found = dates(pa.array([cell]), "eventDate")
    assert found.shares[0] * 365 == pytest.approx(day, abs=1e-6)
    assert not (found.unreadable | found.vague).any()


@pytest.mark.parametrize(
    ("cell", "outcome"),
    [
        ("2019", "vague"),
        ("2018/2019", "vague"),
        ("2009-01/03", "vague"),
        ("2007-03-01T13:00:00Z/2008-05-11T15:30:00Z", "vague"),
        ("03/02/2019", "unreadable"),
        ("2019-02-30", "unreadable"),
        ("2019-00-00", "unreadable"),
        ("2019-03-05/2019-03-02", "unreadable"),
        ("43500", "unreadable"),
        ("spring", "unreadable"),
        ("", "missing"),
        ("NA", "missing"),
    ],
)
def test_dates_that_show_no_season(cell: str, outcome: str) -> None:
    """A year says no share of it; nothing is taken for 1 January."""
    for cells in (pa.array([cell]), pa.array([cell, "2019-03-02"])):
        found = dates(cells, "eventDate")
        assert np.isnan(found.shares[0])
        assert (found.unreadable[0], found.vague[0]) == (outcome == "unreadable", outcome == "vague")


def test_columns_of_numbers() -> None:
    """Shares of the year stay; whole years are vague, in a column of integers too."""
    assert dates(pa.array([0.0, 0.25, 1.0]), "d").shares.tolist() == [0.0, 0.25, 1.0]
    assert dates(pa.array([2018, 2019]), "d").vague.tolist() == [True, True]
