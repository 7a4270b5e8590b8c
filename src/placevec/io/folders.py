"""The folder of placevec's downloads, and paths in files that are shared."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of downloads."""
    named = os.environ.get("PLACEVEC_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "placevec"


def shared_path(path: Path) -> str:
    """The absolute path for a file that may be shared: the home folder, which names a person, is ``~``.

    >>> shared_path(Path.home() / "data" / "malta")
    '~/data/malta'
    """
    whole, home = path.resolve(), Path.home()
    inside = home != Path(home.anchor) and whole.is_relative_to(home)
    return f"~/{whole.relative_to(home).as_posix()}" if inside else str(whole)


def found_path(path: str) -> Path:
    """The inverse of `shared_path`."""
    return Path.home() / path[2:] if path.startswith("~/") else Path(path)
