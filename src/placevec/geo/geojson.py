"""GeoJSON (RFC 7946): read as its writers leave it, and written one feature at a time, whole or not at all.

Read are collections, single features and geometries, and one feature per line or record (RFC 8142, ``.geojsonl``),
with or without a byte order mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import SourceError
from placevec.geo.antimeridian import Objects
from placevec.geo.coordinates import Floats
from placevec.geo.systems import shapes_to_degrees
from placevec.io.atomic import replacing
from placevec.io.files import check_regular
from placevec.io.json_documents import NONE, check, parse_json

ENDINGS = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndgeojson", ".ndjson", ".jsonl")
MAX_BYTES = 512 * 2**20
"""Of a file, which is read whole."""
CRS84 = "OGC:CRS84"
_CRS_NAME = re.compile(r"(?:urn:ogc:def:crs:)?(EPSG|OGC):(?:[\d.]*:)?(\w{1,12})")
_GEOMETRIES = (
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"
)  # fmt: skip
_OTHERS = {"Topology": "TopoJSON", "CityJSON": "CityJSON", "Tileset": "3D tiles"}


@dataclass(frozen=True)
class Feature:
    """One feature.

    Attributes:
        geometry: as in the file, or None.
        properties: name -> value; one may be called ``geometry``.
        id: of the feature, text or number, or None.
    """

    geometry: dict[str, Any] | None
    properties: dict[str, Any]
    id: Any = None


@dataclass(frozen=True)
class FeatureCollection:
    """The features of a file.

    Attributes:
        features: in order.
        system: that their coordinates are of, WGS84 unless an old file names another.
        document: of a single document, its members; empty for records.
    """

    features: list[Feature]
    system: str
    document: dict[str, Any]

    def shapes(self, path: object) -> Objects:
        """(N,) shapely geometries in degrees of WGS84, or None where a feature has none.

        Raises:
            SourceError: a geometry is none; it names the feature.
        """
        import shapely
        from shapely.geometry import shape

        found = np.full(len(self.features), None, dtype=object)
        points: list[tuple[float, float]] = []
        rows: list[int] = []
        for number, feature in enumerate(self.features):
            geometry = feature.geometry
            if geometry is None:
                continue
            try:
                if geometry.get("type") == "Point" and len(geometry["coordinates"]) >= 2:
                    x, y = geometry["coordinates"][:2]
                    points.append((float(x), float(y)))
                    rows.append(number)
                else:
                    found[number] = shape(geometry)
            except (
                ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
                shapely.errors.ShapelyError,
            ) as error:  # fmt: skip
                raise SourceError(f"{path}, feature {number}: its geometry is invalid ({error})") from error
        if points:
            found[rows] = shapely.points(np.array(points, np.float64))
        return shapes_to_degrees(found, self.system)


def read_geojson(path: str | PathLike[str]) -> FeatureCollection:
    """The features of a GeoJSON file.

    Raises:
        SourceError: the file does not exist, too large, not GeoJSON; the message names the feature or the record.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "stops.geojson"
    >>> write_geojson(file, np.array([[24.94, 60.17]]), [{"name": "Rautatientori"}], {"attribution": "HSL"})
    >>> stops = read_geojson(file)
    >>> stops.features[0].geometry["coordinates"], stops.features[0].properties
    ([24.94, 60.17], {'name': 'Rautatientori'})
    """
    path = check_regular(Path(path), "GeoJSON")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SourceError(
            f"{path} has {size / 2**20:,.0f} MiB, and GeoJSON can only be read as a whole: convert it, for example "
            f"with ogr2ogr "
            f"{path.stem}.parquet {path.name}"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    try:
        document = parse_json(content)
    except ValueError as error:
        documents = _records(content, path, error)
        features = [feature for one in documents for feature in _features(one, path)]
        if not features:
            raise SourceError(f"{path} has no rows") from None
        return FeatureCollection(features, _system(documents, path), {})
    if (
        isinstance(document, dict) and "sample_coordinates" in document
    ):  # of the founding pipeline: the caller's
        return FeatureCollection([], CRS84, document)
    features = _features(document, path)
    if not features:
        raise SourceError(f"{path} has no rows")
    return FeatureCollection(features, _system([document], path), document)


def _records(content: bytes, path: Path, whole: ValueError) -> list[Any]:
    """The documents of a file of several: one a line, or one behind a record separator."""
    text = content.decode("utf-8-sig", "replace")
    lines = text.split("\x1e") if "\x1e" in text else text.splitlines()
    records = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if len(records) < 2 or not records[0][1].lstrip().startswith("{"):
        raise SourceError(f"{path} is not JSON: {whole}") from whole
    found = []
    for number, line in records:
        try:
            found.append(parse_json(line))
        except ValueError as error:
            if not found:  # not a line of its own: the document itself is broken
                raise SourceError(f"{path} is not JSON: {whole}") from whole
            raise SourceError(f"{path}, line {number} is not JSON: {error}") from error
    return found


def _features(document: Any, path: Path) -> list[Feature]:
    """The features of a collection, a feature or a geometry."""
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        esri = isinstance(document, dict) and ("geometryType" in document or "rings" in document)
        what = "ArcGIS JSON (request f=geojson)" if esri else "another JSON document"
        raise SourceError(f"{path} is not GeoJSON: it is {what}")
    kind = document["type"]
    if kind == "FeatureCollection":
        items = document.get("features")
        if not isinstance(items, list):
            raise SourceError(f"{path} is not GeoJSON: its features are not a list")
        return [_feature(item, number, path) for number, item in enumerate(items)]
    if kind == "Feature":
        return [_feature(document, 0, path)]
    if kind in _GEOMETRIES:
        return [Feature(document, {})]
    raise SourceError(f"{path} is not GeoJSON: its type is {str(_OTHERS.get(kind, kind))[:40]!r}")


def _feature(item: Any, number: int, path: Path) -> Feature:
    try:
        check(item, {"geometry?": (dict, NONE), "properties?": (dict, NONE)}, f"feature {number}")
        if "geometry" not in item:
            raise ValueError(f"feature {number} has no geometry")
    except ValueError as error:
        raise SourceError(f"{path} is not GeoJSON: {error}") from error
    return Feature(item["geometry"], item.get("properties") or {}, item.get("id"))


def _system(documents: list[Any], path: Path) -> str:
    """The one system that a file names; GeoJSON has had WGS84 alone since 2016, older files named one, even a feature."""
    named = {_system_of(one, path) for one in _parts(documents)}
    if len(named) > 1:
        raise SourceError(
            f"{path}: its features have several coordinate reference systems "
            f"({' and '.join(sorted(named)[:3])}); convert all to WGS84"
        )
    return named.pop() if named else CRS84


def _parts(documents: list[Any]) -> Iterator[dict[str, Any]]:
    """What may name a system: where the document does, all of it; else whatever of its features does."""
    for document in documents:
        yield document
        for item in document.get("features") or ():
            for one in (item, item["geometry"] or {}):
                if one.get("crs"):
                    yield one


def _system_of(content: dict[str, Any], path: Path) -> str:
    if not content.get("crs"):
        return CRS84
    try:
        check(content["crs"], {"properties": {"name": str}}, "crs")
    except ValueError as error:
        raise SourceError(f"{path} is not GeoJSON: {error}") from error
    named = _CRS_NAME.fullmatch(content["crs"]["properties"]["name"])
    if named is None:
        raise SourceError(
            f"the crs of {path} is not a name such as EPSG:3067: convert the file to WGS84, and remove its crs"
        )
    return f"{named[1]}:{named[2]}"


def write_geojson(
    path: str | PathLike[str],
    lonlat: Floats,
    properties: Iterable[Mapping[str, Any] | str],
    members: Mapping[str, Any],
) -> None:
    """Write a feature collection of points.

    Args:
        path: the file.
        lonlat: (N, 2) lon, lat degrees; places without coordinates get a null geometry.
        properties: N items, consumed one at a time: each a mapping, or the text of a JSON object.
        members: additional members of the collection, such as ``attribution``; readers ignore unknown members
            (RFC 7946, section 6.1).

    Text is written unescaped, except lone surrogates, which are not valid UTF-8 and become JSON escapes.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "stops.geojson"
    >>> write_geojson(file, np.array([[24.94, 60.17]]), [{"name": "Rautatientori"}], {"attribution": "HSL"})
    >>> json.loads(file.read_text())["attribution"]
    'HSL'
    """
    opening = "".join(f",\n{json.dumps(key)}: {_text(value)}" for key, value in members.items())
    with (
        replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        file.write(f'{{"type": "FeatureCollection"{opening},\n"features": [')
        for number, ((lon, lat), content) in enumerate(zip(lonlat.tolist(), properties, strict=True)):
            text = content if isinstance(content, str) else _text(content)
            point = "null" if lon != lon or lat != lat else _point(lon, lat)
            file.write(
                f'{"," if number else ""}\n{{"type":"Feature","geometry":{point},"properties":{text}}}'
            )
        file.write("\n]}\n")


def _point(lon: float, lat: float) -> str:
    """Seven decimals resolve about a centimeter."""
    return f'{{"type":"Point","coordinates":[{round(lon, 7)!r},{round(lat, 7)!r}]}}'


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
