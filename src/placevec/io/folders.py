"""The folder of placevec's downloads."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of downloads."""
    named = os.environ.get("PLACEVEC_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "placevec"
