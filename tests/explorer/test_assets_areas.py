"""The front end in a real browser: places that are areas, several views on a page, and a dashboard of pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from placevec.api.exploring import explore
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.of_views import EmbeddingsOfViews
from tests.explorer.conftest import Opened
from tests.explorer.maps.test_shapes import hexagons

pytestmark = pytest.mark.browser
Open = Callable[..., Opened]


def cells(view: str, count: int = 12) -> Embeddings:
    """Hexagons in a row with vectors in two groups, and a hostile name."""
    areas = hexagons(count)
    random = np.random.default_rng(len(view))
    vectors = random.normal(size=(count, 4)) + 9 * (np.arange(count) % 2)[:, None]
    lonlat = np.array([one.centroid.coords[0] for one in areas])
    names = np.array([None] * (count - 1) + ["<b>last</b>"], object)
    ids = [f"cell-{n:02d}" for n in range(count)]
    return Embeddings(ids, vectors, lonlat, np.array(areas, object), names, view, Provenance("m", "d"))


def test_areas_are_filled_found_and_outlined(open_page: Open, tmp_path: Path) -> None:
    """Oracle: the corner of a hexagon, where no dot would reach, and the colors of the legend."""
    opened = open_page(
        explore(cells("map"), tmp_path / "cells.html", clusters=2, projections=["pca"]).page.path
    )  # type: ignore[union-attr]
    (x, y), (right, _) = opened.at("map", "cell-05"), opened.at("map", "cell-06")
    corner = x + 0.42 * (right - x), y
    color, other = (opened.pixel("map", "points", at, y) for at in (corner[0], right))
    assert color[3] == other[3] == round(0.62 * 255)
    assert color[:3] != other[:3]  # of two clusters
    opened.page.mouse.move(*corner)
    opened.settle()
    assert opened.state("s.hover") == "cell-05"
    opened.page.mouse.click(*corner)
    opened.settle()
    assert opened.state("s.focus") == "cell-05"
    near = {one["place_id"] for one in opened.state("s.neighbors")}
    assert set(opened.state("s.lit('map')")) == near
    assert near
    assert opened.page.locator("#dots").inner_text() == "Areas"
    assert (opened.requests, opened.complaints, opened.dialogs) == ([], [], [])


def test_views_and_a_dashboard_as_a_user_opens_them(open_page: Open, tmp_path: Path) -> None:
    """``--views all``: a panel a view; ``--dashboard``: a master page whose links open. Oracle: the views given."""
    both = EmbeddingsOfViews({view: cells(view) for view in ("map", "pois")})
    opened = open_page(
        explore(both, tmp_path / "views.html", views=("all",), clusters=2, projections=["pca"]).page.path
    )  # type: ignore[union-attr]
    assert opened.state("s.panels") == ["projector", "projector-1"]
    assert opened.page.locator(".pane .label strong").all_text_contents()[:2] == ["map", "pois"]
    assert opened.complaints == []
    made = explore(
        both, dashboard=tmp_path / "all", views=("all",), clusters=2, title="<i>Cells</i>"
    ).dashboard
    assert made is not None
    page = opened.page
    page.goto(made.master.as_uri())
    assert page.locator("h1").inner_text() == "<i>Cells</i>"
    assert page.locator("li img").count() >= 4
    assert page.evaluate("() => [...document.images].every((one) => one.naturalWidth > 0)")
    page.get_by_role("link", name="pois").click()
    opened.until("window.placevecState && window.placevecState.ready")
    assert opened.state("s.count") == 12
    assert page.url.startswith(made.folder.as_uri())
    assert (opened.complaints, opened.dialogs) == ([], [])
