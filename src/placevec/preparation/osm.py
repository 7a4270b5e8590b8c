"""An OpenStreetMap extract becomes a dataset with a ``map`` view: what every recipe that reads the map prepares."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from placevec.core import ViewSpec
from placevec.datasets.dataset import MANIFEST, Dataset
from placevec.datasets.places import Places
from placevec.datasets.views.pois import place_names, read_pois
from placevec.datasets.views.raster.coverage import Coverage
from placevec.datasets.writer import write_dataset
from placevec.errors import AreaError, DatasetError, SourceError, UsageError
from placevec.geo import (
    TILE_PX,
    Area,
    check_zoom,
    lonlat_to_tile_xy,
    meters_per_pixel,
    metric_grid,
    tile_ranges,
    tiles_of_area,
)
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.rasterize.pipeline import WORK, BurnReport, burn_extract
from placevec.sources.osm.extracts import Extract, resolve_extract
from placevec.sources.osm.layers import LayerTable
from placevec.sources.osm.reader import extent, read_header
from placevec.sources.tables.points import Points, read_points

LICENCE = "ODbL-1.0"
ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"
DEFAULT_SIZE_M = 200.0
MAX_PLACES = 100_000_000
"""Tiles or grid points of an area, empty ones included."""
POIS, MAP_COVERAGE = "pois.parquet", "map_coverage.tif"


def prepare(
    out: Path,
    *,
    osm: str | Path | None,
    osm_name: str | None,
    area: Area | None,
    zoom: int,
    layers: str | Path | None,
    spacing_m: float | None,
    places: str | Path | None,
    all_places: bool,
    size_m: float | None,
    workers: int,
    created: str,
    progress: Progress,
) -> Dataset:
    """Draw the map of an extract, lay out the places and write the manifest; see `placevec.prepare`."""
    check_zoom(zoom)
    if spacing_m is not None and places is not None:
        raise UsageError("places come from a spacing or from a table, not both")
    check_size(spacing_m, size_m)
    table = LayerTable.from_toml(layers) if layers is not None else LayerTable.default()
    landuse = LayerTable.landuse()
    given = None if places is None else read_points(places)
    extract = resolve_extract(osm, osm_name, progress=progress)
    header = read_header(extract.path)
    area = _area_of(extract, header.area, area)
    check_count(area, zoom, spacing_m)
    if given is not None:
        check_inside(given, area, str(places), progress)
    inputs = {
        "extract": atomic.sha256_of_file(extract.path),
        "area": area.as_dict(),
        "zoom": zoom,
        "layers": table.hash,
        "landuse": landuse.hash,
        "spacing_m": spacing_m,
        "places": None if places is None else atomic.sha256_of_file(places),
        "all_places": all_places,
        "size_m": size_m,
    }
    if (out / MANIFEST).exists() or (out / WORK).is_dir():
        atomic.remove_temporaries(out)
    if (out / MANIFEST).exists():
        return reused(out, inputs, progress)
    if out.exists() and any(path.name != WORK for path in out.iterdir()) and not (out / WORK).is_dir():
        raise DatasetError(f"{out} exists and is not a placevec dataset: choose another --out")
    burned = burn_extract(
        extract.path, out, area=area, zoom=zoom, table=table, labels={"landuse": landuse},
        workers=workers, progress=progress,
    )  # fmt: skip
    if given is not None:
        laid = Places(given.place_id, given.lonlat, given.geometry, size_m or DEFAULT_SIZE_M, "given")
    elif spacing_m is not None:
        grid = metric_grid(area, spacing_m)
        laid = Places.from_grid(grid, size_m=size_m or DEFAULT_SIZE_M, spacing_m=spacing_m)
    else:
        laid = Places.from_tiles(tiles_of_area(area, zoom), zoom)
    if given is None and not all_places:
        laid = laid.kept(_with_content(out, table, burned, laid, zoom))
    if len(laid) == 0:
        raise DatasetError("no place of the area holds any feature: --all-tiles keeps the empty ones too")
    source = {
        "kind": "osm",
        "name": extract.name,
        "path": extract.path.name,
        "url": extract.url,
        "sha256": inputs["extract"],
        "bytes": extract.path.stat().st_size,
        "timestamp": header.timestamp,
        "licence": LICENCE,
        "attribution": ATTRIBUTION,
    }
    spec = ViewSpec(
        "map", "raster", table.layers, "coverage 0..255", size_px=256, zoom=zoom, rules=table.hash
    )
    dataset = write_dataset(
        out,
        name=extract.name,
        area=area,
        places=laid,
        names=place_names(read_pois(out / POIS), laid.footprints(zoom), zoom),
        sources=[source],
        views={"map": {"spec": spec.as_dict(), "layers": table.as_dict(), "files": _files(out)}},
        report={"inputs": inputs, **_report(burned)},
        created=created,
    )
    shutil.rmtree(out / WORK, ignore_errors=True)
    return dataset


def check_size(spacing_m: float | None, size_m: float | None) -> None:
    """UsageError unless the distance and the size of places are lengths."""
    if spacing_m is not None and not spacing_m > 0:
        raise UsageError(f"the spacing of places is a positive number of meters; got {spacing_m:g}")
    if size_m is not None and not size_m > 0:
        raise UsageError(f"the size of a place is a positive number of meters; got {size_m:g}")


def _area_of(extract: Extract, held: Area | None, wanted: Area | None) -> Area:
    """The area asked for, checked against what the extract holds; else all of it."""
    if (
        held is None or held.east - held.west > 180
    ):  # a box round both sides of the antimeridian is the world's
        found = extent(extract.path)
        held = found if held is None or found.crosses_antimeridian else held
    if wanted is None:
        return held
    _check_order(extract, held, wanted)
    if not wanted.intersects(held):
        bounds = ",".join(f"{value:g}" for value in held.bounds)
        raise AreaError(
            f"the area lies outside of {extract.name}, which covers {bounds} (west,south,east,north)"
            + wanted.turned_into(held)
        )
    return wanted


def _check_order(extract: Extract, held: Area, wanted: Area) -> None:
    """AreaError for a box whose west and east are swapped: read as it is, it runs round the Earth, past the extract."""
    west, south, east, north = wanted.bounds
    reaches = held.crosses_antimeridian or held.west <= -180.0 or held.east >= 180.0
    if reaches or not wanted.crosses_antimeridian:
        return
    if held.contains((west + east) / 2.0, (south + north) / 2.0).all():
        raise AreaError(
            f"the box runs over the 180th meridian, since its west {west:g} is greater than its east {east:g}, and "
            f"{extract.name} does not reach that far: is it {east:g},{south:g},{west:g},{north:g}?"
        )


def check_count(area: Area, zoom: int, spacing_m: float | None) -> None:
    """AreaError when there would be more places than memory holds: told before the extract is read."""
    ranges = tile_ranges(area, zoom)
    count = sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in ranges)
    what = f"tiles of zoom {zoom}"
    if spacing_m is not None:
        side = TILE_PX * float(meters_per_pixel((area.south + area.north) / 2.0, zoom))
        count, what = round(count * (side / spacing_m) ** 2), f"places {spacing_m:g} m apart"
    if count > MAX_PLACES:
        raise AreaError(
            f"the area holds {count:,} {what}, more than {MAX_PLACES:,}: name a smaller one with --bbox "
            "west,south,east,north (west > east is across the 180th meridian), or make them larger"
        )


def check_inside(given: Points, area: Area, name: str, progress: Progress) -> None:
    """SourceError when no place lies in the area (swapped columns, most often); a note when some do not."""
    known = np.isfinite(given.lonlat).all(axis=1)
    inside = area.contains(given.lonlat[known, 0], given.lonlat[known, 1])
    if known.any() and not inside.any():
        bounds = ",".join(f"{value:g}" for value in area.bounds)
        lon, lat = given.lonlat[known][0]
        raise SourceError(
            f"no place of {name} lies in the area {bounds} (west,south,east,north): the first is "
            f"lon={lon:g}, lat={lat:g}; are lon and lat swapped?"
        )
    if not inside.all():
        progress.say(
            f"Note: {int((~inside).sum())} of {len(inside)} places lie outside of the area, where the map is blank"
        )


def reused(out: Path, inputs: dict[str, Any], progress: Progress) -> Dataset:
    """The dataset that is there, if it was made from the same inputs; else DatasetError says what differs."""
    dataset = Dataset.open(out)
    before = dataset.manifest["report"].get("inputs", {})
    for name, value in inputs.items():
        if before.get(name) != value:
            raise DatasetError(
                f"{out} holds a dataset made with other options ({name} differs): choose another --out, or --force"
            )
    shutil.rmtree(out / WORK, ignore_errors=True)  # of a run that was killed after its last file
    progress.say(f"Reusing {out}, which was made from the same source with the same options")
    return dataset


def _with_content(
    out: Path, table: LayerTable, burned: BurnReport, places: Places, zoom: int
) -> np.ndarray[Any, Any]:
    """(N,) bool: places whose footprint something touches besides boundaries, places (such as islands) and open sea."""
    side = 2**zoom
    content = burned.nonempty_tiles[:, 1] * side + burned.nonempty_tiles[:, 0]
    tiles = np.floor(lonlat_to_tile_xy(places.lonlat[:, 0], places.lonlat[:, 1], zoom)).astype(np.int64)
    kept: np.ndarray[Any, Any] = np.isin(tiles[:, 1] * side + tiles[:, 0], content)
    if places.zoom is None:  # smaller than a tile: it must be touched itself
        shares = Coverage(out / MAP_COVERAGE).fractions(places.footprints(zoom), zoom)
        kept &= (shares[:, np.asarray(table.content, bool)] > 0).any(axis=1)
    return kept


def _files(out: Path) -> list[str]:
    """Every file of the map view, relative to the dataset: what opening it checks."""
    shards = sorted(path.relative_to(out).as_posix() for path in (out / "map").glob("*.tif"))
    return ["map.vrt", MAP_COVERAGE, "landuse_coverage.tif", POIS, *shards]


def _report(burned: BurnReport) -> dict[str, Any]:
    """What was met, for people and for the next run: nothing in it is read back but ``inputs``."""
    return {
        "objects": burned.objects,
        "drawn": burned.drawn,
        "broken": sum(burned.broken.values()),
        "broken_reasons": burned.broken,
        "broken_examples": burned.examples,
        "sea": burned.sea,
        "extract_notes": burned.notes,
        "points_of_interest": burned.pois,
        "tiles_in_box": burned.tiles,
        "tiles_with_content": len(burned.nonempty_tiles),
    }
