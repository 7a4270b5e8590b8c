"""GeoCLIP's location tower: its own numbers, and the formula on small random weights in its layout.

``geoclip.npz`` holds numbers only, obtained by running the location encoder of the package geoclip 1.3.0 (MIT; torch
2.13, CPU) on the 12 points of ``torchspatial.npz``: every 8th number of its vectors in float32 as it comes and with
module and points in float64, its Equal Earth projection in float64, and the SHA-256 of its file of weights.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from placevec import api
from placevec.encoders.locations.geoclip import GeoClipEncoder, equal_earth
from placevec.errors import PlacevecError
from placevec.models.importers import import_locations
from placevec.models.model import Model

ORIGINAL = np.load(Path(__file__).with_name("geoclip.npz"))
LONLAT = np.stack((ORIGINAL["lon"], ORIGINAL["lat"]), axis=1).astype(np.float64)


def theirs(capsules: int = 2, frequencies: int = 3, hidden: int = 7, dim: int = 5) -> dict[str, torch.Tensor]:
    """Random weights in GeoCLIP's layout."""
    torch.manual_seed(3)
    state = {}
    for number in range(capsules):
        state[f"LocEnc{number}.capsule.0.b"] = torch.randn(frequencies, 2) * 4.0**number
        widths = {"capsule.1": (2 * frequencies, hidden), "capsule.3": (hidden, hidden)}
        for layer, (inputs, outputs) in {
            **widths,
            "capsule.5": (hidden, hidden),
            "head.0": (hidden, dim),
        }.items():
            state[f"LocEnc{number}.{layer}.weight"] = torch.randn(outputs, inputs)
            state[f"LocEnc{number}.{layer}.bias"] = torch.randn(outputs)
    return state


def formula(state: dict[str, torch.Tensor], place: np.ndarray) -> np.ndarray:
    """The paper's: capsules of cos and sin of 2 pi B v, three ReLU layers and a linear one, added up; in NumPy."""
    total = np.zeros(1)
    for number in range(len({name.split(".")[0] for name in state})):
        part = {name.split(".", 1)[1]: value.double().numpy() for name, value in state.items()
                if name.startswith(f"LocEnc{number}.")}  # fmt: skip
        angles = 2 * np.pi * place @ part["capsule.0.b"].T
        x = np.concatenate((np.cos(angles), np.sin(angles)), axis=1)
        for layer in ("capsule.1", "capsule.3", "capsule.5"):
            x = np.maximum(x @ part[f"{layer}.weight"].T + part[f"{layer}.bias"], 0)
        total = total + x @ part["head.0.weight"].T + part["head.0.bias"]
    return total


def test_equal_earth_is_the_original_one() -> None:
    found = equal_earth(torch.tensor(LONLAT[:, 0]), torch.tensor(LONLAT[:, 1]))
    np.testing.assert_allclose(found.numpy(), ORIGINAL["equal_earth"], atol=1e-12)


def test_equal_earth_is_that_of_proj() -> None:
    """Oracle: PROJ's eqearth on a sphere, in radii."""
    from pyproj import Proj

    lonlat = np.random.default_rng(0).uniform([-180, -90], [180, 90], (50, 2))
    project = Proj("+proj=eqearth +R=1")
    expected = np.stack(project(lonlat[:, 0], lonlat[:, 1]), axis=1) * 66.50336 / 180
    found = equal_earth(torch.tensor(lonlat[:, 0]), torch.tensor(lonlat[:, 1])).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-7)  # it rounds the root of 3


def test_small_weights_give_the_formula(tmp_path: Path) -> None:
    state = theirs()
    torch.save(state, tmp_path / "weights.pth")
    model = api.import_weights(tmp_path / "weights.pth", system="geoclip", out=tmp_path / "model")
    expected = formula(state, ORIGINAL["equal_earth"])
    np.testing.assert_allclose(model.embed_lonlat(LONLAT), expected, rtol=1e-5, atol=1e-4)
    assert model.head is None
    assert model.dim == 5
    assert model.hash == Model.load(tmp_path / "model").hash


def test_its_own_file_gives_its_own_vectors(tmp_path: Path) -> None:
    """Skipped without PLACEVEC_ORIGINALS, a folder with the package's location_encoder_weights.pth somewhere in it.

    Float32 angles of the finest capsule are off by up to 1e-3, which its own float32 vectors show.
    """
    folder = os.environ.get("PLACEVEC_ORIGINALS")
    found = next(Path(folder).rglob("location_encoder_weights.pth"), None) if folder else None
    if found is None:
        pytest.skip("no location_encoder_weights.pth: set PLACEVEC_ORIGINALS to a folder with GeoCLIP in it")
    assert hashlib.sha256(found.read_bytes()).hexdigest() == str(ORIGINAL["sha256"])
    vectors = import_locations(found, "geoclip", tmp_path / "model").embed_lonlat(LONLAT)[:, ::8]
    np.testing.assert_allclose(vectors, ORIGINAL["float64"], atol=1e-6)
    np.testing.assert_allclose(vectors, ORIGINAL["float32"], atol=1e-5)


def test_what_does_not_fit_is_one_clear_line(tmp_path: Path) -> None:
    whole = theirs()
    wrong = {
        "is not a GeoCLIP location encoder": {"a": torch.zeros(1)},
        "incomplete": {key: value for key, value in whole.items() if key != "LocEnc0.head.0.weight"},
        "missing": {key: value for key, value in whole.items() if key != "LocEnc1.capsule.3.bias"},
        "does not fit": {**whole, "LocEnc1.capsule.3.weight": torch.zeros(2, 2)},
        "not finite": {**whole, "LocEnc1.capsule.3.bias": torch.full((7,), float("nan"))},
        "its first capsule": {f"LocEnc{number}.a": torch.zeros(1) for number in range(3)},
        "the first of its capsules": {f"LocEnc{number}.a": torch.zeros(1) for number in range(40)},
    }
    for words, state in wrong.items():
        torch.save(state, tmp_path / "wrong.pth")
        with pytest.raises(PlacevecError, match=words):
            import_locations(tmp_path / "wrong.pth", "geoclip", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_the_encoder_takes_degrees_and_rejects_the_rest() -> None:
    encoder = GeoClipEncoder(dim=4, sigmas=(1.0,), frequencies=2, hidden=3).eval()
    lon, lat = torch.tensor([10.0, 20.0]), torch.tensor([-5.0, 60.0])
    torch.testing.assert_close(encoder(lon, lat), encoder.unchecked(torch.stack((lon, lat), 1)))
    assert encoder.features(lon, lat).shape == (2, 4)
    with torch.no_grad():
        many = encoder(torch.zeros(9000), torch.linspace(-90, 90, 9000))
    assert many.shape == (9000, 4)
    assert bool(torch.isfinite(many).all())
    for bad in (([0.0], [91.0]), ([float("nan")], [0.0])):
        with pytest.raises(PlacevecError):
            encoder(*bad)
    with pytest.raises(PlacevecError, match="year"):
        encoder(lon, lat, year=0.5)
    with pytest.raises(PlacevecError):
        GeoClipEncoder(sigmas=())
