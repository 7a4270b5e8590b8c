"""Tiles in the colors of vectors or of predictions: 256 pixels a side, PNG, in Web Mercator."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from placevec.embeddings import Embeddings
from placevec.errors import InputError, UsageError
from placevec.explorer.coloring import COLORS
from placevec.explorer.reductions import leading, rgb_of
from placevec.geo import MAX_MERCATOR_LATITUDE, TILE_PX, lonlat_to_tile_xy, tile_xy_to_lonlat
from placevec.inference.query import ask
from placevec.models.model import Model

MAX_TILE_ZOOM = 22
_FITTED_ON = 20_000
_DOT_PX = 5
_FEW = 3_000
"""Places in a tile that are drawn as dots; of more, each is a pixel, and pixels show the mean."""
_SAMPLES = 128
"""Predictions along each side of a tile."""
Bytes = NDArray[np.uint8]


class Painter:
    """Draws the places of a table in colors of three principal components of their vectors.

    Args:
        table: the places.
    """

    def __init__(self, table: Embeddings) -> None:
        known = np.isfinite(table.lonlat).all(axis=1) & (np.abs(table.lonlat[:, 1]) <= MAX_MERCATOR_LATITUDE)
        rows = np.flatnonzero(known)
        xy = lonlat_to_tile_xy(table.lonlat[rows, 0], table.lonlat[rows, 1], 0)
        order = np.argsort(xy[:, 0], kind="stable")
        self.table, self.rows, self.xy = table, rows[order], xy[order]
        self.colors = colors_of(table.vectors)

    def tile(self, zoom: int, x: int, y: int) -> bytes:
        """PNG of a tile; transparent where there are no places."""
        side = 2.0**zoom
        edge = _DOT_PX / TILE_PX  # dots of places beyond the edge reach into it
        reach = edge if self.table.are_points else max(edge, self._widest() * side)
        first, last = np.searchsorted(self.xy[:, 0], [(x - reach) / side, (x + 1 + reach) / side])
        part = np.arange(first, last)
        down = self.xy[part, 1] * side - y
        part = part[(down >= -reach) & (down <= 1 + reach)]
        pixels = (self.xy[part] * side - [x, y]) * TILE_PX
        image = np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
        if len(part) > _FEW:
            _as_pixels(image, pixels, self.colors[self.rows[part]])
        elif len(part):
            self._as_shapes(image, part, pixels, zoom, x, y)
        return png(image)

    def _widest(self) -> float:
        """Side of the places in tiles of zoom 0, about."""
        import shapely

        def measured() -> float:
            some = self.rows[:: max(1, len(self.rows) // 1000)]
            bounds = shapely.bounds(self.table.geometry_at(some))
            wide = np.nanmax(bounds[:, 2] - bounds[:, 0], initial=0.0)
            return float(min(wide, 10.0)) / 360.0

        return self.table.derived("widest on tiles", measured)

    def _as_shapes(
        self, image: Bytes, part: NDArray[np.int64], pixels: NDArray[np.float64], zoom: int, x: int, y: int
    ) -> None:
        """Outlines filled where they are larger than a dot, else dots."""
        import cv2
        import shapely

        shapes = None if self.table.are_points else self.table.geometry_at(self.rows[part])
        for number, color in enumerate(self.colors[self.rows[part]].tolist()):
            fill = (*color, 255)
            shape = None if shapes is None else shapes[number]
            if shape is not None and shape.geom_type in ("Polygon", "MultiPolygon"):
                drawn = False
                for ring in shapely.get_rings(shapely.get_parts(shape)):
                    lonlat = shapely.get_coordinates(ring)
                    lonlat[:, 1] = np.clip(lonlat[:, 1], -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)
                    corners = (lonlat_to_tile_xy(lonlat[:, 0], lonlat[:, 1], zoom) - [x, y]) * TILE_PX
                    if np.ptp(corners, axis=0).max() >= _DOT_PX and np.abs(corners).max() < 1e6:
                        cv2.fillPoly(image, [np.round(corners * 16).astype(np.int32)], fill, shift=4)
                        drawn = True
                if drawn:
                    continue
            center = np.round(pixels[number] * 16).astype(int)
            cv2.circle(image, center.tolist(), _DOT_PX * 8, fill, -1, shift=4)


def _as_pixels(image: Bytes, pixels: NDArray[np.float64], colors: Bytes) -> None:
    """The mean color of the places in each pixel."""
    at = np.floor(pixels).astype(np.int64)
    inside = ((at >= 0) & (at < TILE_PX)).all(axis=1)
    where = at[inside, 1] * TILE_PX + at[inside, 0]
    counts = np.bincount(where, minlength=TILE_PX**2)
    there = counts > 0
    flat = image.reshape(-1, 4)
    for band in range(3):
        sums = np.bincount(where, colors[inside, band], minlength=TILE_PX**2)
        flat[there, band] = np.round(sums[there] / counts[there]).astype(np.uint8)
    flat[there, 3] = 255


def colors_of(vectors: NDArray[np.float32]) -> Bytes:
    """(N, 3) red, green and blue: principal components, fitted on a sample where there are many.

    >>> colors_of(np.array([[0.0, 0.0], [1.0, 0.0]], np.float32)).tolist()
    [[0, 128, 128], [255, 128, 128]]
    """
    some = vectors[:: max(1, len(vectors) // _FITTED_ON)].astype(np.float64)
    middle = some.mean(axis=0)
    kept = min(3, vectors.shape[1])
    _, directions = leading(some - middle, kept)
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(kept)])
    components = np.zeros((len(vectors), 3), np.float32)
    components[:, :kept] = vectors @ directions.astype(np.float32) - (middle @ directions).astype(np.float32)
    components[:, :kept][:, np.ptp(components[:, :kept], axis=0) < 1e-6] = 0.0
    return rgb_of(components)


def predicted_tile(
    model: Model, zoom: int, x: int, y: int, name: str | None, year: float | None
) -> tuple[bytes, str]:
    """(PNG of what a model predicts over a tile, how to read it): a class's share or a number, or the likeliest class.

    Raises:
        ModelError: the model has no head, or reads more than coordinates.
        UsageError: an unknown class, or a class for a model that predicts a number.
    """
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    across, down = np.meshgrid(steps + x, steps + y)
    lonlat = tile_xy_to_lonlat(np.stack([across.ravel(), down.ravel()], axis=-1), zoom)
    head = model.head
    if head is not None and head.kind != "number" and name is None:
        if len(head.classes) > len(COLORS):
            raise UsageError(f"the model has {len(head.classes):,} classes: choose one")
        question = ask(model, head.classes, year=year)
        best = question.answers(lonlat).argmax(axis=1)
        palette = np.array([[int(one[i : i + 2], 16) for i in (0, 2, 4)] for one in COLORS], np.uint8)
        rgb, told = palette[best], ", ".join(question.names)
    else:
        question = ask(model, () if name is None else (name,), year=year)
        values = question.answers(lonlat)[:, 0].astype(np.float64)
        low, high = 0.0, 1.0
        if question.kind == "number":
            assert head is not None
            low, high = head.mean - 2 * head.deviation, head.mean + 2 * head.deviation
        rgb, told = ramp((values - low) / (high - low)), f"{question.names[0]}: {low:g} to {high:g}"
    image = np.full((_SAMPLES, _SAMPLES, 4), 255, np.uint8)
    image[..., :3] = rgb.reshape(_SAMPLES, _SAMPLES, 3)
    return png(np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)), told


_RAMP = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], np.float64)
"""Five colors of viridis (CC0), dark to light."""


def ramp(share: NDArray[Any]) -> Bytes:
    """(N, 3) colors of numbers from 0 to 1.

    >>> ramp(np.array([0.0, 1.0])).tolist()
    [[68, 1, 84], [253, 231, 37]]
    """
    at = np.clip(share, 0.0, 1.0) * (len(_RAMP) - 1)
    bands = [np.interp(at, np.arange(len(_RAMP)), _RAMP[:, band]) for band in range(3)]
    return np.round(np.stack(bands, axis=-1)).astype(np.uint8)


def png(image: Bytes) -> bytes:
    """(H, W, 4) as PNG.

    >>> png(np.zeros((2, 2, 4), np.uint8))[1:4]
    b'PNG'
    """
    file = io.BytesIO()
    Image.fromarray(image, "RGBA").save(file, "PNG", compress_level=3)
    return file.getvalue()


def check_tile(zoom: int, x: int, y: int) -> None:
    """InputError for a tile that does not exist.

    >>> check_tile(0, 0, 0)
    """
    if not 0 <= zoom <= MAX_TILE_ZOOM or not (0 <= x < 2**zoom and 0 <= y < 2**zoom):
        raise InputError(
            f"tile {zoom}/{x}/{y} does not exist: zoom is 0 to {MAX_TILE_ZOOM}, x and y below 2^zoom"
        )
