"""A page with queries in words that are answered live, for this machine only.

The server binds the loopback address. It answers only requests that name it as host, and from its own page, so that no
other site can ask through the user's browser (DNS rebinding, cross-site requests).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from placevec.errors import InputError, PlacevecError, UsageError
from placevec.explorer.words import MAX_LENGTH

LOOPBACK = "127.0.0.1"
MAX_BODY = 16_384
"""Bytes of a request."""
_SECONDS = 10.0
_AT_ONCE = 16
Answer = Callable[[str], dict[str, Any]]
"""The words of a query -> JSON for the page, as `placevec.explorer.words.WordQuery.content`."""


class PageServer:
    """Serves one page, and answers its queries one at a time.

    Args:
        page: the HTML.
        answer: called with the words of each query; a PlacevecError is shown to the user.
        port: of the loopback address; 0 takes any that is free.

    Attributes:
        url: address of the page.

    Raises:
        InputError: the port is taken.
    """

    def __init__(self, page: str, answer: Answer, port: int = 0) -> None:
        try:
            self._server = _Server((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(f"cannot listen on {LOOPBACK}:{port}: {error}; choose another --port") from error
        self._server.page, self._server.answer = page.encode(), answer
        bound = int(self._server.server_address[1])
        self._server.hosts = frozenset({f"{LOOPBACK}:{bound}", f"localhost:{bound}"})
        self.url = f"http://{LOOPBACK}:{bound}/"

    def run(self) -> None:
        """Answer until `stop` or Ctrl-C."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            pass
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """Stop answering; from another thread than that of `run`."""
        self._server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    page: bytes
    answer: Answer
    hosts: frozenset[str]

    def __init__(self, *arguments: Any) -> None:
        self.one_at_a_time = threading.Lock()
        self.room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(*arguments)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SECONDS
    server_version = sys_version = ""

    def handle(self) -> None:
        if self.server.room.acquire(blocking=False):
            try:
                super().handle()
            finally:
                self.server.room.release()

    def do_GET(self) -> None:
        """The page, and nothing else."""
        if not self._from_here():
            return
        if self.path != "/":
            self._send(404, b"not found", "text/plain")
        else:
            self._send(200, self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """The answer to a query."""
        if not self._from_here():
            return
        length = self.headers.get("Content-Length", "")
        if self.path != "/words" or self.headers.get_content_type() != "application/json":
            self._send(404, b"not found", "text/plain")
        elif not length.isdigit() or len(length) > 9 or int(length) > MAX_BODY:
            self._error(413, f"a request must have at most {MAX_BODY:,} bytes")
        else:
            self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        try:
            asked = json.loads(body)["text"]
            if not isinstance(asked, str) or not 1 <= len(asked.strip()) <= MAX_LENGTH:
                raise UsageError(f"a query must have 1 to {MAX_LENGTH} characters")
        except UsageError as error:
            return self._error(400, str(error))
        except (ValueError, KeyError, TypeError, RecursionError):
            return self._error(400, "a request must be JSON with a text")
        try:
            with self.server.one_at_a_time:
                found = self.server.answer(asked.strip())
        except PlacevecError as error:
            return self._error(400, str(error))
        return self._send(200, json.dumps(found).encode(), "application/json")

    def _from_here(self) -> bool:
        """Whether a request names this server as its host, and comes from its page; if not, the reply is 403."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host in self.server.hosts and origin in (None, *(f"http://{one}" for one in self.server.hosts)):
            return True
        self._send(403, b"this page is for the machine it runs on", "text/plain")
        return False

    def _error(self, status: int, message: str) -> None:
        self._send(status, json.dumps({"error": message}).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind), ("Content-Length", str(len(content))), ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Resource-Policy", "same-origin"), ("Referrer-Policy", "no-referrer"),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed."""
