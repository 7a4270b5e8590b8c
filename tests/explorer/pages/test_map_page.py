"""The map of markers and its GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest

from placevec.embeddings.clustering import cluster
from placevec.errors import InputError
from placevec.explorer import MapReport
from placevec.explorer.reductions import hex_of, principal_components, rgb_of
from tests.explorer.conftest import PLACES, Opened, Written, isolated_place
from tests.explorer.pages.test_page import block
from tests.explorer.standin import HOSTILE_NAMES
from tests.explorer.writers import write_map

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def mapped(written: Written, tmp_path_factory: pytest.TempPathFactory) -> MapReport:
    folder = tmp_path_factory.mktemp("map")
    return write_map(written.emb, folder, dataset=written.dataset, columns=written.columns, clusters=4)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def features(mapped: MapReport) -> list[dict[str, object]]:
    content = json.loads(mapped.geojson.read_text("utf-8"))
    return [one["properties"] for one in content["features"]]


def test_all_dimensions_come_back_as_they_were(features: list[dict[str, object]], written: Written) -> None:
    """Oracle: the table itself, bit by bit; the original kept five."""
    dim = written.emb.dim
    read = np.array([[one[f"embedding_{n + 1}"] for n in range(dim)] for one in features], np.float32)
    np.testing.assert_array_equal(read, written.emb.vectors)
    assert [one["place_id"] for one in features] == written.emb.place_id.tolist()
    assert [one["name"] for one in features[: len(HOSTILE_NAMES)]] == list(HOSTILE_NAMES)
    np.testing.assert_array_equal([[one["lon"], one["lat"]] for one in features], written.emb.lonlat)


def test_components_colors_and_clusters(features: list[dict[str, object]], written: Written) -> None:
    components = principal_components(written.emb.vectors)[0]
    read = np.array([[one[f"component_{n}"] for n in (1, 2, 3)] for one in features], np.float32)
    np.testing.assert_array_equal(read, components)
    assert [one["color"] for one in features] == hex_of(rgb_of(components))
    assert [one["cluster"] for one in features] == cluster(written.emb, clusters=4).label.tolist()


def test_others_read_the_table(mapped: MapReport) -> None:
    """Oracle: GDAL."""
    frame = geopandas.read_file(mapped.geojson)
    assert len(frame) == PLACES
    assert frame.crs.to_epsg() == 4326
    assert frame["embedding_64"].dtype == float
    assert mapped.geojson_bytes == mapped.geojson.stat().st_size


def test_what_the_files_say_of_themselves(mapped: MapReport, written: Written) -> None:
    content = json.loads(mapped.geojson.read_text("utf-8"))
    assert content["attribution"] == written.dataset.attribution
    assert (content["places_drawn"], content["places_total"]) == (PLACES, PLACES)
    assert (content["components"], content["clusters"]) == ("PCA", "k-means, 4 clusters")
    assert {path.name for path in mapped.geojson.parent.iterdir()} == {
        "embeddings_map.html",
        "embeddings.geojson",
    }
    labels = [one["label"] for one in block(mapped.page.path, "places")["colorings"]]
    assert labels[:3] == ["PCA as red, green, blue", "Cluster", "Dominant layer"]
    assert "land use" in labels


def test_a_sample_is_seeded_and_reported(written: Written, tmp_path: Path) -> None:
    def drawn(name: str, seed: int) -> list[str]:
        report = write_map(written.emb, tmp_path / name, clusters=2, max_places=40, seed=seed)
        content = json.loads(report.geojson.read_text("utf-8"))
        assert (content["places_drawn"], content["places_total"], content["seed"]) == (40, PLACES, seed)
        return [one["properties"]["place_id"] for one in content["features"]]

    assert drawn("a", 1) == drawn("b", 1) != drawn("c", 2)
    for name in ("embeddings_map.html", "embeddings.geojson"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_clusters_that_were_found_before(written: Written, tmp_path: Path) -> None:
    """A column ``cluster`` is taken as it is, in any order, and places that it does not know are in none."""
    found = cluster(written.emb, clusters=13)
    columns = found.columns().sample(frac=0.9, random_state=0)
    report = write_map(written.emb, tmp_path, columns=columns)
    known = dict(zip(columns["place_id"], columns["cluster"], strict=True))
    content = json.loads(report.geojson.read_text("utf-8"))
    labels = {one["properties"]["place_id"]: one["properties"]["cluster"] for one in content["features"]}
    assert labels == {place: known.get(place, -1) for place in written.emb.place_id}
    coloring = block(report.page.path, "places")["colorings"][1]
    assert len(coloring["categories"]) == 14
    assert len({one["color"] for one in coloring["categories"]}) == 14
    assert coloring["categories"][-1] == {
        "label": "in no cluster",
        "color": None,
        "count": PLACES - len(columns),
    }


def test_places_without_coordinates_or_company(written: Written, tmp_path: Path) -> None:
    lonlat = written.emb.lonlat[:3].copy()
    lonlat[1] = np.nan
    geometry = np.full(3, None, object)
    report = write_map(replace(written.emb[:3], lonlat=lonlat, geometry=geometry), tmp_path / "three")
    features = json.loads(report.geojson.read_text("utf-8"))["features"]
    assert features[1]["geometry"] is None
    assert features[1]["properties"]["lon"] is None
    assert write_map(written.emb[:1], tmp_path / "one").page.places_drawn == 1


def test_bad_input(written: Written, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="number of clusters of 900 places must be 1 to 900; got 901"):
        write_map(written.emb, tmp_path, clusters=901)
    with pytest.raises(InputError, match="t-SNE needs at least 5 places"):
        write_map(written.emb[:4], tmp_path, method="tsne", clusters=2)
    with pytest.raises(InputError, match="7 rows for 900 places, and no column place_id"):
        write_map(written.emb, tmp_path, columns=pd.DataFrame({"a": range(7)}))
    assert list(tmp_path.iterdir()) == []


# --- in the browser ----------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_markers_have_the_colors_of_the_table(
    mapped: MapReport, features: list[dict[str, object]], open_page: Open
) -> None:
    """Oracle: the GeoJSON's colors, at the pixels where the markers are drawn."""
    opened = open_page(mapped.page.path, width=1300, height=800)
    assert opened.state("s.coloring") == "rgb"
    by_id = {one["place_id"]: str(one["color"]) for one in features}
    for skip in range(6):
        place = isolated_place(opened, "map", skip)
        red, green, blue, alpha = opened.pixel("map", "points", *opened.at("map", place))
        assert alpha > 220
        wanted = [int(by_id[place][at : at + 2], 16) for at in (1, 3, 5)]
        np.testing.assert_allclose([red, green, blue], wanted, atol=40)  # a marker has a soft edge
    assert opened.page.locator("#projector").is_hidden()
    assert "© OpenStreetMap contributors" in opened.page.locator("#credit").inner_text()
    assert opened.page.locator("#credit").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), [(1300, 800), (390, 844)])
def test_a_popup_shows_what_is_known(
    mapped: MapReport, written: Written, open_page: Open, width: int, height: int
) -> None:
    opened = open_page(mapped.page.path, width=width, height=height)
    place = isolated_place(opened, "map")
    opened.page.mouse.click(*opened.at("map", place))
    opened.until("!document.getElementById('popup').hidden")
    opened.settle()
    text = opened.page.locator("#popup").inner_text()
    row = written.emb.place_id.tolist().index(place)
    for said in (
        place,
        "PCA as red, green, blue",
        "Cluster",
        "Dominant layer",
        str(written.columns["land use"][row]),
    ):
        assert said in text
    box, stage = (opened.page.locator(one).bounding_box() for one in ("#popup", "#map"))
    assert box["x"] >= stage["x"]
    assert box["y"] >= stage["y"]
    assert box["x"] + box["width"] <= stage["x"] + stage["width"] + 1
    assert box["y"] + box["height"] <= stage["y"] + stage["height"] + 1
    opened.page.get_by_role("button", name="Close").first.click()
    opened.until("document.getElementById('popup').hidden")
    assert opened.state("s.focus") is None


@pytest.mark.browser
def test_hostile_names_stay_text_in_popups(mapped: MapReport, written: Written, open_page: Open) -> None:
    opened = open_page(mapped.page.path)
    for place, name in zip(written.emb.place_id, HOSTILE_NAMES, strict=False):
        opened.page.fill("#search", str(place))
        opened.page.keyboard.press("Enter")
        opened.until("!document.getElementById('popup').hidden")
        opened.settle()
        assert opened.page.evaluate("() => document.querySelector('#popup strong bdi').textContent") == name
    assert opened.page.locator("#popup img, #popup b, #popup script").count() == 0
    options = opened.page.locator("#coloring option:not([disabled])")
    for value in options.evaluate_all("(all) => all.map((o) => o.value)"):
        opened.page.select_option("#coloring", value)
    assert opened.requests == opened.complaints == opened.dialogs == []
