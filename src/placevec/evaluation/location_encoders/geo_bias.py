"""Geo-bias: how surprising it is, by chance, that a model's hits and misses lie in the patches in which they lie.

The score is the marked spatial self-information (SSI) of Wu et al., "TorchSpatial: A Location Encoding Framework and
Benchmark for Spatial Representation Learning" (NeurIPS 2024; package PyGBS, MIT). Around a point, all tested points
within a radius form a neighborhood; each has a mark, hit or miss. With w_ij = 1 where j is one of the 4 nearest
neighbors of i in it, else 0, and z the marks less their mean, Moran's I is

    I = (n / sum w) (sum_ij w_ij z_i z_j) / (sum_i z_i^2)

If the marks were dealt to the points at random, I would be about normal with mean -1 / (n - 1) and a variance known in
closed form (Cliff and Ord 1981). The surprise of the neighborhood is -ln p, p the two-sided probability of its I, and
the score of a model is the mean over neighborhoods, weighted by their points: about 1 without any pattern, larger where
hits and misses keep to themselves.

PyGBS takes an approximate variance instead, which is negative, and its score not a number, where between 3/8 and 5/8 of a
neighborhood are hits; so figures are alike in kind, but not comparable in size. For numbers a hit is an error below the
model's own median error: then only the pattern counts, not the accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.location_encoders.strata import EARTH_RADIUS_M
from placevec.evaluation.splits import blocks_of
from placevec.evaluation.tasks import Task
from placevec.geo import Floats, Ints
from placevec.geo.coordinates import xyz_of

RADIUS_M, NEIGHBORS = 100_000.0, 4
MIN_POINTS = 10
"""Points of a neighborhood for it to be looked at."""
MAX_CENTERS, MAX_POINTS = 200, 400


@dataclass(frozen=True)
class Neighborhood:
    """Some points near one another.

    Attributes:
        rows: (n,) which points.
        near: (n, 4) places in ``rows`` of the nearest neighbors of each.
        both_ways: sum of (w_ij + w_ji)² / 2.
        of_each: sum over points of (their row's and their column's sums of w)².
    """

    rows: Ints
    near: Ints
    both_ways: float
    of_each: float


def neighborhoods(lonlat: Floats, radius_m: float = RADIUS_M, seed: int = 0) -> tuple[Neighborhood, ...]:
    """Those around at most `MAX_CENTERS` of (N, 2) points, drawn by the seed, that hold `MIN_POINTS` points at least."""
    from scipy.spatial import cKDTree

    xyz = xyz_of(lonlat)
    chord = 2.0 * np.sin(radius_m / EARTH_RADIUS_M / 2.0)
    centers = np.random.default_rng([seed, 0x6B]).permutation(len(xyz))[:MAX_CENTERS]
    held = [np.array(near) for near in cKDTree(xyz).query_ball_point(xyz[centers], chord)]
    return tuple(neighborhood(xyz, rows) for rows in held if len(rows) >= MIN_POINTS)


def neighborhood(xyz: Floats, rows: Ints) -> Neighborhood:
    """Of some of (N, 3) points; at most `MAX_POINTS` of them."""
    from scipy.spatial import cKDTree

    rows = rows[:: max(1, -(-len(rows) // MAX_POINTS))]
    found = np.asarray(cKDTree(xyz[rows]).query(xyz[rows], NEIGHBORS + 1)[1])
    # on repeated coordinates a point need not be the first of its own neighbors, nor among them
    other = found != np.arange(len(rows))[:, None]
    other[other.all(axis=1), -1] = False
    near = found[other].reshape(len(rows), NEIGHBORS)
    weights = np.zeros((len(rows), len(rows)))
    np.put_along_axis(weights, near, 1.0, axis=1)
    both_ways = 0.5 * float(((weights + weights.T) ** 2).sum())
    return Neighborhood(rows, near, both_ways, float(((weights.sum(0) + weights.sum(1)) ** 2).sum()))


def score(hit: NDArray[np.bool_], around: Sequence[Neighborhood]) -> float:
    """The score of (N,) hits; NaN where there are no neighborhoods. Those without both marks count 0."""
    if not around:
        return float("nan")
    values = [surprisal(hit[one.rows].astype(np.float64), one) for one in around]
    return float(np.average(values, weights=[len(one.rows) for one in around]))


def surprisal(marks: Floats, around: Neighborhood) -> float:
    """-ln of the two-sided probability of the pattern of (n,) marks; 0 where all are the same."""
    from scipy.special import log_ndtr

    z = marks - marks.mean()
    second = float((z**2).mean())
    if second == 0.0:
        return 0.0
    found, mean, deviation = moran(z, around)
    return float(-(np.log(2.0) + log_ndtr(-abs(found - mean) / deviation)))


def moran(z: Floats, around: Neighborhood) -> tuple[float, float, float]:
    """Moran's I of (n,) marks less their mean, and its mean and deviation over all ways to deal the marks."""
    n, total = len(z), float(len(z) * NEIGHBORS)
    second = float((z**2).mean())
    kurtosis = float((z**4).mean()) / second**2
    found = float((z[:, None] * z[around.near]).sum()) / (total * second)
    first = n * ((n * n - 3 * n + 3) * around.both_ways - n * around.of_each + 3 * total**2)
    last = kurtosis * ((n * n - n) * around.both_ways - 2 * n * around.of_each + 6 * total**2)
    mean = -1.0 / (n - 1)
    square = (first - last) / ((n - 1) * (n - 2) * (n - 3) * total**2)
    return found, mean, float(np.sqrt(max(square - mean**2, 1e-12)))


def around_task(task: Task) -> tuple[Neighborhood, ...]:
    """The neighborhoods of a task's counted points, of 100 km or of about 40 points; none for presence."""
    if task.kind == "presence":
        return ()
    return neighborhoods(task.points[task.counted], max(RADIUS_M, _radius(task)))


def of_predictions(task: Task, predicted: NDArray[np.generic], around: Sequence[Neighborhood]) -> float:
    """The score of stored predictions; a point that was not tested is a miss."""
    counted = task.counted
    given, truth = predicted[counted], task.target[counted]
    if task.kind == "classification":
        return score(given == truth, around)
    error = np.abs(np.asarray(given, np.float64) - truth)
    return score(error < np.nanmedian(error), around)


def _radius(task: Task) -> float:
    """Meters within which about 40 counted points lie, were they spread evenly over the blocks that hold any.

    Sparse samples of the world have hardly a neighborhood within 100 km.
    """
    blocks = blocks_of(task)
    area = blocks.count * blocks.size_m**2
    return float(np.sqrt(40.0 * area / np.pi / max(1, int((task.counted).sum()))))
