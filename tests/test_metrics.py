"""Numbers about vectors, each against a closed form or another library."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec import metrics
from placevec.errors import InputError


def gaussian(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_effective_rank_of_equal_directions(rank: int) -> None:
    """Oracle: closed form: r equal singular values give exactly r, whatever the rotation."""
    turn, _ = np.linalg.qr(gaussian(8, 8))
    vectors = np.eye(64)[:, :rank] @ turn[:rank]
    assert metrics.effective_rank(vectors) == pytest.approx(rank)
    assert metrics.effective_rank(torch.from_numpy(5 * vectors).float()) == pytest.approx(rank, rel=1e-5)


def test_effective_rank_of_two_singular_values() -> None:
    """Oracle: closed form: shares 3/4 and 1/4 give 4 / 3^(3/4)."""
    assert metrics.effective_rank([[3.0, 0.0], [0.0, 1.0]]) == pytest.approx(4 / 3**0.75)


def test_triplet_accuracy() -> None:
    """Oracle: by hand: nearer, farther, tie; and chance for unrelated vectors, a half for collapsed ones."""
    anchors = np.zeros((3, 1))
    assert metrics.triplet_accuracy(anchors, [[1.0], [3.0], [-2.0]], [[2.0], [2.0], [2.0]]) == pytest.approx(
        0.5
    )
    parts = [gaussian(4000, 8, seed) for seed in range(3)]
    assert metrics.triplet_accuracy(*parts) == pytest.approx(0.5, abs=0.03)
    assert metrics.triplet_accuracy(*[np.ones((5, 2))] * 3) == 0.5


def test_ranks_of_truth() -> None:
    """Oracle: sorting each row; ties by hand: (C + 1) / 2 for a constant encoder."""
    scores = gaussian(50, 70)
    truth = np.random.default_rng(1).integers(0, 70, 50)
    expected = [list(np.argsort(-row)).index(column) + 1 for row, column in zip(scores, truth, strict=True)]
    assert metrics.ranks_of_truth(scores, truth).tolist() == expected
    assert metrics.ranks_of_truth(np.ones((4, 9)), [0, 1, 2, 3]).tolist() == [5.0] * 4


def test_retrieval_of_known_ranks() -> None:
    """Oracle: by hand: ranks 1, 2 and 3 of 3 candidates."""
    scores = [[9.0, 1.0, 2.0], [8.0, 7.0, 6.0], [3.0, 2.0, 1.0]]
    found = metrics.retrieval(scores, ks=(1, 2, 5))
    assert found["recall@1"] == found["chance@1"] == pytest.approx(1 / 3)
    assert found["recall@2"] == found["chance@2"] == pytest.approx(2 / 3)
    assert found["recall@5"] == found["chance@5"] == 1
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert (found["median_rank"], found["mean_rank"], found["candidates"]) == (2, 2, 3)


def test_retrieval_by_chance() -> None:
    """Oracle: chance: random scores recall k / C."""
    found = metrics.retrieval(gaussian(4000, 20), np.zeros(4000, int))
    assert found["recall@5"] == pytest.approx(found["chance@5"], abs=0.03)
    assert found["mean_rank"] == pytest.approx(10.5, abs=0.4)


def test_values_do_not_depend_on_order() -> None:
    """Invariant: permutation of rows."""
    vectors, order = gaussian(200, 6), np.random.default_rng(0).permutation(200)
    assert metrics.effective_rank(vectors[order]) == pytest.approx(metrics.effective_rank(vectors))


def test_what_cannot_be_measured_is_rejected() -> None:
    two = np.eye(2)
    with pytest.raises(InputError, match="1 of 2 rows have values"):
        metrics.effective_rank([[1.0, np.nan], [1.0, 2.0]])
    with pytest.raises(InputError, match="all vectors are zero"):
        metrics.effective_rank(np.zeros((3, 2)))
    with pytest.raises(InputError, match="non-empty"):
        metrics.effective_rank(np.zeros((0, 2)))
    with pytest.raises(InputError, match="must have the same shape"):
        metrics.triplet_accuracy(two, np.eye(3), two)
    with pytest.raises(InputError, match="true column"):
        metrics.ranks_of_truth(two, [0, 5])


# --- silhouettes, trustworthiness, coherence of distances ------------------------------------------------------


def test_silhouette_by_hand() -> None:
    """Oracle: Rousseeuw's formula worked out for four points on a line."""
    # 0 and 1 against 10 and 12: a = 1, b = (10 + 12) / 2 = 11 for the first, and so on
    parts = [(11 - 1) / 11, (10 - 1) / 10, (9.5 - 2) / 9.5, (11.5 - 2) / 11.5]
    found = metrics.silhouette([[0.0], [1.0], [10.0], [12.0]], ["a", "a", "b", "b"], metric="euclidean")
    assert found == pytest.approx(np.mean(parts))


def test_silhouette_of_directions_ignores_length() -> None:
    random = np.random.default_rng(0)
    vectors, label = random.normal(size=(60, 5)), random.integers(0, 3, 60)
    longer = vectors * random.uniform(0.1, 9, (60, 1))
    assert metrics.silhouette(vectors, label) == pytest.approx(metrics.silhouette(longer, label))
    assert metrics.silhouette(vectors, label) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("label", [[0] * 6, range(6), [0, 1]])
def test_silhouettes_that_are_not_defined(label: object) -> None:
    with pytest.raises(InputError):
        metrics.silhouette(np.eye(6), list(label))  # type: ignore[call-overload]


def test_trustworthiness_by_hand() -> None:
    """Oracle: Venna & Kaski's formula by loops, from ranks that are counted one by one."""
    random = np.random.default_rng(1)
    vectors, drawn, k = random.normal(size=(30, 6)), random.normal(size=(30, 2)), 4
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    penalty = 0.0
    for i in range(30):
        others = [j for j in range(30) if j != i]
        by_vector = sorted(others, key=lambda j: 1 - unit[i] @ unit[j])
        by_picture = sorted(others, key=lambda j: np.linalg.norm(drawn[i] - drawn[j]))
        penalty += sum(max(0, by_vector.index(j) + 1 - k) for j in by_picture[:k])
    expected = 1 - 2 / (30 * k * (2 * 30 - 3 * k - 1)) * penalty
    assert metrics.trustworthiness(vectors, drawn, k) == pytest.approx(expected)


def test_trustworthiness_by_chance_is_the_mean_of_random_pictures() -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(200, 8))
    found = [metrics.trustworthiness(vectors, random.normal(size=(200, 2))) for _ in range(30)]
    assert np.mean(found) == pytest.approx(metrics.trustworthiness_by_chance(200), abs=0.01)
    assert metrics.trustworthiness(vectors, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) == 1.0


@pytest.mark.parametrize(("drawn", "k"), [(5, 1), (6, 3), (6, 0)])
def test_trustworthiness_needs_pairs_and_enough_places(drawn: int, k: int) -> None:
    with pytest.raises(InputError):
        metrics.trustworthiness(np.eye(6), np.zeros((drawn, 2)), k)


def test_distance_coherence_is_spearmans() -> None:
    """Oracle: scipy.stats.spearmanr over all pairs, of which the seeded sample holds each many times."""
    from itertools import combinations

    from pyproj import Geod
    from scipy.stats import spearmanr

    random = np.random.default_rng(3)
    lonlat = np.stack([random.uniform(24.8, 25.2, 12), random.uniform(60.1, 60.3, 12)], axis=1)
    vectors = np.c_[lonlat - lonlat.mean(axis=0) + [1, 0], random.normal(size=(12, 2)) * 0.05]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second = np.array(list(combinations(range(12), 2))).T
    away = Geod(ellps="WGS84").inv(*lonlat[first].T, *lonlat[second].T)[2]
    expected = spearmanr(away, 1 - (unit[first] * unit[second]).sum(axis=1)).statistic
    found = metrics.distance_coherence(vectors, lonlat, pairs=60_000, shuffles=0)
    assert found.spearman == pytest.approx(expected, abs=0.02)
    assert np.isnan(found.chance)


def test_distance_coherence_beside_chance() -> None:
    random = np.random.default_rng(4)
    lonlat = random.uniform(0, 1, (300, 2))
    lost = metrics.distance_coherence(random.normal(size=(300, 8)), lonlat, shuffles=49)
    assert abs(lost.spearman) < 2 * lost.chance < 0.2
    told = metrics.distance_coherence(np.c_[lonlat - 0.5, np.ones(300)], lonlat, shuffles=9)
    assert told.spearman > 0.9 > told.chance
    assert np.isnan(metrics.distance_coherence(np.ones((300, 8)), lonlat).spearman)
    apart = metrics.distance_coherence(np.c_[lonlat - 0.5, np.ones(300)], lonlat, apart_m=60_000, shuffles=0)
    assert apart.pairs < told.pairs
    with pytest.raises(InputError, match="are at least 1e\\+07 m apart"):
        metrics.distance_coherence(np.ones((300, 8)), lonlat, apart_m=1e7)
