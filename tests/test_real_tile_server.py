"""``make test-tile-server``: prepare, train and embed from Apache's mod_tile, renderd and Mapnik.

Not in the ordinary suite: it installs Debian's packages where it may. Oracle: colors of scripts/tile-server-style.xml.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.io.progress import SILENT
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(
    not os.environ.get("PLACEVEC_TILE_SERVER"),
    reason="make test-tile-server runs it: it may install packages",
)
SCRIPT = ROOT / "scripts" / "tile-server"
BOX = "24.935,60.163,24.955,60.178"
LAND, WATER, BUILDING = 0xF2EFE9, 0xAAD3DF, 0xD9D0C9


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        text=True,
        capture_output=True,
        check=False,
        timeout=900,
    )


@pytest.fixture(scope="module")
def address(helsinki_pbf: Path) -> Iterator[str]:
    """A running server; its folder is open to the user that Apache becomes."""
    folder = Path(tempfile.mkdtemp(prefix="placevec-tile-server-", dir="/var/tmp"))
    folder.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = command("start", helsinki_pbf, "--folder", folder, "--port", port)
    assert started.returncode == 0, started.stderr
    assert command("status", "--folder", folder).returncode == 0
    yield f"http://127.0.0.1:{port}/hot/{{z}}/{{x}}/{{y}}.png"
    assert command("stop", "--folder", folder).returncode == 0
    assert command("status", "--folder", folder).returncode == 3
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLACEVEC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def dataset(address: str, cache: None, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return api.prepare(
        "loc2vec",
        tiles=address,
        bbox=BOX,
        zoom=18,
        samples=150,
        size_m=80,
        out=tmp_path_factory.mktemp("data") / "city",
    )


def test_the_map_is_what_was_drawn(dataset: Dataset) -> None:
    report = dataset.manifest["report"]
    assert report["tiles_missing"] + report["tiles_corrupt"] + report["tiles_failed"] == 0
    assert report["tiles_good"] > 100
    rows = np.arange(0, len(dataset), 3)
    look = Look(torch.from_numpy(rows), torch.from_numpy(dataset.lonlat[rows]))
    pixels = np.asarray(dataset.view("map").read(look)).transpose(0, 2, 3, 1).reshape(-1, 3).astype(np.int64)
    colors = set((pixels @ (65536, 256, 1)).tolist())
    assert {LAND, WATER, BUILDING} <= colors


def test_nothing_changed_on_the_server(dataset: Dataset, address: str, tmp_path: Path) -> None:
    """Asked again with their ETags, the tiles need not be sent."""
    told: list[str] = []

    class Listening:
        task = staticmethod(SILENT.task)

        def say(self, message: str) -> None:
            told.append(message)

    again = api.prepare(
        "loc2vec", tiles=address, bbox=BOX, zoom=18, samples=150, size_m=80, out=tmp_path / "again",
        refresh_tiles=True, progress=Listening(),
    )  # fmt: skip
    tiles = dataset.manifest["report"]["tiles"]
    assert any(line.startswith(f"0 tiles downloaded (0.0 MB), {tiles:,} unchanged") for line in told), told
    assert again.hash == dataset.hash


def test_training_and_embedding(dataset: Dataset, tmp_path: Path) -> None:
    model = api.train(
        "loc2vec", dataset, out=tmp_path / "run", epochs=1, steps_per_epoch=4, batch_size=16, size_px=64, size_m=80,
        near_m=40, far_m=160,
    )  # fmt: skip
    table = api.embed(model, dataset, out=tmp_path / "city.parquet")
    assert table.vectors.shape == (len(dataset), 128)
    assert np.isfinite(table.vectors).all()
    assert len(api.similar(table, place=str(table.place_id[0]), k=5)) == 5
    assert table.provenance.attribution == "© OpenStreetMap contributors, ODbL 1.0"
