"""Points where nothing is known to be: what a model of presence is told apart from.

Each draws (N, 2) degrees, lon then lat, from the generator it is handed and from nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from placevec.errors import InputError
from placevec.geo import Floats

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_ROUNDS = 64
"""Tries after which outlines that no point falls into are given up."""


class Background(Protocol):
    """A distribution of points on Earth."""

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        ...


class Sphere:
    """Anywhere on Earth, every square kilometer alike: lon uniform, sin(lat) uniform.

    >>> points = Sphere().draw(np.random.default_rng(0), 1000)
    >>> bool((abs(points[:, 1]) > 60).mean() < 0.17)  # a square in degrees has a third there, the sphere 13.4 %
    True
    """

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        across, along = random.uniform(-180.0, 180.0, count), random.uniform(-1.0, 1.0, count)
        return np.stack([across, np.degrees(np.arcsin(along))], axis=1)


class Octant:
    """What the founding code draws: lon 0 to 180 and lat 0 to 90, both uniform in degrees; kept to compare with.

    Its ``rand_samples`` works out points of the sphere, and then returns the uniform numbers they were made from.
    """

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        return random.random((count, 2)) * (180.0, 90.0)


class Land:
    """Anywhere inside of polygons, every square kilometer alike.

    Polygons are drawn by the area of their boxes and points in a box until they fall inside, in longitude and
    sin(latitude), where areas are those of the sphere. Edges are straight in degrees, as in GeoJSON.

    Args:
        outlines: polygons of lon, lat degrees that do not overlap.
        pool: so many points are found once, and drawn from ever after.
        seed: of the pool.

    Raises:
        InputError: no area at all.
    """

    def __init__(self, outlines: BaseGeometry, *, pool: int = 2**18, seed: int = 0) -> None:
        import shapely

        parts = shapely.get_parts(outlines)
        parts = parts[shapely.area(parts) > 0]
        if len(parts) == 0:
            raise InputError("the land has no area: outlines are polygons of lon, lat degrees")
        shapely.prepare(parts)
        self.points = _inside(parts, pool, np.random.default_rng([seed, 0x1A5D]))

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        found: Floats = self.points[random.integers(0, len(self.points), count)]
        return found


class TargetGroup:
    """Where others were seen: places of the dataset, so that how eagerly people look somewhere cancels out.

    Phillips et al. 2009, doi:10.1890/07-2153.1.

    Args:
        lonlat: (M, 2) lon, lat degrees of the places trained on.
    """

    def __init__(self, lonlat: Floats) -> None:
        if len(lonlat) == 0:
            raise InputError("there is no place to draw background points from")
        self.lonlat = lonlat

    def draw(self, random: np.random.Generator, count: int) -> Floats:
        """(count, 2) lon, lat degrees."""
        found: Floats = self.lonlat[random.integers(0, len(self.lonlat), count)]
        return found


def _inside(parts: np.ndarray, count: int, random: np.random.Generator) -> Floats:  # type: ignore[type-arg]
    """(count, 2) lon, lat uniform over the area of (P,) polygons."""
    import shapely

    west, south, east, north = shapely.bounds(parts).T
    low, high = (np.sin(np.radians(np.clip(edge, -90.0, 90.0))) for edge in (south, north))
    chance = (east - west) * (high - low)
    if not chance.sum() > 0:
        raise InputError("the land has no area: outlines are polygons of lon, lat degrees")
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
    raise InputError("no point falls into the outlines of the land: are they slivers?")
