"""The front end in a real browser, offline: what is drawn, and how the two views are linked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod

from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search.query import similar
from placevec.explorer.maps.cartography import paint
from placevec.explorer.maps.pictures import MapPictures
from placevec.geo import TILE_PX, distance_m, lonlat_to_tile_xy, tile_xy_to_lonlat
from tests.explorer.conftest import Opened, Written, isolated_place
from tests.explorer.standin import CORNER, LAYERS, StandInDataset, embeddings_of, write_map
from tests.explorer.writers import write_page

pytestmark = pytest.mark.browser
Open = Callable[..., Opened]


def exact_neighbors(written: Written, row: int, k: int) -> tuple[list[str], np.ndarray]:
    units = written.emb.vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    distance = 1 - units @ units[row]
    distance[row] = np.inf
    order = np.argsort(distance, kind="stable")[:k]
    return [str(one) for one in written.emb.place_id[order]], distance[order]


def test_hover_shows_the_picture_of_the_place(opened: Opened, written: Written) -> None:
    """Oracle: the same footprint painted by Python from the native pixels."""
    place = isolated_place(opened, "projector")
    opened.page.mouse.move(*opened.at("projector", place))
    row = list(written.emb.place_id).index(place)
    opened.until(f"document.querySelector('#tip canvas')?.dataset.shown === '{row}'")
    assert opened.state("s.hover") == place
    shown = opened.page.evaluate(
        "() => { const c = document.querySelector('#tip canvas');"
        " return [c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }"
    )
    side = shown[0]
    picture = np.array(shown[1:], float).reshape(side, side, 4)[:, :, :3]
    pictures = MapPictures.of(written.dataset)  # type: ignore[arg-type]
    box = written.dataset.footprints()[row]
    expected = paint(pictures.read(tuple(box.tolist()), side), LAYERS, 0.6).astype(float)
    difference = np.abs(picture - expected).mean()
    turned = min(np.abs(picture - other).mean() for other in (expected[::-1], expected[:, ::-1]))
    assert difference < 12
    assert difference < 0.7 * turned


def test_box_in_the_projector_selects_the_same_places_on_the_map(opened: Opened, written: Written) -> None:
    ids = [str(one) for one in written.emb.place_id]
    at = np.array(opened.state("a.map((id) => s.position('projector', id))", ids))
    west, south = np.percentile(at, 30, axis=0)
    east, north = np.percentile(at, 62, axis=0)
    page = opened.page
    page.keyboard.press("b")
    page.mouse.move(west, south)
    page.mouse.down()
    page.mouse.move((west + east) / 2, (south + north) / 2)
    page.mouse.move(east, north)
    page.mouse.up()
    opened.settle()
    inside = ((at >= [west, south]) & (at <= [east, north])).all(axis=1)
    assert 10 < inside.sum() < len(ids) - 10
    expected = {name for name, flag in zip(ids, inside, strict=True) if flag}
    assert set(opened.state("s.selected")) == expected
    assert set(opened.state("s.lit('map')")) == expected
    assert set(opened.state("s.lit('projector')")) == expected
    page.wait_for_selector(f"text={len(expected)} of {len(ids)} places selected")
    lit = [opened.pixel("map", "points", *opened.at("map", name))[3] for name in sorted(expected)[:12]]
    assert min(lit) > 220


def test_selection_on_the_map_dims_the_others_in_the_projector(opened: Opened) -> None:
    """What is drawn, not what the page says of itself: the opacity of a far outlier falls."""
    outlier = isolated_place(opened, "projector")
    x, _ = opened.at("map", outlier)
    before = opened.pixel("projector", "points", *opened.at("projector", outlier))[3]
    box = opened.page.locator("#map .stage").bounding_box()
    page = opened.page
    left = x > box["x"] + box["width"] / 2
    center = box["x"] + box["width"] * (0.28 if left else 0.72), box["y"] + box["height"] / 2
    page.keyboard.press("l")
    page.mouse.move(center[0] + 60, center[1])
    page.mouse.down()
    for turn in np.linspace(0, 6.28, 14):
        page.mouse.move(center[0] + 60 * np.cos(turn), center[1] + 60 * np.sin(turn))
    page.mouse.up()
    opened.settle()
    selected = opened.state("s.selected")
    assert selected
    assert outlier not in selected
    after = opened.pixel("projector", "points", *opened.at("projector", outlier))[3]
    assert before > 220
    assert after < 90
    page.keyboard.press("Escape")
    assert opened.state("s.selected") == []


def test_clicked_place_lights_its_exact_neighbors(opened: Opened, written: Written) -> None:
    """Oracle: cosine distances by NumPy in float64 from the table's own vectors."""
    for skip in range(3):
        place = isolated_place(opened, "map", skip)
        opened.page.mouse.click(*opened.at("map", place))
        opened.settle()
        assert opened.state("s.focus") == place
        names, distances = exact_neighbors(written, list(written.emb.place_id).index(place), 12)
        found = opened.state("s.neighbors")
        assert [one["place_id"] for one in found] == names
        np.testing.assert_allclose([one["distance"] for one in found], distances, atol=2e-5)
        assert set(opened.state("s.lit('projector')")) == set(names)
        assert set(opened.state("s.lit('map')")) == set(names)
        rows = opened.page.locator("#card .ranked .row").evaluate_all(
            "(all) => all.map((row) => row.dataset.place)"
        )
        assert [str(written.emb.place_id[int(row)]) for row in rows] == names
        opened.page.keyboard.press("Escape")
        opened.settle()
        assert opened.state("[s.focus, s.neighbors.length, s.lit('map').length]") == [None, 0, 0]


def test_more_neighbors_and_distance_colors(opened: Opened, written: Written) -> None:
    place = isolated_place(opened, "map")
    opened.page.mouse.click(*opened.at("map", place))
    opened.page.select_option("[aria-label='Number of neighbors']", "50")
    row = list(written.emb.place_id).index(place)
    assert [one["place_id"] for one in opened.state("s.neighbors")] == exact_neighbors(written, row, 50)[0]
    before = opened.state("s.coloring")
    opened.page.get_by_role("button", name="Color by distance").click()
    assert opened.state("s.coloring") == "distance"
    for metric in ("euclidean", "manhattan", "dot"):  # oracle: `placevec.similar`
        opened.page.select_option("[aria-label='Metric']", metric)
        expected = similar(written.emb, place=place, k=50, metric=metric, min_distance_m=0)
        found = opened.state("s.neighbors")
        assert [one["place_id"] for one in found[:9]] == expected["place_id"].tolist()[:9]
        shown = [one["distance"] for one in found]
        np.testing.assert_allclose(shown, expected[expected.attrs["query"]["measure"]], rtol=1e-3)
    opened.page.keyboard.press("Escape")
    assert opened.state("s.coloring") == before == "column-0"


def test_similar_places_that_overlap_are_left_out(open_page: Open, tmp_path: Path) -> None:
    """Boxes of 120 m every 60 m. Oracle: `placevec.similar`, which spaces its results with other code (a pair of NumPy
    arrays of chords there, a loop over points of the sphere here).
    """
    north, east = np.divmod(np.arange(400), 20)
    lonlat = np.stack([24.9 + east * 60 / 55_000, 60.1 + north * 60 / 111_300], axis=1)
    boxes = np.array(
        [shapely.box(x - 6e-4 * 1.8, y - 5.39e-4, x + 6e-4 * 1.8, y + 5.39e-4) for x, y in lonlat]
    )
    smooth = np.stack([np.sin(north / 3), np.cos(north / 3), np.sin(east / 4), np.cos(east / 4)], axis=1)
    ids = [f"p{row}" for row in range(400)]
    emb = Embeddings(ids, smooth, lonlat, boxes, np.full(400, None, object), "map", Provenance("m", "d"))
    opened = open_page(write_page(emb, tmp_path / "page.html").path)
    x, y = lonlat[187]
    opened.page.fill("#search", f"{x + 1e-5:.6f}, {y:.6f}")
    opened.page.keyboard.press("Enter")
    opened.settle()
    assert opened.state("s.focus") == "p187"
    expected = similar(emb, place="p187", k=12)
    found = opened.state("s.neighbors")
    np.testing.assert_allclose([one["distance"] for one in found], expected["distance"], atol=2e-5)
    listed = np.array([lonlat[int(one["place_id"][1:])] for one in found])
    assert distance_m(*listed.T, x, y).min() > 118
    assert not opened.complaints


def test_legend_follows_the_coloring_and_isolates(opened: Opened, written: Written) -> None:
    page = opened.page
    page.select_option("#coloring", label="land use")
    counts = written.columns["land use"].value_counts()
    rows = page.locator("#legend .kinds button").evaluate_all(
        "(all) => all.map((row) => [row.children[1].textContent, row.children[2].textContent])"
    )
    assert rows == [[kind, str(n)] for kind, n in counts.items()]
    page.locator("#legend .kinds button").nth(1).click()
    opened.settle()
    kind = counts.index[1]
    other = str(written.emb.place_id[(written.columns["land use"] != kind).to_numpy().argmax()])
    same = str(written.emb.place_id[(written.columns["land use"] == kind).to_numpy().argmax()])
    assert opened.pixel("map", "points", *opened.at("map", same))[3] > 220
    assert opened.state("s.pick('map', ...s.position('map', a))", other) != other
    page.select_option("#coloring", label="population")
    opened.settle()
    assert page.locator("#legend .ramp canvas").count() == 1
    assert (
        f"{written.columns['population'].isna().sum()} without a value"
        in page.locator("#legend").inner_text()
    )
    page.select_option("#coloring", "block")
    assert page.locator("#legend .kinds button").first.inner_text().startswith("block 1")


def test_two_and_three_dimensions(opened: Opened) -> None:
    page = opened.page
    ids = ["place-00011", "place-00500", "place-00700"]
    where = "a.map((id) => s.position('projector', id))"
    flat = np.array(opened.state(where, ids))
    page.locator("[data-mode='3d']").click()
    opened.until("placevecState.depth === 1")
    opened.settle()
    solid = np.array(opened.state(where, ids))
    assert opened.state("s.mode") == "3d"
    assert np.abs(solid - flat).max() > 5
    box = page.locator("#projector .stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=3)
    page.mouse.up()
    opened.settle()
    assert np.abs(np.array(opened.state(where, ids)) - solid).max() > 3
    page.keyboard.press("2")
    opened.until("placevecState.depth === 0")
    opened.settle()
    np.testing.assert_allclose(opened.state(where, ids), flat, atol=0.1)


def test_map_lies_where_the_places_are(opened: Opened, written: Written) -> None:
    """Places wholly in water lie on blue ground and those wholly in woods on green: picture and dots agree."""
    pictures = MapPictures.of(written.dataset)  # type: ignore[arg-type]
    at = written.emb.lonlat
    xy = lonlat_to_tile_xy(at[:, 0], at[:, 1], 17)
    checked = 0
    for row, (x, y) in enumerate(xy.tolist()):
        near = pictures.read((x - 0.1, y - 0.1, x + 0.1, y + 0.1), 51).mean(axis=(1, 2)) / 255
        drawn = {name: near[LAYERS.index(name)] for name in LAYERS}
        others = max(
            drawn[name] for name in ("buildings", "roads", "railways", "power", "amenities", "leisure")
        )
        if others > 0 or (drawn["water"] < 1 and (drawn["natural-features"] < 1 or drawn["water"] > 0)):
            continue
        where = opened.at("map", str(written.emb.place_id[row]))
        red, green, blue, alpha = opened.pixel("map", "ground", *where)
        assert alpha == 255
        assert (blue > green > red) if drawn["water"] == 1 else (green > red > blue)
        checked += 1
    assert checked > 20


def test_scale_is_true_on_the_ground(opened: Opened, written: Written) -> None:
    """Oracle: the geodesic between two places, by pyproj."""
    a, b = 0, int(np.argmax(np.abs(written.emb.lonlat - written.emb.lonlat[0]).sum(axis=1)))
    geodesic = Geod(ellps="WGS84").inv(*written.emb.lonlat[a], *written.emb.lonlat[b])[2]
    ids = [str(written.emb.place_id[row]) for row in (a, b)]
    start, end = np.array(opened.state("a.map((id) => s.position('map', id))", ids))
    bar = opened.page.locator("#scale i").evaluate("(bar) => parseFloat(bar.style.width)")
    assert opened.page.locator("#scale span").inner_text() == f"{opened.state('s.scaleMeters')} m"
    measured = np.hypot(*(end - start)) / bar * opened.state("s.scaleMeters")
    assert measured == pytest.approx(geodesic, rel=0.01)


def test_wheel_zooms_about_the_pointer_and_drag_moves(opened: Opened) -> None:
    page = opened.page
    place = isolated_place(opened, "map")
    x, y = opened.at("map", place)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -240)
    opened.settle()
    np.testing.assert_allclose(opened.at("map", place), (x, y), atol=1)
    page.mouse.move(x + 40, y + 40)
    page.mouse.down()
    page.mouse.move(x + 100, y + 10, steps=4)
    page.mouse.up()
    opened.settle()
    np.testing.assert_allclose(opened.at("map", place), (x + 60, y - 30), atol=6)
    page.keyboard.press("Escape")
    page.click('#map [data-zoom="fit"]')
    opened.settle()
    np.testing.assert_allclose(opened.at("map", place), (x, y), atol=1)


def test_dots_can_be_put_away_and_lit_ones_stay(opened: Opened, written: Written) -> None:
    page = opened.page
    place = isolated_place(opened, "map")
    page.click("#dots")
    opened.settle()
    assert opened.pixel("map", "points", *opened.at("map", place))[3] == 0
    page.fill("#search", place)
    page.keyboard.press("Enter")
    opened.settle()
    for one in (place, opened.state("s.neighbors[0].place_id")):
        assert opened.pixel("map", "points", *opened.at("map", one))[3] == 255
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    opened.settle()
    assert opened.pixel("map", "points", *opened.at("map", place))[3] > 220


def test_plain_ground_is_shown_too(open_page: Open, tmp_path: Path) -> None:
    """Open sea has no piece of its own on the page; its preview and its map are blue all the same."""
    pixels = np.zeros((len(LAYERS), 2 * TILE_PX, 12 * TILE_PX), bool)
    pixels[LAYERS.index("water")] = True
    pixels[LAYERS.index("buildings"), 50:90, -90:-50] = True
    write_map(tmp_path / "sea", pixels)
    tiles = [(CORNER[0] + column, CORNER[1]) for column in range(12)]
    lonlat = tile_xy_to_lonlat(np.array(tiles) + 0.5, 17)
    frame = {
        "place_id": [f"17/{x}/{y}" for x, y in tiles],
        "lon": lonlat[:, 0],
        "lat": lonlat[:, 1],
        "name": None,
    }
    dataset = StandInDataset(tmp_path / "sea", pd.DataFrame(frame), None)
    write_page(embeddings_of(dataset, dim=4), tmp_path / "sea.html", dataset=dataset)  # type: ignore[arg-type]
    opened = open_page(tmp_path / "sea.html")
    place = f"17/{CORNER[0] + 1}/{CORNER[1]}"
    red, green, blue, alpha = opened.pixel("map", "ground", *opened.at("map", place))
    assert (alpha, blue > green > red) == (255, True)
    opened.page.fill("#search", place)
    opened.page.keyboard.press("Enter")
    opened.until("document.querySelector('#card .picture').dataset.shown === '1'")
    box = opened.page.locator("#card .picture").bounding_box()
    shown = opened.page.evaluate(
        "() => [...document.querySelector('#card .picture').getContext('2d').getImageData(40, 40, 1, 1).data]"
    )
    assert box["width"] == 96
    assert shown[2] > shown[1] > shown[0]
    assert shown[3] == 255
