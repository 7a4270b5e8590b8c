"""Places and the colors of their vectors as files for GIS desktops and web maps: FlatGeobuf, GeoPackage, PMTiles."""

from __future__ import annotations

import os
import tempfile
import warnings
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from placevec.errors import InputError, OutputError, UsageError
from placevec.explorer.reductions import hex_of, principal_components, rgb_of
from placevec.io import atomic

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings

DRIVERS = {".fgb": "FlatGeobuf", ".gpkg": "GPKG", ".pmtiles": "PMTiles"}
"""Ending -> driver of GDAL."""
_MAX_ZOOM = 14
_LAYER = "places"


def check_gis_file(path: str | PathLike[str]) -> None:
    """UsageError for another ending, OutputError if the file cannot be written; before any work.

    >>> check_gis_file("places.gpkg")
    """
    if Path(path).suffix.lower() not in DRIVERS:
        raise UsageError(f"vectors are exported as {', '.join(DRIVERS)}; got {Path(path).name}")
    atomic.check_writable(path)


def write_gis_file(emb: Embeddings, path: str | PathLike[str], attribution: str = "") -> int:
    """Write the places with coordinates: place_id, name, pc1 to pc3, color (hex), attribution; returns their number.

    Vectors stay in the table of vectors, whose place_id joins them. Map tiles (PMTiles) have the zooms 0 to 14, and leave
    out places where a tile would be too large.

    Args:
        emb: vectors of one view.
        path: file that ends in ``.fgb``, ``.gpkg`` or ``.pmtiles``; written whole or not at all.
        attribution: credit that the places require.

    Raises:
        InputError: no place has coordinates.
        OutputError: the file cannot be written.
    """
    import geopandas
    import pyogrio

    check_gis_file(path)
    rows = np.flatnonzero(np.isfinite(emb.lonlat).all(axis=1))
    if len(rows) == 0:
        raise InputError("no place of this table has coordinates: there is nothing to draw")
    components, _ = principal_components(emb.vectors)
    colors = hex_of(rgb_of(components))
    columns = {
        "place_id": emb.place_id[rows],
        "name": [None if name is None else str(name) for name in emb.names[rows]],
        **{f"pc{number + 1}": components[rows, number].astype(np.float64) for number in range(3)},
        "color": [colors[row] for row in rows],
        "attribution": [attribution or None] * len(rows),
    }
    frame = geopandas.GeoDataFrame(columns, geometry=list(emb.geometry_at(rows)), crs=4326)
    ending = Path(path).suffix.lower()
    zooms = {"MINZOOM": "0", "MAXZOOM": str(_MAX_ZOOM)} if ending == ".pmtiles" else {}
    with (
        atomic.replacing(path) as temporary,
        tempfile.TemporaryDirectory(prefix=".placevec-", dir=temporary.parent) as folder,
    ):
        made = Path(folder) / f"{_LAYER}{ending}"  # GDAL wants the right ending
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pyogrio.write_dataframe(frame, made, driver=DRIVERS[ending], layer=_LAYER, **zooms)
        except pyogrio.errors.DataSourceError as error:
            raise OutputError(f"cannot write {path}: {error}") from error
        os.replace(made, temporary)
    return len(rows)
