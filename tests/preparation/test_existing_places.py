"""Maps for places that are there already. Oracles: the dataset that is made of the same table in one go, tiles as drawn,
and the bytes of before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.raster.coverage import Coverage
from placevec.errors import AreaError, DatasetError, PlacevecError
from placevec.geo import distance_m, tile_xy_to_lonlat
from placevec.preparation.existing_places import box_around
from placevec.recipes import recipe
from tests.preparation.tiles.test_folder import X, Y, Z, masks, write
from tests.tile_servers import pixels, serving

WEST, SOUTH, EAST, NORTH = 24.938, 60.166, 24.951, 60.177
"""Well inside the embedded extract."""


def table(path: Path, count: int = 120, seed: int = 0, shift: float = 0.0) -> Path:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "place_id": [f"tree {row}" for row in range(count)],
            "lon": random.uniform(WEST, EAST, count) + shift,
            "lat": random.uniform(SOUTH, NORTH, count),
            "species": random.choice(["oak", "elm"], count),
        }
    )
    frame.to_csv(path, index=False)
    return path


def points(folder: Path, **options: Any) -> Dataset:
    csv = table(folder / "trees.csv", **{name: options.pop(name) for name in ("shift",) if name in options})
    return api.prepare("sphere2vec", points=csv, label="species", out=folder / "ds", **options)


def windows(dataset: Dataset, rows: np.ndarray | None = None) -> np.ndarray:
    """(N, C, 48, 48) what is seen around places."""
    lonlat = dataset.lonlat if rows is None else dataset.lonlat[rows]
    view: Any = dataset.view("map")
    look = Look(torch.full((len(lonlat),), -1), torch.from_numpy(lonlat))
    return np.asarray(view.window(size_px=48, size_m=200.0).read(look))


def kept(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("places.parquet", "labels.parquet")}


# --- an extract ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset, dict[str, bytes]]:
    """(points with a map added, the same table with a map in one go, the files of the points before)."""
    folder = tmp_path_factory.mktemp("both")
    before = points(folder)
    files = kept(before.path)
    mapped = api.prepare("loc2vec", osm_name="helsinki-center", out=before.path)
    at_once = api.prepare(
        "loc2vec", osm_name="helsinki-center", places=folder / "trees.csv", out=folder / "at once", size_m=200
    )
    return mapped, at_once, files


def test_a_map_joins_points_and_they_stay_as_they_are(
    both: tuple[Dataset, Dataset, dict[str, bytes]],
) -> None:
    mapped, at_once, before = both
    assert mapped.view_names == ("coordinates", "map")
    assert kept(mapped.path) == before
    assert mapped.places["place_id"].tolist() == at_once.places["place_id"].tolist()
    seen = windows(mapped)
    assert np.array_equal(seen, windows(at_once))
    assert seen.mean() > 0
    assert (mapped.labels().split is not None, len(mapped.labels())) == (True, 120)
    assert mapped.manifest["places"]["size_m"] is None
    assert not list(mapped.path.glob(".*"))


def test_what_lies_around_them_is_known_as_if_made_in_one_go(
    both: tuple[Dataset, Dataset, dict[str, bytes]],
) -> None:
    """Land use and points of interest of the windows, and the names."""
    mapped, at_once, _ = both
    assert np.array_equal(mapped.footprints(), at_once.footprints())
    shares = [
        Coverage(one.path / "landuse_coverage.tif").fractions(one.footprints(), 17)
        for one in (mapped, at_once)
    ]
    assert np.array_equal(*shares)
    assert shares[0].max() > 0.5
    names = [one.places["name"].tolist() for one in (mapped, at_once)]
    assert names[0] == names[1]
    assert sum(name is not None for name in names[0]) > 60


def test_the_map_is_no_larger_than_the_windows_need(both: tuple[Dataset, Dataset, dict[str, bytes]]) -> None:
    """Also where windows turn and positives lie near: 112 m off, a window of 200 m turned by 45 degrees is whole."""
    mapped, at_once, _ = both
    area = mapped.manifest["provenance"]["map"]["inputs"]["area"]["bounds"]
    assert area[0] < WEST < EAST < area[2]
    lonlat = mapped.lonlat
    west, east = lonlat[:, 0].min(), lonlat[:, 0].max()
    for outer, inner in ((area[0], west), (area[2], east)):
        assert 112 + 141 <= distance_m(outer, 60.17, inner, 60.17) < 300
    random = np.random.default_rng(0)
    away = random.uniform(0, 2 * np.pi, 120)
    step = np.stack([np.cos(away) / np.cos(np.radians(60.17)), np.sin(away)], axis=1) * 111.0 / 111_320
    look = Look(torch.full((120,), -1), torch.from_numpy(lonlat + step), {"angle": torch.from_numpy(away)})
    views: list[Any] = [one.view("map") for one in (mapped, at_once)]
    read = [np.asarray(view.window(size_px=48, size_m=200.0).read(look)) for view in views]
    drawn = [
        name != "water" for name in at_once.spec("map").channels
    ]  # the sea is closed along the edge of the map
    assert np.array_equal(read[0][:, drawn], read[1][:, drawn])


@pytest.mark.usefixtures("small_probes")
def test_it_is_trained_on_embedded_and_evaluated_as_any(
    both: tuple[Dataset, Dataset, dict[str, bytes]], tmp_path: Path
) -> None:
    mapped, _, _ = both
    options: dict[str, Any] = {
        "epochs": 1, "steps_per_epoch": 1, "batch_size": 16, "size_px": 32, "encoder": "compact-tile-cnn", "width": 8,
        "dim": 8,
    }  # fmt: skip
    model = api.train("loc2vec", mapped, out=tmp_path / "run", **options)
    report = api.evaluate(api.embed(model, mapped), budget="quick", seeds=1, allow_leaks=True)
    assert any("landuse" in line for line in [*(one.task for one in report.results), *report.skipped])
    loc2vec = recipe("loc2vec")
    config, training = loc2vec.configure(
        "default", {**options, "drop_layers": ("leisure",), "predict": ("layers",)}
    )
    assert loc2vec.built(mapped, config, training).places > 0


def test_the_same_command_reuses_and_another_option_is_named(
    both: tuple[Dataset, Dataset, dict[str, bytes]],
) -> None:
    mapped, _, _ = both
    before = {path: path.stat().st_mtime_ns for path in mapped.path.rglob("*")}
    assert api.prepare("loc2vec", osm_name="helsinki-center", out=mapped.path).hash == mapped.hash
    with pytest.raises(DatasetError, match=r"holds a view 'map' made from other inputs: --zoom"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=mapped.path, zoom=16)
    with pytest.raises(DatasetError, match=r"holds a view 'map' made from other inputs: --bbox"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=mapped.path, bbox=(WEST, SOUTH, EAST, NORTH))
    assert {path: path.stat().st_mtime_ns for path in mapped.path.rglob("*")} == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spacing": 60}, "already has 120 places, and --spacing would create others"),
        ({"all_tiles": True}, "already has 120 places, and --all-tiles would create others"),
        ({"size_m": 90}, "its places are points without a size, not 90 m"),
        (
            {"bbox": (24.9360, 60.1643, 24.9362, 60.1645)},
            "its places are elsewhere: none of 120 is in the area",
        ),
    ],
)
def test_what_would_give_it_other_places_is_rejected_by_name(
    options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    dataset = points(tmp_path)
    before = {path.name: path.read_bytes() for path in dataset.path.iterdir()}
    with pytest.raises(PlacevecError, match=words):
        api.prepare("loc2vec", osm_name="helsinki-center", out=dataset.path, **options)
    assert {path.name: path.read_bytes() for path in dataset.path.iterdir()} == before


def test_a_table_of_places_must_be_theirs(tmp_path: Path) -> None:
    dataset = points(tmp_path, size_m=80.0)
    options: dict[str, Any] = {"osm_name": "helsinki-center", "out": dataset.path}
    frame = pd.read_csv(tmp_path / "trees.csv")
    for name, other, words in (
        ("moved", frame.assign(lon=frame["lon"] + 0.001), "120 of 120 in .* have a different location"),
        (
            "renamed",
            frame.assign(place_id=[f"t{row}" for row in range(120)]),
            "120 of 120 in .* have an unknown ID",
        ),
        ("some", frame[:90], "has 90 of its 120"),
    ):
        other.to_csv(tmp_path / f"{name}.csv", index=False)
        with pytest.raises(DatasetError, match=f"its places do not match: .*{words}"):
            api.prepare("loc2vec", places=tmp_path / f"{name}.csv", **options)
    with pytest.raises(DatasetError, match="its places are 80 m wide, not 200 m"):
        api.prepare("loc2vec", size_m=200, **options)
    mapped = api.prepare("loc2vec", places=tmp_path / "trees.csv", size_m=80.0, **options)
    assert mapped.view_names == ("coordinates", "map")
    assert mapped.footprint_m == 80.0


def test_places_of_other_ground_get_no_map(tmp_path: Path) -> None:
    dataset = points(tmp_path, shift=-10.0)
    with pytest.raises(AreaError, match="none of 120 is in Helsinki center, which covers"):
        api.prepare("loc2vec", osm_name="helsinki-center", out=dataset.path)
    assert dataset.view_names == Dataset.open(dataset.path).view_names
    assert not list(dataset.path.glob(".*"))


def test_force_starts_the_whole_dataset_afresh(tmp_path: Path) -> None:
    dataset = points(tmp_path)
    new = api.prepare("loc2vec", osm_name="helsinki-center", out=dataset.path, spacing=100, force=True)
    assert (new.view_names, new.has_labels, new.manifest.get("additions")) == (("map",), False, None)
    assert not new.descends_from(dataset.hash)


# --- tiles ----------------------------------------------------------------------------------------------------------


def test_ready_tiles_join_points(tmp_path: Path) -> None:
    """Every place sees the tile that it lies on, as the dataset of the tiles alone shows it; outside it is blank."""
    folder = write(tmp_path / "tiles", masks())
    random = np.random.default_rng(1)
    at = np.stack([random.uniform(X, X + 3, 40), random.uniform(Y, Y + 3, 40)], axis=1)
    at[:2] += 30
    lonlat = tile_xy_to_lonlat(at, Z)
    frame = pd.DataFrame({"lon": lonlat[:, 0], "lat": lonlat[:, 1], "kind": random.choice(["a", "b"], 40)})
    frame.to_csv(tmp_path / "p.csv", index=False)
    out = tmp_path / "ds"
    before = kept(api.prepare("sphere2vec", points=tmp_path / "p.csv", label="kind", out=out).path)
    mapped = api.prepare("loc2vec", tile_folder=folder, out=out)
    alone = api.prepare("loc2vec", tile_folder=folder, out=tmp_path / "alone")
    assert kept(out) == before
    view: Any = alone.view("map")
    look = Look(torch.full((40,), -1), torch.from_numpy(mapped.lonlat))
    expected = np.asarray(view.window(size_px=48, size_m=200.0).read(look))
    assert np.array_equal(windows(mapped), expected)
    assert not windows(mapped, np.arange(2)).any()
    assert api.prepare("loc2vec", tile_folder=folder, out=out).hash == mapped.hash
    with pytest.raises(DatasetError, match=r"view 'map' made from other inputs: --buildings"):
        api.prepare("loc2vec", tile_folder=folder, out=out, background="white")
    with pytest.raises(
        DatasetError, match="already has 40 places, and --require-all-layers would create others"
    ):
        api.prepare("loc2vec", tile_folder=folder, out=out, require_all_layers=True)
    with pytest.raises(DatasetError, match="already holds a view 'map', made from tiles"):
        api.prepare("loc2vec", tiles="http://127.0.0.1:9/{z}/{x}/{y}.png", zoom=Z, out=out)


def test_a_tile_server_is_asked_for_the_windows_of_points_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))
    zoom, x, y = 16, 37310, 18957
    lonlat = tile_xy_to_lonlat(np.array([[x + 0.5, y + 0.5], [x + 20.5, y + 0.5]]), zoom)
    pd.DataFrame({"lon": lonlat[:, 0], "lat": lonlat[:, 1]}).to_csv(tmp_path / "p.csv", index=False)
    out = tmp_path / "ds"
    before = api.prepare("sphere2vec", points=tmp_path / "p.csv", out=out)
    with serving() as server:
        options: dict[str, Any] = {"tiles": server.template, "zoom": zoom, "out": out, "margin_m": 0}
        with pytest.raises(DatasetError, match="already has 2 places, and --samples would create others"):
            api.prepare("loc2vec", samples=3, **options)
        assert not server.asked
        mapped = api.prepare("loc2vec", **options)
        assert {(across, down) for _, across, down in server.asked} == {
            (x, y),
            (x + 20, y),
        }  # 200 m of tiles of 300 m
    assert mapped.view_names == ("coordinates", "map")
    assert mapped.places_hash == before.places_hash
    view: Any = mapped.view("map")
    read = np.asarray(view.read(Look(torch.tensor([-1]), torch.from_numpy(lonlat[:1]))))
    np.testing.assert_array_equal(read[0].transpose(1, 2, 0), pixels(x, y))
    assert (out / "tiles_left_out.csv").exists()


def test_an_extract_labels_the_tiles_that_joined_points(helsinki_tiles: Path, tmp_path: Path) -> None:
    """Oracle: the map that is drawn from the extract itself: the same tiles, land use and names."""
    dataset = points(tmp_path)
    before = kept(dataset.path)
    options: dict[str, Any] = {"tile_folder": helsinki_tiles, "osm_name": "helsinki-center"}
    labeled = api.prepare("loc2vec", out=dataset.path, **options)
    assert kept(dataset.path) == before
    assert [one["added"] for one in labeled.manifest["additions"]] == [["map"], ["map_labels"]]
    assert api.prepare("loc2vec", out=dataset.path, **options).hash == labeled.hash
    other = points(tmp_path / "other" if (tmp_path / "other").mkdir() is None else tmp_path)
    own = api.prepare("loc2vec", osm_name="helsinki-center", out=other.path)
    shares = [
        Coverage(one.path / "landuse_coverage.tif").fractions(one.footprints(), 17) for one in (labeled, own)
    ]
    assert np.array_equal(*shares)
    assert labeled.places["name"].tolist() == own.places["name"].tolist()


# --- boxes ------------------------------------------------------------------------------------------------------------


def test_boxes_around_points() -> None:
    fiji = box_around(np.array([[179.9, -17.0], [-179.9, -16.0]]), 1000.0)
    assert fiji.crosses_antimeridian
    assert fiji.contains([180.0, 0.0], [-16.5, -16.5]).tolist() == [True, False]
    one = box_around(np.array([[25.0, 60.0]]), 500.0)
    assert distance_m(one.west, 60.0, 25.0, 60.0) == pytest.approx(500, rel=0.01)
    assert distance_m(25.0, one.north, 25.0, 60.0) == pytest.approx(500, rel=0.01)
    assert box_around(np.array([[25.0, 60.0]]), 0.0).contains([25.0], [60.0]).all()
    polar = box_around(np.array([[0.0, 89.0], [120.0, -89.9]]), 0.0)
    assert (polar.south, polar.north) == pytest.approx((-85.051129, 85.051129))
    assert box_around(np.array([[-180.0, 0.0], [0.0, 1.0], [179.0, 0.0]]), 1.1e7).bounds[0::2] == (
        -180.0,
        180.0,
    )
