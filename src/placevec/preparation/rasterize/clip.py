"""Rings in pixels: clipped to the cells of a grid, and shrunk by half a pixel.

Rings are implicitly closed: the last vertex is joined to the first. Several rings of a row are filled even-odd, so
each ring can be clipped separately (Sutherland and Hodgman, 1974): what a concave ring leaves along the edge of a cell
covers nothing, and the margin around the cell hides its outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placevec.geo.polylines import Floats, Ints, Paths

_FEW_VERTICES = 16


@dataclass(frozen=True)
class Pieces:
    """Rows of rings, each clipped to one cell.

    Attributes:
        row: (N,) int64 the row that each comes from.
        cell: (N, 2) int64 column and row of the cell.
        covers: (N,) bool: whether it covers the whole cell.
        paths: the rings.
    """

    row: Ints
    cell: Ints
    covers: NDArray[np.bool_]
    paths: Paths


def clip_rings(paths: Paths, axis: Ints, limit: Floats, side: Ints) -> tuple[Paths, Ints]:
    """The parts of each row's rings where ``side * (coordinate - limit) >= 0``, and the rows that have any.

    >>> square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    >>> cut, rows = clip_rings(Paths.of([[square]]), np.array([0]), np.array([1.0]), np.array([1]))
    >>> cut.xy.tolist()
    [[1.0, 0.0], [4.0, 0.0], [4.0, 4.0], [1.0, 4.0]]
    """
    if not len(paths):
        return paths, np.zeros(0, np.int64)
    row = np.repeat(np.arange(len(paths)), np.diff(paths.row_vertices))
    depth = side[row] * (np.where(axis[row] == 0, paths.xy[:, 0], paths.xy[:, 1]) - limit[row])
    inside = depth >= 0
    _, after = _neighbors(paths.path_offsets)
    crosses = inside != inside[after]
    crossing = np.flatnonzero(crosses)
    beyond = after[crossing]
    here, there = paths.xy[crossing], paths.xy[beyond]
    share = depth[crossing] / (depth[crossing] - depth[beyond])
    cut = here + share[:, None] * (there - here)
    cut[np.arange(len(cut)), axis[row[crossing]]] = limit[row[crossing]]
    # Each vertex inside, then the crossing after it.
    ends = np.cumsum(inside.astype(np.int64) + crosses)
    xy = np.empty((int(ends[-1]) if len(ends) else 0, 2))
    xy[ends[inside] - 1 - crosses[inside]] = paths.xy[inside]
    xy[ends[crossing] - 1] = cut
    offsets = np.concatenate([[0], ends])[paths.path_offsets]
    whole = np.diff(offsets) > 2
    rings = np.add.reduceat(whole.astype(np.int64), paths.row_offsets[:-1])
    rows = np.flatnonzero(rings)
    left = Paths(xy, offsets, np.arange(len(whole) + 1)).take(np.flatnonzero(whole))
    return Paths(left.xy, left.path_offsets, np.concatenate([[0], np.cumsum(rings[rows])])), rows


def spread_rings(paths: Paths, cells: Ints, size: float, margin: float) -> Pieces:
    """Clip each row of rings to the cells (``size`` pixels square, plus ``margin`` on every side) that it touches.

    Args:
        paths: R rows of rings.
        cells: (R, 4) first column, first row, last column, last row of the cells that each row can touch.
        size: side of the cells, pixels.
        margin: pixels.

    Halves the ranges repeatedly, for all rows in parallel, so that a coast of a million vertices over a thousand cells
    is processed ten times and not a thousand times.
    """
    row = np.arange(len(paths))
    for axis in (0, 1):
        for side in (1, -1):
            edge = cells[:, axis] if side == 1 else cells[:, axis + 2] + 1
            paths, left = clip_rings(
                paths,
                np.full(len(row), axis),
                np.asarray(edge * size - side * margin, np.float64),
                np.full(len(row), side),
            )
            row, cells = row[left], cells[left]
    found = [Pieces(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros(0, bool), Paths.of([]))]
    while len(row):
        covers = _covers(paths, cells, size, margin)
        found.append(_boxes(row[covers], cells[covers], size, margin))
        single = ~covers & (cells[:, :2] == cells[:, 2:]).all(axis=1)
        chosen = np.flatnonzero(single)
        found.append(Pieces(row[chosen], cells[chosen, :2], np.zeros(len(chosen), bool), paths.take(chosen)))
        rest = np.flatnonzero(~covers & ~single)
        row, cells, paths = _halved(row[rest], cells[rest], paths.take(rest), size, margin)
    return Pieces(
        np.concatenate([some.row for some in found]),
        np.concatenate([some.cell for some in found]),
        np.concatenate([some.covers for some in found]),
        Paths.concatenate([some.paths for some in found]),
    )


def _halved(row: Ints, cells: Ints, paths: Paths, size: float, margin: float) -> tuple[Ints, Ints, Paths]:
    """Each row twice: for the first half of its range of cells, and for the second."""
    number = np.arange(len(row))
    axis = np.where(cells[:, 2] - cells[:, 0] >= cells[:, 3] - cells[:, 1], 0, 1)
    middle = (cells[number, axis] + cells[number, axis + 2]) // 2
    halves = []
    for side in (-1, 1):
        part = cells.copy()
        part[number, axis + (2 if side < 0 else 0)] = middle if side < 0 else middle + 1
        limit = (middle + 1) * size - side * margin
        cut, left = clip_rings(paths, axis, limit, np.full(len(row), side))
        halves.append((row[left], part[left], cut))
    rows, parts, cuts = zip(*halves, strict=True)
    return np.concatenate(rows), np.concatenate(parts), Paths.concatenate(cuts)


def _boxes(row: Ints, cells: Ints, size: float, margin: float) -> Pieces:
    """Every cell of each range, covered."""
    which, cell = cells_of(cells)
    low, high = cell * size - margin, (cell + 1) * size + margin
    corners = [
        low,
        np.stack([low[:, 0], high[:, 1]], axis=1),
        high,
        np.stack([high[:, 0], low[:, 1]], axis=1),
    ]
    xy = np.stack(corners, axis=1).reshape(-1, 2)
    paths = Paths.single(xy, 4 * np.arange(len(cell) + 1))
    return Pieces(row[which], cell, np.ones(len(cell), bool), paths)


def cells_of(ranges: Ints) -> tuple[Ints, Ints]:
    """All cells of ranges x0, y0, x1, y1, and the range of each cell.

    >>> which, cells = cells_of(np.array([[0, 0, 1, 0], [5, 5, 5, 5]]))
    >>> which.tolist(), cells.tolist()
    ([0, 0, 1], [[0, 0], [1, 0], [5, 5]])
    """
    columns, rows = (ranges[:, 2:] - ranges[:, :2] + 1).T
    count = columns * rows
    which = np.repeat(np.arange(len(ranges)), count)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return which, ranges[which, :2] + np.stack([nth % columns[which], nth // columns[which]], axis=1)


def _covers(paths: Paths, cells: Ints, size: float, margin: float) -> NDArray[np.bool_]:
    """(R,) bool: rows that, clipped to a range of cells, cover all of it.

    They do if they only run along its edge, an odd number of times around it in total. (Area alone is not enough: a
    ring that overlaps itself counts twice, and even-odd leaves out what counts twice.) Rows of many vertices are not
    checked: they are drawn, which takes longer.
    """
    found = np.zeros(len(paths), bool)
    few = np.flatnonzero(np.diff(paths.row_vertices) <= _FEW_VERTICES)
    if not len(few):
        return found
    some = paths.take(few)
    low, high = cells[few, :2] * size - margin, (cells[few, 2:] + 1) * size + margin
    row = np.repeat(np.arange(len(few)), np.diff(some.row_vertices))
    sides = np.concatenate([some.xy == low[row], some.xy == high[row]], axis=1)
    _, after = _neighbors(some.path_offsets)
    along = np.logical_and.reduceat((sides & sides[after]).any(axis=1), some.row_vertices[:-1])
    turns = np.rint(some.ring_areas() / (high - low).prod(axis=1)[some.path_rows]).astype(np.int64)
    found[few] = along & (np.add.reduceat(turns, some.row_offsets[:-1]) % 2 == 1)
    return found


def open_rings(paths: Paths) -> Paths:
    """Rings without the first vertex repeated at the end."""
    last = paths.path_offsets[1:] - 1
    sizes = np.diff(paths.path_offsets)
    repeated = (sizes > 1) & np.all(paths.xy[last] == paths.xy[paths.path_offsets[:-1]], axis=1)
    keep = np.ones(len(paths.xy), bool)
    keep[last[repeated]] = False
    offsets = np.concatenate([[0], np.cumsum(sizes - repeated)]).astype(np.int64)
    return Paths(paths.xy[keep], offsets, paths.row_offsets)


def inset(paths: Paths) -> Paths:
    """Rings shrunk by the width that OpenCV's outline adds, so that filling them is exact.

    OpenCV fills a polygon and then draws its outline, one pixel thick along the axis to which an edge is steeper: half
    of that lies outside. Every edge moves in by the same amount; corners are mitered to about twice that at most. Then
    the filled pixels are those with their center inside.

    Rows of one ring can have any direction; in rows of several, shells have a negative `Paths.ring_areas` and holes a
    positive one (with y north, shells run counterclockwise). Rings must not repeat their first vertex.
    """
    if not len(paths.xy):
        return paths
    turn = np.ones(len(paths.path_offsets) - 1)
    single = np.diff(paths.row_offsets) == 1
    of_single = paths.row_offsets[:-1][single]
    turn[of_single] = np.where(paths.ring_areas()[of_single] > 0, -1.0, 1.0)
    before, after = _neighbors(paths.path_offsets)
    direction = _unit(paths.xy - paths.xy[before])
    # The normal to the right of the direction, in coordinates with y south, points into such shells.
    normal = np.repeat(turn, np.diff(paths.path_offsets))[:, None] * direction[:, ::-1] * [1.0, -1.0]
    depth = 0.5 * np.abs(direction).max(axis=1)
    following, next_depth = normal[after], depth[after]
    cosine = np.sum(normal * following, axis=1)
    # The move v has normal . v = depth on both edges: solved in the sum and the difference of the normals.
    along = (depth + next_depth) / (2.0 * np.maximum(1.0 + cosine, 0.5))
    across = np.divide(
        depth - next_depth, 2.0 * (1.0 - cosine), out=np.zeros_like(depth), where=cosine < 1.0 - 1e-9
    )
    moved = paths.xy + along[:, None] * (normal + following) + across[:, None] * (normal - following)
    return paths.with_xy(np.asarray(moved))


def _neighbors(offsets: Ints) -> tuple[Ints, Ints]:
    """Index of the vertex before and after each, around its ring."""
    before = np.arange(-1, offsets[-1] - 1)
    before[offsets[:-1]] = offsets[1:] - 1
    after = np.arange(1, offsets[-1] + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    return before, after


def _unit(vectors: Floats) -> Floats:
    length = np.hypot(vectors[:, 0], vectors[:, 1])[:, None]
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
