"""An OpenStreetMap extract becomes a dataset with a ``map`` view, for every recipe that reads the map."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from placevec.core import ViewSpec
from placevec.datasets.additions import MAP_PART, PLACES_PART, Joining, Made, add, reused
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import WORK, source_entry
from placevec.datasets.places import DEFAULT_SIZE_M, Places
from placevec.datasets.views.pois import place_names, read_pois
from placevec.datasets.views.raster import KIND as RASTER
from placevec.datasets.views.raster import NAME as MAP
from placevec.datasets.views.raster.coverage import Coverage
from placevec.datasets.writer import begun, write_dataset
from placevec.distributed.engine import Engine
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
from placevec.io.progress import Progress, say_notes
from placevec.preparation.existing_places import (
    POIS,
    are_laid_out_by,
    around,
    refuse_others,
    write_names,
)
from placevec.preparation.options import MapOptions
from placevec.preparation.rasterize.pipeline import BurnReport, burn_extract
from placevec.sources.osm.extracts import Extract, resolve_extract
from placevec.sources.osm.layers import LayerTable
from placevec.sources.osm.reader import extent, read_header
from placevec.sources.tables.points import Points, read_points

LICENCE = "ODbL-1.0"
ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"
MAX_PLACES = 100_000_000
"""Maximum tiles or grid points of an area, including empty ones."""
MAP_COVERAGE = "map_coverage.tif"
KIND = "osm"


def prepare(
    out: Path, *, area: Area | None, zoom: int, wanted: MapOptions, created: str, progress: Progress
) -> Dataset:
    """Draw the map of an extract, create the places and write the manifest; see `placevec.prepare`."""
    check_zoom(zoom)
    table = LayerTable.default() if wanted.layers is None else LayerTable.from_toml(wanted.layers)
    given = read_given(wanted)
    extract = resolve_extract(wanted.osm, wanted.osm_name, progress=progress)
    header = read_header(extract.path)
    held = held_area(extract, header.area)
    there = begun(out)
    given_by_dataset = there is not None and not are_laid_out_by(there, KIND)
    if area is not None or there is None or not given_by_dataset:
        area = area_within(extract, held, area)
    if there is not None and given_by_dataset:
        laying_out = {"--spacing": wanted.spacing, "--all-tiles": wanted.all_tiles}
        refuse_others(there, laying_out, places=wanted.places, size_m=wanted.size_m)
        area = around(there, held, area, extract.name, progress)
    assert area is not None
    check_count(area, zoom, wanted.spacing)
    drawing = _Drawing(
        extract, header.timestamp, atomic.sha256_of_file(extract.path), area, zoom, table, LayerTable.landuse(),
        wanted.chosen_engine,
    )  # fmt: skip
    parts = {MAP_PART: drawing.made()}
    if there is not None and given_by_dataset:
        return _added(there, drawing, created, progress)
    of_places = {
        "extract": drawing.sha256,
        "area": area.as_dict(),
        "zoom": zoom,
        "spacing_m": wanted.spacing,
        "places": None if wanted.places is None else atomic.sha256_of_file(wanted.places),
        "all_places": wanted.all_tiles,
        "size_m": wanted.size_m,
    }
    notes = [] if given is None else check_inside(given, area, str(wanted.places), progress)
    parts[PLACES_PART] = Made(KIND, of_places)
    if there is not None:
        return reused(there, parts, progress)
    burned = drawing.burn(out, progress)
    laid = laid_out(area, given, wanted)
    if laid is None:
        laid = Places.from_tiles(tiles_of_area(area, zoom), zoom)
    if given is None and not wanted.all_tiles:
        laid = laid.kept(_with_content(out, table, burned, laid, zoom))
    if len(laid) == 0:
        raise DatasetError("no place in the area has any feature: use --all-tiles to keep empty places")
    dataset = write_dataset(
        out,
        name=extract.name,
        area=area,
        places=laid,
        names=place_names(read_pois(out / POIS), laid.footprints(zoom), zoom),
        sources=[drawing.source()],
        views={MAP_PART: drawing.view(_files(out))},
        report={**_report(burned), "notes": notes},
        parts=parts,
        created=created,
    )
    shutil.rmtree(out / WORK, ignore_errors=True)
    return dataset


def _added(dataset: Dataset, drawing: _Drawing, created: str, progress: Progress) -> Dataset:
    """The dataset with a map around its places, names for unnamed places, land use and points of interest."""

    def write(folder: Path) -> Joining:
        burned = drawing.burn(folder, progress)
        files = _files(folder)
        names = write_names(dataset, drawing.area, drawing.zoom, folder)
        return Joining(
            f"a map of {len(drawing.table.layers)} layers at zoom {drawing.zoom}", [*files, names],
            [drawing.source()], views={MAP_PART: drawing.view(files)}, names=names, report=_report(burned),
        )  # fmt: skip

    return add(dataset, MAP_PART, drawing.made(), write, created=created, progress=progress)


@dataclass(frozen=True)
class _Drawing:
    """A map to draw, with everything that it depends on."""

    extract: Extract
    timestamp: str | None
    sha256: str
    area: Area
    zoom: int
    table: LayerTable
    landuse: LayerTable
    engine: Engine

    def made(self) -> Made:
        """The provenance of the map."""
        inputs = {"extract": self.sha256, "area": self.area.as_dict(), "zoom": self.zoom}
        return Made(KIND, {**inputs, "layers": self.table.hash, "landuse": self.landuse.hash})

    def burn(self, folder: Path, progress: Progress) -> BurnReport:
        """Draw it into a folder."""
        return burn_extract(
            self.extract.path, folder, area=self.area, zoom=self.zoom, table=self.table,
            labels={"landuse": self.landuse}, engine=self.engine, progress=progress,
        )  # fmt: skip

    def source(self) -> dict[str, Any]:
        """The manifest's entry for its source."""
        return source_of(self.extract, self.sha256, self.timestamp)

    def view(self, files: list[str]) -> dict[str, Any]:
        """The manifest's entry for the view."""
        layers = self.table.layers
        spec = ViewSpec(
            MAP_PART, RASTER, layers, "coverage 0..255", size_px=256, zoom=self.zoom, rules=self.table.hash
        )
        return {"spec": spec.as_dict(), "layers": self.table.as_dict(), "files": files}


def source_of(extract: Extract, sha256: str, timestamp: str | None, kind: str = KIND) -> dict[str, Any]:
    """The manifest's entry of an extract."""
    return source_entry(
        kind, extract.name, [extract.path], path=extract.path.name, url=extract.url, sha256=sha256, timestamp=timestamp,
        licence=LICENCE, attribution=ATTRIBUTION,
    )  # fmt: skip


def read_given(wanted: MapOptions) -> Points | None:
    """The table of places, if one is given; UsageError for two ways to choose places."""
    if wanted.spacing is not None and wanted.places is not None:
        raise UsageError("choose places with either --spacing or --places, not both")
    return None if wanted.places is None else read_points(wanted.places)


def laid_out(
    area: Area, given: Points | None, wanted: MapOptions, size_m: float | None = None
) -> Places | None:
    """The places of a table, or those of a grid over an area; None if they are tiles."""
    size_m = size_m or wanted.size_m or DEFAULT_SIZE_M
    if given is not None:
        return Places(given.place_id, given.lonlat, given.geometry, size_m, "given")
    if wanted.spacing is None:
        return None
    return Places.from_grid(metric_grid(area, wanted.spacing), size_m=size_m, spacing_m=wanted.spacing)


def held_area(extract: Extract, told: Area | None) -> Area:
    """The area of an extract: from its header, or else from its objects."""
    if told is not None and told.east - told.west <= 180:
        return told
    # a box around both sides of the antimeridian spans the whole world
    found = extent(extract.path)
    return found if told is None or found.crosses_antimeridian else told


def area_within(extract: Extract, held: Area, wanted: Area | None) -> Area:
    """The requested area, checked against the extract; otherwise all of it."""
    if wanted is None:
        return held
    _check_order(extract, held, wanted)
    if not wanted.intersects(held):
        bounds = ",".join(f"{value:g}" for value in held.bounds)
        raise AreaError(
            f"the area is outside {extract.name}, which covers {bounds} (west,south,east,north)"
            + wanted.turned_into(held)
        )
    return wanted


def _check_order(extract: Extract, held: Area, wanted: Area) -> None:
    """AreaError for a box with west and east swapped: literally, it crosses the antimeridian, far from the extract."""
    west, south, east, north = wanted.bounds
    reaches = held.crosses_antimeridian or held.west <= -180.0 or held.east >= 180.0
    if reaches or not wanted.crosses_antimeridian:
        return
    if held.contains((west + east) / 2.0, (south + north) / 2.0).all():
        raise AreaError(
            f"the box crosses the antimeridian, because its west {west:g} is greater than its east {east:g}, but "
            f"{extract.name} does not reach that far: did you mean {east:g},{south:g},{west:g},{north:g}?"
        )


def check_count(area: Area, zoom: int, spacing_m: float | None) -> None:
    """AreaError if there would be more places than memory holds; checked before the extract is read."""
    ranges = tile_ranges(area, zoom)
    count = sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in ranges)
    what = f"tiles of zoom {zoom}"
    if spacing_m is not None:
        side = TILE_PX * float(meters_per_pixel((area.south + area.north) / 2.0, zoom))
        count, what = round(count * (side / spacing_m) ** 2), f"places {spacing_m:g} m apart"
    if count > MAX_PLACES:
        raise AreaError(
            f"the area has {count:,} {what}, more than {MAX_PLACES:,}: choose a smaller area with --bbox "
            "west,south,east,north (west > east crosses the antimeridian), or larger places"
        )


def check_inside(given: Points, area: Area, name: str, progress: Progress) -> list[str]:
    """What to know of the places of a table, which is said too: what was lost, and which lie outside of the area.

    Raises:
        SourceError: no place lies in the area (usually because columns are swapped).
    """
    known = np.isfinite(given.lonlat).all(axis=1)
    inside = area.contains(given.lonlat[known, 0], given.lonlat[known, 1])
    if known.any() and not inside.any():
        bounds = ",".join(f"{value:g}" for value in area.bounds)
        lon, lat = given.lonlat[known][0]
        raise SourceError(
            f"no place of {name} is in the area {bounds} (west,south,east,north): the first is "
            f"lon={lon:g}, lat={lat:g}; are lon and lat swapped?"
        )
    notes = [f"{name}: {note}" for note in given.notes]
    if not inside.all():
        notes.append(
            f"{int((~inside).sum())} of {len(inside)} places are outside the area, where the map is blank"
        )
    say_notes(notes, progress)
    return notes


def _with_content(
    out: Path, table: LayerTable, burned: BurnReport, places: Places, zoom: int
) -> np.ndarray[Any, Any]:
    """(N,) bool: places whose footprint has features other than boundaries, place names and open sea."""
    side = 2**zoom
    content = burned.nonempty_tiles[:, 1] * side + burned.nonempty_tiles[:, 0]
    tiles = np.floor(lonlat_to_tile_xy(places.lonlat[:, 0], places.lonlat[:, 1], zoom)).astype(np.int64)
    kept: np.ndarray[Any, Any] = np.isin(tiles[:, 1] * side + tiles[:, 0], content)
    if places.zoom is None:  # smaller than a tile: the place itself must be touched
        shares = Coverage(out / MAP_COVERAGE).fractions(places.footprints(zoom), zoom)
        kept &= (shares[:, np.asarray(table.content, bool)] > 0).any(axis=1)
    return kept


def _files(out: Path) -> list[str]:
    """All files of the map view, relative to the dataset: those that opening it checks."""
    shards = sorted(path.relative_to(out).as_posix() for path in (out / MAP).glob("[0-9]*.tif"))
    return ["map.vrt", MAP_COVERAGE, "landuse_coverage.tif", POIS, *shards]


def _report(burned: BurnReport) -> dict[str, Any]:
    """Counts and problems, for information; only ``inputs`` is read again."""
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
