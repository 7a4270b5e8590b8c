"""Proximity to fixed points on the sphere: Gaussian kernels (rbf), and trainable vectors of cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from placevec.encoders.arguments import positive, whole
from placevec.encoders.locations.inputs import degrees
from placevec.encoders.locations.positional import EARTH_RADIUS_KM, Positional, fibonacci, unit_xyz
from placevec.errors import ModelError

MAX_ANCHORS = 65536


class RBF(Positional):
    """exp(-c^2 / (2 sigma^2)) for the chord c to each of M anchors, in radians: a Gaussian that is smooth on the sphere.

    At small distances the chord equals the great-circle distance. A Gaussian of the arc has a kink at the antipode and
    is not a positive definite kernel on the sphere (Feragen et al. 2015). Anchors are saved with the weights.

    Args:
        anchors: M anchors spread evenly over the Earth, or (M, 2) lon, lat degrees, for example training points.
        sigma: width in degrees of arc (default: the spacing of M evenly spread anchors; 14 degrees for 200).

    >>> here = torch.tensor([10.0]).double(), torch.tensor([50.0]).double()
    >>> round(float(RBF(anchors=[[10.0, 50.0]])(*here)), 6)
    1.0
    """

    anchors: Tensor

    def __init__(self, anchors: Any = 200, sigma: float | None = None) -> None:
        super().__init__()
        self.register_buffer("anchors", anchor_xyz(anchors))
        self.dim = len(self.anchors)
        even = math.degrees(math.sqrt(4 * math.pi / self.dim))
        self.sigma = even if sigma is None else positive("sigma", sigma)

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., M) float64."""
        cosine = unit_xyz(lon, lat) @ self.anchors.mT
        return ((cosine - 1) / math.radians(self.sigma) ** 2).exp()

    def scales_km(self) -> list[tuple[str, float]]:
        """The Gaussian's width."""
        return [(f"sigma = {self.sigma:g} deg", math.radians(self.sigma) * EARTH_RADIUS_KM)]


class OriginalRBF(Positional):
    """exp(-((lon - a)^2 + (lat - b)^2) / (2 sigma^2)) for M anchors (a, b): degrees are treated as planar.

    Args:
        anchors: (M, 2) lon, lat degrees, or M anchors spread evenly over the Earth.
        sigma: width in degrees.

    >>> OriginalRBF(anchors=[[10.0, 50.0]])(torch.tensor([10.0]).double(), torch.tensor([50.0]).double()).tolist()
    [[1.0]]
    """

    antimeridian = False
    poles = False
    anchors: Tensor

    def __init__(self, anchors: Any = 200, sigma: float = 1.0) -> None:
        super().__init__()
        self.sigma = positive("sigma", sigma)
        given = not _is_count(anchors)
        points = torch.stack(degrees(*_columns(anchors)), -1) if given else lonlat_of(anchor_xyz(anchors))
        self.register_buffer("anchors", points)
        self.dim = len(self.anchors)

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., M) float64."""
        apart = (lon[..., None] - self.anchors[:, 0]) ** 2 + (lat[..., None] - self.anchors[:, 1]) ** 2
        return (-apart / (2 * self.sigma**2)).exp()

    def scales_km(self) -> list[tuple[str, float]]:
        """The Gaussian's width along a meridian."""
        return [(f"sigma = {self.sigma:g} deg", math.radians(self.sigma) * EARTH_RADIUS_KM)]


class Cells(Positional):
    """A trainable vector for each of M cells of equal area, blended by proximity: like a tile lookup, but continuous.

    Cells are centered on a Fibonacci lattice. The blend reaches about one cell far, so the features are continuous and
    differentiable. Time and memory grow with M.

    Args:
        cells: M; 2,048 cells are about 500 km across.
        width: length of a cell's vector.

    >>> Cells(cells=100, width=8)(torch.tensor([24.94]).double(), torch.tensor([60.17]).double()).shape
    torch.Size([1, 8])
    """

    centers: Tensor

    def __init__(self, cells: int = 2048, width: int = 64) -> None:
        super().__init__()
        if not _is_count(cells):
            raise ModelError(f"cells must be an integer, the number of cells; got {type(cells).__name__}")
        self.register_buffer("centers", anchor_xyz(cells), persistent=False)
        self.dim = whole("width", width, 1, 8192)
        self.vectors = nn.Parameter(torch.randn(cells, width) / math.sqrt(width))
        self.spacing = math.sqrt(4 * math.pi / cells)

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., width) float64."""
        cosine = unit_xyz(lon, lat) @ self.centers.mT
        share = (cosine / (self.spacing / 2) ** 2).softmax(dim=-1)
        return share @ self.vectors.to(share.dtype)

    def scales_km(self) -> list[tuple[str, float]]:
        """The side of a square with the area of a cell."""
        return [(f"{len(self.centers)} cells", self.spacing * EARTH_RADIUS_KM)]


def anchor_xyz(anchors: Any) -> Tensor:
    """(M, 3) float64 points on the unit sphere: M evenly spread points, or those of (M, 2) lon, lat degrees.

    Raises:
        ModelError: too many or too few anchors.
        InputError: invalid coordinates.

    >>> anchor_xyz(200).shape, anchor_xyz([[0.0, 0.0]]).tolist()
    (torch.Size([200, 3]), [[1.0, 0.0, 0.0]])
    """
    if _is_count(anchors):
        if not 1 <= anchors <= MAX_ANCHORS:
            raise ModelError(f"the number of points must be 1 to {MAX_ANCHORS}; got {anchors}")
        return fibonacci(int(anchors))
    return unit_xyz(*degrees(*_columns(anchors)))


def lonlat_of(xyz: Tensor) -> Tensor:
    """(..., 2): lon, lat degrees of points on the unit sphere.

    >>> lonlat_of(torch.tensor([0.0, 1.0, 0.0])).tolist()
    [90.0, 0.0]
    """
    x, y, z = xyz.unbind(-1)
    return torch.rad2deg(torch.stack((torch.atan2(y, x), torch.asin(z.clamp(-1, 1))), dim=-1))


def _is_count(anchors: Any) -> bool:
    return isinstance(anchors, int | np.integer) and not isinstance(anchors, bool)


def _columns(anchors: Any) -> tuple[Any, Any]:
    points = np.asarray(anchors, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not 1 <= len(points) <= MAX_ANCHORS:
        raise ModelError(
            f"anchors must be 1 to {MAX_ANCHORS} rows of lon, lat; got an array of shape {points.shape}"
        )
    return points[:, 0], points[:, 1]
