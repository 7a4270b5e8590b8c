"""Tables that users bring: places, labels, columns; areas as GeoJSON."""

from __future__ import annotations

import http.server
import json
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from placevec.errors import SourceError
from placevec.sources.tables.points import read_points
from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds, refused

POINT = {"type": "Point", "coordinates": [24.94, 60.17]}


@pytest.mark.parametrize(("name", "examples"), [("places", 45), ("labels", 40), ("polygon", 60)])
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    holds(name, corpus, isolated, examples)


def collection(*features: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features, **more}).encode()


def feature(geometry: Any = POINT, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


class _Listening:
    """A server of this machine that writes down what it was asked for."""

    def __enter__(self) -> _Listening:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"EPSG:4326")

            def log_message(self, *_: Any) -> None:
                return None

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_table_cannot_make_us_fetch_an_address(tmp_path: Path) -> None:
    """GDAL fetched the address of a linked crs, and followed a virtual dataset named like GeoJSON."""
    with _Listening() as server:
        linked = {"type": "link", "properties": {"href": f"{server.address}/crs", "type": "proj4"}}
        layer = f'<OGRVRTLayer name="a"><SrcDataSource>/vsicurl/{server.address}/a.geojson</SrcDataSource></OGRVRTLayer>'
        for name, content in (
            ("linked.geojson", collection(feature(), crs=linked)),
            (
                "named.geojson",
                collection(feature(), crs={"type": "name", "properties": {"name": server.address}}),
            ),
            ("virtual.geojson", f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>".encode()),
            ("virtual.gpkg", f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>".encode()),
            ("virtual.vrt", f"<OGRVRTDataSource>{layer}</OGRVRTDataSource>".encode()),
        ):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(SourceError):
                read_points(tmp_path / name)
        assert server.asked == []


def test_named_crs_and_ids_of_geojson(tmp_path: Path) -> None:
    """pyproj's own answer for EPSG:3067 is the oracle."""
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3067", always_xy=True).transform(24.94, 60.17)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3067"}}
    point = {"type": "Point", "coordinates": [x, y]}
    (tmp_path / "a.geojson").write_bytes(collection({**feature(point, a=1), "id": "first"}, crs=crs))
    points = read_points(tmp_path / "a.geojson")
    np.testing.assert_allclose(points.lonlat, [[24.94, 60.17]], atol=1e-9)
    assert points.place_id.tolist() == ["first"]
    for content in (json.dumps(POINT), json.dumps(feature())):
        (tmp_path / "a.geojson").write_text(content)
        assert read_points(tmp_path / "a.geojson").lonlat.tolist() == [[24.94, 60.17]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (collection(feature(id=None), feature(id="a")), "row 1 has no id"),
        (collection(), "has no rows"),
        (collection(feature({"type": "Point", "coordinates": [1e300, 1e300]})), "not on Earth"),
        (
            collection(feature({"type": "Polygon", "coordinates": [[[0, 0]]]})),
            "feature 0: its geometry is invalid",
        ),
        (
            b'{"type": "FeatureCollection", "features": [{"geometry": {"type": "\\ud800"}}]}',
            "not valid Unicode",
        ),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_geojson_that_is_rejected(isolated: Isolated, content: bytes, says: str) -> None:
    assert says in refused(isolated, "places", "table.geojson", content)


def test_empty_geometry_is_a_place_without_coordinates(isolated: Isolated) -> None:
    """Was a GEOSException: there is no x in an empty point."""
    empty = feature({"type": "Polygon", "coordinates": []})
    assert isolated.read("places", "table.geojson", collection(empty, feature())) == ("valid", "")


def parquet(**columns: Any) -> bytes:
    return written(pa.table(columns))


def written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (parquet(place_id=["a"], geometry=[1.0], lon=[1.0], lat=[1.0]), "valid"),
        (parquet(place_id=pa.array([b"a"]), lon=[1.0], lat=[1.0]), "valid"),
        (parquet(place_id=pa.array([b"\xff"]), lon=[1.0], lat=[1.0]), "refused"),
        (parquet(place_id=pa.array([b"\xff"]).view(pa.string()), lon=[1.0], lat=[1.0]), "refused"),
        (parquet(place_id=["a"], lon=[[1.0]], lat=[1.0]), "refused"),
        (written(pa.table([["a"], ["b"], [1.0], [1.0]], ["place_id", "place_id", "lon", "lat"])), "refused"),
    ],
)
def test_parquet_of_other_types(isolated: Isolated, content: bytes, outcome: str) -> None:
    found, said = isolated.read("places", "table.parquet", content)
    assert found == outcome, said


def test_a_table_of_more_rows_than_its_bytes_can_hold(isolated: Isolated) -> None:
    """Thirty million nulls in some kilobytes."""
    nulls = pa.nulls(10_000_000, pa.int8())
    content = parquet(place_id=nulls, lon=nulls, lat=nulls)
    assert len(content) < 200_000
    for name in ("places", "labels"):
        assert "would decompress" in refused(isolated, name, "table.parquet", content)


def test_every_byte_of_a_footer(isolated: Isolated) -> None:
    """On some damaged footers pyarrow ends the process when it is asked about a column: it is not asked."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"place_id": ["a", None], "lon": [1.0, 2.0]}), sink, store_schema=False)
    content = sink.getvalue().to_pybytes()
    (footer,) = struct.unpack_from("<I", content, len(content) - 8)
    for at in range(len(content) - 8 - footer, len(content) - 8):
        flipped = bytearray(content)
        flipped[at] ^= 1 + at % 7
        outcome, said = isolated.read("places", "table.parquet", bytes(flipped))
        assert outcome in ("valid", "refused"), (at, said)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, float("nan")], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 10**400], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": [[[[0, 0], [0, 0], [0, 0], [0, 0]]]]},
        {"type": "Polygon"},
    ],
)
def test_polygons_of_all_kinds(isolated: Isolated, content: dict[str, Any]) -> None:
    outcome, said = isolated.read("polygon", "area.geojson", json.dumps(content).encode())
    assert outcome in ("valid", "refused"), said
