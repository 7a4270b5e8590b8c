"""Folds: nothing that was tested lies near what was trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from placevec.errors import EvaluationError
from placevec.evaluation.splits import Blocks, block_grid, local_plane, random_split, spatial_split
from placevec.geo import Area, metric_grid


def town(lon: float, lat: float, *, km: float, count: int, seed: int) -> np.ndarray:
    """(count, 2) random points in a square of ``km`` kilometers."""
    offset = np.random.default_rng(seed).uniform(-km / 2, km / 2, (count, 2))
    points = np.array([lon, lat]) + offset / [111.32 * np.cos(np.radians(lat)), 111.4]
    points[:, 0] = (points[:, 0] + 180) % 360 - 180
    return points


def nearest_pair(one: np.ndarray, other: np.ndarray) -> float:
    """Meters, by pyproj's geodesic over every pair."""
    lon_a, lon_b = np.meshgrid(one[:, 0], other[:, 0])
    lat_a, lat_b = np.meshgrid(one[:, 1], other[:, 1])
    return float(Geod(ellps="WGS84").inv(lon_a, lat_a, lon_b, lat_b)[2].min())


@settings(max_examples=25, deadline=None)
@given(
    lon=st.sampled_from([24.9, 179.99, -70.0]),
    lat=st.sampled_from([0.0, 60.2, -82.0]),
    km=st.floats(2.0, 40.0),
    count=st.integers(60, 250),
    buffer_m=st.floats(1.0, 800.0),
    folds=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_no_training_place_is_nearer_than_the_buffer(
    lon: float, lat: float, km: float, count: int, buffer_m: float, folds: int, seed: int
) -> None:
    """Oracle: pyproj's geodesic distance of every pair; anywhere, over the antimeridian too."""
    lonlat = town(lon, lat, km=km, count=count, seed=seed)
    blocks = block_grid(lonlat, buffer_m=buffer_m)
    split = spatial_split(lonlat, blocks, buffer_m=buffer_m, folds=folds, seed=seed)
    tested = np.concatenate([fold.test for fold in split.folds])
    assert sorted(tested) == list(range(count)), "every place is tested once"
    for fold in split.folds:
        assert not set(blocks.number[fold.train]) & set(blocks.number[fold.test]), "blocks are not shared"
        if len(fold.train):
            assert nearest_pair(lonlat[fold.train], lonlat[fold.test]) >= buffer_m
    blocks_of = [set(blocks.number[fold.test]) for fold in split.folds]
    assert sum(map(len, blocks_of)) == blocks.count, "a block is tested whole"


def test_only_what_lies_in_the_buffer_is_given_up() -> None:
    lonlat = town(24.9, 60.2, km=30, count=800, seed=0)
    split = spatial_split(lonlat, block_grid(lonlat, buffer_m=300), buffer_m=300, folds=5, seed=0)
    for fold in split.folds:
        others = np.setdiff1d(np.arange(800), np.append(fold.train, fold.test))
        for row in others[:20]:
            assert nearest_pair(lonlat[[row]], lonlat[fold.test]) < 300 * 1.001


def test_seeds_reshuffle_and_repeat() -> None:
    lonlat = town(24.9, 60.2, km=30, count=500, seed=0)
    blocks = block_grid(lonlat, buffer_m=300)
    first, again, other = (
        spatial_split(lonlat, blocks, buffer_m=300, folds=5, seed=seed) for seed in (1, 1, 2)
    )
    same = [np.array_equal(a.test, b.test) for a, b in zip(first.folds, again.folds, strict=True)]
    assert all(same)
    assert not np.array_equal(first.folds[0].test, other.folds[0].test)
    assert not first.compact


def test_folds_are_balanced() -> None:
    lonlat = town(24.9, 60.2, km=30, count=2000, seed=0)
    split = spatial_split(lonlat, block_grid(lonlat, buffer_m=300), buffer_m=300, folds=5, seed=0)
    sizes = [len(fold.test) for fold in split.folds]
    assert max(sizes) < 1.2 * min(sizes)


def test_blocks_are_wide_where_there_is_room_and_narrow_where_there_is_not() -> None:
    wide = block_grid(town(24.9, 60.2, km=40, count=3000, seed=0), buffer_m=300)
    assert wide.size_m == pytest.approx(1200)
    assert wide.effective > 500
    small = block_grid(town(24.9, 60.2, km=1.2, count=400, seed=0), buffer_m=300)
    assert small.size_m < 500
    assert 9 <= small.effective < 25


def test_effective_blocks_of_equal_and_unequal_sizes() -> None:
    """Closed form: equal blocks count whole; one block with nearly everything counts about one."""
    assert Blocks(np.repeat(np.arange(7), 5), 1.0).effective == pytest.approx(7)
    assert Blocks(np.append(np.zeros(1000, int), np.arange(1, 9)), 1.0).effective < 1.1


def test_the_demo_extent_keeps_enough_to_learn_from() -> None:
    """1.0 x 1.7 km with a place every 60 m, footprints of 150 m: strips keep what scattered blocks would not."""
    area = Area(24.93, 60.16, 24.93 + 1.0 / 55.5, 60.16 + 1.7 / 111.4)
    lonlat = metric_grid(area, 60.0)
    assert 400 < len(lonlat) < 560
    buffer_m = 150 * 2**0.5 + 100
    for seed in range(3):
        split = spatial_split(
            lonlat, block_grid(lonlat, buffer_m=buffer_m), buffer_m=buffer_m, folds=5, seed=seed
        )
        assert split.compact
        assert split.kept > 0.3
        assert min(len(fold.train) for fold in split.folds) > 60


def test_one_block_or_one_fold_is_rejected() -> None:
    lonlat = np.tile([24.9, 60.2], (30, 1))
    with pytest.raises(EvaluationError, match="too small to split"):
        spatial_split(lonlat, block_grid(lonlat, buffer_m=300), buffer_m=300, folds=5, seed=0)
    lonlat = town(24.9, 60.2, km=30, count=100, seed=0)
    with pytest.raises(EvaluationError, match="at least 2 folds"):
        spatial_split(lonlat, block_grid(lonlat, buffer_m=300), buffer_m=300, folds=1, seed=0)


def test_the_random_split_is_random() -> None:
    split = random_split(100, folds=5, seed=0)
    assert sorted(np.concatenate([fold.test for fold in split.folds])) == list(range(100))
    assert all(len(fold.train) == 80 for fold in split.folds)


def test_local_plane_is_metric() -> None:
    """Oracle: pyproj's geodesic, at high latitude and over the antimeridian."""
    lonlat = np.array([[179.9, 70.0], [-179.9, 70.0], [179.9, 70.05]])
    plane = local_plane(lonlat)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        true = Geod(ellps="WGS84").inv(*lonlat[a], *lonlat[b])[2]
        assert np.hypot(*(plane[a] - plane[b])) == pytest.approx(true, rel=1e-4)
    assert plane[1, 0] > plane[0, 0], "east is the first axis"
    assert plane[2, 1] > plane[0, 1], "north is the second"
