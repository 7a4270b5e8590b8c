"""Small files of the layouts that publishers of embeddings use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import Affine

WEST, SOUTH = 385_000.0, 6_672_000.0
"""A corner in central Helsinki, UTM zone 35N."""
SIDE_M = 10.0
TO_UTM = Transformer.from_crs(4326, 32635, always_xy=True)
TO_DEGREES = Transformer.from_crs(32635, 4326, always_xy=True)


def unit_vectors(east: NDArray[Any], north: NDArray[Any], dim: int = 64) -> NDArray[np.float32]:
    """(..., dim) of length 1, which differ from meter to meter to the east and otherwise to the north."""
    turn = (
        np.arange(dim) * (east[..., None] - WEST) / 900.0
        + (np.arange(dim) ** 2) * (north[..., None] - SOUTH) / 5e4
    )
    found = np.sin(turn + np.arange(dim))
    return np.asarray(found / np.linalg.norm(found, axis=-1, keepdims=True), np.float32)


def centers(
    height: int, width: int, west: float = WEST, south: float = SOUTH
) -> tuple[NDArray[Any], NDArray[Any]]:
    """((H, W) eastings, (H, W) northings), the northernmost row first."""
    east = west + (np.arange(width) + 0.5) * SIDE_M
    north = south + (height - np.arange(height) - 0.5) * SIDE_M
    return np.broadcast_to(east, (height, width)), np.broadcast_to(north[:, None], (height, width))


def stored_as_alphaearth(vectors: NDArray[np.float32]) -> NDArray[np.int8]:
    """Google's quantization: 127.5 sign(v) sqrt(|v|), rounded."""
    return np.rint(127.5 * np.sign(vectors) * np.sqrt(np.abs(vectors))).clip(-127, 127).astype(np.int8)


def alphaearth(
    path: Path, height: int = 60, width: int = 80, *, bottom_up: bool = True, west: float = WEST, south: float = SOUTH,
    stored: NDArray[Any] | None = None, crs: int = 32635, **tags: str,
) -> NDArray[Any]:  # fmt: skip
    """A file of 64 bands; returns the (H, W, 64) numbers with the northernmost row first."""
    if stored is None:
        stored = stored_as_alphaearth(unit_vectors(*centers(height, width, west, south)))
    top = Affine(SIDE_M, 0, west, 0, -SIDE_M, south + SIDE_M * height)
    bottom = Affine(SIDE_M, 0, west, 0, SIDE_M, south)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=64, dtype=stored.dtype, crs=crs, nodata=-128,
        transform=bottom if bottom_up else top, tiled=True, blockxsize=16, blockysize=16, compress="zstd",
    ) as file:  # fmt: skip
        file.write(np.moveaxis(stored[::-1] if bottom_up else stored, -1, 0))
        file.descriptions = [f"A{band:02d}" for band in range(64)]
        file.update_tags(**tags)
    return stored


def tessera_store(
    folder: Path,
    name: str = "grid_24.95_60.15",
    year: int = 2024,
    *,
    flat: bool = True,
    version: str | None = "1.1",
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A tile of TESSERA as geotessera keeps it, 40 x 30 pixels; returns (vectors, scales)."""
    draws = np.random.default_rng(year)
    stored = draws.integers(-127, 128, (40, 30, 128)).astype(np.int8)
    scales = draws.uniform(0.02, 0.06, (40, 30) if flat else (40, 30, 128)).astype(np.float32)
    inside = folder / "global_0.1_degree_representation" / str(year) / name
    inside.mkdir(parents=True)
    np.save(inside / f"{name}.npy", stored)
    np.save(inside / f"{name}_scales.npy", scales)
    land = folder / "global_0.1_degree_tiff_all" / f"{name}.tiff"
    land.parent.mkdir(exist_ok=True)
    with rasterio.open(
        land, "w", driver="GTiff", height=40, width=30, count=1, dtype="uint8", crs=32635,
        transform=Affine(SIDE_M, 0, WEST, 0, -SIDE_M, SOUTH + 400),
    ) as file:  # fmt: skip
        file.write(np.ones((1, 40, 30), np.uint8))
    if version is not None:
        note = {"dataset_version": version, "dataset_variant": "cambridge"}
        (folder / "tessera_metadata.json").write_text(json.dumps(note))
    return stored, scales


def points(rows: list[int], columns: list[int], height: int, *, off: float = 0.3) -> NDArray[np.float64]:
    """(N, 2) lon, lat within pixels, counted from the northwest."""
    east = WEST + (np.array(columns) + off) * SIDE_M
    north = SOUTH + (height - np.array(rows) - off) * SIDE_M
    return np.stack(TO_DEGREES.transform(east, north), axis=1)


def geoparquet(path: Path, columns: dict[str, Any], shapes: Any, **kind: Any) -> Path:
    """GeoParquet with WKB as geopandas writes it."""
    about = {"version": "1.1.0", "primary_column": "geometry",
             "columns": {"geometry": {"encoding": "WKB", "geometry_types": [], **kind}}}  # fmt: skip
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(shapes), pa.binary())})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(about)}), path)
    return path
