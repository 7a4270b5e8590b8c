"""A web server on loopback that answers ranges and STAC searches, and fails as a test wants."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Asked:
    """A request: its method, path, how often that path was asked for before, headers in small letters, and body."""

    method: str
    path: str
    before: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Reply:
    """What is sent; ``cut`` bytes of the body are kept back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


Answering = Callable[[Asked], Reply | None]


class RangeServer:
    """Serves the files of a folder; ``answering`` may answer in its place. ``asked`` counts requests by path."""

    def __init__(self, folder: Path, answering: Answering | None = None) -> None:
        self.folder, self.answering = folder, answering
        self.asked: Counter[str] = Counter()
        self.sent = 0
        self._lock = threading.Lock()
        own = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    own._reply(self)

            do_POST = do_GET  # noqa: N815 - as http.server wants it

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            asked = Asked(
                handler.command, handler.path, self.asked[handler.path], headers, handler.rfile.read(length)
            )
            self.asked[handler.path] += 1
        reply = (self.answering(asked) if self.answering else None) or self.file(asked)
        body = reply.body[: len(reply.body) - reply.cut]
        with self._lock:
            self.sent += len(body)
        handler.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        if reply.cut:
            handler.close_connection = True

    def file(self, asked: Asked) -> Reply:
        path = self.folder / asked.path.lstrip("/").split("?")[0]
        if not path.is_file():
            return Reply(404)
        content = path.read_bytes()
        told = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.headers.get("range", ""))
        etag = {"ETag": f'"{path.stat().st_mtime_ns}"'}
        if told is None:
            return Reply(200, content, etag)
        first, last = int(told[1]), min(int(told[2]), len(content) - 1)
        span = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return Reply(206, content[first : last + 1], {**etag, **span})


@contextlib.contextmanager
def serving(folder: Path, answering: Answering | None = None) -> Iterator[RangeServer]:
    server = RangeServer(folder, answering)
    try:
        yield server
    finally:
        server.close()


def as_json(content: Any) -> Reply:
    return Reply(200, json.dumps(content).encode(), {"Content-Type": "application/geo+json"})
