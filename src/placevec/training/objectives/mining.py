"""Hard-negative mining within the batch.

Random negatives soon become too easy. In a batch of B pairs every anchor has 2B - 2 other vectors as potential negatives
at no extra cost. Places within ``exclusion_m`` meters of an anchor may look alike and are excluded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.training.objectives.contrastive import nearer_than, position

Rule = Literal["hard", "semi-hard"]
"""``hard``: the nearest vector; ``semi-hard``: the nearest vector that is farther away than the positive."""


@torch.no_grad()
def mined(anchor: Tensor, positive: Tensor, allowed: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Select a negative from the batch for each anchor.

    Args:
        anchor, positive: (B, D) vectors.
        allowed: (B, 2B) bool: whether anchor j (column j) or positive j (column B + j) may be a negative of anchor i.
        rule: ``hard`` takes the allowed vector nearest to the anchor; ``semi-hard`` the nearest that is farther away
            than the positive, or the farthest one if there is none.

    Returns:
        (B,) columns, and (B,) bool: whether the anchor has any allowed negative.

    Source: hard, Hermans et al. 2017, arXiv:1703.07737; semi-hard, Schroff et al. 2015 (FaceNet), arXiv:1503.03832.

    >>> anchor, positive = torch.tensor([[0.0], [3.0]]), torch.tensor([[1.0], [9.0]])
    >>> allowed = torch.tensor([[False, True, False, True], [True, False, True, False]])
    >>> mined(anchor, positive, allowed, "hard")[0].tolist()
    [1, 2]
    """
    distances = torch.cdist(anchor, torch.cat([anchor, positive]))
    nearest = distances.masked_fill(~allowed, torch.inf).argmin(1)
    if rule == "hard":
        return nearest, allowed.any(1)
    farther = allowed & (distances > (anchor - positive).norm(dim=1)[:, None])
    column = distances.masked_fill(~farther, torch.inf).argmin(1)
    farthest = distances.masked_fill(~allowed, -torch.inf).argmax(1)
    return torch.where(farther.any(1), column, farthest), allowed.any(1)


class InBatchNegatives(Objective):
    """A triplet objective with negatives mined from the batch.

    Args:
        objective: an objective of the slots ``anchor``, ``positive`` and ``negative`` (TripletLoss, SoftPN).
        rule: see `mined`.
        exclusion_m: places closer to an anchor than this many meters are never its negatives; needs the targets
            ``anchor_xyz`` and ``positive_xyz``. Anchors without any allowed negative are ignored.

    Raises:
        InputError: an unknown rule or an invalid radius.
    """

    def __init__(self, objective: Objective, *, rule: Rule, exclusion_m: float) -> None:
        super().__init__()
        if rule not in get_args(Rule):
            raise InputError(f"rule must be {' or '.join(get_args(Rule))}; got {rule!r}")
        if not exclusion_m >= 0:
            raise InputError(f"exclusion_m must be at least 0 meters; got {exclusion_m}")
        self.objective, self.rule, self.exclusion_m = objective, rule, exclusion_m
        self.collapsed_loss = objective.collapsed_loss

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The objective's loss over the mined triplets."""
        loss: Tensor = self.objective(self._with_negatives(slots, targets), targets)
        return loss

    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The objective's metrics of the mined triplets."""
        return self.objective.watch(self._with_negatives(slots, targets), targets)

    def _with_negatives(
        self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]
    ) -> dict[str, Encoded]:
        anchor, positive = slots["anchor"], slots["positive"]
        here, there = position(targets, "anchor"), position(targets, "positive")
        own = torch.eye(len(here), dtype=torch.bool, device=here.device)
        near = [nearer_than(here, other, self.exclusion_m) | own for other in (here, there)]
        present = torch.cat([anchor.present, positive.present])
        # missing vectors may be NaN: replace them by zeros, so that no distance is NaN
        first, second = (torch.where(part.present[:, None], part.z, 0.0) for part in (anchor, positive))
        column, found = mined(first, second, ~torch.cat(near, 1) & present[None, :], self.rule)
        return {**slots, "negative": Encoded(torch.cat([first, second])[column], found)}
