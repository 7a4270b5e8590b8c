"""Columns of geometry in every form that tables bring: WKB, WKT, GeoJSON texts, GeoArrow, Parquet's own GEOMETRY.

What a column is says, in this order: the ``geo`` metadata of GeoParquet 1.x, Parquet's logical type (GeoParquet 2.0), the
extension name of GeoArrow, and its name with what its cells hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo.antimeridian import Objects, points_within
from placevec.geo.coordinates import Floats
from placevec.geo.geoparquet import plain_points
from placevec.geo.parquet_footer import Footer
from placevec.geo.systems import transformer
from placevec.io.json_documents import NONE, check, parse_json

NAMES = (
    "geometry", "geom", "the_geom", "wkb_geometry", "wkt", "wkt_geom", "geometry_wkt", "geometrywkt", "geojson", "wkb",
    "footprintwkt",
)  # fmt: skip
"""Usual names in lower case; the last is that of Darwin Core."""
_DEPTHS = {
    "point": 0, "linestring": 1, "multipoint": 1, "polygon": 2, "multilinestring": 2, "multipolygon": 3,
}  # fmt: skip
"""Lists around the coordinates of GeoArrow's encodings."""
_GEO = {"primary_column": str, "columns": {str: {"encoding": str, "crs?": (dict, NONE)}}}
_WKT = re.compile(
    r"\s*(SRID=\d+;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON|GEOMETRYCOLLECTION)\s*(Z|M|ZM)?\s*(\(|EMPTY)", re.I
)
_HEX = re.compile(r"\s*0[01][0-9A-Fa-f]{16,}\s*")
_SRID = r"^\s*SRID=(\d+);"


@dataclass(frozen=True)
class GeometryColumn:
    """Which column holds geometry, and how.

    Attributes:
        name: of the column.
        encoding: ``wkb``, ``wkt``, ``geojson``, ``hex`` (WKB as text), or a GeoArrow encoding such as ``polygon``.
        system: that its coordinates are of; None for longitude and latitude.
    """

    name: str
    encoding: str
    system: Any = None


def of_schema(schema: pa.Schema, footer: Footer | None, what: object) -> GeometryColumn | None:
    """The column of geometry that a schema declares.

    Args:
        schema: of the table.
        footer: of the Parquet file that it comes from.
        what: the table, for messages.

    Raises:
        SourceError: metadata that is damaged, or that names a column that is not there or another encoding.
    """
    told = (schema.metadata or {}).get(b"geo")
    if told is not None:
        return _of_geo(told, schema, what)
    native = {} if footer is None else footer.geometry()
    declared = {field.name: found for field in schema if (found := _of_extension(field)) is not None}
    for name, system in native.items():
        if name in schema.names:
            declared[name] = GeometryColumn(name, "wkb", _native_system(system, footer))
    names = sorted(declared, key=lambda name: (name.lower() not in NAMES, schema.names.index(name)))
    return declared[names[0]] if names else None


def of_cells(name: str, cells: pa.Array) -> GeometryColumn | None:
    """The form of geometry that the first cells of a column hold; None where they hold none."""
    kind = cells.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        first = next((cell for cell in cells.to_pylist() if cell), b"")
        return GeometryColumn(name, "wkb") if len(first) > 8 and first[0] in (0, 1) else None
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    text = next((cell for cell in cells.to_pylist() if cell and cell.strip()), "")
    if _WKT.match(text):
        srid = re.match(_SRID, text, re.I)
        return GeometryColumn(name, "wkt", f"EPSG:{srid[1]}" if srid else None)
    if _HEX.fullmatch(text):
        return GeometryColumn(name, "hex", _system_of_hex(text))
    if text.lstrip().startswith("{") and '"coordinates"' in text:
        return GeometryColumn(name, "geojson")
    return None


def _system_of_hex(text: str) -> str | None:
    import shapely

    try:
        srid = int(shapely.get_srid(shapely.from_wkb(text.strip())))
    except shapely.errors.ShapelyError:
        return None
    return f"EPSG:{srid}" if srid > 0 else None


def _of_geo(told: bytes, schema: pa.Schema, what: object) -> GeometryColumn:
    try:
        geo = parse_json(told)
        check(geo, _GEO, "geo")
        name = geo["primary_column"]
        about = geo["columns"][name]
    except (ValueError, KeyError) as error:
        raise SourceError(f"{what} is not GeoParquet: {error}") from error
    encoding = about["encoding"].lower()
    if name not in schema.names or encoding not in ("wkb", "wkt", *_DEPTHS):
        raise SourceError(
            f"{what}: its geometry {name[:40]!r} is missing, or is not WKB, WKT or one of GeoArrow's "
            f"{', '.join(_DEPTHS)}"
        )
    crs = about.get("crs")
    found = GeometryColumn(name, encoding, None if crs is None else json.dumps(crs))
    held = schema.field(name).type
    if not _fits(held, encoding):
        raise SourceError(f"{what}: its geometry holds {held}, not {about['encoding']}")
    return found


def _of_extension(field: pa.Field) -> GeometryColumn | None:
    about: Mapping[bytes, bytes] = field.metadata or {}
    name = about.get(b"ARROW:extension:name", b"").decode("utf-8", "replace")
    encoding = name.removeprefix("geoarrow.")
    if encoding == name or not _fits(field.type, encoding):
        return None
    try:
        told = parse_json(about.get(b"ARROW:extension:metadata") or b"{}")
    except ValueError:
        told = {}
    crs = told.get("crs") if isinstance(told, dict) else None
    return GeometryColumn(field.name, encoding, json.dumps(crs) if isinstance(crs, dict) else crs)


def _fits(kind: pa.DataType, encoding: str) -> bool:
    if encoding == "wkb":
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
    if encoding == "wkt":
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    for _ in range(_DEPTHS.get(encoding, -1)):
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            return False
        kind = kind.value_type
    if pa.types.is_fixed_size_list(kind):
        return encoding in _DEPTHS and kind.list_size >= 2 and pa.types.is_floating(kind.value_type)
    names = [] if not pa.types.is_struct(kind) else [field.name for field in kind]
    return encoding in _DEPTHS and names[:2] == ["x", "y"]


def _native_system(text: str, footer: Footer | None) -> Any:
    """What Parquet's GEOMETRY says of its system: nothing, ``srid:5070``, ``projjson:key``, PROJJSON or a name."""
    text = text.strip()
    if text.lower().startswith("srid:"):
        number = text[5:].strip()
        return None if number in ("0", "4326") else f"EPSG:{number}"
    if text.lower().startswith("projjson:") and footer is not None:
        kept = footer.metadata.get(text[9:], b"")
        return kept.decode("utf-8", "replace") or text
    return text or None


# --- cells ---------------------------------------------------------------------------------------------------


def shapes_of(cells: pa.Array, about: GeometryColumn, what: object, first: int = 0) -> Objects:
    """(N,) shapely geometries of a column in its own system; None where there is none.

    Args:
        cells: of the column.
        about: how they are written.
        what: the table, for messages.
        first: number of the first row, for messages.

    Raises:
        SourceError: a cell that is no geometry, or geometries of several systems.
    """
    import shapely

    found = np.full(len(cells), None, dtype=object)
    try:
        if about.encoding in _DEPTHS:
            return _of_geoarrow(cells, about.encoding)
        if about.encoding == "wkb":
            found = shapely.from_wkb(cells.to_numpy(zero_copy_only=False))
        else:
            words = pc.utf8_trim_whitespace(cells.cast(pa.string()))
            words = pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)
            if about.encoding == "wkt":
                words = pc.replace_substring_regex(words, "(?i)" + _SRID, "")
            read = {"wkt": shapely.from_wkt, "hex": shapely.from_wkb, "geojson": shapely.from_geojson}
            found = read[about.encoding](words.to_numpy(zero_copy_only=False))
    except (shapely.errors.ShapelyError, ValueError, TypeError, pa.ArrowException) as error:
        row = _first_bad(cells, about)
        where = f", row {first + row + 1}" if row is not None else ""
        form = {"hex": "WKB", "geojson": "GeoJSON"}.get(about.encoding, about.encoding.upper())
        raise SourceError(
            f"{what}{where}, column {about.name!r}: its geometry is not {form}: {str(error)[:200]}; correct it, "
            "or empty the cell"
        ) from error
    srids = np.unique(shapely.get_srid(found[~shapely.is_missing(found)]))
    if len(srids[srids > 0]) > 1:
        named = ", ".join(f"EPSG:{one}" for one in srids[srids > 0][:3])
        raise SourceError(
            f"{what}: its geometry has several coordinate reference systems ({named}); convert all to one"
        )
    return np.asarray(found, object)


def _first_bad(cells: pa.Array, about: GeometryColumn) -> int | None:
    """The first cell that is no geometry, read one by one."""
    if about.encoding in _DEPTHS or len(cells) < 2:
        return 0 if len(cells) == 1 else None
    for row in range(len(cells)):
        try:
            shapes_of(cells.slice(row, 1), about, "")
        except SourceError:
            return row
    return None


def points_of(cells: pa.Array, about: GeometryColumn, what: object, first: int = 0) -> Floats:
    """(N, 2) a point in each geometry of a column, in its own system; NaN where there is none; raises as `shapes_of`."""
    if about.encoding == "point":
        return _coordinates(cells)
    points = plain_points(cells) if about.encoding == "wkb" else None
    if points is not None:
        return points
    shapes = shapes_of(cells, about, what, first)
    return points_within(shapes) if transformer(about.system) is None else _points_on(shapes)


def _points_on(shapes: Objects) -> Floats:
    """(N, 2) a point in each shape of a plane, NaN where there is none."""
    import shapely

    inside = np.asarray(shapely.point_on_surface(shapes), object)
    inside[shapely.is_empty(inside)] = None
    return np.stack([shapely.get_x(inside), shapely.get_y(inside)], axis=1)


def _coordinates(cells: pa.Array) -> Floats:
    """(N, 2) of GeoArrow's coordinates, separate or interleaved; NaN where there are none."""
    if pa.types.is_struct(cells.type):
        both = [pc.struct_field(cells, name) for name in ("x", "y")]
    else:
        both = [pc.list_element(cells, axis) for axis in (0, 1)]
    return np.stack([np.array(pc.fill_null(one.cast(pa.float64()), np.nan), np.float64) for one in both], 1)


def _of_geoarrow(cells: pa.Array, encoding: str) -> Objects:
    import shapely

    found = np.full(len(cells), None, dtype=object)
    known = np.asarray(cells.is_valid())
    held, offsets = cells.drop_null(), []
    for _ in range(_DEPTHS[encoding]):
        if held.null_count:
            raise ValueError("part of a geometry is missing")
        lengths: NDArray[np.int64] = np.asarray(pc.list_value_length(held)).astype(np.int64)
        offsets.append(np.concatenate([[0], np.cumsum(lengths)]))
        held = held.flatten()
    kind = getattr(shapely.GeometryType, encoding.upper())
    shapes: Sequence[Any] = shapely.from_ragged_array(
        kind, _coordinates(held), tuple(reversed(offsets)) or None
    )
    found[known] = np.asarray(shapes, object)
    if encoding == "point":
        found[shapely.is_empty(found)] = None
    return found
