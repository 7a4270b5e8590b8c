"""Encoders of sets of points of interest: a vector for each category, then pooling over the points of a cell.

Input is what a view of points reads: `placevec.core.Ragged` with ``values`` (total, 3): category, meters east and meters
north of the center. Sets have different sizes and are never padded: sums and softmaxes are taken over segments of one
long tensor. Output is (N, dim); of an empty set it is what pooling makes of nothing, which callers treat as missing.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Batch, Ragged
from placevec.encoders.arguments import whole
from placevec.errors import ModelError

Pooling = Literal["attention", "set2set", "graph"]
MAX_CATEGORIES, MAX_DISTANCES = 65_536, 16


def segments_of(sets: Ragged) -> Tensor:
    """(total,) int64: the set that each member belongs to.

    >>> segments_of(Ragged(torch.zeros(5, 3), torch.tensor([0, 2, 2, 5]))).tolist()
    [0, 0, 2, 2, 2]
    """
    sizes = sets.offsets.diff()
    return torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)


def segment_sum(values: Tensor, segment: Tensor, count: int) -> Tensor:
    """(count, ...) sums of the members of each set; 0 of an empty one."""
    return values.new_zeros(count, *values.shape[1:]).index_add(0, segment, values)


def segment_softmax(scores: Tensor, segment: Tensor, count: int) -> Tensor:
    """Softmax of (total, ...) scores within each set.

    >>> segment_softmax(torch.zeros(3), torch.tensor([0, 0, 1]), 2).tolist()
    [0.5, 0.5, 1.0]
    """
    index = segment.view(-1, *(1 for _ in scores.shape[1:])).expand_as(scores)
    highest = torch.full((count, *scores.shape[1:]), -math.inf, dtype=scores.dtype, device=scores.device)
    highest = highest.scatter_reduce(0, index, scores.detach(), "amax")
    exponents = (scores - highest.index_select(0, segment)).exp()
    return exponents / segment_sum(exponents, segment, count).index_select(0, segment)


class Set2Set(nn.Module):
    """Set2Set: an LSTM that attends to the members of a set a few times; the result is twice as long as they are.

    ``q_t = LSTM(r_(t-1)); a = softmax(x_i . q_t); r_t = [q_t; sum a_i x_i]``.

    Args:
        dim: length of the members' vectors.
        steps: how often it attends.

    Source: Vinyals et al. 2016, arXiv:1511.06391; MMGR and Huang et al. 2022 use five steps.

    >>> Set2Set(4)(torch.randn(5, 4), torch.tensor([0, 0, 1, 1, 1]), 2).shape
    torch.Size([2, 8])
    """

    def __init__(self, dim: int, steps: int = 5) -> None:
        super().__init__()
        self.dim, self.steps = dim, steps
        self.lstm = nn.LSTM(2 * dim, dim)

    def forward(self, members: Tensor, segment: Tensor, count: int) -> Tensor:
        """(total, dim) members of ``count`` sets -> (count, 2 dim)."""
        state = (members.new_zeros(1, count, self.dim), members.new_zeros(1, count, self.dim))
        result = members.new_zeros(count, 2 * self.dim)
        for _ in range(self.steps):
            query, state = self.lstm(result[None], state)
            query = query[0]
            scores = (members * query.index_select(0, segment)).sum(1)
            weights = segment_softmax(scores, segment, count)
            result = torch.cat([query, segment_sum(weights[:, None] * members, segment, count)], dim=1)
        return result


class AttentionPooling(nn.Module):
    """Learned queries that attend to the members of a set, as in a set transformer, with the mean and the count.

    Args:
        dim: length of the members' vectors, a multiple of ``heads``.
        heads: number of queries.

    Source: Lee et al. 2019, arXiv:1810.00825 (pooling by multihead attention).

    >>> AttentionPooling(8, 4)(torch.randn(5, 8), torch.tensor([0, 0, 1, 1, 1]), 3).shape
    torch.Size([3, 17])
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        if dim % heads:
            raise ModelError(f"the width ({dim}) must be a multiple of the number of heads ({heads})")
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(heads, dim // heads) / math.sqrt(dim // heads))
        self.keys, self.values = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, members: Tensor, segment: Tensor, count: int) -> Tensor:
        """(total, dim) members of ``count`` sets -> (count, 2 dim + 1): attended, mean, logarithm of 1 + size."""
        keys = self.keys(members).view(len(members), self.heads, -1)
        weights = segment_softmax((keys * self.queries).sum(2), segment, count)
        values = self.values(members).view(len(members), self.heads, -1)
        pooled = segment_sum(weights[:, :, None] * values, segment, count).flatten(1)
        sizes = segment_sum(torch.ones_like(members[:, :1]), segment, count)
        mean = segment_sum(members, segment, count) / sizes.clamp(min=1.0)
        return torch.cat([pooled, mean, sizes.log1p()], dim=1)


class DistanceCounts(nn.Module):
    """How many members of a set lie near the center, for several distances, and how much there is of what is learned.

    A mean over a set forgets how many members it has and how many of them are near. With distances ``r_k`` (half the side
    of a cell, then each half of the one before), the first part is ``log(1 + sum_i exp(-d_i / r_k))``, the second
    ``log(1 + sum_i softplus(W [x_i, e^(-d_i / r_1), ...]))``.

    Args:
        dim: length of the members' vectors.
        distances: how many, K.
        size_m: side of a cell, meters.
        learned: length of the second part.

    >>> near, far = torch.tensor([[100.0, 0.0]]), torch.tensor([[0.0, 500.0]])
    >>> pool = DistanceCounts(4, distances=3, size_m=1000.0, learned=2)
    >>> found = [pool(torch.zeros(1, 4), meters, torch.tensor([0]), 1) for meters in (near, far)]
    >>> found[0].shape, bool((found[0][:, :3] > found[1][:, :3]).all())
    (torch.Size([1, 5]), True)
    """

    reach: Tensor

    def __init__(self, dim: int, distances: int, size_m: float, learned: int = 32) -> None:
        super().__init__()
        self.out = distances + learned
        self.weigh = nn.Linear(dim + distances, learned)
        reach = size_m / 2.0 ** torch.arange(1, distances + 1)
        self.register_buffer("reach", reach, persistent=False)

    def forward(self, members: Tensor, meters: Tensor, segment: Tensor, count: int) -> Tensor:
        """(total, dim) members, (total, 2) meters from the center -> (count, K + learned)."""
        near = torch.exp(-meters.norm(dim=1, keepdim=True).to(members.dtype) / self.reach)
        weights = F.softplus(self.weigh(torch.cat([members, near], dim=1)))
        return segment_sum(torch.cat([near, weights], dim=1), segment, count).log1p()


class GraphAttention(nn.Module):
    """One layer of graph attention over edges and self-loops, added to its input.

    Args:
        dim: length of the members' vectors, a multiple of ``heads``.
        heads: attention heads.

    Source: Brody et al. 2022, arXiv:2105.14491 (GATv2).

    >>> layer = GraphAttention(8, 2)
    >>> layer(torch.randn(3, 8), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([3, 8])
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        if dim % heads:
            raise ModelError(f"the width ({dim}) must be a multiple of the number of heads ({heads})")
        self.heads = heads
        self.source, self.target = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.attention = nn.Parameter(torch.randn(heads, dim // heads) / math.sqrt(dim // heads))

    def forward(self, members: Tensor, edges: Tensor) -> Tensor:
        """(total, dim) members and (2, E) edges, from the first to the second -> (total, dim)."""
        own = torch.arange(len(members), device=members.device)
        start, end = (torch.cat([side, own]) for side in edges)
        source = self.source(members).view(len(members), self.heads, -1)
        target = self.target(members).view(len(members), self.heads, -1)
        there = source.index_select(0, start)
        scores = (F.leaky_relu(there + target.index_select(0, end), 0.2) * self.attention).sum(2)
        weights = segment_softmax(scores, end, len(members))
        return members + F.elu(segment_sum(weights[:, :, None] * there, end, len(members)).flatten(1))


class PoiSetEncoder(nn.Module):
    """Sets of points of interest -> vectors.

    Args:
        categories: number of categories.
        dim: length of the vectors.
        category_dim: length of the vectors of categories.
        pooling: ``set2set`` as MMGR, without positions; ``attention``: learned queries over categories and positions;
            ``graph``: the same after two layers of graph attention over Delaunay edges, which the view must provide.
        positions: whether positions in the cell are read, as sines and cosines (not of ``set2set``).
        size_m: side of the cell in meters, by which positions are divided.
        trained_categories: whether vectors of categories are trained, too; ready ones can stay as they are.
        distances: in how many distances from the center points are counted, see `DistanceCounts`; 0 counts only all of
            them (not of ``set2set``, and only with positions).

    Source: founding document 003; its pooling has 49,664 weights with categories of 64 components.

    >>> sets = Ragged(torch.tensor([[0.0, 5.0, -5.0], [2.0, 0.0, 0.0]]), torch.tensor([0, 2, 2]))
    >>> encoder = PoiSetEncoder(3, dim=16)
    >>> encoder(sets).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        categories: int,
        dim: int = 128,
        category_dim: int = 64,
        pooling: Pooling = "attention",
        positions: bool = True,
        size_m: float = 1000.0,
        trained_categories: bool = True,
        distances: int = 0,
    ) -> None:
        super().__init__()
        self.categories = whole("categories", categories, 1, MAX_CATEGORIES)
        self.dim = whole("dim", dim, 1, 8192)
        self.category_dim = whole("category_dim", category_dim, 4, 1024)
        if pooling not in get_args(Pooling):
            raise ModelError(f"pooling must be one of {', '.join(get_args(Pooling))}; got {pooling!r}")
        if not isinstance(size_m, int | float) or isinstance(size_m, bool) or not size_m > 0:
            raise ModelError(f"size_m must be a positive number of meters; got {size_m!r}")
        self.pooling, self.size_m = pooling, float(size_m)
        self.positions = bool(positions) and pooling != "set2set"
        self.trained_categories = bool(trained_categories)
        self.distances = whole("distances", distances, 0, MAX_DISTANCES) if self.positions else 0
        self.vectors = nn.Embedding(categories, category_dim)
        self.vectors.weight.requires_grad_(self.trained_categories)
        self.place = nn.Linear(8, category_dim) if self.positions else None
        self.layers = nn.ModuleList(GraphAttention(category_dim) for _ in range(2 * (pooling == "graph")))
        self.pool: nn.Module
        if pooling == "set2set":
            self.pool, pooled = Set2Set(category_dim), 2 * category_dim
        else:
            self.pool, pooled = AttentionPooling(category_dim), 2 * category_dim + 1
        self.near = DistanceCounts(category_dim, self.distances, self.size_m) if self.distances else None
        pooled += 0 if self.near is None else self.near.out
        self.project = nn.Identity() if pooling == "set2set" and pooled == dim else nn.Linear(pooled, dim)

    @property
    def reads_edges(self) -> bool:
        """Whether the view must provide Delaunay edges."""
        return self.pooling == "graph"

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {
            "categories": self.categories, "dim": self.dim, "category_dim": self.category_dim,
            "pooling": self.pooling, "positions": self.positions, "size_m": self.size_m,
            "trained_categories": self.trained_categories, "distances": self.distances,
        }  # fmt: skip

    def forward(self, batch: Batch) -> Tensor:
        """Sets -> (N, dim).

        Raises:
            ModelError: not sets of points, an unknown category, or no edges where they are read.
        """
        if not isinstance(batch, Ragged) or batch.values.ndim != 2 or batch.values.shape[1] != 3:
            raise ModelError("this encoder reads sets of points: category, meters east, meters north")
        category = batch.values[:, 0].long()
        if len(category) and not (int(category.min()) >= 0 and int(category.max()) < self.categories):
            raise ModelError(f"categories must be 0 to {self.categories - 1}; got {int(category.max())}")
        if self.layers and batch.edges is None:
            raise ModelError("this encoder reads edges between points, which the view does not provide")
        with torch.autocast(
            batch.values.device.type, enabled=False
        ):  # small sums, which bf16 would only blur
            members = kinds = self.vectors(category)
            if self.place is not None:
                members = members + self.place(self._place(batch.values[:, 1:]).to(members.dtype))
            for layer in self.layers:
                members = layer(members, batch.edges)
            segment, count = segments_of(batch), len(batch.offsets) - 1
            pooled = self.pool(members, segment, count)
            if self.near is not None:
                pooled = torch.cat([pooled, self.near(kinds, batch.values[:, 1:], segment, count)], dim=1)
            vectors: Tensor = self.project(pooled)
        return vectors

    def _place(self, meters: Tensor) -> Tensor:
        """(total, 8): sines and cosines of the position within the cell, of one and of two waves."""
        turn = meters * (2.0 * math.pi / (2.0 * self.size_m))
        return torch.cat([turn.sin(), turn.cos(), (2.0 * turn).sin(), (2.0 * turn).cos()], dim=1)
