"""Heads: turn the vector of a place into a prediction, the probability of each class or a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from placevec.errors import ModelError
from placevec.models import reliability
from placevec.models.reliability import from_config

HeadKind = Literal["presence", "classes", "number"]
KINDS = ("presence", "classes", "number")
MAX_CLASSES = 1_000_000
DESCRIBED = {
    "dim": int, "kind": str, "classes?": [str], "mean?": float, "deviation?": float, "bias?": bool,
    "reliability?": reliability.DESCRIBED,
}  # fmt: skip
"""Metadata of the head in a model's configuration."""


class Head(nn.Module):
    """A linear layer on vectors, and the meaning of its outputs.

    ``presence``: ``p_c = sigmoid(w_c . z)`` for each class; several can be present (Mac Aodha et al. 2019).
    ``classes``: exactly one class is true, ``p = softmax(W z + b)``. ``number``: ``mean + deviation * (w . z + b)``.

    Args:
        dim: length of the vectors.
        kind: ``presence``, ``classes`` or ``number``.
        classes: class names, in the order of the outputs; empty for a number.
        mean: mean of the training labels, in the label's unit.
        deviation: their standard deviation, more than 0.
        bias: whether outputs have an intercept; by default all kinds except ``presence``, as published.
        reliability: sizes of what the head knows of its training points, see `placevec.models.reliability`; None if
            it knows nothing.

    Raises:
        ModelError: an unknown kind, no classes or a duplicate class, a deviation that is not more than 0.

    >>> head = Head(4, "classes", ["sea", "land"])
    >>> head(torch.zeros(3, 4)).shape, round(head.answers(torch.ones(1, 4)).sum().item(), 5)
    (torch.Size([3, 2]), 1.0)
    >>> Head(4, "number", mean=15.0, deviation=8.0)
    Head(number, dim=4, mean=15, deviation=8)
    """

    def __init__(
        self,
        dim: int,
        kind: HeadKind,
        classes: Sequence[str] = (),
        mean: float = 0.0,
        deviation: float = 1.0,
        bias: bool | None = None,
        reliability: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ModelError(f"unknown kind of head {str(kind)[:60]!r}: choose from {', '.join(KINDS)}")
        self.dim, self.kind, self.classes = _whole(dim), kind, tuple(classes)
        if (kind == "number") != (not self.classes) or len(self.classes) > MAX_CLASSES:
            raise ModelError(
                f"a head of kind {kind} must have {'no classes' if kind == 'number' else 'one to a million classes'}; "
                f"got {len(self.classes):,}"
            )
        if len(set(self.classes)) < len(self.classes):
            raise ModelError("a head has a duplicate class")
        self.mean, self.deviation = float(mean), float(deviation)
        if not (math.isfinite(self.mean) and math.isfinite(self.deviation) and self.deviation > 0):
            raise ModelError(
                f"a head for numbers needs a mean and a positive standard deviation; got {mean} and {deviation}"
            )
        self.linear = nn.Linear(self.dim, self.outputs, bias=kind != "presence" if bias is None else bias)
        self.reliability = from_config(reliability)

    @property
    def outputs(self) -> int:
        """Number of output columns."""
        return max(1, len(self.classes))

    def forward(self, z: Tensor) -> Tensor:
        """(N, dim) -> (N, C) logits, or (N, 1) standardized numbers."""
        found: Tensor = self.linear(z)
        return found

    def answers(self, z: Tensor) -> Tensor:
        """(N, dim) -> (N, C) probabilities, or (N, 1) numbers in the label's unit; at least float32."""
        outputs = widened(self(z))
        if self.kind == "presence":
            return torch.sigmoid(outputs)
        return torch.softmax(outputs, -1) if self.kind == "classes" else self.mean + self.deviation * outputs

    def config(self) -> dict[str, Any]:
        """Arguments that rebuild this head, as plain JSON."""
        return {
            "dim": self.dim, "kind": self.kind, "classes": list(self.classes), "mean": self.mean,
            "deviation": self.deviation, "bias": self.linear.bias is not None,
            **({} if self.reliability is None else {"reliability": self.reliability.config()}),
        }  # fmt: skip

    @classmethod
    def from_config(cls, described: Mapping[str, Any]) -> Head:
        """The inverse of `config`; unknown names are ignored."""
        known = {name.rstrip("?") for name in DESCRIBED}
        return cls(**{name: value for name, value in described.items() if name in known})

    def __repr__(self) -> str:
        what = (
            f"mean={self.mean:g}, deviation={self.deviation:g}"
            if self.kind == "number"
            else f"classes={len(self.classes):,}"
        )
        return f"Head({self.kind}, dim={self.dim}, {what})"


def widened(values: Tensor) -> Tensor:
    """At least float32: 16-bit values from autocast are summed and exponentiated in 32 bits.

    >>> widened(torch.zeros(1, dtype=torch.bfloat16)).dtype, widened(torch.zeros(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def _whole(dim: int) -> int:
    if isinstance(dim, bool) or not isinstance(dim, int) or not 1 <= dim <= 65536:
        raise ModelError(f"a head takes vectors of 1 to 65536 dimensions; got {dim!r}")
    return dim
