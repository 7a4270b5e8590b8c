"""Pictures of places: what the model reads of each, and each layer apart."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from placevec.app.project import Project
from placevec.errors import PlacevecError
from placevec.explorer.maps.pictures import MapPictures
from placevec.explorer.maps.place_pictures import place_pictures, shapes_of
from placevec.explorer.maps.scene import has_map
from placevec.geo import MAX_MERCATOR_LATITUDE, footprint_bounds

KEPT = 4_000
"""Pictures kept in memory, for all browsers."""
Rows = NDArray[np.int64] | Sequence[int]


def pictures_of(project: Project, rows: Rows, px: int = 160) -> list[bytes | None]:
    """WebP of what the model reads of places, with the outline of their entity; None where nothing is known to draw."""
    kept: OrderedDict[tuple[int, int], bytes | None] = project.once("pictures", OrderedDict)
    wanted = [int(row) for row in rows]
    missing = [row for row in dict.fromkeys(wanted) if (row, px) not in kept]
    found = {row: kept[row, px] for row in wanted if (row, px) in kept}
    if missing and project.dataset is not None:
        ids = [str(project.table.place_id[row]) for row in missing]
        drawn = place_pictures(
            project.dataset, ids, np.asarray(project.table.lonlat[missing], np.float64), shapes_of(project.dataset, ids),
            view=project.table.view, window_m=project.window_m, px=px,
        )  # fmt: skip
        for row, picture in zip(missing, drawn, strict=True):
            found[row] = kept[row, px] = None if picture is None else encoded(picture)
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return [found.get(row) for row in wanted]


def layers_of(project: Project, row: int, px: int = 128) -> list[tuple[str, float, bytes]]:
    """(name, share that it covers, WebP) of each layer of what the model reads of a place; empty without layers."""
    lon, lat = project.table.lonlat[row]
    if project.dataset is None or not has_map(project.dataset) or not abs(lat) < MAX_MERCATOR_LATITUDE:
        return []
    dataset = project.dataset
    try:
        maps = project.once("maps", lambda: MapPictures.of(dataset))
    except PlacevecError:
        return []
    if maps.is_rgb:
        return []
    window = project.window_m or dataset.footprint_m or 200.0
    x0, y0, x1, y1 = footprint_bounds(np.array([[lon, lat]]), window, maps.zoom)[0].tolist()
    content = maps.read((x0, y0, x1, y1), px)
    return [
        (name, float(layer.mean()) / 255.0, encoded(np.asarray(240.0 - layer * (200.0 / 255.0), np.uint8)))
        for name, layer in zip(maps.layers, content, strict=True)
    ]


def encoded(picture: NDArray[np.uint8]) -> bytes:
    """(H, W) or (H, W, 3) uint8 as WebP.

    >>> encoded(np.zeros((2, 2, 3), np.uint8))[:4]
    b'RIFF'
    """
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "WEBP", quality=80)
    return file.getvalue()
