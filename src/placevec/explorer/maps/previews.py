"""A small picture of the ground at every place, packed into sheets; not needed where the map itself is as sharp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placevec.explorer.maps.cartography import encode_picture
from placevec.explorer.maps.pictures import MapPictures
from placevec.geo import Floats
from placevec.io.progress import SILENT, Progress

SHEET_COLUMNS = 16
SIZES = ((8_000, 64), (1 << 62, 48))
"""Side of a preview in pixels, by the number of places up to which it is used."""
QUALITY = 55
SHARP_PX = 60
"""Pixels of the map under a footprint from which the map serves as preview."""


@dataclass(frozen=True)
class Previews:
    """Sheets of 16 x 16 previews, each ``px`` square, row by row in the order of the places."""

    sheets: list[bytes]
    px: int


def draw_previews(pictures: MapPictures, footprints: Floats, progress: Progress = SILENT) -> Previews:
    """A preview of the ground in each of the (N, 4) footprints; blank where there is none."""
    count = len(footprints)
    px = next(side for most, side in SIZES if count <= most)
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
    """Ground meters of a typical footprint's side; 1 when there is none."""
    known = footprints[np.isfinite(footprints).all(axis=1)]
    if not len(known):
        return 1.0
    return typical_tiles(footprints) * pictures.meters_per_tile(float(np.median(known[:, 1])))


def typical_tiles(footprints: Floats) -> float:
    """Median side of the footprints in tiles; 0 when there is none."""
    known = footprints[np.isfinite(footprints).all(axis=1)]
    return float(np.median(known[:, 2] - known[:, 0])) if len(known) else 0.0
