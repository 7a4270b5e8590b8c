"""The contrastive objective of MMGR: two images of a cell and its points of interest meet; other cells are negatives.

With projections ``a``, ``b`` of two augmented images and ``p``, ``q`` of its points of interest (``q``: another sample of
them), the loss is

============ ============================================================================================
form         loss
============ ============================================================================================
``founding`` ``intra n(a, b) + inter n(a, p)``, n: NT-Xent, whose denominators mix both kinds of vectors
``separate`` ``intra c(a, b) + inter (c(a, p) + c(b, p)) / 2 + pois c(p, q)``, c: symmetric InfoNCE
============ ============================================================================================

The denominators of the founding form also hold similarities of images to images, and of points to points, in the term
that is to compare images with points; and its second image is never compared with them. Cells that lack either view
take part in the terms of the other.

Sources: Bai et al. 2023, doi:10.1016/j.isprsjprs.2023.05.006, and founding document 003 (temperature 0.5, weights 0.5);
NT-Xent: Chen et al. 2020, arXiv:2002.05709.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.training.objectives.contrastive import MAX_SCALE, info_nce
from placevec.training.samplers.cells import IMAGES, POIS

Form = Literal["founding", "separate"]


def nt_xent(first: Tensor, second: Tensor, scale: Tensor | float, whole: Tensor | None = None) -> Tensor:
    """NT-Xent of (B, D) vectors, row i of both a pair: the mean over all 2B vectors of a cross-entropy.

    With z the 2B vectors scaled to length 1 and ``s_ij = scale * z_i . z_j``, the loss of vector i with partner i+ is
    ``-log(e^s_ii+ / sum_(k != i) e^s_ik)``. One matrix product, without the (2B, 2B, D) tensor of the original.

    Args:
        first, second: vectors of any length.
        scale: 1 / temperature.
        whole: (B,) bool, pairs that take part; the others are ignored, also as negatives. All by default.

    Returns:
        A scalar; 0 if no pair takes part.

    >>> vectors = torch.eye(2)
    >>> round(float(nt_xent(vectors, vectors, 0.0)), 4)  # chance level: log 3
    1.0986
    """
    if whole is not None:
        rows = torch.nonzero(whole).squeeze(1)
        first, second = first[rows], second[rows]
    count = len(first)
    if not count:
        return first.sum() + second.sum()
    with torch.autocast(first.device.type, enabled=False):
        vectors = F.normalize(torch.cat([first, second]).float(), dim=1)
        logits = scale * (vectors @ vectors.T)
        logits = logits.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=logits.device), -math.inf)
        partner = torch.arange(2 * count, device=logits.device).roll(count)
        return F.cross_entropy(logits, partner)


class Projection(nn.Sequential):
    """The head that only training uses: linear, ReLU, linear.

    >>> Projection(8, 16, 4)(torch.zeros(2, 8)).shape
    torch.Size([2, 4])
    """

    def __init__(self, dim: int, hidden: int, out: int) -> None:
        super().__init__(nn.Linear(dim, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out))


class CellContrast(Objective):
    """Intra-modal and inter-modal contrast of cells, see the module. It owns the projection heads.

    Vectors that are kept are those before the projection. Needs the slots `IMAGES`, and the first of `POIS` unless there
    are no points of interest; without the second, there is no contrast of points with points.

    Args:
        image_dim, poi_dim: lengths of the encoded vectors; None without points of interest.
        projection_dim: length of the projected ones.
        image_hidden, poi_hidden: hidden units of the projection heads.
        form: see the module.
        intra_weight, inter_weight, poi_weight: of the terms.
        temperature: divides similarities; the initial value if ``learnable``.
        learnable: train the temperature (its logarithm, with a minimum of 0.01, as in CLIP).

    Raises:
        InputError: an unknown form, or a value out of range.

    >>> objective = CellContrast(8, 8, projection_dim=4)
    >>> there = torch.ones(3, dtype=torch.bool)
    >>> slots = {name: Encoded(torch.randn(3, 8), there) for name in (*IMAGES, *POIS)}
    >>> objective(slots, {}).shape
    torch.Size([])
    """

    def __init__(
        self,
        image_dim: int,
        poi_dim: int | None,
        *,
        projection_dim: int = 128,
        image_hidden: int = 256,
        poi_hidden: int = 256,
        form: Form = "separate",
        intra_weight: float = 0.5,
        inter_weight: float = 0.5,
        poi_weight: float = 0.0,
        temperature: float = 0.5,
        learnable: bool = False,
    ) -> None:
        super().__init__()
        if form not in get_args(Form):
            raise InputError(f"unknown form {form!r}; choose from {', '.join(get_args(Form))}")
        if not temperature >= 1.0 / MAX_SCALE:
            raise InputError(f"the temperature must be at least {1.0 / MAX_SCALE}; got {temperature}")
        self.form, self.poi_weight = form, float(poi_weight)
        self.intra_weight, self.inter_weight = float(intra_weight), float(inter_weight)
        self.image = Projection(image_dim, image_hidden, projection_dim)
        self.pois = None if poi_dim is None else Projection(poi_dim, poi_hidden, projection_dim)
        self.log_scale: Tensor
        scale = torch.tensor(-math.log(temperature))
        if learnable:
            self.log_scale = nn.Parameter(scale)
        else:
            self.register_buffer("log_scale", scale, persistent=False)

    @property
    def scale(self) -> Tensor:
        """1 / temperature, a scalar tensor."""
        return self.log_scale.clamp(max=math.log(MAX_SCALE)).exp()

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The scalar loss; terms without a complete pair are 0."""
        images = [self._projected(slots[name], self.image) for name in IMAGES]
        if self.pois is None:
            return self._pair(images[0], images[1])
        points = [self._projected(slots[name], self.pois) for name in POIS if name in slots]
        if self.form == "founding":
            return self.intra_weight * self._pair(images[0], images[1]) + self.inter_weight * self._pair(
                images[0], points[0]
            )
        inter = (self._pair(images[0], points[0]) + self._pair(images[1], points[-1])) / 2.0
        loss = self.intra_weight * self._pair(images[0], images[1]) + self.inter_weight * inter
        return loss + self.poi_weight * self._pair(points[0], points[1]) if len(points) > 1 else loss

    def _projected(self, slot: Encoded, head: Projection) -> Encoded:
        # missing rows can hold anything, even NaN: they must not reach the product
        return Encoded(head(torch.where(slot.present[:, None], slot.z, 0.0)), slot.present)

    def _pair(self, first: Encoded, second: Encoded) -> Tensor:
        whole = first.present & second.present
        if self.form == "founding":
            return nt_xent(first.z, second.z, self.scale, whole)
        return info_nce(first.z, second.z, self.scale, whole)

    @torch.no_grad()
    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The temperature."""
        return {"temperature": 1.0 / self.scale.detach()}
