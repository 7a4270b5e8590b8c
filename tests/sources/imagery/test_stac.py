"""STAC catalogs: static ones, APIs page by page, and documents that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from placevec.errors import SourceError
from placevec.sources.imagery import stac
from placevec.sources.imagery.scenes import Found
from placevec.sources.imagery.stac import StacQuery, client_for, find_scenes
from tests.sources.imagery.range_server import Asked, Reply, as_json, serving
from tests.sources.imagery.small_scenes import BANDS, item_of, write_catalog

FILES = {band: f"{band}.tif" for band in BANDS}
BOX = (24.9, 60.1, 25.0, 60.2)


def query(**options: Any) -> StacQuery:
    return StacQuery(**{"boxes": [BOX], "bands": BANDS, **options})


def found(address: str | Path, **options: Any) -> Found:
    return find_scenes(str(address), query(**options), client_for(str(address)))


def ids(given: Found) -> list[str]:
    return [scene.id for scene in given.scenes]


def items() -> list[dict[str, Any]]:
    """Two days, the first in two baselines and twice in the newer; cloudy, old, elsewhere, without a band."""
    far = {"left": 500_000.0, "top": 7_200_000.0, "tile": "35WNN"}
    return [
        item_of("S2A_35VLG_20230701_0_L2A", FILES, baseline="04.00", cloud=9),
        item_of("S2A_35VLG_20230701_1_L2A", FILES, baseline="05.10", cloud=8, updated="2024-01-01T00:00:00Z"),
        item_of("S2A_35VLG_20230701_2_L2A", FILES, baseline="05.10", cloud=7, updated="2024-02-01T00:00:00Z"),
        item_of("clear", FILES, when="2023-07-03T09:50:31.024Z", cloud=1),
        item_of("cloudy", FILES, when="2023-07-05T09:50:31Z", cloud=80),
        item_of("old", FILES, when="2019-07-05T09:50:31Z"),
        item_of("far", FILES, when="2023-07-06T09:50:31Z", **far),
        item_of("blind", {"B02": "a.tif"}, when="2023-07-07T09:50:31Z"),
    ]


OPTIONS: dict[str, Any] = {"start": "2023-01-01", "end": "2023-12-31", "max_cloud": 20.0}


def check_found(given: Found) -> None:
    assert ids(given) == ["clear", "S2A_35VLG_20230701_2_L2A"]
    assert given.scenes[1].baseline == "05.10"
    assert given.left_out["duplicates of the same tile and time"] == 2
    assert given.left_out["cloudier than 20 %"] == given.left_out["outside the dates"] == 1


def test_a_static_catalog_from_disk_and_from_a_server(tmp_path: Path) -> None:
    """Oracle: the items as they were written."""
    catalog = write_catalog(tmp_path, items())
    local = found(catalog, **OPTIONS)
    check_found(local)
    assert local.left_out["elsewhere"] == 1
    assert sum(number for reason, number in local.left_out.items() if "B03" in reason) == 1
    assert local.scenes[0].bands["B08"].href == str(tmp_path / "B08.tif")
    with serving(tmp_path) as server:
        remote = found(f"{server.url}/catalog.json", **OPTIONS)
        assert remote.scenes[0].bands["B08"].href == f"{server.url}/B08.tif"
    assert (ids(remote), remote.left_out) == (ids(local), local.left_out)


def test_a_collection_that_lies_elsewhere_is_not_opened(tmp_path: Path) -> None:
    write_catalog(tmp_path, items())
    collection = json.loads((tmp_path / "collection.json").read_text())
    collection["extent"] = {"spatial": {"bbox": [[-60, -30, -50, -20]]}}
    (tmp_path / "collection.json").write_text(json.dumps(collection))
    with serving(tmp_path) as server:
        assert not found(f"{server.url}/catalog.json").scenes
        assert len(server.asked) == 2


class Api:
    """An API that filters by box and date, a few items a page, next by POST with a merged body, or by GET."""

    def __init__(
        self, all_items: list[dict[str, Any]], *, post: bool, page: int = 2, loop: bool = False
    ) -> None:
        self.items, self.post, self.page, self.loop = all_items, post, page, loop
        self.searches: list[dict[str, Any]] = []

    def __call__(self, asked: Asked) -> Reply | None:
        path = asked.path.split("?")[0]
        if path == "/v1":
            method = {"method": "POST"} if self.post else {}
            links = [
                {"rel": "search", "href": "/v1/search"},
                {"rel": "search", "href": "/v1/search", **method},
            ]
            conforms = ["https://api.stacspec.org/v1.0.0/item-search#query"]
            return as_json({"type": "Catalog", "id": "api", "links": links, "conformsTo": conforms})
        assert (path, asked.method) == ("/v1/search", "POST" if self.post else "GET")
        given = parse_qs(urlsplit(asked.path).query)
        told = json.loads(asked.body) if self.post else {name: value[0] for name, value in given.items()}
        self.searches.append(told)
        box = told["bbox"] if self.post else [float(edge) for edge in told["bbox"].split(",")]
        those = [one for one in self.items if stac.overlap(tuple(one["bbox"]), tuple(box))]
        at = 0 if self.loop else int(told.get("token", 0))
        links = []
        if at + self.page < len(those) or self.loop:
            more = {"token": str(at + self.page)}
            target = f"/v1/search?token={at + self.page}&bbox={told['bbox']}&datetime={told.get('datetime')}"
            link = {"method": "POST", "href": "/v1/search", "body": more, "merge": True}
            links = [{"rel": "next", **(link if self.post else {"href": target})}]
        return as_json({"type": "FeatureCollection", "features": those[at : at + self.page], "links": links})


@pytest.mark.parametrize("post", [True, False])
def test_an_api_is_asked_about_the_area_page_by_page(tmp_path: Path, post: bool) -> None:
    api = Api(items(), post=post)
    with serving(tmp_path, api) as server:
        given = found(f"{server.url}/v1", **OPTIONS)
    check_found(given)
    first = api.searches[0]
    assert len(api.searches) == 4  # seven items lie in the box
    assert int(first["limit"]) >= 100
    assert first["datetime"] == "2023-01-01T00:00:00Z/2023-12-31T23:59:59Z"
    assert ("query" in first) == post
    if post:
        assert all(search["bbox"] == first["bbox"] for search in api.searches)


def test_a_box_across_the_antimeridian_is_two_searches(tmp_path: Path) -> None:
    far = {"epsg": 32601, "left": 300_000.0, "top": 100_000.0}
    east = item_of("east", FILES, tile="01NAA", **far)
    east["bbox"] = [-180, 0, -179, 1]
    west = item_of("west", FILES, tile="60NZF", **far)
    west["bbox"] = [179, 0, 180, 1]
    both = item_of("both", FILES, tile="01NBA", when="2023-07-02T00:00:00Z", **far)
    both["bbox"] = [179.5, 0, -179.5, 1]
    api = Api([east, west, both], post=True)
    with serving(tmp_path, api) as server:
        given = found(f"{server.url}/v1", boxes=[(179.4, 0.2, -179.4, 0.8)])
    assert sorted(ids(given)) == ["both", "east", "west"]
    assert not given.left_out
    assert [search["bbox"] for search in api.searches if "token" not in search] == [
        [179.4, 0.2, 180.0, 0.8], [-180.0, 0.2, -179.4, 0.8],
    ]  # fmt: skip


def test_a_server_that_leads_in_circles_is_left(tmp_path: Path) -> None:
    with (
        serving(tmp_path, Api(items(), post=True, loop=True)) as server,
        pytest.raises(SourceError, match="same page of results"),
    ):
        found(f"{server.url}/v1")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"type": "Catalog", "links": [', "not a STAC document"),
        (b"<html>", "not a STAC document"),
        (b"[1]", "not a JSON object"),
        (b'{"type": "Topology"}', "its type is 'Topology'"),
    ],
)
def test_what_is_no_stac_is_refused(tmp_path: Path, body: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(body)
    with serving(tmp_path) as server:
        for address in (f"{server.url}/a.json", tmp_path / "a.json"):
            with pytest.raises(SourceError, match=message):
                found(address)


WRONG: list[tuple[str, Any]] = [
    ("properties", None), ("properties", {"datetime": 5}), ("properties", {"datetime": "yesterday"}), ("assets", [1]),
    ("assets", {"blue": 5}), ("bbox", [1, 2]), ("bbox", ["a", "b", "c", "d"]), ("bbox", [0, 60, 1e300, 61]),
    ("bbox", None), ("id", {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_items_that_lie_are_counted_and_left_out(tmp_path: Path, number: int) -> None:
    good, bad = item_of("good", FILES), item_of("bad", FILES)
    bad[WRONG[number][0]] = WRONG[number][1]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [bad, good, None, "x"]}))
    given = found(path)
    assert ids(given) == ["good"]
    assert sum(given.left_out.values()) == 3


@pytest.mark.parametrize(
    "href", ["/etc/passwd", "file:///etc/passwd", "../secret.tif", "s3://bucket/a.jp2", "/vsicurl/x", 5]
)
def test_no_asset_leads_to_files_beside_the_catalog(tmp_path: Path, href: Any) -> None:
    (tmp_path / "secret.tif").write_bytes(b"II*\0")
    folder = tmp_path / "catalog"
    folder.mkdir()
    item = item_of("a", FILES)
    item["assets"]["blue"]["href"] = href
    (folder / "a.json").write_text(json.dumps(item))
    given = found(folder / "a.json")
    assert not given.scenes
    assert sum(given.left_out.values()) == 1


def test_a_server_leads_to_no_file_of_this_machine(tmp_path: Path) -> None:
    item = item_of("a", FILES)
    item["assets"]["blue"]["href"] = "file:///etc/passwd"
    (tmp_path / "a.json").write_text(json.dumps(item))
    (tmp_path / "c.json").write_text(
        json.dumps(
            {
                "type": "Catalog",
                "links": [{"rel": "item", "href": "file:///etc/passwd"}, {"rel": "item", "href": "a.json"}],
            }
        )
    )
    with serving(tmp_path) as server:
        given = found(f"{server.url}/c.json")
        assert set(server.asked) == {"/c.json", "/a.json"}
    assert not given.scenes
    reason = "links that are neither http(s) nor in the folder of the catalog ('file:///etc/passwd')"
    assert given.left_out[reason] == 1
    assert sum(given.left_out.values()) == 2  # and the item without bands


def test_bands_by_common_name_number_or_position() -> None:
    """Oracle: the names of the three big catalogs, as they publish them."""
    from placevec.sources.imagery.scenes import scene_of_item

    def scene(assets: dict[str, Any], **about: Any) -> Any:
        item = {
            "id": "a",
            "bbox": [0, 0, 1, 1],
            "assets": assets,
            "properties": {"datetime": "2023-01-01T00:00:00Z", **about},
        }
        return scene_of_item(item, lambda href: href)

    element84 = scene(
        {"nir08": {"href": "B8A.tif"}, "nir08-jp2": {"href": "s.jp2"}, "visual": {"href": "TCI.tif"}}
    )
    assert {band: asset.href for band, asset in element84.bands.items()} == {"B8A": "B8A.tif"}
    planetary = scene({"B04": {"href": "b4.tif"}, "SCL": {"href": "scl.tif"}, "preview": {"href": "p.tif"}})
    assert (planetary.bands["B04"].href, planetary.classes.href) == ("b4.tif", "scl.tif")
    copernicus = scene(
        {
            "B02_10m": {"href": "b2.jp2", "type": "image/jp2"},
            "B02_20m": {"href": "c.jp2", "type": "image/jp2"},
        }
    )
    assert copernicus.bands["B02"].href == "b2.jp2"
    named = [{"name": "B02"}, {"common_name": "nir"}, {"name": "mystery"}]
    stacked = scene({"data": {"href": "all.tif", "eo:bands": named}})
    assert {band: asset.number for band, asset in stacked.bands.items()} == {"B02": 1, "B08": 2}
    tile = scene({}, **{"mgrs:utm_zone": 5, "mgrs:latitude_band": "V", "mgrs:grid_square": "LG"}).tile
    assert tile == "05VLG"
