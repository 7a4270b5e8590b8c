"""Supervised losses with one label per point, a class or a number. The slot is ``point``, the target ``label``."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.models.heads import Head, widened


class ClassLoss(Objective):
    """Softmax cross-entropy over classes: the mean of ``-sum_c t_c log softmax(s)_c``.

    With label smoothing e, t is ``1 - e + e / C`` at the label and ``e / C`` elsewhere (Szegedy et al. 2016).

    Args:
        head: the model's head, of kind ``classes``; trained with the loss.
        label_smoothing: e, at least 0 and less than 1.

    >>> import math
    >>> loss = ClassLoss(Head(2, "classes", ["sea", "land", "ice"]))
    >>> with torch.no_grad(): _ = loss.head.linear.bias.zero_()
    >>> slots = {"point": Encoded(torch.zeros(2, 2), torch.ones(2, dtype=torch.bool))}
    >>> round(loss(slots, {"label": torch.tensor([0, 2])}).item() / math.log(3), 6)
    1.0
    """

    def __init__(self, head: Head, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if head.kind != "classes":
            raise InputError(f"cross-entropy needs a head of kind 'classes'; got {head.kind!r}")
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing must be at least 0 and less than 1; got {label_smoothing}")
        self.head, self.label_smoothing = head, float(label_smoothing)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss over present points with a known label (not -1); 0 if there are none."""
        label = _label(targets).long()
        known = slots["point"].present & (label >= 0)
        logits = widened(self.head(slots["point"].z))
        losses = F.cross_entropy(
            logits, label.clamp(min=0), reduction="none", label_smoothing=self.label_smoothing
        )
        return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


class NumberLoss(Objective):
    """Mean squared error of standardized numbers: the mean of ``((y - mean) / deviation - head(z))^2``.

    Predicting the training mean gives 1 on the training numbers.

    Args:
        head: the model's head, of kind ``number``, which stores mean and standard deviation; trained with the loss.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        if head.kind != "number":
            raise InputError(f"regression needs a head of kind 'number'; got {head.kind!r}")
        self.head = head

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss over present points with a known number (not NaN); 0 if there are none."""
        number = _label(targets)
        known = slots["point"].present & torch.isfinite(number)
        # in the numbers' own dtype: small differences from a large mean would be lost in float32
        wanted = torch.where(known, (number - self.head.mean) / self.head.deviation, 0.0)
        found = widened(self.head(slots["point"].z)[:, 0])
        losses = (found - wanted.to(found.dtype)) ** 2
        return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


def _label(targets: Mapping[str, Tensor]) -> Tensor:
    if "label" not in targets:
        raise InputError("the target 'label' is missing: this sampler does not provide it")
    return targets["label"]
