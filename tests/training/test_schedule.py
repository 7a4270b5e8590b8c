"""Schedules against torch's own."""

from __future__ import annotations

import math

import torch

from placevec.training.schedule import factor


def test_plateau_is_torchs() -> None:
    """Oracle: torch.optim.lr_scheduler.ReduceLROnPlateau(factor=.5, patience=5) on the same losses."""
    losses = [1.0, 0.8, 0.81, 0.82, 0.83, 0.8, 0.85, 0.9, 0.79, *[0.8] * 15, 0.5, *[0.6] * 8]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=5)
    for count, loss in enumerate(losses, start=1):
        theirs.step(loss)
        assert factor("plateau", 100, 1000, 0, losses[:count]) == optimizer.param_groups[0]["lr"]


def test_cosine_is_the_half_wave() -> None:
    """Closed form: 1 after the warm-up, the mean of 1 and .01 half way, .01 at the end."""
    assert factor("cosine", 9, 110, 10, []) == 1.0
    assert math.isclose(factor("cosine", 60, 110, 10, []), 0.505)
    assert math.isclose(factor("cosine", 110, 110, 10, []), 0.01)
    assert [factor("cosine", step, 110, 10, []) for step in range(3)] == [0.1, 0.2, 0.3]
