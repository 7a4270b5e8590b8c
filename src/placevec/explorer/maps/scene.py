"""What a page shows of a dataset's map: base map, thumbnails, and layer shares of each place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError
from placevec.explorer.embedded import base64_of
from placevec.explorer.maps.basemap import Basemap, draw_basemap
from placevec.explorer.maps.cartography import PICTURE_TYPE
from placevec.explorer.maps.mercator import WORLD, box_meters, reach_meters
from placevec.explorer.maps.pictures import Box, MapPictures
from placevec.explorer.maps.previews import (
    MAX_IN_SHEETS,
    SHARP_PX,
    SHEET_COLUMNS,
    Previews,
    draw_previews,
    typical_tiles,
)
from placevec.geo import MAX_MERCATOR_LATITUDE, Area, Floats, footprint_bounds, lonlat_to_tile_xy
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset


@dataclass(frozen=True)
class Scene:
    """The map data of a page.

    Attributes:
        layers: names of the map's layers.
        zoom: zoom level of the map.
        footprints: (N, 4) tile coordinates; NaN without a footprint.
        shares: (N, C) share of each footprint that each layer covers, NaN without a footprint; None for an RGB map.
        frame: box of the dataset's area; the map is clipped to it, since tiles at the edge are incomplete.
        basemap: the base map, or None if it is empty.
        previews: sheets of thumbnails, or None if they are cut from the base map.
    """

    layers: tuple[str, ...]
    zoom: int
    footprints: Floats
    shares: NDArray[np.float32] | None
    frame: Box
    basemap: Basemap | None
    previews: Previews | None

    @property
    def preview_px(self) -> int:
        """Side of a typical place's thumbnail in pixels."""
        if self.previews is not None:
            return self.previews.px
        assert self.basemap is not None
        return round(self.basemap.px_per_tile * typical_tiles(self.footprints))

    def reach(self, mercator: Floats) -> NDArray[np.float32]:
        """(N, 4) west, south, east, north of the footprints, in meters from the places."""
        return reach_meters(self.footprints, self.zoom, mercator)

    def basemap_content(self, origin: Floats) -> dict[str, Any] | None:
        """JSON of the page's map block."""
        if self.basemap is None:
            return None
        tile = WORLD / 2.0**self.zoom

        def piece(item: tuple[Box, bytes]) -> dict[str, Any]:
            return {"box": box_meters(item[0], self.zoom, origin), "data": base64_of(item[1])}

        overview = piece(self.basemap.overview)
        overview["meters_per_pixel"] = tile / self.basemap.overview_px_per_tile
        return {
            "type": PICTURE_TYPE,
            "frame": box_meters(self.frame, self.zoom, origin),
            "meters_per_pixel": tile / self.basemap.px_per_tile,
            "overview": overview,
            "pieces": [piece(item) for item in self.basemap.pieces],
        }

    def preview_content(self) -> dict[str, Any]:
        """JSON of the page's previews block; without sheets if they are cut from the base map."""
        if self.previews is None:
            return {"sheets": None}
        sheets = [base64_of(sheet) for sheet in self.previews.sheets]
        return {"type": PICTURE_TYPE, "px": self.previews.px, "columns": SHEET_COLUMNS, "sheets": sheets}


def draw_scene(
    dataset: Dataset, place_id: NDArray[Any], window_m: float | None = None, progress: Progress = SILENT
) -> Scene:
    """Draw the map around the places, and thumbnails of their footprints, or of windows of ``window_m`` meters.

    InputError if none of the places is in the dataset.
    """
    footprints = footprints_of(dataset, place_id, window_m)
    pictures = MapPictures.of(dataset)
    basemap = draw_basemap(pictures, footprints, progress)
    sharp = basemap is not None and basemap.px_per_tile * typical_tiles(footprints) >= SHARP_PX
    cut = sharp or (basemap is not None and len(footprints) > MAX_IN_SHEETS)
    previews = None if cut else draw_previews(pictures, footprints, progress)
    frame = _frame(dataset.area, pictures.zoom)
    shares = None if pictures.is_rgb else pictures.shares(footprints)
    return Scene(pictures.layers, pictures.zoom, footprints, shares, frame, basemap, previews)


def has_map(dataset: Dataset | None) -> bool:
    """Whether a dataset has a map to draw.

    >>> has_map(None)
    False
    """
    return dataset is not None and (dataset.path / "map_coverage.tif").exists()


def layer_shares(
    dataset: Dataset, place_id: NDArray[Any], window_m: float | None = None
) -> tuple[tuple[str, ...], NDArray[np.float32]] | None:
    """(names, (N, C) share of each place's footprint or window that each layer covers); None for an RGB map."""
    pictures = MapPictures.of(dataset)
    if pictures.is_rgb:
        return None
    return pictures.layers, pictures.shares(footprints_of(dataset, place_id, window_m))


def footprints_of(dataset: Dataset, place_id: NDArray[Any], window_m: float | None) -> Floats:
    """(N, 4) footprints or windows; NaN for places that are not in the dataset. InputError if none is."""
    row_of = {one: row for row, one in enumerate(dataset.places["place_id"])}
    rows = np.array([row_of.get(one, -1) for one in place_id])
    if (rows < 0).all():
        raise InputError(
            f"none of the embedded places is in the dataset {dataset.path}: is it the right dataset?"
        )
    if window_m is None:
        return np.where((rows >= 0)[:, None], dataset.footprints()[rows], np.nan)
    lonlat = dataset.lonlat[rows]
    known = (rows >= 0) & np.isfinite(lonlat).all(axis=1)
    windows = np.full((len(rows), 4), np.nan)
    windows[known] = footprint_bounds(lonlat[known], window_m, dataset.zoom)
    return windows


def _frame(area: Area, zoom: int) -> Box:
    """The box of an area in tile coordinates; across the antimeridian it extends beyond the last tile."""
    lat = np.clip([area.north, area.south], -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)
    (x0, y0), (x1, y1) = lonlat_to_tile_xy([area.west, area.east], lat, zoom).tolist()
    return x0, y0, x1 if x1 > x0 else x1 + 2.0**zoom, y1
