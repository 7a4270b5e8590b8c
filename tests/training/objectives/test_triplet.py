"""Triplet losses against torch's own and the published formulas."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from placevec.core import Encoded
from placevec.errors import InputError
from placevec.training.objectives.triplet import SoftPN, TripletLoss, softpn, triplet_hinge

NAMES = ("anchor", "positive", "negative")


def vectors(count: int, dim: int = 5, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, dim, generator=generator, dtype=torch.float64) for _ in NAMES]


def slots(parts: list[Tensor], present: Tensor | None = None) -> dict[str, Encoded]:
    here = torch.ones(len(parts[0]), dtype=torch.bool) if present is None else present
    return {name: Encoded(part, here) for name, part in zip(NAMES, parts, strict=True)}


@pytest.mark.parametrize(("margin", "swap"), list(itertools.product([0.2, 1.0], [False, True])))
def test_hinge_equals_torch(margin: float, swap: bool) -> None:
    """Oracle: torch.nn.TripletMarginLoss, with and without swap."""
    parts = vectors(40)
    expected = torch.nn.TripletMarginLoss(margin=margin, swap=swap)(*parts)
    found = TripletLoss(margin=margin, swap=swap)(slots(parts), {})
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_active_is_the_founding_hard_mining() -> None:
    """Oracle: NumPy, from the founding formula: mean of max(0, d_ap - min(d_an, d_pn) + 0.2) where it is not 0."""
    anchor, positive, negative = (part.numpy() for part in vectors(60, dim=3, seed=1))
    ap, an, pn = (
        np.linalg.norm(a - b, axis=1) for a, b in itertools.combinations((anchor, positive, negative), 2)
    )
    hinge = np.maximum(0, ap - np.minimum(an, pn) + 0.2)
    assert 0 < (hinge > 0).sum() < 60
    found = TripletLoss(margin=0.2, swap=True, reduction="active")(slots(vectors(60, dim=3, seed=1)), {})
    assert float(found) == pytest.approx(hinge[hinge > 0].mean(), rel=1e-5)


def test_active_is_zero_when_nothing_violates() -> None:
    near, far = torch.zeros(4, 2, requires_grad=True), torch.full((4, 2), 9.0)
    loss = TripletLoss(reduction="active")(slots([near, near, far]), {})
    loss.backward()
    assert loss.item() == 0
    assert near.grad is not None
    assert not near.grad.any()


def test_softpn_equals_the_published_formula() -> None:
    """Oracle: the paper's squared error of the softmax of two distances to (0, 1), in float64."""
    anchor, positive, negative = vectors(50)
    near = torch.linalg.norm(anchor - positive, dim=1)
    far = torch.minimum(
        torch.linalg.norm(anchor - negative, dim=1), torch.linalg.norm(positive - negative, dim=1)
    )
    e_near, e_far = near.exp(), far.exp()
    expected = (e_near / (e_near + e_far)) ** 2 + (e_far / (e_near + e_far) - 1) ** 2
    torch.testing.assert_close(softpn(anchor, positive, negative), expected, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(
        SoftPN()(slots([anchor, positive, negative]), {}), expected.mean(), rtol=1e-5, atol=0
    )


def test_softpn_stays_finite_where_exponentials_overflow() -> None:
    """Oracle: limits 0 and 2, at distances whose exponential overflows float32 (and the naive form is NaN)."""
    here, far = torch.zeros(1, 1, requires_grad=True), torch.full((1, 1), 1000.0)
    naive = far.exp() / (far.exp() + far.exp())
    assert naive.isnan().all()
    assert softpn(here, here, far).item() == 0
    worst = softpn(here, far, here)
    assert worst.item() == 2
    worst.sum().backward()
    assert here.grad is not None
    assert torch.isfinite(here.grad).all()


def test_softpn_floor_of_unit_vectors() -> None:
    """Published limit: with d* = 2 and d+ = 0 the loss is 2 sigmoid(-2)^2 = 0.0284; a scale takes it down."""
    north = torch.tensor([[0.0, 1.0]])
    assert float(softpn(north, north, -north)) == pytest.approx(0.0284, abs=1e-4)
    assert float(softpn(north, north, -north, scale=4)) < 1e-6


@pytest.mark.parametrize(
    "objective",
    [TripletLoss(), TripletLoss(swap=True), TripletLoss(swap=True, reduction="active"), SoftPN(scale=0.7)],
)
class TestAllTripletLosses:
    def test_gradient(self, objective: Any) -> None:
        """Oracle: finite differences."""
        parts = [part.requires_grad_() for part in vectors(6, seed=3)]
        assert torch.autograd.gradcheck(lambda *given: objective(slots(list(given)), {}), parts)

    def test_order_and_rotation_do_not_matter(self, objective: Any) -> None:
        """Invariants: any permutation of triplets, any isometry of space."""
        parts = vectors(20, seed=4)
        expected = objective(slots(parts), {})
        order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
        turn, _ = torch.linalg.qr(vectors(5, seed=5)[0])
        torch.testing.assert_close(objective(slots([part[order] for part in parts]), {}), expected)
        turned = objective(slots([part @ turn + 3 for part in parts]), {})
        torch.testing.assert_close(turned, expected, rtol=1e-4, atol=1e-6)

    def test_missing_rows_take_no_part(self, objective: Any) -> None:
        """Oracle: the loss of the present rows alone, though the missing one encoded to NaN; its gradient is 0."""
        parts = vectors(8, seed=6)
        expected = objective(slots([part[1:] for part in parts]), {})
        given = [part.clone() for part in parts]
        given[2][0] = torch.nan
        given = [part.requires_grad_() for part in given]
        everywhere, known = torch.ones(8, dtype=torch.bool), torch.arange(8) > 0
        mixed = slots(given)
        mixed["negative"] = Encoded(given[2], known)
        mixed["anchor"] = Encoded(given[0], everywhere)
        loss = objective(mixed, {})
        torch.testing.assert_close(loss, expected)
        loss.backward()
        for part in given:
            assert part.grad is not None
            assert not part.grad[0].any()
            assert torch.isfinite(part.grad).all()

    @pytest.mark.parametrize("count", [0, 3])
    def test_without_any_triplet_the_loss_is_zero(self, objective: Any, count: int) -> None:
        parts = [part.requires_grad_() for part in vectors(count)]
        loss = objective(slots(parts, torch.zeros(count, dtype=torch.bool)), {})
        loss.backward()
        assert loss.item() == 0

    def test_collapsed_vectors_have_a_finite_gradient(self, objective: Any) -> None:
        same = torch.ones(4, 3, requires_grad=True)
        objective(slots([same, same, same]), {}).backward()
        assert same.grad is not None
        assert torch.isfinite(same.grad).all()


def test_nonsense_is_rejected() -> None:
    with pytest.raises(InputError, match="margin must be positive"):
        TripletLoss(margin=0)
    with pytest.raises(InputError, match="mean or active"):
        TripletLoss(reduction="sum")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale of SoftPN"):
        SoftPN(scale=-1)


def test_hinge_of_one_triplet() -> None:
    """Oracle: by hand: d_ap = 5, d_an = 1, margin 0.5."""
    anchor, positive, negative = (
        torch.tensor([[0.0, 0.0]]),
        torch.tensor([[3.0, 4.0]]),
        torch.tensor([[0.0, 1.0]]),
    )
    assert float(triplet_hinge(anchor, positive, negative, 0.5)) == pytest.approx(4.5, abs=1e-5)
