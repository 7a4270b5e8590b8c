"""Periodic features of the time of year or day: sines and cosines."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def turning(share: Tensor, harmonics: int) -> Tensor:
    """(..., 2 * harmonics) float64: sin and cos of 2 pi k t, k = 1 .. harmonics, for a fraction t of the year or day.

    December 31 is next to January 1. Mac Aodha et al. 2019 use the first harmonic.

    >>> turning(torch.tensor([0.0, 1.0]), 1).round().abs().tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    turns = torch.arange(1, harmonics + 1, dtype=torch.float64, device=share.device) * (2 * math.pi)
    angles = share.to(torch.float64)[..., None] * turns
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
