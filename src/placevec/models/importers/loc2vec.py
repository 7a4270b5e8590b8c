"""Converts ``.pt`` and ``.pth`` files of the two original Loc2Vec systems to placevec models.

The files are read as in `placevec.io.checkpoints`: only tensors and plain values, and nothing in them is executed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from placevec import encoders
from placevec.core import ViewSpec
from placevec.datasets.views.raster import KIND, NAME
from placevec.errors import ModelError, UsageError
from placevec.geo import check_zoom_option
from placevec.io import atomic
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.io.progress import printable
from placevec.models.model import Model
from placevec.models.reading import Reading

_WRAPPERS = ("model_state_dict", "state_dict", "model")
_PREFIXES = ("module.", "loc2vec.", "encoder.")
_RGB = ("red", "green", "blue")


@dataclass(frozen=True)
class _System:
    """Layout of an original network in its file.

    Attributes:
        encoder: registered name of the network.
        names: its names of the two parts -> placevec's.
        first, flat, last: keys, by placevec's names, of the first convolution, the matrix after it, and the last
            matrix.
        width: channels of the last convolution.
        halvings: how often the image is halved.
        values: meaning of a pixel.
    """

    encoder: str
    names: Mapping[str, str]
    first: str
    flat: str
    last: str
    width: int
    halvings: int
    values: str


SYSTEMS = {
    "loc2vec-12": _System(
        "founding-tile-cnn",
        # here flattening is a layer, so the indices of the matrices start at 1
        {"conv_layers.": "convolutions.", "fc_layers.": "head."},
        "convolutions.0.weight", "head.1.weight", "head.9.weight", 512, 5, "coverage 0..255",
    ),
    "loc2vec-rgb": _System(
        "founding-rgb-cnn",
        {"encoder.": "convolutions.", "fc.": "head."},
        "convolutions.0.weight", "head.1.weight", "head.3.weight", 256, 4, "intensity 0..255",
    ),
}  # fmt: skip


def import_founding(
    file: Path, system: str, out: Path, *, zoom: int = 17, layers: tuple[str, ...] | None = None
) -> Model:
    """Convert an original checkpoint to a model.

    Args:
        file: ``.pt`` or ``.pth`` of torch 1.6 or later: a checkpoint, or a bare state dict.
        system: ``loc2vec-12`` or ``loc2vec-rgb``.
        out: directory to write; it must not exist, or must be empty.
        zoom: zoom of the tiles that it was trained on.
        layers: names of its input channels, in their order: by default the twelve of placevec, or red, green, blue. The
            12-layer code used the order in which the disk listed the layers, which is not in the file.

    Raises:
        UsageError: an unknown system, or a wrong number of layers.
        ModelError: not a checkpoint of the system, contents other than tensors and plain values, tensors of another
            network, or a directory in use.
    """
    if system not in SYSTEMS:
        raise UsageError(f"unknown system {system!r}: choose from {', '.join(SYSTEMS)}")
    check_zoom_option(zoom)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} already exists: choose another --out")
    plan = SYSTEMS[system]
    held = tensors_in(read_checkpoint(file), file, _WRAPPERS)
    tensors = _renamed(held, plan)
    encoder = _filled(tensors, plan, file)
    channels = int(encoder.channels)  # type: ignore[arg-type]
    names = _channel_names(layers, channels, system)
    spec = ViewSpec(
        NAME, KIND, names, plan.values, int(encoder.size_px), None, zoom  # type: ignore[arg-type]
    )  # fmt: skip
    origin = {
        "dataset": f"{printable(file.name)}, a checkpoint of the original {system}",
        "imported": {
            "file": printable(file.name), "sha256": atomic.sha256_of_file(file), "as": system,
            "tensors_left_out": len(held) - len(tensors),
        },
    }  # fmt: skip
    recipe = {"name": system, "config": {"encoder": plan.encoder, "dim": int(encoder.dim)}}  # type: ignore[arg-type]
    atomic.check_writable(out, directory=True)
    Model({"tile": encoder}, {NAME: Reading("tile", spec)}, recipe, origin).save(out)
    return Model.load(out)


def _renamed(tensors: Mapping[str, Tensor], plan: _System) -> dict[str, Tensor]:
    """The tensors by the names of placevec's network; those of other parts are left out."""
    found: dict[str, Tensor] = {}
    for key, value in tensors.items():
        for theirs, ours in plan.names.items():
            rest = _after_prefixes(key, theirs)
            number, dot, kind = rest.partition(".") if rest is not None else ("", "", "")
            if dot and number.isdecimal():
                found[f"{ours}{int(number) + (ours == 'head.')}.{kind}"] = value
    return found


def _after_prefixes(key: str, part: str) -> str | None:
    """The rest of a key after the name of a part, which is at the start or after the names of wrappers."""
    for _ in range(len(_PREFIXES) + 1):
        if key.startswith(part) and key[len(part) :].partition(".")[0].isdecimal():
            return key[len(part) :]
        wrapper = next((prefix for prefix in _PREFIXES if key.startswith(prefix)), None)
        if wrapper is None:
            return None
        key = key[len(wrapper) :]
    return None


def _filled(tensors: Mapping[str, Tensor], plan: _System, file: Path) -> nn.Module:
    """The network with the sizes of these tensors, and their values; ModelError if they do not fit."""
    shapes = {}
    for key, dimensions in ((plan.first, 4), (plan.flat, 2), (plan.last, 2)):
        if key not in tensors or tensors[key].dim() != dimensions:
            raise ModelError(
                f"{file} is not a checkpoint of the original network {plan.encoder}: {key} is missing"
            )
        shapes[key] = tuple(tensors[key].shape)
    side = math.isqrt(shapes[plan.flat][1] // plan.width) * 2**plan.halvings
    options = {"channels": shapes[plan.first][1], "dim": shapes[plan.last][0], "size_px": side}
    return filled(lambda: encoders.build(plan.encoder, **options), tensors, file, plan.encoder)


def _channel_names(layers: tuple[str, ...] | None, channels: int, system: str) -> tuple[str, ...]:
    if layers is None:
        from placevec.sources.osm.layers import LayerTable

        layers = _RGB if system == "loc2vec-rgb" else LayerTable.default().layers
    if len(layers) != channels or len(set(layers)) < len(layers):
        raise UsageError(
            f"the network has {channels} channels, but {len(layers)} layers are given: list each layer once, in order,"
            " with --layers"
        )
    return layers
