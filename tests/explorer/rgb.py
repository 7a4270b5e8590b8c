"""A made-up town whose map is colored tiles, as one made from a tile server is: shards of 3 bands of 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from placevec.core import ViewSpec
from placevec.geo import TILE_PX, tile_xy_to_lonlat
from placevec.preparation.rasterize.from_tiles import shards_of, write_tile_map
from tests.explorer.standin import CORNER, HOSTILE_NAMES, TILES, ZOOM, StandInDataset

CHANNELS = ("red", "green", "blue")
MISSING = (CORNER[0] + 3, CORNER[1] + 2)
"""The tile that the server did not have."""


def colors() -> np.ndarray:
    """(H, W, 3) uint8: colors that run across the town, with pure black lines, a white tile and a pure red one."""
    high, wide = TILES[1] * TILE_PX, TILES[0] * TILE_PX
    y, x = np.mgrid[:high, :wide]
    picture = np.stack([x * 255 // wide, y * 255 // high, (x + y) * 255 // (high + wide)], axis=2).astype(
        np.uint8
    )
    picture[::64, :] = 0
    picture[:, ::64] = 0
    picture[:TILE_PX, :TILE_PX] = 255
    picture[:TILE_PX, TILE_PX : 2 * TILE_PX] = (255, 0, 0)
    return picture


def colored(folder: Path) -> StandInDataset:
    """A dataset of the town's whole tiles, one of which is missing; no POIs, no land use."""
    picture = colors()
    tiles = [(CORNER[0] + x, CORNER[1] + y) for y in range(TILES[1]) for x in range(TILES[0])]

    def read(x: int, y: int) -> np.ndarray | None:
        if (x, y) == MISSING or (x, y) not in tiles:
            return None
        left, top = (x - CORNER[0]) * TILE_PX, (y - CORNER[1]) * TILE_PX
        return picture[top : top + TILE_PX, left : left + TILE_PX]

    folder.mkdir()
    write_tile_map(
        folder, zoom=ZOOM, channels=CHANNELS, bits=8, shards=shards_of(np.array(tiles)), read=read,
        attribution="© Somebody", fingerprint={},
    )  # fmt: skip
    lonlat = tile_xy_to_lonlat(np.array(tiles) + 0.5, ZOOM)
    names = [*HOSTILE_NAMES, *[None] * (len(tiles) - len(HOSTILE_NAMES))]
    places = pd.DataFrame({
        "place_id": [f"{ZOOM}/{x}/{y}" for x, y in tiles], "lon": lonlat[:, 0], "lat": lonlat[:, 1],
        "name": pd.Series(names, dtype=object),
    })  # fmt: skip
    return StandInDataset(
        folder,
        places,
        None,
        attribution="© Somebody",
        base_map_spec=ViewSpec("map", "raster", CHANNELS, zoom=ZOOM),
    )
