"""The front end in a real browser, offline, from ``file://``."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyproj import Geod

from placevec.explorer import write_page
from placevec.explorer.cartography import paint
from placevec.explorer.pictures import MapPictures
from tests.explorer.conftest import Opened, Written
from tests.explorer.standin import HOSTILE_NAMES, LAYERS, embeddings_of, tiled

pytestmark = pytest.mark.browser
Open = Callable[..., Opened]


@pytest.fixture
def opened(open_page: Open, written: Written) -> Opened:
    return open_page(written.report.path)


def isolated_place(opened: Opened, pane: str, skip: int = 0) -> str:
    """A place that lies apart from all others in a pane, so that a click there can only mean it."""
    found = opened.page.evaluate(
        """([pane, skip, ids]) => {
            const s = window.placevecState, at = ids.map((id) => s.position(pane, id));
            const box = document.querySelector(`#${pane} .stage`).getBoundingClientRect();
            const apart = ids.map((id, i) => {
                const [x, y] = at[i];
                if (x < box.left + 90 || x > box.right - 90 || y < box.top + 90 || y > box.bottom - 90) return [0, id];
                let least = Infinity;
                at.forEach(([u, v], j) => { if (i !== j) least = Math.min(least, Math.hypot(x - u, y - v)); });
                return [least, id];
            });
            apart.sort((a, b) => b[0] - a[0]);
            return apart[skip];
        }""",
        [
            pane,
            skip,
            opened.page.evaluate(
                "() => JSON.parse(document.getElementById('placevec-places').textContent).id"
            ),
        ],
    )
    assert found[0] > 3
    return str(found[1])


def exact_neighbours(written: Written, row: int, k: int) -> tuple[list[str], np.ndarray]:
    units = written.emb.vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    distance = 1 - units @ units[row]
    distance[row] = np.inf
    order = np.argsort(distance, kind="stable")[:k]
    return [str(one) for one in written.emb.place_id[order]], distance[order]


def test_opens_without_network_or_complaint(opened: Opened, written: Written) -> None:
    assert opened.state("s.count") == len(written.emb.place_id)
    opened.page.wait_for_timeout(300)
    assert opened.requests == []
    assert opened.complaints == []
    assert opened.dialogs == []


def test_everything_that_can_be_pressed_asks_for_nothing(opened: Opened) -> None:
    """Privacy (threat 21): all features used, no request attempted, no error."""
    page = opened.page
    for key in ("b", "l", "v", "3", "2", "t", "t"):
        page.keyboard.press(key)
    for value in page.locator("#colouring option:not([disabled])").evaluate_all(
        "(all) => all.map((o) => o.value)"
    ):
        page.select_option("#colouring", value)
    page.get_by_role("button", name="Surprise me").click()
    page.get_by_role("button", name="Colour by similarity").click()
    page.click("#help")
    page.keyboard.press("Escape")
    page.click('#map [data-zoom="in"]')
    page.click('#projector [data-zoom="fit"]')
    page.wait_for_timeout(300)
    assert (opened.requests, opened.complaints, opened.dialogs) == ([], [], [])


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
    centre = box["x"] + box["width"] * (0.28 if left else 0.72), box["y"] + box["height"] / 2
    page.keyboard.press("l")
    page.mouse.move(centre[0] + 60, centre[1])
    page.mouse.down()
    for turn in np.linspace(0, 6.28, 14):
        page.mouse.move(centre[0] + 60 * np.cos(turn), centre[1] + 60 * np.sin(turn))
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


def test_clicked_place_lights_its_exact_neighbours(opened: Opened, written: Written) -> None:
    """Oracle: cosine distances by NumPy in float64 from the table's own vectors."""
    for skip in range(3):
        place = isolated_place(opened, "map", skip)
        opened.page.mouse.click(*opened.at("map", place))
        opened.settle()
        assert opened.state("s.focus") == place
        names, distances = exact_neighbours(written, list(written.emb.place_id).index(place), 12)
        found = opened.state("s.neighbours")
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
        assert opened.state("[s.focus, s.neighbours.length, s.lit('map').length]") == [None, 0, 0]


def test_more_neighbours_and_similarity_colours(opened: Opened, written: Written) -> None:
    place = isolated_place(opened, "map")
    opened.page.mouse.click(*opened.at("map", place))
    opened.page.select_option("#card h3 select", "50")
    row = list(written.emb.place_id).index(place)
    assert [one["place_id"] for one in opened.state("s.neighbours")] == exact_neighbours(written, row, 50)[0]
    opened.page.get_by_role("button", name="Colour by similarity").click()
    assert opened.state("s.colouring") == "similarity"
    opened.page.keyboard.press("Escape")
    assert opened.state("s.colouring") == "layer"


def test_legend_follows_the_colouring_and_isolates(opened: Opened, written: Written) -> None:
    page = opened.page
    page.select_option("#colouring", label="land use")
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
    page.select_option("#colouring", label="population")
    opened.settle()
    assert page.locator("#legend .ramp canvas").count() == 1
    assert (
        f"{written.columns['population'].isna().sum()} without a value"
        in page.locator("#legend").inner_text()
    )
    page.select_option("#colouring", "block")
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
    from placevec.geo import lonlat_to_tile_xy

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
    assert opened.page.locator("#scale span").inner_text() == f"{opened.state('s.scaleMetres')} m"
    measured = np.hypot(*(end - start)) / bar * opened.state("s.scaleMetres")
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


def test_hostile_names_are_text_everywhere(opened: Opened, written: Written) -> None:
    """Threat 8: each name through tooltip, search, card and list; no dialog, request, script or image arises."""
    page = opened.page
    scripts = page.evaluate("document.scripts.length")
    for row, name in enumerate(HOSTILE_NAMES):
        place = f"place-{row:05d}"
        page.fill("#search", name.splitlines()[0])
        texts = page.locator("#found [role=option] bdi").all_text_contents()
        assert name in texts
        page.fill("#search", place)
        page.keyboard.press("Enter")
        opened.settle()
        assert page.locator("#card h2 bdi").text_content() == name
        x, y = opened.at("projector", place)
        page.mouse.move(x + 0.4, y)
        if opened.state("s.hover") == place:
            assert page.locator("#tip strong bdi").text_content() == name
        page.keyboard.press("Escape")
    mask = page.locator("#found")
    page.fill("#search", "place-0000")
    page.get_by_text("Select all").click()
    assert page.locator("#card .row .who > bdi").all_text_contents() == list(HOSTILE_NAMES)
    assert mask.is_hidden()
    assert page.evaluate("document.scripts.length") == scripts
    assert page.locator("img, iframe, object, embed, link, b:not(.row > b)").count() == 0
    assert (opened.requests, opened.complaints, opened.dialogs) == ([], [], [])


def test_direction_marks_do_not_turn_their_surroundings(opened: Opened) -> None:
    page = opened.page
    page.fill("#search", "place-00003")
    page.keyboard.press("Enter")
    style = page.locator("#card h2 bdi").evaluate("(node) => getComputedStyle(node).unicodeBidi")
    assert style in ("isolate", "isolate-override", "plaintext")


def test_saved_file_holds_the_selection_and_no_formula(opened: Opened, tmp_path: Path) -> None:
    page = opened.page
    page.fill("#search", "place-0000")
    page.get_by_text("Select all").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV").click()
    path = tmp_path / "selection.csv"
    download.value.save_as(path)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["place_id"] for row in rows] == [f"place-{row:05d}" for row in range(10)]
    assert [row["name"] for row in rows] == [
        "'" + name if name.startswith("=") else name for name in HOSTILE_NAMES
    ]
    assert float(rows[0]["lat"]) == pytest.approx(60.2, abs=0.1)


def test_keyboard_alone_is_enough(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("plaza 40")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert opened.state("s.focus") is not None
    page.keyboard.press("Escape")
    page.locator("#map .stage").focus()
    before = opened.at("map", "place-00020")
    page.keyboard.press("ArrowRight")
    opened.settle()
    assert opened.at("map", "place-00020")[0] == pytest.approx(before[0] - 60, abs=1)
    page.keyboard.press("Enter")
    assert opened.state("s.focus") is not None
    page.keyboard.press("0")
    opened.settle()
    assert opened.at("map", "place-00020") == pytest.approx(before, abs=1)
    page.locator("[data-tool='move']").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-tool='box']").get_attribute("aria-checked") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(open_page: Open, written: Written, scheme: str) -> None:
    opened = open_page(
        written.report.path, width=390, height=844, has_touch=True, is_mobile=True, device_scale_factor=2,
        color_scheme=scheme,
    )  # fmt: skip
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for selector in (
        "#projector .stage",
        "#map .stage",
        "#search",
        "#credit",
        "#colouring",
        "[data-mode='3d']",
    ):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= 844
    assert (
        min(page.locator(f"#{pane} .stage").bounding_box()["height"] for pane in ("projector", "map")) > 200
    )
    assert "© OpenStreetMap contributors, ODbL" in page.locator("#credit").inner_text()
    place = isolated_place(opened, "map")
    page.touchscreen.tap(*opened.at("map", place))
    opened.settle()
    assert opened.state("s.focus") == place
    assert page.locator("#card h2").bounding_box()["y"] < 844
    paper = page.evaluate("getComputedStyle(document.querySelector('aside')).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    assert (opened.requests, opened.complaints) == ([], [])


def test_pinch_zooms(open_page: Open, written: Written) -> None:
    opened = open_page(written.report.path, width=390, height=844, has_touch=True, is_mobile=True)
    box = opened.page.locator("#map .stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    ids = ["place-00020", "place-00021"]
    distance = "Math.hypot(...[0, 1].map((c) => s.position('map', a[0])[c] - s.position('map', a[1])[c]))"
    before = opened.state(distance, ids)
    session = opened.page.context.new_cdp_session(opened.page)

    def touch(kind: str, spread: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": x - spread, "y": y}, {"x": x + spread, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 30)
    for spread in (40, 50, 60):
        touch("touchMove", spread)
    touch("touchEnd", 0)
    opened.settle()
    assert opened.state(distance, ids) == pytest.approx(2 * before, rel=0.1)
    assert opened.state("s.focus") is None


def test_credit_and_provenance_are_always_in_sight(opened: Opened, written: Written) -> None:
    page = opened.page
    assert page.locator("#credit").inner_text() == written.dataset.attribution
    box = page.locator("#credit").bounding_box()
    top = page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).id", [box["x"] + 5, box["y"] + box["height"] / 2]
    )
    assert top == "credit"
    about = page.locator("#about").inner_text()
    assert "placevec 0.1.0" in about
    assert "0123456789ab" in about
    assert f"{len(written.emb.place_id)} places" in about


def test_a_sample_says_that_it_is_one(open_page: Open, written: Written, tmp_path: Path) -> None:
    write_page(written.emb, tmp_path / "sample.html", max_places=100, seed=3)
    opened = open_page(tmp_path / "sample.html")
    assert opened.state("s.count") == 100
    assert (
        f"seeded sample of 100 of {len(written.emb.place_id)} places"
        in opened.page.locator("#about").inner_text()
    )


def test_without_a_dataset_or_coordinates(open_page: Open, written: Written, tmp_path: Path) -> None:
    emb = replace(written.emb[:40], lonlat=np.full((40, 2), np.nan), geometry=np.full(40, None, object))
    write_page(emb, tmp_path / "bare.html", title="Chips")
    opened = open_page(tmp_path / "bare.html")
    assert "no coordinates" in opened.page.locator("#map .label").inner_text()
    place = str(emb.place_id[12])
    opened.page.fill("#search", place)
    opened.page.keyboard.press("Enter")
    opened.settle()
    assert opened.state("s.focus") == place
    assert opened.page.locator("#card canvas").count() == 0
    assert opened.state("s.position('map', a)", place) is None
    assert (opened.requests, opened.complaints) == ([], [])


def test_whole_tiles_and_places_partly_without_coordinates(open_page: Open, tmp_path: Path) -> None:
    dataset = tiled(tmp_path / "tiles")
    emb = embeddings_of(dataset, dim=8)
    lonlat = emb.lonlat.copy()
    lonlat[3] = np.nan
    emb = replace(emb, lonlat=lonlat, geometry=np.full(len(lonlat), None, object))
    write_page(emb, tmp_path / "tiles.html", dataset=dataset)  # type: ignore[arg-type]
    opened = open_page(tmp_path / "tiles.html")
    assert "1 without coordinates" in opened.page.locator("#about").inner_text()
    opened.page.select_option("#colouring", "block")
    assert "no coordinates" in opened.page.locator("#legend").inner_text()
    opened.page.fill("#search", str(emb.place_id[3]))
    opened.page.keyboard.press("Enter")
    opened.settle()
    assert len(opened.state("s.neighbours")) == 12
    assert opened.complaints == []


def test_theme_button(opened: Opened) -> None:
    page = opened.page
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == before
