"""On which device the recipe Sphere2Vec computes: one that has float64, which coordinates need."""

from __future__ import annotations

import os

import torch

from placevec.errors import InputError


def device_of(name: str) -> torch.device:
    """The device for training on coordinates; ``auto`` takes a CUDA GPU where there is one, never Apple's.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        InputError: ``mps``, which has no float64 and cannot hold angles.
    """
    if name == "mps":
        raise InputError("coordinates are computed in float64, which this device has not: --device cpu")
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")
