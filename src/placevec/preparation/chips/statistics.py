"""What is seen in an image chip without a network that learned from images: statistics of its bands.

They stand in for a frozen image network where none is at hand; whoever has one brings its features instead. Of each
band: mean, standard deviation, and the 10th, 50th and 90th percentile. Of each index whose two bands are there,
``(a - b) / (a + b)``: mean and deviation over the pixels. Of brightness (the mean of all bands): the mean difference of
neighboring pixels, which tells smooth water and fields from towns. Numbers are reflectances: whole numbers are divided
by 10,000 (8 bits: by 255), real ones taken as they are. Chips of different processing (L1C as EuroSAT's, L2A as
SatCLIP's) keep an offset that no statistic here removes.
"""

from __future__ import annotations

import torch
from torch import Tensor

INDICES = {
    "NDVI": (("B08", "nir"), ("B04", "red")),
    "NDWI": (("B03", "green"), ("B08", "nir")),
    "NDBI": (("B11", "swir"), ("B08", "nir")),
    "NDMI": (("B8A",), ("B11",)),
    "NBR": (("B8A",), ("B12",)),
}
"""Vegetation (Rouse 1974), water (McFeeters 1996), built-up land (Zha 2003), moisture (Gao 1996), burns (Key 2006)."""
_SHARES = (0.1, 0.5, 0.9)
_SCALES = {"uint16": 1e-4, "int16": 1e-4, "uint8": 1 / 255}


def scale_of(values: str) -> float:
    """What stored numbers are multiplied with to be reflectances, by the ``values`` of a view of chips.

    >>> scale_of("uint16 as stored"), scale_of("float32 as stored")
    (0.0001, 1.0)
    """
    return _SCALES.get(values.split(" ", 1)[0], 1.0)


def feature_names(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the numbers of `chip_features`, in order.

    >>> feature_names(("B04", "B08"))[-4:]
    ('B08 p90', 'NDVI mean', 'NDVI deviation', 'texture')
    """
    kinds = ("mean", "deviation", *(f"p{100 * share:.0f}" for share in _SHARES))
    of_bands = [f"{band} {kind}" for band in bands for kind in kinds]
    of_indices = [f"{name} {kind}" for name in _pairs(bands) for kind in ("mean", "deviation")]
    return (*of_bands, *of_indices, "texture")


def chip_features(chips: Tensor, bands: tuple[str, ...], scale: float = 1.0) -> Tensor:
    """(N, D) float32 statistics of (N, C, H, W) chips whose bands are named; see `feature_names` and `scale_of`."""
    pixels = chips.float() * scale
    flat = pixels.flatten(2)  # (N, C, P)
    parts = [flat.mean(2), flat.std(2, correction=0), *torch.quantile(flat, torch.tensor(_SHARES), dim=2)]
    found = [torch.stack(parts, 2).flatten(1)]
    for first, second in _pairs(bands).values():
        a, b = flat[:, first], flat[:, second]
        total = a + b
        index = torch.where(total.abs() > 1e-6, (a - b) / total.where(total.abs() > 1e-6, 1.0), 0.0).clamp(
            -1.0, 1.0
        )
        found.append(torch.stack([index.mean(1), index.std(1, correction=0)], 1))
    found.append(_texture(pixels.mean(1))[:, None])
    return torch.cat(found, 1)


def _texture(brightness: Tensor) -> Tensor:
    """(N,) mean absolute difference of neighbors, across and along; 0 of a single pixel."""
    across, along = (brightness.diff(dim=dim).abs().flatten(1) for dim in (2, 1))
    both = torch.cat([across, along], 1)
    return both.mean(1) if both.shape[1] else both.sum(1)


def _pairs(bands: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Index -> positions of its two bands, for those whose bands are there."""
    found = {}
    for name, sides in INDICES.items():
        at = [next((bands.index(one) for one in side if one in bands), -1) for side in sides]
        if min(at) >= 0:
            found[name] = (at[0], at[1])
    return found
