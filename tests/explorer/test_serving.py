"""A served page: who may ask, what may be asked, and the page in a real browser."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from placevec.embeddings.search.background import Background
from placevec.errors import InputError, UsageError
from placevec.explorer.pages.page import page_of
from placevec.explorer.sample import Drawn
from placevec.explorer.serving import MAX_BODY, PageServer
from placevec.explorer.words import MAX_LENGTH, WordQuery, checked_queries
from tests.explorer.conftest import Opened, Written

Reply = tuple[int, dict[str, str], bytes]
HOSTILE = "</script><img src=x onerror=alert(9)>"


@pytest.fixture
def server() -> Iterator[PageServer]:
    def answer(text: str) -> dict[str, Any]:
        if text == "refused":
            raise UsageError("not that")
        return {"text": text}

    made = PageServer("<p>page</p>", answer)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join()


def ask(server: PageServer, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    host = server.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=20)
    given = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    connection.request(method, path, body, given)
    reply = connection.getresponse()
    found = reply.status, dict(reply.getheaders()), reply.read()
    connection.close()
    return found


def test_the_page_and_its_queries(server: PageServer) -> None:
    status, headers, body = ask(server, "GET", "/")
    assert (status, body) == (200, b"<p>page</p>")
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    own = server.url.rstrip("/")
    status, _, body = ask(server, "POST", "/words", json.dumps({"text": f" {HOSTILE} "}).encode(), Origin=own)
    assert (status, json.loads(body)) == (200, {"text": HOSTILE})
    status, _, body = ask(server, "POST", "/words", b'{"text": "refused"}')
    assert (status, json.loads(body)) == (400, {"error": "not that"})
    assert server.url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),  # DNS rebinding
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "http://evil.example"}, 403),  # another site in the same browser
        ({"Origin": "null"}, 403),
        ({"Content_Type": "text/plain"}, 404),  # what a form could send
        ({"Content_Length": str(MAX_BODY + 1)}, 413),
        ({"Content_Length": "9" * 400}, 413),
        ({"Content_Length": "-1"}, 413),
    ],
)
def test_who_may_not_ask(server: PageServer, headers: dict[str, str], status: int) -> None:
    assert ask(server, "POST", "/words", b"{}", **headers)[0] == status


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"text": 1}',
        b'{"text": " "}',
        b"[" * 9_000,
        json.dumps({"text": "x" * (MAX_LENGTH + 1)}).encode(),
    ],
)
def test_what_may_not_be_asked(server: PageServer, body: bytes) -> None:
    status, _, found = ask(server, "POST", "/words", body)
    assert status == 400
    assert json.loads(found)["error"]


def test_no_other_path_and_no_port_twice(server: PageServer) -> None:
    assert ask(server, "GET", "/../etc/passwd")[0] == 404
    assert ask(server, "PUT", "/")[0] == 501
    with pytest.raises(InputError, match="choose another --port"):
        PageServer("", lambda text: {}, int(server.url.rsplit(":", 1)[1].strip("/")))


def test_queries_are_limited() -> None:
    for texts in ([], [" "], ["x" * (MAX_LENGTH + 1)], [str(number) for number in range(51)]):
        with pytest.raises(UsageError):
            checked_queries(texts)


@pytest.fixture(scope="module")
def drawn(written: Written) -> Drawn:
    made = Drawn.of(written.emb, dataset=written.dataset, clusters=3)  # type: ignore[arg-type]
    made.queries = [
        WordQuery(HOSTILE, written.emb.vectors[5]),
        WordQuery("nowhere", -written.emb.vectors.mean(axis=0)),
    ]
    return made


@pytest.mark.browser
def test_buttons_color_and_rank(drawn: Drawn, open_page: Any, tmp_path: Any) -> None:
    """Oracle: z and ranking by numpy; words are text, the page asks for nothing, Escape and Clear undo."""
    opened: Opened = open_page(page_of(drawn, tmp_path / "page.html").path)
    page = opened.page
    assert page.locator("#words button bdi").all_text_contents() == [HOSTILE, "nowhere"]
    assert page.locator("#ask").count() == 0
    page.click("#words button >> nth=0")
    opened.settle()
    assert opened.state("[s.words, s.coloring]") == [HOSTILE, "words"]
    units = drawn.vectors / np.linalg.norm(drawn.vectors, axis=1, keepdims=True)
    far = 1.0 - units.astype(float) @ units[5]
    best = drawn.place_id[int(far.argmin())]
    found = opened.state("s.neighbors")
    assert found[0]["place_id"] == best
    z = Background.of(drawn.vectors[5], drawn.vectors).z(far)
    ids = drawn.place_id.tolist()
    wanted = [z[ids.index(one["place_id"])] for one in found]
    assert np.allclose([one["distance"] for one in found], wanted, atol=1e-4)
    assert wanted == sorted(wanted, reverse=True)
    assert page.locator("#card h2 bdi").text_content() == HOSTILE
    page.keyboard.press("Escape")
    assert opened.state("s.words") is None
    page.click("#words button >> nth=1")
    page.select_option("#coloring", "block")
    assert opened.state("[s.words, s.coloring, s.neighbors.length]") == [None, "block", 0]
    assert (opened.requests, opened.complaints, opened.dialogs) == ([], [], [])


@pytest.mark.browser
def test_a_served_page_asks_its_server(drawn: Drawn, browser: Any, tmp_path: Any) -> None:
    """Live words become a button, colors and a list; an error is shown as text; nothing else is asked for."""
    page_text = page_of(drawn, tmp_path / "page.html", served=True).path.read_text("utf-8")

    def answer(text: str) -> dict[str, Any]:
        if text == "refused":
            raise UsageError("<b>not</b> that")
        return drawn.in_words(WordQuery(text, drawn.vectors[7]))

    server = PageServer(page_text, answer)
    thread = threading.Thread(target=server.run)
    thread.start()
    context = browser.new_context()
    try:
        page = context.new_page()
        opened = Opened(page)
        page.on("request", lambda request: opened.requests.append(request.url.removeprefix(server.url)))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.goto(server.url)
        opened.until("window.placevecState && window.placevecState.ready")
        for text in ("refused", HOSTILE + "!"):
            page.fill("#ask", text)
            page.keyboard.press("Enter")
            if text == "refused":
                opened.until("document.querySelector('#words .doubt').textContent === '<b>not</b> that'")
        opened.until("window.placevecState.words !== null")
        assert page.locator("#words button bdi").all_text_contents() == [HOSTILE, "nowhere", HOSTILE + "!"]
        assert opened.state("s.neighbors[0].place_id") == drawn.place_id[7]
        assert [one for one in opened.requests if one != "favicon.ico"] == ["", "words", "words"]
        assert opened.complaints == []
    finally:
        context.close()
        server.stop()
        thread.join()
