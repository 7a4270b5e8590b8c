"""How far values of places are alike: the correlation range of an exponential variogram fitted by least squares.

The empirical semivariance of a distance class is half the mean squared difference of its pairs (Matheron 1963; Cressie,
"Statistics for Spatial Data", 1993, chapter 2). ``nugget + sill (1 - exp(-3 h / range))`` is fitted, each class weighted
by its pairs; at the range 95% of the sill is reached. blockCV and spatialsample choose blocks by the same range.
"""

from __future__ import annotations

import numpy as np

from placevec.geo import Floats, to_ecef
from placevec.geo.coordinates import extent_of

MAX_PLACES = 800
"""Places that pairs are made of; of more a seeded sample is drawn."""
_CLASSES = 20
_RANGES = 40
_SHUFFLES = 39
_MIN_PAIRS = 30
_MIN_SHARE = 0.1  # of the variance that must be spatial for a range to be reported


def correlation_range(lonlat: Floats, values: Floats, *, seed: int = 0) -> float:
    """Meters within which values of places are correlated; 0 without spatial structure, at most the extent's diagonal.

    Args:
        lonlat: (N, 2) degrees.
        values: (N,) or (N, G) numbers; of several columns the semivariances are added, each column standardized.
        seed: of the sample and of the shuffles: structure counts only where no one of 39 shuffles of the values
            has as little semivariance between near places (a test at 2.5%).
    """
    random = np.random.default_rng([seed, 0x7A6])
    kept = np.sort(random.permutation(len(lonlat))[:MAX_PLACES])
    table = np.asarray(values, np.float64).reshape(len(lonlat), -1)[kept]
    spread = table.std(axis=0)
    table = table[:, spread > 0] / spread[spread > 0]
    if len(kept) < _MIN_PAIRS or table.shape[1] == 0:
        return 0.0
    xyz = to_ecef(lonlat[kept, 0], lonlat[kept, 1])
    first, second = np.triu_indices(len(kept), 1)
    away = np.linalg.norm(xyz[first] - xyz[second], axis=1)
    extent = extent_of(xyz)
    if extent <= 0:
        return 0.0
    near = away < extent / 2.0
    first, second, away = first[near], second[near], away[near]
    edges = np.concatenate([[0.0], np.geomspace(extent / 100.0, extent / 2.0, _CLASSES)])
    of_class = np.digitize(away, edges) - 1
    pairs = np.bincount(of_class, minlength=_CLASSES)[:_CLASSES].astype(np.float64)
    used = np.flatnonzero(pairs >= _MIN_PAIRS)
    if len(used) < 4:
        return 0.0

    half = 0.5 * ((table[first] - table[second]) ** 2).mean(axis=1)
    found = np.bincount(of_class, weights=half, minlength=_CLASSES)[used] / pairs[used]
    nearest = np.flatnonzero(of_class <= used[min(2, len(used) - 1)])
    one, other = first[nearest], second[nearest]
    by_chance = []
    for _ in range(_SHUFFLES):
        shuffled = table[random.permutation(len(table))]
        by_chance.append(0.5 * float(((shuffled[one] - shuffled[other]) ** 2).mean()))
    if float(half[nearest].mean()) >= min(by_chance):
        return 0.0
    distance = np.bincount(of_class, weights=away, minlength=_CLASSES)[used] / pairs[used]
    return _fitted(distance, found, pairs[used], extent)


def _fitted(distance: Floats, semivariance: Floats, pairs: Floats, extent: float) -> float:
    """The range with the least squared error; the extent where the variogram still rises at its end."""
    weight = np.sqrt(pairs)
    best, found, share = np.inf, 0.0, 0.0
    for length in np.geomspace(extent / 100.0, extent, _RANGES):
        rise = 1.0 - np.exp(-3.0 * distance / length)
        design = np.stack([np.ones_like(rise), rise], axis=1)
        nugget, sill = np.maximum(
            np.linalg.lstsq(design * weight[:, None], semivariance * weight, rcond=None)[0], 0
        )
        error = float((pairs * (semivariance - nugget - sill * rise) ** 2).sum())
        if error < best:
            best, found, share = error, float(length), float(sill / max(nugget + sill, 1e-300))
    return found if share >= _MIN_SHARE else 0.0
