"""What a dataset's map shows of the places on a page: ground, previews, and how much of what lies where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError
from placevec.explorer.embedded import base64_of
from placevec.explorer.maps.basemap import Ground, draw_ground
from placevec.explorer.maps.cartography import PICTURE_TYPE
from placevec.explorer.maps.mercator import WORLD, box_meters, reach_meters
from placevec.explorer.maps.pictures import Box, MapPictures
from placevec.explorer.maps.previews import SHARP_PX, SHEET_COLUMNS, Previews, draw_previews, typical_tiles
from placevec.geo import MAX_MERCATOR_LATITUDE, Area, Floats, lonlat_to_tile_xy
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset


@dataclass(frozen=True)
class Scene:
    """Drawn once, then put into the page.

    Attributes:
        layers: names of the map's layers.
        zoom: of the map.
        footprints: (N, 4) tile coordinates; NaN without.
        shares: (N, C) share of each footprint that each layer covers, NaN without footprint; None for a map of colors.
        frame: box of the dataset's area: what the map shows is cut to it, since its edge tiles are not whole.
        ground: the picture under the places, or None when nothing lies there.
        previews: sheets of previews, or None when the ground is sharp enough to cut them from.
    """

    layers: tuple[str, ...]
    zoom: int
    footprints: Floats
    shares: NDArray[np.float32] | None
    frame: Box
    ground: Ground | None
    previews: Previews | None

    @property
    def preview_px(self) -> int:
        """Pixels along the side of a typical place's preview."""
        if self.previews is not None:
            return self.previews.px
        assert self.ground is not None
        return round(self.ground.px_per_tile * typical_tiles(self.footprints))

    def reach(self, mercator: Floats) -> NDArray[np.float32]:
        """(N, 4) west, south, east, north of the footprints, meters from the places."""
        return reach_meters(self.footprints, self.zoom, mercator)

    def ground_content(self, origin: Floats) -> dict[str, Any] | None:
        """What the page's map block holds."""
        if self.ground is None:
            return None
        tile = WORLD / 2.0**self.zoom

        def piece(item: tuple[Box, bytes]) -> dict[str, Any]:
            return {"box": box_meters(item[0], self.zoom, origin), "data": base64_of(item[1])}

        overview = piece(self.ground.overview)
        overview["meters_per_pixel"] = tile / self.ground.overview_px_per_tile
        return {
            "type": PICTURE_TYPE,
            "frame": box_meters(self.frame, self.zoom, origin),
            "meters_per_pixel": tile / self.ground.px_per_tile,
            "overview": overview,
            "pieces": [piece(item) for item in self.ground.pieces],
        }

    def preview_content(self) -> dict[str, Any]:
        """What the page's previews block holds: sheets, or none when they are cut from the map."""
        if self.previews is None:
            return {"sheets": None}
        sheets = [base64_of(sheet) for sheet in self.previews.sheets]
        return {"type": PICTURE_TYPE, "px": self.previews.px, "columns": SHEET_COLUMNS, "sheets": sheets}


def draw_scene(dataset: Dataset, place_id: NDArray[Any], progress: Progress = SILENT) -> Scene:
    """Draw the map around the places, and their previews; InputError when none of them is in the dataset."""
    footprints = _footprints(dataset, place_id)
    pictures = MapPictures.of(dataset)
    ground = draw_ground(pictures, footprints, progress)
    sharp = ground is not None and ground.px_per_tile * typical_tiles(footprints) >= SHARP_PX
    previews = None if sharp else draw_previews(pictures, footprints, progress)
    frame = _frame(dataset.area, pictures.zoom)
    shares = None if pictures.is_rgb else pictures.shares(footprints)
    return Scene(pictures.layers, pictures.zoom, footprints, shares, frame, ground, previews)


def has_map(dataset: Dataset | None) -> bool:
    """Whether there is a map to draw."""
    return dataset is not None and (dataset.path / "map_coverage.tif").exists()


def layer_shares(
    dataset: Dataset, place_id: NDArray[Any]
) -> tuple[tuple[str, ...], NDArray[np.float32]] | None:
    """(names, (N, C) share of each place's ground that each layer covers); None for a map of colors."""
    pictures = MapPictures.of(dataset)
    return None if pictures.is_rgb else (pictures.layers, pictures.shares(_footprints(dataset, place_id)))


def _footprints(dataset: Dataset, place_id: NDArray[Any]) -> Floats:
    """(N, 4) of the places; NaN where the dataset does not know one. InputError when it knows none."""
    row_of = {one: row for row, one in enumerate(dataset.places["place_id"])}
    rows = np.array([row_of.get(one, -1) for one in place_id])
    if (rows < 0).all():
        raise InputError(f"none of the embedded places is in the dataset {dataset.path}: it is another one")
    return np.where((rows >= 0)[:, None], dataset.footprints()[rows], np.nan)


def _frame(area: Area, zoom: int) -> Box:
    """The box of an area in tile coordinates; across the antimeridian it runs on beyond the last tile."""
    lat = np.clip([area.north, area.south], -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)
    (x0, y0), (x1, y1) = lonlat_to_tile_xy([area.west, area.east], lat, zoom).tolist()
    return x0, y0, x1 if x1 > x0 else x1 + 2.0**zoom, y1
