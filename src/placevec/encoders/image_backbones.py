"""Standard image networks, for weights that others trained: ResNet-18, -34, -50 and MobileNetV2 for any bands.

He et al. 2016, arXiv:1512.03385; Sandler et al. 2018, arXiv:1801.04381. Layers are named as torchvision, timm
and torchgeo name them, so that their files fit (`placevec.models.starting_weights`); what torchvision calls
``features`` of MobileNetV2 is ``stack``.
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


class Backbone(nn.Module):
    """What standard networks have in common here: bands, standardized numbers, the mean over pixels, a linear layer.

    Values become reflectances (``values / full_scale``, clipped to 0..2), and each band is standardized by batch norm,
    so that weights which were trained on standardized images of another sensor find numbers of the same range.
    """

    width: int

    def _standardizes(self, bands: Sequence[str], full_scale: float, *, unit_norm: bool) -> None:
        self.bands = band_names("bands", bands, 1)
        self.full_scale, self.unit_norm = positive("full_scale", full_scale), switch("unit_norm", unit_norm)
        self.standard = nn.BatchNorm2d(len(self.bands), affine=False)

    def _projects(self, dim: int | None) -> None:
        self.dim = self.width if dim is None else whole("dim", dim, 1, 8192)
        self.project = None if dim is None else nn.Linear(self.width, self.dim)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {
            "bands": list(self.bands), "dim": None if self.project is None else self.dim,
            "full_scale": self.full_scale, "unit_norm": self.unit_norm,
        }  # fmt: skip

    def standardized(self, batch: Tensor) -> Tensor:
        """(N, bands, H, W) numbers as stored -> standardized reflectances. NaN pixels are 0."""
        check_chips(batch, len(self.bands))
        dtype = self.standard.running_mean.dtype  # type: ignore[union-attr]
        shares = torch.nan_to_num(batch.to(dtype) / self.full_scale, nan=0.0).clamp(0.0, MAX_REFLECTANCE)
        found: Tensor = self.standard(shares).contiguous(memory_format=torch.channels_last)
        return found

    def features(self, batch: Tensor) -> Tensor:
        """(N, bands, H, W) numbers as stored -> (N, width, height, width) before the mean."""
        raise NotImplementedError(f"{type(self).__name__} must define features")  # justified: abstract

    def forward(self, batch: Tensor) -> Tensor:
        """(N, dim), of length 1 with ``unit_norm``, from (N, bands, H, W) numbers as stored."""
        pooled = self.features(batch).mean((2, 3))
        vectors: Tensor = pooled if self.project is None else finished(nn.Sequential(self.project), pooled)
        return F.normalize(vectors, dim=1) if self.unit_norm else vectors


class ResNet18(Backbone):
    """ResNet-18 for chips of any bands: 11.2 million weights, and a linear layer to ``dim``.

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

    width = WIDTHS[-1]
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
        self.stem = stem
        if stem not in STEMS:
            raise ModelError(f"stem must be one of {', '.join(STEMS)}; got {stem!r:.40}")
        self._standardizes(bands, full_scale, unit_norm=unit_norm)
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
        self._projects(dim)

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {**super().config(), "stem": self.stem}

    def features(self, batch: Tensor) -> Tensor:
        """(N, bands, H, W) numbers as stored -> (N, width, height, width) before the mean. NaN pixels are 0."""
        found = F.relu(self.bn1(self.conv1(self.standardized(batch))))
        if self.stem == "large":
            found = F.max_pool2d(found, 3, 2, 1)
        for number in range(1, len(WIDTHS) + 1):
            found = self.get_submodule(f"layer{number}")(found)
        return found


class ResNet34(ResNet18):
    """ResNet-34: 21.3 million weights; arguments as of `ResNet18`.

    >>> ResNet34(["red", "green", "blue"], dim=None).dim
    512
    """

    _layers = (3, 4, 6, 3)


class ResNet50(ResNet18):
    """ResNet-50, with bottleneck blocks: 23.5 million weights; arguments as for `ResNet18`.

    >>> ResNet50(["red", "green", "blue"], dim=None).dim
    2048
    """

    width = WIDTHS[-1] * _Bottleneck.widens
    _block = _Bottleneck
    _layers = (3, 4, 6, 3)


def _convolution(before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(after), nn.ReLU6()
    )  # fmt: skip


class _Inverted(nn.Module):
    """Widened, a 3 x 3 convolution in each channel, and narrowed without a nonlinearity, beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int, times: int) -> None:
        super().__init__()
        wide = before * times
        widened = [_convolution(before, wide, 1)] if times > 1 else []
        narrowed = nn.Conv2d(wide, after, 1, bias=False), nn.BatchNorm2d(after)
        self.conv = nn.Sequential(*widened, _convolution(wide, wide, 3, stride, groups=wide), *narrowed)
        self.is_same = stride == 1 and before == after

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.conv(features)
        return features + found if self.is_same else found


class MobileNetV2(Backbone):
    """MobileNetV2 for chips of any bands: 2.2 million weights of the network; arguments as of `ResNet18`.

    >>> network = MobileNetV2(["red", "green", "blue"], dim=32, full_scale=255.0)
    >>> network.eval()(torch.full((2, 3, 64, 64), 90.0)).shape
    torch.Size([2, 32])
    """

    width = 1280
    _stages = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip
    """Times wider, channels, blocks, stride of the first."""

    def __init__(
        self,
        bands: Sequence[str] = ("B04", "B03", "B02"),
        dim: int | None = 256,
        full_scale: float = 10_000.0,
        unit_norm: bool = True,
    ) -> None:
        super().__init__()
        self._standardizes(bands, full_scale, unit_norm=unit_norm)
        layers: list[nn.Module] = [_convolution(len(self.bands), 32, 3, 2)]
        before = 32
        for times, after, blocks, stride in self._stages:
            for number in range(blocks):
                layers.append(_Inverted(before, after, stride if number == 0 else 1, times))
                before = after
        self.stack = nn.Sequential(*layers, _convolution(before, self.width, 1))
        self._projects(dim)

    def features(self, batch: Tensor) -> Tensor:
        """(N, bands, H, W) numbers as stored -> (N, 1280, height, width) before the mean. NaN pixels are 0."""
        found: Tensor = self.stack(self.standardized(batch))
        return found
