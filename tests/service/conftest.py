"""Two services without a network: bare coordinates (as of sphere2vec) with random places, and real Helsinki."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from placevec import encoders
from placevec.core import ViewSpec
from placevec.embeddings import Embeddings, Provenance
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.models.reading import Reading
from placevec.service.app import build
from placevec.service.settings import Settings
from placevec.service.state import open_state

HOST = "127.0.0.1:8767"
HOSTILE = "</script><img src=x onerror=alert(9)>"


class Asked:
    """Asks a service in its own event loop, as its worker process would be asked."""

    def __init__(self, guard: Any) -> None:
        self.guard, self.loop = guard, asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)  # a browser may have a loop in this one
        self._thread.start()
        transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}")

    @property
    def service(self) -> Any:
        return self.guard.service

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.run(self.http.request(method, path, **options))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        self.run(self.http.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def small_model(seed: int = 0) -> Model:
    """Coordinates to 16 numbers, and two classes."""
    import torch

    torch.manual_seed(seed)
    encoder = encoders.location("sphereC", dim=16, scales=4)
    reads = {"coordinates": Reading("location", ViewSpec("coordinates", "coordinates"))}
    return Model({"location": encoder}, reads, heads={"coordinates": Head(16, "classes", ["sea", "land"])})


def table_of(model: Model, count: int = 500) -> Embeddings:
    """Places in a square degree; the first has a hostile name and an ID that looks like a path."""
    random = np.random.default_rng(0)
    lonlat = np.stack([24 + random.random(count), 60 + random.random(count)], axis=-1)
    ids = np.array([f"p{row}" for row in range(count)], object)
    ids[0] = "../../etc/passwd"
    names = np.full(count, None, object)
    names[0], names[1] = HOSTILE, "Market Square"
    made = Provenance(model.hash, "d", attribution="© OpenStreetMap contributors")
    return Embeddings(ids, model.embed_lonlat(lonlat), lonlat, [None] * count, names, "coordinates", made)


@pytest.fixture(scope="session")
def points_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(model, vectors)."""
    folder = tmp_path_factory.mktemp("service")
    model = small_model()
    model.save(folder / "model")
    table_of(model).save(folder / "points.parquet")
    return folder / "model", folder / "points.parquet"


@pytest.fixture(scope="session")
def settings(points_files: tuple[Path, Path]) -> Settings:
    run, table = points_files
    return Settings(str(run), (str(table),), hosts=(HOST,), reload_s=0, patience_s=0.3, max_body=100_000)


Starting = Callable[..., Asked]


@pytest.fixture(scope="session")
def opened(settings: Settings) -> Any:
    return open_state(settings)


@pytest.fixture
def start(settings: Settings, opened: Any) -> Iterator[Starting]:
    """Starts a service with other settings over the same state."""
    made: list[Asked] = []

    def starting(**others: Any) -> Asked:
        made.append(Asked(build(replace(settings, **others), opened)))
        return made[-1]

    yield starting
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def ask(settings: Settings, opened: Any) -> Iterator[Asked]:
    """A service of points."""
    made = Asked(build(settings, opened))
    yield made
    made.close()


@pytest.fixture(scope="module")
def city(helsinki_run: Path, helsinki_table: Path) -> Iterator[Asked]:
    """A service of central Helsinki, which reads a map."""
    settings = Settings(str(helsinki_run), (str(helsinki_table),), hosts=(HOST,), reload_s=0)
    made = Asked(build(settings))
    yield made
    made.close()
