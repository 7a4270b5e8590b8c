"""A BERT of two layers with a vocabulary of letters, as a folder: loads and runs in milliseconds."""

from __future__ import annotations

from pathlib import Path

import pytest

LETTERS = "abcdefghijklmnopqrstuvwxyzäöåіїєґ0123456789"


def write(folder: Path, *, seed: int = 0) -> Path:
    """Write configuration, tokenizer and random weights."""
    pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    import torch

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    transformers.BertTokenizer(
        vocab={word: number for number, word in enumerate(words)}, strip_accents=False
    ).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = transformers.BertConfig(
            vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=40, initializer_range=0.3,
        )  # fmt: skip
        transformers.BertModel(config).save_pretrained(folder)
    return folder
