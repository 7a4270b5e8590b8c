"""A tile server that somebody else wrote: TiTiler serves a raster, and its pixels come back. Oracle: rasterio."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from placevec import api
from placevec.core import Look
from placevec.geo import MERCATOR_HALF, TILE_PX, tile_xy_to_lonlat

ZOOM, WEST, NORTH, TILES = 15, 18655, 9478, 2


@pytest.fixture(scope="module")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RGB GeoTIFF over 2 x 2 tiles of zoom 15, its pixels those of the tiles."""
    path = tmp_path_factory.mktemp("raster") / "city.tif"
    side, resolution = TILES * TILE_PX, 2 * MERCATOR_HALF / (TILE_PX * 2**ZOOM)
    corner = WEST * TILE_PX * resolution - MERCATOR_HALF, MERCATOR_HALF - NORTH * TILE_PX * resolution
    ramp = np.arange(side)
    values = np.stack(
        [np.add.outer(ramp, ramp) // 4, np.add.outer(ramp, 0 * ramp) // 2, np.add.outer(0 * ramp, ramp) // 2]
    )
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:3857",
        transform=from_origin(*corner, resolution, resolution), tiled=True, photometric="RGB",
    ) as file:  # fmt: skip
        file.write(values.astype(np.uint8))
    return path


@pytest.fixture(scope="module")
def titiler() -> Iterator[str]:
    """The address of a running TiTiler."""
    uvicorn = pytest.importorskip("uvicorn")
    factory = pytest.importorskip("titiler.core.factory")
    errors = pytest.importorskip("titiler.core.errors")
    from fastapi import FastAPI

    app = FastAPI()
    errors.add_exception_handlers(app, errors.DEFAULT_STATUS_CODES)
    app.include_router(factory.TilerFactory().router)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=10)


@pytest.mark.parametrize("ending", ["png", "jpeg", "webp"])
def test_its_tiles(
    titiler: str, raster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """PNG exactly; JPEG and WebP, which lose, to a few levels in the mean. What lies beyond the raster is missing."""
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))
    west, north = tile_xy_to_lonlat([WEST + 0.1, NORTH + 0.1], ZOOM)
    east, south = tile_xy_to_lonlat([WEST + TILES + 0.9, NORTH + TILES - 0.1], ZOOM)
    dataset = api.prepare(
        "loc2vec", tiles=f"{titiler}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.{ending}?tilesize=256&url={raster}",
        bbox=(west, south, east, north), zoom=ZOOM, margin_m=0, max_failed=0.4, out=tmp_path / "data",
        attribution="a raster",
    )  # fmt: skip
    assert dataset.manifest["report"]["tiles_missing"] == TILES
    assert len(dataset) == TILES**2
    read = np.asarray(
        dataset.view("map").read(Look(torch.arange(len(dataset)), torch.from_numpy(dataset.lonlat)))
    )
    with rasterio.open(raster) as file:
        whole = file.read()
    for place, tile in zip(dataset.places["place_id"], read, strict=True):
        x, y = (int(part) for part in place.split("/")[1:])
        left, top = (x - WEST) * TILE_PX, (y - NORTH) * TILE_PX
        expected = whole[:, top : top + TILE_PX, left : left + TILE_PX]
        if ending == "png":
            np.testing.assert_array_equal(tile, expected)
        else:
            assert np.abs(tile.astype(int) - expected).mean() < 4.0
