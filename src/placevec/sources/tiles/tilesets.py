"""Ready tiles on disk: which exist, by layer, and the bytes of each.

A set is read by (layer, x, y) with y counted from the north, whatever the files use. It takes 8 bytes per tile and
layer.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import MAX_ZOOM, Area, Ints, tile_ranges

MAX_TILES = 100_000_000
"""Maximum tiles of one layer."""
MAX_LAYERS = 255
_LAYER = re.compile(r"\w[\w .+&-]{0,63}")
_EXAMPLES = 5


@dataclass
class Ignored:
    """Entries that are ignored among the tiles: counts by reason, and a few names.

    >>> ignored = Ignored()
    >>> for name in ("README.txt", "style.xml"):
    ...     ignored.add("files that are not tiles", name)
    >>> ignored.lines()
    ["2 files that are not tiles, such as 'README.txt', 'style.xml'"]
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Count one."""
        self.counts[reason] += 1
        some = self.examples.setdefault(reason, [])
        if len(some) < _EXAMPLES:
            some.append(name)

    def lines(self) -> list[str]:
        """One line per reason."""
        return [
            f"{count:,} {reason}, such as {', '.join(repr(name) for name in self.examples[reason][:2])}"
            for reason, count in self.counts.items()
        ]


@dataclass(frozen=True)
class TileSet:
    """Tiles of one zoom.

    Attributes:
        name: display name: the folder or file.
        kind: ``layers``, one mask per layer, or ``colors``, one picture per tile.
        layout: naming pattern, such as ``LAYER/z/x/y.png``.
        zoom: zoom of the tiles.
        layers: names in order; a single placeholder for colors.
        keys: for each layer (N,) int64, ascending: ``y * 2**zoom + x`` of its tiles.
        fingerprint: changes when a tile is added, removed or changed.
        about: unchecked metadata of the set: ``attribution``, ``name``, ``samples``.
        ignored: entries that were ignored.
        content: (layer, x, y) -> the encoded bytes of an existing tile; SourceError if they cannot be read.
        notes: remarks for the user about how it was read.
    """

    name: str
    kind: str
    layout: str
    zoom: int
    layers: tuple[str, ...]
    keys: tuple[Ints, ...]
    fingerprint: str
    about: Mapping[str, Any]
    ignored: Ignored
    content: Callable[[int, int, int], bytes]
    notes: tuple[str, ...] = ()

    def has(self, layer: int, x: int, y: int) -> bool:
        """Whether a layer has a tile."""
        key = y * 2**self.zoom + x
        at = int(np.searchsorted(self.keys[layer], key))
        return at < len(self.keys[layer]) and int(self.keys[layer][at]) == key

    def tiles(self, *, in_all: bool = False) -> Ints:
        """(N, 2) x, y of the tiles that any layer has, or that all have; row by row."""
        if in_all:
            keys = self.keys[0]
            for other in self.keys[1:]:
                keys = np.intersect1d(keys, other, assume_unique=True)
        else:
            keys = np.unique(np.concatenate(self.keys))
        return self.xy(keys)

    def xy(self, keys: Ints) -> Ints:
        """(N, 2) x, y of some keys."""
        y, x = np.divmod(keys, 2**self.zoom)
        return np.stack([x, y], axis=1)

    def within(self, area: Area) -> TileSet:
        """The tiles that touch an area."""
        kept = []
        for keys in self.keys:
            x, y = self.xy(keys).T
            inside = np.zeros(len(keys), bool)
            for x0, y0, x1, y1 in tile_ranges(area, self.zoom):
                inside |= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
            kept.append(keys[inside])
        return replace(self, keys=tuple(kept))


class Listing:
    """The tiles of one layer during listing, in any order."""

    def __init__(self) -> None:
        self._keys, self._kinds, self._stamps = array("q"), array("B"), array("Q")

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: int, kind: int, stamp: int) -> None:
        """Add a tile, the index of its format, and a value that changes with it."""
        if len(self._keys) >= MAX_TILES:
            raise SourceError(f"there are more than {MAX_TILES:,} tiles: select a part with --bbox")
        self._keys.append(key)
        self._kinds.append(kind)
        self._stamps.append(stamp % 2**64)

    def sorted(self) -> tuple[Ints, NDArray[np.uint8], NDArray[np.uint64], int]:
        """Keys ascending, format and stamp of each, and the number of duplicates: the first format is kept."""
        keys, kinds, stamps = (
            np.frombuffer(values, dtype).copy()
            for values, dtype in (
                (self._keys, np.int64),
                (self._kinds, np.uint8),
                (self._stamps, np.uint64),
            )
        )
        order = np.lexsort((kinds, keys))
        keys, kinds, stamps = keys[order], kinds[order], stamps[order]
        first = np.append([True], keys[1:] != keys[:-1])[: len(keys)]
        return keys[first], kinds[first], stamps[first], int((~first).sum())


def fingerprint_of(parts: Iterable[tuple[str, Ints, NDArray[np.uint64]]]) -> str:
    """SHA-256 over the layers: name, keys and stamps of each."""
    digest = hashlib.sha256()
    for name, keys, stamps in parts:
        digest.update(f"{name}\0{len(keys)}\0".encode())
        digest.update(keys.tobytes())
        digest.update(stamps.tobytes())
    return digest.hexdigest()


def chosen_zoom(found: Sequence[int], wanted: int | None, name: str) -> int:
    """The requested zoom, or the only one available.

    Raises SourceError otherwise, with the available zooms.

    >>> chosen_zoom([17], None, "12_layer_tiles")
    17
    >>> chosen_zoom([16, 17], None, "12_layer_tiles")
    Traceback (most recent call last):
        ...
    placevec.errors.SourceError: 12_layer_tiles has tiles of zoom 16, 17: choose one with --zoom
    """
    there = sorted(set(found))
    if wanted is not None:
        if wanted not in there:
            have = ", ".join(map(str, there)) or "none"
            raise SourceError(f"{name} has no tiles of zoom {wanted}; it has: {have}")
        return wanted
    if not there:
        raise SourceError(
            f"there are no tiles in {name}: expected LAYER/z/x/y.png, z/x/y.png or tile_z_x_y.png, with z from 0 "
            f"to {MAX_ZOOM}"
        )
    if len(there) > 1:
        raise SourceError(f"{name} has tiles of zoom {', '.join(map(str, there))}: choose one with --zoom")
    return there[0]


def check_layer(name: str) -> str:
    """``name`` itself if it is valid as a channel and a folder, otherwise SourceError.

    >>> check_layer("natural-features")
    'natural-features'
    """
    if not _LAYER.fullmatch(name) or name.rstrip(". ") != name:
        raise SourceError(
            f"{name[:80]!r} is not a valid layer name: use letters, digits, space and _ . + & -, at most 64 characters"
        )
    return name


def in_order(names: Iterable[str], order: Sequence[str]) -> tuple[str, ...]:
    """Layer names: those of ``order`` first, in that order, then the others by name.

    >>> in_order(["roads", "zoo", "buildings", "bays"], ["buildings", "roads"])
    ('buildings', 'roads', 'bays', 'zoo')
    """
    rank = {name: position for position, name in enumerate(order)}
    return tuple(sorted(names, key=lambda name: (rank.get(name, len(rank)), name)))
