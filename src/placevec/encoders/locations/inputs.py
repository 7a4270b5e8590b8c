"""Coordinates as people have them (numpy, torch, lists, GeoSeries) as two float64 tensors of degrees, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from placevec.errors import InputError

FARTHEST_LON = 360.0
"""Longitudes run from -180 to 180 or from 0 to 360; both are taken."""


def degrees(lon: Any, lat: Any = None, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Longitudes and latitudes in degrees, each (...) float64 on ``device``; nothing handed in is changed.

    Args:
        lon: numbers, an array, tensor, Series or list of longitudes; or, without ``lat``, (..., 2) rows of lon, lat, or
            a GeoSeries or GeoDataFrame of points in any CRS.
        lat: latitudes, as many.
        device: where to; that of the tensors by default.

    Raises:
        InputError: not numbers, not as many, no points, NaN or infinite, a latitude beyond the poles (with a hint where
            lat and lon look swapped), a longitude beyond 360.

    >>> degrees([24.94], [60.17])
    (tensor([24.9400], dtype=torch.float64), tensor([60.1700], dtype=torch.float64))
    """
    if lat is None:
        lon, lat = _pair(lon)
    across, along = _tensor(lon, "lon", device), _tensor(lat, "lat", device)
    if across.shape != along.shape:
        raise InputError(
            f"lon and lat differ in shape: {tuple(across.shape)} and {tuple(along.shape)}; give as many of each"
        )
    if not torch.compiler.is_compiling():
        refuse_bad(across, along)
    return across, along


def refuse_bad(lon: Tensor, lat: Tensor) -> None:
    """InputError where a coordinate is none: the row, what it is, and what may have happened."""
    if lon.numel() == 0:
        return
    lon, lat = lon.detach(), lat.detach()
    bad = ~(torch.isfinite(lon) & torch.isfinite(lat) & (lat.abs() <= 90) & (lon.abs() <= FARTHEST_LON))
    if not bool(bad.any()):
        return
    count, row = int(bad.sum()), int(bad.flatten().to(torch.uint8).argmax())
    x, y = float(lon.flatten()[row]), float(lat.flatten()[row])
    swapped = bool((lat[bad].abs() <= 180).all() and (lon[bad].abs() <= 90).all())
    others = f" ({count} rows of {lon.numel()} are such)" if count > 1 else ""
    if not (np.isfinite(x) and np.isfinite(y)):
        raise InputError(
            f"row {row} has lon {x}, lat {y}: drop or fill rows without coordinates first{others}"
        )
    if swapped:
        raise InputError(
            f"row {row} has lat {y:g}, beyond a pole: lon and lat look swapped; the order is lon, lat{others}"
        )
    raise InputError(
        f"row {row} has lon {x:g}, lat {y:g}: degrees have |lat| <= 90 and |lon| <= 360; "
        f"meters of a projection are brought to EPSG:4326 first{others}"
    )


def _pair(points: Any) -> tuple[Any, Any]:
    """Longitudes and latitudes of what holds both."""
    if hasattr(points, "to_crs"):
        geometry = points.geometry
        if geometry.crs is not None and not geometry.crs.equals("EPSG:4326"):
            geometry = geometry.to_crs("EPSG:4326")
        empty = int((geometry.isna() | geometry.is_empty).sum())
        if empty or not (geometry.geom_type == "Point").all():
            raise InputError(
                "a location encoder reads points: drop missing geometries, and take .representative_point() of polygons"
            )
        return geometry.x.to_numpy(), geometry.y.to_numpy()
    both = points if isinstance(points, Tensor) else _array(points, "coordinates")
    if both.ndim < 1 or both.shape[-1] != 2:
        raise InputError(f"give lon and lat, or rows of lon, lat: (..., 2); got {tuple(both.shape)}")
    return both[..., 0], both[..., 1]


def _tensor(values: Any, name: str, device: torch.device | None) -> Tensor:
    if isinstance(values, Tensor):
        if values.dtype == torch.bool or values.dtype.is_complex:
            raise InputError(f"{name} is not numbers: {values.dtype}")
        return values.to(device=device, dtype=torch.float64)
    return torch.tensor(_array(values, name), dtype=torch.float64, device=device)


def _array(values: Any, name: str) -> Any:
    try:
        found = np.asarray(values)
        if found.dtype == bool or found.dtype.kind in "cMm":
            raise TypeError
        return found.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not numbers of degrees: {str(values)[:60]}") from None
