"""Writes a GeoTIFF of a model's predictions: one band per class, in strips of tiles, in constant memory."""

from __future__ import annotations

import hashlib
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
from placevec.io import gdal
from placevec.io.atomic import replacing
from placevec.io.jobs import Job, opened
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
    doubts: bool = True,
    progress: Progress = SILENT,
) -> RasterReport:
    """Write predictions over a grid, float32 in EPSG:4326, in compressed tiles with overviews, atomically.

    Finished strips are kept in a folder next to the file: after a kill, the same call reuses them.

    Args:
        question: classes or the number of a model; each becomes a band.
        grid: cells to predict.
        path: the file.
        land: cells with a center outside it have no value (NaN).
        doubts: further bands, where the model knows them: 90% bands or deviations, distance to training points, support.
        progress: receives progress reports, including that a killed call continues.
    """
    bands = (*question.names, *(question.doubts if doubts else ()))
    with opened(path, _inputs(question, grid, land, bands), progress=progress) as job:
        if done := sum(1 for _ in job.work.glob("rows-*")):
            progress.say(
                f"Note: {done} of {-(-grid.height // TILE)} strips were already finished; continuing from "
                f"there"
            )
        lowest, highest = _write(question, grid, path, land, bands, job, progress)
        job.finish()
    return RasterReport(
        path, bands, grid.width, grid.height, lowest, highest, path.stat().st_size
    )  # fmt: skip


def _write(
    question: Question, grid: Grid, path: Path, land: BaseGeometry | None, bands: tuple[str, ...], job: Job,
    progress: Progress,
) -> tuple[float, float]:  # fmt: skip
    """Write the file; the lowest and highest answer, NaN where there are none."""
    import rasterio
    from rasterio.enums import Resampling

    lowest, highest = np.inf, -np.inf
    with replacing(path) as temporary, rasterio.Env(GDAL_CACHEMAX=_CACHE_MB):
        with gdal.opened(temporary, "w", **_profile(len(bands), grid)) as file:
            file.update_tags(**_tags(question, bands), **gdal.CHECKSUM)
            for band, name in enumerate(bands, 1):
                file.set_band_description(band, tag(name))
                file.update_tags(band, **({"CLASS": tag(name)} if band <= len(question.names) else {}))
            for start, values in strips(question, grid, land, progress, job, len(bands)):
                answers = values[: len(question.names)]
                known = answers[np.isfinite(answers)]
                if known.size:
                    lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
                with gdal.writing(temporary):
                    file.write(values, window=((start, start + values.shape[1]), (0, grid.width)))
        if (factors := _factors(grid)) is not None:
            with warnings.catch_warnings(), gdal.opened(temporary, "r+") as file, gdal.writing(temporary):
                warnings.simplefilter("ignore")
                file.build_overviews(factors, Resampling.average)
        gdal.seal(temporary)
    return (lowest, highest) if np.isfinite(lowest) else (np.nan, np.nan)


def strips(
    question: Question,
    grid: Grid,
    land: BaseGeometry | None = None,
    progress: Progress = SILENT,
    job: Job | None = None,
    bands: int | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first row, (bands, rows, width) float32 predictions) of each strip of `TILE` rows, from the north.

    Finished strips are read from ``job``, and new ones added to it. ``bands`` is the number of layers, by default that
    of the answers; with more, `Question.layers` gives them.
    """
    count = len(question.names) if bands is None else bands
    asking = question.answers if count == len(question.names) else question.layers
    with progress.task("Predicting", total=grid.width * grid.height) as advance:
        for start in range(0, grid.height, TILE):
            stop = min(start + TILE, grid.height)
            shape = (count, (stop - start) * grid.width)
            values = None if job is None else job.get_array(f"rows-{start:09d}")
            if values is None:
                values = np.full(shape, np.nan, np.float32)
                asked = np.arange(shape[1]) if land is None else _on_land(grid, start, stop, land)
                values[:, asked] = asking(grid.rows(start, stop)[asked]).T
                if job is not None:
                    job.put_array(f"rows-{start:09d}", values)
            advance(shape[1])
            yield start, values.reshape(count, stop - start, grid.width)


def _inputs(
    question: Question, grid: Grid, land: BaseGeometry | None, bands: tuple[str, ...]
) -> dict[str, Any]:
    """All that strips depend on."""
    return {
        "model": question.model.hash, "columns": list(question.columns),
        "year": None if question.year is None else list(question.year),
        "area": [grid.area.west, grid.area.south, grid.area.east, grid.area.north],
        "cells": [grid.width, grid.height], "land": None if land is None else hashlib.sha256(land.wkb).hexdigest(),
        **({} if bands == question.names else {"bands": len(bands)}),
    }  # fmt: skip


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


def _profile(bands: int, grid: Grid) -> dict[str, Any]:
    from rasterio.transform import from_origin

    wide, high = grid.cell
    return {
        "driver": "GTiff", "width": grid.width, "height": grid.height, "count": bands,
        "dtype": "float32", "crs": "EPSG:4326", "nodata": float("nan"),
        "transform": from_origin(grid.area.west, grid.area.north, wide, high),
        "tiled": True, "blockxsize": TILE, "blockysize": TILE, "interleave": "band", "compress": "deflate",
        "predictor": 3, "bigtiff": "if_safer",
    }  # fmt: skip


def _tags(question: Question, bands: tuple[str, ...]) -> dict[str, str]:
    training = question.model.training
    told = {
        "presence": "probability that the class is present, independent of other classes",
        "classes": "probability of the class, over all classes",
        "number": "value, in the unit of the label",
    }
    tags = {
        "VALUES": told[question.kind],
        "ATTRIBUTION": tag(str(training.get("attribution", "unknown"))),
        "TRAINED_ON": tag(str(training.get("dataset", "unknown"))),
        "SOFTWARE": f"placevec {__version__}",
    }
    if bands != question.names and (known := question.reliability) is not None:
        tags["SUPPORT"] = (
            f"0 everywhere: {question.period_note}"
            if question.outside_period
            else f"1 where a training point lies within {float(known.reach_km):.4g} km, else 0"
        )
        if known.width and question.kind == "number":
            tags["BANDS"] = (
                "90% of places are expected between lower and upper; scaled on validation places"
                if known.calibrated
                else f"lower and upper are {known.uncalibrated}; do not expect them to hold 90% of places"
            )
    if question.year is not None:
        names = ("SHARE_OF_THE_YEAR" if name == "season" else name.upper() for name in question.model.times)
        tags |= {name: f"{value:.9g}" for name, value in zip(names, question.year, strict=False)}
    return tags


def _factors(grid: Grid) -> list[int] | None:
    factors, factor = [], 2
    while max(grid.width, grid.height) / (factor / 2) > _OVERVIEW:
        factors.append(factor)
        factor *= 2
    return factors or None
