"""Places that the user brings: CSV, Parquet, GeoJSON or any vector file, with lon/lat columns or geometry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from placevec.errors import SourceError
from placevec.geo import Floats

LON_NAMES = ("lon", "longitude", "lng", "long", "x")
LAT_NAMES = ("lat", "latitude", "y")
ID_NAMES = ("place_id", "id", "osm_id", "name")


@dataclass
class Points:
    """Rows that the user handed in.

    Attributes:
        table: every column of the file but the geometry.
        lonlat: (N, 2) float64 degrees; NaN where a row has no coordinates.
        geometry: (N,) object array of shapely geometries in WGS84, or None.
        place_id: (N,) object array of distinct strings.
    """

    table: pd.DataFrame
    lonlat: Floats
    geometry: np.ndarray[Any, Any]
    place_id: np.ndarray[Any, Any]


def _column(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    lower = {str(column).lower(): str(column) for column in table.columns}
    return next((lower[name] for name in names if name in lower), None)


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() in (".csv", ".tsv", ".txt"):
            return pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",")
        import geopandas

        if path.suffix.lower() in (".parquet", ".geoparquet", ".pq"):
            try:
                return geopandas.read_parquet(path)
            except ValueError:  # plain Parquet, without geometry
                return pd.read_parquet(path)
        return geopandas.read_file(path)
    except FileNotFoundError:
        raise SourceError(f"the table {path} does not exist") from None
    except Exception as error:  # pandas, pyarrow and GDAL each raise their own for a damaged file
        raise SourceError(f"cannot read {path} as a table: {str(error).splitlines()[0]}") from error


def _coordinates(table: pd.DataFrame, path: Path) -> tuple[Floats, np.ndarray[Any, Any]]:
    import shapely

    if hasattr(table, "geometry") and getattr(table, "crs", None) is not None:
        table = table.to_crs(4326)
    if "geometry" in table.columns:
        geometry = np.asarray(table["geometry"].array, dtype=object)
        centre = shapely.point_on_surface(geometry)
        return np.stack([shapely.get_x(centre), shapely.get_y(centre)], axis=-1), geometry
    lon, lat = _column(table, LON_NAMES), _column(table, LAT_NAMES)
    if lon is None or lat is None:
        columns = ", ".join(map(str, table.columns[:12]))
        raise SourceError(f"{path} has neither geometry nor lon and lat columns; its columns are: {columns}")
    lonlat = table[[lon, lat]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, copy=True)
    geometry = np.full(len(lonlat), None, dtype=object)
    known = np.isfinite(lonlat).all(axis=1)
    geometry[known] = shapely.points(lonlat[known])
    return lonlat, geometry


def read_points(path: str | Path) -> Points:
    """Read a table of places.

    Coordinates come from the geometry (reprojected to WGS84; a point inside each polygon) or from columns named
    lon/longitude/lng/x and lat/latitude/y. Names of places come from a ``place_id`` or ``id`` column, else the
    row number. Rows may lack coordinates.

    Raises:
        SourceError: no such file, not a table, no coordinates, coordinates off the Earth, repeated place_ids.
    """
    path = Path(path)
    table = _read(path)
    if len(table) == 0:
        raise SourceError(f"{path} holds no rows")
    lonlat, geometry = _coordinates(table, path)
    known = np.isfinite(lonlat).all(axis=1)
    lonlat[~known] = np.nan
    off = known & ((np.abs(lonlat[:, 1]) > 90) | (np.abs(lonlat[:, 0]) > 180))
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise SourceError(
            f"{path}, row {row}: lon={lonlat[row, 0]:g}, lat={lonlat[row, 1]:g} is not on Earth (swapped?)"
        )
    name = _column(table, ID_NAMES[:1]) or next((c for c in ID_NAMES[1:2] if c in table.columns), None)
    values = table[name].astype(str) if name else pd.Series([str(row) for row in range(len(table))])
    repeated = values[values.duplicated()]
    if len(repeated):
        raise SourceError(f"{path}: {name} {repeated.iloc[0]!r} occurs more than once; place ids must differ")
    plain = pd.DataFrame(table.drop(columns=["geometry"], errors="ignore"))
    return Points(plain, lonlat, geometry, values.to_numpy(dtype=object))


def read_columns(path: str | Path) -> pd.DataFrame:
    """A table with a ``place_id`` column, to be joined to places; geometry is left out."""
    table = pd.DataFrame(_read(Path(path))).drop(columns=["geometry"], errors="ignore")
    if "place_id" not in table.columns:
        raise SourceError(
            f"{path} has no place_id column; its columns are: {', '.join(map(str, table.columns[:12]))}"
        )
    return table.assign(place_id=table["place_id"].astype(str))
