"""Triplet losses: an anchor should be nearer to its positive than to its negative.

Distances are Euclidean. The hinge uses ``d(a, b) = |a - b + 1e-6|``, torch's ``pairwise_distance``; SoftPN uses
``max(|a - b|, 1e-6)``. Both have finite gradients if two vectors coincide. With the swap of PN-Net the negative distance
is that of the nearer of anchor and positive, ``d* = min(d(a, n), d(p, n))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from placevec.core import Encoded, Objective
from placevec.errors import InputError

Reduction = Literal["mean", "active"]
"""``mean``: over all triplets; ``active``: over violating triplets only."""


def triplet_hinge(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, swap: bool = False
) -> Tensor:
    """(B,) hinge ``max(0, d(a, p) - d(a, n) + margin)`` of (B, D) vectors; with ``swap``, d* replaces d(a, n).

    Source: Weinberger & Saul 2009; swap: Balntas et al. 2016, BMVC, doi:10.5244/C.30.119.

    >>> near, far = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    >>> round(float(triplet_hinge(near, far, near, margin=0.5)), 3)
    5.5
    """
    distances = F.pairwise_distance(anchor, positive), _negative_distance(anchor, positive, negative, swap)
    return F.relu(distances[0] - distances[1] + margin)


def softpn(anchor: Tensor, positive: Tensor, negative: Tensor, scale: float = 1.0) -> Tensor:
    """(B,) SoftPN loss of (B, D) vectors, ``2 sigmoid(s (d+ - d*))^2``.

    The published form is the squared error of a softmax over the two distances to (0, 1),
    ``[e^d+ / (e^d+ + e^d*)]^2 + [e^d* / (e^d+ + e^d*) - 1]^2``. Both terms equal ``sigmoid(d+ - d*)^2``, and the
    sigmoid cannot overflow. For vectors of length 1, distances are at most 2, so with s = 1 the loss cannot fall below
    0.0284: use vectors of free length or a larger scale.

    Source: Balntas et al. 2016, PN-Net, arXiv:1601.05030 (s = 1; its code averages the two terms, half of this); used by
    Loc2Vec, Spruyt 2018.

    >>> near, far = torch.tensor([[0.0, 0.0]]), torch.tensor([[30.0, 40.0]])
    >>> float(softpn(near, near, far)) < 1e-12
    True
    """
    positive_distance = _plain_distance(anchor, positive)
    nearest = torch.minimum(_plain_distance(anchor, negative), _plain_distance(positive, negative))
    return 2.0 * torch.sigmoid(scale * (positive_distance - nearest)) ** 2


class TripletLoss(Objective):
    """Triplet hinge loss, see `triplet_hinge`.

    The founding 12-layer system calls ``margin=0.2, swap=True, reduction="active"`` its "softpn".

    Args:
        anchor, positive, negative: names of the slots.
        margin: margin, in units of the vectors.
        swap: measure the negative distance from the nearer of anchor and positive.
        reduction: ``mean`` over all triplets, or over violating (``active``) triplets only.

    >>> names = ("anchor", "positive", "negative")
    >>> slots = {name: Encoded(torch.zeros(2, 4), torch.ones(2, dtype=torch.bool)) for name in names}
    >>> round(float(TripletLoss(margin=0.2)(slots, {})), 4)  # collapsed vectors: the margin
    0.2
    """

    def __init__(
        self,
        anchor: str = "anchor",
        positive: str = "positive",
        negative: str = "negative",
        *,
        margin: float = 0.2,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if not margin > 0:
            raise InputError(
                f"the triplet margin must be positive (0.2 suits vectors of length 1); got {margin}"
            )
        if reduction not in get_args(Reduction):
            raise InputError(f"reduction must be {' or '.join(get_args(Reduction))}; got {reduction!r}")
        self.slots = (anchor, positive, negative)
        self.margin, self.swap, self.reduction = margin, swap, reduction
        self.collapsed_loss = margin

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The scalar loss over complete triplets; 0 if there are none."""
        anchor, positive, negative, whole = present_triplets(slots, self.slots)
        hinge = triplet_hinge(anchor, positive, negative, self.margin, self.swap)
        counted = whole & (hinge > 0) if self.reduction == "active" else whole
        return mean_where(hinge, counted)

    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `triplet_numbers`; a triplet is active if its hinge is above 0."""
        return triplet_numbers(slots, self.slots, self.margin, self.swap)


class SoftPN(Objective):
    """SoftPN loss, see `softpn`.

    Args:
        anchor, positive, negative: names of the slots.
        scale: multiplies distances; 1 as published, for vectors that are not normalized.

    >>> names = ("anchor", "positive", "negative")
    >>> slots = {name: Encoded(torch.zeros(2, 4), torch.ones(2, dtype=torch.bool)) for name in names}
    >>> float(SoftPN()(slots, {}))  # collapsed vectors
    0.5
    """

    def __init__(
        self,
        anchor: str = "anchor",
        positive: str = "positive",
        negative: str = "negative",
        *,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not scale > 0:
            raise InputError(f"the scale of SoftPN must be positive; got {scale}")
        self.slots = (anchor, positive, negative)
        self.scale = scale
        self.collapsed_loss = 0.5

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over complete triplets; 0 if there are none."""
        anchor, positive, negative, whole = present_triplets(slots, self.slots)
        return mean_where(softpn(anchor, positive, negative, self.scale), whole)

    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `triplet_numbers`; a triplet is active if its positive is not nearer than d*."""
        return triplet_numbers(slots, self.slots, 0.0, swap=True)


@torch.no_grad()
def triplet_numbers(
    slots: Mapping[str, Encoded], names: tuple[str, str, str], margin: float, swap: bool
) -> dict[str, Tensor]:
    """Metrics of a batch of triplets: mean distances, and the share of violating triplets.

    Returns:
        ``positive_distance``, ``negative_distance`` (with ``swap`` the smaller of the two, d*) and ``active_share``, the
        share of complete triplets with ``d+ - d- + margin > 0``, counted per triplet. (The founding code counted after
        averaging, so its share of a batch was always 0 or 1.)
    """
    anchor, positive, negative, whole = present_triplets(slots, names)
    near = F.pairwise_distance(anchor, positive)
    far = _negative_distance(anchor, positive, negative, swap)
    active = (near - far + margin > 0).to(near.dtype)
    return {
        "positive_distance": mean_where(near, whole),
        "negative_distance": mean_where(far, whole),
        "active_share": mean_where(active, whole),
    }


def present_triplets(
    slots: Mapping[str, Encoded], names: tuple[str, str, str]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Three (B, D) tensors, zero where the triplet is incomplete, and (B,) bool: which triplets are complete."""
    anchor, positive, negative = (slots[name] for name in names)
    whole = anchor.present & positive.present & negative.present
    # zeros instead of a product with 0: a missing row may be NaN, which must not affect the value or the gradient
    filled = [torch.where(whole[:, None], part.z, 0.0) for part in (anchor, positive, negative)]
    return filled[0], filled[1], filled[2], whole


def mean_where(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the (B,) values whose row in ``counted`` is true; 0, still differentiable, if there are none.

    >>> float(mean_where(torch.tensor([1.0, 5.0, 3.0]), torch.tensor([True, False, True])))
    2.0
    """
    return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)


def _negative_distance(anchor: Tensor, positive: Tensor, negative: Tensor, swap: bool) -> Tensor:
    distance = F.pairwise_distance(anchor, negative)
    return torch.minimum(distance, F.pairwise_distance(positive, negative)) if swap else distance


def _plain_distance(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).square().sum(1).clamp_min(1e-12).sqrt()
