"""Map rendering: layers drawn over one another in map colors."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]

PAPER = (246, 244, 239)
PICTURE_TYPE = "image/webp"


@dataclass(frozen=True)
class Ink:
    """The style of a layer.

    Attributes:
        color: red, green, blue, 0..255.
        opacity: opacity of fully covered pixels, 0..1.
        edge: color of a thin outline, drawn if the resolution is high enough.
        far: color at lower resolutions, where thin features must be darker to be visible.
        boost: factor of the coverage at lower resolutions, so that thin lines remain visible.
    """

    color: tuple[int, int, int]
    opacity: float = 1.0
    edge: tuple[int, int, int] | None = None
    far: tuple[int, int, int] | None = None
    boost: float = 1.0


INKS: dict[str, Ink] = {
    "landcover": Ink((233, 228, 214)),
    "natural-features": Ink((190, 214, 168)),
    "leisure": Ink((178, 222, 180)),
    "amenities": Ink((240, 217, 184), 0.9),
    "aeroways": Ink((214, 206, 232)),
    "water": Ink((158, 200, 230)),
    "buildings": Ink((207, 186, 168), edge=(166, 140, 120), far=(188, 160, 140)),
    "roads": Ink((255, 255, 255), edge=(176, 164, 146), far=(142, 130, 116), boost=1.6),
    "railways": Ink((108, 104, 116), 0.9, boost=1.6),
    "power": Ink((140, 120, 150), 0.55, boost=1.5),
    "boundaries": Ink((150, 92, 160), 0.45, boost=1.3),
}
"""From bottom to top. ``places`` is not drawn: it covers whole islands and districts."""
UNSEEN_LAYERS = frozenset({"places"})
_FALLBACK = ((226, 204, 140), (170, 196, 200), (212, 180, 190), (196, 190, 150))
EDGE_METERS = 2.5
"""Outlines are drawn if a pixel is smaller than this."""


def paint(coverage: Bytes, layers: Sequence[str], meters_per_pixel: float) -> Bytes:
    """Render the map.

    Args:
        coverage: (C, H, W) uint8, 255 where a layer covers the pixel completely.
        layers: (C,) layer names; layers without a predefined style get a muted color below the lines.
        meters_per_pixel: resolution, which decides whether outlines are drawn.

    Returns:
        (H, W, 3) uint8, red, green, blue.

    >>> paint(np.full((1, 1, 1), 255, np.uint8), ["water"], 1.0).tolist()
    [[[158, 200, 230]]]
    """
    planes = [np.full(coverage.shape[1:], value, np.float32) for value in PAPER]
    near = meters_per_pixel <= EDGE_METERS
    for channel, ink in _inks(layers):
        share = coverage[channel]
        if not share.any():
            continue
        if near and ink.edge is not None:
            grown = cv2.dilate(share, np.ones((3, 3), np.uint8))
            _blend(planes, grown * np.float32(0.8 / 255.0), ink.edge)
        alpha = share * np.float32(ink.opacity * (1.0 if near else ink.boost) / 255.0)
        np.minimum(alpha, 1.0, out=alpha)
        _blend(planes, alpha, ink.far if ink.far is not None and not near else ink.color)
    return np.asarray(cv2.merge([np.rint(plane).astype(np.uint8) for plane in planes]))


def _blend(
    planes: list[NDArray[np.float32]], alpha: NDArray[np.float32], color: tuple[int, int, int]
) -> None:
    """Blend a color over the three planes."""
    step = np.empty_like(alpha)
    for plane, value in zip(planes, color, strict=True):
        np.subtract(np.float32(value), plane, out=step)
        step *= alpha
        plane += step


def _inks(layers: Sequence[str]) -> list[tuple[int, Ink]]:
    """(channel, style) of the drawn layers, from bottom to top."""
    order = list(INKS)
    unknown = [name for name in layers if name not in INKS and name not in UNSEEN_LAYERS]
    chosen = []
    for channel, name in enumerate(layers):
        if name in INKS:
            chosen.append((order.index(name) + 0.0, channel, INKS[name]))
        elif name in unknown:
            ink = Ink(_FALLBACK[unknown.index(name) % len(_FALLBACK)])
            chosen.append((order.index("water") + 0.5, channel, ink))
    return [(channel, ink) for _, channel, ink in sorted(chosen, key=lambda item: item[:2])]


def encode_picture(picture: NDArray[Any], quality: int) -> bytes:
    """Encode (H, W, 3) uint8 as WebP.

    >>> encode_picture(np.zeros((4, 4, 3), np.uint8), 70)[:4]
    b'RIFF'
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()
