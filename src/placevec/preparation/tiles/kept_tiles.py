"""Downloaded tiles: their pixels, which of them are usable, and a list of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.views.raster.shards import Bytes
from placevec.errors import SourceError
from placevec.geo import Ints, tile_id
from placevec.io.atomic import write_csv
from placevec.preparation.tiles.masks import over
from placevec.sources.tiles.cache import BLANK, CORRUPT, FAILED, GOOD, MISSING, UNKNOWN, TileCache
from placevec.sources.tiles.decode import decode_tile
from placevec.sources.tiles.plan import TilePlan

KIND_NAMES = {GOOD: "good", BLANK: "blank", CORRUPT: "corrupt", MISSING: "missing", FAILED: "failed"}
"""Blank has a single color, missing is not on the server, failed could not be downloaded."""


class KeptTiles:
    """The tiles of a plan.

    Args:
        plan: the plan.
        cache: their cache.
        bad: code -> (kind, reason) of those that were not downloaded.

    Attributes:
        kinds: (N,) uint8 in the order of the plan, known once `read` or `look_at_the_rest` has seen the tile.
        bad: those that were not downloaded or are damaged.
    """

    def __init__(self, plan: TilePlan, cache: TileCache, bad: dict[int, tuple[int, str]]) -> None:
        self.plan, self.cache, self.bad = plan, cache, dict(bad)
        self._order = np.argsort(plan.codes)
        self._codes = plan.codes[self._order]
        self.kinds: NDArray[np.uint8] = np.zeros(len(plan), np.uint8)
        for code, (kind, _) in bad.items():
            self.kinds[self._at(code)] = kind

    def _at(self, code: int) -> int:
        """The row of a tile in the plan, or -1."""
        at = int(np.searchsorted(self._codes, code))
        return int(self._order[at]) if at < len(self._codes) and self._codes[at] == code else -1

    def read(self, x: int, y: int) -> Bytes | None:
        """(256, 256, 3) red, green and blue, transparent pixels as white; None if there is no tile."""
        code = y * 2**self.plan.zoom + x
        row = self._at(code)
        if row < 0 or code in self.bad:
            return None
        content = self.cache.read(code)
        if content is None:
            self._damaged(row, code, "the tile is no longer in the cache")
            return None
        try:
            pixels = over(decode_tile(content))
        except SourceError as error:
            self._damaged(row, code, str(error))
            return None
        self.kinds[row] = BLANK if (pixels == pixels[0, 0]).all() else GOOD
        return pixels

    def _damaged(self, row: int, code: int, reason: str) -> None:
        self.kinds[row] = CORRUPT
        self.bad[code] = CORRUPT, reason

    def look_at_the_rest(self) -> None:
        """Classify every tile, because those stored by an earlier part of this run were not read again."""
        unseen = np.flatnonzero(self.kinds == UNKNOWN)
        known = self.cache.kinds(self.plan.codes[unseen])
        self.kinds[unseen] = np.where(np.isin(known, (GOOD, BLANK)), known, UNKNOWN)
        for code in self.plan.codes[self.kinds == UNKNOWN].tolist():
            y, x = divmod(code, 2**self.plan.zoom)
            self.read(x, y)
        seen = np.isin(self.kinds, (GOOD, BLANK, CORRUPT))
        self.cache.mark(self.plan.codes[seen], self.kinds[seen])

    def of_kind(self, *kinds: int) -> Ints:
        """The codes of all tiles of the given kinds."""
        return self.plan.codes[np.isin(self.kinds, kinds)]

    def not_to_be_had(self) -> Ints:
        """The codes of all tiles without pixels."""
        return self.of_kind(CORRUPT, MISSING, FAILED)

    def counts(self) -> dict[str, int]:
        """Number of tiles of each kind."""
        return {f"tiles_{name}": int((self.kinds == kind).sum()) for kind, name in KIND_NAMES.items()}

    def write_list(self, path: Path) -> None:
        """A CSV of the tiles that are not usable, row by row of the map: tile, kind, reason."""
        zoom = self.plan.zoom
        rows = [
            (tile_id(code % 2**zoom, code // 2**zoom, zoom), KIND_NAMES[kind], reason)
            for code, (kind, reason) in [
                *self.bad.items(),
                *((code, (BLANK, "a single color")) for code in self.of_kind(BLANK).tolist()),
            ]
        ]
        ordered = sorted(rows, key=lambda row: [int(part) for part in reversed(row[0].split("/"))])
        write_csv(path, ("tile", "kind", "reason"), ordered)
