"""What a head knows of its training points. Oracles: the posterior of Bayesian linear regression by inverting its
precision, distances by the haversine formula, and coverage of numbers drawn anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from placevec.errors import ModelError
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.models.reliability import LEVEL, Reliability, Vectors, factor_of, fitted, independent
from tests.inference.closed_form import closed_form
from tests.preparation.points.tables import globe

RANDOM = np.random.default_rng(3)


def haversine_km(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    a, b = np.radians(one)[:, None], np.radians(others)[None]
    half = (
        np.sin((a - b)[..., 1] / 2) ** 2
        + np.cos(a[..., 1]) * np.cos(b[..., 1]) * np.sin((a - b)[..., 0] / 2) ** 2
    )
    return 2 * 6371.0088 * np.arcsin(np.sqrt(half))


def numbers(count: int, seed: int) -> tuple[Head, Vectors, np.ndarray]:
    """A head that is right up to noise, at places with vectors of four numbers."""
    torch.manual_seed(0)
    random = np.random.default_rng(seed)
    head = Head(4, "number", mean=10.0, deviation=2.0)
    z = torch.from_numpy(random.normal(size=(count, 4)))
    noise = random.normal(0, 0.5, count)
    return head, Vectors(globe(count, seed), z, torch.from_numpy(noise)), noise


def test_deviations_are_those_of_the_posterior() -> None:
    head, train, _ = numbers(200, 1)
    found = fitted(head, train, None, 1000.0)
    both = np.c_[train.z.numpy(), np.ones(200)]
    precision = float(found.weight[0]) * both.T @ both + float(found.prior[0]) * np.eye(5)
    asked = RANDOM.normal(size=(7, 4)) * 3
    wanted = np.einsum(
        "ni,ij,nj->n", *(side := (np.c_[asked, np.ones(7)],)), np.linalg.inv(precision), side[0]
    )
    np.testing.assert_allclose(found.deviation(torch.from_numpy(asked))[:, 0] ** 2, wanted, rtol=1e-4)
    assert not found.calibrated
    assert float(found.noise) == pytest.approx(0.5, rel=0.2)


def test_bands_are_scaled_to_cover_and_do() -> None:
    """Of 4,000 numbers drawn anew, within 3 points of 90 %; without validation places the normal factor is used."""
    head, train, _ = numbers(300, 1)
    _, held, _ = numbers(400, 2)
    found = fitted(head, train, held, 1000.0)
    assert found.calibrated
    _, fresh, noise = numbers(4000, 3)
    assert (np.abs(noise) <= found.half_width(fresh.z).numpy()).mean() == pytest.approx(LEVEL, abs=0.03)


@pytest.mark.parametrize(("finest", "reach"), [(400.0, 200.0), (1e5, None)])
def test_support_is_the_distance_to_training_points(finest: float, reach: float | None) -> None:
    """Half the finest wavelength, at most a quarter of the extent for coarse encoders."""
    head, train, _ = numbers(50, 1)
    found = fitted(head, train, None, finest)
    if reach is not None:
        assert float(found.reach_km) == reach
    else:
        assert 1000 < float(found.reach_km) < 6000
    asked = globe(200, 9)
    wanted = haversine_km(asked, train.lonlat.astype(np.float32).astype(float)).min(axis=1)
    np.testing.assert_allclose(found.distance_km(asked), wanted, rtol=1e-4)
    np.testing.assert_array_equal(found.supported(asked), wanted <= float(found.reach_km))
    assert found.supported(train.lonlat + np.array([360.0, 0.0])).all()


def test_one_training_point_supports_its_surroundings() -> None:
    head, train, _ = numbers(1, 1)
    one = Vectors(np.array([[24.94, 60.17]]), train.z, train.error)
    found = fitted(head, one, None, 300.0)
    assert float(found.reach_km) == 150.0
    assert found.supported(np.array([[24.94, 61.0], [24.94, 62.0]])).tolist() == [True, False]
    assert float(fitted(head, one, None, np.inf).reach_km) == 500.0
    assert np.isfinite(found.half_width(train.z)).all()


def test_it_is_saved_with_the_model_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    model = closed_form(tmp_path / "m")
    assert model.head is not None
    before, points = model.hash, globe(30)
    z = torch.from_numpy(model.embed_lonlat(points))
    model.head.reliability = fitted(model.head, Vectors(points, z), None, 4000.0)
    model.save(tmp_path / "m")
    again = Model.load(tmp_path / "m")
    assert again.hash == model.hash != before
    known = again.head.reliability if again.head is not None else None
    assert known is not None
    torch.testing.assert_close(known.deviation(z), model.head.reliability.deviation(z))
    few = known.only([2])
    torch.testing.assert_close(few.deviation(z)[:, 0], known.deviation(z)[:, 2])
    with pytest.raises(ModelError, match="invalid sizes"):
        Reliability(0, 4, 1)


def test_a_factor_holds_for_new_blocks() -> None:
    """Blocks of ten places whose errors differ by block: by 300 draws of 20 blocks, new ones are covered to 89 to 93%."""
    random, shares = np.random.default_rng(4), []
    for _ in range(300):
        scale = np.exp(random.normal(0, 0.5, 21)).repeat(10)
        errors, block = np.abs(random.normal(size=210)) * scale, np.arange(21).repeat(10)
        factor = factor_of(errors[:200], block[:200])
        shares.append((errors[200:] <= factor).mean())
    assert 0.89 < np.mean(shares) < 0.93
    assert factor_of(np.arange(1.0, 11.0), np.zeros(10, int)) == 10.0  # one block: MOST of it


def test_too_few_blocks_make_no_claim() -> None:
    """Validation places in three towns, most in one: bands are as wide as there, and not called calibrated."""
    head, train, _ = numbers(300, 1)
    _, held, _ = numbers(200, 2)
    assert held.error is not None
    towns = np.array([[10.0, 50.0], [40.0, 10.0], [-70.0, -20.0]])[np.repeat([0, 1, 2], [160, 20, 20])]
    lonlat = towns + np.random.default_rng(1).normal(0, 0.01, (200, 2))
    found = fitted(head, train, Vectors(lonlat, held.z, held.error), 1000.0)
    assert not found.calibrated
    assert float(found.factor) < 0
    assert (
        found.uncalibrated == "not calibrated: the validation places lie in fewer than 9 independent blocks"
    )
    known = fitted(head, train, held, 1000.0)
    assert known.uncalibrated == ""
    assert (found.half_width(held.z) > 0).all()
    assert independent(np.repeat(np.arange(9), 7)) == 9.0
    few = Vectors(held.lonlat[:20], held.z[:20], held.error[:20])
    assert "fewer than 30 validation places" in fitted(head, train, few, 1000.0).uncalibrated
