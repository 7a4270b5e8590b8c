"""Scenes that are on this machine: SAFE folders as ESA delivers them, and GeoTIFFs, with one band per file, or
several.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import SourceError
from placevec.io.files import check_regular
from placevec.sources.imagery.chips import ENDINGS, ORDERS
from placevec.sources.imagery.ground import box_around, edges_in_degrees
from placevec.sources.imagery.scenes import (
    Asset,
    Found,
    Scene,
    band_named,
    baseline_in,
    tile_in,
    without_duplicates,
)

MAX_FILES = 100_000
MAX_METADATA_BYTES = 2**24
_BAND_AT_END = re.compile(r"^(?P<name>.*?)[._-](?P<band>B\d{1,2}A?|SCL)(?:[._-]\d{2}m)?$", re.IGNORECASE)
_TIME = re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2}))?(?!\d)")
_BY_COUNT = {4: ("B02", "B03", "B04", "B08"), 12: ORDERS["l2a"], 13: ORDERS["l1c"]}
"""Bands of files that do not name them, by their number."""


def local_scenes(paths: Sequence[Path], bands: Sequence[str], named: Sequence[str] = ()) -> Found:
    """The scenes in folders and files, each tile and time once, those without a known cloud cover last.

    Args:
        paths: SAFE folders, folders of them or of GeoTIFFs, and GeoTIFFs.
        bands: that a scene must have.
        named: names of the bands of files that have as many and do not name them.

    Raises:
        SourceError: a path does not exist, or there is no scene at all.
    """
    found, scenes = Found(), []
    folders, files = _walked(paths)
    for folder in folders:
        scenes.append(_of_safe(folder))
    for name, parts in _grouped(files).items():
        try:
            scenes.append(_of_files(name, parts, named))
        except SourceError as error:
            found.leave_out(f"files that are not scenes ({str(error)[:160]})")
    usable = []
    for scene in scenes:
        missing = [band for band in bands if band not in scene.bands]
        if missing:
            found.leave_out(f"without the band {missing[0]}")
        else:
            usable.append(scene)
    found.scenes = without_duplicates(usable, found)
    if not found.scenes:
        told = "; ".join(f"{number}: {reason}" for reason, number in found.left_out.items())
        raise SourceError(
            f"there is no scene in {', '.join(map(str, paths))}{f' ({told})' if told else ''}: give SAFE folders, "
            "GeoTIFFs named like SCENE_B02.tif, or GeoTIFFs whose bands have names"
        )
    return found


def fingerprint_of(paths: Sequence[Path]) -> str:
    """Changes when a file of the scenes is added, removed or changed."""
    folders, files = _walked(paths)
    digest = hashlib.sha256()
    for path in [*(file for folder in folders for file in sorted(folder.rglob("*.jp2"))), *files]:
        status = path.stat()
        digest.update(
            f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogatepass")
        )
    return digest.hexdigest()


def _walked(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """(SAFE folders, GeoTIFFs), sorted."""
    folders: list[Path] = []
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(check_regular(path, "scene"))
            continue
        if path.name.upper().endswith(".SAFE"):
            folders.append(path)
            continue
        for here, inside, names in os.walk(path, followlinks=False):
            safe = sorted(name for name in inside if name.upper().endswith(".SAFE"))
            folders += [Path(here) / name for name in safe]
            inside[:] = sorted(name for name in inside if name not in safe and not name.startswith("."))
            files += [
                Path(here) / name
                for name in sorted(names)
                if name.lower().endswith(ENDINGS) and not name.startswith(".")
            ]
            if len(files) + len(folders) > MAX_FILES:
                raise SourceError(f"{path} has more than {MAX_FILES:,} files: give the folders of the scenes")
    return sorted(set(folders)), sorted(set(files))


# --- SAFE ----------------------------------------------------------------------------------------------------


def _of_safe(folder: Path) -> Scene:
    """A product as ESA delivers it: the finest image of each band, and the classes of L2A."""
    bands: dict[str, tuple[int, Path]] = {}
    classes: tuple[int, Path] | None = None
    for path in sorted(folder.glob("GRANULE/*/IMG_DATA/**/*.jp2")):
        found = re.search(r"_(B\d{2}|B8A|SCL)(?:_(\d{2})m)?\.jp2$", path.name)
        if found is None:
            continue
        meters = int(found[2] or 0)
        if found[1] == "SCL":
            classes = min(classes or (meters, path), (meters, path))
        elif found[1] not in bands or meters < bands[found[1]][0]:
            bands[found[1]] = (meters, path)
    text = _metadata(folder)
    offsets = [int(value) for value in re.findall(r"_ADD_OFFSET\b[^>]*>(-?\d{1,6})</", text)]
    quantity = re.search(r"QUANTIFICATION_VALUE\b[^>]*>(\d{1,6})(?:\.0*)?</", text)
    scale = 1.0 / int(quantity[1]) if quantity and int(quantity[1]) else None
    offset = min(offsets) / 10_000.0 if offsets else None
    cloud = re.search(r"<Cloud_Coverage_Assessment>([\d.]{1,12})</", text)
    if not bands:
        raise SourceError(f"{folder} has no band images (GRANULE/*/IMG_DATA)")
    first = next(iter(bands.values()))[1]
    return Scene(
        id=folder.name[: -len(".SAFE")],
        tile=tile_in(folder.name),
        when=_when(folder.name),
        bounds=_bounds(first),
        bands={band: Asset(str(path), 1, scale, offset) for band, (_, path) in bands.items()},
        classes=None if classes is None else Asset(str(classes[1])),
        cloud=float(cloud[1]) if cloud else None,
        baseline=baseline_in(folder.name),
        product="l1c" if "MSIL1C" in folder.name else "l2a",
    )


def _metadata(folder: Path) -> str:
    """``MTD_MSIL2A.xml`` as text: a few numbers are looked for in it, and no XML parser is given it."""
    for path in sorted(folder.glob("MTD_MSIL*.xml")):
        with open(check_regular(path), "rb") as file:
            return file.read(MAX_METADATA_BYTES).decode("utf-8", "replace")
    return ""


# --- GeoTIFF -------------------------------------------------------------------------------------------------


def _grouped(files: Sequence[Path]) -> Mapping[str, list[tuple[str, Path]]]:
    """Name of a scene -> (band, file); the band is empty for a file that may hold several."""
    found: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for path in files:
        told = _BAND_AT_END.match(path.stem)
        band = None if told is None else "SCL" if told["band"].upper() == "SCL" else band_named(told["band"])
        if told is None or band is None:
            found[str(path.with_suffix(""))].append(("", path))
        else:
            found[str(path.parent / told["name"])].append((band, path))
    return found


def _of_files(name: str, parts: Sequence[tuple[str, Path]], named: Sequence[str]) -> Scene:
    path = parts[0][1]
    bands: dict[str, Asset] = {}
    classes = None
    for band, file in parts:
        if band == "SCL":
            classes = Asset(str(file))
        elif band:
            bands.setdefault(band, Asset(str(file)))
        else:
            bands |= {own: Asset(str(file), number) for number, own in _inside(file, named)}
    if not bands:
        raise SourceError(f"{path.name} names no Sentinel-2 band")
    title = Path(name).name
    return Scene(
        id=title,
        tile=tile_in(title),
        when=_when(title),
        bounds=_bounds(path),
        bands=bands,
        classes=classes,
        baseline=baseline_in(title),
        product="l1c"
        if "L1C" in title.upper() or "B10" in bands
        else "l2a"
        if "L2A" in title.upper()
        else "",
    )


def _inside(path: Path, named: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(number, band) of a file with several: as named by the user, by the file, or by their number."""
    with _opened(path) as file:
        said = [band_named(str(text or "")) for text in file.descriptions]
        count = file.count
    if count == len(named):
        said = [band_named(text) for text in named]
    elif not any(said):
        said = list(_BY_COUNT.get(count, ()))
    for number, band in enumerate(said, 1):
        if band is not None:
            yield number, band


def _bounds(path: Path) -> tuple[float, float, float, float]:
    """Of a raster, in degrees; west > east across the antimeridian."""
    with _opened(path) as file:
        if file.crs is None or file.transform.is_identity:
            raise SourceError(f"{path.name} has no coordinate reference system, so its location is unknown")
        lon, lat = edges_in_degrees(file.transform, file.crs.to_wkt(), file.width, file.height)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise SourceError(f"{path.name} is not on Earth")
    return box_around(lon, lat)


def _opened(path: Path) -> Any:
    import rasterio
    from rasterio.errors import RasterioError

    with open(check_regular(path, "scene"), "rb") as file:
        driver = "JP2OpenJPEG" if file.read(8)[4:] == b"jP  " else "GTiff"
    try:
        return rasterio.open(path, driver=driver)
    except (RasterioError, rasterio.errors.CRSError, ValueError, OSError) as error:
        raise SourceError(f"{path.name} is not a GeoTIFF or JPEG 2000, or is damaged: {error}") from error


def _when(text: str) -> str:
    """ISO date and time in a name; empty if there is none.

    >>> _when("S2A_MSIL2A_20230701T095031_N0509"), _when("x_20230701"), _when("x")
    ('2023-07-01T09:50:31Z', '2023-07-01', '')
    """
    for found in _TIME.finditer(text):
        year, month, day, *time = found.groups()
        if "1990" < year < "2100" and "01" <= month <= "12" and "01" <= day <= "31":
            date = f"{year}-{month}-{day}"
            return date if time[0] is None else f"{date}T{':'.join(time)}Z"
    return ""


def within_dates(found: Found, start: str | None, end: str | None) -> Found:
    """The scenes of these ISO dates, both included; those without a known date are left out where one is asked for."""
    if start is None and end is None:
        return found
    kept = [
        scene
        for scene in found.scenes
        if scene.date and (start is None or scene.date >= start) and (end is None or scene.date <= end)
    ]
    left_out = dict(found.left_out)
    if len(kept) < len(found.scenes):
        left_out["outside the dates"] = len(found.scenes) - len(kept)
    return replace(found, scenes=kept, left_out=left_out)
