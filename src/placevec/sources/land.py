"""Where land is: the outlines that a user names, or the coarse ones that come with a dependency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.errors import InputError
from placevec.geo import Area

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_COARSE = "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"


def land_outlines(path: str | Path | None = None) -> BaseGeometry:
    """The land as one polygon or multipolygon of lon, lat degrees.

    Args:
        path: GeoJSON of polygons; None takes the 177 countries of Natural Earth at 1:110 million (public domain) that
            lie in pyogrio's wheel, coarse to tens of kilometres and without small islands.

    Raises:
        AreaError: it holds no polygons.
        InputError: none is given, and this pyogrio brings none.
    """
    if path is not None:
        area = Area.from_geojson(path)
        assert area.polygon is not None
        return area.polygon
    import geopandas
    import pyogrio

    coarse = Path(pyogrio.__file__).parent / _COARSE
    if not coarse.exists():
        raise InputError(
            "this pyogrio brings no outlines of the land: name a GeoJSON of polygons with --land"
        )
    return geopandas.read_file(coarse).geometry.union_all()
