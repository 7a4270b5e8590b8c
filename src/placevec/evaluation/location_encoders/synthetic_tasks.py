"""Made-up ground whose answer is known: mixtures of von Mises-Fisher distributions, and a checkerboard on the sphere.

The design of the twenty mixtures is that of the Sphere2Vec paper (Mai et al. 2023, ISPRS Journal 202), for which no
generator was ever published: 50 classes of 100 points, each class one von Mises-Fisher distribution of concentration
kappa ~ U(1, kappa_max) with kappa_max 16, 32, 64 or 128. In U1 to U4 the centers are uniform on the sphere. In S1.1 to
S4.4 they are stratified: 5, 10, 25 or 50 bands of latitude of equal height in degrees, with equally many centers in each;
the first number is that of the bands, the second that of kappa_max. What the paper leaves open is fixed here, and
every set has its seed, so that figures can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from placevec.encoders.locations.positional import fibonacci
from placevec.evaluation.location_encoders.country_task import sphere_points
from placevec.evaluation.location_encoders.strata import BANDS, POLES, near_antimeridian
from placevec.evaluation.tasks import Task, point_task
from placevec.geo import Floats, Ints
from placevec.geo.coordinates import lonlat_of, xyz_of

CLASSES, OF_EACH, KAPPA_MIN = 50, 100, 1.0
KAPPA_MAX = (16.0, 32.0, 64.0, 128.0)
BANDS_OF_CENTERS = (5, 10, 25, 50)
_BAYES_DRAWS = 200_000
_AT_ONCE = 20_000


@dataclass(frozen=True)
class Mixture:
    """Equally likely von Mises-Fisher distributions.

    Attributes:
        centers: (C, 3) unit vectors.
        kappa: (C,) concentrations, 0 for the uniform distribution.
    """

    centers: Floats
    kappa: Floats

    def drawn(self, of_each: int, random: np.random.Generator) -> tuple[Floats, Ints]:
        """((C * of_each, 3) unit vectors, (C * of_each,) which distribution each comes from)."""
        classes = np.repeat(np.arange(len(self.kappa)), of_each)
        return fisher_points(self.centers[classes], self.kappa[classes], random), classes

    def log_densities(self, xyz: Floats) -> Floats:
        """(N, C) logarithm of the density of each distribution at (N, 3) unit vectors."""
        return np.asarray(self.kappa * (xyz @ self.centers.T - 1.0) + _log_normalizer(self.kappa))

    def bayes_accuracy(self, draws: int = _BAYES_DRAWS, seed: int = 0) -> float:
        """Share that is right when always the likeliest distribution is named: nobody can do better in expectation.

        By Monte Carlo over ``draws`` points, in equal number from each distribution; instead of counting who is right,
        the largest posterior is averaged, which has less variance. The standard error is below 0.001.
        """
        random = np.random.default_rng([seed, 0xBA])
        total, have = 0.0, 0
        while have < draws:
            xyz, _ = self.drawn(max(1, _AT_ONCE // len(self.kappa)), random)
            logs = self.log_densities(xyz)
            best = logs.max(axis=1, keepdims=True)
            total += float((1.0 / np.exp(logs - best).sum(axis=1)).sum())
            have += len(xyz)
        return total / have


def fisher_points(centers: Floats, kappa: Floats, random: np.random.Generator) -> Floats:
    """(N, 3) unit vectors, one from the von Mises-Fisher distribution around each of (N, 3) centers.

    The cosine w to the center has density proportional to exp(kappa w), so by the inverse of its distribution
    w = 1 + log(u + (1 - u) exp(-2 kappa)) / kappa for uniform u; the direction around the center is uniform
    (Ulrich 1984, Wood 1994).
    """
    u = random.random(len(kappa))
    safe = np.where(kappa > 1e-9, kappa, 1.0)
    w = np.where(kappa > 1e-9, 1.0 + np.log(u + (1.0 - u) * np.exp(-2.0 * safe)) / safe, 2.0 * u - 1.0)
    w = np.clip(w, -1.0, 1.0)
    first, second = _frame(centers)
    turn = random.uniform(0.0, 2.0 * np.pi, len(kappa))
    around = np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second
    found = w[:, None] * centers + np.sqrt(1.0 - w**2)[:, None] * around
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def mixture(name: str) -> Mixture:
    """One of the twenty mixtures: ``U1`` to ``U4``, ``S1.1`` to ``S4.4``; the same every time.

    >>> mixture("S2.3").centers.shape
    (50, 3)
    """
    random = np.random.default_rng([NAMES.index(name), 0x5E2])
    if name[0] == "U":
        highest, centers = KAPPA_MAX[int(name[1]) - 1], sphere_points(random, CLASSES)
    else:
        bands, highest = BANDS_OF_CENTERS[int(name[1]) - 1], KAPPA_MAX[int(name[3]) - 1]
        edges = np.linspace(-90.0, 90.0, bands + 1)
        centers = np.concatenate(
            [sphere_points(random, CLASSES // bands, low, high) for low, high in pairwise(edges)]
        )
    return Mixture(xyz_of(centers), random.uniform(KAPPA_MIN, highest, CLASSES))


NAMES = (
    *(f"U{number}" for number in range(1, 5)),
    *(f"S{bands}.{kappa}" for bands in range(1, 5) for kappa in range(1, 5)),
)
"""The twenty mixtures."""
BAYES = {
    "U1": 0.2718, "U2": 0.4014, "U3": 0.5176, "U4": 0.6625,
    "S1.1": 0.2559, "S1.2": 0.3866, "S1.3": 0.5327, "S1.4": 0.6764,
    "S2.1": 0.2603, "S2.2": 0.4295, "S2.3": 0.5182, "S2.4": 0.6840,
    "S3.1": 0.2587, "S3.2": 0.3626, "S3.3": 0.5080, "S3.4": 0.6523,
    "S4.1": 0.2680, "S4.2": 0.4156, "S4.3": 0.5301, "S4.4": 0.6919,
}  # fmt: skip
"""What nobody can exceed in expectation, by `Mixture.bayes_accuracy`; a test computes some of them anew."""


def mixture_task(name: str) -> Task:
    """Which distribution of a mixture a point comes from: 50 classes of 100 points."""
    made = mixture(name)
    random = np.random.default_rng([NAMES.index(name), 0x7A5C])
    xyz, classes = made.drawn(OF_EACH, random)
    kind = "uniform centers" if name[0] == "U" else f"centers in {BANDS_OF_CENTERS[int(name[1]) - 1]} bands"
    return point_task(
        f"vmf-{name}", "classification", lonlat_of(xyz), classes, tuple(f"{number:02d}" for number in range(CLASSES)),
        ceiling=BAYES[name],
        description=f"mixture of 50 von Mises-Fisher distributions, {kind}, kappa up to {KAPPA_MAX[int(name[-1]) - 1]:g}",
        credit="synthetic",
    )  # fmt: skip


def checkerboard(
    points: int = 10_000, centers: int = 400, classes: int = 16, extra: int = 2_000, seed: int = 0
) -> Task:
    """Which of ``classes`` colors the nearest of ``centers`` Fibonacci points has (Russwurm et al. 2024).

    Colors follow one another along the spiral, so neighboring cells differ. A cell of 400 is about 1,130 km across.
    ``extra`` points lie near the antimeridian and as many beyond 75 degrees, and are only tested.
    """
    random = np.random.default_rng([seed, 0xF1B])
    everywhere = sphere_points(random, points)
    near = sphere_points(random, 60 * extra, -75.0, 75.0)
    near = near[near_antimeridian(near)][:extra]
    tops = sphere_points(random, extra, BANDS[POLES][0], 90.0)
    tops[::2, 1] *= -1.0
    lonlat = np.concatenate([everywhere, near, tops])
    from scipy.spatial import cKDTree

    nearest = np.asarray(cKDTree(fibonacci(centers).numpy()).query(xyz_of(lonlat))[1])
    return point_task(
        "checkerboard", "classification", lonlat, nearest % classes, tuple(f"{number:02d}" for number in range(classes)),
        extra=np.arange(len(lonlat)) >= points, ceiling=1.0,
        description=f"color of the nearest of {centers} Fibonacci points, {classes} colors", credit="synthetic",
    )  # fmt: skip


def _frame(axis: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors at right angles to (N, 3) unit vectors and to one another."""
    helper = np.where(np.abs(axis[:, 2:]) < 0.9, np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]]))
    first = np.cross(helper, axis)
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(axis, first)


def _log_normalizer(kappa: Floats) -> Floats:
    """Logarithm of kappa / (2 pi (1 - exp(-2 kappa))), 1 / (4 pi) at 0: the density at the center."""
    safe = np.where(kappa > 1e-9, kappa, 1.0)
    return np.where(kappa > 1e-9, np.log(safe / (2.0 * np.pi * -np.expm1(-2.0 * safe))), -np.log(4.0 * np.pi))
