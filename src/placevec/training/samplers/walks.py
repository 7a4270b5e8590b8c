"""Random walks over a graph of points of interest, and the pairs of categories that they give.

Walks are second-order (node2vec, Grover and Leskovec 2016, arXiv:1607.00653): the weight of a step from ``v`` (reached
from ``u``) to ``x`` is that of the edge, times ``return_bias`` if x = u, 1 if x is a neighbor of u, ``leave_bias``
otherwise. All walks take each step together: steps are drawn in proportion to the weights of edges, and accepted in
proportion to the bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.core import ROW_MISSING, Draw, Look
from placevec.errors import InputError
from placevec.geo import Floats, Ints
from placevec.training.samplers.epochs import PAIRS, Epochs, generator, slice_of

TARGET, CONTEXT, NEGATIVE, EVERY = "target", "context", "negative", "every"
"""Slots: the first category of a walk, the others of it, categories that never occur with it, all categories."""
_MAX_REJECTIONS = 10_000


@dataclass(frozen=True)
class WeightedGraph:
    """An undirected graph with weights, as rows of neighbors.

    Attributes:
        starts: (N + 1,) first edge of each node.
        neighbors: (2E,) their other ends, sorted within each node.
        sums: (2E + 1,) weights of all edges before, so that a search draws one of them.
    """

    starts: Ints
    neighbors: Ints
    sums: Floats

    @classmethod
    def of(cls, nodes: int, edges: Ints, weights: Floats) -> WeightedGraph:
        """From (2, E) edges, each once, and their positive weights.

        >>> WeightedGraph.of(3, np.array([[0, 1], [1, 2]]), np.array([1.0, 2.0])).neighbors.tolist()
        [1, 0, 2, 1]
        """
        if len(weights) and not (np.isfinite(weights).all() and weights.min() > 0):
            raise InputError("the weights of edges must be positive numbers")
        source, target = np.concatenate([edges, edges[::-1]], axis=1)
        order = np.lexsort((target, source))
        both = np.concatenate([weights, weights])[order]
        starts = np.searchsorted(source[order], np.arange(nodes + 1))
        return cls(starts, target[order].astype(np.int64), np.concatenate([[0.0], np.cumsum(both)]))

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.starts) - 1

    @property
    def degrees(self) -> Ints:
        """(N,) neighbors of each node."""
        return np.diff(self.starts)

    def steps(self, nodes: Ints, random: np.random.Generator) -> Ints:
        """A neighbor of each node, in proportion to the weights; nodes without any are not allowed."""
        low, high = self.sums[self.starts[nodes]], self.sums[self.starts[nodes + 1]]
        drawn = low + random.random(len(nodes)) * (high - low)
        at = np.searchsorted(self.sums, drawn, side="right") - 1
        return np.asarray(self.neighbors[np.clip(at, self.starts[nodes], self.starts[nodes + 1] - 1)])

    def joined(self, first: Ints, second: Ints) -> NDArray[np.bool_]:
        """Whether there is an edge between two nodes, of many pairs."""
        keys, wanted = self._keys(), first * len(self) + second
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.asarray(keys[at] == wanted)

    def _keys(self) -> Ints:
        known: Ints | None = self.__dict__.get("keys")
        if known is None:
            known = np.repeat(np.arange(len(self)), self.degrees) * len(self) + self.neighbors
            object.__setattr__(self, "keys", known)  # follows from the fields
        return known


def random_walks(
    graph: WeightedGraph,
    *,
    length: int = 10,
    per_node: int = 5,
    return_bias: float = 2.0,
    leave_bias: float = 2.0,
    seed: int = 0,
) -> Ints:
    """(N' * per_node, length) nodes of walks from every node that has a neighbor.

    Args:
        graph: where to walk.
        length: nodes of a walk.
        per_node: walks from each node.
        return_bias, leave_bias: 1 / p and 1 / q of node2vec.
        seed: random seed.

    >>> graph = WeightedGraph.of(3, np.array([[0, 1], [1, 2]]), np.ones(2))
    >>> random_walks(graph, length=3, per_node=1).shape
    (3, 3)
    """
    for name, value in (("return_bias", return_bias), ("leave_bias", leave_bias)):
        if not 0 < value < float("inf"):
            raise InputError(f"{name} must be a positive number; got {value}")
    random = np.random.default_rng([seed, 0x5A1])
    start = np.repeat(np.flatnonzero(graph.degrees > 0), per_node)
    walks = np.empty((length, len(start)), np.int64)
    walks[0] = start
    if length > 1 and len(start):
        walks[1] = graph.steps(start, random)
    highest = max(return_bias, leave_bias, 1.0)
    plain = return_bias == leave_bias == 1.0
    for step in range(2, length):
        before, here = walks[step - 2], walks[step - 1]
        waiting = np.arange(len(start))
        for _ in range(_MAX_REJECTIONS):
            found = graph.steps(here[waiting], random)
            if plain:
                accepted = np.ones(len(waiting), bool)
            else:
                bias = np.where(graph.joined(before[waiting], found), 1.0, leave_bias)
                bias = np.where(found == before[waiting], return_bias, bias)
                accepted = random.random(len(waiting)) * highest < bias
            walks[step, waiting[accepted]] = found[accepted]
            waiting = waiting[~accepted]
            if not len(waiting):
                break
        else:
            walks[step, waiting] = found[~accepted]
    return np.ascontiguousarray(walks.T)


class WalkSampler:
    """Draws walks as categories: the first of each is the target, the others are its contexts.

    Args:
        walks: (W, L) categories, L at least 2.
        categories: number of categories.
        batch_size: walks in a batch.
        negatives: drawn for each context, of categories that never occur with the target in any walk; of all others
            where every category does.
        seed: random seed.

    >>> sampler = WalkSampler(np.array([[0, 1], [1, 0], [2, 2]]), 3, batch_size=3, negatives=2, seed=0)
    >>> {name: len(look) for name, look in sampler.draw(0).looks.items()}
    {'target': 3, 'context': 3, 'negative': 6, 'every': 3}
    """

    def __init__(self, walks: Ints, categories: int, *, batch_size: int, negatives: int, seed: int) -> None:
        if walks.ndim != 2 or walks.shape[1] < 2 or not len(walks):
            raise InputError(
                "walks need at least two nodes: there are too few points of interest, or they are all at one place"
            )
        self.walks, self.categories, self.negatives, self.seed = walks, categories, negatives, seed
        self._epochs = Epochs(len(walks), batch_size, seed)
        together = np.zeros((categories, categories), bool)
        for column in range(1, walks.shape[1]):
            together[walks[:, 0], walks[:, column]] = True
        np.fill_diagonal(together, val=True)
        crowded = together.all(axis=1)
        together[crowded] = np.eye(categories, dtype=bool)[crowded]
        self._others = [np.flatnonzero(~row) for row in together]

    @property
    def batch_size(self) -> int:
        """Walks per batch."""
        return self._epochs.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self._epochs.steps

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of process ``rank`` of the batch of a step."""
        part = slice_of(self.batch_size, rank, world)
        walks = self.walks[self._epochs.at(step)]
        drawn = generator(self.seed, step, PAIRS).random((len(walks), walks.shape[1] - 1, self.negatives))[
            part
        ]
        walks = walks[part]
        negative = np.full(drawn.shape, ROW_MISSING, np.int64)
        for category in np.unique(walks[:, 0]).tolist():
            others, rows = self._others[category], walks[:, 0] == category
            if len(others):
                negative[rows] = others[(drawn[rows] * len(others)).astype(np.int64)]
        looks = {
            TARGET: walks[:, 0], CONTEXT: walks[:, 1:].reshape(-1), NEGATIVE: negative.reshape(-1),
            EVERY: np.arange(self.categories),
        }  # fmt: skip
        return Draw({name: Look(torch.from_numpy(rows.copy())) for name, rows in looks.items()})
