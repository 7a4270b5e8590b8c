"""Standard image networks, for weights that others trained: ResNet-18, -34 and -50 for any bands.

He et al. 2016, arXiv:1512.03385. Layers are named as torchvision, timm and torchgeo name them, so that their files fit
(`placevec.models.starting_weights`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.encoders.arguments import positive, switch, whole
from placevec.encoders.spectral_cnn import MAX_REFLECTANCE, band_names, check_chips
from placevec.encoders.tile_cnn import finished
from placevec.errors import ModelError

WIDTHS = (64, 128, 256, 512)
STEMS = ("small", "large")


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    widens = 1

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, features: Tensor) -> Tensor:
        found = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(features)))))
        return F.relu(found + self.downsample(features))


class _Bottleneck(nn.Module):
    """A 3 x 3 convolution between two of 1 x 1, the last of which is four times as wide, beside a shortcut.

    The 3 x 3 convolution has the stride, as in torchvision and timm.
    """

    widens = 4

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv3 = nn.Conv2d(after, 4 * after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * after)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or before != 4 * after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, 4 * after, 1, stride, bias=False), nn.BatchNorm2d(4 * after)
            )

    def forward(self, features: Tensor) -> Tensor:
        found = F.relu(self.bn1(self.conv1(features)))
        found = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(found)))))
        return F.relu(found + self.downsample(features))


class ResNet18(nn.Module):
    """ResNet-18 for chips of any bands: 11.2 million weights, and a linear layer to ``dim``.

    Values become reflectances (``values / full_scale``, clipped to 0..2), and each band is standardized by batch norm,
    so that weights which were trained on standardized images of another sensor find numbers of the same range.

    Args:
        bands: names of the bands in the order of the channels.
        dim: length of the vectors; None keeps the features as they are, 512 of them (2048 of ResNet-50).
        stem: ``large``: 7 x 7 of stride 2 and pooling, as published; ``small``: 3 x 3 of stride 1, for chips of 128 px
            and less (16 times the work).
        full_scale: the value that stands for a reflectance of 1: 10,000 for Sentinel-2, 255 for bytes.
        unit_norm: scale vectors to length 1.

    >>> network = ResNet18(["red", "green", "blue"], dim=32, full_scale=255.0)
    >>> network.eval()(torch.full((2, 3, 64, 64), 90.0)).shape, network.features(torch.ones(1, 3, 64, 64)).shape
    (torch.Size([2, 32]), torch.Size([1, 512, 2, 2]))
    """

    _block: type[_Block | _Bottleneck] = _Block
    _layers = (2, 2, 2, 2)

    def __init__(
        self,
        bands: Sequence[str] = ("B04", "B03", "B02"),
        dim: int | None = 256,
        stem: str = "large",
        full_scale: float = 10_000.0,
        unit_norm: bool = True,
    ) -> None:
        super().__init__()
        self.bands = band_names("bands", bands, 1)
        self.width = WIDTHS[-1] * self._block.widens
        self.dim, self.stem = self.width if dim is None else whole("dim", dim, 1, 8192), stem
        if stem not in STEMS:
            raise ModelError(f"stem must be one of {', '.join(STEMS)}; got {stem!r:.40}")
        self.full_scale, self.unit_norm = positive("full_scale", full_scale), switch("unit_norm", unit_norm)
        self.standard = nn.BatchNorm2d(len(self.bands), affine=False)
        size, stride = (7, 2) if stem == "large" else (3, 1)
        self.conv1 = nn.Conv2d(len(self.bands), WIDTHS[0], size, stride, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        before = WIDTHS[0]
        for number, width in enumerate(WIDTHS, 1):
            wide = width * self._block.widens
            further = (self._block(wide, width, 1) for _ in range(self._layers[number - 1] - 1))
            stage = nn.Sequential(self._block(before, width, 1 if number == 1 else 2), *further)
            self.add_module(f"layer{number}", stage)
            before = wide
        self.project = None if dim is None else nn.Linear(before, self.dim)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {
            "bands": list(self.bands), "dim": None if self.project is None else self.dim, "stem": self.stem,
            "full_scale": self.full_scale, "unit_norm": self.unit_norm,
        }  # fmt: skip

    def features(self, batch: Tensor) -> Tensor:
        """(N, bands, H, W) numbers as stored -> (N, width, height, width) before the mean. NaN pixels are 0."""
        check_chips(batch, len(self.bands))
        dtype = self.standard.running_mean.dtype  # type: ignore[union-attr]
        shares = torch.nan_to_num(batch.to(dtype) / self.full_scale, nan=0.0).clamp(0.0, MAX_REFLECTANCE)
        found: Tensor = self.standard(shares).contiguous(memory_format=torch.channels_last)
        found = F.relu(self.bn1(self.conv1(found)))
        if self.stem == "large":
            found = F.max_pool2d(found, 3, 2, 1)
        for number in range(1, len(WIDTHS) + 1):
            found = self.get_submodule(f"layer{number}")(found)
        return found

    def forward(self, batch: Tensor) -> Tensor:
        """(N, dim), of length 1 with ``unit_norm``, from (N, bands, H, W) numbers as stored."""
        pooled = self.features(batch).mean((2, 3))
        vectors: Tensor = pooled if self.project is None else finished(nn.Sequential(self.project), pooled)
        return F.normalize(vectors, dim=1) if self.unit_norm else vectors


class ResNet34(ResNet18):
    """ResNet-34: 21.3 million weights; arguments as of `ResNet18`.

    >>> ResNet34(["red", "green", "blue"], dim=None).dim
    512
    """

    _layers = (3, 4, 6, 3)


class ResNet50(ResNet18):
    """ResNet-50, of bottleneck layers: 23.5 million weights; arguments as of `ResNet18`.

    >>> ResNet50(["red", "green", "blue"], dim=None).dim
    2048
    """

    _block = _Bottleneck
    _layers = (3, 4, 6, 3)
