"""Every encoder's original variant against arrays from running the founding code.

``original.npz`` holds numbers only. They were obtained from gengchenmai/sphere2vec at babd338 (numpy 2.4, torch 2.13,
CPU) by calling ``make_input_embeds`` of each class of SpatialRelationEncoder.py on 25 points (18 random ones, both
sides of the antimeridian, the poles) with 4 scales: radii 0.1 to 360 for grid and theory, 0.001 to 1 for the sphere's;
rbf with 6 anchors of width 20; rff with 12 frequencies of variance 2 over the world; wrap by ``encode_loc_time`` of
utils.py. Networks: FCNet of models.py and MultiLayerFeedForwardNN of module.py with random weights, in eval mode.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import placevec as pv
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.encoders.locations.times import turning

ORIGINAL = np.load(Path(__file__).with_name("original.npz"))
LON, LAT = ORIGINAL["lon"], ORIGINAL["lat"]
SPHERE = {"scales": 4, "r_min": 1e-3, "r_max": 1.0}
PLANE = {"scales": 4, "r_min": 0.1, "r_max": 360.0}
FOUNDING = {
    "xyz": ("xyz", {}),
    "wrap": ("geo_net", {}),
    "wrap+ffn": ("geo_net_fft", {}),
    "rbf": ("rbf", {"anchors": ORIGINAL["rbf anchors"], "sigma": 20.0}),
    "rff": ("rff", {"frequencies": 12, "kernel_size": 2.0}),
    "grid": ("gridcell", PLANE),
    "theory": ("theory", PLANE),
    "NeRF": ("nerf", {"scales": 4}),
    "sphereC": ("sphere", SPHERE),
    "sphereC+": ("spheregrid", SPHERE),
    "sphereM": ("spheremixscale", SPHERE),
    "sphereM+": ("spheregridmixscale", SPHERE),
    "dfs": ("dft", SPHERE),
}


def original(name: str, **options: object) -> LocationEncoder:
    return pv.encoders.location(name, variant="original", **options).eval()


@pytest.mark.parametrize("name", FOUNDING)
def test_features_are_the_original_ones(name: str) -> None:
    code_name, options = FOUNDING[name]
    encoder = original(code_name, **options)
    if name == "rff":
        encoder.positional.load_state_dict(
            {
                "directions": torch.tensor(ORIGINAL["rff directions"]),
                "shifts": torch.tensor(ORIGINAL["rff shifts"]),
            }
        )
    found = encoder.features(LON, LAT)
    assert encoder.encoder == name
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), ORIGINAL[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("tag", "layers"), [("ffn", 1), ("deep ffn", 3)])
def test_vectors_of_the_feed_forward_network_are_the_original_ones(tag: str, layers: int) -> None:
    encoder = original("sphere", dim=5, hidden=9, layers=layers, **SPHERE)
    encoder.network.load_state_dict(weights(tag))
    np.testing.assert_allclose(encoder(LON, LAT).detach().numpy(), ORIGINAL[tag], rtol=1e-6, atol=1e-6)


def test_vectors_of_geo_net_are_the_original_ones() -> None:
    encoder = original("geo_net", dim=10)
    encoder.network.load_state_dict(weights("resnet"))
    np.testing.assert_allclose(encoder(LON, LAT).detach().numpy(), ORIGINAL["resnet"], rtol=1e-6, atol=1e-6)


def test_the_date_is_the_original_one() -> None:
    """The original's date runs from -1 to 1, half a turn behind a share of the year: the same numbers, negative."""
    share = torch.linspace(0, 1, len(LON), dtype=torch.float64)
    np.testing.assert_allclose(-turning(share, 1).numpy(), ORIGINAL["wrap dates"][:, 4:], atol=1e-6)


def weights(tag: str) -> dict[str, torch.Tensor]:
    start = f"{tag}:"
    return {
        name[len(start) :]: torch.tensor(ORIGINAL[name]) for name in ORIGINAL.files if name.startswith(start)
    }
