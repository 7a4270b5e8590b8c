"""Climplicit's location encoder (Dollinger et al. 2025, arXiv:2504.05089): a deep residual H-SIREN of place and month.

Inputs are lon / 180, lat / 90 and the sine and cosine of the month. The first layer is sin(30 sinh(2 (W x + b))); in the
others, what enters the sine is the mean of the layer and of what entered the one before. A place is embedded for March,
June, September and December. The antimeridian and the poles are seams. Its weights come from
`placevec.models.importers`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from placevec.encoders.arguments import whole
from placevec.encoders.locations.foreign import ForeignEncoder

MONTHS = (3, 6, 9, 12)
_FIRST = 30.0


class ClimplicitEncoder(ForeignEncoder):
    """Climplicit's location encoder: longitude and latitude in degrees -> (N, 4 * width).

    Args:
        width: length of the vector of a month.
        hidden: units of a layer.
        layers: number of layers before the last.

    Its features are (N, 4, 4): lon / 180, lat / 90, sine and cosine of the month, for each of `MONTHS`; the vectors of
    the four months follow one another.

    >>> ClimplicitEncoder(width=4, hidden=8, layers=3)([24.94, -170.7], [60.17, -14.3]).shape
    torch.Size([2, 16])
    """

    encoder = "climplicit"
    alternative = ": its vectors combine four months"

    def __init__(self, width: int = 256, hidden: int = 512, layers: int = 16) -> None:
        super().__init__()
        for name, value, most in (("width", width, 65536), ("hidden", hidden, 65536), ("layers", layers, 64)):
            whole(name, value, 1, most)
        self.width, self.hidden = width, hidden
        self.dim = width * len(MONTHS)
        self.layers = nn.ModuleList(nn.Linear(hidden if number else 4, hidden) for number in range(layers))
        self.last = nn.Linear(hidden, width)

    def describe(self) -> str:
        """A printable description: layers, dimensions and continuity."""
        return (
            f"climplicit: {len(self.layers)} layers of {self.hidden} to {self.dim} dimensions, {len(MONTHS)} months\n"
            "continuous at the antimeridian: no, at the poles: no"
        )

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again."""
        return {"width": self.width, "hidden": self.hidden, "layers": len(self.layers)}

    def inputs(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, 4, 4) float64."""
        turn = torch.tensor(MONTHS, dtype=torch.float64, device=lon.device) * (2 * math.pi / 12)
        place = torch.stack((lon / 180, lat / 90), dim=-1)[..., None, :].expand(*lon.shape, len(MONTHS), 2)
        months = torch.stack((turn.sin(), turn.cos()), dim=-1).expand(*lon.shape, len(MONTHS), 2)
        return torch.cat((place, months), dim=-1)

    def vectors(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, dim)."""
        with torch.autocast(lon.device.type, enabled=False):
            x = self.inputs(lon, lat).to(self.last.weight.dtype)
        before: Tensor | None = None
        for number, layer in enumerate(self.layers):
            before = layer(x) if before is None else (layer(x) + before) / 2
            x = torch.sin(_FIRST * torch.sinh(2 * before)) if number == 0 else torch.sin(before)
        found: Tensor = self.last(x)
        return found.flatten(-2)
