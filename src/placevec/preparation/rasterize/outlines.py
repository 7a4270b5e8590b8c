"""Converts drawings to outlines: polygons that OpenCV fills exactly, and lines one pixel thick.

OpenCV adds an outline to what it fills, so polygons are shrunk by half a pixel. Lines wider than `_THIN_PX` are
outlined at their width, with round ends, so that stretches join; points become discs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from placevec.geo.polylines import Ints, Paths
from placevec.preparation.rasterize.clip import inset, open_rings
from placevec.preparation.rasterize.spool import SEA, Drawings
from placevec.sources.osm.layers import How

_THIN_PX = 1.5
"""Lines narrower than this are drawn one pixel thick; wider ones are outlined and filled."""
_CIRCLE_VERTICES = 24
_ROUND_SEGMENTS = 3
"""Segments per quarter turn at the ends and bends of lines."""


@dataclass(frozen=True)
class Shapes:
    """Polygons to fill, and lines one pixel thick, in pixels of the shard; ``how`` is FILL, SEA or LINE (thin)."""

    channel: NDArray[np.uint8]
    how: NDArray[np.uint8]
    paths: Paths


def outline(drawings: Drawings) -> Shapes:
    """All drawings except thin lines as polygons, shrunk by the width that their outline adds."""
    is_line = drawings.how == How.LINE
    thin = is_line & (drawings.width < _THIN_PX)
    is_point = drawings.how == How.POINT
    shapers = (
        (~is_line & ~is_point, _fills),
        (is_line & ~thin, _buffers),
        (is_point, _discs),
        (thin, _as_they_are),
    )
    parts = [Shapes(np.zeros(0, np.uint8), np.zeros(0, np.uint8), Paths.of([]))]
    for chosen, shaper in shapers:
        if chosen.any():
            some = drawings.take(np.flatnonzero(chosen))
            paths, origin = shaper(some)
            how = some.how[origin]
            if shaper is not _as_they_are:
                how = np.where(how == SEA, SEA, How.FILL).astype(np.uint8)
            parts.append(Shapes(some.channel[origin], how, paths))
    return Shapes(
        np.concatenate([part.channel for part in parts]),
        np.concatenate([part.how for part in parts]),
        Paths.concatenate([part.paths for part in parts]),
    )


def _as_they_are(drawings: Drawings) -> tuple[Paths, Ints]:
    return drawings.paths, np.arange(len(drawings))


def _fills(drawings: Drawings) -> tuple[Paths, Ints]:
    """Areas, and the row of each."""
    return inset(open_rings(drawings.paths)), np.arange(len(drawings))


def _buffers(drawings: Drawings) -> tuple[Paths, Ints]:
    """Lines as polygons of their width, with round ends, so that stretches join; and their rows."""
    paths = drawings.paths
    rows = paths.path_rows
    long = np.diff(paths.path_offsets) > 1
    vertex_paths = np.repeat(np.cumsum(long) - 1, np.diff(paths.path_offsets))
    keep = np.repeat(long, np.diff(paths.path_offsets))
    lines = shapely.linestrings(paths.xy[keep], indices=vertex_paths[keep])
    rows = rows[long]
    # GEOS gives shells of buffers a negative area and holes a positive area, as `inset` needs.
    buffers = shapely.buffer(lines, drawings.width[rows] / 2.0, quad_segs=_ROUND_SEGMENTS)
    polygons, part = shapely.get_parts(buffers, return_index=True)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    shaped = Paths(xy, _starts(ring, len(rings)), _starts(polygon, len(polygons)))
    return inset(open_rings(shaped)), rows[part]


def _discs(drawings: Drawings) -> tuple[Paths, Ints]:
    """Points as regular polygons of the disc's area, and their rows."""
    turn = 2.0 * np.pi / _CIRCLE_VERTICES
    angles = turn * np.arange(_CIRCLE_VERTICES)
    same_area = np.sqrt(turn / np.sin(turn))
    radius = drawings.width / 2.0 * same_area
    centers = drawings.paths.xy[drawings.paths.row_vertices[:-1]]
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    xy = centers[:, None] + radius[:, None, None] * circle
    offsets = _CIRCLE_VERTICES * np.arange(len(centers) + 1, dtype=np.int64)
    return inset(Paths.single(xy.reshape(-1, 2), offsets)), np.arange(len(centers))


def _starts(numbers: Ints, total: int) -> Ints:
    """Offsets of groups from the sorted group number of each member."""
    return np.searchsorted(numbers, np.arange(total + 1)).astype(np.int64)
