"""Losses of contrastive spatial pre-training (CSP), which trains location encoders against images.

Mai et al., "CSP: Self-supervised contrastive spatial pre-training for geospatial-visual representations", ICML 2023,
arXiv:2305.01118. The published loss is a weighted sum of three: `LocationImage` + a1 `NegativeLocations` +
a2 `DropoutTwins`, or their sigmoid forms (the paper's NCE), or `ImageRegression` alone (its MSE).

All use cosine similarities. A vector of length 0, which an encoder ending in ReLU can return, has cosine 0 with
everything here; the original divides by 0 and its run ends in NaN.
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
"""Names of the slots: a place, its image, random points, and the place encoded again with a different dropout mask."""


def directions(vectors: Tensor, whole: Tensor) -> Tensor:
    """(B, D) vectors scaled to length 1; zeros, without gradient, for excluded rows and rows of length 0.

    >>> directions(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([True, True])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    vectors = torch.where(whole[:, None], vectors, 0.0)
    # vector_norm has gradient 0 at 0, not NaN
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    long = length > torch.finfo(vectors.dtype).tiny
    return torch.where(long, vectors / torch.where(long, length, 1.0), 0.0)


def matched_softmax(first: Tensor, second: Tensor, temperature: float, whole: Tensor) -> Tensor:
    """Cross-entropy of identifying row i of ``second`` from row i of ``first`` among all rows.

    With c_ij the cosine of first_i and second_j: the mean over i of ``-log(e^(c_ii/T) / sum_j e^(c_ij/T))``.

    Args:
        first, second: (B, D) vectors of any length.
        temperature: T.
        whole: (B,) bool, rows that take part; the others are ignored, also as negatives.

    >>> round(float(matched_softmax(torch.eye(2), torch.eye(2), 1.0, torch.tensor([True, True]))), 4)  # log(1 + 1/e)
    0.3133
    """
    logits = directions(first, whole) @ directions(second, whole).T / temperature
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(~whole[None, :] & ~itself, -math.inf)
    return mean_where(logits.logsumexp(1) - logits.diagonal(), whole)


def background_softmax(
    location: Tensor, image: Tensor, background: Tensor, temperature: float, whole: Tensor
) -> Tensor:
    """Cross-entropy of identifying an image's own location among K random ones.

    With c_b the cosine of image and location b and c_kb that of the image and its k-th background point: the mean over b
    of ``-log(e^(c_b/T) / (e^(c_b/T) + sum_k e^(c_kb/T)))``.

    Args:
        location, image: (B, D) vectors.
        background: (K * B, D) vectors; row ``k * B + b`` belongs to image b.
        temperature: T.
        whole: (B,) bool, rows that take part.

    Raises:
        InputError: the number of background rows is not a multiple of the number of images.

    >>> one, whole = torch.tensor([[1.0, 0.0]]), torch.tensor([True])
    >>> round(float(background_softmax(one, one, -one, 1.0, whole)), 4)  # log(1 + e^-2)
    0.1269
    """
    image = directions(image, whole)
    theirs = (_by_image(background, len(image), whole) * image).sum(2)  # (K, B)
    own = (directions(location, whole) * image).sum(1, keepdim=True)
    logits = torch.cat([own, theirs.T], 1) / temperature
    return mean_where(logits.logsumexp(1) - logits[:, 0], whole)


def matched_sigmoid(first: Tensor, second: Tensor, temperature: float, whole: Tensor) -> Tensor:
    """Noise-contrastive form of `matched_softmax`: a binary decision for each pair of rows.

    The mean over i of ``-log s(c_ii/T) - 1/(B-1) sum_{j != i} log(1 - s(c_ij/T))``, s the logistic function. The
    original adds 1e-5 inside the logarithms.

    Arguments are those of `matched_softmax`. With a single row there is only the first term.
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
            f"the number of background points, {len(background)}, must be a multiple of the number of images, {images}"
        )
    times = len(background) // images
    return directions(background, whole.repeat(times)).reshape(times, images, -1)


class _Contrast(Objective):
    """Base class of the softmax and sigmoid losses: slots and a temperature."""

    def __init__(self, temperature: float, location: str, other: str) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise InputError(f"the temperature must be above 0; got {temperature}")
        self.temperature, self.location, self.other = temperature, location, other

    def _pair(self, slots: Mapping[str, Encoded]) -> tuple[Tensor, Tensor, Tensor]:
        first, second = slots[self.location], slots[self.other]
        return first.z, second.z, first.present & second.present


class LocationImage(_Contrast):
    """Each location against all images of the batch, see `matched_softmax`.

    Args:
        temperature: divides cosines: T0, 1 in the paper and 20 in its scripts.
        symmetric: also each image against all locations of the batch; the two losses are added (``contsoftmaxsym``).
        location, image: names of the slots.

    >>> slots = {name: Encoded(torch.eye(2), torch.ones(2, dtype=torch.bool)) for name in ("point", "image")}
    >>> round(float(LocationImage(0.1)(slots, {})), 4)
    0.0
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
        """The mean loss over complete pairs; 0 if there are none."""
        location, image, whole = self._pair(slots)
        loss = matched_softmax(location, image, self.temperature, whole)
        return loss + matched_softmax(image, location, self.temperature, whole) if self.symmetric else loss

    @torch.no_grad()
    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mean cosine of locations with their own image and with all other images."""
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
    """Each image's own location against random ones, see `background_softmax`.

    Args:
        temperature: divides cosines: T1, 1 in paper and scripts.
        location, image, background: names of the slots; the background has K rows per image, ordered as in
            `background_softmax`.
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
        """The mean loss over complete pairs; 0 if there are none."""
        location, image, whole = self._pair(slots)
        return background_softmax(location, image, slots[self.background].z, self.temperature, whole)


class DropoutTwins(_Contrast):
    """Each location against itself, encoded again with a different dropout mask, among all locations of the batch.

    SimCSE (Gao et al. 2021, arXiv:2104.08821) for locations, see `matched_softmax`. Without dropout the twins are equal
    and only uniformity is learned.

    Args:
        temperature: divides cosines: T2, 1 in paper and scripts.
        location, twin: names of the slots, which read the same points with one encoder.
    """

    def __init__(self, temperature: float = 1.0, *, location: str = LOCATION, twin: str = TWIN) -> None:
        super().__init__(temperature, location, twin)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over present locations; 0 if there are none."""
        location, twin, whole = self._pair(slots)
        return matched_softmax(location, twin, self.temperature, whole)


class SigmoidLocationImage(LocationImage):
    """`LocationImage` as a noise-contrastive loss, see `matched_sigmoid`; its ``symmetric`` is not in the paper."""

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over complete pairs; 0 if there are none."""
        location, image, whole = self._pair(slots)
        loss = matched_sigmoid(location, image, self.temperature, whole)
        return loss + matched_sigmoid(image, location, self.temperature, whole) if self.symmetric else loss


class SigmoidNegativeLocations(NegativeLocations):
    """`NegativeLocations` as a noise-contrastive loss, see `background_sigmoid`."""

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over complete pairs; 0 if there are none."""
        _, image, whole = self._pair(slots)
        return background_sigmoid(image, slots[self.background].z, self.temperature, whole)


class SigmoidDropoutTwins(DropoutTwins):
    """`DropoutTwins` as a noise-contrastive loss, see `matched_sigmoid`."""

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss over present locations; 0 if there are none."""
        location, twin, whole = self._pair(slots)
        return matched_sigmoid(location, twin, self.temperature, whole)


class ImageRegression(Objective):
    """Regression of an image's features from its location: the mean squared error of ``W z + b`` (``l2regress``).

    Args:
        dim: length of the location vectors.
        features: length of the image features.
        location, image: names of the slots; the image features are the target.
    """

    def __init__(self, dim: int, features: int, *, location: str = LOCATION, image: str = IMAGE) -> None:
        super().__init__()
        self.location, self.image = location, image
        self.predict = nn.Linear(dim, features)

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean over complete pairs and features; 0 if there are no pairs."""
        location, image = slots[self.location], slots[self.image]
        whole = location.present & image.present
        predicted = self.predict(torch.where(whole[:, None], location.z, 0.0))
        errors = (predicted - torch.where(whole[:, None], image.z, 0.0)).square().mean(1)
        return mean_where(errors, whole)
