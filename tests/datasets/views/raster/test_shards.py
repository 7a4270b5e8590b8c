"""Tables and decoding of single shards, against what GDAL wrote."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import rasterio
from rasterio.windows import Window

from placevec.datasets.views.raster.shards import Tile, read_shard_table
from placevec.errors import DatasetError

from .shard_files import letter_f, shard_profile, write_map

ZOOM, LEFT, TOP = 17, 74624 * 256, 37952 * 256
STORED = {"zstd": {}, "deflate": {"compress": "DEFLATE"}, "none": {"compress": None}}


def image(bands: int = 3) -> np.ndarray:
    truth = np.zeros((bands, 600, 600), np.uint8)
    truth[0] = letter_f(600)
    truth[2, 300:, 300:] = np.random.default_rng(0).integers(0, 2, (300, 300))
    return truth


def decode(path: Path, column: int, row: int, bands: int = 3) -> Tile | None:
    table = read_shard_table(path, ZOOM, bands)
    start, stop = table.first[row * 64 + column], table.first[row * 64 + column + 1]
    with open(path, "rb") as file:
        return table.decode(file.fileno(), start, stop) if start < stop else None


def shard(folder: Path, **options: object) -> Path:
    write_map(folder, image(), LEFT, TOP, ZOOM, **options)
    return folder / "1166_593.tif"


@pytest.mark.parametrize("options", STORED.values(), ids=STORED.keys())
def test_blocks_are_those_that_gdal_reads(tmp_path: Path, options: dict[str, str]) -> None:
    """Oracle: GDAL's reading of the file, block by block; blocks it holds nothing for are not in the table."""
    path = shard(tmp_path, **options)
    with rasterio.open(path) as file:
        for row in range(4):
            for column in range(4):
                expected = file.read(window=Window(column * 256, row * 256, 256, 256))
                full = np.flatnonzero(expected.any(axis=(1, 2)))
                tile = decode(path, column, row)
                assert (tile.bands if tile else ()) == tuple(full)
                if tile:
                    np.testing.assert_array_equal(np.unpackbits(tile.blocks, axis=-1), expected[full])


@pytest.mark.parametrize("options", [{}, {"predictor": 2}, {"compress": "DEFLATE", "predictor": 2}])
def test_eight_bits(tmp_path: Path, options: dict[str, object]) -> None:
    """Oracle: the pixels written; horizontal differencing (predictor 2) is undone."""
    truth = np.random.default_rng(1).integers(1, 256, (3, 256, 256)).astype(np.uint8)
    write_map(tmp_path, truth, LEFT, TOP, ZOOM, nbits=None, **options)
    tile = decode(tmp_path / "1166_593.tif", 0, 0)
    assert tile is not None
    np.testing.assert_array_equal(tile.blocks, truth)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compress": "LZW"}, "ZSTD"),
        ({"interleave": "pixel"}, "interleaved"),
        ({"nbits": 4}, "4 bits"),
        ({"blockxsize": 512, "blockysize": 512}, "blocks"),
        ({"width": 8192}, "square"),
        ({"count": 2}, "2 bands"),
        ({"transform": shard_profile(1166, 593, 16, 3)["transform"]}, "zoom"),
        ({"transform": shard_profile(1167, 593, ZOOM, 3)["transform"]}, "corner"),
    ],
)
def test_other_layouts_are_rejected(tmp_path: Path, options: dict[str, object], reason: str) -> None:
    path = tmp_path / "1166_593.tif"
    with rasterio.open(path, "w", **{**shard_profile(1166, 593, ZOOM, 3), **options}):
        pass
    with pytest.raises(DatasetError, match=reason):
        read_shard_table(path, ZOOM, 3)


@pytest.mark.parametrize(
    "content", [b"", b"not a tiff", b"II*\0\xff\xff\xff\xff", b"II+\0\x08\0\0\0" + b"\xff" * 16]
)
def test_what_is_no_tiff_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "1_1.tif"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="prepare"):
        read_shard_table(path, ZOOM, 3)


def test_a_shard_cut_short_is_rejected(tmp_path: Path) -> None:
    path = shard(tmp_path)
    table = read_shard_table(path, ZOOM, 3)
    last = int(np.argmax(table.offset))
    os.truncate(path, int(table.offset[last]) + 1)
    with open(path, "rb") as file:
        with pytest.raises(DatasetError, match="damaged"):
            table.decode(file.fileno(), last, last + 1)
        os.truncate(path, int(table.offset[last]) - 1)
        with pytest.raises(DatasetError, match="damaged"):
            table.decode(file.fileno(), last, last + 1)


@pytest.mark.parametrize("length", [100, 8191, 8193, 10**8])
def test_a_block_of_another_length_is_rejected(tmp_path: Path, length: int) -> None:
    """A block that decompresses to less or more than a block, up to 100 MB, ends in one line."""
    path = shard(tmp_path)
    table = read_shard_table(path, ZOOM, 3)
    block = pa.Codec("zstd").compress(bytes(length), asbytes=True)
    assert len(block) < 2**17
    bomb = type(table)(**{**table.__dict__, "size": np.full_like(table.size, len(block)),
                          "offset": np.zeros_like(table.offset), "path": tmp_path / "bomb"})  # fmt: skip
    bomb.path.write_bytes(block)
    with open(bomb.path, "rb") as file, pytest.raises(DatasetError, match="damaged"):
        bomb.decode(file.fileno(), 0, 1)
