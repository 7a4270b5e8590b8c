"""The tiles that the places need: those that their windows touch, and a margin around them, each once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from placevec.errors import AreaError
from placevec.geo import TILE_PX, Area, Floats, Ints, check_zoom, meters_per_pixel

MAX_TILES = 50_000_000
"""Maximum tiles of a plan: at 10 kB each, half a terabyte."""
_NEIGHBORS = 64
"""Side of the squares of tiles that are requested together."""
_TOGETHER = 200_000
"""Footprints processed at a time."""
_PIECE, _WIDEST = 2_000_000, 1024
"""Tiles processed at a time, and maximum tiles along the side of one footprint, including the margin."""
_DIGITS = 7
"""Decimal places of a sample's degrees: about a centimeter."""


@dataclass(frozen=True)
class TilePlan:
    """Distinct tiles in the order of their requests.

    Attributes:
        zoom: zoom of the tiles.
        codes: (N,) int64 ``y * 2**zoom + x``. Squares of 64 x 64 tiles follow one another; within one, tiles eight
            apart follow each other, because servers such as mod_tile render 8 x 8 tiles at once: requests for eight
            neighbors would leave all but one of their workers idle.
    """

    zoom: int
    codes: Ints

    @classmethod
    def around(cls, footprints: Floats, zoom: int, margin_m: float = 0.0) -> TilePlan:
        """The tiles that footprints touch, widened by a margin.

        Args:
            footprints: (N, 4) x0, y0, x1, y1 in fractional tile coordinates at ``zoom``; rows with NaN need no tiles.
            zoom: zoom of the tiles.
            margin_m: ground distance in meters by which every side is extended.

        Raises AreaError for more than `MAX_TILES` tiles.

        >>> len(TilePlan.around(np.array([[2.9, 5.5, 3.1, 5.7], [2.2, 5.0, 3.0, 6.0]]), 17))
        2
        """
        side = 2 ** check_zoom(zoom)
        found = np.zeros(0, np.int64)
        for start in range(0, len(footprints), _TOGETHER):
            boxes = _widened(footprints[start : start + _TOGETHER], zoom, margin_m)
            for _, codes in _touched(boxes, side):
                found = _distinct(np.concatenate([found, _distinct(codes)]))
            if len(found) > MAX_TILES:
                raise AreaError(
                    f"the places need more than {MAX_TILES:,} tiles of zoom {zoom}: use fewer samples, a smaller area, "
                    "a smaller --margin-m or a lower --zoom"
                )
        return cls(zoom, found[np.argsort(_rank(found, side), kind="stable")])

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def tiles(self) -> Ints:
        """(N, 2) x, y."""
        y, x = np.divmod(self.codes, 2**self.zoom)
        return np.stack([x, y], axis=1)

    def touching(self, footprints: Floats, chosen: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(N,) bool: footprints that touch any of some tiles (given by their codes)."""
        touched = np.zeros(len(footprints), bool)
        wanted = _distinct(chosen)
        for start in range(0, len(footprints), _TOGETHER) if len(wanted) else ():
            for box, codes in _touched(footprints[start : start + _TOGETHER], 2**self.zoom):
                at = np.minimum(np.searchsorted(wanted, codes), len(wanted) - 1)
                touched[start + box[wanted[at] == codes]] = True
        return touched


def _widened(boxes: Floats, zoom: int, margin_m: float) -> Floats:
    if margin_m == 0:
        return boxes
    middle = np.clip((boxes[:, 1] + boxes[:, 3]) / 2.0 / 2**zoom, 0.0, 1.0)
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * middle))))
    margin = margin_m / (TILE_PX * meters_per_pixel(lat, zoom))
    return np.asarray(boxes + margin[:, None] * np.array([-1.0, -1.0, 1.0, 1.0]))


def _touched(boxes: Floats, side: int) -> Iterator[tuple[Ints, Ints]]:
    """(row of ``boxes``, code) of every tile that each of them touches, in parts; x wraps around the world."""
    rows = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    # a window whose edge coincides with a tile's edge does not touch the next tile
    low = np.floor(boxes[rows, :2] + 1e-9).astype(np.int64)
    high = np.maximum(np.ceil(boxes[rows, 2:] - 1e-9).astype(np.int64) - 1, low)
    low[:, 1], high[:, 1] = np.clip(low[:, 1], 0, side - 1), np.clip(high[:, 1], 0, side - 1)
    high[:, 0] = np.minimum(high[:, 0], low[:, 0] + side - 1)
    width, height = (high - low + 1).T
    count = width * height
    if count.max(initial=0) > _WIDEST**2:
        raise AreaError(
            f"a place and its margin touch {count.max():,} tiles: use a smaller --size-m, --margin-m or --zoom"
        )
    pieces = np.cumsum(count) // _PIECE
    for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(pieces)) + 1):
        box = np.repeat(part, count[part])
        inside = np.arange(len(box)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        dy, dx = np.divmod(inside, width[box])
        yield rows[box], (low[box, 1] + dy) * side + (low[box, 0] + dx) % side


def _distinct(codes: Ints) -> Ints:
    """Sorted and distinct; ``np.unique`` uses a hash table and takes fifty times as long."""
    ordered = np.sort(codes)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


def _rank(codes: Ints, side: int) -> Ints:
    """Sort key for the order of `TilePlan.codes`."""
    y, x = np.divmod(codes, side)
    square = (y // _NEIGHBORS) * (side // _NEIGHBORS + 1) + x // _NEIGHBORS
    within = (y % 8 * 8 + x % 8) * 64 + y % _NEIGHBORS // 8 * 8 + x % _NEIGHBORS // 8
    return np.asarray(square * _NEIGHBORS**2 + within)


def draw_samples(area: Area, count: int, seed: int) -> Floats:
    """(count, 2) lon, lat of distinct random points in an area, uniform by ground area.

    The same arguments give the same points.

    Raises AreaError if a narrow polygon covers too little of its box to be sampled.

    >>> draw_samples(Area(30.3, 50.3, 30.7, 50.6), 3, 0).shape
    (3, 2)
    """
    random = np.random.default_rng(seed)
    boxes = np.array(area.parts())
    sines = np.sin(np.radians(boxes[:, [1, 3]]))
    size = (boxes[:, 2] - boxes[:, 0]) * (sines[:, 1] - sines[:, 0])
    found = np.zeros((0, 2))
    for _ in range(1000):
        part = random.choice(len(boxes), count, p=size / size.sum())
        lon = boxes[part, 0] + random.random(count) * (boxes[part, 2] - boxes[part, 0])
        sine = sines[part, 0] + random.random(count) * (sines[part, 1] - sines[part, 0])
        points = np.round(np.stack([lon, np.degrees(np.arcsin(sine))], axis=1), _DIGITS)
        points = np.concatenate([found, points[area.contains(points[:, 0], points[:, 1])]])
        _, first = np.unique(points, axis=0, return_index=True)
        found = points[np.sort(first)]
        if len(found) >= count:
            return found[:count]
    raise AreaError(
        f"{count:,} distinct samples do not fit into the area: use fewer samples, or a larger area"
    )
