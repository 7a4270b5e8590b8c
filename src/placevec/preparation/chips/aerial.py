"""The ``aerial`` view: images or tiles of imagery cut into one square chip per place, north up, in meters of local
UTM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.additions import Joining, Made, add
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import source_entry
from placevec.datasets.places import DEFAULT_SIZE_M
from placevec.errors import SourceError
from placevec.io.progress import Progress
from placevec.options import options_of
from placevec.preparation.chips.aerial_options import AerialOptions
from placevec.preparation.chips.aerial_tiles import TileImagery, open_imagery, tile_photos
from placevec.preparation.chips.shards import ChipWriter
from placevec.preparation.tiles.decode import MAX_DAMAGED
from placevec.sources.imagery.ground import Square, between, square_around
from placevec.sources.imagery.local_scenes import fingerprint_of
from placevec.sources.imagery.photos import Photos, image_files
from placevec.sources.imagery.tile_photos import TilePhotos
from placevec.sources.tables.losses import FEW

NAME = KIND = "aerial"
_METHOD = 1
"""Raised whenever the same inputs would give other chips."""
_BATCH = 256
_PERCENTILES = (1.0, 99.0)


def add_aerial(dataset: Dataset, options: AerialOptions, *, created: str, progress: Progress) -> Dataset:
    """The dataset with a view ``aerial``.

    Raises:
        SourceError: an image cannot be read or lies nowhere, or no place lies in one.
        DatasetError: it has other chips of that name, or no place has coordinates.
    """
    names = {one.name for one in options_of(AerialOptions)} - {"aerial", "aerial_tiles", "aerial_zoom"}
    inputs = {name: value for name, value in options.as_json().items() if name in names}
    source: list[Path] | TileImagery
    if options.aerial_tiles is None:
        source = image_files(options.aerial)
        inputs["aerial"] = fingerprint_of(source)
    else:
        source = open_imagery(options.aerial_tiles, options.aerial_zoom, progress)
        inputs |= {"aerial_tiles": source.fingerprint, "aerial_zoom": options.aerial_zoom}
    of = Made(KIND, {**inputs, "method": _METHOD})
    job = _Work(dataset, options, of, source, progress)
    return add(dataset, NAME, of, job.write, created=created, progress=progress)


class _Work:
    """One job: the squares of the places, chip by chip."""

    def __init__(
        self,
        dataset: Dataset,
        options: AerialOptions,
        of: Made,
        source: list[Path] | TileImagery,
        progress: Progress,
    ) -> None:
        self.dataset, self.options, self.of, self.source, self.progress = (
            dataset,
            options,
            of,
            source,
            progress,
        )
        self.attribution = options.aerial_attribution
        if isinstance(source, TileImagery):
            self.called = self.first = source.name
            self.attribution = self.attribution or source.attribution
        else:
            self.called, self.first = ", ".join(path.name for path in options.aerial), source[0].name
        self.side_m = float(options.aerial_size_m or dataset.footprint_m or DEFAULT_SIZE_M)
        self.lost = {"outside the images": 0, "with too little data": 0}

    def write(self, folder: Path) -> Joining:
        """Write the chips into a folder."""
        with self._opened() as photos:
            scaled = self.options.aerial_values == "scaled" or (
                self.options.aerial_values == "auto" and photos.dtype != "uint8"
            )
            limits = photos.percentiles(*_PERCENTILES) if scaled else None
            values = "uint8, percentiles 1 to 99 of each band, 0 without data" if scaled else ""
            writer = ChipWriter(folder, NAME, self.of.inputs, beside=self.dataset.path, values=values)
            squares = self._squares()
            with self.progress.task("Cutting images", total=len(squares)) as advance:
                for batch in self._batches(squares):
                    for place_id, (square, shape) in batch.items():
                        if place_id not in writer.done_places:
                            self._chip(writer, photos, place_id, square, shape, limits)
                    advance(len(batch), f"{sum(self.lost.values()):,} without a chip")
                writer.flush()
            self._say(len(self.dataset))
            if not writer.done_places:
                raise SourceError(f"no place lies in {photos.outside()}")
            if isinstance(photos, TilePhotos) and photos.damaged:
                first = next(iter(photos.damaged.values()))
                if len(photos.damaged) > max(FEW, MAX_DAMAGED * len(photos.read_tiles)):
                    raise SourceError(
                        f"{len(photos.damaged):,} of {len(photos.read_tiles):,} tiles of {self.called} are damaged, "
                        f"such as: {first}; download them again"
                    )
                self.progress.say(
                    f"Note: {len(photos.damaged):,} damaged tiles are left out, such as: {first}"
                )
            written = writer.finish()
        source = source_entry(
            KIND, self.called, [folder / name for name in written.files], path=self.called, sha256=written.sha256,
            attribution=self.attribution,
        )  # fmt: skip
        report = {
            "count": written.table.num_rows, "places_without": self.lost,
            "limits": None if limits is None else limits.tolist(),
        }  # fmt: skip
        what = f"{written.table.num_rows:,} chips of {self.side_m:g} m"
        return written.joining(NAME, what, source, size_m=self.side_m, report={NAME: report})

    def _opened(self) -> AbstractContextManager[Photos | TilePhotos]:
        """The images; tiles of a server are downloaded first."""
        bands = self.options.band_numbers()
        if not isinstance(self.source, TileImagery):
            return Photos(self.source, bands)
        if not self.attribution:
            self.progress.say("Note: the tiles have no attribution; set it with --aerial-attribution")
        located = self.dataset.lonlat[np.isfinite(self.dataset.lonlat).all(axis=1)]
        px, zoom = self.options.aerial_px, self.options.aerial_zoom
        return tile_photos(self.source, located, self.side_m, px, zoom, bands, self.progress)

    def _squares(self) -> dict[str, tuple[Square, Any]]:
        """place_id -> the square of its chip, and its polygon, if it has one that masks."""
        rows = self.dataset.require_coordinates(np.arange(len(self.dataset)), "a chip of an image")
        self.lost["without coordinates"] = len(self.dataset) - len(rows)
        ids, lonlat = self.dataset.place_ids, self.dataset.lonlat
        shapes = self.dataset.geometry() if self.options.aerial_mask else [None] * len(self.dataset)
        px = self.options.aerial_px
        return {
            str(ids[row]): (
                square_around(*map(float, lonlat[row]), size_px=px, resolution=self.side_m / px), shapes[row]
            )
            for row in rows.tolist()
        }  # fmt: skip

    def _batches(self, squares: dict[str, tuple[Square, Any]]) -> Iterator[dict[str, tuple[Square, Any]]]:
        """Places near one another, so that few files are open at a time."""
        order = sorted(
            squares, key=lambda name: (squares[name][0].epsg, squares[name][0].top // 10_000, name)
        )
        for at in range(0, len(order), _BATCH):
            yield {name: squares[name] for name in order[at : at + _BATCH]}

    def _chip(
        self,
        writer: ChipWriter,
        photos: Photos | TilePhotos,
        place_id: str,
        square: Square,
        shape: Any,
        limits: NDArray[np.float64] | None,
    ) -> None:
        pixels = photos.read(square)
        empty = np.isnan(pixels).any(axis=0)
        if empty.all():
            self.lost["outside the images"] += 1
            return
        if empty.mean() > self.options.aerial_max_nodata:
            self.lost["with too little data"] += 1
            return
        if shape is not None and shape.geom_type in ("Polygon", "MultiPolygon"):
            pixels[:, _outside(shape, square)] = np.nan
        writer.add(
            place_id, _as_bytes(pixels, limits) if limits is not None else _as_stored(pixels, photos.dtype),
            photos.names, source=f"{self.first}:{place_id}", crs=f"EPSG:{square.epsg}",
            transform=square.transform, nodata=float(empty.mean()),
        )  # fmt: skip

    def _say(self, total: int) -> None:
        for what, count in self.lost.items():
            if count:
                self.progress.say(f"Note: {count:,} of {total:,} places are {what} and get no chip")


def _outside(shape: Any, square: Square) -> NDArray[np.bool_]:
    import shapely
    from rasterio import Affine
    from rasterio.features import geometry_mask

    def projected(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(between(4326, square.epsg).transform(lonlat[:, 0], lonlat[:, 1]), axis=1)

    there = shapely.transform(shape, projected)
    size = (square.size_px, square.size_px)
    return np.asarray(geometry_mask([there], size, Affine(*square.transform), all_touched=True), bool)


def _as_bytes(pixels: NDArray[np.float32], limits: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Numbers between the limits of their band as 1 to 255; 0 without data."""
    low, high = limits[:, 0, None, None], limits[:, 1, None, None]
    found = 1.0 + 254.0 * np.clip((pixels - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
    return np.asarray(np.nan_to_num(np.rint(found), nan=0.0), np.uint8)


def _as_stored(pixels: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Numbers in the type of the images; 0 without data."""
    if dtype in ("uint8", "uint16", "int16"):
        info = np.iinfo(dtype)
        return np.clip(np.rint(np.nan_to_num(pixels, nan=0.0)), info.min, info.max).astype(dtype)
    return np.nan_to_num(pixels, nan=0.0)
