"""What must hold of every location encoder on the sphere: continuity, distances, derivatives, precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import placevec as pv
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.encoders.locations.names import FAMILIES, names

POLES_CLOSED = {"xyz", "rbf", "rff", "NeRF", "sphereC", "sphereM", "harmonics", "cells"}
TAPERED = {"wrap", "wrap+ffn", "grid", "sphereC+", "sphereM+", "dfs"}
RANDOM = np.random.default_rng(7)
LON, LAT = RANDOM.uniform(-180, 180, 40), np.degrees(np.arcsin(RANDOM.uniform(-1, 1, 40)))


def small(name: str, **options: object) -> LocationEncoder:
    return pv.encoders.location(name, dim=8, hidden=16, **options).eval()


def apart(encoder: LocationEncoder, lon: float, lat: float, other_lon: float) -> float:
    first, second = encoder.features([lon, other_lon], [lat, lat])
    return float((first - second).abs().max().detach())


@pytest.mark.parametrize("lat", [-75.0, 0.0, 20.0])
@pytest.mark.parametrize("name", names())
def test_the_antimeridian_closes(name: str, lat: float) -> None:
    """180 and -180 degrees are one meridian, and longitudes may also run to 360."""
    encoder = small(name)
    assert encoder.positional.antimeridian
    assert apart(encoder, 180.0, lat, -180.0) < 1e-9
    assert apart(encoder, -170.0, lat, 190.0) < 1e-9


@pytest.mark.parametrize("name", names())
def test_the_poles_close_where_they_can(name: str) -> None:
    """One vector at a pole whatever the longitude, for those that say so; the others do differ."""
    encoder = small(name)
    assert encoder.positional.poles == (name in POLES_CLOSED)
    for lat in (90.0, -90.0):
        assert (apart(encoder, 10.0, lat, -130.0) < 1e-9) == (name in POLES_CLOSED)


@pytest.mark.parametrize("name", sorted(TAPERED))
def test_tapered_forms_close_at_the_poles_too(name: str) -> None:
    encoder = small(name, taper_poles=True)
    assert encoder.positional.poles
    for lat in (90.0, -90.0):
        assert apart(encoder, 10.0, lat, -130.0) < 1e-9
    assert apart(encoder, 180.0, 20.0, -180.0) < 1e-9


@pytest.mark.parametrize("name", [*names(), *(f"{name} tapered" for name in sorted(TAPERED))])
def test_the_two_poles_differ(name: str) -> None:
    """The original wrap gives both poles one code."""
    name, _, tapered = name.partition(" ")
    north, south = small(name, **({"taper_poles": True} if tapered else {})).features(
        [10.0, 10.0], [90.0, -90.0]
    )
    assert float((north - south).abs().max().detach()) > 0.1


def test_the_original_says_where_it_tears() -> None:
    """Those that say they close do, those that do not, tear: the original variants."""
    for name, family in FAMILIES.items():
        if family.original is None:
            continue
        encoder = small(name, variant="original", **({"sigma": 40.0} if name == "rbf" else {}))
        assert encoder.positional.antimeridian == (apart(encoder, 180.0, 20.0, -180.0) < 1e-9), name
        assert encoder.positional.poles == (apart(encoder, 10.0, 90.0, -130.0) < 1e-9), name


def angle(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Pairwise cosines of the great-circle angle, by the law of cosines."""
    lam, phi = np.radians(lon), np.radians(lat)
    return np.sin(phi)[:, None] * np.sin(phi) + np.cos(phi)[:, None] * np.cos(phi) * np.cos(
        lam[:, None] - lam
    )


@pytest.mark.parametrize("variant", ["corrected", "original"])
def test_inner_products_of_sphere_c_at_one_scale_are_distances(variant: str) -> None:
    """Theorem 1 of the paper, by the spherical law of cosines."""
    found = small("sphereC", scales=1, variant=variant).features(LON, LAT)
    np.testing.assert_allclose((found @ found.T).numpy(), angle(LON, LAT), atol=1e-12)


def test_inner_products_of_sphere_c_sum_over_scales() -> None:
    """With more scales: the sum of cosines of angles between points so many times as far from 0, 0, odd in latitude."""
    encoder = small("sphereC", scales=4, r_min=0.1)
    found = encoder.features(LON, LAT)
    wanted = sum(angle(f * LON, g * LAT) for f, g in ((10.0, 9.0), (5.0, 5.0), (2.0, 3.0), (1.0, 1.0)))
    np.testing.assert_allclose((found @ found.T).numpy(), wanted, atol=1e-11)


def test_the_random_features_come_near_to_the_kernel() -> None:
    """Rahimi and Recht 2007: inner products of rff are those of rbf, up to 1 / sqrt(W)."""
    features = small("rff", frequencies=20_000, sigma=30.0).features(LON, LAT)
    kernel = small("rbf", anchors=np.c_[LON, LAT], sigma=30.0).features(LON, LAT)
    np.testing.assert_allclose((features @ features.T).numpy(), kernel.numpy(), atol=0.04)
    far = 2 - 2 * angle(LON, LAT)
    np.testing.assert_allclose(kernel.numpy(), np.exp(-far / (2 * math.radians(30) ** 2)), atol=1e-12)


@pytest.mark.parametrize("name", names())
def test_features_can_be_differentiated(name: str) -> None:
    """Against central differences, in both coordinates, a pole and the antimeridian among the points."""
    lon = torch.tensor([12.3, 180.0, -77.0, 31.0], dtype=torch.float64, requires_grad=True)
    lat = torch.tensor([-41.0, 20.0, 0.0, 90.0], dtype=torch.float64, requires_grad=True)
    options = {
        "harmonics": {"degrees": 5},
        "cells": {"cells": 50, "width": 3},
        "rbf": {"anchors": 5, "sigma": 40.0},
        "rff": {"frequencies": 8},
    }
    encoder = small(name, **options.get(name, {}), **({"scales": 3} if name in SCALED else {}))
    assert torch.autograd.gradcheck(encoder.positional, (lon, lat), eps=1e-5, atol=1e-5, rtol=1e-4)


SCALED = {"grid", "theory", "NeRF", "sphereC", "sphereC+", "sphereM", "sphereM+", "dfs"}


@pytest.mark.parametrize("name", names())
def test_the_graph_is_whole(name: str) -> None:
    """torch.compile without a break gives the same vectors, from tensors, checks and network included."""
    torch._dynamo.reset()
    encoder = small(name, **({"degrees": 6} if name == "harmonics" else {}))
    lonlat = torch.tensor(np.c_[LON, LAT])
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        np.testing.assert_allclose(compiled(lonlat), encoder(lonlat), atol=1e-6)


@pytest.mark.parametrize("name", ["sphereC", "sphereC+", "sphereM", "sphereM+", "dfs", "theory", "grid"])
def test_places_half_around_the_earth_are_neither_alike_nor_opposite(name: str) -> None:
    """Even frequencies alone make 180 degrees of longitude a period, odd ones in both angles make antipodes opposite."""
    lon, lat = np.array([10.0, -170.0, -170.0]), np.array([20.0, 20.0, -20.0])
    place, across, antipode = small(name, scales=5, r_min=0.02).features(lon, lat)
    assert float((place - across).abs().max()) > 0.1
    assert float((place + antipode).abs().max()) > 0.1


FINEST_SINE = {"grid": 0, "sphereC": 2, "sphereC+": 2, "sphereM": 4, "sphereM+": 2}
"""Which number is the sine of the finest wave of longitude, on the equator."""


@pytest.mark.parametrize("lon", [0.0, 24.94, 179.0])
@pytest.mark.parametrize("name", FINEST_SINE)
def test_float32_features_resolve_meters(name: str, lon: float) -> None:
    """At 1 m steps the finest sine grows with every step for a kilometer: angles are float64 until the features."""
    encoder = small(name, scales=8, r_min=1e-3)
    waves = round(float(encoder.positional.around[0]))
    assert waves == 1000
    meter = 360 / 40_030_230
    rising = round(lon / 360 * waves) * 360 / waves  # a zero of the sine of so many times the longitude
    steps = rising + np.arange(1000) * meter
    finest = encoder.features(steps, np.zeros(1000)).to(torch.float32)[:, FINEST_SINE[name]]
    assert bool((finest.diff() > 0).all())


@pytest.mark.parametrize("name", names())
def test_nothing_handed_in_is_changed(name: str) -> None:
    """The original's geo_net_fft scales the caller's coordinates in place."""
    lonlat = torch.tensor(np.c_[LON, LAT])
    before = lonlat.clone()
    encoder = small(name)
    encoder(lonlat)
    encoder.unchecked(lonlat)
    assert torch.equal(lonlat, before)


@pytest.mark.parametrize("name", names())
def test_angles_stay_exact(name: str) -> None:
    """Half precision is for the network: features are float64 and the same after a cast and under autocast."""
    encoder = small(name)
    before = encoder.features(LON, LAT).detach()
    if name != "cells":
        encoder.to(torch.bfloat16)
        assert torch.equal(encoder.features(LON, LAT), before)
        assert encoder(LON, LAT).dtype == torch.bfloat16
        encoder.to(torch.float32)
        assert torch.equal(encoder.features(LON, LAT), before)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.features(LON, LAT).detach(), before)
        assert encoder(LON, LAT).dtype == torch.bfloat16
