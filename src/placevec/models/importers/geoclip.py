"""GeoCLIP's location tower (github.com/VicenteVivan/geo-clip, MIT): ``location_encoder_weights.pth`` as a model.

The file is included in the package ``geoclip``. It is a bare state dict of capsules; their shapes give the network's
sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from placevec.encoders.locations.geoclip import MAX_CAPSULES, GeoClipEncoder
from placevec.errors import ModelError
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.models.importers.writer import Imported

_ATTRIBUTION = "GeoCLIP (Vivanco Cepeda et al. 2023), MIT license"
_LAYERS = {"capsule.1": 0, "capsule.3": 2, "capsule.5": 4, "head.0": 6}
"""Its layers within a capsule -> positions in placevec's."""


def convert(file: Path) -> Imported:
    """Read the file of a location tower; errors as in `import_locations`."""
    tensors = tensors_in(read_checkpoint(file), file, ("state_dict",))
    count = len({key.partition(".")[0] for key in tensors if key.startswith("LocEnc")})
    if not 1 <= count <= MAX_CAPSULES:
        raise ModelError(
            f"{file} is not a GeoCLIP location encoder: LocEnc0, the first of its capsules, is missing"
        )
    ours = _renamed(tensors, count)
    shapes = {}
    for name in ("capsules.0.projections", "capsules.0.network.0.weight", "capsules.0.network.6.weight"):
        if name not in ours or ours[name].dim() != 2:
            raise ModelError(f"{file} is not a GeoCLIP location encoder: its first capsule is incomplete")
        shapes[name] = tuple(ours[name].shape)
    frequencies, (hidden, _), (dim, _) = shapes["capsules.0.projections"][0], *list(shapes.values())[1:]
    sigmas = tuple(float(2.0 ** (4 * number)) for number in range(count))

    encoder = filled(
        lambda: GeoClipEncoder(dim, sigmas, frequencies, hidden), ours, file, "GeoCLIP's location encoder"
    )
    of = "geotagged photos, by GeoCLIP's own code"
    return Imported(encoder, _ATTRIBUTION, of, "geoclip", tensors, ours)


def _renamed(tensors: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """The tensors by placevec's names."""
    found = {}
    for number in range(count):
        for theirs, ours in _LAYERS.items():
            for kind in ("weight", "bias"):
                key = f"LocEnc{number}.{theirs}.{kind}"
                if key in tensors:
                    found[f"capsules.{number}.network.{ours}.{kind}"] = tensors[key]
        key = f"LocEnc{number}.capsule.0.b"
        if key in tensors:
            found[f"capsules.{number}.projections"] = tensors[key]
    return found
