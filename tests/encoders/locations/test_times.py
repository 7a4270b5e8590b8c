"""Features of the time. Oracles: Python's calendar for months and fractions, and the closed form of periodic features."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import placevec as pv
from placevec.encoders.locations.times import TimeFeatures
from placevec.errors import InputError, ModelError, PlacevecError
from placevec.sources.tables.dates import dates, moments, read_moments

ALL = ("season", "month", "hour", "time")


def random_moments(count: int) -> list[dt.datetime]:
    seconds = np.random.default_rng(3).integers(0, 40 * 366 * 86_400, count)
    edges = [
        "2020-02-29T23:59",
        "2020-03-01",
        "2019-12-31T23:59:59",
        "2020-12-31T12:00",
        "2019-03-01",
        "2000-01-01",
    ]
    return [dt.datetime(1985, 1, 1) + dt.timedelta(seconds=int(one)) for one in seconds] + [
        dt.datetime.fromisoformat(one) for one in edges
    ]


def test_what_is_read_of_dates_is_what_the_calendar_says() -> None:
    """Of 3,000 moments and the edges of leap years, as text, timestamps and with a time zone."""
    told = random_moments(3_000)
    begins = [dt.datetime(one.year, 1, 1) for one in told]
    lengths = [dt.datetime(one.year + 1, 1, 1) - begin for one, begin in zip(told, begins, strict=True)]
    shares = np.array(
        [(one - begin) / length for one, begin, length in zip(told, begins, lengths, strict=True)]
    )
    wanted = np.c_[
        shares, [one.month - 1 for one in told],
        [one.hour + one.minute / 60 + one.second / 3600 for one in told], [one.year for one in told] + shares,
    ]  # fmt: skip
    east = [
        one.replace(tzinfo=dt.UTC).astimezone(dt.timezone(dt.timedelta(hours=9))).isoformat() for one in told
    ]
    for given in ([one.isoformat() for one in told], east, told):
        np.testing.assert_allclose(read_moments(given, ALL), wanted, rtol=0, atol=1e-9)


def test_what_a_date_does_not_say_stays_unknown() -> None:
    """A day has no hour, a share no year, a year no season but a time."""
    cells = [
        "2018-07-02",
        "0.5",
        "2018",
        "2018-07",
        "soon",
        "2018-07-02T00:00",
        "20180702",
        "2018-07-02 06:00+02:00",
    ]
    found = dates(pa.array(cells), "d")
    read = moments(ALL, found.shares, found.times, found.hours)
    known = np.isfinite(read).astype(int).tolist()
    assert known == [
        [1, 1, 0, 1],
        [1, 1, 0, 0],
        [0, 0, 0, 1],
        [1, 1, 0, 1],
        [0] * 4,
        [1] * 4,
        [1, 1, 0, 1],
        [1] * 4,
    ]
    assert (read[2, 3], read[5, 2], read[7, 2]) == (2018.5, 0.0, 4.0)
    days = dates(pa.array([dt.date(2018, 7, 2)]), "d")
    assert np.isnan(days.hours[0])
    assert not np.isnan(days.times[0])
    assert moments(["hour"], found.shares, None, None).shape == (8,)


def test_features_are_periodic_and_absolute_time_is_not_extrapolated() -> None:
    features = TimeFeatures(seasons=2, months=True, hours=3, clock="solar", period=(2000.0, 2020.0))
    assert (features.reads, features.dim) == (ALL, 4 + 12 + 6 + 1)
    random = np.random.default_rng(1)
    times = np.c_[
        random.random(50),
        random.integers(0, 12, 50),
        random.uniform(0, 24, 50),
        random.uniform(1990, 2030, 50),
    ]
    lon = random.uniform(-180, 180, 50)
    turns = 2 * np.pi * np.c_[times[:, :1] * [1, 2], (times[:, 2:3] / 24 + lon[:, None] / 360) * [1, 2, 3]]
    waves = np.stack((np.sin(turns), np.cos(turns)), axis=-1).reshape(50, -1)
    line = np.clip((times[:, 3:] - 2010) / 10, -1, 1)
    wanted = np.concatenate((waves[:, :4], np.eye(12)[times[:, 1].astype(int)], waves[:, 4:], line), axis=1)
    found = features(torch.from_numpy(times), torch.from_numpy(lon))
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    day = times + np.array([0, 0, 24, 0])
    np.testing.assert_allclose(features(torch.from_numpy(day), torch.from_numpy(lon)), wanted, atol=1e-12)
    np.testing.assert_array_equal(features.outside(times), (times[:, 3] < 2000) | (times[:, 3] > 2020))
    assert not TimeFeatures(hours=1).outside(times[:, 2]).any()


def test_an_encoder_reads_them_and_is_built_again() -> None:
    own = {"seasons": 1, "months": True, "hours": 1, "clock": "solar", "period": [2001.5, 2019.0]}
    encoder = pv.encoders.location("xyz", dim=8, hidden=16, **own).eval()
    again = pv.encoders.build("location", **encoder.config())
    again.load_state_dict(encoder.state_dict())
    lonlat, times = torch.tensor([[24.9, 60.2], [-170.0, 5.0]]), torch.tensor([[0.2, 2.0, 6.5, 2005.0]] * 2)
    wanted = encoder(lonlat, year=times)
    torch.testing.assert_close(again.eval()(torch.cat((lonlat, times), 1).double()), wanted)
    np.testing.assert_allclose(
        encoder.encode(lonlat, year=times.numpy(), batch_size=1), wanted.detach(), atol=1e-6
    )
    torch.testing.assert_close(encoder(lonlat, year=times[0]), wanted)
    assert "hour of day, mean solar time: 1 harmonics" in encoder.describe()
    assert "2001.5 to 2019" in encoder.describe()
    assert pv.encoders.location("xyz", hours=1)([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]).shape == (2, 256)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (None, "needs year=, the month from 0 to 11, the hour of the day in UTC"),
        ([[1.0]], "2 numbers per point"),
        ([[12.0, 1.0]], "invalid month, from 0 to 11"),
        ([[1.5, 1.0]], "invalid month"),
        ([[1.0, 24.5]], "invalid hour, from 0 to 24"),
        ([[1.0, np.nan]], "invalid hour"),
        ([[1.0, 1.0]] * 3, "one time per point"),
    ],
)
def test_wrong_times_are_refused(times: object, message: str) -> None:
    encoder = pv.encoders.location("xyz", dim=4, hidden=8, months=True, hours=1)
    with pytest.raises(InputError, match=message):
        encoder([24.9, 25.0], [60.2, 60.3], times)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hours": 17}, "hours"),
        ({"clock": "solar"}, "add hours=1"),
        ({"hours": 1, "clock": "local"}, "utc or solar"),
        ({"period": [2000.0, 2000.0]}, "all training places have the same time"),
        ({"period": [2000.0]}, "first and the last"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(PlacevecError, match=message):
        pv.encoders.location("xyz", dim=4, **options)


def test_dates_that_cannot_be_used_name_the_first() -> None:
    with pytest.raises(InputError, match="2 of 3 times cannot be used, the first in row 1: 'soon'"):
        read_moments(pd.Series(["2018-06-03T14:00", "soon", "2018-06-03"]), ["hour"])
    with pytest.raises(ModelError, match="months"):
        TimeFeatures(months=3)  # type: ignore[arg-type]
