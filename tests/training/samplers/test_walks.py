"""Random walks and the pairs drawn from them.

Oracles: the transition probabilities of node2vec on a small graph, computed by hand, against frequencies of walks with
their binomial errors.
"""

from __future__ import annotations

import numpy as np
import pytest

from placevec.errors import InputError
from placevec.training.samplers.walks import WalkSampler, WeightedGraph, random_walks

EDGES = np.array([[0, 0, 1, 2], [1, 2, 2, 3]])
"""A triangle 0, 1, 2 with a tail 3."""
WEIGHTS = np.array([1.0, 2.0, 4.0, 3.0])


def test_steps_follow_weights_and_biases() -> None:
    """From 0 to 2: back to 0 (weight 2, return 3), to 1, a neighbor of 0 (weight 4), or to 3 (weight 3, leave .5)."""
    graph = WeightedGraph.of(4, EDGES, WEIGHTS)
    walks = random_walks(graph, length=3, per_node=40_000, return_bias=3.0, leave_bias=0.5, seed=1)
    assert len(walks) == 160_000
    first = walks[walks[:, 0] == 0]
    assert np.mean(first[:, 1] == 2) == pytest.approx(2 / 3, abs=0.01)
    through = first[first[:, 1] == 2][:, 2]
    weights = np.array([2 * 3.0, 4.0, 0.0, 3 * 0.5])
    np.testing.assert_allclose(
        np.bincount(through, minlength=4) / len(through), weights / weights.sum(), atol=0.012
    )


def test_walks_go_along_edges_and_are_the_same_again() -> None:
    graph = WeightedGraph.of(5, EDGES, WEIGHTS)  # node 4 has no neighbor
    walks = random_walks(graph, length=6, per_node=3, seed=2)
    assert walks.shape == (12, 6)
    edges = {*map(tuple, EDGES.T.tolist()), *map(tuple, EDGES[::-1].T.tolist())}
    assert {*zip(walks[:, :-1].ravel().tolist(), walks[:, 1:].ravel().tolist(), strict=True)} <= edges
    np.testing.assert_array_equal(walks, random_walks(graph, length=6, per_node=3, seed=2))
    assert not np.array_equal(walks, random_walks(graph, length=6, per_node=3, seed=3))


def test_negatives_never_occur_with_their_target() -> None:
    walks = np.array([[0, 1, 1], [1, 0, 2], [2, 1, 2], [3, 3, 3]])
    sampler = WalkSampler(walks, 5, batch_size=4, negatives=6, seed=0)
    draws = [sampler.draw(step).looks for step in range(8)]
    together = {(int(row[0]), int(other)) for row in walks for other in row}
    for looks in draws:
        targets = np.repeat(looks["target"].rows.numpy(), 12)
        pairs = {*zip(targets.tolist(), looks["negative"].rows.tolist(), strict=True)}
        assert not pairs & together
    halves = [sampler.draw(0, rank, 2).looks["negative"].rows for rank in range(2)]
    assert np.concatenate(halves).tolist() == draws[0]["negative"].rows.tolist()


def test_a_category_that_occurs_with_all_others() -> None:
    """The original divided by zero there; all others are negatives then, and none where there is but one category."""
    sampler = WalkSampler(np.array([[0, 1], [1, 0]]), 2, batch_size=2, negatives=3, seed=0)
    looks = sampler.draw(0).looks
    assert (looks["negative"].rows.view(2, 3).numpy() == 1 - looks["target"].rows.numpy()[:, None]).all()
    alone = WalkSampler(np.array([[0, 0]]), 1, batch_size=1, negatives=2, seed=0)
    assert alone.draw(0).looks["negative"].rows.tolist() == [-2, -2]


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="walks need at least two nodes"):
        WalkSampler(np.zeros((0, 10), int), 3, batch_size=2, negatives=1, seed=0)
    with pytest.raises(InputError, match="weights of edges must be positive"):
        WeightedGraph.of(2, np.array([[0], [1]]), np.array([0.0]))
    with pytest.raises(InputError, match="return_bias must be a positive number"):
        random_walks(WeightedGraph.of(2, np.array([[0], [1]]), np.ones(1)), return_bias=0.0)
