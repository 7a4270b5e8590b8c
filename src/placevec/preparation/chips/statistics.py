"""Features of an image chip without a learned network: statistics of its bands.

They replace a frozen image network if none is available; otherwise, provide the network's features. For each band:
mean, standard deviation, and the 10th, 50th and 90th percentile. For each index with both of its bands, ``(a - b) / (a
+ b)``: mean and standard deviation over the pixels. For brightness (the mean of all bands): the mean difference of
neighboring pixels, which separates smooth water and fields from towns. Numbers are reflectances: integers are divided
by 10,000 (8 bits: by 255), floats are used as they are. Chips with different processing (L1C as in EuroSAT, L2A as in
SatCLIP) keep an offset that no statistic here removes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from placevec.datasets.views.chips import full_scale_of

INDICES = {
    "NDVI": (("B08", "nir"), ("B04", "red")),
    "NDWI": (("B03", "green"), ("B08", "nir")),
    "NDBI": (("B11", "swir"), ("B08", "nir")),
    "NDMI": (("B8A",), ("B11",)),
    "NBR": (("B8A",), ("B12",)),
}
"""Vegetation (Rouse 1974), water (McFeeters 1996), built-up land (Zha 2003), moisture (Gao 1996), burns (Key 2006)."""
_SHARES = (0.1, 0.5, 0.9)


def scale_of(values: str) -> float:
    """Factor from stored numbers to reflectances, by the ``values`` of a view of chips.

    >>> scale_of("uint16 as stored"), scale_of("float32 as stored")
    (0.0001, 1.0)
    """
    return 1.0 / full_scale_of(values)


def feature_names(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the features in `chip_features`, in order.

    >>> feature_names(("B04", "B08"))[-4:]
    ('B08 p90', 'NDVI mean', 'NDVI deviation', 'texture')
    """
    kinds = ("mean", "deviation", *(f"p{100 * share:.0f}" for share in _SHARES))
    of_bands = [f"{band} {kind}" for band in bands for kind in kinds]
    of_indices = [f"{name} {kind}" for name in _pairs(bands) for kind in ("mean", "deviation")]
    return (*of_bands, *of_indices, "texture")


def chip_features(chips: Tensor, bands: tuple[str, ...], scale: float = 1.0) -> Tensor:
    """(N, D) float32 statistics of (N, C, H, W) chips with named bands; see `feature_names` and `scale_of`."""
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
    """(N,) mean absolute difference of neighbors, across and along; 0 for a single pixel."""
    across, along = (brightness.diff(dim=dim).abs().flatten(1) for dim in (2, 1))
    both = torch.cat([across, along], 1)
    return both.mean(1) if both.shape[1] else both.sum(1)


def _pairs(bands: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Index -> positions of its two bands, if both exist."""
    found = {}
    for name, sides in INDICES.items():
        at = [next((bands.index(one) for one in side if one in bands), -1) for side in sides]
        if min(at) >= 0:
            found[name] = (at[0], at[1])
    return found
