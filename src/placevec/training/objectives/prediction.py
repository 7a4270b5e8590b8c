"""Auxiliary prediction from a place's vector: coverage of hidden layers, land use, presence of tags."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective
from placevec.errors import InputError

_RARE = 1e-3


class PredictShares(Objective):
    """A linear head predicts shares in 0..1; the loss is cross-entropy relative to that of predicting the mean.

    For output j with targets ``t`` in 0..1 and logits ``y`` the cross-entropy is ``-t log s(y) - (1 - t) log s(-y)``.
    The sum over all outputs is divided by the sum of the entropies of their means, ``H(m_j)``: predicting the means,
    as the untrained head does, gives 1. Outputs are weighted by their entropy, so common ones weigh more than rare ones.

    Args:
        dim: length of the vectors.
        mean: (T,) mean of every output over the training places, 0..1; clipped to at least 0.001.
        slot: the slot whose vectors are used.
        target: name of the targets, (B, T) in 0..1; NaN if unknown, which is ignored.

    >>> objective = PredictShares(4, torch.tensor([0.5, 0.1]))
    >>> slots = {"anchor": Encoded(torch.zeros(3, 4), torch.ones(3, dtype=torch.bool))}
    >>> targets = {"shares": torch.tensor([[0.5, 0.1]] * 3)}  # the mean, which the head starts at
    >>> round(objective(slots, targets).item(), 4)
    1.0
    """

    def __init__(self, dim: int, mean: Tensor, *, slot: str = "anchor", target: str = "shares") -> None:
        super().__init__()
        self.slot, self.target = slot, target
        mean = _checked(mean).clamp(_RARE, 1.0 - _RARE)
        self.head = _head(dim, torch.logit(mean))
        entropy = -(mean * mean.log() + (1 - mean) * (1 - mean).log())
        self.entropy: Tensor
        self.register_buffer("entropy", entropy.float(), persistent=False)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss over present places and known outputs; 0 if there are none."""
        encoded = slots[self.slot]
        shares = _drawn(targets, self.target).to(encoded.z)
        known = encoded.present[:, None] & torch.isfinite(shares)
        logits = self.head(torch.where(encoded.present[:, None], encoded.z, 0.0))
        shares = torch.where(known, shares, 0.0)
        losses = F.binary_cross_entropy_with_logits(logits, shares, reduction="none")
        uncertain = torch.where(known, self.entropy, 0.0).sum()
        return torch.where(known, losses, 0.0).sum() / uncertain.clamp(min=_RARE)


class PredictDistribution(Objective):
    """A linear head predicts a distribution over classes, such as land use; the loss is relative cross-entropy.

    The targets ``t_1 .. t_T`` are shares of mutually exclusive classes; the remainder to 1 is an additional class,
    ``t_0``. With ``p = softmax(y)`` the loss is ``-sum_j t_j log p_j / H(m)``: predicting the mean ``m`` gives 1.

    Args:
        dim: length of the vectors.
        mean: (T,) mean of every share over the training places, 0..1.
        slot: the slot whose vectors are used.
        target: name of the targets, (B, T) in 0..1; rows with NaN are ignored, sums above 1 are scaled to 1.

    >>> objective = PredictDistribution(4, torch.tensor([0.5, 0.1]))
    >>> slots = {"anchor": Encoded(torch.zeros(3, 4), torch.ones(3, dtype=torch.bool))}
    >>> round(objective(slots, {"shares": torch.tensor([[0.5, 0.1]] * 3)}).item(), 4)
    1.0
    """

    def __init__(self, dim: int, mean: Tensor, *, slot: str = "anchor", target: str = "shares") -> None:
        super().__init__()
        self.slot, self.target = slot, target
        parts = _with_rest(_checked(mean)[None])[0].clamp(min=_RARE)
        parts = parts / parts.sum()
        self.head = _head(dim, parts.log())
        self.entropy: Tensor
        self.register_buffer("entropy", -(parts * parts.log()).sum().float(), persistent=False)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over present places with known targets; 0 if there are none."""
        encoded = slots[self.slot]
        shares = _drawn(targets, self.target).to(encoded.z)
        known = encoded.present & torch.isfinite(shares).all(dim=1)
        parts = _with_rest(torch.where(known[:, None], shares, 0.0))
        logits = self.head(torch.where(encoded.present[:, None], encoded.z, 0.0))
        losses = -(parts * logits.log_softmax(dim=1)).sum(dim=1) / self.entropy
        return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


def _with_rest(shares: Tensor) -> Tensor:
    """(B, 1 + T): the remainder to 1, then the shares, scaled down if they sum to more than 1."""
    shares = shares / shares.sum(dim=1, keepdim=True).clamp(min=1.0)
    return torch.cat([1.0 - shares.sum(dim=1, keepdim=True), shares], dim=1)


def _checked(mean: Tensor) -> Tensor:
    if mean.dim() != 1 or len(mean) == 0 or not bool(((mean >= 0) & (mean <= 1)).all()):
        raise InputError("mean must be a non-empty vector of shares from 0 to 1")
    return mean.double()


def _head(dim: int, start: Tensor) -> nn.Linear:
    """A linear layer that returns ``start`` for every vector before it is trained."""
    head = nn.Linear(dim, len(start))
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(start)
    return head


def _drawn(targets: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in targets:
        raise InputError(f"the target {name!r} is missing: this sampler does not provide it")
    return targets[name]
