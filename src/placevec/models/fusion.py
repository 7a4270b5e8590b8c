"""Combines the vectors of several views of a place, whichever of them are present, into one.

A fusion is an ``nn.Module`` with ``dim``, ``views`` and ``config()``, the arguments that rebuild it. Missing views
have no
influence: they are left out of the mean, not treated as zeros.
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
    """The mean of the unit vectors of the present views, scaled to unit length; nothing is trained.

    For views in a shared space, such as those of contrastive training.

    Args:
        views: names of the views.
        dim: length of the vectors, the same for all views.

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
        """(N, dim) of unit length; zeros if no view is present."""
        total = torch.stack(
            [
                torch.where(slots[view].present[:, None], nn.functional.normalize(slots[view].z.float()), 0.0)
                for view in _there(self, slots)
            ]
        ).sum(dim=0)
        return nn.functional.normalize(total)

    def config(self) -> dict[str, Any]:
        """Arguments that rebuild this fusion."""
        return {"views": list(self.views), "dim": self.dim}


class LinearFusion(Fuse):
    """One matrix per view, whose products are averaged over the present views.

    Args:
        views: names of the views.
        dims: length of the vectors of each view, in the same order; they can differ.
        dim: length of the fused vectors.

    >>> fuse = LinearFusion(["map", "text"], [4, 8], 16)
    >>> present = torch.tensor([True, True, False])
    >>> fuse({"map": Encoded(torch.zeros(3, 4), present), "text": Encoded(torch.zeros(3, 8), present)}).shape
    torch.Size([3, 16])
    """

    def __init__(self, views: Sequence[str], dims: Sequence[int], dim: int) -> None:
        super().__init__()
        self.views, self.dim, self.dims = _checked_views(views), dim, tuple(dims)
        if len(self.dims) != len(self.views):
            raise ModelError(
                f"a fusion of {len(self.views)} views needs as many vector lengths; got {len(self.dims)}"
            )
        self.weights = nn.ModuleList([nn.Linear(each, dim) for each in self.dims])

    def forward(self, slots: Mapping[str, Encoded]) -> Tensor:
        """(N, dim); zeros if no view is present."""
        total, count = None, None
        for view in _there(self, slots):
            part, present = slots[view], slots[view].present[:, None]
            # missing rows can hold anything, even NaN: they must not reach the product
            product = self.weights[self.views.index(view)](torch.where(present, part.z.float(), 0.0))
            product = torch.where(present, product, 0.0)
            total = product if total is None else total + product
            count = present.float() if count is None else count + present
        assert total is not None
        assert count is not None
        return total / count.clamp(min=1.0)

    def config(self) -> dict[str, Any]:
        """Arguments that rebuild this fusion."""
        return {"views": list(self.views), "dims": list(self.dims), "dim": self.dim}


class ConcatFusion(Fuse):
    """The unit vectors of all views side by side, scaled to unit length; nothing is trained, and nothing is lost.

    A missing view is a part of zeros: it adds nothing to the similarity of two places, and the other parts count more.

    Args:
        views: names of the views.
        dims: length of the vectors of each view, in the same order; they can differ.

    >>> fuse = ConcatFusion(["map", "pois"], [2, 1])
    >>> seen = {"map": Encoded(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([True, True])),
    ...         "pois": Encoded(torch.tensor([[2.0], [7.0]]), torch.tensor([True, False]))}
    >>> fuse(seen).square().mul(50).round().tolist()
    [[9.0, 16.0, 25.0], [50.0, 0.0, 0.0]]
    """

    def __init__(self, views: Sequence[str], dims: Sequence[int]) -> None:
        super().__init__()
        self.views, self.dims, self.dim = _checked_views(views), tuple(dims), sum(dims)
        if len(self.dims) != len(self.views):
            raise ModelError(
                f"a fusion of {len(self.views)} views needs as many vector lengths; got {len(self.dims)}"
            )

    def forward(self, slots: Mapping[str, Encoded]) -> Tensor:
        """(N, sum of the lengths) of unit length; zeros if no view is present."""
        first = slots[_there(self, slots)[0]].z
        parts = [
            torch.where(slots[view].present[:, None], nn.functional.normalize(slots[view].z.float()), 0.0)
            if view in slots
            else torch.zeros(len(first), dim, device=first.device)
            for view, dim in zip(self.views, self.dims, strict=True)
        ]
        return nn.functional.normalize(torch.cat(parts, dim=1))

    def config(self) -> dict[str, Any]:
        """Arguments that rebuild this fusion."""
        return {"views": list(self.views), "dims": list(self.dims)}


FUSIONS = Registry(
    "placevec.fusions",
    "fusion",
    {
        "mean": "placevec.models.fusion:MeanFusion",
        "linear": "placevec.models.fusion:LinearFusion",
        "concat": "placevec.models.fusion:ConcatFusion",
    },
)


def build_fusion(name: str, **options: Any) -> Fuse:
    """A fresh fusion by name; ModelError for invalid options.

    >>> fuse = build_fusion("mean", views=["map", "text"], dim=8)
    >>> name_of_fusion(fuse), fuse.config()
    ('mean', {'views': ['map', 'text'], 'dim': 8})
    """
    try:
        return cast(Fuse, FUSIONS.load(name)(**options))
    except TypeError as error:
        raise ModelError(f"the fusion {name!r} cannot be built: {error}") from error


def name_of_fusion(fuse: Fuse) -> str:
    """The name under which this class is registered, or ModelError.

    >>> name_of_fusion(MeanFusion(["map", "text"], 8))
    'mean'
    """
    for name in FUSIONS.names():
        if FUSIONS.load(name) is type(fuse):
            return name
    raise ModelError(
        f"{type(fuse).__name__} is not a registered fusion: choose from {', '.join(FUSIONS.names())}"
    )


def _checked_views(views: Sequence[str]) -> tuple[str, ...]:
    names = tuple(views)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ModelError(f"a fusion needs two or more distinct views; got {', '.join(names) or 'none'}")
    return names


def _there(fuse: Fuse, slots: Mapping[str, Encoded]) -> list[str]:
    found = [view for view in fuse.views if view in slots]
    if not found:
        raise ModelError(f"nothing to fuse: none of the views {', '.join(fuse.views)} is present")
    return found
