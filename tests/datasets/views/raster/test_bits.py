"""Packed bits as pixels, against numpy's own unpacking."""

from __future__ import annotations

import numpy as np
import pytest

from placevec.datasets.views.raster.shards import unpack, unpack_images


@pytest.mark.parametrize("offset", range(8))
def test_every_byte_at_every_address(offset: int) -> None:
    """Oracle: `numpy.unpackbits`; nothing is written beside the pixels."""
    packed = np.random.default_rng(0).permutation(np.tile(np.arange(256, dtype=np.uint8), 3))
    memory = np.full(len(packed) * 8 + 16, 7, np.uint8)
    unpack(packed, memory[offset : offset + len(packed) * 8])
    np.testing.assert_array_equal(memory[offset : offset + len(packed) * 8], np.unpackbits(packed) * 255)
    assert (memory[:offset] == 7).all()
    assert (memory[offset + len(packed) * 8 :] == 7).all()
    unpack(packed[:0], memory[:0])


@pytest.mark.parametrize("shift", range(8))
@pytest.mark.parametrize("channels", [[0], [3], [0, 1, 2, 3], [1, 3], [0, 2, 3]])
def test_rows_that_begin_within_a_byte(shift: int, channels: list[int]) -> None:
    """Images of rows cut out of longer rows of bits. Oracle: `numpy.unpackbits`, shifted pixel by pixel."""
    k, height, width = len(channels), 5, 4
    rng = np.random.default_rng(shift)
    content = rng.integers(0, 256, (k, height, width + 1), dtype=np.uint8)  # each row and the byte after it
    expected = np.zeros((4, height, 8 * width), np.uint8)
    expected[channels] = np.unpackbits(content, axis=2)[:, :, shift : shift + 8 * width] * 255
    images, low = content[:, :, :width].copy(), np.uint8(0xFF >> shift)
    ends = content[:, :, width].reshape(-1)
    images[:, :, 0] &= low
    before = np.concatenate([rng.integers(0, 256, 1, dtype=np.uint8), ends[:-1]]).reshape(k, height)
    images[:, :, 0] |= before & ~low
    out = np.zeros_like(expected)
    unpack_images(images.reshape(k, -1), content[:, -1, width], shift, out, channels)
    np.testing.assert_array_equal(out, expected)
