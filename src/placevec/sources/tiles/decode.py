"""One map tile as pixels: untrusted PNG, JPEG, WebP or AVIF bytes, decoded within limits.

The size is read from the header and checked before decoding. No other format is tried, whatever the name or the
content type. Every chunk of a PNG must be complete, with a valid checksum.
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
"""Maximum bytes of an encoded tile; a 256 px tile has 1 to 150 kB."""
MAX_TILE_SIDE = 2048
"""Maximum pixels per side if any size is accepted."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"


def decode_tile(content: bytes, *, side: int | None = TILE_PX) -> NDArray[np.uint8]:
    """(H, W, 4) uint8 RGBA of an encoded tile, alpha not premultiplied; opaque if the image has no alpha.

    Palette, gray, 1, 2, 4 and 16 bit images and those with a transparent color are converted to the colors that they
    show: palette indices are looked up, 16 bits keep the upper eight.

    Args:
        content: the bytes of a PNG, JPEG, WebP or AVIF file (the first frame of an animation).
        side: required pixels per side; None accepts any square up to `MAX_TILE_SIDE`.

    Raises:
        SourceError: not such an image, or truncated, damaged, too large, or of another size.

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
    except (
        Exception
    ) as error:  # Pillow raises many kinds of errors for damaged files, even struct and syntax errors
        raise SourceError(f"the tile is a damaged image ({error or type(error).__name__})") from error


def check_tile(content: bytes, *, side: int | None = TILE_PX) -> Any:
    """Check everything that needs no decoding: format, size, and completeness of a PNG; returns Pillow's class for it.

    Raises SourceError as `decode_tile` does.
    """
    if len(content) > MAX_TILE_BYTES:
        raise SourceError(f"the tile has {len(content):,} bytes, more than {MAX_TILE_BYTES:,}")
    from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    # Decoders are chosen here: Image.open would try every format that Pillow knows.
    if content.startswith(_PNG):
        _check_size(_png_size(content), side)
        _check_png(content)
        return PngImagePlugin.PngImageFile
    if content.startswith(_JPEG):
        try:
            with JpegImagePlugin.JpegImageFile(io.BytesIO(content)) as image:
                size = image.size
        except Exception as error:  # see above
            raise SourceError(
                f"the tile is a damaged JPEG image ({error or type(error).__name__})"
            ) from error
        _check_size(size, side)
        return JpegImagePlugin.JpegImageFile
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        _check_size(_webp_size(content), side)  # the decoder allocates memory when it opens
        return WebPImagePlugin.WebPImageFile
    if content[4:8] == b"ftyp" and content[8:12] in (b"avif", b"avis"):
        for size in _avif_sizes(content):
            _check_size(size, side)
        try:
            from PIL import AvifImagePlugin
        except ImportError:
            raise SourceError(
                "the tile is AVIF, which this Pillow cannot read: pip install 'pillow>=11.3'"
            ) from None
        if not AvifImagePlugin.SUPPORTED:
            raise SourceError(
                "the tile is AVIF, but this Pillow was built without it: pip install 'pillow>=11.3'"
            )
        return AvifImagePlugin.AvifImageFile
    raise SourceError(
        f"the tile is not a PNG, JPEG, WebP or AVIF image: it begins with {_beginning(content)}"
    )


def _rgba(image: Any) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16 bits; Pillow would clip at 255 instead of scaling
        gray = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.dstack([gray, gray, gray, np.full_like(gray, 255)])
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    return np.array(image.convert("RGBA"))


def _check_size(size: tuple[int, int], side: int | None) -> None:
    width, height = size
    if side is not None and (width, height) != (side, side):
        raise SourceError(f"the tile has {width:,} x {height:,} px instead of {side} x {side}")
    if side is None and (width != height or not 0 < width <= MAX_TILE_SIDE):
        raise SourceError(
            f"the tile has {width:,} x {height:,} px; it must be a square of at most {MAX_TILE_SIDE:,} px"
        )


def _png_size(content: bytes) -> tuple[int, int]:
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise SourceError("the tile is a truncated PNG image")
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def _check_png(content: bytes) -> None:
    """SourceError unless every chunk is complete, with a valid checksum: Pillow accepts many truncated images."""
    view, at, kind = memoryview(content), len(_PNG), b""
    while kind != b"IEND":
        size = int.from_bytes(view[at : at + 4])
        end = at + 12 + size
        if end > len(view):
            raise SourceError("the tile is a truncated PNG image")
        kind = bytes(view[at + 4 : at + 8])
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise SourceError("the tile is a damaged PNG image (wrong checksum)")
        at = end


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height in a WebP header (developers.google.com/speed/webp/docs/riff_container)."""
    chunk, body = content[12:16], content[20:]
    if len(body) < 10:
        raise SourceError("the tile is a truncated WebP image")
    if chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _avif_sizes(content: bytes) -> list[tuple[int, int]]:
    """Widths and heights of all pictures in an AVIF file (``ispe``, ISO 23008-12), including alpha."""
    sizes, at = [], content.find(b"ispe")
    while at >= 0:
        box = content[at + 8 : at + 16]
        if len(box) == 8:
            sizes.append((int.from_bytes(box[:4]), int.from_bytes(box[4:])))
        at = content.find(b"ispe", at + 4)
    if not sizes:
        raise SourceError("the tile is a truncated AVIF image")
    return sizes


def _beginning(content: bytes) -> str:
    """The first bytes for a message: as text if they are text."""
    if not content:
        return "nothing at all"
    head = content[:24]
    if content.lstrip()[:1] == b"<":
        return f"{head.decode('ascii', 'replace')!r} (a web page?)"
    return repr(head.decode("ascii")) if head.isascii() and b"\0" not in head else head[:8].hex(" ")
