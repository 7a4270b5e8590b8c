"""The sea from coastlines: shapes whose areas are known, and coasts that do not close."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from placevec.geo.polylines import Paths
from placevec.preparation.rasterize.coastline import Sea, close_sea, join_lines
from placevec.sources.osm.reader import read_features

Line = list[tuple[float, float]]
BOX = (0.0, 0.0, 10.0, 10.0)


def sea(*lines: Line, box: tuple[float, float, float, float] = BOX) -> Sea:
    return close_sea(Paths.of([[np.array(line)] for line in lines]), [box])


def covered(found: Sea) -> shapely.Geometry:
    """What the sea's rings cover, even-odd."""
    shape = shapely.Polygon()
    for row in range(len(found.paths)):
        for ring in found.paths.row(row):
            # on a fine grid: rings that touch within rounding make GEOS raise otherwise
            shape = shapely.symmetric_difference(shape, shapely.Polygon(ring), grid_size=1e-10)
    return shape


# Land on the left, water on the right (OSM wiki, natural=coastline).
NORTHWARD: Line = [(4.0, -1.0), (4.0, 11.0)]  # land in the west, sea in the east


def test_a_straight_coast_leaves_the_right_side_to_the_sea() -> None:
    found = sea(NORTHWARD)
    assert found.state == "closed"
    assert covered(found).equals(shapely.box(4, 0, 10, 10))
    assert covered(sea(NORTHWARD[::-1])).equals(shapely.box(0, 0, 4, 10))


def test_ways_are_joined_in_whatever_order_they_come() -> None:
    first, second, third = [(4.0, -1.0), (4.0, 3.0)], [(4.0, 3.0), (5.0, 6.0)], [(5.0, 6.0), (4.0, 11.0)]
    whole = covered(sea(first + second[1:] + third[1:]))
    assert covered(sea(third, first, second)).equals(whole)


def test_shells_run_counter_clockwise_and_islands_the_other_way() -> None:
    island: Line = [(6.0, 5.0), (7.0, 5.0), (7.0, 6.0), (6.0, 6.0), (6.0, 5.0)]
    found = sea(NORTHWARD, island)
    assert covered(found).area == pytest.approx(60.0 - 1.0)
    assert [shapely.LinearRing(ring).is_ccw for ring in found.paths.row(0)] == [True, False]


def test_only_islands_lie_in_a_sea_that_is_everywhere() -> None:
    island: Line = [(2.0, 2.0), (5.0, 2.0), (5.0, 6.0), (2.0, 6.0), (2.0, 2.0)]
    assert covered(sea(island)).area == pytest.approx(100.0 - 12.0)
    corner: Line = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0)]
    assert covered(sea(island, corner)).area == pytest.approx(100.0 - 12.0 - 1.0)


def test_an_island_over_the_start_of_its_own_way() -> None:
    """The ring begins inside of the box and is cut by it: its two ends are one stretch."""
    ring: Line = [(3.0, 5.0), (3.0, 7.0), (-3.0, 7.0), (-3.0, 3.0), (3.0, 3.0), (3.0, 5.0)]
    assert covered(sea(ring)).area == pytest.approx(100.0 - 12.0)


def test_enclosed_water_runs_the_other_way_round() -> None:
    lagoon: Line = [(2.0, 2.0), (2.0, 6.0), (5.0, 6.0), (5.0, 2.0), (2.0, 2.0)]
    inside: Line = [(3.0, 3.0), (4.0, 3.0), (4.0, 4.0), (3.0, 4.0), (3.0, 3.0)]
    assert covered(sea(lagoon)).area == pytest.approx(12.0)
    assert covered(sea(lagoon, inside)).area == pytest.approx(11.0)


def test_a_bay_that_is_entered_twice_and_a_coast_over_two_corners() -> None:
    bay: Line = [(-1.0, 2.0), (6.0, 2.0), (6.0, 8.0), (-1.0, 8.0)]  # land outside, sea to the right: inside
    assert covered(sea(bay[::-1])).area == pytest.approx(36.0)
    assert covered(sea(bay)).area == pytest.approx(100.0 - 36.0)


def test_two_channels() -> None:
    first, second = [(2.0, -1.0), (2.0, 11.0)], [(4.0, 11.0), (4.0, -1.0)]
    third, fourth = [(6.0, -1.0), (6.0, 11.0)], [(7.0, 11.0), (7.0, -1.0)]
    assert covered(sea(first, second, third, fourth)).area == pytest.approx(20.0 + 10.0)


@given(st.integers(0, 10_000))
@example(200)  # a corner of the box within rounding of a ring
@settings(max_examples=60, deadline=None)
def test_random_archipelagos_equal_shapely(seed: int) -> None:
    """Oracle: the box less the union of islands that do not touch each other, some cut by the box."""
    random = np.random.default_rng(seed)
    islands: list[shapely.Polygon] = []
    for _ in range(12):
        angles = np.sort(random.uniform(0, 2 * np.pi, 9))
        if np.diff(angles, append=angles[0] + 2 * np.pi).max() > 3:
            continue
        radius = random.uniform(0.3, 2.0) * random.uniform(0.6, 1.0, 9)
        center = random.uniform(-1, 11, 2)
        island = shapely.Polygon(
            center + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        )
        if island.is_valid and all(island.distance(other) > 1e-3 for other in islands):
            islands.append(island)
    touching = [island for island in islands if island.intersects(shapely.box(*BOX))]
    if not touching:
        return
    lines: list[Line] = []
    for island in islands:
        ring = list(shapely.orient_polygons(island).exterior.coords)
        cut = int(random.integers(1, len(ring) - 1))
        lines += [ring[: cut + 1], ring[cut:]]
    order = random.permutation(len(lines))
    found = sea(*(lines[number] for number in order))
    assert found.state == "closed"
    truth = shapely.box(*BOX).difference(shapely.union_all(islands))
    assert covered(found).symmetric_difference(truth).area < 1e-7


# --- coasts elsewhere, and coasts that do not close --------------------------------------------------------


def test_no_coastline_means_no_sea() -> None:
    found = close_sea(Paths.of([]), [BOX])
    assert (found.state, len(found.paths)) == ("none", 0)


@pytest.mark.parametrize(
    ("coast", "state"), [([(12.0, -1.0), (12.0, 11.0)], "land"), ([(12.0, 11.0), (12.0, -1.0)], "closed")]
)
def test_a_box_that_no_coast_cuts_lies_on_one_side_of_the_nearest(coast: Line, state: str) -> None:
    found = sea(coast)
    assert found.state == state
    assert covered(found).area == (0.0 if state == "land" else 100.0)


def test_a_loose_end_near_the_edge_is_carried_on() -> None:
    found = sea([(4.0, 0.3), (4.0, 11.0)])
    assert covered(found).equals(shapely.box(4, 0, 10, 10))
    assert "1 loose end" in found.detail
    assert "m" in found.detail


def test_a_loose_end_far_inside_leaves_the_sea_open() -> None:
    found = sea([(4.0, 5.0), (4.0, 11.0)])
    assert (found.state, len(found.paths)) == ("open", 0)
    assert "lon=4.0000, lat=5.0000" in found.detail


def test_a_piece_that_runs_the_wrong_way_leaves_the_sea_open() -> None:
    found = sea([(2.0, -1.0), (2.0, 11.0)], [(6.0, -1.0), (6.0, 11.0)])
    assert (found.state, len(found.paths)) == ("open", 0)
    assert "does not close" in found.detail


def test_joining_survives_branches_and_single_lines() -> None:
    lines = [np.array(line, float) for line in ([(0, 0), (1, 1)], [(1, 1), (2, 2)], [(1, 1), (3, 3)])]
    joined = join_lines(lines)
    assert sorted(len(line) for line in joined) == [2, 3]


def test_several_boxes() -> None:
    found = close_sea(Paths.of([[np.array(NORTHWARD)]]), [BOX, (5.0, 0.0, 6.0, 1.0)])
    assert len(found.paths) == 2
    assert shapely.Polygon(found.paths.row(1)[0]).area == pytest.approx(1.0)


def test_malta_is_as_large_as_it_is(shared_data: Path) -> None:
    """Oracle: the land area of the Maltese islands, 316 square kilometers (National Statistics Office)."""
    coast = []
    path = shared_data / "osm" / "malta_2016.osm.pbf"
    for chunk in read_features(
        path, keys=["natural"], wanted=lambda tags, kind: tags["natural"] == "coastline" or None
    ):
        coast.append(chunk.paths)
    box = (14.1, 35.78, 14.6, 36.11)
    found = close_sea(Paths.concatenate(coast), [box])
    assert found.detail == "closed from the coastline"
    degree2 = 111.32 * np.cos(np.radians(35.9)) * 110.95
    land = (box[2] - box[0]) * (box[3] - box[1]) - covered(found).area
    assert land * degree2 == pytest.approx(316, rel=0.01)
