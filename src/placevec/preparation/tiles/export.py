"""Exports the map of a dataset as tiles in the original layouts, or as MBTiles.

Masks are written white on black with one bit per pixel, so that reading them restores the same bits. Unfinished work
is next to the target under a hidden name and is renamed when complete; a killed run continues shard by shard.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from placevec.datasets.dataset import Dataset
from placevec.datasets.views.raster import NAME as MAP
from placevec.datasets.views.raster.blocks import ShardFolder
from placevec.datasets.views.raster.shards import SHARD_NAME, SHARD_TILES, Bytes, read_shard_table
from placevec.errors import OutputError, PlacevecError, UsageError
from placevec.geo import TILE_PX, Ints, lonlat_to_tile_xy, meters_per_pixel
from placevec.geo.geotiff import RGB
from placevec.io import atomic
from placevec.io.jobs import forget, opened
from placevec.io.locks import locked
from placevec.io.progress import SILENT, Progress
from placevec.preparation.rasterize.from_tiles import Shard, shards_of
from placevec.sources.tiles.folder import METADATA, TILEJSON
from placevec.sources.tiles.loc2vec_metadata import Loc2VecMetadata, write_loc2vec_metadata
from placevec.sources.tiles.mbtiles import ENDING, mbtiles_metadata
from placevec.sources.tiles.tilesets import check_layer

_STAMP = ".placevec.json"
"""Hidden file that records what was exported."""
_WHOLE = "whole"
"""Folder of unfinished work, renamed at the end."""
_FORMAT = 1
"""Increased whenever the same dataset would export to different tiles."""
_PATCH_PX = 64
Tiles = Iterable[tuple[int, int, Sequence[bytes]]]
"""x, y and the pictures of tiles, one per layer."""


def export_tile_folder(dataset: Dataset, out: Path, *, progress: Progress = SILENT) -> int:
    """Write ``tiles/LAYER/z/x/y.png``, or ``tiles/tile_z_x_y.png`` and ``metadata.json`` for colors; and
    ``tiles.json``.

    Returns:
        The number of tiles; each has a picture in every layer.

    Raises:
        OutputError: ``out`` exists and is something else.
        DatasetError: a damaged shard.
    """
    return _export(_Folder(dataset, Path(out)), progress)


def export_mbtiles(dataset: Dataset, out: Path, *, progress: Progress = SILENT) -> int:
    """Write one MBTiles file of colors, or a folder of ``LAYER.mbtiles``; otherwise as `export_tile_folder`.

    Raises UsageError where a folder is named for a file, or the other way round.
    """
    is_file, is_rgb = Path(out).suffix == ENDING, dataset.base_map_spec.channels == RGB
    if is_file != is_rgb:
        expected = (
            f"one file: give a name that ends in {ENDING}"
            if is_rgb
            else "one file per layer: give the folder"
        )
        raise UsageError(
            f"{len(dataset.base_map_spec.channels)} channels of {dataset.path} become {expected}"
        )
    return _export(_MBTiles(dataset, Path(out)), progress)


# --- what is written ---------------------------------------------------------------------------------------


class _Target(Protocol):
    """The destination of exported tiles."""

    dataset: Dataset
    out: Path

    def made_from(self) -> Any:
        """The inputs from which ``out`` was made; None if unknown."""

    def write(self, work: Path, shard: Shard, tiles: Tiles) -> list[Path]:
        """Write the pictures of a shard below a folder; returns the files."""

    def finish(self, work: Path, shards: Sequence[Shard], inputs: Mapping[str, Any]) -> None:
        """Move the finished output to its path."""


def _export(target: _Target, progress: Progress) -> int:
    dataset, out = target.dataset, target.out
    spec = dataset.base_map_spec
    layers = () if spec.channels == RGB else tuple(check_layer(name) for name in spec.channels)
    inputs = {
        "format": _FORMAT,
        "dataset": dataset.hash,
        "layers": list(layers),
        "kind": type(target).__name__,
    }
    work = out.with_name(f".{out.name}.new")
    every = list(_tiles(dataset))
    count = sum(len(tiles) for _, tiles in every)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if target.made_from() != inputs:
            raise OutputError(f"{out} exists and was not exported from this dataset: choose another path")
        with locked(out, progress=progress):
            forget(work)  # of a run that was killed after its last file
        progress.say(f"Reusing {out}, which was exported from the same dataset")
        return count
    atomic.check_writable(out, directory=True)
    with opened(out, inputs, work=work, progress=progress) as job:
        map_ = ShardFolder(dataset.path / MAP, zoom=dataset.zoom, bands=len(spec.channels), memory=False)
        with progress.task("Exporting tiles", total=count) as advance, atomic.explained(work):
            for shard, tiles in every:
                if job.get(_named(shard)) is None:
                    job.put(_named(shard), files=target.write(work, shard, _pictures(map_, tiles)))
                advance(len(tiles))
        with atomic.explained(out):
            target.finish(work, [shard for shard, _ in every], inputs)
        job.finish()
    return count


def _named(shard: Shard) -> str:
    return f"{shard[0]}_{shard[1]}"


def _reads(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _into_place(whole: Path, out: Path) -> None:
    """Rename the finished output once it is on the disk; one sync for thousands of small files."""
    atomic.remove_temporaries(whole)
    os.sync()
    if out.is_dir():
        out.rmdir()  # it is empty
    os.replace(whole, out)


def _tiles(dataset: Dataset) -> Iterator[tuple[Shard, Ints]]:
    """(N, 2) x, y of the tiles with content or a place, shard by shard, row by row."""
    zoom, side = dataset.zoom, 2**dataset.zoom
    known = np.isfinite(dataset.lonlat).all(axis=1)
    lon, lat = dataset.lonlat[known].T
    at = np.floor(lonlat_to_tile_xy(lon, lat, zoom)).astype(np.int64)
    placed = np.unique(np.minimum(at[:, 1], side - 1) * side + at[:, 0] % side)
    under: dict[Shard, list[Ints]] = {}
    xy = np.stack([placed % side, placed // side], axis=1)
    for shard in shards_of(xy) if len(xy) else []:
        inside = (xy // SHARD_TILES == shard).all(axis=1)
        under[shard] = [xy[inside]]
    for path in sorted((dataset.path / MAP).glob("*.tif")):
        if match := SHARD_NAME.fullmatch(path.name):
            shard = int(match[1]), int(match[2])
            first = read_shard_table(path, zoom, len(dataset.base_map_spec.channels)).first
            row, column = np.divmod(np.flatnonzero(np.diff(first)), SHARD_TILES)
            stored = np.stack([column, row], axis=1).astype(np.int64) + np.array(shard) * SHARD_TILES
            under.setdefault(shard, []).append(stored)
    for shard in sorted(under, key=lambda one: (one[1], one[0])):
        tiles = np.unique(np.concatenate(under[shard])[:, ::-1], axis=0)[:, ::-1]
        yield shard, tiles


def _pictures(map_: ShardFolder, tiles: Ints) -> Iterator[tuple[int, int, list[bytes]]]:
    """(x, y, PNG files): one per layer, or one for colors."""
    is_rgb = map_.bits == 8 and map_.bands == len(RGB)
    blank = _png(np.zeros((TILE_PX, TILE_PX), np.uint8), map_.bits)
    pixels = np.zeros((map_.bands, TILE_PX, TILE_PX), np.uint8)
    for x, y in tiles.tolist():
        pixels[:] = 0
        written = set(map_.read_into(pixels, x * TILE_PX, y * TILE_PX, range(map_.bands)))
        if is_rgb:
            yield x, y, [_png(np.ascontiguousarray(pixels.transpose(1, 2, 0)), 8)]
        else:
            yield (
                x,
                y,
                [_png(plane, map_.bits) if band in written else blank for band, plane in enumerate(pixels)],
            )


def _png(pixels: Bytes, bits: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    image = (
        Image.frombytes("1", (TILE_PX, TILE_PX), np.packbits(pixels != 0, axis=1).tobytes())
        if bits == 1
        else Image.fromarray(pixels)
    )
    image.save(file, "PNG", compress_level=6)
    return file.getvalue()


def _about(dataset: Dataset) -> dict[str, Any]:
    """The TileJSON document (github.com/mapbox/tilejson-spec, 3.0.0) of all tiles."""
    west, south, east, north = dataset.area.bounds
    spec = dataset.base_map_spec
    return {
        "tilejson": "3.0.0",
        "name": dataset.name,
        "attribution": dataset.attribution,
        "scheme": "xyz",
        "minzoom": dataset.zoom,
        "maxzoom": dataset.zoom,
        "bounds": [west, south, east, north],
        "placevec": {
            "channels": list(spec.channels),
            "values": spec.values,
            "background": "black",
            "rules": spec.rules,
            "dataset": dataset.hash,
        },
    }


# --- folders -----------------------------------------------------------------------------------------------


class _Folder:
    def __init__(self, dataset: Dataset, out: Path) -> None:
        self.dataset, self.out = dataset, Path(os.path.abspath(out))
        self.zoom = dataset.zoom
        self.layers = None if dataset.base_map_spec.channels == RGB else dataset.base_map_spec.channels

    def made_from(self) -> Any:
        """The note in the folder."""
        return _reads(self.out / _STAMP)

    def write(self, work: Path, shard: Shard, tiles: Tiles) -> list[Path]:
        """One file a picture."""
        made: set[Path] = set()
        files = []
        for x, y, pictures in tiles:
            for layer, content in enumerate(pictures):
                path = work / _WHOLE / self._name(layer, x, y)
                if path.parent not in made:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    made.add(path.parent)
                path.write_bytes(content)
                files.append(path)
        return files

    def _name(self, layer: int, x: int, y: int) -> Path:
        if self.layers is None:
            return Path("tiles", f"tile_{self.zoom}_{x}_{y}.png")
        return Path("tiles", self.layers[layer], str(self.zoom), str(x), f"{y}.png")

    def finish(self, work: Path, shards: Sequence[Shard], inputs: Mapping[str, Any]) -> None:
        """Write the metadata, and rename."""
        whole = work / _WHOLE
        pattern = "tile_{z}_{x}_{y}.png" if self.layers is None else "{layer}/{z}/{x}/{y}.png"
        atomic.write_json(whole / TILEJSON, {**_about(self.dataset), "tiles": [f"tiles/{pattern}"]})
        if self.layers is None:
            write_loc2vec_metadata(whole / METADATA, _metadata(self.dataset))
        atomic.write_json(whole / _STAMP, inputs)
        _into_place(whole, self.out)


def _metadata(dataset: Dataset) -> Loc2VecMetadata:
    """The places as samples of the original pipeline."""
    lonlat = dataset.lonlat[np.isfinite(dataset.lonlat).all(axis=1)]
    size_m = dataset.manifest["places"]["size_m"]
    pixel_m = float(np.mean(meters_per_pixel(lonlat[:, 1], dataset.zoom))) if len(lonlat) else 1.0
    patch = _PATCH_PX if size_m is None else min(max(round(size_m / pixel_m), 1), 4096)
    return Loc2VecMetadata(dataset.zoom, lonlat, patch, dataset.area)


# --- MBTiles -----------------------------------------------------------------------------------------------

_STAMP_NAME = "placevec_export"
_TABLES = """
CREATE TABLE metadata (name text, value text);
CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob);
"""


class _MBTiles:
    def __init__(self, dataset: Dataset, out: Path) -> None:
        self.dataset, self.out = dataset, Path(os.path.abspath(out))
        self.is_rgb = dataset.base_map_spec.channels == RGB
        self.names = ("tiles",) if self.is_rgb else dataset.base_map_spec.channels

    def made_from(self) -> Any:
        """The note in the folder, or in the file."""
        if not self.is_rgb:
            return _reads(self.out / _STAMP)
        try:
            return json.loads(mbtiles_metadata(self.out).get(_STAMP_NAME, ""))
        except (PlacevecError, ValueError):
            return None

    def write(self, work: Path, shard: Shard, tiles: Tiles) -> list[Path]:
        """One table for all layers of a shard."""
        top = 2**self.dataset.zoom - 1
        rows = (
            (layer, x, top - y, content) for x, y, pictures in tiles for layer, content in enumerate(pictures)
        )
        path = work / f"{_named(shard)}.db"
        path.unlink(missing_ok=True)
        with _sqlite_explained(self.out), closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA synchronous = OFF")  # its checksum shows whether it was written
            with file:
                file.execute("CREATE TABLE tiles (layer integer, x integer, y integer, data blob)")
                file.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
        return [path]

    def finish(self, work: Path, shards: Sequence[Shard], inputs: Mapping[str, Any]) -> None:
        """Write the file of each layer, and rename."""
        whole = work / _WHOLE
        shutil.rmtree(whole, ignore_errors=True)  # SQLite leaves half a file when it is killed
        whole.mkdir()
        halves = [work / f"{_named(shard)}.db" for shard in shards]
        for layer, name in enumerate(self.names):
            with _sqlite_explained(self.out):
                self._write(whole / f"{name}{ENDING}", halves, layer, self._facts(name, inputs))
        if not self.is_rgb:
            atomic.write_json(whole / _STAMP, inputs)
        _into_place(whole / f"tiles{ENDING}" if self.is_rgb else whole, self.out)

    def _write(self, path: Path, halves: Sequence[Path], layer: int, facts: list[tuple[str, str]]) -> None:
        with closing(sqlite3.connect(path)) as file:
            file.executescript(_TABLES)
            for half in halves:
                file.execute("ATTACH ? AS half_done", (str(half),))
                with file:
                    file.execute(
                        "INSERT INTO tiles SELECT ?, x, y, data FROM half_done.tiles WHERE layer = ? ORDER BY x, y",
                        (self.dataset.zoom, layer),
                    )
                file.execute("DETACH half_done")
            with file:
                file.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
                file.executemany("INSERT INTO metadata VALUES (?, ?)", facts)

    def _facts(self, name: str, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
        about = _about(self.dataset)
        title = self.dataset.name if self.is_rgb else f"{self.dataset.name}: {name}"
        return [
            ("name", title), ("format", "png"), ("type", "baselayer" if self.is_rgb else "overlay"),
            ("attribution", self.dataset.attribution), ("bounds", ",".join(f"{value:.7f}" for value in about["bounds"])),
            ("minzoom", str(about["minzoom"])), ("maxzoom", str(about["maxzoom"])),
            ("placevec", json.dumps(about["placevec"])), (_STAMP_NAME, json.dumps(inputs)),
        ]  # fmt: skip


@contextmanager
def _sqlite_explained(target: Path) -> Iterator[None]:
    """Turn SQLite's full disk into an OutputError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutputError(
            f"cannot write {target}: {error}; free some space and run the same command again"
        ) from error
