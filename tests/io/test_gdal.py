"""What GDAL cannot write. Oracles: a limit that the system sets on the size of files, and no limit."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from placevec.io import gdal

PROFILE = {
    "driver": "GTiff", "width": 512, "height": 512, "count": 1, "dtype": "float32", "tiled": True, "blockxsize": 256,
    "blockysize": 256, "crs": "EPSG:4326", "transform": from_origin(0.0, 10.0, 0.01, 0.01),
}  # fmt: skip
NOISE = np.random.default_rng(0).random((512, 512), np.float32)


def write(path: Path, *, band: int) -> None:
    with gdal.opened(path, "w", **PROFILE) as file, gdal.writing(path):
        file.write(NOISE, band)


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files may grow to 300 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_reason_is_the_system_s_and_the_library_is_silent(
    small_files: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)) as caught:
        write(tmp_path / "a.tif", band=1)
    assert caught.value.errno == errno.EFBIG
    assert capfd.readouterr().err == ""
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_other_faults_pass(tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="band index"):
        write(tmp_path / "a.tif", band=2)
