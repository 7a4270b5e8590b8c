"""Checks files before they are opened, because reading a pipe would wait forever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from placevec.errors import SourceError

MAX_TEXT_BYTES = 2**24
"""Largest file of options, rules or queries."""


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
    if stat.S_ISDIR(mode):
        raise SourceError(f"the {what} {path} is a folder, not a file")
    _refuse(mode, path, what)
    return path


def refuse_pipe(path: str | os.PathLike[str], what: str = "file") -> None:
    """SourceError if ``path`` is a pipe or a device; nothing if it is not there, or is a folder."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISDIR(mode):
        _refuse(mode, path, what)


def _refuse(mode: int, path: object, what: str) -> None:
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
        raise SourceError(
            f"the {what} {path} is {kind}, which can be read only once: write it to a file first, and use that file"
        )


def read_text(path: str | Path, what: str = "file") -> str:
    """The text of a small file in UTF-8, such as options or a list of queries.

    Raises:
        SourceError: a pipe or a device, or larger than `MAX_TEXT_BYTES`.
        OSError: it cannot be read.
        ValueError: it is no UTF-8.
    """
    refuse_pipe(path, what)
    with open(path, "rb") as file:
        content = file.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise SourceError(
            f"the {what} {path} is larger than {MAX_TEXT_BYTES // 2**20} MiB: is it another file?"
        )
    return content.decode("utf-8").replace("\r\n", "\n")
