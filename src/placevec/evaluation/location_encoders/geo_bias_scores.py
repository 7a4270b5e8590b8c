"""The geo-bias scores of GeoBS (PyGBS), by its formulas: where a model is right, and how unevenly, as information.

Spatial self-information (SSI): around a point, the tested points within a radius and evenly spread background points,
about five a tested point, are marked 0 for background and, for tested points, 1 (**unmarked**) or the model's performance
(**marked**). With w_ij = 1 for the 4 nearest neighbors j of i and z the marks less their mean, the score is -ln of the
two-sided probability of sum_ij w_ij z_i z_j under a normal law, whose mean and deviation follow from how often each mark
occurs. Spatial relative information (SRI): the region is cut into parts (cells of a **grid**, rings of **distance**,
sectors of **direction**), and the score is the Kullback-Leibler divergence of the performance in the region from that in
each part, weighted by their points.

Wu et al., "TorchSpatial" (NeurIPS 2024), where marked SSI is the relative and unmarked SSI the base score, and the
toolbox GeoBS (github.com/seai-lab/PyGBS, MIT). Tests compare with numbers recorded from that code. Its normal law is an
approximation, and it mirrors directions south of the equator, which is not done here; `geo_bias.score` has exact moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError
from placevec.geo import Floats, Ints
from placevec.geo.coordinates import xyz_of

Parts = Literal["grid", "distance", "direction"]
NEIGHBORS, BACKGROUND = 4, 5
MIN_POINTS = 20
"""Points of a part for it to count in SRI."""
MAX_POINTS = 100
"""Nearest points of a center that make up its neighborhood for SSI."""
_SMOOTH, _LEAST = 1e-8, 1e-256


@dataclass(frozen=True)
class GeoBiasScores:
    """Means over centers, weighted by the points of each; NaN where no center has enough points."""

    unmarked_ssi: float
    marked_ssi: float
    grid_sri: float
    distance_sri: float
    direction_sri: float
    centers: int


def scores(
    lonlat: Floats,
    performance: Floats,
    *,
    radius: float = 0.1,
    scale: float = 0.01,
    lag: float = 0.01,
    sectors: int = 12,
    bins: int = 10,
    max_centers: int = 200,
    seed: int = 0,
) -> GeoBiasScores:
    """The family for (N,) performances at (N, 2) lon, lat degrees, such as hits (0 or 1) or reciprocal ranks.

    Args:
        lonlat: tested points.
        performance: of the model at each; 0 is also the mark of background.
        radius: of a neighborhood, in radians; 0.1 is 637 km.
        scale: side of a grid cell, in radians.
        lag: width of a ring, in radians.
        sectors: number of directions.
        bins: of the histogram of performances, over the range of each set.
        max_centers: centers, drawn from the points by the seed.
        seed: of that draw.

    Raises:
        EvaluationError: arrays of different lengths, or numbers that are not finite.
    """
    points, values = np.asarray(lonlat, np.float64), np.asarray(performance, np.float64)
    if points.shape != (len(values), 2) or not (np.isfinite(points).all() and np.isfinite(values).all()):
        raise EvaluationError(
            f"geo-bias needs one finite performance value per row of lon, lat; got {points.shape} and {values.shape}"
        )
    centers = np.sort(np.random.default_rng([seed, 0x6B]).permutation(len(points))[:max_centers])
    found: dict[str, list[tuple[float, int]]] = {}
    for center in centers:
        near = neighborhood(points, int(center), radius)
        if len(near) > NEIGHBORS:
            here = points[center]
            found.setdefault("unmarked_ssi", []).append((unmarked_ssi(points[near], here, radius), len(near)))
            found.setdefault("marked_ssi", []).append(
                (marked_ssi(points[near], values[near], here, radius), len(near))
            )
        kinds: Sequence[tuple[Parts, float]] = (("grid", scale), ("distance", lag), ("direction", sectors))
        for kind, size in kinds:
            parts, region = partition(points, int(center), radius, kind, size)
            if parts:
                score = sri([values[part] for part in parts], values[region], bins=bins)
                found.setdefault(f"{kind}_sri", []).append((score, len(region)))
    means = {name: _mean(scored) for name, scored in found.items()}
    none = float("nan")
    return GeoBiasScores(
        unmarked_ssi=means.get("unmarked_ssi", none), marked_ssi=means.get("marked_ssi", none),
        grid_sri=means.get("grid_sri", none), distance_sri=means.get("distance_sri", none),
        direction_sri=means.get("direction_sri", none), centers=len(centers),
    )  # fmt: skip


def unmarked_ssi(lonlat: Floats, center: Floats, radius: float, density: int | None = None) -> float:
    """Surprise, in nats, that (n, 2) points lie as they do among background points around a center.

    Args:
        lonlat: points within ``radius`` of the center.
        center: (2,) lon, lat degrees.
        radius: radians.
        density: background points per squared radian; by default five for each point.
    """
    return marked_ssi(lonlat, np.ones(len(lonlat)), center, radius, density)


def marked_ssi(
    lonlat: Floats, performance: Floats, center: Floats, radius: float, density: int | None = None
) -> float:
    """Surprise, in nats, that (n,) performances lie as they do among background points, which are marked 0."""
    around = background(center, radius, _density(radius, len(lonlat)) if density is None else density)
    points = np.concatenate([lonlat, around])
    marks = np.concatenate([performance, np.zeros(len(around))])
    return _surprise(marks, _neighbors(points))


def background(center: Floats, radius: float, density: int) -> Floats:
    """(M, 2) lon, lat degrees: rings around a center, ``density`` points per squared radian, without the center.

    >>> background(np.array([24.94, 60.17]), 0.01, 40_000).shape  # two rings, of 7 and 13
    (20, 2)
    """
    from scipy.spatial.transform import Rotation

    step = 1.0 / np.sqrt(density)
    rings = []
    for ring in range(1, int(np.ceil(radius / step)) + 1):
        count = int(np.ceil(2 * np.pi * ring))
        turn = -np.pi + 2 * np.pi / count * np.arange(count)
        lat = np.full(count, np.pi / 2 - step * ring)
        rings.append(np.stack([np.cos(turn) * np.cos(lat), np.sin(turn) * np.cos(lat), np.sin(lat)], axis=1))
    lon, tilt = np.radians(center[0]), 0.5 * np.pi - np.radians(center[1])
    xyz = Rotation.from_euler("yz", [tilt, lon]).apply(np.concatenate(rings))
    lonlat = np.stack([np.arctan2(xyz[:, 1], xyz[:, 0]), np.arcsin(np.clip(xyz[:, 2], -1, 1))], axis=1)
    return np.asarray(np.degrees(lonlat), np.float64)


def sri(parts: Sequence[Floats], region: Floats, *, bins: int = 10, min_points: int = MIN_POINTS) -> float:
    """Divergence, in nats, of the performances of a region from those of each part, weighted by their points."""
    whole = np.histogram(region, bins=bins)[0] / len(region)
    total = 0.0
    for part in parts:
        if len(part) >= min_points:
            here = np.histogram(part, bins=bins)[0] / len(part) + _SMOOTH
            known = whole > 0
            total += (
                float((whole[known] * np.log(whole[known] / here[known])).sum()) * len(part) / len(region)
            )
    return total


def neighborhood(lonlat: Floats, center: int, radius: float) -> Ints:
    """Rows of the at most `MAX_POINTS` points nearest to a row that lie within ``radius`` radians, the row first.

    >>> neighborhood(np.array([[0.0, 0.0], [90.0, 0.0], [1.0, 0.0]]), 0, 0.1)
    array([0, 2])
    """
    away = _away(lonlat, center)
    near = np.argsort(away, kind="stable")[:MAX_POINTS]
    return np.asarray(near[away[near] <= radius])


def partition(
    lonlat: Floats, center: int, radius: float, kind: Parts, size: float, min_points: int = MIN_POINTS
) -> tuple[list[Ints], Ints]:
    """(rows of each part with enough points, rows of the region) around a row.

    Args:
        lonlat: (N, 2) degrees.
        center: row of the center.
        radius: of the region, radians.
        kind: ``grid`` of lon and lat, ``distance`` rings, or ``direction`` sectors.
        size: side of a cell or width of a ring in radians, or number of sectors.
        min_points: of a part.
    """
    away = _away(lonlat, center)
    region = np.flatnonzero(away <= radius)
    numbers = _numbers(lonlat, center, radius, kind, size, region, away)
    parts = [region[numbers == number] for number in np.unique(numbers[numbers >= 0])]
    return [part for part in parts if len(part) >= min_points], region


def _numbers(
    lonlat: Floats, center: int, radius: float, kind: Parts, size: float, region: Ints, away: Floats
) -> Ints:
    """(n,) number of the part of each row of the region; -1 for none."""
    if kind == "distance":
        return np.asarray(np.floor(away[region] / size).astype(np.int64))
    if kind == "direction":
        angle = _angles(lonlat[region], lonlat[center])
        sector = np.minimum(np.floor((angle + np.pi) / (2 * np.pi / size)), size - 1).astype(np.int64)
        return np.where(region == center, -1, sector)  # the center lies in no direction
    most = int(np.ceil(radius / size))
    steps = np.floor(np.radians(lonlat[region] - lonlat[center]) / size).astype(np.int64) + most
    inside = ((steps >= 0) & (steps < 2 * most)).all(axis=1)
    return np.where(inside, steps[:, 1] * 2 * most + steps[:, 0], -1)


def _angles(lonlat: Floats, center: Floats) -> Floats:
    """(n,) angle of each point from the direction to the south, counterclockwise, less the center's longitude."""
    lon, tilt = np.radians(center[0]), np.pi / 2 - np.radians(center[1])
    xyz = xyz_of(lonlat)
    x = xyz[:, 0] * np.cos(lon) + xyz[:, 1] * np.sin(lon)
    y = -xyz[:, 0] * np.sin(lon) + xyz[:, 1] * np.cos(lon)
    angle = np.arctan2(y, x * np.cos(tilt) - xyz[:, 2] * np.sin(tilt)) - lon
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _surprise(marks: Floats, near: Sequence[Ints]) -> float:
    from scipy.special import ndtr

    z = marks - marks.mean()
    found = float(sum(z[row] * z[others].sum() for row, others in enumerate(near)))
    mean, deviation = _law(marks)
    low = min(found, 2 * mean - found)
    return float(-np.log(2 * ndtr((low - mean) / deviation) + _LEAST))


def _law(marks: Floats) -> tuple[float, float]:
    """Mean and deviation of sum_ij w_ij z_i z_j, from how often each mark occurs."""
    values, counts = np.unique(marks, return_counts=True)
    total, k = len(marks), float(NEIGHBORS)
    z = values - marks.mean()
    pairs = k * np.outer(counts, counts) / total
    np.fill_diagonal(pairs, k * counts * (counts - 1) / total - 1)
    mean = float(z @ pairs @ z)
    common = int(np.argmax(counts))
    rest = np.flatnonzero(np.arange(len(values)) != common)
    a, n, top = z[rest], counts[rest].astype(np.float64), z[common]
    least, most = np.minimum.outer(n, n), np.maximum.outer(n, n)
    numbers = least * (k * most / total) * (1 - k * most / total)
    weights = (np.outer(a, a) - 2 * a[:, None] * top + top**2) ** 2
    np.fill_diagonal(numbers, 2 * (n - 1) * k * n / total * (1 - k * (2 * n - 1) / (3 * total)))
    np.fill_diagonal(weights, (a - top) ** 4)
    return mean, float(np.sqrt((numbers * weights).sum()) + 1.0)


def _neighbors(lonlat: Floats) -> list[Ints]:
    """Rows of the nearest neighbors of each; many distances of background points are equal, so the tree is as there."""
    from sklearn.neighbors import BallTree

    angles = np.radians(lonlat[:, ::-1])
    found = BallTree(angles, leaf_size=30, metric="haversine").query(
        angles, NEIGHBORS + 1, return_distance=False
    )
    return [others[others != row] for row, others in enumerate(found)]


def _density(radius: float, points: int) -> int:
    return int(np.ceil(BACKGROUND * points / (np.pi * radius**2)))


def _away(lonlat: Floats, center: int) -> NDArray[np.float64]:
    """(N,) radians from a row."""
    chord = np.linalg.norm(xyz_of(lonlat) - xyz_of(lonlat[center : center + 1]), axis=1)
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1.0)))


def _mean(found: Sequence[tuple[float, int]]) -> float:
    values, weights = zip(*found, strict=True)
    return float(np.average(values, weights=weights))
