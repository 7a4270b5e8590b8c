"""GeoTIFF written block by block, read by GDAL (rasterio) and by tifffile."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from placevec.geo import geotiff
from placevec.geo.geotiff import ATTRIBUTION, GeoTiffWriter, compress, gdal_metadata

NAMES = ("roads", "water & <sea>", "häuser")


def write(
    path: Path, bits: int, blocks: dict[tuple[int, int, int], np.ndarray], names: tuple[str, ...] = NAMES
) -> Path:
    with GeoTiffWriter(
        path,
        width=700,
        height=512,
        block=256,
        names=names,
        bits=bits,
        west=1000.0,
        north=9000.0,
        resolution=2.0,
    ) as file:
        for (band, row, column), block in blocks.items():
            content = np.packbits(block, axis=-1) if bits == 1 else block
            file.add(band, row, column, compress(content.tobytes()))
    return path


def random_blocks(bits: int) -> dict[tuple[int, int, int], np.ndarray]:
    random = np.random.default_rng(0)
    top = 2 if bits == 1 else 256
    places = [(2, 1, 2), (0, 0, 0), (1, 1, 0), (0, 0, 1)]  # in no order
    return {place: random.integers(0, top, (256, 256), dtype=np.uint8) for place in places}


@pytest.mark.parametrize("bits", [1, 8])
def test_gdal_reads_what_was_written_where_it_was_put(tmp_path: Path, bits: int) -> None:
    blocks = random_blocks(bits)
    with rasterio.open(write(tmp_path / "a.tif", bits, blocks)) as file:
        assert (file.width, file.height, file.count) == (700, 512, 3)
        assert file.crs.to_epsg() == 3857
        assert file.transform.to_gdal() == (1000.0, 2.0, 0.0, 9000.0, 0.0, -2.0)
        assert file.descriptions == NAMES
        assert file.block_shapes == [(256, 256)] * 3
        assert file.profile["interleave"] == "band"
        assert file.profile["compress"] == "zstd"
        assert file.tags()["ATTRIBUTION"] == ATTRIBUTION
        assert file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == ("1" if bits == 1 else None)
        pixels = file.read()
    expected = np.zeros((3, 512, 768), np.uint8)
    for (band, row, column), block in blocks.items():
        expected[band, row * 256 : row * 256 + 256, column * 256 : column * 256 + 256] = block
    assert np.array_equal(pixels, expected[:, :, :700])


def test_empty_blocks_take_no_bytes(tmp_path: Path) -> None:
    with tifffile.TiffFile(write(tmp_path / "a.tif", 1, random_blocks(1))) as file:
        page = file.pages[0]
        assert sum(size > 0 for size in page.databytecounts) == 4
        assert [offset == 0 for offset in page.dataoffsets] == [size == 0 for size in page.databytecounts]
        assert len(page.dataoffsets) == 3 * 2 * 3
        assert page.tags["Copyright"].value == ATTRIBUTION


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tif", 8, random_blocks(8)).read_bytes()
    assert write(tmp_path / "b.tif", 8, random_blocks(8)).read_bytes() == first


def test_one_band_and_no_block(tmp_path: Path) -> None:
    with rasterio.open(write(tmp_path / "a.tif", 8, {}, ("only",))) as file:
        assert file.count == 1
        assert not file.read().any()


def test_files_beyond_four_gigabytes_are_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content lies at the same place in both kinds; GDAL reads either."""
    blocks = random_blocks(8)
    plain = write(tmp_path / "plain.tif", 8, blocks)
    monkeypatch.setattr(geotiff, "_BIGTIFF_FROM", 1000)
    big = write(tmp_path / "big.tif", 8, blocks)
    assert struct.unpack("<H", plain.read_bytes()[2:4]) == (42,)
    assert struct.unpack("<H", big.read_bytes()[2:4]) == (43,)
    with rasterio.open(plain) as one, rasterio.open(big) as other:
        assert np.array_equal(one.read(), other.read())
        assert other.descriptions == NAMES
    with tifffile.TiffFile(big) as file:
        assert file.is_bigtiff


def test_names_stay_text() -> None:
    xml = gdal_metadata(["</Item><evil>"])
    assert "<evil>" not in xml
    assert xml.count("<Item") == 2
