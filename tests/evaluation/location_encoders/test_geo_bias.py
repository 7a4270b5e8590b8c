"""Oracles: Moran's I over many dealings of the marks, and patterns whose surprise is plain."""

from __future__ import annotations

import numpy as np
import pytest

from placevec.encoders.locations.positional import fibonacci
from placevec.evaluation.location_encoders import geo_bias
from placevec.geo.coordinates import lonlat_of


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_moments_are_those_of_all_dealings(share: float) -> None:
    """Against 4,000 permutations: mean within 4 standard errors, deviation within 5 %."""
    random = np.random.default_rng(0)
    xyz = fibonacci(60).numpy()
    around = geo_bias.neighborhood(xyz, np.arange(60))
    marks = (np.arange(60) < 60 * share).astype(float)
    z = marks - marks.mean()
    _, mean, deviation = geo_bias.moran(z, around)
    dealt = np.array([geo_bias.moran(random.permutation(z), around)[0] for _ in range(4_000)])
    assert abs(dealt.mean() - mean) < 4 * deviation / np.sqrt(len(dealt))
    assert dealt.std() == pytest.approx(deviation, rel=0.05)


def test_morans_i_by_its_definition() -> None:
    random = np.random.default_rng(1)
    xyz = fibonacci(30).numpy()
    around = geo_bias.neighborhood(xyz, np.arange(30))
    z = random.normal(size=30)
    z -= z.mean()
    weights = np.zeros((30, 30))
    for row, near in enumerate(around.near):
        weights[row, near] = 1.0
    assert geo_bias.moran(z, around)[0] == pytest.approx(30 / weights.sum() * (z @ weights @ z) / (z @ z))


def test_no_one_is_its_own_neighbor_where_coordinates_repeat() -> None:
    """Five spots of four points, one of nine: four others each, and all that a spot has come before other spots."""
    spots = np.repeat(np.arange(6), [4, 4, 4, 4, 4, 9])
    around = geo_bias.neighborhood(fibonacci(6).numpy()[spots], np.arange(len(spots)))
    assert around.near.shape == (len(spots), geo_bias.NEIGHBORS)
    for row, near in enumerate(around.near):
        assert row not in near
        assert len(set(near)) == geo_bias.NEIGHBORS
        assert (spots[near] == spots[row]).sum() == (4 if spots[row] == 5 else 3)


def test_patches_surprise_and_chance_does_not() -> None:
    lonlat = lonlat_of(fibonacci(2_000).numpy())
    around = geo_bias.neighborhoods(lonlat, radius_m=1_500_000)
    random = np.random.default_rng(2)
    by_chance = geo_bias.score(random.random(2_000) < 0.5, around)
    patches = geo_bias.score(np.sin(np.radians(lonlat[:, 0] * 16)) > 0, around)
    assert 0.6 < by_chance < 1.6  # -ln of a uniform p has mean 1
    assert patches > 3 * by_chance
    assert geo_bias.score(np.ones(2_000, bool), around) == 0.0
    assert np.isnan(geo_bias.score(np.ones(2_000, bool), ()))


def test_no_neighborhood_where_points_are_sparse() -> None:
    assert geo_bias.neighborhoods(lonlat_of(fibonacci(100).numpy())) == ()
