"""How long the page of `explore` takes to its first picture and to follow the pointer, beside what others show it with:
TensorBoard's projector and, if ``PLACEVEC_ATLAS`` names the folder ``static`` of its wheel, embedding-atlas.

``python -m benchmarks page``; a few minutes on two cores. ``PLACEVEC_DRAWN`` says how many places, 100,000 if unset: of one
city, 128 numbers each, in groups, as learned vectors are. All pages draw the same vectors in the same Chromium without a graphics
card, in turns. A picture counts from the address until a screenshot shows the dots of the embedding space; a hover from the move
of the pointer until two frames are drawn. TensorBoard's projector is asked for what it does at the start: PCA in three dimensions.
Ours draws the vectors, the map of their places and their clusters. embedding-atlas, as a static page, gets two components that are
computed already; it draws with WebGPU.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Row, Timing, interleaved
from benchmarks.search import clustered, table
from placevec.embeddings import Embeddings

REPEATS = 3
DRAWN = int(os.environ.get("PLACEVEC_DRAWN", "100000"))
MOVES = 24
PORT, ATLAS_PORT = 6017, 6018
ATLAS = os.environ.get("PLACEVEC_ATLAS", "")
WINDOW = {"width": 1400, "height": 900}
CHROMIUM = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
SHOWN = 2_000
"""Pixels of dots from which on a picture counts as drawn."""


def rows() -> list[Row]:
    from playwright.sync_api import sync_playwright

    import placevec as pv

    emb = table(clustered(DRAWN))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        report = pv.explore(emb, folder / "page.html", projections=["pca"]).page
        pv.export(emb, projector=folder / "projector")
        path = next(found for one in ("chromium", "google-chrome") if (found := shutil.which(one)))
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM)
        pages = {"placevec": ((folder / "page.html").as_uri(), (0, 100, 520, 700))}
        with contextlib.ExitStack() as stack:
            theirs = stack.enter_context(_tensorboard(folder / "projector"))
            pages["TensorBoard's projector"] = theirs, (330, 130, 700, 650)
            if ATLAS:
                theirs = stack.enter_context(_atlas(emb, Path(ATLAS), folder / "atlas"))
                pages["embedding-atlas"] = theirs, (20, 100, 700, 650)
            hovers: dict[str, list[float]] = {name: [] for name in pages}
            opened = [
                functools.partial(_opened, browser, address, box, hovers[name])
                for name, (address, box) in pages.items()
            ]
            first, *others = interleaved(REPEATS, *opened)
        browser.close()
    found = []
    for name, timing in zip(list(pages)[1:], others, strict=True):
        size = f"one file of {report.size_bytes / 1e6:.1f} MB"
        found.append(_row(f"page of {DRAWN:,} places, first picture", first, timing, name, size))
        ours, follows = Timing(hovers["placevec"]), Timing(hovers[name])
        counted = f"{MOVES} moves of the pointer a page, each until two frames are drawn"
        found.append(_row(f"page of {DRAWN:,} places, hover", ours, follows, name, counted))
    return found


def _row(what: str, ours: Timing, theirs: Timing, against: str, counted: str) -> Row:
    ratio = theirs.median / ours.median
    spread = f"{counted}; theirs: {theirs.spread}"
    return Row(what, ours.median, theirs.median, "s", against, ratio, ours.spread, spread)


def _opened(browser: Any, address: str, box: tuple[int, int, int, int], hovers: list[float]) -> None:
    """Open a page until its dots are drawn in a box (left, top, width, height), then move the pointer over them."""
    context = browser.new_context(viewport=WINDOW)
    page = context.new_page()
    page.goto(address, wait_until="commit")
    left, top, wide, high = box
    clip = {"x": left, "y": top, "width": wide, "height": high}
    deadline = time.monotonic() + 300
    while _dots(page.screenshot(clip=clip)) < SHOWN:
        assert time.monotonic() < deadline, f"nothing was drawn at {address}"
    middle = np.array([left + wide / 2, top + high / 2])
    offsets = np.random.default_rng(0).uniform(-120, 120, (MOVES, 2))
    for offset in offsets:
        started = time.perf_counter()
        page.mouse.move(*(middle + offset))
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        hovers.append(time.perf_counter() - started)
    context.close()


def _dots(screenshot: bytes) -> int:
    """Number of pixels that are neither background nor gray text and lines: of dots with a color."""
    image = cv2.imdecode(np.frombuffer(screenshot, np.uint8), cv2.IMREAD_COLOR).astype(int)
    return int((np.ptp(image, axis=2) > 40).sum())


@contextlib.contextmanager
def _tensorboard(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as served:
        address = f"http://127.0.0.1:{PORT}/"
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            time.sleep(0.5)
        yield f"{address}?darkMode=false#projector"
        served.terminate()


@contextlib.contextmanager
def _atlas(emb: Embeddings, static: Path, folder: Path) -> Iterator[str]:
    """Its page with the first two components, as its ``--export-application`` writes it."""
    from placevec.explorer.reductions import reduce_vectors

    shutil.copytree(static, folder)
    (folder / "data").mkdir()
    points = reduce_vectors(emb.vectors, "pca", dim=2).components
    columns = {"id": list(range(len(emb))), "place_id": emb.place_id, "x": points[:, 0], "y": points[:, 1]}
    pq.write_table(pa.table(columns), folder / "data/dataset.parquet")
    data = {"id": "id", "projection": {"x": "x", "y": "y"}, "text": "place_id"}
    told = {"props": {"data": data}, "isStatic": True, "database": {"type": "wasm", "load": True}}
    (folder / "data/metadata.json").write_text(json.dumps(told))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = ThreadingHTTPServer(("127.0.0.1", ATLAS_PORT), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{ATLAS_PORT}/"
    server.shutdown()


if __name__ == "__main__":
    for row in rows():
        print(row)
