"""Who may ask a service, how much and how fast. Oracle: the statuses of RFC 9110 and 6585, and the issue's list."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from placevec.errors import InputError, UsageError
from placevec.service import guard
from placevec.service.guard import Rates
from placevec.service.settings import TOKEN, digest_of, digests_of
from tests.service.conftest import HOST, Asked, Starting

SECRET = "0123456789abcdef-secret"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": f"http://{HOST}"}, 200),
        ({"Host": "evil.example"}, 403),  # DNS rebinding
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "http://evil.example"}, 403),  # another site in the same browser
        ({"Origin": "null"}, 403),
    ],
)
def test_hosts_and_origins(ask: Asked, headers: dict[str, str], status: int) -> None:
    reply = ask("GET", "/similar", params={"place": "p1"}, headers=headers)
    assert reply.status_code == status
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert not any(name.startswith("access-control") for name in reply.headers)


def test_two_hosts_and_a_websocket(ask: Asked) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    host = (b"host", HOST.encode())
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health",
        "query_string": b"",
        "headers": [host, (b"host", b"x")],
    }
    ask.run(ask.guard(scope, None, send))
    ask.run(ask.guard({"type": "websocket", "headers": [host]}, None, send))
    assert [sent[0]["status"], sent[-1]] == [403, {"type": "websocket.close", "code": 1008}]


def test_preflight_is_no_cors(ask: Asked) -> None:
    asked = {"Origin": f"http://{HOST}", "Access-Control-Request-Method": "POST"}
    reply = ask("OPTIONS", "/similar", headers=asked)
    assert reply.status_code == 405
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong-wrong-wrong-wrong", 401),
        ("Bearer", 401),
        ("Bearer \xff\xfe", 401),
        ("Basic !!!", 401),
        (f"Basic {base64.b64encode(b'me:nothing').decode()}", 401),
        (f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}", 200),
        (f"bearer {SECRET}", 200),
    ],
)
def test_tokens(start: Starting, header: str | None, status: int) -> None:
    service = start(digests=(digest_of("another-token-here"), digest_of(SECRET)))
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    reply = service("GET", "/info", headers=headers)
    assert reply.status_code == status
    assert service("GET", "/metrics").status_code == 401
    alive = service("GET", "/health")
    assert (alive.status_code, set(alive.json())) == (200, {"status", "version"})
    if status == 401:
        assert reply.headers["www-authenticate"].startswith("Bearer")
        assert service("GET", "/").headers["www-authenticate"].startswith("Basic")


def test_tokens_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert digests_of(None) == ()
    file = tmp_path / "tokens"
    file.write_text(f"# ours\n{SECRET}\n\n{SECRET}2\n")
    assert digests_of(file) == (digest_of(SECRET), digest_of(SECRET + "2"))
    monkeypatch.setenv(TOKEN, SECRET)
    assert digests_of(None) == (digest_of(SECRET),)
    monkeypatch.setenv(TOKEN, "short")
    with pytest.raises(UsageError, match="at least 16"):
        digests_of(None)
    file.write_text("# nothing\n")
    with pytest.raises(InputError, match="has 0 tokens"):
        digests_of(file)


def test_rates(start: Starting) -> None:
    """Oracle: a bucket that fills by hand."""
    now = 0.0
    rates = Rates(2.0, clock=lambda: now)
    assert [rates.allows("a") for _ in range(5)] == [True] * 4 + [False]
    now = 0.5
    assert [rates.allows("a"), rates.allows("a")] == [True, False]
    now = 1000.0  # a bucket is never fuller than at the beginning
    assert [rates.allows("a") for _ in range(5)] == [True] * 4 + [False]
    service = start(rate=1.0)
    found = [service("GET", "/health") for _ in range(4)]
    assert [one.status_code for one in found] == [200, 200, 429, 429]
    assert found[-1].headers["retry-after"] == "1"
    guarded = start(rate=1.0, digests=(digest_of(SECRET),))
    assert [guarded("GET", "/info").status_code for _ in range(3)] == [401, 401, 429]
    assert guarded("GET", "/health").status_code == 200  # wrong tokens cost others nothing


async def slowly() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(5)
    yield b"}"


async def brief() -> AsyncIterator[bytes]:
    yield b'{"place": "p1"}'


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 20_000


def test_requests_too_large_or_slow(ask: Asked) -> None:
    """A named length, one that is hidden, a lie about it, and a body that drips."""
    kind = {"Content-Type": "application/json"}
    assert ask("POST", "/similar", content=b"x" * 100_001, headers=kind).status_code == 413
    assert ask("POST", "/similar", content=endless(), headers=kind).status_code == 413
    for length in ("9" * 400, "-1", "1e3"):
        headers = {**kind, "Content-Length": length}
        assert ask("POST", "/similar", content=b"{}", headers=headers).status_code == 413
    slow = ask("POST", "/similar", content=slowly(), headers=kind)
    assert (slow.status_code, slow.json()["error"]) == (408, "a request must arrive within 0.3 s")
    assert ask.guard._held == 0
    ask.guard._held = guard._MAX_HELD - 1000  # of other requests: one of unknown length may be the largest
    try:
        assert ask("POST", "/similar", content=brief(), headers=kind).status_code == 503
        assert ask("POST", "/similar", content=b'{"place": "p1"}', headers=kind).status_code == 200
        assert ask.guard._held == guard._MAX_HELD - 1000
    finally:
        ask.guard._held = 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"[" * 50_000, 400),
        (b'{"place": "\xff"}', 400),
        (json.dumps({"place": "p1", "k": 0}).encode(), 422),
        (json.dumps({"place": "p1", "k": 10**400}).encode(), 422),
        (b'{"place": "p1", "threshold": NaN}', 422),
        (b'{"place": "p1", "unknown": 1}', 422),
        (json.dumps({"place": "x" * 501}).encode(), 422),
        (json.dumps({}).encode(), 400),
        (json.dumps({"place": "p1", "name": "p1"}).encode(), 400),
        (json.dumps({"lon": 24.5}).encode(), 400),
    ],
)
def test_malformed_requests(ask: Asked, content: bytes, status: int) -> None:
    reply = ask("POST", "/similar", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == status, reply.text
    assert "\n" not in reply.json()["error"], reply.text


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f..%2fetc/passwd", "/places/../../etc/passwd2", "/places/%2e%2e/%2e%2e/x", "/tiles/1/0/%2e%2e", "/static/x",
        "/places/" + "a" * 5000, "/docs", "/redoc",
    ],
)  # fmt: skip
def test_paths_lead_nowhere(ask: Asked, path: str) -> None:
    assert ask("GET", path).status_code == 404


def test_a_bug_shows_nothing_inside(start: Starting, capsys: pytest.CaptureFixture[str]) -> None:
    service = start()
    service.service.state = None
    reply = service("GET", "/info")
    assert (reply.status_code, "NoneType" in reply.text) == (500, False)
    assert "unexpected AttributeError" in capsys.readouterr().err
