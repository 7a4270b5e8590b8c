"""Checks files before they are opened, because reading a pipe would wait forever."""

from __future__ import annotations

import stat
from pathlib import Path

from placevec.errors import SourceError


def check_regular(path: str | Path, what: str = "file") -> Path:
    """``path`` itself if it is a regular file, or a link to one.

    Raises:
        SourceError: it is not there, or is a folder, a pipe or a device, or its path is not UTF-8.
    """
    path = Path(path)
    if any(
        "\udc80" <= character <= "\udcff" for character in str(path)
    ):  # bytes that Python could not decode
        raise SourceError(
            f"the path of the {what} {path} is not valid UTF-8, which formats and libraries require: rename its folder "
            "or file"
        )
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SourceError(f"the {what} {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise SourceError(
            f"cannot read the {what} {path}: {getattr(error, 'strerror', None) or error}"
        ) from error
    if stat.S_ISREG(mode):
        return path
    if stat.S_ISDIR(mode):
        raise SourceError(f"the {what} {path} is a folder, not a file")
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
    raise SourceError(
        f"the {what} {path} is {kind}, which can be read only once: write it to a file first, and use that file"
    )
