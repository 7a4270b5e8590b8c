"""Probes: they find what is there, and nothing where there is nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from placevec.evaluation.probes import (
    CHANCE,
    PROBES,
    Effort,
    Training,
    as_if_equally_common,
    forest,
    linear,
    nearest_neighbors,
    standardized,
)
from placevec.evaluation.scores import score
from placevec.evaluation.splits import block_grid, local_plane, random_split, spatial_split
from placevec.evaluation.tasks import Kind, varied
from tests.evaluation.test_splits import town

SMALL = Effort(trees=25, inverse_penalties=(1.0,), neighbors=(7,))
KINDS: tuple[Kind, ...] = ("classification", "multilabel", "regression")


def problem(kind: Kind, seed: int = 0, count: int = 240) -> Training:
    """Six features, of which the first two tell the answer."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 6)) * [5, 1, 1, 1, 1, 1] + 3
    first, second = features[:, 0] - 3, features[:, 1] - 3
    block = random.integers(0, 12, count)
    if kind == "classification":
        target = np.where(first > 3, 2, second > 0).astype(np.int64)
        return Training(kind, features, target, 3, block, 0)
    if kind == "multilabel":
        return Training(kind, features, np.stack([first > 0, second > 0.3], axis=-1), 2, block, 0)
    return Training(kind, features, first + 2 * second, 1, block, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBES)
def test_what_can_be_reported_is_reported(kind: Kind, name: str) -> None:
    training, other = problem(kind), problem(kind, seed=1)
    scores = PROBES[name](training, other.features, SMALL)
    assert scores.shape == (240, training.outputs)
    assert np.isfinite(scores).all()
    assert score(kind, other.target, scores) > 0.7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBES)
def test_a_leaking_feature_is_excellent(kind: Kind, name: str) -> None:
    training, other = problem(kind), problem(kind, seed=1)
    leak = Training(kind, training.columns() * 3 - 1, training.target, training.outputs, training.block, 0)
    assert score(kind, other.target, PROBES[name](leak, other.columns() * 3 - 1, SMALL)) > 0.97


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROBES)
def test_noise_is_no_better_than_chance(kind: Kind, name: str) -> None:
    random = np.random.default_rng(0)
    training, other = problem(kind, count=400), problem(kind, seed=1, count=400)
    noise = Training(kind, random.normal(size=(400, 6)), training.target, training.outputs, training.block, 0)
    found = score(kind, other.target, PROBES[name](noise, random.normal(size=(400, 6)), SMALL))
    chance = [
        score(kind, other.target, probe(noise, other.features, SMALL)) for probe in CHANCE[kind].values()
    ]
    assert found < max(chance) + 0.08


def test_linear_equals_scikit_learn() -> None:
    """Oracle: sklearn's own pipeline with the same penalty, its answers moved to equal classes."""
    training, other = problem("classification"), problem("classification", seed=1)
    scaler = StandardScaler().fit(training.features)
    expected = LogisticRegression(C=1.0, max_iter=200, tol=1e-3).fit(
        scaler.transform(training.features), training.target
    )
    probability = expected.predict_proba(scaler.transform(other.features))
    np.testing.assert_allclose(
        linear(training, other.features, SMALL), as_if_equally_common(probability, training), atol=1e-3
    )


def test_equally_common_classes_by_bayes_rule() -> None:
    """Oracle: two normal classes, whose posterior at any share of the first is known in closed form."""
    at = np.linspace(-2, 3, 7)
    first, second = (np.exp(-((at - mean) ** 2) / 2) for mean in (0.0, 1.0))
    share = 0.9
    posterior = np.stack([share * first, (1 - share) * second], axis=1)
    posterior /= posterior.sum(axis=1, keepdims=True)
    target = np.repeat([0, 1], [90, 10])
    training = Training("classification", np.zeros((100, 1)), target, 3, np.arange(100), 0)
    found = as_if_equally_common(np.pad(posterior, ((0, 0), (0, 1))), training)
    np.testing.assert_allclose(found[:, 0], first / (first + second))
    assert (found[:, 2] == 0).all()


def test_neighbors_equal_scikit_learn() -> None:
    """Oracle: sklearn's k nearest neighbors."""
    for kind, model in (("classification", KNeighborsClassifier(7)), ("regression", KNeighborsRegressor(7))):
        training, other = problem(kind), problem(kind, seed=1)
        scaler = StandardScaler().fit(training.features)
        model.fit(scaler.transform(training.features), training.target)
        predict = model.predict_proba if kind == "classification" else model.predict
        expected = np.reshape(predict(scaler.transform(other.features)), (240, -1))
        if kind == "classification":
            expected = as_if_equally_common(expected, training)
        np.testing.assert_allclose(nearest_neighbors(training, other.features, SMALL), expected)


def test_the_penalty_is_chosen_inside_the_training() -> None:
    """Many useless features need the strong penalty: the choice beats the weakest, and never sees the test."""
    random = np.random.default_rng(0)
    features = random.normal(size=(160, 120))
    target = features[:, 0] + 2 * random.normal(size=160)
    training = Training("regression", features[:120], target[:120], 1, np.arange(120) % 12, 0)
    chosen = linear(training, features[120:], SMALL)
    scaler = StandardScaler().fit(features[:120])
    weakest = Ridge(alpha=1e-3 * 120).fit(scaler.transform(features[:120]), target[:120])
    unpenalized = score(
        "regression", target[120:], weakest.predict(scaler.transform(features[120:]))[:, None]
    )
    assert score("regression", target[120:], chosen) > unpenalized + 0.2


def test_settings_are_chosen_on_blocks_that_were_not_learned() -> None:
    """Each block has a number of its own, which says nothing of other blocks: one neighbor is best on random folds,
    many on blocks, and many give answers near the mean.
    """
    random = np.random.default_rng(0)
    block = np.repeat(np.arange(20), 12)
    features = block[:, None] + random.normal(scale=0.01, size=(240, 1))
    target = random.normal(size=20)[block]
    training = Training("regression", features, target, 1, block, 0)
    found = nearest_neighbors(training, features, Effort(neighbors=(1, 120)))
    assert found.std() < 0.7 * target.std()


def test_a_class_that_training_lacks_gets_no_score() -> None:
    training = problem("classification")
    rows = np.flatnonzero(training.target != 1)
    for probe in (linear, forest, nearest_neighbors):
        assert (probe(training.taken(rows), training.features, SMALL)[:, 1] == 0).all()


def test_a_group_that_training_always_has() -> None:
    training = problem("multilabel")
    target = training.target.copy()
    target[:, 0] = True
    always = Training("multilabel", training.features, target, 2, training.block, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for probe in PROBES.values():
            assert np.isfinite(probe(always, training.features, SMALL)).all()


def test_the_same_seed_gives_the_same_scores() -> None:
    training, other = problem("classification"), problem("classification", seed=1)
    for probe in (*PROBES.values(), *CHANCE["classification"].values()):
        np.testing.assert_array_equal(
            probe(training, other.features, SMALL), probe(training, other.features, SMALL)
        )


def test_standardizing_uses_the_training_alone_and_survives_constants() -> None:
    train = np.array([[1.0, 7.0], [3.0, 7.0]])
    first, second = standardized(train, np.array([[5.0, 8.0]]))
    assert first.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert second.tolist() == [[3.0, 0.0]]


def test_average_precision_of_no_knowledge_is_not_the_share_alone() -> None:
    """Closed form: r of n in random order give (H_n + (r-1)/(n-1) (n-H_n)) / n; the share r/n would flatter noise."""
    training = problem("multilabel", count=60)
    chance = CHANCE["multilabel"]["random order"]
    found = []
    for seed in range(300):
        drawn = Training("multilabel", training.features, training.target, 2, training.block, seed)
        found.append(score("multilabel", training.target, chance(drawn, training.features, SMALL)))
    held, harmonic = training.target.sum(axis=0), (1 / np.arange(1, 61)).sum()
    expected = (harmonic + (held - 1) / 59 * (60 - harmonic)) / 60
    assert expected.mean() > training.target.mean() + 0.03
    assert np.mean(found) == pytest.approx(expected.mean(), abs=0.01)


def test_varied_labels() -> None:
    assert not varied(np.array([1, 1]))
    assert varied(np.array([1, 2]))
    assert varied(np.array([[True, False], [True, True]]))
    assert not varied(np.array([[True, False], [True, False]]))
    assert not varied(np.zeros(0))


def test_memory_of_coordinates_wins_the_random_split_and_not_the_blocks() -> None:
    """The cheat of issue 2: a forest on coordinates, and labels that change within the buffer.

    Labels come in patches of 400 m. A random split has a neighbor of every tested place in its training; blocks
    with a buffer of 600 m have none.
    """
    lonlat = town(24.9, 60.2, km=12, count=1500, seed=0)
    plane = local_plane(lonlat)
    patch = np.floor(plane / 400.0).astype(np.int64)
    target = np.random.default_rng(0).integers(0, 4, (99, 99))[patch[:, 0] % 99, patch[:, 1] % 99]
    blocks = block_grid(lonlat, buffer_m=600.0)
    found = {}
    for name, split in (
        ("random", random_split(len(lonlat), folds=5, seed=0)),
        ("blocks", spatial_split(lonlat, blocks, buffer_m=600.0, folds=5, seed=0)),
    ):
        scores = np.zeros((len(lonlat), 4))
        for fold in split.folds:
            training = Training(
                "classification", plane[fold.train], target[fold.train], 4, blocks.number[fold.train], 0
            )
            scores[fold.test] = forest(training, plane[fold.test], SMALL)
        found[name] = score("classification", target, scores)
    assert found["random"] > 0.55
    assert found["blocks"] < 0.32, "four classes at random: .25"
