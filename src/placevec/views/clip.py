"""Rings in pixels: cut to the cells of a grid, and drawn in by half a pixel.

Rings are (n, 2) float64, closed in thought: the last vertex is joined to the first. Several rings are filled
even-odd, so a ring may be cut alone (Sutherland and Hodgman, 1974): what a concave ring leaves along the edge of a
cell covers nothing, and the margin around the cell hides its outline.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from placevec.sources.paths import Floats, Ints, Paths

Cells = tuple[int, int, int, int]
"""First column, first row, last column, last row of a range of cells, inclusive."""


_FEW_VERTICES = 16


def clip_rings(rings: list[Floats], axis: int, limit: float, side: int) -> list[Floats]:
    """The parts of rings where ``side * (coordinate - limit) >= 0``.

    >>> square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    >>> clip_rings([square], axis=0, limit=1.0, side=1)[0].tolist()
    [[1.0, 0.0], [4.0, 0.0], [4.0, 4.0], [1.0, 4.0]]
    """
    return [cut for ring in rings if len(cut := _clip_ring(ring, axis, limit, side)) > 2]


def _clip_ring(ring: Floats, axis: int, limit: float, side: int) -> Floats:
    depth = side * (ring[:, axis] - limit)
    inside = depth >= 0
    if inside.all():
        return ring
    if not inside.any():
        return ring[:0]
    after = _after(len(ring))
    crossing = np.flatnonzero(inside != inside[after])
    here, there = ring[crossing], ring[after[crossing]]
    share = depth[crossing] / (depth[crossing] - depth[after[crossing]])
    cut = here + share[:, None] * (there - here)
    cut[:, axis] = limit
    # Each vertex inside, then the crossing behind it.
    kept = np.flatnonzero(inside)
    order = np.argsort(np.concatenate([2 * kept, 2 * crossing + 1]), kind="stable")
    return np.asarray(np.concatenate([ring[kept], cut])[order])


def spread_rings(
    rings: list[Floats], cells: Cells, size: float, margin: float
) -> Iterator[tuple[int, int, list[Floats], bool]]:
    """Cut rings to each cell (``size`` pixels square, and ``margin`` more on every side) that they touch.

    Halves the range again and again, so that a coast of a million vertices over a thousand cells is walked through
    ten times and not a thousand. Yields column, row and the rings of that cell, and whether they leave nothing of it
    free.
    """
    for axis in (0, 1):
        rings = clip_rings(rings, axis, cells[axis] * size - margin, 1)
        rings = clip_rings(rings, axis, (cells[axis + 2] + 1) * size + margin, -1)
    return _spread(rings, cells, size, margin)


def _spread(
    rings: list[Floats], cells: Cells, size: float, margin: float
) -> Iterator[tuple[int, int, list[Floats], bool]]:
    x0, y0, x1, y1 = cells
    if not rings:
        return
    if _covers(rings, cells, size, margin):
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                yield x, y, [_box(x, y, size, margin)], True
    elif (x0, y0) == (x1, y1):
        yield x0, y0, rings, False
    elif x1 - x0 >= y1 - y0:
        middle = (x0 + x1) // 2
        yield from _spread(
            clip_rings(rings, 0, (middle + 1) * size + margin, -1), (x0, y0, middle, y1), size, margin
        )
        yield from _spread(
            clip_rings(rings, 0, (middle + 1) * size - margin, 1), (middle + 1, y0, x1, y1), size, margin
        )
    else:
        middle = (y0 + y1) // 2
        yield from _spread(
            clip_rings(rings, 1, (middle + 1) * size + margin, -1), (x0, y0, x1, middle), size, margin
        )
        yield from _spread(
            clip_rings(rings, 1, (middle + 1) * size - margin, 1), (x0, middle + 1, x1, y1), size, margin
        )


def _box(x: int, y: int, size: float, margin: float) -> Floats:
    west, north = x * size - margin, y * size - margin
    east, south = west + size + 2.0 * margin, north + size + 2.0 * margin
    return np.array([[west, north], [west, south], [east, south], [east, north]])


def _covers(rings: list[Floats], cells: Cells, size: float, margin: float) -> bool:
    """Whether rings that were cut to a range of cells leave nothing of it free.

    They do if they only run along its edge, an odd number of times around it in all. (Area alone would not tell: a
    ring that overlaps itself counts twice, and even-odd leaves out what it counts twice.) Rings of many vertices are
    not looked at: they are drawn, and it takes longer.
    """
    if sum(map(len, rings)) > _FEW_VERTICES:
        return False
    low = np.array(cells[:2]) * size - margin
    high = (np.array(cells[2:]) + 1) * size + margin
    turns = 0
    for ring in rings:
        after = _after(len(ring))
        sides = np.concatenate([ring == low, ring == high], axis=1)
        if not (sides & sides[after]).any(axis=1).all():
            return False
        x, y = (ring - ring[0]).T
        turns += round(float(np.sum(x * y[after] - x[after] * y)) / 2.0 / float(np.prod(high - low)))
    return turns % 2 == 1


def _after(count: int) -> Ints:
    """Index of the vertex after each, around a ring."""
    after = np.arange(1, count + 1)
    after[-1] = 0
    return after


def inset(paths: Paths) -> Paths:
    """Rings moved into the area that they bound by what OpenCV's outline adds, so that filling them is exact.

    OpenCV fills a polygon and then draws its outline, which is a pixel thick along the axis to which an edge is the
    steeper: half of that lies outside. Every edge moves in by as much; corners are mitred to about twice that at
    most. What is filled then are the pixels whose centre lies inside.

    Rows of one ring may run either way; of several, shells have a negative `Paths.ring_areas` and holes a positive
    one (on the ground, where y is north, shells run counter-clockwise). Rings must not repeat their first vertex.
    """
    if not len(paths.xy):
        return paths
    turn = np.ones(len(paths.path_offsets) - 1)
    single = np.diff(paths.row_offsets) == 1
    of_single = paths.row_offsets[:-1][single]
    turn[of_single] = np.where(paths.ring_areas()[of_single] > 0, -1.0, 1.0)
    before, after = _neighbours(paths.path_offsets)
    direction = _unit(paths.xy - paths.xy[before])
    # The normal to the right of the direction, in numbers with y south, points into shells that run so.
    normal = np.repeat(turn, np.diff(paths.path_offsets))[:, None] * direction[:, ::-1] * [1.0, -1.0]
    depth = 0.5 * np.abs(direction).max(axis=1)
    following, next_depth = normal[after], depth[after]
    cosine = np.sum(normal * following, axis=1)
    # The move v has normal . v = depth on both edges: solved along the sum and the difference of the normals.
    along = (depth + next_depth) / (2.0 * np.maximum(1.0 + cosine, 0.5))
    across = np.divide(
        depth - next_depth, 2.0 * (1.0 - cosine), out=np.zeros_like(depth), where=cosine < 1.0 - 1e-9
    )
    moved = paths.xy + along[:, None] * (normal + following) + across[:, None] * (normal - following)
    return paths.with_xy(np.asarray(moved))


def _neighbours(offsets: Ints) -> tuple[Ints, Ints]:
    """Index of the vertex before and after each, around its ring."""
    before = np.arange(-1, offsets[-1] - 1)
    before[offsets[:-1]] = offsets[1:] - 1
    after = np.arange(1, offsets[-1] + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    return before, after


def _unit(vectors: Floats) -> Floats:
    length = np.hypot(vectors[:, 0], vectors[:, 1])[:, None]
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
