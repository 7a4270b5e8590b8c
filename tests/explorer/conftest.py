"""A Chromium, and pages written once for many tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from placevec.embeddings import Embeddings
from placevec.explorer import PageReport
from tests.explorer.standin import StandInDataset, embeddings_of, scattered
from tests.explorer.writers import write_page

PLACES = 900


@dataclass
class Written:
    """A page and what it was made from."""

    dataset: StandInDataset
    emb: Embeddings
    columns: pd.DataFrame
    report: PageReport


@dataclass
class Opened:
    """A page in the browser, and everything it did that it must not do."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def state(self, expression: str, argument: Any = None) -> Any:
        """Evaluate in the page, with ``s`` for its state and ``a`` for the argument."""
        return self.page.evaluate(
            f"(a) => {{ const s = window.placevecState; return {expression}; }}", argument
        )

    def settle(self) -> None:
        """Wait until what changed is drawn."""
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def until(self, condition: str) -> None:
        """Wait until a condition holds. Playwright's own waiting needs ``eval``, which the page forbids."""
        deadline = time.monotonic() + 20
        while not self.page.evaluate(f"() => Boolean({condition})"):
            assert time.monotonic() < deadline, f"never came true: {condition}"
            time.sleep(0.02)

    def at(self, pane: str, place_id: str) -> tuple[float, float]:
        """Where a place is drawn, CSS pixels of the window."""
        x, y = self.state(f"s.position('{pane}', a)", place_id)
        return x, y

    def pixel(self, pane: str, canvas: str, x: float, y: float) -> list[int]:
        """(red, green, blue, alpha) that one of a pane's canvases holds at a point of the window."""
        return self.page.evaluate(
            """([selector, x, y]) => {
                const canvas = document.querySelector(selector), box = canvas.getBoundingClientRect();
                const ratio = canvas.width / box.width;
                const [left, top] = [(x - box.left) * ratio, (y - box.top) * ratio];
                return [...canvas.getContext('2d').getImageData(left, top, 1, 1).data];
            }""",
            [f"#{pane} canvas.{canvas}", x, y],
        )


@pytest.fixture(scope="session")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("town")


@pytest.fixture(scope="session")
def dataset(town_folder: Path) -> StandInDataset:
    return scattered(town_folder / "dataset", PLACES)


@pytest.fixture(scope="session")
def written(dataset: StandInDataset, town_folder: Path) -> Written:
    """A page of scattered places with hostile names, and columns to color by."""
    rng = np.random.default_rng(5)
    kinds = ["residential", "</script><img src=x onerror=alert(4)>", "green", "<b>industry</b>"]
    columns = pd.DataFrame({
        "land use": rng.choice(kinds, PLACES, p=[0.5, 0.1, 0.3, 0.1]),
        "population": np.where(rng.random(PLACES) < 0.1, np.nan, rng.lognormal(3, 1, PLACES)),
    })  # fmt: skip
    emb = embeddings_of(dataset)
    report = write_page(emb, town_folder / "page.html", dataset=dataset, columns=columns)  # type: ignore[arg-type]
    return Written(dataset, emb, columns, report)


def open_in(browser: Any, path: Path, *, width: int = 1000, height: int = 640, **options: Any) -> Opened:
    """Open a page from ``file://`` with the network blocked; what it asks for or complains of is recorded."""
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
    page = context.new_page()
    opened = Opened(page)
    address = path.resolve().as_uri()
    page.on(
        "request", lambda request: opened.requests.append(request.url) if request.url != address else None
    )
    page.on("console", lambda message: opened.complaints.append(message.text))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (opened.dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(address)
    opened.until("window.placevecState && window.placevecState.ready")
    opened.settle()
    return opened


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """See `open_in`."""
    pages = []

    def open_one(path: Path, **options: Any) -> Opened:
        pages.append(open_in(browser, path, **options))
        return pages[-1]

    yield open_one
    for opened in pages:
        opened.page.context.close()


@pytest.fixture
def opened(open_page: Callable[..., Opened], written: Written) -> Opened:
    return open_page(written.report.path)


def isolated_place(opened: Opened, pane: str, skip: int = 0) -> str:
    """A place that lies apart from all others in a pane, so that a click there can only mean it."""
    found = opened.page.evaluate(
        """([pane, skip, ids]) => {
            const s = window.placevecState, at = ids.map((id) => s.position(pane, id));
            const box = document.querySelector(`#${pane} .stage`).getBoundingClientRect();
            const apart = ids.map((id, i) => {
                const [x, y] = at[i] ?? [0, 0];
                if (x < box.left + 90 || x > box.right - 90 || y < box.top + 90 || y > box.bottom - 90) return [0, id];
                let least = Infinity;
                at.forEach((other, j) => {
                    const [u, v] = other ?? [0, 0];
                    if (i !== j) least = Math.min(least, Math.hypot(x - u, y - v)); });
                return [least, id];
            });
            apart.sort((a, b) => b[0] - a[0]);
            return apart[skip];
        }""",
        [
            pane,
            skip,
            opened.page.evaluate(
                "() => JSON.parse(document.getElementById('placevec-places').textContent).id"
            ),
        ],
    )
    assert found[0] > 3
    return str(found[1])
