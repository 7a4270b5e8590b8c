"""One image of a place, given as a file: GeoTIFF, numpy array or picture."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from placevec.core import MAX_SIZE_PX
from placevec.errors import SourceError
from placevec.io.files import refuse_pipe
from placevec.sources.imagery.chips import L2A, MAX_BANDS, MAX_FILE_BYTES, ORDERS, TYPES, Chip, decode_chip

FORMATS = (".tif", ".tiff", ".npy", ".png", ".jpg", ".jpeg", ".webp")
_PICTURES = ("PNG", "JPEG", "WEBP")
_BY_COUNT = {3: ORDERS["rgb"], 12: L2A}


def read_image(path: str | Path) -> Chip:
    """An image from a file, as a whole and within limits.

    A GeoTIFF names its bands itself, or by their number as in `placevec.sources.imagery.chips`. A numpy array is
    (C, H, W), its bands without names. A picture has three bands of 8 bits: red, green and blue.

    Raises:
        SourceError: the file does not exist, has another format, or is damaged or too large.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise SourceError(
            f"the image must be in one of these formats: {', '.join(FORMATS)}; got {path.name!r}"
        )
    refuse_pipe(path, "image")
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise SourceError(
            f"{path} is larger than {MAX_FILE_BYTES:,} bytes, too large for an image of a place"
        )
    if path.suffix.lower() in (".tif", ".tiff"):
        return decode_chip(path.name, content, _BY_COUNT)
    return _array(path, content) if path.suffix.lower() == ".npy" else _picture(path, content)


def _array(path: Path, content: bytes) -> Chip:
    try:
        pixels = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # a header can contain anything, even syntax errors and overflows
        raise SourceError(f"{path} is not a numpy array, or is damaged: {error}") from error
    if not isinstance(pixels, np.ndarray) or str(pixels.dtype) not in TYPES:
        raise SourceError(
            f"{path} must be an array of {', '.join(TYPES)}; it is {getattr(pixels, 'dtype', 'none')}"
        )
    if (
        pixels.ndim != 3
        or 0 in pixels.shape
        or len(pixels) > MAX_BANDS
        or max(pixels.shape[1:]) > MAX_SIZE_PX
    ):
        raise SourceError(
            f"{path} must have the shape (bands, rows, columns), at most {MAX_BANDS} bands and {MAX_SIZE_PX:,} px per"
            f" side; it has {pixels.shape}"
        )
    return Chip(path.name, pixels, (), "", None, None)


def _picture(path: Path, content: bytes) -> Chip:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_PICTURES) as picture:
                if max(picture.size) > MAX_SIZE_PX:
                    raise SourceError(
                        f"{path} has {picture.width:,} x {picture.height:,} px; an image of a place may have at most"
                        f" {MAX_SIZE_PX:,} per side"
                    )
                pixels = np.asarray(picture.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        why = (
            "" if isinstance(error, UnidentifiedImageError) else f": {error}"
        )  # it names an object of Python
        raise SourceError(f"{path} is not a picture ({', '.join(_PICTURES)}), or is damaged{why}") from error
    return Chip(path.name, np.moveaxis(pixels, 2, 0), ("red", "green", "blue"), "", None, None)
