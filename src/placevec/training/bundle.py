"""All that is trained as one module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from placevec.core import Batch, Draw, Encoded, Recipe, encode
from placevec.training.processes import gathered


class Bundle(nn.Module):
    """Everything that is trained; its forward is the whole training step, so that DDP wraps a single module."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoders = nn.ModuleDict(recipe.encoders)
        self.objectives = nn.ModuleDict(
            {name: objective for name, (_, objective) in recipe.objectives.items()}
        )
        self.fuse = recipe.fuse

    def forward(
        self, batches: dict[str, Batch], draw: Draw
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Encoded]]:
        """The loss, its components by name, and the encoded slots."""
        return self.loss(encode(self.recipe, batches, draw.looks), draw)

    def loss(
        self, encoded: dict[str, Encoded], draw: Draw
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Encoded]]:
        """The same for slots that are already encoded and fused."""
        own = (encoded, draw.targets)
        together = any(one.across_processes for _, one in self.recipe.objectives.values())
        # in validation every process has the whole batch
        everything = gathered(*own) if together and self.training else own
        parts = {
            name: objective(*(everything if objective.across_processes else own))
            for name, (_, objective) in self.recipe.objectives.items()
        }
        loss = torch.stack([self.recipe.objectives[name][0] * part for name, part in parts.items()]).sum()
        return loss, {f"loss/{name}": part.detach() for name, part in parts.items()}, encoded

    def watch(self, encoded: dict[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Further metrics that the objectives report for a batch."""
        watched: dict[str, Tensor] = {}
        for _, objective in self.recipe.objectives.values():
            watched.update(objective.watch(encoded, targets))
        return watched
