"""The map view: windows of the stored shards at any point, size and angle.

A window without a size in meters is a copy of native pixels. With a size in meters, it covers the same area at every
latitude and is resampled: first shrunk by integer factors with area averaging, so that thin roads fade instead of
breaking up, then bilinearly (OpenCV's ``warpAffine``). Windows that show a large area in few pixels, such as a place
with its surroundings, read averages that are kept in memory (`placevec.datasets.views.raster.overview`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from placevec.core import ROW_MISSING, Look, ViewSpec
from placevec.datasets.views.raster.blocks import ShardFolder
from placevec.datasets.views.raster.buffers import Batches, scratch
from placevec.datasets.views.raster.overview import REDUCED_FROM, STRIP_PX, ReducedMap, averaged, averages
from placevec.datasets.views.raster.shards import SHARD_PX, SHARD_TILES, Bytes
from placevec.datasets.views.raster.windows import Tiles
from placevec.errors import InputError
from placevec.geo import (
    MAX_MERCATOR_LATITUDE,
    TILE_PX,
    Floats,
    Ints,
    check_lonlat,
    lonlat_to_tile_xy,
    meters_per_pixel,
    offset,
)

MAX_SOURCE_PX = SHARD_PX
"""Maximum native pixels along the side of a window."""
_TILES_TOGETHER = 1024
"""Tiles of 1 bit loaded at once, unless a window needs more: 8 KB per band with content."""
_QUARTER_TOLERANCE = 1e-6
"""Rotations this close to a right angle are exact: float32 pi/2 is off by 4e-8."""

cv2.setNumThreads(1)  # windows are small, and OpenCV's thread pool does not survive a fork


@dataclass(frozen=True)
class _Windows:
    """What to read: the M rows of a batch that have a point, and the window of each in native pixels."""

    rows: Ints
    center: Floats
    """(M, 2) native pixels, x east and y south."""
    scale: Floats
    """(M,) native pixels per pixel of the window."""
    quarters: Floats
    """(M,) rotation of the map in right angles, counterclockwise."""
    keep: NDArray[np.bool_] | None
    """(M, C) channels to read, or None for all."""
    flip: NDArray[np.bool_] | None
    """(M, 2) whether to mirror east to west, and north to south, or None."""
    exact: NDArray[np.bool_]
    """(M,) windows that are copies of stored pixels."""
    factor: Ints
    """(M,) native pixels along each side of the cells that are averaged first."""
    corner: Ints
    """(M, 2) north-west corner of the native pixels needed."""
    span: Ints
    """(M,) number of them per side; whole cells."""


class RasterView:
    """Windows of a map stored in shards (the `View` of kind ``raster``).

    Args:
        dataset: the dataset's directory; its shards are in ``dataset/name``.
        name: name of the view.
        zoom: zoom of the tiles in the shards.
        channels: names of the bands, in their order.
        rules: hash of the rules that made the map, stored in the specification.
        size_px: side of a window in pixels.
        size_m: side of a window in meters at the window's center; None for ``size_px`` native pixels, aligned to the
            nearest pixel (a tile's own center and 256 give exactly the tile).
        memory: whether to keep decoded blocks in memory: True keeps all, False none, None up to 1 GiB. The pixels are
            the same.

    Raises:
        DatasetError: there is no map, or files are not its shards.
        InputError: a window without a size, or one that spans too many native pixels.
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
        self._set(shards, ReducedMap(shards), spec, range(len(channels)))

    def _set(self, shards: ShardFolder, reduced: ReducedMap, spec: ViewSpec, place: Sequence[int]) -> None:
        size_px, size_m = spec.size_px, spec.size_m
        if size_px is None or not 1 <= size_px <= MAX_SOURCE_PX:
            raise InputError(f"size_px of a window must be 1 to {MAX_SOURCE_PX}; got {size_px}")
        if size_m is not None and not (math.isfinite(size_m) and size_m > 0):
            raise InputError(f"size_m of a window must be a positive number of meters; got {size_m}")
        self.shards, self._spec, self._size_px, self._zoom = shards, spec, size_px, shards.zoom
        self._batches, self._reduced = Batches(), reduced
        self._place = tuple(place)  # for each band of the shards its channel in this view, or -1

    @property
    def spec(self) -> ViewSpec:
        """Specification of what is read."""
        return self._spec

    def window(
        self, *, size_px: int = TILE_PX, size_m: float | None = None, channels: Sequence[str] | None = None
    ) -> RasterView:
        """The same map, sharing its memory, with another window.

        ``channels`` selects channels of this view, in the given order; None keeps all. Raises InputError for unknown or
        duplicate channels.
        """
        chosen = self._spec.channels if channels is None else tuple(channels)
        if missing := [channel for channel in chosen if channel not in self._spec.channels]:
            have = ", ".join(self._spec.channels)
            raise InputError(
                f"the view {self._spec.name!r} has no channel {', '.join(missing)}; it has {have}"
            )
        if not chosen or len(set(chosen)) < len(chosen):
            raise InputError(f"a window needs at least one channel, and no duplicates; got {chosen}")
        rank = {channel: position for position, channel in enumerate(chosen)}
        place = [rank.get(self._spec.channels[old], -1) if old >= 0 else -1 for old in self._place]
        other = object.__new__(RasterView)
        spec = dataclasses.replace(self._spec, size_px=size_px, size_m=size_m, channels=chosen)
        other._set(self.shards, self._reduced, spec, place)
        return other

    def read(self, look: Look) -> Tensor:
        """The windows around the points of a look, with its rotation, shift and blanked channels.

        The window is first moved by ``shift`` (meters east, north); then the map is rotated under it by ``angle``
        (radians, counterclockwise) around the window's center; channels not in ``keep`` are blank; last, it is mirrored
        by ``flip`` (east to west, north to south). Native windows that are not rotated, or only by right angles, are
        copies of stored pixels.

        Returns:
            (N, C, size_px, size_px) uint8, 0..255; row 0 is north, column 0 is west. Zeros where nothing is stored,
            for rows ``ROW_MISSING`` and for NaN coordinates.

        Raises:
            InputError: no coordinates, or some beyond Web Mercator; an unknown or misshapen warp; a window that spans
                too many native pixels.
            DatasetError: a damaged shard.
        """
        side = self._size_px
        out = self._batches.zeros((len(look), len(self._spec.channels), side, side))
        windows = self._windows(look)
        for part in self._parts(windows):
            tiles = self._tiles(windows, part)
            for index in part:
                into, place = out[windows.rows[index]], self._place
                if windows.keep is not None:
                    kept = windows.keep[index].tolist()
                    place = tuple(channel if channel >= 0 and kept[channel] else -1 for channel in place)
                if windows.exact[index]:
                    quarter = round(float(windows.quarters[index])) % 4
                    left, top = windows.corner[index].tolist()
                    self._copy(into, left, top, quarter, place, tiles)
                else:
                    self._resample(into, windows, index, place, tiles)
                if windows.flip is not None:
                    _mirror(into, *windows.flip[index].tolist())
        return torch.from_numpy(out)

    def _parts(self, windows: _Windows) -> Iterator[Ints]:
        """The windows of a batch, shard by shard, in parts whose tiles are loaded together."""
        order = _by_shard(windows.corner)
        together = _TILES_TOGETHER // self.shards.bits
        tiles = np.cumsum((windows.span[order] // TILE_PX + 2) ** 2) // together
        yield from np.split(order, np.flatnonzero(np.diff(tiles)) + 1)

    def _tiles(self, windows: _Windows, part: Ints) -> Tiles | None:
        """The tiles under some windows; None if they are too large, or are averaged in strips."""
        if (windows.factor[part] >= REDUCED_FROM).any():
            return None
        corners, spans = windows.corner[part].tolist(), windows.span[part].tolist()
        if len(part) == 0 or (max(spans) / TILE_PX) ** 2 > _TILES_TOGETHER // self.shards.bits:
            return None
        boxes = [self.shards.box(x, y, span, span) for (x, y), span in zip(corners, spans, strict=True)]
        return self.shards.tiles(dict.fromkeys(chain.from_iterable(box.touched() for box in boxes)))

    def _windows(self, look: Look) -> _Windows:
        """The looks with a point, in native pixels."""
        if look.lonlat is None:
            raise InputError(f"the view {self._spec.name!r} needs coordinates, but none are given")
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
            scale = self._spec.size_m / self._size_px / meters_per_pixel(lat, self._zoom)
        quarters = warp["angle"][rows] / (np.pi / 2.0) if "angle" in warp else np.zeros(len(rows))
        keep, flip = (warp[name][rows] if name in warp else None for name in ("keep", "flip"))
        return self._placed(rows, tile_xy * TILE_PX, scale, quarters, keep, flip)

    def _placed(
        self,
        rows: Ints,
        center: Floats,
        scale: Floats,
        quarters: Floats,
        keep: NDArray[np.bool_] | None,
        flip: NDArray[np.bool_] | None,
    ) -> _Windows:
        """The native pixels that each window needs."""
        upright = np.abs(quarters - np.round(quarters)) < _QUARTER_TOLERANCE
        exact = upright & (self._spec.size_m is None)
        turned = np.abs(np.sin(quarters * np.pi / 2.0)) + np.abs(np.cos(quarters * np.pi / 2.0))
        reach = np.where(exact, self._size_px / 2.0, self._size_px * scale * turned / 2.0)
        if len(rows) and 2.0 * reach.max() > MAX_SOURCE_PX:
            raise InputError(
                f"a window spans {2.0 * reach.max():.0f} pixels of zoom {self._zoom}, more than {MAX_SOURCE_PX}:"
                " use a smaller size_m or a dataset with a lower zoom"
            )
        factor = np.maximum(1, np.floor(scale + 1e-6)).astype(np.int64)
        span = np.where(exact, self._size_px, (np.ceil((2.0 * reach + 1.0) / factor) + 2) * factor)
        margin = np.where(exact, 0, factor)
        corner = np.floor(center - reach[:, None] + 0.5).astype(np.int64) - margin[:, None]
        snapped = (factor >= REDUCED_FROM) & ~exact
        corner = np.where(snapped[:, None], corner // factor[:, None] * factor[:, None], corner)
        span = np.where(snapped, span + factor, span)
        return _Windows(
            rows, center, scale, quarters, keep, flip, exact, factor, corner, span.astype(np.int64)
        )

    def _copy(
        self, out: Bytes, left: int, top: int, quarter: int, place: Sequence[int], tiles: Tiles | None
    ) -> None:
        """Copy native pixels from (left, top) on, rotated by right angles, into ``out`` (C, H, W)."""
        if quarter == 0:
            self.shards.read_into(out, left, top, place, tiles)
            return
        straight = np.zeros_like(out)
        for channel in self.shards.read_into(straight, left, top, place, tiles):
            out[channel] = np.rot90(straight[channel], quarter)

    def _resample(
        self, out: Bytes, windows: _Windows, index: int, place: Sequence[int], tiles: Tiles | None
    ) -> None:
        """Resample a rotated or scaled window into ``out`` (C, H, W)."""
        quarters, factor = float(windows.quarters[index]), int(windows.factor[index])
        (left, top), (x, y) = windows.corner[index].tolist(), windows.center[index].tolist()
        span = int(windows.span[index])
        # From the center of a pixel of the window to a position in the source, where OpenCV counts pixels at their
        # centers: hence the halves. South is down, so rotating the map counterclockwise rotates the window
        # clockwise.
        sine, cosine = math.sin(quarters * math.pi / 2.0), math.cos(quarters * math.pi / 2.0)
        step, middle = float(windows.scale[index]) / factor, (out.shape[1] - 1) / 2.0
        turn = step * np.array([[cosine, -sine], [sine, cosine]])
        origin = np.array([(x - left) / factor - 0.5, (y - top) / factor - 0.5]) - turn @ (middle, middle)
        transform = np.column_stack([turn, origin])
        if factor >= REDUCED_FROM:
            coarse = self._reduced.read(left // factor, top // factor, span // factor, factor, place)
            if coarse is not None:
                for band, source in coarse:
                    channels = [place[band + lane] if band + lane < len(place) else -1 for lane in range(4)]
                    _warp_four(source, out, channels, transform)
                return
        if factor == 1:
            planes, channels, full, west = self.shards.read_planes(
                self.shards.box(left, top, span, span), place, tiles
            )
            transform[0, 2] += west
            for channel in full:  # the square around a window is one pixel larger on every side
                out[channel] = 255
        elif tiles is not None and span <= STRIP_PX:
            planes, channels = self._shrunk_at_once(out, left, top, span, factor, place, tiles)
        else:
            planes, channels = self._shrunk(left, top, span, factor, place)
        _warp(planes, out, channels, transform)

    def _shrunk_at_once(
        self, out: Bytes, left: int, top: int, span: int, factor: int, place: Sequence[int], tiles: Tiles
    ) -> tuple[Bytes, list[int]]:
        """`_shrunk` of a window that needs no strips, from loaded tiles; full channels are written to ``out`` at once."""
        planes, channels, full, west = self.shards.read_planes(
            self.shards.box(left, top, span, span), place, tiles
        )
        for channel in full:
            out[channel] = 255
        cells = span // factor
        shrunk = scratch.empty("shrunk", (len(channels), cells, cells))
        for into, plane in zip(shrunk, planes, strict=True):
            into[:] = averaged(plane[:, west : west + span], factor)
        return shrunk, channels

    def _shrunk(
        self, left: int, top: int, span: int, factor: int, place: Sequence[int]
    ) -> tuple[Bytes, list[int]]:
        """(k, cells, cells) means over ``factor`` x ``factor`` native pixels, and the channels with content."""
        cells = span // factor
        shrunk = np.zeros((len(self._spec.channels), cells, cells), np.uint8)
        written = set()
        for rows, channel, means in averages(self.shards, left, top, span, factor, place):
            shrunk[channel, rows] = means
            written.add(channel)
        return shrunk[sorted(written)], sorted(written)


def _warp(planes: Bytes, out: Bytes, channels: list[int], transform: Floats) -> None:
    """``out[channels[i]]`` from ``planes[i]``, bilinearly, at the positions given by ``transform`` (2, 3)."""
    for start in range(0, len(channels), 4):
        spare = max(start + 4 - len(channels), 0)
        blank = [scratch.zeros("blank", planes.shape[1:])] * spare
        merged = scratch.empty("merged", (*planes.shape[1:], 4))
        cv2.merge([*planes[start : start + 4], *blank], merged)
        _warp_four(merged, out, channels[start : start + 4] + [-1] * spare, transform)


def _warp_four(source: Bytes, out: Bytes, channels: Sequence[int], transform: Floats) -> None:
    """``out[channels[i]]`` from ``source[:, :, i]``; channels of -1 are skipped.

    Always four channels at once: OpenCV takes no longer for four than for one, and the pixels of a channel then do not
    depend on which others are read with it.
    """
    height, width = out.shape[1:]
    warped = scratch.empty("warped", (height, width, 4))
    cv2.warpAffine(source, transform, (width, height), warped, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    spare = scratch.empty("spare", (height, width))
    cv2.split(warped, [out[channel] if channel >= 0 else spare for channel in channels])


def _mirror(out: Bytes, east_west: bool, north_south: bool) -> None:
    """Mirror a window (C, H, W) in place."""
    if east_west or north_south:
        out[:] = out[:, :: -1 if north_south else 1, :: -1 if east_west else 1].copy()


def _by_shard(corner: Ints) -> Ints:
    """Order for reading the windows of a batch: shard by shard, so that each file is opened once."""
    tile = corner // TILE_PX
    shard = tile // SHARD_TILES
    return np.lexsort((tile[:, 0], tile[:, 1], shard[:, 0], shard[:, 1]))


def _array(values: Tensor, name: str, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """A look's tensor as an array of the required shape."""
    if tuple(values.shape) != shape:
        raise InputError(f"{name} must have shape {shape}; got {tuple(values.shape)}")
    return values.detach().cpu().numpy().astype(dtype, copy=False)


def _warps(look: Look, channels: int) -> dict[str, NDArray[Any]]:
    """A look's warps as arrays, checked."""
    known = {
        "angle": ((), np.float64), "shift": ((2,), np.float64), "keep": ((channels,), np.bool_),
        "flip": ((2,), np.bool_),
    }  # fmt: skip
    if unknown := set(look.warp) - set(known):
        raise InputError(f"unknown warp {', '.join(sorted(unknown))}: a map supports {', '.join(known)}")
    arrays = {}
    for name, values in look.warp.items():
        shape, dtype = known[name]
        arrays[name] = _array(values, name, (len(look), *shape), dtype)
        if dtype is np.float64 and not np.isfinite(arrays[name]).all():
            raise InputError(f"the warp {name} has a value that is not finite")
    return arrays
