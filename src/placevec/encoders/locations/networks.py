"""Networks that map positional features to vectors: the original's two, a sinusoidal and a residual one.

``ffn`` and ``resnet`` use the original's parameter names, so its weights can be loaded by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from placevec.encoders.arguments import share, whole
from placevec.errors import ModelError

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": lambda: nn.LeakyReLU(0.2),
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
NETWORKS = ("ffn", "resnet", "siren", "residual", "linear", "none")


class Dropout(nn.Dropout):
    """Dropout that takes a third of the time on a CPU, where it uses 16 random bits per unit.

    There the probability is rounded to a multiple of 1 / 65,536, and the scale matches it exactly. Under
    `torch.compile` and `torch.func` transforms it is torch's own.

    >>> Dropout(0.5).eval()(torch.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...)."""
        share = round(self.p * 65_536) / 65_536
        transformed = torch.compiler.is_compiling() or torch._C._functorch.is_functorch_wrapped_tensor(x)
        if transformed or not self.training or not 0 < share < 1 or x.device.type != "cpu":
            return super().forward(x)
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # four units each
        drawn = bits.view(torch.int16)[: x.numel()].view(x.shape)
        return x * (drawn >= round(share * 65_536) - 32_768).to(x.dtype).mul_(1.0 / (1.0 - share))


class FeedForward(nn.Module):
    """Hidden layers (linear, activation, dropout, skip connection if widths match, LayerNorm), then a linear layer.

    Args:
        inputs: number of features.
        dim: length of the vectors.
        hidden: units per hidden layer.
        layers: number of hidden layers.
        dropout: dropout probability.
        activation: relu, leakyrelu (0.2), gelu, sigmoid or tanh.
        output_activation: also apply activation and dropout after the last layer, as the original does; vectors are
            then non-negative, and half of their components are zero in training.

    >>> FeedForward(12, 8)(torch.zeros(2, 12)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self, inputs: int, dim: int, hidden: int = 512, layers: int = 1, dropout: float = 0.1,
        activation: str = "leakyrelu", output_activation: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [inputs, *[hidden] * layers, dim]
        self.layers = nn.ModuleList(
            _Layer(before, after, dropout, activation, hidden=number < layers, acting=output_activation)
            for number, (before, after) in enumerate(pairwise(widths))
        )

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) -> (..., dim)."""
        for layer in self.layers:
            features = layer(features)
        return features


class _Layer(nn.Module):
    """One layer of `FeedForward`."""

    def __init__(
        self, inputs: int, outputs: int, dropout: float, activation: str, *, hidden: bool, acting: bool
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(self.linear.weight)
        self.bend = ACTIVATIONS[activation]() if hidden or acting else nn.Identity()
        self.dropout = Dropout(dropout if hidden or acting else 0.0)
        self.skip = hidden and inputs == outputs
        self.layernorm = nn.LayerNorm(outputs) if hidden else nn.Identity()

    def forward(self, before: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        after: Tensor = self.dropout(self.bend(self.linear(before)))
        return self.layernorm(after + before if self.skip else after)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """A linear layer, ReLU and blocks x + relu(W2 dropout(relu(W1 x))): the network of geo_net.

    Source: Mac Aodha et al. 2019, doi:10.1109/ICCV.2019.00969.

    >>> ResNet(4, 8)(torch.zeros(2, 4)).shape
    torch.Size([2, 8])
    """

    def __init__(self, inputs: int, dim: int, blocks: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.feats = nn.Sequential(
            nn.Linear(inputs, dim), nn.ReLU(), *(_Block(dim, dropout) for _ in range(blocks))
        )

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) -> (..., dim)."""
        found: Tensor = self.feats(features)
        return found


class _Block(nn.Module):
    """One block of `ResNet`."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, width)
        self.w2 = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return x + torch.relu(self.w2(self.dropout(torch.relu(self.w1(x)))))  # type: ignore[no-any-return]


class Siren(nn.Module):
    """sin(w0 (W x + b)) layers with the initialization of Sitzmann et al. 2020, then a linear layer.

    Args:
        inputs: number of features.
        dim: length of the vectors.
        hidden: units per hidden layer.
        layers: number of hidden layers.
        dropout: dropout probability.
        first: w0 of the first layer; 30 suits features between -1 and 1.

    >>> Siren(9, 8)(torch.zeros(2, 9)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self,
        inputs: int,
        dim: int,
        hidden: int = 512,
        layers: int = 2,
        dropout: float = 0.0,
        first: float = 30.0,
    ) -> None:
        super().__init__()
        widths = [inputs, *[hidden] * layers, dim]
        self.first = first
        linear = [nn.Linear(before, after) for before, after in pairwise(widths)]
        self.layers = nn.ModuleList(linear)
        self.dropout = Dropout(dropout)
        for number, layer in enumerate(linear):
            bound = 1 / layer.in_features if number == 0 else math.sqrt(6 / layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) -> (..., dim)."""
        for number, layer in enumerate(self.layers[:-1]):
            angles = layer(features)
            features = self.dropout(torch.sin(self.first * angles if number == 0 else angles))
        found: Tensor = self.layers[-1](features)
        return found


class Residual(nn.Module):
    """A pre-norm residual network: a linear layer, blocks x + W2 dropout(gelu(W1 norm(x))), norm and a linear layer.

    >>> Residual(9, 8)(torch.zeros(2, 9)).shape
    torch.Size([2, 8])
    """

    def __init__(
        self, inputs: int, dim: int, hidden: int = 512, layers: int = 3, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), Dropout(dropout),
                nn.Linear(hidden, hidden),
            )
            for _ in range(layers)
        )  # fmt: skip
        self.leave = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, dim))

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) -> (..., dim)."""
        x: Tensor = self.enter(features)
        for block in self.blocks:
            x = x + block(x)
        found: Tensor = self.leave(x)
        return found


def network(
    name: str, inputs: int, dim: int, *, hidden: int, layers: int, dropout: float, activation: str,
    output_activation: bool,
) -> nn.Module:  # fmt: skip
    """Build a network by name, from ``inputs`` features to vectors of length ``dim``; ``none`` is the identity.

    Raises:
        ModelError: an unknown network or activation, or a size out of range.

    >>> build = dict(hidden=32, layers=1, dropout=0.1, activation="gelu", output_activation=False)
    >>> network("ffn", 12, 8, **build)(torch.zeros(2, 12)).shape
    torch.Size([2, 8])
    """
    if name not in NETWORKS:
        raise ModelError(f"unknown network {name!r}; choose from {', '.join(NETWORKS)}")
    if activation not in ACTIVATIONS:
        raise ModelError(f"unknown activation {activation!r}; choose from {', '.join(ACTIVATIONS)}")
    for what, value, least, most in (
        ("dim", dim, 1, 65536),
        ("hidden", hidden, 1, 65536),
        ("layers", layers, 0, 64),
    ):
        whole(what, value, least, most)
    share("dropout", dropout)
    if name == "none":
        return nn.Identity()
    if name == "linear":
        return nn.Linear(inputs, dim)
    if name == "resnet":
        return ResNet(inputs, dim, layers, dropout)
    if name == "siren":
        return Siren(inputs, dim, hidden, layers, dropout)
    if name == "residual":
        return Residual(inputs, dim, hidden, layers, dropout)
    return FeedForward(inputs, dim, hidden, layers, dropout, activation, output_activation)
