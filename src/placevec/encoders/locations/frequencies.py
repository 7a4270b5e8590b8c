"""Frequencies of multi-scale encoders: the original's geometric series, or integers that close around the Earth.

A scale r is a fraction of the Earth's radius and 1 / r is its frequency: sin(lon / r) has a wavelength of 2 pi r radii
on the equator. The original uses 1 / r directly. Then sin(f * 180 deg) differs from sin(f * -180 deg) and the features
are discontinuous at the antimeridian. Integer frequencies are continuous there. Odd ones also make cos(f * 90 deg)
zero, which makes every product with a cosine of latitude continuous at the poles.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from placevec.encoders.arguments import whole as integer
from placevec.errors import ModelError

Schedule = Callable[[int, float, float], list[float]]
"""(scales, r_min, r_max) -> frequencies, finest first."""


def geometric(scales: int, r_min: float, r_max: float) -> list[float]:
    """1 / r for scales in a geometric series from r_min to r_max, as in the original; a single scale is r_max.

    >>> [round(f, 3) for f in geometric(3, 0.01, 1.0)]
    [100.0, 10.0, 1.0]
    """
    _checked(scales, r_min, r_max)
    if scales == 1:
        return [1.0 / r_max]
    step = math.log(r_max / r_min) / (scales - 1)
    return [1.0 / (r_min * math.exp(scale * step)) for scale in range(scales)]


def whole(scales: int, r_min: float, r_max: float) -> list[float]:
    """Distinct integer frequencies, as close as possible to the geometric ones.

    >>> whole(5, 0.01, 1.0)
    [100.0, 32.0, 10.0, 3.0, 1.0]
    """
    return _lattice(scales, r_min, r_max, first=1, step=1)


def odd(scales: int, r_min: float, r_max: float) -> list[float]:
    """Distinct odd frequencies, as close as possible to the geometric ones.

    >>> odd(5, 0.01, 1.0)
    [99.0, 31.0, 9.0, 3.0, 1.0]
    """
    return _lattice(scales, r_min, r_max, first=1, step=2)


def max_scales(schedule: Schedule, r_min: float) -> int:
    """Number of distinct frequencies of `whole` or `odd` between one wave around the Earth and 1 / r_min.

    >>> max_scales(odd, 0.1)
    5
    """
    first, step = _STARTS[schedule]
    return (_top(r_min, first, step) - first) // step + 1


_STARTS: dict[Schedule, tuple[int, int]] = {whole: (1, 1), odd: (1, 2)}


def _top(r_min: float, first: int, step: int) -> int:
    """The finest frequency: the valid one closest to 1 / r_min."""
    return max(first, first + step * round((1 / r_min - first) / step))


def _lattice(scales: int, r_min: float, r_max: float, *, first: int, step: int) -> list[float]:
    wanted = geometric(scales, r_min, r_max)[::-1]
    if r_max > 1:
        raise ModelError(
            f"r_max is a fraction of the Earth's radius and must be at most 1; got {r_max:g} "
            '(only grid and theory with variant="original" take it in degrees)'
        )
    top = _top(r_min, first, step)
    room = (top - first) // step + 1
    if scales > room:
        raise ModelError(
            f"only {room} distinct frequencies that close around the Earth lie between r_max {r_max:g} and "
            f"r_min {r_min:g}, too few for {scales} scales: use fewer scales or a smaller r_min"
        )
    found: list[int] = []
    for position, frequency in enumerate(wanted):
        nearest = max(first, first + step * math.floor((frequency - first) / step + 0.5 - 1e-9))
        if found:
            nearest = max(nearest, found[-1] + step)
        found.append(min(nearest, top - step * (scales - 1 - position)))
    return [float(frequency) for frequency in reversed(found)]


def _checked(scales: int, r_min: float, r_max: float) -> None:
    integer("scales", scales, 1, 4096)
    numbers = all(isinstance(r, int | float) and math.isfinite(r) for r in (r_min, r_max))
    if not numbers or not 0 < r_min <= r_max or (scales > 1 and r_min == r_max):
        raise ModelError(f"r_min must be above 0 and below r_max; got r_min {r_min!r} and r_max {r_max!r}")
