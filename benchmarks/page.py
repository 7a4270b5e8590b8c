"""How long the page of `explore` takes to its first picture and to follow the pointer, beside TensorBoard's projector.

``python -m benchmarks page``; a few minutes on two cores. ``PLACEVEC_DRAWN`` says how many places, 100,000 if unset: of one
city, 128 numbers each, in groups, as learned vectors are. Both pages draw the same vectors in the same Chromium without a graphics
card, in turns. A picture counts from the address until a screenshot shows the dots of the embedding space; a hover from the move
of the pointer until two frames are drawn. TensorBoard's projector is asked for what it does at the start: PCA in three dimensions.
Ours draws the vectors, the map of their places and their clusters. embedding-atlas cannot be measured so: it draws with WebGPU and
half precision only (``shader-f16``), which Chromium's software renderer lacks, and shows a table instead.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import Row, Timing, interleaved
from benchmarks.search import clustered, table

REPEATS = 2
DRAWN = int(os.environ.get("PLACEVEC_DRAWN", "100000"))
MOVES = 6
PORT = 6017
WINDOW = {"width": 1400, "height": 900}
CHROMIUM = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
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
        hovers: tuple[list[float], list[float]] = ([], [])
        ours = (folder / "page.html").as_uri()
        with _tensorboard(folder / "projector") as theirs:
            drawn = interleaved(
                REPEATS,
                lambda: _opened(browser, ours, (0, 100, 520, 700), hovers[0]),
                lambda: _opened(browser, theirs, (330, 130, 700, 650), hovers[1]),
            )
        browser.close()
    size = f"one file of {report.size_bytes / 1e6:.1f} MB"
    moves = f"{MOVES} moves of the pointer a page, each until two frames are drawn"
    return [
        _row(f"page of {DRAWN:,} places, first picture", *drawn, size),
        _row(f"page of {DRAWN:,} places, hover", *map(Timing, hovers), moves),
    ]


def _row(what: str, ours: Timing, theirs: Timing, counted: str) -> Row:
    against, ratio = "TensorBoard's projector", theirs.median / ours.median
    return Row(
        what, ours.median, theirs.median, "s", against, ratio, ours.spread, f"{counted}; theirs: {theirs.spread}"
    )  # fmt: skip


def _opened(browser: Any, address: str, box: tuple[int, int, int, int], hovers: list[float]) -> None:
    """Open a page until its dots are drawn in a box (left, top, width, height), then move the pointer over them."""
    context = browser.new_context(viewport=WINDOW)
    page = context.new_page()
    page.goto(address)
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
            with contextlib.suppress(OSError):  # until it knows the vectors: the page asks only once
                if b"." in urllib.request.urlopen(f"{address}data/plugin/projector/runs", timeout=60).read():
                    break
            time.sleep(0.5)
        yield f"{address}?darkMode=false#projector"
        served.terminate()


if __name__ == "__main__":
    for row in rows():
        print(row)
