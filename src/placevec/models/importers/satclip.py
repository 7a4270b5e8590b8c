"""SatCLIP's location encoder (Klemmer et al. 2025, github.com/microsoft/satclip, MIT): a Lightning ``.ckpt`` as a model.

It is spherical harmonics and a SIREN, as `LocationEncoder` has them. Its generated harmonics differ by constants: odd
degrees have the other sign (its angles start at the south pole and at 180 degrees), and those of order 0 are too large by
pi, which its weights have learned. Both go into the first layer. Tests compare with its formulas in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from placevec.encoders.locations.encoder import LocationEncoder
from placevec.encoders.locations.harmonics import MAX_DEGREES
from placevec.errors import ModelError
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.models.importers.writer import Imported

_ATTRIBUTION = "SatCLIP (Klemmer et al. 2025), MIT license"
_AS_PUBLISHED = {"le_type": "sphericalharmonics", "pe_type": "siren", "harmonics_calculation": "analytic"}


def convert(file: Path) -> Imported:
    """Read a checkpoint, or a state dict of its location encoder alone; errors as in `import_locations`."""
    content = read_checkpoint(file)
    options = content.get("hyper_parameters", {}) if isinstance(content, Mapping) else {}
    for name, expected in _AS_PUBLISHED.items():
        if isinstance(options, Mapping) and options.get(name, expected) != expected:
            raise ModelError(
                f"{file} was trained with {name} {str(options[name])[:40]!r}: only {expected!r} is supported"
            )
    held = tensors_in(content, file, ("state_dict",))
    tensors = _of_location(held, file)
    layers = sum(name.endswith(".weight") for name in tensors) - 1
    first, last = tensors.get("network.layers.0.weight"), tensors.get(f"network.layers.{layers}.weight")
    if layers < 1 or first is None or last is None or first.dim() != 2 or last.dim() != 2:
        raise ModelError(f"{file} is not a SatCLIP location encoder: its SIREN is incomplete")
    degrees = math.isqrt(first.shape[1])
    if degrees**2 != first.shape[1] or not 1 <= degrees <= MAX_DEGREES:
        raise ModelError(
            f"{file} does not fit SatCLIP: {first.shape[1]} features are not spherical harmonics"
        )
    tensors["network.layers.0.weight"] = first.double() * _constants(degrees)
    hidden, dim = int(first.shape[0]), int(last.shape[0])

    def build() -> LocationEncoder:
        return LocationEncoder(
            "harmonics",
            dim,
            network="siren",
            hidden=hidden,
            layers=layers,
            dropout=0.5,
            options={"degrees": degrees},
        )

    encoder = filled(build, tensors, file, "SatCLIP's location encoder")
    return Imported(
        encoder, _ATTRIBUTION, "Sentinel-2 images (S2-100K), by SatCLIP's own code", f"harmonics of {degrees} degrees",
        held, tensors,
    )  # fmt: skip


def _of_location(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The SIREN's tensors by placevec's names; those of the image tower are left out."""
    own = {key.partition("nnet.")[2]: value for key, value in tensors.items() if "nnet." in key}
    if not own:
        raise ModelError(f"{file} is not a SatCLIP checkpoint: it has no location encoder (nnet)")
    count = len({key.split(".")[1] for key in own if key.startswith("layers.")})
    found = {}
    for key, value in own.items():
        ours = f"layers.{count}.{key.removeprefix('last_layer.')}" if key.startswith("last_layer.") else key
        found[f"network.{ours}"] = value
    return found


def _constants(degrees: int) -> Tensor:
    """(L^2,) float64: what a harmonic of placevec is multiplied by to be that of SatCLIP."""
    found = torch.ones(degrees * degrees, dtype=torch.float64)
    for degree in range(degrees):
        found[degree**2 : (degree + 1) ** 2] = (-1.0) ** degree
        found[degree**2 + degree] *= math.pi
    return found
