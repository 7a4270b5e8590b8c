"""Any table that comes in, opened: its columns by name, and its rows a batch at a time.

Every reader of users' tables begins here: places, points, labels, columns to color by. CSV, TSV and Parquet stream; what
only opens whole (GeoJSON, GeoPackage, Shapefile, FlatGeobuf) may be `MAX_WHOLE_BYTES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from placevec.errors import PlacevecError, SourceError
from placevec.geo import geojson
from placevec.io.files import check_regular
from placevec.sources.tables.batches import OpenedTable
from placevec.sources.tables.delimited import DelimitedTable
from placevec.sources.tables.losses import Losses
from placevec.sources.tables.parquet import ParquetTable
from placevec.sources.tables.whole import of_gdal, of_geojson

DELIMITED = (".csv", ".tsv", ".txt", ".tab")
PARQUET = (".parquet", ".geoparquet", ".pq")
MAGIC = {".gpkg": b"SQLite format 3\0", ".shp": b"\0\0\x27\x0a", ".fgb": b"fgb\x03fgb"}
"""How files that GDAL reads begin."""
ENDINGS = (*DELIMITED, *PARQUET, *geojson.ENDINGS, *MAGIC)
MAX_WHOLE_BYTES = 512 * 2**20
"""Largest file of a kind that is read whole."""
SAMPLE_ROWS = 4096


def open_table(path: str | Path) -> OpenedTable:
    """Open a table.

    Raises:
        SourceError: the file does not exist, is a pipe, empty, damaged, too large to be read as a whole, or not
            what its name says.
    """
    path = check_regular(path, "table")
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty")
    suffix = path.suffix.lower()
    try:
        if suffix in DELIMITED:
            return DelimitedTable(path)
        if suffix in PARQUET:
            return ParquetTable(path)
        _check_format(path)
        size = path.stat().st_size
        if size > MAX_WHOLE_BYTES:
            raise SourceError(
                f"{path} has {size / 2**20:,.0f} MiB, and {suffix} can only be read as a whole: convert it, for "
                f"example with ogr2ogr {path.stem}.parquet {path.name}"
            )
        return of_geojson(path) if suffix in geojson.ENDINGS else of_gdal(path)
    except PlacevecError:
        raise
    except Exception as error:  # pyarrow, shapely and GDAL each raise their own for a damaged file
        raise SourceError(f"cannot read {path} as a table: {error or type(error).__name__}") from error


def sample_of(table: OpenedTable, names: Sequence[str]) -> dict[str, pa.Array]:
    """The first cells of some columns."""
    for batch in table.batches(names, geometry=False, losses=Losses(table.path)):
        return {name: cells.slice(0, SAMPLE_ROWS) for name, cells in batch.columns.items()}
    return {name: pa.nulls(0, pa.string()) for name in names}


def _check_format(path: Path) -> None:
    """SourceError unless a file begins as its name says.

    GDAL goes by the content: whatever the name, it would follow a virtual dataset to other files and addresses.
    """
    suffix = path.suffix.lower()
    if suffix in geojson.ENDINGS:
        return
    begins = MAGIC.get(suffix)
    if begins is None:
        raise SourceError(f"{path}: unknown format; a table must end in {', '.join(ENDINGS)}")
    with open(path, "rb") as file:
        if file.read(len(begins)) != begins:
            raise SourceError(f"{path} is not a {suffix[1:]} file, despite its name")
