"""Weights of the two founding Loc2Vec systems, out of their ``.pt`` and ``.pth`` files into a model of ours.

Such a file is read as `placevec.io.checkpoints` does: tensors and plain values, and nothing in it is run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from placevec import encoders
from placevec.core import ViewSpec
from placevec.errors import ModelError, UsageError
from placevec.geo import asked_zoom
from placevec.io import atomic
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.io.progress import printable
from placevec.models.model import Model, Reading

_WRAPPERS = ("model_state_dict", "state_dict", "model")
_PREFIXES = ("module.", "loc2vec.", "encoder.")
_RGB = ("red", "green", "blue")


@dataclass(frozen=True)
class _System:
    """How a founding network is laid out in its file.

    Attributes:
        encoder: registered name of the network.
        names: theirs of the two parts -> ours.
        first, flat, last: keys, by our names, of the first convolution, of the matrix after it and of the last.
        width: channels of the last convolution.
        halvings: how often the picture is halved.
        values: what a pixel means.
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
        # the flattening is a layer of its own here, so that the matrices count from 1
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
    """Write the model whose weights a founding checkpoint holds.

    Args:
        file: ``.pt`` or ``.pth`` of torch 1.6 or later: a checkpoint, or a bare state dict.
        system: ``loc2vec-12`` or ``loc2vec-rgb``.
        out: directory to write; it must not exist, or be empty.
        zoom: of the tiles that it was trained on.
        layers: names of its input channels, in its order: the twelve of placevec by default, or red, green, blue. The
            12-layer code took layers in the order in which its disk listed them, which the file does not say.

    Raises:
        UsageError: an unknown system, or a wrong number of layers.
        ModelError: a file that is no such checkpoint, that holds more than tensors and plain values, or whose tensors
            are not the network's; a directory in use.
    """
    if system not in SYSTEMS:
        raise UsageError(f"there are no founding weights {system!r}: choose from {', '.join(SYSTEMS)}")
    asked_zoom(zoom)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} exists: choose another --out")
    plan = SYSTEMS[system]
    tensors = _renamed(tensors_in(read_checkpoint(file), file, _WRAPPERS), plan)
    encoder = _filled(tensors, plan, file)
    channels = int(encoder.channels)  # type: ignore[arg-type]
    names = _channel_names(layers, channels, system)
    spec = ViewSpec(
        "map", "raster", names, plan.values, int(encoder.size_px), None, zoom  # type: ignore[arg-type]
    )  # fmt: skip
    origin = {
        "dataset": f"{printable(file.name)}, a checkpoint of the founding {system}",
        "imported": {"file": printable(file.name), "sha256": atomic.sha256_of_file(file), "as": system},
    }
    recipe = {"name": system, "config": {"encoder": plan.encoder, "dim": int(encoder.dim)}}  # type: ignore[arg-type]
    atomic.check_writable(out, directory=True)
    Model({"tile": encoder}, {"map": Reading("tile", spec)}, recipe, origin).save(out)
    return Model.load(out)


def _renamed(tensors: Mapping[str, Tensor], plan: _System) -> dict[str, Tensor]:
    """The tensors by the names of our network; those of other parts are left out."""
    found: dict[str, Tensor] = {}
    for key, value in tensors.items():
        for theirs, ours in plan.names.items():
            rest = _after_prefixes(key, theirs)
            number, dot, kind = rest.partition(".") if rest is not None else ("", "", "")
            if dot and number.isdecimal():
                found[f"{ours}{int(number) + (ours == 'head.')}.{kind}"] = value
    return found


def _after_prefixes(key: str, part: str) -> str | None:
    """What follows the name of a part that stands at the beginning or after the names of what it is wrapped in."""
    for _ in range(len(_PREFIXES) + 1):
        if key.startswith(part) and key[len(part) :].partition(".")[0].isdecimal():
            return key[len(part) :]
        wrapper = next((prefix for prefix in _PREFIXES if key.startswith(prefix)), None)
        if wrapper is None:
            return None
        key = key[len(wrapper) :]
    return None


def _filled(tensors: Mapping[str, Tensor], plan: _System, file: Path) -> nn.Module:
    """The network that the shapes describe, with these weights; ModelError when they are not its."""
    shapes = {}
    for key, dimensions in ((plan.first, 4), (plan.flat, 2), (plan.last, 2)):
        if key not in tensors or tensors[key].dim() != dimensions:
            raise ModelError(f"{file} does not hold the founding network {plan.encoder}: {key} is missing")
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
            f"the network reads {channels} channels, and {len(layers)} names are given: name each once, in its order,"
            " with --layers"
        )
    return layers
