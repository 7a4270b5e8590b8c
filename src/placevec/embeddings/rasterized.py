"""Vectors of places on a grid as a cloud-optimized GeoTIFF: a band for each dimension, int8 with a scale each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.table import Embeddings
from placevec.errors import EmbeddingsError, InputError, UsageError
from placevec.geo import Floats, to_ecef
from placevec.geo.tiles import parse_tile_id
from placevec.io import atomic, gdal

NO_DATA = -128
MAX_PIXELS = 2**31
_HALF_WORLD = 20_037_508.342789244


def write_cog(table: Embeddings, path: Path) -> int:
    """Write the vectors of places that lie on a grid; returns how many places it shows.

    Map tiles of one zoom become pixels of EPSG:3857, exactly. Other places become pixels of their UTM zone, as far apart
    as they usually are, the nearest place within three quarters of that each.

    Args:
        table: vectors of one view.
        path: file that ends in ``.tif``; written whole or not at all.

    Raises:
        UsageError: another ending.
        EmbeddingsError: the places are on no grid, or too far apart for `MAX_PIXELS` numbers.
    """
    import rasterio
    import rasterio.shutil
    from rasterio.enums import Resampling

    if path.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"a raster of vectors is a GeoTIFF: the file name must end in .tif; got {path.name}")
    atomic.check_writable(path)
    rows = np.flatnonzero(np.isfinite(table.lonlat).all(axis=1))
    if not len(rows):
        raise EmbeddingsError("no place of this table has coordinates: there is nothing to draw")
    place, transform, crs = _on_tiles(table, rows) or _on_utm(table.lonlat[rows])
    held = place >= 0
    scales = np.maximum(np.abs(table.vectors[rows]).max(axis=0) / 127.0, np.finfo(np.float32).tiny)
    profile = {
        "height": place.shape[0],
        "width": place.shape[1],
        "count": table.dim,
        "dtype": "int8",
        "nodata": NO_DATA,
    }
    made = table.provenance
    with (
        atomic.replacing(path) as temporary,
        tempfile.TemporaryDirectory(prefix=".placevec-", dir=Path(temporary).parent) as folder,
    ):
        plain, final = Path(folder) / "plain.tif", Path(folder) / "vectors.tif"
        with gdal.opened(
            plain, "w", driver="GTiff", tiled=True, crs=crs, transform=transform, **profile
        ) as file:
            for band in range(table.dim):
                numbers = np.rint(table.vectors[rows, band] / scales[band]).astype(np.int8)
                file.write(np.where(held, numbers[np.maximum(place, 0)], NO_DATA).astype(np.int8), band + 1)
            file.descriptions = [f"v{band:03d}" for band in range(table.dim)]
            file.scales, file.offsets = scales.astype(float).tolist(), [0.0] * table.dim
            file.update_tags(
                view=table.view, model_hash=made.model_hash, source=made.source, version=made.version,
                license=made.license, attribution=made.attribution, numbers="vector = number * scale of its band",
            )  # fmt: skip
        with gdal.writing(final):
            rasterio.shutil.copy(
                plain, final, driver="COG", compress="ZSTD", blocksize=256, overview_resampling=Resampling.nearest.name,
            )  # fmt: skip
        os.replace(final, temporary)
    return len(np.unique(place[held]))


def _on_tiles(table: Embeddings, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any, str] | None:
    """Pixels of map tiles of one zoom; None where places are none."""
    from rasterio.transform import Affine

    try:
        tiles = np.array([parse_tile_id(name) for name in table.place_id[rows]], np.int64)
    except InputError:
        return None
    if len(np.unique(tiles[:, 0])) > 1:
        return None
    (left, top), (right, bottom) = tiles[:, 1:].min(axis=0), tiles[:, 1:].max(axis=0)
    place = _empty(int(bottom - top) + 1, int(right - left) + 1, table.dim)
    place[tiles[:, 2] - top, tiles[:, 1] - left] = np.arange(len(rows))
    side = 2 * _HALF_WORLD / 2.0 ** int(tiles[0, 0])
    return place, Affine(side, 0, left * side - _HALF_WORLD, 0, -side, _HALF_WORLD - top * side), "EPSG:3857"


def _on_utm(lonlat: Floats) -> tuple[NDArray[np.int64], Any, str]:
    """Pixels of the UTM zone of the middle, each the nearest place."""
    from pyproj import Transformer
    from rasterio.transform import Affine
    from scipy.spatial import cKDTree

    from placevec.sources.imagery.ground import utm_zone

    tree = cKDTree(to_ecef(lonlat[:, 0], lonlat[:, 1]))
    if len(lonlat) < 2:
        raise EmbeddingsError("a single place is not enough for a raster")
    apart = tree.query(tree.data, 2)[0][:, 1]
    side = float(np.median(apart))
    alike = float(np.mean(np.abs(apart - side) <= 0.25 * side))
    if side <= 0 or alike < 0.5:
        raise EmbeddingsError(
            f"these places are not on a grid: only {alike:.0%} have a neighbor about {side:,.0f} m away, as most "
            f"should; a "
            "raster needs map tiles, or the places of --spacing"
        )
    crs = f"EPSG:{utm_zone(*np.median(lonlat, axis=0).tolist())}"
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lonlat[:, 0], lonlat[:, 1])
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EmbeddingsError("these places are spread too far for one UTM zone: export them in parts")
    west, north = float(x.min()) - side / 2, float(y.max()) + side / 2
    place = _empty(
        int(np.ceil((y.max() - y.min()) / side)) + 1, int(np.ceil((x.max() - x.min()) / side)) + 1, 1
    )
    across = west + (np.arange(place.shape[1]) + 0.5) * side
    flat = cKDTree(np.stack([x, y], axis=1))
    for line in range(len(place)):
        level = np.full(len(across), north - (line + 0.5) * side)
        away, nearest = flat.query(np.stack([across, level], axis=1), distance_upper_bound=0.75 * side)
        place[line] = np.where(np.isfinite(away), nearest, -1)
    return place, Affine(side, 0, west, 0, -side, north), crs


def _empty(height: int, width: int, dim: int) -> NDArray[np.int64]:
    if height * width * dim > MAX_PIXELS:
        raise EmbeddingsError(
            f"a raster of these places has {height:,} x {width:,} pixels of {dim:,} numbers, more than "
            f"{MAX_PIXELS:,}: export one area at a time"
        )
    return np.full((height, width), -1, np.int64)
