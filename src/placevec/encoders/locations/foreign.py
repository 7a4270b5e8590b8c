"""The base class of location encoders of other projects, which exist to load trained weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from placevec.encoders.locations.inputs import degrees
from placevec.errors import InputError

AT_ONCE = 8192
"""Points that go through a network at once without gradients, so that memory does not grow with their number."""


class ForeignEncoder(nn.Module):
    """Longitude and latitude in degrees -> (N, dim); a subclass has `inputs` and `vectors`.

    Attributes:
        dim: length of the vectors.
        alternative: why there is no ``year``, for the error.
    """

    needs_float64 = True
    dim: int
    alternative = ""

    def inputs(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, ...) float64 features of the network at float64 degrees."""
        raise NotImplementedError

    def vectors(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, dim) at float64 degrees."""
        raise NotImplementedError

    def features(self, lon: Any, lat: Any = None) -> Tensor:
        """(N, ...) float64: what the network reads, see the class.

        Raises:
            InputError: invalid coordinates.
        """
        return self.inputs(*degrees(lon, lat, next(self.parameters()).device))

    def forward(self, lon: Any, lat: Any = None, year: Any = None) -> Tensor:
        """(N, dim) vectors of lon, lat in degrees, or of (N, 2) rows of lon, lat.

        Raises:
            InputError: invalid coordinates, or a ``year``, which these encoders do not support.
        """
        if year is not None:
            raise InputError(f"this encoder does not support year={self.alternative}")
        across, along = degrees(lon, lat, next(self.parameters()).device)
        if across.dim() != 1 or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self.vectors(across, along)
        parts = zip(torch.split(across, AT_ONCE), torch.split(along, AT_ONCE), strict=True)
        return torch.cat([self.vectors(*part) for part in parts])

    def unchecked(self, lonlat: Tensor) -> Tensor:
        """(N, dim) vectors of (N, 2) lon, lat in degrees on the device of the weights, without checking the values."""
        return self.vectors(*lonlat.to(torch.float64).unbind(-1))
