"""Converting coordinates (numpy, torch, lists, tables, GeoSeries) to two checked float64 tensors of degrees."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from placevec.errors import InputError
from placevec.geo.coordinate_names import coordinate_columns

Order = Literal["lonlat", "latlon"]

FARTHEST_LON = 360.0
"""Longitudes may run from -180 to 180 or from 0 to 360."""


def degrees(
    lon: Any, lat: Any = None, device: torch.device | None = None, order: Order = "lonlat"
) -> tuple[Tensor, Tensor]:
    """Longitudes and latitudes in degrees, each (...) float64 on ``device``; the inputs are not modified.

    Args:
        lon: a number, array, tensor, Series or list of longitudes; or, without ``lat``, (..., 2) rows of lon, lat, a
            DataFrame whose columns are read by their names (lon, lat, longitude, latitude, ...), or a GeoSeries or
            GeoDataFrame of points in any CRS.
        lat: latitudes, in the same shape.
        device: target device (default: that of the tensors).
        order: order of the columns of an array, ``lonlat`` or ``latlon``; names and geometries need none.

    Raises:
        InputError: values that are not numeric or not finite, different shapes, geometries that are not points,
            latitudes beyond the poles (with a hint if lat and lon look swapped), longitudes beyond 360,
            an unknown ``order``, or ``latlon`` for anything but an array of rows.

    >>> degrees([24.94], [60.17])
    (tensor([24.9400], dtype=torch.float64), tensor([60.1700], dtype=torch.float64))
    """
    if order not in ("lonlat", "latlon"):
        raise InputError(f"order must be lonlat or latlon; got {order!r}")
    named = lat is not None or hasattr(lon, "columns") or hasattr(lon, "to_crs")
    if named and order == "latlon":
        raise InputError("order is only for arrays of rows: separate values and named columns need none")
    if lat is None:
        lon, lat = _pair(lon)
        if order == "latlon":
            lon, lat = lat, lon
    across, along = _tensor(lon, "lon", device), _tensor(lat, "lat", device)
    if across.shape != along.shape:
        raise InputError(
            f"lon and lat must have the same shape; got {tuple(across.shape)} and {tuple(along.shape)}"
        )
    if not torch.compiler.is_compiling():
        refuse_bad(across, along)
    return across, along


def refuse_bad(lon: Tensor, lat: Tensor) -> None:
    """InputError if a coordinate is invalid; the message has the row, the values and a likely cause."""
    if lon.numel() == 0:
        return
    lon, lat = lon.detach(), lat.detach()
    bad = ~(torch.isfinite(lon) & torch.isfinite(lat) & (lat.abs() <= 90) & (lon.abs() <= FARTHEST_LON))
    if not bool(bad.any()):
        return
    count, row = int(bad.sum()), int(bad.flatten().to(torch.uint8).argmax())
    x, y = float(lon.flatten()[row]), float(lat.flatten()[row])
    swapped = bool((lat[bad].abs() <= 180).all() and (lon[bad].abs() <= 90).all())
    others = f" ({count} of {lon.numel()} rows are invalid)" if count > 1 else ""
    if not (np.isfinite(x) and np.isfinite(y)):
        raise InputError(f"row {row} has lon {x}, lat {y}: drop rows without coordinates{others}")
    if swapped:
        raise InputError(
            f"row {row} has lat {y:g}, which is out of range: lon and lat look swapped; the order is lon, lat "
            f"(order='latlon' reads rows of lat, lon){others}"
        )
    raise InputError(
        f"row {row} has lon {x:g}, lat {y:g}, which are not degrees (|lat| <= 90, |lon| <= 360): "
        f"convert projected coordinates to EPSG:4326{others}"
    )


def _pair(points: Any) -> tuple[Any, Any]:
    """Longitudes and latitudes of an object that contains both."""
    if hasattr(points, "to_crs"):
        geometry = points.geometry
        if geometry.crs is not None and not geometry.crs.equals("EPSG:4326"):
            geometry = geometry.to_crs("EPSG:4326")
        empty = int((geometry.isna() | geometry.is_empty).sum())
        if empty or not (geometry.geom_type == "Point").all():
            raise InputError(
                "location encoders need points: drop missing geometries, and use .representative_point() for polygons"
            )
        return geometry.x.to_numpy(), geometry.y.to_numpy()
    if hasattr(points, "columns"):
        lon, lat = coordinate_columns(points)
        return points[lon].to_numpy(), points[lat].to_numpy()
    both = points if isinstance(points, Tensor) else _array(points, "coordinates")
    if both.ndim < 1 or both.shape[-1] != 2:
        raise InputError(
            f"give lon and lat, or rows of lon, lat with shape (..., 2); got {tuple(both.shape)}"
        )
    return both[..., 0], both[..., 1]


def _tensor(values: Any, name: str, device: torch.device | None) -> Tensor:
    if isinstance(values, Tensor):
        if values.dtype == torch.bool or values.dtype.is_complex:
            raise InputError(f"{name} must be numeric; got {values.dtype}")
        return values.to(device=device, dtype=torch.float64)
    return torch.tensor(_array(values, name), dtype=torch.float64, device=device)


def _array(values: Any, name: str) -> Any:
    try:
        found = np.asarray(values)
        if found.dtype == bool or found.dtype.kind in "cMm":
            raise TypeError
        return found.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numeric, in degrees; got {str(values)[:60]}") from None
