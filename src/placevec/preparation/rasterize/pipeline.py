"""Draws the map of a dataset from an OSM extract: features are sorted to disk by shard, then drawn shard by shard.

Files in the dataset's directory: ``map/X_Y.tif`` (shards), ``map.vrt`` over them, ``map_coverage.tif``, one
``{label}_coverage.tif`` for each table of label classes, and ``pois.parquet``. Unfinished work is in ``.work``: a
killed run continues there if the extract, the rules, the area and the zoom are the same, and gives the same bytes.

"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from placevec.datasets.layout import WORK
from placevec.datasets.views.pois import Match, PoiTable, PoiWriter
from placevec.datasets.views.raster import NAME as MAP
from placevec.distributed.engine import LOCAL, Engine
from placevec.distributed.executors import Maker, Part
from placevec.errors import InputError
from placevec.geo import Area, Ints, check_zoom, meters_per_pixel, tile_ranges, tile_xy_to_lonlat
from placevec.geo.polylines import Floats, Paths, gather
from placevec.io.atomic import remove_temporaries, replacing, sha256_of_file, sha256_of_json
from placevec.io.jobs import Job, Parts
from placevec.io.progress import SILENT, Advance, Progress
from placevec.preparation.rasterize.coastline import Sea, close_sea
from placevec.preparation.rasterize.mosaic import Extent, write_coverage, write_vrt
from placevec.preparation.rasterize.shard_job import ShardJob, burn_shard
from placevec.preparation.rasterize.shard_parts import part_name, read_part, remove_unfinished
from placevec.preparation.rasterize.spool import (
    SEA,
    Drawings,
    Spool,
    TileRange,
    join_antimeridian,
    on_both_sides,
    spooled_bytes,
    spooled_shards,
    to_pixels,
)
from placevec.sources.osm.layers import Drawing, LayerTable
from placevec.sources.osm.objects import Kind
from placevec.sources.osm.reader import TYPE_NAMES, Features, ReadReport, check_extract, read_features

_METHOD = 1
"""Increased whenever the same inputs would give other pixels."""
_LABEL = re.compile("[a-z][a-z0-9_-]{0,40}")


class _Wanted(NamedTuple):
    """The parts of a feature to use: coastline, drawings, point of interest."""

    is_coast: bool
    drawings: tuple[Drawing, ...]
    match: Match


@dataclass(frozen=True)
class BurnReport:
    """Counts of features that were read and drawn.

    Attributes:
        layers: names of the map's bands.
        zoom: of the map.
        extract_sha256: of the file that was read.
        objects: nodes, ways and relations with a tag that was looked for.
        drawn: layer -> how many objects it shows.
        broken: reason -> how many features have no, or not all of their, geometry.
        examples: reason -> a few of them, such as "way/123".
        sea: what became of the sea, one sentence.
        notes: what had to be mended to read the extract.
        pois: rows of ``pois.parquet``.
        shards: how many files the map has.
        tiles: how many tiles the area's box has.
        seconds: stage -> time; the stages of a resumed run are those of its last part.
        nonempty_tiles: (N, 2) int64 x, y, in row order: tiles of the area with anything but the sea in a layer
            that counts as content (all but boundaries and places).
    """

    layers: tuple[str, ...]
    zoom: int
    extract_sha256: str
    objects: dict[str, int]
    drawn: dict[str, int]
    broken: dict[str, int]
    examples: dict[str, list[str]]
    sea: str
    notes: list[str]
    pois: int
    shards: int
    tiles: int
    seconds: dict[str, float]
    nonempty_tiles: Ints = field(repr=False)


def burn_extract(
    osm: str | Path,
    dataset: str | Path,
    *,
    area: Area,
    zoom: int = 17,
    table: LayerTable | None = None,
    labels: Mapping[str, LayerTable] | None = None,
    engine: Engine = LOCAL,
    progress: Progress = SILENT,
) -> BurnReport:
    """Draw an extract as the map, the coverage and the points of interest of a dataset's directory.

    Args:
        osm: .osm.pbf, .osm, .osm.gz or .osm.bz2.
        dataset: directory to write into; it is made if need be.
        area: tiles that touch its box are drawn.
        zoom: of the tiles, 0 to 22.
        table: the layers; the twelve of `LayerTable.default` if None.
        labels: name -> table of label classes, of which only ``{name}_coverage.tif`` is kept.
        engine: where shards are drawn.
        progress: where to report.

    Raises:
        SourceError: the extract is missing, damaged or has no coordinates.
        InputError: an impossible zoom or label name.
    """
    table, labels = table or LayerTable.default(), dict(labels or {})
    for name in labels:
        if not _LABEL.fullmatch(name):
            raise InputError(f"a label name must consist of lowercase letters, digits, - and _; got {name!r}")
    burn = _Burn(check_extract(osm), Path(dataset), area, check_zoom(zoom), table, labels, progress)
    return burn.run(engine)


class _Burn:
    """One drawing of an extract: its inputs, its folders, and its stages in order."""

    def __init__(
        self, osm: Path, dataset: Path, area: Area, zoom: int, table: LayerTable,
        labels: dict[str, LayerTable], progress: Progress,
    ) -> None:  # fmt: skip
        self.osm, self.dataset, self.area, self.zoom = osm, dataset, area, zoom
        self.table, self.labels, self.progress = table, labels, progress
        self.ranges: list[TileRange] = tile_ranges(area, zoom)
        self.tables = [table, *labels.values()]
        self.first_channel = np.cumsum([0, *(len(one.layers) for one in self.tables)]).tolist()
        if self.first_channel[-1] > 255:
            raise InputError(f"there are {self.first_channel[-1]} layers and label classes, more than 255")
        self.work = dataset / WORK
        self.seconds: dict[str, float] = {}

    def run(self, engine: Engine = LOCAL) -> BurnReport:
        with self._timed("fingerprint"):
            fingerprint = self._fingerprint()
        self.job = Job(
            self.work, fingerprint, afresh=lambda: remove_unfinished(self.dataset), progress=self.progress
        )
        about, tiles = self.job.get_json("report"), self.job.get_array("tiles")
        if about is not None and tiles is not None:
            return self._report(about, tiles, fingerprint)
        (self.dataset / MAP).mkdir(exist_ok=True)
        for folder in (self.dataset, self.dataset / MAP):
            remove_temporaries(folder)
        with self._timed("read"):
            about = self.job.get_json("spooled") or self._spool()
        with self._timed("burn"):
            shards = self._burn(engine)
        with self._timed("bind"):
            files, tiles = self._bind(shards)
        about |= {
            "files": files,
            "shards": sum(name.startswith("map/") for name in files),
        }
        self.job.put_array("tiles", tiles)
        self.job.put_json("report", about, [self.dataset / name for name in files])
        shutil.rmtree(self.work / "spool", ignore_errors=True)
        return self._report(about, tiles, fingerprint)

    # --- inputs --------------------------------------------------------------------------------------------

    def _fingerprint(self) -> dict[str, Any]:
        """Everything that the result depends on."""
        return {
            "method": _METHOD,
            "extract": sha256_of_file(self.osm),
            "area": sha256_of_json(self.area.as_dict()),
            "zoom": self.zoom,
            "layers": self.table.hash,
            "labels": {name: table.hash for name, table in self.labels.items()},
            "pois": PoiTable.default().hash,
        }

    # --- stages --------------------------------------------------------------------------------------------

    def _spool(self) -> dict[str, Any]:
        """Read the extract once: drawings to disk by shard, points of interest to their file."""
        shutil.rmtree(self.work / "spool", ignore_errors=True)
        spool = Spool(self.work / "spool", self.zoom, self.ranges)
        report, pois = ReadReport(), PoiTable.default()
        drawn = np.zeros(self.first_channel[-1], np.int64)
        coast: list[Paths] = []
        keys = {"natural"}.union(pois.keys, *(table.keys for table in self.tables))
        with replacing(self.dataset / "pois.parquet") as temporary, PoiWriter(temporary) as writer:
            chunks: Iterator[Features[_Wanted]] = read_features(
                self.osm,
                keys=keys,
                wanted=self._chooser(pois),
                asked=pois.asked.union(*(table.asked for table in self.tables)),
                report=report,
                work=self.work,
                progress=self.progress,
            )
            for chunk in chunks:
                is_coast = np.array([answer.is_coast for answer in chunk.answers], bool)
                coast.append(chunk.paths.take(np.flatnonzero(is_coast[chunk.answer])))
                self._write_pois(chunk, pois, writer)
                self._spool_chunk(chunk, spool, drawn)
        sea = self._spool_sea(Paths.concatenate(coast), spool)
        spool.flush()
        about = {
            "objects": report.objects,
            "drawn": dict(zip(self.table.layers, drawn.tolist(), strict=False)),
            "broken": report.broken,
            "examples": report.examples,
            "sea": sea,
            "notes": report.notes,
            "pois": writer.rows,
        }
        spooled = sorted((self.work / "spool").iterdir()) if (self.work / "spool").is_dir() else []
        self.job.put_json("spooled", about, [self.dataset / "pois.parquet", *spooled])
        return about

    def _chooser(self, pois: PoiTable) -> Callable[[Mapping[str, str], Kind], _Wanted | None]:
        """The function that selects the parts of a feature."""

        def wanted(tags: Mapping[str, str], kind: Kind) -> _Wanted | None:
            is_coast = kind in (Kind.LINE, Kind.RING) and tags.get("natural") == "coastline"
            drawings, match = self._drawings(tags, kind), pois.match(tags)
            return _Wanted(is_coast, drawings, match) if drawings or match.key or is_coast else None

        return wanted

    def _drawings(self, tags: Mapping[str, str], kind: Kind) -> tuple[Drawing, ...]:
        """The rules of all tables, with layers numbered consecutively."""
        return tuple(
            drawing._replace(layer=drawing.layer + first)
            for table, first in zip(self.tables, self.first_channel, strict=False)
            for drawing in table.classify(tags, kind)
        )

    def _write_pois(self, chunk: Features[_Wanted], pois: PoiTable, writer: PoiWriter) -> None:
        matched = np.array([bool(answer.match.key) for answer in chunk.answers], bool)
        rows = np.flatnonzero(matched[chunk.answer])
        if not len(rows):
            return
        centers = join_antimeridian(chunk.paths.take(rows)).centers()
        beyond = np.abs(centers[:, 0]) > 180.0
        centers[beyond, 0] = np.mod(centers[beyond, 0] + 180.0, 360.0) - 180.0
        centers[:, 1] = np.clip(centers[:, 1], -90.0, 90.0)
        tiles = to_pixels(centers, self.zoom) / 256.0
        inside = np.zeros(len(rows), bool)
        for x0, y0, x1, y1 in self.ranges:
            inside |= ((tiles >= [x0, y0]) & (tiles < [x1 + 1, y1 + 1])).all(axis=1)
        rows, centers = rows[inside], centers[inside]
        tags = chunk.tags.take(rows).only(pois.described).rows()
        answers = chunk.answer[rows].tolist()
        found = [
            pois.describe(own, chunk.answers[answer].match) for own, answer in zip(tags, answers, strict=True)
        ]
        named = np.array([poi is not None for poi in found], bool)
        rows = rows[named]
        types = [TYPE_NAMES[number] for number in chunk.osm_type[rows].tolist()]
        writer.add(types, chunk.osm_id[rows], centers[named], [poi for poi in found if poi is not None])

    def _spool_chunk(self, chunk: Features[_Wanted], spool: Spool, drawn: Ints) -> None:
        """Project a chunk and add its drawings to the shards."""
        used, answer = np.unique(chunk.answer, return_inverse=True)
        drawings = [chunk.answers[number].drawings for number in used.tolist()]
        flat = np.array([drawing for some in drawings for drawing in some], np.float64).reshape(-1, 3)
        offsets = np.cumsum([0, *map(len, drawings)], dtype=np.int64)
        index, ends = gather(offsets, answer)
        if not len(index):
            return
        rows = np.repeat(np.arange(len(chunk)), np.diff(ends))
        channel, how, meters = flat[index].T
        paths = join_antimeridian(chunk.paths)
        latitude = np.clip(paths.bounds()[:, 1::2].mean(axis=1), -85.0, 85.0)
        width = meters / meters_per_pixel(latitude, self.zoom)[rows]
        pixels = paths.with_xy(to_pixels(paths.xy, self.zoom)).take(rows)
        batch = Drawings(channel.astype(np.uint8), how.astype(np.uint8), width.astype(np.float32), pixels)
        touching = spool.add(batch)
        drawn += np.bincount(batch.channel[touching], minlength=len(drawn))

    def _spool_sea(self, coast: Paths, spool: Spool) -> str:
        if self.table.sea is None:
            return "the layers have no sea"
        corners = [
            tile_xy_to_lonlat(np.array([[x0, y1 + 1], [x1 + 1, y0]], np.float64), self.zoom)
            for x0, y0, x1, y1 in self.ranges
        ]
        boxes = [(low[0], low[1], high[0], high[1]) for low, high in corners]
        sea: Sea = close_sea(on_both_sides(coast), boxes)
        count = len(sea.paths)
        if count:
            pixels = sea.paths.with_xy(to_pixels(sea.paths.xy, self.zoom))
            channel = np.full(count, self.table.sea, np.uint8)
            spool.add(Drawings(channel, np.full(count, SEA, np.uint8), np.zeros(count, np.float32), pixels))
        self.progress.say(f"Sea: {sea.detail}")
        return sea.detail

    def _burn(self, engine: Engine) -> list[tuple[int, int]]:
        """Draw the unfinished shards; returns all shards with drawings, in row order."""
        shards = spooled_shards(self.work / "spool")
        # Those with most to draw first, so that no worker begins with a city when the others have finished.
        left = [
            Part(f"shard {shard[0]}_{shard[1]} of the map", self._job(shard))
            for shard in sorted(shards, key=partial(spooled_bytes, self.work / "spool"), reverse=True)
            if self.job.get(part_name(shard)) is None
        ]
        if not left:
            return shards
        with self.progress.task("Drawing shards", total=len(shards)) as advance:
            advance(len(shards) - len(left))
            with engine.opened(self.progress) as executor:
                for _ in executor.run(_Drawing(self.job.parts), left, advance):
                    pass
        # those of workers that died, also on other machines; whoever lives no longer has anything to write
        remove_temporaries(self.dataset / MAP, everyone=True)
        return shards

    def _job(self, shard: tuple[int, int]) -> ShardJob:
        return ShardJob(
            self.work.absolute() / "spool", self.dataset.absolute() / MAP / f"{shard[0]}_{shard[1]}.tif",
            self.job.parts.absolute(), shard,
            self.zoom, tuple(self.ranges), self.table.layers, self.first_channel[-1], self.table.content,
        )  # fmt: skip

    def _bind(self, shards: list[tuple[int, int]]) -> tuple[list[str], Ints]:
        """Write the files over all shards; returns all files, and the tiles with content."""
        extent = Extent.of(self.ranges, self.zoom)
        full, tiles = [], [np.zeros((0, 2), np.int64)]
        for shard in shards:
            part = read_part(self.job.parts, shard)
            tiles.append(part.tiles)
            if not part.is_empty:
                full.append(shard)
        write_vrt(self.dataset / "map.vrt", extent, full, self.table.layers)
        files = ["map.vrt", "pois.parquet", *(f"map/{x}_{y}.tif" for x, y in full)]
        names = [MAP, *self.labels]
        for name, one, first in zip(names, self.tables, self.first_channel, strict=False):
            parts = ((shard, read_part(self.job.parts, shard).coverage) for shard in shards)
            write_coverage(self.dataset / f"{name}_coverage.tif", extent, one.layers, first, parts)
            files.append(f"{name}_coverage.tif")
        found = np.concatenate(tiles)
        return files, found[np.lexsort((found[:, 0], found[:, 1]))]

    # --- report --------------------------------------------------------------------------------------------

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start

    def _report(self, about: dict[str, Any], tiles: Ints, fingerprint: dict[str, Any]) -> BurnReport:
        centers: Floats = tile_xy_to_lonlat(tiles + 0.5, self.zoom)
        inside = self.area.contains(centers[:, 0], centers[:, 1])
        named = {
            key: about[key]
            for key in ("objects", "drawn", "broken", "examples", "sea", "notes", "pois", "shards")
        }
        return BurnReport(
            layers=self.table.layers,
            zoom=self.zoom,
            extract_sha256=fingerprint["extract"],
            tiles=sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in self.ranges),
            seconds=self.seconds,
            nonempty_tiles=tiles[inside] if inside.any() else tiles,
            **named,
        )


@dataclass(frozen=True)
class _Drawing:
    """The work of drawing shards, see `placevec.distributed.executors.Work`."""

    parts: Parts

    def make(self, job: ShardJob, advance: Advance) -> tuple[int, int]:
        """Draw a shard."""
        return burn_shard(job)

    def elsewhere(self) -> Callable[[], Maker]:
        """See `Work.elsewhere`."""
        return partial(_opened, self.parts.absolute())


def _opened(parts: Parts) -> Maker:
    """`_Drawing.make` in another process; OutputError if it does not see the folder of the parts."""
    parts.check_shared()
    return _Drawing(parts).make
