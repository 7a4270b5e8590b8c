"""Spatial blocks, and splits that keep a buffer between their sides."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import InputError
from placevec.geo.coordinates import WGS84_A, Floats, Ints, check_lonlat, wrap_longitude
from placevec.geo.meters import to_ecef


def spatial_blocks(lon: ArrayLike, lat: ArrayLike, size_m: float) -> Ints:
    """(N,) int64 number of the block, about ``size_m`` square, that each point lies in.

    Rows are bands of latitude; each is cut into a whole number of equal columns, so blocks keep their size at
    any latitude and the last one meets the first at the antimeridian.
    """
    if not size_m > 0:
        raise InputError(f"a spatial block needs a positive size in meters; got {size_m}")
    lon, lat = check_lonlat(np.atleast_1d(lon), np.atleast_1d(lat))
    rows_total = max(1, round(math.pi * WGS84_A / size_m))
    row = np.minimum(((lat + 90.0) / 180.0 * rows_total).astype(np.int64), rows_total - 1)
    middle = np.radians((row + 0.5) / rows_total * 180.0 - 90.0)
    columns_total = np.maximum(1, np.round(2.0 * math.pi * WGS84_A * np.cos(middle) / size_m)).astype(
        np.int64
    )
    column = np.minimum(
        ((wrap_longitude(lon) + 180.0) / 360.0 * columns_total).astype(np.int64), columns_total - 1
    )
    return row * (2 * rows_total + 8) + column


def within_distance(lonlat: Floats, others: Floats, distance: float) -> NDArray[np.bool_]:
    """(N,) bool: which of ``lonlat`` (N, 2) lie closer than ``distance`` meters to any of ``others`` (M, 2)."""
    if len(lonlat) == 0 or len(others) == 0:
        return np.zeros(len(lonlat), bool)
    from scipy.spatial import cKDTree

    tree = cKDTree(to_ecef(others[:, 0], others[:, 1]))
    nearest, _ = tree.query(to_ecef(lonlat[:, 0], lonlat[:, 1]), distance_upper_bound=distance)
    return np.asarray(np.isfinite(nearest))


def hold_out_blocks(
    lonlat: Floats, *, size_m: float, share: float, buffer_m: float, seed: int
) -> tuple[Ints, Ints]:
    """(kept, held out) rows of ``lonlat`` (N, 2): whole random blocks held out, a buffer around them given up.

    Blocks are drawn until they hold ``share`` of the points; kept points lie at least ``buffer_m`` from every
    held-out one. The same seed gives the same blocks.
    """
    blocks = spatial_blocks(lonlat[:, 0], lonlat[:, 1], size_m)
    names, inverse, counts = np.unique(blocks, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, 0xB10C]).permutation(len(names))
    before = np.cumsum(counts[order]) - counts[order]
    chosen = np.zeros(len(names), bool)
    chosen[order[before < share * len(lonlat)]] = share > 0
    held_out = chosen[inverse]
    kept = ~held_out & ~within_distance(lonlat, lonlat[held_out], buffer_m)
    return np.flatnonzero(kept), np.flatnonzero(held_out)
