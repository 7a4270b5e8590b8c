"""Every screen as Streamlit runs it, and the app in a real browser."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import placevec.app
from placevec.app.project import Project, open_for_all

pytest.importorskip("streamlit")
MAIN = Path(str(placevec.app.__file__)).with_name("main.py")
HOSTILE = "<img src=x onerror=alert(1)>[a](javascript:alert(2))"


@pytest.fixture(scope="module")
def app(project: Project) -> Iterator[Any]:
    """The first screen of one browser."""
    from streamlit.testing.v1 import AppTest

    names = project.table.names.copy()
    project.table.names[:3] = HOSTILE
    open_for_all(project)
    yield AppTest.from_file(str(MAIN), default_timeout=120).run()
    project.table.names[:] = names


def on(app: Any, screen: str) -> Any:
    """The app on another screen, without an exception or error."""
    app.radio(key="screen").set_value(screen).run()
    assert not app.exception, app.exception
    assert not app.error, app.error
    return app


def test_every_screen_in_turn(app: Any, project: Project) -> None:
    """State that a user sets survives other screens; results, sets and labels reach each other. Oracle: the project."""
    assert not app.exception, app.exception
    assert [one.value for one in app.radio] == ["Projector"]
    app.button_group(key="dim").set_value([3]).run()
    assert not app.exception, app.exception
    place = str(project.table.place_id[11])
    on(app, "Similarity search")
    app.text_input(key="query_place").set_value(place).run()
    assert any("10 places like" in one.value for one in app.markdown)
    app.slider(key="k").set_value(30).run()
    assert any("30 places like" in one.value for one in app.markdown)
    app.selectbox(key="metric").set_value("manhattan").run()
    app.selectbox(key="query_kind").set_value("Coordinates").run()
    assert not app.exception, app.exception
    app.selectbox(key="query_kind").set_value("Words").run()
    app.text_input(key="query_words").set_value("a park").run()
    assert any("text" in one.value for one in app.error)  # its model reads no words, which is said
    app.selectbox(key="query_kind").set_value("Random place").run()
    assert any("30 places like" in one.value for one in app.markdown)
    on(app, "Sets")
    app.text_input(key="more_text").set_value(place).run()
    assert app.session_state["more"] == [place]
    assert any("with a score of at least" in one.value for one in app.markdown)
    on(app, "Gallery")
    app.selectbox(key="gallery_order").set_value("By cluster").run()
    similar = next(one for one in app.button if one.key.startswith("gallery_s_"))
    similar.click().run()
    assert app.radio(key="screen").value == "Similarity search"
    assert app.slider(key="k").value == 30
    on(app, "Place")
    app.text_input(key="place").set_value(str(project.table.place_id[0])).run()
    assert any("javascript\\:alert" in one.value for one in app.markdown)  # a hostile name, as text
    on(app, "Statistics")
    assert app.metric[0].value == f"{len(project.table)}".replace(",", "")
    on(app, "Labels")
    app.text_input(key="new_class").set_value("park").run()
    offered = next(one for one in app.selectbox if one.key.startswith("offer_"))
    offered.set_value("park").run()
    assert any("1 labels" in one.value for one in app.markdown)


def test_two_browsers_do_not_disturb_each_other(app: Any, project: Project) -> None:
    """A second one starts on its own screen with its own sets, and shares the labels. Oracle: the state of both."""
    from streamlit.testing.v1 import AppTest

    on(app, "Labels")
    counted = [one.value for one in app.markdown if " labels" in one.value]
    assert counted
    on(app, "Sets")
    other = AppTest.from_file(str(MAIN), default_timeout=120).run()
    assert other.radio(key="screen").value == "Projector"
    assert "more" not in other.session_state
    on(other, "Labels")
    assert counted == [one.value for one in other.markdown if " labels" in one.value]
    assert app.radio(key="screen").value == "Sets"


def is_problem(told: Any) -> bool:
    """Whether a message of the console is an error, but for a picture that is gone."""
    return told.type == "error" and "/media/" not in f"{told.location.get('url')} {told.text}"


def paths_to(file: Path, url: str) -> list[str]:
    """Paths by which a careless server would send a file from beside the page that it has at an address."""
    folder = urlsplit(url).path.rpartition("/")[0]
    up = "/".join([".."] * 20)
    return [
        f"{folder}/{up}{file}", f"{folder}/{up.replace('.', '%2e')}{file}", f"{folder}/{up.replace('/', '%2f')}{file}",
        f"{folder}/{file}", f"{folder}/{quote(str(file), safe='')}", f"/{up}{file}", f"/media/{up}{file}",
    ]  # fmt: skip


def answer_to(address: str, path: str) -> bytes:
    """What is sent for a path, which goes out as it is."""
    server = HTTPConnection(urlsplit(address).netloc, timeout=60)
    server.request("GET", path)
    with contextlib.closing(server):
        return server.getresponse().read()


@pytest.mark.browser
def test_in_a_browser(project: Project, browser: Any) -> None:
    """As the command starts it: all that is found is on the page, also beyond its sample; a click on a place
    finds others, and one on the map finds those like that point.

    Oracle: the places that the page says it shows, and the addresses of all requests. Nothing outside of the page's
    folder is sent: the file of the vectors is asked for by the paths that would reach it.
    """
    from playwright.sync_api import TimeoutError

    command = [
        sys.executable,
        "-m",
        "placevec",
        "explore",
        str(project.path),
        "--app",
        "--no-browser",
        "--port",
        "0",
    ]
    with subprocess.Popen(
        [*command, "--clusters", "4", "--max-places", "300"], stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout is not None
        address = next(line for line in served.stdout if ": open it" in line).partition(": open it")[0]
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        requests: list[str] = []
        problems: list[str] = []
        try:
            page = context.new_page()
            page.on("request", lambda request: requests.append(request.url))
            page.on("pageerror", lambda error: problems.append(str(error)))
            # Streamlit drops the pictures of a screen that is drawn anew, perhaps before the browser fetched them: 404
            page.on("console", lambda told: problems.append(told.text) if is_problem(told) else None)
            page.goto(address)
            page.get_by_text("Similarity search", exact=True).click(timeout=60_000)
            page.get_by_label("Name or place ID").fill(str(project.table.place_id[11]))
            page.get_by_label("Name or place ID").press("Enter")
            page.get_by_text("10 places like").wait_for(timeout=60_000)
            shown = next(one for one in page.frames if "/component/" in one.url)
            shown.wait_for_function("() => window.placevecState?.neighbors.length === 10", timeout=60_000)
            for path in paths_to(project.path, shown.url):
                assert b"PAR1" not in answer_to(address, path), path
            first = shown.evaluate("() => window.placevecState.neighbors[0].place_id")
            for attempt in range(5):  # the layout of a slow machine may still move under the pointer
                x, y = shown.evaluate("(id) => window.placevecState.position('map', id)", first)
                box = page.locator("iframe").first.bounding_box()
                page.mouse.click(box["x"] + x, box["y"] + y)
                with contextlib.suppress(() if attempt == 4 else TimeoutError):
                    page.wait_for_function(
                        "(id) => document.querySelector('input[aria-label=\"Name or place ID\"]')?.value === id",
                        arg=first,
                        timeout=15_000,
                    )
                    break
            page.get_by_role("combobox", name="Query by").click()
            page.get_by_role("option", name="Point on the map").click()
            page.get_by_text("Click on the map").wait_for(timeout=60_000)
            shown = next(one for one in page.frames if "/component/" in one.url)
            x, y = shown.evaluate("(id) => window.placevecState.position('map', id)", first)
            box = page.locator("iframe").first.bounding_box()
            page.mouse.click(box["x"] + x + 9, box["y"] + y + 9)  # beside the place
            page.get_by_text(re.compile(r"10 places like -?\d+\.\d{5}, ")).wait_for(timeout=60_000)
        finally:
            context.close()
            served.terminate()
        outside = [one for one in requests if not one.startswith((address, "data:", "blob:"))]
        assert (outside, problems) == ([], [])
