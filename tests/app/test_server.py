"""Who may speak with the app, without starting it."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from placevec.app.server import LOOPBACK, FromHereOnly, _listen
from placevec.cli import main
from placevec.errors import InputError

PORT = 8766


def asked(kind: str, *headers: tuple[str, str]) -> list[dict[str, Any]]:
    """What one request or connection with these headers is answered."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"ALLOWALL")]}
        )

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": kind, "headers": [(name.lower().encode(), value.encode()) for name, value in headers]}
    answer = FromHereOnly(app, PORT)(scope, None, send)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as thread:  # a browser of other tests may have a loop in this one
        thread.submit(asyncio.run, answer).result()
    return sent


def test_its_own_pages_may() -> None:
    """Oracle: the status of the application behind; its headers against framing and foreign hosts are ours."""
    for host in (f"127.0.0.1:{PORT}", f"localhost:{PORT}"):
        (reply,) = asked("http", ("Host", host), ("Origin", f"http://{host}"))
        headers = dict(reply["headers"])
        assert reply["status"] == 200
        assert headers[b"x-frame-options"] == b"SAMEORIGIN"
        assert b"X-Frame-Options" not in headers
        policy = headers[b"content-security-policy"].decode()
        assert "default-src 'self'" in policy
        assert "http" not in policy.replace("ws://", "")
        assert asked("websocket", ("Host", host))[0].get("status") == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "evil.example")],  # DNS rebinding
        [("Host", f"evil.example:{PORT}")],
        [("Host", "127.0.0.1:1")],
        [],
        [("Host", f"127.0.0.1:{PORT}"), ("Host", "evil.example")],
        [
            ("Host", f"127.0.0.1:{PORT}"),
            ("Origin", "http://evil.example"),
        ],  # another site in the same browser
        [("Host", f"127.0.0.1:{PORT}"), ("Origin", "null")],
    ],
)
def test_nobody_else_may(headers: list[tuple[str, str]]) -> None:
    assert asked("http", *headers)[0]["status"] == 403
    assert asked("websocket", *headers) == [{"type": "websocket.close", "code": 1008}]


def test_it_listens_on_the_loopback_address_once() -> None:
    """Oracle: the address of the socket; a port that is taken is said to be."""
    listening = _listen(0)
    with listening:
        address, port = listening.getsockname()
        assert (address, listening.family) == (LOOPBACK, socket.AF_INET)
        with pytest.raises(InputError, match="choose another --port"):
            _listen(port)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--app", "--html", "a.html"], "--html does not apply to --app"),
        (["--app", "--json"], "--json does not apply to --app"),
        (["--app", "--queries", "park"], "--queries does not apply to --app"),
        (["--html", "a.html", "--no-browser"], "--no-browser applies only to --app"),
    ],
)
def test_options_that_do_nothing_are_refused(
    options: list[str], said: str, helsinki_table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", str(helsinki_table), *options]) == 2
    assert said in capsys.readouterr().err
