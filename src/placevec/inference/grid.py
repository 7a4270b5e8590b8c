"""Places laid over an area: cells of equal degrees, row by row from the north."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from placevec.errors import UsageError
from placevec.geo import Area, Floats

WORLD = Area(-180.0, -90.0, 180.0, 90.0)
MAX_CELLS = 4_000_000_000
"""The world at 0.0045 degrees, 500 m: 16 GB of numbers."""


@dataclass(frozen=True)
class Grid:
    """Cells over a box of degrees; an answer stands for the middle of its cell.

    Attributes:
        area: the box; where it crosses the antimeridian, columns go on beyond 180 degrees.
        width, height: columns and rows.

    >>> grid = Grid.of(Area(-180.0, -90.0, 180.0, 90.0), 60.0)
    >>> (grid.width, grid.height, grid.rows(0, 1)[:2].tolist())
    (6, 3, [[-150.0, 60.0], [-90.0, 60.0]])
    """

    area: Area
    width: int
    height: int

    @classmethod
    def of(cls, area: Area, resolution: float) -> Grid:
        """Cells of about ``resolution`` degrees, a whole number of them each way.

        Raises:
            UsageError: a resolution that is none, or more cells than `MAX_CELLS`.
        """
        if not (math.isfinite(resolution) and resolution > 0):
            raise UsageError(f"--resolution is degrees a cell, more than 0; got {resolution:g}")
        wide, high = (max(1.0, extent / resolution) for extent in (span(area), area.north - area.south))
        if wide * high > MAX_CELLS:
            raise UsageError(
                f"{resolution:g} degrees a cell are {wide * high:,.0f} cells, and at most {MAX_CELLS:,} can be"
                " written: take a larger --resolution or a smaller --bbox"
            )
        return cls(area, round(wide), round(high))

    @property
    def cell(self) -> tuple[float, float]:
        """Degrees of longitude and of latitude of a cell."""
        return span(self.area) / self.width, (self.area.north - self.area.south) / self.height

    def lon(self) -> Floats:
        """(width,) longitudes of the middles, ascending, beyond 180 where the box crosses the antimeridian."""
        middles = self.area.west + (np.arange(self.width) + 0.5) * self.cell[0]
        return middles.astype(np.float64)

    def lat(self, start: int, stop: int) -> Floats:
        """Latitudes of the middles of rows, from the north down."""
        middles = self.area.north - (np.arange(start, stop) + 0.5) * self.cell[1]
        return middles.astype(np.float64)

    def rows(self, start: int, stop: int) -> Floats:
        """((stop - start) * width, 2) lon, lat of the cells of some rows, row by row."""
        lon, lat = np.meshgrid(self.lon(), self.lat(start, stop))
        return np.stack((lon.ravel(), lat.ravel()), axis=1)


def span(area: Area) -> float:
    """Degrees of longitude from west to east.

    >>> span(Area(170.0, -5.0, -170.0, 5.0))
    20.0
    """
    return area.east - area.west + (360.0 if area.crosses_antimeridian else 0.0)
