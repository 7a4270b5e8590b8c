"""The losses beside the founding ones: numbers that their own code gave.

They were obtained by running, outside of this repository, the loss classes of https://github.com/klaipher/loc2vec on
the vectors below, in float32 with torch 2.13: ``TripletLoss`` of model.py at commit 30a9b96 (its ``softpn`` is a hinge
with swap; hard mining on), ``TripletLoc2Vec.triplet_loss`` of src/model.py at ab35ba4, and ``SoftmaxTripletLoss`` of
loc2vec/model.py at 4e07250 (``softpn=True, squared=False``).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec.core import Encoded
from placevec.training.objectives.triplet import SoftPN, TripletLoss, softpn

NAMES = ("anchor", "positive", "negative")


def vectors(scale: float) -> list[torch.Tensor]:
    random = np.random.default_rng(4)
    return [torch.from_numpy((scale * random.standard_normal((6, 5))).astype(np.float32)) for _ in NAMES]


def slots(scale: float) -> dict[str, Encoded]:
    present = torch.ones(6, dtype=torch.bool)
    return {name: Encoded(z, present) for name, z in zip(NAMES, vectors(scale), strict=True)}


@pytest.mark.parametrize(
    ("scale", "swap", "theirs"),
    [(0.3, False, 0.480740309), (0.3, True, 0.569367826), (1.0, False, 1.13580203), (1.0, True, 1.43122816)],
)
def test_hinge_of_the_twelve_layer_system(scale: float, swap: bool, theirs: float) -> None:
    found = TripletLoss(margin=0.2, swap=swap, reduction="active")(slots(scale), {})
    assert float(found) == pytest.approx(theirs, abs=1e-6)


def test_hinge_of_the_rgb_system() -> None:
    assert float(TripletLoss(margin=0.3)(slots(1.0), {})) == pytest.approx(0.823868096, abs=1e-6)


@pytest.mark.parametrize(
    ("scale", "theirs", "mean"),
    [
        (0.3, [0.693728149, 0.54572475, 0.345156461, 0.756746948, 0.332942665, 0.809816003], 0.580685854),
        (1.0, [1.18059194, 0.659049094, 0.117686816, 1.3671242, 0.100637808, 1.49941611], 0.820750952),
    ],
)
def test_softpn(scale: float, theirs: list[float], mean: float) -> None:
    assert softpn(*vectors(scale)).tolist() == pytest.approx(theirs, abs=1e-6)
    assert float(SoftPN()(slots(scale), {})) == pytest.approx(mean, abs=1e-6)


def test_softpn_where_theirs_is_not_a_number() -> None:
    """At 60 times the scale theirs gave NaN for all six; oracle here: the sigmoid in float64."""
    parts = [part.double() for part in vectors(60.0)]
    near, far, other = ((parts[a] - parts[b]).norm(dim=1) for a, b in ((0, 1), (0, 2), (1, 2)))
    expected = 2.0 / (1.0 + (torch.minimum(far, other) - near).exp()) ** 2
    found = softpn(*vectors(60.0))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.double(), expected, rtol=2e-3, atol=1e-6)


def test_the_share_of_active_triplets_is_counted_triplet_by_triplet() -> None:
    """Oracle: NumPy. The founding code reported 1 of 6 for this batch, counting after the mean."""
    anchor, positive, negative = (part.numpy() for part in vectors(1.0))
    near, far, other = (
        np.linalg.norm(a - b, axis=1)
        for a, b in ((anchor, positive), (anchor, negative), (positive, negative))
    )
    active = (near - np.minimum(far, other) + 0.2 > 0).mean()
    found = TripletLoss(margin=0.2, swap=True, reduction="active").watch(slots(1.0), {})
    assert active not in (0, 1 / 6, 1)
    assert float(found["active_share"]) == pytest.approx(active)
    assert float(found["positive_distance"]) == pytest.approx(near.mean(), rel=1e-5)
    assert float(found["negative_distance"]) == pytest.approx(np.minimum(far, other).mean(), rel=1e-5)
