"""Measures without labels on vectors whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from placevec.evaluation.intrinsic import HELD_OUT, UNKNOWN, LabelFree, class_silhouettes, label_free
from placevec.evaluation.splits import local_plane
from tests.evaluation.test_splits import town

LONLAT = town(24.9, 60.2, km=6, count=900, seed=0)


def measured(vectors: np.ndarray, lonlat: np.ndarray = LONLAT) -> LabelFree:
    found = label_free({"vectors": (vectors,)}, lonlat, footprint_m=150.0, basis=UNKNOWN)
    assert found is not None
    return found


def test_vectors_of_the_ground_find_what_is_near() -> None:
    """Directions of a smooth random map of the coordinates: near places are near, far ones are not."""
    random = np.random.default_rng(0)
    plane = local_plane(LONLAT) / 700.0
    waves = np.cos(plane @ random.normal(size=(2, 64)) + random.uniform(0, 6, 64))  # random Fourier features
    row = measured(waves).rows[0]
    assert row.triplet_accuracy > 0.97
    assert row.retrieval > 0.75  # some places have fewer than ten near ones


def test_noise_is_chance() -> None:
    vectors = np.random.default_rng(0).normal(size=(900, 16))
    found = measured(vectors)
    assert found.rows[0].triplet_accuracy == pytest.approx(0.5, abs=0.07)
    assert found.rows[0].retrieval == pytest.approx(found.retrieval_by_chance, abs=0.02)
    assert found.rows[0].effective_rank > 14


def test_collapsed_vectors_are_chance_and_of_rank_one() -> None:
    found = measured(np.ones((900, 16)))
    assert found.rows[0].triplet_accuracy == 0.5
    assert found.rows[0].retrieval == pytest.approx(found.retrieval_by_chance, abs=0.02)
    assert found.rows[0].effective_rank == pytest.approx(1.0)
    assert np.isnan(measured(np.zeros((900, 4))).rows[0].effective_rank)


def test_places_that_share_ground_do_not_count() -> None:
    """A vector that only tells which footprint overlaps which is no better than chance at retrieval."""
    doubled = np.repeat(LONLAT[:450], 2, axis=0)
    doubled[1::2] += 1e-4
    vectors = np.repeat(np.random.default_rng(0).normal(size=(450, 16)), 2, axis=0)
    found = measured(vectors, doubled)
    assert found.apart_m == pytest.approx(150 * 2**0.5)
    assert found.rows[0].retrieval == pytest.approx(found.retrieval_by_chance, abs=0.02)


def test_variants_are_averaged() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(900, 3)), np.ones((900, 3))
    found = label_free({"both": (one, other)}, LONLAT, footprint_m=150.0, basis=HELD_OUT)
    assert found is not None
    assert found.basis == HELD_OUT
    alone = [measured(vectors).rows[0].effective_rank for vectors in (one, other)]
    assert found.rows[0].effective_rank == pytest.approx(np.mean(alone))


def test_too_small_an_extent_measures_nothing() -> None:
    vectors = np.zeros((900, 3))
    assert label_free({"v": (vectors,)}, LONLAT, footprint_m=5000.0, basis=UNKNOWN) is None


def test_vectors_of_the_ground_are_coherent_and_noise_is_not() -> None:
    """Oracle: a vector that is the place itself, against one that is nothing of it."""
    plane = local_plane(LONLAT)
    there = measured(np.c_[plane / np.abs(plane).max(), np.ones(len(plane))])
    assert there.rows[0].coherence > 0.9
    assert there.rows[0].trustworthiness > 0.99  # two dimensions lose nothing in a flat picture
    assert 0 < there.coherence_by_chance < 0.2
    assert there.trustworthiness_by_chance == pytest.approx(0.5, abs=0.01)
    assert there.looked_at == 900
    lost = measured(np.random.default_rng(0).normal(size=(900, 32)))
    assert abs(lost.rows[0].coherence) < 3 * lost.coherence_by_chance
    assert lost.rows[0].silhouette < 0.1 < there.rows[0].silhouette


def test_collapsed_vectors_have_no_shape() -> None:
    row = measured(np.ones((900, 16))).rows[0]
    assert np.isnan([row.coherence, row.trustworthiness, row.silhouette]).all()


def test_silhouettes_of_known_classes() -> None:
    label = np.arange(900) % 3
    apart = np.eye(3)[label] + np.random.default_rng(0).normal(scale=0.01, size=(900, 3))
    found = class_silhouettes({"apart": (apart,), "same": (np.ones((900, 3)),)}, label)
    assert set(found) == {"apart"}
    assert found["apart"] > 0.9
    assert class_silhouettes({"apart": (apart,)}, np.zeros(900, int)) == {}
