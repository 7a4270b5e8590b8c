"""A made-up town with the parts of a dataset and a table of vectors that the explorer reads.

The files are real (shards and coverage raster of the dataset's format, written by GDAL), the town is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from placevec.core import ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.embeddings import Embeddings, Provenance
from placevec.geo import MERCATOR_HALF, TILE_PX, Area, footprint_bounds, tile_xy_to_lonlat

ZOOM = 17
LAYERS = (
    "natural-features", "boundaries", "landcover", "buildings", "amenities", "railways",
    "aeroways", "leisure", "places", "water", "roads", "power",
)  # fmt: skip
CORNER = (74_632, 37_896)
"""Tile of the town's north-west corner: in central Helsinki, eight tiles from the corner of its shard."""
TILES = (8, 6)
"""Tiles eastwards and southwards."""
HOSTILE_NAMES = (
    "</script><img src=x onerror=alert(1)>",
    "<b>bold</b>",
    "\"double\" 'single' `tick` ${alert(2)}",
    "right\u202eto left",
    "two\nlines\tand a tab",
    "javascript:alert(3)",
    '=HYPERLINK("x")',
    "<!--<script>",
    "]]> &lt;i&gt; \u2028 \u2029",
    "{{script}} {{title}}",
)


def town_area() -> Area:
    (west, north), (east, south) = tile_xy_to_lonlat(np.array([CORNER, np.add(CORNER, TILES)], float), ZOOM)
    return Area(west, south, east, north)


def town(seed: int = 0) -> np.ndarray:
    """(12, H, W) bool: layers of a town in native pixels."""
    rng = np.random.default_rng(seed)
    wide, high = TILES[0] * TILE_PX, TILES[1] * TILE_PX
    layers = {name: np.zeros((high, wide), np.uint8) for name in LAYERS}
    noise = cv2.resize(rng.random((6, 8)).astype(np.float32), (wide, high), interpolation=cv2.INTER_CUBIC)
    layers["natural-features"][noise > 0.72] = 1
    layers["landcover"][(noise > 0.25) & (noise <= 0.72)] = 1
    river = np.array([[(x, int(high * 0.42 + 260 * np.sin(x / 520.0)))] for x in range(-50, wide + 50, 40)])
    built = (noise < 0.6).astype(np.uint8)
    for x in range(0, wide, 190):
        cv2.line(
            layers["roads"], (x + int(rng.integers(-20, 20)), 0), (x + int(rng.integers(-20, 20)), high), 1, 9
        )
    for y in range(0, high, 230):
        cv2.line(
            layers["roads"], (0, y + int(rng.integers(-30, 30))), (wide, y + int(rng.integers(-30, 30))), 1, 9
        )
    for x in range(20, wide - 60, 46):
        for y in range(24, high - 60, 52):
            if built[y, x] and rng.random() < 0.72:
                corner = x + int(rng.integers(0, 12)), y + int(rng.integers(0, 12))
                size = int(rng.integers(14, 34)), int(rng.integers(14, 34))
                cv2.rectangle(layers["buildings"], corner, (corner[0] + size[0], corner[1] + size[1]), 1, -1)
    for _ in range(26):
        center = int(rng.integers(0, wide)), int(rng.integers(0, high))
        cv2.ellipse(
            layers["leisure"], center, tuple(int(v) for v in rng.integers(40, 170, 2)), 30, 0, 360, 1, -1
        )
    for _ in range(160):
        center = int(rng.integers(0, wide)), int(rng.integers(0, high))
        cv2.circle(layers["amenities"], center, int(rng.integers(6, 26)), 1, -1)
    cv2.polylines(layers["water"], [river], False, 1, 150)
    cv2.line(layers["railways"], (0, high - 300), (wide, 500), 1, 14)
    cv2.line(layers["power"], (300, 0), (wide, high - 200), 1, 4)
    cv2.line(layers["boundaries"], (0, high // 3), (wide, high // 2), 1, 5)
    layers["places"][:] = 1
    for name in ("buildings", "roads", "leisure"):
        layers[name][layers["water"] > 0] = 0
    layers["buildings"][(layers["roads"] > 0) | (layers["leisure"] > 0)] = 0
    return np.stack([layers[name] for name in LAYERS]).astype(bool)


def write_map(folder: Path, pixels: np.ndarray, corner: tuple[int, int] = CORNER) -> None:
    """One shard and the coverage raster of ``pixels`` (12, H, W), whose north-west tile is ``corner``."""
    tile = 2 * MERCATOR_HALF / 2**ZOOM
    shard = corner[0] // 64, corner[1] // 64
    assert (corner[0] + pixels.shape[2] // TILE_PX - 1) // 64 == shard[0]
    assert (corner[1] + pixels.shape[1] // TILE_PX - 1) // 64 == shard[1]
    (folder / "map").mkdir(parents=True)

    def origin(x: float, y: float, step: float) -> Any:
        return from_origin(x * tile - MERCATOR_HALF, MERCATOR_HALF - y * tile, step, step)

    common = {
        "driver": "GTiff",
        "count": len(LAYERS),
        "dtype": "uint8",
        "crs": "EPSG:3857",
        "interleave": "band",
    }
    path = folder / "map" / f"{shard[0]}_{shard[1]}.tif"
    side = 64 * TILE_PX
    with rasterio.open(
        path, "w", **common, width=side, height=side, nbits=1, tiled=True, blockxsize=TILE_PX, blockysize=TILE_PX,
        compress="zstd", sparse_ok=True, transform=origin(shard[0] * 64, shard[1] * 64, tile / TILE_PX),
    ) as file:  # fmt: skip
        left, top = (corner[0] - shard[0] * 64) * TILE_PX, (corner[1] - shard[1] * 64) * TILE_PX
        file.write(pixels.astype(np.uint8), window=Window(left, top, pixels.shape[2], pixels.shape[1]))
        file.descriptions = LAYERS
    share = pixels.reshape(len(LAYERS), pixels.shape[1] // 16, 16, pixels.shape[2] // 16, 16).mean(
        axis=(2, 4)
    )
    with rasterio.open(
        folder / "map_coverage.tif", "w", **common, width=share.shape[2], height=share.shape[1],
        transform=origin(*corner, tile / 16),
    ) as file:  # fmt: skip
        file.write(np.round(share * 255).astype(np.uint8))
        file.descriptions = LAYERS


@dataclass
class StandInDataset:
    """Has the attributes of `placevec.datasets.dataset.Dataset` that the explorer reads."""

    path: Path
    places: pd.DataFrame
    size_m: float | None
    attribution: str = "© OpenStreetMap contributors, ODbL 1.0"
    name: str = "Made-up town"
    area: Area = field(default_factory=lambda: town_area())
    zoom: int = ZOOM
    base_map: str | None = "map"
    base_map_spec: ViewSpec = field(default_factory=lambda: ViewSpec("map", "raster", LAYERS, zoom=ZOOM))

    @cached_property
    def lonlat(self) -> np.ndarray:
        return np.asarray(self.places[["lon", "lat"]], np.float64)

    def footprints(self) -> np.ndarray:
        if self.size_m is not None:
            return footprint_bounds(self.lonlat, self.size_m, ZOOM)
        tiles = np.array(
            [[int(part) for part in name.split("/")[1:]] for name in self.places["place_id"]], float
        )
        return np.concatenate([tiles, tiles + 1], axis=1)


def scattered(folder: Path, count: int, *, seed: int = 0, size_m: float = 120.0) -> StandInDataset:
    """A dataset of ``count`` points in the town, in no order; each tenth has a name, the first ones hostile names."""
    rng = np.random.default_rng(seed)
    write_map(folder, town())
    xy = np.array(CORNER) + 0.5 + rng.random((count, 2)) * (np.array(TILES) - 1)
    lonlat = tile_xy_to_lonlat(xy, ZOOM)
    names: list[str | None] = [f"Plaza {row} – Äänekoski" if row % 10 == 0 else None for row in range(count)]
    names[: len(HOSTILE_NAMES)] = HOSTILE_NAMES
    places = pd.DataFrame({
        "place_id": [f"place-{row:05d}" for row in range(count)], "lon": lonlat[:, 0], "lat": lonlat[:, 1],
        "name": pd.Series(names, dtype=object),
    })  # fmt: skip
    return StandInDataset(folder, places, size_m)


def tiled(folder: Path) -> StandInDataset:
    """A dataset of the town's whole tiles."""
    write_map(folder, town())
    tiles = [(CORNER[0] + x, CORNER[1] + y) for y in range(TILES[1]) for x in range(TILES[0])]
    lonlat = tile_xy_to_lonlat(np.array(tiles) + 0.5, ZOOM)
    places = pd.DataFrame({
        "place_id": [f"{ZOOM}/{x}/{y}" for x, y in tiles], "lon": lonlat[:, 0], "lat": lonlat[:, 1],
        "name": [None] * len(tiles),
    })  # fmt: skip
    return StandInDataset(folder, places, None)


def vectors_of(shares: np.ndarray, dim: int = 64, seed: int = 0) -> np.ndarray:
    """(N, dim) float32 vectors in which places of like shares are alike: a random network of one layer."""
    rng = np.random.default_rng(seed)
    hidden = np.tanh(shares @ rng.normal(size=(shares.shape[1], dim)) * 2.0)
    return np.asarray(hidden + rng.normal(scale=0.03, size=hidden.shape), np.float32)


def embeddings_of(dataset: StandInDataset | Dataset, dim: int = 64) -> Embeddings:
    """A table of vectors for a stand-in dataset, made from what lies at each place."""
    from placevec.datasets.views.raster.coverage import Coverage

    shares = Coverage(dataset.path / "map_coverage.tif").fractions(dataset.footprints(), dataset.zoom)
    count = len(dataset.places)
    return Embeddings(
        place_id=dataset.places["place_id"].to_numpy(object),
        vectors=vectors_of(shares, dim),
        lonlat=dataset.lonlat,
        geometry=np.full(count, None, object),
        names=dataset.places["name"].to_numpy(object),
        view="map",
        provenance=Provenance("0123456789abcdef" * 4, "fedcba9876543210" * 4, attribution=dataset.attribution,
                              created="2026-11-21T10:00:00+00:00", placevec_version="0.1.0"),
    )  # fmt: skip
