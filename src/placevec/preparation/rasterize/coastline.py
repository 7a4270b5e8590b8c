"""The sea, which OSM does not contain as areas: closed from ``natural=coastline``, land on the left, water on the
right.

Ways are joined end to end and clipped to the area's box. Every remaining stretch enters the box somewhere and leaves it
elsewhere; from where one leaves, the shore follows the edge of the box clockwise to where the next one enters. Rings
inside the box are islands, or enclosed water if they run the other way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placevec.geo import distance_m
from placevec.geo.polylines import Floats, Paths

MAX_GAP = 0.2
"""Maximum extension of a loose end to the edge, as a share of the box's shorter side."""

_ROUNDING = 1e-10
"""Tolerance in degrees of clipping to the edge of a box."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sea:
    """The sea in an area.

    Attributes:
        state: "none" (no coastline at all), "land" (the coast is elsewhere and the area is inland), "closed",
            or "open" (the coastline does not close; no sea is drawn).
        detail: one sentence for display.
        paths: one row for each box with sea: rings in lon, lat degrees, oriented like areas (shells
            counterclockwise).
    """

    state: str
    detail: str
    paths: Paths


def close_sea(coast: Paths, boxes: list[Box]) -> Sea:
    """The sea inside boxes (west, south, east, north), from coastline ways in lon, lat degrees."""
    lines = join_lines([line for row in range(len(coast)) for line in coast.row(row) if len(line) > 1])
    if not lines:
        return Sea("none", "no coastline in the extract, so no sea", Paths.of([]))
    rows, notes = [], []
    for box in boxes:
        try:
            rings, carried = _close_box(lines, box)
        except _OpenCoastError as error:
            return Sea("open", f"the coastline does not close ({error}), so no sea is drawn", Paths.of([]))
        if rings:
            rows.append(rings)
        notes += carried
    if not rows:
        return Sea(
            "land", "the coastline is outside the area, and the area is on its land side", Paths.of([])
        )
    detail = "closed from the coastline"
    if notes:
        detail += f", {len(notes)} loose ends extended to the edge of the area by up to {max(notes):,.0f} m"
    return Sea("closed", detail, Paths.of(rows))


class _OpenCoastError(Exception):
    """Says where the coastline is open."""


def join_lines(lines: list[Floats]) -> list[Floats]:
    """Join directed lines whose end is another's start; rings are closed.

    If several start at one point, the first one given continues.

    >>> parts = [np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 0.0]])]
    >>> [line.tolist() for line in join_lines(parts)]
    [[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]]
    """
    starts: dict[bytes, list[int]] = {}
    for number, line in enumerate(lines):
        starts.setdefault(line[0].tobytes(), []).append(number)
    ends = {line[-1].tobytes() for line in lines}
    used = [False] * len(lines)
    joined = []
    # Lines that no other line leads to come first, so that no chain starts in its middle.
    first = [number for number, line in enumerate(lines) if line[0].tobytes() not in ends]
    for number in first + list(range(len(lines))):
        chain: list[Floats] = []
        following: int | None = number
        while following is not None and not used[following]:
            used[following] = True
            chain.append(lines[following])
            if np.array_equal(chain[0][0], chain[-1][-1]):
                break
            following = next((n for n in starts.get(chain[-1][-1].tobytes(), []) if not used[n]), None)
        if chain:
            joined.append(np.concatenate([chain[0], *(part[1:] for part in chain[1:])]))
    return joined


def _close_box(lines: list[Floats], box: Box) -> tuple[list[Floats], list[float]]:
    """Rings of the sea in a box, and how far (meters) loose ends had to be extended."""
    stretches: list[Floats] = []
    rings: list[Floats] = []
    carried: list[float] = []
    for line in lines:
        is_ring = len(line) > 3 and np.array_equal(line[0], line[-1])
        if is_ring and _inside(line, box).all():
            rings.append(line)
            continue
        for stretch in _stretches(line, box, is_ring):
            whole, gaps = _carry_to_edge(stretch, box)
            stretches.append(whole)
            carried += gaps
    waters = _follow_edges(stretches, box) + [ring for ring in rings if _area(ring) < 0]
    islands = [ring for ring in rings if _area(ring) > 0]
    if not waters and (islands or _is_sea((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, lines)):
        west, south, east, north = box
        waters = [np.array([[west, south], [west, north], [east, north], [east, south], [west, south]])]
    islands = [island for island in islands if any(_holds(water, island[0]) for water in waters)]
    # With the water on the right, rings of water are clockwise: reverse them all.
    return [ring[::-1] for ring in waters + islands], carried


# --- cutting to the box ------------------------------------------------------------------------------------


def _inside(points: Floats, box: Box) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    west, south, east, north = box
    x, y = points.T
    return np.asarray((x >= west) & (x <= east) & (y >= south) & (y <= north))


def _stretches(line: Floats, box: Box, is_ring: bool) -> list[Floats]:
    """The parts of a line inside a box, in its direction (Liang and Barsky, 1984)."""
    start, step = line[:-1], np.diff(line, axis=0)
    enter, leave = np.zeros(len(start)), np.ones(len(start))
    missed = np.zeros(len(start), bool)
    for axis in (0, 1):
        for limit, side in ((box[axis], 1.0), (box[axis + 2], -1.0)):
            slope = side * step[:, axis]
            distance = side * (limit - start[:, axis])
            share = np.divide(distance, slope, out=np.zeros_like(slope), where=slope != 0)
            enter = np.where(slope > 0, np.maximum(enter, share), enter)
            leave = np.where(slope < 0, np.minimum(leave, share), leave)
            missed |= (slope == 0) & (distance > 0)
    seen = ~missed & (enter < leave)
    found: list[list[Floats]] = []
    connected = False
    for number in np.flatnonzero(seen).tolist():
        a = start[number] + enter[number] * step[number] if enter[number] > 0 else start[number]
        b = start[number] + leave[number] * step[number] if leave[number] < 1 else line[number + 1]
        if connected and found and enter[number] == 0.0 and np.array_equal(found[-1][-1], a):
            found[-1].append(b)
        else:
            found.append([a, b])
        connected = leave[number] == 1.0
    if is_ring and len(found) > 1 and np.array_equal(found[-1][-1], found[0][0]):
        found[0] = found.pop() + found[0][1:]
    return [np.array(stretch) for stretch in found]


def _carry_to_edge(stretch: Floats, box: Box) -> tuple[Floats, list[float]]:
    """The stretch with both ends on the edge of the box, and the meters of extension."""
    gaps: list[float] = []
    ends: list[Floats] = []
    inner = stretch
    for first, end in ((True, stretch[0]), (False, stretch[-1])):
        sides = np.abs(np.array([end[0] - box[0], end[1] - box[1], end[0] - box[2], end[1] - box[3]]))
        side = int(np.argmin(sides / np.array([box[2] - box[0], box[3] - box[1]] * 2)))
        on_edge = end.copy()
        on_edge[side % 2] = box[side]
        if sides[side] > 0:
            meters = float(distance_m(end[0], end[1], on_edge[0], on_edge[1]))
            if sides[side] > MAX_GAP * (box[2 + side % 2] - box[side % 2]):
                raise _OpenCoastError(f"it ends at lon={end[0]:.4f}, lat={end[1]:.4f}")
            if meters > 1.0:
                gaps.append(meters)
        if sides[side] < _ROUNDING:  # it was clipped there: the end itself moves
            inner = inner[1:] if first else inner[:-1]
        ends.append(on_edge)
    return np.concatenate([ends[:1], inner, ends[1:]]), gaps


# --- closing -----------------------------------------------------------------------------------------------


def _along_edge(point: Floats, box: Box) -> float:
    """Position of a point on the edge of the box, clockwise from its south-west corner: 0 to 4."""
    west, south, east, north = box
    x, y = (point[0] - west) / (east - west), (point[1] - south) / (north - south)
    sides = [abs(x), abs(1.0 - y), abs(1.0 - x), abs(y)]  # west, north, east, south
    side = int(np.argmin(sides))
    return float((y, 1.0 + x, 2.0 + (1.0 - y), 3.0 + (1.0 - x))[side] % 4.0)


def _follow_edges(stretches: list[Floats], box: Box) -> list[Floats]:
    """Close stretches into clockwise rings of water along the edge of the box."""
    if not stretches:
        return []
    west, south, east, north = box
    corners = np.array([[west, south], [west, north], [east, north], [east, south]])
    enters = [_along_edge(stretch[0], box) for stretch in stretches]
    leaves = [_along_edge(stretch[-1], box) for stretch in stretches]
    _check_alternating(stretches, enters, leaves)
    left = set(range(len(stretches)))
    rings = []
    while left:
        first = min(left)
        number, ring = first, []
        while True:
            left.discard(number)
            ring.append(stretches[number])
            here = leaves[number]
            ahead = [(enters[n] - here) % 4.0 for n in range(len(stretches))]
            number = int(np.argmin(ahead))
            passed = [c for c in range(4) if 0.0 < (c - here) % 4.0 < ahead[number]]
            passed.sort(key=lambda corner: (corner - here) % 4.0)
            ring.append(corners[passed])
            if number == first or number not in left:
                break
        ring.append(ring[0][:1])
        rings.append(np.concatenate(ring))
    return rings


def _check_alternating(stretches: list[Floats], enters: list[float], leaves: list[float]) -> None:
    """Along the edge, sea and land must alternate; otherwise a piece is missing or has the wrong direction."""
    events = sorted([(at, 0, n) for n, at in enumerate(enters)] + [(at, 1, n) for n, at in enumerate(leaves)])
    for (_, kind, _), (_, next_kind, number) in zip(events, events[1:] + events[:1], strict=True):
        if kind == next_kind:
            lon, lat = stretches[number][0 if next_kind == 0 else -1]
            raise _OpenCoastError(
                f"a piece is missing or has the wrong direction near lon={lon:.4f}, lat={lat:.4f}"
            )


def _area(ring: Floats) -> float:
    return float(Paths.of([[ring]]).ring_areas()[0])


def _holds(ring: Floats, point: Floats) -> bool:
    """Whether a point lies in a ring (even-odd)."""
    a, b = ring[:-1], ring[1:]
    spans = (a[:, 1] > point[1]) != (b[:, 1] > point[1])
    rise = np.where(spans, b[:, 1] - a[:, 1], 1.0)
    crossing = a[:, 0] + (point[1] - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    return bool(np.count_nonzero(spans & (crossing > point[0])) % 2)


def _is_sea(lon: float, lat: float, lines: list[Floats]) -> bool:
    """Whether a box without a coast is sea: by the side of the nearest coast on which its center lies."""
    nearest, side = np.inf, -1.0
    squeeze = np.array([np.cos(np.radians(lat)), 1.0])
    point = np.array([lon, lat]) * squeeze
    for line in lines:
        a, step = line[:-1] * squeeze, np.diff(line, axis=0) * squeeze
        length2 = np.maximum(np.sum(step**2, axis=1), 1e-300)
        share = np.clip(np.sum((point - a) * step, axis=1) / length2, 0.0, 1.0)
        away = point - (a + share[:, None] * step)
        distance2 = np.sum(away**2, axis=1)
        best = np.flatnonzero(distance2 <= distance2.min() * (1 + 1e-12))
        if distance2.min() < nearest:
            nearest = float(distance2.min())
            # At a corner the two segments can disagree: the one that the point faces more directly decides.
            cross = (
                step[best, 0] * (point[1] - a[best, 1]) - step[best, 1] * (point[0] - a[best, 0])
            ) / np.sqrt(length2[best])
            side = float(cross[np.argmax(np.abs(cross))])
    return side < 0
