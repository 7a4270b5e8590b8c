"""Reads files of named tensors (safetensors) within limits: a few bytes list any number of empty tensors."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from placevec.io.files import refuse_pipe

MAX_LIST_BYTES = 2**21
"""Longest list of tensors; that of an encoder of text or images with its optimizer takes a tenth of it."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU.

    Raises:
        OSError: it cannot be read.
        SafetensorError: it is damaged.
        ValueError: it lists more tensors than any model has.
    """
    refuse_pipe(path, "file of weights")
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if MAX_LIST_BYTES < length < path.stat().st_size:
        raise ValueError(
            f"its list of tensors has {length / 2**20:,.0f} MiB, more than the weights of any model need"
        )
    found: dict[str, Tensor] = load_file(path)
    return found
