"""Geometry in every form that tables bring. Oracles: the shapes that geopandas and shapely wrote."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from placevec.errors import SourceError
from placevec.geo.geometry_columns import of_cells, of_schema, points_of, shapes_of
from placevec.geo.parquet_footer import footer_of
from placevec.sources.tables.points import read_points

HOLED = shapely.box(20, 40, 21, 41).difference(shapely.box(20.2, 40.2, 20.4, 40.4))
SHAPES: dict[str, list[Any]] = {
    "point": [shapely.Point(1, 2), None],
    "linestring": [shapely.LineString([(0, 1), (2, 3)]), None],
    "polygon": [HOLED, None, shapely.box(3, 3, 4, 4)],
    "multipoint": [shapely.MultiPoint([(0, 1), (2, 3)])],
    "multilinestring": [None, shapely.MultiLineString([[(0, 1), (2, 3)], [(5, 5), (6, 6)]])],
    "multipolygon": [
        shapely.MultiPolygon([HOLED]),
        None,
        shapely.MultiPolygon([HOLED, shapely.box(3, 3, 4, 4)]),
    ],
}


def same(found: Any, expected: list[Any]) -> bool:
    return all(a is b or a.equals(b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("kind", SHAPES)
def test_geoarrow(kind: str, interleaved: bool) -> None:
    frame = geopandas.GeoDataFrame(geometry=geopandas.GeoSeries(SHAPES[kind], crs=3067))
    table = pa.table(frame.to_arrow(geometry_encoding="geoarrow", interleaved=interleaved))
    about = of_schema(table.schema, None, "t")
    assert about is not None
    assert about.encoding == kind
    assert json.loads(about.system)["id"]["code"] == 3067
    cells = table["geometry"].combine_chunks()
    assert same(shapes_of(cells, about, "t"), SHAPES[kind])
    assert same(shapes_of(cells.slice(1), about, "t"), SHAPES[kind][1:])
    assert np.isnan(points_of(cells, about, "t")[:, 0]).tolist() == [one is None for one in SHAPES[kind]]


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
def test_geoparquet_of_another_system(tmp_path: Path, kind: str, encoding: str) -> None:
    """Written in meters, read in degrees."""
    frame = geopandas.GeoDataFrame(geometry=geopandas.GeoSeries(SHAPES[kind], crs=4326)).to_crs(3857)
    frame.to_parquet(tmp_path / "p.parquet", geometry_encoding=encoding, schema_version="1.1.0")
    found = read_points(tmp_path / "p.parquet").geometry
    assert all(a is b or shapely.equals_exact(a, b, 1e-9) for a, b in zip(found, SHAPES[kind], strict=True))


@pytest.mark.parametrize(
    ("to_text", "encoding"),
    [
        (shapely.to_wkt, "wkt"),
        (lambda one: f"SRID=4326;{shapely.to_wkt(one)}", "wkt"),
        (lambda one: shapely.to_wkb(one, hex=True), "hex"),
        (lambda one: shapely.to_wkb(shapely.set_srid(one, 4326), hex=True, include_srid=True), "hex"),
        (shapely.to_geojson, "geojson"),
    ],
)
def test_texts(to_text: Any, encoding: str) -> None:
    cells = pa.array([None, "", to_text(HOLED)])
    about = of_cells("wkt", cells)
    assert about is not None
    assert about.encoding == encoding
    found = shapes_of(cells, about, "t")
    assert found[0] is None
    assert found[1] is None
    assert shapely.equals_exact(found[2], HOLED, 1e-6)


@pytest.mark.parametrize("cells", [["a", "b"], ["x"], [""], ["POINTS of view"], ['{"type": 1}']])
def test_texts_that_are_no_geometry(cells: list[str]) -> None:
    assert of_cells("geometry", pa.array(cells)) is None


def test_a_cell_that_is_no_geometry_is_named() -> None:
    cells = pa.array(["POINT (1 2)", "POINT (1"])
    about = of_cells("wkt", cells)
    assert about is not None
    with pytest.raises(SourceError, match=r"t, row 12, column 'wkt': its geometry is not WKT"):
        shapes_of(cells, about, "t", 10)


@pytest.mark.parametrize(
    ("kind", "system", "expected"),
    [
        ("GEOMETRY", "", [24.94, 60.17]),
        ("GEOGRAPHY", "", [24.94, 60.17]),
        ("GEOMETRY", "OGC:CRS84", [24.94, 60.17]),
        ("GEOMETRY", "srid:3857", [24.94, 60.17]),
        ("GEOMETRY", "EPSG:3857", [24.94, 60.17]),
        ("GEOMETRY", "projjson:key", [24.94, 60.17]),
    ],
)
def test_parquets_own_types(tmp_path: Path, kind: str, system: str, expected: list[float]) -> None:
    """A footer with the logical types of GeoParquet 2.0, written byte by byte as the specification says."""
    from pyproj import CRS, Transformer

    degrees = system in ("", "OGC:CRS84")
    xy = expected if degrees else Transformer.from_crs(4326, 3857, always_xy=True).transform(*expected)
    plain = pa.table({"v": [7], "geometry": [struct.pack("<BIdd", 1, 1, *xy)]})
    keys = {"key": CRS.from_epsg(3857).to_json()} if system == "projjson:key" else {}
    with pq.ParquetWriter(tmp_path / "t.parquet", plain.schema, store_schema=False) as writer:
        writer.write_table(plain)
        writer.add_key_value_metadata(keys)
    content = (tmp_path / "t.parquet").read_bytes()
    # SchemaElement 'geometry': type 6, optional, name; the logical type is field 10, of which 17 and 18 are geometry
    element = b"\x15\x0c\x25\x02\x18\x08geometry"
    assert content.count(element + b"\x00") == 1
    inner = b"\x00" if not system else b"\x18" + bytes([len(system)]) + system.encode() + b"\x00"
    field = bytes([0x0C, 34 if kind == "GEOMETRY" else 36])  # long form: a struct, and its number in zigzag
    logical = b"\x6c" + field + inner + b"\x00"
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8].replace(element + b"\x00", element + logical + b"\x00")
    file = tmp_path / "native.parquet"
    file.write_bytes(content[: -8 - length] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert footer_of(file).geometry() == {"geometry": system}
    points = read_points(file)
    assert np.allclose(points.lonlat, [expected], rtol=0, atol=1e-9)
    assert list(points.table.columns) == ["v"]
