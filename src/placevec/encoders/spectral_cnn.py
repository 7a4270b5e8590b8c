"""Encoders of chips of satellite bands, which learn how much to make of each band or feature.

Channel attention is squeeze and excitation (Hu et al. 2018, arXiv:1709.01507): the mean of every channel goes through
two small layers, whose outputs between 0 and 1 scale the channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.encoders.arguments import channels_of_layers, positive, switch, whole
from placevec.encoders.tile_cnn import convolution, finished
from placevec.errors import ModelError

MAX_BANDS = 64
PER_BAND = 5
"""Numbers of `band_statistics` for each band."""
MAX_REFLECTANCE = 2.0
"""Clouds and snow reach about there; more is a defect of a pixel."""
INDICES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ndvi": (("B08", "B8", "B8A", "nir"), ("B04", "B4", "red")),
    "ndwi": (("B03", "B3", "green"), ("B08", "B8", "B8A", "nir")),
}
"""Index -> names of its two bands a and b, of which it is (a - b) / (a + b): NDVI (Rouse et al. 1974) and NDWI (McFeeters
1996, doi:10.1080/01431169608948714)."""


class ChannelAttention(nn.Module):
    """Scales channels by factors between 0 and 1, computed from the means of all of them.

    Args:
        channels: C.
        hidden: units between the two layers.
        founding: ReLU between layers without biases. Hidden units of means, which are all positive, are dead from the
            start in about half of all draws; by default SiLU, and biases.

    >>> ChannelAttention(4, 1, founding=True)(torch.ones(2, 4, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """

    def __init__(self, channels: int, hidden: int, *, founding: bool = False) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden, bias=not founding)
        self.excite = nn.Linear(hidden, channels, bias=not founding)
        self.activate = F.relu if founding else F.silu

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        factors = torch.sigmoid(self.excite(self.activate(self.squeeze(features.mean((2, 3))))))
        return features * factors[:, :, None, None]


class FoundingSpectralCNN(nn.Module):
    """The image network of the founding Where2Vec: 438,088 weights by default.

    Values are clipped to 0..``full_scale`` and divided by it. Attention scales the raw bands (one hidden unit, no
    biases); then come three blocks of [3 x 3 convolution, batch norm, ReLU] with 64, 128 and 256 channels, the first two
    followed by 2 x 2 max pooling; then the mean over the chip, one linear layer, and scaling to length 1. The founding
    code fixed four bands (B02, B03, B04, B08) and 256 components. Its only hidden unit is dead in about half of all
    starts: all bands are then scaled by 1/2, and the attention never learns.

    Args:
        channels: number of bands, C.
        dim: length of the vectors.
        full_scale: the value that stands for a reflectance of 1.

    Source: founding document 000 and its code.

    >>> network = FoundingSpectralCNN()
    >>> sum(value.numel() for value in network.parameters())
    438088
    >>> network.eval()(torch.full((2, 4, 100, 100), 2000.0)).shape
    torch.Size([2, 256])
    """

    planes_on_cpu = True

    def __init__(self, channels: int = 4, dim: int = 256, full_scale: float = 10_000.0) -> None:
        super().__init__()
        self.channels = whole("channels", channels, 1, MAX_BANDS)
        self.dim = whole("dim", dim, 1, 8192)
        self.full_scale = positive("full_scale", full_scale)
        self.attention = ChannelAttention(channels, max(1, channels // 4), founding=True)
        layers: list[nn.Module] = []
        before = channels
        for width in (64, 128, 256):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Linear(256, dim)

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {"channels": self.channels, "dim": self.dim, "full_scale": self.full_scale}

    def forward(self, batch: Tensor) -> Tensor:
        """(N, channels, H, W) numbers as stored -> (N, dim) vectors of length 1; H and W are 4 at least."""
        check_chips(batch, self.channels)
        dtype = self.project.weight.dtype
        features = self.attention(batch.to(dtype).clamp(0.0, self.full_scale) / self.full_scale)
        layers = iter(self.convolutions)
        for block, (convolve, norm, rectify) in enumerate(zip(layers, layers, layers, strict=True)):
            features = norm(convolve(features))
            # max pooling commutes with ReLU: pooling first gives the same and rectifies a quarter of the pixels
            features = rectify(F.max_pool2d(features, 2) if block < 2 else features)
        return F.normalize(finished(nn.Sequential(self.project), features.mean((2, 3))), dim=1)


class SpectralCNN(nn.Module):
    """A network for chips of any bands and size, whose attention weighs learned features instead of raw bands.

    Values become reflectances (``values / full_scale``, clipped to 0..2), with spectral indices as further channels where
    they are asked for, and are standardized by batch norm. A 5 x 5 convolution at half resolution is followed by three
    stages of 3 x 3 convolutions with ``width``, 2 ``width`` and 4 ``width`` channels, each at half the resolution of the
    previous one and with attention over its channels at its end. Mean and max pooling feed one hidden layer and a linear
    layer to ``dim``. A quarter of the multiplications of `FoundingSpectralCNN`.

    With ``statistics`` the hidden layer also reads `band_statistics` of the standardized bands, which hardly survive
    pooled convolutions and say much about land cover.

    Args:
        bands: names of the bands in the order of the channels.
        dim: length of the vectors.
        width: channels of the first stage, a multiple of 8.
        indices: of `INDICES`, whose bands must be among ``bands``.
        full_scale: the value that stands for a reflectance of 1: 10,000 for Sentinel-2, 255 for bytes.
        unit_norm: scale vectors to length 1.
        statistics: whether the hidden layer reads statistics of the bands, too.

    >>> network = SpectralCNN(["B02", "B03", "B04", "B08"], indices=["ndvi"])
    >>> network.eval()(torch.full((2, 4, 64, 64), 2000.0)).shape
    torch.Size([2, 256])
    """

    def __init__(
        self,
        bands: Sequence[str] = ("B02", "B03", "B04", "B08"),
        dim: int = 256,
        width: int = 32,
        indices: Sequence[str] = (),
        full_scale: float = 10_000.0,
        unit_norm: bool = True,
        statistics: bool = False,
    ) -> None:
        super().__init__()
        self.bands, self.indices = band_names("bands", bands, 1), band_names("indices", indices, 0)
        self._pairs = [index_bands(index, self.bands) for index in self.indices]
        self.dim = whole("dim", dim, 1, 8192)
        self.width = channels_of_layers(width)
        self.full_scale, self.unit_norm = positive("full_scale", full_scale), switch("unit_norm", unit_norm)
        self.statistics = switch("statistics", statistics)
        inputs = len(self.bands) + len(self.indices)
        self.standard = nn.BatchNorm2d(inputs, affine=False)
        self.body = nn.Sequential(
            convolution(inputs, width, 5, stride=2),
            convolution(width, width, 3),
            ChannelAttention(width, max(4, width // 4)),
            convolution(width, 2 * width, 3, stride=2),
            convolution(2 * width, 2 * width, 3),
            ChannelAttention(2 * width, width // 2),
            convolution(2 * width, 4 * width, 3, stride=2),
            convolution(4 * width, 4 * width, 3),
            ChannelAttention(4 * width, width),
        )
        read = 8 * width + (PER_BAND * inputs if self.statistics else 0)
        self.head = nn.Sequential(nn.Linear(read, 8 * width), nn.ReLU(), nn.Linear(8 * width, dim))

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {
            "bands": list(self.bands), "dim": self.dim, "width": self.width, "indices": list(self.indices),
            "full_scale": self.full_scale, "unit_norm": self.unit_norm, "statistics": self.statistics,
        }  # fmt: skip

    def forward(self, batch: Tensor) -> Tensor:
        """(N, dim), of length 1 with ``unit_norm``, from (N, bands, H, W) numbers as stored. NaN pixels count as 0."""
        check_chips(batch, len(self.bands))
        dtype = self.standard.running_mean.dtype  # type: ignore[union-attr]
        shares = torch.nan_to_num(batch.to(dtype) / self.full_scale, nan=0.0).clamp(0.0, MAX_REFLECTANCE)
        planes = [shares, *(_index(shares[:, a], shares[:, b])[:, None] for a, b in self._pairs)]
        inputs = torch.cat(planes, dim=1) if self._pairs else shares
        standard = self.standard(inputs)
        features = self.body(standard.contiguous(memory_format=torch.channels_last))
        pooled = [features.mean((2, 3)), features.amax((2, 3))]
        if self.statistics:
            pooled.append(band_statistics(standard).to(features.dtype))
        vectors = finished(self.head, torch.cat(pooled, dim=1))
        return F.normalize(vectors, dim=1) if self.unit_norm else vectors


def band_statistics(planes: Tensor) -> Tensor:
    """(N, 5 C): mean, standard deviation, and 10th, 50th and 90th percentiles of each of the (N, C, H, W) planes.

    Percentiles are nearest ranks, of every few rows and columns if a plane has more than 32 of them.

    >>> band_statistics(torch.arange(16.0).reshape(1, 1, 4, 4)).round(decimals=2)
    tensor([[ 7.5000,  4.6100,  2.0000,  8.0000, 14.0000]])
    """
    planes = planes.float()
    coarse = (
        planes[:, :, :: -(-planes.shape[2] // 32), :: -(-planes.shape[3] // 32)].flatten(2).sort(dim=2).values
    )
    ranks = [round(share * (coarse.shape[2] - 1)) for share in (0.1, 0.5, 0.9)]
    deviations = planes.var((2, 3), correction=0).clamp(min=1e-12).sqrt()
    return torch.cat([planes.mean((2, 3)), deviations, coarse[:, :, ranks].transpose(1, 2).flatten(1)], dim=1)


def index_bands(index: str, bands: Sequence[str]) -> tuple[int, int]:
    """Positions of an index's two bands.

    Raises:
        ModelError: an unknown index, or a band that is not there.

    >>> index_bands("ndvi", ["red", "green", "nir"])
    (2, 0)
    """
    if index not in INDICES:
        raise ModelError(f"unknown index {index!r}; choose from {', '.join(INDICES)}")
    found = []
    for names in INDICES[index]:
        lower = [name.lower() for name in names]
        at = next((place for place, band in enumerate(bands) if band.lower() in lower), None)
        if at is None:
            raise ModelError(f"{index} needs the band {names[0]}; there are {', '.join(bands)}")
        found.append(at)
    return found[0], found[1]


def _index(first: Tensor, second: Tensor) -> Tensor:
    """(a - b) / (a + b), 0 where both are 0."""
    total = first + second
    return torch.where(total > 0, (first - second) / total.clamp(min=1e-6), 0.0)


def band_names(what: str, names: Sequence[str], least: int) -> tuple[str, ...]:
    """Checked names; ModelError unless there are ``least`` to `MAX_BANDS` different ones.

    >>> band_names("bands", ["red", "nir"], 1)
    ('red', 'nir')
    """
    found = tuple(names) if not isinstance(names, str) else ()
    if (
        not least <= len(found) <= MAX_BANDS
        or any(not isinstance(name, str) for name in found)
        or len(set(found)) < len(found)
    ):
        raise ModelError(f"{what} must be {least} to {MAX_BANDS} different names; got {names!r:.80}")
    return found


def check_chips(batch: Tensor, channels: int) -> None:
    """ModelError unless a batch has the shape of chips.

    >>> check_chips(torch.zeros(2, 4, 16, 16), 4)
    """
    if batch.dim() != 4 or batch.shape[1] != channels or min(batch.shape[2:]) < 4:
        raise ModelError(
            f"chips must have shape (N, {channels}, height, width), 4 px at least; got {tuple(batch.shape)}"
        )
