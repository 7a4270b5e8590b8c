"""Contrastive losses with in-batch negatives: every other pair of the batch is a negative."""

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
"""Upper limit of 1 / temperature for a learnable temperature, as in CLIP."""


def info_nce(
    anchor: Tensor, positive: Tensor, scale: Tensor | float, whole: Tensor, excluded: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE of (B, D) anchors and positives; row i of both is a pair.

    With ``s_ij = scale * cos(a_i, p_j)`` the loss is the mean over pairs i of
    ``-1/2 log(e^s_ii / sum_j e^s_ij) - 1/2 log(e^s_ii / sum_j e^s_ji)``: cross-entropy in both directions.

    Args:
        anchor, positive: (B, D) vectors of any length; cosine similarity is used.
        scale: 1 / temperature.
        whole: (B,) bool, pairs that take part; the others are ignored, also as negatives.
        excluded: (B, B) bool, entries (anchor i, positive j) that are not negatives; the diagonal is always included.

    Returns:
        The scalar mean over pairs that take part; 0 if there are none.

    Source: van den Oord et al. 2018, arXiv:1807.03748; symmetric: CLIP, Radford et al. 2021, arXiv:2103.00020.

    >>> vectors, whole = torch.eye(2), torch.ones(2, dtype=torch.bool)
    >>> round(float(info_nce(vectors, vectors, 10.0, whole)), 4)  # log(1 + e^-10)
    0.0
    >>> round(float(info_nce(vectors, vectors, 0.0, whole)), 4)  # chance level, log 2
    0.6931
    """
    # zeros instead of a product with 0: a missing row may be NaN, which must not affect the value or the gradient
    anchor = F.normalize(torch.where(whole[:, None], anchor, 0.0), dim=1)
    positive = F.normalize(torch.where(whole[:, None], positive, 0.0), dim=1)
    logits = scale * (anchor @ positive.T)
    out = ~(whole[:, None] & whole[None, :])
    if excluded is not None:
        out = out | excluded
    # the diagonal stays finite even for missing pairs, so that no row is all -inf and no gradient is NaN
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(out & ~itself, -math.inf)
    matched = logits.diagonal()
    losses = (logits.logsumexp(1) + logits.logsumexp(0)) / 2.0 - matched
    return mean_where(losses, whole)


def nearer_than(anchor_xyz: Tensor, positive_xyz: Tensor, distance_m: float) -> Tensor:
    """(B, B) bool: whether anchor i and positive j are less than ``distance_m`` meters apart in a straight line.

    Args:
        anchor_xyz, positive_xyz: (B, 3) Earth-centered coordinates in meters, float64 (float32 resolves only 0.5 m).
        distance_m: distance in meters.

    >>> points = torch.tensor([[6378137.0, 0.0, 0.0], [6378137.0, 90.0, 0.0]], dtype=torch.float64)
    >>> nearer_than(points, points, 50.0).tolist()
    [[True, False], [False, True]]
    """
    if len(anchor_xyz) == 0:
        return torch.zeros(0, 0, dtype=torch.bool, device=anchor_xyz.device)
    center = anchor_xyz[:1]
    # without the matrix product, whose cancellation error is decimeters at 6,400 km from the origin
    distances = torch.cdist(
        anchor_xyz - center, positive_xyz - center, compute_mode="donot_use_mm_for_euclid_dist"
    )
    return distances < distance_m


class InfoNCE(Objective):
    """InfoNCE with in-batch negatives, see `info_nce`.

    Args:
        anchor, positive: names of the slots.
        temperature: divides cosine similarities; the initial value if ``learnable``.
        learnable: train the temperature (its logarithm, with a minimum of 0.01, as in CLIP).
        exclusion_m: pairs closer than this many meters are not negatives (they may show the same things); needs the
            targets ``{anchor}_xyz`` and ``{positive}_xyz``, (B, 3) float64 Earth-centered coordinates in meters.

    >>> slots = {name: Encoded(torch.eye(2), torch.ones(2, dtype=torch.bool)) for name in ("anchor", "positive")}
    >>> float(InfoNCE()(slots, {})) < 0.001
    True
    """

    across_processes = True

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
            raise InputError(
                f"the temperature of InfoNCE must be at least {1.0 / MAX_SCALE}; got {temperature}"
            )
        if exclusion_m is not None and not exclusion_m >= 0:
            raise InputError(f"exclusion_m must be at least 0 meters, or None; got {exclusion_m}")
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
        """The mean loss over pairs that are present in both slots; 0 if there are none."""
        anchor, positive = slots[self.anchor], slots[self.positive]
        excluded = None
        if self.exclusion_m:
            excluded = nearer_than(
                position(targets, self.anchor), position(targets, self.positive), self.exclusion_m
            )
        return info_nce(anchor.z, positive.z, self.scale, anchor.present & positive.present, excluded)

    @torch.no_grad()
    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean distances of unit vectors: of positives from their anchors, and of all other pairs."""
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
    """(B, 3) Earth-centered coordinates of a slot's places in meters; InputError if the sampler does not give them."""
    name = f"{slot}_xyz"
    if name not in targets:
        raise InputError(
            f"an exclusion radius needs the target {name}, which this sampler does not provide: use a sampler of"
            f" pairs by distance, or exclusion_m=None"
        )
    return targets[name]
