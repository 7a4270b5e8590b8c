"""Fourier features of the point on the unit sphere or in the plane: NeRF's doubling bands, and random frequencies."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from placevec.encoders.arguments import positive, whole
from placevec.encoders.locations.planar import MultiScale
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, EARTH_RADIUS_KM, Positional, unit_xyz
from placevec.errors import ModelError

FINEST_BAND = 24
"""Maximum number of NeRF bands; the finest has a wavelength of 3 m on the ground, about the accuracy of GPS."""


class NeRF(MultiScale):
    """sin and cos of pi/2 2^k times x, y and z, k = 0 .. S - 1; 6 S features, continuous everywhere.

    Mildenhall et al. 2020 start at pi, where -1 and 1 have the same code, and with them the two poles and opposite
    points of the equator on the axes. Starting at pi/2 distinguishes all points. Frequencies double with each band, so
    a few are enough: 16 bands reach a wavelength of 778 m.

    Raises:
        ModelError: more than 24 scales, whose wavelength would be below 3 m.

    >>> NeRF(scales=16).dim
    96
    """

    most = FINEST_BAND
    first = math.pi / 2

    def __init__(self, scales: int = 16) -> None:
        if isinstance(scales, bool) or not isinstance(scales, int) or not 1 <= scales <= self.most:
            raise ModelError(f"NeRF needs an integer number of scales from 1 to {self.most}; got {scales!r}")
        super().__init__(scales, 0.0, 1.0, self._doubling)
        self.antimeridian = True
        self.dim = 6 * scales

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 6 S) float64: sines of x, y and z over all bands, then cosines."""
        angles = unit_xyz(lon, lat)[..., None] * self.frequencies
        return torch.cat((angles.sin(), angles.cos()), dim=-2).flatten(-2)

    def fill(self, table: Tensor, lon: Tensor, lat: Tensor, scratch: Tensor) -> None:
        """Compute angles, cosines and sines in place in the table."""
        sines, cosines = table.view(len(lon), 2, 3, -1).unbind(1)
        torch.mul(unit_xyz(lon, lat)[..., None], self.frequencies, out=sines)
        torch.cos(sines, out=cosines)
        sines.sin_()

    def scales_km(self) -> list[tuple[str, float]]:
        """Wavelengths along an axis through the Earth."""
        lengths = [CIRCUMFERENCE_KM / float(frequency) for frequency in self.frequencies]
        return [(f"band {band}", length) for band, length in enumerate(lengths)]

    def _doubling(self, scales: int, r_min: float, r_max: float) -> list[float]:
        return [self.first * 2.0**band for band in range(scales)]


class OriginalNeRF(NeRF):
    """NeRF starting at pi, with any number of bands; beyond about the fiftieth they are numerical noise."""

    most = 1000
    first = math.pi


class RandomFourier(Positional):
    """sqrt(2 / W) cos(w . xyz + b), w ~ N(0, 1 / sigma^2): inner products approximate the kernel of ``rbf``.

    Isotropic: all directions and places are equivalent, and the features are continuous. The random draws are saved
    with the weights.

    Args:
        frequencies: W, the number of features.
        sigma: width of the kernel in degrees of arc.
        seed: random seed.

    >>> features = RandomFourier(frequencies=4096, sigma=20.0)(torch.zeros(1).double(), torch.zeros(1).double())
    >>> features.shape, round(float((features @ features.mT).squeeze()), 1)  # a point's similarity to itself
    (torch.Size([1, 4096]), 1.0)
    """

    directions: Tensor
    shifts: Tensor

    def __init__(self, frequencies: int = 256, sigma: float = 10.0, seed: int = 0) -> None:
        super().__init__()
        self.dim = whole("frequencies", frequencies, 1, 65536)
        self.sigma = positive("sigma", sigma)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(3, frequencies, generator=generator, dtype=torch.float64)
        self.register_buffer("directions", drawn / math.radians(sigma))
        turns = torch.rand(frequencies, generator=generator, dtype=torch.float64)
        self.register_buffer("shifts", turns * (2 * math.pi))

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., W) float64."""
        return (unit_xyz(lon, lat) @ self.directions + self.shifts).cos() * math.sqrt(2 / self.dim)

    def scales_km(self) -> list[tuple[str, float]]:
        """The kernel's width."""
        return [(f"sigma = {self.sigma:g} deg", math.radians(self.sigma) * EARTH_RADIUS_KM)]


class OriginalRandomFourier(Positional):
    """sqrt(2 / W) cos(w . z + b) of longitude and latitude scaled to -1 .. 1 over ``extent``, w ~ N(0, kernel_size).

    ``kernel_size`` is a variance; in the paper it is a standard deviation.

    Args:
        frequencies: W, the number of features.
        kernel_size: variance of the random frequencies.
        extent: minimum and maximum longitude, minimum and maximum latitude, in degrees.
        seed: random seed.

    >>> OriginalRandomFourier(frequencies=8)(torch.tensor([24.94]).double(), torch.tensor([60.17]).double()).shape
    torch.Size([1, 8])
    """

    antimeridian = False
    poles = False
    directions: Tensor
    shifts: Tensor

    def __init__(
        self,
        frequencies: int = 64,
        kernel_size: float = 1.0,
        extent: tuple[float, float, float, float] = (-180.0, 180.0, -90.0, 90.0),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.dim = whole("frequencies", frequencies, 1, 65536)
        self.kernel_size = positive("kernel_size", kernel_size)
        west, east, south, north = extent
        if not (west < east and south < north):
            raise ModelError(f"extent must be (min lon, max lon, min lat, max lat) in degrees; got {extent}")
        self.west, self.south, self.width, self.height = west, south, east - west, north - south
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(2, frequencies, generator=generator, dtype=torch.float64)
        self.register_buffer("directions", drawn * math.sqrt(kernel_size))
        turns = torch.rand(frequencies, generator=generator, dtype=torch.float64)
        self.register_buffer("shifts", turns * (2 * math.pi))

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., W) float64."""
        across = (lon - self.west) / self.width * 2 - 1
        along = (lat - self.south) / self.height * 2 - 1
        angles = torch.stack((across, along), dim=-1) @ self.directions + self.shifts
        return angles.cos() * math.sqrt(2 / self.dim)
