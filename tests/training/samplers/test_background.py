"""Background points. Oracles: areas of the sphere (chi-square on cells of equal area), and polygons' own areas."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy.stats import chisquare

from placevec.errors import AreaError, InputError
from placevec.sources.land import land_outlines
from placevec.training.samplers.background import Land, Octant, Sphere, TargetGroup

COUNT = 40_000


def random() -> np.random.Generator:
    return np.random.default_rng(7)


def cells(points: np.ndarray, columns: int = 12, bands: int = 8) -> np.ndarray:
    """How many points lie in each of ``columns x bands`` cells of equal area: bands of sin(latitude)."""
    across = np.floor((points[:, 0] + 180) / 360 * columns).astype(int)
    along = np.floor((np.sin(np.radians(points[:, 1])) + 1) / 2 * bands).astype(int)
    return np.bincount(across * bands + along, minlength=columns * bands)


def test_the_sphere_is_filled_evenly() -> None:
    points = Sphere().draw(random(), COUNT)
    counts = cells(points)
    assert counts.shape == (96,)
    assert chisquare(counts).pvalue > 1e-3
    for share in ((points[:, 0] < 0).mean(), (points[:, 1] < 0).mean()):
        assert share == pytest.approx(0.5, abs=0.01)
    assert (np.abs(points[:, 1]) > 60).mean() == pytest.approx(1 - np.sin(np.radians(60)), abs=0.01)


def test_the_octant_is_the_founding_one() -> None:
    """Nothing west of Greenwich or south of the equator, and too much towards the pole."""
    points = Octant().draw(random(), COUNT)
    assert points.min() >= 0
    assert points[:, 0].max() <= 180
    assert chisquare(np.histogram(points[:, 0], 9, (0, 180))[0]).pvalue > 1e-3
    assert chisquare(np.histogram(points[:, 1], 9, (0, 90))[0]).pvalue > 1e-3
    assert chisquare(cells(points)).pvalue < 1e-9


def test_land_is_filled_by_area() -> None:
    """Two boxes of equal width: the share of each is the difference of the sines, Archimedes."""
    low, high = shapely.box(0, 0, 10, 10), shapely.box(20, 60, 30, 80)
    points = Land(shapely.union_all([low, high]), pool=COUNT).draw(random(), COUNT)
    sine = np.sin(np.radians([0, 10, 60, 80]))
    northern = (sine[3] - sine[2]) / (sine[3] - sine[2] + sine[1])
    assert (points[:, 1] > 50).mean() == pytest.approx(northern, abs=0.01)
    assert shapely.contains_xy(shapely.union_all([low, high]), *points.T).all()
    upper = points[points[:, 1] > 50, 1]
    assert chisquare(np.histogram(np.sin(np.radians(upper)), 10, (sine[2], sine[3]))[0]).pvalue > 1e-4


def test_land_of_the_dependency_is_land() -> None:
    """Natural Earth: 29 % of the Earth, two thirds of it north of the equator; the Sahara and not the Pacific."""
    outlines = land_outlines()
    points = Land(outlines, pool=5000).draw(random(), 5000)
    assert 0.55 < (points[:, 1] > 0).mean() < 0.72
    assert shapely.contains_xy(outlines, 10, 25)
    assert not shapely.contains_xy(outlines, -150, 0)
    assert shapely.contains_xy(outlines, *points.T).all()


def test_land_of_a_file(tmp_path) -> None:
    file = tmp_path / "land.geojson"
    file.write_text(shapely.to_geojson(shapely.box(170, -10, 180, 10)))
    points = Land(land_outlines(file), pool=100).draw(random(), 100)
    assert points.min(axis=0).tolist() >= [170, -10]
    file.write_text('{"type": "Point", "coordinates": [1, 2]}')
    with pytest.raises(AreaError, match="contains no polygon"):
        land_outlines(file)
    with pytest.raises(InputError, match="no area"):
        Land(shapely.LineString([(0, 0), (1, 1)]))


def test_slivers_are_given_up() -> None:
    sliver = shapely.Polygon([(0, 0), (90, 80), (90, 80.0000001)])
    with pytest.raises(InputError, match="slivers"):
        Land(sliver, pool=50)


def test_a_target_group_is_the_other_places() -> None:
    places = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    points = TargetGroup(places).draw(random(), 3000)
    names, counts = np.unique(points, axis=0, return_counts=True)
    assert names.tolist() == places.tolist()
    assert chisquare(counts).pvalue > 1e-3
    with pytest.raises(InputError, match="no place"):
        TargetGroup(np.zeros((0, 2)))


@pytest.mark.parametrize("background", [Sphere(), Octant(), TargetGroup(np.eye(2))])
def test_the_generator_decides(background) -> None:
    np.testing.assert_array_equal(background.draw(random(), 9), background.draw(random(), 9))
    assert background.draw(random(), 0).shape == (0, 2)
