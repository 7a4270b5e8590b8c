"""torch.compile without a break gives the same features and vectors.

All encoders and networks are traced and lowered by its back end that generates no code (``aot_eager``), which is where
breaks and wrong types would show; one encoder with its network is compiled to C++ where PLACEVEC_COMPILER is set.
"""

from __future__ import annotations

import os
import shutil
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
TRACED = "aot_eager"


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
        found = torch.compile(all_of_them, fullgraph=True, backend=TRACED)(LONLAT)
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
        found = torch.compile(all_of_them, fullgraph=True, backend=TRACED)(LONLAT)
        for kind, ours, theirs in zip(kinds, found, all_of_them(LONLAT), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=kind)


def test_a_compiled_step_learns_the_same() -> None:
    """Gradients of the weights, and of the coordinates, through the compiled graph."""
    torch._dynamo.reset()
    encoder = pv.encoders.location("sphereC+", dim=8, hidden=16, scales=3, dropout=0.0)
    compiled = torch.compile(encoder.unchecked, fullgraph=True, backend=TRACED)
    found = []
    for run in (encoder.unchecked, compiled):
        lonlat = LONLAT.clone().requires_grad_()
        encoder.zero_grad()
        run(lonlat).square().sum().backward()
        found.append((lonlat.grad, next(encoder.network.parameters()).grad.clone()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(
    "PLACEVEC_COMPILER" not in os.environ
    or not any(shutil.which(name) for name in ("c++", "g++", "clang++")),
    reason="generating code takes a minute: set PLACEVEC_COMPILER, and have a C++ compiler",
)
def test_generated_code_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features to 1e-9 (float64 survives the fusing) and vectors, in one graph compiled here."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    encoder = pv.encoders.location("sphereC", dim=8, hidden=16, scales=2, dropout=0.0).eval()

    def both(lonlat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return encoder.features(lonlat), encoder(lonlat)

    with torch.no_grad():
        found, wanted = torch.compile(both, fullgraph=True)(LONLAT), both(LONLAT)
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-9)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-5)
