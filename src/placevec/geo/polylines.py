"""Many polylines or rings in three flat arrays, so that operations on millions of vertices are vectorized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def gather(offsets: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Indices of all members of the selected groups, in order, and the offsets of the new groups.

    >>> index, offsets = gather(np.array([0, 2, 5]), np.array([1, 0]))
    >>> index.tolist(), offsets.tolist()
    ([2, 3, 4, 0, 1], [0, 3, 5])
    """
    starts = offsets[rows]
    new = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(offsets[rows + 1] - starts, out=new[1:])
    return np.repeat(starts - new[:-1], np.diff(new)) + np.arange(new[-1]), new


@dataclass(frozen=True)
class Paths:
    """Rows of one or more vertex sequences (the memory layout of geoarrow's multilinestrings).

    Attributes:
        xy: (V, 2) float64 vertices of all paths, one after the other.
        path_offsets: (P + 1,) int64; path ``p`` is ``xy[path_offsets[p]:path_offsets[p + 1]]``, never empty.
        row_offsets: (R + 1,) int64; row ``r`` has paths ``row_offsets[r]`` to ``row_offsets[r + 1]``, at least one.
    """

    xy: Floats
    path_offsets: Ints
    row_offsets: Ints

    @classmethod
    def of(cls, rows: Sequence[Sequence[Floats]]) -> Paths:
        """From rows of paths, each (n, 2).

        >>> len(Paths.of([[np.zeros((4, 2))], [np.zeros((2, 2)), np.ones((3, 2))]]).xy)
        9
        """
        paths = [np.asarray(path, np.float64).reshape(-1, 2) for row in rows for path in row]
        xy = np.concatenate(paths) if paths else np.zeros((0, 2))
        return cls(xy, _offsets([len(path) for path in paths]), _offsets([len(row) for row in rows]))

    @classmethod
    def single(cls, xy: Floats, path_offsets: Ints) -> Paths:
        """Rows with one path each.

        >>> len(Paths.single(np.zeros((5, 2)), np.array([0, 2, 5])))
        2
        """
        return cls(xy, path_offsets, np.arange(len(path_offsets), dtype=np.int64))

    @classmethod
    def points(cls, xy: Floats) -> Paths:
        """Rows with one vertex each.

        >>> len(Paths.points(np.zeros((5, 2))))
        5
        """
        return cls.single(xy, np.arange(len(xy) + 1, dtype=np.int64))

    @classmethod
    def concatenate(cls, many: Sequence[Paths]) -> Paths:
        """Concatenate the rows of several `Paths`.

        >>> both = Paths.concatenate([Paths.points(np.zeros((2, 2))), Paths.of([[np.ones((3, 2))]])])
        >>> len(both), both.row_vertices.tolist()
        (3, [0, 1, 2, 5])
        """
        if not many:
            return cls.of([])
        return cls(
            np.concatenate([paths.xy for paths in many]),
            _offsets(np.concatenate([np.diff(paths.path_offsets) for paths in many])),
            _offsets(np.concatenate([np.diff(paths.row_offsets) for paths in many])),
        )

    def __len__(self) -> int:
        return len(self.row_offsets) - 1

    @property
    def row_vertices(self) -> Ints:
        """(R + 1,) int64: the index in ``xy`` of each row's first vertex."""
        return self.path_offsets[self.row_offsets]

    @property
    def path_rows(self) -> Ints:
        """(P,) int64: the row that each path belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.row_offsets))

    def row(self, row: int) -> list[Floats]:
        """The paths of one row."""
        cuts = self.path_offsets[self.row_offsets[row] : self.row_offsets[row + 1] + 1].tolist()
        return [self.xy[a:b] for a, b in pairwise(cuts)]

    def take(self, rows: Ints) -> Paths:
        """The selected rows, in the given order; duplicates are allowed.

        >>> Paths.points(np.array([[1.0, 2.0], [3.0, 4.0]])).take(np.array([1, 1])).xy.tolist()
        [[3.0, 4.0], [3.0, 4.0]]
        """
        path_index, row_offsets = gather(self.row_offsets, rows)
        vertex_index, path_offsets = gather(self.path_offsets, path_index)
        return Paths(self.xy[vertex_index], path_offsets, row_offsets)

    def with_xy(self, xy: Floats) -> Paths:
        """The same rows with other coordinates."""
        return Paths(xy, self.path_offsets, self.row_offsets)

    def bounds(self) -> Floats:
        """(R, 4) float64: minimum x, minimum y, maximum x, maximum y of each row.

        >>> Paths.of([[np.array([[0.0, 5.0], [2.0, 1.0]])]]).bounds().tolist()
        [[0.0, 1.0, 2.0, 5.0]]
        """
        if len(self) == 0:
            return np.zeros((0, 4))
        starts = self.row_vertices[:-1]
        return np.concatenate(
            [np.minimum.reduceat(self.xy, starts), np.maximum.reduceat(self.xy, starts)], axis=1
        )

    def ring_areas(self) -> Floats:
        """(P,) float64 signed area of each path as a ring: positive if counterclockwise (y up).

        >>> Paths.of([[np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]])]]).ring_areas().tolist()
        [2.0]
        """
        return self._shoelace()[0]

    def centers(self) -> Floats:
        """(R, 2) float64: area-weighted centroid of each row's rings (holes, with opposite orientation, subtract).

        Rows without area (points, lines) return the middle vertex of their longest path.

        >>> Paths.of([[np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]])]]).centers().tolist()
        [[1.0, 0.5]]
        """
        areas, first_moments = self._shoelace()
        starts = self.row_offsets[:-1]
        area, moment = np.add.reduceat(areas, starts), np.add.reduceat(first_moments, starts)
        sizes = np.diff(self.path_offsets)
        order = np.lexsort((np.arange(len(sizes)), -sizes, self.path_rows))
        longest = order[starts]
        middle = self.xy[self.path_offsets[longest] + sizes[longest] // 2]
        closed = np.all(
            self.xy[self.path_offsets[longest]] == self.xy[self.path_offsets[longest + 1] - 1], axis=1
        )
        boxes = self.bounds()
        solid = closed & (
            np.abs(area) > 1e-9 * (np.ptp(boxes[:, ::2], axis=1) * np.ptp(boxes[:, 1::2], axis=1))
        )
        centers = middle.copy()
        origin = self.xy[self.row_vertices[:-1]]
        centers[solid] = origin[solid] + moment[solid] / area[solid, None]
        # The centroid of a self-intersecting ring can be far away: clip it to the row's bounding box.
        return np.asarray(np.clip(centers, boxes[:, :2], boxes[:, 2:]))

    def _shoelace(self) -> tuple[Floats, Floats]:
        """Signed area (P,) and first moments (P, 2) of each path, about the first vertex of its row."""
        if len(self.path_offsets) == 1:
            return np.zeros(0), np.zeros((0, 2))
        origin = np.repeat(self.xy[self.row_vertices[:-1]], np.diff(self.row_vertices), axis=0)
        here = self.xy - origin
        following = np.roll(here, -1, axis=0)
        last = self.path_offsets[1:] - 1
        following[last] = here[self.path_offsets[:-1]]
        cross = here[:, 0] * following[:, 1] - following[:, 0] * here[:, 1]
        starts = self.path_offsets[:-1]
        areas = np.add.reduceat(cross, starts) / 2.0
        moments = np.add.reduceat((here + following) * cross[:, None], starts) / 6.0
        return np.asarray(areas), np.asarray(moments)


def _offsets(counts: Sequence[int] | Ints) -> Ints:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(np.asarray(counts, np.int64), out=offsets[1:])
    return offsets
