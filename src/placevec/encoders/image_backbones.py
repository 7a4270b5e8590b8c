"""Residual networks for images of any channels, as transformers builds them: aerial photos, chips, map layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from placevec.encoders.tile_cnn import finished, whole
from placevec.errors import ModelError

MAX_CHANNELS = 1024
_LAYOUTS: dict[int, tuple[str, tuple[int, ...], tuple[int, ...]]] = {
    18: ("basic", (64, 128, 256, 512), (2, 2, 2, 2)),
    34: ("basic", (64, 128, 256, 512), (3, 4, 6, 3)),
    50: ("bottleneck", (256, 512, 1024, 2048), (3, 4, 6, 3)),
}
"""Depth -> kind of layers, width and number of them in each stage (He et al. 2016, arXiv:1512.03385, table 1)."""


class ResNetEncoder(nn.Module):
    """ResNet-18, -34 or -50: the mean of its last features over the image, through a linear layer where ``dim`` differs.

    Values are divided by ``full_scale`` and standardized with the mean and standard deviation of each channel, if given.

    Args:
        channels: bands or layers, C.
        dim: length of the vectors; None keeps the width of the network: 512 of 18 and 34 layers, 2048 of 50.
        depth: 18, 34 or 50.
        full_scale: number that stands for 1; 255 of bytes.
        mean, std: of each channel after scaling; None leaves values as they are.

    >>> network = ResNetEncoder(3, dim=64, depth=18)
    >>> network.eval()(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
    torch.Size([2, 64])
    """

    planes_on_cpu = True

    def __init__(
        self,
        channels: int = 3,
        dim: int | None = None,
        depth: int = 18,
        full_scale: float = 255.0,
        mean: list[float] | None = None,
        std: list[float] | None = None,
    ) -> None:
        super().__init__()
        from transformers import ResNetConfig, ResNetModel

        self.channels = whole("channels", channels, 1, MAX_CHANNELS)
        if depth not in _LAYOUTS:
            raise ModelError(f"depth must be {', '.join(map(str, _LAYOUTS))}; got {depth!r}")
        if not isinstance(full_scale, int | float) or isinstance(full_scale, bool) or not full_scale > 0:
            raise ModelError(f"full_scale must be a positive number; got {full_scale!r}")
        kind, widths, layers = _LAYOUTS[depth]
        self.depth, self.full_scale = depth, float(full_scale)
        self.dim = widths[-1] if dim is None else whole("dim", dim, 1, 8192)
        self.mean, self.std = _checked(mean, channels), _checked(std, channels)
        self.register_buffer("_mean", torch.tensor(self.mean or [0.0] * channels), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std or [1.0] * channels), persistent=False)
        self.network = ResNetModel(
            ResNetConfig(
                num_channels=channels, embedding_size=64, hidden_sizes=list(widths), depths=list(layers),
                layer_type=kind,
            )
        )  # fmt: skip
        self.project = nn.Linear(widths[-1], self.dim) if self.dim != widths[-1] else None

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {
            "channels": self.channels, "dim": self.dim, "depth": self.depth, "full_scale": self.full_scale,
            "mean": self.mean, "std": self.std,
        }  # fmt: skip

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) numbers as stored -> (N, dim); H and W are 32 at least.

        Raises:
            ModelError: another shape.
        """
        if batch.ndim != 4 or batch.shape[1] != self.channels or min(batch.shape[2:]) < 32:
            raise ModelError(
                f"this encoder reads (N, {self.channels}, 32 or more, 32 or more); got {tuple(batch.shape)}"
            )
        dtype = next(self.network.parameters()).dtype
        values = batch.to(dtype) / self.full_scale
        values = (values - self._mean.view(-1, 1, 1)) / self._std.view(-1, 1, 1)  # type: ignore[operator]
        pooled = self.network(values).pooler_output.flatten(1)
        if self.project is None:
            return torch.as_tensor(pooled)
        return finished(nn.Sequential(self.project), pooled)


def _checked(values: list[float] | None, channels: int) -> list[float] | None:
    if values is None:
        return None
    if len(values) != channels or not all(isinstance(value, int | float) for value in values):
        raise ModelError(f"mean and std need a number for each of {channels} channels; got {values!r:.60}")
    return [float(value) for value in values]
