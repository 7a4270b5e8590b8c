"""torch.compile with its own back end, without a break, gives the same features and vectors; it needs a C++ compiler."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import placevec as pv
from placevec.encoders.locations.names import names

SCALED = {"grid", "theory", "NeRF", "sphereC", "sphereC+", "sphereM", "sphereM+", "dfs"}
SMALL = {
    "harmonics": {"degrees": 4},
    "cells": {"cells": 20, "width": 3},
    "rbf": {"anchors": 5},
    "rff": {"frequencies": 8},
}
RANDOM = np.random.default_rng(7)
LONLAT = torch.tensor(np.c_[RANDOM.uniform(-180, 180, 40), np.degrees(np.arcsin(RANDOM.uniform(-1, 1, 40)))])
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not any(shutil.which(name) for name in ("c++", "g++", "clang++")),
        reason="no C++ compiler, which torch.compile needs",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is compiled is kept in a folder of the test's own, so that it is compiled here."""
    folder: Path = tmp_path_factory.mktemp("inductor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
        yield


def test_compiled_features_are_the_same() -> None:
    """Of all encoders in one graph, to 1e-9: float64 survives the fusing."""
    torch._dynamo.reset()
    kinds = [(name, SMALL.get(name, {"scales": 3} if name in SCALED else {})) for name in names()]
    kinds += [
        ("sphereC+", {"scales": 3, "taper_poles": True}),
        ("sphereM", {"scales": 3, "variant": "original"}),
    ]
    encoders = [pv.encoders.location(name, network="none", **options) for name, options in kinds]

    def all_of_them(lonlat: torch.Tensor) -> list[torch.Tensor]:
        return [encoder.features(lonlat) for encoder in encoders]

    with torch.no_grad():
        found = torch.compile(all_of_them, fullgraph=True)(LONLAT)
        wanted = all_of_them(LONLAT)
    for (name, _), ours, theirs in zip(kinds, found, wanted, strict=True):
        assert ours.dtype == torch.float64, name
        np.testing.assert_allclose(ours, theirs, atol=1e-9, err_msg=name)


def test_compiled_vectors_are_the_same() -> None:
    """Through each network, to float32's rounding."""
    torch._dynamo.reset()
    kinds = ("ffn", "resnet", "siren", "residual", "linear")
    encoders = [
        pv.encoders.location("sphereC", dim=8, hidden=16, scales=3, network=kind).eval() for kind in kinds
    ]

    def all_of_them(lonlat: torch.Tensor) -> list[torch.Tensor]:
        return [encoder(lonlat) for encoder in encoders]

    with torch.no_grad():
        found = torch.compile(all_of_them, fullgraph=True)(LONLAT)
        for kind, ours, theirs in zip(kinds, found, all_of_them(LONLAT), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=kind)


def test_a_compiled_step_learns_the_same() -> None:
    """Gradients of the weights, and of the coordinates, through the compiled graph."""
    torch._dynamo.reset()
    encoder = pv.encoders.location("sphereC+", dim=8, hidden=16, scales=3, dropout=0.0)
    compiled = torch.compile(encoder.unchecked, fullgraph=True)
    found = []
    for run in (encoder.unchecked, compiled):
        lonlat = LONLAT.clone().requires_grad_()
        encoder.zero_grad()
        run(lonlat).square().sum().backward()
        found.append((lonlat.grad, next(encoder.network.parameters()).grad.clone()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)
