"""Decoding one tile. Oracle: the pixels that were put in; for damage, the refusal in words."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from placevec.errors import SourceError
from placevec.sources.tiles.decode import MAX_TILE_BYTES, decode_tile

RGB = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header, checksum and all, claims a size that its few bytes do not hold."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(64))
    chunks = b"".join(
        struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        for body in (header, pixels, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_rgb_and_rgba() -> None:
    found = decode_tile(encoded(Image.fromarray(RGB)))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., :3], RGB)
    assert (found[..., 3] == 255).all()
    rgba = np.dstack([RGB, RGB[..., 0]])
    np.testing.assert_array_equal(decode_tile(encoded(Image.fromarray(rgba))), rgba)
    np.testing.assert_array_equal(
        decode_tile(encoded(Image.fromarray(rgba), "WEBP", lossless=True, exact=True)), rgba
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_is_looked_up(bits: int) -> None:
    """Not its indices, as the founding pipeline read them."""
    colors = np.random.default_rng(1).integers(0, 256, (2**bits, 3), np.uint8)
    index = np.random.default_rng(2).integers(0, 2**bits, (256, 256), np.uint8)
    image = Image.fromarray(index)
    image.putpalette(colors.tobytes())
    found = decode_tile(encoded(image, bits=bits))
    np.testing.assert_array_equal(found[..., :3], colors[index])
    transparent = decode_tile(encoded(image, bits=bits, transparency=0))
    np.testing.assert_array_equal(transparent[..., 3], np.where(index == 0, 0, 255))


def test_gray_of_any_depth() -> None:
    gray = RGB[..., 0]
    for image, expected in (
        (Image.fromarray(gray), gray),
        (Image.fromarray(gray.astype(np.uint16) * 257), gray),
        (Image.fromarray(gray > 127), np.where(gray > 127, 255, 0)),
    ):
        found = decode_tile(encoded(image))
        for channel in range(3):
            np.testing.assert_array_equal(found[..., channel], expected)
    with_alpha = decode_tile(encoded(Image.fromarray(np.ascontiguousarray(RGB[..., :2]))))
    np.testing.assert_array_equal(with_alpha, RGB[..., [0, 0, 0, 1]])
    keyed = decode_tile(encoded(Image.fromarray(gray), transparency=7))
    np.testing.assert_array_equal(keyed[..., 3], np.where(gray == 7, 0, 255))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg(mode: str) -> None:
    """Smooth content within a few levels: JPEG is lossy."""
    smooth = np.dstack([np.add.outer(np.arange(256), np.arange(256)) // 2] * 3).astype(np.uint8)
    found = decode_tile(encoded(Image.fromarray(smooth).convert(mode), "JPEG", quality=95))
    assert np.abs(found[..., :3].astype(int) - smooth).max() <= 6
    assert (found[..., 3] == 255).all()


def test_sizes() -> None:
    large = encoded(Image.fromarray(np.tile(RGB, (2, 2, 1))))
    with pytest.raises(SourceError, match="the tile has 512 x 512 px instead of 256 x 256"):
        decode_tile(large)
    assert decode_tile(large, side=None).shape == (512, 512, 4)
    with pytest.raises(SourceError, match="256 x 128 px; it must be a square"):
        decode_tile(encoded(Image.fromarray(RGB[:128])), side=None)
    for kind in ("JPEG", "WEBP"):
        with pytest.raises(SourceError, match="255 x 255 px"):
            decode_tile(encoded(Image.fromarray(RGB[:255, :255]), kind))
    lossless = encoded(Image.fromarray(RGB[:255, :255]), "WEBP", lossless=True)
    with pytest.raises(SourceError, match="255 x 255 px"):
        decode_tile(lossless)


def test_a_size_is_rejected_before_its_memory_is_taken() -> None:
    """50,000 x 50,000 px would be 10 GB; the limit on bytes is looked at first of all."""
    for side in (256, None):
        with pytest.raises(SourceError, match="50,000 x 50,000 px"):
            decode_tile(claiming(50_000, 50_000), side=side)
    huge = bytearray(encoded(Image.fromarray(RGB), "WEBP", lossless=True))
    huge[21:25] = (0x0FFFFFFF).to_bytes(4, "little")
    with pytest.raises(SourceError, match="16,384 x 16,384 px"):
        decode_tile(bytes(huge), side=None)
    with pytest.raises(SourceError, match="bytes, more than"):
        decode_tile(bytes(MAX_TILE_BYTES + 1))


def test_a_claim_that_the_pixels_do_not_hold() -> None:
    with pytest.raises(SourceError, match="damaged image"):
        decode_tile(claiming(256, 256))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_truncated(kind: str) -> None:
    whole = encoded(Image.fromarray(RGB), kind)
    for size in (0, 3, 11, 12, 30, 40, len(whole) // 2, len(whole) - 12, len(whole) - 3):
        with pytest.raises(SourceError, match="the tile is"):
            decode_tile(whole[:size])


def test_other_content() -> None:
    for content, word in (
        (b"<html><body>busy</body></html>", "a web page"),
        (b'{"error": "no such tile"}', "error"),
        (encoded(Image.fromarray(RGB), "GIF"), "47 49 46"),
        (encoded(Image.fromarray(RGB), "TIFF"), "49 49 2a 00"),
        (b"\0\x80pickle", "00 80"),
    ):
        with pytest.raises(SourceError, match=word):
            decode_tile(content)


@settings(max_examples=60)
@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 2**31), st.integers(1, 8))
def test_any_damage_is_rejected_or_decoded(kind: str, seed: int, changes: int) -> None:
    """No other error comes out, and no other shape; a PNG with any byte changed is refused."""
    whole = bytearray(encoded(Image.fromarray(RGB[:32, :32]), kind))
    random = np.random.default_rng(seed)
    before = bytes(whole)
    for _ in range(changes):
        whole[random.integers(0, len(whole))] = random.integers(0, 256)
    try:
        found = decode_tile(bytes(whole), side=32)
    except SourceError:
        return
    assert found.shape == (32, 32, 4)
    assert kind != "PNG" or bytes(whole) == before
