"""Vectors of categories of points of interest, and the mean of those in a cell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from placevec.core import Batch, Ragged
from placevec.encoders.arguments import whole
from placevec.encoders.poi_set import MAX_CATEGORIES, segment_sum, segments_of
from placevec.errors import ModelError


class PoiCategories(nn.Module):
    """A table of vectors; a set of points is the mean of those of its categories.

    Args:
        categories: number of categories, K.
        dim: length of the vectors.
        parents: (K,) position of each category's group, its own of a group.
        seen: (K,) whether a category occurred in training. What did not is the mean of the seen ones of its group, or
            of all where there are none.

    >>> table = PoiCategories(3, 2, parents=[0, 0, 0], seen=[False, True, True])
    >>> bool(torch.allclose(table.table()[0], table.vectors.weight[1:].mean(0)))
    True
    """

    def __init__(
        self,
        categories: int,
        dim: int = 64,
        parents: list[int] | None = None,
        seen: list[bool] | None = None,
    ) -> None:
        super().__init__()
        self.categories = whole("categories", categories, 1, MAX_CATEGORIES)
        self.dim = whole("dim", dim, 1, 8192)
        self.parents = list(range(categories)) if parents is None else parents
        self.seen = [True] * categories if seen is None else seen
        if len(self.parents) != categories or len(self.seen) != categories:
            raise ModelError(f"parents and seen must have one entry per category ({categories})")
        for parent in self.parents:
            whole("parents", parent, 0, categories - 1)
        self.vectors = nn.Embedding(categories, dim)
        nn.init.uniform_(self.vectors.weight, -0.5 / dim, 0.5 / dim)
        self._completion: Tensor | None = None

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {"categories": self.categories, "dim": self.dim, "parents": self.parents, "seen": self.seen}

    def table(self) -> Tensor:
        """(K, dim) vectors of all categories, also of those that were not seen."""
        weight = self.vectors.weight
        if self._completion is None or self._completion.device != weight.device:
            self._completion = self._completed().to(weight.device)
        return self._completion @ weight

    def forward(self, batch: Batch) -> Tensor:
        """Sets of points -> (N, dim); zeros of an empty set.

        Raises:
            ModelError: not sets of points, or an unknown category.
        """
        if not isinstance(batch, Ragged):
            raise ModelError("this encoder reads sets of points")
        values = batch.values
        category = (values if values.ndim == 1 else values[:, 0]).long()
        if len(category) and not (int(category.min()) >= 0 and int(category.max()) < self.categories):
            raise ModelError(f"categories must be 0 to {self.categories - 1}; got {int(category.max())}")
        members = nn.functional.embedding(category, self.vectors.weight if all(self.seen) else self.table())
        sizes = batch.offsets.diff()
        if bool((sizes == 1).all()):
            return members
        sums = segment_sum(members, segments_of(batch), len(sizes))
        return sums / sizes.clamp(min=1)[:, None]

    def _completed(self) -> Tensor:
        """(K, K): the identity for what was seen, else the mean of what was seen of the group."""
        seen, parents = torch.tensor(self.seen), torch.tensor(self.parents)
        same = (parents[:, None] == parents[None, :]) & seen
        same[~same.any(1)] = seen if bool(seen.any()) else torch.ones_like(seen)
        means = same.float() / same.sum(1, keepdim=True)
        return torch.where(seen[:, None], torch.eye(self.categories), means)
