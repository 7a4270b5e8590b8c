"""Real spherical harmonics, by a recurrence that is stable and exact at the poles (Holmes and Featherstone 2002)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from placevec.encoders.arguments import whole
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, Positional, unit_xyz

MAX_DEGREES = 128


class SphericalHarmonics(Positional):
    """Y_lm of all degrees l < L, orthonormal on the unit sphere, without the Condon-Shortley phase; L^2 features.

    Feature l^2 + l + m is Y_lm: cos(m lon) for m > 0, sin(|m| lon) for m < 0. Powers of cos lat are combined with the
    sines and cosines of longitude as (x + iy)^m, so the poles need no special case.

    Args:
        degrees: L, 1 to 128. The finest wavelength is about 40,030 km / (L - 1).

    >>> SphericalHarmonics(degrees=3)(torch.tensor([0.0]).double(), torch.tensor([90.0]).double())[0, 2].round(decimals=6)
    tensor(0.4886, dtype=torch.float64)
    """

    order: Tensor

    def __init__(self, degrees: int = 20) -> None:
        super().__init__()
        self.degrees = whole("degrees", degrees, 1, MAX_DEGREES)
        self.dim = degrees * degrees
        sectoral, rise, fall = _coefficients(degrees)
        self.register_buffer("sectoral", sectoral, persistent=False)
        self.register_buffer("rise", rise, persistent=False)
        self.register_buffer("fall", fall, persistent=False)

    sectoral: Tensor
    rise: Tensor
    fall: Tensor

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., L^2) float64."""
        x, y, z = unit_xyz(lon, lat).unbind(-1)
        cosines, sines = [torch.ones_like(x)], [torch.zeros_like(x)]
        for _ in range(1, self.degrees):
            c, s = cosines[-1], sines[-1]
            cosines.append(x * c - y * s)
            sines.append(x * s + y * c)
        around, across = torch.stack(cosines, dim=-1), torch.stack(sines, dim=-1)
        found: list[Tensor] = []
        before, last = torch.zeros_like(around[..., :0]), torch.zeros_like(around[..., :0])
        for degree in range(self.degrees):
            first = self.sectoral[degree].expand(*z.shape, 1)
            if degree == 0:
                legendre = first
            else:
                risen = z[..., None] * last * self.rise[degree, :degree]
                inner = torch.nn.functional.pad(before, (0, 1)) * self.fall[degree, :degree]
                legendre = torch.cat((risen - inner, first), dim=-1)
            before, last = last, legendre
            sine = (legendre * across[..., : degree + 1])[..., 1:].flip(-1)
            found += [sine, legendre * around[..., : degree + 1]]
        return torch.cat(found, dim=-1)

    def scales_km(self) -> list[tuple[str, float]]:
        """The wavelength of each degree: the Earth's circumference divided by it."""
        named = [(f"degree {degree}", CIRCUMFERENCE_KM / degree) for degree in range(1, self.degrees)]
        return [("degree 0", math.inf), *named]


def _coefficients(degrees: int) -> tuple[Tensor, Tensor, Tensor]:
    """Recurrence coefficients of normalized P_lm / cos^m lat: P_mm (L,), and P_lm = rise z P_(l-1)m - fall P_(l-2)m."""
    sectoral = torch.zeros(degrees, dtype=torch.float64)
    rise = torch.zeros(degrees, degrees, dtype=torch.float64)
    fall = torch.zeros(degrees, degrees, dtype=torch.float64)
    start = math.sqrt(1 / (4 * math.pi))
    for m in range(degrees):
        if m:
            start *= math.sqrt((2 * m + 1) / (2 * m)) * (math.sqrt(2) if m == 1 else 1)
        sectoral[m] = start
        for n in range(m + 1, degrees):
            rise[n, m] = math.sqrt((2 * n - 1) * (2 * n + 1) / ((n - m) * (n + m)))
            if n > m + 1:
                fall[n, m] = math.sqrt(
                    (2 * n + 1) * (n + m - 1) * (n - m - 1) / ((2 * n - 3) * (n + m) * (n - m))
                )
    return sectoral, rise, fall
