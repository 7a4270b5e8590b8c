"""Oracles: closed forms of the von Mises-Fisher distribution."""

from __future__ import annotations

import numpy as np
import pytest

from placevec.encoders.locations.positional import fibonacci
from placevec.evaluation.location_encoders import synthetic_tasks as synthetic
from placevec.evaluation.location_encoders.synthetic_tasks import Mixture, fisher_points
from placevec.geo.coordinates import lonlat_of, xyz_of


@pytest.mark.parametrize("kappa", [0.0, 0.5, 5.0, 80.0])
def test_the_mean_resultant_length_is_that_of_the_closed_form(kappa: float) -> None:
    """coth kappa - 1 / kappa, to four standard errors; and the mean points at the center."""
    center = np.array([[0.36, -0.48, 0.8]])
    many = 40_000
    found = fisher_points(np.repeat(center, many, 0), np.full(many, kappa), np.random.default_rng(1))
    length = 1.0 / np.tanh(kappa) - 1.0 / kappa if kappa else 0.0
    cosines = found @ center[0]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)
    assert abs(cosines.mean() - length) < 4 * cosines.std() / np.sqrt(many)
    sideways = found.mean(axis=0) - cosines.mean() * center[0]
    assert np.linalg.norm(sideways) < 4 / np.sqrt(many)


def test_densities_integrate_to_one() -> None:
    mixture = Mixture(np.array([[0.0, 0.6, 0.8], [0.0, 0.0, 1.0]]), np.array([0.0, 12.0]))
    densities = np.exp(mixture.log_densities(fibonacci(20_000).numpy()))
    np.testing.assert_allclose(densities.mean(axis=0) * 4 * np.pi, 1.0, rtol=1e-4)


@pytest.mark.parametrize("kappa", [0.3, 2.0, 10.0])
def test_two_poles_have_the_accuracy_of_the_closed_form(kappa: float) -> None:
    """The nearer of two opposite centers is the likelier; a point is on its own half with chance 1 / (1 + e^-kappa)."""
    mixture = Mixture(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]), np.array([kappa, kappa]))
    assert mixture.bayes_accuracy(40_000) == pytest.approx(1 / (1 + np.exp(-kappa)), abs=0.004)


def test_without_concentration_nothing_can_be_known() -> None:
    mixture = Mixture(fibonacci(8).numpy(), np.zeros(8))
    assert mixture.bayes_accuracy(4_000) == pytest.approx(1 / 8)


def test_far_apart_and_narrow_everything_can() -> None:
    mixture = Mixture(fibonacci(6).numpy(), np.full(6, 400.0))
    assert mixture.bayes_accuracy(4_000) > 0.999


@pytest.mark.parametrize("name", ["U2", "S4.4"])
def test_the_published_accuracy_is_the_computed_one(name: str) -> None:
    assert synthetic.mixture(name).bayes_accuracy(20_000, seed=3) == pytest.approx(
        synthetic.BAYES[name], abs=0.004
    )


def test_the_sets_are_those_of_the_design() -> None:
    assert len(synthetic.NAMES) == 20 == len(synthetic.BAYES)
    for name, bands in (("S1.1", 5), ("S2.4", 10), ("S4.2", 50)):
        lat = lonlat_of(synthetic.mixture(name).centers)[:, 1]
        held = np.histogram(lat, np.linspace(-90, 90, bands + 1))[0]
        assert (held == 50 // bands).all()
    task = synthetic.mixture_task("U1")
    assert (np.bincount(task.target) == 100).all()
    assert task.ceiling == synthetic.BAYES["U1"]
    again = synthetic.mixture_task("U1")
    np.testing.assert_array_equal(task.lonlat, again.lonlat)


def test_a_checkerboard_has_the_color_of_the_nearest_center() -> None:
    task = synthetic.checkerboard(points=200, centers=50, extra=20)
    nearest = (xyz_of(task.lonlat) @ fibonacci(50).numpy().T).argmax(axis=1)
    np.testing.assert_array_equal(task.target, nearest % 16)
    assert task.extra.sum() == 40
    assert (np.bincount(nearest, minlength=50) > 0).mean() > 0.8
