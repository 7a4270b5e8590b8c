"""The front end in a real browser: hostile names, no network, and places of which little is known."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.explorer.conftest import Opened, Written
from tests.explorer.standin import HOSTILE_NAMES, embeddings_of, tiled
from tests.explorer.writers import write_page

pytestmark = pytest.mark.browser
Open = Callable[..., Opened]


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
    for value in page.locator("#coloring option:not([disabled])").evaluate_all(
        "(all) => all.map((o) => o.value)"
    ):
        page.select_option("#coloring", value)
    page.get_by_role("button", name="Surprise me").click()
    page.get_by_role("button", name="Color by distance").click()
    page.click("#help")
    page.keyboard.press("Escape")
    page.click('#map [data-zoom="in"]')
    page.click('#projector [data-zoom="fit"]')
    page.wait_for_timeout(300)
    assert (opened.requests, opened.complaints, opened.dialogs) == ([], [], [])


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
    said = f"random sample of 100 of {len(written.emb.place_id)} places"
    assert said in opened.page.locator("#about").inner_text()
    for width in (1400, 420):
        opened.page.set_viewport_size({"width": width, "height": 800})
        assert said in opened.page.locator("#count").inner_text()
        assert opened.page.locator("#count").is_visible()


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
    opened.page.select_option("#coloring", "block")
    assert "no coordinates" in opened.page.locator("#legend").inner_text()
    opened.page.fill("#search", str(emb.place_id[3]))
    opened.page.keyboard.press("Enter")
    opened.settle()
    assert len(opened.state("s.neighbors")) == 12
    assert opened.complaints == []


def test_central_helsinki(open_page: Open, helsinki_dataset: Any, tmp_path: Path) -> None:
    """The real extract: named places can be found, and the map under each is the one its footprint was read from."""
    emb = embeddings_of(helsinki_dataset)
    report = write_page(emb, tmp_path / "helsinki.html", dataset=helsinki_dataset)
    assert report.map_drawn
    assert report.size_bytes < 4_000_000
    opened = open_page(tmp_path / "helsinki.html")
    named = [row for row, name in enumerate(emb.names) if name is not None]
    assert len(named) > 100
    row = named[len(named) // 2]
    opened.page.fill("#search", str(emb.place_id[row]))
    opened.page.keyboard.press("Enter")
    opened.settle()
    assert opened.page.locator("#card h2 bdi").text_content() == emb.names[row]
    opened.until(f"document.querySelector('#card .picture').dataset.shown === '{row}'")
    opened.page.select_option("#coloring", "layer")
    kinds = opened.page.locator("#legend bdi").all_text_contents()
    assert {"buildings", "roads", "water"} <= set(kinds)
    assert (opened.requests, opened.complaints) == ([], [])
