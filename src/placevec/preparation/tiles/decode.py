"""Converts pictures of tiles to map pixels: which layers there are, what is background, and what counts as set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from placevec.datasets.views.raster.shards import Bytes
from placevec.errors import SourceError, UsageError
from placevec.geo import TILE_PX
from placevec.geo.geotiff import RGB
from placevec.io.progress import Progress
from placevec.preparation.tiles.masks import KINDS, SAMPLES, WHITE, Mask, find_masks, over, parse_background
from placevec.sources.osm.layers import LayerTable
from placevec.sources.tiles.decode import decode_tile
from placevec.sources.tiles.folder import read_tile_folder
from placevec.sources.tiles.mbtiles import read_mbtiles
from placevec.sources.tiles.schemes import asked_scheme
from placevec.sources.tiles.tilesets import TileSet

MAX_DAMAGED = 0.01
"""Maximum share of damaged tiles; if there are more, the folder needs attention."""
SIDES = (TILE_PX, 2 * TILE_PX)
_CACHED_BYTES = 4096


def open_tiles(
    tile_folder: str | Path | None,
    mbtiles: str | Path | Sequence[str | Path] | None,
    zoom: int | None,
    progress: Progress,
    scheme: str = "auto",
) -> TileSet:
    """The given tiles, with layers in the order of the original twelve, then by name.

    Raises:
        SourceError: there are none, and what else was found.
        UsageError: an unknown scheme.
    """
    order, counted = LayerTable.default().layers, asked_scheme(scheme)
    if tile_folder is not None:
        tiles = read_tile_folder(tile_folder, zoom=zoom, scheme=counted, order=order, progress=progress)
    else:
        paths = [mbtiles] if isinstance(mbtiles, str | Path) else list(mbtiles or ())
        tiles = read_mbtiles(paths, zoom=zoom, scheme=counted, order=order, progress=progress)
    if len(tiles.tiles()) == 0:
        found = "; ".join(tiles.ignored.lines())
        raise SourceError(
            f"there are no tiles of zoom {tiles.zoom} in {tiles.name}{f': {found}' if found else ''}"
        )
    return tiles


def notes_of(tiles: TileSet) -> list[str]:
    """What to know about a set before reading its tiles."""
    return [*tiles.notes, *(f"ignored {line}" for line in tiles.ignored.lines())]


@dataclass(frozen=True)
class Reading:
    """How pictures become channels.

    Attributes:
        channels: channels of the map.
        side: pixels per side of a picture; those with 512 are halved.
        masks: one per channel; empty for colors.
        keep_gray: store the contrast itself, in 8 bits, instead of comparing it with the threshold.
    """

    channels: tuple[str, ...]
    side: int
    masks: tuple[Mask, ...]
    keep_gray: bool = False

    @property
    def bits(self) -> int:
        """Bits per pixel."""
        return 1 if self.masks and not self.keep_gray else 8

    @property
    def values(self) -> str:
        """Meaning of the numbers in the view."""
        return "coverage 0..255" if self.bits == 1 else "intensity 0..255"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        masks = {
            name: [mask.called, mask.threshold] for name, mask in zip(self.channels, self.masks, strict=False)
        }
        return {
            "channels": list(self.channels),
            "side": self.side,
            "masks": masks,
            "keep_gray": self.keep_gray,
        }

    def lines(self, tiles: TileSet) -> list[str]:
        """What users should check."""
        lines = [f"{tiles.layout}, zoom {tiles.zoom}: {len(tiles.tiles()):,} tiles in any layer"]
        groups: dict[tuple[str, int], list[str]] = {}
        for name, mask in zip(self.channels, self.masks, strict=False):
            groups.setdefault((mask.called, mask.threshold), []).append(name)
        for (called, threshold), names in groups.items():
            what = "kept as gray" if self.keep_gray else f"set from a contrast of {threshold} out of 255"
            lines.append(f"Background {called}, {what}: {', '.join(names)}")
        if not self.masks:
            lines.append("Colors: red, green, blue; transparent pixels as white")
        return lines + [f"Note: {note}" for note in self.notes(tiles)]

    def notes(self, tiles: TileSet) -> list[str]:
        """What to know about the tiles, for validation and preparation alike."""
        shrunk = [f"images of {self.side} px are reduced to {TILE_PX}"] if self.side != TILE_PX else []
        nobody = (
            "the tiles have no attribution: find out their source before you publish anything made from them"
        )
        return [*shrunk, *notes_of(tiles), *([] if tiles.about.get("attribution") else [nobody])]

    def pixels(self, channel: int, content: bytes) -> Bytes:
        """(256, 256) of a channel, or (256, 256, 3) colors; SourceError if the picture is damaged."""
        rgba = decode_tile(content, side=self.side)
        if not self.masks:
            return _shrunk(over(rgba, WHITE))
        found = _shrunk(self.masks[channel].contrast(rgba))
        return found if self.keep_gray else (found >= self.masks[channel].threshold).astype(np.uint8)


def _shrunk(pixels: Bytes) -> Bytes:
    if len(pixels) == TILE_PX:
        return pixels
    small: Bytes = cv2.resize(pixels, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    return small


def how_to_read(
    tiles: TileSet, *, threshold: int | None = None, background: str = "auto", keep_gray: bool = False
) -> Reading:
    """Look at some tiles of each layer to decide how to read all of them.

    A folder written by placevec states it.

    Raises:
        SourceError: no tile can be read, pictures have an unsupported size, or the background cannot be detected.
        UsageError: options for masks, but the tiles are colors.
    """
    if tiles.kind == "colors":
        if threshold is not None or keep_gray or background not in ("auto", "white"):
            raise UsageError(
                "--threshold, --background and --keep-gray apply to layers; these tiles are colors"
            )
        return Reading(RGB, _side(tiles, sample_tiles(tiles, 0, 4)), ())
    samples = {name: sample_tiles(tiles, layer, SAMPLES) for layer, name in enumerate(tiles.layers)}
    side = _side(tiles, [tile for some in samples.values() for tile in some])
    samples = {name: [tile for tile in some if len(tile) == side] for name, some in samples.items()}
    wanted = parse_background(background)
    if wanted == {"": "auto"} and (ours := _written_by_us(tiles)):
        wanted = {"": ours}
    masks = find_masks(samples, background=wanted, threshold=threshold)
    return Reading(tiles.layers, side, tuple(masks.values()), keep_gray)


def sample_tiles(tiles: TileSet, layer: int, count: int) -> list[Bytes]:
    """Some tiles of a layer, evenly spread over its area, as they are; damaged ones are left out."""
    keys = tiles.keys[layer]
    found = []
    for x, y in tiles.xy(
        keys[np.unique(np.linspace(0, len(keys) - 1, min(count, len(keys))).astype(int))]
    ).tolist():
        try:
            found.append(decode_tile(tiles.content(layer, x, y), side=None))
        except SourceError:
            continue
    return found


def _side(tiles: TileSet, samples: list[Bytes]) -> int:
    """Side of most pictures, in pixels."""
    if not samples:
        layer = next(number for number, keys in enumerate(tiles.keys) if len(keys))
        x, y = tiles.xy(tiles.keys[layer][:1])[0].tolist()
        decode_tile(tiles.content(layer, x, y), side=None)  # raises the reason
        raise SourceError(f"no tile of {tiles.name} can be read")
    sides, counts = np.unique([len(tile) for tile in samples], return_counts=True)
    side = int(sides[counts.argmax()])
    if side not in SIDES:
        raise SourceError(f"the tiles have {side} x {side} px: expected {SIDES[0]} or {SIDES[1]} px")
    return side


def _written_by_us(tiles: TileSet) -> str | None:
    own = tiles.about.get("placevec")
    kind = own.get("background") if isinstance(own, dict) else None
    return kind if isinstance(kind, str) and kind in KINDS else None


class TileReader:
    """Reads a tile of all layers; caches small pictures, because most of them are blank."""

    def __init__(self, tiles: TileSet, reading: Reading, *, max_damaged: float | None = MAX_DAMAGED) -> None:
        self._tiles, self._reading, self._count_of_tiles = tiles, reading, len(tiles.tiles())
        self._limit = float("inf") if max_damaged is None else max_damaged * self._count_of_tiles
        self._known: dict[tuple[int, bytes], Bytes] = {}
        self.damaged: dict[tuple[int, int], str] = {}

    def read(self, x: int, y: int) -> Bytes | None:
        """(256, 256, C), or None if no layer has the tile or one is damaged."""
        there = [layer for layer in range(len(self._tiles.layers)) if self._tiles.has(layer, x, y)]
        if not there:
            return None
        try:
            if not self._reading.masks:
                return self._pixels(0, x, y)
            out = np.zeros((len(self._tiles.layers), TILE_PX, TILE_PX), np.uint8)
            for layer in there:
                out[layer] = self._pixels(layer, x, y)
            return out.transpose(1, 2, 0)
        except SourceError as error:
            self._count((x, y), error)
            return None

    def _pixels(self, layer: int, x: int, y: int) -> Bytes:
        content = self._tiles.content(layer, x, y)
        known = self._known.get((layer, content)) if len(content) <= _CACHED_BYTES else None
        if known is not None:
            return known
        try:
            pixels = self._reading.pixels(layer, content)
        except SourceError as error:
            where = f"{self._tiles.layers[layer]} " if self._reading.masks else ""
            raise SourceError(f"{where}{self._tiles.zoom}/{x}/{y}: {error}") from error
        if len(content) <= _CACHED_BYTES and len(self._known) < 256:
            self._known[layer, content] = pixels
        return pixels

    def _count(self, tile: tuple[int, int], error: SourceError) -> None:
        self.damaged[tile] = str(error)
        if len(self.damaged) > self._limit:
            raise SourceError(
                f"{len(self.damaged):,} of {self._count_of_tiles:,} tiles are damaged, more than "
                f"{MAX_DAMAGED:.0%}; the first: {next(iter(self.damaged.values()))}; repair or remove them"
            )
