"""Space2Vec: sines and cosines of longitude and latitude at many scales, treated as planar (Mai et al. 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from placevec.encoders.locations.frequencies import Schedule, geometric, whole
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, Positional


class MultiScale(Positional):
    """Base class of features at many scales; holds the frequencies, per radian.

    Args:
        scales: number of scales, S.
        r_min: the finest scale in Earth radii: 0.001 is a wavelength of 40 km.
        r_max: the coarsest scale in Earth radii.
        schedule: maps scales to frequencies.
        around: maps scales to frequencies in longitude (default: ``schedule``).
    """

    frequencies: Tensor
    around: Tensor

    def __init__(
        self, scales: int, r_min: float, r_max: float, schedule: Schedule, around: Schedule | None = None
    ) -> None:
        super().__init__()
        found = {"frequencies": schedule, "around": around or schedule}
        for name, drawn in found.items():
            values = torch.tensor(drawn(scales, r_min, r_max), dtype=torch.float64)
            self.register_buffer(name, values, persistent=False)
        self.antimeridian = all(f == round(f) for f in found["around"](scales, r_min, r_max))

    def scales_km(self) -> list[tuple[str, float]]:
        """The wavelength of each scale along a meridian; along the equator it differs by at most one wave."""
        return [(f"1/r = {float(f):.6g}", CIRCUMFERENCE_KM / float(f)) for f in self.frequencies]


class Waves(MultiScale):
    """Base class of sines of angles that are linear in longitude and latitude; cosines are sines shifted by pi/2.

    The shift adds no more rounding error than the angle itself has: half a unit in its last place, 5e-13 at 999 waves
    (r_min 0.001) and 5e-10 at a million waves.
    """

    across: Tensor
    along: Tensor
    shifts: Tensor

    def _lay(self, across: Tensor, along: Tensor, cosines: Tensor, unit: float = math.radians(1)) -> None:
        """Wave n is sin(across_n lon + along_n lat), or cos; ``unit`` converts the coordinates to radians."""
        self.dim = len(across)
        self.register_buffer("across", across * unit, persistent=False)
        self.register_buffer("along", along * unit, persistent=False)
        self.register_buffer("shifts", cosines.to(torch.float64) * (math.pi / 2), persistent=False)

    def waves(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., D) float64: every wave."""
        return torch.addcmul(
            torch.addcmul(self.shifts, lon[..., None], self.across), lat[..., None], self.along
        ).sin()

    def write_waves(self, table: Tensor, lon: Tensor, lat: Tensor) -> Tensor:
        """`waves` of (N,) points on a CPU, written to ``table``, (N, D), without gradients; returns ``table``."""
        weights = torch.stack((self.across, self.along))
        return torch.addmm(self.shifts, torch.stack((lon, lat), dim=-1), weights, out=table).sin_()

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., dim) float64."""
        return self.waves(lon, lat)

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor, scratch: Tensor) -> None:
        """Write the features directly to the table."""
        self.write_waves(table, lon, lat)


class Grid(Waves):
    """Space2Vec-grid: sin and cos of f lon over all scales, then of f lat; 4 S features.

    Integer frequencies make them continuous at the antimeridian. At a pole they still depend on longitude;
    ``taper_poles`` multiplies the longitude features by cos lat, which makes them continuous there.

    >>> Grid(scales=8).dim
    32
    """

    def __init__(
        self, scales: int = 32, r_min: float = 1e-3, r_max: float = 1.0, taper_poles: bool = False
    ) -> None:
        super().__init__(scales, r_min, r_max, whole)
        self._lay_grid(math.radians(1))
        self.poles = taper_poles

    def _lay_grid(self, unit: float) -> None:
        pairs = self.frequencies.repeat_interleave(2)
        none, cosines = torch.zeros_like(pairs), torch.tensor([0, 1]).repeat(len(self.frequencies))
        self._lay(torch.cat((pairs, none)), torch.cat((none, pairs)), cosines.repeat(2), unit)

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 4 S) float64."""
        found = self.waves(lon, lat)
        if not self.poles:
            return found
        half = self.dim // 2
        width = torch.deg2rad(lat).cos()[..., None]
        return torch.cat((width * found[..., :half], found[..., half:]), dim=-1)

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor, scratch: Tensor) -> None:
        """Write the features directly to the table."""
        self.write_waves(table, lon, lat)
        if self.poles:
            table[:, : self.dim // 2] *= torch.deg2rad(lat).cos()[:, None]


class Theory(Waves):
    """Space2Vec-theory: sin and cos of f times the projections onto three directions 120 degrees apart; 6 S features.

    In two of the directions longitude has frequency f / 2, which is rounded to an integer for continuity at the
    antimeridian; if f is odd this rotates the directions slightly (for f = 1, to the meridian). All features depend on
    longitude, so a taper at the poles would make north and south pole equal.

    >>> Theory(scales=8).dim
    48
    """

    poles = False

    def __init__(self, scales: int = 32, r_min: float = 1e-3, r_max: float = 1.0) -> None:
        super().__init__(scales, r_min, r_max, whole)
        self._lay_theory((self.frequencies / 2).round(), math.radians(1))

    def _lay_theory(self, slanting: Tensor, unit: float) -> None:
        """``slanting``, (S,), is the longitude frequency in the second and third direction."""
        straight, up = self.frequencies, self.frequencies * (math.sqrt(3) / 2)
        across = torch.stack((straight, -slanting, -slanting), dim=1)
        along = torch.stack((torch.zeros_like(up), up, -up), dim=1)
        across, along = (each.flatten().repeat_interleave(2) for each in (across, along))
        self._lay(across, along, torch.tensor([0, 1]).repeat(len(across) // 2), unit)


class OriginalGrid(Grid):
    """Space2Vec-grid as in the published code: degrees times 1 / r are used as radians, so r is in degrees.

    >>> OriginalGrid(scales=8).dim
    32
    """

    def __init__(self, scales: int = 32, r_min: float = 1e-3, r_max: float = 360.0) -> None:
        MultiScale.__init__(self, scales, r_min, r_max, geometric)
        self._lay_grid(unit=1.0)
        self.antimeridian = self.poles = False

    def scales_km(self) -> list[tuple[str, float]]:
        """The wavelength of each scale: 2 pi r degrees."""
        return _degrees_km(self.frequencies)


class OriginalTheory(Theory):
    """Space2Vec-theory as in the published code: degrees times 1 / r are used as radians, so r is in degrees.

    >>> OriginalTheory(scales=8).dim
    48
    """

    def __init__(self, scales: int = 32, r_min: float = 1e-3, r_max: float = 360.0) -> None:
        MultiScale.__init__(self, scales, r_min, r_max, geometric)
        self._lay_theory(self.frequencies / 2, unit=1.0)
        self.antimeridian = False

    def scales_km(self) -> list[tuple[str, float]]:
        """The wavelength of each scale: 2 pi r degrees."""
        return _degrees_km(self.frequencies)


def _degrees_km(frequencies: Tensor) -> list[tuple[str, float]]:
    turn = 2 * math.pi / 360
    return [(f"r = {1 / float(f):.6g} deg", CIRCUMFERENCE_KM * turn / float(f)) for f in frequencies]
