"""Tile servers on loopback that answer as a test wants: well, late, wrongly or not at all."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

PATH = re.compile(r"/hot/(\d+)/(\d+)/(\d+)\.png")


@dataclass
class Reply:
    """What is sent: ``drip`` seconds between bytes; ``cut`` bytes of the body that are kept back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drip: float = 0.0
    cut: int = 0


@dataclass
class Asked:
    """A request: the tile, how often it was asked for before, its headers in small letters."""

    zoom: int
    x: int
    y: int
    before: int
    headers: Mapping[str, str]


Answering = Callable[[Asked], Reply]


def pixels(x: int, y: int) -> np.ndarray:
    """(256, 256, 3) a picture that no other tile has."""
    ramp = np.arange(256)
    planes = [
        np.add.outer(ramp * 0 + x, ramp),
        np.add.outer(ramp, ramp * 0 + y),
        np.add.outer(ramp, ramp + x + y),
    ]
    return (np.stack(planes, axis=-1) % 256).astype(np.uint8)


def png(x: int, y: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(x, y)).save(file, "PNG")
    return file.getvalue()


def well(asked: Asked) -> Reply:
    return Reply(body=png(asked.x, asked.y))


class Server:
    """A server; ``asked`` counts its requests by tile, ``max_at_once`` those it worked on together."""

    def __init__(self, answering: Answering, *, keep_alive: bool = True) -> None:
        self.answering = answering
        self.asked: Counter[tuple[int, int, int]] = Counter()
        self.requests: list[Asked] = []
        self.max_at_once = self._now = 0
        self._lock = threading.Lock()
        own = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                with contextlib.suppress(OSError):
                    own._reply(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def template(self) -> str:
        return f"http://127.0.0.1:{self.port}/hot/{{z}}/{{x}}/{{y}}.png"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, handler: BaseHTTPRequestHandler) -> None:
        found = PATH.fullmatch(handler.path.split("?")[0])
        assert found is not None, handler.path
        tile = (int(found[1]), int(found[2]), int(found[3]))
        with self._lock:
            asked = Asked(*tile, self.asked[tile], {k.lower(): v for k, v in handler.headers.items()})
            self.asked[tile] += 1
            self.requests.append(asked)
            self._now += 1
            self.max_at_once = max(self.max_at_once, self._now)
        try:
            self._send(handler, self.answering(asked))
        finally:
            with self._lock:
                self._now -= 1

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        time.sleep(reply.wait)
        handler.send_response(reply.status)
        told = {"Content-Type": "image/png", "Content-Length": str(len(reply.body)), **reply.headers}
        for name, value in told.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        body = reply.body[: len(reply.body) - reply.cut]
        if reply.drip:
            for byte in body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(reply.drip)
        else:
            handler.wfile.write(body)
        if reply.cut:
            handler.close_connection = True


@contextlib.contextmanager
def serving(answering: Answering = well, **options: bool) -> Iterator[Server]:
    server = Server(answering, **options)
    try:
        yield server
    finally:
        server.close()


def closed_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
