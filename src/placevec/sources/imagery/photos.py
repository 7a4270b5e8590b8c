"""Georeferenced images, of one file or of many: orthophotos, drone images, scenes, mosaics, read square by square."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.io.files import check_regular
from placevec.sources.imagery.ground import (
    Square,
    applied,
    between,
    box_around,
    degrees_around,
    edges_in_degrees,
    read_onto,
)

SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg")
"""Names of files that are looked for in folders; files that are named themselves can have any."""
MAX_FILES = 100_000
_OPEN = 64
_MAX_SAMPLE_PX = 512


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files of some files and folders, sorted by name within a folder.

    Raises:
        SourceError: a path does not exist, a folder has no image, or there are too many.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
            )
            if not inside:
                raise SourceError(f"{path} has no images ({', '.join(SUFFIXES)})")
            found += inside
        else:
            check_regular(path, "image")
            found.append(path)
    if len(found) > MAX_FILES:
        raise SourceError(
            f"there are {len(found):,} images, more than {MAX_FILES:,}: make a mosaic of them (VRT)"
        )
    return found


class Photos:
    """Images of the same bands and type, of which the first that has data at a pixel is read.

    Args:
        files: the images.
        bands: positions of the bands to read, from 1; None: all but an alpha band.

    Attributes:
        names: of the bands: their descriptions, else red, green and blue of three or more bytes, else numbers.
        dtype: of their numbers.
        boxes: west, south, east, north of each, degrees; west > east across the antimeridian.

    Raises:
        SourceError: a file is no image, lies nowhere, or has other bands or numbers than the first.
    """

    def __init__(self, files: Sequence[Path], bands: Sequence[int] | None = None) -> None:
        self.files = list(files)
        self._open: OrderedDict[int, Any] = OrderedDict()
        self.boxes: list[NDArray[np.float64]] = []
        first = self._file(0)
        alpha = [number for number, kind in enumerate(first.colorinterp, 1) if kind.name == "alpha"]
        self.numbers = tuple(bands or (number for number in first.indexes if number not in alpha))
        if not self.numbers or min(self.numbers) < 1 or max(self.numbers) > first.count:
            raise SourceError(
                f"{self.files[0]} has {first.count} bands, numbered from 1; requested: {self.numbers}"
            )
        self.dtype = str(first.dtypes[self.numbers[0] - 1])
        self.names = _names(first, self.numbers)
        shape = first.count
        for at, path in enumerate(self.files):
            file = self._file(at)
            if file.crs is None or file.transform.is_identity or file.transform.determinant == 0:
                raise SourceError(
                    f"{path} has no coordinate reference system or no transform, so its location is unknown"
                )
            if file.count != shape or file.dtypes[self.numbers[0] - 1] != self.dtype:
                raise SourceError(
                    f"{path} has {file.count} bands of {file.dtypes[0]}, but {self.files[0]} has {shape} of {self.dtype}"
                )
            self.boxes.append(_box(file))

    def __enter__(self) -> Photos:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def resolution(self) -> float:
        """Side of a pixel of the first image at its center, meters."""
        file = self._file(0)
        x, y = applied(file.transform, file.width / 2, file.height / 2)
        lon, lat = between(file.crs.to_wkt(), 4326).transform([x], [y])
        from pyproj import Geod

        right = applied(file.transform, file.width / 2 + 1, file.height / 2)
        lon_right, lat_right = between(file.crs.to_wkt(), 4326).transform([right[0]], [right[1]])
        return float(Geod(ellps="WGS84").inv(lon[0], lat[0], lon_right[0], lat_right[0])[2])

    def read(self, square: Square) -> NDArray[np.float32]:
        """(C, H, W) numbers on a square; NaN where no image has data."""
        found = np.full((len(self.numbers), square.size_px, square.size_px), np.nan, np.float32)
        box = np.array(degrees_around(square))
        for at in self._touching(box):
            file = self._file(at)
            try:
                pixels = read_onto(file, self.numbers, square, masked=True)
            except Exception as error:  # GDAL raises many kinds
                raise SourceError(f"cannot read {self.files[at]}: {error}") from error
            new = np.isnan(found).any(axis=0) & ~np.isnan(pixels).any(axis=0)
            if new.all():
                return pixels
            found[:, new] = pixels[:, new]
            if not np.isnan(found).any():
                break
        return found

    def outside(self) -> str:
        """Where the images lie, for the message that no place lies there."""
        box = ", ".join(f"{edge:.4f}" for edge in self.boxes[0])
        return f"the images: the first, {self.files[0].name}, has the box {box} (west, south, east, north)"

    def percentiles(self, low: float, high: float) -> NDArray[np.float64]:
        """(C, 2) percentiles of the numbers of each band, of a coarse sample of all images."""
        samples: list[NDArray[np.float32]] = []
        step = max(1, len(self.files) // 32)
        for at in range(0, len(self.files), step):
            file = self._file(at)
            ratio = max(1.0, max(file.width, file.height) / _MAX_SAMPLE_PX)
            size = (max(1, round(file.height / ratio)), max(1, round(file.width / ratio)))
            pixels = file.read(list(self.numbers), out_shape=(len(self.numbers), *size)).astype(np.float32)
            mask = np.stack([file.read_masks(number, out_shape=size) for number in self.numbers])
            pixels[(mask == 0) | ~np.isfinite(pixels)] = np.nan
            samples.append(pixels.reshape(len(self.numbers), -1))
        values = np.concatenate(samples, axis=1)
        if np.isnan(values).all(axis=1).any():
            raise SourceError(f"a band of {self.files[0]} has no data at all")
        return np.asarray(np.nanpercentile(values, [low, high], axis=1).T, np.float64)

    def _touching(self, box: NDArray[np.float64]) -> list[int]:
        """Images whose box of degrees touches another one; either may cross the antimeridian."""
        return np.flatnonzero(_overlap(np.stack(self.boxes), box)).tolist()

    def _file(self, at: int) -> Any:
        import rasterio

        if at in self._open:
            self._open.move_to_end(at)
            return self._open[at]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # about images without coordinates, which get a message of their own
                file = rasterio.open(self.files[at])
        except Exception as error:  # GDAL raises many kinds
            raise SourceError(f"{self.files[at]} is not a readable image: {error}") from error
        self._open[at] = file
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)[1].close()
        return file


def _names(file: Any, numbers: Sequence[int]) -> tuple[str, ...]:
    told = [str(file.descriptions[number - 1] or "").strip() for number in numbers]
    if all(told) and len(set(told)) == len(told):
        return tuple(told)
    if len(numbers) in (3, 4) and file.dtypes[0] == "uint8":
        return ("red", "green", "blue", "nir")[: len(numbers)]
    return tuple(f"band{number}" for number in numbers)


def _box(file: Any) -> NDArray[np.float64]:
    """West, south, east, north of an image in degrees; west > east across the antimeridian."""
    lon, lat = edges_in_degrees(file.transform, file.crs.to_wkt(), file.width, file.height)
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        raise SourceError(f"{file.name} is not on Earth")
    lon, lat = lon[known], lat[known]
    if file.crs.is_projected:
        return np.array(box_around(lon, lat))
    return np.array([lon.min(), lat.min(), lon.max(), lat.max()])  # of degrees: may go around the Earth


def _overlap(boxes: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,) bool: which of (N, 4) boxes of degrees touch another one."""
    west, south, east, north = boxes.T
    east = east + 360.0 * (east < west)
    other_west, other_south, other_east, other_north = other.tolist()
    other_east += 360.0 * (other_east < other_west)
    beside = np.zeros(len(boxes), bool)
    for turn in (-360.0, 0.0, 360.0):
        beside |= (west <= other_east + turn) & (other_west + turn <= east)
    return np.asarray(beside & (south <= other_north) & (other_south <= north))
