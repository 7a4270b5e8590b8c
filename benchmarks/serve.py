"""The service beside the least that could answer: a bare FastAPI endpoint that returns a fixed answer of the same size.

``python -m benchmarks serve``; a quarter of an hour on two cores, most of it for the index. ``PLACEVEC_SERVED`` says how
many places are searched, 1,000,000 if unset; ``PLACEVEC_SOAK_S`` how many seconds the mixed load lasts, 60 if unset.
``PLACEVEC_SERVED_IN`` names a folder where the table and its index stay for the next run (about 1.3 GB a million);
``PLACEVEC_SERVE_ONLY=index``, ``load`` or ``rates`` does one thing: build the index, the mixed load, or all but it. Half an
hour of load: ``PLACEVEC_SERVE_ONLY=load PLACEVEC_SOAK_S=1800 python -m benchmarks serve --no-write``. Both servers run in processes of their own over loopback, one after the other in turns; the load is kept-alive connections that
each ask as soon as they were answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row
from benchmarks.search import DIM, clustered
from placevec import encoders
from placevec.core import ViewSpec
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search.stored import open_index
from placevec.models.model import Model
from placevec.models.reading import Reading

SERVED = int(os.environ.get("PLACEVEC_SERVED", "1000000"))
SOAK_S = float(os.environ.get("PLACEVEC_SOAK_S", "60"))
KEPT, ONLY = os.environ.get("PLACEVEC_SERVED_IN"), os.environ.get("PLACEVEC_SERVE_ONLY", "")
SECONDS, ROUNDS, CONNECTIONS = 4.0, 5, 8
BATCH = 4_096


@dataclass
class Load:
    """What a number of connections got in a time."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    took: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.took

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.seconds, share))


async def _one(port: int, requests: list[bytes], until: float, load: Load, pause: float, first: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = first
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        at = head.lower().index(b"content-length:") + 15
        await reader.readexactly(int(head[at : head.index(b"\r", at)]))
        load.seconds.append(time.perf_counter() - began)
        load.failed += not head.startswith(b"HTTP/1.1 200")
        number += 1
        if pause:
            await asyncio.sleep(max(0.0, began + pause - time.perf_counter()))
    writer.close()


def loaded(port: int, requests: list[bytes], seconds: float, connections: int, rate: float = 0.0) -> Load:
    """Ask from some connections, at most ``rate`` times a second in all."""
    load = Load()

    async def run() -> None:
        pause = connections / rate if rate else 0.0
        began = time.perf_counter()
        step = max(1, len(requests) // connections)
        until = began + seconds
        await asyncio.gather(
            *(_one(port, requests, until, load, pause, step * one) for one in range(connections))
        )
        load.took = time.perf_counter() - began

    asyncio.run(run())
    return load


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: bytes, kind: str = "application/json", accept: str = "*/*") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _serve(port: Any, run: str, files: tuple[str, ...], workers: int, answer: bytes) -> None:
    """A process: the service, or with an answer the bare endpoint."""
    import uvicorn

    from placevec.service import server

    if not answer:
        server.serve(
            run, *files, port=0, backend="hnsw", workers=workers, rate=0, reload_s=0, allow_host=["127.0.0.1"],
            started=lambda url: port.send(int(url.rsplit(":", 1)[1].strip("/"))),
        )  # fmt: skip
        return
    from fastapi import FastAPI, Request, Response

    app = FastAPI()

    @app.get("/similar")
    async def similar() -> Response:
        return Response(answer, media_type="application/geo+json")

    @app.post("/embed")
    async def embed(request: Request) -> Response:
        await request.body()
        return Response(answer, media_type="application/json")

    listening = server._listen("127.0.0.1", 0)
    port.send(listening.getsockname()[1])
    config = uvicorn.Config(app, log_level="error", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listening])


@contextlib.contextmanager
def served(run: str, *files: str, workers: int = 1, answer: bytes = b"") -> Iterator[tuple[int, int]]:
    """(port, process id) of a server."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, run, files, workers, answer))
    process.start()
    try:
        assert ours.poll(300), "the server did not start"
        port = ours.recv()
        loaded(port, [get("/health" if not answer else "/similar")], 0.5, 1)
        yield port, int(process.pid or 0)
    finally:
        process.terminate()
        process.join(30)


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def model_of() -> Model:
    """A location encoder as of sphere2vec, which embeds any point."""
    import torch

    torch.manual_seed(0)
    reads = {"coordinates": Reading("location", ViewSpec("coordinates", "coordinates"))}
    return Model({"location": encoders.location("sphereC+", dim=DIM, scales=32)}, reads)


def table_of(model: Model, vectors: np.ndarray) -> Embeddings:
    random = np.random.default_rng(1)
    none = np.full(len(vectors), None, object)
    ids = np.array([f"p{row}" for row in range(len(vectors))], object)
    lonlat = np.stack([24 + random.random(len(vectors)), 60 + random.random(len(vectors))], axis=-1)
    return Embeddings(ids, vectors, lonlat, none, none, "coordinates", Provenance(model.hash, "d"))


def rows() -> list[Row]:
    """Requests a second, latency, and memory under a mixed load."""
    if ONLY not in ("", "index", "load", "rates"):
        raise SystemExit(f"PLACEVEC_SERVE_ONLY is index, load or rates; got {ONLY!r}")
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(KEPT or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        model, file, recall = _made(folder)
        if ONLY == "index":
            return found
        run, files = str(folder / "model"), (str(file),)
        asked = [get(f"/similar?place=p{row}") for row in np.random.default_rng(2).integers(0, SERVED, 2_000)]
        with served(run, *files) as (port, pid):
            answer = _answer(port, asked[0])
            if ONLY != "load":
                with served(run, answer=answer) as (bare, _):
                    found.append(_similar(port, bare, asked, len(answer), recall))
                    found += _embed(port, bare, model)
            if ONLY != "rates":
                found.append(_soak(port, pid, asked))
    return found


def _made(folder: Path) -> tuple[Model, Path, float]:
    """(model, file of the table, recall of its index), from an earlier run or made now; the index lies beside the table."""
    model, file = model_of(), folder / f"places-{SERVED}.parquet"
    if not (folder / "model").exists():
        model.save(folder / "model")
    if not file.exists():
        table_of(model, clustered(SERVED)).save(file)
    return model, file, open_index(Embeddings.load(file), "hnsw").recall()


def _answer(port: int, request: bytes) -> bytes:
    import socket

    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        content = b""
        while b"\r\n\r\n" not in content:
            content += connection.recv(65_536)
        head, _, body = content.partition(b"\r\n\r\n")
        at = head.lower().index(b"content-length:") + 15
        while len(body) < int(head[at : (head + b"\r").index(b"\r", at)]):
            body += connection.recv(65_536)
    return body


def _turns(*work: Any) -> list[list[Load]]:
    found: list[list[Load]] = [[] for _ in work]
    for _ in range(ROUNDS):
        for loads, one in zip(found, work, strict=True):
            loads.append(one())
    return found


def _similar(port: int, bare: int, asked: list[bytes], size: int, recall: float) -> Row:
    ours, theirs = _turns(
        lambda: loaded(port, asked, SECONDS, CONNECTIONS), lambda: loaded(bare, asked, SECONDS, CONNECTIONS)
    )
    a, b = (statistics.median(one.rate for one in loads) for loads in (ours, theirs))
    failed = sum(one.failed for one in ours)
    spread = f"{min(one.rate for one in ours):,.0f} to {max(one.rate for one in ours):,.0f}"
    counted = f"GET /similar?place=, ten nearest of {SERVED:,} x {DIM} by HNSW (recall {recall:.3f}), GeoJSON of {size:,} bytes, one process each, {CONNECTIONS} connections, {ROUNDS} x {SECONDS:g} s in turns, {failed} failed; p99 {1e3 * statistics.median(one.quantile(0.99) for one in ours):.1f} ms against {1e3 * statistics.median(one.quantile(0.99) for one in theirs):.1f}"
    return Row("service, /similar", a, b, "requests/s", "bare FastAPI endpoint", a / b, spread, counted)


def _embed(port: int, bare: int, model: Model) -> list[Row]:
    import io

    random = np.random.default_rng(3)
    points = random.uniform(-80, 80, (BATCH, 2))
    file = io.BytesIO()
    np.save(file, points)
    kind = "application/x-npy"
    batch = [post("/embed", file.getvalue(), kind, kind)]
    model.embed_lonlat(points)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        load = loaded(port, batch, SECONDS, 2)
        ours.append(load.rate * BATCH)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            model.embed_lonlat(points)
            count += BATCH
        theirs.append(count / (time.perf_counter() - began))
    a, b = statistics.median(ours), statistics.median(theirs)
    counted = (
        f"POST /embed of {BATCH:,} points as numpy arrays, 2 connections; sphereC+, {DIM} numbers, one thread"
    )
    spread = f"{min(ours):,.0f} to {max(ours):,.0f}"
    found = [
        Row("service, /embed in batches", a, b, "points/s", "Model.embed_lonlat", a / b, spread, counted)
    ]
    single = [
        post("/embed", json.dumps({"points": [{"lon": lon, "lat": lat}]}).encode())
        for lon, lat in points[:500].tolist()
    ]
    one, other = _turns(lambda: loaded(port, single, SECONDS, 1), lambda: loaded(bare, single, SECONDS, 1))
    a, b = (1e3 * statistics.median(load.quantile(0.99) for load in loads) for loads in (one, other))
    medians = [1e3 * statistics.median(load.quantile(0.5) for load in loads) for loads in (one, other)]
    spread = f"{1e3 * min(load.quantile(0.99) for load in one):.2g} to {1e3 * max(load.quantile(0.99) for load in one):.2g}"
    counted = f"POST /embed of one point as JSON, one connection, 99th percentile; medians {medians[0]:.2f} and {medians[1]:.2f} ms"
    found.append(
        Row("service, /embed of one point", a, b, "ms", "bare FastAPI endpoint", b / a, spread, counted)
    )
    return found


def _soak(port: int, pid: int, asked: list[bytes]) -> Row:
    """Mixed load at 80 % of the highest rate of searches."""
    single = post("/embed", json.dumps({"points": [{"lon": 24.5, "lat": 60.5}]}).encode())
    tiles = [get(f"/tiles/10/{x}/{y}") for x in (580, 581) for y in (294, 295)]
    box = [get("/similar?lon=24.5&lat=60.5&bbox=24.2,60.2,24.7,60.7")]
    mixed = [*asked[:900], *[single] * 60, *tiles * 8, *box * 4]
    mixed = [mixed[at] for at in np.random.default_rng(4).permutation(len(mixed))]
    most = statistics.median(loaded(port, mixed, SECONDS, CONNECTIONS).rate for _ in range(3))
    sizes, failed, count, began = [resident_mb(pid)], 0, 0, time.perf_counter()
    while time.perf_counter() - began < SOAK_S:
        load = loaded(port, mixed, min(10.0, SOAK_S), CONNECTIONS, 0.8 * most)
        failed, count = failed + load.failed, count + len(load.seconds)
        sizes.append(resident_mb(pid))
    counted = f"searches, points, tiles and areas, {count:,} requests in {time.perf_counter() - began:.0f} s at 80% of {most:,.0f} a second, {failed} failed; resident memory after the first ten seconds and at the end"
    return Row(
        "service, mixed load", sizes[-1], sizes[1], "MB", "itself before", sizes[1] / sizes[-1],
        f"{min(sizes[1:]):.0f} to {max(sizes[1:]):.0f}", counted,
    )  # fmt: skip
