"""Which frequencies a multi-scale encoder uses: the original's geometric ones, or whole ones that close around the Earth.

A scale r is a share of the Earth's radius and 1 / r its frequency: sin(lon / r) has a wavelength of 2 pi r radii on the
equator. The original takes 1 / r as it comes. Then sin(f * 180 deg) is not sin(f * -180 deg) and the code tears at the
antimeridian. Whole frequencies close there; odd ones also make cos(f * 90 deg) zero, which closes the poles for every
product with a cosine of latitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from placevec.errors import ModelError

Schedule = Callable[[int, float, float], list[float]]
"""(scales, r_min, r_max) -> frequencies, the finest first."""


def geometric(scales: int, r_min: float, r_max: float) -> list[float]:
    """1 / r for scales in equal ratios from r_min to r_max, as the original has them; one scale is r_max.

    >>> [round(f, 3) for f in geometric(3, 0.01, 1.0)]
    [100.0, 10.0, 1.0]
    """
    _checked(scales, r_min, r_max)
    if scales == 1:
        return [1.0 / r_max]
    step = math.log(r_max / r_min) / (scales - 1)
    return [1.0 / (r_min * math.exp(scale * step)) for scale in range(scales)]


def whole(scales: int, r_min: float, r_max: float) -> list[float]:
    """Different whole frequencies, as near to the geometric ones as they can be.

    >>> whole(5, 0.01, 1.0)
    [100.0, 32.0, 10.0, 3.0, 1.0]
    """
    return _lattice(scales, r_min, r_max, first=1, step=1)


def odd(scales: int, r_min: float, r_max: float) -> list[float]:
    """Different odd frequencies, as near to the geometric ones as they can be.

    >>> odd(5, 0.01, 1.0)
    [99.0, 31.0, 9.0, 3.0, 1.0]
    """
    return _lattice(scales, r_min, r_max, first=1, step=2)


def max_scales(schedule: Schedule, r_min: float) -> int:
    """How many different frequencies `whole` or `odd` has from once around the Earth to 1 / r_min.

    >>> max_scales(odd, 0.1)
    5
    """
    first, step = _STARTS[schedule]
    return (_top(r_min, first, step) - first) // step + 1


_STARTS: dict[Schedule, tuple[int, int]] = {whole: (1, 1), odd: (1, 2)}


def _top(r_min: float, first: int, step: int) -> int:
    """The finest frequency: of those that close, the nearest to 1 / r_min."""
    return max(first, first + step * round((1 / r_min - first) / step))


def _lattice(scales: int, r_min: float, r_max: float, *, first: int, step: int) -> list[float]:
    wanted = geometric(scales, r_min, r_max)[::-1]
    if r_max > 1:
        raise ModelError(
            f"r_max is a share of the Earth's radius, at most 1; got {r_max:g} "
            '(radii in degrees belong to variant="original" of grid and theory)'
        )
    top = _top(r_min, first, step)
    room = (top - first) // step + 1
    if scales > room:
        raise ModelError(
            f"between r_max {r_max:g} and r_min {r_min:g} there are {room} different frequencies that close around "
            f"the Earth, and {scales} scales are asked for: take fewer scales or a smaller r_min"
        )
    found: list[int] = []
    for position, frequency in enumerate(wanted):
        nearest = max(first, first + step * math.floor((frequency - first) / step + 0.5 - 1e-9))
        if found:
            nearest = max(nearest, found[-1] + step)
        found.append(min(nearest, top - step * (scales - 1 - position)))
    return [float(frequency) for frequency in reversed(found)]


def _checked(scales: int, r_min: float, r_max: float) -> None:
    if isinstance(scales, bool) or not isinstance(scales, int) or not 1 <= scales <= 4096:
        raise ModelError(f"scales is a whole number from 1 to 4096; got {scales!r}")
    numbers = all(isinstance(r, int | float) and math.isfinite(r) for r in (r_min, r_max))
    if not numbers or not 0 < r_min <= r_max or (scales > 1 and r_min == r_max):
        raise ModelError(f"r_min is above 0 and below r_max; got r_min {r_min!r} and r_max {r_max!r}")
