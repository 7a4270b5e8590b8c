"""From packed bits to pixels: one table look-up writes eight pixels.

Blocks of 1 bit lie in memory as they lie in the file, eight pixels a byte with the westernmost in the highest bit.
OpenCV's look-up table turns each byte into eight bytes of 0 or 255 at about half the speed of writing zeros, several
times faster than `numpy.unpackbits`; its entries are called float64 as that is its element of eight bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

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
    """Unpack images whose rows begin ``shift`` (0 to 7) bits into their first byte, without shifting a bit.

    Rows of an image follow each other in memory, and so do images. So the eight pixels of a byte may be written
    across the end of a row: the byte there must hold the end of one row in its high bits and the beginning of the
    next in its low bits.

    Args:
        images: (k, n) contiguous bytes, ascending by channel.
        tails: (k,) the byte after each image, in which its last row ends.
        shift: high bits of an image's first byte that lie before it.
        out: (C, H, W) contiguous, of 8 n pixels a channel.
        channels: where in ``out`` each of the k images goes.
    """
    flat, size = out.reshape(-1), out.shape[1] * out.shape[2]
    first = 0
    while first < len(channels):
        last = first  # images whose channels follow each other are written in one go
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
