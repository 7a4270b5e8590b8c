"""Writing tiled GeoTIFF block by block: blocks come compressed and in any order, and empty ones take no space.

tifffile and GDAL need blocks in file order, which would keep a country's coverage in memory, and they spend more
time on empty blocks than on the rest. The result is plain TIFF (BigTIFF from 4 GiB) that GDAL, QGIS and tifffile
read. The same content gives the same bytes: the file contains no date.
"""

from __future__ import annotations

import html
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import zstandard
from numpy.typing import ArrayLike, NDArray

ATTRIBUTION = "© OpenStreetMap contributors, ODbL 1.0"
RGB = ("red", "green", "blue")
"""Band names of RGB maps; files with these bands are tagged as RGB images."""
# reused: building their tables takes longer than compressing a block; every reader verifies the checksum of a frame
_COMPRESSOR = zstandard.ZstdCompressor(level=1, write_checksum=True)
_BIT_COMPRESSOR = zstandard.ZstdCompressor(level=-1, write_checksum=True)
_HEAD_BYTES = 16
_BIGTIFF_FROM = 2**32
_ASCII, _SHORT, _LONG, _DOUBLE, _LONG8 = 2, 3, 4, 12, 16
_FORMATS = {_ASCII: "s", _SHORT: "H", _LONG: "I", _DOUBLE: "d", _LONG8: "Q"}
_ZSTD = 50000


def compress(block: bytes | memoryview | NDArray[np.uint8]) -> bytes:
    """Compress a block for `GeoTiffWriter.add`.

    >>> len(compress(bytes(256 * 256))) < 100
    True
    """
    return _COMPRESSOR.compress(block)  # type: ignore[arg-type]  # any buffer will do


def compress_bits(block: bytes | memoryview | NDArray[np.uint8]) -> bytes:
    """Compress a block of 1 bit per pixel for `GeoTiffWriter.add`.

    Without Huffman coding: a fifth larger than `compress`, written and read in two thirds of the time.
    """
    return _BIT_COMPRESSOR.compress(block)  # type: ignore[arg-type]  # any buffer will do


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def gdal_metadata(names: Sequence[str], attribution: str = ATTRIBUTION) -> str:
    """GDAL's XML metadata with the band names and the attribution, escaped.

    >>> "roads" in gdal_metadata(["roads", "water"], "© OpenStreetMap contributors")
    True
    """
    # GDAL escapes these texts before it puts them into XML, which escapes them again.
    items = [f'<Item name="ATTRIBUTION">{_escape(_escape(attribution))}</Item>']
    items += [
        f'<Item name="DESCRIPTION" sample="{number}" role="description">{_escape(_escape(name))}</Item>'
        for number, name in enumerate(names)
    ]
    return "<GDALMetadata>" + "".join(items) + "</GDALMetadata>"


class GeoTiffWriter:
    """A sparse GeoTIFF in EPSG:3857 with bands stored apart, ZSTD.

    Args:
        path: file to write; it is complete only after `close`, so use a temporary name and rename it.
        width: number of pixel columns; height: number of pixel rows.
        block: side of the square blocks in pixels, a multiple of 16.
        names: names of the bands.
        bits: 1 or 8 bits per pixel.
        west: left edge in projected meters; north: upper edge.
        resolution: projected meters per pixel.
        attribution: attribution written to the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        block: int,
        names: Sequence[str],
        bits: int,
        west: float,
        north: float,
        resolution: float,
        attribution: str = ATTRIBUTION,
    ) -> None:
        self._attribution = attribution
        self._names, self._bits, self._block = tuple(names), bits, block
        self._size = width, height
        self._corner = west, north, resolution
        self._grid = len(self._names), -(-height // block), -(-width // block)
        self._placed: list[NDArray[np.int64]] = [np.zeros((4, 0), np.int64)]
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        self._file.write(bytes(_HEAD_BYTES))

    def __enter__(self) -> GeoTiffWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def add(self, band: int, row: int, column: int, compressed: bytes) -> None:
        """Add a block compressed by `compress`; blocks that are never added are empty."""
        self.add_many([band], [row], [column], [compressed])

    def add_many(
        self, band: ArrayLike, row: ArrayLike, column: ArrayLike, compressed: Sequence[bytes]
    ) -> None:
        """Add several blocks, given by their bands, rows, columns and compressed bytes."""
        size = list(map(len, compressed))
        self._placed.append(np.stack([np.asarray(part, np.int64) for part in (band, row, column, size)]))
        self._file.write(b"".join(compressed))

    def close(self) -> None:
        """Write the block tables and complete the file."""
        offsets, sizes = np.zeros(self._grid, np.uint64), np.zeros(self._grid, np.uint64)
        band, row, column, size = np.concatenate(self._placed, axis=1)
        ends = _HEAD_BYTES + np.cumsum(size)
        offsets[band, row, column], sizes[band, row, column] = ends - size, size
        end = int(ends[-1]) if len(ends) else _HEAD_BYTES
        start = -(-end // 8) * 8
        big = start + 2 * offsets.nbytes + 2**20 >= _BIGTIFF_FROM
        self._file.write(bytes(start - end))
        self._file.write(_directory(self._tags(offsets, sizes, big), start, big))
        self._file.seek(0)
        self._file.write(
            struct.pack("<2sHHHQ", b"II", 43, 8, 0, start)
            if big
            else struct.pack("<2sHI8x", b"II", 42, start)
        )
        self._file.close()

    def _tags(
        self, offsets: NDArray[np.uint64], sizes: NDArray[np.uint64], big: bool
    ) -> list[tuple[int, int, int, bytes]]:
        """(number, type, count, value) of every tag, ascending."""
        bands = len(self._names)
        west, north, resolution = self._corner
        wide = _LONG8 if big else _LONG
        table = "<u8" if big else "<u4"
        is_rgb = self._bits == 8 and self._names == RGB
        others = bands - (3 if is_rgb else 1)
        return [
            _tag(256, _LONG, self._size[0]),
            _tag(257, _LONG, self._size[1]),
            _tag(258, _SHORT, *[self._bits] * bands),
            _tag(259, _SHORT, _ZSTD),
            _tag(262, _SHORT, 2 if is_rgb else 1),  # colors, or black is zero
            _tag(277, _SHORT, bands),
            _tag(284, _SHORT, 2 if bands > 1 else 1),  # bands stored apart
            _text_tag(305, "placevec"),
            _tag(322, _SHORT, self._block),
            _tag(323, _SHORT, self._block),
            (324, wide, offsets.size, offsets.astype(table).tobytes()),
            (325, wide, sizes.size, sizes.astype(table).tobytes()),
            *([_tag(338, _SHORT, *[0] * others)] if others else []),  # extra bands are not alpha
            _tag(339, _SHORT, *[1] * bands),  # unsigned
            _text_tag(33432, self._attribution),
            _tag(33550, _DOUBLE, resolution, resolution, 0.0),
            _tag(33922, _DOUBLE, 0.0, 0.0, 0.0, west, north, 0.0),
            # projected, pixels are areas, EPSG:3857
            _tag(34735, _SHORT, 1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 3857),
            _text_tag(42112, gdal_metadata(self._names, self._attribution)),
        ]


def _tag(number: int, kind: int, *values: float) -> tuple[int, int, int, bytes]:
    return number, kind, len(values), struct.pack(f"<{len(values)}{_FORMATS[kind]}", *values)


def _text_tag(number: int, text: str) -> tuple[int, int, int, bytes]:
    raw = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
    return number, _ASCII, len(raw), raw


def _directory(tags: list[tuple[int, int, int, bytes]], start: int, big: bool) -> bytes:
    """The image file directory at position ``start``, followed by the values that do not fit into it."""
    inline, entry, pointer = (8, 20, "Q") if big else (4, 12, "I")
    head = struct.pack("<Q" if big else "<H", len(tags))
    position = start + len(head) + entry * len(tags) + inline
    position = -(-position // 8) * 8
    entries, values = b"", b""
    for number, kind, count, raw in tags:
        entries += struct.pack("<HH" + pointer, number, kind, count)
        if len(raw) <= inline:
            entries += raw.ljust(inline, b"\0")
        else:
            entries += struct.pack("<" + pointer, position + len(values))
            values += raw + bytes(-len(raw) % 8)
    directory = head + entries + bytes(inline)
    return directory + bytes(position - start - len(directory)) + values
