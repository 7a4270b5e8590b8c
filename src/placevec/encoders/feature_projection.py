"""Encoders of precomputed features: standardization, optionally followed by one trainable linear layer.

Contrastive spatial pre-training (CSP, Mai et al. 2023, arXiv:2305.01118) uses them for the frozen features of images,
following LiT (Zhai et al. 2022, arXiv:2111.07991): the image network is frozen and only the linear layer is trained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from placevec.encoders.arguments import whole

MAX_FEATURES = 65_536


class StandardFeatures(nn.Module):
    """Standardize (N, inputs) features: subtract the mean, divide by the standard deviation. Nothing is trained.

    Args:
        inputs: number of features.

    Attributes:
        mean, deviation: (inputs,) set by `fit`; initially 0 and 1. They are saved with the weights.

    >>> encoder = StandardFeatures(2).fit(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))
    >>> encoder(torch.tensor([[3.0, 2.0]])).tolist()
    [[1.0, 0.0]]
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dim = whole("inputs", inputs, 1, MAX_FEATURES)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def fit(self, mean: Tensor, deviation: Tensor) -> StandardFeatures:
        """Set the mean and the standard deviation; returns self."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs) -> (N, inputs)."""
        return (features - self.mean) / self.deviation

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again."""
        return {"inputs": self.dim}


class FeatureProjection(nn.Module):
    """`StandardFeatures` followed by one linear layer.

    Args:
        inputs: number of features.
        dim: length of a vector.

    >>> FeatureProjection(77, 16)(torch.zeros(2, 77)).shape
    torch.Size([2, 16])
    """

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.standard = StandardFeatures(inputs)
        self.dim = whole("dim", dim, 1, MAX_FEATURES)
        self.project = nn.Linear(inputs, dim)

    def fit(self, mean: Tensor, deviation: Tensor) -> FeatureProjection:
        """Set the mean and the standard deviation; returns self."""
        self.standard.fit(mean, deviation)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs) -> (N, dim)."""
        found: Tensor = self.project(self.standard(features))
        return found

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again."""
        return {"inputs": self.standard.dim, "dim": self.dim}
