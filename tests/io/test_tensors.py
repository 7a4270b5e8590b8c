"""Files of named tensors. Oracle: safetensors itself."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from placevec.io.tensors import read_tensors


def test_what_was_written_is_read(tmp_path: Path) -> None:
    held = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(0)}
    save_file(held, tmp_path / "a.safetensors")
    found = read_tensors(tmp_path / "a.safetensors")
    assert {name: value.tolist() for name, value in found.items()} == {"a": [[0, 1, 2], [3, 4, 5]], "b": []}


def test_a_list_of_empty_tensors_is_bounded(tmp_path: Path) -> None:
    """Forty thousand names in three megabytes, which nothing else bounds."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    content = json.dumps({f"tensor{number}": entry for number in range(40_000)}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(content)) + content)
    with pytest.raises(ValueError, match="more than the weights of any model need"):
        read_tensors(tmp_path / "a.safetensors")
