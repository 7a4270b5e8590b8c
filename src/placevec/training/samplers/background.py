"""Background points (pseudo-absences) for presence-only training.

Each class draws (N, 2) lon, lat degrees, using only the given random generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from placevec.errors import InputError
from placevec.geo import Floats

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_ROUNDS = 64
"""Rounds of sampling after which polygons that no point falls into are rejected."""


class Background(Protocol):
    """A distribution of points on Earth."""

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        ...


class Sphere:
    """Uniform over the sphere by area: lon uniform, sin(lat) uniform.

    >>> points = Sphere().draw(np.random.default_rng(0), 1000)
    >>> bool((abs(points[:, 1]) > 60).mean() < 0.17)  # 13.4% of the sphere, but a third of a square in degrees
    True
    """

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        across, along = random.uniform(-180.0, 180.0, count), random.uniform(-1.0, 1.0, count)
        return np.stack([across, np.degrees(np.arcsin(along))], axis=1)


class Octant:
    """The distribution of the founding code: lon 0 to 180 and lat 0 to 90, both uniform in degrees; for comparison.

    Its ``rand_samples`` computes points on the sphere, but returns the uniform numbers they were computed from.

    >>> points = Octant().draw(np.random.default_rng(0), 100)
    >>> bool((points >= 0).all()), bool((points[:, 1] <= 90).all())
    (True, True)
    """

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        return random.random((count, 2)) * (180.0, 90.0)


class Land:
    """Uniform over polygons by area.

    Rejection sampling in longitude and sin(latitude), in which areas are those of the sphere. Edges are straight in
    degrees, as in GeoJSON.

    Args:
        outlines: non-overlapping polygons in lon, lat degrees.
        pool: number of points that are generated once and then drawn from.
        seed: random seed of the pool.

    Raises:
        InputError: the polygons have no area.

    >>> from shapely.geometry import box
    >>> points = Land(box(10, 50, 20, 60), pool=100).draw(np.random.default_rng(0), 5)
    >>> bool((points >= [10, 50]).all() and (points <= [20, 60]).all())
    True
    """

    def __init__(self, outlines: BaseGeometry, *, pool: int = 2**18, seed: int = 0) -> None:
        import shapely

        parts = shapely.get_parts(outlines)
        parts = parts[shapely.area(parts) > 0]
        if len(parts) == 0:
            raise InputError("the land has no area: outlines must be polygons in lon, lat degrees")
        shapely.prepare(parts)
        self.points = _inside(parts, pool, np.random.default_rng([seed, 0x1A5D]))

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        found: Floats = self.points[random.integers(0, len(self.points), count)]
        return found


class TargetGroup:
    """Places of the dataset itself (target-group background), so that sampling bias cancels out.

    Source: Phillips et al. 2009, doi:10.1890/07-2153.1.

    Args:
        lonlat: (M, 2) lon, lat degrees of the training places.

    >>> TargetGroup(np.array([[24.94, 60.17]])).draw(np.random.default_rng(0), 2).tolist()
    [[24.94, 60.17], [24.94, 60.17]]
    """

    def __init__(self, lonlat: Floats) -> None:
        if len(lonlat) == 0:
            raise InputError("there are no places to draw background points from")
        self.lonlat = lonlat

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        found: Floats = self.lonlat[random.integers(0, len(self.lonlat), count)]
        return found


def _inside(parts: np.ndarray, count: int, random: np.random.Generator) -> Floats:  # type: ignore[type-arg]
    """(count, 2) lon, lat degrees, uniform over the area of (P,) polygons."""
    import shapely

    west, south, east, north = shapely.bounds(parts).T
    low, high = (np.sin(np.radians(np.clip(edge, -90.0, 90.0))) for edge in (south, north))
    chance = (east - west) * (high - low)
    if not chance.sum() > 0:
        raise InputError("the land has no area: outlines must be polygons in lon, lat degrees")
    found, held = [np.empty((0, 2))], 0
    for _ in range(_ROUNDS):
        box = random.choice(len(parts), 2 * count, p=chance / chance.sum())
        lon = random.uniform(west[box], east[box])
        lat = np.degrees(np.arcsin(random.uniform(low[box], high[box])))
        kept = shapely.contains_xy(parts[box], lon, lat)
        found.append(np.stack([lon, lat], axis=1)[kept])
        held += int(kept.sum())
        if held >= count:
            return np.concatenate(found)[:count]
    if held:
        return np.concatenate(found)
    raise InputError("no random point falls inside the land polygons: are they slivers?")
