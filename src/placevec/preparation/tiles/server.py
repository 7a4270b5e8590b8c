"""A tile server becomes a dataset with an RGB ``map`` view: only the tiles that the places need are requested."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from placevec.core import ViewSpec
from placevec.datasets.additions import MAP_PART, PLACES_PART, Joining, Made, add, reused
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import WORK, source_entry
from placevec.datasets.places import DEFAULT_SIZE_M, Places
from placevec.datasets.views.raster import KIND as RASTER
from placevec.datasets.writer import begun, write_dataset
from placevec.errors import AreaError, DatasetError, SourceError, UsageError
from placevec.geo import (
    TILE_PX,
    Area,
    Floats,
    check_zoom,
    meters_per_pixel,
    tile_xy_to_lonlat,
    tiles_of_area,
)
from placevec.geo.antimeridian import extent_of
from placevec.geo.geotiff import RGB
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.existing_places import (
    NEAR_M,
    are_laid_out_by,
    around,
    places_of,
    refuse_others,
)
from placevec.preparation.options import MapOptions
from placevec.preparation.osm import ATTRIBUTION, check_count, check_inside, laid_out, read_given
from placevec.preparation.rasterize.from_tiles import TileMap, shards_of, write_tile_map
from placevec.preparation.tiles.kept_tiles import KIND_NAMES, KeptTiles
from placevec.sources.tables.points import Points
from placevec.sources.tiles.address import TileTemplate
from placevec.sources.tiles.cache import BLANK, GOOD, TileCache
from placevec.sources.tiles.download import Download, TooManyBadError, download_tiles
from placevec.sources.tiles.loc2vec_metadata import NAME as METADATA
from placevec.sources.tiles.loc2vec_metadata import Loc2VecMetadata, write_loc2vec_metadata
from placevec.sources.tiles.plan import TilePlan, draw_samples

KIND = "tile-server"
LEFT_OUT = "tiles_left_out.csv"
_WORLD = Area(-180.0, -90.0, 180.0, 90.0)
_MIN_THREADS = 2
"""One reads a tile while the other waits for the disk."""


def prepare(
    out: Path,
    *,
    template: TileTemplate,
    area: Area | None,
    zoom: int,
    wanted: MapOptions,
    created: str,
    progress: Progress,
) -> Dataset:
    """Download the tiles, store them as the map of a dataset and write the manifest; see `placevec.prepare`."""
    check_zoom(zoom)
    given = read_given(wanted)
    there = begun(out)
    given_by_dataset = there is not None and not are_laid_out_by(there, KIND)
    if there is not None and given_by_dataset:
        laying_out = {
            "--spacing": wanted.spacing, "--samples": wanted.samples, "--patch-size": wanted.patch_size,
            "--all-tiles": wanted.all_tiles,
        }  # fmt: skip
        refuse_others(there, laying_out, places=wanted.places, size_m=wanted.size_m)
        area = around(there, area or _WORLD, area, template.shown, progress)
    area = area or _around(given)
    of_map = {
        "tiles": template.hash,
        "area": area.as_dict(),
        "zoom": zoom,
        "margin_m": wanted.margin_m,
        "attribution": wanted.attribution,
    }
    of_places = {
        **of_map,
        "samples": wanted.samples,
        "seed": wanted.seed if wanted.samples is not None else None,
        "patch_size": wanted.patch_size,
        "spacing_m": wanted.spacing,
        "places": None if wanted.places is None else atomic.sha256_of_file(wanted.places),
        "all_places": wanted.all_tiles,
        "size_m": wanted.size_m,
    }
    parts = {MAP_PART: Made(KIND, of_map)}
    if there is not None and given_by_dataset:
        return _added(there, parts[MAP_PART], template, area, zoom, wanted, created, progress)
    # the tiles depend on the places
    parts = {MAP_PART: Made(KIND, of_places), PLACES_PART: Made(KIND, of_places)}
    if there is not None:
        return reused(there, parts, progress)
    notes = [] if given is None else check_inside(given, area, str(wanted.places), progress)
    laid = _laid_out(area, zoom, given, wanted)
    plan = _planned(laid, zoom, wanted.margin_m, progress)
    (out / WORK).mkdir(parents=True, exist_ok=True)  # first of all, because it marks the directory as ours
    kept, stored = _stored(out, template, plan, wanted, progress)
    laid, left = _with_tiles(laid, kept, given is None and not wanted.all_tiles, progress)
    kept.write_list(out / LEFT_OUT)
    if given is not None or wanted.samples is not None or wanted.spacing is not None:
        write_loc2vec_metadata(out / METADATA, _metadata(template, laid, area, zoom, wanted.patch_size))
    else:
        (out / METADATA).unlink(missing_ok=True)  # from an unfinished run with samples
    dataset = write_dataset(
        out,
        name=_named(out, template),
        area=area,
        places=laid,
        names=None,
        sources=[stored.source],
        views={MAP_PART: stored.view},
        report={"tiles": len(plan), **kept.counts(), "places_left_out": left, "notes": notes},
        parts=parts,
        created=created,
    )
    shutil.rmtree(out / WORK, ignore_errors=True)
    return dataset


def _named(out: Path, template: TileTemplate) -> str:
    """The host, or the folder's name where the host is one's own machine or a number: pages have it as their title.

    >>> _named(Path("data/kyiv"), TileTemplate.parse("http://127.0.0.1:8080/{z}/{x}/{y}.png"))
    'kyiv'
    >>> _named(Path("data/.kyiv.new"), TileTemplate.parse("http://[::1]/{z}/{x}/{y}.png"))  # with --force
    'kyiv'
    >>> _named(Path("data/kyiv"), TileTemplate.parse("https://tiles.example/{z}/{x}/{y}.png"))
    'tiles.example'
    """
    host = template.server[0]
    numeric = ":" in host or host.replace(".", "").isdigit()
    if not numeric and "." in host:
        return host
    name = out.resolve().name
    beside = name.startswith(".") and name.endswith(".new")  # where `prepare --force` writes
    return (name[1:].removesuffix(".new") if beside else name)[:200]


def _added(
    dataset: Dataset,
    of: Made,
    template: TileTemplate,
    area: Area,
    zoom: int,
    wanted: MapOptions,
    created: str,
    progress: Progress,
) -> Dataset:
    """The dataset with the tiles that its places in an area need."""

    def write(folder: Path) -> Joining:
        laid = places_of(dataset)
        laid = laid.kept(area.contains(laid.lonlat[:, 0], laid.lonlat[:, 1]))
        plan = _planned(laid, zoom, wanted.margin_m, progress)
        kept, stored = _stored(folder, template, plan, wanted, progress)
        torn = int(plan.touching(laid.footprints(zoom), kept.not_to_be_had()).sum())
        if torn:
            progress.say(f"Note: {torn:,} of {len(laid):,} places lack a tile: the map is blank there")
        kept.write_list(folder / LEFT_OUT)
        return Joining(
            f"a map of {len(RGB)} channels at zoom {zoom}", [*stored.files, LEFT_OUT], [stored.source],
            views={MAP_PART: stored.view},
            report={"tiles": len(plan), **kept.counts(), "places_left_out": {"without_tiles": torn}},
        )  # fmt: skip

    return add(dataset, MAP_PART, of, write, created=created, progress=progress)


@dataclass(frozen=True)
class _Stored:
    """Tiles stored as a map, with their manifest entries."""

    files: list[str]
    source: dict[str, Any]
    view: dict[str, Any]


def _stored(
    folder: Path, template: TileTemplate, plan: TilePlan, wanted: MapOptions, progress: Progress
) -> tuple[KeptTiles, _Stored]:
    """Download the tiles of a plan and write them as a map into a folder."""
    attribution = wanted.attribution or ATTRIBUTION
    if wanted.attribution is None:
        progress.say(f"Note: the tiles are attributed to {attribution}; use --attribution for another source")
    with TileCache.of_server(template, plan.zoom) as cache:
        kept, written = _brought(folder, template, plan, cache, attribution, wanted, progress)
        content = cache.sha256(plan.codes)
    host, port, _ = template.server
    files = [folder / name for name in written.files]
    source = source_entry(
        KIND, f"{host}:{port}", files, url=template.shown, sha256=content, attribution=attribution
    )
    spec = ViewSpec(MAP_PART, RASTER, RGB, "intensity 0..255", size_px=TILE_PX, zoom=plan.zoom)
    return kept, _Stored(written.files, source, {"spec": spec.as_dict(), "files": written.files})


# --- places ------------------------------------------------------------------------------------------------


def _around(given: Points | None) -> Area:
    """The box around the given places."""
    if given is None:
        raise UsageError("an area is required: --bbox west,south,east,north, --polygon FILE or --places FILE")
    known = given.lonlat[np.isfinite(given.lonlat).all(axis=1)]
    if len(known) == 0:
        raise SourceError("no place has coordinates, so no tiles are needed")
    west, south, east, north = extent_of(known)
    return Area(
        max(west - 1e-4, -180.0), max(south - 1e-4, -90.0), min(east + 1e-4, 180.0), min(north + 1e-4, 90.0)
    )


def _laid_out(area: Area, zoom: int, given: Points | None, wanted: MapOptions) -> Places:
    size_m = wanted.size_m or DEFAULT_SIZE_M
    if wanted.patch_size is not None:
        size_m = wanted.patch_size * float(meters_per_pixel((area.south + area.north) / 2.0, zoom))
    if wanted.samples is not None:
        import shapely

        lonlat = draw_samples(area, wanted.samples, wanted.seed)
        names = np.array([f"{lon:.7f}_{lat:.7f}" for lon, lat in lonlat], dtype=object)
        return Places(
            names, lonlat, np.asarray(shapely.points(lonlat), object).reshape(-1), size_m, "samples"
        )
    if given is None:
        check_count(area, zoom, wanted.spacing)
    laid = laid_out(area, given, wanted, size_m)
    return Places.from_tiles(tiles_of_area(area, zoom), zoom) if laid is None else laid


def _planned(laid: Places, zoom: int, margin_m: float | None, progress: Progress) -> TilePlan:
    """The tiles that the places need: for their windows, rotated by any angle, and those of their positives."""
    footprints = laid.footprints(zoom)
    known = np.isfinite(laid.lonlat[:, 1])
    side = laid.size_m or float(np.max(meters_per_pixel(laid.lonlat[known, 1], zoom))) * TILE_PX
    margin = NEAR_M + (math.sqrt(2.0) - 1.0) / 2.0 * side if margin_m is None else margin_m
    plan = TilePlan.around(footprints, zoom, margin)
    if len(plan) == 0:
        raise AreaError("no place needs a tile")
    alone = "" if margin == 0 else f" ({len(TilePlan.around(footprints, zoom)):,} without that margin)"
    progress.say(
        f"{len(laid):,} places of {side:,.0f} m with a margin of {margin:,.0f} m need {len(plan):,} tiles of zoom "
        f"{zoom}{alone}, around {_middle(plan)}"
    )
    return plan


def _middle(plan: TilePlan) -> str:
    """Location of the tiles, so that users notice swapped longitude and latitude: no server reports it."""
    # of real tiles: between two of them, the other side of the Earth could lie
    middle = np.quantile(plan.tiles, 0.5, axis=0, method="lower")
    lon, lat = tile_xy_to_lonlat(middle + 0.5, plan.zoom)
    return f"lon={lon:.3f}, lat={lat:.3f}"


def _with_tiles(
    laid: Places, kept: KeptTiles, only_content: bool, progress: Progress
) -> tuple[Places, dict[str, int]]:
    """Places whose own window has all its tiles and, with ``only_content``, shows more than one color."""
    footprints: Floats = laid.footprints(kept.plan.zoom)
    known = np.isfinite(footprints).all(axis=1)
    torn = kept.plan.touching(footprints, kept.not_to_be_had())
    blank = known & ~torn & ~kept.plan.touching(footprints, kept.of_kind(GOOD)) & only_content
    left = {"without_tiles": int(torn.sum()), "of_one_color": int(blank.sum())}
    for count, why in zip(left.values(), ("lack a tile", "show only a single color"), strict=True):
        if count:
            progress.say(f"Note: {count:,} of {len(laid):,} places {why} and are left out")
    found = laid.kept(~torn & ~blank)
    if len(found) == 0:
        raise DatasetError(
            "no place has all its tiles and something on them: use --all-tiles to keep places with a single color"
        )
    return found, left


def _metadata(
    template: TileTemplate, laid: Places, area: Area, zoom: int, patch_size: int | None
) -> Loc2VecMetadata:
    """Metadata of the tiles, as in the original pipeline."""
    host, port, path = template.server
    lonlat = laid.lonlat[np.isfinite(laid.lonlat).all(axis=1)]
    side = (laid.size_m or 0.0) / float(meters_per_pixel((area.south + area.north) / 2.0, zoom))
    pixels = patch_size or min(max(round(side), 1), 4096)
    return Loc2VecMetadata(zoom, lonlat, pixels, area, host, port, path)


# --- tiles -------------------------------------------------------------------------------------------------


def _brought(
    out: Path, template: TileTemplate, plan: TilePlan, cache: TileCache, attribution: str, wanted: MapOptions,
    progress: Progress,
) -> tuple[KeptTiles, TileMap]:  # fmt: skip
    """Download the tiles that are not cached, and write the map."""
    allowed = math.floor(wanted.max_failed * len(plan))
    try:
        download = download_tiles(
            template, plan, cache, connections=wanted.connections, max_bad=allowed, refresh=wanted.refresh_tiles,
            progress=progress,
        )  # fmt: skip
        progress.say(_told(download))
        kept = KeptTiles(plan, cache, download.bad)
        written = write_tile_map(
            out, zoom=plan.zoom, channels=RGB, bits=8, shards=shards_of(plan.tiles), read=kept.read,
            attribution=attribution, total=len(plan), progress=progress,
            threads=max(_MIN_THREADS, wanted.workers or 1),
            fingerprint={"content": cache.sha256(plan.codes), "bad": sorted(download.bad)},
        )  # fmt: skip
        kept.look_at_the_rest()
        if len(kept.bad) > allowed:
            raise TooManyBadError(kept.bad, len(plan), allowed)
    except TooManyBadError as error:
        listed = cache.path.with_name(LEFT_OUT)
        KeptTiles(plan, cache, error.bad).write_list(listed)
        raise SourceError(
            f"{error}; they are listed in {listed}; to allow more than {wanted.max_failed:g}, set --max-failed SHARE"
        ) from error
    if not (kept.kinds == GOOD).any():
        raise SourceError(
            f"every tile of {template.shown} has a single color: does the server cover this area, around {_middle(plan)}?"
        )
    for kind, count in sorted(Counter(kept.kinds.tolist()).items()):
        if kind not in (GOOD, BLANK):
            progress.say(
                f"Note: {count:,} tiles are {KIND_NAMES[kind]}; {LEFT_OUT} in the dataset lists them"
            )
    return kept, written


def _told(download: Download) -> str:
    return (
        f"{download.fetched:,} tiles downloaded ({download.size / 1e6:,.1f} MB), {download.unchanged:,} unchanged, "
        f"{download.kept:,} from the cache"
    )
