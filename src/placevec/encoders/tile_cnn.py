"""Convolutional encoders of map tiles: the two founding networks, and a compact network that is many times faster.

Input is what a raster view reads: (N, C, H, W) uint8, 0..255, row 0 north. The encoders scale it to 0..1 themselves,
so a batch is copied to the device as bytes and cannot be scaled twice or not at all. Other dtypes raise ModelError.
Output is (N, dim) in the dtype of the weights, under autocast too.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.encoders.arguments import channels_of_layers, share, switch, whole
from placevec.errors import ModelError


class FoundingTileCNN(nn.Module):
    """The network of the founding 12-layer Loc2Vec: 38.07 million weights by default, most of them in one matrix.

    Five blocks of [3 x 3 convolution, batch norm, leaky ReLU 0.2, channel dropout, 2 x 2 max pooling] with 64, 128,
    256, 512 and 512 channels; then linear layers of 1024 and 512 units with batch norm, leaky ReLU and dropout, and a
    linear layer to ``dim``, scaled to length 1. Weights are initialized Kaiming-normal (fan-out), biases with 0. The
    founding code fixed 256 px; here the first linear layer depends on ``size_px`` (if it is not a multiple of 32,
    pooling drops the last rows and columns, as in torch).

    Args:
        channels: number of map layers, C.
        size_px: side of the tiles in pixels, H = W, at least 32.
        dim: length of the vectors.
        dropout: dropout probability of channels and of hidden units.

    Source: the founding document 004; architecture as in https://github.com/klaipher/loc2vec (2025).

    >>> network = FoundingTileCNN(size_px=64)
    >>> network.eval()(torch.zeros(2, 12, 64, 64, dtype=torch.uint8)).shape
    torch.Size([2, 128])
    """

    planes_on_cpu = True
    bf16_on_cpu = True

    def __init__(self, channels: int = 12, size_px: int = 256, dim: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        self.channels = whole("channels", channels, 1, 1024)
        self.size_px = whole("size_px", size_px, 32, 1024)
        self.dim = whole("dim", dim, 1, 8192)
        self.dropout = share("dropout", dropout)
        layers: list[nn.Module] = []
        before = channels
        for width in (64, 128, 256, 512, 512):
            layers += [
                nn.Conv2d(before, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2),
                nn.Dropout2d(self.dropout),
                nn.MaxPool2d(2),
            ]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            *self._dense((size_px // 32) ** 2 * 512, 1024),
            *self._dense(1024, 512),
            nn.Linear(512, dim),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                # gain for slope 0, as in the founding code
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def _dense(self, before: int, after: int) -> tuple[nn.Module, ...]:
        return nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU(0.2), nn.Dropout(self.dropout)

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {"channels": self.channels, "size_px": self.size_px, "dim": self.dim, "dropout": self.dropout}

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, size_px, size_px) uint8 -> (N, dim) vectors of length 1."""
        _require_side(batch, self.size_px)
        features = _scaled(batch, self.channels, self.head[-1].weight.dtype)  # type: ignore[arg-type]
        layers = iter(self.convolutions)
        for convolution, norm, rectify, drop, pool in zip(
            layers, layers, layers, layers, layers, strict=True
        ):
            # Max pooling commutes with a monotonic activation and with channel dropout: pooling first gives the same
            # result and processes a quarter of the pixels.
            features = drop(rectify(pool(norm(convolution(features)))))
        return F.normalize(finished(self.head, features), dim=1)


class FoundingRgbCNN(nn.Module):
    """The network of the founding Loc2Vec on RGB map tiles: 2.52 million weights by default.

    Four blocks of [3 x 3 convolution, batch norm, ReLU, 2 x 2 max pooling] with 32, 64, 128 and 256 channels; then a
    linear layer of 512 units with ReLU and a linear layer to ``dim``, scaled to length 1, with torch's default
    initialization. The founding code fixed 64 px; here the first linear layer depends on ``size_px`` (if it is not a
    multiple of 16, pooling drops the last rows and columns, as in torch).

    Args:
        channels: channels of the image, C.
        size_px: side of the patches in pixels, H = W, at least 16.
        dim: length of the vectors.

    Source: the founding document 001; architecture as in https://github.com/klaipher/loc2vec (2025).

    >>> network = FoundingRgbCNN()
    >>> sum(value.numel() for value in network.parameters())
    2519872
    >>> network.eval()(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
    torch.Size([2, 64])
    """

    planes_on_cpu = True

    def __init__(self, channels: int = 3, size_px: int = 64, dim: int = 64) -> None:
        super().__init__()
        self.channels = whole("channels", channels, 1, 1024)
        self.size_px = whole("size_px", size_px, 16, 1024)
        self.dim = whole("dim", dim, 1, 8192)
        layers: list[nn.Module] = []
        before = channels
        for width in (32, 64, 128, 256):
            layers += [
                nn.Conv2d(before, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear((size_px // 16) ** 2 * 256, 512), nn.ReLU(), nn.Linear(512, dim)
        )

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {"channels": self.channels, "size_px": self.size_px, "dim": self.dim}

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, size_px, size_px) uint8 -> (N, dim) vectors of length 1."""
        _require_side(batch, self.size_px)
        features = _scaled(batch, self.channels, self.head[-1].weight.dtype)  # type: ignore[arg-type]
        layers = iter(self.convolutions)
        for convolution, norm, rectify, pool in zip(layers, layers, layers, layers, strict=True):
            features = rectify(pool(norm(convolution(features))))  # see FoundingTileCNN
        return F.normalize(finished(self.head, features), dim=1)


class CompactTileCNN(nn.Module):
    """A small network for tiles of any size and number of layers, which trains many times faster than the founding one.

    PixelUnshuffle folds patches of 4 x 4 pixels into channels and a 1 x 1 convolution mixes them. Then come three
    stages of 3 x 3 convolutions with ``width``, 2 ``width`` and 4 ``width`` channels, each at half the resolution of
    the previous one; every convolution is followed by batch norm and ReLU. Mean and max pooling over the tile (how
    much of a pattern there is, and whether it occurs at all) feed one hidden layer and a linear layer to ``dim``.

    Tiles whose sides are not multiples of 4 px are padded with blank map in the east and south.

    Args:
        channels: number of map layers, C.
        dim: length of the vectors.
        width: channels of the first stage, a multiple of 8; 48 and 64 train at 0.55 and 0.36 times the speed of 32.
        unit_norm: scale vectors to length 1. Turn it off for SoftPN, whose distances must be able to grow.

    >>> network = CompactTileCNN(channels=12)
    >>> network.eval()(torch.zeros(2, 12, 100, 130, dtype=torch.uint8)).shape
    torch.Size([2, 128])
    """

    patch = 4
    bf16_on_cpu = True

    def __init__(self, channels: int = 12, dim: int = 128, width: int = 32, unit_norm: bool = True) -> None:
        super().__init__()
        self.channels = whole("channels", channels, 1, 1024)
        self.dim = whole("dim", dim, 1, 8192)
        self.width = channels_of_layers(width)
        self.unit_norm = switch("unit_norm", unit_norm)
        self.stem = convolution(channels * self.patch**2, width, 1)
        self.body = nn.Sequential(
            convolution(width, width, 3),
            convolution(width, 2 * width, 3, stride=2),
            convolution(2 * width, 2 * width, 3),
            convolution(2 * width, 4 * width, 3, stride=2),
            convolution(4 * width, 4 * width, 3),
        )
        self.head = nn.Sequential(nn.Linear(8 * width, 8 * width), nn.ReLU(), nn.Linear(8 * width, dim))

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {"channels": self.channels, "dim": self.dim, "width": self.width, "unit_norm": self.unit_norm}

    def forward(self, batch: Tensor) -> Tensor:
        """(N, dim), of length 1 with ``unit_norm``, from (N, channels, H, W) uint8."""
        height, width = batch.shape[-2:]
        padded = F.pad(batch, (0, -width % self.patch, 0, -height % self.patch))
        # unshuffling bytes moves a quarter of the memory that floats would
        patches = F.pixel_unshuffle(checked(padded, self.channels), self.patch)
        patches = patches.contiguous(memory_format=torch.channels_last)
        features = self.body(self.stem(as_share(patches, self.stem[0].weight.dtype)))  # type: ignore[arg-type]
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        vectors = finished(self.head, pooled)
        return F.normalize(vectors, dim=1) if self.unit_norm else vectors


def finished(head: nn.Sequential, features: Tensor) -> Tensor:
    """(N, dim) from a head whose last layer computes in the type of its weights, under autocast too.

    Near places differ by less than bf16's eight bits: vectors rounded to them make distances, and what is learned from
    distances, worse (BENCHMARKS.md, bf16).
    """
    last = head[-1]
    hidden = head[:-1](features)
    with torch.autocast(features.device.type, enabled=False):
        vectors: Tensor = last(hidden.to(last.weight.dtype))  # type: ignore[arg-type]
    return vectors


def convolution(before: int, after: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, followed by batch norm and ReLU.

    >>> convolution(3, 8, 3, stride=2)(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 8, 8, 8])
    """
    layer = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return _Convolution(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class _Convolution(nn.Sequential):
    """Convolution, batch norm, ReLU; after training the norm is part of the convolution, which saves two passes."""

    def forward(self, batch: Tensor) -> Tensor:
        layer, norm = cast(nn.Conv2d, self[0]), cast(nn.BatchNorm2d, self[1])
        mean, variance = norm.running_mean, norm.running_var
        if norm.training or torch.is_grad_enabled() or mean is None or variance is None:
            for module in self:
                batch = module(batch)
            return batch
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        bias = norm.bias - mean * scale
        weight = layer.weight * scale[:, None, None, None]
        found = F.conv2d(batch, weight, bias, cast(Any, layer.stride), cast(Any, layer.padding))
        return found.relu_()


def checked(batch: Tensor, channels: int) -> Tensor:
    """``batch`` if it is (N, channels, H, W) uint8; otherwise ModelError.

    >>> checked(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), 3).shape
    torch.Size([2, 3, 64, 64])
    """
    if batch.dtype != torch.uint8:
        raise ModelError(f"tiles must be uint8, 0 to 255 (the network scales them); got {batch.dtype}")
    if batch.dim() != 4 or batch.shape[1] != channels:
        raise ModelError(f"tiles must have shape (N, {channels}, height, width); got {tuple(batch.shape)}")
    return batch


def _require_side(batch: Tensor, size_px: int) -> None:
    if tuple(batch.shape[2:]) != (size_px, size_px):
        raise ModelError(
            f"this network was built for tiles of {size_px} x {size_px} px; got"
            f" {tuple(batch.shape[2:])}: build it for that size, or use compact-tile-cnn, which accepts any size"
        )


def as_share(batch: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes 0..255 scaled to 0..1.

    >>> as_share(torch.tensor([0, 255], dtype=torch.uint8), torch.float32).tolist()
    [0.0, 1.0]
    """
    return batch.to(dtype).mul_(1.0 / 255.0)


def _scaled(batch: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    return as_share(checked(batch, channels), dtype)
