"""Many small requests to one server, with size limits, and only to intended addresses.

Uses the standard library's client over persistent connections, one set per thread. A server named by the user can have
any address. A redirect can lead back to that server or to a public address. Its target is resolved first, and exactly
the checked address is connected to, so that the name cannot resolve differently in between.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin

from placevec.errors import SourceError
from placevec.sources.web_address import check_url, is_public, port_of, printable_address, refuse_bulk

MAX_REDIRECTS = 5
CONNECT_S, SILENCE_S, WHOLE_S = 10.0, 30.0, 120.0
"""Timeouts in seconds: for connecting, without a byte, and for one answer in total, however slowly it comes."""
_REDIRECTS = (301, 302, 303, 307, 308)
_SAME_METHOD = (307, 308)
_WHOLE = (200, 206)
_Key = tuple[str, str, int, bool]


class Trouble(Exception):  # noqa: N818 - not an error yet: it is tried again
    """No answer, or one that may succeed when retried; ``unreachable``: no server answers at that address."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and content."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TileClient:
    """The connections of one thread.

    Args:
        named: (scheme, host, port) of the servers named by the user.
        max_bytes: maximum size of an answer.
    """

    def __init__(self, named: frozenset[tuple[str, str, int]], *, max_bytes: int) -> None:
        self._named, self._max_bytes = named, max_bytes
        self._connections: dict[_Key, http.client.HTTPConnection] = {}
        self._busy: http.client.HTTPConnection | None = None
        self._since, self._closed = 0.0, False

    def get(self, url: str, headers: Mapping[str, str]) -> Answer:
        """The answer to a GET request, after redirects.

        Raises:
            Trouble: no answer, or one that is truncated or endless.
            SourceError: a redirect that must not be followed.
        """
        return self._answer(url, headers, None)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a POST request; redirects that would turn it into a GET are answers. Raises as `get` does."""
        return self._answer(url, headers, body)

    def _answer(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        followed = _REDIRECTS if body is None else _SAME_METHOD
        for _ in range(MAX_REDIRECTS + 1):
            parts = check_url(url)
            answer = self._ask(parts, headers, body)
            if answer.status not in followed:
                return answer
            url = self._followed(url, parts, answer.headers.get("location", ""))
        raise SourceError(f"{printable_address(url)} is redirected more than {MAX_REDIRECTS} times")

    def _followed(self, url: str, parts: SplitResult, location: str) -> str:
        """The target of a redirect; SourceError if it must not be followed."""
        shown = f"{printable_address(url)} is redirected to {printable_address(location)!r}"
        target = urljoin(url, location)
        try:
            there = check_url(target)
        except SourceError as error:
            raise SourceError(f"{shown}, which is not followed: {error}") from error
        if not location or there.scheme != parts.scheme:
            raise SourceError(
                f"{shown}, which has another scheme and is not followed: use that address directly"
            )
        refuse_bulk(there.hostname or "")
        return target

    def _ask(self, parts: SplitResult, headers: Mapping[str, str], body: bytes | None) -> Answer:
        where = parts.scheme, parts.hostname or "", port_of(parts)
        key: _Key = (*where, where in self._named)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        while True:
            reused = key in self._connections
            try:
                return self._exchange(key, target, headers, body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._drop(key)
                # servers close connections that were idle for too long; this is normal
                if self._closed or not (
                    reused and isinstance(error, ConnectionError | http.client.BadStatusLine)
                ):
                    raise Trouble(_words(error)) from error

    def _exchange(self, key: _Key, target: str, headers: Mapping[str, str], sent: bytes | None) -> Answer:
        if key not in self._connections:
            self._connections[key] = _opened(key)
        connection = self._connections[key]
        self._since, self._busy = time.monotonic(), connection
        try:
            connection.request("GET" if sent is None else "POST", target, sent, dict(headers))
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            length = told.get("content-length", "")
            if length.isdecimal() and int(length) > self._max_bytes:
                self._drop(key)
                return (
                    Answer(response.status, told, b"")
                    if response.status not in _WHOLE
                    else _too_long(int(length))
                )
            body = response.read(self._max_bytes + 1)
            if len(body) > self._max_bytes:
                self._drop(key)
                return (
                    Answer(response.status, told, b"")
                    if response.status not in _WHOLE
                    else _too_long(len(body))
                )
            if length.isdecimal() and response.status not in (204, 304) and len(body) < int(length):
                raise http.client.IncompleteRead(body, int(length) - len(body))
            if response.will_close:
                self._drop(key)
        finally:
            self._busy = None
        return Answer(response.status, told, body)

    def abort_if_slow(self) -> None:
        """From another thread: abort an answer that takes longer than `WHOLE_S`."""
        busy = self._busy
        if busy is not None and time.monotonic() - self._since > WHOLE_S and busy.sock is not None:
            _shut(busy.sock)

    def close(self) -> None:
        """Close all connections for good; can be called from another thread."""
        self._closed = True
        for key in list(self._connections):
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        connection = self._connections.pop(key, None)
        if connection is not None:
            if connection.sock is not None:
                _shut(connection.sock)
            connection.close()


def _too_long(size: int) -> Answer:
    raise ValueError(f"the response is larger than {size:,} bytes")


def _shut(sock: Any) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _words(error: Exception) -> str:
    """What went wrong, without numbers that differ from tile to tile."""
    if isinstance(error, TimeoutError):
        return f"no response within {SILENCE_S:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the response is truncated"
    if isinstance(error, ConnectionError | http.client.BadStatusLine):
        return "the connection was closed"
    return str(error) or type(error).__name__


# --- connections -------------------------------------------------------------------------------------------


def _opened(key: _Key) -> http.client.HTTPConnection:
    scheme, host, port, named = key
    kind = _Encrypted if scheme == "https" else _Plain
    connection = kind(host, port, timeout=SILENCE_S)
    connection.sock = _connected(host, port, anywhere=named)
    if scheme == "https":
        try:
            connection.sock = _tls().wrap_socket(connection.sock, server_hostname=host)
        except ssl.SSLError as error:
            raise Trouble(
                f"cannot establish an encrypted connection to {host} ({error.reason})", unreachable=True
            ) from error
    return connection


class _Plain(http.client.HTTPConnection):
    """Connected only by `_connected`, never by itself."""

    auto_open = 0


class _Encrypted(http.client.HTTPSConnection):
    """The same."""

    auto_open = 0


def _connected(host: str, port: int, *, anywhere: bool) -> socket.socket:
    """A socket to the first address of a host that answers.

    Raises:
        Trouble: no address answers.
        SourceError: one of its addresses must not be contacted.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Trouble(f"the host name {host} is unknown", unreachable=True) from error
    addresses = [str(info[4][0]) for info in found]
    for address in addresses:
        if not anywhere and not is_public(address):
            raise SourceError(
                f"an address leads to {host} ({address}), which is not on the public internet, and is not followed: "
                f"give that server's address itself if you trust it"
            )
    trouble = f"{host} has no address"
    for address in addresses:
        try:
            connected = socket.create_connection((address, port), timeout=CONNECT_S)
        except TimeoutError:
            trouble = f"no connection to {host}:{port} within {CONNECT_S:g} s"
        except OSError as error:
            trouble = f"no connection to {host}:{port} ({error.strerror or error})"
        else:
            connected.settimeout(SILENCE_S)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
    raise Trouble(trouble, unreachable=True)


@functools.cache
def _tls() -> ssl.SSLContext:
    import httpx  # provides root certificates on every platform

    context: ssl.SSLContext = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
