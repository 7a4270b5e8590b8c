"""Spatial blocks, and splits with a buffer between training and test points."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import InputError
from placevec.geo.coordinates import WGS84_A, Floats, Ints, check_lonlat, extent_of, wrap_longitude
from placevec.geo.meters import to_ecef


def block_side_m(lonlat: Floats, across: float = 20.0) -> float:
    """Side of blocks that suit (N, 2) lon, lat: a share of the extent, meters, at most 500 km.

    >>> round(block_side_m(np.array([[0.0, 0.0], [0.1, 0.0]])))
    557
    """
    extent = extent_of(to_ecef(lonlat[:, 0], lonlat[:, 1]))
    return float(np.clip(extent / across, 1.0, 500_000.0))


def spatial_blocks(lon: ArrayLike, lat: ArrayLike, size_m: float) -> Ints:
    """(N,) int64 block number of each point; blocks are about ``size_m`` meters square.

    Rows are bands of latitude. Each band is divided into an integer number of equal columns, so blocks have the same
    size at any latitude and do not overlap at the antimeridian.

    >>> first, near, far = spatial_blocks([24.940, 24.941, 24.99], [60.17, 60.17, 60.17], 1000)
    >>> bool(first == near), bool(first == far)
    (True, False)
    """
    if not size_m > 0:
        raise InputError(f"the block size must be a positive number of meters; got {size_m}")
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
    """(N,) bool: which of ``lonlat`` (N, 2) lie closer than ``distance`` meters to any of ``others`` (M, 2).

    >>> within_distance(np.array([[24.94, 60.17], [24.99, 60.17]]), np.array([[24.941, 60.17]]), 100).tolist()
    [True, False]
    """
    if len(lonlat) == 0 or len(others) == 0:
        return np.zeros(len(lonlat), bool)
    from scipy.spatial import cKDTree

    tree = cKDTree(to_ecef(others[:, 0], others[:, 1]))
    nearest, _ = tree.query(to_ecef(lonlat[:, 0], lonlat[:, 1]), distance_upper_bound=distance)
    return np.asarray(np.isfinite(nearest))


def hold_out_blocks(
    lonlat: Floats, *, size_m: float, share: float, buffer_m: float, seed: int
) -> tuple[Ints, Ints]:
    """(training rows, held-out rows) of ``lonlat`` (N, 2): random whole blocks are held out, with a buffer around them.

    Blocks are drawn until they contain ``share`` of the points. Training points lie at least ``buffer_m`` meters from
    every held-out point; points in the buffer belong to neither. The same seed gives the same blocks.

    >>> lonlat = np.stack(np.meshgrid(np.linspace(24, 25, 30), np.linspace(60, 60.5, 30)), -1).reshape(-1, 2)
    >>> train, held_out = hold_out_blocks(lonlat, size_m=5000, share=0.2, buffer_m=1000, seed=0)
    >>> bool(within_distance(lonlat[train], lonlat[held_out], 1000).any())
    False
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
