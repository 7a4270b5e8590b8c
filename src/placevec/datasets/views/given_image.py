"""An image that a user gives, as a model reads its view: bands, numbers and size checked, never guessed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.core import ViewSpec
from placevec.errors import InputError
from placevec.sources.imagery.chips import Chip, Ground, chip_centers

_COLORS = {"red": ("r", "B04"), "green": ("g", "B03"), "blue": ("b", "B02")}
"""Other names of the bands of a picture."""
_NEAR = 0.9
"""An image may be this much smaller than the window of the model."""


def bands_of(chip: Chip, spec: ViewSpec, words: str) -> NDArray[np.generic]:
    """(C, H, W) of an image in the channels of a view, by name; bands without names are taken in order.

    Raises:
        InputError: a channel that the image lacks, or another number of bands without names.

    >>> spec = ViewSpec("map", "raster", ("water", "roads"))
    >>> chip = Chip("x", np.zeros((3, 4, 4), np.uint8), ("roads", "power", "water"), "", None, None)
    >>> bands_of(chip, spec, "layer").shape
    (2, 4, 4)
    """
    wanted = spec.channels
    if not chip.bands:
        if len(chip.pixels) != len(wanted):
            raise InputError(
                f"{chip.name} has {len(chip.pixels)} bands without names; the model reads {len(wanted)} bands of "
                f"{spec.name!r}: {', '.join(wanted)}"
            )
        return chip.pixels
    at = {name: number for number, name in enumerate(chip.bands)}
    for name, others in _COLORS.items():
        if name in at:
            at |= {other: at[name] for other in others if other not in at}
    if missing := [name for name in wanted if name not in at]:
        raise InputError(
            f"{chip.name} has no {words} {missing[0]!r}, which the model reads for {spec.name!r}; it has"
            f" {', '.join(chip.bands)}"
        )
    return chip.pixels[[at[name] for name in wanted]]


def in_window(pixels: NDArray[np.generic], chip: Chip, spec: ViewSpec) -> NDArray[np.generic]:
    """The middle of an image as large as the window of a view, if both sizes in meters are known; else all of it.

    InputError if the image shows less than the window.

    >>> pixels = np.zeros((1, 4, 4), np.uint8)
    >>> in_window(pixels, Chip("x", pixels, (), "", None, None), ViewSpec("map", "raster")).shape
    (1, 4, 4)
    """
    if chip.transform is None or spec.size_m is None:
        return pixels
    height, width = pixels.shape[1:]
    _, (side,) = chip_centers([Ground(chip.crs, chip.transform, (width, height))])
    if not np.isfinite(side):
        return pixels
    if side < _NEAR * spec.size_m:
        raise InputError(
            f"{chip.name} covers {side:.0f} m per side, but the model reads windows of {spec.size_m:g} m: give a larger "
            f"image for the view {spec.name!r}"
        )
    kept = max(1, round(min(height, width) * min(1.0, spec.size_m / side)))
    return centered(pixels, kept)


def centered(pixels: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """The middle (C, size, size) of (C, H, W).

    >>> centered(np.arange(9).reshape(1, 3, 3), 1).item()
    4
    """
    top, left = ((side - size) // 2 for side in pixels.shape[1:])
    return pixels[:, top : top + size, left : left + size]


def resized(pixels: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """(C, size, size) by the mean over each pixel's area; the dtype stays.

    >>> resized(np.array([[[0, 4], [4, 8]]], np.uint8), 1).tolist()
    [[[4]]]
    """
    if pixels.shape[1:] == (size, size):
        return pixels
    bands = [np.ascontiguousarray(band) for band in pixels]
    return np.stack([cv2.resize(band, (size, size), interpolation=cv2.INTER_AREA) for band in bands])


def require_type(pixels: NDArray[np.generic], allowed: Sequence[str], name: str, spec: ViewSpec) -> None:
    """InputError unless the numbers have one of the types that the model was trained on.

    >>> require_type(np.zeros((1, 1, 1), np.uint8), ["uint8"], "one.png", ViewSpec("map", "raster"))
    """
    if allowed and str(pixels.dtype) not in allowed:
        raise InputError(
            f"{name} has pixel values of type {pixels.dtype}, but the model was trained on {spec.values} for "
            f"{spec.name!r}:"
            " convert the image"
        )
