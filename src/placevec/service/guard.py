"""Who may ask a service, how much and how fast: checked before anything reads a request.

The order is: the host that is named (DNS rebinding), the page that asks (other sites in the user's browser), the token,
the rate, the size, and the time in which the body arrives. There is no CORS: no page of another origin can read answers.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from placevec.service.counters import Counters
from placevec.service.settings import Settings, digest_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_HEADERS = [
    (b"x-content-type-options", b"nosniff"), (b"x-frame-options", b"DENY"), (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]  # fmt: skip
_OPEN = ("/health",)
"""What is answered without a token."""
_MAX_CLIENTS = 10_000
_MAX_HELD = 256_000_000
"""Bytes of the bodies of all requests that are being answered."""
_BURST_S = 2.0


class Rates:
    """Limits requests a second by client: a bucket of tokens each, which holds those of two seconds.

    >>> rates = Rates(1.0, clock=lambda: 0.0)
    >>> [rates.allows("a") for _ in range(3)], rates.allows("b")
    ([True, True, False], True)
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._clock = rate, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Whether a client may ask now; if so, it is counted."""
        if not self.rate > 0:
            return True
        full, now = max(1.0, _BURST_S * self.rate), self._clock()
        left, at = self._left.pop(client, (full, now))
        left = min(full, left + (now - at) * self.rate)
        self._left[client] = (left - 1.0 if left >= 1.0 else left, now)
        if len(self._left) > _MAX_CLIENTS:
            self._left.popitem(last=False)
        return left >= 1.0


class RefusedError(Exception):
    """A request that is not answered, with the status, the message and further headers of the reply."""

    def __init__(self, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


class Guard:
    """An ASGI application in front of another.

    Args:
        app: what answers.
        settings: limits, hosts and tokens.
        counters: count every reply.
        route_of: path -> its name in the counters.
    """

    def __init__(
        self, app: App, settings: Settings, counters: Counters, route_of: Callable[[str], str]
    ) -> None:
        self.app, self.settings, self.counters, self.route_of = app, settings, counters, route_of
        self.hosts = {host.encode() for host in settings.hosts}
        self.origins = {scheme + host for host in self.hosts for scheme in (b"http://", b"https://")}
        self.rates = Rates(settings.rate)
        self._held = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        held = 0
        try:
            headers = dict(scope["headers"])
            self._check(scope, headers)
            body = b""
            if scope["method"] not in ("GET", "HEAD"):
                length = self._length(headers)
                held = length if length is not None else self.settings.max_body
                if self._held + held > _MAX_HELD:
                    held = 0
                    raise RefusedError(503, "too many large requests at once", (b"retry-after", b"1"))
                self._held += held
                body = await self._body(receive)
            await self.app(scope, _given(body, receive), sending)
        except RefusedError as refused:
            await _refuse(refused, sending)
        finally:
            self._held -= held
            self.counters.request(self.route_of(scope["path"]), status, time.perf_counter() - began)

    def _check(self, scope: Message, headers: dict[bytes, bytes]) -> None:
        """Refused unless host, origin, token and rate are in order."""
        if self.hosts:
            named = [value for name, value in scope["headers"] if name == b"host"]
            origins = [value for name, value in scope["headers"] if name == b"origin"]
            if len(named) != 1 or named[0] not in self.hosts:
                raise RefusedError(403, "this host is not served here: allow its name with --allow-host")
            if any(one not in self.origins for one in origins):
                raise RefusedError(403, "pages of other sites may not send requests")
        elif b"origin" in headers and headers[b"origin"].partition(b"://")[2] != headers.get(b"host"):
            raise RefusedError(403, "pages of other sites may not send requests")
        client = str((scope.get("client") or ("",))[0])
        if self.settings.digests and scope["path"] not in _OPEN:
            digest = digest_of(_token(headers.get(b"authorization", b"")))
            # every token is compared, whichever fits
            if not sum(hmac.compare_digest(digest, one) for one in self.settings.digests):
                if not self.rates.allows(f"failed {client}"):
                    raise RefusedError(429, "too many requests", (b"retry-after", b"1"))
                scheme = b'Bearer realm="placevec"' if scope["path"] != "/" else b'Basic realm="placevec"'
                raise RefusedError(401, "a valid token is missing", (b"www-authenticate", scheme))
            client = digest.hex()
        if not self.rates.allows(client):
            raise RefusedError(429, "too many requests", (b"retry-after", b"1"))

    def _length(self, headers: dict[bytes, bytes]) -> int | None:
        """The length that a request names; Refused if it is too large."""
        text = headers.get(b"content-length")
        if text is None:
            return None
        if not text.isdigit() or len(text) > 15 or int(text) > self.settings.max_body:
            raise RefusedError(413, f"a request must have at most {self.settings.max_body:,} bytes")
        return int(text)

    async def _body(self, receive: Receive) -> bytes:
        """The whole body; Refused if it is too large or does not arrive in time."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.settings.patience_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "the request ended early")
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self.settings.max_body:
                        raise RefusedError(
                            413, f"a request must have at most {self.settings.max_body:,} bytes"
                        )
                    parts.append(part)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise RefusedError(408, f"a request must arrive within {self.settings.patience_s:g} s") from None


def _given(body: bytes, receive: Receive) -> Receive:
    """Receives a body that has been read, and then what else comes."""
    waiting = [body]

    async def given() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return given


def _token(header: bytes) -> str:
    """The token of an authorization header: after Bearer, or the password after Basic, which browsers and GIS ask for."""
    scheme, _, rest = header.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip().decode("latin-1")
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest, validate=True).decode("latin-1").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


async def _refuse(refused: RefusedError, send: Send) -> None:
    content = json.dumps({"error": refused.message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *refused.headers,
    ]
    if refused.status in (400, 408, 413, 503):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
