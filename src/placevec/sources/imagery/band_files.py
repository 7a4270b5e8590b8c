"""Chips of which every band is a file of its own, such as those of BigEarthNet: PATCH_B02.tif, PATCH_B03.tif, ...

Bands of 20 and 60 m are interpolated onto the grid of the finest one, so that all lie over the same ground.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.sources.imagery.scenes import BANDS, band_named

_PART = re.compile(r"(?P<patch>.*[^/])[._-](?P<band>B\d{1,2}A?)(?:[._-]\d{2}m)?", re.IGNORECASE | re.DOTALL)
_DATE = re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})T\d{6}(?!\d)")


def patches_of(names: Sequence[str]) -> dict[str, dict[str, int]] | None:
    """Patch -> band -> position of its file; None unless every file is one band of a patch of several.

    >>> patches_of(["a/x_B02", "a/x_B8A", "b/y_B02_10m", "b/y_B03_10m"])
    {'a/x': {'B02': 0, 'B8A': 1}, 'b/y': {'B02': 2, 'B03': 3}}
    >>> patches_of(["Forest/Forest_1"]) is None
    True
    """
    patches: dict[str, dict[str, int]] = {}
    for position, name in enumerate(names):
        told = _PART.fullmatch(name)
        band = None if told is None else band_named(told["band"])
        if told is None or band is None or band in patches.setdefault(told["patch"], {}):
            return None
        patches[told["patch"]][band] = position
    return patches if patches and min(map(len, patches.values())) > 1 else None


class Layer(NamedTuple):
    """One band: its pixels (H, W), CRS and transform, as in `chips.Chip`."""

    pixels: NDArray[Any]
    crs: str
    transform: tuple[float, ...] | None


def merged(name: str, layers: Mapping[str, Layer]) -> tuple[tuple[str, ...], Layer]:
    """(bands in the order of the instrument, their pixels (C, H, W) on the grid of the finest of them).

    Raises:
        SourceError: a band lies nowhere, elsewhere, or has another type.
    """
    bands = tuple(band for band in BANDS if band in layers)
    finest = max(layers.values(), key=lambda layer: layer.pixels.shape[0])
    pixels = [_onto(finest, layers[band], name, band) for band in bands]
    return bands, finest._replace(pixels=np.stack(pixels))


def _onto(finest: Layer, layer: Layer, name: str, band: str) -> NDArray[Any]:
    from rasterio import Affine
    from rasterio.warp import Resampling, reproject

    kind, side = finest.pixels.dtype, finest.pixels.shape
    if layer.crs != finest.crs or layer.pixels.dtype != kind:
        raise SourceError(f"the file of {band} of {name!r} must have a single band, like the others")
    if layer.pixels.shape == side and layer.transform == finest.transform:
        return layer.pixels
    if layer.transform is None or finest.transform is None:
        raise SourceError(f"the bands of {name!r} differ in size, and are not georeferenced")
    found = np.full(side, np.nan, np.float32)
    reproject(
        layer.pixels.astype(np.float32), found, src_transform=Affine(*layer.transform), src_crs=layer.crs,
        dst_transform=Affine(*finest.transform), dst_crs=finest.crs, dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )  # fmt: skip
    if np.isnan(found).any():
        raise SourceError(f"the bands of {name!r} do not cover the same area")
    return np.asarray((found if kind.kind == "f" else np.rint(found)).astype(kind))


def date_in(name: str) -> str | None:
    """The ISO date in the name of a patch.

    >>> date_in("S2A_MSIL2A_20171221T112501_56_35"), date_in("patch")
    ('2017-12-21', None)
    """
    told = _DATE.search(name)
    return None if told is None else "-".join(told.groups())
