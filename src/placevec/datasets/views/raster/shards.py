"""Map shards as files: which blocks of 256 x 256 px a shard has, where they are, and how they are decoded.

A shard is a GeoTIFF of 64 x 64 slippy tiles. Every band is divided into blocks that are exactly the tiles, and an
empty block takes no bytes. With the table of blocks, a reader loads and decompresses only existing ones.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.errors import DatasetError
from placevec.geo import MERCATOR_HALF, TILE_PX
from placevec.geo.geotiff import compress_bits

SHARD_TILES = 64
"""Tiles along each side of a shard."""
SHARD_PX = SHARD_TILES * TILE_PX
SHARD_NAME = re.compile(r"(\d{1,5})_(\d{1,5})\.tif")

_NONE, _DEFLATE, _ADOBE_DEFLATE, _ZSTD = 1, 32946, 8, 50000
_COMPRESSIONS = (_NONE, _DEFLATE, _ADOBE_DEFLATE, _ZSTD)
_ZSTD_CODEC = pa.Codec("zstd")
_FULL = compress_bits(b"\xff" * (TILE_PX * TILE_PX // 8))
"""A block of 1 bit that is set everywhere, as preparation writes it; other encodings of it are decoded."""
_GAP_BYTES = 8192
"""Maximum gap between two blocks that are read together."""


class Tile(NamedTuple):
    """The content of one tile; empty bands are left out.

    Attributes:
        bands: bands with a block, ascending.
        blocks: (n, 256, 32) uint8 of these, eight pixels per byte with the westernmost in the highest bit, for maps of
            1 bit; (n, 256, 256) for maps of 8 bits.
        full: bands set everywhere, ascending, which need no block.
    """

    bands: tuple[int, ...]
    blocks: Bytes
    full: tuple[int, ...] = ()


@dataclass(frozen=True)
class ShardTable:
    """Where the blocks of one shard are in its file.

    Blocks are sorted by tile (row by row), then band; tile ``t`` has the entries ``first[t]`` to ``first[t + 1]``.
    """

    path: Path
    bits: int
    compression: int
    predictor: int
    first: NDArray[np.int32]
    band: NDArray[np.uint16]
    offset: NDArray[np.uint64]
    size: NDArray[np.uint32]

    def decode(self, descriptor: int, start: int, stop: int) -> Tile:
        """Decode blocks ``start`` to ``stop``, which must belong to one tile, from the open file.

        Raises DatasetError if the bytes are truncated or do not decode to blocks.
        """
        blocks, full = self._blocks(descriptor, np.arange(start, stop))
        band = self.band[start:stop]
        return Tile(tuple(band[~full].tolist()), blocks, tuple(band[full].tolist()))

    def decode_tiles(self, descriptor: int, numbers: Sequence[int]) -> list[Tile | None]:
        """The content of tiles (row * 64 + column, in any order), None for empty ones; errors as in `decode`.

        Frames are decompressed together, because starting the decompressor takes as long as a few blocks.
        """
        starts, stops = self.first[np.asarray(numbers)], self.first[np.asarray(numbers) + 1]
        ends = np.cumsum(stops - starts)
        entries = np.arange(ends[-1]) + np.repeat(stops - ends, stops - starts)
        blocks, full = self._blocks(descriptor, entries)
        bands = self.band[entries]
        some, all_over = bands[~full].tolist(), bands[full].tolist()
        before = np.concatenate([[0], np.cumsum(full)])[np.concatenate([[0], ends])]
        cuts = zip(before.tolist(), (np.concatenate([[0], ends]) - before).tolist(), strict=True)
        return [
            Tile(tuple(some[a:b]), blocks[a:b], tuple(all_over[c:d])) if a < b or c < d else None
            for (c, a), (d, b) in pairwise(cuts)
        ]

    def _blocks(self, descriptor: int, entries: NDArray[np.int64]) -> tuple[Bytes, NDArray[np.bool_]]:
        """(n, 256, bytes per row) the blocks at some entries of the table, without those that (m,) bool marks as full."""
        width = TILE_PX * self.bits // 8
        full = np.zeros(len(entries), bool)
        try:
            raw = _read(descriptor, self.offset[entries], self.size[entries])
            if self.bits == 1 and self.compression == _ZSTD:
                for number in np.flatnonzero(self.size[entries] == len(_FULL)).tolist():
                    full[number] = raw[number] == _FULL
                raw = [block for block, is_full in zip(raw, full.tolist(), strict=True) if not is_full]
            content = _decompress(raw, self.compression, TILE_PX * width) if raw else b""
            blocks = np.frombuffer(content, np.uint8).reshape(len(raw), TILE_PX, width)
        except (OSError, ValueError, OverflowError, zlib.error) as error:
            raise DatasetError(f"{self.path} is damaged ({error}); prepare the dataset again") from error
        if self.predictor == 2:
            blocks = np.cumsum(blocks, axis=-1, dtype=np.uint8)
        return blocks, full


def _read(descriptor: int, offset: NDArray[np.uint64], size: NDArray[np.uint32]) -> list[bytes]:
    """The bytes at some positions of a file, shorter if the file ends before.

    Neighboring ranges are read in one call, which takes longer than a few kilobytes do.
    """
    if not len(offset):
        return []
    order = np.argsort(offset)
    start = offset.astype(np.int64)[order]
    stop = np.maximum.accumulate(start + size.astype(np.int64)[order])
    first = np.concatenate([[0], 1 + np.flatnonzero(start[1:] > stop[:-1] + _GAP_BYTES)])
    begin, end = start[first], stop[np.concatenate([first[1:] - 1, [len(stop) - 1]])]
    runs = [os.pread(descriptor, b - a, a) for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
    run = np.searchsorted(begin, offset.astype(np.int64), side="right") - 1
    at = offset.astype(np.int64) - begin[run]
    places = zip(run.tolist(), at.tolist(), (at + size).tolist(), strict=True)
    return [runs[number][a:b] for number, a, b in places]


def _decompress(raw: list[bytes], compression: int, size: int) -> bytes | pa.Buffer:
    """The concatenated bytes of blocks, at most ``size`` each, whatever they claim."""
    if compression == _ZSTD:
        return _ZSTD_CODEC.decompress(b"".join(raw), decompressed_size=size * len(raw))
    if compression == _NONE:
        return b"".join(raw)
    return b"".join(zlib.decompressobj().decompress(block, size) for block in raw)


def read_shard_table(path: Path, zoom: int, bands: int) -> ShardTable:
    """The table of a shard's blocks; DatasetError if the file is not a shard of this map."""
    import tifffile  # only readers need it

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            problem = _layout_problem(page, zoom, bands, path.stem)
            offset = np.asarray(page.dataoffsets, np.uint64)
            size = np.asarray(page.databytecounts, np.uint64)
            bits, compression, predictor = page.bitspersample, int(page.compression), int(page.predictor)
    except (
        Exception
    ) as error:  # tifffile raises many kinds of errors for damaged files, even struct and index errors
        raise DatasetError(
            f"{path} is not a readable map shard ({error}); prepare the dataset again"
        ) from error
    tiles = SHARD_TILES * SHARD_TILES
    if not problem and (len(offset), len(size)) != (bands * tiles, bands * tiles):
        problem = f"its table holds {len(offset)} blocks"
    if not problem and size.max(initial=0) > TILE_PX * TILE_PX * 2:
        problem = "a block is too large"
    if problem:
        raise DatasetError(f"{path} is not a shard of this map: {problem}; prepare the dataset again")
    band, tile = np.divmod(np.flatnonzero((size > 0) & (offset > 0)), tiles)
    order = np.lexsort((band, tile))
    band, tile = band[order], tile[order]
    chosen = band * tiles + tile
    first = np.searchsorted(tile, np.arange(tiles + 1)).astype(np.int32)
    return ShardTable(
        path, bits, compression, predictor, first, band.astype(np.uint16), offset[chosen],
        size[chosen].astype(np.uint32),
    )  # fmt: skip


def _layout_problem(page: Any, zoom: int, bands: int, name: str) -> str:
    """Why a TIFF page is not the shard that its file name says, or an empty text."""
    shard_x, shard_y = (int(part) for part in name.split("_"))
    resolution = 2.0 * MERCATOR_HALF / (TILE_PX * 2.0**zoom)
    west = shard_x * SHARD_PX * resolution - MERCATOR_HALF
    north = MERCATOR_HALF - shard_y * SHARD_PX * resolution
    tie, scale = (page.tags[tag].value for tag in ("ModelTiepointTag", "ModelPixelScaleTag"))
    corner = tie[3] - tie[0] * scale[0], tie[4] + tie[1] * scale[1]
    checks = [
        ((page.imagewidth, page.imagelength) == (SHARD_PX, SHARD_PX), f"it is not {SHARD_PX} px square"),
        ((page.tilewidth, page.tilelength) == (TILE_PX, TILE_PX), f"its blocks are not {TILE_PX} px square"),
        (page.samplesperpixel == bands, f"it has {page.samplesperpixel} bands, not {bands}"),
        (page.planarconfig == 2 or bands == 1, "its bands are interleaved by pixel"),
        (page.bitspersample in (1, 8), f"its pixels have {page.bitspersample} bits, not 1 or 8"),
        (page.compression in _COMPRESSIONS, f"{page.compression!r} is not ZSTD, Deflate or none"),
        (
            page.predictor in (1, 2) and page.predictor < page.bitspersample + 1,
            "its predictor is not supported",
        ),
        (page.fillorder == 1, "its bits are in reversed order"),
        (max(abs(side / resolution - 1.0) for side in scale[:2]) < 1e-6, f"its zoom is not {zoom}"),
        (
            max(abs(corner[0] - west), abs(corner[1] - north)) < resolution / 4,
            "its corner is at the wrong position",
        ),
    ]
    return next((problem for holds, problem in checks if not holds), "")


Bytes = NDArray[np.uint8]

_PIXELS: Bytes = np.negative(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1))
"""(256, 8) the pixels of each byte."""
_WORDS = _PIXELS.view(np.float64).ravel()


def unpack(packed: Bytes, out: Bytes) -> None:
    """Write the pixels of ``packed`` (n,) bytes, 0 or 255, into ``out`` (8 n,); both contiguous, at any address.

    >>> out = np.empty(8, np.uint8)
    >>> unpack(np.array([0b10000001], np.uint8), out)
    >>> out.tolist()
    [255, 0, 0, 0, 0, 0, 0, 255]
    """
    if len(packed):
        cv2.LUT(packed.reshape(1, -1), _WORDS, out.view(np.float64).reshape(1, -1))


def unpack_images(images: Bytes, tails: Bytes, shift: int, out: Bytes, channels: Sequence[int]) -> None:
    """Unpack images whose rows begin ``shift`` (0 to 7) bits into their first byte, without shifting bits.

    Rows of an image are contiguous in memory, and so are images. So the eight pixels of a byte can be written across
    the
    end of a row: the byte there must contain the end of one row in its high bits and the beginning of the next row in
    its low bits.

    Args:
        images: (k, n) contiguous bytes, ascending by channel.
        tails: (k,) the byte after each image, which contains the end of its last row.
        shift: high bits of an image's first byte that precede it.
        out: (C, H, W) contiguous, with 8 n pixels per channel.
        channels: index in ``out`` of each of the k images.
    """
    flat, size = out.reshape(-1), out.shape[1] * out.shape[2]
    first = 0
    while first < len(channels):
        last = first  # images of consecutive channels are written at once
        while last + 1 < len(channels) and channels[last + 1] == channels[last] + 1:
            last += 1
        start, stop = channels[first] * size, (channels[last] + 1) * size
        packed = images[first : last + 1].reshape(-1)
        if shift == 0:
            unpack(packed, flat[start:stop])
        else:
            unpack(packed[1:], flat[start + 8 - shift : stop - shift])
            flat[start : start + 8 - shift] = _PIXELS[packed[0], shift:]
            flat[stop - shift : stop] = _PIXELS[tails[last], :shift]
        first = last + 1
