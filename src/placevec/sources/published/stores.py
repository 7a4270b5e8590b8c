"""Which files of a store hold some places: found from their coordinates, so that no store is listed as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import SourceError, UsageError
from placevec.geo import Floats
from placevec.io.json_documents import read_json
from placevec.sources.imagery.ground import utm_zone
from placevec.sources.imagery.stac import is_address
from placevec.sources.published.rasters import GeoTiff, TesseraTile, VectorRaster

TILES = "global_0.1_degree_representation"
LAND = "global_0.1_degree_tiff_all"
ENDINGS = (".tif", ".tiff")
_GRID = re.compile(r"grid_-?\d+\.\d+_-?\d+\.\d+")
_YEAR = re.compile(r"20\d\d")


def rasters_at(paths: Sequence[str], bounds: Floats, year: str | None) -> Iterator[VectorRaster]:
    """Opens the rasters in which places may lie, one after the other.

    Args:
        paths: GeoTIFFs or addresses of them, ``grid_LON_LAT.npy``, or folders: AlphaEarth's ``YEAR/ZONE``, TESSERA's.
        bounds: (N, 4) west, south, east, north of each place, degrees.
        year: to take where a folder has several.

    Raises:
        SourceError: a file cannot be used, or a folder holds none for these places.
        UsageError: a folder has several years, and none is chosen.
    """
    for given in paths:
        path = Path(given)
        if is_address(given) or (not path.is_dir() and path.suffix.lower() in ENDINGS):
            yield GeoTiff(given)
        elif path.suffix.lower() == ".npy":
            yield _tile(path)
        elif path.is_dir():
            yield from _of_folder(path, bounds, year)
        else:
            raise SourceError(f"{path} is not a GeoTIFF (.tif, .tiff), an .npy file or a folder of these")


def _of_folder(folder: Path, bounds: Floats, year: str | None) -> Iterator[VectorRaster]:
    tiles = folder / TILES if (folder / TILES).is_dir() else folder
    years = sorted(one.name for one in tiles.iterdir() if one.is_dir() and _YEAR.fullmatch(one.name))
    if year is not None and years and year not in years:
        raise UsageError(f"{folder} has no year {year}: choose from {', '.join(years)}")
    if year is None and len(years) > 1:
        raise UsageError(f"{folder} has the years {', '.join(years)}: choose one with --year")
    inside = tiles / (year or years[0]) if years else tiles
    count = 0
    for file in _tiles_at(inside, bounds):
        count += 1
        yield _tile(file) if file.suffix == ".npy" else GeoTiff(str(file))
    if count == 0:
        for file in _files_of_zones(inside, bounds):
            count += 1
            yield GeoTiff(str(file))
    if count == 0:
        raise SourceError(
            f"{inside} has no raster for these places: neither GeoTIFFs, directly or in folders of UTM zones such as "
            f"36N, nor TESSERA's {TILES}/YEAR/grid_LON_LAT"
        )


def _tiles_at(folder: Path, bounds: Floats) -> Iterator[Path]:
    """TESSERA's tiles: 0.1 degrees, named by their centers."""
    known = bounds[np.isfinite(bounds).all(axis=1)]
    cells = np.floor(known * 10.0 + 1e-9).astype(np.int64)
    wanted: set[tuple[int, int]] = set()
    for west, south, east, north in np.unique(cells, axis=0).tolist():
        wanted |= {(x, y) for x in range(west, east + 1) for y in range(south, north + 1)}
    for x, y in sorted(wanted):
        name = f"grid_{x / 10 + 0.05:.2f}_{y / 10 + 0.05:.2f}"
        array = folder / name / f"{name}.npy"
        if array.exists():
            yield array
        else:
            yield from (one for one in (folder / name / f"{name}_{folder.name}.tiff",) if one.exists())


def _files_of_zones(folder: Path, bounds: Floats) -> Iterator[Path]:
    """GeoTIFFs of a folder, and of the folders named by the UTM zones that the places touch."""
    known = bounds[np.isfinite(bounds).all(axis=1)]
    zones = {
        f"{abs(utm_zone(lon, lat)) % 100}{'N' if lat >= 0 else 'S'}"
        for corners in (known[:, :2], known[:, 2:])
        for lon, lat in np.unique(corners.round(3), axis=0).tolist()
    }
    for inside in (folder, *(folder / zone for zone in sorted(zones))):
        if inside.is_dir():
            yield from sorted(
                one for one in inside.iterdir() if one.suffix.lower() in ENDINGS and one.is_file()
            )


def _tile(path: Path) -> TesseraTile:
    """A tile with its grid, and the version that a note beside the store says."""
    if not _GRID.fullmatch(path.stem):
        raise SourceError(f"{path} must be named grid_LON_LAT.npy, as TESSERA's tiles are")
    store = next((one.parent for one in path.parents if one.name == TILES), path.parent)
    land = store / LAND / f"{path.stem}.tiff"
    beside = path.with_suffix(".tiff")
    version, variant = _said(store / "tessera_metadata.json")
    return TesseraTile(path, beside if beside.exists() and not land.exists() else land, version, variant)


def _said(note: Path) -> tuple[str | None, str | None]:
    """(version, variant) of the note that geotessera writes."""
    if not note.exists():
        return None, None
    try:
        content: Any = read_json(note)
        told = [content.get(name) for name in ("dataset_version", "dataset_variant")]
    except (OSError, ValueError, AttributeError) as error:
        raise SourceError(f"{note} is damaged: {str(error)[:200]}") from error
    version, variant = (one[:60] if isinstance(one, str) else None for one in told)
    return version, variant
