"""Models and training states of unknown origin: JSON and safetensors."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

import pytest

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds, refused

KINDS = [("model-config", 60), ("model-weights", 40), ("state-json", 60), ("state-tensors", 60)]


@pytest.mark.parametrize(("name", "examples"), KINDS)
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    holds(name, corpus, isolated, examples)


def changed(corpus: Corpus, path: str, value: Any) -> bytes:
    config = json.loads((corpus.model / "config.json").read_text())
    place: Any = config
    *parents, last = path.split()
    for part in parents:
        place = place[part]
    place[last] = copy.deepcopy(value)
    return json.dumps(config).encode()  # the corpus has no checksums in it


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("recipe", []),
        ("recipe config", 1.5),
        ("recipe config drop_layers", True),
        ("recipe config drop_layers", [["a"]]),
        ("training", "a"),
        ("training attribution", {}),
        ("reads", {}),
        ("reads map encoder", ["tile"]),
        ("reads map spec channels", [0.5]),
        ("reads map spec size_m", "wide"),
        ("reads map spec size_px", {}),
        ("reads map spec size_px", 10**9),
        ("reads map spec name", []),
        ("reads map spec name", "\ud800"),
        ("encoders tile type", "../../tile_cnn"),
        ("encoders tile type", "x" * 100_000),
        ("encoders tile type", "os"),
        ("encoders tile options", {"__class__": 1}),
        ("encoders tile options dim", 8192),
        ("encoders tile options width", 10**12),
    ],
)
def test_a_configuration_with_another_field(
    corpus: Corpus, isolated: Isolated, path: str, value: Any
) -> None:
    refused(isolated, "model-config", "config.json", changed(corpus, path, value))


def test_a_few_bytes_do_not_order_gigabytes(corpus: Corpus, isolated: Isolated) -> None:
    """Sixty networks of 2.3 GB each were built before their weights were looked for."""
    large = {"type": "founding-tile-cnn", "options": {"channels": 1024, "size_px": 1024, "dim": 8192}}
    many = {"tile": large} | {f"tile{number}": large for number in range(60)}
    said = refused(isolated, "model-config", "config.json", changed(corpus, "encoders", many))
    assert "do not match" in said


def safetensors(header: Any, content: bytes = b"", size: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + content


@pytest.mark.parametrize(
    "content",
    [
        safetensors({}),
        safetensors({}, size=2**63),
        safetensors({}, size=2**40),
        safetensors({"tile.a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}, bytes(4)),
        safetensors({"tile.a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}}),
        safetensors({"tile.a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, bytes(1)),
        safetensors({"tile.a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors(
            {"__metadata__": {"a": "b"}, "../../a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
        ),
        b"\x80\x04\x95",
    ],
)
def test_weights_that_lie(isolated: Isolated, content: bytes) -> None:
    refused(isolated, "model-weights", "model.safetensors", content)
    refused(isolated, "state-tensors", "step-00000004/tensors.safetensors", content)


def test_an_optimizer_whose_memory_has_holes(corpus: Corpus, isolated: Isolated) -> None:
    """Was a KeyError at the first step after resuming."""
    file = "step-00000004/tensors.safetensors"
    content = (corpus.folder / "state" / file).read_bytes()
    for name, other in ((b"0.exp_avg_sq", b"0.exp_avg_sQ"), (b"optimizer.1.step", b"optimizer.9.step")):
        assert name in content
        refused(isolated, "state-tensors", file, content.replace(name, other))
