"""One map tile as pixels: PNG, JPEG, WebP or AVIF bytes that nobody vouches for, decoded within limits.

The size is read from the header and checked before anything is decoded; no other format is tried, whatever the
name or the content type said; a PNG must be whole down to the checksum of each of its parts.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import TILE_PX

MAX_TILE_BYTES = 4 * 2**20
"""Bytes of one encoded tile; a 256 px tile has 1 to 150 kB."""
MAX_TILE_SIDE = 2048
"""Pixels along a side when any side is taken."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


def decode_tile(content: bytes, *, side: int | None = TILE_PX) -> NDArray[np.uint8]:
    """(H, W, 4) uint8 RGBA of an encoded tile, alpha not multiplied in; opaque where the image has none.

    Palette, gray, 1, 2, 4 and 16 bit images and those with a transparent color become what they show: a palette
    index is looked up, 16 bits keep the upper eight.

    Args:
        content: the bytes of a PNG, JPEG, WebP or AVIF file (of an animation, the first picture).
        side: pixels along both sides that the tile must have; None takes any square up to `MAX_TILE_SIDE`.

    Raises:
        SourceError: no such image, cut short, damaged, too large, of another size.

    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("P", (256, 256), 1).save(file, "PNG")
    >>> decode_tile(file.getvalue()).shape
    (256, 256, 4)
    """
    opens = check_tile(content, side=side)
    try:
        with opens(io.BytesIO(content)) as image:
            return _rgba(image)
    except Exception as error:  # Pillow raises many kinds on damaged files, down to struct and syntax errors
        raise SourceError(f"the tile is a damaged image ({error or type(error).__name__})") from error


def check_tile(content: bytes, *, side: int | None = TILE_PX) -> Any:
    """All that can be said without decoding: format, size, and of a PNG whether it is whole; Pillow's class for it.

    Raises SourceError as `decode_tile` does.
    """
    if len(content) > MAX_TILE_BYTES:
        raise SourceError(f"the tile has {len(content):,} bytes, more than {MAX_TILE_BYTES:,}")
    from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    # The decoders are named, not guessed: opening through Pillow would try every format that it knows.
    if content.startswith(_PNG):
        _check_size(_png_size(content), side)
        _check_png(content)
        return PngImagePlugin.PngImageFile
    if content.startswith(_JPEG):
        try:
            with JpegImagePlugin.JpegImageFile(io.BytesIO(content)) as image:
                size = image.size
        except Exception as error:  # as above
            raise SourceError(
                f"the tile is a damaged JPEG image ({error or type(error).__name__})"
            ) from error
        _check_size(size, side)
        return JpegImagePlugin.JpegImageFile
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        _check_size(_webp_size(content), side)  # its decoder takes the memory when it opens
        return WebPImagePlugin.WebPImageFile
    if content[4:8] == b"ftyp" and content[8:12] in (b"avif", b"avis"):
        for size in _avif_sizes(content):
            _check_size(size, side)
        try:
            from PIL import AvifImagePlugin
        except ImportError:
            raise SourceError(
                "the tile is AVIF, which this Pillow does not read: pip install 'pillow>=11.3'"
            ) from None
        if not AvifImagePlugin.SUPPORTED:
            raise SourceError(
                "the tile is AVIF, and this Pillow was built without it: pip install 'pillow>=11.3'"
            )
        return AvifImagePlugin.AvifImageFile
    raise SourceError(f"the tile is no PNG, JPEG, WebP or AVIF image: it begins with {_beginning(content)}")


def _rgba(image: Any) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16 bits; Pillow would cut off at 255 instead of scaling
        gray = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.dstack([gray, gray, gray, np.full_like(gray, 255)])
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    return np.array(image.convert("RGBA"))


def _check_size(size: tuple[int, int], side: int | None) -> None:
    width, height = size
    if side is not None and (width, height) != (side, side):
        raise SourceError(f"the tile is {width:,} x {height:,} px, not {side} x {side}")
    if side is None and (width != height or not 0 < width <= MAX_TILE_SIDE):
        raise SourceError(
            f"the tile is {width:,} x {height:,} px, not a square of at most {MAX_TILE_SIDE:,} px"
        )


def _png_size(content: bytes) -> tuple[int, int]:
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise SourceError("the tile is a PNG image that is cut short")
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def _check_png(content: bytes) -> None:
    """SourceError unless every chunk is there with its checksum: Pillow lets many a torn image pass."""
    view, at, kind = memoryview(content), len(_PNG), b""
    while kind != b"IEND":
        size = int.from_bytes(view[at : at + 4])
        end = at + 12 + size
        if end > len(view):
            raise SourceError("the tile is a PNG image that is cut short")
        kind = bytes(view[at + 4 : at + 8])
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise SourceError("the tile is a damaged PNG image (a checksum is wrong)")
        at = end


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height that a WebP header claims (developers.google.com/speed/webp/docs/riff_container)."""
    chunk, body = content[12:16], content[20:]
    if len(body) < 10:
        raise SourceError("the tile is a WebP image that is cut short")
    if chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _avif_sizes(content: bytes) -> list[tuple[int, int]]:
    """Widths and heights that an AVIF file claims for its pictures (``ispe``, ISO 23008-12), the alpha's too."""
    sizes, at = [], content.find(b"ispe")
    while at >= 0:
        box = content[at + 8 : at + 16]
        if len(box) == 8:
            sizes.append((int.from_bytes(box[:4]), int.from_bytes(box[4:])))
        at = content.find(b"ispe", at + 4)
    if not sizes:
        raise SourceError("the tile is an AVIF image that is cut short")
    return sizes


def _beginning(content: bytes) -> str:
    """The first bytes for a message: text where it is text."""
    if not content:
        return "nothing at all"
    head = content[:24]
    if content.lstrip()[:1] == b"<":
        return f"{head.decode('ascii', 'replace')!r} (a web page?)"
    return repr(head.decode("ascii")) if head.isascii() and b"\0" not in head else head[:8].hex(" ")
