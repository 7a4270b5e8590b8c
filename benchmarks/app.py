"""How long the app takes to its first picture, beside an empty Streamlit page, in a browser that has cached nothing."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, interleaved

REPEATS = 5
SPACING_M = 30
"""Of the places: some 1,600 in the embedded extract."""


def rows(vectors: Path | None = None) -> list[Row]:
    """Of a file of vectors, or of the embedded extract."""
    from playwright.sync_api import sync_playwright

    import placevec as pv

    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        if vectors is None:
            dataset = pv.prepare(
                "loc2vec", osm_name="helsinki-center", out=folder / "helsinki", spacing=SPACING_M
            )
            vectors = folder / "helsinki.parquet"
            pv.embed("base", dataset, out=vectors)
        empty = folder / "empty.py"
        empty.write_text("import streamlit as st\n\nst.write('empty')\n")
        path = next(found for one in ("chromium", "google-chrome") if (found := shutil.which(one)))
        browser = driver.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        with _app(vectors) as ours, _empty(empty) as theirs:
            drawn, blank = interleaved(
                REPEATS, lambda: _opened(browser, ours, _drawn), lambda: _opened(browser, theirs, _written)
            )
        browser.close()
    return [
        Row(
            "app, first picture",
            drawn.median,
            blank.median,
            "s",
            "an empty Streamlit page",
            blank.median / drawn.median,
            drawn.spread,
            f"from the address to {len(pv.load_embeddings(vectors)):,} dots drawn in the space and on the map, page written at the start, "
            f"Chromium without a cache, software rendering; the empty page: {blank.spread}",
        )
    ]


def _opened(browser: Any, address: str, until: Any) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(address, wait_until="commit")
    until(page)
    context.close()


def _drawn(page: Any) -> None:
    frame = page.wait_for_selector("iframe", state="attached", timeout=60_000).content_frame()
    frame.wait_for_function(
        "() => window.placevecState?.ready && window.placevecState.drawMs('projector') > 0", timeout=60_000
    )


def _written(page: Any) -> None:
    page.get_by_text("empty", exact=True).wait_for(timeout=60_000)


@contextlib.contextmanager
def _app(vectors: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "placevec",
        "explore",
        str(vectors),
        "--app",
        "--no-browser",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as served:
        assert served.stdout is not None
        yield next(line for line in served.stdout if ": open it" in line).partition(": open it")[0]
        served.terminate()


@contextlib.contextmanager
def _empty(script: Path, port: int = 8767) -> Iterator[str]:
    settings = [
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--browser.gatherUsageStats",
        "false",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), *settings, "--server.address", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as served:  # fmt: skip
        address = f"http://127.0.0.1:{port}/"
        for _ in range(120):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            time.sleep(0.5)
        yield address
        served.terminate()


if __name__ == "__main__":
    for row in rows(*map(Path, sys.argv[1:2])):
        print(row)
