"""GeoCLIP's location encoder (Vivanco Cepeda et al. 2023, arXiv:2309.16020): Equal Earth, then Fourier capsules.

Points are projected to Equal Earth. Each capsule (one per scale) computes sines and cosines of random projections and
feeds them through its own network; the outputs of all capsules are summed. In the projection the antimeridian is split
and each pole is a line, so vectors are discontinuous there. Its weights
come from `placevec.models.importers`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from placevec.encoders.arguments import whole
from placevec.encoders.locations.foreign import ForeignEncoder
from placevec.errors import ModelError

_POLYNOMIAL = (1.340264, -0.081106, 0.000893, 0.003796)
"""A1 to A4 of Equal Earth (Šavrič et al. 2019, doi:10.1080/13658816.2018.1504949)."""
_ROOT_3 = 1.7320507764816284
"""The square root of 3 in float32, as in GeoCLIP's training; its finest capsule has 800 waves across the map."""
_SCALE = 66.50336 / 180.0
MAX_CAPSULES = 16


def equal_earth(lon: Tensor, lat: Tensor) -> Tensor:
    """(..., 2): Equal Earth x and y of lon, lat degrees, scaled as in GeoCLIP (the world is 2.0 wide).

    >>> equal_earth(torch.tensor([180.0]).double(), torch.tensor([0.0]).double()).round(decimals=3).tolist()
    [[1.0, 0.0]]
    """
    a1, a2, a3, a4 = _POLYNOMIAL
    slant = torch.asin(_ROOT_3 / 2 * torch.sin(torch.deg2rad(lat)))
    squared = slant * slant
    sixth = squared * squared * squared
    steepness = a1 + 3 * a2 * squared + sixth * (7 * a3 + 9 * a4 * squared)
    x = 2 * _ROOT_3 * torch.deg2rad(lon) * torch.cos(slant) / (3 * steepness)
    y = slant * (a1 + a2 * squared + sixth * (a3 + a4 * squared))
    return torch.stack((x, y), dim=-1) * _SCALE


class GeoClipEncoder(ForeignEncoder):
    """GeoCLIP's location encoder: longitude and latitude in degrees -> (N, dim).

    Args:
        dim: length of the vectors.
        sigmas: standard deviation of each capsule's projections, in waves per map unit.
        frequencies: number of projections per capsule.
        hidden: units of each of a capsule's three hidden layers.

    Raises:
        ModelError: a size out of range.

    Its features are (N, 2 * frequencies * capsules): cosines, then sines, capsule by capsule. Angles are float64, the
    networks have the dtype of their weights (float32).

    >>> GeoClipEncoder(dim=16, frequencies=8, hidden=32)([24.94, -170.7], [60.17, -14.3]).shape
    torch.Size([2, 16])
    """

    encoder = "geoclip"

    def __init__(
        self,
        dim: int = 512,
        sigmas: tuple[float, ...] = (1.0, 16.0, 256.0),
        frequencies: int = 256,
        hidden: int = 1024,
    ) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("frequencies", frequencies), ("hidden", hidden)):
            whole(name, value, 1, 65536)
        if not 1 <= len(sigmas) <= MAX_CAPSULES or not all(0 < sigma < math.inf for sigma in sigmas):
            raise ModelError(
                f"sigmas must be 1 to {MAX_CAPSULES} positive numbers, one per capsule; got {sigmas!r}"
            )
        self.dim, self.frequencies, self.hidden = dim, frequencies, hidden
        self.sigmas = tuple(float(sigma) for sigma in sigmas)
        self.capsules = nn.ModuleList(_Capsule(sigma, frequencies, hidden, dim) for sigma in self.sigmas)

    def describe(self) -> str:
        """A printable description: capsules, dimensions and continuity."""
        return (
            f"geoclip: {len(self.sigmas)} capsules of {self.frequencies} frequencies to {self.dim} dimensions\n"
            "continuous at the antimeridian: no, at the poles: no"
        )

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again; the projections are part of the weights."""
        return {
            "dim": self.dim, "sigmas": list(self.sigmas), "frequencies": self.frequencies, "hidden": self.hidden
        }  # fmt: skip

    def _each(self) -> list[_Capsule]:
        return [capsule for capsule in self.capsules if isinstance(capsule, _Capsule)]

    def inputs(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, 2 * frequencies * capsules) float64."""
        place = equal_earth(lon, lat)
        return torch.cat([capsule.waves(place) for capsule in self._each()], dim=-1)

    def vectors(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, dim)."""
        with torch.autocast(lon.device.type, enabled=False):
            place = equal_earth(lon, lat)
        return torch.stack([capsule(place) for capsule in self._each()]).sum(dim=0)


class _Capsule(nn.Module):
    """Fourier features of one scale and a network with three hidden layers."""

    projections: Tensor

    def __init__(self, sigma: float, frequencies: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("projections", torch.randn(frequencies, 2) * sigma)
        self.network = nn.Sequential(
            nn.Linear(2 * frequencies, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, dim),
        )  # fmt: skip

    def waves(self, place: Tensor) -> Tensor:
        """(..., 2) Equal Earth coordinates -> (..., 2 * frequencies) float64."""
        angles = 2 * math.pi * (place @ self.projections.to(torch.float64).mT)
        return torch.cat((angles.cos(), angles.sin()), dim=-1)

    def forward(self, place: Tensor) -> Tensor:
        """(..., dim)."""
        with torch.autocast(place.device.type, enabled=False):
            waves = self.waves(place)
        found: Tensor = self.network(waves.to(next(self.network.parameters()).dtype))
        return found
