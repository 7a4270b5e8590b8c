"""The map view: windows of the stored shards at any point, size and angle.

A window without a size in metres is a copy of native pixels. With a size in metres it covers the same ground
at every latitude; it is then resampled: shrunk by whole factors with area averaging first, so that thin roads
fade instead of breaking up, then bilinearly (OpenCV's ``warpAffine``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from placevec.core import ROW_MISSING, Look, ViewSpec
from placevec.errors import InputError
from placevec.geo import (
    MAX_MERCATOR_LATITUDE,
    TILE_PX,
    Floats,
    Ints,
    check_lonlat,
    lonlat_to_tile_xy,
    metres_per_pixel,
    offset,
)
from placevec.views.blocks import ShardFolder
from placevec.views.shards import SHARD_PX, SHARD_TILES, Bytes

MAX_SOURCE_PX = SHARD_PX
"""Native pixels that the side of one window may span."""
_STRIP_PX = 512
_QUARTER_TOLERANCE = 1e-6
"""Turns this close to a right angle are exact: float32 pi/2 is 4e-8 off."""

cv2.setNumThreads(1)  # windows are small, and OpenCV's thread pool does not survive a fork


@dataclass(frozen=True)
class _Windows:
    """Where to read: the M rows of a batch that have a point, and the window of each in native pixels."""

    rows: Ints
    centre: Floats
    """(M, 2) native pixels, x east and y south."""
    scale: Floats
    """(M,) native pixels a pixel of the window."""
    quarters: Floats
    """(M,) right angles by which the map is turned counter-clockwise."""
    keep: NDArray[np.bool_] | None
    """(M, C) channels that are read, or None for all."""


class RasterView:
    """Windows of a map stored in shards (the `View` of kind ``raster``).

    Args:
        dataset: the dataset's directory; its shards lie in ``dataset/name``.
        name: of the view.
        zoom: whose tiles the shards hold.
        channels: names of the bands, in their order.
        rules: hash of the rules that made the map, kept in the spec.
        size_px: side of a window in pixels.
        size_m: side of a window in metres on the ground at the window's centre; None for ``size_px`` native
            pixels, placed on the nearest whole pixel (a tile's own centre and 256 give exactly the tile).
        memory: keep decoded blocks in memory: True, all that are read; False, none; None, up to 1 GiB.
            The pixels are the same.

    Raises:
        DatasetError: no map there, or files that are not its shards.
        InputError: a window of no size, or one that spans too many native pixels.
    """

    def __init__(
        self,
        dataset: Path,
        *,
        name: str = "map",
        zoom: int,
        channels: tuple[str, ...],
        rules: str | None = None,
        size_px: int = TILE_PX,
        size_m: float | None = None,
        memory: bool | None = None,
    ) -> None:
        shards = ShardFolder(Path(dataset) / name, zoom=zoom, bands=len(channels), memory=memory)
        values = "coverage 0..255" if shards.bits == 1 else "intensity 0..255"
        spec = ViewSpec(name, "raster", tuple(channels), values, size_px, size_m, zoom, rules)
        self._set(shards, spec, range(len(channels)))

    def _set(self, shards: ShardFolder, spec: ViewSpec, place: Sequence[int]) -> None:
        size_px, size_m = spec.size_px, spec.size_m
        if size_px is None or not 1 <= size_px <= MAX_SOURCE_PX:
            raise InputError(f"a window has 1 to {MAX_SOURCE_PX} pixels a side; got {size_px}")
        if size_m is not None and not (math.isfinite(size_m) and size_m > 0):
            raise InputError(f"a window needs a positive size in metres; got {size_m}")
        self.shards, self._spec, self._size_px, self._zoom = shards, spec, size_px, shards.zoom
        self._place = tuple(place)  # for each band of the shards its channel in this view, or -1

    @property
    def spec(self) -> ViewSpec:
        """What is read."""
        return self._spec

    def window(
        self, *, size_px: int = TILE_PX, size_m: float | None = None, channels: Sequence[str] | None = None
    ) -> RasterView:
        """The same map, and the same memory, seen through a window of another size.

        ``channels`` chooses some of this view's, in the order given; None keeps all. Raises InputError for a
        channel that is not there, or twice there.
        """
        chosen = self._spec.channels if channels is None else tuple(channels)
        if missing := [channel for channel in chosen if channel not in self._spec.channels]:
            have = ", ".join(self._spec.channels)
            raise InputError(
                f"the view {self._spec.name!r} has no channel {', '.join(missing)}; it has {have}"
            )
        if not chosen or len(set(chosen)) < len(chosen):
            raise InputError(f"a window shows each of its channels once, and at least one; got {chosen}")
        rank = {channel: position for position, channel in enumerate(chosen)}
        place = [rank.get(self._spec.channels[old], -1) if old >= 0 else -1 for old in self._place]
        other = object.__new__(RasterView)
        spec = dataclasses.replace(self._spec, size_px=size_px, size_m=size_m, channels=chosen)
        other._set(self.shards, spec, place)
        return other

    def read(self, look: Look) -> Tensor:
        """The windows around the points of a look, as it turns, shifts and blanks them.

        The window first moves by ``shift`` (metres east, north); then the map is turned under it by ``angle``
        (radians, counter-clockwise) about the window's centre; channels outside of ``keep`` are blank. Native
        windows without a turn, or turned by right angles, are copies of stored pixels.

        Returns:
            (N, C, size_px, size_px) uint8, 0..255; row 0 is the north, column 0 the west. Zeros where nothing
            is stored, for rows ``ROW_MISSING`` and for coordinates that are NaN.

        Raises:
            InputError: no coordinates, or some beyond Web Mercator; a warp that is unknown or misshapen; a
                window that spans too many native pixels.
            DatasetError: a damaged shard.
        """
        side = self._size_px
        out = np.zeros((len(look), len(self._spec.channels), side, side), np.uint8)
        windows = self._windows(look)
        upright = np.abs(windows.quarters - np.round(windows.quarters)) < _QUARTER_TOLERANCE
        exact = upright & (self._spec.size_m is None)
        for index in _by_shard(windows.centre):
            into, place = out[windows.rows[index]], self._place
            if windows.keep is not None:
                kept = windows.keep[index].tolist()
                place = tuple(channel if channel >= 0 and kept[channel] else -1 for channel in place)
            x, y = windows.centre[index].tolist()
            if exact[index]:
                self._copy(into, x, y, round(float(windows.quarters[index])) % 4, place)
            else:
                self._resample(into, x, y, float(windows.scale[index]), float(windows.quarters[index]), place)
        return torch.from_numpy(out)

    def _windows(self, look: Look) -> _Windows:
        """The looks that have a point, in native pixels."""
        if look.lonlat is None:
            raise InputError(f"the view {self._spec.name!r} is read by coordinates, and the look has none")
        lonlat = _array(look.lonlat, "lonlat", (len(look), 2), np.float64)
        warp = _warps(look, len(self._spec.channels))
        there = _array(look.rows, "rows", (len(look),), np.int64) != ROW_MISSING
        rows = np.flatnonzero(there & ~np.isnan(lonlat).any(axis=1))
        lon, lat = check_lonlat(lonlat[rows, 0], lonlat[rows, 1])
        tile_xy = lonlat_to_tile_xy(lon, lat, self._zoom)
        if "shift" in warp:
            east, north = warp["shift"][rows].T
            lon, lat = offset(lon, lat, east_m=east, north_m=north).T
            lat = np.clip(lat, -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)
            tile_xy = lonlat_to_tile_xy(lon, lat, self._zoom)
        scale = np.ones(len(rows))
        if self._spec.size_m is not None:
            scale = self._spec.size_m / self._size_px / metres_per_pixel(lat, self._zoom)
        quarters = warp["angle"][rows] / (np.pi / 2.0) if "angle" in warp else np.zeros(len(rows))
        keep = warp["keep"][rows] if "keep" in warp else None
        return _Windows(rows, tile_xy * TILE_PX, scale, quarters, keep)

    def _copy(self, out: Bytes, x: float, y: float, quarter: int, place: Sequence[int]) -> None:
        """Native pixels around (x, y), turned by right angles, into ``out`` (C, H, W)."""
        half = out.shape[1] / 2.0
        left, top = math.floor(x - half + 0.5), math.floor(y - half + 0.5)
        if quarter == 0:
            self.shards.read_into(out, left, top, place)
            return
        straight = np.zeros_like(out)
        for channel in self.shards.read_into(straight, left, top, place):
            out[channel] = np.rot90(straight[channel], quarter)

    def _resample(
        self, out: Bytes, x: float, y: float, scale: float, quarters: float, place: Sequence[int]
    ) -> None:
        """A window of ``scale`` native pixels a pixel around (x, y), turned, into ``out`` (C, H, W)."""
        sine, cosine = math.sin(quarters * math.pi / 2.0), math.cos(quarters * math.pi / 2.0)
        reach = out.shape[1] * scale * (abs(sine) + abs(cosine)) / 2.0
        if 2.0 * reach > MAX_SOURCE_PX:
            raise InputError(
                f"a window spans {2.0 * reach:.0f} pixels of zoom {self._zoom}, more than {MAX_SOURCE_PX}:"
                " use a smaller size_m or a dataset of lower zoom"
            )
        factor = max(1, math.floor(scale + 1e-6))
        left, top = math.floor(x - reach + 0.5) - factor, math.floor(y - reach + 0.5) - factor
        cells = math.ceil((2.0 * reach + 1.0) / factor) + 2
        source, channels = self._shrunk(left, top, cells, factor, place)
        if not channels:
            return
        # From the centre of a pixel of the window to a position in `source`, whose pixels OpenCV counts at
        # their centres: hence the halves. South is down, so turning the map counter-clockwise turns the
        # reading clockwise.
        step, middle = scale / factor, (out.shape[1] - 1) / 2.0
        turn = step * np.array([[cosine, -sine], [sine, cosine]])
        origin = np.array([(x - left) / factor - 0.5, (y - top) / factor - 0.5]) - turn @ (middle, middle)
        _warp(source, out, channels, np.column_stack([turn, origin]))

    def _shrunk(
        self, left: int, top: int, cells: int, factor: int, place: Sequence[int]
    ) -> tuple[Bytes, list[int]]:
        """(C, cells, cells) means over ``factor`` x ``factor`` native pixels, and the channels not empty."""
        shape = (len(self._spec.channels), cells, cells)
        shrunk = np.zeros(shape, np.uint8)
        if factor == 1:
            return shrunk, sorted(self.shards.read_into(shrunk, left, top, place))
        written: set[int] = set()
        rows = max(1, _STRIP_PX // factor)
        for start in range(0, cells, rows):
            stop = min(start + rows, cells)
            strip = np.zeros((shape[0], (stop - start) * factor, cells * factor), np.uint8)
            touched = self.shards.read_into(strip, left, top + start * factor, place)
            for channel in touched:
                shrunk[channel, start:stop] = _averaged(strip[channel], factor)
            written |= touched
        return shrunk, sorted(written)


def _averaged(pixels: Bytes, factor: int) -> Bytes:
    """Means over ``factor`` x ``factor`` pixels; by halves while that is possible, for which OpenCV is faster."""
    while factor > 1:
        step = 2 if factor % 2 == 0 else factor
        size = pixels.shape[1] // step, pixels.shape[0] // step
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        factor //= step
    return pixels


def _warp(source: Bytes, out: Bytes, channels: list[int], transform: Floats) -> None:
    """``out[c]`` from ``source[c]``, bilinearly, at the positions that ``transform`` (2, 3) gives.

    Always four channels at once, blank ones added: in OpenCV they cost little more than one, and a channel's
    pixels then do not depend on which others are read with it.
    """
    blank = np.zeros(source.shape[1:], np.uint8)
    size = (out.shape[2], out.shape[1])
    for start in range(0, len(channels), 4):
        group = channels[start : start + 4]
        merged = cv2.merge([source[channel] for channel in group] + [blank] * (4 - len(group)))
        warped = cv2.warpAffine(merged, transform, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        for channel, plane in zip(group, cv2.split(warped), strict=False):
            out[channel] = plane


def _by_shard(centre: Floats) -> Ints:
    """Order in which the windows of a batch are read: shard by shard, so that each file is opened once."""
    tile = np.floor(centre / TILE_PX).astype(np.int64)
    shard = tile // SHARD_TILES
    return np.lexsort((tile[:, 0], tile[:, 1], shard[:, 0], shard[:, 1]))


def _array(values: Tensor, name: str, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """A look's tensor as an array of the shape it must have."""
    if tuple(values.shape) != shape:
        raise InputError(f"{name} of a look must have shape {shape}; got {tuple(values.shape)}")
    return values.detach().cpu().numpy().astype(dtype, copy=False)


def _warps(look: Look, channels: int) -> dict[str, NDArray[Any]]:
    """A look's warps as arrays, checked."""
    known = {"angle": ((), np.float64), "shift": ((2,), np.float64), "keep": ((channels,), np.bool_)}
    if unknown := set(look.warp) - set(known):
        raise InputError(f"a map can be warped by {', '.join(known)}, not by {', '.join(sorted(unknown))}")
    arrays = {}
    for name, values in look.warp.items():
        shape, dtype = known[name]
        arrays[name] = _array(values, name, (len(look), *shape), dtype)
        if dtype is np.float64 and not np.isfinite(arrays[name]).all():
            raise InputError(f"the warp {name} holds a value that is not a finite number")
    return arrays
