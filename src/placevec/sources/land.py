"""Land outlines: from the user's file, or coarse ones that come with a dependency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.errors import AreaError, InputError, SourceError
from placevec.geo import Area

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

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
