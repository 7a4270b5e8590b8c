"""A small invented town with everything evaluation reads of a dataset and a model, made without their rooms.

Two smooth random fields decide the town: ``use`` picks the land use, ``density`` the roads. The coverage files are
real GeoTIFFs, so that `Coverage` itself is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import shapely
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter

from placevec.core import ViewSpec
from placevec.embeddings import Embeddings, Provenance
from placevec.geo import MERCATOR_HALF, Area, footprint_bounds, lonlat_to_tile_xy, metric_grid

ZOOM = 14
SIZE_M = 250.0
CELLS = 16  # a tile's side
LAYERS = ("roads", "buildings", "landcover")
USES = ("residential", "industrial", "green")


@dataclass
class Town:
    """Stands in for `placevec.datasets.dataset.Dataset`."""

    path: Path
    lonlat: np.ndarray
    place_ids: list[str]
    zoom: int = ZOOM
    base_map: str | None = "map"
    footprint_m: float = SIZE_M
    hash: str = "b" * 64
    places_hash: str = "c" * 64
    attribution: str = "© an inventor"
    shapes: np.ndarray | None = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def has_labels(self) -> bool:
        return False

    @property
    def places(self) -> pd.DataFrame:
        return pd.DataFrame({"place_id": self.place_ids, "lon": self.lonlat[:, 0], "lat": self.lonlat[:, 1]})

    def geometry(self) -> np.ndarray:
        if self.shapes is None:
            return np.asarray(shapely.points(self.lonlat), object)
        return self.shapes

    def __len__(self) -> int:
        return len(self.place_ids)

    def descends_from(self, hash: str) -> bool:
        return hash == self.hash

    def footprints(self) -> np.ndarray:
        return footprint_bounds(self.lonlat, SIZE_M, ZOOM)


@dataclass
class Network:
    """Stands in for `placevec.models.model.Model`: a random projection of what it sees of the coverage."""

    channels: tuple[str, ...] = ("roads", "buildings")
    seed: int = 0
    near_m: float = 200.0
    record: dict[str, Any] = field(default_factory=dict)
    trained_labels: tuple[str, ...] = ()
    path: Path | None = None
    heads: dict[str, Any] = field(default_factory=dict)

    @property
    def seen(self) -> tuple[str, ...]:
        return self.channels

    @property
    def specs(self) -> dict[str, ViewSpec]:
        return {"map": ViewSpec("map", "raster", self.channels, size_px=64, size_m=SIZE_M)}

    @property
    def training(self) -> dict[str, Any]:
        return {"near_m": self.near_m, **self.record}

    @property
    def recipe(self) -> dict[str, Any]:
        return {}

    @property
    def dims(self) -> dict[str, int]:
        return {"map": 8}

    def untrained(self, seed: int) -> Network:
        return replace(self, seed=seed + 1)

    def vectors(self, dataset: Any, rows: np.ndarray | None = None, **_: Any) -> np.ndarray:
        from placevec.evaluation.baselines import coverage_fractions

        rows = np.arange(len(dataset)) if rows is None else rows
        shares = coverage_fractions(dataset, self.channels, rows)
        assert shares is not None
        weights = np.random.default_rng(self.seed).normal(size=(shares.shape[1], 8))
        return np.tanh(shares @ weights).astype(np.float32)


def smooth(shape: tuple[int, int], width: float, seed: int) -> np.ndarray:
    """A random field whose neighbors within about ``width`` cells are alike; mean 0, deviation 1."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), width, mode="wrap")
    return (values - values.mean()) / values.std()


def write_grid(path: Path, shares: np.ndarray, names: tuple[str, ...], tile: tuple[int, int]) -> None:
    cell = 2 * MERCATOR_HALF / 2**ZOOM / CELLS
    corner = (tile[0] * CELLS * cell - MERCATOR_HALF, MERCATOR_HALF - tile[1] * CELLS * cell)
    with rasterio.open(
        path, "w", driver="GTiff", width=shares.shape[2], height=shares.shape[1], count=len(names), dtype="uint8",
        crs=3857, transform=from_origin(*corner, cell, cell),
    ) as file:  # fmt: skip
        file.write(np.round(shares * 255).astype(np.uint8))
        file.descriptions = names


def town(folder: Path, *, seed: int = 0, km: float = 8.0) -> Town:
    """A square town at lon 25, lat 60, a place every 250 m."""
    half_lat, half_lon = km / 2 / 111.4, km / 2 / 55.8
    area = Area(25 - half_lon, 60 - half_lat, 25 + half_lon, 60 + half_lat)
    lonlat = metric_grid(area, SIZE_M)
    low = np.floor(lonlat_to_tile_xy(area.west, area.north, ZOOM)).astype(int) - 1
    high = np.ceil(lonlat_to_tile_xy(area.east, area.south, ZOOM)).astype(int) + 1
    width, height = (high - low) * CELLS
    use = np.digitize(smooth((height, width), 6, seed), [-0.4, 0.4])
    density = smooth((height, width), 4, seed + 1)
    roads = np.clip(0.3 + 0.15 * density, 0, 1)
    buildings = np.clip(np.choose(use, [0.5, 0.3, 0.05]) + 0.1 * smooth((height, width), 2, seed + 2), 0, 1)
    tile = (int(low[0]), int(low[1]))
    write_grid(folder / "map_coverage.tif", np.stack([roads, buildings, use == 2]), LAYERS, tile)
    write_grid(folder / "landuse_coverage.tif", np.stack([use == number for number in range(3)]), USES, tile)
    return Town(folder, lonlat, [f"p{row}" for row in range(len(lonlat))])


def embeddings(dataset: Any, vectors: np.ndarray) -> Embeddings:
    """Vectors of a town's places."""
    nothing = np.full(len(dataset), None, object)
    ids = np.array(dataset.place_ids, object)
    points = np.asarray(shapely.points(dataset.lonlat), object)
    return Embeddings(
        ids, vectors, dataset.lonlat, points, nothing, "map", Provenance("a" * 64, dataset.hash)
    )
