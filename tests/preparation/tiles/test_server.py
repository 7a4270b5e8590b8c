"""A dataset from a tile server. Oracle: the pixels that the server sends, counted and compared."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, PlacevecError, SourceError, UsageError
from placevec.geo import lonlat_to_tile_xy, tile_xy_to_lonlat
from placevec.sources.tiles import download as tile_server
from placevec.sources.tiles.loc2vec_metadata import read_loc2vec_metadata
from tests.sources.tiles.test_decode import claiming
from tests.tile_servers import Asked, Reply, Server, pixels, png, serving, well

ZOOM = 16
WEST, NORTH = 37310, 18957
"""The upper left tile of the area; it lies in central Helsinki."""


def box(width: int, height: int) -> str:
    """The area of some tiles, a hair inside their edges."""
    west, north = tile_xy_to_lonlat([WEST + 0.01, NORTH + 0.01], ZOOM)
    east, south = tile_xy_to_lonlat([WEST + width - 0.01, NORTH + height - 0.01], ZOOM)
    return f"{west},{south},{east},{north}"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tile_server, "FIRST_WAIT_S", 0.005)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def prepare(server: Server, folder: Path, **options: Any) -> Dataset:
    return api.prepare(
        "loc2vec",
        **{"tiles": server.template, "bbox": box(4, 3), "zoom": ZOOM, "out": folder / "data", **options},
    )


def seen(dataset: Dataset, x: int, y: int) -> np.ndarray:
    """(256, 256, 3) a tile as the dataset shows it."""
    center = torch.from_numpy(tile_xy_to_lonlat([[x + 0.5, y + 0.5]], ZOOM))
    batch = dataset.view("map").read(Look(torch.tensor([-1]), center))
    return np.asarray(batch)[0].transpose(1, 2, 0)


def test_whole_tiles(server: Server, tmp_path: Path) -> None:
    """Every tile of the box is a place, its pixels are the server's, and nothing else was asked for."""
    dataset = prepare(server, tmp_path, margin_m=0)
    assert dataset.name == "data"  # not "127.0.0.1", which says nothing as a title
    assert dataset.spec("map").channels == ("red", "green", "blue")
    assert set(dataset.places["place_id"]) == {
        f"{ZOOM}/{x}/{y}" for x in range(WEST, WEST + 4) for y in range(NORTH, NORTH + 3)
    }
    assert len(server.asked) == 12
    for x, y in ((WEST, NORTH), (WEST + 3, NORTH + 2)):
        np.testing.assert_array_equal(seen(dataset, x, y), pixels(x, y))
    (source,) = dataset.manifest["sources"]
    assert source["kind"] == "tile-server"
    assert source["attribution"] == "© OpenStreetMap contributors, ODbL 1.0"


def test_samples_need_their_tiles_only(server: Server, tmp_path: Path) -> None:
    dataset = prepare(server, tmp_path, samples=3, patch_size=64, margin_m=0, seed=4)
    at = np.floor(lonlat_to_tile_xy(dataset.lonlat[:, 0], dataset.lonlat[:, 1], ZOOM)).astype(int)
    asked = {(x, y) for _, x, y in server.asked}
    assert {(int(x), int(y)) for x, y in at} <= asked
    assert len(asked) <= 12
    assert all(min(np.abs(at - tile).max(axis=1)) <= 1 for tile in np.array(sorted(asked)))
    assert len(dataset) == 3
    assert dataset.manifest["places"]["size_m"] == pytest.approx(
        64 * 1.19 * 2 * np.cos(np.radians(60.17)), rel=0.01
    )


def test_the_default_margin_reaches_as_far_as_training_does(server: Server, tmp_path: Path) -> None:
    """A window of 200 m, turned, up to 112 m from its place: all of its pixels are there."""
    dataset = prepare(server, tmp_path, bbox=box(2, 2), samples=4, seed=1)
    view = dataset.view("map").window(size_px=64, size_m=200.0, channels=("blue",))
    random = np.random.default_rng(0)
    away = random.uniform(0, 2 * np.pi, 40)
    meter = 1 / 111_320
    step = np.stack([np.cos(away) / np.cos(np.radians(60.17)), np.sin(away)], axis=1) * 111.0 * meter
    points = dataset.lonlat[random.integers(0, 4, 40)] + step
    angles = torch.from_numpy(random.uniform(0, 2 * np.pi, 40))
    read = view.read(Look(torch.full((40,), -1), torch.from_numpy(points), {"angle": angles}))
    # a blank tile would leave whole stretches at zero, where the pictures have single pixels of it
    assert float((np.asarray(read) == 0).mean()) < 0.02


def test_founding_spellings(server: Server, tmp_path: Path) -> None:
    made = api.prepare(
        "loc2vec", out=tmp_path / "data", server_ip="127.0.0.1", server_port=server.port, bbox=box(3, 3), zoom=ZOOM,
        samples=5, patch_size=64,
    )  # fmt: skip
    noted = json.loads((made.path / "metadata.json").read_text("utf-8"))
    assert noted["server_ip_source"] == "127.0.0.1"
    assert noted["server_port_source"] == server.port
    assert noted["server_path_source"] == "/hot/{z}/{x}/{y}.png"
    assert (noted["zoom"], noted["patch_size"], noted["num_samples"]) == (ZOOM, 64, 5)
    np.testing.assert_allclose(np.array(noted["sample_coordinates"])[:, ::-1], made.lonlat)
    assert read_loc2vec_metadata(made.path / "metadata.json").patch_size == 64
    again = api.prepare(
        "loc2vec",
        out=tmp_path / "again",
        tiles=server.template,
        zoom=ZOOM,
        places=made.path / "metadata.json",
    )
    np.testing.assert_array_equal(again.lonlat, made.lonlat)


# --- tiles that are not good ---------------------------------------------------------------------------------


def plain(color: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (256, 256), color).save(file, "PNG")
    return file.getvalue()


def flat(asked: Asked) -> Reply:
    """Tile 1 of the upper row is all white, tile 2 is not there, tile 3 a PNG without its pixels."""
    if (asked.x, asked.y) == (WEST + 1, NORTH):
        return Reply(body=plain("white"))
    if (asked.x, asked.y) == (WEST + 2, NORTH):
        return Reply(404)
    if (asked.x, asked.y) == (WEST + 3, NORTH):
        return Reply(body=claiming(256, 256))
    return well(asked)


def test_they_are_counted_listed_and_kept_out(server: Server, tmp_path: Path) -> None:
    server.answering = flat
    dataset = prepare(server, tmp_path, margin_m=0, max_failed=0.2)
    report = dataset.manifest["report"]
    assert {name: report[f"tiles_{name}"] for name in ("good", "blank", "missing", "corrupt", "failed")} == {
        "good": 9, "blank": 1, "missing": 1, "corrupt": 1, "failed": 0,
    }  # fmt: skip
    assert report["places_left_out"] == {"without_tiles": 2, "of_one_color": 1}
    assert len(dataset) == 9
    with open(dataset.path / "tiles_left_out.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["tile"], row["kind"]) for row in rows] == [
        (f"{ZOOM}/{WEST + 1}/{NORTH}", "blank"),
        (f"{ZOOM}/{WEST + 2}/{NORTH}", "missing"),
        (f"{ZOOM}/{WEST + 3}/{NORTH}", "corrupt"),
    ]
    assert (seen(dataset, WEST + 1, NORTH) == 255).all()
    assert (seen(dataset, WEST + 2, NORTH) == 0).all()
    kept = prepare(server, tmp_path, out=tmp_path / "all", margin_m=0, max_failed=0.2, all_tiles=True)
    assert len(kept) == 10


def test_too_many_of_them(server: Server, tmp_path: Path) -> None:
    server.answering = flat
    with pytest.raises(
        SourceError, match=r"2 of 12 tiles are missing.*, but at most 1 are allowed.*--max-failed SHARE"
    ) as caught:
        prepare(server, tmp_path, margin_m=0, max_failed=0.1)
    listed = Path(str(caught.value).split("listed in ")[1].split("; to allow")[0])
    assert "corrupt" in listed.read_text("utf-8")
    assert len(prepare(server, tmp_path, margin_m=0, max_failed=0.2)) == 9


def test_a_server_without_data(server: Server, tmp_path: Path) -> None:
    server.answering = lambda asked: Reply(body=plain("#f2efe9"))
    with pytest.raises(
        SourceError, match=r"does the server cover this area, around lon=24\.958, lat=60\.200\?"
    ):
        prepare(server, tmp_path)


# --- again ---------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_twice(server: Server, tmp_path: Path) -> None:
    first = prepare(server, tmp_path)
    count = len(server.requests)
    assert prepare(server, tmp_path).hash == first.hash
    other = prepare(server, tmp_path, out=tmp_path / "other", bbox=box(3, 3))
    assert len(other) == 9
    assert len(server.requests) == count
    with pytest.raises(DatasetError, match="made from other inputs"):
        prepare(server, tmp_path, bbox=box(2, 2))


def test_force_takes_what_changed(server: Server, tmp_path: Path) -> None:
    before = prepare(server, tmp_path, margin_m=0)
    server.answering = lambda asked: Reply(body=png(asked.x + 9, asked.y))
    after = prepare(server, tmp_path, margin_m=0, force=True, refresh_tiles=True)
    assert before.hash != after.hash
    np.testing.assert_array_equal(seen(after, WEST, NORTH), pixels(WEST + 9, NORTH))


def test_a_key_is_written_nowhere(server: Server, tmp_path: Path) -> None:
    dataset = prepare(server, tmp_path, tiles=f"{server.template}?key=abc123", samples=3, attribution="© me")
    for path in dataset.path.iterdir():
        if path.is_file():
            assert b"abc123" not in path.read_bytes(), path
    assert dataset.attribution == "© me"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bbox": None}, "an area is required"),
        ({"mbtiles": "a.mbtiles"}, "give only one source"),
        ({"tiles": "http://localhost/tiles"}, "lacks"),
        ({"samples": 3, "spacing": 100.0}, "choose places with either --samples or --spacing, not both"),
        ({"samples": 0}, "--samples must be an integer of at least 1"),
        (
            {"samples": 3, "patch_size": 64, "size_m": 50.0},
            r"with either --patch-size \(pixels\) or --size-m",
        ),
        ({"patch_size": 64}, "places are whole tiles"),
        ({"max_failed": 2.0}, "--max-failed must be a number of at least 0 and at most 1"),
        ({"margin_m": -1.0}, "--margin-m must be a number of at least 0 and at most 100,000"),
        ({"connections": 0}, "--connections must be an integer of at least 1 and at most 64"),
        ({"server_port": 8080}, "need --server-ip"),
        ({"threshold": 9}, "applies to existing tiles"),
        ({"layers": "layers.toml"}, "applies to drawing an OpenStreetMap extract"),
        ({"tiles": None, "osm_name": "helsinki-center", "samples": 3}, "applies to tile servers"),
    ],
)
def test_options_that_make_no_sense(
    server: Server, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PlacevecError, match=reason):
        prepare(server, tmp_path, **options)
    assert issubclass(UsageError, PlacevecError)
    assert not (tmp_path / "data").exists()
