"""From pictures of a layer to a mask: what is background, what is drawn, and which contrast makes a set pixel.

A folder of pictures does not say whether a layer was drawn black on white, white on black or on a transparent
background, and a wrong guess inverts a mask without any error. So the background is detected from tiles of all layers
together: they share a style, and most layers (roads, rails, power lines) leave most of the area free. The result is
reported, and can be overridden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from placevec.datasets.views.raster.shards import Bytes
from placevec.errors import InputError, SourceError, UsageError

Color = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
KINDS: dict[str, Color | None] = {"white": WHITE, "black": BLACK, "transparent": None}
SAMPLES = 48
"""Tiles of each layer used for detection."""
_NOISE = 8
"""Differences from the background caused by compression."""
_COMMON = 0.1
"""Minimum share of drawn pixels for a real color; rarer ones come from edges."""
_CLEAR = 0.65
"""Minimum share of one layer's pixels, or of the layers, for a background to be certain."""


@dataclass(frozen=True)
class Mask:
    """How a layer's pictures are read.

    Attributes:
        background: red, green and blue of the background; None if it is transparent.
        threshold: 1 to 255: minimum difference from the background of a set pixel.
    """

    background: Color | None
    threshold: int

    @property
    def called(self) -> str:
        """The background in words."""
        return color_name(self.background)

    def contrast(self, rgba: Bytes) -> Bytes:
        """(H, W) difference between the pixels of an (H, W, 4) picture and the background, 0..255."""
        return contrast(rgba, self.background)

    def bits(self, rgba: Bytes) -> Bytes:
        """(H, W) 1 for set pixels."""
        set_: Bytes = (self.contrast(rgba) >= self.threshold).astype(np.uint8)
        return set_


def color_name(color: Color | None) -> str:
    """``white``, ``black``, ``transparent`` or ``#rrggbb``.

    >>> color_name((255, 255, 255)), color_name((255, 0, 0)), color_name(None)
    ('white', '#ff0000', 'transparent')
    """
    names = {value: name for name, value in KINDS.items()}
    return names.get(color) or "#" + bytes(color or ()).hex()


def contrast(rgba: Bytes, background: Color | None) -> Bytes:
    """(H, W) the largest difference of red, green and blue from a color, times the opacity; or the alpha.

    >>> contrast(np.array([[[255, 255, 255, 255], [0, 255, 255, 128]]], np.uint8), (255, 255, 255)).tolist()
    [[0, 128]]
    """
    alpha = np.ascontiguousarray(rgba[:, :, 3])
    if background is None:
        return alpha
    red, green, blue, _ = cv2.split(cv2.absdiff(rgba, np.array([*background, 0], np.float64)))
    apart: Bytes = cv2.max(cv2.max(red, green), blue)
    if alpha.min() < 255:
        apart = ((apart.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
    return apart


def over(rgba: Bytes, background: Color = WHITE) -> Bytes:
    """(H, W, 3) a picture composited over a color.

    >>> half_red = np.array([[[255, 0, 0, 128]]], np.uint8)
    >>> over(half_red).tolist()
    [[[255, 127, 127]]]
    """
    alpha = rgba[:, :, 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[:, :, :3])
    behind = np.array(background, np.uint16) * (255 - alpha.astype(np.uint16))
    shown: Bytes = ((rgba[:, :, :3].astype(np.uint16) * alpha + behind + 127) // 255).astype(np.uint8)
    return shown


def parse_background(text: str) -> dict[str, str]:
    """``white``, or ``white,landcover=black``: kind by layer, with the empty name for all others.

    Raises UsageError for an unknown background.

    >>> parse_background("white,landcover=black")
    {'': 'white', 'landcover': 'black'}
    """
    found = {}
    for part in text.split(","):
        layer, _, kind = part.strip().rpartition("=")
        if kind not in (*KINDS, "auto"):
            raise UsageError(
                f"--background must be auto, {', '.join(KINDS)}, or LAYER=KIND for a single layer; got {part.strip()!r}"
            )
        found[layer.strip()] = kind
    return found


def find_masks(
    samples: Mapping[str, Sequence[Bytes]], *, background: Mapping[str, str], threshold: int | None = None
) -> dict[str, Mask]:
    """How the pictures of each layer are read.

    Args:
        samples: layer -> a few of its tiles, (H, W, 4).
        background: as returned by `parse_background`; ``auto`` is detected.
        threshold: 1 to 255; None uses half the contrast of the faintest common color of a layer, which is 128 for black
            and white.

    Raises:
        InputError: a threshold out of range, or an unknown layer.
        SourceError: the background cannot be detected.
    """
    if threshold is not None and not 1 <= threshold <= 255:
        raise InputError(f"--threshold must be 1 to 255; got {threshold}")
    if unknown := set(background) - {"", *samples}:
        raise InputError(f"unknown layer {sorted(unknown)[0]!r}: choose from {', '.join(samples)}")
    kinds = {layer: background.get(layer, background.get("", "auto")) for layer in samples}
    asked = {layer: tiles for layer, tiles in samples.items() if kinds[layer] == "auto"}
    found = find_backgrounds(asked) if asked else {}
    masks = {}
    for layer, tiles in samples.items():
        color = found[layer] if layer in found else KINDS[kinds[layer]]
        masks[layer] = Mask(color, threshold or _half_contrast(tiles, color))
    return masks


# --- what is background ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """Statistics of a layer's tiles: the share of transparent pixels, and pixel counts of the opaque colors.

    ``mixed`` is the number of opaque tiles with more than one color.
    """

    transparent: float
    colors: Counter[Color]
    mixed: int

    @property
    def common(self) -> Color | None:
        return self.colors.most_common(1)[0][0] if self.colors else None

    def share(self, color: Color) -> float:
        total = sum(self.colors.values())
        return sum(n for other, n in self.colors.items() if _near(other, color)) / total if total else 0.0


def _near(one: Color, other: Color) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 2 * _NOISE


def _seen(tiles: Sequence[Bytes]) -> _Seen:
    colors: Counter[Color] = Counter()
    clear = pixels = mixed = 0
    for tile in tiles:
        opaque = tile[:, :, 3] >= 128
        clear, pixels = clear + int((~opaque).sum()), pixels + opaque.size
        packed = tile[:, :, :3].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        values, counts = np.unique(packed[opaque], return_counts=True)
        top = np.argsort(counts, kind="stable")[::-1][:64]
        for value, count in zip(values[top].tolist(), counts[top].tolist(), strict=True):
            colors[value >> 16, value >> 8 & 255, value & 255] += count
        mixed += bool(opaque.all()) and len(values) > 1
    return _Seen(clear / max(pixels, 1), colors, mixed)


def find_backgrounds(samples: Mapping[str, Sequence[Bytes]]) -> dict[str, Color | None]:
    """The background of each layer: a color, or None if it is transparent.

    A layer with transparent pixels has a transparent background, unless some of its tiles are opaque and not blank.
    Each other layer votes for its most common color; the winner is the background of all of them that have it.

    Raises SourceError if no color wins clearly.

    >>> tile = np.full((8, 8, 4), 255, np.uint8)
    >>> tile[:2, :, :3] = 0
    >>> find_backgrounds({"roads": [tile], "water": [tile]})
    {'roads': (255, 255, 255), 'water': (255, 255, 255)}
    """
    seen = {layer: _seen(tiles) for layer, tiles in samples.items()}
    clear = {layer for layer, one in seen.items() if one.transparent > 0 and one.mixed == 0}
    # if other layers are transparent, a layer of a single color covers everything
    clear |= {layer for layer, one in seen.items() if clear and one.mixed == 0}
    rest = {layer: one for layer, one in seen.items() if layer not in clear and one.common is not None}
    found: dict[str, Color | None] = dict.fromkeys(clear)
    if rest:
        winner = _winner(rest)
        for layer, one in rest.items():
            own = one.common or winner
            found[layer] = winner if one.share(winner) > 0.005 or one.mixed == 0 else own
    elif not clear:
        raise SourceError(_UNKNOWN.format(what="all tiles are blank"))
    else:
        winner = None
    return {layer: found.get(layer, winner if rest else None) for layer in samples}


_UNKNOWN = (
    "cannot detect the background: {what}; set it with --background white, black or transparent, "
    "or LAYER=KIND"
)


def _winner(seen: Mapping[str, _Seen]) -> Color:
    """The most common color of most layers, counting similar ones together."""
    votes: Counter[Color] = Counter()
    for one in seen.values():
        color = one.common or BLACK
        near = next((other for other in votes if _near(other, color)), color)
        votes[near] += 1
    ranked = votes.most_common(2)
    color, count = ranked[0]
    if len(seen) == 1:
        (only,) = seen.values()
        if only.share(color) < _CLEAR:
            raise SourceError(
                _UNKNOWN.format(what=f"the most common color fills only {only.share(color):.0%}")
            )
    elif count / len(seen) < _CLEAR:
        others = ", ".join(f"{color_name(color)} in {number}" for color, number in ranked)
        raise SourceError(_UNKNOWN.format(what=f"{others} of {len(seen)} layers share the most common color"))
    return color


def _half_contrast(tiles: Sequence[Bytes], background: Color | None) -> int:
    """Half the contrast of the faintest common color in the drawn pixels."""
    counts = np.zeros(256, np.int64)
    for tile in tiles:
        counts += np.bincount(contrast(tile, background).ravel(), minlength=256)
    counts[:_NOISE] = 0
    if not counts.any():
        return 128
    wide = np.convolve(counts, np.ones(_NOISE + 1), "same")  # a color and its variants from compression
    common = np.flatnonzero((wide >= _COMMON * counts.sum()) & (counts > 0))
    # the most common of a run of neighbors is the color; the strongest if everything is an edge
    faintest = int(common[0]) if len(common) else int(np.flatnonzero(counts)[-1])
    around = counts[faintest : faintest + _NOISE]
    return max(1, (faintest + int(around.argmax()) + 1) // 2)
