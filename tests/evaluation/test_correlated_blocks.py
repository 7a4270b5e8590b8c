"""Errors of blocks that err together. Oracle: dense normal likelihoods, and fields whose covariance is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal, t

from placevec.evaluation import correlated_blocks
from placevec.evaluation.bootstrap import Score
from placevec.evaluation.compare import Comparison
from placevec.evaluation.correlated_blocks import CorrelatedBlocks

METERS = 111_320.0  # a degree at the equator
SIDE = 1_000.0


def grid(side: int) -> np.ndarray:
    """(side², 2) meters: the middles of side x side blocks."""
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2) * SIDE


def left_out(values: np.ndarray, sizes: np.ndarray) -> tuple[float, np.ndarray]:
    """(mean over places of (B,) values of blocks, the same without each block)."""
    total, summed = sizes.sum(), (sizes * values).sum()
    return float(summed / total), (summed - sizes * values) / (total - sizes)


def test_the_error_is_that_of_dense_matrices() -> None:
    """Restricted likelihood by its definition: the density of differences from the first block, the factor profiled."""
    random = np.random.default_rng(0)
    plane, sizes = random.random((12, 2)) * 4 * SIDE, random.integers(1, 30, 12).astype(float)
    values = random.normal(size=12)
    blocks = CorrelatedBlocks(plane / METERS, sizes, SIDE)
    apart = cdist(plane, plane)
    ranges = np.geomspace(0.25 * SIDE, 0.8 * apart.max(), 12)
    weight, variance = [], []
    contrast = np.hstack([-np.ones((11, 1)), np.eye(11)])
    for reach in ranges:
        for share in correlated_blocks._SHARES:
            covariance = share * np.exp(-apart / reach) + (1 - share) * np.diag(sizes.mean() / sizes)
            seen = contrast @ covariance @ contrast.T
            factor = contrast @ values @ np.linalg.solve(seen, contrast @ values) / 11
            density = multivariate_normal(np.zeros(11), factor * seen).logpdf(contrast @ values)
            mean = sizes / sizes.sum()
            weight.append(density + (-1.0 if share >= 0.9 else 1.2) * np.log(reach / SIDE))
            variance.append(factor * mean @ covariance @ mean)
    kept = np.exp(np.array(weight) - max(weight))
    expected = np.sqrt((kept * variance).sum() / kept.sum())
    assert blocks.error(*left_out(values, sizes)) == pytest.approx(
        expected, rel=2e-3
    )  # meters at 4 km from 0, 0


@pytest.mark.parametrize(("reach", "share", "alone"), [(0.01, 1.0, 1.0), (3.0, 1.0, 0.4), (4.0, 0.3, 0.6)])
def test_intervals_hold_the_mean_of_a_field(reach: float, share: float, alone: float) -> None:
    """Simulation: 200 fields on 10 x 10 blocks; of 95% intervals 92% are in the binomial interval. Those of a jackknife
    over single blocks hold the mean in less than ``alone``."""
    plane, sizes = grid(10), np.full(100, 5.0)
    blocks = CorrelatedBlocks(plane / METERS, sizes, SIDE)
    alike = np.exp(-cdist(plane, plane) / (reach * SIDE))
    root = np.linalg.cholesky(share * alike + (1.0 - share + 1e-9) * np.eye(100))
    random, far = np.random.default_rng(1), t.ppf(0.975, 99)
    held = independent = 0
    for _ in range(200):
        values = root @ random.normal(size=100)
        mean, without = left_out(values, sizes)
        found = Score(mean, 500, left_out=(without,), effective=(100.0,), together=blocks)
        held += found.p >= 0.05  # the interval holds 0
        independent += abs(mean) <= far * found.errors[0]
    assert held >= 184
    assert independent <= alone * 200


@pytest.mark.parametrize(("side", "share"), [(6, 0.6), (8, 0.3), (16, 0.3)])
def test_a_part_of_the_errors_leads_to_few_false_claims_on_few_and_on_many_blocks(
    side: int, share: float
) -> None:
    """Simulation: 200 fields, a part of whose variance is correlated over .4 of the side; up to 16 false claims (8%) are
    in the binomial interval of 5%."""
    plane, sizes = grid(side), np.full(side**2, 5.0)
    blocks = CorrelatedBlocks(plane / METERS, sizes, SIDE)
    alike = np.exp(-cdist(plane, plane) / (0.4 * side * SIDE))
    root = np.linalg.cholesky(share * alike + (1.0 - share) * np.eye(side**2))
    random = np.random.default_rng(3)
    claims = 0
    for _ in range(200):
        mean, without = left_out(root @ random.normal(size=side**2), sizes)
        score = Score(mean, 5 * side**2, left_out=(without,), effective=(float(side**2),), together=blocks)
        claims += not Comparison("one", "other", score, score.p).doubt and score.p < 0.05
    assert claims <= 16


def test_many_blocks_are_joined_and_nothing_else_changes_them() -> None:
    """Independent values: the error is up to three times that of a mean over all of them, as a part could be alike."""
    plane = grid(40)
    sizes = np.full(len(plane), 3.0)
    values = np.random.default_rng(2).normal(size=len(plane))
    blocks = CorrelatedBlocks(plane / METERS, sizes, SIDE)
    assert 5 <= len(blocks._places) <= correlated_blocks.MAX_BLOCKS
    assert blocks._places.sum() == sizes.sum()
    found = blocks.error(*left_out(values, sizes))
    assert 1.0 < found / (values.std() / 40.0) < 3.0
    shifted, without = left_out(5.0 - 2.0 * values, sizes)
    assert blocks.error(shifted, without) == pytest.approx(2.0 * found)


def test_of_too_few_or_equal_blocks_nothing_is_known() -> None:
    few = CorrelatedBlocks(grid(2) / METERS, np.ones(4), SIDE)
    assert np.isnan(few.error(0.0, np.arange(4.0)))
    here = CorrelatedBlocks(np.zeros((9, 2)), np.ones(9), SIDE)
    assert np.isnan(here.error(0.0, np.arange(9.0)))
    equal = CorrelatedBlocks(grid(3) / METERS, np.ones(9), SIDE)
    assert equal.error(1.0, np.ones(9)) == 0.0
    assert np.isfinite(equal.error(0.0, np.array([np.nan, *range(8)])))
