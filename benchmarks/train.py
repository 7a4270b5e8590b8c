"""A training step of the default encoder beside the founding network's: same tiles, same objective, same optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measure import Row, interleaved, rate_row
from placevec import encoders
from placevec.core import Encoded
from placevec.recipes.loc2vec.config import Loc2VecConfig
from placevec.training.objectives.triplet import TripletLoss

BATCH = 16


def _step(name: str, side: int, **options: Any) -> Callable[[], object]:
    torch.manual_seed(0)
    encoder = (
        encoders.build(name, channels=12, dim=128, **options).train().to(memory_format=torch.channels_last)
    )  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-4)
    tiles = (torch.rand(3 * BATCH, 12, side, side) < 0.1).to(torch.uint8) * 255
    objective, present = TripletLoss(margin=0.2), torch.ones(BATCH, dtype=torch.bool)

    def step() -> float:
        vectors = encoder(tiles).split(BATCH)
        roles = ("anchor", "positive", "negative")
        slots = {role: Encoded(z, present) for role, z in zip(roles, vectors, strict=True)}
        loss = objective(slots, {})
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def rows() -> list[Row]:
    found = []
    for size_px, repeats in ((256, 2), (128, 4)):
        ours, founding = interleaved(
            repeats,
            _step(Loc2VecConfig().encoder, size_px, unit_norm=True),
            _step("founding-tile-cnn", size_px, size_px=size_px),
        )
        counted = f"tiles through a step of {BATCH} triplets, 12 x {size_px} x {size_px}, float32, {torch.get_num_threads()} threads"
        found.append(
            rate_row(
                f"training step, {size_px} px",
                ours,
                3 * BATCH,
                founding,
                3 * BATCH,
                "tiles/s",
                "founding network",
                counted,
            )
        )
    return found
