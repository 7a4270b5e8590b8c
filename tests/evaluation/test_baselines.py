"""Baselines are what they say they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from placevec.evaluation.baselines import (
    COORDINATES,
    COVERAGE,
    UNTRAINED,
    baselines,
    beside,
    coverage_fractions,
)
from placevec.geo import distance_m
from tests.evaluation.standin import LAYERS, Network, town


def test_baselines_of_a_model(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=2)
    rows = np.array([5, 3, 20])
    found = baselines(dataset, Network(), rows, seeds=(0, 1))  # type: ignore[arg-type]
    assert list(found) == [COORDINATES, COVERAGE, UNTRAINED]
    assert found[COVERAGE][0].shape == (3, 2), "only the channels that the model sees"
    assert len(found[UNTRAINED]) == 2
    assert not np.array_equal(*found[UNTRAINED])
    plane = found[COORDINATES][0]
    true = distance_m(*dataset.lonlat[5], *dataset.lonlat[20])
    assert np.hypot(*(plane[0] - plane[2])) == pytest.approx(float(true), rel=1e-4)


def test_without_a_model_every_channel_and_no_untrained_encoder(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=2)
    found = baselines(dataset, None, np.arange(4))  # type: ignore[arg-type]
    assert list(found) == [COORDINATES, COVERAGE]
    assert found[COVERAGE][0].shape == (4, len(LAYERS))


def test_fractions_are_shares_of_the_footprint(tmp_path: Path) -> None:
    """Closed form: a channel painted at one half everywhere covers one half of every footprint."""
    dataset = town(tmp_path, km=2)
    with rasterio.open(tmp_path / "map_coverage.tif", "r+") as file:
        file.write(np.full((3, file.height, file.width), 128, np.uint8))
    fractions = coverage_fractions(dataset, ("buildings",), np.arange(9))  # type: ignore[arg-type]
    np.testing.assert_allclose(fractions, 128 / 255, atol=1e-6)


def test_no_coverage_or_no_such_channel_is_no_floor(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=2)
    assert coverage_fractions(dataset, ("satellite",), np.arange(4)) is None  # type: ignore[arg-type]
    (tmp_path / "map_coverage.tif").unlink()
    assert coverage_fractions(dataset, None, np.arange(4)) is None  # type: ignore[arg-type]


def test_beside_is_both_standardized() -> None:
    joined = beside(np.array([[1.0], [3.0]]), np.array([[10.0, 7.0], [30.0, 7.0]]))
    assert joined.tolist() == [[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]
