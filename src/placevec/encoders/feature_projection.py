"""Ready features become vectors: standardized, and where asked for multiplied with one matrix that is learned.

What an image's frozen features go through in contrastive spatial pre-training (CSP, Mai et al. 2023,
arXiv:2305.01118), after LiT (Zhai et al. 2022, arXiv:2111.07991): the network that made them stays as it is, and only the
matrix is trained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from placevec.errors import ModelError

MOST = 65_536


class StandardFeatures(nn.Module):
    """(N, inputs) features less their mean, by their deviation; nothing is learned.

    Args:
        inputs: numbers of a place.

    Attributes:
        mean, deviation: (inputs,) as `fit` set them; 0 and 1 before. They are saved with the weights.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        if isinstance(inputs, bool) or not isinstance(inputs, int) or not 1 <= inputs <= MOST:
            raise ModelError(f"inputs is a whole number from 1 to {MOST:,}; got {inputs!r}")
        self.dim = inputs
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def fit(self, mean: Tensor, deviation: Tensor) -> StandardFeatures:
        """Set what is taken off and divided by; returns itself."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs) -> (N, inputs)."""
        return (features - self.mean) / self.deviation

    def config(self) -> dict[str, Any]:
        """What builds this encoder again."""
        return {"inputs": self.dim}


class FeatureProjection(nn.Module):
    """`StandardFeatures`, then one linear layer.

    Args:
        inputs: numbers of a place.
        dim: length of a vector.

    >>> FeatureProjection(77, 16)(torch.zeros(2, 77)).shape
    torch.Size([2, 16])
    """

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.standard = StandardFeatures(inputs)
        if isinstance(dim, bool) or not isinstance(dim, int) or not 1 <= dim <= MOST:
            raise ModelError(f"dim is a whole number from 1 to {MOST:,}; got {dim!r}")
        self.dim = dim
        self.project = nn.Linear(inputs, dim)

    def fit(self, mean: Tensor, deviation: Tensor) -> FeatureProjection:
        """Set what is taken off and divided by; returns itself."""
        self.standard.fit(mean, deviation)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs) -> (N, dim)."""
        found: Tensor = self.project(self.standard(features))
        return found

    def config(self) -> dict[str, Any]:
        """What builds this encoder again."""
        return {"inputs": self.standard.dim, "dim": self.dim}
