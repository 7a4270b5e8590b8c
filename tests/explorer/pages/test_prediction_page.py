"""The page of distributions in a real browser: no network, hostile names, the values under the pointer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec import api
from placevec.explorer.pages.prediction_page import _levels
from tests.inference.closed_form import HOSTILE, closed_form, expected


def test_levels_keep_values_to_a_part_in_65534() -> None:
    values = np.array([0.0, 0.25, 1.0, 2.0, np.nan], np.float32)
    assert _levels(values, 0.0, 1.0).tolist() == [0, 16384, 65534, 65534, 65535]


def test_nothing_of_a_name_becomes_markup(tmp_path: Path) -> None:
    closed_form(tmp_path / "m", classes=HOSTILE)
    report = api.predict(
        tmp_path / "m",
        tmp_path / "a.html",
        classes=[HOSTILE[0], HOSTILE[1]],
        resolution=10.0,
        title=HOSTILE[0],
    )
    text = report.path.read_text("utf-8")
    assert "<img" not in text
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "\u202e" not in text.partition("<main")[0]
    assert "&lt;b&gt;nobody" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


@pytest.mark.browser
def test_values_under_the_pointer_keys_and_no_requests(tmp_path: Path, browser: Any) -> None:
    """Oracle: the closed form at the middle of the cell."""
    points = tmp_path / "p.csv"
    points.write_text("lon,lat\n10,50\n-170,0\n")
    closed_form(tmp_path / "m", classes=HOSTILE)
    closed_form(tmp_path / "n", classes=HOSTILE)
    report = api.predict(
        [tmp_path / "m", tmp_path / "n"],
        tmp_path / "a.html",
        classes=list(HOSTILE),
        resolution=5.0,
        points=points,
    )
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.goto(report.path.as_uri())
    page.wait_for_timeout(200)
    assert page.locator("#class option").all_text_contents() == [" ".join(name.split()) for name in HOSTILE]
    for number in range(3):
        page.select_option("#class", str(number))
        page.wait_for_timeout(60)
        found = page.evaluate("window.placevecMaps.valueAt(1, 12.5, 47.5)")
        assert found == pytest.approx(expected(np.array([[12.5, 47.5]]))[0, number], abs=1e-4)
    stage = page.locator(".stage").first
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2 - 2)
    page.wait_for_timeout(60)
    told = page.locator(".pane h2 span").all_text_contents()
    assert told[0] == told[1] != ""
    assert "lat" in page.locator("#readout").text_content()
    stage.focus()
    for key in ("+", "+", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    state = page.evaluate("({...window.placevecMaps.state})")
    assert state["zoom"] == pytest.approx(1.96)
    assert state["x"] > 0
    assert state["y"] > 0
    page.keyboard.press("0")
    assert page.evaluate("window.placevecMaps.state.x") == 0
    page.click("#dots")
    assert page.locator("#dots").get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("img, iframe, object, embed, link").count() == 0
    assert requests == [report.path.as_uri()]
    assert complaints == []
    page.close()
