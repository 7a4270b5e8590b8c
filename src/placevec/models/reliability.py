"""Where a model that reads coordinates knows something: the distance to its training points, and a deviation.

A Laplace approximation of the head gives the deviation: with vectors z of training places (and 1, if the head has an
intercept), weights c of its outputs and a prior, the variance of an output at x is

    v(x) = sum_i (u_i . z)^2 / (c s_i + prior),   u, s: eigenvectors and eigenvalues of sum z z^T

(MacKay 1992, doi:10.1162/neco.1992.4.3.448; Kristiadi et al. 2020). For a number c is 1 / noise^2, and the band
prediction +- factor * sqrt(noise^2 + v) is scaled so that it covers 90% of validation places, which lie in whole
blocks (conformal prediction for places in groups, see `factor_of`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from placevec.encoders.locations.positional import EARTH_RADIUS_KM
from placevec.errors import ModelError
from placevec.geo import Floats
from placevec.geo.coordinates import extent_of, xyz_of

LEVEL = 0.9
"""Share of places that a band should cover."""
MOST = 0.95
"""Share of few validation blocks that is covered at most to be sure of it."""
FEW = 20
"""Validation blocks below which every block counts alike."""
MAX_POINTS, MAX_DIM = 20_000, 1024
DESCRIBED = {"points": int, "width": int, "outputs": int}
"""Metadata of a model's configuration."""
MIN_CALIBRATED, MIN_BLOCKS = 30, 9
"""Validation places, and independent blocks of them, without which a band is not calibrated.

Of fewer blocks than LEVEL / (1 - LEVEL) none can be expected to have larger errors than 90% of new ones. Of too few
places the factor is that of the normal distribution.
"""
_NORMAL = 1.6448536269514722
_PRIORS = tuple(10.0**power for power in range(-6, 3))


class Reliability(nn.Module):
    """What a model knows of its own training points; part of its head.

    Args:
        points: number of training points that are kept.
        width: length of a vector, with the intercept; 0 if there are no deviations.
        outputs: outputs of the head.

    Attributes:
        lonlat: (points, 2) lon, lat degrees of the kept training points.
        reach_km: distance to the nearest of them up to which a prediction is supported.
        factor: half width of a band in standard deviations; 0 if there were too few validation places, negative if they
            lie in too few blocks.

    >>> Reliability(3, 5, 1).config()
    {'points': 3, 'width': 5, 'outputs': 1}
    """

    lonlat: Tensor
    reach_km: Tensor
    basis: Tensor
    spectrum: Tensor
    weight: Tensor
    prior: Tensor
    noise: Tensor
    factor: Tensor

    def __init__(self, points: int, width: int, outputs: int) -> None:
        super().__init__()
        sizes = ((points, 1, MAX_POINTS), (width, 0, MAX_DIM + 1), (outputs, 1, 1_000_000))
        if not all(isinstance(size, int) and least <= size <= most for size, least, most in sizes):
            raise ModelError(f"a reliability has invalid sizes: {points!r}, {width!r} and {outputs!r}")
        self.width, self.outputs = width, outputs
        for name, shape in (
            ("lonlat", (points, 2)), ("reach_km", ()), ("basis", (width, width)), ("spectrum", (width,)),
            ("weight", (outputs,)), ("prior", (outputs,)), ("noise", ()), ("factor", ()),
        ):  # fmt: skip
            self.register_buffer(name, torch.zeros(shape))

    def config(self) -> dict[str, int]:
        """Arguments that build it again, as plain JSON."""
        return {"points": len(self.lonlat), "width": self.width, "outputs": self.outputs}

    @property
    def calibrated(self) -> bool:
        """Whether bands were scaled on enough validation places in enough blocks to expect that they cover 90%."""
        return float(self.factor) > 0

    @property
    def uncalibrated(self) -> str:
        """Why bands are not calibrated; empty if they are."""
        if self.calibrated:
            return ""
        return (
            f"not calibrated: the validation places lie in fewer than {MIN_BLOCKS} independent blocks"
            if float(self.factor) < 0
            else f"not calibrated: fewer than {MIN_CALIBRATED} validation places"
        )

    def only(self, columns: list[int]) -> Reliability:
        """That of some outputs."""
        few = Reliability(len(self.lonlat), self.width, len(columns))
        few.load_state_dict(
            {**self.state_dict(), "weight": self.weight[columns], "prior": self.prior[columns]}
        )
        return few.eval()

    def distance_km(self, lonlat: Floats) -> Floats:
        """(N,) km on the sphere to the nearest kept training point."""
        chord, _ = self._tree.query(xyz_of(np.asarray(lonlat, np.float64)))
        return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1.0)), np.float64)

    def supported(self, lonlat: Floats) -> NDArray[np.bool_]:
        """(N,) whether (N, 2) points of lon, lat degrees have a training point within reach."""
        return self.distance_km(lonlat) <= float(self.reach_km)

    def deviation(self, z: Tensor) -> Tensor:
        """(N, outputs) float64 standard deviation of the head's outputs, without noise, at (N, dim) vectors."""
        turned = (_with_one(z.double(), self.width) @ self.basis.double()) ** 2
        precision = self.weight.double()[:, None] * self.spectrum.double() + self.prior.double()[:, None]
        return (turned @ (1.0 / precision).mT).sqrt()

    def half_width(self, z: Tensor) -> Tensor:
        """(N,) float64 half of the 90% band of a standardized number at (N, dim) vectors."""
        factor = abs(float(self.factor)) or _NORMAL
        return factor * (self.deviation(z)[:, 0] ** 2 + self.noise.double() ** 2).sqrt()

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(xyz_of(self.lonlat.cpu().double().numpy()))


@dataclass(frozen=True)
class Vectors:
    """Places with what the head saw and should have said: (N, 2) lon, lat; (N, dim) vectors; (N,) standardized errors."""

    lonlat: Floats
    z: Tensor
    error: Tensor | None = None


def fitted(head: Any, train: Vectors, validation: Vectors | None, finest_km: float) -> Reliability:
    """The reliability of a trained head.

    Args:
        head: `placevec.models.heads.Head`.
        train: its training places.
        validation: places held out from training; None if there are none.
        finest_km: finest wavelength of the encoder's features; infinite if it has none.
    """
    kept = _thinned(train.lonlat)
    bias = head.linear.bias is not None
    width = head.dim + bias if head.dim <= MAX_DIM else 0
    found = Reliability(len(kept), width, head.outputs)
    found.lonlat = torch.from_numpy(kept).float()
    found.reach_km = torch.tensor(_reach(kept, None if validation is None else validation.lonlat, finest_km))
    if not width:
        return found.eval()
    both = _with_one(train.z.double(), width)
    spectrum, basis = torch.linalg.eigh(both.mT @ both)
    found.basis, found.spectrum = basis.float(), spectrum.clamp(min=0).float()
    if head.kind == "number":
        _number(found, train, validation)
        return found.eval()
    with torch.no_grad():
        shares = head.answers(train.z).double()
        found.weight = (shares * (1 - shares)).mean(0).clamp(min=1e-6).float()
        norms = (head.linear.weight.double() ** 2).sum(1).clamp(min=1e-9)
        found.prior = (head.dim / norms).float()
    return found.eval()


def _number(found: Reliability, train: Vectors, validation: Vectors | None) -> None:
    """Noise, prior and factor of a number: the most likely ones for the errors of validation places."""
    held = validation if validation is not None and len(validation.lonlat) >= MIN_CALIBRATED else None
    on = held or train
    assert on.error is not None
    errors = on.error.double()
    turned = (_with_one(on.z.double(), found.width) @ found.basis.double()) ** 2
    scale = float(found.spectrum.double().mean())
    best = (math.inf, 0.0, 0.0)
    for prior in _PRIORS:
        spread = turned @ (1.0 / (found.spectrum.double() + prior * scale))
        noise = float((errors**2 / (1 + spread)).mean())
        surprise = float(torch.log1p(spread).mean()) + math.log(max(noise, 1e-300))
        best = min(best, (surprise, noise, prior * scale))
    _, noise, prior = best
    found.noise = torch.tensor(math.sqrt(max(noise, 1e-12)))
    found.weight = torch.tensor([1.0 / max(noise, 1e-12)]).float()
    found.prior = (found.weight.double() * prior).float()
    if held is not None:
        deviations = (found.deviation(held.z)[:, 0] ** 2 + found.noise.double() ** 2).sqrt()
        ratios, block = (errors.abs() / deviations).numpy(), _blocks(held.lonlat, train.lonlat)
        sign = 1 if independent(block) >= MIN_BLOCKS else -1
        found.factor = torch.tensor(sign * factor_of(ratios, block))


def independent(block: NDArray[np.int64]) -> float:
    """To how many blocks of equal size the (N,) blocks of places amount (Kish's effective size): one large block is one.

    >>> independent(np.array([0, 0, 1, 1])), independent(np.array([0, 0, 0, 0, 0, 0, 0, 1]))
    (2.0, 1.28)
    """
    sizes = np.bincount(block)
    return round(float(sizes.sum() ** 2 / (sizes**2).sum()), 6)


def factor_of(ratios: Floats, block: NDArray[np.int64]) -> float:
    """The smallest factor whose band covers `LEVEL` of the places of one more block, drawn like the (N,) blocks of these.

    Of B blocks LEVEL (B + 1) / B must be covered (Dunn et al. 2022, doi:10.1080/01621459.2022.2060112), but
    at most `MOST`: of few blocks this would be all. Places count alike; of fewer than `FEW` blocks, blocks do, since one
    large block could decide alone.
    """
    sizes = np.bincount(block)
    blocks = int(np.count_nonzero(sizes))
    weights = 1.0 / sizes[block] / blocks if blocks < FEW else np.full(len(ratios), 1.0 / len(ratios))
    order = np.argsort(ratios, kind="stable")
    level = min(LEVEL * (blocks + 1) / blocks, MOST)
    place = int(np.searchsorted(np.cumsum(weights[order]), level - 1e-12))
    return float(ratios[order[min(place, len(order) - 1)]])


def _blocks(lonlat: Floats, train: Floats) -> NDArray[np.int64]:
    """(N,) block of each validation place, four times as wide as the median distance to the training points."""
    from scipy.spatial import cKDTree

    xyz = xyz_of(lonlat)
    bridged = float(np.median(cKDTree(xyz_of(train)).query(xyz)[0]))
    cells = np.floor(xyz / max(4 * bridged, 1e-9)).astype(np.int64)
    return np.asarray(np.unique(cells, axis=0, return_inverse=True)[1].ravel(), np.int64)


def _reach(points: Floats, validation: Floats | None, finest_km: float) -> float:
    """Km from a training point up to which a prediction is supported.

    Half the finest wavelength: beyond, the finest features are free. At least the distance at which 19 of 20 validation
    places, whose errors are known, have a training point; at most a quarter of the extent, for coarse encoders.
    """
    from scipy.spatial import cKDTree

    xyz = xyz_of(points)
    extent = EARTH_RADIUS_KM * extent_of(xyz)
    seen = 0.0
    if validation is not None and len(validation):
        seen = EARTH_RADIUS_KM * float(np.quantile(cKDTree(xyz).query(xyz_of(validation))[0], 0.95))
    half = finest_km / 2
    if extent == 0:  # one point: nothing but the encoder says how far it speaks
        return min(half, 500.0)
    return float(np.clip(half, seen, max(seen, extent / 4)))


def _thinned(lonlat: Floats) -> Floats:
    """At most `MAX_POINTS` distinct points, one a cell of a grid that is as fine as that allows."""
    points = np.unique(np.asarray(lonlat, np.float32).astype(np.float64), axis=0)
    side = 1e-4
    while len(points) > MAX_POINTS:
        cells = np.floor(xyz_of(points) / side).astype(np.int64)
        points = points[np.sort(np.unique(cells, axis=0, return_index=True)[1])]
        side *= 1.3
    return points


def _with_one(z: Tensor, width: int) -> Tensor:
    """(N, width): the vectors, and 1 for an intercept."""
    return z if z.shape[1] == width else torch.cat((z, torch.ones_like(z[:, :1])), dim=1)


def from_config(described: Mapping[str, Any] | None) -> Reliability | None:
    """The one that a head's configuration describes, with fresh numbers; None if it has none."""
    return None if described is None else Reliability(**{name: described[name] for name in DESCRIBED})
