"""Layers among the nearest vectors, against a plain loop over all pairs and on vectors whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from placevec.evaluation.layer_recall import NEAREST, LayerRecall, _allowed_shares, _nearest, layer_recall
from placevec.evaluation.report import layer_lines
from placevec.evaluation.splits import Blocks, block_grid
from placevec.geo import distance_m
from tests.evaluation.test_splits import town

LONLAT = town(24.9, 60.2, km=6, count=400, seed=0)
RANDOM = np.random.default_rng(0)
HOLDS = np.stack(
    [RANDOM.random(400) < 0.15, RANDOM.random(400) < 0.6, np.ones(400, bool), np.arange(400) < 5], axis=1
)
LAYERS = ("rail", "roads", "land", "piers")
BLOCKS = block_grid(LONLAT, buffer_m=200.0)
APART_M = 250.0


def found(features: dict[str, np.ndarray], seen: tuple[str, ...] | None = ("rail", "roads")) -> LayerRecall:
    sets = {name: (values,) for name, values in features.items()}
    recall = layer_recall(sets, HOLDS, LAYERS, seen, LONLAT, BLOCKS, apart_m=APART_M)
    assert recall is not None
    return recall


def test_shares_are_those_of_a_loop_over_all_pairs() -> None:
    vectors = RANDOM.normal(size=(400, 6))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    shares, chances = [], []
    for query in np.flatnonzero(HOLDS[:, 0]):
        away = distance_m(*LONLAT[[query] * 400].T, *LONLAT.T)
        allowed = np.flatnonzero(away >= APART_M)
        nearest = allowed[np.argsort(-(unit[allowed] @ unit[query]))[:NEAREST]]
        shares.append(HOLDS[nearest, 0].mean())
        chances.append(HOLDS[allowed, 0].mean())
    row = found({"vectors": vectors}).rows[0]
    assert (row.layer, row.places, row.comparison) == ("rail", HOLDS[:, 0].sum(), None)
    assert row.scores["vectors"].value == pytest.approx(np.mean(shares))
    assert row.by_chance == pytest.approx(np.mean(chances), abs=1e-4)


def test_vectors_without_a_layer_that_coverage_shows_are_said_to_miss_it() -> None:
    """Coverage holds both layers, the vectors the second alone; layers that all or few places hold have no row."""
    both = HOLDS[:, :2] + 0.01 * RANDOM.random((400, 2))
    one = np.stack([HOLDS[:, 1], 1.0 - HOLDS[:, 1]], axis=1) + 0.01 * RANDOM.random((400, 2))
    recall = found({"vectors": one, "coverage fractions": both})
    rail, roads = recall.rows
    assert rail.scores["coverage fractions"].value > 0.95
    assert rail.scores["vectors"].value == pytest.approx(rail.by_chance, abs=0.1)
    assert rail.comparison is not None
    assert rail.comparison.difference.high < 0
    assert roads.scores["vectors"].value > 0.95
    assert recall.missed == ["rail"]
    assert found({"vectors": one, "coverage fractions": both}, seen=("roads",)).missed == []
    assert recall.as_dict()["rows"][0]["comparison"]["verdict"] == "worse"
    assert (
        layer_lines(recall)[0] == "The nearest vectors miss rail, which coverage fractions find more often."
    )


def test_of_few_blocks_nothing_is_said_to_be_missed_or_found() -> None:
    """The vectors of the test above where four blocks hold all places: no claim, and no reassurance either."""
    both = HOLDS[:, :2] + 0.01 * RANDOM.random((400, 2))
    one = np.stack([HOLDS[:, 1], 1.0 - HOLDS[:, 1]], axis=1) + 0.01 * RANDOM.random((400, 2))
    sets = {"vectors": (one,), "coverage fractions": (both,)}
    wide = Blocks((np.median(LONLAT, axis=0) < LONLAT) @ np.array([1, 2]), 3_000.0)
    recall = layer_recall(sets, HOLDS, LAYERS, ("rail", "roads"), LONLAT, wide, apart_m=APART_M)
    assert recall is not None
    assert (recall.missed, recall.doubtful) == ([], True)
    assert layer_lines(recall)[0].startswith("There is too little evidence")


def test_equal_vectors_come_in_no_order_and_other_cities_do_not_answer() -> None:
    """All places of the first city hold the layer, none of the second: recall within cities is 1 by necessity."""
    area = (np.arange(400) >= 200).astype(int)
    holds = (area == 0)[:, None]
    recall = layer_recall(
        {"vectors": (np.ones((400, 2)),)}, holds, ("rail",), None, LONLAT, BLOCKS, apart_m=APART_M, area=area
    )  # fmt: skip
    assert recall is not None
    assert recall.rows[0].scores["vectors"].value == recall.rows[0].by_chance == 1.0
    alike = found({"vectors": np.ones((400, 2))}).rows[0]
    assert alike.scores["vectors"].value == pytest.approx(alike.by_chance, abs=0.12)
    few = layer_recall(
        {"vectors": (np.ones((400, 2)),)}, HOLDS[:, 3:], ("piers",), None, LONLAT, BLOCKS, apart_m=1.0
    )
    assert few is None


def test_equal_vectors_are_drawn_evenly() -> None:
    """Of 400 equal vectors each is about as often among the nearest; the seed decides, and nothing else."""
    equal = np.ones((400, 3))
    drawn = _nearest(equal, LONLAT, APART_M, 0)
    assert np.bincount(drawn.ravel(), minlength=400).max() < 20  # 5 on average
    assert len(np.unique(drawn)) > 380
    assert (drawn == _nearest(equal, LONLAT, APART_M, 0)).all()
    assert (drawn != _nearest(equal, LONLAT, APART_M, 1)).any()


def test_places_that_too_few_may_answer_are_no_queries() -> None:
    """Ten places within 100 m and four farther away: only the four have as many as are looked at."""
    far = [[24.90 + 0.1 * number, 60.2] for number in range(1, NEAREST)]
    lonlat = np.array([[24.9 + number * 1e-4, 60.2] for number in range(10)] + far)
    holds = np.arange(14)[:, None] % 2 == 0
    answered, shares = _allowed_shares(lonlat, holds, APART_M)
    assert answered.tolist() == [False] * 10 + [True] * 4
    assert shares[0, 0] == 0.5  # of rows 10 to 13
    assert shares[10, 0] == pytest.approx(6 / 13)
