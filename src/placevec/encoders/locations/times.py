"""Features of the time: season, month, hour of the day, and how far through the period of training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from placevec.encoders.arguments import whole
from placevec.errors import InputError, ModelError
from placevec.options.choices import Clock

MAX_HARMONICS = 16
LIMITS = {"season": (0.0, 1.0), "month": (0.0, 11.0), "hour": (0.0, 24.0), "time": (-1e5, 1e5)}
"""What can be read, in this order: the elapsed fraction of the year; the month, 0 to 11; hours of the day, UTC; and the
absolute time as a year with its fraction, such as 2018.5. Each with its lowest and highest value."""


class TimeFeatures(nn.Module):
    """Periodic features of the season and the hour, one of twelve for the month, and a line for the absolute time.

    Args:
        seasons: harmonics of the time of the year.
        months: a feature for each month of the year, 1 in that month.
        hours: harmonics of the hour of the day.
        clock: hours in UTC, or ``solar``: the mean solar time of the place, UTC + lon / 15.
        period: first and last absolute time of training, as years; None without that feature. It is -1 at the first and
            1 at the last, and stays there outside: nothing is extrapolated.

    Attributes:
        reads: names in `LIMITS` of what is read, in their order; empty without features.
        dim: number of features.

    >>> time = TimeFeatures(hours=1, clock="solar", period=(2000.0, 2020.0))
    >>> time(torch.tensor([[6.0, 2015.0]]), torch.tensor([90.0])).round(decimals=3).abs().tolist()  # noon at 90 E
    [[0.0, 1.0, 0.5]]
    """

    def __init__(
        self, seasons: int = 0, months: bool = False, hours: int = 0, clock: Clock = "utc",
        period: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.seasons = whole("seasons", seasons, 0, MAX_HARMONICS)
        self.hours = whole("hours", hours, 0, MAX_HARMONICS)
        if not isinstance(months, bool) or clock not in ("utc", "solar"):
            raise ModelError(
                f"months must be true or false, clock utc or solar; got {months!r} and {clock!r}"
            )
        if clock != "utc" and not hours:
            raise ModelError("clock sets the hours of the day: add hours=1")
        self.months, self.clock = months, clock
        self.period = None if period is None else _checked_period(period)
        given = {"season": seasons, "month": months, "hour": hours, "time": self.period}
        self.reads = tuple(name for name, value in given.items() if value)
        self.dim = 2 * seasons + 12 * months + 2 * hours + (self.period is not None)

    def config(self) -> dict[str, Any]:
        """Arguments that build it again; those at their default but ``seasons`` are left out."""
        more = {
            "months": self.months, "hours": self.hours, "clock": self.clock,
            "period": None if self.period is None else list(self.period),
        }  # fmt: skip
        kept = {name: value for name, value in more.items() if value not in (False, None, "utc")}
        return {"seasons": self.seasons, **kept}

    def shaped(self, times: Any, shape: torch.Size, device: torch.device | None = None) -> Tensor | None:
        """(..., K) float64 for points of a shape, the K numbers of `reads` each; (...) will do for one; None without.

        Raises:
            InputError: times are missing, or given to an encoder that reads none; numbers of another shape or range.
        """
        if (times is None) != (not self.reads):
            raise InputError(
                f"this encoder needs year=, {self.told}"
                if self.reads
                else "this encoder has no seasons: build it with seasons=1 to use year="
            )
        if times is None:
            return None
        found = torch.as_tensor(times, dtype=torch.float64, device=device)
        count = len(self.reads)
        if count == 1 and (found.dim() == 0 or found.shape[-1:] != (1,) or found.dim() <= len(shape)):
            found = found[..., None]
        if found.dim() == 0 or found.shape[-1] != count:
            raise InputError(f"year= must have {count} numbers per point: {self.told}")
        try:
            found = found.expand(*shape, count)
        except RuntimeError:
            raise InputError(
                f"there are {tuple(shape)} points, but times of shape {tuple(found.shape[:-1])}: give one time per point"
            ) from None
        if not torch.compiler.is_compiling():
            self._check(found)
        return found

    def forward(self, times: Tensor, lon: Tensor) -> Tensor:
        """(..., dim) float64 features of times (..., K), as in `reads`, at longitudes (...) in degrees."""
        part = dict(zip(self.reads, times.to(torch.float64).unbind(-1), strict=True))
        found = []
        if self.seasons:
            found.append(turning(part["season"], self.seasons))
        if self.months:
            found.append((part["month"][..., None] == torch.arange(12, device=lon.device)).to(torch.float64))
        if self.hours:
            local = lon.to(torch.float64) / 15 if self.clock == "solar" else 0.0
            found.append(turning((part["hour"] + local) / 24, self.hours))
        if self.period is not None:
            first, last = self.period
            found.append(((part["time"] - first) / (last - first) * 2 - 1).clamp(-1, 1)[..., None])
        return torch.cat(found, dim=-1)

    def outside(self, times: Any) -> Tensor:
        """(...) bool: times (..., K) that lie before or after the period of training; none without a period."""
        found = torch.as_tensor(times, dtype=torch.float64)
        if self.period is None:
            return torch.zeros(found.shape[: found.dim() - (len(self.reads) > 1)], dtype=torch.bool)
        last = found if len(self.reads) == 1 else found[..., -1]
        return (last < self.period[0]) | (last > self.period[1])

    @property
    def fallback(self) -> Tensor:
        """(K,) a time for places of unknown time: the middle of the year, noon, the middle of the period."""
        middle = 0.0 if self.period is None else sum(self.period) / 2
        known = {"season": 0.5, "month": 6.0, "hour": 12.0, "time": middle}
        return torch.tensor([known[name] for name in self.reads], dtype=torch.float64)

    @property
    def told(self) -> str:
        """What is read, in words."""
        words = {
            "season": "the elapsed fraction of the year", "month": "the month from 0 to 11",
            "hour": "the hour of the day in UTC", "time": "the year with its fraction",
        }  # fmt: skip
        return ", ".join(words[name] for name in self.reads)

    def describe(self) -> list[str]:
        """A line for each kind of feature."""
        lines = [f"time of year: {self.seasons} harmonics"] * bool(self.seasons)
        lines += ["month: 12 features"] * self.months
        clock = "mean solar time" if self.clock == "solar" else "UTC"
        lines += [f"hour of day, {clock}: {self.hours} harmonics"] * bool(self.hours)
        if self.period is not None:
            lines.append(f"absolute time: {self.period[0]:.6g} to {self.period[1]:.6g}, constant outside")
        return lines

    def _check(self, times: Tensor) -> None:
        for position, name in enumerate(self.reads):
            low, high = LIMITS[name]
            column = times[..., position]
            whole_months = name != "month" or bool((column == column.round()).all())
            if not (bool(((column >= low) & (column <= high)).all()) and whole_months):
                what = (
                    "year must be the elapsed fraction of the year" if name == "season" else f"invalid {name}"
                )
                raise InputError(f"{what}, from {low:g} to {high:g}")


def time_of(encoder: nn.Module) -> TimeFeatures | None:
    """What an encoder reads of the time; None if nothing.

    >>> time_of(nn.Linear(1, 1)) is None
    True
    """
    found = getattr(encoder, "time", None)
    return found if isinstance(found, TimeFeatures) and found.reads else None


def turning(share: Tensor, harmonics: int) -> Tensor:
    """(..., 2 * harmonics) float64: sin and cos of 2 pi k t, k = 1 .. harmonics, for a fraction t of the year or day.

    December 31 is next to January 1. Mac Aodha et al. 2019 use the first harmonic.

    >>> turning(torch.tensor([0.0, 1.0]), 1).round().abs().tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    turns = torch.arange(1, harmonics + 1, dtype=torch.float64, device=share.device) * (2 * math.pi)
    angles = share.to(torch.float64)[..., None] * turns
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def _checked_period(period: Any) -> tuple[float, float]:
    numbers = isinstance(period, tuple | list) and len(period) == 2
    if not numbers or not all(isinstance(one, int | float) and math.isfinite(one) for one in period):
        raise ModelError(f"period must be the first and the last time of training, as years; got {period!r}")
    if not period[0] < period[1]:
        raise InputError(
            f"all training places have the same time, {period[0]:g}, so there is no trend to learn: train without it"
        )
    return float(period[0]), float(period[1])
