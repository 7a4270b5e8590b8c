"""Clouds by classes, and by the model of ukis-csmask against a mask that was drawn by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placevec.errors import InputError, MissingExtraError
from placevec.sources.imagery import clouds
from placevec.sources.imagery.clouds import SIX, cloudy_classes, cloudy_pixels

SHADOW, CLOUD = 0, 4
"""Classes of the hand-drawn mask."""


def test_classes_of_clouds_and_their_shadows() -> None:
    """Oracle: the table of Sen2Cor: 3 shadow, 8 and 9 clouds, 10 cirrus; 11 is snow."""
    classes = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.flatnonzero(cloudy_classes(classes)).tolist() == [3, 8, 9, 10]


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clouds, "has_model", lambda: False)
    with pytest.raises(MissingExtraError, match=r'pip install "placevec\[clouds\]"'):
        cloudy_pixels(np.ones((4, 8, 8), np.uint16), SIX[:4])
    with pytest.raises(InputError, match="B08 is missing"):
        cloudy_pixels(np.ones((3, 8, 8), np.uint16), SIX[:3])


def test_the_model_sees_what_was_drawn_by_hand(shared_data: Path) -> None:
    """Oracle: the classes of ukis-csmask's own test image, drawn by hand."""
    pytest.importorskip("ukis_csmask")
    pytest.importorskip("onnxruntime")
    path = shared_data / "more" / "s2_cloud" / "sentinel2_l1c_6bands_512.npz"
    if not path.is_file():
        pytest.skip("no hand-drawn cloud mask")
    with np.load(path, allow_pickle=False) as file:
        image, mask = file["img"], file["msk"].squeeze()
    pixels = np.clip(np.rint(image.transpose(2, 0, 1) * 10_000), 1, 65_535).astype(np.uint16)[:, :256, :256]
    drawn = np.isin(mask[:256, :256], (SHADOW, CLOUD))
    seen = cloudy_pixels(pixels, SIX, "l1c")
    assert 0.1 < drawn.mean() < 0.9
    assert seen[drawn].mean() > 0.95
    assert seen[~drawn].mean() < 0.25
    small = cloudy_pixels(pixels[:, :100, :100], SIX, "l1c")
    assert (small == seen[:100, :100]).mean() > 0.9
