"""Locations taught by images: the losses of contrastive spatial pre-training (CSP), each a family member of its own.

Mai et al., "CSP: Self-supervised contrastive spatial pre-training for geospatial-visual representations", ICML 2023,
arXiv:2305.01118. The published loss is a weighted sum of three: `LocationImage` + a1 `NegativeLocations` +
a2 `DropoutTwins`, or the same three of `SigmoidContrast` (the paper's NCE), or `ImageRegression` alone (its MSE).

All take cosines. A vector of length 0, which an encoder that ends in ReLU does give, has no direction: its cosines
are 0 here, where the original divides by 0 and its run ends in NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.training.objectives.triplet import mean_where

LOCATION, IMAGE, BACKGROUND, TWIN = "point", "image", "background", "twin"
"""Names of the slots: a place, its image, random points, and the place encoded again with other units dropped."""


def directions(vectors: Tensor, whole: Tensor) -> Tensor:
    """(B, D) vectors brought to length 1; zeros, without gradient, for rows left out or of length 0.

    >>> directions(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([True, True])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    vectors = torch.where(whole[:, None], vectors, 0.0)
    # torch's norm has gradient 0, not NaN, at 0
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    long = length > torch.finfo(vectors.dtype).tiny
    return torch.where(long, vectors / torch.where(long, length, 1.0), 0.0)


def matched_softmax(first: Tensor, second: Tensor, temperature: float, whole: Tensor) -> Tensor:
    """Cross-entropy of finding row i of ``second`` by row i of ``first`` among all rows.

    With c_ij the cosine of first_i and second_j: the mean over i of ``-log(e^(c_ii/T) / sum_j e^(c_ij/T))``.

    Args:
        first, second: (B, D) of any length.
        temperature: T.
        whole: (B,) bool, rows that take part; the others are neither asked for nor negatives.
    """
    logits = directions(first, whole) @ directions(second, whole).T / temperature
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(~whole[None, :] & ~itself, -math.inf)
    return mean_where(logits.logsumexp(1) - logits.diagonal(), whole)


def background_softmax(
    location: Tensor, image: Tensor, background: Tensor, temperature: float, whole: Tensor
) -> Tensor:
    """Cross-entropy of finding an image's own location among K others drawn for it.

    With c_b the cosine of image and location b and c_kb that of the image and its k-th background point: the mean over b
    of ``-log(e^(c_b/T) / (e^(c_b/T) + sum_k e^(c_kb/T)))``.

    Args:
        location, image: (B, D).
        background: (K * B, D), row ``k * B + b`` for image b.
        temperature: T.
        whole: (B,) bool, rows that take part.

    Raises:
        InputError: the background is not K rows for every image.
    """
    image = directions(image, whole)
    theirs = (_by_image(background, len(image), whole) * image).sum(2)  # (K, B)
    own = (directions(location, whole) * image).sum(1, keepdim=True)
    logits = torch.cat([own, theirs.T], 1) / temperature
    return mean_where(logits.logsumexp(1) - logits[:, 0], whole)


def matched_sigmoid(first: Tensor, second: Tensor, temperature: float, whole: Tensor) -> Tensor:
    """Noise-contrastive form of `matched_softmax`: is row j of ``second`` that of row i of ``first``, or not?

    The mean over i of ``-log s(c_ii/T) - 1/(B-1) sum_{j != i} log(1 - s(c_ij/T))``, s the logistic function. The
    original adds 1e-5 inside the logarithms.

    Arguments are those of `matched_softmax`. Of one row there is only the first term.
    """
    cosines = directions(first, whole) @ directions(second, whole).T / temperature
    itself = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    others = whole[None, :] & ~itself
    negatives = torch.where(others, F.softplus(cosines), 0.0).sum(1) / others.sum(1).clamp(min=1)
    return mean_where(F.softplus(-cosines.diagonal()) + negatives, whole)


def background_sigmoid(image: Tensor, background: Tensor, temperature: float, whole: Tensor) -> Tensor:
    """Noise-contrastive form of `background_softmax`: the mean over k, b of ``-log(1 - s(c_kb/T))``.

    Arguments and errors are those of `background_softmax`.
    """
    cosines = (_by_image(background, len(image), whole) * directions(image, whole)).sum(2) / temperature
    return mean_where(F.softplus(cosines).mean(0), whole)


def _by_image(background: Tensor, images: int, whole: Tensor) -> Tensor:
    """(K, B, D) directions of the background points drawn for each image."""
    if images == 0 or len(background) == 0 or len(background) % images:
        raise InputError(
            f"there are {len(background)} background points for {images} images: a whole number each is needed"
        )
    times = len(background) // images
    return directions(background, whole.repeat(times)).reshape(times, images, -1)


class _Contrast(Objective):
    """What the softmax and sigmoid losses share: slots and a temperature."""

    def __init__(self, temperature: float, location: str, other: str) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise InputError(f"a temperature is more than 0; got {temperature}")
        self.temperature, self.location, self.other = temperature, location, other

    def _pair(self, slots: Mapping[str, Encoded]) -> tuple[Tensor, Tensor, Tensor]:
        first, second = slots[self.location], slots[self.other]
        return first.z, second.z, first.present & second.present


class LocationImage(_Contrast):
    """A location against all images of the batch, see `matched_softmax`.

    Args:
        temperature: divides cosines: T0, 1 in the paper and 20 in its scripts.
        symmetric: each image against all locations of the batch too; the two are added (``contsoftmaxsym``).
        location, image: names of the slots.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        *,
        symmetric: bool = False,
        location: str = LOCATION,
        image: str = IMAGE,
    ) -> None:
        super().__init__(temperature, location, image)
        self.symmetric = symmetric

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over pairs that are whole; 0 when none is."""
        location, image, whole = self._pair(slots)
        loss = matched_softmax(location, image, self.temperature, whole)
        return loss + matched_softmax(image, location, self.temperature, whole) if self.symmetric else loss

    @torch.no_grad()
    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean cosine of locations with their own and with all other images."""
        location, image, whole = self._pair(slots)
        cosines = directions(location, whole) @ directions(image, whole).T
        others = (
            whole[:, None] & whole[None, :] & ~torch.eye(len(whole), dtype=torch.bool, device=whole.device)
        )
        return {
            "own_image_cosine": mean_where(cosines.diagonal(), whole),
            "other_image_cosine": mean_where(cosines.flatten(), others.flatten()),
        }


class NegativeLocations(_Contrast):
    """An image's own location against random ones, see `background_softmax`.

    Args:
        temperature: divides cosines: T1, 1 in paper and scripts.
        location, image, background: names of the slots; the background holds K rows for every image, ordered as
            `background_softmax` says.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        *,
        location: str = LOCATION,
        image: str = IMAGE,
        background: str = BACKGROUND,
    ) -> None:
        super().__init__(temperature, location, image)
        self.background = background

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over pairs that are whole; 0 when none is."""
        location, image, whole = self._pair(slots)
        return background_softmax(location, image, slots[self.background].z, self.temperature, whole)


class DropoutTwins(_Contrast):
    """A location against itself, encoded again with other units dropped, among all locations of the batch.

    SimCSE (Gao et al. 2021, arXiv:2104.08821) on locations, see `matched_softmax`. Without dropout the twins are equal
    and nothing but even spreading is learned.

    Args:
        temperature: divides cosines: T2, 1 in paper and scripts.
        location, twin: names of the slots, which read the same points with one encoder.
    """

    def __init__(self, temperature: float = 1.0, *, location: str = LOCATION, twin: str = TWIN) -> None:
        super().__init__(temperature, location, twin)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over locations that are there; 0 when none is."""
        location, twin, whole = self._pair(slots)
        return matched_softmax(location, twin, self.temperature, whole)


class SigmoidLocationImage(LocationImage):
    """`LocationImage` as a noise-contrastive loss, see `matched_sigmoid`; its ``symmetric`` is not in the paper."""

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over pairs that are whole; 0 when none is."""
        location, image, whole = self._pair(slots)
        loss = matched_sigmoid(location, image, self.temperature, whole)
        return loss + matched_sigmoid(image, location, self.temperature, whole) if self.symmetric else loss


class SigmoidNegativeLocations(NegativeLocations):
    """`NegativeLocations` as a noise-contrastive loss, see `background_sigmoid`."""

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over pairs that are whole; 0 when none is."""
        _, image, whole = self._pair(slots)
        return background_sigmoid(image, slots[self.background].z, self.temperature, whole)


class SigmoidDropoutTwins(DropoutTwins):
    """`DropoutTwins` as a noise-contrastive loss, see `matched_sigmoid`."""

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over locations that are there; 0 when none is."""
        location, twin, whole = self._pair(slots)
        return matched_sigmoid(location, twin, self.temperature, whole)


class ImageRegression(Objective):
    """An image's features foretold from where it is: the mean squared error of ``W z + b`` (``l2regress``).

    Args:
        dim: length of the location's vectors.
        features: numbers of an image.
        location, image: names of the slots; the image's vectors are what is foretold.
    """

    def __init__(self, dim: int, features: int, *, location: str = LOCATION, image: str = IMAGE) -> None:
        super().__init__()
        self.location, self.image = location, image
        self.foretell = nn.Linear(dim, features)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over pairs that are whole, and over features; 0 when there is no pair."""
        location, image = slots[self.location], slots[self.image]
        whole = location.present & image.present
        foretold = self.foretell(torch.where(whole[:, None], location.z, 0.0))
        errors = (foretold - torch.where(whole[:, None], image.z, 0.0)).square().mean(1)
        return mean_where(errors, whole)
