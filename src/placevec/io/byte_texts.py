"""Texts as tensors: their UTF-8 bytes, plus one; 0 pads. Any tokenizer can read them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

VALUES = "UTF-8 bytes + 1, 0 pads"
MAX_BYTES = 2_000
"""Maximum bytes of a text; longer ones are cut between characters."""


def tokens_of(texts: Sequence[str | bytes]) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask``, (N, L) int64 each; L is the longest text, at least 1.

    >>> tokens_of(["ab", ""])["input_ids"].tolist()
    [[98, 99], [0, 0]]
    """
    encoded = [text if isinstance(text, bytes) else cut(text) for text in texts]
    longest = max(map(len, encoded), default=0) or 1
    ids = np.zeros((len(encoded), longest), np.int64)
    for row, text in enumerate(encoded):
        ids[row, : len(text)] = np.frombuffer(text, np.uint8).astype(np.int64) + 1
    numbers = torch.from_numpy(ids)
    return {"input_ids": numbers, "attention_mask": (numbers > 0).long()}


def decoded(batch: Mapping[str, Tensor]) -> list[str]:
    """The texts of a batch, for encoders with their own tokenizer.

    >>> decoded(tokens_of(["Töölö", ""]))
    ['Töölö', '']
    """
    rows = batch["input_ids"].cpu().numpy()
    return [bytes((row[row > 0] - 1).astype(np.uint8)).decode("utf-8", "replace") for row in rows]


def cut(text: str) -> bytes:
    """UTF-8 of a text, at most `MAX_BYTES`, cut between characters.

    >>> len(cut("ä" * MAX_BYTES)) <= MAX_BYTES, cut("Töölö").decode()
    (True, 'Töölö')
    """
    return text.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore").encode()
