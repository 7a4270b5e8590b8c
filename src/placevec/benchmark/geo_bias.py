"""Geo-bias: how surprising it is, by chance, that a model's hits and misses lie in the patches in which they lie.

The score is the marked spatial self-information (SSI) of Wu et al., "TorchSpatial: A Location Encoding Framework and
Benchmark for Spatial Representation Learning" (NeurIPS 2024), as its authors' package PyGBS (MIT) has it. Around a
point all tested points within a radius form a neighbourhood. Each has a mark: 2 for a hit and 1 for a miss (0 is kept
for background). With w_ij = 1 where j is one of the 4 nearest neighbours of i in it, else 0, and x the marks less
their mean,

    S = sum_ij w_ij x_i x_j

is the numerator of Moran's I. If marks were dealt at random, S would be about normal with mean m and deviation s
(below), and the score of the neighbourhood is -ln p, p = 2 Phi(-|S - m| / s). The score of a model is the mean over
neighbourhoods weighted by their points. 0: no pattern; larger: hits and misses keep to themselves.

With n_c points of each mark c, N in all and k = 4, the expected number of ordered neighbour pairs of marks c and d is
n_c k n_d / N for c != d and (n_c - 1) k n_c / N - 1 for c = d: m is the sum of these, each times x_c x_d. The
variance sums over marks but the commonest, r: 2 (n_c - 1) (k n_c / N) (1 - k (2 n_c - 1) / (3 N)) (c - r)^4; and
PyGBS adds 1 to s. With two marks there is one term. That "+ 1" and the "- 1" are PyGBS's own; they are kept so that
figures are comparable. For numbers a hit is an error below the median error of that model, so that only the pattern
counts and not the accuracy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from placevec.benchmark import measures
from placevec.benchmark.synthetic import xyz_of
from placevec.benchmark.tasks import PointTask
from placevec.geo import Floats

RADIUS_M, NEIGHBOURS = 100_000.0, 4
FEWEST = 10
"""Points of a neighbourhood for it to be looked at."""
MOST_CENTRES = 300
_EARTH_M = 6_371_000.0


def score(
    lonlat: Floats, hit: NDArray[np.bool_], radius_m: float = RADIUS_M, seed: int = 0
) -> tuple[float, int]:
    """(the score, neighbourhoods looked at) of (N,) hits at (N, 2) points; NaN where none has `FEWEST` points.

    Centres are at most `MOST_CENTRES` of the points, drawn by the seed; neighbourhoods without both marks count 0.
    """
    from scipy.spatial import cKDTree

    xyz = xyz_of(lonlat)
    tree = cKDTree(xyz)
    chord = 2.0 * np.sin(radius_m / _EARTH_M / 2.0)
    centres = np.random.default_rng([seed, 0x6B]).permutation(len(xyz))[:MOST_CENTRES]
    values, sizes = [], []
    for near in tree.query_ball_point(xyz[centres], chord):
        if len(near) >= FEWEST:
            rows = np.array(near)
            values.append(surprisal(xyz[rows], np.where(hit[rows], 2.0, 1.0)))
            sizes.append(len(near))
    return (float(np.average(values, weights=sizes)), len(values)) if values else (float("nan"), 0)


def surprisal(xyz: Floats, marks: Floats) -> float:
    """-ln of the two-sided probability of the pattern of one neighbourhood; 0 where all marks are the same."""
    from scipy.spatial import cKDTree
    from scipy.stats import norm

    names, counts = np.unique(marks, return_counts=True)
    if len(names) < 2 or len(marks) <= NEIGHBOURS:
        return 0.0
    total = len(marks)
    centred = marks - marks.mean()
    near = cKDTree(xyz).query(xyz, NEIGHBOURS + 1)[1][:, 1:]
    found = float((centred[:, None] * centred[near]).sum())
    mean, variance = 0.0, 0.0
    common = names[int(np.argmax(counts))]
    for c, n in zip(names, counts, strict=True):
        for d, m in zip(names, counts, strict=True):
            pairs = n * NEIGHBOURS * m / total if c != d else (n - 1) * NEIGHBOURS * n / total - 1.0
            mean += (c - marks.mean()) * (d - marks.mean()) * pairs
        if c != common:
            share = 1.0 - NEIGHBOURS * (2 * n - 1) / (3.0 * total)
            variance += 2 * (n - 1) * (NEIGHBOURS * n / total) * share * (c - common) ** 4
    deviation = float(np.sqrt(max(variance, 0.0))) + 1.0
    return float(-(np.log(2.0) + norm.logcdf(-abs(found - mean) / deviation)))


def of_predictions(task: PointTask, predicted: NDArray[np.generic]) -> float:
    """The score of stored predictions on the counted points, of 100 km or of about 40 points. NaN for presence."""
    rows = np.flatnonzero(measures.tested(predicted) & ~task.further)
    if task.kind == "presence":
        return float("nan")
    if task.kind == "classes":
        hit = predicted[rows] == task.target[rows]
    else:
        error = np.abs(np.asarray(predicted[rows], np.float64) - task.target[rows])
        hit = error < np.median(error)
    return score(task.lonlat[rows], hit, max(RADIUS_M, _radius(task)))[0]


def _radius(task: PointTask) -> float:
    """Metres within which about 40 counted points lie, were they spread evenly over the blocks that hold any.

    Sparse samples of the world have hardly a neighbourhood within 100 km.
    """
    from placevec.benchmark.folds import blocks_of

    area = blocks_of(task).count * task.block_m**2
    return float(np.sqrt(40.0 * area / np.pi / max(1, int((~task.further).sum()))))
