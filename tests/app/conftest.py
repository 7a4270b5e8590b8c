"""One project of real Helsinki for all tests of the app."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from placevec.app.project import Project, open_project


@pytest.fixture(scope="session")
def project(helsinki_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Central Helsinki, its vectors in a folder of their own, where labels may be written."""
    file = tmp_path_factory.mktemp("app") / "helsinki.parquet"
    shutil.copy(helsinki_table, file)
    return open_project(file, clusters=4, max_places=400)
