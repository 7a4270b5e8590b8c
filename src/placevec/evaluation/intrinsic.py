"""Measures of vectors without labels: neighborhoods kept, directions used, clusters formed.

Near places whose footprints overlap would be alike for free, so only places whose footprints do not touch are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.evaluation.engine import Variants
from placevec.evaluation.probes import Features
from placevec.geo import Floats, Ints, to_ecef
from placevec.metrics import (
    Coherence,
    distance_coherence,
    effective_rank,
    silhouette,
    triplet_accuracy,
    trustworthiness,
    trustworthiness_by_chance,
)

NEIGHBORS = 10
"""Nearest vectors that retrieval looks at."""
HELD_OUT = "in blocks held out from training"
ELSEWHERE = "of a dataset that the encoder was not trained on"
TRAINED_ON = "some of which the encoder was trained on"
UNKNOWN = "any of which the encoder may have seen"
CLUSTERS = 8
"""Clusters of k-means whose silhouette is measured: the same number in every row, so that rows compare."""
_QUERIES, _CANDIDATES = 500, 5_000
_LOOKED_AT = 2_000
"""Places on which silhouettes and trustworthiness, whose time grows with their square, are measured."""


@dataclass(frozen=True)
class LabelFreeRow:
    """One feature set.

    Attributes:
        name: as in the other tables.
        effective_rank: exp of the entropy of the normalized singular values: directions in use, 1 to D.
        triplet_accuracy: share of (place, near, far) whose near one has the nearer vector; chance is 0.5.
        retrieval: share of near places among the `NEIGHBORS` nearest vectors.
        coherence: Spearman correlation of distances between places and between vectors, over pairs; chance is 0.
        trustworthiness: how far a flat picture of the vectors by their two principal components can be believed.
        silhouette: of `CLUSTERS` clusters of k-means; -1 to 1.
    """

    name: str
    effective_rank: float
    triplet_accuracy: float
    retrieval: float
    coherence: float = float("nan")
    trustworthiness: float = float("nan")
    silhouette: float = float("nan")


@dataclass(frozen=True)
class LabelFree:
    """Measures without labels.

    Attributes:
        rows: one per feature set.
        places: number of places measured.
        basis: whether the encoder was trained on these places: `HELD_OUT`, `ELSEWHERE`, `TRAINED_ON` or `UNKNOWN`.
        apart_m: compared places are at least this far apart, so that their footprints do not touch.
        near_m: two places are near if no farther apart than this.
        far_m: and far if farther apart than this.
        retrieval_by_chance: share of near places among all candidates.
        coherence_by_chance: absolute coherence that 95% of shuffled tables stay below.
        coherence_pairs: number of pairs on which coherence was measured.
        trustworthiness_by_chance: trustworthiness of a random projection.
        looked_at: places on which trustworthiness and silhouette were measured: all, or a seeded sample.
    """

    rows: list[LabelFreeRow]
    places: int
    basis: str
    apart_m: float
    near_m: float
    far_m: float
    retrieval_by_chance: float
    coherence_by_chance: float = float("nan")
    coherence_pairs: int = 0
    trustworthiness_by_chance: float = float("nan")
    looked_at: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def label_free(
    features: Mapping[str, Variants], lonlat: Floats, *, footprint_m: float, basis: str, seed: int = 0
) -> LabelFree | None:
    """Measure feature sets, each (n, D) in the order of ``lonlat`` (n, 2), by cosine; None when no pair fits.

    Places near one another are those between one and two footprint diagonals apart, far ones lie beyond four
    diagonals (two where the extent is smaller than that).
    """
    random = np.random.default_rng([seed, 0x1F])
    kept = np.sort(random.permutation(len(lonlat))[:_CANDIDATES])
    queries = np.sort(random.permutation(len(kept))[:_QUERIES])
    xyz = to_ecef(lonlat[kept, 0], lonlat[kept, 1])
    apart_m = footprint_m * 2.0**0.5
    near_m = 2.0 * apart_m
    away = np.linalg.norm(xyz[queries][:, None] - xyz[None], axis=2)
    far_m = 4.0 * apart_m if (away >= 4.0 * apart_m).any(axis=1).mean() > 0.5 else near_m
    near, far = (away >= apart_m) & (away < near_m), away >= far_m
    asked = np.flatnonzero(near.any(axis=1) & far.any(axis=1) & ((away >= apart_m).sum(axis=1) >= NEIGHBORS))
    if len(asked) < NEIGHBORS:
        return None
    queries, away, near, far = queries[asked], away[asked], near[asked], far[asked]
    triplets = np.stack([queries, _any_of(near, random), _any_of(far, random)], axis=-1)
    shape = _Shape(lonlat[kept], apart_m, seed)
    rows = [
        _row(name, [sets[kept] for sets in variants], triplets, away >= apart_m, near, shape)
        for name, variants in features.items()
    ]
    chance = float((near.sum(axis=1) / (away >= apart_m).sum(axis=1)).mean())
    return LabelFree(
        rows, len(kept), basis, apart_m, near_m, far_m, chance, shape.by_chance, shape.pairs,
        trustworthiness_by_chance(len(shape.looked_at), NEIGHBORS), len(shape.looked_at),
    )  # fmt: skip


class _Shape:
    """Measures of the whole cloud of vectors, and what chance gives: taken from the first row that has any spread."""

    def __init__(self, lonlat: Floats, apart_m: float, seed: int) -> None:
        self.lonlat, self.apart_m, self.seed = lonlat, apart_m, seed
        self.looked_at = np.sort(np.random.default_rng([seed, 0x5A]).permutation(len(lonlat))[:_LOOKED_AT])
        self.by_chance, self.pairs = float("nan"), 0

    def measure(self, vectors: Features) -> tuple[float, float, float]:
        """(coherence, trustworthiness, silhouette); NaN where vectors do not differ."""
        from sklearn.cluster import KMeans

        known = self.by_chance == self.by_chance
        found = self._coherence(vectors, shuffles=0 if known else 99)
        self.pairs = found.pairs
        if not known:
            self.by_chance = found.chance
        seen = np.asarray(vectors[self.looked_at], np.float64)
        unit = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-30)
        if len(np.unique(unit.round(9), axis=0)) <= CLUSTERS or len(seen) <= 2 * NEIGHBORS:
            return found.spearman, float("nan"), float("nan")
        label = KMeans(CLUSTERS, n_init=2, random_state=self.seed).fit(unit).labels_
        believed = trustworthiness(unit, _flat(unit), NEIGHBORS)
        return found.spearman, believed, silhouette(unit, label)

    def _coherence(self, vectors: Features, shuffles: int) -> Coherence:
        return distance_coherence(
            vectors, self.lonlat, apart_m=self.apart_m, shuffles=shuffles, seed=self.seed
        )


def _flat(vectors: Features) -> NDArray[np.float64]:
    """(n, 2) the vectors along their two directions of largest variance."""
    from sklearn.decomposition import PCA

    components = min(2, vectors.shape[1])
    return np.asarray(PCA(components, svd_solver="full").fit_transform(vectors), np.float64)


def class_silhouettes(features: Mapping[str, Variants], label: Ints, *, seed: int = 0) -> dict[str, float]:
    """Silhouette (cosine) of known classes in each feature set, on at most 2,000 places, a seeded sample.

    Args:
        features: each (n, D).
        label: (n,) class of each place.
        seed: of the sample.

    Feature sets in which it is not defined are left out.
    """
    kept = np.sort(np.random.default_rng([seed, 0x5A]).permutation(len(label))[:_LOOKED_AT])
    classes = np.unique(label[kept])
    if not 2 <= len(classes) < len(kept):
        return {}
    return {
        name: float(np.mean([silhouette(sets[kept], label[kept]) for sets in variants]))
        for name, variants in features.items()
        if all(np.ptp(sets[kept], axis=0).any() for sets in variants)
    }


def _any_of(allowed: NDArray[np.bool_], random: np.random.Generator) -> Ints:
    """(Q,) a random allowed column for each row."""
    return np.asarray(np.where(allowed, random.random(allowed.shape), -1.0).argmax(axis=1), np.int64)


def _row(
    name: str,
    variants: list[Features],
    triplets: Ints,
    allowed: NDArray[np.bool_],
    near: NDArray[np.bool_],
    shape: _Shape,
) -> LabelFreeRow:
    measured = np.mean(
        [(*_measure(vectors, triplets, allowed, near), *shape.measure(vectors)) for vectors in variants],
        axis=0,
    )
    return LabelFreeRow(name, *(float(value) for value in measured))


def _measure(
    vectors: Features, triplets: Ints, allowed: NDArray[np.bool_], near: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """(effective rank, triplet accuracy, retrieval)."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.asarray(vectors / np.where(length > 0, length, 1.0), np.float32)
    accuracy = triplet_accuracy(*(unit[triplets[:, part]] for part in range(3)))
    similarity = np.where(allowed, unit[triplets[:, 0]] @ unit.T, -np.inf)
    shuffled = np.random.default_rng(0).permutation(similarity.shape[1])  # equal vectors come in no order
    nearest = shuffled[np.argsort(-similarity[:, shuffled], axis=1, kind="stable")[:, :NEIGHBORS]]
    found = float(np.take_along_axis(near, nearest, axis=1).mean())
    return effective_rank(vectors) if np.any(vectors) else float("nan"), accuracy, found
