"""The simplest features: the point on the unit sphere (xyz), and sines and cosines of both angles (wrap)."""

from __future__ import annotations

import torch
from torch import Tensor

from placevec.encoders.locations.positional import CIRCUMFERENCE_KM, Positional, radians, unit_xyz


class XYZ(Positional):
    """[cos lat cos lon, cos lat sin lon, sin lat]: continuous everywhere; distances between features are chords.

    >>> XYZ()(torch.tensor([90.0]), torch.tensor([0.0])).round().abs().tolist()
    [[0.0, 1.0, 0.0]]
    """

    dim = 3

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 3) float64."""
        return unit_xyz(lon, lat)

    def scales_km(self) -> list[tuple[str, float]]:
        """The sphere itself."""
        return [("the sphere", CIRCUMFERENCE_KM)]


class Wrap(Positional):
    """[sin lon, sin lat, cos lon, cos lat]: the wrap of Mac Aodha et al. 2019, without doubling the latitude.

    At a pole the features depend on longitude; ``taper_poles`` fixes this by multiplying both functions of longitude by
    cos lat.

    >>> Wrap()(torch.tensor([0.0]), torch.tensor([90.0])).round().abs().tolist()
    [[0.0, 1.0, 1.0, 0.0]]
    """

    dim = 4

    def __init__(self, taper_poles: bool = False) -> None:
        super().__init__()
        self.poles = taper_poles

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 4) float64."""
        lam, phi = radians(lon, lat)
        width = phi.cos() if self.poles else torch.ones_like(phi)
        return torch.stack((width * lam.sin(), phi.sin(), width * lam.cos(), phi.cos()), dim=-1)

    def scales_km(self) -> list[tuple[str, float]]:
        """Once around the Earth."""
        return [("once around", CIRCUMFERENCE_KM)]


class OriginalWrap(Positional):
    """[sin lon, sin 2 lat, cos lon, cos 2 lat], angles in degrees: both poles have the same features.

    >>> OriginalWrap()(torch.tensor([0.0]), torch.tensor([90.0])).round().abs().tolist()
    [[0.0, 0.0, 1.0, 1.0]]
    """

    dim = 4
    poles = False

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., 4) float64."""
        lam, phi = radians(lon, 2 * lat)
        return torch.stack((lam.sin(), phi.sin(), lam.cos(), phi.cos()), dim=-1)

    def scales_km(self) -> list[tuple[str, float]]:
        """Once around the Earth (half of that in latitude)."""
        return [("once around", CIRCUMFERENCE_KM)]
