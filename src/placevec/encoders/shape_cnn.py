"""What a map tile shows in numbers of its shapes, beside what a small network has learnt of it.

Integral geometry knows three numbers of a shape in the plane that no motion changes: its area, its perimeter and its
Euler characteristic, parts less holes (Hadwiger's theorem). Of a layer of the map they tell how much of it there is,
how finely it is cut up, and in how many pieces: many small buildings or few large ones. They need no learning, and
carry to cities never seen; a network then has only the rest to learn.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.encoders.tile_cnn import as_share, checked, convolution, whole
from placevec.errors import ModelError

MEASURES = 6
"""Numbers of one layer's shapes: the three, and each again on a scale that spreads small ones."""


class ShapeTileCNN(nn.Module):
    """Area, perimeter and Euler characteristic of every layer, beside vectors of a small convolutional network.

    The first ``6 * channels`` numbers of a vector are measures of shape (`shape_measures`), the rest is learnt: the
    window at half its resolution is folded in patches of 4 x 4 px, two stages of 3 x 3 convolutions follow, then
    mean and maximum, and with the measures one hidden layer. In the end every number is brought to mean 0 and
    deviation 1 over the places trained on.

    Args:
        channels: layers of the map, C.
        dim: length of the vectors; at least 16 more than ``6 * channels``.
        width: channels of the first stage, a multiple of 8.
        dropout: share of the hidden layer's units dropped in training.
        unit_norm: scale vectors to length 1, for objectives with a margin.

    >>> network = ShapeTileCNN(channels=6)
    >>> network.eval()(torch.zeros(2, 6, 128, 128, dtype=torch.uint8)).shape
    torch.Size([2, 128])
    """

    patch = 4

    def __init__(
        self,
        channels: int = 12,
        dim: int = 128,
        width: int = 32,
        dropout: float = 0.1,
        unit_norm: bool = False,
    ) -> None:
        super().__init__()
        self.channels = whole("channels", channels, 1, 1024)
        self.measures = MEASURES * channels
        self.dim = whole("dim", dim, 1, 8192)
        if dim < self.measures + 16:
            raise ModelError(
                f"shapes of {channels} layers take {self.measures} numbers: "
                f"dim is {self.measures + 16} or more, not {dim}"
            )
        self.width = whole("width", width, 8, 512)
        if width % 8:
            raise ModelError(f"width is a multiple of 8; got {width}")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise ModelError(f"dropout is a share from 0 to below 1; got {dropout!r}")
        if not isinstance(unit_norm, bool):
            raise ModelError(f"unit_norm is true or false; got {unit_norm!r}")
        self.dropout, self.unit_norm = float(dropout), unit_norm
        self.body = nn.Sequential(
            convolution(channels * self.patch**2, width, 1),
            convolution(width, width, 3),
            convolution(width, 2 * width, 3, stride=2),
            convolution(2 * width, 2 * width, 3),
        )
        self.standard = nn.BatchNorm1d(self.measures, affine=False)
        self.head = nn.Sequential(
            nn.Linear(4 * width + self.measures, 8 * width),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(8 * width, dim - self.measures),
            nn.BatchNorm1d(dim - self.measures, affine=False),
        )

    def config(self) -> dict[str, Any]:
        """The arguments that build this network again, plain JSON."""
        sizes = {"channels": self.channels, "dim": self.dim, "width": self.width}
        return {**sizes, "dropout": self.dropout, "unit_norm": self.unit_norm}

    def forward(self, batch: Tensor) -> Tensor:
        """(N, dim), of length 1 with ``unit_norm``, from (N, channels, H, W) uint8."""
        dtype: torch.dtype = self.head[0].weight.dtype  # type: ignore[assignment]
        measured = self.standard(shape_measures(checked(batch, self.channels)).to(dtype))
        step = 2 * self.patch
        padded = F.pad(batch, (0, -batch.shape[3] % step, 0, -batch.shape[2] % step))
        halved = F.avg_pool2d(as_share(padded, dtype), 2)
        patches = F.pixel_unshuffle(halved, self.patch).contiguous(memory_format=torch.channels_last)
        features = self.body(patches)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3)), measured], dim=1)
        vectors = torch.cat([measured, self.head(pooled)], dim=1)
        return F.normalize(vectors, dim=1) if self.unit_norm else vectors


@torch.no_grad()
def shape_measures(batch: Tensor) -> Tensor:
    """(N, 6 C) numbers of the shapes in (N, C, H, W) uint8 tiles, float32; all of one kind together.

    A pixel belongs to the shape where its share is above a half; beyond the edge there is nothing. Kinds, by layer:
    area ``a``, 0..1 of the tile; perimeter ``p`` by the sides of the tile (Crofton's formula over four directions,
    5 % short to 3 % long of a straight edge, by its angle); Euler characteristic ``e`` by 8-neighbours, parts less
    holes; then ``sqrt a``, ``sqrt p`` and ``sign(e) log(1 + |e|)``.

    Sources: area and perimeter: S. Rivollier et al., "Adaptive generalized metrics, distance maps and nearest
    neighbor transforms", 2010, after Crofton 1868; Euler: S. B. Gray, "Local properties of binary images in two
    dimensions", IEEE Trans. Computers 20, 1971, doi:10.1109/T-C.1971.223289.
    """
    height, width = batch.shape[2:]
    inside = F.pad((batch > 127).view(torch.uint8), (1, 1, 1, 1))
    area = _count(inside) / (height * width)
    north_west, south_east = inside[:, :, :-1, :-1], inside[:, :, 1:, 1:]
    north_east, south_west = inside[:, :, :-1, 1:], inside[:, :, 1:, :-1]
    falling = north_west ^ south_east
    straight = _count(inside[..., :-1] ^ inside[..., 1:]) + _count(inside[:, :, :-1] ^ inside[:, :, 1:])
    slanted = _count(falling) + _count(north_east ^ south_west)
    perimeter = math.pi / 8.0 * (straight + slanted / math.sqrt(2.0)) / (2.0 * (height + width))
    corners = north_west + south_east + north_east + south_west
    diagonal = (corners == 2).view(torch.uint8) & (falling ^ 1)
    single, triple = (corners == 1).view(torch.uint8), (corners == 3).view(torch.uint8)
    euler = (_count(single) - _count(triple) - 2.0 * _count(diagonal)) / 4.0
    spread = [area.sqrt(), perimeter.sqrt(), euler.sign() * euler.abs().log1p()]
    return torch.cat([area, perimeter, euler, *spread], dim=1)


def _count(ones: Tensor) -> Tensor:
    """(N, C) how many of (N, C, H, W) zeros and ones are ones; summed as bytes first, which is 40 times faster."""
    columns = [rows.sum(2, dtype=torch.uint8) for rows in torch.split(ones, 255, dim=2)]
    return torch.stack([column.sum(2, dtype=torch.float32) for column in columns]).sum(0)
