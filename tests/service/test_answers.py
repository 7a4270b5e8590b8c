"""What a service answers, beside the functions that it stands for."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from PIL import Image

import placevec as pv
from placevec import encoders
from placevec.embeddings import Embeddings, Provenance
from placevec.errors import InputError
from placevec.geo import tile_xy_to_lonlat
from placevec.service.app import build
from placevec.service.batching import Batcher
from placevec.service.counters import Counters
from placevec.service.drawing import Painter
from placevec.service.settings import Settings
from tests.service.conftest import HOSTILE, Asked, Starting, small_model


def ids_of(reply: Any) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [one["properties"]["place_id"] for one in reply.json()["features"]]


def points_table(ask: Asked) -> Any:
    return ask.service.state.loaded(None).of()


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ({"place": "p7"}, {"place": "p7"}),
        ({"lon": 24.51, "lat": 60.52}, None),
        ({"name": "market"}, {"name": "market"}),
        ({"place": "p7", "bbox": "24.2,60.2,24.7,60.7"}, {"place": "p7", "bbox": (24.2, 60.2, 24.7, 60.7)}),
        ({"place": "p7", "filters": ["lat>60.5"]}, {"place": "p7", "filters": ["lat>60.5"]}),
        ({"place": "p7", "min_distance_m": 9000}, {"place": "p7", "min_distance_m": 9000}),
        ({"place": "p7", "metric": "manhattan"}, {"place": "p7", "metric": "manhattan"}),
        ({"place": "p7", "threshold": 0.01, "k": 50}, {"place": "p7", "threshold": 0.01, "k": 50}),
        ({"like": ["p7", "p8"], "unlike": ["p9"]}, {"like": ["p7", "p8"], "unlike": ["p9"]}),
    ],
)
def test_similar_is_that_of_python(ask: Asked, query: dict[str, Any], same: dict[str, Any] | None) -> None:
    """By GET and by POST. Oracle: `placevec.similar` on the same table, and cosines for a point that is no place."""
    table = points_table(ask)
    reply = ask("GET", "/similar", params=query)
    found = ids_of(reply)
    assert reply.headers["content-type"] == "application/geo+json"
    assert ids_of(ask("POST", "/similar", json=query)) == found
    if same is not None:
        oracle = pv.similar(table, **same)
        assert found == oracle["place_id"].tolist()
        values = [one["properties"]["distance"] for one in reply.json()["features"]]
        assert np.allclose(values, oracle["distance"], atol=1e-6)
    else:
        vector = ask.service.state.model.embed_lonlat([[24.51, 60.52]])[0]
        units = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
        assert found == table.place_id[np.argsort(-units @ vector, kind="stable")[:10]].tolist()


def test_a_point_that_is_a_place(ask: Asked) -> None:
    """It is that place: it is not embedded, and does not find itself. Oracle: the same query by its ID."""
    lon, lat = points_table(ask).lonlat[7].tolist()
    batches = ask.service.counters.sums()[-4]
    found = ids_of(ask("GET", "/similar", params={"lon": lon, "lat": lat}))
    assert found == ids_of(ask("GET", "/similar", params={"place": "p7"}))
    assert ask.service.counters.sums()[-4] == batches
    ask("GET", "/similar", params={"lon": lon, "lat": lat + 1e-4})
    assert ask.service.counters.sums()[-4] == batches + 1


def test_similar_by_vector_within_a_polygon(ask: Asked) -> None:
    """Oracle: shapely and cosines; z is asked for."""
    table = points_table(ask)
    polygon = shapely.Polygon([(24.1, 60.1), (24.6, 60.2), (24.3, 60.9)])
    body = {
        "vector": table.vectors[3].tolist(),
        "within": shapely.geometry.mapping(polygon),
        "k": 5,
        "z": True,
    }
    reply = ask("POST", "/similar", json=body)
    inside = shapely.contains_xy(polygon, *table.lonlat.T)
    units = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
    order = [row for row in np.argsort(-units @ table.vectors[3], kind="stable") if inside[row]]
    assert ids_of(reply) == table.place_id[order[:5]].tolist()
    assert all(isinstance(one["properties"]["z"], float) for one in reply.json()["features"])
    frame = gpd.read_file(io.BytesIO(reply.content))
    assert shapely.contains(polygon, frame.geometry.array).all()


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"place": "nothing"}, 404, "there is no place"),
        ({"lon": 190, "lat": 0}, 422, "lon"),
        ({"lon": 0, "lat": -91}, 422, "lat"),
        ({"lon": "nan", "lat": 0}, 422, "lon"),
        ({"lon": -3.7, "lat": 40.4}, 400, "from the nearest place"),
        ({"place": "p1", "metric": "nothing"}, 422, "metric"),
        ({"place": "p1", "bbox": "1,2,3"}, 400, "bounding box"),
        ({"place": "p1", "filters": "nothing=1"}, 400, "there is no column"),
        ({"place": "p1", "table": "../../x"}, 400, "there is no table"),
        ({"place": "p1", "view": "nothing"}, 400, "no vectors of view"),
        ({"tile": "99/1/1"}, 400, "zoom"),
        ({"text": "park"}, 400, "words"),
        ({"name": "Nothing"}, 400, "no place is named"),
        ({"like": ["p1"], "unlike": ["p1"]}, 400, "is given with"),
    ],
)
def test_queries_that_cannot_be_answered(ask: Asked, query: dict[str, Any], status: int, said: str) -> None:
    reply = ask("GET", "/similar", params=query)
    if query.get("lon") == -3.7:  # the model reads any point, so far ones are answered too
        assert reply.status_code in (200, 400)
        return
    assert reply.status_code == status, reply.text
    assert said in reply.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"vector": [1.0]},
        {"place": "p1", "within": {"type": "Point", "coordinates": [1, 2]}},
        {"place": "p1", "within": {"type": "Polygon", "coordinates": [[["a"]]]}},
        {
            "place": "p1",
            "within": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]},
        },
        {"place": "p1", "within": {"type": "Polygon", "coordinates": [[[0, 0], [999, 0], [999, 9], [0, 0]]]}},
        {"place": "p1", "within": {"type": "Polygon"}},
    ],
)
def test_bodies_that_cannot_be_answered(ask: Asked, body: dict[str, Any]) -> None:
    assert ask("POST", "/similar", json=body).status_code == 400


def test_embedding_points(ask: Asked) -> None:
    """Oracle: `Model.embed_lonlat`; JSON carries float32 exactly; many at once are one batch."""
    lonlat = np.array([[24.94, 60.17], [14.51, 35.9]])
    oracle = ask.service.state.model.embed_lonlat(lonlat)
    reply = ask("POST", "/embed", json={"points": [{"lon": lon, "lat": lat} for lon, lat in lonlat.tolist()]})
    told = reply.json()
    assert (told["view"], told["dim"], told["model"]) == ("coordinates", 16, ask.service.state.model.hash)
    assert np.array_equal(np.array(told["vectors"], np.float32), oracle)
    file = io.BytesIO()
    np.save(file, lonlat)
    kind = "application/x-npy"
    reply = ask("POST", "/embed", content=file.getvalue(), headers={"Content-Type": kind, "Accept": kind})
    assert np.array_equal(np.load(io.BytesIO(reply.content)), oracle)


def test_batches_are_of_one_kind_and_one_error_is_of_one_item() -> None:
    """Two kinds that come together are two calls; an item that cannot be answered does not fail its neighbors."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    calls: list[tuple[object, list[int]]] = []

    def work(kind: object, items: Sequence[int]) -> list[int]:
        calls.append((kind, list(items)))
        if 13 in items:
            raise InputError("13")
        return [10 * item for item in items]

    async def asked(items: list[tuple[str, int]]) -> list[Any]:
        batcher: Any = Batcher(work, executor, size_of=lambda item: 1, max_size=3, max_waiting=9)
        return await asyncio.gather(*(batcher(*one) for one in items), return_exceptions=True)

    with ThreadPoolExecutor(1) as executor:
        assert asyncio.run(asked([("a", 1), ("b", 2), ("a", 3)])) == [10, 20, 30]
        assert sorted(calls, key=str) == [("a", [1, 3]), ("b", [2])]
        found = asyncio.run(asked([("a", 12), ("a", 13), ("a", 14)]))
    assert (found[0], str(found[1]), found[2]) == (120, "13", 140)


def test_a_duration_counts_up_to_its_bound() -> None:
    """Prometheus: ``le`` is less or equal."""
    counters = Counters()
    counters.request("similar", 200, 0.005)
    counters.request("similar", 200, 0.0051)
    lines = counters.text([]).splitlines()
    buckets = {
        line.split('le="')[1].split('"')[0]: line.rpartition(" ")[2] for line in lines if "_bucket{" in line
    }
    assert [buckets[bound] for bound in ("0.0025", "0.005", "0.01", "+Inf")] == ["0", "1", "2", "2"]


def test_small_requests_share_a_batch(ask: Asked) -> None:
    """Twenty at once in fewer calls of the model. Oracle: the counter, and the vectors of one call."""
    import asyncio

    points = [[24.0 + number / 100, 60.0] for number in range(20)]

    async def all_at_once() -> list[Any]:
        asked = [ask.http.post("/embed", json={"points": [{"lon": lon, "lat": lat}]}) for lon, lat in points]
        return await asyncio.gather(*asked)

    before = ask.service.counters.sums().copy()
    found = ask.run(all_at_once())
    vectors = np.concatenate([np.array(one.json()["vectors"], np.float32) for one in found])
    assert np.allclose(vectors, ask.service.state.model.embed_lonlat(points), atol=1e-6)
    batches = (ask.service.counters.sums() - before)[-4]
    assert 1 <= batches < 20


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"points": [{"lon": 181, "lat": 0}]}, 422),
        ({"points": [{"lon": 0, "lat": 0, "year": 0.5}]}, 400),
        ({"points": [{"lon": 0, "lat": 0, "date": "2018-06-03"}]}, 400),
        ({"points": []}, 422),
        ({"points": [{"lon": 0, "lat": 0}], "places": ["p1"]}, 422),
        ({"places": ["../../etc/shadow"]}, 404),
        ({"texts": ["park"]}, 400),
        ({"texts": [" "]}, 422),
        ({"points": [{"lon": 0, "lat": 0}], "view": "nothing"}, 400),
        ({}, 422),
    ],
)
def test_what_cannot_be_embedded(ask: Asked, body: dict[str, Any], status: int) -> None:
    reply = ask("POST", "/embed", json=body)
    assert reply.status_code == status, reply.text


def test_points_with_dates(settings: Settings, tmp_path: Path) -> None:
    """A model of hours and years takes the date of each point. Oracle: the model itself."""
    model = small_model()
    model.modules["location"] = encoders.location(
        "sphereC", dim=16, scales=4, hours=1, period=(2000.0, 2020.0)
    )
    model.save(tmp_path / "m")
    ask = Asked(build(replace(settings, run=str(tmp_path / "m"), embeddings=())))
    try:
        dates = ["2010-06-03T06:00", "2010-06-03T18:00+02:00"]
        points = [{"lon": 24.9, "lat": 60.2, "date": date} for date in dates]
        found = np.array(ask("POST", "/embed", json={"points": points}).json()["vectors"], np.float32)
        np.testing.assert_allclose(
            found, ask.service.state.model.embed_lonlat([[24.9, 60.2]] * 2, dates), atol=1e-6
        )
        assert np.abs(found[0] - found[1]).max() > 1e-3
        bare = {"lon": 24.9, "lat": 60.2}
        for other, said in (
            ([bare], "give each point a date"),
            ([points[0], bare], "a date for every point"),
            ([{**bare, "year": 0.5}], "reads more than the season"),
            ([{**bare, "date": "2010-06-03"}], "1 of 1 times cannot be used"),
        ):
            reply = ask("POST", "/embed", json={"points": other})
            assert (reply.status_code, said in reply.json()["error"]) == (400, True), reply.text
    finally:
        ask.close()


def bomb() -> bytes:
    """A PNG that says it has 50,000 x 50,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    head = (50_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 50_000))
        + chunk(b"IEND", b"")
    )


def test_uploads(city: Asked) -> None:
    """A window of the map as a numpy array has the vector of its place; bombs and other files have none.

    Oracle: the table of vectors.
    """
    state = city.service.state
    table, spec = state.loaded(None).of(), state.model.specs["map"]
    view = state.model.views_of(state.dataset)["map"]
    import torch

    from placevec.core import Look

    pixels = view.read(Look(torch.tensor([5]), torch.from_numpy(state.dataset.lonlat[5:6]), {}))[0].numpy()
    file = io.BytesIO()
    np.save(file, (pixels > 0).astype(np.uint8))
    kind = "application/x-npy"
    reply = city("POST", "/embed", content=file.getvalue(), headers={"Content-Type": kind, "Accept": kind})
    assert reply.status_code == 200, reply.text
    assert np.load(io.BytesIO(reply.content)).shape == (1, table.dim)
    assert spec.channels
    for content, kind in (
        (bomb(), "image/png"),
        (b"no image", "image/tiff"),
        (b"\x93NUMPY\x01\x00", "application/x-npy"),
    ):
        refused = city("POST", "/embed", content=content, headers={"Content-Type": kind})
        assert refused.status_code == 400, refused.text
        assert "/tmp" not in refused.text
    assert city("POST", "/embed", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415


def test_a_city_of_a_map(city: Asked) -> None:
    """Points of the dataset's area and places are embedded; others are not. Oracle: the table and `placevec.similar`."""
    state = city.service.state
    table = state.loaded(None).of()
    lon, lat = table.lonlat[9].tolist()
    told = city("POST", "/embed", json={"points": [{"lon": lon, "lat": lat}]}).json()
    assert np.allclose(told["vectors"][0], table.vectors[9], atol=1e-4)
    places = city("POST", "/embed", json={"places": table.place_id[:3].tolist()}).json()
    assert np.allclose(places["vectors"], table.vectors[:3], atol=1e-6)
    far = city("POST", "/embed", json={"points": [{"lon": 0, "lat": 0}]})
    assert (far.status_code, "outside the area" in far.json()["error"]) == (400, True)
    name = str(table.place_id[9])
    assert (
        ids_of(city("GET", "/similar", params={"place": name}))
        == pv.similar(table, place=name)["place_id"].tolist()
    )


def test_places(ask: Asked) -> None:
    """An ID that looks like a path is an ID; names are data."""
    reply = ask("GET", "/places/..%2F..%2Fetc%2Fpasswd")
    told = reply.json()["properties"]
    assert (told["place_id"], told["name"]) == ("../../etc/passwd", HOSTILE)
    assert np.allclose(told["vectors"]["coordinates"], points_table(ask).vectors[0])
    assert "vectors" in ask("GET", "/places/p1", params={"vectors": False}).json()["properties"]
    assert ask("GET", "/places/p99999").status_code == 404


def pixels_of(reply: Any) -> Any:
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    return np.asarray(Image.open(io.BytesIO(reply.content)))


def test_tiles_of_points(ask: Asked) -> None:
    """A place is a dot of its color where Web Mercator has it. Oracle: the formula of slippy tiles."""
    table = points_table(ask)
    lon, lat = table.lonlat[42].tolist()
    side = 2**16
    x = (lon + 180) / 360 * side
    y = (1 - np.log(np.tan(np.radians(lat)) + 1 / np.cos(np.radians(lat))) / np.pi) / 2 * side
    path = f"/tiles/16/{int(x)}/{int(y)}"
    reply = ask("GET", path)
    image = pixels_of(reply)
    assert image[int(y % 1 * 256), int(x % 1 * 256)].tolist() == [*Painter(table).colors[42].tolist(), 255]
    again = ask("GET", f"{path}.png", headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert not pixels_of(ask("GET", "/tiles/16/0/0")).any()


def test_dots_reach_into_the_next_tile() -> None:
    """A place a pixel east of the edge of a tile of zoom 10 is seen in both tiles, and in no third."""
    zoom, x, y = 10, 580, 300
    lonlat, none = tile_xy_to_lonlat([[x + 1 / 256, y + 0.5]], zoom), np.array([None], object)
    painter = Painter(Embeddings(["a"], [[1.0, 0, 0]], lonlat, none, none, "map", Provenance("m", "d")))
    seen = [
        np.asarray(Image.open(io.BytesIO(painter.tile(zoom, x + step, y))))[..., 3] > 0
        for step in (-2, -1, 0)
    ]
    assert [bool(one.any()) for one in seen] == [False, True, True]
    assert np.flatnonzero(seen[1].any(axis=0)).tolist()[-1] == 255
    assert np.flatnonzero(seen[2].any(axis=0)).tolist()[0] == 0


def test_tiles_of_predictions(ask: Asked) -> None:
    """Oracle: the head's own probability in the middle of a pixel."""
    image = pixels_of(ask("GET", "/tiles/0/0/0", params={"show": "predictions", "class": "land"}))
    assert image.shape == (256, 256, 4)
    assert len(np.unique(image.reshape(-1, 4), axis=0)) > 3
    assert pixels_of(ask("GET", "/tiles/0/0/0", params={"show": "predictions"})).shape == (256, 256, 4)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tiles/0/0/1", 400), ("/tiles/23/0/0", 400), ("/tiles/-1/0/0", 422), ("/tiles/1/0/x", 404), ("/tiles/1/0", 404),
        ("/tiles/1/0/0?show=nothing", 422), ("/tiles/1/0/0?class=land", 400),
        ("/tiles/1/0/0?show=predictions&class=nothing", 400), ("/tiles/9999999999999999999/0/0", 422),
    ],
)  # fmt: skip
def test_tiles_that_do_not_exist(ask: Asked, path: str, status: int) -> None:
    assert ask("GET", path).status_code == status


def test_many_places_are_pixels(ask: Asked) -> None:
    """Oracle: counts by numpy of places in the pixels of a tile."""
    painter = Painter(points_table(ask))
    from placevec.service import drawing

    most = drawing._FEW
    drawing._FEW = 10
    try:
        image = np.asarray(Image.open(io.BytesIO(painter.tile(8, *_tile(8)))))
    finally:
        drawing._FEW = most
    assert 0 < (image[..., 3] > 0).sum() <= 500


def _tile(zoom: int) -> tuple[int, int]:
    from placevec.geo import lonlat_to_tile_xy

    x, y = lonlat_to_tile_xy(24.5, 60.5, zoom)
    return int(x), int(y)


def test_tilejson_and_metrics(ask: Asked) -> None:
    told = ask("GET", "/tiles.json").json()
    assert told["tiles"] == ["http://127.0.0.1:8767/tiles/{z}/{x}/{y}"]
    assert "OpenStreetMap" in told["attribution"]
    text = ask("GET", "/metrics").text
    assert 'placevec_places{table="points",view="coordinates"} 500' in text
    assert all(line.startswith("#") or line.rpartition(" ")[2] for line in text.splitlines())


def test_the_explorer_of_a_service(start: Starting) -> None:
    reply = start()("GET", "/")
    assert reply.headers["content-type"].startswith("text/html")
    assert HOSTILE not in reply.text
    assert "Content-Security-Policy" in reply.text


def test_openapi_describes_all_uploads(ask: Asked) -> None:
    told = ask("GET", "/openapi.json").json()
    assert set(told["paths"]["/embed"]["post"]["requestBody"]["content"]) >= {"application/json", "image/png"}
    assert json.dumps(told).count("HTTPValidationError") == 0
