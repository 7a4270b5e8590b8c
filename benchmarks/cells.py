"""Cells of MMGR: random walks, the contrastive loss and pooling of sets, each beside the form of the original system.

The original forms are written here from their formulas: walks one node at a time, as a loop in Python; NT-Xent by the
cosine similarity of all pairs of vectors, as one (2N, 2N, D) tensor; Set2Set cell by cell. The two losses, and the two
poolings, are compared before they are timed.
"""

from __future__ import annotations

import bisect
import random
from itertools import accumulate

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Row, interleaved, rate_row
from placevec.core import Ragged
from placevec.encoders.poi_set import Set2Set, segments_of
from placevec.geo import offset
from placevec.recipes.poi2vec.build import graph_of
from placevec.training.objectives.cells import nt_xent
from placevec.training.samplers.walks import random_walks

POINTS, SLOW_NODES, LENGTH, PER_NODE = 45_033, 400, 10, 5
BATCH, DIM = 512, 128
CELLS, MOST, CATEGORY_DIM = 256, 200, 64


def rows() -> list[Row]:
    """Rows of walks, loss and pooling."""
    return [_walks(), _loss(), _pooling()]


def _walks() -> Row:
    """As many points as Xiamen Island has in the paper, drawn at random."""
    drawn = np.random.default_rng(0)
    east, north = drawn.uniform(-6000, 6000, (2, POINTS))
    lonlat = offset(np.full(POINTS, 118.1), np.full(POINTS, 24.47), east_m=east, north_m=north)
    cells = (np.floor(east / 500) * 100 + np.floor(north / 500)).astype(np.int64)
    graph = graph_of(lonlat, cells, across=0.4)
    neighbors = [
        graph.neighbors[a:b].tolist() for a, b in zip(graph.starts[:-1], graph.starts[1:], strict=True)
    ]
    weights = np.diff(graph.sums)
    heavy = [weights[a:b].tolist() for a, b in zip(graph.starts[:-1], graph.starts[1:], strict=True)]

    def slow() -> None:
        _one_at_a_time(neighbors, heavy, SLOW_NODES)

    ours, theirs = interleaved(3, lambda: random_walks(graph, length=LENGTH, per_node=PER_NODE), slow)
    return rate_row(
        "second-order random walks on a Delaunay graph", ours, POINTS * PER_NODE * LENGTH, theirs,
        SLOW_NODES * PER_NODE * LENGTH, "steps/s", "one walk at a time, in Python",
        f"{POINTS:,} points, {len(graph.neighbors) // 2:,} edges, {PER_NODE} walks of {LENGTH} nodes from each",
    )  # fmt: skip


def _one_at_a_time(neighbors: list[list[int]], weights: list[list[float]], nodes: int) -> None:
    for start in range(nodes):
        for _ in range(PER_NODE):
            walk = [start]
            before: set[int] = set()
            while len(walk) < LENGTH:
                here = walk[-1]
                steps = weights[here]
                if len(walk) > 1:
                    back = walk[-2]
                    steps = [
                        weight * (1.0 if other in before else 2.0)
                        for weight, other in zip(steps, neighbors[here], strict=True)
                    ]
                    if back in neighbors[here]:
                        at = neighbors[here].index(back)
                        steps[at] = weights[here][at] * 2.0
                sums = list(accumulate(steps))
                chosen = bisect.bisect_right(sums, random.random() * sums[-1])
                before = set(neighbors[here])
                walk.append(neighbors[here][min(chosen, len(sums) - 1)])


def _loss() -> Row:
    """Value and gradient of a batch."""
    torch.manual_seed(0)
    first, second = (torch.randn(BATCH, DIM, requires_grad=True) for _ in range(2))

    def broadcast() -> Tensor:
        vectors = torch.cat([first, second])
        similar = F.cosine_similarity(vectors[:, None], vectors[None], dim=2) / 0.5
        similar = similar.masked_fill(torch.eye(2 * BATCH, dtype=torch.bool), -torch.inf)
        return F.cross_entropy(similar, torch.arange(2 * BATCH).roll(BATCH))

    torch.testing.assert_close(nt_xent(first, second, 2.0), broadcast())
    ours, theirs = interleaved(
        5, lambda: nt_xent(first, second, 2.0).backward(), lambda: broadcast().backward()
    )
    return rate_row(
        f"NT-Xent, batch of {BATCH}", ours, 1, theirs, 1, "steps/s", "cosine similarity of all pairs, broadcast",
        f"value and gradient, {DIM} components, float32",
    )  # fmt: skip


def _pooling() -> Row:
    """Sets of 1 to 200 points, forward and backward."""
    sizes = np.random.default_rng(0).integers(1, MOST + 1, CELLS)
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)]))
    torch.manual_seed(0)
    members = torch.randn(int(offsets[-1]), CATEGORY_DIM, requires_grad=True)
    pool = Set2Set(CATEGORY_DIM)
    segment = segments_of(Ragged(members, offsets))
    alone = [torch.zeros(int(size), dtype=torch.int64) for size in sizes]

    def one_by_one() -> Tensor:
        parts = members.split(sizes.tolist())
        return torch.cat([pool(part, zeros, 1) for part, zeros in zip(parts, alone, strict=True)])

    torch.testing.assert_close(pool(members, segment, CELLS), one_by_one(), atol=1e-5, rtol=1e-4)
    ours, theirs = interleaved(
        5, lambda: pool(members, segment, CELLS).sum().backward(), lambda: one_by_one().sum().backward()
    )
    return rate_row(
        "Set2Set over ragged sets", ours, CELLS, theirs, CELLS, "cells/s", "cell by cell",
        f"{CELLS} cells of 1 to {MOST} points, {CATEGORY_DIM} components, forward and backward",
    )  # fmt: skip
