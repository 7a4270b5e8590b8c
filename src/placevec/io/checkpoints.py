"""Reads tensors and plain values of other systems' ``.pt`` and ``.pth`` files without executing anything.

Such a file is a pickle, which can run code when it is opened. It is opened by torch's weights-only loader alone; then
everything in it is checked before it is used.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from placevec.errors import InputError, ModelError
from placevec.io.atomic import sha256_of_file

LARGEST = 2**31
"""Maximum bytes of a checkpoint: twelve times the largest original one."""
MAX_TENSORS = 1000
_MAX_ENTRIES = 10_000
"""Maximum files in a checkpoint, one for each tensor: those of an optimizer are among them."""
_MAX_LIST_BYTES = 2**21
"""Longest pickle in a checkpoint: it lists the tensors, and any number of them can share one file."""


def read_checkpoint(file: Path, *, sha256: str | None = None) -> Any:
    """The content of a checkpoint: tensors, numbers, texts, lists and mappings. NumPy scalars become Python numbers.

    Args:
        file: the checkpoint.
        sha256: of a known file, which may be of torch before 1.6.

    Raises:
        InputError: the file does not exist.
        ModelError: it is not a checkpoint of torch 1.6 or later, nor the known file, or holds anything else.
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    if sha256 is None:
        _require_plain_zip(file)
    elif sha256_of_file(file) != sha256:
        raise ModelError(f"{file} is not the file known by this name: its SHA-256 differs")
    try:
        with torch.serialization.safe_globals(list(_NUMPY)):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file} contains code or objects besides weights, so it was not opened: save only model.state_dict()"
        ) from error
    except (
        RuntimeError,
        OSError,
        ValueError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        struct.error,
    ) as error:
        raise ModelError(f"{file} is damaged: {error}") from error


def tensors_in(content: Any, file: Path, wrappers: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, directly or under one of the keys ``wrappers``.

    Raises:
        ModelError: there are none, far too many, or things among them that are no tensors.
    """
    for wrapper in wrappers:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not 0 < len(content) <= MAX_TENSORS:
        raise ModelError(f"{file} has no named weights")
    if not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()):
        raise ModelError(f"{file} has no named weights: some of its entries are not tensors")
    return dict(content)


def filled(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor], file: Path, what: str) -> nn.Module:
    """The module made by ``build``, with these weights, in evaluation mode; ``what`` names it in messages.

    It is first built without memory, so that nothing is allocated before every shape fits.

    Raises:
        ModelError: a tensor is missing, of another shape, shorter than its shape, or not of finite numbers.
    """
    with torch.device("meta"):
        expected = build().state_dict()
    for key, value in expected.items():
        given = tensors.get(key)
        if given is None and key.endswith("num_batches_tracked"):
            continue
        if given is None or given.shape != value.shape or given.is_complex() or given.is_sparse:
            shape = "missing" if given is None else f"{given.dtype} {tuple(given.shape)}"
            raise ModelError(f"{file} does not fit {what}: {key} is {shape}, not {tuple(value.shape)}")
        if given.untyped_storage().nbytes() < given.numel() * given.element_size():
            raise ModelError(f"{file} is damaged: {key} has fewer numbers than its shape")
        if not torch.isfinite(given).all():
            raise ModelError(f"{file} has weights that are not finite: {key}")
    module = build()
    own = {key: tensors.get(key, value).to(value.dtype) for key, value in module.state_dict().items()}
    module.load_state_dict(own)
    return module.eval()


def _require_plain_zip(file: Path) -> None:
    """ModelError unless it is a zip archive that is no larger unpacked than it looks."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(
            f"{file} is not a checkpoint of torch 1.6 or later, which would be a zip archive ({error})"
        ) from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ModelError(f"{file} is compressed, which torch's checkpoints are not")
    if len(entries) > _MAX_ENTRIES:
        raise ModelError(
            f"{file} holds {len(entries):,} tensors, more than any checkpoint that is supported: save only "
            "model.state_dict()"
        )
    listed = max((entry.file_size for entry in entries if entry.filename.endswith(".pkl")), default=0)
    if listed > _MAX_LIST_BYTES:
        raise ModelError(
            f"{file} holds a list of tensors and other values of {listed / 2**20:,.1f} MiB, more than the weights of any "
            "model need: save only model.state_dict()"
        )
    if sum(entry.file_size for entry in entries) > LARGEST:
        raise ModelError(f"{file} holds more than {LARGEST / 2**30:.0f} GiB, the maximum for a checkpoint")


class _NumpyType:
    """Replaces NumPy's dtype: keeps its code, creates nothing."""

    def __init__(self, letters: str, *_: object) -> None:
        self.letters, self.order = str(letters), "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


def _number(kind: _NumpyType, raw: bytes) -> int | float | bool:
    """Replaces NumPy's constructor of scalars, which could also create objects."""
    letter = _LETTERS.get(kind.letters)
    if letter is None:
        raise ValueError(f"a NumPy value of type {kind.letters[:20]!r}")
    found: int | float | bool = struct.unpack(kind.order + letter, raw)[0]
    return found


_LETTERS = {
    "b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f2": "e",
    "f4": "f", "f8": "d",
}  # fmt: skip
_NUMPY = (
    (_NumpyType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
)
