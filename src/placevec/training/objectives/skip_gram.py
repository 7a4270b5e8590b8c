"""Skip-gram with negative sampling, and the hierarchy of categories as a graph Laplacian.

``L = -mean_t sum_q [log s(c_t . k_q) + sum_i log s(-c_t . k_i)] + weight * L_h``: c are vectors of targets, k those of
contexts q and of negatives i, s the logistic function. L_h draws categories of one parent together:

========= =============================================================================================
hierarchy L_h, over pairs (i, j) of categories with the same parent
========= =============================================================================================
``paper`` ``1/2 sum_ij |c_i - c_j|^2``, which is trace(C' L C) with the graph Laplacian L
``code``  ``1/2 (sum_ij |c_i - c_j|)^2``: norms are summed, then squared, as in the published code
========= =============================================================================================

Source: Huang et al. 2022, IJGIS 36(10), doi:10.1080/13658816.2022.2040510, equations 4 to 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.training.samplers.walks import CONTEXT, EVERY, NEGATIVE, TARGET

Hierarchy = Literal["paper", "code"]


def hierarchy_term(vectors: Tensor, parents: Tensor, form: Hierarchy = "paper") -> Tensor:
    """L_h of (K, D) vectors whose parents are (K,) integers; -1: no parent. A scalar.

    >>> vectors, parents = torch.tensor([[0.0], [3.0], [9.0]]), torch.tensor([0, 0, 1])
    >>> float(hierarchy_term(vectors, parents)), float(hierarchy_term(vectors, parents, "code"))
    (9.0, 18.0)
    """
    known = parents >= 0
    if form == "code":
        same = (parents[:, None] == parents[None, :]) & known[:, None]
        same = same & ~torch.eye(len(parents), dtype=torch.bool, device=parents.device)
        first, second = same.nonzero(as_tuple=True)
        apart = torch.linalg.vector_norm(vectors[first] - vectors[second], dim=1)
        return torch.square(apart.sum()) / 2.0
    vectors, group = vectors[known], torch.unique(parents[known], return_inverse=True)[1]
    if not len(vectors):
        return vectors.sum()
    count = int(group.max()) + 1
    sums = vectors.new_zeros(count, vectors.shape[1]).index_add(0, group, vectors)
    sizes = vectors.new_zeros(count).index_add(0, group, torch.ones_like(vectors[:, 0]))
    # sum over a group of n: n sum |c|^2 - |sum c|^2, each pair twice, halved
    return (sizes[group] * vectors.square().sum(1)).sum() - sums.square().sum()


class SkipGram(Objective):
    """The objective of vectors of categories; see the module. Slots are those of `WalkSampler`.

    Args:
        parents: (K,) parent of each category, -1 without one.
        hierarchy: form of the term of the hierarchy.
        hierarchy_weight: its weight.

    >>> here = lambda *shape: Encoded(torch.zeros(*shape), torch.ones(shape[0], dtype=torch.bool))
    >>> slots = {TARGET: here(2, 4), CONTEXT: here(6, 4), NEGATIVE: here(12, 4), EVERY: here(3, 4)}
    >>> round(float(SkipGram([0, 0, 1])(slots, {})), 4)  # three contexts, each with two negatives: 9 log 2
    6.2383
    """

    def __init__(
        self, parents: list[int], *, hierarchy: Hierarchy = "paper", hierarchy_weight: float = 0.0
    ) -> None:
        super().__init__()
        if hierarchy not in get_args(Hierarchy):
            raise InputError(
                f"unknown form of the hierarchy {hierarchy!r}: choose from {', '.join(get_args(Hierarchy))}"
            )
        self.hierarchy: Hierarchy = hierarchy
        self.hierarchy_weight = float(hierarchy_weight)
        self.parents: Tensor
        self.register_buffer("parents", torch.tensor(parents), persistent=False)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The scalar loss."""
        target, context, negative = slots[TARGET].z, slots[CONTEXT].z, slots[NEGATIVE]
        count = len(target)
        near = (target[:, None] * context.view(count, -1, context.shape[1])).sum(2)
        far = (target[:, None] * negative.z.view(count, -1, context.shape[1])).sum(2)
        there = negative.present.view(count, -1)
        loss = -(F.logsigmoid(near).sum() + torch.where(there, F.logsigmoid(-far), 0.0).sum()) / count
        if self.hierarchy_weight:
            term = hierarchy_term(slots[EVERY].z, self.parents, self.hierarchy)
            loss = loss + self.hierarchy_weight * term
        return loss
