"""A folder of tiles, or MBTiles, becomes a dataset with a ``map`` view, like that from an extract.

Masks (one picture per layer) are stored with one bit per pixel, colors as three channels of eight bits.
"""

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
from placevec.datasets.places import Places
from placevec.datasets.views.raster import KIND as RASTER
from placevec.datasets.writer import begun, write_dataset
from placevec.errors import AreaError, DatasetError, SourceError, UsageError
from placevec.geo import (
    MAX_MERCATOR_LATITUDE,
    TILE_PX,
    Area,
    Ints,
    lonlat_to_tile_xy,
    meters_per_pixel,
    tile_bounds,
)
from placevec.io import atomic
from placevec.io.progress import Progress, say_notes
from placevec.preparation.existing_places import (
    are_laid_out_by,
    around,
    places_of,
    refuse_others,
)
from placevec.preparation.options import MapOptions
from placevec.preparation.osm import check_inside, laid_out, read_given
from placevec.preparation.rasterize.from_tiles import TileMap, shards_of, tile_ranges_of, write_tile_map
from placevec.preparation.tiles.decode import Reading, TileReader, how_to_read, open_tiles
from placevec.sources.tables.points import Points
from placevec.sources.tiles.loc2vec_metadata import NAME as METADATA
from placevec.sources.tiles.loc2vec_metadata import read_loc2vec_metadata
from placevec.sources.tiles.tilesets import TileSet

KIND = "tiles"
UNKNOWN_ATTRIBUTION = "unknown: the tiles have no attribution"
_MIN_THREADS = 2
"""One reads a tile while the other waits for the disk."""


def prepare(out: Path, *, area: Area | None, wanted: MapOptions, created: str, progress: Progress) -> Dataset:
    """Store the tiles as the map of a dataset, create the places and write the manifest; see `placevec.prepare`."""
    if wanted.require_all_layers and (wanted.spacing is not None or wanted.places is not None):
        raise UsageError("--require-all-layers selects tiles: do not combine it with --spacing or --places")
    given = read_given(wanted)
    tiles = open_tiles(wanted.tile_folder, wanted.mbtiles, wanted.zoom, progress, wanted.scheme)
    if area is not None:
        whole, tiles = _bounds(tiles), tiles.within(area)
        if len(tiles.tiles()) == 0:
            bounds = ",".join(f"{value:.5g}" for value in whole.bounds)
            raise AreaError(
                f"no tile of {tiles.name} is in the area: they cover {bounds} (west,south,east,north)"
                f"{area.turned_into(whole)}"
            )
    reading = how_to_read(
        tiles, threshold=wanted.threshold, background=wanted.background, keep_gray=wanted.keep_gray
    )
    held = _bounds(tiles)
    there = begun(out)
    given_by_dataset = there is not None and not are_laid_out_by(there, KIND)
    if there is not None and given_by_dataset:
        laying_out = {
            "--spacing": wanted.spacing, "--all-tiles": wanted.all_tiles,
            "--require-all-layers": wanted.require_all_layers,
        }  # fmt: skip
        refuse_others(there, laying_out, places=wanted.places, size_m=wanted.size_m)
        around(there, held, area, tiles.name, progress)
    of_map = {
        "tiles": tiles.fingerprint,
        "area": None if area is None else area.as_dict(),
        "zoom": tiles.zoom,
        "reading": reading.as_dict(),
    }
    parts = {MAP_PART: Made(KIND, of_map)}
    path = Path(wanted.tile_folder or wanted.mbtiles[0]).name
    storing = _Storing(tiles, reading, area, path, wanted.workers or 1)
    if there is not None and given_by_dataset:
        return _added(there, parts[MAP_PART], storing, created, progress)
    of_places = {
        **of_map,
        "require_all_layers": wanted.require_all_layers,
        "spacing_m": wanted.spacing,
        "places": None if wanted.places is None else atomic.sha256_of_file(wanted.places),
        "all_places": wanted.all_tiles,
        "size_m": wanted.size_m,
    }
    parts[PLACES_PART] = Made(KIND, of_places)
    if there is not None:
        return reused(there, parts, progress)
    of_table = [] if given is None else check_inside(given, area or held, str(wanted.places), progress)
    (out / WORK).mkdir(parents=True, exist_ok=True)  # first of all, because it marks the directory as ours
    stored = storing.store(out, progress)
    laid, notes = _laid_out(tiles, stored.written, area or held, given, wanted)
    say_notes(notes, progress)
    if len(laid) == 0:
        raise DatasetError("all tiles are blank: use --all-tiles to keep blank tiles")
    dataset = write_dataset(
        out,
        name=str(tiles.about.get("name") or tiles.name)[:200],
        area=area or held,
        places=laid,
        names=None,
        sources=[stored.source],
        views={MAP_PART: stored.view},
        report={**stored.report, "notes": [*stored.report["notes"], *of_table]},
        parts=parts,
        created=created,
    )
    shutil.rmtree(out / WORK, ignore_errors=True)
    return dataset


def _added(dataset: Dataset, of: Made, storing: _Storing, created: str, progress: Progress) -> Dataset:
    """The dataset with the tiles as the map around its places."""

    def write(folder: Path) -> Joining:
        stored = storing.store(folder, progress)
        laid = places_of(dataset)
        known = laid.kept(np.abs(laid.lonlat[:, 1]) <= MAX_MERCATOR_LATITUDE)
        if lacking := int((~on_tiles(stored.written.present, known, storing.tiles.zoom)).sum()):
            progress.say(
                f"Note: {lacking:,} of {len(laid):,} places are not on any tile: the map is blank there"
            )
        return Joining(
            f"a map of {len(storing.reading.channels)} channels at zoom {storing.tiles.zoom}", stored.written.files,
            [stored.source], views={MAP_PART: stored.view}, report=stored.report,
        )  # fmt: skip

    return add(dataset, MAP_PART, of, write, created=created, progress=progress)


@dataclass(frozen=True)
class _Stored:
    """Tiles stored as a map, with their manifest entries."""

    written: TileMap
    source: dict[str, Any]
    view: dict[str, Any]
    report: dict[str, Any]


@dataclass(frozen=True)
class _Storing:
    """Tiles to be stored as a map."""

    tiles: TileSet
    reading: Reading
    area: Area | None
    path: str
    workers: int

    def store(self, folder: Path, progress: Progress) -> _Stored:
        """Write the map into a folder, or the missing part of it."""
        tiles, reading = self.tiles, self.reading
        for line in reading.lines(tiles):
            progress.say(line)
        attribution = str(tiles.about.get("attribution") or UNKNOWN_ATTRIBUTION)[:1000]
        reader = TileReader(tiles, reading)
        area = None if self.area is None else self.area.as_dict()
        written = write_tile_map(
            folder, zoom=tiles.zoom, channels=reading.channels, bits=reading.bits, shards=shards_of(tiles.tiles()),
            read=reader.read, attribution=attribution, total=len(tiles.tiles()), progress=progress,
            threads=max(_MIN_THREADS, self.workers),
            fingerprint={"tiles": tiles.fingerprint, "area": area, "reading": reading.as_dict()},
        )  # fmt: skip
        damaged = _damaged(tiles, written, reader)
        if damaged:
            progress.say(
                f"Note: {len(damaged):,} damaged tiles are left out, such as {next(iter(damaged.values()))}"
            )
        files = [folder / name for name in written.files]
        source = source_entry(
            tiles.layout, tiles.name, files, path=self.path, sha256=written.sha256, attribution=attribution
        )
        spec = ViewSpec(
            MAP_PART, RASTER, reading.channels, reading.values, size_px=TILE_PX, zoom=tiles.zoom, rules=_rules(tiles)
        )  # fmt: skip
        view = {"spec": spec.as_dict(), "files": written.files}
        return _Stored(written, source, view, _report(tiles, reading, written, damaged))


def _rules(tiles: TileSet) -> str | None:
    """The hash of the rules that drew the layers, if the folder states it and has all layers."""
    own = tiles.about.get("placevec")
    if not isinstance(own, dict) or own.get("channels") != list(tiles.layers):
        return None
    rules = own.get("rules")
    return rules if isinstance(rules, str) and len(rules) == 64 else None


def _damaged(tiles: TileSet, written: TileMap, reader: TileReader) -> dict[tuple[int, int], str]:
    """Tile -> what is wrong with it, including those of an earlier part of the run."""
    side = 2**tiles.zoom
    there = written.present[:, 1] * side + written.present[:, 0]
    every = tiles.tiles()
    lost = every[~np.isin(every[:, 1] * side + every[:, 0], there)]
    for x, y in lost.tolist():
        if (x, y) not in reader.damaged:
            reader.read(x, y)
    return {(x, y): reader.damaged[x, y] for x, y in lost.tolist() if (x, y) in reader.damaged}


# --- places ------------------------------------------------------------------------------------------------


def _bounds(tiles: TileSet) -> Area:
    ranges = tile_ranges_of(tiles.tiles(), tiles.zoom)
    west, _, _, north = tile_bounds(ranges[0][0], ranges[0][1], tiles.zoom)
    _, south, east, _ = tile_bounds(ranges[-1][2], ranges[-1][3], tiles.zoom)
    return Area(west, south, east, north)


def _laid_out(
    tiles: TileSet, written: TileMap, area: Area, given: Points | None, wanted: MapOptions
) -> tuple[Places, list[str]]:
    """The places, and notes about them."""
    kept = written.present if wanted.all_tiles else written.content
    if (laid := laid_out(area, given, wanted)) is not None:
        return laid if given is not None else laid.kept(on_tiles(kept, laid, tiles.zoom)), []
    if wanted.require_all_layers:
        common = tiles.tiles(in_all=True)
        if len(common) == 0:
            fewest = min(range(len(tiles.layers)), key=lambda layer: len(tiles.keys[layer]))
            raise SourceError(
                f"no tile exists in all {len(tiles.layers)} layers: {tiles.layers[fewest]} has only "
                f"{len(tiles.keys[fewest]):,}; without --require-all-layers, a missing tile counts as empty"
            )
        present = {tuple(tile) for tile in written.present.tolist()}
        common = common[[tuple(tile) in present for tile in common.tolist()]]
        return Places.from_tiles(common, tiles.zoom), []
    folder = wanted.tile_folder
    if folder is not None and tiles.kind == "colors" and tiles.about.get("has_metadata"):
        return _samples(folder, tiles, kept, wanted.size_m)
    return Places.from_tiles(kept, tiles.zoom), []


def _samples(folder: Path, tiles: TileSet, kept: Ints, size_m: float | None) -> tuple[Places, list[str]]:
    """The points sampled by the original pipeline, if they are on tiles."""
    import shapely

    metadata = read_loc2vec_metadata(folder / METADATA)
    notes = []
    if metadata.zoom != tiles.zoom:
        notes.append(f"{METADATA} is for zoom {metadata.zoom}, but the tiles have zoom {tiles.zoom}")
    lonlat = np.unique(np.round(metadata.lonlat, 7), axis=0)
    if len(lonlat) == 0:
        raise SourceError(f"{folder / METADATA} has no samples; remove it to use every tile as a place")
    size = size_m or metadata.patch_size * float(np.mean(meters_per_pixel(lonlat[:, 1], metadata.zoom)))
    names = np.array([f"{lon:.7f}_{lat:.7f}" for lon, lat in lonlat], dtype=object)
    points = np.asarray(shapely.points(lonlat), object).reshape(-1)
    places = Places(names, lonlat, points, size, "given")
    there = on_tiles(kept, places, tiles.zoom)
    if not there.all():
        notes.append(
            f"{int((~there).sum()):,} of {len(there):,} samples in {METADATA} are not on any tile and are left out"
        )
    return places.kept(there), notes


def on_tiles(kept: Ints, places: Places, zoom: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,) bool: places whose point is on one of the tiles."""
    at = np.floor(lonlat_to_tile_xy(places.lonlat[:, 0], places.lonlat[:, 1], zoom)).astype(np.int64)
    found: np.ndarray[Any, np.dtype[np.bool_]] = np.isin(
        at[:, 1] * 2**zoom + at[:, 0], kept[:, 1] * 2**zoom + kept[:, 0]
    )
    return found


def _report(
    tiles: TileSet, reading: Reading, written: TileMap, damaged: dict[tuple[int, int], str]
) -> dict[str, Any]:
    """Counts and problems, for information."""
    return {
        "layout": tiles.layout,
        "tiles": {name: len(keys) for name, keys in zip(tiles.layers, tiles.keys, strict=True)},
        "tiles_in_any_layer": len(tiles.tiles()),
        "tiles_in_all_layers": len(tiles.tiles(in_all=True)),
        "tiles_blank": len(written.present) - len(written.content),
        "tiles_damaged": len(damaged),
        "damaged_examples": list(damaged.values())[:20],
        "backgrounds": {
            name: mask.called for name, mask in zip(reading.channels, reading.masks, strict=False)
        },
        "thresholds": {
            name: mask.threshold for name, mask in zip(reading.channels, reading.masks, strict=False)
        },
        "ignored": dict(tiles.ignored.counts),
        "notes": list(tiles.notes),
    }
