"""Ready chips in the layouts of others: founding .npz, one file a band (BigEarthNet), and real files of all of them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from placevec.errors import SourceError
from placevec.sources.imagery.chips import ORDERS, open_chips
from placevec.sources.imagery.founding_chips import BANDS, read_founding_chip


def npz(path: Path, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "int64", "float64", ">u2"])
def test_founding_chips_of_whatever_type_was_written(tmp_path: Path, dtype: str) -> None:
    """Oracle: the array that numpy wrote."""
    numbers = np.random.default_rng(0).integers(0, 10_000, (4, 100, 100)).astype(dtype)
    found = read_founding_chip(npz(tmp_path / "a.npz", chip=numbers))
    np.testing.assert_array_equal(found, numbers)
    assert str(found.dtype) in ("uint16", "int16", "float32")


def test_a_folder_of_founding_chips(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 10_000, (4, 10, 10)).astype(np.uint16)
    npz(tmp_path / "s2_chips" / "b.npz", chip=numbers + 1)
    npz(tmp_path / "s2_chips" / "a.npz", chip=numbers)
    files = open_chips(tmp_path / "s2_chips")
    assert files.names == ("a", "b")
    chip = files.read(1)
    np.testing.assert_array_equal(chip.pixels, numbers + 1)
    assert (chip.bands, chip.crs, chip.transform) == (BANDS, "", None)
    assert files.ground(0).size == (10, 10)


def pickled() -> bytes:
    file = io.BytesIO()
    np.savez(file, chip=np.array([{"a": 1}], dtype=object))
    return file.getvalue()


def member(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def huge() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<u2", "fortran_order": False, "shape": (4, 10**6, 10**6)}
    )
    return member("chip.npy", header.getvalue())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickled, "Object arrays cannot be loaded"),
        (lambda: b"PK\3\4 and no more", "is damaged"),
        (lambda: member("other.npy", b""), "no array 'chip'"),
        (lambda: member("chip.npy", b"\x93NUMPY\1\0"), "is damaged"),
        (huge, "is damaged"),
        (lambda: member("chip.npy", bytes(300 * 2**20)), "bytes"),
    ],
)
def test_founding_chips_that_lie(tmp_path: Path, content: Callable[[], bytes], message: str) -> None:
    (tmp_path / "a.npz").write_bytes(content())
    with pytest.raises(SourceError, match=message):
        read_founding_chip(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "numbers",
    [np.zeros((4, 10)), np.full((4, 2, 2), 70_000), np.full((4, 2, 2), -5), np.ones((4, 2, 2), "c8")],
)
def test_arrays_that_are_no_chip(tmp_path: Path, numbers: Any) -> None:
    with pytest.raises(SourceError, match=r"the chip 'a\.npz' has"):
        read_founding_chip(npz(tmp_path / "a.npz", chip=numbers))


def band(path: Path, meters: int, *, epsg: int = 32635, top: float = 6_672_000.0) -> None:
    side = 240 // meters
    rows, columns = (np.mgrid[:side, :side] + 0.5) * meters
    size = {"width": side, "height": side, "count": 1, "dtype": "uint16"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", crs=f"EPSG:{epsg}", transform=from_origin(4e5, top, meters, meters), **size
    ) as file:
        file.write(np.rint(1000 + 3 * columns + 2 * rows).astype(np.uint16), 1)


def test_bands_of_three_resolutions_lie_over_one_another(tmp_path: Path) -> None:
    """Oracle: a plane, which interpolation keeps up to its outermost pixels."""
    name = "S2A_MSIL2A_20171221T112501_56_35"
    for own, meters in (("B02", 10), ("B8A", 20), ("B01", 60)):
        band(tmp_path / name / f"{name}_{own}.tif", meters)
    files = open_chips(tmp_path)
    assert files.names == (f"{name}/{name}",)
    chip = files.read(0)
    assert (chip.bands, chip.date, chip.pixels.shape) == (("B01", "B02", "B8A"), "2017-12-21", (3, 24, 24))
    inside = chip.pixels[:, 3:-3, 3:-3].astype(int)
    assert np.abs(inside - inside[1]).max() <= 1
    assert files.ground(0).size == (24, 24)
    band(tmp_path / name / f"{name}_B03.tif", 10, epsg=32634)
    with pytest.raises(SourceError, match="must have a single band, like the others"):
        open_chips(tmp_path).read(0)


def test_real_chips_of_three_collections(shared_data: Path, tmp_path: Path) -> None:
    """Oracle: what the files hold, read by rasterio alone; BigEarthNet, TerraMesh and SatCLIP."""
    archive = shared_data / "sentinel2" / "BigEarthNet-S2-Example.tar.bz2"
    mesh = shared_data / "more" / "terramesh" / "S2L2A"
    patches = shared_data / "sentinel2" / "satclip_s2l2a"
    if not (archive.is_file() and mesh.is_dir() and patches.is_dir()):
        pytest.skip("no chips of BigEarthNet, TerraMesh and SatCLIP")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    files = open_chips(tmp_path / "BigEarthNet-S2-Example")
    assert len(files) == 6
    chip = files.read(0)
    assert (set(chip.bands), chip.pixels.shape) == (set(ORDERS["l2a"]), (12, 120, 120))
    with rasterio.open(tmp_path / f"BigEarthNet-S2-Example/{files.names[0]}_B04.tif") as file:
        np.testing.assert_array_equal(chip.pixels[chip.bands.index("B04")], file.read(1))
    for folder, side, count in ((mesh, 224, 5), (patches, 256, 17)):
        files = open_chips(folder)
        chip = files.read(len(files) - 1)
        assert (len(files), chip.bands, chip.pixels.shape) == (count, ORDERS["l2a"], (12, side, side))
        assert chip.crs.startswith("EPSG:32")
