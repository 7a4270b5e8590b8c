"""Files written by GDAL. A write that fails raises the error of the system, as for any other file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MORE = 2**20
"""Bytes that find room where GDAL's next block, a tile at most, would have."""


@contextlib.contextmanager
def opened(path: Path, mode: str, **profile: Any) -> Iterator[Any]:
    """A file of rasterio that is closed within `writing`."""
    import rasterio

    file = rasterio.open(path, mode, **profile)
    try:
        yield file
    finally:
        with writing(path):
            file.close()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Run GDAL's calls that write to ``path``, a temporary file that is worthless if they fail.

    GDAL does not raise the reason; its TIFF library prints it to standard error, past every handler. So standard error
    is silenced during the call, and the reason is found by writing more.

    Raises:
        OSError: there is no room, or the file may not grow.
    """
    try:
        with _silenced():
            yield
    except Exception as error:
        try:
            with open(path, "ab") as file:
                file.write(bytes(_MORE))
                file.flush()
                os.fsync(file.fileno())
        except OSError as reason:
            raise reason from error
        raise


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Nothing reaches standard error, from whatever library."""
    with contextlib.suppress(AttributeError, ValueError, OSError):  # none, or closed
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
