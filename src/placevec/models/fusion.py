"""How the vectors of a place's several views become one, whichever of them are there.

A fusion is an ``nn.Module`` with ``dim``, ``views`` and ``config()``, the arguments that build it again. What a place
lacks has no influence: it is left out of means, and never stands as zeros for "nothing seen".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from placevec.core import Encoded, Fuse
from placevec.errors import ModelError
from placevec.plugins import Registry


class MeanFusion(Fuse):
    """The mean of the unit vectors of the views that are there, of unit length again; nothing is trained.

    For views that share one space, such as those of contrastive training.

    Args:
        views: names of the views.
        dim: length of the vectors of every one of them.

    >>> fuse = MeanFusion(["map", "text"], 2)
    >>> both = torch.tensor([True, True])
    >>> seen = {"map": Encoded(torch.tensor([[2.0, 0.0], [1.0, 0.0]]), both),
    ...         "text": Encoded(torch.tensor([[0.0, 1.0], [7.0, 7.0]]), torch.tensor([True, False]))}
    >>> (10 * fuse(seen)).round().tolist()
    [[7.0, 7.0], [10.0, 0.0]]
    """

    def __init__(self, views: Sequence[str], dim: int) -> None:
        super().__init__()
        self.views, self.dim = _checked_views(views), dim

    def forward(self, slots: Mapping[str, Encoded]) -> Tensor:
        """(N, dim) of unit length; zeros where nothing is there."""
        total = torch.stack(
            [
                torch.where(slots[view].present[:, None], nn.functional.normalize(slots[view].z.float()), 0.0)
                for view in _there(self, slots)
            ]
        ).sum(dim=0)
        return nn.functional.normalize(total)

    def config(self) -> dict[str, Any]:
        """What builds this fusion again."""
        return {"views": list(self.views), "dim": self.dim}


class LinearFusion(Fuse):
    """A matrix for each view, whose products are averaged over the views that are there.

    Args:
        views: names of the views.
        dims: length of the vectors of each, in the same order; they may differ.
        dim: length of the fused vectors.
    """

    def __init__(self, views: Sequence[str], dims: Sequence[int], dim: int) -> None:
        super().__init__()
        self.views, self.dim, self.dims = _checked_views(views), dim, tuple(dims)
        if len(self.dims) != len(self.views):
            raise ModelError(
                f"a fusion of {len(self.views)} views needs as many lengths of vectors; got {len(self.dims)}"
            )
        self.weights = nn.ModuleList([nn.Linear(each, dim) for each in self.dims])

    def forward(self, slots: Mapping[str, Encoded]) -> Tensor:
        """(N, dim); zeros where nothing is there."""
        total, count = None, None
        for view in _there(self, slots):
            part, present = slots[view], slots[view].present[:, None]
            # what is missing may be anything, not-a-number too: it must not reach the product
            product = self.weights[self.views.index(view)](torch.where(present, part.z.float(), 0.0))
            product = torch.where(present, product, 0.0)
            total = product if total is None else total + product
            count = present.float() if count is None else count + present
        assert total is not None
        assert count is not None
        return total / count.clamp(min=1.0)

    def config(self) -> dict[str, Any]:
        """What builds this fusion again."""
        return {"views": list(self.views), "dims": list(self.dims), "dim": self.dim}


FUSIONS = Registry(
    "placevec.fusions",
    "fusion",
    {"mean": "placevec.models.fusion:MeanFusion", "linear": "placevec.models.fusion:LinearFusion"},
)


def build_fusion(name: str, **options: Any) -> Fuse:
    """A fresh fusion by name; ModelError for options that do not fit."""
    try:
        return cast(Fuse, FUSIONS.load(name)(**options))
    except TypeError as error:
        raise ModelError(f"the fusion {name!r} cannot be built: {error}") from error


def name_of_fusion(fuse: Fuse) -> str:
    """The name under which `build_fusion` makes fusions of this class, or ModelError."""
    for name in FUSIONS.names():
        if FUSIONS.load(name) is type(fuse):
            return name
    raise ModelError(
        f"{type(fuse).__name__} is not a registered fusion: the registered are {', '.join(FUSIONS.names())}"
    )


def _checked_views(views: Sequence[str]) -> tuple[str, ...]:
    names = tuple(views)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ModelError(f"a fusion joins two views or more, each once; got {', '.join(names) or 'none'}")
    return names


def _there(fuse: Fuse, slots: Mapping[str, Encoded]) -> list[str]:
    found = [view for view in fuse.views if view in slots]
    if not found:
        raise ModelError(f"nothing to fuse: none of {', '.join(fuse.views)} is there")
    return found
