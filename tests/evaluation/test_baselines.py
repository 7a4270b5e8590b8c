"""Baselines are what they say they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely

from placevec.datasets.views.pois import Poi, PoiTable, PoiWriter
from placevec.evaluation import Task, evaluate
from placevec.evaluation.baselines import (
    AREA,
    COORDINATES,
    COORDINATES_AREA,
    COUNTS,
    COUNTS_AREA,
    COVERAGE,
    UNTRAINED,
    baselines,
    beside,
    coverage_fractions,
    polygon_area,
)
from placevec.geo import distance_m
from tests.evaluation.standin import LAYERS, Network, Town, embeddings, town


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


def test_no_coverage_or_unknown_channel_is_no_baseline(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=2)
    assert coverage_fractions(dataset, ("satellite",), np.arange(4)) is None  # type: ignore[arg-type]
    (tmp_path / "map_coverage.tif").unlink()
    assert coverage_fractions(dataset, None, np.arange(4)) is None  # type: ignore[arg-type]


def test_beside_is_both_standardized() -> None:
    joined = beside(np.array([[1.0], [3.0]]), np.array([[10.0, 7.0], [30.0, 7.0]]))
    assert joined.tolist() == [[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]


def squares(dataset: Town, sides_m: np.ndarray) -> np.ndarray:
    """A square around each place."""
    half = sides_m / 2 / 111_320.0
    lon, lat = dataset.lonlat.T
    wide = half / np.cos(np.radians(lat))
    return np.asarray(shapely.box(lon - wide, lat - half, lon + wide, lat + half), object)


def test_polygon_area_is_that_of_the_ellipsoid(tmp_path: Path) -> None:
    """Oracle: the side squared, to half a percent, in which the sphere and the ellipsoid differ."""
    dataset = town(tmp_path, km=2)
    sides = np.random.default_rng(0).uniform(50, 300, len(dataset))
    dataset.shapes = squares(dataset, sides)
    area = polygon_area(dataset, np.arange(9))  # type: ignore[arg-type]
    assert area is not None
    np.testing.assert_allclose(area[:, 0], sides[:9] ** 2, rtol=0.01)
    np.testing.assert_allclose(area[:, 1], np.log(area[:, 0]))
    found = baselines(dataset, None, np.arange(9))  # type: ignore[arg-type]
    assert list(found) == [COORDINATES, AREA, COORDINATES_AREA, COVERAGE]
    assert found[COORDINATES_AREA][0].shape == (9, 4)


def test_no_polygons_or_equal_ones_have_no_area_to_compare_with(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=2)
    assert polygon_area(dataset, np.arange(9)) is None, "points"  # type: ignore[arg-type]
    dataset.shapes = squares(dataset, np.full(len(dataset), 100.0))
    assert polygon_area(dataset, np.arange(9)) is None, "a grid"  # type: ignore[arg-type]
    dataset.shapes = squares(dataset, np.linspace(50, 90, len(dataset)))
    dataset.shapes[3] = None
    assert polygon_area(dataset, np.arange(9)) is None, "one without a shape"  # type: ignore[arg-type]


def test_density_is_reported_by_area_alone(tmp_path: Path) -> None:
    """A hundred people a polygon: their density is known from its area; the vectors, noise, know nothing of it."""
    dataset = town(tmp_path, km=6)
    sides = np.random.default_rng(0).uniform(50, 300, len(dataset))
    dataset.shapes = squares(dataset, sides)
    task = Task("density", "regression", np.log(100 / sides**2), np.arange(len(dataset)))
    noise = np.random.default_rng(1).normal(size=(len(dataset), 6))
    report = evaluate(embeddings(dataset, noise), dataset=dataset, tasks=[task], budget="quick", seeds=1)  # type: ignore[arg-type]
    (result,) = report.results
    assert result.row(AREA).score.value > 0.95
    assert result.row(COORDINATES).score.value < 0.1
    worse = {item.against for item in result.comparisons if item.claim == "worse"}
    assert {AREA, COORDINATES_AREA} <= worse


def test_counts_of_points_of_interest(tmp_path: Path) -> None:
    """Closed form: three cafes in one footprint are ln 4 there and nothing elsewhere."""
    dataset = town(tmp_path, km=2)
    group = PoiTable.default().groups[0]
    with PoiWriter(tmp_path / "pois.parquet") as writer:
        writer.add(
            ["node"] * 3,
            np.arange(3),
            dataset.lonlat[[5, 5, 5]],
            [Poi("amenity", "cafe", group, None, 0)] * 3,
        )
    found = baselines(dataset, None, np.array([5, 0]))  # type: ignore[arg-type]
    assert COUNTS_AREA not in found
    counts = found[COUNTS][0]
    assert counts[0].max() == pytest.approx(np.log(4))
    assert counts.sum() == pytest.approx(np.log(4))
