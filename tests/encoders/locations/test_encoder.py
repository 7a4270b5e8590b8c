"""Location encoders as users meet them: names, inputs, refusals, saved and built again."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import torch

import placevec as pv
from placevec.encoders.locations.names import known_as, names
from placevec.errors import InputError, ModelError

LON, LAT = np.array([24.94, -170.7, 0.0]), np.array([60.17, -14.3, -90.0])
FOUNDING = {
    "xyz": "xyz", "geo_net": "wrap", "geo_net_fft": "wrap+ffn", "rbf": "rbf", "rff": "rff", "gridcell": "grid",
    "theory": "theory", "nerf": "NeRF", "sphere": "sphereC", "spheregrid": "sphereC+", "spheremixscale": "sphereM",
    "spheregridmixscale": "sphereM+", "dft": "dfs", "wrap + ffn": "wrap+ffn", "Space2Vec-grid": "grid",
    "Space2Vec-theory": "theory", "Sphere2Vec-sphereC": "sphereC", "Sphere2Vec-sphereC+": "sphereC+",
    "Sphere2Vec-sphereM": "sphereM", "Sphere2Vec-sphereM+": "sphereM+", "Sphere2Vec-dfs": "dfs",
    "spherical_harmonics": "harmonics", "tile_ffn": "cells",
}  # fmt: skip


def test_founding_code_and_paper_names() -> None:
    """The table of the founding document, both columns."""
    assert {name: known_as(name) for name in FOUNDING} == FOUNDING
    assert {known_as(name) for name in names()} == set(names())


@pytest.mark.parametrize("name", ["sphereC+", "cells", "xyz"])
def test_all_kinds_of_input_are_one(name: str) -> None:
    encoder = pv.encoders.location(name, dim=8, hidden=16).eval()
    wanted = encoder(LON, LAT).detach().numpy()
    points = gpd.GeoSeries(gpd.points_from_xy(LON[:2], LAT[:2]), crs=4326)
    given = {
        "lists": (LON.tolist(), LAT.tolist()),
        "tensors": (torch.tensor(LON), torch.tensor(LAT)),
        "columns": (pd.Series(LON, index=[5, 1, 7]), pd.Series(LAT, index=[5, 1, 7])),
        "rows": (np.c_[LON, LAT],),
        "rows of a tensor": (torch.tensor(np.c_[LON, LAT]),),
    }
    for kind, arguments in given.items():
        np.testing.assert_array_equal(encoder(*arguments).detach().numpy(), wanted, kind)
    for series in (points, points.to_crs(3857), points.to_frame("geometry")):
        np.testing.assert_allclose(encoder(series).detach().numpy(), wanted[:2], atol=1e-5)
    assert encoder([], []).shape == (0, 8)
    assert encoder([1], [2]).shape == (1, 8)


REFUSED = {
    "out of range.*swapped": ([60.17, 24.0], [95.0, 100.0]),
    "not degrees.*EPSG:4326": ([2_776_000.0], [8_437_000.0]),
    "without coordinates": ([1.0, np.nan], [0.0, 0.0]),
    r"row 1 has lon 1.0, lat inf": ([1.0, 1.0], [0.0, np.inf]),
    "must have the same shape": ([1.0, 2.0], [1.0]),
    "must be numeric, in degrees": (["east"], [1.0]),
    "lon 400": ([400.0], [0.0]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_coordinates_are_rejected(message: str) -> None:
    lon, lat = REFUSED[message]
    with pytest.raises(InputError, match=message):
        pv.encoders.location("xyz")(lon, lat)


def test_other_shapes_are_rejected() -> None:
    encoder = pv.encoders.location("xyz")
    with pytest.raises(InputError, match=r"rows of lon, lat"):
        encoder(np.zeros((4, 3)))
    polygons = gpd.GeoSeries(gpd.points_from_xy([1.0], [2.0]), crs=3857).buffer(10)
    with pytest.raises(InputError, match="need points"):
        encoder(polygons)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sphereC#", {}, "did you mean sphereC"),
        ("sphereC", {"scale": 3}, "valid options: scales, r_min, r_max"),
        ("sphereC", {"r_max": 360.0}, "fraction of the Earth's radius"),
        ("sphereC", {"r_min": 0.1, "scales": 32}, "fewer scales or a smaller r_min"),
        ("sphereC", {"scales": 0}, "must be an integer"),
        ("NeRF", {"scales": 64}, "1 to 24"),
        ("harmonics", {"variant": "original"}, "no original variant"),
        ("xyz", {"variant": "old"}, "'corrected' or 'original'"),
        ("xyz", {"network": "mlp"}, "unknown network"),
        ("xyz", {"activation": "swish"}, "unknown activation"),
        ("rbf", {"anchors": np.zeros((3, 3))}, "rows of lon, lat"),
        ("rbf", {"sigma": 0.0}, "must be a positive number"),
        ("cells", {"cells": [[1.0, 2.0]]}, "cells must be an integer"),
    ],
)
def test_bad_options_are_rejected(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        pv.encoders.location(name, **options)


@pytest.mark.parametrize("name", [*names(), "rbf of rows", "rff original"])
def test_built_again_from_its_config_and_weights(name: str) -> None:
    """No training data needed: anchors and random draws lie in the weights."""
    name, _, kind = name.partition(" ")
    options: dict[str, object] = {}
    if kind == "of rows":
        options = {"anchors": np.c_[LON, LAT], "sigma": 5.0}
    elif kind == "original":
        options = {"variant": "original", "seed": 4, "extent": (-162.0, -59.0, 20.0, 56.0)}
    encoder = pv.encoders.location(name, dim=8, hidden=16, **options).eval()
    other = pv.encoders.build(pv.encoders.name_of(encoder), **encoder.config()).eval()
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(LON, LAT), encoder(LON, LAT))
    assert other.config() == encoder.config()


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("rbf", {"anchors": 10, "sigma": 4.0}),
        ("cells", {"cells": 10, "width": 4}),
        ("rff", {"seed": 3, "frequencies": 12}),
        ("rff", {"variant": "original", "extent": [-180, 180, -90, 90]}),
        ("grid", {"taper_poles": True, "scales": 4, "r_min": 0.125}),
        ("sphereC", {"hidden": 16, "layers": 2, "dropout": 0.25, "seasons": 1}),
    ],
)
@pytest.mark.parametrize("bits", [32, 64])
def test_numbers_of_numpy_are_saved_as_those_of_python(name: str, own: dict[str, object], bits: int) -> None:
    """Oracle: the same encoder of Python's numbers. Numbers such as these come out of arrays and searches."""
    kinds = {bool: np.bool_, int: np.dtype(f"int{bits}").type, float: np.dtype(f"float{bits}").type}
    given = {
        key: np.asarray(value, kinds[int]) if isinstance(value, list) else kinds.get(type(value), str)(value)
        for key, value in own.items()
    }
    encoder = pv.encoders.location(name, dim=kinds[int](8), **given)
    wanted = pv.encoders.location(name, dim=8, **own)
    assert json.loads(json.dumps(encoder.config())) == wanted.config()
    assert encoder(LON, LAT, *[0.5] * ("seasons" in own)).shape == (3, 8)


@pytest.mark.parametrize("network", ["ffn", "siren", "residual", "linear"])
def test_networks_learn(network: str) -> None:
    """Every network fits which hemisphere thirty points lie in."""
    torch.manual_seed(0)
    lon, lat = np.linspace(-180, 180, 30), np.linspace(-80, 80, 30)
    encoder = pv.encoders.location(
        "sphereC", dim=1, scales=4, r_min=0.1, network=network, hidden=32, dropout=0.0
    )
    wanted = torch.tensor(lat > 0, dtype=torch.float32)[:, None]
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(encoder(lon, lat), wanted)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1


def test_vectors_are_free_of_sign_and_the_original_ones_are_not() -> None:
    """The original has its activation after the last layer too."""
    torch.manual_seed(0)
    free, bent = (
        pv.encoders.location("sphereC", dim=64, variant=variant).eval()(LON, LAT).detach()
        for variant in ("corrected", "original")
    )
    assert float(free.min()) < 0
    assert float(bent.min()) >= 0


def test_the_year_closes() -> None:
    encoder = pv.encoders.location("sphereM", dim=8, seasons=2).eval()
    assert encoder.features(LON, LAT, 0.25).shape == (3, 5 * 32 + 4)
    np.testing.assert_allclose(*(encoder(LON, LAT, year).detach() for year in (0.0, 1.0)), atol=1e-6)
    with pytest.raises(InputError, match="needs year="):
        encoder(LON, LAT)
    with pytest.raises(InputError, match="from 0 to 1"):
        encoder(LON, LAT, 180)
    with pytest.raises(InputError, match="seasons=1"):
        pv.encoders.location("xyz")(LON, LAT, 0.5)


@pytest.mark.parametrize("name", names())
def test_many_points_are_worked_out_in_parts(name: str) -> None:
    """Numbers of a table made part by part are those of points alone.

    The network computes in float64: in float32 a matrix product rounds by its shape, the threads and the processor.
    """
    lon, lat = np.linspace(-180, 180, 20_000), np.linspace(-90, 90, 20_000)
    rows = [0, 511, 512, 8192, 19_998, 19_999]
    torch.manual_seed(0)
    small = pv.encoders.location(name, dim=8, hidden=16).eval().double()
    with torch.no_grad():
        alone = small.positional(torch.tensor(lon[rows]), torch.tensor(lat[rows]))
        np.testing.assert_allclose(small.features(lon, lat)[rows], alone, atol=1e-12)
        np.testing.assert_allclose(small(lon, lat)[rows], small(lon[rows], lat[rows]), atol=1e-12)


def test_describe_shows_wavelengths() -> None:
    """Closed form: the circumference, 40,030 km, by the frequency."""
    told = pv.encoders.location("sphereC", scales=3, r_min=0.01).describe().splitlines()
    assert told[-1] == "1/r = 1: 4.003e+04 km"
    assert told[2] == f"1/r = 99: {40030.2 / 99:.4g} km"
    grid = pv.encoders.location("gridcell", variant="original", scales=2, r_min=1.0).describe()
    assert f"r = 1 deg: {2 * np.pi * 111.195:.4g} km" in grid


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(share: float) -> None:
    """Binomial: a million units; what stays is scaled by one number, and its derivative is the mask."""
    from placevec.encoders.locations.networks import Dropout

    torch.manual_seed(0)
    x = torch.ones(1001, 999, requires_grad=True)
    kept = Dropout(share)(x)
    assert float((kept == 0).double().mean()) == pytest.approx(share, abs=2e-3)
    assert float(kept.double().mean().detach()) == pytest.approx(1.0, abs=5e-3 / (1 - share))
    assert len(kept.unique()) == 2
    kept.sum().backward()
    assert torch.equal(x.grad, kept.detach())  # type: ignore[arg-type]
    rows = (kept == 0).double().mean(dim=1)
    assert float(rows.std()) == pytest.approx((share * (1 - share) / 999) ** 0.5, rel=0.1)
    torch.manual_seed(0)
    assert torch.equal(Dropout(share)(x), kept)
    assert Dropout(share).eval()(x) is x or torch.equal(Dropout(share).eval()(x), x)


def test_many_points_in_inference_mode_on_several_threads() -> None:
    """Threads of our own do not inherit the mode of their caller. Oracle: the same points outside of it."""
    encoder = pv.encoders.location("sphereC+", dim=8, scales=4).eval()
    lon, lat = torch.linspace(-180, 180, 30_000), torch.linspace(-90, 90, 30_000)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.no_grad():
            expected = encoder(lon, lat)
        with torch.inference_mode():
            torch.testing.assert_close(encoder(lon, lat), expected)
    finally:
        torch.set_num_threads(threads)


def test_a_third_column_is_the_share_of_the_year() -> None:
    encoder = pv.encoders.location("sphereC", dim=8, scales=4, seasons=1).eval()
    rows = torch.tensor([[24.94, 60.17, 0.3], [-170.7, -14.3, 0.9]], dtype=torch.float64)
    assert torch.equal(encoder(rows), encoder(rows[:, 0], rows[:, 1], year=rows[:, 2]))
    with pytest.raises(InputError):
        pv.encoders.location("sphereC", dim=8, scales=4)(rows)
