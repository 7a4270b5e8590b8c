"""Scales of location encoders that suit given points: from the distance that a prediction must bridge up to the Earth.

Measured on held-out blocks of 100 km (house values of California, air temperature): waves finer than a few times that
distance only overfit, and without waves as long as the Earth, which are straight lines over a region, R² falls by a half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from placevec.encoders.locations.frequencies import max_scales, odd
from placevec.encoders.locations.names import Variant, feature_options, known_as
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, EARTH_RADIUS_KM
from placevec.geo import Floats
from placevec.geo.coordinates import extent_of, xyz_of

WAVES_PER_SPACING = 6.0
"""The finest wavelength, in distances that predictions must bridge: a wave needs two samples, and labels have noise."""
PER_OCTAVE = 1
"""Scales in a factor of two between the finest wavelength and once around the Earth."""
_MAX_SCALES, _MAX_OF_DFS = 32, 8
_MAX_DEGREES = 40
_SAMPLE = 20_000


@dataclass(frozen=True)
class Spacing:
    """How points lie.

    Attributes:
        spacing_km: median distance that a prediction must bridge: from a place to the nearest other training point; from
            validation places, if these lie farther away, as in held-out blocks.
        extent_km: distance between the farthest two training points, along the surface, about.
        points: number of distinct training points.

    >>> Spacing(spacing_km=100.0, extent_km=5000.0, points=40).finest_km
    600.0
    """

    spacing_km: float
    extent_km: float
    points: int

    @property
    def finest_km(self) -> float:
        """The finest wavelength that predictions can use."""
        return min(WAVES_PER_SPACING * self.spacing_km, CIRCUMFERENCE_KM / 4)


def spacing_of(lonlat: Floats, validation: Floats | None = None) -> Spacing | None:
    """How (N, 2) training points of lon, lat degrees lie; None for fewer than two distinct ones.

    >>> found = spacing_of(np.array([[lon, lat] for lon in range(10) for lat in range(10)], float))
    >>> round(found.spacing_km), found.points
    (111, 100)
    """
    from scipy.spatial import cKDTree

    xyz = np.unique(xyz_of(lonlat).round(7), axis=0)  # a meter
    if len(xyz) < 2:
        return None
    tree = cKDTree(xyz)
    spacing = float(np.median(tree.query(_some(xyz), 2)[0][:, 1]))
    if validation is not None and len(validation):
        spacing = max(spacing, float(np.median(tree.query(_some(xyz_of(validation)))[0])))
    extent = extent_of(xyz)
    around = max(2 * math.asin(min(extent / 2, 1.0)), spacing)
    return Spacing(spacing * EARTH_RADIUS_KM, around * EARTH_RADIUS_KM, len(xyz))


def _some(xyz: Floats) -> Floats:
    return (
        xyz if len(xyz) <= _SAMPLE else xyz[np.random.default_rng(len(xyz)).permutation(len(xyz))[:_SAMPLE]]
    )


def suited(
    encoder: str, variant: Variant, lonlat: Floats, validation: Floats | None = None
) -> dict[str, Any]:
    """Options of the features of an encoder that suit (N, 2) training points and (M, 2) validation places.

    Empty if the encoder has no scales or is original.

    >>> grid = np.array([[lon, lat] for lon in range(20, 40) for lat in range(20, 40)], float)
    >>> suited("sphereC+", "corrected", grid)
    {'scales': 7, 'r_min': 0.015, 'r_max': 1.0}
    >>> suited("xyz", "corrected", grid)
    {}
    """
    found = None if variant == "original" else spacing_of(lonlat, validation)
    if found is None:
        return {}
    name, known = known_as(encoder), feature_options(encoder, variant)
    if "r_min" in known:
        return _multi_scale(found, _MAX_OF_DFS if name == "dfs" else _MAX_SCALES)
    finest = found.finest_km
    if "sigma" in known:  # a Gaussian of width sigma passes waves down to about 2 pi sigma
        return {"sigma": _rounded(math.degrees(finest / (2 * math.pi) / EARTH_RADIUS_KM))}
    if "degrees" in known:
        return {"degrees": int(np.clip(round(CIRCUMFERENCE_KM / finest) + 1, 4, _MAX_DEGREES))}
    if name == "NeRF":  # its band k has 2^k / 4 waves around the Earth
        return {"scales": int(np.clip(math.ceil(math.log2(4 * CIRCUMFERENCE_KM / finest)) + 1, 2, 16))}
    return {}


def _multi_scale(found: Spacing, most: int) -> dict[str, Any]:
    r_min = _rounded(found.finest_km / CIRCUMFERENCE_KM)
    room = max_scales(odd, r_min)
    scales = int(np.clip(round(-PER_OCTAVE * math.log2(r_min)) + 1, 2, min(most, room)))
    return {"scales": scales, "r_min": r_min, "r_max": 1.0}


def _rounded(value: float) -> float:
    """Two digits: enough, and readable."""
    return float(f"{value:.2g}")
