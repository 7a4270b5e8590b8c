"""A table of vectors as GeoParquet in parts, one a cell of a grid, as DuckDB, Spark and geopandas read folders.

``quadkey=0313/3f2a….parquet`` or ``h3=84119…/….parquet``: Hive's names, so that engines skip the cells that a query does
not touch. A file is named by the checksum of its content: what is there is finished, and the same command continues.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.columns import Objects
from placevec.embeddings.table import Embeddings
from placevec.errors import MissingExtraError, OutputError
from placevec.geo import Floats
from placevec.geo.tiles import lonlat_to_tile_xy
from placevec.io import atomic
from placevec.io.object_store import Store
from placevec.io.progress import SILENT, Progress
from placevec.options.choices import CellGrid

LEVELS: dict[CellGrid, int] = {"quadkey": 9, "h3": 4}
"""Usual level: cells of about 50 km at middle latitudes."""
MAX_LEVELS: dict[CellGrid, int] = {"quadkey": 23, "h3": 15}
NOWHERE = "__HIVE_DEFAULT_PARTITION__"
"""What Hive calls rows without a value, here places without coordinates."""


def cells_of(lonlat: Floats, grid: CellGrid, level: int) -> Objects:
    """(N,) the name of the cell of each point (lon, lat degrees), `NOWHERE` without coordinates.

    >>> cells_of(np.array([[24.94, 60.17], [np.nan, np.nan]]), "quadkey", 6).tolist()
    ['120120', '__HIVE_DEFAULT_PARTITION__']
    """
    known = np.isfinite(lonlat).all(axis=1)
    found = np.full(len(lonlat), NOWHERE, object)
    if grid == "h3":
        try:
            import h3
        except ImportError:
            raise MissingExtraError("h3", "cells") from None
        found[known] = [h3.latlng_to_cell(lat, lon, level) for lon, lat in lonlat[known].tolist()]
        return found
    inside = np.clip(lonlat[known], (-180.0, -85.05), (180.0, 85.05))
    tiles = np.clip(
        np.floor(lonlat_to_tile_xy(inside[:, 0], inside[:, 1], level)).astype(np.int64), 0, 2**level - 1
    )
    digits = sum(
        (((tiles[:, 0] >> bit) & 1) + 2 * ((tiles[:, 1] >> bit) & 1)) * 10**bit for bit in range(level)
    )
    found[known] = [f"{number:0{level}d}" for number in np.asarray(digits).tolist()]
    return found


def write_partitioned(
    table: Embeddings, store: Store, *, grid: CellGrid, level: int, progress: Progress = SILENT
) -> int:
    """Write the places of each cell as one file, skipping files that are there; returns the number of files.

    Raises:
        OutputError: files of another export are there too, or the store does not take a file.
    """
    cells = cells_of(table.lonlat, grid, level)
    order = np.argsort(cells.astype(str), kind="stable")
    names, starts = np.unique(cells[order].astype(str), return_index=True)
    parts = list(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
    there = store.sizes(".parquet")
    with tempfile.TemporaryDirectory(prefix="placevec-") as folder:
        file = Path(folder) / "part.parquet"

        def made(name: str, rows: NDArray[np.int64]) -> str:
            """Where the part belongs, which ``file`` then holds."""
            table[rows].save(file)
            return f"{grid}={name}/{atomic.sha256_of_file(file)[:16]}.parquet"

        # names follow from contents, so what is there is compared before anything is written beside it
        if there and (strange := sorted(set(there) - {made(name, rows) for name, rows in parts})):
            files = "a file" if len(strange) == 1 else f"{len(strange):,} files"
            raise OutputError(
                f"{store.shown} holds {files} of another export, such as {strange[0][:120]}, which would be read "
                f"together with these: remove the old export, or write to an empty folder; nothing was written"
            )
        with progress.task("Writing parts", total=len(parts)) as advance:
            for name, rows in parts:
                target = made(name, rows)
                if there.get(target) != file.stat().st_size:
                    store.put(target, file)
                advance()
    return len(parts)
