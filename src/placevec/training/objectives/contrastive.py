"""Contrastive losses over a batch: every other pair of the batch is a negative."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.training.objectives.triplet import mean_where

MAX_SCALE = 100.0
"""Largest 1 / temperature a learnable temperature may reach, as in CLIP."""


def info_nce(
    anchor: Tensor, positive: Tensor, scale: Tensor | float, whole: Tensor, excluded: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE of (B, D) anchors and positives; row i of one belongs to row i of the other.

    With ``s_ij = scale * cos(a_i, p_j)`` the loss is the mean over pairs i of
    ``-1/2 log(e^s_ii / sum_j e^s_ij) - 1/2 log(e^s_ii / sum_j e^s_ji)``: cross-entropy in both directions.

    Args:
        anchor, positive: (B, D), of any length; the cosine is taken.
        scale: 1 / temperature.
        whole: (B,) bool, pairs that take part; the others are neither rows nor negatives.
        excluded: (B, B) bool, entries (anchor i, positive j) that are no negatives; the diagonal always stays.

    Returns:
        The scalar mean over whole pairs; 0 when there are none.

    Source: van den Oord et al. 2018, arXiv:1807.03748; symmetric: CLIP, Radford et al. 2021, arXiv:2103.00020.
    """
    # zeros, not a product with 0: whatever a missing row encoded to, even NaN, must not reach value or gradient
    anchor = F.normalize(torch.where(whole[:, None], anchor, 0.0), dim=1)
    positive = F.normalize(torch.where(whole[:, None], positive, 0.0), dim=1)
    logits = scale * (anchor @ positive.T)
    out = ~(whole[:, None] & whole[None, :])
    if excluded is not None:
        out = out | excluded
    # the diagonal stays finite even for missing pairs, so no row is all -inf and no gradient NaN
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(out & ~itself, -math.inf)
    matched = logits.diagonal()
    losses = (logits.logsumexp(1) + logits.logsumexp(0)) / 2.0 - matched
    return mean_where(losses, whole)


def nearer_than(anchor_xyz: Tensor, positive_xyz: Tensor, distance_m: float) -> Tensor:
    """(B, B) bool: anchor i and positive j lie less than ``distance_m`` meters apart in a straight line.

    Args:
        anchor_xyz, positive_xyz: (B, 3) earth-centered meters, float64 (float32 resolves half a meter there).
        distance_m: meters.
    """
    if len(anchor_xyz) == 0:
        return torch.zeros(0, 0, dtype=torch.bool, device=anchor_xyz.device)
    center = anchor_xyz[:1]
    # not through the matrix product, which cancels to decimeters at 6,400 km from the origin
    distances = torch.cdist(
        anchor_xyz - center, positive_xyz - center, compute_mode="donot_use_mm_for_euclid_dist"
    )
    return distances < distance_m


class InfoNCE(Objective):
    """Every pair of a batch against all others, see `info_nce`.

    Args:
        anchor, positive: names of the slots.
        temperature: divides cosines; where a learnable one starts.
        learnable: train the temperature (its logarithm, ending at 0.01, as in CLIP).
        exclusion_m: other pairs nearer than this many meters are no negatives (they may show the same things);
            needs the targets ``{anchor}_xyz`` and ``{positive}_xyz``, (B, 3) float64 earth-centered meters.
    """

    def __init__(
        self,
        anchor: str = "anchor",
        positive: str = "positive",
        *,
        temperature: float = 0.1,
        learnable: bool = False,
        exclusion_m: float | None = None,
    ) -> None:
        super().__init__()
        if not temperature >= 1.0 / MAX_SCALE:
            raise InputError(f"the temperature of InfoNCE is {1.0 / MAX_SCALE} or more; got {temperature}")
        if exclusion_m is not None and not exclusion_m >= 0:
            raise InputError(f"the exclusion radius is meters, 0 or more, or None; got {exclusion_m}")
        self.anchor, self.positive, self.exclusion_m = anchor, positive, exclusion_m
        log_scale = torch.tensor(-math.log(temperature), dtype=torch.float32)
        self.log_scale: Tensor
        if learnable:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale, persistent=False)

    @property
    def scale(self) -> Tensor:
        """1 / temperature, a scalar tensor."""
        return self.log_scale.clamp(max=math.log(MAX_SCALE)).exp()

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over pairs that are present in both slots; 0 when there are none."""
        anchor, positive = slots[self.anchor], slots[self.positive]
        excluded = None
        if self.exclusion_m:
            excluded = nearer_than(
                position(targets, self.anchor), position(targets, self.positive), self.exclusion_m
            )
        return info_nce(anchor.z, positive.z, self.scale, anchor.present & positive.present, excluded)

    @torch.no_grad()
    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean distances on the sphere, of positives from their anchors and of all other pairs."""
        anchor, positive = slots[self.anchor], slots[self.positive]
        whole = anchor.present & positive.present
        first, second = (
            F.normalize(torch.where(whole[:, None], part.z, 0.0), dim=1) for part in (anchor, positive)
        )
        distances = torch.cdist(first, second)
        others = (
            whole[:, None] & whole[None, :] & ~torch.eye(len(whole), dtype=torch.bool, device=whole.device)
        )
        return {
            "positive_distance": mean_where(distances.diagonal(), whole),
            "negative_distance": mean_where(distances.flatten(), others.flatten()),
        }


def position(targets: Mapping[str, Tensor], slot: str) -> Tensor:
    """(B, 3) where a slot's places are, earth-centered meters; InputError when the sampler does not say."""
    name = f"{slot}_xyz"
    if name not in targets:
        raise InputError(
            f"an exclusion radius needs the target {name}, which this sampler does not draw: use a sampler of"
            f" pairs by distance, or exclusion_m=None"
        )
    return targets[name]
