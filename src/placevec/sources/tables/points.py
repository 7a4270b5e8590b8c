"""Places provided by the user: CSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf, by lon/lat or geometry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from placevec.errors import PlacevecError, SourceError
from placevec.geo import Floats
from placevec.geo.geoparquet import read_parquet
from placevec.io.json_documents import NONE, check, read_json
from placevec.sources.tiles.loc2vec_metadata import read_loc2vec_metadata

LON_NAMES = ("lon", "longitude", "lng", "long", "decimallongitude", "x")
LAT_NAMES = ("lat", "latitude", "decimallatitude", "y")
ID_NAMES = ("place_id", "id", "osm_id", "name")
DELIMITED = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".geoparquet", ".pq")
_GEOJSON = (".geojson", ".json")
_MAGIC = {".gpkg": b"SQLite format 3\0", ".shp": b"\0\0\x27\x0a", ".fgb": b"fgb\x03fgb"}
"""File signatures of the formats that GDAL reads."""
_CRS_NAME = re.compile(r"(?:urn:ogc:def:crs:)?(EPSG|OGC):(?:[\d.]*:)?(\w{1,12})")


@dataclass
class Points:
    """Rows provided by the user.

    Attributes:
        table: all columns of the file except the geometry.
        lonlat: (N, 2) float64 degrees; NaN if a row has no coordinates.
        geometry: (N,) object array of shapely geometries in WGS84, or None.
        place_id: (N,) object array of unique strings.
    """

    table: pd.DataFrame
    lonlat: Floats
    geometry: np.ndarray[Any, Any]
    place_id: np.ndarray[Any, Any]


def _column(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    lower = {str(column).lower(): str(column) for column in table.columns}
    return next((lower[name] for name in names if name in lower), None)


def read_table(path: Path) -> pd.DataFrame:
    """A whole table; a GeoDataFrame if it has a geometry. SourceError if it cannot be read."""
    try:
        suffix = path.suffix.lower()
        if suffix in DELIMITED:
            return pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",")
        import geopandas

        if suffix in PARQUET:
            plain = read_parquet(path)
            try:
                return geopandas.read_parquet(path)
            except ValueError:  # plain Parquet, without geometry
                return plain.to_pandas(ignore_metadata=True)
        if suffix in _GEOJSON:
            return _read_geojson(path)
        _check_format(path)
        _check_one_layer(path)
        return geopandas.read_file(path)
    except FileNotFoundError:
        raise SourceError(f"the table {path} does not exist") from None
    except PlacevecError:
        raise
    except Exception as error:  # pandas, pyarrow and GDAL have their own errors for damaged files
        raise SourceError(f"cannot read {path} as a table: {error or type(error).__name__}") from error


def _check_format(path: Path) -> None:
    """SourceError unless the signature of a file matches its name.

    GDAL looks at the content: whatever the name, it would follow a virtual dataset to other files and addresses.
    """
    begins = _MAGIC.get(path.suffix.lower())
    if begins is None:
        known = ", ".join((*DELIMITED, *PARQUET, *_GEOJSON, *_MAGIC))
        raise SourceError(f"{path}: the name of a table of places must end in {known}")
    with open(path, "rb") as file:
        if file.read(len(begins)) != begins:
            raise SourceError(f"{path} is not a {path.suffix.lower()[1:]} file, although its name says so")


def _check_one_layer(path: Path) -> None:
    """SourceError if a file has several layers with geometry: GDAL would read only the first."""
    import pyogrio

    layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
    if len(layers) > 1:
        raise SourceError(
            f"{path} has {len(layers)} layers ({', '.join(map(str, layers[:5]))}), which can differ in CRS: "
            f"export one, for example with ogr2ogr {path.stem}.parquet {path.name} {layers[0]}"
        )


def _read_geojson(path: Path) -> pd.DataFrame:
    """The features of a GeoJSON file; not through GDAL, which downloads the address that a ``crs`` can link to."""
    import geopandas

    content = read_json(path)
    if isinstance(content, dict) and "sample_coordinates" in content:  # from the original pipeline
        return pd.DataFrame(read_loc2vec_metadata(path).lonlat, columns=["lon", "lat"])
    check(content, {"type": str, "crs?": (dict, NONE)})
    if content["type"] != "FeatureCollection":
        content = {
            **content,
            "features": [content if content["type"] == "Feature" else {"geometry": content}],
        }
    features = content.get("features")
    check(features, [{"geometry": (dict, NONE), "properties?": (dict, NONE)}])
    if not features:
        raise SourceError(f"{path} has no rows")
    crs = _crs_of(content, path)
    for (
        item
    ) in features:  # GeoJSON has had one CRS per file since 2016; older files could have one per feature
        own = [one for one in (item, item["geometry"] or {}) if one.get("crs")]
        if any(_crs_of(one, path) != crs for one in own):
            raise SourceError(
                f"{path}: its features have several coordinate reference systems ({crs} and others); convert all to WGS84"
            )
    frame = geopandas.GeoDataFrame.from_features([{"properties": {}, **item} for item in features], crs=crs)
    ids = [item.get("id") for item in features]
    if "id" not in frame.columns and all(isinstance(name, str) for name in ids):
        frame["id"] = ids
    return frame


def _crs_of(content: dict[str, Any], path: Path) -> str:
    """The coordinate reference system of a part of a GeoJSON file."""
    if not content.get("crs"):
        return "OGC:CRS84"
    check(content["crs"], {"properties": {"name": str}}, "crs")
    named = _CRS_NAME.fullmatch(content["crs"]["properties"]["name"])
    if named is None:
        raise SourceError(
            f"the crs of {path} is not a name such as EPSG:3067; write it in WGS84, without a crs"
        )
    return f"{named[1]}:{named[2]}"


def coordinates_of(table: pd.DataFrame, path: Path) -> tuple[Floats, np.ndarray[Any, Any]]:
    """((N, 2) lon, lat degrees, NaN if missing, (N,) shapely geometries or None) of such a table.

    From its geometry, or from columns with the usual names; SourceError if there is neither, or the CRS is unknown.
    """
    import shapely

    shapes: Any = getattr(table, "geometry", None)
    if hasattr(shapes, "to_crs"):
        try:
            geometry = np.asarray((shapes if shapes.crs is None else shapes.to_crs(4326)).array, dtype=object)
            center = shapely.point_on_surface(geometry)
        except Exception as error:  # from GEOS, PROJ, or a CRS that it cannot transform
            raise SourceError(f"cannot convert the geometry of {path} to WGS84: {error}") from error
        center[shapely.is_empty(center)] = None
        return np.stack([shapely.get_x(center), shapely.get_y(center)], axis=-1), geometry
    lon, lat = _column(table, LON_NAMES), _column(table, LAT_NAMES)
    if lon is None or lat is None:
        columns = ", ".join(map(str, table.columns[:12]))
        raise SourceError(
            f"{path} has neither a geometry nor lon and lat columns; its columns are: {columns}"
        )
    try:
        lonlat = table[[lon, lat]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, copy=True)
    except (TypeError, ValueError) as error:
        raise SourceError(f"the columns {lon} and {lat} of {path} must be numbers: {error}") from error
    geometry = np.full(len(lonlat), None, dtype=object)
    known = np.isfinite(lonlat).all(axis=1)
    geometry[known] = shapely.points(lonlat[known])
    return lonlat, geometry


def read_points(path: str | Path) -> Points:
    """Read a table of places.

    Coordinates come from the geometry (converted to WGS84; a point inside each polygon) or from columns named
    lon/longitude/lng/x and lat/latitude/y. IDs of places come from a ``place_id`` or ``id`` column, or else the row
    number. Rows can lack coordinates. The ``metadata.json`` of founding document 001 is supported too.

    Raises:
        SourceError: the file does not exist, is not a table, or has no coordinates, coordinates off the Earth, or
            duplicate place_ids.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "shops.csv"
    >>> _ = file.write_text("id,lon,lat,rent\\na,24.94,60.17,31\\nb,24.95,60.18,28\\n")
    >>> points = read_points(file)
    >>> points.place_id.tolist(), points.lonlat.tolist(), points.table["rent"].tolist()
    (['a', 'b'], [[24.94, 60.17], [24.95, 60.18]], [31, 28])
    """
    path = Path(path)
    table = read_table(path)
    if len(table) == 0:
        raise SourceError(f"{path} has no rows")
    lonlat, geometry = coordinates_of(table, path)
    known = np.isfinite(lonlat).all(axis=1)
    lonlat[~known] = np.nan
    off = known & ((np.abs(lonlat[:, 1]) > 90) | (np.abs(lonlat[:, 0]) > 180))
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise SourceError(
            f"{path}, row {row}: lon={lonlat[row, 0]:g}, lat={lonlat[row, 1]:g} is not on Earth (swapped?)"
        )
    name = _column(table, ID_NAMES[:1]) or next((c for c in ID_NAMES[1:2] if c in table.columns), None)
    if name and table[name].isna().any():
        row = int(np.flatnonzero(table[name].isna())[0])
        raise SourceError(f"{path}, row {row} has no {name}: give every row one, or remove the column")
    values = _texts(table[name] if name else range(len(table)))
    repeated = values[values.duplicated()]
    if len(repeated):
        raise SourceError(
            f"{path}: {name} {repeated.iloc[0]!r} occurs more than once; place IDs must be unique"
        )
    plain = pd.DataFrame(table.drop(columns=["geometry"], errors="ignore"))
    return Points(plain, lonlat, geometry, values.to_numpy(dtype=object))


def read_columns(path: str | Path) -> pd.DataFrame:
    """A table with a ``place_id`` column, to be joined to places; without geometry."""
    table = pd.DataFrame(read_table(Path(path))).drop(columns=["geometry"], errors="ignore")
    if "place_id" not in table.columns:
        raise SourceError(
            f"{path} has no place_id column; its columns are: {', '.join(map(str, table.columns[:12]))}"
        )
    return table.assign(place_id=_texts(table["place_id"]).to_numpy())


def _texts(values: Iterable[Any]) -> pd.Series:
    """IDs of any type as text."""
    return pd.Series([str(value) for value in values], dtype=object)
