"""Chips of scenes around places: where they lie, what they are made of, and everything that goes wrong.

Oracle throughout: the ground of the small scenes, a function of the position alone, whatever the scenes add to it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from pyproj import Transformer

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, PlacevecError, SourceError, UsageError
from placevec.preparation.chips import satellite
from placevec.preparation.chips.mosaic import CLOUDS, GAPS, NO_SCENE, UNREADABLE
from placevec.preparation.chips.shards import ChipWriter
from placevec.sources.imagery.stac import overlap
from tests.sources.imagery.range_server import Asked, Reply, serving
from tests.sources.imagery.small_scenes import (
    BANDS,
    EPSG,
    LEFT,
    TOP,
    ground,
    item_of,
    pixel_centers,
    write_catalog,
    write_scene,
)

PX = 24
EDGE = 0.001
"""Degrees by which scenes overlap at the antimeridian."""
HALF = 1_200
PLACES = {
    "west": (500, 500),
    "east": (1_900, 500),
    "seam": (1_200, 600),
    "clouded": (300, 1_000),
    "rim": (600, 10),
}
"""Meters to the east and south of the upper left corner; the first scene ends in the middle."""


def dark(band: str, x: Any, y: Any) -> Any:
    """The ground, with ponds where no place is: so dark that its pixels tell whether the offset is in them."""
    return np.where((TOP - y > 1_130) & (TOP - y < 1_200), 150.0, ground(band, x, y))


def under_cloud(x: Any, y: Any) -> Any:
    return np.where((x < LEFT + 450) & (y < TOP - 850), 9, 4)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of one day that meet in the middle, one that holds the offset and one whose flag is wrong; and an
    older, cloudier one over all of it."""
    folder = tmp_path_factory.mktemp("scenes")
    one = {"side_m": HALF}
    west = write_scene(folder, "west", **one, added=1000, classes=under_cloud, numbers=dark)
    east = write_scene(
        folder, "east", **one, left=LEFT + HALF, classes=lambda x, y: np.full(x.shape, 4), numbers=dark
    )
    old = write_scene(folder, "old", side_m=2 * HALF, classes=lambda x, y: np.full(x.shape, 5), numbers=dark)
    items = [
        item_of("west", west, **one, cloud=4, applied=False, offset=-0.1),
        item_of("east", east, **one, left=LEFT + HALF, cloud=3, applied=False, tile="35VMG", when="2023-07-01T09:50:40Z"),
        item_of("old", old, side_m=2 * HALF, cloud=15, baseline="02.12", when="2018-05-05T09:50:31Z"),
    ]  # fmt: skip
    write_catalog(folder, items)
    return folder


def lonlat(east: float, south: float) -> tuple[float, float]:
    found: tuple[float, float] = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(
        LEFT + east, TOP - south
    )
    return found


def with_places(path: Path, places: dict[str, tuple[float, float]] | None = None, **more: Any) -> Dataset:
    rows = [(name, *lonlat(*at)) for name, at in (PLACES if places is None else places).items()]
    table = path.with_name(f"{path.name}.csv")
    pd.DataFrame([*rows, *more.values()], columns=["place_id", "lon", "lat"]).to_csv(table, index=False)
    return api.prepare("sphere2vec", points=table, out=path)


def prepared(out: Path, source: Any, **options: Any) -> Dataset:
    return api.prepare("where2vec", satellite=str(source), out=out, chip_px=PX, **options)


def chips_of(dataset: Dataset) -> pd.DataFrame:
    return pq.read_table(dataset.path / "chips.parquet").to_pandas().set_index("place_id")


def check_ground(dataset: Dataset, **tolerance: float) -> None:
    """Every chip shows the ground where its transform says that it lies; its place is in its middle."""
    view, table = dataset.view("satellite"), chips_of(dataset)
    for row, name in enumerate(dataset.places["place_id"]):
        if name not in table.index:
            continue
        a, _, left, _, _, top = table.loc[name, "transform"]
        assert (
            np.hypot(left + a * PX / 2 - LEFT - PLACES[name][0], top - a * PX / 2 - TOP + PLACES[name][1])
            < 7.1
        )
        pixels = view.read(Look(torch.tensor([row])))[0].numpy()  # type: ignore[union-attr]
        x, y = pixel_centers(left, top, a, (PX, PX))
        known = pixels[0] > 0
        assert table.loc[name, "nodata"] == pytest.approx(1 - known.mean())
        for band, found in zip(BANDS, pixels, strict=True):
            np.testing.assert_allclose(
                found[known], np.rint(ground(band, x, y))[known], **{"atol": 0, **tolerance}
            )


def test_chips_of_a_catalog_on_a_server(scenes: Path, tmp_path: Path) -> None:
    before = with_places(tmp_path / "ds")
    with serving(scenes) as server:
        dataset = prepared(before.path, f"{server.url}/catalog.json", max_nodata=0.5)
    check_ground(dataset)
    table = chips_of(dataset)
    assert table.loc["west", "source"] == "west at west"
    assert table.loc["seam", "source"] == "east+west at seam"  # least cloudy first, gaps from the same day
    assert table.loc["clouded", "source"] == "old at clouded"
    assert table["offset_applied"].to_dict() == {
        "west": -1000,
        "east": 0,
        "seam": 0,
        "clouded": 0,
        "rim": -1000,
    }
    assert str(table.loc["clouded", "date"]) == "2018-05-05"
    assert table.loc["rim", "nodata"] == pytest.approx(0.46, abs=0.03)
    assert (table["cloud"] == 0).all()
    assert set(table["crs"]) == {f"EPSG:{EPSG}"}
    spec = dataset.spec("satellite")
    assert (spec.channels, spec.size_px, spec.size_m, spec.values) == (BANDS, PX, 240.0, satellite.VALUES)
    assert "Contains modified Copernicus Sentinel data 2018-2023" in dataset.attribution
    offsets = dataset.manifest["report"]["satellite"]["offsets"]
    assert {name: (one["added"], one["doubtful"]) for name, one in offsets.items()} == {
        "west": (-1000, False), "east": (0, True), "old": (0, False),
    }  # fmt: skip
    assert dataset.places.equals(before.places)


def test_the_same_command_reuses_them_and_another_one_is_refused(scenes: Path, tmp_path: Path) -> None:
    out = with_places(tmp_path / "ds", {name: PLACES[name] for name in ("west", "east")}).path
    first = prepared(out, scenes / "catalog.json")
    assert prepared(out, scenes / "catalog.json").hash == first.hash
    with pytest.raises(DatasetError, match=r"--pixel-m was 10\.0 and is 20.0 now"):
        prepared(out, scenes / "catalog.json", pixel_m=20)


def test_local_files_give_the_same_chips(scenes: Path, tmp_path: Path) -> None:
    """Without a catalog nothing is known of baselines: their dark pixels tell that both hold no offset."""
    folder = tmp_path / "scenes"
    shutil.copytree(scenes, folder, ignore=shutil.ignore_patterns("*.json", "west*"))
    dataset = prepared(with_places(tmp_path / "ds").path, folder)
    check_ground(dataset)
    assert set(chips_of(dataset).index) == {"west", "east", "seam", "clouded"}


def test_coarser_pixels_are_means(scenes: Path, tmp_path: Path) -> None:
    out = with_places(tmp_path / "ds", {"east": (1_800, 600), "far": (9_000, 600)}).path
    dataset = prepared(out, scenes / "catalog.json", pixel_m=20, bands="B08,B03", max_cloud=10)
    pixels = np.load(out / "chips" / "0000.npy")[0]
    left, top = chips_of(dataset).loc["east", "transform"][[2, 5]]
    x, y = pixel_centers(left, top, 20, (PX, PX))
    np.testing.assert_allclose(pixels[0], ground("B08", x, y), atol=1)
    np.testing.assert_allclose(pixels[1], ground("B03", x, y), atol=1)


def test_several_dates_are_several_chips(scenes: Path, tmp_path: Path) -> None:
    dataset = prepared(with_places(tmp_path / "ds").path, scenes / "catalog.json", max_chips=3)
    dates = chips_of(dataset)["date"].astype(str).groupby(level=0).agg(list)
    assert dates["east"] == ["2023-07-01", "2018-05-05"]
    assert dates["seam"] == ["2023-07-01", "2018-05-05"]
    assert dates["clouded"] == ["2018-05-05"]


def test_places_without_a_chip_are_counted_by_reason(scenes: Path, tmp_path: Path) -> None:
    """All cloud, at the rim, at the other end of the Earth, at a pole, at the antimeridian, and nowhere."""
    more = {
        "far": ("far", -60.0, -20.0),
        "pole": ("pole", 10.0, 89.0),
        "line": ("line", 179.99999, 60.0),
        "no": ("no", None, None),
    }
    dataset = with_places(tmp_path / "ds", **more)
    dataset = prepared(dataset.path, scenes / "catalog.json", dates="2023-01-01/2023-12-31")
    without = dataset.manifest["report"]["satellite"]["places_without"]
    assert without == {NO_SCENE: 3, CLOUDS: 1, GAPS: 1}
    assert dataset.manifest["report"]["satellite"]["rejected_for_clouds_by"] == {"SCL": 1}
    assert set(chips_of(dataset).index) == {"west", "east", "seam"}
    known = dataset.view("satellite").known  # type: ignore[attr-defined]
    assert known.sum() == 3


def test_chips_over_the_antimeridian(tmp_path: Path) -> None:
    """Two scenes that meet near 180 degrees, one in zone 1 and one in zone 60; oracle: a plane in meters of zone 60."""
    other = Transformer.from_crs(32601, 32660, always_xy=True)
    x0, y0 = Transformer.from_crs(4326, 32660, always_xy=True).transform(180.0, 60.0)

    def plane(x: Any, y: Any) -> Any:
        return 3_000 + (x - x0) + 0.5 * (y - y0)

    def far_plane(band: str, x: Any, y: Any) -> Any:
        return plane(*other.transform(x, y))

    items = []
    for name, epsg, numbers, tile in (
        ("sixty", 32660, lambda band, x, y: plane(x, y), "60VXM"), ("one", 32601, far_plane, "01VCG"),
    ):  # fmt: skip
        x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(180.0, 60.0)
        where = {
            "left": round(x / 10) * 10 - 600.0,
            "top": round(y / 10) * 10 + 600.0,
            "side_m": 1_200,
            "epsg": epsg,
        }
        files = write_scene(tmp_path, name, **where, numbers=numbers, empty=_beyond(epsg))
        item = item_of(
            name,
            files,
            tile=tile,
            baseline="03.00",
            left=where["left"],
            top=where["top"],
            side_m=1_200,
            epsg=epsg,
        )
        west, east = (179.98, 180.0) if epsg == 32660 else (-180.0, -179.98)
        items.append({**item, "bbox": [west, 59.9, east, 60.1]})
    write_catalog(tmp_path, items)
    dataset = with_places(tmp_path / "ds", {}, a=("a", 179.9995, 60.0), b=("b", -179.9995, 60.0))
    dataset = prepared(dataset.path, tmp_path / "catalog.json", cloud_model="none")
    pixels = np.load(dataset.path / "chips" / "0000.npy")
    for name, row in chips_of(dataset).iterrows():
        assert row["crs"] == {"a": "EPSG:32660", "b": "EPSG:32601"}[str(name)]
        assert row["nodata"] == 0
        assert len(row["source"].split("+")) == 2
        x, y = pixel_centers(row["transform"][2], row["transform"][5], 10, (PX, PX))
        if row["crs"] == "EPSG:32601":
            x, y = other.transform(x, y)
        away = np.abs(pixels[row["row"], 0] - plane(x, y))
        assert away.max() < 6  # half a pixel, where a scene ends
        assert away.mean() < 1


def _beyond(epsg: int) -> Any:
    """Where a scene has nothing: on the other side of the antimeridian, but for an edge where both see."""
    back = Transformer.from_crs(epsg, 4326, always_xy=True)

    def beyond(x: Any, y: Any) -> Any:
        lon = back.transform(x, y)[0]
        return (lon > -180 + EDGE) & (lon < 0) if epsg == 32660 else (lon > 0) & (lon < 180 - EDGE)

    return beyond


def test_a_scene_that_dies_leaves_its_places_to_others(scenes: Path, tmp_path: Path) -> None:
    def dies(asked: Asked) -> Reply | None:
        return Reply(410) if "east_B0" in asked.path else None

    with serving(scenes, dies) as server:
        dataset = prepared(with_places(tmp_path / "ds").path, f"{server.url}/catalog.json")
    check_ground(dataset)
    assert "410" in dataset.manifest["report"]["satellite"]["unreadable"]["east"]
    assert chips_of(dataset)["source"][["east", "seam"]].tolist() == ["old at east", "west+old at seam"]


def test_scenes_that_cannot_be_read_at_all(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few: no place gets a chip, and nothing stays. Too many in a row: the work is kept, and goes on later."""
    out = with_places(tmp_path / "ds").path
    up = {"tif": False}

    def down(asked: Asked) -> Reply | None:
        return Reply(410) if asked.path.endswith(".tif") and not up["tif"] else None

    with serving(scenes, down) as server:
        with pytest.raises(SourceError, match=f"no place got a chip: .*{UNREADABLE}"):
            prepared(out, f"{server.url}/catalog.json")
        assert not list(out.glob(".*"))
        monkeypatch.setattr(satellite, "MAX_IN_A_ROW", 2)
        with pytest.raises(
            PlacevecError, match=r"2 scenes in a row cannot be read: .* run the same command again"
        ):
            prepared(out, f"{server.url}/catalog.json")
        assert list(out.glob(".work/*"))
        up["tif"] = True
        searches = server.asked["/catalog.json"]
        check_ground(prepared(out, f"{server.url}/catalog.json"))
        assert server.asked["/catalog.json"] == searches  # the scenes that were found are still known
    assert not list(out.glob(".*"))


def test_a_killed_job_goes_on_where_it_was(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the chips of a job that was not killed. It dies in its third batch, between its chips and their note."""
    whole = prepared(with_places(tmp_path / "whole").path, scenes / "catalog.json")
    out = with_places(tmp_path / "ds").path
    monkeypatch.setattr(satellite, "_BATCH", 1)
    flushed: list[str] = []
    flush = ChipWriter.flush

    def dies(self: ChipWriter) -> None:
        flush(self)
        flushed.append("")
        if len(flushed) == 3:
            raise KeyboardInterrupt

    with serving(scenes) as server:
        with monkeypatch.context() as patched:
            patched.setattr(ChipWriter, "flush", dies)
            with pytest.raises(KeyboardInterrupt):
                prepared(out, f"{server.url}/catalog.json")
        assert Dataset.open(out).view_names == ("coordinates",)
        asked = server.asked["/catalog.json"]
        dataset = prepared(out, f"{server.url}/catalog.json")
        assert server.asked["/catalog.json"] == asked
    check_ground(dataset)
    ours, theirs = chips_of(dataset), chips_of(whole)
    columns = ["date", "source", "offset_applied", "nodata", "cloud"]
    pd.testing.assert_frame_equal(ours[columns].sort_index(), theirs[columns].sort_index())
    assert not list(out.glob(".*"))


def test_no_usable_scene_is_one_line(scenes: Path, tmp_path: Path) -> None:
    out = with_places(tmp_path / "ds").path
    with pytest.raises(
        SourceError, match=r"no usable scene around the places \(left out: 3 without the band B11"
    ):
        prepared(out, scenes / "catalog.json", bands="B02,B11")
    with pytest.raises(SourceError, match="3 outside the dates"):
        prepared(out, scenes / "catalog.json", dates="2001-01-01/2001-12-31")
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"satellite": ""}, "--pixel-m applies to satellite chips"),
        ({"bands": "B02,B99"}, "no band 'B99'"),
        ({"dates": "2023-13-01/2023-01-01"}, "--dates must look like"),
        ({"dates": "2023-05-01/2023-01-01"}, "--dates must look like"),
        ({"satellite": ("a.json", "b.json")}, "one STAC catalog"),
        ({"images": "folder"}, "not both"),
        ({"chip_px": 2048, "pixel_m": 1000}, "wider than 100 km"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    given = {"satellite": "catalog.json", "pixel_m": 20, **options}
    with pytest.raises(UsageError, match=message):
        api.prepare(
            "where2vec", out=tmp_path / "ds", **{name: value for name, value in given.items() if value != ""}
        )


def test_clouds_by_the_model_where_there_are_no_classes(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is replaced by one that sees cloud in the west; oracle: which scene each chip is from."""
    folder = tmp_path / "scenes"
    shutil.copytree(scenes, folder, ignore=shutil.ignore_patterns("*SCL*"))
    for path in folder.glob("*.json"):
        item = json.loads(path.read_text())
        item.get("assets", {}).pop("scl", None)
        path.write_text(json.dumps(item))
    monkeypatch.setattr(satellite.clouds, "has_model", lambda: True)
    seen = []

    def sees(pixels: Any, bands: tuple[str, ...], product: str) -> Any:
        seen.append(bands)
        return np.broadcast_to(pixels[bands.index("B02")] < 1_000, pixels.shape[1:])

    monkeypatch.setattr(satellite.clouds, "cloudy_pixels", sees)
    out = with_places(tmp_path / "ds").path
    dataset = prepared(out, folder / "catalog.json", bands="B04", max_chip_cloud=0.5)
    assert set(seen) == {("B04", "B02", "B03", "B08")}
    assert dataset.spec("satellite").channels == ("B04",)
    blue = {name: float(ground("B02", LEFT + east, TOP - south)) for name, (east, south) in PLACES.items()}
    assert set(chips_of(dataset).index) <= {name for name, value in blue.items() if value > 990}
    none = prepared(with_places(tmp_path / "none").path, folder / "catalog.json", cloud_model="none")
    assert chips_of(none)["cloud"].isna().all()
    monkeypatch.setattr(satellite.clouds, "cloudy_pixels", lambda pixels, *_: np.ones(pixels.shape[1:], bool))
    with pytest.raises(SourceError, match=r"too much cloud \(rejected by ukis-csmask: \d+ chips\)"):
        prepared(with_places(tmp_path / "all").path, folder / "catalog.json")


def test_one_search_a_group_of_places() -> None:
    """Oracle: the boxes hold all places that Sentinel-2 sees, and none is as wide as the Earth."""
    world = np.array(
        [[24.9, 60.1], [24.95, 60.15], [-51.2, -30.0], [179.99, -17.0], [-179.99, -17.0], [0.0, 89.0]]
    )
    boxes = satellite.search_boxes(np.vstack([world, [[np.nan, np.nan]]]), 1_000.0)
    assert len(boxes) == 4
    assert all(any(overlap((lon, lat, lon, lat), box) for box in boxes) for lon, lat in world[:5])
    assert max((east - west) % 360 for west, _, east, _ in boxes) < 1
    (line,) = satellite.search_boxes(world[3:5], 1_000.0)
    assert line[0] > line[2]
    assert satellite.search_boxes(world[5:], 1_000.0) == []
