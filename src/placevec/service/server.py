"""`serve`: starts the service, one process or several, until it is stopped; requests that have begun are finished."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.inputs import PathLike
from placevec.errors import InputError, MissingExtraError, UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import Backend, Metric
from placevec.service.settings import TOKEN, Settings, digests_of

if TYPE_CHECKING:
    import uvicorn

PORT = 8767
_GIL_S = 0.0005
"""After this many seconds a thread that computes lets another go on: 5 ms, the default, is a dozen requests."""


@checked_keywords
def serve(
    run: PathLike,
    *embeddings: PathLike,
    host: str = "127.0.0.1",
    port: Annotated[int, Limits(min=0, max=65535)] = PORT,
    allow_host: Sequence[str] = (),
    token_file: PathLike | None = None,
    dataset: PathLike | None = None,
    columns: PathLike | None = None,
    backend: Backend = "exact",
    metric: Metric = "cosine",
    workers: Annotated[int, Limits(min=1, max=256)] = 1,
    rate: Annotated[float, Limits(min=0)] = 200.0,
    max_body_mb: Annotated[float, Limits(above=0, max=1024)] = 16.0,
    max_connections: Annotated[int, Limits(min=1)] = 256,
    reload_s: Annotated[float, Limits(min=0)] = 2.0,
    drain_s: Annotated[int, Limits(min=0)] = 30,
    started: Callable[[str], None] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Serve a model and its vectors over HTTP until stopped: vectors, similar places, colored tiles, the explorer.

    Without a token only this machine can be served. Changed files are served without a restart.

    Args:
        run: Run or model, or the name of an included model.
        embeddings: Files of vectors that this model made.
        host: Address to listen on.
        port: Port to listen on (0 picks a free port).
        allow_host: Additional host names to accept, separated by commas, such as a proxy's.
        token_file: File with one token per line; requests must carry one of them (default: PLACEVEC_TOKEN if set;
            otherwise no token is required).
        dataset: Dataset to embed points and places from, if it has moved.
        columns: Table with place_id and further columns to filter by.
        backend: Index to search
            with (the others may miss places; built once and saved next to the table).
        metric: Distance between vectors.
        workers: Number of processes; they share the vectors, which are then also stored next to the table as NumPy
            arrays.
        rate: Maximum number of requests per second from one client (0 disables the limit).
        max_body_mb: Maximum size of a request, megabytes.
        max_connections: Maximum number of connections per process.
        reload_s: Seconds between checks for changed files of the model or vectors (0 disables the checks).
        drain_s: Seconds that requests in progress have to finish when the service is stopped.
        started: Called with the address once it is served.
        progress: Receives progress reports.

    Raises:
        UsageError: another address than the loopback one without a token or without a name for the host.
        InputError: the port is taken, or a file cannot be read.
        ModelError: vectors of another model, or a model that is damaged or of a newer version.
    """
    require_service()
    digests = digests_of(token_file)
    if not _loopback(host):
        if not digests:
            raise UsageError(
                f"at {host}, other machines can reach the service: give --token-file FILE or set {TOKEN}, or leave "
                f"out --host"
            )
        if not allow_host and _any_address(host):
            raise UsageError(f"{host} means every address: give the host names in use with --allow-host")
    listening = _listen(host, port)
    bound = int(listening.getsockname()[1])
    with listening, contextlib.ExitStack() as stack:
        counted = stack.enter_context(tempfile.TemporaryDirectory(prefix="placevec-")) if workers > 1 else ""
        settings = Settings(
            str(run), tuple(map(str, embeddings)), None if dataset is None else str(dataset),
            None if columns is None else str(columns), backend, metric, _hosts(host, bound, allow_host), digests, rate,
            int(max_body_mb * 1e6), reload_s=reload_s, mapped=workers > 1, counted=counted,
        )  # fmt: skip
        from placevec.service.state import open_state

        state = open_state(settings, progress, write=True)
        address = f"http://{'localhost' if _any_address(host) else host}:{bound}/"
        config = _config(settings, state if workers == 1 else None, workers, max_connections, drain_s)
        if started is not None:
            started(address)
        with contextlib.suppress(KeyboardInterrupt):
            _run(config, listening)


def _run(config: uvicorn.Config, listening: socket.socket) -> None:
    import uvicorn

    if config.workers == 1:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_GIL_S)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            sys.setswitchinterval(before)
        return
    from uvicorn.supervisors import Multiprocess

    class Processes(Multiprocess):
        """Closes the port at once: the parent would take connections that nobody answers."""

        def terminate_all(self) -> None:
            listening.close()
            super().terminate_all()

    Processes(config, sockets=[listening]).run()


def _config(
    settings: Settings, state: Any, workers: int, max_connections: int, drain_s: int
) -> uvicorn.Config:
    """Configuration of uvicorn; each worker process builds its own application."""
    import uvicorn

    from placevec.service.patience import PatientProtocol

    factory: Any = functools.partial(_worker, settings)
    if state is not None:
        from placevec.service.app import build

        factory = functools.partial(build, settings, state)
    return uvicorn.Config(
        factory, factory=True, http=PatientProtocol, ws="none", log_level="error", access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=max_connections, timeout_keep_alive=20,
        timeout_graceful_shutdown=drain_s, workers=workers, lifespan="on",
    )  # fmt: skip


def _worker(settings: Settings) -> Any:
    """The application of a worker process; its libraries share the processors with those of the others."""
    sys.setswitchinterval(_GIL_S)
    from placevec.service.app import build

    try:
        return build(settings)
    except InputError:  # the files have changed since the parent looked: not shared yet
        return build(replace(settings, mapped=False))


def require_service() -> None:
    """MissingExtraError if FastAPI or uvicorn is not installed."""
    for name in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, "serve")


def _loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> _loopback("127.0.0.1"), _loopback("localhost"), _loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _any_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _hosts(host: str, port: int, allowed: Sequence[str]) -> tuple[str, ...]:
    """The values of Host that are answered.

    >>> _hosts("127.0.0.1", 80, ["maps.example"])
    ('127.0.0.1:80', 'localhost:80', '[::1]:80', 'maps.example', 'maps.example:80')
    """
    names = ["127.0.0.1", "localhost", "[::1]"] if _loopback(host) else [] if _any_address(host) else [host]
    found = [f"{name}:{port}" for name in names]
    for name in allowed:
        found += [name] if name.rpartition(":")[2].isdigit() else [name, f"{name}:{port}"]
    return tuple(found)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot listen on {host[:100]}: {error}") from error
    listening = socket.socket(family, kind, protocol)
    if os.name != "nt":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(1024)
        listening.set_inheritable(True)
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(f"cannot listen on {host}:{port}: {error}; choose another --port") from error
    return listening
