"""From pictures of a layer to a mask: what is background, what is drawn, and how much of it makes a set pixel.

Nobody says of a folder of pictures whether a layer was drawn black on white, white on black or on nothing, and the wrong
guess turns a mask inside out without any error. So the background is found by looking at tiles of all layers together:
one style draws them all, and most layers (roads, rails, power lines) leave most of the ground free. What was found is
said, and can be overruled.
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
"""Tiles of each layer that are looked at."""
_NOISE = 8
"""Differences from the background that compression makes."""
_COMMON = 0.1
"""Share of what is drawn above which a color is meant and is no edge."""
_CLEAR = 0.65
"""Share of one layer's pixels, or of the layers, above which a background is no guess."""


@dataclass(frozen=True)
class Mask:
    """How a layer's pictures are read.

    Attributes:
        background: red, green and blue of what counts as nothing; None where that is what is transparent.
        threshold: 1 to 255: a pixel that differs from the background by at least so much is set.
    """

    background: Color | None
    threshold: int

    @property
    def called(self) -> str:
        """The background in words."""
        return color_name(self.background)

    def contrast(self, rgba: Bytes) -> Bytes:
        """(H, W) how much the pixels of an (H, W, 4) picture differ from the background, 0..255."""
        return contrast(rgba, self.background)

    def bits(self, rgba: Bytes) -> Bytes:
        """(H, W) 1 where a pixel is set."""
        set_: Bytes = (self.contrast(rgba) >= self.threshold).astype(np.uint8)
        return set_


def color_name(color: Color | None) -> str:
    """``white``, ``black``, ``transparent`` or ``#rrggbb``."""
    names = {value: name for name, value in KINDS.items()}
    return names.get(color) or "#" + bytes(color or ()).hex()


def contrast(rgba: Bytes, background: Color | None) -> Bytes:
    """(H, W) the greatest difference of red, green and blue from a color, as far as the pixel is opaque; or the alpha.

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
    """(H, W, 3) what a picture shows before a color."""
    alpha = rgba[:, :, 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[:, :, :3])
    behind = np.array(background, np.uint16) * (255 - alpha.astype(np.uint16))
    shown: Bytes = ((rgba[:, :, :3].astype(np.uint16) * alpha + behind + 127) // 255).astype(np.uint8)
    return shown


def parse_background(text: str) -> dict[str, str]:
    """``white``, or ``white,landcover=black``: kind by layer, the one for all others under an empty name.

    Raises UsageError for a word that is no background.
    """
    found = {}
    for part in text.split(","):
        layer, _, kind = part.strip().rpartition("=")
        if kind not in (*KINDS, "auto"):
            raise UsageError(
                f"the background is auto, {', '.join(KINDS)}, or LAYER=KIND for a single one; got {part.strip()!r}"
            )
        found[layer.strip()] = kind
    return found


def find_masks(
    samples: Mapping[str, Sequence[Bytes]], *, background: Mapping[str, str], threshold: int | None = None
) -> dict[str, Mask]:
    """How the pictures of each layer are to be read.

    Args:
        samples: layer -> a few of its tiles, (H, W, 4).
        background: as `parse_background` gives it; ``auto`` is found out.
        threshold: 1 to 255; None takes half the contrast of the faintest color that is common in a layer, which for
            black and white is 128.

    Raises:
        InputError: a threshold out of range, a layer that is not there.
        SourceError: nothing tells what is background.
    """
    if threshold is not None and not 1 <= threshold <= 255:
        raise InputError(f"a threshold is 1 to 255; got {threshold}")
    if unknown := set(background) - {"", *samples}:
        raise InputError(f"there is no layer {sorted(unknown)[0]!r}; there are: {', '.join(samples)}")
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
    """What the tiles of a layer show: the share that is transparent, and the opaque colors by how many pixels have them.

    ``mixed`` is how many tiles are opaque all over and show more than one color.
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
    """The background of each layer: a color, or None where it is what is transparent.

    A layer with transparent pixels has that background, unless some of its tiles are opaque and show something. Of
    the others each votes for its commonest color; the winner is the background of all of them that show it.

    Raises SourceError when no color wins clearly.
    """
    seen = {layer: _seen(tiles) for layer, tiles in samples.items()}
    clear = {layer for layer, one in seen.items() if one.transparent > 0 and one.mixed == 0}
    # where others are transparent, a layer of one color everywhere is one that covers everything
    clear |= {layer for layer, one in seen.items() if clear and one.mixed == 0}
    rest = {layer: one for layer, one in seen.items() if layer not in clear and one.common is not None}
    found: dict[str, Color | None] = dict.fromkeys(clear)
    if rest:
        winner = _winner(rest)
        for layer, one in rest.items():
            own = one.common or winner
            found[layer] = winner if one.share(winner) > 0.005 or one.mixed == 0 else own
    elif not clear:
        raise SourceError(_UNKNOWN.format(what="no tile shows anything"))
    else:
        winner = None
    return {layer: found.get(layer, winner if rest else None) for layer in samples}


_UNKNOWN = (
    "what is background cannot be told: {what}; say it with --background white, black or transparent, "
    "or LAYER=KIND"
)


def _winner(seen: Mapping[str, _Seen]) -> Color:
    """The color that is commonest in most layers, near ones counted together."""
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
            raise SourceError(_UNKNOWN.format(what=f"the commonest color fills {only.share(color):.0%} only"))
    elif count / len(seen) < _CLEAR:
        others = ", ".join(f"{color_name(color)} in {number}" for color, number in ranked)
        raise SourceError(_UNKNOWN.format(what=f"the commonest color is {others} of {len(seen)} layers"))
    return color


def _half_contrast(tiles: Sequence[Bytes], background: Color | None) -> int:
    """Half the contrast of the faintest color that is common in what is drawn."""
    counts = np.zeros(256, np.int64)
    for tile in tiles:
        counts += np.bincount(contrast(tile, background).ravel(), minlength=256)
    counts[:_NOISE] = 0
    if not counts.any():
        return 128
    wide = np.convolve(counts, np.ones(_NOISE + 1), "same")  # a color and what compression made of it
    common = np.flatnonzero((wide >= _COMMON * counts.sum()) & (counts > 0))
    # of a run of neighbors the commonest is the color; the strongest where everything is an edge
    faintest = int(common[0]) if len(common) else int(np.flatnonzero(counts)[-1])
    around = counts[faintest : faintest + _NOISE]
    return max(1, (faintest + int(around.argmax()) + 1) // 2)
