"""Land outlines: from the user's file, or coarse ones that come with a dependency."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from placevec.errors import AreaError, InputError, SourceError
from placevec.geo import Area, Floats

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_FEWEST = 20
_COARSE = "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"


def land_outlines(path: str | Path | None = None) -> BaseGeometry:
    """The land as one polygon or multipolygon of lon, lat degrees.

    Args:
        path: polygons as GeoJSON, Shapefile, GeoPackage, FlatGeobuf or GeoParquet, in any CRS; None uses the 177
            countries of Natural Earth at 1:110 million (public domain) included in pyogrio's wheel, which are coarse
            (tens of kilometers) and lack small islands.

    Raises:
        AreaError: the file has no polygons.
        InputError: no path is given, and this pyogrio includes no outlines.
    """
    if path is not None:
        return _polygons(Path(path))
    import geopandas
    import pyogrio

    coarse = Path(pyogrio.__file__).parent / _COARSE
    if not coarse.exists():
        raise InputError(
            "this version of pyogrio includes no land outlines: pass a GeoJSON of polygons with --land"
        )
    return geopandas.read_file(coarse).geometry.union_all()


def warn_if_swapped(lonlat: Floats) -> None:
    """UserWarning if most points lie in the sea and nearly all of them would lie on land with lon and lat swapped.

    Args:
        lonlat: (N, 2) degrees. Fewer than 20 points are not checked; of more than 500, evenly spaced ones are.
    """
    import shapely

    some = lonlat[:: max(1, len(lonlat) // 500)]
    if len(some) < _FEWEST or (np.abs(some[:, 0]) > 90).any():  # which cannot be a latitude
        return
    land = _coarse_land()
    if land is None or shapely.contains_xy(land, some).mean() > 0.2:
        return
    if shapely.contains_xy(land, some[:, ::-1]).mean() >= 0.8:
        warnings.warn(
            "most points are in the sea, and would be on land with the columns swapped: rows are lon, lat; "
            "pass order='latlon' if yours are lat, lon",
            stacklevel=4,
        )


@cache
def _coarse_land() -> BaseGeometry | None:
    import shapely

    try:
        land = land_outlines()
    except InputError:
        return None
    shapely.prepare(land)
    return land


def _polygons(path: Path) -> BaseGeometry:
    """The union of the polygons in a file; AreaError if there are none."""
    if path.suffix.lower() in (".json", ".geojson"):
        area = Area.from_geojson(path)
        assert area.polygon is not None
        return area.polygon
    import shapely

    from placevec.sources.tables.points import read_shapes

    try:
        shapes = read_shapes(path)
    except SourceError as error:
        raise AreaError(f"{path} has no polygons: {error}") from error
    shapes = shapes[(shapely.get_dimensions(shapes) == 2) & ~shapely.is_empty(shapes)]
    if len(shapes) == 0:
        raise AreaError(f"{path} has no polygons")
    return shapely.union_all(shapely.make_valid(shapes))
