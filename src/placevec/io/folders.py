"""Where placevec keeps what it downloads."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads are kept."""
    named = os.environ.get("PLACEVEC_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "placevec"
