"""Rasters that an encoder reads beside coordinates, from files of any CRS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from placevec.encoders.locations.fields import MAX_CELLS, RasterField, RasterSource
from placevec.errors import InputError
from placevec.geo import Floats
from placevec.io.atomic import sha256_of_file

MIN_COVERED = 0.5
"""Share of the training points that a raster must cover."""


def fields_from(paths: Sequence[Path], points: Floats) -> tuple[list[RasterField], list[str]]:
    """(the rasters of some files, standardized over (N, 2) training points; notes about points that they do not cover).

    Raises:
        InputError: a file that cannot be read, has no CRS, or covers less than half of the points.
    """
    fields, notes = [], []
    for path in paths:
        field = _read(Path(path))
        lon, lat = torch.from_numpy(np.array(points, np.float64)).unbind(-1)
        found = field(lon, lat)
        known = found[:, -1] < 1 - 1e-6
        share = float(known.double().mean())
        if share < MIN_COVERED:
            raise InputError(
                f"{path} covers {int(known.sum()):,} of {len(points):,} training points: give a raster that covers "
                f"them, or leave it out"
            )
        if share < 1:
            notes.append(
                f"{path.name} has no value at {len(points) - int(known.sum()):,} of {len(points):,} training points; "
                f"there, the model sees it as missing"
            )
        values = found[known, :-1]
        mean, deviation = values.mean(0), values.std(0).clamp(min=1e-9)
        field.values = ((field.values - mean[:, None, None]) / deviation[:, None, None]).float()
        fields.append(field)
    return fields, notes


def _read(path: Path) -> RasterField:
    """The bands of a file on a grid of degrees, coarsened if it has more cells than fit into a model."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    if not path.is_file():
        raise InputError(f"there is no raster {path}")
    try:
        with rasterio.open(path) as file:
            if file.crs is None:
                raise InputError(
                    f"{path} has no CRS, so its location is unknown: assign one, for example in QGIS"
                )
            bands = tuple(name or f"band {number}" for number, name in enumerate(file.descriptions, 1))
            units = tuple(unit or "" for unit in file.units)
            with WarpedVRT(file, crs="EPSG:4326", resampling=Resampling.bilinear) as on:
                coarser = max(1.0, math.sqrt(on.count * on.width * on.height / MAX_CELLS))
                shape = (max(1, int(on.height / coarser)), max(1, int(on.width / coarser)))
                found = on.read(out_shape=(on.count, *shape), masked=True, resampling=Resampling.average)
                bounds = on.bounds
    except rasterio.errors.RasterioError as error:
        raise InputError(f"cannot read the raster {path}: {error}") from error
    values = np.ma.filled(found.astype(np.float32), np.nan)
    if not np.isfinite(values).any():
        raise InputError(f"{path} has no values")
    step_lon, step_lat = (bounds.right - bounds.left) / shape[1], (bounds.top - bounds.bottom) / shape[0]
    source = RasterSource(path.name, sha256_of_file(path), bands, units)
    field = RasterField(len(values), *shape, bounds.left, bounds.top, step_lon, step_lat, source.as_dict())
    field.values = torch.from_numpy(np.where(np.isfinite(values), values, np.nan))
    return field
