"""Grid cells over an area, of equal size in degrees, row by row from the north."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from placevec.errors import UsageError
from placevec.geo import Area, Floats

WORLD = Area(-180.0, -90.0, 180.0, 90.0)
MAX_CELLS = 4_000_000_000
"""The whole Earth at 0.0045 degrees (500 m): 16 GB of numbers."""


@dataclass(frozen=True)
class Grid:
    """Cells over a box of degrees; a prediction is made at the center of its cell.

    Attributes:
        area: the box; if it crosses the antimeridian, columns continue beyond 180 degrees.
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
        """Cells of about ``resolution`` degrees, an integer number in each direction.

        Raises:
            UsageError: an invalid resolution, or more than `MAX_CELLS` cells.
        """
        if not (math.isfinite(resolution) and resolution > 0):
            raise UsageError(f"--resolution must be more than 0 degrees per cell; got {resolution:g}")
        wide, high = (max(1.0, extent / resolution) for extent in (span(area), area.north - area.south))
        if wide * high > MAX_CELLS:
            raise UsageError(
                f"{resolution:g} degrees per cell give {wide * high:,.0f} cells, but at most {MAX_CELLS:,} can be"
                " written: choose a larger --resolution or a smaller --bbox"
            )
        return cls(area, round(wide), round(high))

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell in degrees of longitude and latitude."""
        return span(self.area) / self.width, (self.area.north - self.area.south) / self.height

    def lon(self) -> Floats:
        """(width,) longitudes of the centers, ascending, beyond 180 if the box crosses the antimeridian."""
        middles = self.area.west + (np.arange(self.width) + 0.5) * self.cell[0]
        return middles.astype(np.float64)

    def lat(self, start: int, stop: int) -> Floats:
        """Latitudes of the centers of rows, from north to south."""
        middles = self.area.north - (np.arange(start, stop) + 0.5) * self.cell[1]
        return middles.astype(np.float64)

    def rows(self, start: int, stop: int) -> Floats:
        """((stop - start) * width, 2) lon, lat of the cells in a range of rows, row by row."""
        lon, lat = np.meshgrid(self.lon(), self.lat(start, stop))
        return np.stack((lon.ravel(), lat.ravel()), axis=1)


def span(area: Area) -> float:
    """Degrees of longitude from west to east.

    >>> span(Area(170.0, -5.0, -170.0, 5.0))
    20.0
    """
    return area.east - area.west + (360.0 if area.crosses_antimeridian else 0.0)
