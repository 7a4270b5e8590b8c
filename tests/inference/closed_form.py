"""A model whose answers are known in closed form: it reads xyz and its head looks at one axis a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.datasets.views.coordinates import NAME, SPEC
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.geo import Floats
from placevec.models.heads import Head, HeadKind
from placevec.models.model import Model
from placevec.models.reading import Reading

HOSTILE = ("</script><img src=x onerror=alert(1)>", "a, b & $x^2$ \u202eevil", "=cmd|' /C calc'!A0")
STEEP = 4.0


def closed_form(
    path: Path, kind: HeadKind = "presence", classes: tuple[str, ...] = ("east", "middle", "north")
) -> Model:
    """Saved: class 0 rises with y (longitude 90), class 1 with x (longitude 0), class 2 with z (north)."""
    encoder = LocationEncoder("xyz", network="none").eval()
    if kind == "number":
        head = Head(3, "number", mean=10.0, deviation=5.0)
        weight = torch.tensor([[0.0, 0.0, 1.0]])
    else:
        head = Head(3, kind, classes)
        weight = torch.tensor([[0.0, STEEP, 0.0], [STEEP, 0.0, 0.0], [0.0, 0.0, STEEP]])[: len(classes)]
    with torch.no_grad():
        head.linear.weight.copy_(weight)
        if head.linear.bias is not None:
            head.linear.bias.zero_()
    training = {"dataset": "closed form", "attribution": "<b>nobody</b> & all"}
    Model(
        {"location": encoder},
        {NAME: Reading("location", SPEC)},
        {"name": "sphere2vec"},
        training,
        heads={"coordinates": head.eval()},
    ).save(path)
    return Model.load(path)


def expected(lonlat: Floats, kind: HeadKind = "presence") -> NDArray[np.float64]:
    """(N, 3) probabilities, or (N, 1) numbers, in NumPy."""
    lam, phi = np.radians(lonlat[:, 0]), np.radians(lonlat[:, 1])
    xyz = np.stack((np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)), axis=1)
    if kind == "number":
        return 10.0 + 5.0 * xyz[:, 2:]
    outputs = STEEP * xyz[:, [1, 0, 2]]
    if kind == "presence":
        return 1 / (1 + np.exp(-outputs))
    powers = np.exp(outputs)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
