"""Spherical harmonics against scipy, the addition theorem and quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss
from scipy.special import eval_legendre, sph_harm_y

from placevec.encoders.locations.harmonics import SphericalHarmonics

RANDOM = np.random.default_rng(11)
LON = np.r_[RANDOM.uniform(-180, 180, 30), 0, 180, 33, 0]
LAT = np.r_[np.degrees(np.arcsin(RANDOM.uniform(-1, 1, 30))), 0, 0, 90, -90]


def harmonics(degrees: int, lon: np.ndarray = LON, lat: np.ndarray = LAT) -> np.ndarray:
    return SphericalHarmonics(degrees)(torch.tensor(lon), torch.tensor(lat)).numpy()


def test_harmonics_are_those_of_scipy() -> None:
    """The real harmonics of scipy's complex ones, whose Condon-Shortley phase is taken off; all degrees below 40."""
    found = harmonics(40)
    polar, around = np.radians(90 - LAT), np.radians(LON)
    for degree in range(40):
        for order in range(degree + 1):
            wanted = sph_harm_y(degree, order, polar, around) * (-1.0) ** order
            middle = degree * degree + degree
            if order == 0:
                np.testing.assert_allclose(found[:, middle], wanted.real, atol=1e-11)
                continue
            np.testing.assert_allclose(found[:, middle + order], np.sqrt(2) * wanted.real, atol=1e-11)
            np.testing.assert_allclose(found[:, middle - order], np.sqrt(2) * wanted.imag, atol=1e-11)


@pytest.mark.parametrize("degrees", [40, 128])
def test_the_addition_theorem(degrees: int) -> None:
    """Sum over m of Y_lm(a) Y_lm(b) is (2 l + 1) / 4 pi P_l(cos of the angle)."""
    found = harmonics(degrees)
    lam, phi = np.radians(LON), np.radians(LAT)
    cosine = np.sin(phi)[:, None] * np.sin(phi) + np.cos(phi)[:, None] * np.cos(phi) * np.cos(
        lam[:, None] - lam
    )
    for degree in range(degrees):
        part = found[:, degree**2 : (degree + 1) ** 2]
        wanted = (2 * degree + 1) / (4 * np.pi) * eval_legendre(degree, np.clip(cosine, -1, 1))
        np.testing.assert_allclose(part @ part.T, wanted, atol=1e-10 * (2 * degree + 1))


def test_harmonics_are_orthonormal() -> None:
    """By Gauss-Legendre quadrature in sine of latitude, exact for these degrees."""
    nodes, weights = leggauss(12)
    lon = np.arange(24) * 15.0
    across, along = np.meshgrid(lon, np.degrees(np.arcsin(nodes)))
    area = np.repeat(weights, 24) * 2 * np.pi / 24
    found = harmonics(10, across.ravel(), along.ravel())
    np.testing.assert_allclose(found.T @ (found * area[:, None]), np.eye(100), atol=1e-12)
