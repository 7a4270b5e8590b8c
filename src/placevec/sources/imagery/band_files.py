"""Chips of which every band is a file of its own, such as those of BigEarthNet: PATCH_B02.tif, PATCH_B03.tif, ...

Bands of 20 and 60 m are interpolated onto the grid of the finest one, so that all lie over the same ground.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from placevec.errors import SourceError
from placevec.sources.imagery.chips import Chip, ChipFiles, Ground, decode_chip
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


@dataclass(frozen=True)
class BandFiles(ChipFiles):
    """Chips of several files each, see `patches_of`."""

    patches: Mapping[str, Mapping[str, int]]

    def read(self, position: int) -> Chip:
        """One chip; SourceError if one of its files is no GeoTIFF of one band, or they do not lie over one another."""
        name = self.names[position]
        parts = self._parts(name)
        return merged(name, {band: decode_chip(name, self.content(at), {}) for band, at in parts.items()})

    def ground(self, position: int) -> Ground:
        """Location of one chip; SourceError as in `read`."""
        chip = self.read(position)
        return Ground(chip.crs, chip.transform, (chip.pixels.shape[2], chip.pixels.shape[1]))

    def _parts(self, name: str) -> dict[str, int]:
        """Band -> position of its file, in the order of the instrument."""
        return {band: self.patches[name][band] for band in BANDS if band in self.patches[name]}


def merged(name: str, parts: Mapping[str, Chip]) -> Chip:
    """One chip of several bands, on the grid of the finest of them.

    Raises:
        SourceError: a part has several bands, lies nowhere, elsewhere, or is of another type.
    """
    from rasterio import Affine
    from rasterio.warp import Resampling, reproject

    finest = max(parts.values(), key=lambda chip: chip.pixels.shape[1])
    kind, side = finest.pixels.dtype, finest.pixels.shape[1:]
    layers = []
    for band, chip in parts.items():
        if len(chip.pixels) != 1 or chip.crs != finest.crs or chip.pixels.dtype != kind:
            raise SourceError(f"the file of {band} of {name!r} is not one band like the others")
        if chip.pixels.shape[1:] == side and chip.transform == finest.transform:
            layers.append(chip.pixels[0])
            continue
        if chip.transform is None or finest.transform is None:
            raise SourceError(f"the bands of {name!r} differ in size, and lie nowhere")
        found = np.full(side, np.nan, np.float32)
        reproject(
            chip.pixels[0].astype(np.float32), found, src_transform=Affine(*chip.transform), src_crs=chip.crs,
            dst_transform=Affine(*finest.transform), dst_crs=finest.crs, dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )  # fmt: skip
        if np.isnan(found).any():
            raise SourceError(f"the bands of {name!r} do not lie over one another")
        layers.append((found if kind.kind == "f" else np.rint(found)).astype(kind))
    told = _DATE.search(name)
    date = finest.date if told is None else "-".join(told.groups())
    return Chip(name, np.stack(layers), tuple(parts), finest.crs, finest.transform, date)
