"""Cutting and insetting rings, against shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from placevec.geo.polylines import Paths
from placevec.preparation.rasterize.clip import Pieces, clip_rings, inset, open_rings, spread_rings

Floats = NDArray[np.float64]


def star(seed: int, vertices: int = 30, center: tuple[float, float] = (40.0, 40.0)) -> Floats:
    """A simple ring with bays and spikes, counter-clockwise with y upwards."""
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, vertices))
    radius = random.uniform(3.0, 38.0, vertices)
    return np.stack([center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)], axis=1)


def even_odd(rings: list[Floats]) -> shapely.Geometry:
    """Oracle: what an odd number of rings cover."""
    shape = shapely.Polygon()
    for ring in rings:
        if len(ring) > 2:
            shape = shape.symmetric_difference(shapely.Polygon(ring).buffer(0))
    return shape


def spread(
    rings: list[Floats], cells: tuple[int, int, int, int], size: float, margin: float
) -> list[tuple[int, int, list[Floats], bool]]:
    """Column, row, rings of each cell and whether they cover it, for one row of rings."""
    found = spread_rings(Paths.of([rings]), np.array([cells]), size, margin)
    assert not found.row.any()
    return [
        (x, y, found.paths.row(number), bool(covers))
        for number, ((x, y), covers) in enumerate(zip(found.cell.tolist(), found.covers, strict=True))
    ]


@given(st.integers(0, 5000))
@settings(max_examples=60, deadline=None)
def test_pieces_equal_shapelys_intersections(seed: int) -> None:
    shell, hole = star(seed), star(seed + 1, 12, (38.0, 42.0)) * 0.15 + [34.0, 34.0]
    expected = shapely.Polygon(shell).symmetric_difference(shapely.Polygon(hole))
    seen = set()
    for x, y, rings, covered in spread([shell, hole], (0, 0, 4, 3), 20.0, 1.0):
        cell = shapely.box(x * 20 - 1, y * 20 - 1, x * 20 + 21, y * 20 + 21)
        # Zero-width bridges along the edge of a cell cover nothing: the area is what counts.
        area = abs(sum(_signed(ring) for ring in rings[:1])) if len(rings) == 1 else even_odd(rings).area
        truth = expected.intersection(cell)
        assert area == pytest.approx(truth.area, abs=1e-6)
        assert covered == (truth.area > cell.area - 1e-6)
        seen.add((x, y))
    for x in range(5):
        for y in range(4):
            if (x, y) not in seen:
                assert (
                    expected.intersection(shapely.box(x * 20, y * 20, x * 20 + 20, y * 20 + 20)).area < 1e-9
                )


def _signed(ring: Floats) -> float:
    return float(Paths.of([[ring]]).ring_areas()[0])


def test_a_ring_around_everything_covers_every_cell() -> None:
    around = np.array([[-5.0, -5.0], [500.0, -5.0], [500.0, 500.0], [-5.0, 500.0]])
    found = spread([around], (0, 0, 7, 7), 10.0, 2.0)
    assert len(found) == 64
    assert all(covered for *_, covered in found)
    hole = np.array([[31.0, 31.0], [31.0, 36.0], [36.0, 36.0], [36.0, 31.0]])
    found = spread([around, hole], (0, 0, 7, 7), 10.0, 2.0)
    # With its margin of 2 pixels a cell reaches into the hole from 31 on also from the left and from above.
    assert {(x, y) for x, y, _, covered in found if not covered} == {(2, 2), (3, 2), (2, 3), (3, 3)}


def test_a_ring_that_overlaps_itself_does_not_pass_for_one_that_covers() -> None:
    """Twice around a cell is, even-odd, not at all; the area alone would say that it is full."""
    once = np.array([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0], [-50.0, 50.0]])
    twice = np.concatenate([once, once * 0.9])
    for turns, ring in ((1, once), (2, twice)):
        ((_, _, _, covered),) = spread([ring], (0, 0, 0, 0), 10.0, 1.0)
        assert covered == (turns == 1)


def test_orientation_survives_cutting() -> None:
    for ring in (star(3), star(3)[::-1]):
        for axis in (0, 1):
            for side in (1, -1):
                cut, _ = clip_rings(Paths.of([[ring]]), np.array([axis]), np.array([40.0]), np.array([side]))
                assert np.sign(_signed(cut.row(0)[0])) == np.sign(_signed(ring))


# --- inset -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_edges_along_the_axes_move_in_by_half_a_pixel(turned: bool) -> None:
    """Oracle: shapely's mitred buffer."""
    shell = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 30.0], [15.0, 30.0], [15.0, 12.0], [0.0, 12.0]])
    moved = inset(Paths.of([[shell[::-1] if turned else shell]]))
    truth = shapely.buffer(shapely.Polygon(shell), -0.5, join_style="mitre", mitre_limit=2.0)
    assert shapely.Polygon(moved.xy).symmetric_difference(truth).area < 1e-9


def test_holes_widen_while_their_shell_shrinks() -> None:
    shell = np.array([[0.0, 0.0], [0.0, 30.0], [30.0, 30.0], [30.0, 0.0]])
    hole = np.array([[20.0, 5.0], [25.0, 5.0], [25.0, 20.0], [20.0, 20.0]])
    rows = Paths.of([[shell, hole]])  # pixels: shells have a negative area, holes a positive one
    assert np.sign(rows.ring_areas()).tolist() == [-1.0, 1.0]
    outer, inner = (shapely.Polygon(ring) for ring in inset(rows).row(0))
    assert outer.equals(shapely.box(0.5, 0.5, 29.5, 29.5))
    assert inner.equals(shapely.box(19.5, 4.5, 25.5, 20.5))


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4, 1.2])
def test_every_edge_moves_by_half_the_thickness_of_a_pixel_line(angle: float) -> None:
    """Closed form: a line a pixel thick along the nearer axis is cos(angle to that axis) thick across."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    square = np.array([[-20.0, -20.0], [20.0, -20.0], [20.0, 20.0], [-20.0, 20.0]]) @ turn.T
    moved = shapely.Polygon(inset(Paths.of([[square]])).xy)
    depth = 0.5 * max(abs(np.cos(angle)), abs(np.sin(angle)))
    assert moved.area == pytest.approx((40.0 - 2.0 * depth) ** 2)


def test_spikes_and_repeated_vertices_stay_finite() -> None:
    ring = np.array([[0.0, 0.0], [0.0, 0.0], [50.0, 0.1], [0.0, 0.2], [50.0, 0.1]])
    moved = inset(Paths.of([[ring]])).xy
    assert np.isfinite(moved).all()
    assert np.abs(moved - ring).max() <= 1.5


def test_rows_cut_together_equal_rows_cut_alone() -> None:
    """Oracle: each row by itself. Rows far apart, of several rings, covering, empty, and outside of their cells."""
    around = np.array([[-50.0, -50.0], [500.0, -50.0], [500.0, 500.0], [-50.0, 500.0]])
    rows = [[star(1), star(2) * 0.2 + 30.0], [around], [star(3) + 1000.0], [star(4)], [around, star(5)]]
    cells = np.array([[0, 0, 7, 7], [1, 2, 3, 6], [0, 0, 3, 3], [2, 2, 2, 2], [0, 0, 1, 1]])
    found = spread_rings(Paths.of(rows), cells, 10.0, 1.0)
    assert sorted(set(found.row.tolist())) == [0, 1, 3, 4]
    for number, rings in enumerate(rows):
        alone = spread_rings(Paths.of([rings]), cells[number : number + 1], 10.0, 1.0)
        mine = np.flatnonzero(found.row == number)
        expected = {tuple(cell): paths for cell, paths in _by_cell(alone, np.arange(len(alone.row)))}
        together = {tuple(cell): paths for cell, paths in _by_cell(found, mine)}
        assert expected.keys() == together.keys()
        for cell, paths in expected.items():
            assert all(np.array_equal(a, b) for a, b in zip(paths, together[cell], strict=True))


def _by_cell(found: Pieces, rows: NDArray[np.int64]) -> list[tuple[list[int], list[Floats]]]:
    return [(found.cell[row].tolist(), found.paths.row(row)) for row in rows.tolist()]


def test_rings_are_opened_once() -> None:
    ring = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    opened = open_rings(Paths.of([[ring, ring[:3]], [ring[:1]]]))
    assert np.diff(opened.path_offsets).tolist() == [3, 3, 1]
    assert np.array_equal(opened.xy[:3], ring[:3])
