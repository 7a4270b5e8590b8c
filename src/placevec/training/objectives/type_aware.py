"""The type-aware contrastive objective of Where2Vec: images meet the words of their own place and the name of its type.

``loss = l(images, words) + semantic_weight * l(images, type names)``, where ``l`` contrasts the pairs of a batch in one
of four forms. With unit vectors z_i of images and t_j of texts, and types y:

============ =================================================================================================
form         l
============ =================================================================================================
``founding`` symmetric cross-entropy of ``(z_i . t_j / T) w_ij``, w = 1 - alpha where y_i = y_j and i != j, else 1
``log``      symmetric cross-entropy of ``z_i . t_j / T + log(1 - alpha) [y_i = y_j, i != j]``
``unicl``    symmetric cross-entropy with soft targets: equal parts for all of the same type
``sigmoid``  ``-log sigmoid(s_ij (z_i . t_j / T + b))`` summed over j, mean over i; s = 1 for pairs, else -1
============ =================================================================================================

The founding form multiplies similarities by the weight: a negative one of the same type is raised instead of lowered,
and a positive one, the hardest negative, is halved. The logarithm inside the softmax counts such a negative
``1 - alpha`` times, whatever its sign.

Sources: founding document 000 and its code (T = 0.07, alpha = 0.5, semantic_weight = 0.3); UniCL, Yang et al. 2022,
arXiv:2204.03610; SigLIP, Zhai et al. 2023, arXiv:2303.15343.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective
from placevec.datasets.place_types import UNKNOWN as UNKNOWN
from placevec.errors import InputError
from placevec.training.objectives.contrastive import MAX_SCALE

Form = Literal["founding", "log", "unicl", "sigmoid"]


def same_type(types: Tensor) -> Tensor:
    """(B, B) bool: whether two places are of the same known type; a place always is of its own.

    Nothing else is of the type of a place whose type is `UNKNOWN`.

    >>> same_type(torch.tensor([0, 0, -1, -1])).int().tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    """
    known = types != UNKNOWN
    equal = (types[:, None] == types[None, :]) & known[:, None]
    return equal | torch.eye(len(types), dtype=torch.bool, device=types.device)


def contrast(
    images: Tensor,
    texts: Tensor,
    types: Tensor,
    scale: Tensor | float,
    *,
    form: Form = "log",
    alpha: float = 0.5,
    bias: Tensor | float = 0.0,
    alike: bool = False,
) -> Tensor:
    """``l`` of the module's table: the scalar mean over (B, D) images and texts, row i of both a pair; 0 of none.

    Args:
        images, texts: vectors of any length; cosine similarity is used.
        types: (B,) int64 codes, `UNKNOWN` where there is none.
        scale: 1 / temperature.
        form: see above.
        alpha: 0 to 1: how much negatives of the same type are discounted (not in ``unicl``). At 1, ``log`` and
            ``sigmoid`` ignore them.
        bias: b of ``sigmoid``.
        alike: texts of the same type are the same text, so that in ``sigmoid`` they are pairs too.

    >>> vectors = torch.eye(2)
    >>> round(float(contrast(vectors, vectors, torch.tensor([0, 1]), 10.0)), 4)  # log(1 + e^-10)
    0.0
    """
    if not len(images):
        return images.sum() + texts.sum()
    with torch.autocast(images.device.type, enabled=False):  # bf16 has 8 bits, and logits reach 100
        cosines = F.normalize(images.float(), dim=1) @ F.normalize(texts.float(), dim=1).T
        same = same_type(types)
        own = torch.eye(len(types), dtype=torch.bool, device=types.device)
        logits = scale * cosines
        if form == "sigmoid":
            return _sigmoid(logits + bias, same, own, alpha, alike)
        if form == "unicl":
            targets = same.float() / same.sum(1, keepdim=True)
            rows = -(targets * F.log_softmax(logits, dim=1)).sum(1).mean()
            columns = -(targets * F.log_softmax(logits.T, dim=1)).sum(1).mean()
            return (rows + columns) / 2.0
        others = same & ~own
        if form == "founding":
            logits = torch.where(others, logits * (1.0 - alpha), logits)
        elif alpha:
            logits = (
                logits.masked_fill(others, -math.inf) if alpha == 1 else logits + others * math.log1p(-alpha)
            )
        matched = logits.diagonal()
        return ((logits.logsumexp(1) + logits.logsumexp(0)) / 2.0 - matched).mean()


def _sigmoid(logits: Tensor, same: Tensor, own: Tensor, alpha: float, alike: bool) -> Tensor:
    pairs = same if alike else own
    losses = -F.logsigmoid(torch.where(pairs, logits, -logits))
    if not alike:
        losses = torch.where(same & ~own, (1.0 - alpha) * losses, losses)
    return losses.sum(1).mean()


class TypeAware(Objective):
    """Instance contrast plus a weighted semantic one, see the module.

    Needs the target ``type`` (B,) int64, `UNKNOWN` where it is not known. Pairs that lack either slot are left out; the
    semantic part takes those of known type only.

    Args:
        image, words, types: names of the slots: images, texts of places, names of their types (None: instance only).
        instance, semantic: forms of the two parts.
        temperature: divides similarities; the initial one where it is ``learnable``.
        alpha: discount of negatives of the same type.
        semantic_weight: of the semantic part.
        learnable: train the temperature (its logarithm; at least 0.01, as in CLIP), one for each part.

    >>> slots = {name: Encoded(torch.eye(2), torch.ones(2, dtype=torch.bool)) for name in ("image", "words", "types")}
    >>> float(TypeAware()(slots, {"type": torch.tensor([0, 1])})) < 0.001
    True
    """

    across_processes = True

    def __init__(
        self,
        image: str = "image",
        words: str = "words",
        types: str | None = "types",
        *,
        instance: Form = "log",
        semantic: Form = "unicl",
        temperature: float = 0.07,
        alpha: float = 0.5,
        semantic_weight: float = 0.3,
        learnable: bool = False,
    ) -> None:
        super().__init__()
        for form in (instance, semantic):
            if form not in get_args(Form):
                raise InputError(f"unknown form {form!r}; choose from {', '.join(get_args(Form))}")
        if not temperature >= 1.0 / MAX_SCALE:
            raise InputError(f"the temperature must be at least {1.0 / MAX_SCALE}; got {temperature}")
        if not 0 <= alpha <= 1 or not 0 <= semantic_weight < math.inf:
            raise InputError(
                f"alpha must be 0 to 1 and semantic_weight at least 0; got {alpha} and {semantic_weight}"
            )
        self.image, self.words, self.types = image, words, types
        self.instance, self.semantic = instance, semantic
        self.alpha, self.semantic_weight = float(alpha), float(semantic_weight)
        self.log_scales: Tensor
        scales = torch.full((2,), -math.log(temperature))
        if learnable:
            self.log_scales = nn.Parameter(scales)
        else:
            self.register_buffer("log_scales", scales, persistent=False)
        self.biases = nn.Parameter(torch.full((2,), -10.0)) if "sigmoid" in (instance, semantic) else None

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The scalar loss; 0 if there are no complete pairs."""
        if "type" not in targets:
            raise InputError("the target 'type' is missing: this sampler does not provide it")
        loss = self._part(0, self.instance, self.words, slots, targets["type"], alike=False)
        if self.types is not None and self.semantic_weight:
            semantic = self._part(1, self.semantic, self.types, slots, targets["type"], alike=True)
            loss = loss + self.semantic_weight * semantic
        return loss

    def _part(
        self, at: int, form: Form, text: str, slots: Mapping[str, Encoded], types: Tensor, *, alike: bool
    ) -> Tensor:
        image, texts = slots[self.image], slots[text]
        whole = image.present & texts.present
        rows = torch.nonzero(whole & (types != UNKNOWN) if alike else whole).squeeze(1)
        return contrast(
            image.z[rows], texts.z[rows], types[rows], self.scales[at], form=form, alpha=self.alpha,
            bias=0.0 if self.biases is None else self.biases[at], alike=alike,
        )  # fmt: skip

    @property
    def scales(self) -> Tensor:
        """(2,) 1 / temperature of the instance and of the semantic part."""
        return self.log_scales.clamp(max=math.log(MAX_SCALE)).exp()

    @torch.no_grad()
    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The temperature of the instance part."""
        return {"temperature": 1.0 / self.scales[0].detach()}

    def learned(self) -> dict[str, float]:
        """The temperature, and ``type_temperature``: that of names of types, where they were contrasted."""
        instance, semantic = (1.0 / self.scales.detach()).tolist()
        named = self.types is not None and self.semantic_weight > 0
        return {"temperature": instance, **({"type_temperature": semantic} if named else {})}
