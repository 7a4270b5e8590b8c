"""Presence-only losses: learning from sightings, with assumed absences.

All use the slot ``point`` with the target ``label``, (N,) int64 class indices (-1 is unknown and ignored). Most also use
the slot ``background``: points where all classes are assumed to be absent. With ``s = head(z)`` the probability of a
class is ``p = sigmoid(s)``. Losses are computed from logits, ``-log p = softplus(-s)`` and
``-log(1 - p) = softplus(s)``; the originals use ``-log(p + 1e-5)``. Apart from the 1e-5 this is the same, but does not
limit gradients and is finite in bf16.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.models.heads import Head, widened

SINR_POSITIVE_WEIGHT = 2048.0
"""Weight of the observed class in ``an_full`` of Cole et al. 2023."""


class PresenceLoss(Objective):
    """Presence-only loss over all classes: the observed class is present, the others and all at background are absent.

    ``mean_bc[ c = y_b ? w softplus(-s_bc) : softplus(s_bc) ] + v mean_bc[ softplus(s'_bc) ]`` over points b and classes
    c, with s' at background points. With ``users`` (Mac Aodha et al., equations 8 and 9), where u_b is the vector of the
    observer: ``+ mean_b[ softplus(-u_b . z_b) ] + mean_b[ softplus(u_b . z'_b) ]``, and the class term again with
    ``W u_b`` instead of s_b. Points with user -1 are ignored in the last three terms.

    Args:
        head: the model's head, of kind ``presence``; trained with the loss.
        positive_weight: w (default: the number of classes, as in Mac Aodha et al.; ``an_full`` of Cole et al.: 2,048).
        background_weight: v.
        users: number of users with a vector; 0 ignores users.

    Sources: Mac Aodha, Cole and Perona 2019, doi:10.1109/ICCV.2019.00969, equations 7 to 9 (``full_loss`` and
    ``full_loss_user`` of Sphere2Vec); Cole et al. 2023, arXiv:2306.02564.

    >>> loss = PresenceLoss(Head(2, "presence", ["wolf", "lynx"]))
    >>> slots = {name: Encoded(torch.zeros(3, 2), torch.ones(3, dtype=torch.bool)) for name in ("point", "background")}
    >>> value = loss(slots, {"label": torch.tensor([0, 1, 1])})  # all s are 0: (2 + 1) / 2 log 2 + log 2
    >>> round(value.item() / math.log(2), 6)
    2.5
    """

    def __init__(
        self,
        head: Head,
        *,
        positive_weight: float | None = None,
        background_weight: float = 1.0,
        users: int = 0,
    ) -> None:
        super().__init__()
        self.head = _presence(head)
        self.positive_weight = float(head.outputs if positive_weight is None else positive_weight)
        self.background_weight = float(background_weight)
        if not (0 < self.positive_weight < math.inf and 0 <= self.background_weight < math.inf):
            raise InputError(
                "positive_weight must be above 0 and background_weight at least 0; got "
                f"{positive_weight} and {background_weight}"
            )
        self.users: nn.Parameter | None = None
        if users > 0:
            if head.linear.bias is not None:
                raise InputError("users need a head without bias")
            bound = 1.0 / math.sqrt(head.dim)
            self.users = nn.Parameter(torch.empty(users, head.dim).uniform_(-bound, bound))

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss over present points with a known label; 0 if there are none."""
        point, away = slots["point"], slots["background"]
        label, known = _labels(point, targets)
        loss = _mean(self._classes(self.head(point.z), label), known)
        if self.background_weight:
            nothing = F.softplus(widened(self.head(away.z))).mean(dim=1)
            loss = loss + self.background_weight * _mean(nothing, away.present)
        return loss if self.users is None else loss + self._by_user(point, away, label, known, targets)

    def _classes(self, logits: Tensor, label: Tensor) -> Tensor:
        """(N,) means over classes; with softplus(-s) = softplus(s) - s, one softplus is enough."""
        logits = widened(logits)
        absent = F.softplus(logits)
        own, seen = absent.gather(1, label[:, None]), logits.gather(1, label[:, None])
        more = (self.positive_weight - 1.0) * own - self.positive_weight * seen
        return (absent.sum(dim=1) + more[:, 0]) / logits.shape[1]

    def _by_user(
        self, point: Encoded, away: Encoded, label: Tensor, known: Tensor, targets: Mapping[str, Tensor]
    ) -> Tensor:
        assert self.users is not None
        if "user" not in targets:
            raise InputError("the target 'user' is missing: this sampler does not provide it")
        number = targets["user"].long()
        named = known & (number >= 0)
        user = self.users[number.clamp(min=0)]
        here = F.softplus(-widened((user * point.z).sum(dim=1)))
        elsewhere = F.softplus(widened((user * away.z).sum(dim=1)))
        theirs = self._classes(F.linear(user, self.head.linear.weight), label)
        return _mean(here, named) + _mean(elsewhere, named & away.present) + _mean(theirs, named)


class OtherClassLoss(Objective):
    """The observed class against one random other class (``an_slds``): mean of softplus(-s_y) + softplus(s_o).

    The other class is drawn with torch's generator, which training seeds at every step. Needs at least two classes and
    no background.

    Source: Cole et al. 2023, arXiv:2306.02564, "same location, different species".

    >>> loss = OtherClassLoss(Head(2, "presence", ["wolf", "lynx"]))
    >>> slots = {"point": Encoded(torch.zeros(3, 2), torch.ones(3, dtype=torch.bool))}
    >>> round(loss(slots, {"label": torch.tensor([0, 1, 1])}).item() / math.log(2), 6)  # all s are 0: 2 log 2
    2.0
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = _presence(head)
        if head.outputs < 2:
            raise InputError("an_slds needs at least two classes; there is one")

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss over present points with a known label; 0 if there are none."""
        label, known = _labels(slots["point"], targets)
        logits = widened(self.head(slots["point"].z))
        other = torch.randint(0, logits.shape[1] - 1, label.shape, device=label.device)
        other = other + (other >= label)
        seen, unseen = logits.gather(1, label[:, None])[:, 0], logits.gather(1, other[:, None])[:, 0]
        return _mean(F.softplus(-seen) + F.softplus(unseen), known)


class OtherPlaceLoss(Objective):
    """The observed class at its point and at a background point (``an_ssdl``): mean of softplus(-s_y) + softplus(s'_y).

    Source: Cole et al. 2023, arXiv:2306.02564, "same species, different location".
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = _presence(head)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The loss over present points with a known label; 0 if there are none."""
        label, known = _labels(slots["point"], targets)
        here = widened(self.head(slots["point"].z)).gather(1, label[:, None])[:, 0]
        away = widened(self.head(slots["background"].z)).gather(1, label[:, None])[:, 0]
        both = known & slots["background"].present
        return _mean(F.softplus(-here), known) + _mean(F.softplus(away), both)


def _presence(head: Head) -> Head:
    if head.kind != "presence":
        raise InputError(f"presence losses need a head of kind 'presence'; got {head.kind!r}")
    return head


def _labels(point: Encoded, targets: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(N,) class indices (0 if unknown), and (N,) bool: whether they are known."""
    if "label" not in targets:
        raise InputError("the target 'label' is missing: this sampler does not provide it")
    label = targets["label"].long()
    return label.clamp(min=0), point.present & (label >= 0)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the counted (N,) values; 0 if there are none."""
    return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)
