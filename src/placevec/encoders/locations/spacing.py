"""Scales of location encoders that suit given points: from the distance between neighbors to the extent of all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from placevec.encoders.locations.frequencies import max_scales, odd
from placevec.encoders.locations.names import Variant, feature_options, known_as
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, EARTH_RADIUS_KM
from placevec.geo import Floats
from placevec.geo.coordinates import xyz_of

WAVES_PER_SPACING = 4.0
"""The finest wavelength, in distances between neighbors: a wave needs two samples, and labels have noise."""
PER_OCTAVE = 2
"""Scales in a factor of two between the finest and the coarsest wavelength."""
_MIN_SCALES, _MAX_SCALES, _MAX_OF_DFS = 4, 32, 8
_MAX_DEGREES = 40
_SAMPLE = 20_000


@dataclass(frozen=True)
class Spacing:
    """How points lie.

    Attributes:
        spacing_km: side of the square that each point would have if all were spread evenly over the cells they occupy.
        extent_km: distance between the farthest two, along the surface, about.
        points: number of distinct points.
    """

    spacing_km: float
    extent_km: float
    points: int

    @property
    def finest_km(self) -> float:
        """The finest wavelength that the points can resolve."""
        return min(WAVES_PER_SPACING * self.spacing_km, self.coarsest_km / 2)

    @property
    def coarsest_km(self) -> float:
        """Twice the extent, at most once around the Earth."""
        return min(2 * self.extent_km, CIRCUMFERENCE_KM)


def spacing_of(lonlat: Floats) -> Spacing | None:
    """How (N, 2) points of lon, lat degrees lie; None for fewer than two distinct ones.

    >>> found = spacing_of(np.array([[lon, lat] for lon in range(10) for lat in range(10)], float))
    >>> round(found.spacing_km), found.points
    (111, 100)
    """
    xyz = np.unique(xyz_of(lonlat).round(7), axis=0)  # a meter
    if len(xyz) < 2:
        return None
    extent = float(np.linalg.norm(xyz.max(axis=0) - xyz.min(axis=0)))
    chord = 2 * math.asin(min(extent / 2, 1.0))
    spacing = _spacing(xyz)
    return Spacing(spacing * EARTH_RADIUS_KM, max(chord, spacing) * EARTH_RADIUS_KM, len(xyz))


def _spacing(xyz: Floats) -> float:
    """Median distance to the nearest other point, in radii."""
    from scipy.spatial import cKDTree

    asked = (
        xyz if len(xyz) <= _SAMPLE else xyz[np.random.default_rng(len(xyz)).permutation(len(xyz))[:_SAMPLE]]
    )
    return float(np.median(cKDTree(xyz).query(asked, 2)[0][:, 1]))


def suited(encoder: str, variant: Variant, lonlat: Floats) -> dict[str, Any]:
    """Options of the features of an encoder that suit (N, 2) training points; empty if it has no scales or is original.

    >>> grid = np.array([[lon, lat] for lon in range(20, 40) for lat in range(20, 40)], float)
    >>> suited("sphereC+", "corrected", grid)["scales"]
    8
    >>> suited("xyz", "corrected", grid)
    {}
    """
    found = None if variant == "original" else spacing_of(lonlat)
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
    r_min = _rounded(min(found.finest_km / CIRCUMFERENCE_KM, 0.25))
    r_max = _rounded(max(found.coarsest_km / CIRCUMFERENCE_KM, 2 * r_min))
    octaves = math.log2(r_max / r_min)
    room = max_scales(odd, r_min)
    scales = int(np.clip(round(PER_OCTAVE * octaves) + 1, min(_MIN_SCALES, room), min(most, room)))
    return {"scales": scales, "r_min": r_min, "r_max": min(r_max, 1.0)}


def _rounded(value: float) -> float:
    """Two digits: enough, and readable."""
    return float(f"{value:.2g}")
