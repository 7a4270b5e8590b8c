"""Drawings sorted onto disk: every shard gets what touches it, at the right place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from placevec.datasets.views.raster.shards import SHARD_PX
from placevec.geo import lonlat_to_tile_xy
from placevec.geo.polylines import Paths
from placevec.preparation.rasterize.spool import (
    SEA,
    Drawings,
    Spool,
    join_antimeridian,
    read_spool,
    spooled_shards,
    to_pixels,
)
from placevec.sources.osm.layers import How

ZOOM = 17
ALL = [(0, 0, 2**ZOOM - 1, 2**ZOOM - 1)]


def drawings(rows: list[list[np.ndarray]], how: int, width: float = 0.0) -> Drawings:
    count = len(rows)
    return Drawings(
        np.arange(count, dtype=np.uint8),
        np.full(count, how, np.uint8),
        np.full(count, width, np.float32),
        Paths.of(rows),
    )


def spool(
    tmp_path: Path, *batches: Drawings, ranges: list[tuple[int, int, int, int]] = ALL
) -> dict[tuple[int, int], Drawings]:
    writer = Spool(tmp_path / "spool", ZOOM, ranges)
    for batch in batches:
        writer.add(batch)
        writer.flush()
    return {shard: read_spool(tmp_path / "spool", shard) for shard in spooled_shards(tmp_path / "spool")}


def test_pixels_are_256_a_tile_of_the_slippy_map() -> None:
    """Oracle: geo, which is checked against morecantile."""
    lonlat = np.array([[24.94, 60.17], [-179.0, -33.0], [14.5, 35.9]])
    assert np.allclose(to_pixels(lonlat, ZOOM), 256 * lonlat_to_tile_xy(*lonlat.T, ZOOM), rtol=1e-12)


def test_longitudes_do_not_wrap_and_latitudes_are_cut() -> None:
    world = 256 * 2.0**ZOOM
    x, y = to_pixels(np.array([[180.0, 90.0], [181.0, -90.0]]), ZOOM).T
    assert x[0] == world
    assert x[1] > world
    assert y.tolist() == pytest.approx([0.0, world], abs=1e-4)


def test_what_jumps_over_the_antimeridian_goes_on_beyond_it() -> None:
    paths = Paths.of(
        [[np.array([[179.0, 0.0], [-179.0, 1.0], [-178.0, 1.0]])], [np.array([[1.0, 2.0], [3.0, 4.0]])]]
    )
    assert join_antimeridian(paths).xy[:, 0].tolist() == [179.0, 181.0, 182.0, 1.0, 3.0]
    back = Paths.of([[np.array([[-179.0, 0.0], [179.0, 1.0]])]])
    assert join_antimeridian(back).xy[:, 0].tolist() == [-179.0, -181.0]


def test_rows_come_back_as_they_went_in_from_their_shards_corner(tmp_path: Path) -> None:
    corner = np.array([5.0, 7.0]) * SHARD_PX
    square = np.array([[10.0, 10.0], [20.0, 10.0], [20.0, 30.0], [10.0, 30.0]]) + corner
    hole = np.array([[12.0, 12.0], [12.0, 14.0], [14.0, 14.0]]) + corner
    found = spool(
        tmp_path, drawings([[square, hole], [square[:2]]], How.FILL), drawings([[square[:1]]], How.POINT, 4.0)
    )
    assert list(found) == [(5, 7)]
    rows = found[5, 7]
    assert (rows.channel.tolist(), rows.how.tolist(), rows.width.tolist()) == (
        [0, 1, 0],
        [0, 0, 2],
        [0.0, 0.0, 4.0],
    )
    assert np.array_equal(rows.paths.row(0)[1], hole - corner)
    assert np.array_equal(rows.paths.row(2)[0], square[:1] - corner)


def test_a_disc_on_a_corner_of_four_shards_is_given_to_all(tmp_path: Path) -> None:
    point = np.array([[5.0 * SHARD_PX + 3.0, 7.0 * SHARD_PX + 3.0]])
    assert set(spool(tmp_path, drawings([[point]], How.POINT, 10.0))) == {(4, 6), (5, 6), (4, 7), (5, 7)}


def test_large_areas_are_cut_to_their_shards_and_lose_nothing(tmp_path: Path) -> None:
    """Oracle: shapely's intersection with each shard."""
    angles = np.linspace(0, 2 * np.pi, 400)[:-1]
    radius = SHARD_PX * (1.4 + 0.6 * np.sin(7 * angles))
    ring = np.stack(
        [5.5 * SHARD_PX + radius * np.cos(angles), 5.5 * SHARD_PX + radius * np.sin(angles)], axis=1
    )
    shape = shapely.Polygon(ring)
    found = spool(tmp_path, drawings([[np.concatenate([ring, ring[:1]])]], SEA))
    assert len(found) > 9
    for (x, y), rows in found.items():
        box = shapely.box(x * SHARD_PX, y * SHARD_PX, (x + 1) * SHARD_PX, (y + 1) * SHARD_PX)
        corner = np.array([x, y]) * SHARD_PX
        pieces = [shapely.Polygon(path + corner).buffer(0) for path in rows.paths.row(0)]
        covered = shapely.union_all(pieces).intersection(box)
        assert covered.symmetric_difference(shape.intersection(box)).area < 1e-4 * box.area
        assert max(np.abs(rows.paths.xy).max(), 0) <= SHARD_PX + 16.0


def test_a_long_line_is_given_to_each_shard_in_stretches(tmp_path: Path) -> None:
    x = np.linspace(0.2, 6.7, 3000) * SHARD_PX
    line = np.stack([x, 2.5 * SHARD_PX + 900 * np.sin(x / 5000)], axis=1)
    found = spool(tmp_path, drawings([[line]], How.LINE, 4.0))
    assert sorted(found) == [(n, 2) for n in range(7)]
    for (number, _), rows in found.items():
        assert len(rows.paths.xy) < 1500
        corner = np.array([number, 2]) * SHARD_PX
        stretches = [shapely.LineString(rows.paths.row(row)[0] + corner) for row in range(len(rows))]
        here = shapely.union_all(stretches)
        box = shapely.box(number * SHARD_PX, 0, (number + 1) * SHARD_PX, 9e9)
        assert here.intersection(box).length == pytest.approx(
            shapely.LineString(line).intersection(box).length, rel=1e-5
        )


def test_only_shards_of_the_area_are_kept(tmp_path: Path) -> None:
    line = np.array([[0.5, 2.5], [6.5, 2.5]]) * SHARD_PX
    tiles = (2 * 64 + 5, 2 * 64, 3 * 64 + 5, 2 * 64 + 63)
    assert set(spool(tmp_path, drawings([[line]], How.LINE, 4.0), ranges=[tiles])) == {(2, 2), (3, 2)}
    far = np.array([[50.5, 2.5], [50.6, 2.5]]) * SHARD_PX
    assert not Spool(tmp_path / "none", ZOOM, [tiles]).add(drawings([[far]], How.LINE, 4.0)).any()


def test_what_reaches_over_the_antimeridian_is_drawn_on_both_sides(tmp_path: Path) -> None:
    world = 256 * 2.0**ZOOM
    square = np.array(
        [[world - 50, 1000.0], [world + 60, 1000.0], [world + 60, 1100.0], [world - 50, 1100.0]]
    )
    found = spool(tmp_path, drawings([[square]], How.FILL))
    last = 2**ZOOM // 64 - 1
    assert set(found) == {(last, 0), (0, 0)}
    assert found[0, 0].paths.xy[:, 0].max() == pytest.approx(60.0)
    assert found[last, 0].paths.xy[:, 0].min() == pytest.approx(SHARD_PX - 50)
