"""Places of a new dataset: the contents of ``places.parquet``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from placevec.geo import Floats, footprint_bounds, parse_tile_id, tile_id, tile_xy_to_lonlat

DEFAULT_SIZE_M = 200.0
"""Default side of a place, and of the window around a point."""
Objects = np.ndarray[Any, np.dtype[np.object_]]


@dataclass
class Places:
    """The contents of ``places.parquet``.

    Attributes:
        place_id: (N,) unique strings.
        lonlat: (N, 2) degrees; NaN without coordinates.
        geometry: (N,) shapely geometries or None.
        size_m: side of a place's square footprint in meters; None if places are whole tiles or points.
        zoom: zoom of the tiles, if places are tiles.
        grid: layout: ``tiles``, ``spacing`` or ``given``.
        spacing_m: distance between neighbors, for the layout ``spacing``.

    >>> places = Places.from_tiles(np.array([[74599, 37940], [74600, 37940]]), 17)
    >>> places.place_id.tolist(), places.lonlat.round(3).tolist()
    (['17/74599/37940', '17/74600/37940'], [[24.894, 60.168], [24.896, 60.168]])
    >>> Places.from_grid(np.array([[24.94, 60.17]]), size_m=200, spacing_m=100).place_id.tolist()
    ['24.9400000_60.1700000']
    """

    place_id: Objects
    lonlat: Floats
    geometry: Objects
    size_m: float | None
    grid: str
    zoom: int | None = None
    spacing_m: float | None = None

    @classmethod
    def from_tiles(cls, tiles: np.ndarray[Any, Any], zoom: int) -> Places:
        """One place per slippy tile; ``tiles`` is (N, 2) x, y."""
        import shapely

        corners = tile_xy_to_lonlat(np.stack([tiles, tiles + 1], axis=1).astype(np.float64), zoom)
        geometry = shapely.box(corners[:, 0, 0], corners[:, 1, 1], corners[:, 1, 0], corners[:, 0, 1])
        names = np.array([tile_id(int(x), int(y), zoom) for x, y in tiles], dtype=object)
        center = tile_xy_to_lonlat(tiles + 0.5, zoom)
        return cls(names, center, np.asarray(geometry, object), None, "tiles", zoom=zoom)

    @classmethod
    def from_grid(cls, lonlat: Floats, *, size_m: float, spacing_m: float) -> Places:
        """One place per grid point; IDs are ``lon_lat`` with seven decimals (about a centimeter)."""
        import shapely

        names = np.array([f"{lon:.7f}_{lat:.7f}" for lon, lat in lonlat], dtype=object)
        points = np.asarray(shapely.points(lonlat), object).reshape(-1)
        return cls(names, lonlat, points, size_m, "spacing", spacing_m=spacing_m)

    def __len__(self) -> int:
        return len(self.place_id)

    def footprints(self, zoom: int) -> Floats:
        """(N, 4) x0, y0, x1, y1 in fractional tile coordinates at ``zoom``; NaN without coordinates."""
        if self.zoom is not None:
            corner = np.array([parse_tile_id(name)[1:] for name in self.place_id], np.float64).reshape(-1, 2)
            scale = 2.0 ** (zoom - self.zoom)
            return np.concatenate([corner * scale, (corner + 1) * scale], axis=1)
        known = np.isfinite(self.lonlat).all(axis=1)
        bounds = np.full((len(self), 4), np.nan)
        if self.size_m is not None and known.any():
            bounds[known] = footprint_bounds(self.lonlat[known], self.size_m, zoom)
        return bounds

    def kept(self, rows: np.ndarray[Any, Any]) -> Places:
        """The places at ``rows`` (indices or mask)."""
        return Places(
            self.place_id[rows],
            self.lonlat[rows],
            self.geometry[rows],
            self.size_m,
            self.grid,
            self.zoom,
            self.spacing_m,
        )
