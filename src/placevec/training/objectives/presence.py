"""Learning from sightings alone: where something was seen is known, where it is not is assumed.

All take the slot ``point`` with targets ``label`` (N,) int64, class indices, -1 unknown (which counts nowhere), and
most the slot ``background``: points anywhere, where nothing is assumed to be. With ``s = head(z)`` the probability of a
class is ``p = sigmoid(s)``; losses are written in logits, ``-log p = softplus(-s)`` and ``-log(1 - p) = softplus(s)``,
where the originals take ``-log(p + 1e-5)``: equal but for the 1e-5, without its ceiling on gradients, and finite in bf16.
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
"""Weight of the class that was seen in ``an_full`` of Cole et al. 2023."""


class PresenceLoss(Objective):
    """All classes at once: the one seen is there, the others are not, and none is at background points.

    ``mean_bc[ c = y_b ? w softplus(-s_bc) : softplus(s_bc) ] + v mean_bc[ softplus(s'_bc) ]`` over points b and classes
    c, s' at background points. With ``users`` (Mac Aodha et al., equations 8 and 9), u_b the vector of who saw it:
    ``+ mean_b[ softplus(-u_b . z_b) ] + mean_b[ softplus(u_b . z'_b) ]``, and the class term once more with ``W u_b`` in
    place of s_b. Points whose user is -1 count nowhere in the last three.

    Args:
        head: of the kind ``presence``; the model's own, trained here.
        positive_weight: w; None is the number of classes, as in Mac Aodha et al. Cole et al.'s ``an_full`` has 2,048.
        background_weight: v.
        users: how many users have a vector; 0 leaves them out.

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
                f"the weight of what was seen is more than 0, that of background 0 or more; got "
                f"{positive_weight} and {background_weight}"
            )
        self.users: nn.Parameter | None = None
        if users > 0:
            if head.linear.bias is not None:
                raise InputError("vectors of users are compared with those of classes: a head without bias")
            bound = 1.0 / math.sqrt(head.dim)
            self.users = nn.Parameter(torch.empty(users, head.dim).uniform_(-bound, bound))

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """Over present points of known label; 0 when there are none."""
        point, away = slots["point"], slots["background"]
        label, known = _labels(point, targets)
        loss = _mean(self._classes(self.head(point.z), label), known)
        if self.background_weight:
            nothing = F.softplus(widened(self.head(away.z))).mean(dim=1)
            loss = loss + self.background_weight * _mean(nothing, away.present)
        return loss if self.users is None else loss + self._by_user(point, away, label, known, targets)

    def _classes(self, logits: Tensor, label: Tensor) -> Tensor:
        """(N,) means over classes; softplus(-s) = softplus(s) - s leaves one softplus for all of them."""
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
            raise InputError("the target user is missing: this sampler does not draw it")
        number = targets["user"].long()
        named = known & (number >= 0)
        user = self.users[number.clamp(min=0)]
        here = F.softplus(-widened((user * point.z).sum(dim=1)))
        elsewhere = F.softplus(widened((user * away.z).sum(dim=1)))
        theirs = self._classes(F.linear(user, self.head.linear.weight), label)
        return _mean(here, named) + _mean(elsewhere, named & away.present) + _mean(theirs, named)


class OtherClassLoss(Objective):
    """The class seen, and one other drawn at random that was not (``an_slds``): mean of softplus(-s_y) + softplus(s_o).

    Other classes come from torch's generator, which training seeds at every step. It needs two classes, and no
    background.

    Source: Cole et al. 2023, arXiv:2306.02564, "same location, different species".
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = _presence(head)
        if head.outputs < 2:
            raise InputError("an_slds tells the class that was seen from another: there is one class only")

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """Over present points of known label; 0 when there are none."""
        label, known = _labels(slots["point"], targets)
        logits = widened(self.head(slots["point"].z))
        other = torch.randint(0, logits.shape[1] - 1, label.shape, device=label.device)
        other = other + (other >= label)
        seen, unseen = logits.gather(1, label[:, None])[:, 0], logits.gather(1, other[:, None])[:, 0]
        return _mean(F.softplus(-seen) + F.softplus(unseen), known)


class OtherPlaceLoss(Objective):
    """The class seen, which is not at the background point (``an_ssdl``): mean of softplus(-s_y) + softplus(s'_y).

    Source: Cole et al. 2023, arXiv:2306.02564, "same species, different location".
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = _presence(head)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """Over present points of known label; 0 when there are none."""
        label, known = _labels(slots["point"], targets)
        here = widened(self.head(slots["point"].z)).gather(1, label[:, None])[:, 0]
        away = widened(self.head(slots["background"].z)).gather(1, label[:, None])[:, 0]
        both = known & slots["background"].present
        return _mean(F.softplus(-here), known) + _mean(F.softplus(away), both)


def _presence(head: Head) -> Head:
    if head.kind != "presence":
        raise InputError(f"losses of presence need a head of presence; got one of {head.kind}")
    return head


def _labels(point: Encoded, targets: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(N,) class indices, 0 where unknown, and (N,) bool where known."""
    if "label" not in targets:
        raise InputError("the target label is missing: this sampler does not draw it")
    label = targets["label"].long()
    return label.clamp(min=0), point.present & (label >= 0)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of (N,) values over those counted; 0 when there are none."""
    return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)
