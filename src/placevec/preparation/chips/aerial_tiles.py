"""Tiles of imagery for the places of a dataset: those of a folder or a file, or downloaded from a server."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from placevec.errors import SourceError
from placevec.geo import Floats, footprint_bounds, meters_per_pixel
from placevec.io.progress import Progress, say_notes
from placevec.preparation.tiles.decode import notes_of
from placevec.preparation.tiles.kept_tiles import KIND_NAMES
from placevec.sources.imagery.tile_photos import TilePhotos
from placevec.sources.tiles.address import TileTemplate
from placevec.sources.tiles.cache import MISSING, TileCache
from placevec.sources.tiles.download import download_tiles
from placevec.sources.tiles.folder import read_tile_folder
from placevec.sources.tiles.mbtiles import read_mbtiles
from placevec.sources.tiles.plan import TilePlan
from placevec.sources.tiles.tilesets import TileSet

MAX_ZOOM = 22
_REACH = 0.1
"""Chips are turned against tiles by a few degrees: share of their side by which they reach farther."""
_MAX_FAILED = 0.05
"""Share of tiles that may be corrupt or fail; those that a server lacks may be any number."""


@dataclass(frozen=True)
class TileImagery:
    """Tiles that a user gave.

    Attributes:
        template: of a server, or None.
        tiles: of a folder or file, or None.
        fingerprint: changes with the source.
        attribution: that the source states, or empty.
    """

    template: TileTemplate | None
    tiles: TileSet | None
    fingerprint: str
    attribution: str

    @property
    def name(self) -> str:
        """For messages and the manifest."""
        return self.template.shown if self.template is not None else self.tiles.name if self.tiles else ""


def open_imagery(given: str, zoom: int | None, progress: Progress) -> TileImagery:
    """A server by its address, a folder, or an MBTiles file.

    Raises:
        SourceError: no colors, or several zooms and none chosen.
        UsageError: an address without {z}, {x} and {y}.
    """
    if "{z}" in given or "://" in given:
        template = TileTemplate.parse(given)
        return TileImagery(template, None, template.hash, "")
    path = Path(given)
    try:
        tiles = (
            read_tile_folder(path, zoom=zoom, progress=progress)
            if path.is_dir()
            else read_mbtiles([path], zoom=zoom, progress=progress)
        )
    except SourceError as error:
        raise SourceError(str(error).replace("with --zoom", "with --aerial-zoom")) from None
    if tiles.kind != "colors":
        raise SourceError(
            f"{given} has layers ({', '.join(tiles.layers[:5])}), not images: read them as a map with --tile-folder"
        )
    say_notes(notes_of(tiles), progress)
    return TileImagery(None, tiles, tiles.fingerprint, str(tiles.about.get("attribution", "")))


@contextmanager
def tile_photos(
    imagery: TileImagery, lonlat: Floats, side_m: float, size_px: int, zoom: int | None, bands: tuple[int, ...],
    progress: Progress,
) -> Iterator[TilePhotos]:  # fmt: skip
    """The tiles as an image, after those that the places need have been downloaded.

    Args:
        imagery: the source.
        lonlat: (N, 2) lon, lat degrees of the places.
        side_m, size_px: side of a chip.
        zoom: of the tiles of a server; None: the lowest one whose pixels are no larger than those of the chips.
        bands: to read, from 1; none for all.
        progress: where to report.
    """
    if imagery.tiles is not None:
        tiles = imagery.tiles
        yield TilePhotos(
            tiles.name, tiles.zoom, lambda x, y: tiles.content(0, x, y) if tiles.has(0, x, y) else None, bands
        )
        return
    assert imagery.template is not None
    if zoom is None:
        widest = float(np.max(meters_per_pixel(lonlat[:, 1], 0)))
        zoom = int(np.clip(math.ceil(math.log2(widest * size_px / side_m)), 0, MAX_ZOOM))
        progress.say(
            f"Using tiles at zoom {zoom}, whose pixels are no larger than those of the chips (change with --aerial-zoom)"
        )
    plan = TilePlan.around(footprint_bounds(lonlat, side_m, zoom), zoom, _REACH * side_m)
    with TileCache.of_server(imagery.template, zoom) as cache:
        download = download_tiles(imagery.template, plan, cache, max_bad=len(plan), progress=progress)
        kinds = Counter(kind for kind, _ in download.bad.values())
        for kind, count in sorted(kinds.items()):
            progress.say(f"Note: {count:,} of {len(plan):,} tiles are {KIND_NAMES.get(kind, 'not usable')}")
        failed = sum(count for kind, count in kinds.items() if kind != MISSING)
        if failed > _MAX_FAILED * len(plan) or len(download.bad) == len(plan):
            reason = Counter(why for _, why in download.bad.values()).most_common(1)[0][0]
            raise SourceError(
                f"{len(download.bad):,} of {len(plan):,} tiles of {imagery.name} could not be downloaded, most "
                f"because: {reason}; downloaded tiles are kept; run the same command again to continue"
            )
        side, bad = 2**zoom, download.bad

        def content(x: int, y: int) -> bytes | None:
            code = y * side + x
            return None if code in bad else cache.read(code)

        yield TilePhotos(imagery.name, zoom, content, bands)
