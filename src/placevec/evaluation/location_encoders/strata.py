"""Parts of the globe that encoders are compared on besides the whole: latitudes, the antimeridian, the poles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from placevec.geo import Floats

EARTH_RADIUS_M = 6_371_000.0
NEAR_M = 500_000.0
"""How near to the antimeridian, meters."""
MIN_POINTS = 30
"""Tested points below which a stratum is left out."""
ANTIMERIDIAN = "antimeridian"
POLES = "beyond 75°"
BANDS = {
    "below 30°": (0.0, 30.0),
    "30° to 60°": (30.0, 60.0),
    "60° to 75°": (60.0, 75.0),
    POLES: (75.0, 90.01),
}
"""Bands of absolute latitude, degrees."""


def near_antimeridian(lonlat: Floats, distance_m: float = NEAR_M) -> NDArray[np.bool_]:
    """(N,) which points of (N, 2) lie nearer to the antimeridian than a great-circle distance on the sphere.

    >>> near_antimeridian(np.array([[179.0, 0.0], [-176.0, 10.0], [170.0, 0.0], [170.0, 70.0]])).tolist()
    [True, True, False, True]
    """
    away = np.radians(180.0 - np.abs(lonlat[:, 0]))
    # the nearest point of a great circle is at asin(cos lat sin away); beyond a right angle it is the pole
    sine = np.cos(np.radians(lonlat[:, 1])) * np.sin(np.minimum(away, np.pi / 2))
    return np.asarray(np.arcsin(sine) * EARTH_RADIUS_M < distance_m)


def strata_of(lonlat: Floats, extra: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Name -> (N,) which points are in it.

    ``extra`` points were drawn near the antimeridian and the poles, and count there only. The surroundings of the
    antimeridian end at 75 degrees, where those of the poles begin.
    """
    lat = np.abs(lonlat[:, 1])
    bands = {name: (lat >= low) & (lat < high) for name, (low, high) in BANDS.items()}
    bands = {name: rows if name == POLES else rows & ~extra for name, rows in bands.items()}
    return {**bands, ANTIMERIDIAN: near_antimeridian(lonlat) & (lat < BANDS[POLES][0])}
