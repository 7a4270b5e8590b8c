"""Shape measures of a map tile, combined with a small convolutional network.

A plane shape has three motion-invariant measures: area, perimeter and Euler characteristic, which is components minus
holes (Hadwiger's theorem). For a map layer they describe how much of it there is, how fragmented it is and in how many
pieces: many small buildings or a few large ones. They need no training and generalize to unseen cities, so the network
only has to learn the rest.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.encoders.arguments import channels_of_layers, share, switch, whole
from placevec.encoders.tile_cnn import checked, convolution
from placevec.errors import ModelError

MEASURES = 6
"""Measures per layer: the three, and each again on a scale that spreads small values."""
ROOTS_OF_PERIMETERS = 4
"""Their position among the measures."""
AT_ONCE = 32
"""Tiles encoded at once on a CPU outside of training: what more need is new memory from the kernel, page by page."""


class ShapeTileCNN(nn.Module):
    """Area, perimeter and Euler characteristic of every layer, concatenated with the output of a small CNN.

    The first ``6 * channels`` components of a vector are shape measures (`shape_measures`), the rest is learned: the
    window at half resolution is folded into patches of 4 x 4 px, then come two stages of 3 x 3 convolutions, mean and
    max pooling, and one hidden layer that also gets the measures. Every component is standardized over the training
    places by batch norm.

    Args:
        channels: number of map layers, C.
        dim: length of the vectors; at least ``6 * channels + 16``.
        width: channels of the first stage, a multiple of 8.
        dropout: dropout probability of the hidden layer.
        unit_norm: scale vectors to length 1, for objectives with a margin.
        presence: how far the vectors of places with and without a layer are set apart: it is added to the root of a
            layer's perimeter where the tile shows anything of the layer, and subtracted where it does not. Measures count
            pixels that are covered by half, and see neither a thin line nor a corner. The network does not see it.

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
        presence: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = whole("channels", channels, 1, 1024)
        if not (isinstance(presence, int | float) and math.isfinite(presence) and presence >= 0):
            raise ModelError(f"presence must be a weight of 0 or more; got {presence!r:.40}")
        self.presence = float(presence)
        self.measures = MEASURES * channels
        self.dim = whole("dim", dim, 1, 8192)
        if dim < self.measures + 16:
            raise ModelError(
                f"shape measures for {channels} layers take {self.measures} dimensions: dim must be at least "
                f"{self.measures + 16}; got {dim}"
            )
        self.width = channels_of_layers(width)
        self.dropout, self.unit_norm = share("dropout", dropout), switch("unit_norm", unit_norm)
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
        """The arguments that build this encoder again, as plain JSON."""
        sizes = {"channels": self.channels, "dim": self.dim, "width": self.width}
        # models of before have no such option, and their hashes stay as they are
        presence = {"presence": self.presence} if self.presence else {}
        return {**sizes, "dropout": self.dropout, "unit_norm": self.unit_norm, **presence}

    def forward(self, batch: Tensor) -> Tensor:
        """(N, dim), of length 1 with ``unit_norm``, from (N, channels, H, W) uint8."""
        if batch.device.type == "cpu" and len(batch) > AT_ONCE and not torch.is_grad_enabled():
            return torch.cat([self(part) for part in torch.split(checked(batch, self.channels), AT_ONCE)])
        dtype: torch.dtype = self.head[0].weight.dtype  # type: ignore[assignment]
        drawn = _drawn(checked(batch, self.channels))
        measured = self.standard(_measures_of(drawn).to(dtype))
        features = self.body(_folded(drawn, dtype))
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3)), measured], dim=1)
        held = torch.zeros(len(batch) * self.channels, dtype=torch.bool, device=batch.device)
        held = held.index_fill_(0, drawn.at, True).view(-1, self.channels)
        vectors = torch.cat([self.set_apart(measured, held), self.head(pooled)], dim=1)
        return F.normalize(vectors, dim=1) if self.unit_norm else vectors

    def set_apart(self, measured: Tensor, held: Tensor) -> Tensor:
        """(N, 6 C) measures; roots of perimeters with `presence` added where a layer is, and subtracted elsewhere.

        Args:
            measured: (N, 6 C) standardized measures.
            held: (N, C) whether the tile shows anything of the layer.
        """
        if not self.presence:
            return measured
        signs = held.to(measured.dtype) * 2.0 - 1.0
        before = ROOTS_OF_PERIMETERS * self.channels
        step = F.pad(
            self.presence * signs,
            (before, self.measures - before - self.channels),
        )
        return measured + step


@torch.no_grad()
def shape_measures(batch: Tensor) -> Tensor:
    """(N, 6 C) float32 shape measures of (N, C, H, W) uint8 tiles, grouped by measure.

    A pixel belongs to the shape if its coverage is above one half; outside the tile there is nothing. Measures of each
    layer: area ``a`` as a share of the tile, 0..1; perimeter ``p`` relative to the tile's perimeter (Crofton's formula
    over four directions; between 5% too short and 3% too long for a straight edge, depending on its angle); Euler
    characteristic ``e`` with 8-connectivity, components minus holes; then ``sqrt a``, ``sqrt p`` and
    ``sign(e) log(1 + |e|)``.

    Sources: area and perimeter: S. Rivollier et al., "Adaptive generalized metrics, distance maps and nearest
    neighbor transforms", 2010, after Crofton 1868; Euler: S. B. Gray, "Local properties of binary images in two
    dimensions", IEEE Trans. Computers 20, 1971, doi:10.1109/T-C.1971.223289.

    >>> tile = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    >>> tile[..., 1:3, 1:3] = tile[..., 5:7, 5:7] = 255  # two squares of 2 x 2 px
    >>> area, _, euler, *_ = shape_measures(tile)[0].tolist()
    >>> area, euler
    (0.125, 2.0)
    """
    return _measures_of(_drawn(batch))


class _Drawn(NamedTuple):
    """The layers of a batch that hold anything: most are empty, and need no arithmetic.

    Attributes:
        planes: (P, H, W) uint8.
        at: (P,) which of the N x C layers they are.
        tiles, channels: N and C.
    """

    planes: Tensor
    at: Tensor
    tiles: int
    channels: int


def _drawn(batch: Tensor) -> _Drawn:
    at = (batch.flatten(2).amax(dim=2) > 0).flatten().nonzero()[:, 0]
    return _Drawn(batch.flatten(0, 1).index_select(0, at), at, *batch.shape[:2])


def _folded(drawn: _Drawn, dtype: torch.dtype) -> Tensor:
    """(N, 16 C, H / 8, W / 8) in channels-last memory: tiles at half resolution, 0 to 1, in patches of 4 x 4 px.

    As ``pixel_unshuffle(avg_pool2d(batch / 255, 2), 4)`` of tiles padded with blank map in the east and south. Sums of
    2 x 2 pixels are integers, two bytes a number; four of them, a row of a patch, are moved as one.
    """
    planes, at, count, channels = drawn
    planes = F.pad(planes, (0, -planes.shape[2] % 8, 0, -planes.shape[1] % 8)).contiguous()
    pairs = planes.view(torch.int16)
    sums = (pairs & 255).add_((pairs >> 8).bitwise_and_(255))
    sums = sums.view(len(sums), sums.shape[1] // 2, 2, sums.shape[2])
    rows = sums[:, :, 0].add(sums[:, :, 1]).view(torch.int64)  # (P, H / 2, W / 8)
    whole = rows.new_zeros((count * channels, *rows.shape[1:])).index_copy_(0, at, rows)
    whole = whole.view(count, channels, -1, 4, rows.shape[2]).permute(0, 2, 4, 1, 3).contiguous()
    values: Tensor = whole.flatten(3).view(torch.int16).to(dtype).mul_(1.0 / (4 * 255))
    return values.permute(0, 3, 1, 2)


def _measures_of(drawn: _Drawn) -> Tensor:
    """`shape_measures`, computed of drawn layers only: those of empty ones are zero."""
    planes, at, count, channels = drawn
    found = torch.zeros((count * channels, MEASURES), device=planes.device).index_copy_(
        0, at, _measured(planes)
    )
    return found.view(count, channels, MEASURES).transpose(1, 2).flatten(1)


def _measured(planes: Tensor) -> Tensor:
    """(P, 6) `shape_measures` of (P, H, W) planes."""
    height, width = planes.shape[1:]
    # Pixels east and west of the corners between pixels, padded by one row in the north and in the south.
    east = F.pad(_packed(planes), (0, 0, 1, 1))
    west = (east << 1) | F.pad((east >> 63) & 1, (1, -1))
    north_east, south_east, north_west, south_west = east[:, :-1], east[:, 1:], west[:, :-1], west[:, 1:]
    across = east ^ west
    falling, rising = north_west ^ south_east, north_east ^ south_west
    odd = across[:, :-1] ^ across[:, 1:]
    triple = odd & (
        (north_west & south_east) | (north_east & south_west)
    )  # with a full diagonal: two or more pixels
    diagonal = across[:, :-1] & ~(falling | rising)
    area = _count(east) / (height * width)
    straight = _count(across) + _count(north_east ^ south_east)
    slanted = _count(falling) + _count(rising)
    perimeter = math.pi / 8.0 * (straight + slanted / math.sqrt(2.0)) / (2.0 * (height + width))
    euler = (_count(odd) - 2.0 * _count(triple) - 2.0 * _count(diagonal)) / 4.0
    spread = [area.sqrt(), perimeter.sqrt(), euler.sign() * euler.abs().log1p()]
    return torch.stack([area, perimeter, euler, *spread], dim=1)


_ONES = 0x0101010101010101
_GATHER = 0x0102040810204080
"""Multiplying eight bytes of 0 or 1 by this gathers their bits in the highest byte, the first byte's bit lowest."""


def _packed(planes: Tensor) -> Tensor:
    """(P, H, K) int64: one bit per pixel of (P, H, W), set if above 127, plus at least one zero bit per row."""
    width = planes.shape[2]
    padded = F.pad(planes, (0, -width % 8)).contiguous()
    eights = (padded if padded.storage_offset() % 8 == 0 else padded.clone()).view(torch.int64)
    # Integer overflow wraps, on CPUs and GPUs; bits shifted in from negative numbers are masked.
    # In place: fresh memory takes longer than counting.
    packed = (eights >> 7).bitwise_and_(_ONES).mul_(_GATHER).bitwise_right_shift_(56).to(torch.uint8)
    words = width // 64 + 1
    return F.pad(packed, (0, 8 * words - packed.shape[2])).view(torch.int64)


def _count(words: Tensor) -> Tensor:
    """(P,) float32: how many bits are set in (P, H, K) int64."""
    if words.device.type == "cpu" and hasattr(np, "bitwise_count"):  # NumPy 2
        set_ = torch.from_numpy(np.bitwise_count(words.contiguous().numpy().view(np.uint64)))
        return set_.flatten(1).sum(1, dtype=torch.int32).float()
    # In pairs, in fours, in bytes, and all bytes together in the highest.
    words = words - ((words >> 1) & 0x5555555555555555)
    words = (words & 0x3333333333333333) + ((words >> 2) & 0x3333333333333333)
    words = (words + (words >> 4)) & 0x0F0F0F0F0F0F0F0F
    return ((words * _ONES >> 56) & 0x7F).flatten(1).sum(1).float()
