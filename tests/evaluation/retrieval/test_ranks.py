"""Ranks and recalls of images and words: brute force, closed forms, perfect, random and collapsed vectors."""

from __future__ import annotations

import numpy as np
import pytest

from placevec import metrics
from placevec.errors import EvaluationError
from placevec.evaluation.retrieval.ranks import KS, by_chance, by_type, found


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """120 pairs in three pools of unequal size; a third of the texts are the same ones."""
    random = np.random.default_rng(3)
    images, words = random.normal(size=(120, 6)), random.normal(size=(120, 6))
    words[::3] = words[0]
    return images, words, random.choice(3, 120, p=[0.6, 0.3, 0.1])


def test_ranks_are_those_of_brute_force(pairs: tuple[np.ndarray, ...]) -> None:
    """Oracle: a loop over all queries and candidates, and the expectation over 20,000 random orders of ties."""
    images, words, pool = pairs
    answer = found(images, words, pool)
    random = np.random.default_rng(0)
    for i in range(len(pool)):
        rows = np.flatnonzero(pool == pool[i])
        cosines = np.array([images[i] @ words[j] / np.linalg.norm(words[j]) for j in rows])
        own = cosines[rows == i][0]
        nearer, equal = int((cosines > own + 1e-9).sum()), int((abs(cosines - own) <= 1e-9).sum())
        assert answer.rank[i] == nearer + (equal + 1) / 2
        assert answer.candidates[i] == len(rows)
        if i in (0, 3, 7):
            drawn = nearer + random.integers(1, equal + 1, 20_000)
            for k in KS:
                assert abs(answer.within(k)[i] - (drawn <= k).mean()) < 0.02


def test_one_pool_is_what_the_metric_of_matrices_says() -> None:
    """Oracle: `metrics.retrieval` without ties."""
    random = np.random.default_rng(5)
    words = random.normal(size=(80, 5))
    images = words + random.normal(size=(80, 5))
    lengths = np.linalg.norm(images, axis=1)[:, None] * np.linalg.norm(words, axis=1)[None]
    wanted = metrics.retrieval(images @ words.T / lengths)
    answer = found(images, words, np.zeros(80))
    assert answer.rank.mean() == wanted["mean_rank"]
    assert [answer.within(k).mean() for k in KS] == [wanted[f"recall@{k}"] for k in KS]


def test_perfect_random_and_collapsed_vectors(pairs: tuple[np.ndarray, ...]) -> None:
    """Closed forms: rank 1; (C + 1) / 2 and k / C, within 4 standard errors where vectors are random."""
    _, words, pool = pairs
    apart = np.random.default_rng(1).normal(size=words.shape)
    assert (found(apart, apart * 7.0, pool).rank == 1).all()
    chance = by_chance(pool)
    collapsed = found(np.ones_like(words), np.ones_like(words), pool)
    assert np.array_equal(collapsed.rank, chance.rank)
    sizes = np.bincount(pool)[pool]
    for k in KS:
        assert np.allclose(chance.within(k), np.minimum(k / sizes, 1.0))
    count = 2_000
    blind = found(*np.random.default_rng(2).normal(size=(2, count, 16)), np.zeros(count))
    assert abs(blind.rank.mean() - (count + 1) / 2) < 4 * count / np.sqrt(12 * count)
    assert abs(blind.within(10).mean() - 10 / count) < 4 * np.sqrt(10 / count / count)


def test_scale_order_and_rotation_do_not_matter(pairs: tuple[np.ndarray, ...]) -> None:
    """Invariants: length of vectors, the order of pairs, a rotation of both spaces."""
    images, words, pool = pairs
    plain = found(images, words, pool)
    turned, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(6, 6)))
    order = np.random.default_rng(9).permutation(len(pool))
    assert np.array_equal(found(3.0 * images @ turned, words @ turned, pool).rank, plain.rank)
    assert np.array_equal(found(images[order], words[order], pool[order]).rank, plain.rank[order])


def test_the_type_oracle() -> None:
    """Published numbers: three balanced types of 133 items give R@1, 5, 10 of about .023, .115, .226 and a mean
    rank of 22.6 (measured beside the founding system's 133 test items). Within a type it is chance."""
    types = np.arange(133) % 3
    oracle = by_type(types, np.zeros(133, np.int64))
    assert np.allclose([oracle.within(k).mean() for k in KS], [0.0226, 0.1128, 0.2256], atol=1e-4)
    assert abs(oracle.rank.mean() - 22.67) < 0.01
    assert np.array_equal(by_type(types, types).rank, by_chance(types).rank)
    unknown = by_type(np.full(133, -1), np.zeros(133, np.int64))
    assert np.array_equal(unknown.rank, by_chance(np.zeros(133, np.int64)).rank)
    one_hot = np.eye(3)[types]
    assert np.array_equal(found(one_hot, one_hot, np.zeros(133)).rank, oracle.rank)


def test_what_are_no_pairs_is_refused() -> None:
    with pytest.raises(EvaluationError, match="must belong to the same pairs"):
        found(np.eye(3), np.eye(4), np.zeros(3))
    with pytest.raises(EvaluationError, match="not finite"):
        found(np.eye(3) * np.nan, np.eye(3), np.zeros(3))
