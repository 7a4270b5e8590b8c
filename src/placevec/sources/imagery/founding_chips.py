"""Chips of the original Where2Vec: one ``.npz`` file a chip, ``s2_chips/{uuid}.npz`` with the key ``chip``.

A file holds (4, 100, 100) stored numbers of B02, B03, B04 and B08, read by nearest neighbor from a box that is as wide as
high in degrees: at 48.8 degrees north its pixels are 6.6 m wide and 10 m high. It says neither where it is nor whether
the offset of baseline 04.00 is in it. Nothing in it is unpickled.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.core import MAX_SIZE_PX
from placevec.errors import SourceError
from placevec.io.files import check_regular

KEY = "chip"
BANDS = ("B02", "B03", "B04", "B08")
MAX_BANDS = 64
MAX_BYTES = 2**28
_TYPES = ("uint8", "uint16", "int16", "float32")
_OTHER_TYPES = {
    "int32": "uint16",
    "int64": "uint16",
    "uint32": "uint16",
    "uint64": "uint16",
    "float64": "float32",
}
"""Types that the founding code could write -> what they are kept as, where nothing is lost."""


def read_founding_chip(path: str | Path) -> NDArray[Any]:
    """(C, H, W) stored numbers of a founding chip, uint8, uint16, int16 or float32; four bands are `BANDS`.

    Raises:
        SourceError: it is no .npz file with a chip, is damaged, too large, or holds objects.
    """
    with open(check_regular(path, "chip"), "rb") as file:
        return decode_founding_chip(Path(path).name, file.read(MAX_BYTES + 1))


def decode_founding_chip(name: str, content: bytes) -> NDArray[Any]:
    """The same of the bytes of a file.

    >>> file = io.BytesIO()
    >>> np.savez(file, chip=np.full((4, 100, 100), 700, np.uint16))
    >>> decode_founding_chip("a", file.getvalue()).shape
    (4, 100, 100)
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entry = archive.getinfo(f"{KEY}.npy")
            if max(entry.file_size, len(content)) > MAX_BYTES:
                raise SourceError(f"the chip {name!r} has more than {MAX_BYTES:,} bytes")
            with archive.open(entry) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
    except KeyError:
        raise SourceError(f"{name!r} is not a chip of the original format: it has no array {KEY!r}") from None
    except SourceError:
        raise
    except Exception as error:  # headers of numpy and streams of zlib can hold anything
        raise SourceError(
            f"{name!r} is not a chip of the original format (.npz), or is damaged: {error}"
        ) from error
    if array.ndim != 3 or 0 in array.shape or len(array) > MAX_BANDS or max(array.shape[1:]) > MAX_SIZE_PX:
        raise SourceError(f"the chip {name!r} has the shape {array.shape}, not (bands, height, width)")
    return _kept(name, array)


def _kept(name: str, array: NDArray[Any]) -> NDArray[Any]:
    kind = str(array.dtype.newbyteorder("="))
    if kind in _TYPES:
        return np.ascontiguousarray(array, dtype=kind)
    other = _OTHER_TYPES.get(kind)
    if other is None:
        raise SourceError(
            f"the chip {name!r} has pixel values of type {array.dtype}; supported types: {', '.join(_TYPES)}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        found = array.astype(other)
    if other == "uint16" and not np.array_equal(found, array):
        raise SourceError(f"the chip {name!r} has pixel values outside 0 to 65,535")
    return found
