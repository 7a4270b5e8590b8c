"""Space2Vec: sines and cosines of longitude and latitude at many scales, as if they were a plane (Mai et al. 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from placevec.encoders.locations.frequencies import Schedule, even, geometric, whole
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, Positional, radians


class MultiScale(Positional):
    """Features at many scales; the frequencies are kept, in radians.

    Args:
        scales: how many scales, S.
        r_min: the finest scale, a share of the Earth's radius: 0.001 is a wavelength of 40 km.
        r_max: the coarsest scale.
        schedule: which frequencies stand for them.
    """

    frequencies: Tensor

    def __init__(self, scales: int, r_min: float, r_max: float, schedule: Schedule) -> None:
        super().__init__()
        found = schedule(scales, r_min, r_max)
        self.register_buffer("frequencies", torch.tensor(found, dtype=torch.float64), persistent=False)
        self.antimeridian = all(frequency == round(frequency) for frequency in found)

    def scales_km(self) -> list[tuple[str, float]]:
        """The wavelength of every scale along a meridian and the equator."""
        return [(f"1/r = {float(f):.6g}", CIRCUMFERENCE_KM / float(f)) for f in self.frequencies]

    def angles(self, lon: Tensor, lat: Tensor) -> tuple[Tensor, Tensor]:
        """Two (..., S) tensors: longitude and latitude in radians times every frequency."""
        lam, phi = radians(lon, lat)
        return lam[..., None] * self.frequencies, phi[..., None] * self.frequencies


class ScaleByScale(MultiScale):
    """Features whose numbers lie scale by scale: a few terms of (..., S), interleaved."""

    def terms(self, lon: Tensor, lat: Tensor) -> tuple[Tensor, ...]:
        """The terms of all scales, each (..., S), in the order that they have within a scale."""
        raise NotImplementedError

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., dim) float64, scale by scale."""
        return torch.stack(self.terms(lon, lat), dim=-1).flatten(-2)

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor) -> None:
        """Every term straight into its columns: half the copying of `forward`."""
        slots = table.view(len(lon), len(self.frequencies), -1)
        for number, term in enumerate(self.terms(lon, lat)):
            slots[..., number].copy_(term)


class Grid(MultiScale):
    """Space2Vec-grid: sin and cos of f lon over all scales, then of f lat; 4 S numbers.

    Whole frequencies close at the antimeridian. All longitudes differ at a pole; ``taper_poles`` multiplies what
    depends on longitude by cos lat.

    >>> Grid(scales=8).dim
    32
    """

    def __init__(
        self, scales: int = 32, r_min: float = 1e-3, r_max: float = 1.0, taper_poles: bool = False
    ) -> None:
        super().__init__(scales, r_min, r_max, whole)
        self.dim = 4 * scales
        self.poles = taper_poles

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 4 S) float64."""
        across, along = self.angles(lon, lat)
        waves = torch.stack((across.sin(), across.cos()), dim=-1).flatten(-2)
        if self.poles:
            waves = waves * torch.deg2rad(lat).cos()[..., None]
        return torch.cat((waves, torch.stack((along.sin(), along.cos()), dim=-1).flatten(-2)), dim=-1)


class Theory(MultiScale):
    """Space2Vec-theory: sin and cos of f times the projections on three directions 120 degrees apart; 6 S numbers.

    Two of the directions see half of the longitude, so even frequencies close at the antimeridian. No taper could
    close the poles and still tell north from south: every number depends on longitude.

    >>> Theory(scales=8).dim
    48
    """

    poles = False
    directions: Tensor

    def __init__(self, scales: int = 32, r_min: float = 1e-3, r_max: float = 1.0) -> None:
        self._build(scales, r_min, r_max, even)

    def _build(self, scales: int, r_min: float, r_max: float, schedule: Schedule) -> None:
        MultiScale.__init__(self, scales, r_min, r_max, schedule)
        self.dim = 6 * scales
        self.register_buffer("directions", _DIRECTIONS.clone(), persistent=False)

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 6 S) float64, scale by scale."""
        lam, phi = radians(lon, lat)
        return self.waves(lam, phi)

    def waves(self, across: Tensor, along: Tensor) -> Tensor:
        """(..., 6 S) from two angles of any unit."""
        seen = across[..., None] * self.directions[:, 0] + along[..., None] * self.directions[:, 1]
        angles = seen[..., None, :] * self.frequencies[:, None]
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-3)


class OriginalGrid(MultiScale):
    """Space2Vec-grid as published in code: degrees times 1 / r are taken for radians, so r is in degrees too."""

    poles = False

    def __init__(self, scales: int = 32, r_min: float = 1e-3, r_max: float = 360.0) -> None:
        super().__init__(scales, r_min, r_max, geometric)
        self.antimeridian = False
        self.dim = 4 * scales

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 4 S) float64."""
        angles = torch.stack((lon, lat), dim=-1)[..., None] * self.frequencies
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-3)

    def scales_km(self) -> list[tuple[str, float]]:
        """A wavelength is 2 pi r degrees."""
        return _degrees_km(self.frequencies)


class OriginalTheory(Theory):
    """Space2Vec-theory as published in code: degrees times 1 / r are taken for radians, so r is in degrees too."""

    def __init__(self, scales: int = 32, r_min: float = 1e-3, r_max: float = 360.0) -> None:
        self._build(scales, r_min, r_max, geometric)
        self.antimeridian = False

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 6 S) float64, scale by scale."""
        return self.waves(lon, lat)

    def scales_km(self) -> list[tuple[str, float]]:
        """A wavelength is 2 pi r degrees."""
        return _degrees_km(self.frequencies)


_DIRECTIONS = torch.tensor(
    [[1.0, 0.0], [-0.5, math.sqrt(3) / 2], [-0.5, -math.sqrt(3) / 2]], dtype=torch.float64
)


def _degrees_km(frequencies: Tensor) -> list[tuple[str, float]]:
    turn = 2 * math.pi / 360
    return [(f"r = {1 / float(f):.6g} deg", CIRCUMFERENCE_KM * turn / float(f)) for f in frequencies]
