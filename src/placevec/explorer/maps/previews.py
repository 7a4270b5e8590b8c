"""Map thumbnails of the places, packed into sheets; not needed if the base map is as sharp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placevec.explorer.maps.cartography import encode_picture
from placevec.explorer.maps.pictures import MapPictures
from placevec.geo import Floats
from placevec.io.progress import SILENT, Progress

SHEET_COLUMNS = 16
SIZES = ((8_000, 64), (1 << 62, 48))
"""(maximum number of places, side of a thumbnail in pixels)."""
QUALITY = 55
SHARP_PX = 60
"""If a footprint has at least this many pixels on the base map, thumbnails are cut from it."""

MAX_IN_SHEETS = 25_000
"""Above this many places, thumbnails are cut from the base map even if it is less sharp: sheets would take 60 MB."""


@dataclass(frozen=True)
class Previews:
    """Sheets of 16 x 16 thumbnails, each ``px`` square, row by row in the order of the places."""

    sheets: list[bytes]
    px: int


def draw_previews(pictures: MapPictures, footprints: Floats, progress: Progress = SILENT) -> Previews:
    """A thumbnail of the map in each of the (N, 4) footprints; blank without a footprint."""
    count = len(footprints)
    px = next(side for maximum, side in SIZES if count <= maximum)
    sheets = []
    with progress.task("Drawing previews", total=count) as advance:
        for start in range(0, count, SHEET_COLUMNS**2):
            part = footprints[start : start + SHEET_COLUMNS**2]
            sheets.append(_sheet(pictures, part, px))
            advance(len(part))
    return Previews(sheets, px)


def _sheet(pictures: MapPictures, footprints: Floats, px: int) -> bytes:
    high = -(-len(footprints) // SHEET_COLUMNS)
    coverage = pictures.blank(high * px, SHEET_COLUMNS * px)
    for number, (x0, y0, x1, y1) in enumerate(footprints.tolist()):
        if not np.isfinite([x0, y0, x1, y1]).all():
            continue
        row, column = divmod(number, SHEET_COLUMNS)
        place = np.s_[:, row * px : (row + 1) * px, column * px : (column + 1) * px]
        coverage[place] = pictures.read((x0, y0, x1, y1), px)
    meters = typical_meters(pictures, footprints) / px
    return encode_picture(pictures.picture(coverage, meters), QUALITY)


def typical_meters(pictures: MapPictures, footprints: Floats) -> float:
    """Width of a typical footprint in meters on the ground; 1 if there are none."""
    known = footprints[np.isfinite(footprints).all(axis=1)]
    if not len(known):
        return 1.0
    return typical_tiles(footprints) * pictures.meters_per_tile(float(np.median(known[:, 1])))


def typical_tiles(footprints: Floats) -> float:
    """Median width of the footprints in tiles; 0 if there are none.

    >>> typical_tiles(np.array([[0.0, 0.0, 2.0, 2.0]]))
    2.0
    """
    known = footprints[np.isfinite(footprints).all(axis=1)]
    return float(np.median(known[:, 2] - known[:, 0])) if len(known) else 0.0
