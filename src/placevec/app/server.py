"""Starting the app for this machine only.

The server binds the loopback address and answers only requests that name it as host and come from its own pages, so
that no other site can speak with it through the user's browser (DNS rebinding, cross-site requests). Pages may load
and call nothing but this server.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from placevec.app.project import Project, open_for_all
from placevec.app.uploads import MAX_UPLOAD_MB
from placevec.errors import InputError, MissingExtraError
from placevec.io.progress import SILENT, Progress

LOOPBACK = "127.0.0.1"
PORT = 8766
_SETTINGS: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "logger.level": "error",
    "runner.magicEnabled": False,
    "server.address": LOOPBACK,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": MAX_UPLOAD_MB,
}
"""Options of Streamlit; they overrule files of configuration that lie around."""
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class FromHereOnly:
    """An ASGI application that passes on what this machine's browser asks of it, and refuses everything else.

    Args:
        app: the application.
        port: of the loopback address.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], port: int) -> None:
        self.app = app
        self.hosts = {f"{LOOPBACK}:{port}".encode(), f"localhost:{port}".encode()}
        self.origins = {b"http://" + host for host in self.hosts}
        sockets = " ".join(f"ws://{host.decode()}" for host in sorted(self.hosts))
        policy = (
            "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
            f"connect-src 'self' data: blob: {sockets}; frame-ancestors 'self'; form-action 'self'; base-uri 'self'; "
            "object-src 'none'"
        )
        self.headers = [
            (b"content-security-policy", policy.encode()), (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"SAMEORIGIN"), (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]  # fmt: skip

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        """Answer one request or connection."""
        if scope["type"] == "lifespan" or self._from_here(scope):
            await self.app(scope, receive, self._with_headers(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refused = [(b"content-type", b"text/plain"), *self.headers]
            await send({"type": "http.response.start", "status": 403, "headers": refused})
            await send({"type": "http.response.body", "body": b"this app is for the machine it runs on"})

    def _from_here(self, scope: Scope) -> bool:
        """Whether a request names this server as its one host, and comes from its own page or from no page."""
        named = [value for name, value in scope["headers"] if name == b"host"]
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        return len(named) == 1 and named[0] in self.hosts and all(one in self.origins for one in origins)

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in self.headers}
                kept = [
                    (name, value) for name, value in message.get("headers", []) if name.lower() not in ours
                ]
                message = {**message, "headers": [*kept, *self.headers]}
            await send(message)

        return sending


def require_streamlit() -> None:
    """MissingExtraError if Streamlit is not installed."""
    if importlib.util.find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "app")


def run(
    project: Project,
    *,
    port: int = PORT,
    browser: bool = False,
    started: Callable[[str], None] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Serve the app until Ctrl-C.

    Args:
        project: what it shows.
        port: of the loopback address; 0 takes any that is free.
        browser: open a browser, if there is a screen.
        started: called with the address.
        progress: receives progress reports of what is prepared before.

    Raises:
        MissingExtraError: Streamlit is not installed.
        InputError: the port is taken.
    """
    require_streamlit()
    listening = _listen(port)
    bound = int(listening.getsockname()[1])
    open_for_all(project)
    import uvicorn
    from streamlit.starlette import App
    from streamlit.web.bootstrap import load_config_options

    load_config_options({**_SETTINGS, "server.port": bound})
    from placevec.app import screens  # loaded now, not by the first browser
    from placevec.app.searching import prepare
    from placevec.app.space import page_folder

    assert screens.SCREENS
    page_folder(project)
    prepare(project, progress)
    app = FromHereOnly(App(Path(__file__).with_name("main.py")), bound)
    server = uvicorn.Server(
        uvicorn.Config(app, ws="websockets-sansio", log_level="error", access_log=False, server_header=False)
    )
    address = f"http://{LOOPBACK}:{bound}/"
    if started is not None:
        started(address)
    if browser and _has_screen():
        import webbrowser

        webbrowser.open(address)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    if os.name != "nt":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(f"cannot listen on {LOOPBACK}:{port}: {error}; choose another --port") from error
    return listening


def _has_screen() -> bool:
    """Whether a browser can be shown; on Linux without one, a browser of the terminal would take it over."""
    return not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
