"""Sphere2Vec: features at many scales made for the sphere (Mai et al. 2023, doi:10.1016/j.isprsjprs.2023.06.016).

Per scale, with L = f lon and P = f lat at its frequency f and l, p the angles themselves:

=========  =====================================================================================
sphereC    sin P, cos P cos L, cos P sin L
sphereC+   sin P, cos P, sin L, cos L, cos P cos L, cos P sin L
sphereM    sin P, cos P cos l, cos p cos L, cos P sin l, cos p sin L
sphereM+   sin P, cos P, sin L, cos L, then the last four of sphereM
dfs        all products of {sin L, cos L} and {sin P, cos P} over all pairs of scales, then sin P, cos P, sin L, cos L
=========  =====================================================================================

Odd frequencies close all of them at the antimeridian, and sphereC and sphereM at the poles. The others hold sin L and
cos L, or sin L sin P, which differ from longitude to longitude at a pole whatever f is: ``taper_poles`` multiplies these
terms by cos p.
"""

from __future__ import annotations

import torch
from torch import Tensor

from placevec.encoders.locations.frequencies import Schedule, odd
from placevec.encoders.locations.planar import ScaleByScale
from placevec.encoders.locations.positional import radians


class SphereC(ScaleByScale):
    """Sphere2Vec-sphereC, 3 S numbers; with one scale, the inner product is the cosine of the great-circle angle.

    >>> SphereC(scales=8).dim
    24
    """

    def __init__(
        self, scales: int = 32, r_min: float = 1e-3, r_max: float = 1.0, schedule: Schedule = odd
    ) -> None:
        super().__init__(scales, r_min, r_max, schedule)
        self.dim = 3 * scales
        self.poles = schedule is odd

    def terms(self, lon: Tensor, lat: Tensor) -> tuple[Tensor, ...]:
        """3 of (..., S)."""
        across, along = self.angles(lon, lat)
        flat = along.cos()
        return along.sin(), flat * across.cos(), flat * across.sin()


class SphereM(ScaleByScale):
    """Sphere2Vec-sphereM, 5 S numbers: one angle of each product at full scale.

    >>> SphereM(scales=8).dim
    40
    """

    def __init__(
        self, scales: int = 32, r_min: float = 1e-3, r_max: float = 1.0, schedule: Schedule = odd
    ) -> None:
        super().__init__(scales, r_min, r_max, schedule)
        self.dim = 5 * scales
        self.poles = schedule is odd

    def terms(self, lon: Tensor, lat: Tensor) -> tuple[Tensor, ...]:
        """5 of (..., S)."""
        across, along = self.angles(lon, lat)
        return along.sin(), *_mixed(lon, lat, across, along)


class _WithGrid(ScaleByScale):
    """What sphereC+, sphereM+ and dfs share: bare functions of longitude, which can be tapered to the poles."""

    def __init__(
        self,
        scales: int = 32,
        r_min: float = 1e-3,
        r_max: float = 1.0,
        taper_poles: bool = False,
        schedule: Schedule = odd,
    ) -> None:
        super().__init__(scales, r_min, r_max, schedule)
        self.taper = taper_poles
        self.poles = taper_poles and schedule is odd
        self.dim = self.numbers(scales)

    def numbers(self, scales: int) -> int:
        """Length of the features."""
        raise NotImplementedError

    def waves(self, lat: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
        """Sin L and cos L, (..., S) each."""
        if not self.taper:
            return across.sin(), across.cos()
        width = torch.deg2rad(lat).cos()[..., None]
        return width * across.sin(), width * across.cos()


class SphereCPlus(_WithGrid):
    """Sphere2Vec-sphereC+, 6 S numbers: sphereC and grid.

    >>> SphereCPlus(scales=8).dim
    48
    """

    def numbers(self, scales: int) -> int:
        """6 a scale."""
        return 6 * scales

    def terms(self, lon: Tensor, lat: Tensor) -> tuple[Tensor, ...]:
        """6 of (..., S)."""
        across, along = self.angles(lon, lat)
        flat, sine, cosine = along.cos(), across.sin(), across.cos()
        width = torch.deg2rad(lat).cos()[..., None] if self.taper else 1.0
        return along.sin(), flat, width * sine, width * cosine, flat * cosine, flat * sine


class SphereMPlus(_WithGrid):
    """Sphere2Vec-sphereM+, 8 S numbers: sphereM and grid.

    >>> SphereMPlus(scales=8).dim
    64
    """

    def numbers(self, scales: int) -> int:
        """8 a scale."""
        return 8 * scales

    def terms(self, lon: Tensor, lat: Tensor) -> tuple[Tensor, ...]:
        """8 of (..., S)."""
        across, along = self.angles(lon, lat)
        return along.sin(), along.cos(), *self.waves(lat, across), *_mixed(lon, lat, across, along)


class DFS(_WithGrid):
    """Sphere2Vec-dfs, 4 S^2 + 4 S numbers: the double Fourier sphere. Keep S small: 32 scales are 4,224 numbers.

    >>> DFS(scales=8).dim
    288
    """

    def __init__(
        self,
        scales: int = 8,
        r_min: float = 1e-2,
        r_max: float = 1.0,
        taper_poles: bool = False,
        schedule: Schedule = odd,
    ) -> None:
        super().__init__(scales, r_min, r_max, taper_poles, schedule)

    def numbers(self, scales: int) -> int:
        """All pairs of 2 S and 2 S, and 4 a scale."""
        return 4 * scales * scales + 4 * scales

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 4 S^2 + 4 S) float64: products, longitude-major, then scale by scale."""
        across, along = self.angles(lon, lat)
        sine, cosine = self.waves(lat, across)
        rise, flat = along.sin(), along.cos()
        products = torch.cat((sine, cosine), -1)[..., :, None] * torch.cat((rise, flat), -1)[..., None, :]
        single = torch.stack((rise, flat, sine, cosine), dim=-1)
        return torch.cat((products.flatten(-2), single.flatten(-2)), dim=-1)

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor) -> None:
        """As of any features: these do not lie scale by scale."""
        table.copy_(self(lon, lat))


def _mixed(lon: Tensor, lat: Tensor, across: Tensor, along: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cos P cos l, cos p cos L, cos P sin l, cos p sin L; (..., S) each."""
    lam, phi = radians(lon[..., None], lat[..., None])
    flat, width = along.cos(), phi.cos()
    return flat * lam.cos(), width * across.cos(), flat * lam.sin(), width * across.sin()
