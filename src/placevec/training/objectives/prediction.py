"""Predicting what is there, from a place's vector: shares of hidden layers, uses of the land, which tags occur."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective
from placevec.errors import InputError

_RARE = 1e-3


class PredictShares(Objective):
    """A linear head on the vectors predicts shares; the loss is the part of their surprise that stays unexplained.

    For output j with targets ``t`` in 0..1 and logits ``y`` the cross-entropy is ``-t log s(y) - (1 - t) log s(-y)``.
    The sum over all outputs is divided by the sum of the entropies of their means, ``H(m_j)``: 1 is what the means
    alone achieve, where the head starts. Common things so weigh more than rare ones, by how uncertain they are.

    Args:
        dim: length of the vectors.
        mean: (T,) mean of every output over the places trained on, 0..1; taken to be at least 0.001.
        slot: whose vectors predict.
        target: name of the targets, (B, T) in 0..1; NaN where nothing is known, which then counts nowhere.

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
        """Over present places and known outputs; 0 when there are none."""
        encoded = slots[self.slot]
        shares = _drawn(targets, self.target).to(encoded.z)
        known = encoded.present[:, None] & torch.isfinite(shares)
        logits = self.head(torch.where(encoded.present[:, None], encoded.z, 0.0))
        shares = torch.where(known, shares, 0.0)
        losses = F.binary_cross_entropy_with_logits(logits, shares, reduction="none")
        uncertain = torch.where(known, self.entropy, 0.0).sum()
        return torch.where(known, losses, 0.0).sum() / uncertain.clamp(min=_RARE)


class PredictDistribution(Objective):
    """A linear head on the vectors predicts how the ground divides; the loss is cross-entropy by entropy of the mean.

    The targets ``t_1 .. t_T`` are the parts of uses that exclude one another; what they leave of 1 is a use of its
    own, ``t_0``. With ``p = softmax(y)`` the loss is ``-sum_j t_j log p_j / H(m)``: 1 is what the mean ``m`` achieves.

    Args:
        dim: length of the vectors.
        mean: (T,) mean of every part over the places trained on, 0..1.
        slot: whose vectors predict.
        target: name of the targets, (B, T) in 0..1; a row with a NaN counts nowhere, a sum above 1 is scaled to 1.

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
        """The mean over present places of known ground; 0 when there are none."""
        encoded = slots[self.slot]
        shares = _drawn(targets, self.target).to(encoded.z)
        known = encoded.present & torch.isfinite(shares).all(dim=1)
        parts = _with_rest(torch.where(known[:, None], shares, 0.0))
        logits = self.head(torch.where(encoded.present[:, None], encoded.z, 0.0))
        losses = -(parts * logits.log_softmax(dim=1)).sum(dim=1) / self.entropy
        return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


def _with_rest(shares: Tensor) -> Tensor:
    """(B, 1 + T): what the shares leave of 1, then the shares, scaled where they overlap."""
    shares = shares / shares.sum(dim=1, keepdim=True).clamp(min=1.0)
    return torch.cat([1.0 - shares.sum(dim=1, keepdim=True), shares], dim=1)


def _checked(mean: Tensor) -> Tensor:
    if mean.dim() != 1 or len(mean) == 0 or not bool(((mean >= 0) & (mean <= 1)).all()):
        raise InputError("what is predicted are shares from 0 to 1, and at least one")
    return mean.double()


def _head(dim: int, start: Tensor) -> nn.Linear:
    """A linear layer that says ``start`` of every vector before it is trained."""
    head = nn.Linear(dim, len(start))
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.copy_(start)
    return head


def _drawn(targets: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in targets:
        raise InputError(f"the target {name} is missing: this sampler does not draw it")
    return targets[name]
