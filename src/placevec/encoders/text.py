"""The encoder of texts: a sentence model whose attention is adapted by LoRA, and a projection.

Hu et al. 2021, arXiv:2106.09685: to each adapted matrix W is added ``alpha / rank * B A``, of which only A (rank x
inputs) and B (outputs x rank) are trained. The founding Where2Vec adapts query, key and value of all-MiniLM-L6-v2 with
rank 8, alpha 16 and dropout 0.1: 110,592 weights, and 98,560 of the projection to 256 components.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.encoders.arguments import share, switch, whole
from placevec.encoders.text_models import find_text_model, load_text_model
from placevec.encoders.tile_cnn import finished
from placevec.errors import MissingExtraError, ModelError
from placevec.io.byte_texts import decoded

MAX_CACHED = 200_000
"""Vectors of texts that are kept while the text model is frozen: 300 MB of 384 numbers."""
_AT_ONCE = 64
"""Texts of similar length that go through the model together: more would only pad more."""


class TextEncoder(nn.Module):
    """Texts of the text view to vectors: mean of the tokens' vectors, one linear layer, length 1.

    The weights of the text model are not among ``parameters()`` and ``state_dict()``: only adapters and projection are
    trained and saved. Equal texts of a batch are encoded once. While nothing of the text model is trained (``rank`` 0),
    the means are computed once per text and kept.

    Args:
        base: text model, see `placevec.encoders.text_models.find_text_model`.
        base_sha256: of its weights; None takes what is there.
        dim: length of the vectors.
        rank: of the adapters; 0 leaves the text model as it is.
        alpha: numerator of their scale.
        dropout: of their inputs in training.
        targets: names of the linear layers that are adapted.
        prefix: before every text; None: what the text model was trained with.
        max_tokens: longest text, in tokens; longer ones are cut. None: what the text model reads.
        checkpointing: compute activations again in the backward pass instead of keeping them.
        unit_norm: scale vectors to length 1.

    Attributes:
        cut: texts that were cut so far, each time they were encoded.

    Raises:
        ModelError: the text model is not on this machine (and how to get it), or is another.
        MissingExtraError: transformers or peft is not installed.
    """

    def __init__(
        self,
        base: str = "sentence-transformers/all-MiniLM-L6-v2",
        base_sha256: str | None = None,
        dim: int = 256,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.1,
        targets: Sequence[str] = ("query", "key", "value"),
        prefix: str | None = None,
        max_tokens: int | None = None,
        checkpointing: bool = False,
        unit_norm: bool = True,
    ) -> None:
        super().__init__()
        self.dim, self.rank = whole("dim", dim, 1, 8192), whole("rank", rank, 0, 1024)
        self.alpha, self.dropout = share("alpha", alpha, math.inf), share("dropout", dropout)
        if isinstance(targets, str) or not all(isinstance(target, str) for target in targets):
            raise ModelError(f"targets must be names of layers; got {targets!r:.80}")
        self.targets = tuple(targets)
        self.checkpointing, self.unit_norm = (
            switch("checkpointing", checkpointing),
            switch("unit_norm", unit_norm),
        )
        found = find_text_model(_text("base", base), sha256=base_sha256)
        self.base, self.base_sha256 = found.name, found.sha256
        self.prefix = found.prefix if prefix is None else _text("prefix", prefix)
        self.max_tokens = whole("max_tokens", found.max_tokens if max_tokens is None else max_tokens, 3, 8192)
        self.cut = 0
        self._means: dict[str, Tensor] = {}
        empty = torch.empty(0).device.type == "meta"
        model, self._tokenizer = load_text_model(found, empty=empty)
        model.requires_grad_(False).eval()
        # in a tuple, so that torch does not take its weights for weights of this module
        self._model = (model,)
        self.adapters = self._adapted(model)
        self.project = nn.Linear(int(model.config.hidden_size), dim)
        if checkpointing and rank:
            # reentrant checkpointing gives no gradient to adapters, since no input of a block requires one
            newer = hasattr(model, "activation_checkpointing_enable")
            enable = model.activation_checkpointing_enable if newer else model.gradient_checkpointing_enable
            enable(
                **{f"{'activation' if newer else 'gradient'}_checkpointing_kwargs": {"use_reentrant": False}}
            )

    def _adapted(self, model: Any) -> nn.Module:
        """LoRA put into a model; the tree of its adapters, each A and B under the name of the layer that it adapts."""
        if not self.rank:
            return nn.Module()
        peft = require_peft()
        config = peft.LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=list(self.targets)
        )
        try:
            peft.inject_adapter_in_model(config, model)
        except ValueError as error:
            raise ModelError(f"the text model {self.base!r} cannot be adapted: {error}") from error
        tree = nn.Module()
        for path, layer in model.named_modules():
            if isinstance(layer, peft.tuners.lora.LoraLayer):
                place = _branch(tree, path)
                place.add_module("a", layer.lora_A["default"])
                place.add_module("b", layer.lora_B["default"])
        return tree

    @property
    def model(self) -> Any:
        """The text model with its adapters, of transformers."""
        return self._model[0]

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again, as plain JSON."""
        return {
            "base": self.base, "base_sha256": self.base_sha256, "dim": self.dim, "rank": self.rank, "alpha": self.alpha,
            "dropout": self.dropout, "targets": list(self.targets), "prefix": self.prefix,
            "max_tokens": self.max_tokens, "checkpointing": self.checkpointing, "unit_norm": self.unit_norm,
        }  # fmt: skip

    def train(self, mode: bool = True) -> TextEncoder:
        """As torch's; a frozen text model stays as it is, without dropout."""
        super().train(mode)
        self.model.train(mode and self.rank > 0)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TextEncoder:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.model._apply(fn, recurse)
        return self

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(N, dim) from a batch of the text view (`placevec.io.byte_texts`)."""
        device = self.project.weight.device
        row: dict[str, int] = {}
        rows = [row.setdefault(text, len(row)) for text in decoded(batch)]
        means = self._means_of(list(row)) if not self.rank else self._encoded(list(row))
        vectors = finished(nn.Sequential(self.project), means)[torch.tensor(rows, device=device)]
        return F.normalize(vectors, dim=1) if self.unit_norm else vectors

    @torch.no_grad()
    def means(self, texts: Sequence[str]) -> Tensor:
        """(N, hidden) means of the tokens' vectors of any texts, before the projection."""
        return self._encoded(list(texts))

    @torch.no_grad()
    def _means_of(self, texts: list[str]) -> Tensor:
        """(N, hidden) means of a frozen text model, those that are new computed and kept."""
        new = [text for text in texts if text not in self._means]
        found = dict(zip(new, self._encoded(new).cpu(), strict=True)) if new else {}
        if len(self._means) + len(found) <= MAX_CACHED:
            self._means.update(found)
        return torch.stack([found[text] if text in found else self._means[text] for text in texts]).to(
            self.project.weight.device
        )

    def _encoded(self, texts: list[str]) -> Tensor:
        """(N, hidden) float32 means of the tokens' vectors; texts of similar length go through the model together."""
        if not texts:
            return self.project.weight.new_zeros(0, self.project.in_features)
        ids = self._ids(texts)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        parts = [
            self._mean([ids[row] for row in order[start : start + _AT_ONCE]])
            for start in range(0, len(order), _AT_ONCE)
        ]
        back = torch.empty(len(order), dtype=torch.int64)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(parts)[back.to(parts[0].device)]

    def _ids(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self._tokenizer(
            [self.prefix + text for text in texts], truncation=False, verbose=False
        )["input_ids"]
        self.cut += sum(len(one) > self.max_tokens for one in ids)
        # the last token closes a text: it stays
        return [one if len(one) <= self.max_tokens else [*one[: self.max_tokens - 1], one[-1]] for one in ids]

    def _mean(self, ids: list[list[int]]) -> Tensor:
        device = self.project.weight.device
        pad = self._tokenizer.pad_token_id or 0
        longest = max(map(len, ids))
        padded = torch.tensor([one + [pad] * (longest - len(one)) for one in ids], device=device)
        lengths = torch.tensor([len(one) for one in ids], device=device)
        mask = torch.arange(longest, device=device)[None, :] < lengths[:, None]
        hidden = self.model(input_ids=padded, attention_mask=mask.long()).last_hidden_state.float()
        return torch.where(mask[:, :, None], hidden, 0.0).sum(1) / lengths[:, None]

    def longer_than_window(self, texts: Sequence[str]) -> int:
        """How many of some texts are cut."""
        before = self.cut
        self._ids(list(texts))
        found, self.cut = self.cut - before, before
        return found

    def merged(self) -> Any:
        """A copy of the text model with the adapters added to its matrices, as plain transformers: for other programs."""
        model = copy.deepcopy(self.model)
        if self.rank:
            lora = require_peft().tuners.lora.LoraLayer
            for path, layer in list(model.named_modules()):
                if isinstance(layer, lora):
                    layer.merge()
                    parent, _, name = path.rpartition(".")
                    setattr(model.get_submodule(parent), name, layer.base_layer)
        return model


def _branch(tree: nn.Module, path: str) -> nn.Module:
    """The node at a dotted path, made where it is not there."""
    for name in path.split("."):
        if name not in tree._modules:
            tree.add_module(name, nn.Module())
        tree = tree.get_submodule(name)
    return tree


def require_peft() -> Any:
    """The module; MissingExtraError where it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft", "text") from error
    return peft


def _text(name: str, value: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ModelError(f"{name} must be a string of at most 1,000 characters; got {value!r:.80}")
    return value
