"""Surroundings of places from an extract: plain English words for the features in the window of each place.

Windows are boxes in degrees; those that cross the antimeridian are searched on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely

from placevec.datasets.places import DEFAULT_SIZE_M, Places
from placevec.geo import Floats, Ints, tile_xy_to_lonlat
from placevec.io.progress import Progress
from placevec.preparation.rasterize.spool import join_antimeridian
from placevec.sources.osm.entities.shapes import Objects, shapes_of
from placevec.sources.osm.entities.types import TypeTable
from placevec.sources.osm.entities.words import MAX_WORDS
from placevec.sources.osm.reader import read_features

_METERS_A_DEGREE = 111_195.0
_HELD = 4_000_000
_WORDS = 2**31
"""More than there can be different ones."""


def boxes_of(places: Places) -> Floats:
    """(N, 4) west, south, east, north of the window around each place, degrees; NaN without coordinates.

    Places of no size have one of `DEFAULT_SIZE_M`, as on maps. Longitudes may lie beyond 180.
    """
    if places.zoom is not None:
        tiles = places.footprints(places.zoom)
        low, high = (
            tile_xy_to_lonlat(tiles[:, [0, 3]], places.zoom),
            tile_xy_to_lonlat(tiles[:, [2, 1]], places.zoom),
        )
        return np.concatenate([low, high], axis=1)
    half = (places.size_m or DEFAULT_SIZE_M) / 2.0 / _METERS_A_DEGREE
    wide = np.minimum(half / np.maximum(np.cos(np.radians(places.lonlat[:, 1])), 1e-6), 180.0)
    reach = np.stack([wide, np.full(len(wide), half)], axis=1)
    return np.concatenate([places.lonlat - reach, places.lonlat + reach], axis=1)


class Windows:
    """Windows to be asked which shapes they touch.

    Args:
        boxes: (N, 4), see `boxes_of`.
    """

    def __init__(self, boxes: Floats) -> None:
        self.count = len(boxes)
        known = np.flatnonzero(np.isfinite(boxes).all(axis=1))
        rows, sides = [known], [boxes[known]]
        for beyond, turn in ((boxes[known, 2] > 179.0, -360.0), (boxes[known, 0] < -179.0, 360.0)):
            rows.append(known[beyond])
            sides.append(boxes[known][beyond] + np.array([turn, 0.0, turn, 0.0]))
        self._rows = np.concatenate(rows)
        self._tree = shapely.STRtree(shapely.box(*np.concatenate(sides).T))

    def touching(self, shapes: Objects) -> tuple[Ints, Ints]:
        """(place, shape) of every shape that a window touches."""
        shape, box = self._tree.query(shapes, predicate="intersects")
        return self._rows[box], np.asarray(shape, np.int64)


def words_around(
    extract: Path, table: TypeTable, windows: Windows, *, work: Path, progress: Progress
) -> Iterator[tuple[int, list[str]]]:
    """The words of the features, named or not, in each window that has any: the most frequent there first, and
    last what is in more than half of all windows.

    Args:
        extract: that is read once.
        table: whose types have words.
        windows: of the places.
        work: folder for what does not fit in memory.
        progress: where to report.

    Yields:
        (place, words), ascending.
    """
    known: dict[str, int] = {}
    pairs, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    held: list[Ints] = []
    for chunk in read_features(
        extract, keys=table.keys, wanted=table.classify, asked=table.asked, work=work, progress=progress
    ):
        is_area = np.array([answer.is_area for answer in chunk.answers], bool)[chunk.answer]
        place, feature = windows.touching(shapes_of(join_antimeridian(chunk.paths), is_area))
        word = np.array([_number(known, answer.words) for answer in chunk.answers], np.int64)[chunk.answer]
        held.append(place * _WORDS + word[feature])
        if sum(map(len, held)) > _HELD:
            pairs, counts = _counted(pairs, counts, held)
            held = []
    pairs, counts = _counted(pairs, counts, held)
    place, word = np.divmod(pairs, _WORDS)
    shared = np.bincount(word, minlength=len(known))[word]
    order = np.lexsort((word, shared, -counts, 2 * shared > windows.count, place))
    texts = list(known)
    for rows in np.split(order, np.flatnonzero(np.diff(place[order])) + 1):
        if len(rows):
            yield int(place[rows[0]]), [texts[number] for number in word[rows[:MAX_WORDS]].tolist()]


def _number(known: dict[str, int], word: str) -> int:
    return known.setdefault(word, len(known))


def _counted(pairs: Ints, counts: Ints, more: list[Ints]) -> tuple[Ints, Ints]:
    every, index = np.unique(np.concatenate([pairs, *more]), return_inverse=True)
    weights = np.concatenate([counts, np.ones(sum(map(len, more)), np.int64)])
    return every, np.bincount(index, weights=weights, minlength=len(every)).astype(np.int64)
