"""Climplicit's location encoder (github.com/ecovision-uzh/climplicit): its ``.pth`` of weights as a model.

The layout is that of its release and of torchgeo's port (MIT): ``location_encoder.layers.N`` and ``.last_layer``, and a
``chelsa_regressor``, which is left out. Tests compare with its formulas in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from placevec.encoders.locations.climplicit import ClimplicitEncoder
from placevec.errors import ModelError
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.models.importers.writer import Imported

_ATTRIBUTION = (
    "Climplicit (Dollinger et al. 2025); its repository states no license, so ask its authors before sharing"
)
_PREFIX = "location_encoder."


def convert(file: Path) -> Imported:
    """Read a file of weights; errors as in `import_locations`."""
    held = tensors_in(read_checkpoint(file), file, ("state_dict",))
    tensors = _renamed(held)
    layers = len({name.split(".")[1] for name in tensors if name.startswith("layers.")})
    first, last = tensors.get("layers.0.weight"), tensors.get("last.weight")
    if not layers or first is None or last is None or first.dim() != 2 or last.dim() != 2:
        raise ModelError(f"{file} is not a Climplicit location encoder: its layers are incomplete")
    if first.shape[1] != 4:
        raise ModelError(
            f"{file} does not fit Climplicit: its first layer reads {first.shape[1]} numbers, not lon, lat and the month"
        )
    width, hidden = int(last.shape[0]), int(first.shape[0])
    encoder = filled(
        lambda: ClimplicitEncoder(width, hidden, layers), tensors, file, "Climplicit's location encoder"
    )
    of = "CHELSA's climate, by Climplicit's own code"
    return Imported(encoder, _ATTRIBUTION, of, "climplicit", held, tensors)


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the location encoder by placevec's names."""
    found = {}
    for key, value in tensors.items():
        _, inside, name = key.partition(_PREFIX)
        if inside:
            found[name.replace("last_layer.", "last.")] = value
    return found
