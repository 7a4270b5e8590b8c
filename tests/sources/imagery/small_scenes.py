"""Scenes of Sentinel-2 small enough for a test: a few kilometers around Helsinki, written as a static STAC catalog.

Their numbers say where they are: `ground` is a function of the position in meters alone, so that any chip can be
checked without looking at a scene.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import from_origin

EPSG = 32635
LEFT, TOP = 384_000.0, 6_674_000.0
"""Upper left corner of the scenes of a test, in meters; 24.91 E, 60.19 N."""
NAMES = {
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B08": "nir",
    "B11": "swir16",
    "B12": "swir22",
    "SCL": "scl",
}
METERS = {"B11": 20, "B12": 20, "SCL": 20}
BANDS = ("B02", "B03", "B04", "B08")


def ground(band: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reflectance x 10,000 of a position in meters of `EPSG`: rises by 1 a meter to the east, by 0.5 to the north."""
    own = 300.0 + 37.0 * sorted(NAMES).index(band)
    return own + (x - LEFT) * 1.0 + (y - (TOP - 4_000.0)) * 0.5


def pixel_centers(
    left: float, top: float, side: float, shape: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return left + (columns + 0.5) * side, top - (rows + 0.5) * side


def write_scene(
    folder: Path,
    name: str,
    *,
    left: float = LEFT,
    top: float = TOP,
    side_m: int = 4_000,
    epsg: int = EPSG,
    bands: tuple[str, ...] = BANDS,
    classes: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]] | None = None,
    added: int = 0,
    empty: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]] | None = None,
    numbers: Callable[[str, NDArray[Any], NDArray[Any]], NDArray[Any]] = ground,
    **options: Any,
) -> dict[str, str]:
    """Write one file a band; ``empty`` says where there is no data, ``classes`` what SCL says. Names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for band in (*bands, *(["SCL"] if classes is not None else [])):
        meters = METERS.get(band, 10)
        shape = (side_m // meters, side_m // meters)
        x, y = pixel_centers(left, top, meters, shape)
        if band == "SCL":
            assert classes is not None
            pixels = np.broadcast_to(classes(x, y), shape).astype(np.uint8)
        else:
            pixels = np.rint(numbers(band, x, y) + added).astype(np.uint16)
            if empty is not None:
                pixels[np.broadcast_to(empty(x, y), shape)] = 0
        path = folder / f"{name}_{band}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=shape[1], height=shape[0], count=1, dtype=pixels.dtype, nodata=0,
            crs=f"EPSG:{epsg}", transform=from_origin(left, top, meters, meters), tiled=True, blockxsize=64,
            blockysize=64, compress="deflate", **options,
        ) as file:  # fmt: skip
            file.write(pixels, 1)
        files[band] = path.name
    return files


def item_of(
    name: str,
    files: Mapping[str, str],
    *,
    when: str = "2023-07-01T09:50:31Z",
    cloud: float = 5.0,
    baseline: str | None = "05.09",
    applied: bool | None = None,
    offset: float | None = None,
    tile: str = "35VLG",
    left: float = LEFT,
    top: float = TOP,
    side_m: int = 4_000,
    epsg: int = EPSG,
    **more: Any,
) -> dict[str, Any]:
    """The STAC item of a scene, as Earth Search writes them."""
    there = Transformer.from_crs(epsg, 4326, always_xy=True)
    x = np.array([left, left + side_m, left, left + side_m])
    lon, lat = there.transform(x, np.array([top, top, top - side_m, top - side_m]))
    raster = [{"scale": 0.0001, **({} if offset is None else {"offset": offset})}]
    about = {
        "datetime": when, "eo:cloud_cover": cloud, "grid:code": f"MGRS-{tile}",
        **({} if baseline is None else {"s2:processing_baseline": baseline}),
        **({} if applied is None else {"earthsearch:boa_offset_applied": applied}), **more,
    }  # fmt: skip
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "sentinel-2-l2a", "geometry": None,
        "bbox": [lon.min(), lat.min(), lon.max(), lat.max()], "properties": about, "links": [],
        "assets": {
            NAMES[band]: {
                "href": f"./{file}", "type": "image/tiff", **({} if band == "SCL" else {"raster:bands": raster}),
            }
            for band, file in files.items()
        },
    }  # fmt: skip


def write_catalog(folder: Path, items: list[dict[str, Any]]) -> Path:
    """A static catalog: catalog.json, one collection, one file an item."""
    for item in items:
        (folder / f"{item['id']}.json").write_text(json.dumps(item))
    links = [{"rel": "item", "href": f"./{item['id']}.json"} for item in items]
    collection = {"type": "Collection", "id": "sentinel-2-l2a", "stac_version": "1.0.0", "links": links}
    (folder / "collection.json").write_text(json.dumps(collection))
    catalog = {"type": "Catalog", "id": "test", "links": [{"rel": "child", "href": "./collection.json"}]}
    (folder / "catalog.json").write_text(json.dumps(catalog))
    return folder / "catalog.json"
