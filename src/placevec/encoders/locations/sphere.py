"""Sphere2Vec: multi-scale features for the sphere (Mai et al. 2023, doi:10.1016/j.isprsjprs.2023.06.016).

For each scale with frequencies f (longitude) and g (latitude), L = f lon, P = g lat, and l, p are the angles themselves:

=========  =====================================================================================
sphereC    sin P, cos P cos L, cos P sin L
sphereC+   sin P, cos P, sin L, cos L, cos P cos L, cos P sin L
sphereM    sin P, cos P cos l, cos p cos L, cos P sin l, cos p sin L
sphereM+   sin P, cos P, sin L, cos L, then the last four of sphereM
dfs        all products of {sin L, cos L} and {sin P, cos P} over all pairs of scales, then sin P, cos P, sin L, cos L
=========  =====================================================================================

Integer frequencies of longitude make all of them continuous at the antimeridian; odd frequencies of latitude make
sphereC and sphereM continuous at the poles. The others contain sin L and cos L, or sin L sin P, which depend on
longitude at a pole for any f; ``taper_poles`` multiplies these terms by cos p. (Odd frequencies of longitude would be
continuous too, but would give antipodes opposite features in sphereC and sphereM, so that a linear head could not
predict the same value at both.)
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from placevec.encoders.locations.frequencies import Schedule, odd, whole
from placevec.encoders.locations.planar import Waves
from placevec.encoders.locations.positional import radians

SIN_P, COS_P, SIN_L, COS_L, COS_LAT, COS_LON, SIN_LON = range(7)
"""Factors of the features: four waves per scale, then three functions of the angles themselves."""

Number = tuple[int, ...]
"""A feature: one of the factors above, or a product of several."""

_ALONE: tuple[Number, ...] = ((SIN_L,), (COS_L,))
"""Waves that depend on longitude at a pole, for any frequency."""


class Spherical(Waves):
    """Base class of features ordered scale by scale, each a wave or a product of two.

    Args:
        scales, r_min, r_max: see `MultiScale`.
        schedule: maps scales to frequencies of latitude.
        around: maps scales to frequencies of longitude.
    """

    numbers: ClassVar[tuple[Number, ...]] = ()

    def __init__(
        self,
        scales: int = 32,
        r_min: float = 1e-3,
        r_max: float = 1.0,
        schedule: Schedule = odd,
        around: Schedule = whole,
    ) -> None:
        super().__init__(scales, r_min, r_max, schedule, around)
        none = torch.zeros_like(self.frequencies)
        across = torch.stack((none, none, self.around, self.around), dim=1).flatten()
        along = torch.stack((self.frequencies, self.frequencies, none, none), dim=1).flatten()
        self._lay(across, along, torch.tensor([0, 1, 0, 1]).repeat(scales))
        self.made_of = self.numbers
        self.poles = schedule is odd and not any(one in _ALONE for one in self.numbers)
        self.dim, self.scratch = len(self.numbers) * scales, 4 * scales

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., dim) float64, scale by scale."""
        held = self._held(self.waves(lon, lat), lon, lat)
        terms = [held[one[0]] if len(one) == 1 else held[one[0]] * held[one[1]] for one in self.made_of]
        return torch.stack(terms, dim=-1).flatten(-2)

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor, scratch: Tensor) -> None:
        """Write every product directly to its column; leading plain waves of a scale are copied."""
        waves = self.write_waves(scratch, lon, lat)
        held = self._held(waves, lon, lat)
        slots = table.view(len(lon), len(self.frequencies), -1)
        ahead = next(n for n, one in enumerate((*self.made_of, (-1,))) if one != (n,))
        slots[..., :ahead] = _by_scale(waves)[..., :ahead]
        for number, (first, second) in enumerate(self.made_of[ahead:], ahead):
            torch.mul(held[first], held[second], out=slots[..., number])

    def _held(self, waves: Tensor, lon: Tensor, lat: Tensor) -> tuple[Tensor, ...]:
        """The factors of the features, (..., S) or (..., 1)."""
        sin_p, cos_p, sin_l, cos_l = _by_scale(waves).unbind(-1)
        if max(max(one) for one in self.made_of) < COS_LAT:
            return sin_p, cos_p, sin_l, cos_l
        lam, phi = radians(lon[..., None], lat[..., None])
        return sin_p, cos_p, sin_l, cos_l, phi.cos(), lam.cos(), lam.sin()


class WithGrid(Spherical):
    """Base class of features that also contain plain waves of longitude, as grid does.

    Args:
        taper_poles: multiply these by cos lat, which makes them continuous at the poles.
        scales, r_min, r_max, schedule, around: see `Spherical`.
    """

    def __init__(
        self,
        scales: int = 32,
        r_min: float = 1e-3,
        r_max: float = 1.0,
        taper_poles: bool = False,
        schedule: Schedule = odd,
        around: Schedule = whole,
    ) -> None:
        super().__init__(scales, r_min, r_max, schedule, around)
        if taper_poles:
            self.made_of = tuple((*one, COS_LAT) if one in _ALONE else one for one in self.numbers)
            self.poles = schedule is odd


def _by_scale(waves: Tensor) -> Tensor:
    """(..., 4 S) -> (..., S, 4)."""
    return waves.reshape(*waves.shape[:-1], waves.shape[-1] // 4, 4)


class SphereC(Spherical):
    """Sphere2Vec-sphereC, 3 S features; with one scale, the inner product is the cosine of the great-circle angle.

    >>> SphereC(scales=8).dim
    24
    """

    numbers = ((SIN_P,), (COS_P, COS_L), (COS_P, SIN_L))


class SphereM(Spherical):
    """Sphere2Vec-sphereM, 5 S features: in each product, one angle has its full scale.

    >>> SphereM(scales=8).dim
    40
    """

    numbers = ((SIN_P,), (COS_P, COS_LON), (COS_L, COS_LAT), (COS_P, SIN_LON), (SIN_L, COS_LAT))


class SphereCPlus(WithGrid):
    """Sphere2Vec-sphereC+, 6 S features: sphereC and grid.

    >>> SphereCPlus(scales=8).dim
    48
    """

    numbers = ((SIN_P,), (COS_P,), (SIN_L,), (COS_L,), *SphereC.numbers[1:])


class SphereMPlus(WithGrid):
    """Sphere2Vec-sphereM+, 8 S features: sphereM and grid.

    >>> SphereMPlus(scales=8).dim
    64
    """

    numbers = ((SIN_P,), (COS_P,), (SIN_L,), (COS_L,), *SphereM.numbers[1:])


class DFS(Waves):
    """Sphere2Vec-dfs, 4 S^2 + 4 S features: the double Fourier sphere. Keep S small: 32 scales give 4,224 features.

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
        around: Schedule = whole,
    ) -> None:
        super().__init__(scales, r_min, r_max, schedule, around)
        none, cosines = torch.zeros(2 * scales).double(), torch.tensor([0, 1]).repeat_interleave(scales)
        across, along = self.around.repeat(2), self.frequencies.repeat(2)
        self._lay(torch.cat((across, none)), torch.cat((none, along)), cosines.repeat(2))
        self.taper = taper_poles
        self.poles = taper_poles and schedule is odd
        self.dim, self.scratch = 4 * scales * scales + 4 * scales, 4 * scales

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 4 S^2 + 4 S) float64: products (longitude-major), then single waves scale by scale."""
        around, up = self.waves(lon, lat).chunk(2, dim=-1)
        if self.taper:
            around = around * torch.deg2rad(lat).cos()[..., None]
        single = torch.stack((*up.chunk(2, dim=-1), *around.chunk(2, dim=-1)), dim=-1)
        products = around[..., :, None] * up[..., None, :]
        return torch.cat((products.flatten(-2), single.flatten(-2)), dim=-1)

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor, scratch: Tensor) -> None:
        """Write the products directly to the table."""
        around, up = self.write_waves(scratch, lon, lat).chunk(2, dim=-1)
        if self.taper:
            around *= torch.deg2rad(lat).cos()[:, None]
        points, side = up.shape
        products, single = table[:, : side * side], table[:, side * side :]
        torch.mul(around[:, :, None], up[:, None, :], out=products.view(points, side, side))
        slots = single.view(points, -1, 4)
        for number, wave in enumerate((*up.chunk(2, dim=-1), *around.chunk(2, dim=-1))):
            slots[..., number] = wave
