"""A recipe small enough to train in milliseconds: points in a plane, anchors pulled to their own copies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from placevec.core import Draw, Encoded, Look, Objective, Recipe, Slot, ViewSpec


class Plane:
    """A record view: eight fixed numbers a row."""

    spec = ViewSpec(name="plane", kind="features")

    def __init__(self) -> None:
        self.values = torch.randn(64, 8, generator=torch.Generator().manual_seed(5))

    def read(self, look: Look) -> Tensor:
        return self.values[look.rows]


class Rows:
    """Random rows, pure in (seed, step, rank)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        rows = torch.from_numpy(np.random.default_rng([self.seed, step, rank]).integers(0, 64, 16))
        return Draw({"anchor": Look(rows), "twin": Look(rows)}, {"row": rows})


class PullTogether(Objective):
    """Cosine distance to the twin plus a learned weight, so that objectives with parameters are covered."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        difference = (slots["anchor"].z - slots["twin"].z).square().sum(1).mean()
        spread = (slots["anchor"].z.std(0) - 1).square().mean()
        return self.weight.square() * difference + spread + (self.weight - 1).square()


def toy_recipe(seed: int = 0) -> tuple[Recipe, dict[str, Plane]]:
    torch.manual_seed(seed)
    encoder = nn.Sequential(
        nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 4)
    )
    recipe = Recipe(
        slots={"anchor": Slot("plane", "mlp"), "twin": Slot("plane", "mlp")},
        encoders={"mlp": encoder},
        objectives={"together": (1.0, PullTogether())},
        sampler=Rows(seed),
        validation=Rows(seed + 1),
        measure=lambda slots, targets: {"size": float(slots["anchor"].z.norm(dim=1).mean())},
    )
    return recipe, {"plane": Plane()}
