"""The front end in a real browser: projections, vectors of several views, cells, and the first look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec.embeddings import Embeddings
from placevec.explorer import Drawn, page_of
from placevec.explorer.pages.panels import Panel
from placevec.explorer.reductions import Reduction
from tests.explorer.conftest import Opened, isolated_place, open_in
from tests.explorer.standin import StandInDataset, embeddings_of

pytestmark = pytest.mark.browser
Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def viewed(dataset: StandInDataset, town_folder: Path) -> tuple[Path, Embeddings, Embeddings, np.ndarray]:
    """A page with two projections of two views (the second lacks a hundred places), and what it was made from."""
    emb = embeddings_of(dataset)
    random = np.random.default_rng(3)
    other = replace(emb, view="pois", vectors=random.normal(size=(len(emb), 12)))[100:]
    drawn = Drawn.of(emb, dataset=dataset, clusters=5)  # type: ignore[arg-type]
    beside = Panel.beside(drawn, other, "<i>pois</i>")
    flat = random.uniform(-1, 1, (len(emb), 2)).astype(np.float32)
    drawn._reduced["tsne", 2] = Reduction("tsne", flat, (), "made up")
    beside.drawn._reduced["tsne", 2] = Reduction("tsne", flat[100:], (), "made up")
    page_of(drawn, town_folder / "views.html", methods=("pca", "tsne"), label="map", beside=[beside])
    return town_folder / "views.html", emb, other, flat


@pytest.fixture(scope="module")
def views(browser: Any, viewed: tuple[Path, Embeddings, Embeddings, np.ndarray]) -> Iterator[Opened]:
    """One page for all tests; each leaves it as it was."""
    opened = open_in(browser, viewed[0], width=1400, height=860, reduced_motion="reduce")
    yield opened
    opened.page.context.close()


def test_first_look_shows_clusters(views: Opened) -> None:
    """Named by their middle place and what covers more there than elsewhere; the views' own clusters color all."""
    assert views.state("s.coloring") == "cluster"
    names = views.page.locator("#legend .kinds bdi").all_text_contents()
    assert len(names) == 5
    assert any(name.rstrip("%")[-1].isdigit() for name in names)
    options = views.page.locator("#coloring option").all_text_contents()
    assert {"PCA as red, green, blue", "Cluster of <i>pois</i>", "Dominant layer"} <= set(options)
    views.page.select_option("#coloring", label="Cluster of <i>pois</i>")
    assert "in no cluster" in views.page.locator("#legend").inner_text()
    assert views.page.locator(".pane i:not(.scale i)").count() == 0
    views.page.select_option("#coloring", "cluster")
    assert (views.requests, views.complaints) == ([], [])


def test_projections_are_switched_in_all_panels(
    views: Opened, viewed: tuple[Path, Embeddings, Embeddings, np.ndarray]
) -> None:
    """Oracle: the made-up positions, up to the scale of the panel."""
    ids, flat = [str(one) for one in viewed[1].place_id], viewed[3]
    where = "a.map((id) => s.position('{}', id))"
    before = np.array(views.state(where.format("projector"), ids))
    views.page.locator("#projector [data-space='tsne']").click()
    views.until("placevecState.space === 'tsne' && !placevecState.moving")
    views.settle()
    for panel, first in (("projector", 0), ("projector-1", 100)):
        at = np.array(views.state(where.format(panel), ids[first:]))
        for axis, sign in ((0, 1), (1, -1)):
            assert np.corrcoef(at[:, axis], sign * flat[first:, axis])[0, 1] > 0.99999
    assert views.page.locator("#projector [data-mode='3d']").is_disabled()
    views.page.keyboard.press("3")
    assert views.state("s.mode") == "2d"
    views.page.keyboard.press("p")
    views.until("placevecState.space === 'pca' && !placevecState.moving")
    views.settle()
    np.testing.assert_allclose(views.state(where.format("projector"), ids), before, atol=0.01)


def test_neighbors_are_those_of_the_clicked_view(
    views: Opened, viewed: tuple[Path, Embeddings, Embeddings, np.ndarray]
) -> None:
    """Oracle: NumPy's cosine distances of each view's own vectors; lit in both panels and on the map."""
    _, emb, other, _ = viewed
    assert views.state("s.panels") == ["projector", "projector-1"]
    assert views.state("s.position('projector-1', a)", "place-00042") is None
    for pane, table in (("projector", emb), ("projector-1", other)):
        place = isolated_place(views, pane)
        views.page.mouse.click(*views.at(pane, place))
        views.settle()
        assert views.state("s.focus") == place
        units = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
        away = 1 - units @ units[list(table.place_id).index(place)]
        expected = [str(table.place_id[row]) for row in np.argsort(away, kind="stable")[1:13]]
        assert [one["place_id"] for one in views.state("s.neighbors")] == expected
        assert set(views.state("s.lit('map')")) == set(expected)
        views.page.keyboard.press("Escape")


def test_selection_is_saved_as_geojson(views: Opened, tmp_path: Path) -> None:
    views.page.fill("#search", "place-0000")
    views.page.get_by_text("Select all").click()
    with views.page.expect_download() as download:
        views.page.get_by_role("button", name="Save GeoJSON").click()
    download.value.save_as(tmp_path / "selection.geojson")
    saved = json.loads((tmp_path / "selection.geojson").read_text("utf-8"))
    assert [one["properties"]["place_id"] for one in saved["features"]] == [
        f"place-0000{n}" for n in range(10)
    ]
    assert saved["features"][0]["geometry"]["coordinates"] == pytest.approx([24.97, 60.17], abs=0.1)
    assert "OpenStreetMap" in saved["attribution"]
    views.page.keyboard.press("Escape")


def test_dots_that_would_touch_become_cells(
    open_page: Open, viewed: tuple[Path, Embeddings, Embeddings, np.ndarray]
) -> None:
    """On a small map; zoomed in they are dots again. The map shows through a cell, and a selection lights its cells."""
    opened = open_page(viewed[0], width=640, height=360)
    for _ in range(3):
        opened.page.locator("#map [data-zoom='out']").evaluate("(button) => button.click()")
    opened.until("placevecState.cellMeters > 0")
    opened.settle()
    assert "cells of" in opened.page.locator("#cells").inner_text()
    places = [f"place-{number:05d}" for number in range(500, 512)]
    opacities = {opened.pixel("map", "points", *opened.at("map", place))[3] for place in places}
    assert opacities <= {round(0.6 * 255), 0}  # a place can lie in the gap between two cells
    assert round(0.6 * 255) in opacities
    opened.page.fill("#search", "place-0050")
    opened.page.get_by_text("Select all").click()
    opened.settle()
    assert len(opened.state("s.lit('map')")) == 10
    opened.page.keyboard.press("Escape")
    for _ in range(8):
        opened.page.locator("#map [data-zoom='in']").evaluate("(button) => button.click()")
    opened.until("placevecState.cellMeters === 0")


def test_far_coordinates_find_nothing(views: Opened) -> None:
    """Issue: a point of another country chose the nearest place without a word."""
    views.page.fill("#search", "14.51, 35.90")
    assert "is 2,806 km away" in views.page.locator("#found").inner_text()
    views.page.keyboard.press("Enter")
    assert views.state("s.focus") is None
