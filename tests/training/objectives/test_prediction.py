"""Predicting shares: against scikit-learn's log loss, closed forms and invariants."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from placevec.core import Encoded
from placevec.errors import InputError
from placevec.training.objectives.prediction import PredictDistribution, PredictShares

KINDS = (PredictShares, PredictDistribution)


def slots(z: torch.Tensor, present: list[bool] | None = None) -> dict[str, Encoded]:
    return {"anchor": Encoded(z, torch.tensor(present or [True] * len(z)))}


def shuffled(objective: torch.nn.Module) -> None:
    torch.nn.init.normal_(objective.head.weight, generator=torch.Generator().manual_seed(1))  # type: ignore[union-attr]


def test_shares_are_log_loss_over_the_entropy_of_the_means() -> None:
    """Oracle: scikit-learn's log loss of every output, summed, by the sum of the entropies (closed form)."""
    random = np.random.default_rng(0)
    truth = (random.random((40, 3)) < (0.5, 0.2, 0.05)).astype(np.float32)
    truth[0] = 1.0
    mean = torch.from_numpy(truth.mean(axis=0))
    objective = PredictShares(6, mean)
    shuffled(objective)
    z = torch.from_numpy(random.normal(size=(40, 6)).astype(np.float32))
    chances = torch.sigmoid(objective.head(z)).detach().double().numpy()
    losses = [log_loss(truth[:, j], chances[:, j], labels=[0, 1]) for j in range(3)]
    m = mean.double().numpy()
    entropy = -(m * np.log(m) + (1 - m) * np.log(1 - m))
    found = objective(slots(z), {"shares": torch.from_numpy(truth)})
    assert found.item() == pytest.approx(sum(losses) / entropy.sum(), rel=1e-5)


def test_a_distribution_is_log_loss_with_a_class_for_the_rest() -> None:
    """Oracle: scikit-learn's log loss over 1 + T classes where every place has exactly one of them."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 60)  # 0: none of the three
    truth = np.eye(4, dtype=np.float32)[labels][:, 1:]
    objective = PredictDistribution(5, torch.from_numpy(truth.mean(axis=0)))
    shuffled(objective)
    z = torch.from_numpy(random.normal(size=(60, 5)).astype(np.float32))
    chances = objective.head(z).softmax(dim=1).detach().double().numpy()
    parts = np.bincount(labels, minlength=4) / 60
    entropy = -(parts * np.log(parts)).sum()
    found = objective(slots(z), {"shares": torch.from_numpy(truth)})
    assert found.item() == pytest.approx(log_loss(labels, chances, labels=[0, 1, 2, 3]) / entropy, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_and_absent_places_weigh_nothing(kind: type[PredictShares]) -> None:
    """Invariant: their values reach neither the loss nor the gradient, whatever they are."""
    mean = torch.tensor([0.4, 0.3])
    objective = kind(3, mean)
    shuffled(objective)
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([[0.2, 0.5], [0.9, 0.1], [0.0, 1.0], [0.5, 0.5]])
    alone = objective(slots(z[:2]), {"shares": shares[:2]})
    shares[2] = float("nan")
    z = z.clone()
    z[3] = float("nan")
    z.requires_grad_()
    loss = objective(slots(z, [True, True, True, False]), {"shares": shares})
    assert loss.item() == pytest.approx(alone.item(), rel=1e-6)
    loss.backward()
    assert z.grad is not None
    assert (z.grad[2:] == 0).all()
    assert z.grad[:2].abs().sum() > 0
    nothing = objective(slots(z, [False] * 4), {"shares": shares})
    assert nothing.item() == 0.0


def test_overlapping_uses_are_scaled_to_a_whole() -> None:
    """Closed form: shares 1.0 and 1.0 of one place are half and half."""
    objective = PredictDistribution(2, torch.tensor([0.5, 0.4]))
    z = torch.randn(1, 2)
    both = objective(slots(z), {"shares": torch.tensor([[1.0, 1.0]])})
    half = objective(slots(z), {"shares": torch.tensor([[0.5, 0.5]])})
    assert both.item() == pytest.approx(half.item())


@pytest.mark.parametrize("kind", KINDS)
def test_rejects_what_is_no_share_and_a_target_that_is_missing(kind: type[PredictShares]) -> None:
    with pytest.raises(InputError, match="shares from 0 to 1"):
        kind(3, torch.tensor([0.2, 1.5]))
    with pytest.raises(InputError, match="shares from 0 to 1"):
        kind(3, torch.tensor([]))
    with pytest.raises(InputError, match="the target 'shares' is missing"):
        kind(3, torch.tensor([0.2]))(slots(torch.zeros(1, 3)), {})


@pytest.mark.parametrize("kind", KINDS)
def test_can_be_learned(kind: type[PredictShares]) -> None:
    """Where vectors tell all, the unexplained part goes towards nothing."""
    truth = torch.eye(3).repeat(10, 1)
    objective = kind(3, truth.mean(dim=0))
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        loss = objective(slots(truth), {"shares": truth})
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
