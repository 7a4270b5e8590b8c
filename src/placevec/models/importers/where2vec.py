"""Converts checkpoints of the original Where2Vec, ``best_epoch_N.pt``, to models of chips and texts.

A checkpoint is a bare state dict of three parts: the image network (``img_encoder``), the text model with LoRA as peft
names it (``text_encoder``), and the projection of its means (``text_proj``). Only the adapters and the projection of the
text are taken, since the text model is found on this machine; its weights in the checkpoint must be the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from placevec import encoders
from placevec.core import ViewSpec
from placevec.datasets.views import chips, text
from placevec.encoders.text import TextEncoder
from placevec.encoders.text_models import TextModel, find_text_model
from placevec.errors import ModelError, UsageError
from placevec.io import atomic
from placevec.io.checkpoints import filled, read_checkpoint, tensors_in
from placevec.io.progress import printable
from placevec.models.importers.writer import require_free
from placevec.models.model import Model
from placevec.models.reading import Reading

SYSTEM, VIEW = "where2vec-s2", "satellite"
BANDS = ("B02", "B03", "B04", "B08")
ALPHA, SIZE_PX, TARGETS = 16.0, 100, ("query", "key", "value")
"""Of its configuration, since checkpoints do not hold them."""
_IMAGE = {
    "img_encoder.attn.mlp.0.": "attention.squeeze.", "img_encoder.attn.mlp.2.": "attention.excite.",
    "img_encoder.net.0.": "convolutions.0.", "img_encoder.net.1.": "convolutions.1.",
    "img_encoder.net.4.": "convolutions.3.", "img_encoder.net.5.": "convolutions.4.",
    "img_encoder.net.8.": "convolutions.6.", "img_encoder.net.9.": "convolutions.7.",
    "img_encoder.proj.": "project.",
}  # fmt: skip
"""Its names of layers -> those of `FoundingSpectralCNN`; pooling layers count among its numbers."""
_TEXT = "text_encoder.base_model.model."
_ADAPTERS = {".lora_A.default.": ".a.", ".lora_B.default.": ".b."}


def import_where2vec(
    file: Path,
    out: Path,
    *,
    layers: Sequence[str] | None = None,
    text_model: str | None = None,
) -> Model:
    """Convert a checkpoint to a model.

    Args:
        file: ``.pt`` of torch 1.6 or later.
        out: directory to write; it must not exist, or must be empty.
        layers: bands of its chips in their order (default B02, B03, B04, B08).
        text_model: what it was trained with, see `placevec.encoders.text_models.find_text_model` (default
            all-MiniLM-L6-v2).

    Raises:
        UsageError: a wrong number of bands.
        ModelError: not such a checkpoint, contents other than tensors, tensors that do not fit, another text model, or
            a directory in use.
        MissingExtraError: without transformers and peft.
    """
    require_free(out)
    held = tensors_in(read_checkpoint(file), file, ("model_state_dict", "state_dict", "model"))
    given = {name.removeprefix("module."): value for name, value in held.items()}
    found = find_text_model(text_model or "all-MiniLM-L6-v2")
    image = _image(given, file)
    words = _words(given, file, found)
    if image.dim != words.dim:
        raise ModelError(
            f"{file} has image vectors of {image.dim} dimensions, but text vectors of {words.dim}"
        )
    bands = tuple(layers or BANDS)
    if len(bands) != image.channels or len(set(bands)) < len(bands):
        raise UsageError(
            f"the network has {image.channels} bands, but {len(bands)} are given: list each once, in order, with --layers"
        )
    _require_same_text_model(given, words, file)
    spec = ViewSpec(VIEW, chips.KIND, bands, "uint16 as stored", size_px=SIZE_PX)
    origin = {
        "dataset": f"{printable(file.name)}, a checkpoint of the original Where2Vec",
        "imported": {
            "file": printable(file.name), "sha256": atomic.sha256_of_file(file), "as": SYSTEM,
            "tensors_left_out": sum(not name.startswith((*_IMAGE, _TEXT, "text_proj.")) for name in given),
        },
    }  # fmt: skip
    recipe = {"name": SYSTEM, "config": {"encoder": "founding-spectral-cnn", "dim": image.dim}}
    readings = {
        VIEW: Reading("image", spec),
        text.NAME: Reading("text", ViewSpec(text.NAME, text.KIND, values=text.VALUES)),
    }
    atomic.check_writable(out, directory=True)
    Model({"image": image, "text": words}, readings, recipe, origin).save(out)
    return Model.load(out)


def _image(given: Mapping[str, Tensor], file: Path) -> nn.Module:
    """The image network with its weights."""
    named = {}
    for name, value in given.items():
        theirs = next((one for one in _IMAGE if name.startswith(one)), None)
        if theirs is not None:
            named[_IMAGE[theirs] + name.removeprefix(theirs)] = value
    channels = _shape(named, "convolutions.0.weight", 4, file)[1]
    dim = _shape(named, "project.weight", 2, file)[0]
    what = "the original image network"
    return filled(
        lambda: encoders.build("founding-spectral-cnn", channels=channels, dim=dim), named, file, what
    )


def _words(given: Mapping[str, Tensor], file: Path, base: TextModel) -> TextEncoder:
    """The text model of this machine with the checkpoint's adapters and projection."""
    named = {
        f"project.{kind}": given[f"text_proj.{kind}"]
        for kind in ("weight", "bias")
        if f"text_proj.{kind}" in given
    }
    for name, value in given.items():
        for theirs, ours in _ADAPTERS.items():
            if name.startswith(_TEXT) and theirs in name:
                named[f"adapters.{name.removeprefix(_TEXT).replace(theirs, ours)}"] = value
    dim = _shape(named, "project.weight", 2, file)[0]
    first = min((name for name in named if name.endswith(".a.weight")), default="adapters")
    rank = _shape(named, first, 2, file)[0]

    def build() -> TextEncoder:
        return TextEncoder(base.name, base.sha256, dim, rank, ALPHA, 0.1, TARGETS)

    made = filled(build, named, file, f"adapters of {base.name}")
    assert isinstance(made, TextEncoder)
    return made


def _require_same_text_model(given: Mapping[str, Tensor], words: TextEncoder, file: Path) -> None:
    """ModelError where the checkpoint's frozen weights are not those of the text model on this machine."""
    here = {name: value for name, value in words.model.state_dict().items() if ".lora_" not in name}
    compared = 0
    for name, value in given.items():
        own = here.get(name.removeprefix(_TEXT)) if name.startswith(_TEXT) else None
        if own is None or not own.is_floating_point():
            continue
        compared += 1
        if own.shape != value.shape or not torch.allclose(own, value.to(own.dtype), atol=1e-6, rtol=1e-5):
            raise ModelError(
                f"{file} was trained with a different text model than {words.base}: {name.removeprefix(_TEXT)} "
                f"differs; give the right one with --text-model"
            )
    if not compared:
        raise ModelError(
            f"{file} has no weights of a text model: it is not a checkpoint of the original Where2Vec"
        )


def _shape(tensors: Mapping[str, Tensor], name: str, dimensions: int, file: Path) -> tuple[int, ...]:
    if name not in tensors or tensors[name].dim() != dimensions:
        raise ModelError(f"{file} is not a checkpoint of the original Where2Vec: {name} is missing")
    return tuple(tensors[name].shape)
