"""The front end by keyboard, by touch, on a phone, light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.explorer.conftest import Opened, Written, isolated_place

pytestmark = pytest.mark.browser
Open = Callable[..., Opened]


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
        "#coloring",
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


def test_theme_button(opened: Opened) -> None:
    page = opened.page
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == before
