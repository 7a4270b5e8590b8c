"""Writes a GeoTIFF of a model's predictions: one band per class, in strips of tiles, in constant memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec._version import __version__
from placevec.inference.grid import Grid
from placevec.inference.query import Question
from placevec.inference.strips import KeptStrips
from placevec.io.atomic import replacing
from placevec.io.progress import SILENT, Progress, printable

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

TILE = 256
"""Side of a tile, and rows computed at once."""
_LONGEST_TAG = 1000
_CACHE_MB = 64
"""GDAL's cache for tiles; by default it takes a twentieth of the memory."""
_OVERVIEW = 512
"""Overviews are added until the longest side of the smallest one is at most this."""


@dataclass(frozen=True)
class RasterReport:
    """Summary of the raster that was written.

    Attributes:
        path: the GeoTIFF.
        bands: the names of the bands, in order.
        width, height: columns and rows of cells.
        lowest, highest: range of all predictions; NaN if there are none.
        size_bytes: size of the file.
    """

    path: Path
    bands: tuple[str, ...]
    width: int
    height: int
    lowest: float
    highest: float
    size_bytes: int

    @property
    def summary(self) -> str:
        """One line for the console."""
        return (
            f"{self.width:,} x {self.height:,} cells, {self.size_bytes / 1e6:.1f} MB, values from {self.lowest:.4g} to "
            f"{self.highest:.4g}: {', '.join(self.bands)}"
        )


def write_raster(
    question: Question,
    grid: Grid,
    path: Path,
    *,
    land: BaseGeometry | None = None,
    progress: Progress = SILENT,
) -> RasterReport:
    """Write predictions over a grid, float32 in EPSG:4326, in compressed tiles with overviews, atomically.

    Finished strips are kept in a folder next to the file: after a kill, the same call reuses them.

    Args:
        question: classes or the number of a model; each becomes a band.
        grid: cells to predict.
        path: the file.
        land: cells with a center outside it have no value (NaN).
        progress: receives progress reports, including that a killed call continues.
    """
    import rasterio
    from rasterio.enums import Resampling

    lowest, highest = np.inf, -np.inf
    kept = KeptStrips(path, question, grid, land) if grid.height > TILE else None
    if kept is not None and kept.count:
        progress.say(
            f"Note: continuing: {kept.count} of {-(-grid.height // TILE)} strips were finished before"
        )
    with replacing(path) as temporary, rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        with rasterio.open(temporary, "w", **_profile(question, grid)) as file:
            file.update_tags(**_tags(question))
            for band, name in enumerate(question.names, 1):
                file.set_band_description(band, tag(name))
                file.update_tags(band, CLASS=tag(name))
            for start, values in strips(question, grid, land, progress, kept):
                known = values[np.isfinite(values)]
                if known.size:
                    lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
                file.write(values, window=((start, start + values.shape[1]), (0, grid.width)))
        if (factors := _factors(grid)) is not None:
            with warnings.catch_warnings(), rasterio.open(temporary, "r+") as file:
                warnings.simplefilter("ignore")
                file.build_overviews(factors, Resampling.average)
    if kept is not None:
        kept.remove()
    found = np.isfinite(lowest)
    return RasterReport(
        path, question.names, grid.width, grid.height, lowest if found else np.nan,
        highest if found else np.nan, path.stat().st_size,
    )  # fmt: skip


def strips(
    question: Question,
    grid: Grid,
    land: BaseGeometry | None = None,
    progress: Progress = SILENT,
    kept: KeptStrips | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first row, (bands, rows, width) float32 predictions) of each strip of `TILE` rows, from the north.

    Finished strips are read from ``kept``, and new ones added to it.
    """
    with progress.task("Predicting", total=grid.width * grid.height) as advance:
        for start in range(0, grid.height, TILE):
            stop = min(start + TILE, grid.height)
            shape = (len(question.names), (stop - start) * grid.width)
            values = None if kept is None else kept.get(start, shape)
            if values is None:
                values = np.full(shape, np.nan, np.float32)
                asked = np.arange(shape[1]) if land is None else _on_land(grid, start, stop, land)
                values[:, asked] = question.answers(grid.rows(start, stop)[asked]).T
                if kept is not None:
                    kept.put(start, values)
            advance(shape[1])
            yield start, values.reshape(len(question.names), stop - start, grid.width)


def tag(text: str) -> str:
    """A single line that a TIFF tag can hold, whatever the name contains.

    >>> tag("a\\x00b\\nc")
    'a b c'
    """
    return printable(" ".join(text.replace("\x00", " ").split()))[:_LONGEST_TAG]


def _on_land(grid: Grid, start: int, stop: int, land: BaseGeometry) -> NDArray[np.int64]:
    """Positions of the cells in a range of rows whose center lies on land."""
    from rasterio.features import geometry_mask
    from rasterio.transform import from_origin
    from shapely.affinity import translate

    wide, high = grid.cell
    corner = from_origin(grid.area.west, grid.area.north - start * high, wide, high)
    around = [land] if not grid.area.crosses_antimeridian else [land, translate(land, xoff=360.0)]
    outside = geometry_mask(around, (stop - start, grid.width), corner)
    return np.flatnonzero(~outside.ravel())


def _profile(question: Question, grid: Grid) -> dict[str, Any]:
    from rasterio.transform import from_origin

    wide, high = grid.cell
    return {
        "driver": "GTiff", "width": grid.width, "height": grid.height, "count": len(question.names),
        "dtype": "float32", "crs": "EPSG:4326", "nodata": float("nan"),
        "transform": from_origin(grid.area.west, grid.area.north, wide, high),
        "tiled": True, "blockxsize": TILE, "blockysize": TILE, "interleave": "band", "compress": "deflate",
        "predictor": 3, "bigtiff": "if_safer",
    }  # fmt: skip


def _tags(question: Question) -> dict[str, str]:
    training = question.model.training
    told = {
        "presence": "probability that the class is present, independent of other classes",
        "classes": "probability of the class, over all classes",
        "number": "number, in the unit of the label",
    }
    tags = {
        "VALUES": told[question.kind],
        "ATTRIBUTION": tag(str(training.get("attribution", "unknown"))),
        "TRAINED_ON": tag(str(training.get("dataset", "unknown"))),
        "SOFTWARE": f"placevec {__version__}",
    }
    return tags if question.year is None else {**tags, "SHARE_OF_THE_YEAR": f"{question.year:g}"}


def _factors(grid: Grid) -> list[int] | None:
    factors, factor = [], 2
    while max(grid.width, grid.height) / (factor / 2) > _OVERVIEW:
        factors.append(factor)
        factor *= 2
    return factors or None
