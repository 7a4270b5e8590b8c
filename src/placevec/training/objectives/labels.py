"""The loss of a head on the labels of places, whatever their kind: classes, shares of a whole, yes or no, a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.models.heads import Head, widened

Labels = Literal["shares", "flags", "number"]
"""Rows that sum to 1 (one class is a share of 1), rows of 0 and 1, or one number."""
LABELS: tuple[Labels, ...] = ("shares", "flags", "number")


def label_loss(labels: Labels, outputs: Tensor, target: Tensor) -> Tensor:
    """(N,) loss of (N, K) outputs of a head, given (N, K) targets.

    ``shares``: cross-entropy ``-sum_k t_k log softmax(s)_k``; ``flags``: the mean over columns of the logistic loss;
    ``number``: squared error of standardized numbers.

    >>> import math
    >>> loss = label_loss("shares", torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
    >>> round(loss.item() / math.log(4), 6)
    1.0
    """
    if labels == "shares":
        return -(target * F.log_softmax(outputs, dim=-1)).sum(dim=-1)
    if labels == "flags":
        return F.binary_cross_entropy_with_logits(outputs, target, reduction="none").mean(dim=-1)
    return ((outputs - target) ** 2).mean(dim=-1)


class LabelLoss(Objective):
    """`label_loss` of a head on the vectors of one slot, mean over the places of a batch. The target is ``label``.

    Args:
        head: trained with the loss.
        labels: what they are; of ``number`` targets are standardized already.
        slot: whose vectors the head reads.

    Raises:
        InputError: unknown labels.
    """

    def __init__(self, head: Head, labels: Labels, slot: str) -> None:
        super().__init__()
        if labels not in LABELS:
            raise InputError(f"labels must be one of {', '.join(LABELS)}; got {labels!r}")
        self.head, self.labels, self.slot = head, labels, slot

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss over present places; 0 if there are none."""
        encoded = slots[self.slot]
        outputs = widened(self.head(encoded.z))
        losses = label_loss(self.labels, outputs, targets["label"].to(outputs.dtype))
        return torch.where(encoded.present, losses, 0.0).sum() / encoded.present.sum().clamp(min=1)
