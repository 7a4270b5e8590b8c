"""The correlation range. Oracle: Gaussian fields whose covariance is known, and white noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from placevec.evaluation.variogram import correlation_range

METERS = 111_320.0  # a degree at the equator, east and north


def field(
    practical_m: float, seed: int, count: int = 500, side_m: float = 10_000.0
) -> tuple[np.ndarray, np.ndarray]:
    """(lonlat, values) of an exponential covariance that falls to 5 % at ``practical_m``; 0: white noise."""
    random = np.random.default_rng(seed)
    plane = random.random((count, 2)) * side_m
    values = random.normal(size=count)
    if practical_m > 0:
        covariance = np.exp(-3.0 * cdist(plane, plane) / practical_m)
        values = np.linalg.cholesky(covariance + 1e-9 * np.eye(count)) @ values
    return plane / METERS, values


@pytest.mark.parametrize("practical_m", [1_000.0, 2_500.0])
def test_the_range_of_a_known_covariance(practical_m: float) -> None:
    found = [correlation_range(*field(practical_m, seed)) for seed in range(12)]
    assert 0.6 * practical_m < np.median(found) < 1.6 * practical_m


def test_white_noise_has_no_range() -> None:
    """A test at 2.5 %: of 40 worlds at most 4 (in 99.7 % of all cases)."""
    assert sum(correlation_range(*field(0.0, seed, count=200)) > 0 for seed in range(40)) <= 4


def test_a_trend_over_the_whole_area_has_a_range_as_wide_as_it() -> None:
    lonlat, _ = field(0.0, 0)
    assert correlation_range(lonlat, lonlat[:, 0]) > 5_000.0


def test_what_cannot_vary_has_no_range() -> None:
    lonlat, values = field(1_000.0, 0)
    assert correlation_range(lonlat, np.ones(len(lonlat))) == 0.0
    assert correlation_range(lonlat[:10], values[:10]) == 0.0
    assert correlation_range(np.zeros((50, 2)), values[:50]) == 0.0
