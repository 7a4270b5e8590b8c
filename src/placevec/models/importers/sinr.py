"""SINR's location encoder (Cole et al. 2023, github.com/elijahcole/sinr, MIT): its ``model.pt`` as a model with classes.

It is the wrap of Mac Aodha et al. 2019 with a residual network, and a sigmoid for each taxon. Those that also read
climate rasters (``env``) are not supported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from placevec.encoders.locations.encoder import LocationEncoder
from placevec.errors import InputError, ModelError
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.models.importers.torchspatial import head_of
from placevec.models.importers.writer import Imported

_ATTRIBUTION = "SINR (Cole et al. 2023), MIT license"


def convert(file: Path, classes: Path | None = None) -> Imported:
    """Read a checkpoint; ``classes`` are as in `import_locations`, by default the numbers of iNaturalist's taxa."""
    content = read_checkpoint(file)
    params = content.get("params", {}) if isinstance(content, Mapping) else {}
    if not isinstance(params, Mapping):
        raise ModelError(f"{file} is damaged: params is not a dictionary")
    reads = str(params.get("input_enc", "sin_cos"))
    if reads != "sin_cos":
        raise ModelError(
            f"{file} reads {reads[:20]!r}: only encoders of coordinates (sin_cos) are supported, not of climate rasters"
        )
    tensors = tensors_in(content, file, ("state_dict",))
    first = tensors.get("feats.0.weight")
    if first is None or first.dim() != 2 or first.shape[1] != 4:
        raise ModelError(f"{file} is not a SINR model: feats.0 does not read four sines and cosines")
    blocks = len({key.split(".")[1] for key in tensors if key.startswith("feats.") and ".w1." in key})
    ours = {f"network.{key}": value for key, value in tensors.items() if key.startswith("feats.")}
    dim = int(first.shape[0])

    def build() -> LocationEncoder:
        return LocationEncoder("wrap", dim, variant="original", network="resnet", layers=blocks, dropout=0.5)

    encoder = filled(build, ours, file, "SINR's location encoder")
    head = head_of(tensors, dim, classes, file, named=_taxa(params, file))
    of = "iNaturalist observations, by SINR's own code"
    return Imported(encoder, _ATTRIBUTION, of, "sin_cos", tensors, ours, head, classes is not None)


def _taxa(params: Mapping[str, Any], file: Path) -> list[str] | None:
    """Numbers of taxa as class names, where the file lists them."""
    taxa = params.get("class_to_taxa")
    if taxa is None:
        return None
    if (
        not isinstance(taxa, Sequence)
        or not all(type(one) is int for one in taxa)
        or len(set(taxa)) < len(taxa)
    ):
        raise InputError(
            f"{file} has a class_to_taxa that is not a list of distinct numbers: give the class names with --classes"
        )
    return [f"taxon {one}" for one in taxa]
