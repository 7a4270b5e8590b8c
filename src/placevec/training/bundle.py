"""All that is trained as one module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from placevec.core import Batch, Draw, Encoded, Recipe, encode


class Bundle(nn.Module):
    """All that is trained, with the whole step as its forward, so that DDP sees one module."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoders = nn.ModuleDict(recipe.encoders)
        self.objectives = nn.ModuleDict(
            {name: objective for name, (_, objective) in recipe.objectives.items()}
        )

    def forward(
        self, batches: dict[str, Batch], draw: Draw
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Encoded]]:
        """The loss, its parts by name, and what the slots were encoded to."""
        encoded = encode(self.recipe, batches, draw.looks)
        parts = {
            name: objective(encoded, draw.targets) for name, (_, objective) in self.recipe.objectives.items()
        }
        loss = torch.stack([self.recipe.objectives[name][0] * part for name, part in parts.items()]).sum()
        return loss, {f"loss/{name}": part.detach() for name, part in parts.items()}, encoded

    def watch(self, encoded: dict[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the objectives say of a batch beside their losses."""
        watched: dict[str, Tensor] = {}
        for _, objective in self.recipe.objectives.values():
            watched.update(objective.watch(encoded, targets))
        return watched
