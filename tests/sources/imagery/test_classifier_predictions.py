"""Predictions of image classifiers: read as they were written, or refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from placevec.errors import SourceError
from placevec.sources.imagery import classifier_predictions as image_predictions
from placevec.sources.imagery.classifier_predictions import read_predictions


def test_a_zip_named_npy_is_rejected_and_closed(tmp_path: Path) -> None:
    """Numpy goes by the content. Oracle of closing: the files that the process holds open."""
    path = tmp_path / "test.npy"
    with open(path, "wb") as file:
        np.savez(file, a=np.ones((2, 2)))
    with pytest.raises(SourceError, match="a zip of arrays") as caught:
        read_predictions(path)
    held = [os.path.realpath(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")]
    assert str(path.resolve()) not in held
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("row", [0, 5, 9])
def test_numbers_below_0_are_rejected_wherever_they_are(
    tmp_path: Path, row: int, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any part of the file, beside NaN, dense and sparse; without it the same file is read."""
    monkeypatch.setattr(image_predictions, "_CELLS", 7)
    found = np.array(np.random.default_rng(0).random((10, 4)), np.float32, order=order)  # type: ignore[call-overload]
    found[3] = np.nan
    np.save(tmp_path / "good.npy", found)
    assert np.array_equal(read_predictions(tmp_path / "good.npy", (10, 4)), found, equal_nan=True)
    found[row, 2] = -0.25
    np.save(tmp_path / "bad.npy", found)
    sparse.save_npz(tmp_path / "bad.npz", sparse.csr_matrix(found))
    for name in ("bad.npy", "bad.npz"):
        with pytest.raises(SourceError, match=r"has the probability -0.25, below 0"):
            read_predictions(tmp_path / name)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.uint8, np.bool_])
@pytest.mark.parametrize("rows", [0, 2])
def test_other_kinds_of_numbers_are_read(tmp_path: Path, kind: type, rows: int) -> None:
    np.save(tmp_path / "test.npy", np.ones((rows, 3), kind))
    assert read_predictions(tmp_path / "test.npy", (rows, 3)).dtype == kind
