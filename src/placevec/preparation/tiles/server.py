"""A tile server becomes a dataset with an RGB ``map`` view: only the tiles that the places need are asked for."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.core import ViewSpec
from placevec.datasets.dataset import MANIFEST, Dataset
from placevec.datasets.places import Places
from placevec.datasets.views.raster.shards import Bytes
from placevec.datasets.writer import write_dataset
from placevec.errors import AreaError, DatasetError, SourceError, UsageError
from placevec.geo import (
    TILE_PX,
    Area,
    Floats,
    Ints,
    check_zoom,
    meters_per_pixel,
    metric_grid,
    tile_id,
    tile_xy_to_lonlat,
    tiles_of_area,
)
from placevec.geo.antimeridian import extent_of
from placevec.geo.geotiff import RGB
from placevec.io import atomic
from placevec.io.atomic import write_csv
from placevec.io.progress import Progress
from placevec.preparation.options import MapOptions
from placevec.preparation.osm import (
    ATTRIBUTION,
    DEFAULT_SIZE_M,
    check_count,
    check_inside,
    check_size,
    reused,
)
from placevec.preparation.rasterize.from_tiles import WORK, TileMap, shards_of, write_tile_map
from placevec.preparation.tiles.masks import over
from placevec.sources.tables.points import Points, read_points
from placevec.sources.tiles.address import TileTemplate
from placevec.sources.tiles.cache import BLANK, CORRUPT, FAILED, GOOD, MISSING, UNKNOWN, TileCache
from placevec.sources.tiles.decode import decode_tile
from placevec.sources.tiles.download import Download, TooManyBadError, download_tiles
from placevec.sources.tiles.loc2vec_metadata import NAME as METADATA
from placevec.sources.tiles.loc2vec_metadata import Loc2VecMetadata, write_loc2vec_metadata
from placevec.sources.tiles.plan import TilePlan, draw_samples

NEAR_M = 112.0
"""How far from its place a positive is read: the default near radius, and the founding 0.001 degrees of latitude."""
LEFT_OUT = "tiles_left_out.csv"
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
    """Bring the tiles, store them as the map of a dataset and write the manifest; see `placevec.prepare`."""
    check_zoom(zoom)
    check_size(wanted.spacing, wanted.size_m)
    given = None if wanted.places is None else read_points(wanted.places)
    area = area or _around(given)
    inputs = {
        "tiles": template.hash,
        "area": area.as_dict(),
        "zoom": zoom,
        "samples": wanted.samples,
        "seed": wanted.seed if wanted.samples is not None else None,
        "patch_size": wanted.patch_size,
        "margin_m": wanted.margin_m,
        "attribution": wanted.attribution,
        "spacing_m": wanted.spacing,
        "places": None if wanted.places is None else atomic.sha256_of_file(wanted.places),
        "all_places": wanted.all_tiles,
        "size_m": wanted.size_m,
    }
    if (out / MANIFEST).exists() or (out / WORK).is_dir():
        atomic.remove_temporaries(out)
    if (out / MANIFEST).exists():
        return reused(out, inputs, progress)
    if out.exists() and any(path.name != WORK for path in out.iterdir()) and not (out / WORK).is_dir():
        raise DatasetError(f"{out} exists and is not a placevec dataset: choose another --out")
    laid = _laid_out(area, zoom, given, wanted, progress)
    plan = _planned(laid, zoom, wanted.margin_m, progress)
    (out / WORK).mkdir(parents=True, exist_ok=True)  # before anything else: it tells whose the directory is
    attribution = wanted.attribution or ATTRIBUTION
    if wanted.attribution is None:
        progress.say(f"Note: the tiles are credited to {attribution}; --attribution names another source")
    with TileCache.of_server(template, zoom) as cache:
        kept, written = _brought(out, template, plan, cache, attribution, wanted, progress)
        content = cache.sha256(plan.codes)
    laid, left = _with_tiles(laid, kept, given is None and not wanted.all_tiles, progress)
    kept.write_list(out / LEFT_OUT)
    if given is not None or wanted.samples is not None or wanted.spacing is not None:
        write_loc2vec_metadata(out / METADATA, _metadata(template, laid, area, zoom, wanted.patch_size))
    else:
        (out / METADATA).unlink(missing_ok=True)  # of an unfinished run with samples
    host, port, _ = template.server
    source = {
        "kind": "tile-server",
        "name": f"{host}:{port}",
        "path": None,
        "url": template.shown,
        "sha256": content,
        "bytes": sum((out / name).stat().st_size for name in written.files),
        "timestamp": None,
        "licence": None,
        "attribution": attribution,
    }
    spec = ViewSpec("map", "raster", RGB, "intensity 0..255", size_px=TILE_PX, zoom=zoom)
    dataset = write_dataset(
        out,
        name=host,
        area=area,
        places=laid,
        names=None,
        sources=[source],
        views={"map": {"spec": spec.as_dict(), "files": written.files}},
        report={"inputs": inputs, "tiles": len(plan), **kept.counts(), "places_left_out": left},
        created=created,
    )
    shutil.rmtree(out / WORK, ignore_errors=True)
    return dataset


# --- places ------------------------------------------------------------------------------------------------


def _around(given: Points | None) -> Area:
    """The box of the places that were handed in."""
    if given is None:
        raise UsageError("an area is needed: --bbox west,south,east,north, --polygon FILE or --places FILE")
    known = given.lonlat[np.isfinite(given.lonlat).all(axis=1)]
    if len(known) == 0:
        raise SourceError("no place has coordinates: there is no tile to ask for")
    west, south, east, north = extent_of(known)
    return Area(
        max(west - 1e-4, -180.0), max(south - 1e-4, -90.0), min(east + 1e-4, 180.0), min(north + 1e-4, 90.0)
    )


def _laid_out(area: Area, zoom: int, given: Points | None, wanted: MapOptions, progress: Progress) -> Places:
    middle = (area.south + area.north) / 2.0
    size_m = wanted.size_m or DEFAULT_SIZE_M
    if wanted.patch_size is not None:
        size_m = wanted.patch_size * float(meters_per_pixel(middle, zoom))
    if given is not None:
        check_inside(given, area, str(wanted.places), progress)
        return Places(given.place_id, given.lonlat, given.geometry, size_m, "given")
    if wanted.samples is not None:
        import shapely

        lonlat = draw_samples(area, wanted.samples, wanted.seed)
        names = np.array([f"{lon:.7f}_{lat:.7f}" for lon, lat in lonlat], dtype=object)
        return Places(
            names, lonlat, np.asarray(shapely.points(lonlat), object).reshape(-1), size_m, "samples"
        )
    check_count(area, zoom, wanted.spacing)
    if wanted.spacing is not None:
        return Places.from_grid(metric_grid(area, wanted.spacing), size_m=size_m, spacing_m=wanted.spacing)
    return Places.from_tiles(tiles_of_area(area, zoom), zoom)


def _planned(laid: Places, zoom: int, margin_m: float | None, progress: Progress) -> TilePlan:
    """The tiles that the places need: their windows, turned by any angle, and those of their positives."""
    footprints = laid.footprints(zoom)
    known = np.isfinite(laid.lonlat[:, 1])
    side = laid.size_m or float(np.max(meters_per_pixel(laid.lonlat[known, 1], zoom))) * TILE_PX
    margin = NEAR_M + (math.sqrt(2.0) - 1.0) / 2.0 * side if margin_m is None else margin_m
    plan = TilePlan.around(footprints, zoom, margin)
    if len(plan) == 0:
        raise AreaError("no place needs a tile")
    alone = "" if margin == 0 else f" ({len(TilePlan.around(footprints, zoom)):,} without that margin)"
    progress.say(
        f"{len(laid):,} places of {side:,.0f} m with {margin:,.0f} m around them need {len(plan):,} tiles of zoom "
        f"{zoom}{alone}, around {_middle(plan)}"
    )
    return plan


def _middle(plan: TilePlan) -> str:
    """Where the tiles lie, for people to see whether longitude and latitude are swapped: no server says so."""
    # tiles that there are: between two of them may lie the other side of the Earth
    middle = np.quantile(plan.tiles, 0.5, axis=0, method="lower")
    lon, lat = tile_xy_to_lonlat(middle + 0.5, plan.zoom)
    return f"lon={lon:.3f}, lat={lat:.3f}"


def _with_tiles(
    laid: Places, kept: KeptTiles, only_content: bool, progress: Progress
) -> tuple[Places, dict[str, int]]:
    """Places whose own window has all its tiles and, if ``only_content``, shows more than one color."""
    footprints: Floats = laid.footprints(kept.plan.zoom)
    known = np.isfinite(footprints).all(axis=1)
    torn = kept.plan.touching(footprints, kept.not_to_be_had())
    blank = known & ~torn & ~kept.plan.touching(footprints, kept.of_kind(GOOD)) & only_content
    left = {"without_tiles": int(torn.sum()), "of_one_color": int(blank.sum())}
    for count, why in zip(left.values(), ("lack a tile", "show nothing but one color"), strict=True):
        if count:
            progress.say(f"Note: {count:,} of {len(laid):,} places {why} and are left out")
    found = laid.kept(~torn & ~blank)
    if len(found) == 0:
        raise DatasetError(
            "no place has its tiles and anything on them: --all-tiles keeps those of one color too"
        )
    return found, left


def _metadata(
    template: TileTemplate, laid: Places, area: Area, zoom: int, patch_size: int | None
) -> Loc2VecMetadata:
    """What the founding pipeline notes of its tiles."""
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
    """Download what is not kept, and write the map."""
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
            threads=max(_MIN_THREADS, wanted.workers),
            fingerprint={"content": cache.sha256(plan.codes), "bad": sorted(download.bad)},
        )  # fmt: skip
        kept.look_at_the_rest()
        if len(kept.bad) > allowed:
            raise TooManyBadError(kept.bad, len(plan), allowed)
    except TooManyBadError as error:
        listed = cache.path.with_name(LEFT_OUT)
        KeptTiles(plan, cache, error.bad).write_list(listed)
        raise SourceError(
            f"{error}; they are listed in {listed}, and --max-failed SHARE allows more than {wanted.max_failed:g}"
        ) from error
    if not (kept.kinds == GOOD).any():
        raise SourceError(
            f"every tile of {template.shown} is of one color: has the server data of this area, around {_middle(plan)}?"
        )
    for kind, count in sorted(Counter(kept.kinds.tolist()).items()):
        if kind not in (GOOD, BLANK):
            progress.say(f"Note: {count:,} tiles are {KIND_NAMES[kind]}; {out / LEFT_OUT} lists them")
    return kept, written


def _told(download: Download) -> str:
    return (
        f"{download.fetched:,} tiles came ({download.size / 1e6:,.1f} MB), {download.unchanged:,} were unchanged, "
        f"{download.kept:,} had been kept"
    )


KIND_NAMES = {GOOD: "good", BLANK: "blank", CORRUPT: "corrupt", MISSING: "missing", FAILED: "failed"}
"""Blank is of one color all over, missing is not on the server, failed was not to be had."""


class KeptTiles:
    """The tiles of a plan.

    Args:
        plan: which.
        cache: where they are kept.
        bad: code -> (kind, reason) of those that did not come.

    Attributes:
        kinds: (N,) uint8 in the order of the plan, known once `read` or `look_at_the_rest` saw the tile.
        bad: those that did not come or are damaged.
    """

    def __init__(self, plan: TilePlan, cache: TileCache, bad: dict[int, tuple[int, str]]) -> None:
        self.plan, self.cache, self.bad = plan, cache, dict(bad)
        self._order = np.argsort(plan.codes)
        self._codes = plan.codes[self._order]
        self.kinds: NDArray[np.uint8] = np.zeros(len(plan), np.uint8)
        for code, (kind, _) in bad.items():
            self.kinds[self._at(code)] = kind

    def _at(self, code: int) -> int:
        """The row of a tile in the plan, or -1."""
        at = int(np.searchsorted(self._codes, code))
        return int(self._order[at]) if at < len(self._codes) and self._codes[at] == code else -1

    def read(self, x: int, y: int) -> Bytes | None:
        """(256, 256, 3) red, green and blue, what is transparent as white; None where there is no tile."""
        code = y * 2**self.plan.zoom + x
        row = self._at(code)
        if row < 0 or code in self.bad:
            return None
        content = self.cache.read(code)
        if content is None:
            self._damaged(row, code, "the tile is no longer kept")
            return None
        try:
            pixels = over(decode_tile(content))
        except SourceError as error:
            self._damaged(row, code, str(error))
            return None
        self.kinds[row] = BLANK if (pixels == pixels[0, 0]).all() else GOOD
        return pixels

    def _damaged(self, row: int, code: int, reason: str) -> None:
        self.kinds[row] = CORRUPT
        self.bad[code] = CORRUPT, reason

    def look_at_the_rest(self) -> None:
        """Say of every tile what it is: those that an earlier part of this run stored were not read again."""
        unseen = np.flatnonzero(self.kinds == UNKNOWN)
        known = self.cache.kinds(self.plan.codes[unseen])
        self.kinds[unseen] = np.where(np.isin(known, (GOOD, BLANK)), known, UNKNOWN)
        for code in self.plan.codes[self.kinds == UNKNOWN].tolist():
            y, x = divmod(code, 2**self.plan.zoom)
            self.read(x, y)
        seen = np.isin(self.kinds, (GOOD, BLANK, CORRUPT))
        self.cache.mark(self.plan.codes[seen], self.kinds[seen])

    def of_kind(self, *kinds: int) -> Ints:
        """The codes of all tiles of some kinds."""
        return self.plan.codes[np.isin(self.kinds, kinds)]

    def not_to_be_had(self) -> Ints:
        """The codes of all tiles that have no pixels."""
        return self.of_kind(CORRUPT, MISSING, FAILED)

    def counts(self) -> dict[str, int]:
        """How many tiles there are of each kind."""
        return {f"tiles_{name}": int((self.kinds == kind).sum()) for kind, name in KIND_NAMES.items()}

    def write_list(self, path: Path) -> None:
        """A CSV of the tiles that are not good, row by row of the map: tile, kind, reason."""
        zoom = self.plan.zoom
        rows = [
            (tile_id(code % 2**zoom, code // 2**zoom, zoom), KIND_NAMES[kind], reason)
            for code, (kind, reason) in [
                *self.bad.items(),
                *((code, (BLANK, "one color all over")) for code in self.of_kind(BLANK).tolist()),
            ]
        ]
        ordered = sorted(rows, key=lambda row: [int(part) for part in reversed(row[0].split("/"))])
        write_csv(path, ("tile", "kind", "reason"), ordered)
