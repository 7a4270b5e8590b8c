"""Cells of a user's table as dates."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from placevec.errors import SourceError
from placevec.sources.tables.values import dates


@pytest.mark.parametrize(
    "kind", [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns", "Europe/Helsinki")]
)
def test_dates_and_moments(kind: pa.DataType) -> None:
    """Closed form: 1 January 2019 is a year's start; noon of 2 July, in UTC, its half."""
    told = [dt.datetime(2019, 1, 1, tzinfo=dt.UTC), dt.datetime(2019, 7, 2, 12, tzinfo=dt.UTC), None]
    days = [one and one.date() for one in told]
    shares, wrong = dates(pa.array(days if pa.types.is_date(kind) else told, kind), "when")
    half = 182 / 365 if pa.types.is_date(kind) else 0.5
    assert np.allclose(shares, [0.0, half, np.nan], equal_nan=True)
    assert not wrong.any()


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
    with pytest.raises(SourceError, match=r"it is (duration|time)"):
        dates(column, "when")
